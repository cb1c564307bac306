"""Runs one check against one target and says what came of it."""

import asyncio
import re
import shutil
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from lash_conformance.bench import Bench, scratch
from lash_conformance.check import Check
from lash_conformance.host import HostTarget
from lash_conformance.host_bench import HostBench
from lash_conformance.shown import visible
from lash_conformance.target import Damaging, HarnessFault, Interruptible, StoreTarget, TargetBroke, load
from lash_conformance.traced import settle
from lash_conformance.vocabulary import Inapplicable, Unexpected
from lash_conformance.watch import Blocked, watched
from lash_conformance.wire import OutcomeUnknown, Uncarriable
from lash_ref.errors import LashError

Verdict = Literal["pass", "not-applicable", "known-failure", "fail", "unknown", "error", "not-run"]
VERDICTS: Final[tuple[Verdict, ...]] = (
    "pass", "not-applicable", "known-failure", "fail", "unknown", "error", "not-run",
)  # fmt: skip
"""From best to worst; only the first counts."""

ADDRESS = re.compile(r" at 0x[0-9a-f]+")
"""Where an object lay in memory: no two runs agree on it, and nobody is helped by it."""
SCRATCH = re.compile(re.escape(tempfile.gettempdir()) + r"/lash-conformance-\w{8}")
"""Where a check was judged: gone when its report is read, and another in each run, so that no reason could be listed."""
DEADLINE_S = 30.0
"""An example takes milliseconds; a target that needs this long for one is hung."""


@dataclass
class Result:
    """What came of one check."""

    check: Check
    verdict: Verdict
    reason: str = ""
    """Why the check did not apply, or in one line what went wrong."""
    expected: str = ""
    found: str = ""
    where: str = ""
    steps: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    lines: list[str] = field(default_factory=list[str])
    total_s: float = 0.0
    target_s: float = 0.0
    crash_map: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """What the crash drill did for this check, one line a blow."""

    def make_visible(self) -> None:
        """Escape what would steer a reader's terminal, and name no folder of the run; the steps stay data."""
        self.reason, self.expected, self.found = (
            SCRATCH.sub("<place>", visible(text)) for text in (self.reason, self.expected, self.found)
        )
        self.lines = [visible(line) for line in self.lines]
        self.crash_map = [
            {name: visible(fact) if isinstance(fact, str) else fact for name, fact in blow.items()}
            for blow in self.crash_map
        ]


def inapplicable(check: Check, target: StoreTarget | HostTarget) -> str:
    """Why the check does not apply to the target; empty when it does."""
    lacking = sorted(check.needs - target.capabilities)
    if lacking:
        return f"not declared: {', '.join(lacking)}"
    offered = sorted(check.without & target.capabilities)
    if offered:
        return f"declared: {', '.join(offered)}"
    if check.damage and not isinstance(target, Damaging):
        return "the target offers no damage hook"
    if isinstance(target, Damaging) and not check.damage <= target.damages:
        return f"the target cannot spoil: {', '.join(sorted(check.damage - target.damages))}"
    return ""


async def execute(
    check: Check, target: StoreTarget | HostTarget, deadline_s: float = DEADLINE_S, given: str = ""
) -> Result:
    """Run ``check`` on a fresh place of ``target``; never raises what the target raised.

    ``given`` names the target for checks that run it in processes of its own.
    A check in which a target's process missed a deadline is run once more: a slow machine is no hung target.

    Raises:
        HarnessFault: the judge itself is at fault.
    """
    if reason := inapplicable(check, target):
        return Result(check, "not-applicable", reason=reason)
    async with watched(deadline_s):
        result, missed = await _attempt(check, target, deadline_s, given)
    if missed:
        first = result.reason
        async with watched(deadline_s):
            result, _ = await _attempt(check, target, deadline_s, given)
        if result.verdict == "pass":
            result.reason = f"passed when run again; at first {first}"
    return result


async def _attempt(
    check: Check, target: StoreTarget | HostTarget, deadline_s: float, given: str
) -> tuple[Result, bool]:
    directory = scratch()
    bench = bench_of(target, directory, given)
    started = time.perf_counter()
    result = Result(check, "pass")
    missed = False
    try:
        async with asyncio.timeout(deadline_s) as limit:
            if isinstance(bench, HostBench):
                bench.limits.append(limit)
            await check.run(**await bench.provide(check.wants))
            await bench.close()
    except TimeoutError:
        if isinstance(target, Interruptible):
            target.interrupt(f"no end within {deadline_s:g} s")
        result = Result(
            check, "error", reason=f"no end within {deadline_s:g} s", found="the target hung"
        )
    except Blocked:
        reason = f"it blocked the thread for more than {deadline_s:g} s"
        result = Result(check, "error", reason=reason, found="the target hung")
    except HarnessFault:
        raise
    except asyncio.CancelledError:
        if _is_told_to_stop():
            raise
        reason = "the target let a cancellation out that nobody asked for"
        result = Result(check, "error", reason=reason, found="CancelledError")
    except (Exception, SystemExit) as err:
        missed = isinstance(err, TargetBroke) and err.missed
        result = judged(check, err)
    finally:
        if isinstance(bench, HostBench):
            bench.limits.clear()
        try:
            async with asyncio.timeout(deadline_s):
                await (bench.remove() if isinstance(bench, Bench) else bench.close())
        except (Exception, SystemExit, asyncio.CancelledError, Blocked) as err:
            if _is_told_to_stop():
                raise
            if result.verdict == "pass":
                result = Result(check, "error", reason=f"close: {type(err).__name__}: {err}")
        shutil.rmtree(directory, ignore_errors=True)
    result.total_s = time.perf_counter() - started
    result.target_s = bench.trace.target_seconds
    result.crash_map = bench.crash_map if isinstance(bench, Bench) else []
    if result.verdict != "pass":
        settle(bench.trace)
        result.steps = bench.trace.data()
        result.lines = [step.line() for step in bench.trace.steps]
    result.make_visible()
    return result, missed


def _is_told_to_stop() -> bool:
    """Whether somebody cancels the judge itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def bench_of(target: StoreTarget | HostTarget, directory: Path, given: str = "") -> Bench | HostBench:
    """The bench at which the target is judged."""
    if isinstance(target, StoreTarget):
        return Bench(target, directory, given=given)
    return HostBench(target, directory, load(target.store))


def judged(check: Check, err: BaseException) -> Result:
    """The result that an exception out of a check stands for."""
    where = ""
    for entry in traceback.extract_tb(err.__traceback__):
        if entry.name == check.name:
            where = f"{check.module}:{entry.lineno}: {entry.line}"
    match err:
        case Inapplicable():
            return Result(check, "not-applicable", reason=str(err))
        case Unexpected():
            return Result(
                check, "fail", reason=str(err), expected=err.expected, found=err.found, where=where
            )
        case AssertionError():
            text = ADDRESS.sub("", str(err)) or "the assertion does not hold"
            expected, found = _sides(text, where)
            return Result(
                check, "fail", reason=text.partition("\n")[0], expected=expected, found=found, where=where
            )
        case LashError():
            found = f"{err.code}: {err}"
            return Result(
                check, "fail", reason=found, expected="the call to succeed", found=found, where=where
            )
        case TargetBroke():
            log = f"; its standard error ends with: {err.log[-1000:].strip()}" if err.log.strip() else ""
            return Result(check, "error", reason=str(err), found=f"{err}{log}", where=where)
        case OutcomeUnknown():
            return Result(check, "unknown", reason=f"the target does not know: {err}", where=where)
        case Uncarriable():
            return Result(check, "not-applicable", reason=f"JSON cannot carry {err}")
        case KeyError() | IndexError() | TypeError() | ValueError() | AttributeError() if misshapen(check, err):
            found = f"{type(err).__name__}: {err}"
            reason = f"an answer is not of the Protocol's shape: {found}"
            return Result(check, "fail", reason=reason, expected="an answer as the Protocol has it", found=found, where=where)
        case _:
            detail = ADDRESS.sub("", f"{type(err).__name__}: {err}")
            return Result(check, "error", reason=detail, found=detail, where=where)


def misshapen(check: Check, err: BaseException) -> bool:
    """Whether a host check stumbled over what a host answered, rather than the host over its work."""
    if check.profile != "host":
        return False
    last = Path(traceback.extract_tb(err.__traceback__)[-1].filename)
    return last.name == "host_words.py" or last.parent.name == "host"


def _sides(text: str, where: str) -> tuple[str, str]:
    lines = [line.strip() for line in text.splitlines()]
    expected = [line[9:] for line in lines if line.startswith("expected ")]
    found = [line[6:] for line in lines if line.startswith("found ")]
    if expected and found:
        return expected[0], found[0]
    return where.rpartition(": ")[2] or "the assertion holds", text
