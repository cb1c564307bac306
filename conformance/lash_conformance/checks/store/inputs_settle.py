"""Pending turn input: abandon and complete (INP.18 to INP.20, INP.42, INP.43)."""

from lash_conformance.bench import Lane
from lash_conformance.check import check
from lash_conformance.claims import claim_active, claim_next, complete_inputs, inputs_of, waiting
from lash_conformance.vocabulary import during, refused, said, turn
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import (
    TurnInputClaimSuperseded,
)
from lash_ref.nodes import FullGraph


@check("INP.18")
async def abandon_returns_accepted_input_to_pending(store: RuntimePersistence, lane: Lane) -> None:
    """The turn may take it again."""
    await store.enqueue_pending_turn_input(said(input_id="i1", ingress=during("t1")))
    claim = await claim_active(store, lane)
    assert claim is not None

    await store.abandon_turn_input_claim(claim)

    listed = await store.list_pending_turn_inputs("s1")
    assert [(waiting.input_id, waiting.state) for waiting in listed] == [("i1", "pending_active")]
    assert inputs_of(await claim_active(store, lane)) == ["i1"]


@check("INP.18")
async def abandon_returns_next_turn_input_to_the_listing(store: RuntimePersistence, lane: Lane) -> None:
    """Two claims, abandoned together."""
    for name in "ab":
        await store.enqueue_pending_turn_input(said(input_id=name))
    claims = [await claim_next(store, lane, most=1), await claim_next(store, lane, most=1)]

    await store.abandon_turn_input_claims([claim for claim in claims if claim is not None])

    assert await waiting(store) == ["a", "b"]


@check("INP.18")
async def abandon_of_a_claim_taken_over_changes_nothing(store: RuntimePersistence, lane: Lane) -> None:
    """The input is held by the new generation."""
    await store.enqueue_pending_turn_input(said())
    old = await claim_next(store, lane)
    await lane.hand_over()
    await claim_next(store, lane)
    assert old is not None

    await store.abandon_turn_input_claim(old)

    assert await waiting(store) == []


@check("INP.19")
async def a_completed_input_stays_as_completed(store: RuntimePersistence, lane: Lane) -> None:
    """Not listed, but known."""
    await store.enqueue_pending_turn_input(said(input_id="i1"))
    await complete_inputs(store, lane, await claim_next(store, lane))

    outcome = await store.cancel_pending_turn_input("s1", "i1")

    assert outcome.outcome == "already_completed"
    assert outcome.data.state == "completed"
    assert await waiting(store) == []


@check("INP.20")
async def a_stale_completion_leaves_the_live_claim(store: RuntimePersistence, lane: Lane) -> None:
    """The old holder commits under a live fence and is refused; the new one can complete."""
    await store.enqueue_pending_turn_input(said())
    old = await claim_next(store, lane)
    await lane.hand_over()
    new = await claim_next(store, lane)
    assert old is not None

    await refused(
        TurnInputClaimSuperseded, complete_inputs(store, lane, old), session_id="s1", claim_id=old.claim_id
    )
    await complete_inputs(store, lane, new)


@check("INP.20")
async def a_completion_with_a_wrong_token_or_session_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """Claim id alone, or another session's name."""
    await store.enqueue_pending_turn_input(said(input_id="i1"))
    claim = await claim_next(store, lane)
    assert claim is not None

    await refused(TurnInputClaimSuperseded, complete_inputs(store, lane, claim.but(lease_token="forged")))
    await refused(TurnInputClaimSuperseded, complete_inputs(store, lane, claim.but(session_id="s2")))
    assert (await store.cancel_pending_turn_input("s1", "i1")).outcome == "already_claimed"


@check("INP.20", "STO.20")
async def a_completion_stale_in_part_leaves_the_other_part(store: RuntimePersistence, lane: Lane) -> None:
    """The first input of the list is held, the second is not: the first can still be given back."""
    await store.enqueue_pending_turn_input(said(input_id="i1"))
    claim = await claim_next(store, lane)
    assert claim is not None
    late = claim.completion().but(input_ids=("i1", "gone"))

    attempt = store.commit_runtime_state(turn("t1", fence=lane, completed_turn_input_claims=(late,)))
    await refused(TurnInputClaimSuperseded, attempt, claim_id=claim.claim_id)

    assert (await store.cancel_pending_turn_input("s1", "i1")).outcome == "already_claimed"
    await store.abandon_turn_input_claim(claim)
    assert [one.input_id for one in await store.list_pending_turn_inputs("s1")] == ["i1"]


@check("INP.42")
async def an_input_completion_of_nothing_may_not_name_another_session(
    store: RuntimePersistence, lane: Lane
) -> None:
    """Refused, nothing committed, and the claim is still good for its own session."""
    await store.enqueue_pending_turn_input(said(input_id="i1"))
    claim = await claim_next(store, lane)
    assert claim is not None

    foreign = claim.but(session_id="s2", inputs=())
    await refused(TurnInputClaimSuperseded, complete_inputs(store, lane, foreign), claim_id=claim.claim_id)

    assert await store.load_session(FullGraph()) is None
    await complete_inputs(store, lane, claim)
    assert (await store.cancel_pending_turn_input("s1", "i1")).outcome == "already_completed"


@check("INP.43")
async def an_input_completion_of_nothing_settles_nothing(store: RuntimePersistence, lane: Lane) -> None:
    """The commit is applied, and the input is still held by its claim."""
    await store.enqueue_pending_turn_input(said(input_id="i1"))
    claim = await claim_next(store, lane)
    assert claim is not None

    await complete_inputs(store, lane, claim.but(inputs=()))

    assert (await store.cancel_pending_turn_input("s1", "i1")).outcome == "already_claimed"
    await complete_inputs(store, lane, claim, turn_id="t10")
