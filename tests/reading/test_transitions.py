"""The tables that the site draws are the tables that the reading runs: change a row, and it behaves otherwise."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from lash_conformance.bench import Bench
from lash_conformance.site.diagram import DIAGRAMS
from lash_conformance.target import load
from lash_conformance.vocabulary import batch, during, said
from lash_ref.cancel import TurnCancelRegistry
from lash_ref.inputs import INPUT_TRANSITIONS
from lash_ref.lease import LANE_TRANSITIONS
from lash_ref.runtime_errors import SessionStillInUse
from lash_ref.shared import SESSION_TRANSITIONS, Shared
from lash_ref.wait_store import WAIT_TRANSITIONS, MemoryWaits, Resolved, SqliteWaits
from lash_ref.waits import Waits
from lash_ref.work import BATCH_TRANSITIONS


def on_a_store(folder: Path, what: Callable[..., Awaitable[object]]) -> object:
    """Run something on a store and a live lane of session "s1"."""

    async def run() -> object:
        bench = Bench(load("memory"), folder)
        parts = await bench.provide(("store", "lane"))
        try:
            return await what(parts["store"], parts["lane"])
        finally:
            await bench.close()

    return asyncio.run(run())


def test_the_lane_moves_by_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A stranger's claim of a held lane is busy because the table says so."""

    async def claim(store, lane):
        other = lane.owner.but(owner_id="b")
        return type(await store.try_claim_session_execution_lease("s1", other, 1000)).__name__

    before = on_a_store(tmp_path, claim)
    monkeypatch.setitem(LANE_TRANSITIONS, ("held", "claim"), ("grant", "held"))

    assert (before, on_a_store(tmp_path, claim)) == ("Busy", "Acquired")


def test_a_batch_moves_by_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A waiting batch is cancelled because the table lists it."""

    async def cancel(store, lane):
        made = await store.enqueue_queued_work(batch())
        return await store.cancel_queued_work_batch("s1", made.batch_id) is not None

    before = on_a_store(tmp_path, cancel)
    monkeypatch.delitem(BATCH_TRANSITIONS, ("waiting", "cancel"))

    assert (before, on_a_store(tmp_path, cancel)) == (True, False)


def test_an_input_moves_by_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A claim accepts because the table says so."""

    async def accept(store, lane):
        await store.enqueue_pending_turn_input(said(ingress=during("t1")))
        claim = await store.claim_active_turn_inputs("s1", lane.fence, lane.owner, "t1", "after_work", 9)
        return claim.inputs[0].state

    before = on_a_store(tmp_path, accept)
    monkeypatch.setitem(INPUT_TRANSITIONS, ("pending_active", "claim"), "cancelled")

    assert (before, on_a_store(tmp_path, accept)) == ("accepted", "cancelled")


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_wait_moves_by_its_table(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A resolution is kept because the table lists it."""
    waits = Waits(b"k", MemoryWaits() if kind == "memory" else SqliteWaits(tmp_path / "waits.db"))
    first, second = (waits.key("s1", "external", name) for name in ("one", "two"))
    before = waits.store.settle(first, Resolved())
    monkeypatch.delitem(WAIT_TRANSITIONS, ("missing", "resolve"))
    after = waits.store.settle(second, Resolved())
    if isinstance(waits.store, SqliteWaits):
        asyncio.run(waits.store.close())

    assert (before, after) == (Resolved(), None)


def test_a_session_ends_by_its_table(monkeypatch: pytest.MonkeyPatch):
    """An open session closes because the table lists it."""

    class Runtime:
        session_id = "s1"
        writer = asyncio.Lock()

    def closes() -> str:
        shared = Shared(Runtime(), None, None, cancels=TurnCancelRegistry())
        with shared.ending("close"):
            pass
        return shared.phase

    before = closes()
    monkeypatch.delitem(SESSION_TRANSITIONS, ("open", "close"))

    assert before == "closed"
    with pytest.raises(SessionStillInUse):
        closes()


@pytest.mark.parametrize("name", DIAGRAMS)
def test_every_state_is_entered_or_left(name: str):
    """A state that no row mentions would be drawn and never be."""
    states, moves = DIAGRAMS[name]()

    assert set(states) == {move.before for move in moves} | {move.after for move in moves}
