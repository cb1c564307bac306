"""Hosts that hang, die, flood and lie behind the wire: each gets its verdict, and leaves no process behind."""

import asyncio
import shlex
import sys
from pathlib import Path

import pytest

from lash_conformance import selftest
from lash_conformance.check import Check
from lash_conformance.command import PATIENCE
from lash_conformance.execute import Result, execute
from lash_conformance.host import HostCore, HostSession
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import answer, opened, say
from lash_conformance.target import Bounds, TargetFault
from lash_conformance.targets.stdio_host import StdioHost

SCRIPT = Path(__file__).parents[1] / "wire" / "hostile_target.py"
BOUNDS = Bounds(start_s=60, call_s=1, stop_s=1, pings=300)


async def turn(core: HostCore) -> None:
    """A turn says hello."""
    assert answer(await say(await opened(core))) == "says hello"


async def nothing(session: HostSession) -> None:
    """A session can be opened."""
    assert session is not None


async def evidence(bench: HostBench, session: HostSession) -> None:
    """What a turn says it did is stored."""
    await say(session)
    assert await bench.revision() == 1


def check(run) -> Check:
    return Check(
        clauses=("TRN.1",), name=run.__name__, claim=run.__doc__, run=run, needs=frozenset(), without=frozenset(),
        damage=frozenset(), kind="example", profile="host", confirmed="", module=__name__, line=1,
    )  # fmt: skip


def host(mode: str, bounds: Bounds = BOUNDS) -> StdioHost:
    return StdioHost(f"{shlex.quote(sys.executable)} -S -E {shlex.quote(str(SCRIPT))} {mode} host", bounds)


def judged(target: StdioHost, run=turn, deadline_s: float = 30) -> Result:
    return asyncio.run(execute(check(run), target, deadline_s))


BROKEN = {
    "segfaults": "it died of SIGSEGV",
    "exits_in_a_call": "it ended with exit code 0",
    "half_a_line_then_exits": "closed its output within a line",
    "line_without_end": "a line of more than 16777216 bytes",
    "wrong_id": "which is not open",
    "noise": "not JSON",
    "no_utf8": "not JSON",
    "both": "either a result or an error",
    "says_it_is_broken": "index out of range (code -32603)",
    "closes_output": "it closed its output",
    "grandchild_keeps_the_pipe": "it ended with exit code 1",
}


@pytest.mark.parametrize("mode", BROKEN)
def test_a_broken_turn_is_an_error(mode: str, tag: str):
    """And the next check, on a fresh process, goes on as if nothing had been."""
    target = host(mode)
    try:
        result = judged(target)
        after = judged(target, nothing)
    finally:
        target.stop()

    assert (result.verdict, BROKEN[mode] in result.reason) == ("error", True), result
    assert (after.verdict, after.reason) == ("pass", "")


@pytest.mark.parametrize("mode", ["hangs_in_a_call", "stops", "half_a_line_then_hangs", "grandchild_leaves_the_group"])
def test_a_turn_that_never_ends_is_an_error(mode: str, tag: str):
    """At the check's deadline, with nobody left."""
    target = host(mode)
    result = judged(target, deadline_s=2)
    after = judged(target, nothing)
    target.stop()

    assert (result.verdict, result.reason, after.verdict) == ("error", "no end within 2 s", "pass")


@pytest.mark.parametrize(("mode", "verdict"), [("wrong_type", "fail"), ("a_list", "error"), ("floods_both", "fail")])
def test_an_answer_of_another_shape_is_no_pass(mode: str, verdict: str, tag: str):
    """A number or null for a turn fails the check, a flood behind it or not; a line that is no answer is an error."""
    target = host(mode)
    result = judged(target)
    after = judged(target, nothing)
    target.stop()

    assert (result.verdict, after.verdict in ("pass", "error")) == (verdict, True), result


def test_a_lie_is_found_in_the_store(tag: str):
    """The host says null to everything, and the judge looks past it."""
    target = host("polite")
    result = judged(target, evidence)
    target.stop()

    assert result.verdict == "fail"


@pytest.mark.parametrize(
    ("mode", "reason"),
    [("hangs_at_start", "no answer within"), ("exits_at_once", "it ended with exit code 0"), ("noise_at_start", "not JSON"), ("other_protocol", "chose protocol 99")],
)
def test_a_broken_start_is_a_handshake_fault(mode: str, reason: str, tag: str):
    """Exit 2 of the command line: nothing was judged."""
    start = 1.5 if "within" in reason else 60
    with pytest.raises(TargetFault, match="failed at the handshake") as told:
        host(mode, Bounds(start_s=start, call_s=1, stop_s=1, pings=300))

    assert reason in str(told.value)


def test_a_host_that_always_breaks_is_given_up(tag: str):
    """The rest of the run is short: nothing is started any more."""
    target = host("segfaults")
    results = [judged(target) for _ in range(PATIENCE + 3)]
    target.stop()

    assert {result.verdict for result in results} == {"error"}
    assert "not asked again" in results[-1].reason


@pytest.mark.parametrize(("name", "outside"), [("awaits", False), ("lies", False), ("cancels", False), ("cancels", True), ("garbles", True)])
def test_the_drill_of_hosts(name: str, outside: bool):
    """A core that is never built, a liar, one that leaks cancellations, and one that prints into its answers."""
    assert selftest.host_drill(name, outside=outside).startswith("ok")
