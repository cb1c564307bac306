"""A host behind the wire is judged as in process, and what kills it there is a signal."""

import asyncio
import shlex
import sys
from collections.abc import Iterator

import pytest

from lash_conformance.check import Check, all_checks
from lash_conformance.execute import execute
from lash_conformance.host import IN_PROCESS, load
from lash_conformance.host_server import NOT_SERVED
from lash_conformance.target import Bounds, TargetFault
from lash_conformance.targets.stdio_host import StdioHost

BOUNDS = Bounds(start_s=240, call_s=60, stop_s=60)
CHOSEN = (
    "a_turn_is_one_commit", "plugins_hear_before_and_after_the_commit", "a_live_clone_keeps_a_session_from_parking",
    "parking_commits_a_fresh_start", "a_committed_session_is_restored", "a_lost_lease_ends_the_turn_without_a_commit",
    "a_wait_ends_at_its_deadline", "stopping_reaches_executing_and_waiting_turns", "a_probe_holds_the_turn",
    "attachments_are_adopted_by_their_turn", "missed_active_input_waits_for_the_next_turn",
    "a_cursor_behind_what_is_kept_is_a_gap", "a_recorded_attempt_is_not_made_again", "a_replayed_turn_runs_no_tool_again",
    "a_model_has_limits", "a_mode_must_be_installed", "openai_chat_stream_text_usage_tail",
)  # fmt: skip


def command(target: str = "reference") -> str:
    return f"{shlex.quote(sys.executable)} -m lash_conformance serve --profile host --target {target}"


@pytest.fixture(scope="module")
def host() -> Iterator[StdioHost]:
    made = StdioHost(command(), BOUNDS)
    yield made
    made.stop()


def named(*names: str) -> list[Check]:
    return [check for check in all_checks("host") if check.name in names]


def test_the_reference_is_judged_as_in_process(host: StdioHost):
    """A turn, a park, a lost lease, a wait, a cancel, a probe, recorded effects, an observer, a helper: all pass."""
    inside = load("reference:sqlite")
    chosen = named(*CHOSEN)
    assert {check.name for check in chosen} == set(CHOSEN)
    for check in chosen:
        here = asyncio.run(execute(check, inside, 120))
        there = asyncio.run(execute(check, host, 120))
        assert (check.name, there.verdict, there.reason) == (check.name, here.verdict, "")


def test_what_the_wire_carries(host: StdioHost):
    """All that a host can have in process; and a process."""
    assert host.capabilities == (IN_PROCESS - NOT_SERVED) | {"process"}
    assert (host.name, host.store) == ("reference", "sqlite")


def test_a_broken_host_is_found_over_the_wire_too():
    """One that is killed in process, in a process of its own."""
    host = StdioHost(command("python:lash_conformance.mutants.host_session_park:ParksWithoutAFlush"), BOUNDS)
    results = [asyncio.run(execute(one, host, 120)) for one in named("parking_commits_a_fresh_start")]
    host.stop()

    assert [result.verdict for result in results] == ["fail"], results


def test_a_store_that_nobody_else_can_open_serves_no_host():
    """Memory, for one; the serving process says so and ends."""
    with pytest.raises(TargetFault, match="needs a store that two processes share"):
        StdioHost(f"{command()} --store memory", BOUNDS)
