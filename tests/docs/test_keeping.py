"""Results are kept with date, versions and rule hashes, and a kept result that went stale stops the build."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lash_conformance.catalogue import clauses
from lash_conformance.check import all_checks
from lash_conformance.cli import app
from lash_conformance.mutants import all_mutants
from lash_conformance.site.evidence import SiteFault, gather

LAW = clauses()


def command(*words: object) -> tuple[int, str]:
    """Run the command line; exit code and output."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    return done.exit_code, done.output


def changed(path: Path, change) -> None:
    """Edit a JSON file."""
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small real report."""
    folder = tmp_path_factory.mktemp("report")
    assert command("run", "--target", "memory", "--select", "LEA.1", "--report", folder)[0] == 0
    return folder / "report.json"


@pytest.fixture
def kept(report: Path, tmp_path: Path) -> Path:
    """The report, kept below a root of its own."""
    path = tmp_path / "results" / "memory.json"
    assert command("keep", report, path, "--with", "node=v1") == (0, f"{path}: a report\n")
    return path


def test_a_kept_report_reads_like_the_report(kept: Path, tmp_path: Path):
    """With its date, versions and verdicts."""
    data = json.loads(kept.read_text(encoding="utf-8"))
    (run,) = gather([kept.parent], tmp_path).runs

    assert (run.name, run.clauses["LEA.1"], run.rules["LEA.1"]) == ("memory", "pass", LAW["LEA.1"].text_hash)
    assert run.date == data["date"]
    assert (data["versions"]["node"], data["found"]["exit_code"]) == ("v1", 0)


def test_a_kept_report_of_other_words_stops_the_build(kept: Path, tmp_path: Path):
    """The rule and the implementation to judge again are named."""
    changed(kept, lambda data: data["found"]["rules"].update({"LEA.1": "000000000000"}))

    with pytest.raises(SiteFault, match=r"the rule of LEA\.1 has changed; judge memory again"):
        gather([kept.parent], tmp_path)


def table(path: Path, *killed: tuple[str, str, bool]) -> Path:
    """A kill table as `mutants --json` writes it."""
    kills = [
        {"clause": clause, "mutant": mutant, "character": "", "killed": dead, "survived": [], "killers": [{"check": all_checks()[0].id}] if dead else []}
        for clause, mutant, dead in killed
    ]
    path.write_text(json.dumps({"kills": kills}), encoding="utf-8")
    return path


def test_what_is_run_again_replaces_what_was_kept(tmp_path: Path):
    """The rest of the table stays."""
    one, two = ((mutant.clauses[0], mutant.name) for mutant in all_mutants()[:2])
    path = tmp_path / "results" / "kills.json"
    command("keep", table(tmp_path / "a.json", (*one, False), (*two, True)), path)
    command("keep", table(tmp_path / "b.json", (*one, True)), path)

    found = gather([path.parent], tmp_path).kills

    assert {key: kill.killed for key, kill in found.items()} == {one: True, two: True}


def test_a_stale_kill_table_stops_the_build(tmp_path: Path):
    """By another wording, a broken implementation that is gone, or a check that is gone."""
    one, two = ((mutant.clauses[0], mutant.name) for mutant in all_mutants()[:2])
    path = tmp_path / "results" / "kills.json"
    command("keep", table(tmp_path / "a.json", (*one, True), (*two, True)), path)

    def spoil(data):
        first, second = data["found"]["kills"]
        first["rule"], second["mutant"], second["killers"] = "000000000000", "Nobody", ["LEA.1:gone"]

    changed(path, spoil)

    with pytest.raises(SiteFault) as told:
        gather([path.parent], tmp_path)
    assert "has changed; run `lash-conformance mutants" in str(told.value)
    assert "no broken implementation Nobody" in str(told.value)
    assert "by the check LEA.1:gone, which is gone" in str(told.value)


def test_what_is_no_result_is_refused(tmp_path: Path):
    """Other JSON, text that is no JSON, and a version without a value."""
    (tmp_path / "other.json").write_text("[1]", encoding="utf-8")
    (tmp_path / "text.json").write_text("no", encoding="utf-8")

    told = [command("keep", tmp_path / name, tmp_path / "kept.json") for name in ("other.json", "text.json")]

    assert [code for code, _ in told] == [2, 2]
    assert "expected a report, a kill table or a file of bench" in told[0][1].replace("\n", " ")
    assert command("keep", tmp_path / "other.json", tmp_path / "kept.json", "--with", "node")[0] == 2
    assert not (tmp_path / "kept.json").exists()
