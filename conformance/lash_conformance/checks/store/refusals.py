"""What a refused call had begun is not finished by the call after it (STO.26)."""

from typing import Any

from lash_conformance.bench import Bench, Lane, owner
from lash_conformance.check import check
from lash_conformance.vocabulary import (
    batch,
    chain,
    checkpoint,
    commit,
    during,
    everything,
    ids,
    loaded,
    message,
    plugin_snapshot,
    refused,
    said,
    spent,
    stamp,
    task,
    tool_state,
    turn,
    unchecked,
)
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import (
    DuplicateInputId,
    DuplicateNodeId,
    HeadRevisionConflict,
    InvalidRecord,
    LashError,
    PendingTurnInputSourceKeyConflict,
    QueuedWorkClaimSuperseded,
    RuntimeTurnCommitConflict,
    SessionBindingMismatch,
    SessionExecutionLeaseExpired,
    TurnInputClaimSuperseded,
    UnreadableRecord,
)
from lash_ref.nodes import Append, ReplaceFull
from lash_ref.records import AttachmentIntent, RuntimeCommit

MOST = 2**63 - 1


def _intent(attachment_id: str) -> AttachmentIntent:
    return AttachmentIntent(attachment_id=attachment_id, session_id="s1", canonical_uri="u", intent_at_epoch_ms=1)


async def _begun(store: RuntimePersistence, lane: Lane) -> RuntimeCommit:
    """A session with a turn, a hidden node, work and input, both claimed; and a commit of its next turn that does all a commit can."""
    first = turn("t0", fence=lane, usage_deltas=(spent(input_tokens=1),))
    nodes = (message("t0"), message("hidden", parent="t0"))
    await store.commit_runtime_state(first.but(graph=Append(nodes=nodes, leaf_node_id="t0")))
    await store.tombstone_nodes(["hidden"])
    await store.enqueue_queued_work(batch(source_key="k0"))
    await store.enqueue_pending_turn_input(said(input_id="i0"))
    await store.enqueue_pending_turn_input(said(input_id="i1", ingress=during("t1", "before_completion")))
    await store.record_intent(_intent("a1"))
    work = await store.claim_ready_queued_work("s1", lane.fence, lane.owner, "idle", 1)
    held = await store.claim_next_turn_inputs("s1", lane.fence, lane.owner, 1)
    assert work is not None
    assert held is not None
    parts = checkpoint(1, tool_state=tool_state(1), plugin_snapshot=plugin_snapshot(1), execution_state=b"x")
    return turn(
        "t1", fence=lane, says="n1", under="t0", checkpoint=parts, committed_attachment_ids=("a1",),
        usage_deltas=(spent("other", input_tokens=1), spent(input_tokens=1)), interrupted_turn_input_turn_id="t1",
        enqueued_queue_batches=(batch(task("sent"), source_key="k1"),),
        completed_queue_claims=(work.completion(),), completed_turn_input_claims=(held.completion(),),
    )  # fmt: skip


def _refusals(full: RuntimeCommit) -> list[tuple[type[LashError], RuntimeCommit]]:
    """The commit with one part that is refused, and the refusal."""
    (work,), (held,) = full.completed_queue_claims, full.completed_turn_input_claims
    fence = full.session_execution_lease
    assert fence is not None
    nodes = (message("n1"), message("t0", "again", parent="n1"))
    hidden = Append(nodes=(message("n1"), message("hidden", parent="n1")), leaf_node_id="n1")
    dear = full.but(usage_deltas=(*full.usage_deltas, spent(input_tokens=1), spent(input_tokens=MOST)))
    return [
        (HeadRevisionConflict, full.but(expected_head_revision=9)),
        (SessionExecutionLeaseExpired, full.but(session_execution_lease=fence.but(lease_token="forged"))),
        (RuntimeTurnCommitConflict, full.but(turn_commit=stamp("t0", "other"))),
        (SessionBindingMismatch, full.but(enqueued_queue_batches=(*full.enqueued_queue_batches, batch(session_id="s2")))),
        (DuplicateNodeId, full.but(graph=Append(nodes=nodes, leaf_node_id="n1"))),
        (UnreadableRecord, full.but(checkpoint=full.checkpoint.but(execution_state=None, execution_state_ref="f" * 64))),
        (QueuedWorkClaimSuperseded, full.but(completed_queue_claims=(work, work.but(claim_id="forged")))),
        (TurnInputClaimSuperseded, full.but(completed_turn_input_claims=(held, held.but(lease_token="forged")))),
        (InvalidRecord, dear.but(graph=ReplaceFull(nodes=chain("r1", "r2"), leaf_node_id="r2"))),
        (InvalidRecord, dear.but(graph=hidden)),
    ]


async def _next_commit(bench: Bench, lane: Lane) -> None:
    """A commit of another session is applied."""
    other = await bench.session("s2")
    await other.commit_runtime_state(commit(await bench.lane(other, "s2", by=lane.owner), session_id="s2"))


@check("STO.26", "STO.20")
async def the_next_commit_of_another_session_carries_nothing_refused(
    bench: Bench, store: RuntimePersistence, lane: Lane
) -> None:
    """Ten refusals of a commit that does all it can, each followed by a commit elsewhere; all reads as before the first."""
    full = await _begun(store, lane)
    before = await everything(store)
    for kind, attempt in _refusals(full):
        await refused(kind, store.commit_runtime_state(attempt))
        await _next_commit(bench, lane)
        found = await everything(store)
        assert found == before, f"{kind.__name__} was followed by a commit of another session"


@check("STO.26", "STO.36", "STO.64")
async def the_next_commit_of_the_session_carries_nothing_refused(
    bench: Bench, store: RuntimePersistence, lane: Lane
) -> None:
    """After ten refusals the turn is committed for the first time, its parts once; the place opened again reads alike."""
    full = await _begun(store, lane)
    for kind, attempt in _refusals(full):
        await refused(kind, store.commit_runtime_state(attempt))

    made = await store.commit_runtime_state(full)

    read = await loaded(store)
    assert (made.head_revision, read.head_revision, ids(read.graph)) == (2, 2, ["t0", "n1"])
    assert read.token_ledger == (spent(input_tokens=2), spent("other", input_tokens=1))
    assert await store.list_queued_work("s1") == made.enqueued_queue_batches
    assert [one.input_id for one in await store.list_pending_turn_inputs("s1")] == ["i1"]
    found = await everything(store)
    if "durable" in bench.target.capabilities:
        assert await everything(await bench.session(on=await bench.reopen())) == found


@check("STO.26", needs=("durable",))
async def opening_a_place_again_brings_nothing_refused(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """Ten refused commits are the last that a place saw before it was closed."""
    full = await _begun(store, lane)
    before = await everything(store)
    for kind, attempt in _refusals(full):
        await refused(kind, store.commit_runtime_state(attempt))

    again = await bench.session(on=await bench.reopen())
    assert await everything(again) == before
    assert (await again.vacuum()).removed_node_count == 1


async def _calls_refused(store: RuntimePersistence, lane: Lane) -> None:
    dead: Any = lane.fence.but(lease_token="forged")
    await refused(DuplicateInputId, store.enqueue_pending_turn_input(said(input_id="i0", source_key="free")))
    await refused(PendingTurnInputSourceKeyConflict, store.enqueue_pending_turn_input(said("b", input_id="new", source_key="k")))
    await refused(InvalidRecord, store.enqueue_queued_work(unchecked(batch(source_key="free"), payloads=())))
    await refused(InvalidRecord, store.record_intent(unchecked(_intent("a2"), owner_kind="turn")))
    await refused(SessionExecutionLeaseExpired, store.claim_ready_queued_work("s1", dead, lane.owner, "idle", 9))
    await refused(SessionExecutionLeaseExpired, store.claim_next_turn_inputs("s1", dead, lane.owner, 9))
    await refused(SessionExecutionLeaseExpired, store.claim_checkpoint_work("s1", dead, lane.owner, "t1", "after_work", 9, 9))
    await refused(SessionExecutionLeaseExpired, store.renew_session_execution_lease(dead, 1))


@check("STO.26", "INP.3", "INP.5", "QUE.30", "QUE.10", "INP.22", "LEA.15")
async def the_next_commit_carries_nothing_of_other_calls_refused(
    bench: Bench, store: RuntimePersistence, lane: Lane
) -> None:
    """Enqueueing, claiming, recording and renewing: what was refused holds no row, no key and no id once another commits."""
    await store.enqueue_queued_work(batch(source_key="k"))
    await store.enqueue_pending_turn_input(said(input_id="i0"))
    await store.enqueue_pending_turn_input(said("a", input_id="i1", source_key="k", ingress=during("t1")))
    rival = owner("z")
    before = await everything(store), await store.try_claim_session_execution_lease("s1", rival, bench.ttl)

    await _calls_refused(store, lane)
    await _next_commit(bench, lane)

    assert (await everything(store), await store.try_claim_session_execution_lease("s1", rival, bench.ttl)) == before
    new = await store.enqueue_pending_turn_input(said("c", input_id="new", source_key="free"))
    assert (new.input_id, (await store.enqueue_queued_work(batch(source_key="free"))).source_key) == ("new", "free")
