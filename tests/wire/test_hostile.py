"""Targets that hang, die, flood and lie: each gets its verdict, names its request, and leaves no process behind."""

import asyncio
import shlex
import sys
import time
from pathlib import Path

import pytest

from lash_conformance.check import Check
from lash_conformance.command import PATIENCE
from lash_conformance.execute import Result, execute
from lash_conformance.target import Bounds, TargetFault
from lash_conformance.targets.stdio import StdioTarget
from lash_ref.contracts import RuntimePersistence

SCRIPT = Path(__file__).with_name("hostile_target.py")
BOUNDS = Bounds(start_s=60, call_s=1, stop_s=1, pings=300)
"""A call may take a second, or what three hundred pings take on a slow machine."""


async def node(store: RuntimePersistence) -> None:
    """No node is there."""
    assert await store.load_node("n1") is None


async def nothing(store: RuntimePersistence) -> None:
    """A session can be created."""
    assert store is not None


def check(run) -> Check:
    return Check(
        clauses=("STO.1",), name=run.__name__, claim=run.__doc__, run=run, needs=frozenset(), without=frozenset(),
        damage=frozenset(), kind="example", profile="store", confirmed="", module=__name__, line=1,
    )  # fmt: skip


def command(mode: str) -> str:
    return f"{shlex.quote(sys.executable)} -S -E {shlex.quote(str(SCRIPT))} {mode}"


def judged(target: StdioTarget, run=node) -> Result:
    return asyncio.run(execute(check(run), target, 30))


BROKEN = {
    "hangs_in_a_call": "no answer within",
    "stops": "no answer within",
    "segfaults": "it died of SIGSEGV",
    "exits_in_a_call": "it ended with exit code 0",
    "half_a_line_then_hangs": "no answer within",
    "half_a_line_then_exits": "closed its output within a line",
    "seventeen_mebibytes": "a line of more than 16777216 bytes",
    "line_without_end": "a line of more than 16777216 bytes",
    "wrong_id": "which is not open",
    "old_id": "answered request 1, which is not open again: initialize",
    "text_id": "id",
    "null_id": "which is not open: what?",
    "wrong_type": "with another type",
    "wrong_record": "with another type",
    "noise": "not JSON",
    "blank_line": "not JSON",
    "no_utf8": "not JSON",
    "nan": "not JSON",
    "deep": "not JSON",
    "both": "either a result or an error",
    "neither": "either a result or an error",
    "a_list": "not an object",
    "unknown_error": "'Tired', which the contract does not know",
    "error_without_fields": "without its field record_kind",
    "says_it_is_broken": "index out of range (code -32603)",
    "blames_the_judge": "refuses a request that follows the schema",
    "floods_both": "which is not open",
    "closes_output": "it closed its output",
    "grandchild_keeps_the_pipe": "it ended with exit code 1",
    "grandchild_leaves_the_group": "no answer within",
}


@pytest.mark.parametrize("mode", BROKEN)
def test_a_broken_call_is_an_error_that_names_its_request(mode: str, tag: str):
    """And the next check, on a fresh process, goes on as if nothing had been."""
    target = StdioTarget(command(mode), BOUNDS)
    try:
        result = judged(target)
        after = judged(target, nothing)
    finally:
        target.stop()

    assert (result.verdict, BROKEN[mode] in result.reason) == ("error", True), result
    if mode not in {"says_it_is_broken", "blames_the_judge"}:
        assert "store.load_node" in result.reason
    assert (after.verdict, after.reason) == ("pass", "")


def test_the_last_of_standard_error_is_kept(tag: str):
    """In what was found, for the one who has to mend it."""
    target = StdioTarget(command("segfaults"), BOUNDS)
    result = judged(target)
    target.stop()

    assert "about to fault" in result.found
    assert [step["method"] for step in result.steps] == ["create_store", "load_node"]


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("hangs_at_start", "no answer within 1.5 s"),
        ("does_not_read", "no answer within 1.5 s"),
        ("exits_at_once", "it ended with exit code 0"),
        ("fails_at_start", "no configuration"),
        ("noise_at_start", "not JSON"),
        ("other_protocol", "chose protocol 99"),
        ("does_not_echo", "did not echo"),
    ],
)
def test_a_broken_start_is_a_handshake_fault(mode: str, reason: str, tag: str):
    """Exit 2 of the command line: nothing was judged."""
    start = 1.5 if "within" in reason else 60
    with pytest.raises(TargetFault, match="failed at the handshake") as told:
        StdioTarget(command(mode), Bounds(start_s=start, call_s=1, stop_s=1, pings=300))

    assert reason in str(told.value)


def test_a_command_that_does_not_exist_is_a_fault(tag: str):
    """As is one that cannot be read."""
    with pytest.raises(TargetFault, match="could not be started"):
        StdioTarget("/no/such/adapter", BOUNDS)
    with pytest.raises(TargetFault, match="could not be started"):
        StdioTarget("'half a quote", BOUNDS)


@pytest.mark.parametrize("mode", ["slow_start", "floods_errors", "hangs_at_exit", "fails_at_exit", "leaves_a_daemon"])
def test_what_is_no_fault_of_a_check_leaves_it_alone(mode: str, tag: str):
    """A slow start, a flood of log, and a bad end, which WIR.22 and WIR.24 judge."""
    target = StdioTarget(command(mode), BOUNDS)
    result = judged(target)
    target.stop()

    assert (result.verdict, result.reason) == ("pass", "")


@pytest.mark.parametrize("mode", ["answers_twice", "noise_between_requests"])
def test_what_comes_unasked_breaks_the_next_check_at_the_latest(mode: str, tag: str):
    """It is blamed on what was answered last."""
    target = StdioTarget(command(mode), BOUNDS)
    results = [judged(target) for _ in range(3)]
    target.stop()

    errors = [result for result in results if result.verdict == "error"]
    assert errors
    assert all("not open" in error.reason or "not JSON" in error.reason for error in errors)


def test_an_outcome_that_nobody_knows_is_unknown(tag: str):
    """Neither a pass nor a failure."""
    target = StdioTarget(command("does_not_know"), BOUNDS)
    result = judged(target)
    target.stop()

    assert (result.verdict, result.reason) == ("unknown", "the target does not know: the server went away")


def test_a_target_that_always_breaks_is_given_up(tag: str):
    """The rest of the run is short: nothing is started any more."""
    target = StdioTarget(command("segfaults"), BOUNDS)
    results = [judged(target) for _ in range(PATIENCE + 3)]
    started = time.monotonic()
    last = judged(target)
    target.stop()

    assert {result.verdict for result in [*results, last]} == {"error"}
    assert "not asked again" in last.reason
    assert time.monotonic() - started < 30
