"""Queued work: complete, abandon, cancel, list (QUE.40 to QUE.52)."""

from lash_conformance.bench import Bench, Lane
from lash_conformance.check import check
from lash_conformance.vocabulary import batch, refused, task, turn
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import QueuedWorkClaimSuperseded
from lash_ref.nodes import FullGraph
from lash_ref.work import QueuedWorkClaim, QueuedWorkCompletion


async def _held(store: RuntimePersistence, lane: Lane, most: int = 10) -> QueuedWorkClaim:
    claim = await store.claim_ready_queued_work("s1", lane.fence, lane.owner, "idle", most)
    assert claim is not None, "there is work to claim"
    return claim


async def _complete(
    store: RuntimePersistence, lane: Lane, *done: QueuedWorkCompletion, turn_id: str = "t1"
) -> None:
    await store.commit_runtime_state(turn(turn_id, fence=lane, completed_queue_claims=done))


@check("QUE.40", "QUE.42")
async def a_completed_batch_is_gone(store: RuntimePersistence, lane: Lane) -> None:
    """From both listings, with its commit, and the one beside it stays."""
    await store.enqueue_queued_work(batch())
    other = await store.enqueue_queued_work(batch())
    claim = await _held(store, lane)

    await _complete(store, lane, claim.completion())

    assert await store.list_queued_work("s1") == (other,)
    assert await store.list_pending_queued_work("s1") == (other,)


@check("QUE.40", "QUE.41")
async def a_completion_with_a_wrong_token_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """The right claim id is not enough; the batch stays, still held."""
    made = await store.enqueue_queued_work(batch())
    done = (await _held(store, lane)).completion()

    forged = done.but(lease_token="forged")
    await refused(
        QueuedWorkClaimSuperseded, _complete(store, lane, forged), session_id="s1", claim_id=done.claim_id
    )

    assert await store.list_queued_work("s1") == (made,)
    assert await store.list_pending_queued_work("s1") == ()


@check("QUE.40", "QUE.41")
async def a_completion_with_a_wrong_claim_id_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """The right token is not enough."""
    await store.enqueue_queued_work(batch())
    done = (await _held(store, lane)).completion()

    await refused(QueuedWorkClaimSuperseded, _complete(store, lane, done.but(claim_id="forged")))


@check("QUE.41")
async def a_completion_of_an_unclaimed_batch_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """The list names one that the claim never held."""
    await store.enqueue_queued_work(batch())
    claim = await _held(store, lane)
    other = await store.enqueue_queued_work(batch())

    wide = claim.completion().but(batch_ids=(*claim.completion().batch_ids, other.batch_id))
    await refused(QueuedWorkClaimSuperseded, _complete(store, lane, wide))

    assert len(await store.list_queued_work("s1")) == 2


@check("QUE.41")
async def a_completion_after_abandon_and_re_claim_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """The second claim of the same generation is another claim."""
    await store.enqueue_queued_work(batch())
    first = await _held(store, lane)
    await store.abandon_queued_work_claim(first)
    second = await _held(store, lane)

    await refused(QueuedWorkClaimSuperseded, _complete(store, lane, first.completion()))
    await _complete(store, lane, second.completion())
    assert await store.list_queued_work("s1") == ()


@check("QUE.41")
async def a_completion_of_another_session_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """The claim is right, the session it names is not."""
    made = await store.enqueue_queued_work(batch())
    done = (await _held(store, lane)).completion()

    await refused(QueuedWorkClaimSuperseded, _complete(store, lane, done.but(session_id="s2")))

    assert await store.list_queued_work("s1") == (made,)


@check("QUE.41")
async def a_second_completion_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """The batch is gone; another turn cannot complete it again."""
    await store.enqueue_queued_work(batch())
    done = (await _held(store, lane)).completion()
    await _complete(store, lane, done)

    await refused(QueuedWorkClaimSuperseded, _complete(store, lane, done, turn_id="t2"))


@check("QUE.43")
async def a_claim_taken_over_cannot_be_completed_by_its_old_holder(
    store: RuntimePersistence, lane: Lane
) -> None:
    """The new generation claimed it; the old completion comes under a live fence and is refused."""
    await store.enqueue_queued_work(batch())
    old = await _held(store, lane)
    await lane.hand_over()
    new = await _held(store, lane)

    await refused(QueuedWorkClaimSuperseded, _complete(store, lane, old.completion()))
    await _complete(store, lane, new.completion())
    assert await store.list_queued_work("s1") == ()


@check("QUE.44")
async def a_partial_completion_leaves_the_rest_held(store: RuntimePersistence, lane: Lane) -> None:
    """Two of three are done; the third is still this claim's."""
    for number in range(3):
        await store.enqueue_queued_work(batch(task(str(number)), slot_policy="join"))
    claim = await _held(store, lane)
    done = claim.completion()

    await _complete(store, lane, done.but(batch_ids=done.batch_ids[:2]))

    assert [left.batch_id for left in await store.list_queued_work("s1")] == [done.batch_ids[2]]
    assert await store.list_pending_queued_work("s1") == ()
    await _complete(store, lane, done.but(batch_ids=done.batch_ids[2:]), turn_id="t2")
    assert await store.list_queued_work("s1") == ()


@check("QUE.44")
async def repeated_ids_of_a_completion_are_one(store: RuntimePersistence, lane: Lane) -> None:
    """The list names a set."""
    await store.enqueue_queued_work(batch())
    done = (await _held(store, lane)).completion()

    await _complete(store, lane, done.but(batch_ids=done.batch_ids * 2))

    assert await store.list_queued_work("s1") == ()


@check("QUE.45")
async def a_claim_of_a_dead_generation_may_still_complete(store: RuntimePersistence, lane: Lane) -> None:
    """Nobody took it over; its commit comes under the new fence."""
    await store.enqueue_queued_work(batch())
    claim = await _held(store, lane)
    await lane.hand_over()

    await _complete(store, lane, claim.completion())

    assert await store.list_queued_work("s1") == ()


@check("QUE.46")
async def an_abandoned_batch_is_free_at_once(store: RuntimePersistence, lane: Lane) -> None:
    """Listed, and claimable within the generation."""
    made = await store.enqueue_queued_work(batch())
    claim = await _held(store, lane)

    await store.abandon_queued_work_claim(claim)

    assert await store.list_pending_queued_work("s1") == (made,)
    assert (await _held(store, lane)).batches == (made,)


@check("QUE.46")
async def several_claims_are_abandoned_together(store: RuntimePersistence, lane: Lane) -> None:
    """Both batches are free."""
    made = [await store.enqueue_queued_work(batch()) for _ in range(2)]
    claims = [await _held(store, lane), await _held(store, lane)]

    await store.abandon_queued_work_claims(claims)

    assert await store.list_pending_queued_work("s1") == tuple(made)


@check("QUE.47")
async def abandoning_with_a_foreign_token_changes_nothing(store: RuntimePersistence, lane: Lane) -> None:
    """The batch stays held, and the true holder can complete it."""
    await store.enqueue_queued_work(batch())
    claim = await _held(store, lane)

    await store.abandon_queued_work_claim(claim.but(lease_token="forged"))

    assert await store.list_pending_queued_work("s1") == ()
    await _complete(store, lane, claim.completion())


@check("QUE.47")
async def abandoning_a_claim_that_was_taken_over_changes_nothing(
    store: RuntimePersistence, lane: Lane
) -> None:
    """The old holder lets go of what is another's by now."""
    await store.enqueue_queued_work(batch())
    old = await _held(store, lane)
    await lane.hand_over()
    new = await _held(store, lane)

    await store.abandon_queued_work_claim(old)

    assert await store.list_pending_queued_work("s1") == ()
    await _complete(store, lane, new.completion())


@check("QUE.48")
async def cancelling_an_unheld_batch_removes_and_answers_it(store: RuntimePersistence) -> None:
    """And no other."""
    first = await store.enqueue_queued_work(batch())
    second = await store.enqueue_queued_work(batch())

    assert await store.cancel_queued_work_batch("s1", first.batch_id) == first
    assert await store.list_queued_work("s1") == (second,)


@check("QUE.49")
async def cancelling_a_held_batch_changes_nothing(store: RuntimePersistence, lane: Lane) -> None:
    """It runs, and its completion still holds."""
    made = await store.enqueue_queued_work(batch())
    claim = await _held(store, lane)

    assert await store.cancel_queued_work_batch("s1", made.batch_id) is None
    await _complete(store, lane, claim.completion())


@check("QUE.49")
async def cancelling_a_missing_batch_answers_none(store: RuntimePersistence) -> None:
    """Never enqueued, or cancelled before."""
    made = await store.enqueue_queued_work(batch())
    await store.cancel_queued_work_batch("s1", made.batch_id)

    assert await store.cancel_queued_work_batch("s1", made.batch_id) is None
    assert await store.cancel_queued_work_batch("s1", "unknown") is None


@check("QUE.50")
async def release_ends_every_claim(store: RuntimePersistence, lane: Lane) -> None:
    """Listed and cancellable at once."""
    made = await store.enqueue_queued_work(batch())
    await _held(store, lane)

    await lane.release()

    assert await store.list_pending_queued_work("s1") == (made,)
    assert await store.cancel_queued_work_batch("s1", made.batch_id) == made


@check("QUE.50")
async def expiry_ends_every_claim(bench: Bench, store: RuntimePersistence) -> None:
    """The holder is late, its claims are dead."""
    made = await store.enqueue_queued_work(batch())
    lane = await bench.lane(store, ttl=bench.ttl * 8)
    await _held(store, lane)

    await lane.expire()

    assert await store.list_pending_queued_work("s1") == (made,)


@check("QUE.50")
async def a_takeover_ends_every_claim(store: RuntimePersistence, lane: Lane) -> None:
    """The lane is live again, but under another number."""
    made = await store.enqueue_queued_work(batch())
    await _held(store, lane)

    await lane.hand_over()

    assert await store.list_pending_queued_work("s1") == (made,)
    assert await store.cancel_queued_work_batch("s1", made.batch_id) == made


@check("QUE.51")
async def the_pending_listing_hides_held_batches(store: RuntimePersistence, lane: Lane) -> None:
    """One of three is held; one that is not due yet waits all the same."""
    made = [await store.enqueue_queued_work(batch(available_at_ms=when)) for when in (0, 0, 2**62)]
    await _held(store, lane)

    assert await store.list_pending_queued_work("s1") == (made[1], made[2])


@check("QUE.53")
async def the_full_listing_shows_held_batches(store: RuntimePersistence, lane: Lane) -> None:
    """And future ones."""
    made = [
        await store.enqueue_queued_work(batch()),
        await store.enqueue_queued_work(batch(available_at_ms=2**62)),
    ]
    await _held(store, lane)

    assert await store.list_queued_work("s1") == tuple(made)


@check("QUE.52")
async def ids_are_never_given_twice(store: RuntimePersistence, lane: Lane) -> None:
    """Three rounds of enqueue, claim and complete: batch ids, claim ids, tokens and sequences are all new."""
    seen: list[tuple[str, str, str, int]] = []
    for number in range(3):
        made = await store.enqueue_queued_work(batch())
        claim = await _held(store, lane)
        await _complete(store, lane, claim.completion(), turn_id=f"t{number}")
        seen.append((made.batch_id, claim.claim_id, claim.lease_token, made.enqueue_seq))

    assert [len(set(column)) for column in zip(*seen, strict=True)] == [3, 3, 3, 3]


@check("QUE.52")
async def ids_are_not_given_again_after_cancellation(store: RuntimePersistence) -> None:
    """The newest batch is cancelled three times over; each successor is new."""
    seen: list[tuple[str, int]] = []
    for _ in range(3):
        made = await store.enqueue_queued_work(batch())
        await store.cancel_queued_work_batch("s1", made.batch_id)
        seen.append((made.batch_id, made.enqueue_seq))

    assert [len(set(column)) for column in zip(*seen, strict=True)] == [3, 3]


@check("QUE.52", needs=("durable",))
async def ids_are_not_given_again_after_reopening(
    bench: Bench, store: RuntimePersistence, lane: Lane
) -> None:
    """The queue was empty when the place was closed."""
    made = await store.enqueue_queued_work(batch())
    claim = await _held(store, lane)
    await _complete(store, lane, claim.completion())

    again = await bench.session(on=await bench.reopen())

    later = await again.enqueue_queued_work(batch())
    assert later.batch_id != made.batch_id
    assert later.enqueue_seq > made.enqueue_seq
    assert (await _held(again, lane)).claim_id != claim.claim_id


@check("QUE.54")
async def a_completion_of_nothing_settles_nothing(store: RuntimePersistence, lane: Lane) -> None:
    """The commit is applied, and the batch is still held by its claim."""
    made = await store.enqueue_queued_work(batch())
    done = (await _held(store, lane)).completion()

    await _complete(store, lane, done.but(batch_ids=()))

    assert await store.list_queued_work("s1") == (made,)
    assert await store.list_pending_queued_work("s1") == ()
    await _complete(store, lane, done, turn_id="t2")


@check("QUE.55")
async def a_completion_of_nothing_may_not_name_another_session(store: RuntimePersistence, lane: Lane) -> None:
    """Refused, nothing committed, and the claim is still good for its own session."""
    await store.enqueue_queued_work(batch())
    done = (await _held(store, lane)).completion()

    foreign = done.but(session_id="s2", batch_ids=())
    await refused(QueuedWorkClaimSuperseded, _complete(store, lane, foreign), claim_id=done.claim_id)

    assert await store.load_session(FullGraph()) is None
    await _complete(store, lane, done)
    assert await store.list_queued_work("s1") == ()
