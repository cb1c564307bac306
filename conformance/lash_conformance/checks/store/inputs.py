"""Pending turn input: enqueue, claim, settle (INP.1 to INP.23)."""

import asyncio
from typing import Any

from lash_conformance.bench import Bench, Lane
from lash_conformance.check import check
from lash_conformance.vocabulary import batch, by_id, during, refused, said, turn
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import (
    DuplicateInputId,
    PendingTurnInputSourceKeyConflict,
    SessionExecutionLeaseExpired,
    TurnInputClaimSuperseded,
)
from lash_ref.inputs import (
    AttachmentItem,
    ExternalUrlSource,
    InlineSource,
    NextTurn,
    ProviderFileScope,
    ProviderFileSource,
    TextItem,
    TurnInput,
    TurnInputClaim,
)
from lash_ref.nodes import FullGraph
from lash_ref.scalars import Json
from lash_ref.work import ProtocolTurnOptions


async def _next(store: RuntimePersistence, lane: Lane, most: int = 10) -> TurnInputClaim | None:
    return await store.claim_next_turn_inputs("s1", lane.fence, lane.owner, most)


async def _active(
    store: RuntimePersistence, lane: Lane, turn_id: str = "t1", at: Any = "after_work", most: int = 10
) -> TurnInputClaim | None:
    return await store.claim_active_turn_inputs("s1", lane.fence, lane.owner, turn_id, at, most)


def _got(claim: TurnInputClaim | None) -> list[str]:
    return [] if claim is None else [held.input_id for held in claim.inputs]


async def _listed(store: RuntimePersistence) -> list[str]:
    return [waiting.input_id for waiting in await store.list_pending_turn_inputs("s1")]


async def _complete(
    store: RuntimePersistence, lane: Lane, claim: TurnInputClaim | None, turn_id: str = "t9"
) -> None:
    assert claim is not None, "there is input to claim"
    done = turn(turn_id, fence=lane, completed_turn_input_claims=(claim.completion(),))
    await store.commit_runtime_state(done)


@check("INP.1")
async def the_ingress_decides_the_state(store: RuntimePersistence) -> None:
    """Input for this turn is pending, for the next deferred."""
    now = await store.enqueue_pending_turn_input(said(ingress=during("t1")))
    later = await store.enqueue_pending_turn_input(said(ingress=NextTurn()))

    assert (now.state, later.state) == ("pending_active", "deferred_next_turn")


@check("INP.2")
async def a_given_id_is_kept_and_a_missing_one_minted(store: RuntimePersistence) -> None:
    """Two minted ids differ."""
    given = await store.enqueue_pending_turn_input(said(input_id="mine"))
    minted = [await store.enqueue_pending_turn_input(said()) for _ in range(2)]

    assert given.input_id == "mine"
    assert len({"mine", "", *(one.input_id for one in minted)}) == 4


@check("INP.3")
async def a_taken_id_is_refused(store: RuntimePersistence) -> None:
    """The first input stays as it was."""
    first = await store.enqueue_pending_turn_input(said("one", input_id="i1"))

    attempt = store.enqueue_pending_turn_input(said("two", input_id="i1"))

    await refused(DuplicateInputId, attempt, session_id="s1", input_id="i1")
    assert await store.list_pending_turn_inputs("s1") == (first,)


@check("INP.3")
async def the_id_of_a_cancelled_input_is_still_taken(store: RuntimePersistence) -> None:
    """A tombstone keeps its id."""
    await store.enqueue_pending_turn_input(said(input_id="i1"))
    await store.cancel_pending_turn_input("s1", "i1")

    await refused(DuplicateInputId, store.enqueue_pending_turn_input(said(input_id="i1")))


@check("INP.3")
async def one_id_may_serve_two_sessions(store: RuntimePersistence) -> None:
    """Ids are the session's own."""
    first = await store.enqueue_pending_turn_input(said("one", input_id="i1"))
    other = await store.enqueue_pending_turn_input(said("two", input_id="i1", session_id="s2"))

    assert await store.list_pending_turn_inputs("s1") == (first,)
    assert await store.list_pending_turn_inputs("s2") == (other,)


@check("INP.4")
async def a_repeat_answers_the_stored_input(store: RuntimePersistence) -> None:
    """Same key, ingress and content."""
    first = await store.enqueue_pending_turn_input(said(source_key="k"))

    assert await store.enqueue_pending_turn_input(said(source_key="k")) == first
    assert await _listed(store) == [first.input_id]


@check("INP.4")
async def a_repeat_of_a_cancelled_input_answers_it(store: RuntimePersistence) -> None:
    """The repeat learns that it was cancelled, and does not revive it."""
    first = await store.enqueue_pending_turn_input(said(source_key="k"))
    await store.cancel_pending_turn_input("s1", first.input_id)

    again = await store.enqueue_pending_turn_input(said(source_key="k"))

    assert (again.input_id, again.state) == (first.input_id, "cancelled")
    assert await _listed(store) == []


@check("INP.4", "INP.19")
async def a_repeat_of_a_completed_input_answers_it(store: RuntimePersistence, lane: Lane) -> None:
    """It is in the conversation already."""
    first = await store.enqueue_pending_turn_input(said(source_key="k"))
    await _complete(store, lane, await _next(store, lane))

    again = await store.enqueue_pending_turn_input(said(source_key="k"))

    assert (again.input_id, again.state) == (first.input_id, "completed")
    assert await _next(store, lane) is None


@check("INP.5")
async def a_key_with_other_content_is_refused(store: RuntimePersistence) -> None:
    """The error names session, key and the input that has it."""
    first = await store.enqueue_pending_turn_input(said("one", source_key="k"))

    attempt = store.enqueue_pending_turn_input(said("two", source_key="k"))

    await refused(
        PendingTurnInputSourceKeyConflict, attempt, session_id="s1", source_key="k",
        existing_input_id=first.input_id,
    )  # fmt: skip


@check("INP.5")
async def a_key_with_other_ingress_is_refused(store: RuntimePersistence) -> None:
    """The content is the same, the turn is not; nor is the boundary."""
    await store.enqueue_pending_turn_input(said(source_key="k", ingress=during("t1")))

    for_next = store.enqueue_pending_turn_input(said(source_key="k"))
    await refused(PendingTurnInputSourceKeyConflict, for_next)
    boundary = during("t1", "before_completion")
    later = store.enqueue_pending_turn_input(said(source_key="k", ingress=boundary))
    await refused(PendingTurnInputSourceKeyConflict, later)


@check("INP.6")
async def content_is_compared_as_json(store: RuntimePersistence) -> None:
    """Another key order is the same content; another number is not."""

    def content(payload: object) -> TurnInput:
        return TurnInput(protocol_turn_options=ProtocolTurnOptions(payload=Json(payload)))

    first = await store.enqueue_pending_turn_input(
        said(source_key="k", input=content({"a": [1, {"x": None, "y": 2}], "b": True}))
    )

    reordered = content({"b": True, "a": [1, {"y": 2, "x": None}]})
    assert await store.enqueue_pending_turn_input(said(source_key="k", input=reordered)) == first
    other = store.enqueue_pending_turn_input(said(source_key="k", input=content({"a": [], "b": True})))
    await refused(PendingTurnInputSourceKeyConflict, other)


@check("INP.7", "INP.33")
async def a_repeat_after_deferral_answers_the_stored_input(store: RuntimePersistence, lane: Lane) -> None:
    """The submitter sends the original draft again."""
    draft = said(source_key="k", ingress=during("t1"))
    first = await store.enqueue_pending_turn_input(draft)
    await store.commit_runtime_state(turn("t1", fence=lane, interrupted_turn_input_turn_id="t1"))

    again = await store.enqueue_pending_turn_input(draft)

    assert (again.input_id, again.state) == (first.input_id, "deferred_next_turn")


@check("INP.8")
async def listings_show_what_waits_in_order(store: RuntimePersistence, lane: Lane) -> None:
    """Both states, one session, claimed ones left out."""
    names = ["c", "a", "d", "b"]
    for name in names:
        ingress = during("t1") if name in "ad" else NextTurn()
        await store.enqueue_pending_turn_input(said(input_id=name, ingress=ingress))
    await store.enqueue_pending_turn_input(said(session_id="s2"))
    assert await _listed(store) == names

    await _next(store, lane, most=1)

    assert await _listed(store) == ["a", "d", "b"]


@check("INP.9", "INP.17")
async def accepted_input_outlives_its_lease(store: RuntimePersistence, lane: Lane) -> None:
    """After a takeover it is neither listed nor claimable."""
    await store.enqueue_pending_turn_input(said(input_id="i1", ingress=during("t1")))
    assert _got(await _active(store, lane)) == ["i1"]
    assert await _listed(store) == []

    await lane.hand_over()

    assert await _listed(store) == []
    assert await _active(store, lane) is None
    assert await _next(store, lane) is None


@check("INP.10")
async def content_reads_back_as_sent(store: RuntimePersistence, lane: Lane) -> None:
    """Text, attachment bytes, options and trace id."""
    content = TurnInput(
        items=(
            TextItem(text="héllo\n\0 \U0001f600"),
            AttachmentItem(source=InlineSource(media_type="image/png", bytes=b"\x00\xff\x80")),
        ),
        protocol_turn_options=ProtocolTurnOptions(payload=Json({"n": None})),
        trace_turn_id="trace-1",
    )
    made = await store.enqueue_pending_turn_input(said(input=content))

    claim = await _next(store, lane)

    assert made.input == content
    assert claim is not None
    assert claim.inputs == (made,)


@check("INP.10")
async def borrowed_attachments_read_back_as_sent(store: RuntimePersistence) -> None:
    """A web address, and a file that a provider keeps."""
    at_provider = ProviderFileScope(provider="openai", credential_scope="org-1")
    content = TurnInput(
        items=(
            AttachmentItem(source=ExternalUrlSource(media_type="image/png", url="https://example.org/a.png")),
            AttachmentItem(source=ProviderFileSource(provider_scope=at_provider, id="file-1")),
        )
    )

    await store.enqueue_pending_turn_input(said(input=content))

    (listed,) = await store.list_pending_turn_inputs("s1")
    assert listed.input == content


# -- claim


@check("INP.11")
async def a_next_claim_takes_deferred_inputs_in_order(store: RuntimePersistence, lane: Lane) -> None:
    """At most two of three, and they stay deferred."""
    for name in "cab":
        await store.enqueue_pending_turn_input(said(input_id=name))

    claim = await _next(store, lane, most=2)

    assert _got(claim) == ["c", "a"]
    assert claim is not None
    assert {held.state for held in claim.inputs} == {"deferred_next_turn"}
    assert claim.mode.kind == "next_turn"


@check("INP.11")
async def a_next_claim_leaves_active_input_alone(store: RuntimePersistence, lane: Lane) -> None:
    """It waits for its own turn; and at most 0 is nothing."""
    await store.enqueue_pending_turn_input(said(ingress=during("t1")))
    assert await _next(store, lane) is None

    await store.enqueue_pending_turn_input(said())

    assert await _next(store, lane, most=0) is None


@check("INP.12")
async def an_active_claim_takes_its_own_turns_input(store: RuntimePersistence, lane: Lane) -> None:
    """Accepted, in order; another turn's and the next turn's stay."""
    for name, ingress in (("a", during("t1")), ("b", during("t2")), ("c", NextTurn()), ("d", during("t1"))):
        await store.enqueue_pending_turn_input(said(input_id=name, ingress=ingress))

    claim = await _active(store, lane)

    assert _got(claim) == ["a", "d"]
    assert claim is not None
    assert {held.state for held in claim.inputs} == {"accepted"}
    assert await _listed(store) == ["b", "c"]


@check("INP.12")
async def an_active_claim_obeys_its_maximum(store: RuntimePersistence, lane: Lane) -> None:
    """One of two, then the other, then nothing."""
    for name in "ab":
        await store.enqueue_pending_turn_input(said(input_id=name, ingress=during("t1")))

    claims = [_got(await _active(store, lane, most=1)) for _ in range(3)]

    assert claims == [["a"], ["b"], []]


@check("INP.13")
async def after_work_input_is_admitted_at_both_checkpoints(store: RuntimePersistence, lane: Lane) -> None:
    """One is taken after work, one before completion."""
    await store.enqueue_pending_turn_input(said(input_id="a", ingress=during("t1")))
    assert _got(await _active(store, lane, at="after_work")) == ["a"]

    await store.enqueue_pending_turn_input(said(input_id="b", ingress=during("t1")))

    assert _got(await _active(store, lane, at="before_completion")) == ["b"]


@check("INP.14")
async def before_completion_input_waits_for_its_checkpoint(store: RuntimePersistence, lane: Lane) -> None:
    """After work it is not admitted, and does not block what follows it."""
    late = during("t1", "before_completion")
    await store.enqueue_pending_turn_input(said(input_id="late", ingress=late))
    await store.enqueue_pending_turn_input(said(input_id="soon", ingress=during("t1")))

    assert _got(await _active(store, lane, at="after_work")) == ["soon"]
    assert _got(await _active(store, lane, at="before_completion")) == ["late"]


@check("INP.14")
async def a_checkpoint_claim_obeys_the_boundary_too(store: RuntimePersistence, lane: Lane) -> None:
    """The combined claim admits what the single one does."""
    late = during("t1", "before_completion")
    await store.enqueue_pending_turn_input(said(input_id="late", ingress=late))
    await store.enqueue_queued_work(batch())

    first = await store.claim_checkpoint_work("s1", lane.fence, lane.owner, "t1", "after_work", 5, 5)
    second = await store.claim_checkpoint_work("s1", lane.fence, lane.owner, "t1", "before_completion", 5, 5)

    assert first.turn_input_claim is None
    assert _got(second.turn_input_claim) == ["late"]


@check("INP.15")
async def a_live_claims_input_is_not_granted_again(store: RuntimePersistence, lane: Lane) -> None:
    """The same generation asks twice."""
    await store.enqueue_pending_turn_input(said(input_id="i1"))
    assert _got(await _next(store, lane)) == ["i1"]

    assert await _next(store, lane) is None


@check("INP.16")
async def a_later_generation_takes_over_deferred_input(store: RuntimePersistence, lane: Lane) -> None:
    """With a higher number and its own generation."""
    await store.enqueue_pending_turn_input(said(input_id="i1"))
    old = await _next(store, lane)
    await lane.hand_over()

    new = await _next(store, lane)

    assert old is not None
    assert new is not None
    assert _got(new) == ["i1"]
    assert new.fencing_token > old.fencing_token
    assert old.session_lease_generation == 1
    assert new.session_lease_generation == lane.fence.fencing_token


@check("INP.18")
async def abandon_returns_accepted_input_to_pending(store: RuntimePersistence, lane: Lane) -> None:
    """The turn may take it again."""
    await store.enqueue_pending_turn_input(said(input_id="i1", ingress=during("t1")))
    claim = await _active(store, lane)
    assert claim is not None

    await store.abandon_turn_input_claim(claim)

    listed = await store.list_pending_turn_inputs("s1")
    assert [(waiting.input_id, waiting.state) for waiting in listed] == [("i1", "pending_active")]
    assert _got(await _active(store, lane)) == ["i1"]


@check("INP.18")
async def abandon_returns_next_turn_input_to_the_listing(store: RuntimePersistence, lane: Lane) -> None:
    """Two claims, abandoned together."""
    for name in "ab":
        await store.enqueue_pending_turn_input(said(input_id=name))
    claims = [await _next(store, lane, most=1), await _next(store, lane, most=1)]

    await store.abandon_turn_input_claims([claim for claim in claims if claim is not None])

    assert await _listed(store) == ["a", "b"]


@check("INP.18")
async def abandon_of_a_claim_taken_over_changes_nothing(store: RuntimePersistence, lane: Lane) -> None:
    """The input is held by the new generation."""
    await store.enqueue_pending_turn_input(said())
    old = await _next(store, lane)
    await lane.hand_over()
    await _next(store, lane)
    assert old is not None

    await store.abandon_turn_input_claim(old)

    assert await _listed(store) == []


@check("INP.19")
async def a_completed_input_stays_as_completed(store: RuntimePersistence, lane: Lane) -> None:
    """Not listed, but known."""
    await store.enqueue_pending_turn_input(said(input_id="i1"))
    await _complete(store, lane, await _next(store, lane))

    outcome = await store.cancel_pending_turn_input("s1", "i1")

    assert outcome.outcome == "already_completed"
    assert outcome.data.state == "completed"
    assert await _listed(store) == []


@check("INP.20")
async def a_stale_completion_leaves_the_live_claim(store: RuntimePersistence, lane: Lane) -> None:
    """The old holder commits under a live fence and is refused; the new one can complete."""
    await store.enqueue_pending_turn_input(said())
    old = await _next(store, lane)
    await lane.hand_over()
    new = await _next(store, lane)
    assert old is not None

    await refused(
        TurnInputClaimSuperseded, _complete(store, lane, old), session_id="s1", claim_id=old.claim_id
    )
    await _complete(store, lane, new)


@check("INP.20")
async def a_completion_with_a_wrong_token_or_session_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """Claim id alone, or another session's name."""
    await store.enqueue_pending_turn_input(said(input_id="i1"))
    claim = await _next(store, lane)
    assert claim is not None

    await refused(TurnInputClaimSuperseded, _complete(store, lane, claim.but(lease_token="forged")))
    await refused(TurnInputClaimSuperseded, _complete(store, lane, claim.but(session_id="s2")))
    assert (await store.cancel_pending_turn_input("s1", "i1")).outcome == "already_claimed"


@check("INP.20", "STO.20")
async def a_completion_stale_in_part_leaves_the_other_part(store: RuntimePersistence, lane: Lane) -> None:
    """The first input of the list is held, the second is not: the first can still be given back."""
    await store.enqueue_pending_turn_input(said(input_id="i1"))
    claim = await _next(store, lane)
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
    claim = await _next(store, lane)
    assert claim is not None

    foreign = claim.but(session_id="s2", inputs=())
    await refused(TurnInputClaimSuperseded, _complete(store, lane, foreign), claim_id=claim.claim_id)

    assert await store.load_session(FullGraph()) is None
    await _complete(store, lane, claim)
    assert (await store.cancel_pending_turn_input("s1", "i1")).outcome == "already_completed"


@check("INP.43")
async def an_input_completion_of_nothing_settles_nothing(store: RuntimePersistence, lane: Lane) -> None:
    """The commit is applied, and the input is still held by its claim."""
    await store.enqueue_pending_turn_input(said(input_id="i1"))
    claim = await _next(store, lane)
    assert claim is not None

    await _complete(store, lane, claim.but(inputs=()))

    assert (await store.cancel_pending_turn_input("s1", "i1")).outcome == "already_claimed"
    await _complete(store, lane, claim, turn_id="t10")


@check("INP.21")
async def finished_input_is_not_claimable(store: RuntimePersistence, lane: Lane) -> None:
    """Cancelled or completed, in this generation or a later one."""
    await store.enqueue_pending_turn_input(said(input_id="a"))
    await _complete(store, lane, await _next(store, lane))
    await store.enqueue_pending_turn_input(said(input_id="b"))
    await store.cancel_pending_turn_input("s1", "b")

    assert await _next(store, lane) is None
    await lane.hand_over()
    assert await _next(store, lane) is None


@check("INP.22")
async def claiming_needs_a_live_fence(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """Released, or another session's."""
    await store.enqueue_pending_turn_input(said(input_id="i1"))
    await store.enqueue_pending_turn_input(said(input_id="i2", ingress=during("t1")))
    other = await bench.lane(store, "s2")

    await refused(SessionExecutionLeaseExpired, _next(store, other), session_id="s1")
    await lane.release()
    await refused(SessionExecutionLeaseExpired, _next(store, lane))
    await refused(SessionExecutionLeaseExpired, _active(store, lane))
    assert await _listed(store) == ["i1", "i2"]


@check("INP.44")
async def a_claim_of_no_inputs_grants_nothing(store: RuntimePersistence, lane: Lane) -> None:
    """Under a live fence and under a dead one; the inputs wait on."""
    await store.enqueue_pending_turn_input(said(input_id="i1"))
    await store.enqueue_pending_turn_input(said(input_id="i2", ingress=during("t1")))

    for _ in range(2):
        assert await store.claim_next_turn_inputs("s1", lane.fence, lane.owner, 0) is None
        assert await store.claim_active_turn_inputs("s1", lane.fence, lane.owner, "t1", "after_work", 0) is None
        await lane.release()
    assert await _listed(store) == ["i1", "i2"]


@check("INP.23")
async def one_of_four_concurrent_claims_wins(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """Two handles, four claims, one input."""
    other = await bench.session()
    await store.enqueue_pending_turn_input(said())

    claims = await asyncio.gather(*(_next(one, lane) for one in (store, other, store, other)))

    assert sorted(len(_got(claim)) for claim in claims) == [0, 0, 0, 1]


@check("INP.23")
async def cancel_and_claim_at_once_have_one_winner(
    bench: Bench, store: RuntimePersistence, lane: Lane
) -> None:
    """Either the input is cancelled or it is claimed, never both."""
    other = await bench.session()
    await store.enqueue_pending_turn_input(said(input_id="i1"))

    claim, outcomes = await asyncio.gather(
        _next(store, lane), other.cancel_pending_turn_inputs("s1", (by_id("i1"),))
    )

    pair = (_got(claim), outcomes[0].outcome.outcome)
    assert pair in ((["i1"], "already_claimed"), ([], "cancelled"))
