"""Durable waits and the cancel gate."""

import asyncio

import pytest

from lash_ref.cancel import (
    AlreadyRequested,
    CancelRequested,
    CancelUnknownOrRevoked,
    CompletionWonRace,
    TurnCancelGate,
    TurnCancellationEvidence,
)
from lash_ref.runtime_errors import RuntimeFailure
from lash_ref.scalars import Json
from lash_ref.wait_store import MemoryWaits, Resolved, SqliteWaits, TimedOut, WaitCancelled
from lash_ref.waits import Accepted, AlreadyResolved, UnknownOrRevoked, Waits


@pytest.fixture(params=["memory", "sqlite"])
def waits(request, tmp_path):
    if request.param == "memory":
        yield Waits(b"k", MemoryWaits())
        return
    store = SqliteWaits(tmp_path / "waits.db")
    yield Waits(b"k", store, poll_s=0.01)
    asyncio.run(store.close())


YES = Resolved(value=Json("yes"))


def test_an_early_resolution_is_kept_and_the_first_stands(waits):
    key = waits.key("s", "external", "w")
    assert key == waits.key("s", "external", "w")
    assert waits.resolve(key, YES) == Accepted()
    assert waits.resolve(key, Resolved(value=Json("no"))) == AlreadyResolved(resolution=YES)
    assert asyncio.run(waits.wait(key)) == YES


def test_a_parked_waiter_is_woken(waits):
    async def run():
        key = waits.key("s", "external", "w")
        waiter = asyncio.ensure_future(waits.wait(key))
        await asyncio.sleep(0)
        waits.resolve(key, YES)
        return await waiter

    assert asyncio.run(run()) == YES


def test_cancel_and_deadline_are_terminal(waits):
    async def run():
        fired = asyncio.Event()
        fired.set()
        one, two = waits.key("s", "external", "1"), waits.key("s", "external", "2")
        return [
            await waits.wait(one, cancelled=fired),
            await waits.wait(two, deadline_s=0),
            waits.resolve(two, YES),
        ]

    assert asyncio.run(run()) == [WaitCancelled(), TimedOut(), AlreadyResolved(resolution=TimedOut())]


def test_a_sweep_cancels_open_waits_and_spares_turn_control(waits):
    async def run():
        open_, control = waits.key("s", "external", "w"), waits.key("s", "turn_terminal", "t")
        one = asyncio.ensure_future(waits.wait(open_))
        two = asyncio.ensure_future(waits.wait(control, deadline_s=60))
        await asyncio.sleep(0)
        assert waits.sweep("s") == 1
        assert await one == WaitCancelled()
        assert waits.resolve(control, YES) == Accepted()
        assert await two == YES
        assert waits.resolve(waits.key("s", "external", "later"), YES) == Accepted()

    asyncio.run(run())


def test_a_revoked_session_answers_nothing(waits):
    async def run():
        key = waits.key("s", "external", "w")
        parked = asyncio.ensure_future(waits.wait(key))
        await asyncio.sleep(0)
        waits.revoke("s")
        assert await parked == UnknownOrRevoked()
        assert waits.resolve(key, YES) == UnknownOrRevoked()

    asyncio.run(run())


def test_a_tampered_key_is_unknown(waits):
    key = waits.key("s", "external", "w").but(wait_id="other")
    assert waits.resolve(key, YES) == UnknownOrRevoked()
    assert asyncio.run(waits.wait(key)) == UnknownOrRevoked()


def test_a_cold_process_answers_like_the_first(tmp_path):
    first = Waits(b"k", SqliteWaits(tmp_path / "w.db"))
    first.resolve(first.key("s", "external", "w"), YES)
    second = Waits(b"k", SqliteWaits(tmp_path / "w.db"))
    assert asyncio.run(second.wait(second.key("s", "external", "w"))) == YES
    for each in (first, second):
        asyncio.run(each.store.close())


def test_a_turn_ends_once(waits):
    def evidence(name):
        return TurnCancellationEvidence(request_id=name, requested_at_ms=1)

    gate = TurnCancelGate(waits, "s", "t")
    assert gate.peek() is None
    assert gate.request(evidence("a")) == CancelRequested(evidence=evidence("a"))
    assert gate.request(evidence("b")) == AlreadyRequested(evidence=evidence("a"))
    assert gate.settle(None) == evidence("a")
    other = TurnCancelGate(waits, "s", "u")
    assert other.settle(None) is None
    assert other.request(evidence("c")) == CompletionWonRace()
    with pytest.raises(RuntimeFailure):
        other.request(evidence(" "))
    waits.revoke("s")
    assert gate.request(evidence("d")) == CancelUnknownOrRevoked()


def test_a_host_in_memory_remembers_the_last_turns_only():
    async def run():
        waits = Waits(b"k", MemoryWaits(turns=2))
        gates = {turn: TurnCancelGate(waits, "s", turn) for turn in ("t1", "t2", "t3", "asked")}
        gates["asked"].request(TurnCancellationEvidence(request_id="a", requested_at_ms=1))
        open_ = asyncio.ensure_future(waits.wait(waits.key("s", "external", "w")))
        waits.resolve(waits.key("s", "external", "early"), YES)
        await asyncio.sleep(0)
        for turn in ("t1", "t2", "t3"):
            gates[turn].settle(None)
            waits.resolve(waits.key("s", "turn_terminal", turn), YES)

        def late(turn):
            return gates[turn].request(TurnCancellationEvidence(request_id="late", requested_at_ms=2)).outcome

        told = {turn: waits.store.look(waits.key("s", "turn_terminal", turn)) for turn in ("t1", "t2", "t3")}
        assert told == {"t1": None, "t2": YES, "t3": YES}
        assert [late(turn) for turn in ("t2", "t3")] == ["completion_won_race", "completion_won_race"]
        assert late("asked") == "already_requested"
        assert waits.resolve(waits.key("s", "external", "w"), YES) == Accepted()
        assert await open_ == YES
        assert waits.resolve(waits.key("s", "external", "early"), YES) == AlreadyResolved(resolution=YES)

    asyncio.run(run())
