"""Checks of durable waits ([WAI.1] to [WAI.12])."""

from typing import Any

from lash_conformance.check import host_check
from lash_conformance.host import HostCore, HostSession
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import answer, asked, calls, exchange, opened, say, script
from lash_ref.errors import LashError


async def _key(core: HostCore, name: str = "w1", session_id: str = "s1") -> Any:
    """The key of a wait that the host itself names."""
    return await core.call("wait_key", {"session_id": session_id, "wait_id": name})


@host_check("WAI.1")
async def an_early_answer_waits_for_its_question(core: HostCore, session: HostSession) -> None:
    """Resolved before anybody awaited, the wait answers at once."""
    key = await _key(core)

    assert await core.call("resolve", {"key": key, "resolution": {"ok": 7}}) == "resolved"

    assert await core.call("await", {"key": key}) == {"ok": 7}


@host_check("WAI.2")
async def the_first_resolution_stands(core: HostCore, session: HostSession) -> None:
    """The second is told so, and the waiter gets the first."""
    key = await _key(core)
    await core.call("resolve", {"key": key, "resolution": {"ok": 1}})

    again = await core.call("resolve", {"key": key, "resolution": {"ok": 2}})

    assert again == "already_resolved"
    assert await core.call("await", {"key": key}) == {"ok": 1}


@host_check("WAI.3")
async def a_wait_ends_at_its_deadline(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """With timeout, for good: a later resolution is too late."""
    key = await _key(core)

    waiting = bench.start(core.call("await", {"key": key, "deadline_ms": 20}))
    await bench.breathe()
    await bench.pass_time(21)

    assert await waiting == "timeout"
    assert await core.call("resolve", {"key": key, "resolution": {"ok": 1}}) == "already_resolved"


@host_check("WAI.3", needs=("clock",))
async def a_wait_does_not_end_before_its_deadline(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """A millisecond before it the wait is open, and can still be answered."""
    key = await _key(core)
    waiting = bench.start(core.call("await", {"key": key, "deadline_ms": 5_000}))
    await bench.breathe()
    await bench.pass_time(4_999)
    await bench.breathe()
    assert not waiting.done()

    await core.call("resolve", {"key": key, "resolution": {"ok": 1}})

    assert await waiting == {"ok": 1}


@host_check("WAI.4")
async def a_cancelled_turn_ends_its_pending_wait(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """The key of a pending tool whose turn was cancelled is resolved, and a late answer is too late."""
    await script(core, calls(("pending", {"name": "order"})))
    running = bench.start(say(session, "hi", cancel="stop"))
    key = await bench.pending_key(core, "order")
    await session.fire("stop")

    assert answer(await running) == "stopped cancelled"
    assert await core.call("resolve", {"key": key, "resolution": {"ok": 1}}) == "already_resolved"
    assert await core.call("await", {"key": key}) == "cancelled"


@host_check("WAI.5")
async def revoking_ends_every_pending_wait(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Two waiters get cancelled, and one of another session goes on waiting."""
    waiting = [bench.start(core.call("await", {"key": await _key(core, name)})) for name in ("w1", "w2")]
    other = await _key(core, "w1", "s2")
    waiting.append(bench.start(core.call("await", {"key": other})))
    await bench.breathe()

    await session.call("revoke_durable_waits", {})

    assert [await one for one in waiting[:2]] == ["cancelled", "cancelled"]
    assert await core.call("resolve", {"key": other, "resolution": {"ok": 1}}) == "resolved"
    assert await waiting[2] == {"ok": 1}


@host_check("WAI.5")
async def revoking_frees_a_turn_that_waits(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """The pending tool ends as cancelled and the model is told."""
    await script(core, calls(("pending", {"name": "order"})), "never mind")
    running = bench.start(say(session, "hi"))
    await bench.pending_key(core, "order")

    await session.call("revoke_durable_waits", {})

    assert answer(await running) == "says never mind"
    assert len(asked((await core.requests())[-1])) == 3


@host_check("WAI.6")
async def a_swept_session_waits_again(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """A wait made afterwards is resolved as usual."""
    waiting = bench.start(core.call("await", {"key": await _key(core, "w1")}))
    await bench.breathe()
    await session.call("revoke_durable_waits", {})
    await waiting

    key = await _key(core, "w2")

    assert await core.call("resolve", {"key": key, "resolution": {"ok": 2}}) == "resolved"
    assert await core.call("await", {"key": key}) == {"ok": 2}
    assert answer(await exchange(core, session, "hi", "hello")) == "says hello"


@host_check("WAI.7")
async def a_late_answer_meets_the_cancel(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """It is told already_resolved, and whoever awaits again gets cancelled."""
    key = await _key(core)
    waiting = bench.start(core.call("await", {"key": key}))
    await bench.breathe()
    await session.call("revoke_durable_waits", {})
    await waiting

    assert await core.call("resolve", {"key": key, "resolution": {"ok": 1}}) == "already_resolved"
    assert await core.call("await", {"key": key}) == "cancelled"


@host_check("WAI.8")
async def deletion_revokes_for_good(bench: HostBench, core: HostCore) -> None:
    """A key of the deleted session is unknown; what another session was told stands, and it can be told more."""
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    key, other, told = await _key(core), await _key(core, "w1", "s2"), await _key(core, "w2", "s2")
    await core.call("resolve", {"key": told, "resolution": {"ok": 2}})
    await session.close()

    await core.delete("s1")

    assert await core.call("resolve", {"key": key, "resolution": {"ok": 1}}) == "unknown_or_revoked"
    asked_late = {"session_id": "s1", "turn_id": "t1", "request_id": "r1"}
    assert (await core.call("request_cancel", asked_late))["outcome"] == "unknown_or_revoked"
    assert await core.call("resolve", {"key": other, "resolution": {"ok": 1}}) == "resolved"
    assert await core.call("resolve", {"key": told, "resolution": {"ok": 3}}) == "already_resolved"
    assert await core.call("await", {"key": told}) == {"ok": 2}


@host_check("WAI.9")
async def a_tampered_key_is_unknown(core: HostCore, session: HostSession) -> None:
    """Any changed field; the wait stays open for its own key."""
    key = await _key(core)

    for field, value in (("wait_id", "w2"), ("session_id", "s2"), ("seal", "0" * 64)):
        forged = key | {field: value}
        assert await core.call("resolve", {"key": forged, "resolution": {"ok": 1}}) == "unknown_or_revoked"
    assert await core.call("resolve", {"key": key, "resolution": {"ok": 1}}) == "resolved"


@host_check("WAI.9")
async def a_seal_fits_one_key(core: HostCore, session: HostSession) -> None:
    """What is moved from the wait's id to the end of the session's breaks the seal, whatever was sealed between them."""
    kind = (await _key(core)).get("kind", "")
    for mark in (":", "/", "|", "", " ", "\n"):
        for between in (mark, f"{mark}{kind}{mark}"):
            key = await _key(core, f"w{between}1", "s")
            forged = key | {"session_id": f"s{between}w", "wait_id": "1"}
            assert await core.call("resolve", {"key": forged, "resolution": {"ok": 1}}) == "unknown_or_revoked"


@host_check("WAI.10")
async def a_key_is_a_name(core: HostCore, session: HostSession) -> None:
    """Asked for twice it is the same; another wait's is another."""
    assert await _key(core) == await _key(core)
    assert await _key(core) != await _key(core, "w2")


@host_check("WAI.11")
async def every_waiter_is_answered(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Three who wait on one key get the one answer."""
    key = await _key(core)
    waiting = [bench.start(core.call("await", {"key": key})) for _ in range(3)]
    await bench.breathe()

    await core.call("resolve", {"key": key, "resolution": {"ok": 7}})

    async with bench.promptly():
        assert [await one for one in waiting] == [{"ok": 7}] * 3


@host_check("WAI.12")
async def a_deletion_ends_its_waiters(bench: HostBench, core: HostCore) -> None:
    """One who waited before and one who comes after are refused, or told that there is nothing to wait for."""
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    key = await _key(core)
    waiting = bench.start(core.call("await", {"key": key}))
    await bench.breathe()
    await session.close()

    await core.delete("s1")

    for attempt in (waiting, core.call("await", {"key": key})):
        async with bench.promptly():
            try:
                told = await attempt
            except LashError:
                continue
        assert told in ("unknown_or_revoked", "cancelled")
