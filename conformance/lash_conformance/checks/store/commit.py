"""Commits: revisions, authority, atomicity (STO.1 to STO.24)."""

import asyncio

from lash_conformance.bench import Bench, Lane, owner
from lash_conformance.check import check
from lash_conformance.vocabulary import (
    CONFIG,
    batch,
    by_id,
    chain,
    checkpoint,
    commit,
    during,
    everything,
    frame,
    ids,
    loaded,
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
    SessionExecutionLeaseExpired,
    TurnInputClaimSuperseded,
)
from lash_ref.inputs import TurnInputCompletion
from lash_ref.lease import Acquired
from lash_ref.nodes import Append, FullGraph, ReplaceFull
from lash_ref.records import AttachmentIntent, RuntimeCommitResult
from lash_ref.work import QueuedWorkCompletion


@check("STO.1")
async def a_session_without_a_commit_loads_as_none(store: RuntimePersistence, lane: Lane) -> None:
    """Meta, a lease and queued work do not make a head."""
    await store.enqueue_queued_work(batch())
    await store.enqueue_pending_turn_input(said())

    assert await store.load_session(FullGraph()) is None
    await store.commit_runtime_state(turn("t1", fence=lane))
    assert ids((await loaded(store)).graph) == ["t1"]


@check("STO.2", "STO.4")
async def the_first_commit_answers_revision_one(store: RuntimePersistence, lane: Lane) -> None:
    """Expecting 0 on a new session applies and answers 1."""
    result = await store.commit_runtime_state(turn("t1", fence=lane, expects=0))

    assert result.head_revision == 1
    assert (await loaded(store)).head_revision == 1


@check("STO.3", "STO.4")
async def each_commit_raises_the_revision_by_one(store: RuntimePersistence, lane: Lane) -> None:
    """Three commits, each expecting the one before, answer 1, 2, 3."""
    first = await store.commit_runtime_state(turn("t1", fence=lane, expects=0))
    second = await store.commit_runtime_state(turn("t2", fence=lane, expects=1))
    third = await store.commit_runtime_state(commit(lane, expected_head_revision=2))

    assert [first.head_revision, second.head_revision, third.head_revision] == [1, 2, 3]


@check("STO.5")
async def a_commit_that_expects_nothing_applies_over_any_head(
    store: RuntimePersistence, lane: Lane
) -> None:
    """Absent means "do not check", on a new head and over an existing one."""
    await store.commit_runtime_state(turn("t1", fence=lane, expects=None))
    result = await store.commit_runtime_state(turn("t2", fence=lane, expects=None))

    assert result.head_revision == 2


@check("STO.12")
async def a_stale_revision_is_refused_and_changes_nothing(store: RuntimePersistence, lane: Lane) -> None:
    """The refusal names both revisions; the session is as before."""
    await store.commit_runtime_state(turn("t1", fence=lane))
    await store.commit_runtime_state(turn("t2", fence=lane, under="t1"))
    before = await everything(store)

    late = turn("t3", fence=lane, expects=1, usage_deltas=(spent(input_tokens=1),))
    await refused(HeadRevisionConflict, store.commit_runtime_state(late), expected=1, actual=2)

    assert await everything(store) == before


@check("STO.12")
async def a_revision_from_the_future_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """Expecting 1 of a session without a head is a conflict with 0."""
    attempt = store.commit_runtime_state(turn("t1", fence=lane, expects=1))

    await refused(HeadRevisionConflict, attempt, expected=1, actual=0)


@check("STO.12")
async def expecting_a_new_session_over_an_existing_head_is_refused(
    store: RuntimePersistence, lane: Lane
) -> None:
    """0 means "must be new"."""
    await store.commit_runtime_state(turn("t1", fence=lane, expects=0))

    attempt = store.commit_runtime_state(turn("t2", fence=lane, expects=0))

    await refused(HeadRevisionConflict, attempt, expected=0, actual=1)


@check("STO.12")
async def a_stale_commit_is_told_of_the_head_whatever_else_is_stale(store: RuntimePersistence, lane: Lane) -> None:
    """Its nodes are there already, its part and its claims are gone: all of that may come of the head it did not see."""
    await store.commit_runtime_state(turn("t1", fence=lane))
    stale = commit(lane, expected_head_revision=0)
    work = QueuedWorkCompletion(session_id="s1", claim_id="gone", lease_token="gone", batch_ids=("gone",))
    spoken = TurnInputCompletion(session_id="s1", claim_id="gone", lease_token="gone", input_ids=("gone",))
    parts: tuple[dict[str, object], ...] = (
        {"graph": Append(nodes=(message("t1"),), leaf_node_id="t1")},
        {"checkpoint": checkpoint().but(tool_state_ref="gone")},
        {"completed_queue_claims": (work,)},
        {"completed_turn_input_claims": (spoken,)},
    )

    for part in parts:
        attempt = store.commit_runtime_state(stale.but(**part))
        await refused(HeadRevisionConflict, attempt, expected=0, actual=1)


async def _race(store: RuntimePersistence, lane: Lane) -> list[RuntimeCommitResult | BaseException]:
    attempts = [
        store.commit_runtime_state(
            turn(f"r{n}", fence=lane, expects=1, under="t1", usage_deltas=(spent(f"r{n}", input_tokens=1),))
        )
        for n in range(4)
    ]
    return await asyncio.gather(*attempts, return_exceptions=True)


@check("STO.6")
async def one_of_four_concurrent_commits_applies(store: RuntimePersistence, lane: Lane) -> None:
    """Four commits expect revision 1 at once: one applies, three see the conflict."""
    await store.commit_runtime_state(turn("t1", fence=lane))

    outcomes = await _race(store, lane)

    kinds = sorted(type(outcome).__name__ for outcome in outcomes)
    assert kinds == ["HeadRevisionConflict"] * 3 + ["RuntimeCommitResult"]
    assert (await loaded(store)).head_revision == 2


@check("STO.7")
async def the_losers_of_a_race_leave_no_trace(store: RuntimePersistence, lane: Lane) -> None:
    """Graph and ledger hold the winner's turn and nobody else's."""
    await store.commit_runtime_state(turn("t1", fence=lane))

    outcomes = await _race(store, lane)

    winner = next(n for n, outcome in enumerate(outcomes) if isinstance(outcome, RuntimeCommitResult))
    read = await loaded(store)
    assert ids(read.graph) == ["t1", f"r{winner}"]
    assert [entry.source for entry in read.token_ledger] == [f"r{winner}"]


@check("STO.8")
async def a_commit_of_another_session_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """The store of "s1" does not take a commit of "s2"."""
    foreign = commit(lane, session_id="s2")

    await refused(
        SessionBindingMismatch,
        store.commit_runtime_state(foreign),
        bound_session_id="s1",
        attempted_session_id="s2",
    )
    assert await store.load_session(FullGraph()) is None


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


@check("STO.10")
async def a_commit_without_a_fence_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """Nobody writes without authority, even while the lane is held."""
    await refused(
        SessionExecutionLeaseExpired, store.commit_runtime_state(turn("t1", fence=None)), session_id="s1"
    )
    assert await store.load_session(FullGraph()) is None


@check("STO.11")
async def a_commit_after_a_takeover_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """The lane was handed to "b"; the fence of "a" is worth nothing."""
    stale = lane.fence
    await lane.hand_over()

    await refused(SessionExecutionLeaseExpired, store.commit_runtime_state(turn("t1", fence=stale)))
    assert await store.load_session(FullGraph()) is None


@check("STO.11")
async def a_commit_after_expiry_is_refused(bench: Bench, store: RuntimePersistence) -> None:
    """Nobody took over, but the time is up."""
    lane = await bench.lane(store, ttl=bench.ttl)
    await lane.expire()

    await refused(SessionExecutionLeaseExpired, store.commit_runtime_state(turn("t1", fence=lane)))
    assert await store.load_session(FullGraph()) is None


@check("STO.11")
async def a_commit_after_release_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """A lane given back is no authority."""
    await lane.release()

    await refused(SessionExecutionLeaseExpired, store.commit_runtime_state(turn("t1", fence=lane)))


@check("STO.13")
async def a_fence_with_a_wrong_token_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """Everything is right but the token."""
    fence = lane.fence.but(lease_token="forged")

    await refused(SessionExecutionLeaseExpired, store.commit_runtime_state(turn("t1", fence=fence)))


@check("STO.13")
async def a_fence_with_a_wrong_incarnation_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """Everything is right but the incarnation."""
    fence = lane.fence.but(owner=owner("a", "2"))

    await refused(SessionExecutionLeaseExpired, store.commit_runtime_state(turn("t1", fence=fence)))


@check("STO.13")
async def a_fence_with_a_wrong_number_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """Everything is right but the fencing number."""
    fence = lane.fence.but(fencing_token=lane.fence.fencing_token + 1)

    await refused(SessionExecutionLeaseExpired, store.commit_runtime_state(turn("t1", fence=fence)))


@check("STO.13")
async def a_fence_of_another_session_is_refused(bench: Bench, store: RuntimePersistence) -> None:
    """A live lease on "s2" is no authority over "s1"."""
    other = await bench.lane(store, "s2")

    await refused(SessionExecutionLeaseExpired, store.commit_runtime_state(turn("t1", fence=other)))


@check("STO.15")
async def the_fence_is_judged_before_the_revision(store: RuntimePersistence, lane: Lane) -> None:
    """Both are wrong; the lease error is the answer."""
    attempt = store.commit_runtime_state(turn("t1", fence=None, expects=7))

    await refused(SessionExecutionLeaseExpired, attempt)


@check("STO.16")
async def a_commit_leaves_the_lease_held(store: RuntimePersistence, lane: Lane) -> None:
    """After a commit another owner still finds the lane busy, with the expiry it had."""
    await store.commit_runtime_state(turn("t1", fence=lane))

    outcome = await store.try_claim_session_execution_lease("s1", owner("b"), 1)

    assert not isinstance(outcome, Acquired)
    assert outcome.holder.expires_at_epoch_ms == lane.lease.expires_at_epoch_ms


@check("STO.16", needs=("clock",))
async def a_commit_does_not_move_the_expiry(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """A commit half-way through the ttl does not prolong the lease."""
    await bench.pass_time(bench.ttl // 2)
    await store.commit_runtime_state(turn("t1", fence=lane))
    await bench.pass_time(bench.ttl // 2)

    outcome = await store.try_claim_session_execution_lease("s1", owner("b"), 1)

    assert isinstance(outcome, Acquired)


@check("STO.17")
async def a_commit_that_releases_frees_the_lane(store: RuntimePersistence, lane: Lane) -> None:
    """The next owner need not wait."""
    assert not isinstance(await store.try_claim_session_execution_lease("s1", owner("b"), 1000), Acquired)
    await store.commit_runtime_state(
        turn("t1", fence=lane, release_session_execution_lease=lane.completion)
    )

    outcome = await store.try_claim_session_execution_lease("s1", owner("b"), 1000)

    assert isinstance(outcome, Acquired)


@check("STO.18")
async def a_release_that_does_not_match_is_ignored(store: RuntimePersistence, lane: Lane) -> None:
    """The commit applies and the lane stays held."""
    wrong = lane.completion.but(lease_token="forged")
    result = await store.commit_runtime_state(turn("t1", fence=lane, release_session_execution_lease=wrong))

    outcome = await store.try_claim_session_execution_lease("s1", owner("b"), 1000)

    assert result.head_revision == 1
    assert not isinstance(outcome, Acquired)


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


@check("STO.21")
async def a_stale_input_completion_does_not_consume_the_queue_claim(
    store: RuntimePersistence, lane: Lane
) -> None:
    """The queue completion in the same commit is valid; it still has to wait."""
    await store.enqueue_queued_work(batch())
    await store.enqueue_pending_turn_input(said(input_id="i1"))
    work = await store.claim_ready_queued_work("s1", lane.fence, lane.owner, "idle", 1)
    held = await store.claim_next_turn_inputs("s1", lane.fence, lane.owner, 1)
    assert work is not None
    assert held is not None
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
    await store.enqueue_queued_work(batch())
    await store.enqueue_pending_turn_input(said(input_id="i1"))
    work = await store.claim_ready_queued_work("s1", lane.fence, lane.owner, "idle", 1)
    held = await store.claim_next_turn_inputs("s1", lane.fence, lane.owner, 1)
    assert work is not None
    assert held is not None
    stale = work.completion().but(claim_id="forged")

    attempt = turn(
        "t1", fence=lane, completed_queue_claims=(stale,), completed_turn_input_claims=(held.completion(),)
    )
    await refused(QueuedWorkClaimSuperseded, store.commit_runtime_state(attempt))

    outcome = await store.cancel_pending_turn_inputs("s1", (by_id("i1"),))
    assert outcome[0].outcome.outcome == "already_claimed"


@check("STO.22")
async def configuration_and_frames_are_replaced_whole(store: RuntimePersistence, lane: Lane) -> None:
    """The second commit's frames are all there is, bytes included; after the third there are none, and none is current."""
    await store.commit_runtime_state(commit(lane, agent_frames=(frame("f1"), frame("f2")), current_agent_frame_id="f2"))
    config = CONFIG.but(provider_id="other")
    frames = (frame("f3", execution_state_snapshot=b"\x00\xff", reason="compaction"),)

    await store.commit_runtime_state(
        commit(lane, agent_frames=frames, current_agent_frame_id="f3", config=config)
    )

    read = await loaded(store)
    assert read.agent_frames == frames
    assert read.current_agent_frame_id == "f3"
    assert read.config == config
    await store.commit_runtime_state(commit(lane))
    read = await loaded(store)
    assert (read.agent_frames, read.current_agent_frame_id, read.config) == ((), "", CONFIG)


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
