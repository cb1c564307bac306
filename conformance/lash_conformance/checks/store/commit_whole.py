"""Committing all or nothing, with the batches a commit sends (STO.9, STO.20 to STO.25)."""

from lash_conformance.bench import Lane
from lash_conformance.check import check
from lash_conformance.vocabulary import (
    batch,
    by_id,
    chain,
    checkpoint,
    commit,
    during,
    everything,
    message,
    refused,
    said,
    spent,
    stamp,
    task,
    turn,
    unchecked,
)
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import (
    HeadRevisionConflict,
    LashError,
    QueuedWorkClaimSuperseded,
    SessionBindingMismatch,
    TurnInputClaimSuperseded,
)
from lash_ref.inputs import TurnInputClaim
from lash_ref.nodes import Append, FullGraph, ReplaceFull
from lash_ref.records import AttachmentIntent
from lash_ref.work import QueuedWorkClaim


@check("STO.9", "STO.20")
async def a_foreign_outbox_draft_voids_the_commit(store: RuntimePersistence, lane: Lane) -> None:
    """One draft for another session, and neither head nor queue changes."""
    drafts = (batch(), batch(session_id="s2"))

    await refused(
        SessionBindingMismatch,
        store.commit_runtime_state(turn("t1", fence=lane, enqueued_queue_batches=drafts)),
        attempted_session_id="s2",
    )

    assert await store.load_session(FullGraph()) is None
    assert await store.list_queued_work("s1") == ()
    assert await store.list_queued_work("s2") == ()


@check("STO.20")
async def a_refused_commit_leaves_claims_inputs_stamps_and_intents(
    store: RuntimePersistence, lane: Lane
) -> None:
    """A stale revision voids a commit that carries everything a commit can carry."""
    await store.commit_runtime_state(turn("t0", fence=lane))
    await store.enqueue_queued_work(batch())
    await store.enqueue_pending_turn_input(said("x", ingress=during("t1"), input_id="i1"))
    await store.enqueue_pending_turn_input(said("y", ingress=during("t1"), input_id="i2"))
    await store.record_intent(
        AttachmentIntent(attachment_id="a1", session_id="s1", canonical_uri="u", intent_at_epoch_ms=1)
    )
    work = await store.claim_checkpoint_work("s1", lane.fence, lane.owner, "t1", "after_work", 1, 1)
    assert work.turn_input_claim is not None
    assert work.queued_work_claim is not None
    before = await everything(store)

    full = turn(
        "t1", fence=lane, expects=9, under="t0", usage_deltas=(spent(input_tokens=1),),
        completed_queue_claims=(work.queued_work_claim.completion(),),
        completed_turn_input_claims=(work.turn_input_claim.completion(),),
        enqueued_queue_batches=(batch(task("next")),), interrupted_turn_input_turn_id="t1",
        committed_attachment_ids=("a1",), checkpoint=checkpoint(5, execution_state=b"x"),
        release_session_execution_lease=lane.completion,
    )  # fmt: skip
    await refused(HeadRevisionConflict, store.commit_runtime_state(full))

    assert await everything(store) == before
    retry = await store.commit_runtime_state(full.but(expected_head_revision=1))
    assert retry.head_revision == 2


async def _both_claimed(store: RuntimePersistence, lane: Lane) -> tuple[QueuedWorkClaim, TurnInputClaim]:
    """A batch and an input, each claimed."""
    await store.enqueue_queued_work(batch())
    await store.enqueue_pending_turn_input(said(input_id="i1"))
    work = await store.claim_ready_queued_work("s1", lane.fence, lane.owner, "idle", 1)
    held = await store.claim_next_turn_inputs("s1", lane.fence, lane.owner, 1)
    assert work is not None
    assert held is not None
    return work, held


@check("STO.21")
async def a_stale_input_completion_does_not_consume_the_queue_claim(
    store: RuntimePersistence, lane: Lane
) -> None:
    """The queue completion in the same commit is valid; it still has to wait."""
    work, held = await _both_claimed(store, lane)
    stale = held.completion().but(lease_token="forged")

    attempt = turn(
        "t1", fence=lane, completed_queue_claims=(work.completion(),), completed_turn_input_claims=(stale,)
    )
    await refused(TurnInputClaimSuperseded, store.commit_runtime_state(attempt))

    assert len(await store.list_queued_work("s1")) == 1
    settled = attempt.but(completed_turn_input_claims=(held.completion(),))
    assert (await store.commit_runtime_state(settled)).head_revision == 1


@check("STO.20")
async def a_stale_queue_completion_does_not_consume_the_input_claim(
    store: RuntimePersistence, lane: Lane
) -> None:
    """The other way round: the input stays claimed and can be completed by the retry."""
    work, held = await _both_claimed(store, lane)
    stale = work.completion().but(claim_id="forged")

    attempt = turn(
        "t1", fence=lane, completed_queue_claims=(stale,), completed_turn_input_claims=(held.completion(),)
    )
    await refused(QueuedWorkClaimSuperseded, store.commit_runtime_state(attempt))

    outcome = await store.cancel_pending_turn_inputs("s1", (by_id("i1"),))
    assert outcome[0].outcome.outcome == "already_claimed"


@check("STO.23", "STO.24")
async def the_outbox_is_answered_in_draft_order_and_enqueued(store: RuntimePersistence, lane: Lane) -> None:
    """Three drafts, three batches, in that order in the answer and in the queue."""
    drafts = tuple(batch(task(text), source_key=text) for text in ("b", "a", "c"))

    result = await store.commit_runtime_state(turn("t1", fence=lane, enqueued_queue_batches=drafts))

    assert [made.source_key for made in result.enqueued_queue_batches] == ["b", "a", "c"]
    assert await store.list_queued_work("s1") == result.enqueued_queue_batches


@check("STO.24")
async def an_outbox_draft_with_a_known_key_answers_the_stored_batch(
    store: RuntimePersistence, lane: Lane
) -> None:
    """Enqueueing with the turn follows the source-key rule."""
    first = await store.enqueue_queued_work(batch(task("first"), source_key="k"))

    drafts = (batch(task("again"), source_key="k"),)
    result = await store.commit_runtime_state(turn("t1", fence=lane, enqueued_queue_batches=drafts))

    assert result.enqueued_queue_batches == (first,)
    assert await store.list_queued_work("s1") == (first,)


@check("STO.24", "QUE.3")
async def two_outbox_drafts_with_one_key_are_one_batch(store: RuntimePersistence, lane: Lane) -> None:
    """The second is answered with the first, within one commit too."""
    drafts = (batch(task("first"), source_key="k"), batch(task("other")), batch(task("again"), source_key="k"))
    result = await store.commit_runtime_state(turn("t1", fence=lane, enqueued_queue_batches=drafts))

    first, other, again = result.enqueued_queue_batches
    assert again == first
    assert await store.list_queued_work("s1") == (first, other)


@check("STO.25", "QUE.5")
async def an_outbox_may_take_a_key_that_its_commit_frees(store: RuntimePersistence, lane: Lane) -> None:
    """The batch is completed and its successor sent in one commit: the old one goes, the new one is work."""
    old = await store.enqueue_queued_work(batch(task("old"), source_key="k"))
    claim = await store.claim_ready_queued_work("s1", lane.fence, lane.owner, "idle", 1)
    assert claim is not None

    data = turn(
        "t1",
        fence=lane,
        completed_queue_claims=(claim.completion(),),
        enqueued_queue_batches=(batch(task("new"), source_key="k"),),
    )
    (new,) = (await store.commit_runtime_state(data)).enqueued_queue_batches

    assert new.batch_id != old.batch_id
    assert [item.payload for item in new.items] == [task("new")]
    assert await store.list_pending_queued_work("s1") == (new,)


@check("STO.20")
async def an_invalid_part_voids_the_whole_commit(store: RuntimePersistence, lane: Lane) -> None:
    """One node with a NUL in its id, and the nodes before it are not stored either."""
    bad = unchecked(message("n2"), node_id="n\0")
    delta = unchecked(Append(nodes=chain("n1")), nodes=(*chain("n1"), bad))

    error: LashError | None = None
    try:
        await store.commit_runtime_state(
            unchecked(commit(lane, ReplaceFull(nodes=())), graph=delta, turn_commit=stamp("t1"))
        )
    except LashError as err:
        error = err

    assert error is not None
    assert await store.load_session(FullGraph()) is None
