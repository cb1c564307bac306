"""Committing: the head and its revision, and who may commit to it (STO.1 to STO.8, STO.12, STO.22)."""

import asyncio

from lash_conformance.bench import Lane
from lash_conformance.check import check
from lash_conformance.vocabulary import (
    CONFIG,
    batch,
    checkpoint,
    commit,
    everything,
    frame,
    ids,
    loaded,
    message,
    refused,
    said,
    spent,
    turn,
)
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import (
    HeadRevisionConflict,
    SessionBindingMismatch,
)
from lash_ref.inputs import TurnInputCompletion
from lash_ref.nodes import Append, FullGraph
from lash_ref.records import RuntimeCommitResult
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
