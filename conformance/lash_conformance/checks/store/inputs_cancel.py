"""Pending turn input: cancel, defer, vacuum (INP.24 to INP.38)."""

from lash_conformance.bench import Bench, Lane
from lash_conformance.check import check
from lash_conformance.claims import waiting
from lash_conformance.vocabulary import by_id, by_key, during, refused, said, turn, unchecked
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import InvalidRecord
from lash_ref.inputs import AlreadyClaimed, AnchorNotFound, NextTurn, Outcomes


async def _filled(store: RuntimePersistence, *names: str, turn_id: str | None = None) -> None:
    for name in names:
        ingress = NextTurn() if turn_id is None else during(turn_id)
        await store.enqueue_pending_turn_input(said(name, input_id=name, source_key=f"k{name}", ingress=ingress))


@check("INP.24")
async def waiting_input_is_cancelled(store: RuntimePersistence) -> None:
    """Pending and deferred alike; the answer carries the row."""
    await _filled(store, "a")
    await _filled(store, "b", turn_id="t1")

    outcomes = [await store.cancel_pending_turn_input("s1", name) for name in "ab"]

    assert [outcome.outcome for outcome in outcomes] == ["cancelled", "cancelled"]
    assert await waiting(store) == []


@check("INP.24")
async def the_cancelled_row_is_answered(store: RuntimePersistence) -> None:
    """Its state is cancelled, the rest as enqueued."""
    made = await store.enqueue_pending_turn_input(said(input_id="a"))

    outcome = await store.cancel_pending_turn_input("s1", "a")

    assert outcome.outcome == "cancelled"
    assert outcome.data == made.but(state="cancelled")


@check("INP.25")
async def input_held_live_is_already_claimed(store: RuntimePersistence, lane: Lane) -> None:
    """The answer says by whom, under which number and generation."""
    await _filled(store, "a")
    claim = await store.claim_next_turn_inputs("s1", lane.fence, lane.owner, 1)

    outcome = await store.cancel_pending_turn_input("s1", "a")

    assert claim is not None
    assert isinstance(outcome, AlreadyClaimed)
    found = outcome.data.claim
    assert found is not None
    assert (found.claim_id, found.claim_owner) == (claim.claim_id, lane.owner)
    assert (found.claim_fencing_token, found.claim_session_lease_generation) == (claim.fencing_token, 1)
    assert found.state == "deferred_next_turn"


@check("INP.25")
async def accepted_input_is_already_claimed_even_after_its_lease(store: RuntimePersistence, lane: Lane) -> None:
    """The lane was given back; the input is still part of a turn."""
    await _filled(store, "a", turn_id="t1")
    await store.claim_active_turn_inputs("s1", lane.fence, lane.owner, "t1", "after_work", 1)
    await lane.release()

    outcome = await store.cancel_pending_turn_input("s1", "a")

    assert isinstance(outcome, AlreadyClaimed)
    assert outcome.data.input.state == "accepted"


@check("INP.26")
async def finished_and_unknown_inputs_have_their_own_outcomes(store: RuntimePersistence, lane: Lane) -> None:
    """Completed, cancelled, never sent, and another session's."""
    await _filled(store, "a", "b")
    claim = await store.claim_next_turn_inputs("s1", lane.fence, lane.owner, 1)
    assert claim is not None
    await store.commit_runtime_state(
        turn("t1", fence=lane, completed_turn_input_claims=(claim.completion(),))
    )
    await store.cancel_pending_turn_input("s1", "b")
    await store.enqueue_pending_turn_input(said(input_id="c", session_id="s2"))

    outcomes = [await store.cancel_pending_turn_input("s1", name) for name in ("a", "b", "zz", "c")]

    assert [outcome.outcome for outcome in outcomes] == [
        "already_completed",
        "already_cancelled",
        "not_found",
        "not_found",
    ]


@check("INP.27")
async def input_of_a_dead_generation_is_cancelled(store: RuntimePersistence, lane: Lane) -> None:
    """Claimed for the next turn, then the lane moved on."""
    await _filled(store, "a")
    await store.claim_next_turn_inputs("s1", lane.fence, lane.owner, 1)
    await lane.hand_over()

    outcome = await store.cancel_pending_turn_input("s1", "a")

    assert outcome.outcome == "cancelled"


@check("INP.28", "INP.29")
async def a_bulk_cancel_answers_target_by_target(store: RuntimePersistence) -> None:
    """By id and by key, in order; the repeat sees its own cancellation."""
    await _filled(store, "a", "b", "c")
    targets = (by_key("kb"), by_id("a"), by_id("b"), by_id("a"), by_key("kb"), by_id("zz"))

    results = await store.cancel_pending_turn_inputs("s1", targets)

    assert tuple(result.target for result in results) == targets
    assert [result.outcome.outcome for result in results] == [
        "cancelled",
        "cancelled",
        "already_cancelled",
        "already_cancelled",
        "already_cancelled",
        "not_found",
    ]
    assert await waiting(store) == ["c"]


@check("INP.29")
async def an_id_is_no_key_and_a_key_no_id(store: RuntimePersistence) -> None:
    """Each target is looked up where it says."""
    await _filled(store, "a")

    results = await store.cancel_pending_turn_inputs("s1", (by_key("a"), by_id("ka")))

    assert [result.outcome.outcome for result in results] == ["not_found", "not_found"]


@check("INP.30")
async def a_suffix_covers_everything_from_the_anchor_on(store: RuntimePersistence, lane: Lane) -> None:
    """Waiting, finished, accepted and deferred rows, each with its own outcome."""
    await _filled(store, "a", "b")
    await _filled(store, "c", turn_id="t1")
    await _filled(store, "d", "e")
    await store.claim_active_turn_inputs("s1", lane.fence, lane.owner, "t1", "after_work", 1)
    await store.cancel_pending_turn_input("s1", "d")

    answer = await store.cancel_pending_turn_input_suffix("s1", by_key("kb"))

    assert isinstance(answer, Outcomes)
    assert answer.data.anchor == by_key("kb")
    assert [outcome.outcome for outcome in answer.data.outcomes] == [
        "cancelled",
        "already_claimed",
        "already_cancelled",
        "cancelled",
    ]
    assert await waiting(store) == ["a"]


@check("INP.30")
async def a_suffix_does_not_reach_other_sessions(store: RuntimePersistence) -> None:
    """Input of "s2" that came later stays."""
    await _filled(store, "a")
    other = await store.enqueue_pending_turn_input(said(session_id="s2"))

    await store.cancel_pending_turn_input_suffix("s1", by_id("a"))

    assert await store.list_pending_turn_inputs("s2") == (other,)


@check("INP.31")
async def a_missing_anchor_changes_nothing(store: RuntimePersistence) -> None:
    """The answer names it."""
    await _filled(store, "a", "b")

    answer = await store.cancel_pending_turn_input_suffix("s1", by_id("zz"))

    assert isinstance(answer, AnchorNotFound)
    assert answer.data.anchor == by_id("zz")
    assert await waiting(store) == ["a", "b"]


@check("INP.32")
async def a_refused_bulk_cancel_cancels_nothing(store: RuntimePersistence) -> None:
    """The second target is no identifier; the first is not cancelled either."""
    await _filled(store, "a", "b")
    bad = unchecked(by_id("b"), value="b\0")

    await refused(InvalidRecord, store.cancel_pending_turn_inputs("s1", (by_id("a"), bad)))

    assert await waiting(store) == ["a", "b"]


@check("INP.33", "INP.36")
async def an_interrupted_turns_input_is_deferred_in_place(store: RuntimePersistence, lane: Lane) -> None:
    """Id and order stay; state and ingress change; the next turn can claim it."""
    await _filled(store, "a", turn_id="t1")
    await _filled(store, "b")
    before = await store.list_pending_turn_inputs("s1")

    await store.commit_runtime_state(turn("t1", fence=lane, interrupted_turn_input_turn_id="t1"))

    after = await store.list_pending_turn_inputs("s1")
    assert after == (before[0].but(state="deferred_next_turn", ingress=NextTurn()), before[1])
    claim = await store.claim_next_turn_inputs("s1", lane.fence, lane.owner, 5)
    assert claim is not None
    assert [held.input_id for held in claim.inputs] == ["a", "b"]


@check("INP.34")
async def input_completed_by_the_interrupting_commit_stays_completed(
    store: RuntimePersistence, lane: Lane
) -> None:
    """One was taken in, one was not."""
    await _filled(store, "a", "b", turn_id="t1")
    claim = await store.claim_active_turn_inputs("s1", lane.fence, lane.owner, "t1", "after_work", 1)
    assert claim is not None

    done = turn(
        "t1", fence=lane, interrupted_turn_input_turn_id="t1",
        completed_turn_input_claims=(claim.completion(),),
    )  # fmt: skip
    await store.commit_runtime_state(done)

    assert (await store.cancel_pending_turn_input("s1", "a")).outcome == "already_completed"
    assert await waiting(store) == ["b"]


@check("INP.35")
async def a_deferral_touches_only_what_waits_for_that_turn(store: RuntimePersistence, lane: Lane) -> None:
    """Accepted, cancelled and another turn's input stay as they are."""
    await _filled(store, "a", "b", turn_id="t1")
    await _filled(store, "c", turn_id="t2")
    await store.claim_active_turn_inputs("s1", lane.fence, lane.owner, "t1", "after_work", 1)
    await store.cancel_pending_turn_input("s1", "b")

    await store.commit_runtime_state(turn("t1", fence=lane, interrupted_turn_input_turn_id="t1"))

    outcomes = await store.cancel_pending_turn_inputs("s1", (by_id("a"), by_id("b")))
    assert [result.outcome.outcome for result in outcomes] == ["already_claimed", "already_cancelled"]
    listed = await store.list_pending_turn_inputs("s1")
    assert [(waiting.input_id, waiting.state) for waiting in listed] == [("c", "pending_active")]


@check("INP.37", "INP.38")
async def a_vacuum_forgets_finished_input(store: RuntimePersistence, lane: Lane) -> None:
    """One completed, one cancelled: counted, gone, and their keys free."""
    await _filled(store, "a", "b", "c")
    claim = await store.claim_next_turn_inputs("s1", lane.fence, lane.owner, 1)
    assert claim is not None
    await store.commit_runtime_state(
        turn("t1", fence=lane, completed_turn_input_claims=(claim.completion(),))
    )
    await store.cancel_pending_turn_input("s1", "b")

    report = await store.vacuum()

    assert report.removed_pending_turn_input_tombstone_count == 2
    assert (await store.cancel_pending_turn_input("s1", "a")).outcome == "not_found"
    renewed = await store.enqueue_pending_turn_input(said("other", input_id="a", source_key="ka"))
    assert renewed.state == "deferred_next_turn"
    assert await waiting(store) == ["c", "a"]


@check("INP.37", "FAC.8")
async def a_vacuum_leaves_the_finished_input_of_another_session(bench: Bench, store: RuntimePersistence) -> None:
    """Each session has a cancelled one, and each vacuum counts its own."""
    other = await bench.session("s2")
    for session_id, mine in (("s1", store), ("s2", other)):
        await mine.enqueue_pending_turn_input(said(session_id=session_id, input_id=f"of {session_id}"))
        await mine.cancel_pending_turn_input(session_id, f"of {session_id}")

    assert (await store.vacuum()).removed_pending_turn_input_tombstone_count == 1
    assert (await other.cancel_pending_turn_input("s2", "of s2")).outcome == "already_cancelled"
    assert (await other.vacuum()).removed_pending_turn_input_tombstone_count == 1


@check("INP.37")
async def a_vacuum_keeps_waiting_and_accepted_input(store: RuntimePersistence, lane: Lane) -> None:
    """Nothing was finished, so nothing goes."""
    await _filled(store, "a")
    await _filled(store, "b", turn_id="t1")
    claim = await store.claim_active_turn_inputs("s1", lane.fence, lane.owner, "t1", "after_work", 1)
    assert claim is not None

    report = await store.vacuum()

    assert report.removed_pending_turn_input_tombstone_count == 0
    assert await waiting(store) == ["a"]
    await store.commit_runtime_state(
        turn("t1", fence=lane, completed_turn_input_claims=(claim.completion(),))
    )
