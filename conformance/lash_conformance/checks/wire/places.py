"""Places, their clocks and their processes (WIR.30 to WIR.36)."""

from pathlib import Path
from typing import Any

from lash_conformance.check import check
from lash_conformance.exchange import NOW_MS, OWNER, REQUEST, Exchange, Line

BATCH = {
    "session_id": "s1", "delivery_policy": "earliest_safe_boundary", "slot_policy": "exclusive",
    "merge_key": "never", "available_at_ms": 0,
    "payloads": [{"type": "agent_frame_task", "frame_id": "f1", "task": "work"}],
}  # fmt: skip


async def _claimed_at(wire: Exchange, store: str, session_id: str, ttl: int = 1000) -> int:
    params: dict[str, Any] = {"session_id": session_id, "owner": OWNER, "lease_ttl_ms": ttl}
    outcome = await wire.result("store.try_claim_session_execution_lease", store=store, **params)
    return outcome["Acquired"]["claimed_at_epoch_ms"]


def _beside(line: Line, name: str) -> Path:
    made = line.directory / name
    made.mkdir()
    return made


@check("WIR.30", needs=("wire",))
async def a_place_is_made_in_an_empty_directory(line: Line) -> None:
    """A session can be created in it at once, and none is there before."""
    wire = await line.greeted()

    place = await wire.place(line.directory)

    assert await wire.result("factory.open_existing_store", place=place, request=REQUEST) is None
    assert "store" in await wire.result("factory.create_store", place=place, request=REQUEST)


@check("WIR.31", needs=("wire", "durable"))
async def another_process_finds_what_was_acknowledged(line: Line) -> None:
    """After the first process was told to shut down, and after a second one was killed."""
    first = line.fresh()
    await first.hello()
    store = await first.store(await first.place(line.directory))
    made = await first.result("store.enqueue_queued_work", store=store, batch=BATCH)
    await first.ask("shutdown")
    await first.ended()
    for _ in range(2):
        wire = line.fresh()
        await wire.hello()
        place = await wire.place(line.directory)
        found = await wire.result("factory.open_existing_store", place=place, request=REQUEST)

        assert found is not None
        listed = await wire.result("store.list_queued_work", store=found["store"], session_id="s1")
        assert listed == [made]
        wire.stop()


@check("WIR.32", needs=("wire",))
async def places_share_no_data(line: Line) -> None:
    """A session of one is none of the other."""
    wire = await line.greeted()
    one = await wire.place(_beside(line, "one"))
    other = await wire.place(_beside(line, "other"))
    await wire.store(one)

    assert one != other
    assert await wire.result("factory.open_existing_store", place=other, request=REQUEST) is None


@check("WIR.32", needs=("wire", "clock"))
async def places_share_no_clock(line: Line) -> None:
    """Time that moves at one place stands still at the other."""
    wire = await line.greeted()
    one = await wire.place(_beside(line, "one"), now_ms=NOW_MS)
    other = await wire.place(_beside(line, "other"), now_ms=NOW_MS)
    await wire.result("clock.advance", place=one, now_ms=NOW_MS + 5000)

    assert await _claimed_at(wire, await wire.store(other), "s1") == NOW_MS
    assert await _claimed_at(wire, await wire.store(one), "s1") == NOW_MS + 5000


@check("WIR.33", needs=("wire",))
async def a_closed_place_answers_no_more(line: Line) -> None:
    """Neither its handle nor those of its stores, also when another place was opened since."""
    wire = await line.greeted()
    place = await wire.place(_beside(line, "one"))
    store = await wire.store(place)
    assert await wire.result("close", place=place) is None
    await wire.store(await wire.place(_beside(line, "other")))

    assert await wire.code("factory.create_store", place=place, request=REQUEST) == -32602
    assert await wire.code("store.list_queued_work", store=store, session_id="s1") == -32602


@check("WIR.34", needs=("wire", "shared", "durable"))
async def processes_on_one_place_see_each_other(line: Line) -> None:
    """What either enqueues the other lists; with one process to a place, two openings in it do."""
    one = line.fresh()
    processes = (await one.hello()).get("limits", {}).get("processes", 1)
    other = line.fresh() if processes > 1 else one
    if other is not one:
        await other.hello()
    mine = await one.store(await one.place(line.directory))
    theirs = await other.store(await other.place(line.directory))
    made: list[Any] = []
    for wire, store in ((one, mine), (other, theirs), (one, mine)):
        made.append(await wire.result("store.enqueue_queued_work", store=store, batch=BATCH))

        assert await one.result("store.list_queued_work", store=mine, session_id="s1") == made
        assert await other.result("store.list_queued_work", store=theirs, session_id="s1") == made


@check("WIR.35", needs=("wire", "clock"))
async def time_is_what_the_judge_says(line: Line) -> None:
    """At opening, after an advance, and after a step back; a lease runs out by it and by nothing else."""
    wire = await line.greeted()
    place = await wire.place(line.directory, now_ms=5_000)
    store = await wire.store(place)
    rival: dict[str, Any] = {"store": store, "session_id": "a", "owner": OWNER | {"owner_id": "b"}, "lease_ttl_ms": 1000}

    assert await _claimed_at(wire, store, "a") == 5_000
    await wire.result("clock.advance", place=place, now_ms=5_999)
    assert "Busy" in await wire.result("store.try_claim_session_execution_lease", **rival)
    await wire.result("clock.advance", place=place, now_ms=6_001)
    assert await _claimed_at(wire, store, "b") == 6_001
    assert "Acquired" in await wire.result("store.try_claim_session_execution_lease", **rival)
    await wire.result("clock.advance", place=place, now_ms=4_000)
    assert await _claimed_at(wire, store, "c") == 4_000


@check("WIR.36", needs=("wire", "process_evidence", "manifest"))
async def processes_are_gone_when_the_judge_says_so(line: Line) -> None:
    """One named at opening, one named later, and one that lives."""
    wire = await line.greeted()
    place = await wire.place(line.directory, gone=("first",))
    store = await wire.store(place)
    for owner in ("first", "second", "third"):
        intent = {"attachment_id": owner, "session_id": "s1", "canonical_uri": "u", "intent_at_epoch_ms": 1}
        owned = {"owner_kind": "process", "owner_id": owner}
        await wire.result("store.record_intent", store=store, intent=intent | owned)

    await wire.result("store.forget_aged_uncommitted_intents", store=store, intent_grace_cutoff_epoch_ms=10)
    assert sorted(await wire.result("store.list_all_refs", store=store)) == ["second", "third"]
    assert await wire.result("process.gone", place=place, process_id="second") is None
    await wire.result("store.forget_aged_uncommitted_intents", store=store, intent_grace_cutoff_epoch_ms=10)
    assert await wire.result("store.list_all_refs", store=store) == ["third"]
