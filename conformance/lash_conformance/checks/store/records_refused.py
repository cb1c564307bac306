"""Records: integers, identifiers and numbers that are not admitted (REC.1 to REC.3)."""

from lash_conformance.bench import Bench, Lane, owner, request
from lash_conformance.check import check
from lash_conformance.vocabulary import (
    batch,
    checkpoint,
    commit,
    everything,
    loaded,
    message,
    plugin_node,
    refused,
    said,
    spent,
    turn,
    unchecked,
)
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import InvalidRecord
from lash_ref.nodes import Append, FullGraph
from lash_ref.records import AttachmentIntent
from lash_ref.scalars import Json

TOO_BIG = 2**63


@check("REC.1")
async def an_integer_beyond_63_bits_is_refused_by_a_commit(store: RuntimePersistence, lane: Lane) -> None:
    """In the revision, and in a checkpoint."""
    before = await everything(store)

    revision = unchecked(commit(lane), expected_head_revision=TOO_BIG)
    await refused(InvalidRecord, store.commit_runtime_state(revision))
    part = unchecked(checkpoint(), plugin_snapshot_revision=2**64)
    await refused(InvalidRecord, store.commit_runtime_state(unchecked(commit(lane), checkpoint=part)))

    assert await everything(store) == before


@check("REC.1")
async def an_integer_out_of_range_is_refused_by_the_queue(store: RuntimePersistence) -> None:
    """Beyond 63 bits, negative, and no integer at all."""
    draft = batch()

    await refused(InvalidRecord, store.enqueue_queued_work(unchecked(draft, available_at_ms=TOO_BIG)))
    await refused(InvalidRecord, store.enqueue_queued_work(unchecked(draft, available_at_ms=-1)))
    await refused(InvalidRecord, store.enqueue_queued_work(unchecked(draft, available_at_ms=1.5)))

    assert await store.list_queued_work("s1") == ()


@check("REC.1")
async def a_ttl_out_of_range_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """For a claim and a renewal; the lane is as it was."""
    await refused(InvalidRecord, store.try_claim_session_execution_lease("s2", owner(), TOO_BIG))
    await refused(InvalidRecord, store.try_claim_session_execution_lease("s2", owner(), -1))
    await refused(InvalidRecord, store.renew_session_execution_lease(lane.fence, TOO_BIG))

    assert (await store.renew_session_execution_lease(lane.fence, 60_000)).fencing_token == 1


@check("REC.1", needs=("clock",))
async def the_largest_ttl_does_not_overflow(bench: Bench, store: RuntimePersistence) -> None:
    """Now plus the largest integer is still live, and still an integer."""
    lane = await bench.lane(store, ttl=2**63 - 1)

    result = await store.commit_runtime_state(turn("t1", fence=lane))

    assert result.head_revision == 1
    assert lane.lease.expires_at_epoch_ms > bench.clock.now_ms()


@check("REC.1")
async def a_limit_out_of_range_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """A negative maximum asks for nothing sensible."""
    await store.enqueue_queued_work(batch())

    attempt = store.claim_ready_queued_work("s1", lane.fence, lane.owner, "idle", -1)

    await refused(InvalidRecord, attempt)


@check("REC.1", needs=("manifest",))
async def a_time_out_of_range_is_refused_by_the_manifest(store: RuntimePersistence) -> None:
    """In an intent and as a cutoff; the largest legal cutoff works."""
    intent = AttachmentIntent(attachment_id="a", session_id="s1", canonical_uri="u", intent_at_epoch_ms=2**62)
    await store.record_intent(intent)

    await refused(InvalidRecord, store.record_intent(unchecked(intent, intent_at_epoch_ms=TOO_BIG)))
    await refused(InvalidRecord, store.list_uncommitted(TOO_BIG))

    assert [entry.attachment_id for entry in await store.list_uncommitted(2**63 - 1)] == ["a"]


@check("REC.1")
async def the_largest_integers_read_back(store: RuntimePersistence, lane: Lane) -> None:
    """2^63-1 in a sequence-like field and in a counter, 2^64-1 in a fingerprint."""
    most = 2**63 - 1
    part = checkpoint(most, plugin_snapshot_revision=2**64 - 1)

    await store.commit_runtime_state(commit(lane, checkpoint=part, usage_deltas=(spent(input_tokens=most),)))

    read = await loaded(store)
    assert read.checkpoint == part
    assert read.token_ledger[0].usage.input_tokens == most


@check("REC.2")
async def an_identifier_with_nul_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """As node id, input id, source key and session id; nothing is written."""
    before = await everything(store)

    delta = unchecked(Append(nodes=()), nodes=(unchecked(message("n"), node_id="a\0b"),))
    await refused(InvalidRecord, store.commit_runtime_state(unchecked(commit(lane), graph=delta)))
    await refused(InvalidRecord, store.enqueue_pending_turn_input(unchecked(said(), input_id="a\0b")))
    await refused(InvalidRecord, store.enqueue_queued_work(unchecked(batch(), source_key="a\0b")))
    await refused(InvalidRecord, store.try_claim_session_execution_lease("a\0b", owner(), 1000))
    await refused(InvalidRecord, store.reclaim_session_execution_lease("a\0b", owner(), lane.fence, 1000))

    assert await everything(store) == before


@check("REC.2")
async def an_identifier_with_nul_is_refused_by_every_call(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """Claims, cancels, lists, reads and removals; nobody is granted, shown or told anything."""
    bad = "s1\0"
    made = await store.enqueue_queued_work(batch())

    for attempt in (
        store.claim_leading_ready_session_command(bad, lane.fence, lane.owner),
        store.claim_ready_queued_work(bad, lane.fence, lane.owner, "idle", 1),
        store.claim_ready_queued_work_by_batch_ids(bad, lane.fence, lane.owner, "idle", (made.batch_id,)),
        store.claim_next_turn_inputs(bad, lane.fence, lane.owner, 1),
        store.claim_checkpoint_work(bad, lane.fence, lane.owner, "t1", "after_work", 1, 1),
        store.cancel_queued_work_batch(bad, made.batch_id),
        store.cancel_queued_work_batch("s1", f"{made.batch_id}\0"),
        store.list_queued_work(bad),
        store.list_pending_queued_work(bad),
        store.list_pending_turn_inputs(bad),
        store.load_node(bad),
        store.tombstone_nodes((bad,)),
        bench.factory.delete_session(bad),
        bench.factory.open_existing_store(unchecked(request(), session_id=bad)),
    ):
        await refused(InvalidRecord, attempt)

    assert await store.list_pending_queued_work("s1") == (made,)


@check("REC.2", needs=("manifest",))
async def an_identifier_with_nul_is_refused_by_the_manifest(store: RuntimePersistence) -> None:
    """Of a session or of bytes; what was recorded stays."""
    await store.record_intent(AttachmentIntent(attachment_id="a", session_id="s1", canonical_uri="u", intent_at_epoch_ms=1))

    for attempt in (
        store.commit_refs("s1\0", ("a",)),
        store.commit_refs("s1", ("a\0",)),
        store.holds_ref("s1\0", "a"),
        store.holds_ref("s1", "a\0"),
        store.has_live_ref_for_id("a\0", 2),
        store.forget("s1\0", "a"),
        store.forget("s1", "a\0"),
    ):
        await refused(InvalidRecord, attempt)

    assert await store.holds_ref("s1", "a")


@check("REC.2")
async def an_identifier_with_a_lone_surrogate_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """Half a character cannot be stored."""
    bad = "a\ud800"

    await refused(InvalidRecord, store.enqueue_pending_turn_input(unchecked(said(), source_key=bad)))
    await refused(InvalidRecord, store.list_queued_work(bad))
    await refused(InvalidRecord, store.load_node(bad))

    assert await store.list_pending_turn_inputs("s1") == ()


@check("REC.2")
async def a_session_id_with_nul_cannot_be_created(bench: Bench, store: RuntimePersistence) -> None:
    """The prefix before the NUL is another session, and stays without."""
    bad = unchecked(request("s1"), session_id="s2\0x")

    await refused(InvalidRecord, bench.factory.create_store(bad))

    assert await bench.factory.open_existing_store(request("s2")) is None


@check("REC.3")
async def nan_and_infinities_are_refused(store: RuntimePersistence, lane: Lane) -> None:
    """In a plugin's body, built around the guard that records have."""
    for_json = object.__new__(Json)
    object.__setattr__(for_json, "text", "NaN")
    bad = unchecked(plugin_node("p", 1), body=for_json)

    attempt = unchecked(commit(lane), graph=unchecked(Append(nodes=()), nodes=(bad,)))

    await refused(InvalidRecord, store.commit_runtime_state(attempt))
    assert await store.load_session(FullGraph()) is None
