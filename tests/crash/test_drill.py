"""A short drill on our own store, its report, and a broken store that only a drill convicts."""

import asyncio
import io
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lash_conformance import crash_map, kill, search, strace
from lash_conformance.check import REGISTRY, all_checks
from lash_conformance.drill import Drill
from lash_conformance.execute import execute
from lash_conformance.load import loaded
from lash_conformance.log import without_wall
from lash_conformance.mutants import all_mutants
from lash_conformance.mutants import served as broken_ones
from lash_conformance.run import Options, checks_for_second_process, judge
from lash_conformance.scenes import SCENES
from lash_conformance.steps import Step
from lash_conformance.target import Bounds, load
from lash_conformance.terminal import summary
from lash_conformance.victim import Victim, served

needs_strace = pytest.mark.skipif(bool(strace.missing()), reason=strace.missing())


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "DEFAULT", search.Scale(examples=1, steps=1, strikes=1, refusals=1, kills=1))
    monkeypatch.setattr("lash_conformance.crash.ROWS", {})


def test_the_drill_goes_beside_the_other_checks():
    """In a process of its own, unless one process is asked for; the log is the same."""
    names, kill = "GRA.1,queued_work_survives_a_kill", "QUE.60:queued_work_survives_a_kill"
    target = load("sqlite")
    beside, alone = (Options(target_name="sqlite", target=target, select=names, jobs=jobs) for jobs in (None, 1))
    logs = io.StringIO(), io.StringIO()

    reports = [judge(options, log) for options, log in zip((beside, alone), logs, strict=True)]

    assert [checks_for_second_process(options) for options in (beside, alone)] == [[kill], []]
    assert [report.outcome for report in reports] == ["conforms", "conforms"]
    told = [without_wall(json.loads(line) for line in log.getvalue().splitlines()) for log in logs]
    assert told[0] == told[1]


def test_a_process_that_misses_a_deadline_under_load_has_lost_nothing(monkeypatch: pytest.MonkeyPatch):
    """Stopped while it is asked what it kept, it is started again, and no fault is found."""
    monkeypatch.setattr("lash_conformance.victim.BOUNDS", Bounds(start_s=120, call_s=3))
    start, stopped = Victim.start, list[int]()

    async def stopping(*arguments: Any) -> Victim:
        victim = await start(*arguments)
        if len(stopped) < 2:
            stopped.append(victim.child.process.pid)
            os.kill(stopped[-1], signal.SIGSTOP)
        return victim

    monkeypatch.setattr(Victim, "start", stopping)
    how = served(load("sqlite"), "sqlite")
    assert how is not None

    load_ = asyncio.run(loaded(how, kills=3, seed=0, most=1))

    assert len(stopped) == 2
    assert (load_.kills, load_.faults) == (3, [])


def test_a_drill_whose_process_ends_is_no_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What it did not judge is an error that says how it ended; the other checks are judged."""
    (tmp_path / "dies_in_parallel.py").write_text(
        "import os, sys\nfrom lash_conformance.targets.sqlite import SqliteTarget\n"
        "def target():\n    return os._exit(9) if sys.argv[0].endswith('second_process.py') else SqliteTarget()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    name = "python:dies_in_parallel:target"

    report = judge(Options(target_name=name, target=load(name), select="GRA.1,queued_work_survives_a_kill"), io.StringIO())

    found = {check.id: (check.verdict, check.reason) for check in report.checks}
    assert found.pop("QUE.60:queued_work_survives_a_kill") == ("error", "it was judged by another process, and it ended with exit code 9")
    assert {verdict for verdict, _ in found.values()} == {"pass"}
    assert report.exit_code == 1


def test_a_search_is_not_held_to_the_time_of_an_example(short: None, monkeypatch: pytest.MonkeyPatch):
    """Also where a process is watched for hanging: here an example would have half a second."""
    monkeypatch.setattr("lash_conformance.run.HANG_MARGIN_S", 0.0)
    options = Options(target_name="sqlite", target=load("sqlite"), select="queued_work_survives_a_kill", isolate=True, deadline_s=0.5)

    report = judge(options, io.StringIO())

    assert [(check.verdict, check.reason) for check in report.checks] == [("pass", "")]


@needs_strace
def test_a_run_draws_the_crash_map(short: None, tmp_path: Path):
    """In the report's data, on the page and in the terminal; killed before and after the answer, and cut."""
    from lash_conformance import page  # its charts come with an import hook that warns

    names = "bytes_that_were_put_survive_a_kill,bytes_that_were_put_survive_a_power_cut"
    events = io.StringIO()

    report = judge(Options(target_name="sqlite", target=load("sqlite"), select=names), events)

    assert [(check.id, check.verdict) for check in report.checks] == [
        ("ATT.40:bytes_that_were_put_survive_a_kill", "pass"),
        ("ATT.43:bytes_that_were_put_survive_a_power_cut", "pass"),
    ]
    (row,) = crash_map.rows(report)
    told = {(blow.call, blow.blow): (blow.answer, blow.found) for blow in row.blows}
    assert row.scene == "put bytes"
    assert told["fsync attachments", "killed, played back"] == ("", "as after the call")
    assert told["after the answer", "killed"] == ("ok", "as after the call")
    assert told["after the answer", "power cut, unsynced lost"] == ("ok", "as after the call")
    assert row.ill == ()
    assert "put bytes" in page.render(report)
    console = Console(file=io.StringIO(), width=200)
    summary(console, report)
    assert "faults injected in 1 scenarios" in console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]


@needs_strace
def test_a_store_that_acknowledges_before_it_syncs_is_convicted(short: None):
    """By the check of its clause, for that reason, and by nothing that does not strike."""
    (broken,) = [one for one in all_mutants() if one.name == "AcksBeforeSync"]
    check = REGISTRY["STO.84:a_commit_is_synced_before_its_answer"]

    with search.proving():
        result = asyncio.run(execute(check, broken.make(), 300, broken_ones.named(broken.name)))

    assert result.verdict == "fail"
    assert "acknowledged before it was synced" in result.found
    assert result.crash_map[-1]["fate"] == "unsynced"


@needs_strace
def test_a_write_that_is_refused_too_early_convicts_nobody():
    """Threads take other turns from run to run, so a blow may meet the scene's beginning."""
    target = load("sqlite")
    launch = served(target, "sqlite")
    assert launch is not None
    step = Step(0, "write", "pwrite64", "the database", 1, aimed=True)

    struck = asyncio.run(Drill(target, launch).refuse(SCENES["append"], 1, step, 1, "EIO", 1))

    assert (struck.fate, struck.found) == ("", "not judged: fell early 3 times")


def test_without_a_tracer_calls_are_cut_short_at_moments(short: None, monkeypatch: pytest.MonkeyPatch):
    """The check still judges, what needs a tracer does not apply, and the report says so."""
    monkeypatch.setattr("lash_conformance.strace.missing", lambda: "no strace on this machine: told so")
    monkeypatch.setattr("lash_conformance.crash.MOMENTS_S", (0.0,))
    names = "queued_work_survives_a_kill,a_commit_is_synced_before_its_answer"

    report = judge(Options(target_name="sqlite", target=load("sqlite"), select=names), io.StringIO())

    assert {check.id.partition(":")[2]: (check.verdict, check.reason) for check in report.checks} == {
        "queued_work_survives_a_kill": ("pass", ""),
        "a_commit_is_synced_before_its_answer": ("not-applicable", "no strace on this machine: told so"),
    }
    assert "no working strace here" in " ".join(crash_map.lines(report))


def test_a_target_without_a_name_cannot_be_drilled():
    """Another process could not run it, so the check does not apply."""
    check = REGISTRY["STO.81:a_commit_cut_short_by_a_kill_is_whole_or_absent"]

    result = asyncio.run(execute(check, load("sqlite"), 60))

    assert result.verdict == "not-applicable"
    assert "no name" in result.reason


def test_every_crash_clause_has_a_store_that_only_the_drill_convicts():
    """And its own check judges it."""
    clauses = {clause for check in all_checks() if check.kind == "crash" for clause in check.clauses}
    broken = [one for one in all_mutants() if one.crashes]

    assert clauses - {clause for one in broken for clause in one.clauses} == set()
    assert all(kill.judged_by(one, clause, all_checks()) for one in broken for clause in one.clauses)


def test_crashes_can_be_left_out():
    """By kind, and then no clause of theirs is missed."""
    options = Options(target_name="memory", target=load("memory"), select="STO.8*,!kind:crash")

    report = judge(options, io.StringIO())

    assert [check.kind for check in report.checks if check.kind == "crash"] == []
    assert [clause.id for clause in report.clauses if clause.id == "STO.81"] == []
