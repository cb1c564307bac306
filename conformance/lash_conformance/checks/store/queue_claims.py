"""Queued work: claim (QUE.10 to QUE.34, but for QUE.30 and QUE.31)."""

import asyncio
from typing import Any

from lash_conformance.bench import Bench, Lane
from lash_conformance.check import check
from lash_conformance.claims import batches_of, claim_command, claim_exactly, claim_work, joining
from lash_conformance.vocabulary import batch, command, during, refused, said, task
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import InvalidRecord, SessionExecutionLeaseExpired
from lash_ref.work import Group


@check("QUE.10")
async def a_claim_under_a_dead_fence_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """All three claims, after the lane was given back; the work stays."""
    made = await store.enqueue_queued_work(batch())
    await lane.release()

    await refused(SessionExecutionLeaseExpired, claim_work(store, lane), session_id="s1")
    await refused(SessionExecutionLeaseExpired, claim_command(store, lane))
    await refused(SessionExecutionLeaseExpired, claim_exactly(store, lane, made))
    assert await store.list_pending_queued_work("s1") == (made,)


@check("QUE.10")
async def a_claim_under_a_fence_of_another_session_is_refused(
    bench: Bench, store: RuntimePersistence
) -> None:
    """A live lease on "s2" does not open the queue of "s1"."""
    await store.enqueue_queued_work(batch())
    other = await bench.lane(store, "s2")

    await refused(SessionExecutionLeaseExpired, claim_work(store, other), session_id="s1")


@check("QUE.10")
async def a_claim_under_an_expired_fence_is_refused(bench: Bench, store: RuntimePersistence) -> None:
    """The time is up, though nobody else came."""
    await store.enqueue_queued_work(batch())
    lane = await bench.lane(store, ttl=bench.ttl)
    await lane.expire()

    await refused(SessionExecutionLeaseExpired, claim_work(store, lane))


@check("QUE.11")
async def a_claim_of_nothing_grants_nothing(store: RuntimePersistence, lane: Lane) -> None:
    """At most 0, or an empty list; under a dead fence as under a live one."""
    await store.enqueue_queued_work(batch())

    assert await claim_work(store, lane, most=0) is None
    assert await claim_exactly(store, lane) is None
    await lane.release()
    assert await claim_work(store, lane, most=0) is None
    assert await claim_exactly(store, lane) is None
    assert len(await store.list_pending_queued_work("s1")) == 1


@check("QUE.56")
async def a_claim_at_an_unknown_boundary_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """In any claim that names one; the batch stays free."""
    made = await store.enqueue_queued_work(batch())
    sometime: Any = "sometime"

    for attempt in (
        store.claim_ready_queued_work("s1", lane.fence, lane.owner, sometime, 1),
        claim_exactly(store, lane, made, boundary=sometime),
        store.claim_checkpoint_work("s1", lane.fence, lane.owner, "t1", sometime, 1, 1),
    ):
        await refused(InvalidRecord, attempt)

    assert await store.list_pending_queued_work("s1") == (made,)


@check("QUE.12")
async def a_claim_answers_the_batch_and_hides_it(store: RuntimePersistence, lane: Lane) -> None:
    """The claim carries the whole batch and the claimant."""
    made = await store.enqueue_queued_work(batch())

    held = await claim_work(store, lane)

    assert held is not None
    assert (held.session_id, held.owner, held.batches) == ("s1", lane.owner, (made,))
    assert await store.list_pending_queued_work("s1") == ()


@check("QUE.12")
async def a_claim_of_a_dead_generation_does_not_hold(store: RuntimePersistence, lane: Lane) -> None:
    """After a takeover the batch can be claimed again."""
    made = await store.enqueue_queued_work(batch())
    await claim_work(store, lane)
    await lane.hand_over()

    assert batches_of(await claim_work(store, lane)) == [made.batch_id]


@check("QUE.13", needs=("clock",))
async def a_future_batch_is_skipped_until_its_time(
    bench: Bench, store: RuntimePersistence, lane: Lane
) -> None:
    """It does not block the later one, and is claimable in its own millisecond."""
    soon = bench.clock.now_ms() + 100
    future = await store.enqueue_queued_work(batch(available_at_ms=soon))
    ready = await store.enqueue_queued_work(batch())
    assert batches_of(await claim_work(store, lane)) == [ready.batch_id]
    assert await claim_work(store, lane) is None

    await bench.pass_time(100)

    assert batches_of(await claim_work(store, lane)) == [future.batch_id]


@check("QUE.13")
async def a_batch_for_the_end_of_time_is_not_ready(store: RuntimePersistence, lane: Lane) -> None:
    """The largest time there is lies in the future."""
    await store.enqueue_queued_work(batch(available_at_ms=2**63 - 1))

    assert await claim_work(store, lane) is None


@check("QUE.14")
async def a_held_batch_does_not_block_later_ones(store: RuntimePersistence, lane: Lane) -> None:
    """The same turn claims twice and gets two batches, then none."""
    made = [await store.enqueue_queued_work(batch()) for _ in range(2)]

    claims = [batches_of(await claim_work(store, lane)) for _ in range(3)]

    assert claims == [[made[0].batch_id], [made[1].batch_id], []]


@check("QUE.15")
async def sixty_held_batches_hide_no_later_one(store: RuntimePersistence, lane: Lane) -> None:
    """However many are held, the one after them is reached."""
    for number in range(60):
        await store.enqueue_queued_work(joining(str(number)))
    held = await claim_work(store, lane, most=60)
    last = await store.enqueue_queued_work(batch(task("last")))

    assert len(batches_of(held)) == 60
    assert batches_of(await claim_work(store, lane, most=1)) == [last.batch_id]


@check("QUE.16")
async def a_command_at_the_head_blocks_turn_work(store: RuntimePersistence, lane: Lane) -> None:
    """The task waits until the command was taken."""
    first = await store.enqueue_queued_work(batch(command()))
    second = await store.enqueue_queued_work(batch())
    assert await claim_work(store, lane) is None

    assert batches_of(await claim_command(store, lane)) == [first.batch_id]
    assert batches_of(await claim_work(store, lane)) == [second.batch_id]


@check("QUE.17")
async def a_command_is_claimed_from_the_head_only(store: RuntimePersistence, lane: Lane) -> None:
    """Behind a task it has to wait."""
    await store.enqueue_queued_work(batch())
    await store.enqueue_queued_work(batch(command()))

    assert await claim_command(store, lane) is None


@check("QUE.17")
async def commands_are_claimed_one_at_a_time(store: RuntimePersistence, lane: Lane) -> None:
    """Even joins of one key."""
    made = [await store.enqueue_queued_work(batch(command(text), slot_policy="join")) for text in ("a", "b")]

    assert batches_of(await claim_command(store, lane)) == [made[0].batch_id]
    assert batches_of(await claim_command(store, lane)) == [made[1].batch_id]


@check("QUE.18")
async def an_after_commit_head_waits_at_a_checkpoint(store: RuntimePersistence, lane: Lane) -> None:
    """And the earlier-deliverable batch behind it waits with it, until the lane is idle."""
    late = await store.enqueue_queued_work(batch(delivery_policy="after_current_turn_commit"))
    await store.enqueue_queued_work(batch())

    assert await claim_work(store, lane, boundary="active_turn_checkpoint") is None
    assert batches_of(await claim_work(store, lane)) == [late.batch_id]


@check("QUE.34")
async def an_earliest_head_is_claimed_at_a_checkpoint(store: RuntimePersistence, lane: Lane) -> None:
    """It asked to be."""
    made = await store.enqueue_queued_work(batch())

    assert batches_of(await claim_work(store, lane, boundary="active_turn_checkpoint")) == [made.batch_id]


@check("QUE.19")
async def idle_admits_both_policies(store: RuntimePersistence, lane: Lane) -> None:
    """First one, then the other."""
    late = await store.enqueue_queued_work(batch(delivery_policy="after_current_turn_commit"))
    early = await store.enqueue_queued_work(batch())

    assert batches_of(await claim_work(store, lane)) == [late.batch_id]
    assert batches_of(await claim_work(store, lane)) == [early.batch_id]


@check("QUE.20")
async def an_exclusive_head_is_claimed_alone(store: RuntimePersistence, lane: Lane) -> None:
    """Though the maximum would allow more, and a join follows."""
    first = await store.enqueue_queued_work(batch())
    await store.enqueue_queued_work(joining())

    assert batches_of(await claim_work(store, lane)) == [first.batch_id]


@check("QUE.21")
async def joins_are_claimed_together_up_to_the_maximum(store: RuntimePersistence, lane: Lane) -> None:
    """Five joins, at most three."""
    made = [await store.enqueue_queued_work(joining(str(n), merge_key="payload_default")) for n in range(5)]

    assert batches_of(await claim_work(store, lane, most=3)) == [one.batch_id for one in made[:3]]


@check("QUE.21")
async def a_group_ends_at_another_merge_key(store: RuntimePersistence, lane: Lane) -> None:
    """g, g, h, g: the last one does not join across the break."""
    keys = [Group(group="g"), Group(group="g"), Group(group="h"), Group(group="g")]
    made = [await store.enqueue_queued_work(joining(merge_key=key)) for key in keys]

    assert batches_of(await claim_work(store, lane)) == [made[0].batch_id, made[1].batch_id]


@check("QUE.21")
async def a_group_ends_at_another_delivery_policy(store: RuntimePersistence, lane: Lane) -> None:
    """Equal keys do not bridge policies."""
    first = await store.enqueue_queued_work(joining())
    await store.enqueue_queued_work(joining(delivery_policy="after_current_turn_commit"))

    assert batches_of(await claim_work(store, lane)) == [first.batch_id]


@check("QUE.21")
async def a_group_ends_at_an_exclusive_batch(store: RuntimePersistence, lane: Lane) -> None:
    """The exclusive one asked for a turn of its own."""
    first = await store.enqueue_queued_work(joining())
    await store.enqueue_queued_work(batch())
    await store.enqueue_queued_work(joining())

    assert batches_of(await claim_work(store, lane)) == [first.batch_id]


@check("QUE.21")
async def a_group_ends_at_a_command(store: RuntimePersistence, lane: Lane) -> None:
    """A command between two joins parts them."""
    first = await store.enqueue_queued_work(joining())
    await store.enqueue_queued_work(batch(command(), slot_policy="join"))
    await store.enqueue_queued_work(joining())

    assert batches_of(await claim_work(store, lane)) == [first.batch_id]


@check("QUE.22")
async def joins_with_the_key_never_group(store: RuntimePersistence, lane: Lane) -> None:
    """Never equals never."""
    made = [await store.enqueue_queued_work(joining(merge_key="never")) for _ in range(2)]

    assert batches_of(await claim_work(store, lane)) == [one.batch_id for one in made]


@check("QUE.23")
async def a_claim_records_its_generation(store: RuntimePersistence, lane: Lane) -> None:
    """The number of the fence it was made under, before and after a takeover."""
    await store.enqueue_queued_work(batch())
    before = lane.fence.fencing_token
    first = await claim_work(store, lane)
    await lane.hand_over()
    second = await claim_work(store, lane)

    assert first is not None
    assert second is not None
    assert first.session_lease_generation == before
    assert second.session_lease_generation == lane.fence.fencing_token


@check("QUE.32")
async def a_re_claim_raises_the_number(store: RuntimePersistence, lane: Lane) -> None:
    """Claimed, abandoned, claimed, taken over: the number only grows."""
    await store.enqueue_queued_work(batch())
    first = await claim_work(store, lane)
    assert first is not None
    await store.abandon_queued_work_claim(first)
    second = await claim_work(store, lane)
    await lane.hand_over()
    third = await claim_work(store, lane)

    assert second is not None
    assert third is not None
    assert first.fencing_token < second.fencing_token < third.fencing_token


@check("QUE.32")
async def a_group_is_numbered_above_each_of_its_batches(store: RuntimePersistence, lane: Lane) -> None:
    """The second of two joins was claimed and let go twice before."""
    made = [await store.enqueue_queued_work(joining(text)) for text in "ab"]
    first = await claim_exactly(store, lane, made[1])
    assert first is not None
    await store.abandon_queued_work_claim(first)
    second = await claim_exactly(store, lane, made[1])
    assert second is not None
    await store.abandon_queued_work_claim(second)

    both = await claim_work(store, lane)

    assert both is not None
    assert both.batches == tuple(made)
    assert both.fencing_token > second.fencing_token > first.fencing_token


@check("QUE.24")
async def one_of_four_concurrent_claims_wins(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """Two handles, four claims, one batch."""
    other = await bench.session()
    await store.enqueue_queued_work(batch())

    claims = await asyncio.gather(*(claim_work(one, lane) for one in (store, other, store, other)))

    assert sorted(len(batches_of(claim)) for claim in claims) == [0, 0, 0, 1]


@check("QUE.24")
async def a_join_group_goes_to_one_claimant(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """A claim is all or nothing."""
    other = await bench.session()
    made = [await store.enqueue_queued_work(joining(str(n))) for n in range(3)]

    claims = await asyncio.gather(claim_work(store, lane), claim_work(other, lane))

    assert sorted((batches_of(claim) for claim in claims), key=len) == [[], [one.batch_id for one in made]]


@check("QUE.28")
async def a_checkpoint_grants_both_families_once(store: RuntimePersistence, lane: Lane) -> None:
    """The first claim takes both, the second finds nothing."""
    work = await store.enqueue_queued_work(batch())
    sent = await store.enqueue_pending_turn_input(said(ingress=during("t1")))

    first = await store.claim_checkpoint_work("s1", lane.fence, lane.owner, "t1", "after_work", 5, 5)
    second = await store.claim_checkpoint_work("s1", lane.fence, lane.owner, "t1", "after_work", 5, 5)

    assert first.turn_input_claim is not None
    assert [held.input_id for held in first.turn_input_claim.inputs] == [sent.input_id]
    assert batches_of(first.queued_work_claim) == [work.batch_id]
    assert (second.turn_input_claim, second.queued_work_claim) == (None, None)


@check("QUE.28")
async def a_checkpoint_obeys_its_two_limits(store: RuntimePersistence, lane: Lane) -> None:
    """At most two inputs, at most one batch."""
    for number in range(3):
        await store.enqueue_queued_work(joining(str(number)))
        await store.enqueue_pending_turn_input(said(ingress=during("t1")))

    work = await store.claim_checkpoint_work("s1", lane.fence, lane.owner, "t1", "after_work", 2, 1)

    assert work.turn_input_claim is not None
    assert len(work.turn_input_claim.inputs) == 2
    assert len(batches_of(work.queued_work_claim)) == 1


@check("QUE.29")
async def a_checkpoint_with_nothing_to_grant_does_not_judge_the_fence(
    store: RuntimePersistence, lane: Lane
) -> None:
    """With work it does."""
    await lane.release()
    nothing = await store.claim_checkpoint_work("s1", lane.fence, lane.owner, "t1", "after_work", 5, 5)
    assert (nothing.turn_input_claim, nothing.queued_work_claim) == (None, None)

    await store.enqueue_queued_work(batch())

    attempt = store.claim_checkpoint_work("s1", lane.fence, lane.owner, "t1", "after_work", 5, 5)
    await refused(SessionExecutionLeaseExpired, attempt)
