"""A judged run, from the command line to the report."""

import json
import re
import resource
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pytest
from typer.testing import CliRunner

from lash_conformance import cli, known, log, report
from lash_conformance.compare import compare

HERE = Path(__file__).parent


def judged(*arguments: str, cwd: Path = HERE) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    command = [sys.executable, "-m", "lash_conformance", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=300, check=False)


@pytest.mark.long(25)
def test_memory_conforms(tmp_path: Path):
    """Exit 0, every MUST passes or does not apply, and all forms of the report are written."""
    done = judged("run", "--target", "memory", "--report", str(tmp_path), "--json", str(tmp_path / "out.json"))

    assert done.returncode == 0, done.stdout + done.stderr
    made = report.load(tmp_path / "out.json")
    assert {clause.verdict for clause in made.clauses} <= {"pass", "not-applicable"}
    assert {"events.jsonl", "report.html", "report.json", "junit.xml"} <= {p.name for p in tmp_path.iterdir()}


@pytest.mark.long(25)
def test_sqlite_conforms(tmp_path: Path):
    """Every MUST passes, but for what is judged on stores that lack a capability; `make conformance` drills it too."""
    done = judged("run", "--target", "sqlite", "--report", str(tmp_path), "--select", "!kind:crash")

    assert done.returncode == 0, done.stdout + done.stderr
    clauses = [c for c in report.load(tmp_path / "report.json").clauses if not c.id.startswith("WIR.")]
    open_ = [c.id for c in clauses if c.verdict != "pass"]
    assert open_ == ["GRA.34", "LEA.24", "MNT.11", "ATT.18"]


@pytest.mark.long(25)
def test_two_runs_with_one_seed_write_one_log(tmp_path: Path):
    """Byte for byte, wall times aside, failures and their traces included."""
    texts: list[str] = []
    for name in ("a", "b"):
        select = "STO.*,LEA.*,QUE.1*"
        arguments = ("--target", "python:naive_store:target", "--select", select, "--seed", "7")
        judged("run", *arguments, "--report", str(tmp_path / name))
        texts.append(log.without_wall(log.read(tmp_path / name / "events.jsonl")))

    assert texts[0] == texts[1]
    assert '"verdict": "fail"' in texts[0]


def test_a_naive_store_is_refused_readably(tmp_path: Path):
    """Failures name rule, expectation and finding; none is a bare traceback."""
    done = judged("run", "--target", "python:naive_store:target", "--report", str(tmp_path))

    assert done.returncode == 1
    made = report.load(tmp_path / "report.json")
    failed = {clause.id for clause in made.clauses if clause.verdict in ("fail", "error")}
    assert {"STO.10", "STO.14", "LEA.2", "GRA.1"} <= failed
    red = [check for check in made.checks if check.verdict == "fail"]
    assert [check.id for check in red if not (check.reason and check.found and check.where)] == []
    assert "Traceback" not in done.stdout
    assert "rule" in done.stdout
    for place in (done.stdout, (tmp_path / "report.html").read_text(), (tmp_path / "junit.xml").read_text()):
        assert f"lash-conformance run --target python:naive_store:target --select {red[0].id} --seed 0" in place
    heads = [line for line in done.stdout.splitlines() if line.startswith(("FAIL ", "ERROR "))]
    found = [line for line in done.stdout.splitlines() if line.startswith("  found ")]
    assert len(heads) == len(set(found)) == 10, "ten failures are shown, each of another kind"
    most = done.stdout.partition("same finding in several checks, perhaps one cause")[2].splitlines()[1]
    assert re.fullmatch(r" +\d+ checks  AttributeError: 'NaiveStore' object has no attribute 'enqueue_queued_work'", most)
    assert re.search("[\0-\x08\x0b-\x1f]", done.stdout + (tmp_path / "report.html").read_text()) is None


def test_a_name_that_would_steer_a_terminal_is_shown_as_text(tmp_path: Path):
    """Escapes, turned directions and halves of characters are neither obeyed nor lost, nor do they break XML."""
    junit = tmp_path / "junit.xml"
    done = judged(
        "run", "--target", "python:naive_store:steering", "--select", "LEA.1", "--report", str(tmp_path), "--junit", str(junit),
    )  # fmt: skip

    shown = "clear\\x1b[2J turn\\u202e half\\ud800"
    assert (done.returncode, shown in " ".join(done.stdout.split())) == (1, True)
    assert report.load(tmp_path / "report.json").target.name == shown
    assert shown in ET.parse(junit).getroot().attrib["name"]


def test_a_race_that_read_then_write_loses_is_attributed(tmp_path: Path):
    """The naive store compares and pauses; the race on the head names STO.6."""
    judged(
        "run", "--target", "python:naive_store:target", "--select", "STO.6", "--report", str(tmp_path)
    )

    (check,) = (c for c in report.load(tmp_path / "report.json").checks if c.kind == "example")
    assert (check.clauses, check.verdict) == (("STO.6",), "fail")


def test_the_report_follows_its_schema(tmp_path: Path):
    """The schema is the one that is printed."""
    judged("run", "--target", "memory", "--select", "LEA.*", "--report", str(tmp_path))
    schema = json.loads(judged("schema").stdout)

    jsonschema.validate(json.loads((tmp_path / "report.json").read_text()), schema)


def test_junit_is_red_when_the_run_is_red(tmp_path: Path):
    """A consumer that counts failures and errors sees them."""
    judged("run", "--target", "python:naive_store:target", "--select", "LEA.*", "--report", str(tmp_path))
    root = ET.parse(tmp_path / "junit.xml").getroot()

    red = root.findall(".//failure") + root.findall(".//error")
    assert red
    assert int(root.get("failures", "0")) + int(root.get("errors", "0")) == len(red)


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("--target", "nonsense"), 2, "no target"),
        (("--target", "python:missing_module:f"), 2, "could not be made"),
        (("--target", "memory", "--known", "missing.toml"), 2, "missing.toml"),
        (("--target", "memory", "--profile", "moon"), 2, "'moon' is not one"),
        (("--target", "memory", "--report", "/dev/null/report"), 2, "nothing can be written there"),
        (("--target", "memory", "--json", "/dev/null/out.json"), 2, "nothing can be written there"),
        (("--target", "reference:moon", "--profile", "host"), 2, "no target 'moon'"),
        (("--target", "memory", "--select", "ZZZ.*"), 4, "names no clause or check"),
        (("--target", "memory", "--select", "GRA.34"), 4, "no check passed"),
    ],
)
def test_exit_codes_say_what_went_wrong(tmp_path: Path, arguments: tuple[str, ...], code: int, word: str):
    """Never 0 for nothing, 2 for usage, each with a sentence."""
    done = judged("run", "--report", str(tmp_path), *arguments)

    assert (done.returncode, word in " ".join((done.stdout + done.stderr).split())) == (code, True)


def test_a_fault_of_the_judge_is_no_verdict(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """It ends with 3, whatever it was."""

    def broken() -> None:
        raise RuntimeError("a wheel came off")

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(SystemExit) as ended:
        cli.main()

    assert ended.value.code == 3
    assert "a wheel came off" in (said := capsys.readouterr().err)
    assert "the harness itself failed" in said


def test_a_log_holds_text_that_looks_like_the_end_of_a_line(tmp_path: Path):
    """Separators of Unicode stand in it as they are."""
    path = tmp_path / "events.jsonl"
    with path.open("w", encoding="utf-8") as stream:
        written = log.EventLog(stream)
        written.write("header", told="one\u2028two\u0085three\x1c")
        written.write("footer")

    assert [event.get("told") for event in log.read(path)] == ["one\u2028two\u0085three\x1c", None]


def test_a_log_without_a_footer_is_truncated(tmp_path: Path):
    """Whatever it says, it is not believed."""
    judged("run", "--target", "memory", "--select", "LEA.1", "--report", str(tmp_path))
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]))

    with pytest.raises(log.TruncatedLog, match="footer"):
        log.read(path)


@pytest.mark.long(25)
def test_known_failures_are_kept_strictly(tmp_path: Path):
    """Listed failures pass; stale, expired, unknown and changed entries are red."""
    target = ("--target", "python:naive_store:target", "--select", "LEA.2,LEA.1", "--report", str(tmp_path))
    judged("run", *target)
    listed = tmp_path / "known.toml"
    updated = judged(
        "known", str(listed), "--update", "--log", str(tmp_path / "events.jsonl"), "--link", "https://example.org/1"
    )
    assert updated.returncode == 0, updated.stderr
    entries = known.read(listed)
    assert entries

    green = judged("run", *target, "--known", str(listed))
    assert report.load(tmp_path / "report.json").check_counts.get("fail", 0) == 0, green.stdout
    first = next(iter(entries))
    old = {first: known.Known(first, entries[first].reason, "l", date.today() - timedelta(days=1))}
    other = {first: known.Known(first, "another reason", "l", date.today() + timedelta(days=9))}
    stranger = {"STO.1:nothing": known.Known("STO.1:nothing", "r", "l", date.today() + timedelta(days=9))}
    for changed in (old, other, stranger):
        known.write(listed, entries | changed)
        assert judged("run", *target, "--known", str(listed)).returncode == 1
    known.write(listed, entries)
    stale = judged("run", "--target", "memory", "--select", first, "--known", str(listed), "--report", str(tmp_path))
    assert stale.returncode == 1


def test_a_difference_names_regressions(tmp_path: Path):
    """Memory against the naive store: what passed and fails is worse; the other way round it is better."""
    for name, target in (("good", "memory"), ("bad", "python:naive_store:target")):
        judged("run", "--target", target, "--select", "LEA.*", "--report", str(tmp_path / name))
    good, bad = (tmp_path / name / "report.json" for name in ("good", "bad"))

    done = judged("diff", str(good), str(bad))

    assert done.returncode == 1
    assert "LEA.2" in done.stdout
    assert judged("diff", str(bad), str(good)).returncode == 0
    assert compare(report.load(good), report.load(good)).regressions == ()


def test_clauses_and_explain_answer(tmp_path: Path):
    """As text and as JSON; an unknown clause is usage."""
    listed = json.loads(judged("clauses", "--json").stdout)
    told = json.loads(judged("explain", "STO.12", "--json").stdout)

    assert len(listed) > 250
    assert told["checks"]
    assert told["mutants"]
    assert told["implemented"]
    assert "MUST fail with HeadRevisionConflict" in told["rule"].replace("`", "")
    assert "proven by" in judged("explain", "sto.12").stdout
    assert judged("explain", "STO.999").returncode == 2


def test_a_failed_assertion_shows_both_sides_wherever_the_run_began(tmp_path: Path):
    """The command line plans a run before pytest starts; its checks tell what was expected and what was found."""
    (tmp_path / "late.py").write_text(
        "from lash_conformance.mutants import all_mutants\n\n"
        "def make():\n    return next(m for m in all_mutants() if m.name == 'KeepsTheFirstMeta').make()\n"
    )

    done = subprocess.run(
        [sys.executable, "-m", "lash_conformance", "run", "--target", "python:late:make",
         "--select", "STO.70:meta_reads_back_and_a_later_save_wins", "--report", str(tmp_path / "report")],
        capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert "expected session_name='second'" in done.stdout
    assert "found    session_name='first'" in done.stdout


def test_a_capability_is_unshown_only_if_a_check_could_have_shown_it():
    """One whose checks all ask for another, undeclared capability is not held against the target."""

    def told(*needs: tuple[str, ...]) -> int:
        header = {"event": "header", "select": "*", "clauses": {"STO.1": {"level": "MUST", "selected": True, "untested": ""}}}
        plain = {"event": "check", "id": "STO.1:a", "clauses": ["STO.1"], "needs": [], "verdict": "pass"}
        asking = [plain | {"id": f"STO.1:{n}", "needs": list(each), "verdict": "not-applicable"} for n, each in enumerate(needs)]
        return report.verdict_of([header, plain, *asking], [], {"line"})[0]

    assert (told(("process", "line")), told(("line",))) == (0, 4)


@pytest.mark.parametrize(("lacking", "found", "told"), [
    ("disk_usage", SimpleNamespace(free=5 << 20), r"judging needs 32 MB free in .*, found 5; set TMPDIR"),
    ("getrlimit", (64, 64), "judging needs 256 open files in one process, the limit is 64; raise it"),
])  # fmt: skip
def test_what_the_machine_lacks_is_no_stores_fault(
    lacking: str, found: object, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Nothing is judged where there is no room."""
    monkeypatch.setattr(shutil if lacking == "disk_usage" else resource, lacking, lambda _: found)

    done = CliRunner().invoke(cli.app, ["run", "--target", "sqlite", "--report", str(tmp_path)])

    assert done.exit_code == 2
    assert re.search(told, done.stderr)
    assert not (tmp_path / "report.json").exists()
