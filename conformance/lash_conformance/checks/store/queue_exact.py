"""Queued work: claims of named batches (QUE.25 to QUE.27, QUE.33)."""

from lash_conformance.bench import Lane
from lash_conformance.check import check
from lash_conformance.claims import batches_of, claim_exactly, joining
from lash_conformance.vocabulary import batch, command
from lash_ref.contracts import RuntimePersistence
from lash_ref.work import Group


@check("QUE.25", "QUE.26")
async def an_exact_claim_takes_what_it_names(store: RuntimePersistence, lane: Lane) -> None:
    """The second of three, past the first."""
    made = [await store.enqueue_queued_work(batch()) for _ in range(3)]

    assert batches_of(await claim_exactly(store, lane, made[1])) == [made[1].batch_id]
    assert await store.list_pending_queued_work("s1") == (made[0], made[2])


@check("QUE.26")
async def an_exact_claim_passes_a_command(store: RuntimePersistence, lane: Lane) -> None:
    """Its caller chose to."""
    await store.enqueue_queued_work(batch(command()))
    chosen = await store.enqueue_queued_work(batch())

    assert batches_of(await claim_exactly(store, lane, chosen)) == [chosen.batch_id]


@check("QUE.25")
async def an_exact_claim_with_a_missing_id_grants_nothing(store: RuntimePersistence, lane: Lane) -> None:
    """One of two is unknown."""
    made = await store.enqueue_queued_work(joining())

    assert await claim_exactly(store, lane, made, made.but(batch_id="unknown")) is None
    assert await store.list_pending_queued_work("s1") == (made,)


@check("QUE.25")
async def an_exact_claim_with_a_held_id_grants_nothing(store: RuntimePersistence, lane: Lane) -> None:
    """One of two is held by this generation."""
    made = [await store.enqueue_queued_work(joining()) for _ in range(2)]
    await claim_exactly(store, lane, made[0])

    assert await claim_exactly(store, lane, *made) is None
    assert await store.list_pending_queued_work("s1") == (made[1],)


@check("QUE.25")
async def an_exact_claim_of_a_future_batch_grants_nothing(store: RuntimePersistence, lane: Lane) -> None:
    """Naming it does not make it ready."""
    made = await store.enqueue_queued_work(batch(available_at_ms=2**62))

    assert await claim_exactly(store, lane, made) is None


@check("QUE.25")
async def an_exact_claim_of_a_command_grants_nothing(store: RuntimePersistence, lane: Lane) -> None:
    """Commands are not turn work."""
    made = await store.enqueue_queued_work(batch(command()))

    assert await claim_exactly(store, lane, made) is None


@check("QUE.25")
async def an_exact_claim_of_two_groups_grants_nothing(store: RuntimePersistence, lane: Lane) -> None:
    """Two exclusives, or joins of two keys, are no one group."""
    lone = [await store.enqueue_queued_work(batch()) for _ in range(2)]
    joins = [await store.enqueue_queued_work(joining(merge_key=Group(group=key))) for key in "gh"]

    assert await claim_exactly(store, lane, *lone) is None
    assert await claim_exactly(store, lane, *joins) is None


@check("QUE.25", "QUE.33")
async def an_exact_claim_takes_joins_apart_from_each_other(store: RuntimePersistence, lane: Lane) -> None:
    """An exclusive batch lies between; the caller named only the joins, and is granted them in its own order."""
    first = await store.enqueue_queued_work(joining("a"))
    await store.enqueue_queued_work(batch())
    last = await store.enqueue_queued_work(joining("c"))

    assert batches_of(await claim_exactly(store, lane, last, first)) == [last.batch_id, first.batch_id]


@check("QUE.25")
async def an_exact_claim_obeys_the_boundary(store: RuntimePersistence, lane: Lane) -> None:
    """After-commit work does not come at a checkpoint, named or not."""
    made = await store.enqueue_queued_work(batch(delivery_policy="after_current_turn_commit"))

    assert await claim_exactly(store, lane, made, boundary="active_turn_checkpoint") is None
    assert batches_of(await claim_exactly(store, lane, made)) == [made.batch_id]


@check("QUE.27")
async def repeated_ids_of_an_exact_claim_are_one(store: RuntimePersistence, lane: Lane) -> None:
    """The list names a set."""
    made = await store.enqueue_queued_work(batch())

    assert batches_of(await claim_exactly(store, lane, made, made)) == [made.batch_id]
