"""Queued work: enqueue and list (QUE.1 to QUE.9, QUE.30, QUE.31)."""

import asyncio

from lash_conformance.bench import Bench, Lane
from lash_conformance.check import check
from lash_conformance.claims import claim_work
from lash_conformance.vocabulary import batch, command, refused, said, task, turn
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import InvalidRecord
from lash_ref.work import Group, QueuedWorkPayload


@check("QUE.1")
async def a_batch_is_answered_with_its_items_in_order(store: RuntimePersistence) -> None:
    """Every field of the draft, an id a batch and an item."""
    draft = batch(task("a"), task("b"), source_key="k", slot_policy="join", merge_key=Group(group="g"))

    made = await store.enqueue_queued_work(draft.but(available_at_ms=5))

    assert tuple(item.payload for item in made.items) == (task("a"), task("b"))
    assert len({made.batch_id, *(item.item_id for item in made.items)}) == 3
    assert (made.source_key, made.slot_policy, made.merge_key) == ("k", "join", Group(group="g"))
    assert (made.session_id, made.delivery_policy, made.available_at_ms) == (
        "s1",
        "earliest_safe_boundary",
        5,
    )
    assert await store.list_queued_work("s1") == (made,)


@check("QUE.57", needs=("clock",))
async def work_and_input_say_when_they_came(bench: Bench, store: RuntimePersistence) -> None:
    """To the millisecond, whenever they may be taken."""
    await bench.pass_time(1234)

    made = await store.enqueue_queued_work(batch(available_at_ms=5))
    spoken = await store.enqueue_pending_turn_input(said())

    assert (made.enqueued_at_ms, spoken.enqueued_at_ms) == (bench.clock.now_ms(),) * 2
    await bench.pass_time(1)
    assert (await store.list_queued_work("s1"), await store.list_pending_turn_inputs("s1")) == ((made,), (spoken,))


@check("QUE.2")
async def sequences_only_grow(store: RuntimePersistence) -> None:
    """Twelve batches, another session's between them, and one cancelled in the middle."""
    made = [await store.enqueue_queued_work(batch(task(str(number)))) for number in range(6)]
    await store.enqueue_queued_work(batch(session_id="s2"))
    await store.cancel_queued_work_batch("s1", made[5].batch_id)
    made += [await store.enqueue_queued_work(batch(task(str(number)))) for number in range(6, 12)]

    sequences = [one.enqueue_seq for one in made]
    assert sequences == sorted(set(sequences))


@check("QUE.31")
async def listings_follow_the_enqueue_sequence(store: RuntimePersistence) -> None:
    """Twelve batches, listed in the order they came."""
    made = [await store.enqueue_queued_work(batch(task(str(number)))) for number in range(12)]

    assert await store.list_queued_work("s1") == tuple(made)
    assert await store.list_pending_queued_work("s1") == tuple(made)


@check("QUE.3")
async def a_repeated_key_answers_the_first_batch(store: RuntimePersistence) -> None:
    """The repeat carries another payload and policy; neither counts."""
    first = await store.enqueue_queued_work(batch(task("first"), source_key="k"))

    again = await store.enqueue_queued_work(
        batch(task("again"), source_key="k", slot_policy="join", delivery_policy="after_current_turn_commit")
    )

    assert again == first
    assert await store.list_queued_work("s1") == (first,)


@check("QUE.3")
async def a_key_is_remembered_while_its_batch_is_claimed(store: RuntimePersistence, lane: Lane) -> None:
    """Held, abandoned and held again, the row still answers its key."""
    first = await store.enqueue_queued_work(batch(source_key="k"))
    held = await claim_work(store, lane)
    assert held is not None
    assert await store.enqueue_queued_work(batch(source_key="k")) == first

    await store.abandon_queued_work_claim(held)

    assert await store.enqueue_queued_work(batch(source_key="k")) == first


@check("QUE.4")
async def keys_are_scoped_to_their_session(store: RuntimePersistence) -> None:
    """The same key of another session is another batch."""
    first = await store.enqueue_queued_work(batch(source_key="k"))
    other = await store.enqueue_queued_work(batch(source_key="k", session_id="s2"))

    assert first.batch_id != other.batch_id
    assert await store.list_queued_work("s2") == (other,)


@check("QUE.5")
async def a_key_is_free_after_completion(store: RuntimePersistence, lane: Lane) -> None:
    """The event may wake the session again."""
    first = await store.enqueue_queued_work(batch(source_key="k"))
    held = await claim_work(store, lane)
    assert held is not None
    await store.commit_runtime_state(turn("t1", fence=lane, completed_queue_claims=(held.completion(),)))

    again = await store.enqueue_queued_work(batch(source_key="k"))

    assert again.batch_id != first.batch_id


@check("QUE.5")
async def a_key_is_free_after_cancellation(store: RuntimePersistence) -> None:
    """A cancelled batch leaves no memory."""
    first = await store.enqueue_queued_work(batch(source_key="k"))
    await store.cancel_queued_work_batch("s1", first.batch_id)

    again = await store.enqueue_queued_work(batch(source_key="k"))

    assert again.batch_id != first.batch_id


@check("QUE.6")
async def concurrent_enqueues_of_one_key_answer_one_batch(bench: Bench, store: RuntimePersistence) -> None:
    """Five deliverers, two handles, one batch."""
    other = await bench.session()
    stores = [store, other, store, other, store]

    made = await asyncio.gather(
        *(one.enqueue_queued_work(batch(task(str(n)), source_key="k")) for n, one in enumerate(stores))
    )

    assert len({one.batch_id for one in made}) == 1
    assert await store.list_queued_work("s1") == (made[0],)


@check("QUE.7")
async def other_sessions_are_not_listed_or_claimed(store: RuntimePersistence, lane: Lane) -> None:
    """The queue of "s2" is not that of "s1", nor the other way round."""
    other = await store.enqueue_queued_work(batch(session_id="s2"))

    assert await store.list_queued_work("s1") == ()
    assert await store.list_pending_queued_work("s1") == ()
    assert await claim_work(store, lane) is None
    assert await store.cancel_queued_work_batch("s1", other.batch_id) is None


@check("QUE.8")
async def anyone_may_enqueue(store: RuntimePersistence, lane: Lane) -> None:
    """While another holds the lane, and after it was given back."""
    await store.enqueue_queued_work(batch())
    await lane.release()
    await store.enqueue_queued_work(batch())

    assert len(await store.list_queued_work("s1")) == 2


@check("QUE.9", needs=("durable",))
async def batches_survive_reopening(bench: Bench, store: RuntimePersistence) -> None:
    """Order, keys and payloads included."""
    made = [await store.enqueue_queued_work(batch(task(text), source_key=text)) for text in "ab"]

    again = await bench.session(on=await bench.reopen())

    assert await again.list_queued_work("s1") == tuple(made)
    assert await again.enqueue_queued_work(batch(source_key="a")) == made[0]


@check("QUE.30")
async def a_batch_without_payloads_is_refused(store: RuntimePersistence) -> None:
    """No claim could ever take it."""
    await refused(InvalidRecord, store.enqueue_queued_work(batch().but(payloads=())))

    assert await store.list_queued_work("s1") == ()


@check("QUE.30")
async def a_batch_of_both_classes_is_refused(store: RuntimePersistence) -> None:
    """Turn work and a command in one batch."""
    mixed: tuple[QueuedWorkPayload, ...] = (task(), command())

    await refused(InvalidRecord, store.enqueue_queued_work(batch().but(payloads=mixed)))

    assert await store.list_queued_work("s1") == ()


@check("QUE.30")
async def an_outbox_with_an_empty_batch_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """The whole commit, and the good draft beside it."""
    drafts = (batch(), batch().but(payloads=()))

    attempt = store.commit_runtime_state(turn("t1", fence=lane, enqueued_queue_batches=drafts))

    await refused(InvalidRecord, attempt)
    assert await store.list_queued_work("s1") == ()
