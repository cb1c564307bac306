"""The command line as somebody meets it who has never seen it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lash_conformance import report
from lash_conformance.difference import difference
from lash_conformance.shown import shortened

HERE = Path(__file__).parent
WITHOUT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in {names!r} else real(name, package)
sys.meta_path.insert(0, Absent())
"""


def told(*arguments: str, cwd: Path = HERE, **environment: str) -> tuple[int, str]:
    """The exit code, and all that was printed, as one line."""
    command = [sys.executable, "-m", "lash_conformance", *arguments]
    env = os.environ | environment
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=300, check=False, env=env)
    assert "Traceback" not in done.stderr
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        (("explain", "STO.999"), 2, "the last of this area is STO."),
        (("explain", "a_repeated_commit_is_answered_from_the_recrod"), 2, "did you mean 'a_repeated_commit_is_answered_from_the_record'"),
        (("clauses", "--select", "LEA1"), 2, "did you mean 'LEA.1'?"),
        (("run", "--target", "sqlit"), 2, "did you mean 'sqlite'?"),
        (("run", "--target", "acme:Acme"), 2, "did you mean 'python:acme:Acme'?"),
        (("run", "--target", "reference"), 2, "add --profile host"),
        (("run", "--target", "sqlite", "--profile", "host"), 2, "'reference:sqlite'"),
        (("run", "--select", "LEA.1,STQ.*"), 4, "did you mean 'STO.*'"),
        (("run", "--select", "sto.14"), 4, "did you mean 'STO.14'?"),
        (("run", "--select", "SES.*"), 4, "'SES.*' is of --profile host"),
        (("run", "--select", "!kind:crsh"), 4, "did you mean 'kind:crash'?"),
        (("diff", "absent", "absent"), 2, "absent: No such file or directory"),
        (("diff", str(HERE / "naive_store.py"), "absent"), 2, "naive_store.py is no report.json of a run"),
        (("known", "absent.toml"), 2, "absent.toml: No such file or directory"),
        (("rnu",), 2, "Did you mean 'run'?"),
    ],
)
def test_a_slip_of_the_keyboard_is_met_with_a_hint(tmp_path: Path, arguments: tuple[str, ...], code: int, hint: str):
    """And never with a run that judges less than was meant."""
    report = ("--report", str(tmp_path)) if arguments[0] == "run" else ()
    found, text = told(*arguments, *report, COLUMNS="300")

    assert (found, hint in text) == (code, True), text


@pytest.mark.parametrize("named", ["STO.14", "sto14", "a_repeated_commit_is_answered_from_the_record"])
def test_a_clause_is_explained_by_any_of_its_names(named: str):
    """Its id, its id in haste, or a check."""
    assert told("explain", named)[1].startswith("STO.14 MUST A commit that carries the stamp")


@pytest.mark.parametrize("arguments", [("clauses",), ("run", "--target", "memory", "--select", "GRA.1")])
def test_a_reader_who_leaves_changes_no_verdict(tmp_path: Path, arguments: tuple[str, ...]):
    """As ``| head`` does: no word on standard error, the files are written, the exit code is the verdict."""
    report = ("--report", str(tmp_path)) if arguments[0] == "run" else ()
    command = [sys.executable, "-m", "lash_conformance", *arguments, *report]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr:
        said = process.stderr.read()

    assert (process.wait(300), said) == (0, b"")
    assert arguments[0] == "clauses" or (tmp_path / "report.json").is_file()


@pytest.mark.parametrize(
    ("absent", "arguments", "code", "line"),
    [
        ("psycopg", ("--target", "postgres"), 2, "pip install 'lash-ref[postgres]'"),
        ("pydantic_monty", ("--profile", "host", "--select", "RLM.1,SES.1"), 0, "Conforms"),
        ("pydantic_monty", ("--profile", "host", "--select", "RLM.1"), 4, "no check passed"),
    ],
)
def test_what_needs_an_extra_says_so_or_is_not_declared(tmp_path: Path, absent: str, arguments: tuple[str, ...], code: int, line: str):
    """A plain install is not judged for what it does not have."""
    (tmp_path / "sitecustomize.py").write_text(WITHOUT.format(names=(absent,)))
    found, text = told("run", "--report", str(tmp_path), *arguments, PYTHONPATH=str(tmp_path))

    assert (found, line in text) == (code, True), text


def test_a_narrow_terminal_without_colour_shows_every_verdict(tmp_path: Path):
    """60 columns, NO_COLOR: no escape, no line of the table is cut."""
    command = [sys.executable, "-m", "lash_conformance", "run", "--target", "python:naive_store:target", "--select", "LEA.1,LEA.2,GRA.34", "--report", str(tmp_path)]
    env = os.environ | {"COLUMNS": "60", "NO_COLOR": "1", "FORCE_COLOR": ""}
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE, timeout=300, check=False, env=env)
    table = [line for line in done.stdout.splitlines() if line.startswith(("│", "┃"))]

    assert "\x1b" not in done.stdout
    assert "LEA  execution lease" in done.stdout
    assert (max(map(len, table)) <= 60, "…" in "".join(table)) == (True, False)


def test_a_report_is_named_by_its_folder(tmp_path: Path):
    """`diff` takes what `run --report` was given."""
    assert told("run", "--target", "memory", "--select", "LEA.1", "--report", str(tmp_path))[0] == 0

    assert told("diff", str(tmp_path), str(tmp_path))[0] == 0


def test_a_long_step_keeps_its_call_and_its_answer():
    """What lies between them is cut."""
    step = shortened(f"store[s1].commit_runtime_state({{{'x' * 500}}}) -> {{refused: HeadRevisionConflict, expected: 0}}")

    assert step.startswith("store[s1].commit_runtime_state({xxx")
    assert step.endswith("…) -> {refused: HeadRevisionConflict, expected: 0}")
    assert len(step) == 160
    assert shortened("factory.open(s1) -> {ok: none}") == "factory.open(s1) -> {ok: none}"


@pytest.mark.parametrize(
    ("expected", "found", "shown"),
    [
        (1, 2, ("1", "2")),
        ({"b", "a", "c"}, {"c", "a", "d"}, ("{'a', 'b', 'c'}", "lacks {'b'}; also has {'d'}")),
        ({"n": {"x": 1}}, {"n": {"x": 2}}, ("['n']['x']: 1", "['n']['x']: 2")),
        ([1, 2, 3, 4], [1, 2, 0, 4], ("[2]: 3", "[2]: 0")),
        ([1, 2, 3, 4], [1, 2], ("4 members; at [2] 3, 4", "2 members; at [2] nothing more")),
        ((1, 2), (1, 3), ("(1, 2)", "(1, 3)")),
    ],
)
def test_a_difference_shows_where_it_is(expected: object, found: object, shown: tuple[str, str]):
    """Short values whole, long ones from where they differ, sets in an order that no run changes."""
    wanted, got = difference(expected, found)

    assert (wanted.strip(), got.strip()) == shown


def test_clauses_that_fail_by_a_search_alone_are_counted_apart():
    """A search covers many clauses, and its failure says little about each."""

    def red(name: str, kind: str, *clauses: str) -> report.CheckReport:
        return report.CheckReport(id=f"{clauses[0]}:{name}", clauses=clauses, claim="", kind=kind, verdict="fail")

    checks = (red("a", "example", "STO.1"), red("b", "machine", "STO.1", "STO.2", "GRA.1"))
    shown = report.searches(report.Report.model_construct(checks=checks))

    assert shown.startswith("2 of these clauses fail only because a randomised search")
    assert report.searches(report.Report.model_construct(checks=checks[:1])) == ""
