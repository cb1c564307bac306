"""A judged run: pytest over the suite, one event log, and everything derived from it."""

import contextlib
import io
import json
import os
import platform
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from pathlib import Path
from typing import Any, TextIO

import pytest

from lash_conformance import known, suite
from lash_conformance.catalogue import EDITION, PROFILES, clauses
from lash_conformance.check import Profile, all_checks
from lash_conformance.execute import DEADLINE_S, Result, inapplicable
from lash_conformance.host import HostTarget
from lash_conformance.log import EventLog
from lash_conformance.pytest_plugin import HANG_MARGIN_S
from lash_conformance.report import Report, build, verdict_of
from lash_conformance.second_process import SecondProcess
from lash_conformance.select import leaves_out, selects, selects_clause
from lash_conformance.shown import visible
from lash_conformance.target import Served, StoreTarget
from lash_ref import __version__

UNDER_LOAD = "STO.80:random_kills_under_load_lose_nothing"
"""The one check of the drill that takes as long as all its others, so the first process, which has less to do, runs it."""
WAITING_AREAS = ("PRV", "RLM")
"""Areas whose checks wait for servers and sandboxes, about half of the time that a host takes."""
WORTH_A_PROCESS = 40
"""With fewer checks of these areas, starting a second process takes longer than it saves."""
HARNESS_FAULT = 3
"""The exit code of a run that is no verdict because the suite itself failed."""
RESULT_FIELDS = frozenset(field.name for field in fields(Result)) - {"check"}
"""What an event says of a check's result."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to judge, and how hard."""

    target_name: str
    target: StoreTarget | HostTarget
    select: str = "*"
    known: Path | None = None
    seed: int = 0
    jobs: int | None = None
    """Processes to judge with; if not given, this one and a second for checks that mostly wait."""
    thorough: bool = False
    isolate: bool = False
    deadline_s: float = DEADLINE_S
    profile: Profile = "store"


class Watcher:
    """A pytest plugin that collects results, shows them as they come, and logs them in the order of the spec."""

    def __init__(self, options: Options, log: EventLog, progress: Callable[[dict[str, Any]], None]) -> None:
        self.options = options
        self.log = log
        self.progress = progress
        self.planned = [check for check in all_checks(options.profile) if selects(options.select, check)]
        self.by_id = {check.id: check for check in self.planned}
        self.found: dict[str, dict[str, Any]] = {}
        self.written = 0
        self.faults: list[str] = []
        self.lock = threading.Lock()
        self.known = known.read(options.known) if options.known else {}
        # Checks of the other profile are loaded only to tell whether an entry of the list names one of them.
        self.names = frozenset(check.id for check in all_checks()) if self.known else frozenset[str]()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One phase of one item ended."""
        check_id = report.nodeid.partition("[")[2].removesuffix("]")
        if check_id not in self.by_id or check_id in self.found:
            return
        carried = dict(report.user_properties).get(suite.PROPERTY)
        if carried is not None:
            self._settle(check_id, json.loads(str(carried)))
        elif report.failed:
            text = report.longreprtext
            died = "crashed" in text or "Timeout" in text
            reason = _last_line(text) if died else f"harness: {_last_line(text)}"
            if not died:
                self.faults.append(f"{check_id}: {_last_line(text)}")
            self._settle(check_id, {"verdict": "error", "reason": reason, "found": reason})

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """The suite itself could not be collected."""
        if report.failed:
            self.faults.append(_last_line(report.longreprtext))

    def hear(self, event: dict[str, Any]) -> None:
        """An event of the second process."""
        if event["event"] == "check" and event["verdict"] != "not-run":
            self._settle(event["id"], {name: event[name] for name in RESULT_FIELDS if name in event} | event["wall"])
        elif event["event"] == "footer" and event["exit_code"] == HARNESS_FAULT:
            self.faults += event["problems"]

    def _settle(self, check_id: str, facts: dict[str, Any]) -> None:
        with self.lock:
            self._settled(check_id, facts)

    def _settled(self, check_id: str, facts: dict[str, Any]) -> None:
        check = self.by_id[check_id]
        event = suite.flat(Result(check, "not-run")) | facts
        event |= {
            "id": check.id, "clauses": check.clauses, "claim": check.claim, "kind": check.kind,
            "needs": sorted(check.needs),
        }  # fmt: skip
        event["wall"] = {name: event.pop(name) for name in ("total_s", "target_s", "crash_map")}
        event["verdict"], event["note"] = known.judged(self.known, event, date.today())
        self.found[check_id] = event
        self.progress(event)
        while self.written < len(self.planned) and self.planned[self.written].id in self.found:
            self.log.write("check", **self.found[self.planned[self.written].id])
            self.written += 1

    def finish(self, second: Sequence[str], ended: str) -> None:
        """Give a verdict to what has none; ``ended`` says how the second process crashed, which was to judge ``second``."""
        for check in self.planned:
            if check.id not in self.found and check.id in second and ended:
                self._settle(check.id, {"verdict": "error", "reason": f"it was judged by another process, and {ended}"})
            elif check.id not in self.found:
                self._settle(check.id, {"verdict": "not-run", "reason": "the run ended before it"})


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line.removeprefix("E ").strip() for line in lines if line.startswith("E ")), lines[-1] if lines else "")


def header(options: Options) -> dict[str, Any]:
    """What the log says before the first check."""
    judged = {c: check for check in all_checks(options.profile) for c in check.clauses if not leaves_out(options.select, check)}
    unjudged = {c for check in all_checks(options.profile) for c in check.clauses} - judged.keys()
    chosen = {c for c in clauses() if selects_clause(options.select, c)} - unjudged
    return {
        "suite": __version__,
        "edition": EDITION,
        "profile": options.profile,
        "seed": options.seed,
        "select": options.select,
        "target": {
            "given": options.target_name,
            "name": visible(options.target.name),
            "version": visible(options.target.version),
            "capabilities": sorted(options.target.capabilities),
        },
        "clauses": {
            clause.id: {
                "hash": clause.text_hash, "level": clause.level, "rule": clause.rule, "page": clause.page,
                "untested": clause.untested, "selected": clause.id in chosen,
            }
            for clause in clauses().values()
            if clause.area in PROFILES[options.profile]
        },
        "environment": {"python": platform.python_version(), "system": platform.system()},
    }  # fmt: skip


def checks_for_second_process(options: Options) -> list[str]:
    """The ids of the checks that a second process is to judge in parallel; empty for none.

    For a store the crash drill and the races; for a host in this process the checks of providers, which mostly wait.
    A target with a server of its own is judged by one process only, because that process crashes the server.
    """
    target = options.target
    if options.jobs is not None or options.isolate or os.name != "posix":
        return []
    if isinstance(target, Served) and target.may_crash:
        return []
    chosen = [check for check in all_checks(options.profile) if selects(options.select, check) and not inapplicable(check, target)]
    if options.profile == "host":
        waiting = [check.id for check in chosen if check.clauses[0][:3] in WAITING_AREAS]
        return waiting if not options.target_name.startswith("stdio:") and WORTH_A_PROCESS <= len(waiting) < len(chosen) else []
    drill = [check.id for check in chosen if check.kind in ("crash", "race") and check.id != UNDER_LOAD]
    crashes = any(check.kind == "crash" for check in chosen)
    return drill if crashes and len(drill) < len(chosen) else []


def arguments(options: Options) -> list[str]:
    """The pytest command line of a run."""
    from lash_conformance import search

    scale = search.THOROUGH if options.thorough else search.DEFAULT
    here = Path(suite.__file__)
    found = [
        str(here.with_name("host_suite.py") if options.profile == "host" else here), "-c", str(here.with_name("judge.ini")), "--rootdir", str(here.parent),
        "--noconftest", "--disable-plugin-autoload", "-p", "pytest_timeout", "-p", "xdist.plugin", "-p", "no:cacheprovider", "-q", "-q", "--no-header",
        "--lash-target", options.target_name, "--lash-select", options.select,
        "--lash-deadline", str(options.deadline_s),
        "--lash-search", scale.option(options.seed),
    ]  # fmt: skip
    if options.isolate:
        limit = options.deadline_s + HANG_MARGIN_S
        found += ["--lash-isolate", "-o", f"timeout={limit}", "-o", "timeout_method=thread"]
    else:
        found += ["-o", "timeout=0"]
    jobs = options.jobs or 1
    if options.isolate or jobs > 1:
        found += ["-n", str(jobs), "--max-worker-restart", "64"]
    return found


def judge(
    options: Options,
    stream: TextIO,
    progress: Callable[[dict[str, Any]], None] = lambda event: None,
) -> Report:
    """Judge the target, writing the event log to ``stream``; the report says the exit code.

    Raises:
        KnownFault: the list of known failures is unreadable.
    """
    started = time.perf_counter()
    log = EventLog(stream)
    watcher = Watcher(options, log, progress)
    log.write("header", **header(options))
    second, process, ended = checks_for_second_process(options), None, ""
    if second:
        told = {name: getattr(options, name) for name in ("target_name", "seed", "thorough", "deadline_s", "profile")}
        process = SecondProcess(told | {"select": ",".join(second)}, hear=watcher.hear)
        options = replace(options, select=",".join((options.select, *(f"!{check}" for check in second))))
    status: int | pytest.ExitCode = pytest.ExitCode.INTERRUPTED
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            status = pytest.main(arguments(options), plugins=[watcher])
    finally:
        if process is not None:
            ended = process.end(now=status == pytest.ExitCode.INTERRUPTED)
    watcher.finish(second, ended)
    problems = [f"known failure of an unknown check: {name}" for name in known.strangers(watcher.known, watcher.names)]
    code, advice = verdict_of(log.events, problems, set(options.target.capabilities))
    if watcher.faults or status in (pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR):
        code = HARNESS_FAULT
        problems += watcher.faults or [f"pytest ended with {status!r}"]
        advice = "The harness itself failed; please report it with the event log."
    elif status == pytest.ExitCode.INTERRUPTED:
        code, advice = 4, "Incomplete: the run was interrupted; run it again."
    seconds = time.perf_counter() - started
    log.write("footer", exit_code=code, advice=advice, problems=problems, wall={"seconds": seconds})
    return build(log.events)


def planned(options: Options) -> int:
    """How many checks the options select."""
    return sum(selects(options.select, check) for check in all_checks(options.profile))


def write_all(report: Report, folder: Path, json_file: Path | None, junit_file: Path | None) -> None:
    """Write every form of the report, and one replayable trace a failure."""
    from lash_conformance import badge, junit, page
    from lash_conformance import report as reporting

    for path in (folder / "report.json", *([json_file] if json_file else [])):
        reporting.save(report, path)
    for path in (folder / "junit.xml", *([junit_file] if junit_file else [])):
        junit.save(report, path)
    page.save(report, folder / "report.html")
    badge.save(report, folder / "badge.json")
    for old in folder.glob("trace-*.json"):
        old.unlink()
    for check in report.checks:
        if check.steps and check.verdict in ("fail", "error", "unknown", "known-failure"):
            name = f"trace-{check.id.replace(':', '-')}.json"
            facts = {"check": check.id, "steps": list(check.steps)}
            (folder / name).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
