"""What became of input: the applications that commits record (INP.39 to INP.41)."""

from lash_conformance.bench import Bench, Lane, request
from lash_conformance.check import check
from lash_conformance.vocabulary import refused, said, turn
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import TurnInputClaimSuperseded
from lash_ref.inputs import TurnInputApplication
from lash_ref.records import RuntimeCommit


async def _applied(store: RuntimePersistence, lane: Lane, turn_id: str, *input_ids: str) -> RuntimeCommit:
    """A turn, not yet committed, that takes in these inputs, each as the message ``m-`` and its id."""
    for input_id in input_ids:
        await store.enqueue_pending_turn_input(said(input_id=input_id, source_key=f"key-{input_id}"))
    claim = await store.claim_next_turn_inputs("s1", lane.fence, lane.owner, len(input_ids))
    assert claim is not None, "there is input to claim"
    assert claim.applications == ()
    told = claim.but(applications=tuple(_application(turn_id, input_id) for input_id in input_ids))
    return turn(turn_id, fence=lane, completed_turn_input_claims=(told.completion(),))


def _application(turn_id: str, input_id: str) -> TurnInputApplication:
    return TurnInputApplication(
        input_id=input_id, source_key=f"key-{input_id}", turn_id=turn_id, committed_message_id=f"m-{input_id}"
    )


@check("INP.39")
async def a_commit_answers_what_it_applied(store: RuntimePersistence, lane: Lane) -> None:
    """In the order of the completion, which here is not the alphabet's, and again when it is repeated."""
    commit = await _applied(store, lane, "t1", "b", "a")
    first = await store.commit_runtime_state(commit)
    repeat = await store.commit_runtime_state(commit)

    expected = (_application("t1", "b"), _application("t1", "a"))
    assert first.turn_input_applications == expected
    assert repeat.turn_input_applications == expected


@check("INP.39")
async def a_checkpoint_application_says_where(store: RuntimePersistence, lane: Lane) -> None:
    """The kind of checkpoint is kept."""
    commit = await _applied(store, lane, "t1", "a")
    (done,) = commit.completed_turn_input_claims
    here = done.applications[0].but(checkpoint="before_completion", source_key=None)

    result = await store.commit_runtime_state(
        commit.but(completed_turn_input_claims=(done.but(applications=(here,)),))
    )

    assert result.turn_input_applications == (here,)


@check("INP.40")
async def applications_are_listed_in_commit_order(store: RuntimePersistence, lane: Lane) -> None:
    """Two turns whose ids sort the other way; a repeat adds nothing; another session sees none of them."""
    for turn_id, input_id in (("z", "b"), ("a", "c")):
        commit = await _applied(store, lane, turn_id, input_id)
        await store.commit_runtime_state(commit)
        await store.commit_runtime_state(commit)

    listed = await store.list_turn_input_applications("s1")

    assert listed == (_application("z", "b"), _application("a", "c"))
    assert await store.list_turn_input_applications("s2") == ()


@check("INP.40")
async def a_refused_commit_applies_nothing(store: RuntimePersistence, lane: Lane) -> None:
    """A stale completion records no application."""
    commit = await _applied(store, lane, "t1", "a")
    (done,) = commit.completed_turn_input_claims

    stale = commit.but(completed_turn_input_claims=(done.but(lease_token="another"),))

    await refused(TurnInputClaimSuperseded, store.commit_runtime_state(stale))
    assert await store.list_turn_input_applications("s1") == ()


@check("INP.41")
async def applications_outlive_a_vacuum(store: RuntimePersistence, lane: Lane) -> None:
    """The input's tombstone goes, what it became stays."""
    await store.commit_runtime_state(await _applied(store, lane, "t1", "a"))

    report = await store.vacuum()

    assert report.removed_pending_turn_input_tombstone_count == 1
    assert await store.list_turn_input_applications("s1") == (_application("t1", "a"),)


@check("INP.41", needs=("durable",))
async def applications_survive_reopening(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """A fresh handle tells the same."""
    await store.commit_runtime_state(await _applied(store, lane, "t1", "a"))

    again = await bench.session(on=await bench.reopen())

    assert await again.list_turn_input_applications("s1") == (_application("t1", "a"),)


@check("INP.41")
async def a_deleted_session_has_no_applications(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """Created again, it starts without."""
    await store.commit_runtime_state(await _applied(store, lane, "t1", "a"))
    await bench.factory.delete_session("s1")

    anew = await bench.factory.create_store(request())

    assert await anew.list_turn_input_applications("s1") == ()
