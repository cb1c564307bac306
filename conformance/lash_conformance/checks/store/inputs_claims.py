"""Pending turn input: claim (INP.11 to INP.17, INP.21 to INP.23, INP.44)."""

import asyncio

from lash_conformance.bench import Bench, Lane
from lash_conformance.check import check
from lash_conformance.claims import claim_active, claim_next, complete_inputs, inputs_of, waiting
from lash_conformance.vocabulary import batch, by_id, during, refused, said
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import (
    SessionExecutionLeaseExpired,
)
from lash_ref.inputs import (
    NextTurn,
)


@check("INP.11")
async def a_next_claim_takes_deferred_inputs_in_order(store: RuntimePersistence, lane: Lane) -> None:
    """At most two of three, and they stay deferred."""
    for name in "cab":
        await store.enqueue_pending_turn_input(said(input_id=name))

    claim = await claim_next(store, lane, most=2)

    assert inputs_of(claim) == ["c", "a"]
    assert claim is not None
    assert {held.state for held in claim.inputs} == {"deferred_next_turn"}
    assert claim.mode.kind == "next_turn"


@check("INP.11")
async def a_next_claim_leaves_active_input_alone(store: RuntimePersistence, lane: Lane) -> None:
    """It waits for its own turn; and at most 0 is nothing."""
    await store.enqueue_pending_turn_input(said(ingress=during("t1")))
    assert await claim_next(store, lane) is None

    await store.enqueue_pending_turn_input(said())

    assert await claim_next(store, lane, most=0) is None


@check("INP.12")
async def an_active_claim_takes_its_own_turns_input(store: RuntimePersistence, lane: Lane) -> None:
    """Accepted, in order; another turn's and the next turn's stay."""
    for name, ingress in (("a", during("t1")), ("b", during("t2")), ("c", NextTurn()), ("d", during("t1"))):
        await store.enqueue_pending_turn_input(said(input_id=name, ingress=ingress))

    claim = await claim_active(store, lane)

    assert inputs_of(claim) == ["a", "d"]
    assert claim is not None
    assert {held.state for held in claim.inputs} == {"accepted"}
    assert await waiting(store) == ["b", "c"]


@check("INP.12")
async def an_active_claim_obeys_its_maximum(store: RuntimePersistence, lane: Lane) -> None:
    """One of two, then the other, then nothing."""
    for name in "ab":
        await store.enqueue_pending_turn_input(said(input_id=name, ingress=during("t1")))

    claims = [inputs_of(await claim_active(store, lane, most=1)) for _ in range(3)]

    assert claims == [["a"], ["b"], []]


@check("INP.13")
async def after_work_input_is_admitted_at_both_checkpoints(store: RuntimePersistence, lane: Lane) -> None:
    """One is taken after work, one before completion."""
    await store.enqueue_pending_turn_input(said(input_id="a", ingress=during("t1")))
    assert inputs_of(await claim_active(store, lane, at="after_work")) == ["a"]

    await store.enqueue_pending_turn_input(said(input_id="b", ingress=during("t1")))

    assert inputs_of(await claim_active(store, lane, at="before_completion")) == ["b"]


@check("INP.14")
async def before_completion_input_waits_for_its_checkpoint(store: RuntimePersistence, lane: Lane) -> None:
    """After work it is not admitted, and does not block what follows it."""
    late = during("t1", "before_completion")
    await store.enqueue_pending_turn_input(said(input_id="late", ingress=late))
    await store.enqueue_pending_turn_input(said(input_id="soon", ingress=during("t1")))

    assert inputs_of(await claim_active(store, lane, at="after_work")) == ["soon"]
    assert inputs_of(await claim_active(store, lane, at="before_completion")) == ["late"]


@check("INP.14")
async def a_checkpoint_claim_obeys_the_boundary_too(store: RuntimePersistence, lane: Lane) -> None:
    """The combined claim admits what the single one does."""
    late = during("t1", "before_completion")
    await store.enqueue_pending_turn_input(said(input_id="late", ingress=late))
    await store.enqueue_queued_work(batch())

    first = await store.claim_checkpoint_work("s1", lane.fence, lane.owner, "t1", "after_work", 5, 5)
    second = await store.claim_checkpoint_work("s1", lane.fence, lane.owner, "t1", "before_completion", 5, 5)

    assert first.turn_input_claim is None
    assert inputs_of(second.turn_input_claim) == ["late"]


@check("INP.15")
async def a_live_claims_input_is_not_granted_again(store: RuntimePersistence, lane: Lane) -> None:
    """The same generation asks twice."""
    await store.enqueue_pending_turn_input(said(input_id="i1"))
    assert inputs_of(await claim_next(store, lane)) == ["i1"]

    assert await claim_next(store, lane) is None


@check("INP.16")
async def a_later_generation_takes_over_deferred_input(store: RuntimePersistence, lane: Lane) -> None:
    """With a higher number and its own generation."""
    await store.enqueue_pending_turn_input(said(input_id="i1"))
    old = await claim_next(store, lane)
    await lane.hand_over()

    new = await claim_next(store, lane)

    assert old is not None
    assert new is not None
    assert inputs_of(new) == ["i1"]
    assert new.fencing_token > old.fencing_token
    assert old.session_lease_generation == 1
    assert new.session_lease_generation == lane.fence.fencing_token


@check("INP.16", needs=("durable",))
async def numbers_of_claims_go_on_after_reopening(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """Five generations, each after another opening, take one input in turn."""
    await store.enqueue_pending_turn_input(said(input_id="i1"))
    numbers: list[int] = []
    for _ in range(5):
        claim = await claim_next(store, lane)
        assert claim is not None
        numbers.append(claim.fencing_token)
        lane.store = store = await bench.session(on=await bench.reopen())
        await lane.hand_over()

    assert numbers == sorted(set(numbers))


@check("INP.21")
async def finished_input_is_not_claimable(store: RuntimePersistence, lane: Lane) -> None:
    """Cancelled or completed, in this generation or a later one."""
    await store.enqueue_pending_turn_input(said(input_id="a"))
    await complete_inputs(store, lane, await claim_next(store, lane))
    await store.enqueue_pending_turn_input(said(input_id="b"))
    await store.cancel_pending_turn_input("s1", "b")

    assert await claim_next(store, lane) is None
    await lane.hand_over()
    assert await claim_next(store, lane) is None


@check("INP.22")
async def claiming_needs_a_live_fence(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """Released, or another session's."""
    await store.enqueue_pending_turn_input(said(input_id="i1"))
    await store.enqueue_pending_turn_input(said(input_id="i2", ingress=during("t1")))
    other = await bench.lane(store, "s2")

    await refused(SessionExecutionLeaseExpired, claim_next(store, other), session_id="s1")
    await lane.release()
    await refused(SessionExecutionLeaseExpired, claim_next(store, lane))
    await refused(SessionExecutionLeaseExpired, claim_active(store, lane))
    assert await waiting(store) == ["i1", "i2"]


@check("INP.44")
async def a_claim_of_no_inputs_grants_nothing(store: RuntimePersistence, lane: Lane) -> None:
    """Under a live fence and under a dead one; the inputs wait on."""
    await store.enqueue_pending_turn_input(said(input_id="i1"))
    await store.enqueue_pending_turn_input(said(input_id="i2", ingress=during("t1")))

    for _ in range(2):
        assert await store.claim_next_turn_inputs("s1", lane.fence, lane.owner, 0) is None
        assert await store.claim_active_turn_inputs("s1", lane.fence, lane.owner, "t1", "after_work", 0) is None
        await lane.release()
    assert await waiting(store) == ["i1", "i2"]


@check("INP.23")
async def one_of_four_concurrent_claims_wins(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """Two handles, four claims, one input."""
    other = await bench.session()
    await store.enqueue_pending_turn_input(said())

    claims = await asyncio.gather(*(claim_next(one, lane) for one in (store, other, store, other)))

    assert sorted(len(inputs_of(claim)) for claim in claims) == [0, 0, 0, 1]


@check("INP.23")
async def cancel_and_claim_at_once_have_one_winner(
    bench: Bench, store: RuntimePersistence, lane: Lane
) -> None:
    """Either the input is cancelled or it is claimed, never both."""
    other = await bench.session()
    await store.enqueue_pending_turn_input(said(input_id="i1"))

    claim, outcomes = await asyncio.gather(
        claim_next(store, lane), other.cancel_pending_turn_inputs("s1", (by_id("i1"),))
    )

    pair = (inputs_of(claim), outcomes[0].outcome.outcome)
    assert pair in ((["i1"], "already_claimed"), ([], "cancelled"))
