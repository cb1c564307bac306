"""Whose fault it is, what a call costs, and several processes on one place."""

import asyncio
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lash_conformance import wire_cost
from lash_conformance.bench import Bench, request
from lash_conformance.connection import Connection, wrong_with
from lash_conformance.target import Bounds, load
from lash_conformance.targets.stdio import StdioTarget
from lash_conformance.wire import Uncarriable, written_line

SERVE = f"{shlex.quote(sys.executable)} -m lash_conformance serve --target"


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        ({"jsonrpc": "2.0", "id": 1, "method": "smoke", "params": {"value": None}}, ""),
        ({"jsonrpc": "2.0", "id": 1, "method": "smoke", "params": {}}, "smoke lacks value"),
        ({"jsonrpc": "2.0", "id": 1, "method": "store.load_node", "params": {"store": "s"}}, "store.load_node lacks node_id"),
        ({"jsonrpc": "2.0", "id": 1, "method": "store.teleport", "params": {}}, "no method 'store.teleport'"),
        ({"jsonrpc": "1.0", "id": 1, "method": "smoke", "params": {"value": 1}}, "jsonrpc: Input should be '2.0', found '1.0'"),
        ({"jsonrpc": "2.0", "id": 0, "method": "smoke"}, "id: Input should be greater than or equal to 1, found 0"),
    ],
)
def test_a_request_of_ours_is_judged_by_the_same_rules(message: dict[str, object], fault: str):
    """A target that calls a right request wrong is at fault; a wrong one is ours."""
    assert wrong_with(message) == fault


@pytest.mark.parametrize("value", ["a\ud800", float("nan"), float("inf"), "x" * (17 << 20), object()])
def test_what_json_cannot_carry_is_never_sent(value: object):
    """Lone surrogates, numbers that are none, lines beyond the limit, and what is no JSON."""
    with pytest.raises(Uncarriable):
        written_line({"value": value})


@pytest.mark.parametrize("asked", [b"", b'{"jsonrpc": "2.0", "id": 1, "method": "smoke", "params": {"value": 7}}\n'])
def test_what_is_served_ends_with_its_input(asked: bytes, tmp_path: Path):
    """Also when that is a file, or nothing at all."""
    (tmp_path / "asked").write_bytes(asked)
    with (tmp_path / "asked").open("rb") as given:
        done = subprocess.run(shlex.split(f"{SERVE} memory"), stdin=given if asked else subprocess.DEVNULL, capture_output=True, timeout=120, check=True)

    assert [json.loads(line)["result"] for line in done.stdout.splitlines()] == ([7] if asked else [])
    assert done.stderr == b""


def test_a_place_is_shared_and_reopened_across_processes(tmp_path: Path):
    """Three processes work on one place; a reopening goes to another process than before."""
    target = StdioTarget(f"{SERVE} sqlite", Bounds(start_s=120))

    async def work() -> list[int]:
        bench = Bench(target, tmp_path)
        await bench.provide(())
        mine = await bench.session()
        theirs = await (await bench.another()).open_existing_store(request())
        assert theirs is not None
        await mine.save_session_meta(await _meta("one"))
        seen = await theirs.load_session_meta()
        assert seen is not None
        assert seen.session_name == "one"
        pids = [place.connection.child.process.pid for place in bench._open]
        await bench.reopen()
        pids += [place.connection.child.process.pid for place in bench._open]
        found = await (await bench.session()).load_session_meta()
        assert found == seen
        await bench.close()
        return pids

    try:
        pids = asyncio.run(work())
    finally:
        target.stop()

    assert len(set(pids)) == len(pids) == 3
    assert os.getpid() not in pids


async def _meta(name: str):
    from lash_ref.records import RootSession, SessionMeta

    return SessionMeta(session_id="s1", session_name=name, created_at="t", model="m", relation=RootSession())


def test_requests_overlap_up_to_the_limit():
    """Sixty-four pings in flight are all answered with their own value."""
    connection = Connection(f"{SERVE} memory", Bounds(start_s=120, call_s=60))
    try:
        connection.handshake()
        futures = [connection.request("smoke", {"value": number}) for number in range(64)]
        assert [future.result(60) for future in futures] == list(range(64))
        assert connection.said.limits.in_flight == 64
    finally:
        assert connection.stop() == ""


def test_the_cost_of_a_call_is_measured():
    """In process, over stdio, and its parts."""
    outside = StdioTarget(f"{SERVE} memory", Bounds(start_s=120))
    costs = wire_cost.measure(load("memory"), outside, repeats=3)
    outside.stop()

    assert [cost.operation for cost in costs] == ["load_node", "enqueue_queued_work", "commit_runtime_state", "load_session"]
    assert all(cost.inside > 0 and cost.outside > 0 and cost.ping > 0 and cost.judge > 0 and cost.target >= 0 for cost in costs)
