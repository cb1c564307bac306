"""Checkpoint, usage and meta (STO.50 to STO.73)."""

import asyncio

from lash_conformance.bench import Bench, Lane, request
from lash_conformance.check import check
from lash_conformance.vocabulary import (
    WHEN,
    batch,
    chain,
    checkpoint,
    commit,
    everything,
    loaded,
    plugin_snapshot,
    refused,
    spent,
    tool_state,
    turn,
)
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import HeadRevisionConflict, InvalidRecord, UnreadableRecord
from lash_ref.nodes import FullGraph, ReplaceFull
from lash_ref.records import ChildSession, HydratedSessionCheckpoint, PersistedTurnState, SessionMeta
from lash_ref.scalars import Json
from lash_ref.usage import PromptUsage, TokenUsage
from lash_ref.work import ProtocolTurnOptions


async def _hydrated(store: RuntimePersistence) -> HydratedSessionCheckpoint:
    found = (await loaded(store)).checkpoint
    assert found is not None, "a commit always carries a checkpoint"
    return found


@check("STO.50")
async def inline_parts_come_back_hydrated(store: RuntimePersistence, lane: Lane) -> None:
    """Tool state, plugin snapshot and execution bytes of every value, each as committed."""
    parts = checkpoint(
        1, tool_state=tool_state(3), plugin_snapshot=plugin_snapshot(2, {"n": 1}), execution_state=bytes(range(256))
    )

    await store.commit_runtime_state(commit(lane, checkpoint=parts))

    read = await _hydrated(store)
    assert (read.tool_state, read.plugin_snapshot, read.execution_state) == (
        tool_state(3),
        plugin_snapshot(2, {"n": 1}),
        bytes(range(256)),
    )


@check("STO.50")
async def equal_parts_of_two_slots_are_both_kept(store: RuntimePersistence, lane: Lane) -> None:
    """Content addressing must not confuse slots."""
    same = tool_state(1)
    parts = checkpoint(1, tool_state=same, execution_state=same.text.encode())

    await store.commit_runtime_state(commit(lane, checkpoint=parts))

    read = await _hydrated(store)
    assert (read.tool_state, read.plugin_snapshot, read.execution_state) == (same, None, same.text.encode())


@check("STO.58")
async def a_loaded_checkpoint_names_the_refs_of_its_manifest(store: RuntimePersistence, lane: Lane) -> None:
    """Of filled slots and of empty ones."""
    parts = checkpoint(1, tool_state=tool_state(3), execution_state=b"state")

    manifest = (await store.commit_runtime_state(commit(lane, checkpoint=parts))).manifest

    read = await _hydrated(store)
    assert read.tool_state_ref == manifest.tool_state_ref
    assert read.execution_state_ref == manifest.execution_state_ref
    assert read.plugin_snapshot_ref is None


@check("STO.51")
async def the_plugin_revision_comes_back(store: RuntimePersistence, lane: Lane) -> None:
    """A revision without a snapshot too; 0 is one, none is none, and all 64 bits are kept."""
    for revision in (2**60, 2**64 - 1, 0, None):
        parts = checkpoint(1, plugin_snapshot_revision=revision)
        result = await store.commit_runtime_state(commit(lane, checkpoint=parts))

        assert result.manifest.plugin_snapshot_revision == revision
        assert (await _hydrated(store)).plugin_snapshot_revision == revision


@check("STO.52")
async def the_turn_state_comes_back_whole(store: RuntimePersistence, lane: Lane) -> None:
    """Index, usage, last prompt and protocol options."""
    prompt = PromptUsage(
        prompt_context_tokens=1, input_tokens=2, cache_read_input_tokens=3, cache_write_input_tokens=4,
        context_budget_tokens=5,
    )  # fmt: skip
    state = PersistedTurnState(
        turn_index=7,
        token_usage=TokenUsage(input_tokens=1, output_tokens=2, reasoning_output_tokens=3),
        last_prompt_usage=prompt,
        protocol_turn_options=ProtocolTurnOptions(payload=Json({"mode": "x", "n": [1]})),
    )

    await store.commit_runtime_state(commit(lane, checkpoint=HydratedSessionCheckpoint(turn_state=state)))

    assert (await _hydrated(store)).turn_state == state


@check("STO.53")
async def an_inline_part_wins_over_a_ref(store: RuntimePersistence, lane: Lane) -> None:
    """The slot holds the newer state."""
    first = await store.commit_runtime_state(commit(lane, checkpoint=checkpoint(1, tool_state=tool_state(1))))
    old = first.manifest.tool_state_ref

    both = checkpoint(2, tool_state=tool_state(2), tool_state_ref=old)
    await store.commit_runtime_state(commit(lane, checkpoint=both))

    assert (await _hydrated(store)).tool_state == tool_state(2)


@check("STO.54")
async def a_ref_the_store_answered_resolves_when_sent_alone(store: RuntimePersistence, lane: Lane) -> None:
    """Unchanged parts are committed without their bytes."""
    parts = checkpoint(1, tool_state=tool_state(1), plugin_snapshot=plugin_snapshot(), execution_state=b"xy")
    manifest = (await store.commit_runtime_state(commit(lane, checkpoint=parts))).manifest
    assert None not in (manifest.tool_state_ref, manifest.plugin_snapshot_ref, manifest.execution_state_ref)

    refs = checkpoint(
        2, tool_state_ref=manifest.tool_state_ref, plugin_snapshot_ref=manifest.plugin_snapshot_ref,
        execution_state_ref=manifest.execution_state_ref,
    )  # fmt: skip
    await store.commit_runtime_state(commit(lane, checkpoint=refs))

    read = await _hydrated(store)
    assert (read.tool_state, read.plugin_snapshot, read.execution_state) == (
        tool_state(1),
        plugin_snapshot(),
        b"xy",
    )
    assert read.turn_state.turn_index == 2


@check("STO.55")
async def a_slot_given_nothing_is_empty(store: RuntimePersistence, lane: Lane) -> None:
    """The second commit drops what the first one kept."""
    parts = checkpoint(1, tool_state=tool_state(1), plugin_snapshot=plugin_snapshot(), execution_state=b"x")
    await store.commit_runtime_state(commit(lane, checkpoint=parts))

    await store.commit_runtime_state(commit(lane, checkpoint=checkpoint(2)))

    assert await _hydrated(store) == checkpoint(2)


@check("STO.56")
async def empty_execution_bytes_are_not_absent(store: RuntimePersistence, lane: Lane) -> None:
    """Zero bytes are a state."""
    await store.commit_runtime_state(commit(lane, checkpoint=checkpoint(1, execution_state=b"")))

    assert (await _hydrated(store)).execution_state == b""


@check("STO.57")
async def a_ref_the_store_does_not_hold_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """It would be missed at the next resume, too late."""
    await store.commit_runtime_state(turn("t1", fence=lane))
    before = await everything(store)

    bad = commit(lane, checkpoint=checkpoint(1, execution_state_ref="f" * 64))
    await refused(UnreadableRecord, store.commit_runtime_state(bad), record_kind="blob", record_id="f" * 64)

    assert await everything(store) == before


# -- usage


@check("STO.60")
async def usage_appears_with_its_commit(store: RuntimePersistence, lane: Lane) -> None:
    """All five counters."""
    tokens = {
        "input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 3, "cache_write_input_tokens": 4,
        "reasoning_output_tokens": 5,
    }  # fmt: skip

    await store.commit_runtime_state(commit(lane, usage_deltas=(spent("turn", "m", **tokens),)))

    assert (await loaded(store)).token_ledger == (spent("turn", "m", **tokens),)


@check("STO.61")
async def the_ledger_merges_by_source_and_model(store: RuntimePersistence, lane: Lane) -> None:
    """Two commits, three pairs, in the order they were first seen."""
    first = (spent("b", "m", input_tokens=1), spent("a", "m", output_tokens=2), spent("b", "m", input_tokens=4))
    second = (spent("b", "n", input_tokens=1), spent("a", "m", output_tokens=3, reasoning_output_tokens=1))
    await store.commit_runtime_state(commit(lane, usage_deltas=first))

    await store.commit_runtime_state(commit(lane, usage_deltas=second))

    assert (await loaded(store)).token_ledger == (
        spent("b", "m", input_tokens=5),
        spent("a", "m", output_tokens=5, reasoning_output_tokens=1),
        spent("b", "n", input_tokens=1),
    )


@check("STO.62")
async def a_delta_that_costs_nothing_is_dropped(store: RuntimePersistence, lane: Lane) -> None:
    """Reasoning tokens alone are not a cost, and all zeros are none; what was only cached is, and a refund is."""
    kept = (
        spent("z", input_tokens=1),
        spent("read", cache_read_input_tokens=2),
        spent("written", cache_write_input_tokens=3),
        spent("refund", input_tokens=-4, output_tokens=1),
    )
    deltas = (
        spent("x", reasoning_output_tokens=9),
        spent("y"),
        *kept,
        spent("z", reasoning_output_tokens=9),
        spent("even", input_tokens=5, output_tokens=-5),
    )

    await store.commit_runtime_state(commit(lane, usage_deltas=deltas))

    assert (await loaded(store)).token_ledger == kept


@check("STO.63")
async def the_ledger_survives_a_full_replacement(store: RuntimePersistence, lane: Lane) -> None:
    """History is rewritten, the bill is not."""
    await store.commit_runtime_state(turn("t1", fence=lane, usage_deltas=(spent(input_tokens=1),)))

    replace = ReplaceFull(nodes=chain("new"), leaf_node_id="new")
    await store.commit_runtime_state(commit(lane, replace, usage_deltas=(spent(input_tokens=2),)))

    assert (await loaded(store)).token_ledger == (spent(input_tokens=3),)


@check("STO.64")
async def repeats_and_refusals_add_no_usage(store: RuntimePersistence, lane: Lane) -> None:
    """One turn, committed, repeated, and refused once: paid for once."""
    paid = turn("t1", fence=lane, usage_deltas=(spent(input_tokens=1),))
    await store.commit_runtime_state(paid)

    await store.commit_runtime_state(paid)
    late = turn("t2", fence=lane, expects=0, usage_deltas=(spent(input_tokens=9),))
    await refused(HeadRevisionConflict, store.commit_runtime_state(late))

    assert (await loaded(store)).token_ledger == (spent(input_tokens=1),)


@check("STO.65")
async def a_sum_of_usage_beyond_63_bits_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """One token more than the largest sum there is, beside a new entry that would fit."""
    most = 2**63 - 1
    await store.commit_runtime_state(commit(lane, usage_deltas=(spent("a", output_tokens=most),)))
    before = await loaded(store)

    deltas = (spent("b", input_tokens=1), spent("a", output_tokens=1))
    await refused(InvalidRecord, store.commit_runtime_state(commit(lane, usage_deltas=deltas)))

    assert await loaded(store) == before


# -- meta


def _meta(name: str) -> SessionMeta:
    cause = {"type": "tool_call", "session_id": "p1", "call_id": "c1"}
    return SessionMeta(
        session_id="s1", session_name=name, created_at=WHEN, model="m-2", cwd="/somewhere",
        relation=ChildSession(parent_session_id="p1", caused_by=cause),  # pyright: ignore[reportArgumentType] - validated
    )  # fmt: skip


@check("STO.70")
async def meta_reads_back_and_a_later_save_wins(store: RuntimePersistence) -> None:
    """All fields, twice."""
    await store.save_session_meta(_meta("first"))
    assert await store.load_session_meta() == _meta("first")

    await store.save_session_meta(_meta("second"))
    assert await store.load_session_meta() == _meta("second")


@check("STO.70")
async def a_commit_leaves_meta_as_it_was_saved(store: RuntimePersistence, lane: Lane) -> None:
    """Its model is the head's affair."""
    await store.save_session_meta(_meta("mine"))

    await store.commit_runtime_state(turn("t1", fence=lane))

    assert await store.load_session_meta() == _meta("mine")


@check("STO.71")
async def meta_needs_no_lease_and_makes_no_head(store: RuntimePersistence) -> None:
    """Nobody holds the lane, and the session still has no state."""
    await store.save_session_meta(_meta("named"))

    assert await store.load_session(FullGraph()) is None
    assert await store.load_session_meta() == _meta("named")


@check("STO.71")
async def meta_can_be_saved_while_another_holds_the_lane(store: RuntimePersistence, lane: Lane) -> None:
    """Naming a session does not disturb its turn."""
    await store.save_session_meta(_meta("named"))

    result = await store.commit_runtime_state(turn("t1", fence=lane, expects=0))

    assert result.head_revision == 1


@check("STO.72", needs=("durable",))
async def meta_survives_reopening(bench: Bench, store: RuntimePersistence) -> None:
    """The picker shows it after a restart."""
    await store.save_session_meta(_meta("kept"))

    factory = await bench.reopen()

    assert await (await factory.create_store(request())).load_session_meta() == _meta("kept")


@check("STO.73", needs=("shared", "durable"))
async def concurrent_first_opens_all_succeed(bench: Bench) -> None:
    """Four backends open one new place at once and see one another's work."""
    factories = await asyncio.gather(*(bench.another() for _ in range(4)))
    stores = await asyncio.gather(*(factory.create_store(request()) for factory in factories))

    await asyncio.gather(*(store.enqueue_queued_work(batch()) for store in stores))

    assert len(await stores[0].list_queued_work("s1")) == 4
