"""Repeats: a turn committed twice is committed once (STO.14, STO.30 to STO.42)."""

from typing import Any, cast

from lash_conformance.bench import Bench, Lane, owner, request
from lash_conformance.check import check
from lash_conformance.vocabulary import (
    batch,
    everything,
    ids,
    loaded,
    refused,
    spent,
    stamp,
    task,
    tool_state,
    turn,
)
from lash_conformance.vocabulary import checkpoint as at
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import HeadRevisionConflict, RuntimeTurnCommitConflict
from lash_ref.lease import Acquired
from lash_ref.nodes import Append
from lash_ref.records import RuntimeCommit
from lash_ref.scalars import Json
from lash_ref.turn_hash import turn_commit_hash


@check("STO.14")
async def a_repeated_commit_is_answered_from_the_record(store: RuntimePersistence, lane: Lane) -> None:
    """The reply was lost, the lease moved on, another turn landed: the repeat still succeeds, and changes nothing."""
    first = await store.commit_runtime_state(turn("t1", says="hello", fence=lane))
    await lane.hand_over()
    await store.commit_runtime_state(turn("t2", says="later", fence=lane, under="hello"))
    before = await everything(store)

    repeat = await store.commit_runtime_state(turn("t1", says="hello", fence=None, expects=0))

    assert repeat == first
    assert await everything(store) == before


@check("STO.14")
async def a_repeat_at_once_is_answered_from_the_record(store: RuntimePersistence, lane: Lane) -> None:
    """The same commit under the same live lease applies once."""
    first = await store.commit_runtime_state(turn("t1", fence=lane, expects=0))
    repeat = await store.commit_runtime_state(turn("t1", fence=lane, expects=0))

    assert repeat == first
    assert (await loaded(store)).head_revision == 1


@check("STO.30")
async def a_repeat_with_a_release_frees_the_lane(store: RuntimePersistence, lane: Lane) -> None:
    """The first commit did not release; its repeat does."""
    await store.commit_runtime_state(turn("t1", fence=lane))
    assert not isinstance(await store.try_claim_session_execution_lease("s1", owner("b"), 1000), Acquired)

    again = turn("t1", fence=lane, release_session_execution_lease=lane.completion)
    await store.commit_runtime_state(again)

    outcome = await store.try_claim_session_execution_lease("s1", owner("b"), 1000)
    assert isinstance(outcome, Acquired)


@check("STO.31")
async def a_repeat_enqueues_its_outbox_once(store: RuntimePersistence, lane: Lane) -> None:
    """Both answers name the same batches, and the queue holds them once."""
    draft = turn("t1", fence=lane, enqueued_queue_batches=(batch(task("a")), batch(task("b"))))

    first = await store.commit_runtime_state(draft)
    repeat = await store.commit_runtime_state(draft)

    assert len(first.enqueued_queue_batches) == 2
    assert repeat.enqueued_queue_batches == first.enqueued_queue_batches
    assert await store.list_queued_work("s1") == first.enqueued_queue_batches


@check("STO.31", "STO.14")
async def a_repeat_answers_batches_that_are_gone(store: RuntimePersistence, lane: Lane) -> None:
    """One is done and one is cancelled before the reply that was lost is asked for again; neither comes back."""
    draft = turn("t1", fence=lane, enqueued_queue_batches=(batch(task("a")), batch(task("b"), source_key="k")))
    first = await store.commit_runtime_state(draft)
    claim = await store.claim_ready_queued_work("s1", lane.fence, lane.owner, "idle", 1)
    assert claim is not None
    await store.commit_runtime_state(turn("t2", fence=lane, completed_queue_claims=(claim.completion(),)))
    await store.cancel_queued_work_batch("s1", first.enqueued_queue_batches[1].batch_id)

    assert await store.commit_runtime_state(draft) == first
    assert await store.list_queued_work("s1") == ()


@check("STO.32")
async def the_same_turn_with_another_hash_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """Two contents for one turn: the second is refused and changes nothing."""
    await store.commit_runtime_state(turn("t1", fence=lane))
    before = await everything(store)

    other = turn("t1", says="other", fence=lane).but(turn_commit=stamp("t1", "h2"))
    await refused(
        RuntimeTurnCommitConflict, store.commit_runtime_state(other), session_id="s1", turn_id="t1"
    )

    assert await everything(store) == before


@check("STO.33")
async def a_stamp_of_another_session_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """The commit is "s1"'s, its stamp "s2"'s."""
    odd = turn("t1", fence=lane).but(turn_commit=stamp("t1", session_id="s2"))

    await refused(RuntimeTurnCommitConflict, store.commit_runtime_state(odd), turn_id="t1")


@check("STO.34")
async def hashes_that_differ_in_case_or_space_differ(store: RuntimePersistence, lane: Lane) -> None:
    """A hash is text and nothing else."""
    await store.commit_runtime_state(turn("t1", fence=lane).but(turn_commit=stamp("t1", "AB")))

    lower = turn("t1", fence=lane).but(turn_commit=stamp("t1", "ab"))
    await refused(RuntimeTurnCommitConflict, store.commit_runtime_state(lower))
    spaced = turn("t1", fence=lane).but(turn_commit=stamp("t1", "AB "))
    await refused(RuntimeTurnCommitConflict, store.commit_runtime_state(spaced))


@check("STO.34")
async def an_equal_hash_is_a_repeat_whatever_the_content(store: RuntimePersistence, lane: Lane) -> None:
    """The store does not look behind the hash."""
    first = await store.commit_runtime_state(turn("t1", fence=lane))

    odd = await store.commit_runtime_state(turn("t1", says="something else", fence=lane))

    assert odd == first
    assert ids((await loaded(store)).graph) == ["t1"]


@check("STO.35")
async def equal_commits_without_a_stamp_both_apply(store: RuntimePersistence, lane: Lane) -> None:
    """Nothing says that the second is a repeat."""
    plain = RuntimeCommit(
        session_id="s1", session_execution_lease=lane.fence, config=turn("t", fence=None).config,
        graph=Append(nodes=()), usage_deltas=(spent(input_tokens=2),),
    )  # fmt: skip

    await store.commit_runtime_state(plain)
    second = await store.commit_runtime_state(plain.but(expected_head_revision=1))

    assert second.head_revision == 2
    assert [entry.usage.input_tokens for entry in (await loaded(store)).token_ledger] == [4]


@check("STO.36")
async def a_refused_commit_leaves_no_stamp(store: RuntimePersistence, lane: Lane) -> None:
    """Its retry, expecting the right revision, applies."""
    await store.commit_runtime_state(turn("t0", fence=lane))
    stale = turn("t1", fence=lane, expects=0)
    await refused(HeadRevisionConflict, store.commit_runtime_state(stale))

    retry = await store.commit_runtime_state(stale.but(expected_head_revision=1))

    assert retry.head_revision == 2
    assert ids((await loaded(store)).graph) == ["t0", "t1"]


@check("STO.37", needs=("durable",))
async def an_old_turn_is_recognised_after_reopening(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """The process that sent the first reply is gone."""
    first = await store.commit_runtime_state(turn("t1", fence=lane))
    factory = await bench.reopen()
    again = await factory.create_store(request())

    repeat = await again.commit_runtime_state(turn("t1", fence=None))

    assert repeat == first
    assert ids((await loaded(again)).graph) == ["t1"]


# -- the caller's hash


def _hash(bench: Bench, commit: RuntimeCommit) -> str:
    """By the reference's rule, or by the one a broken target puts in its place."""
    return cast("str", getattr(bench.target, "turn_hash", turn_commit_hash)(commit))


def _turn(**parts: Any) -> RuntimeCommit:
    return turn("t1", fence=None, checkpoint=at(3, tool_state=tool_state(1)), **parts)


@check("STO.40")
async def the_turn_hash_ignores_the_attempt(bench: Bench, lane: Lane) -> None:
    """Revision, fence, release and stamp are not part of the turn."""
    plain = _hash(bench, _turn())

    attempt = _turn(release_session_execution_lease=lane.completion).but(
        expected_head_revision=4, session_execution_lease=lane.fence, turn_commit=None
    )

    assert _hash(bench, attempt) == plain
    assert _hash(bench, attempt.but(session_id="s2")) != plain


@check("STO.41")
async def the_turn_hash_ignores_minted_names(bench: Bench) -> None:
    """New node ids, message ids and timestamps make no other turn."""
    first = _turn(says="hello")
    assert isinstance(first.graph, Append)
    node = first.graph.nodes[0]
    text = Json.parse(node.to_json().replace('"hello', '"minted').replace("2026", "2027"))
    changed = type(node).from_json(text.text.replace('"content":"minted"', '"content":"hello"'))

    minted = first.but(graph=Append(nodes=(changed,), leaf_node_id="minted"))

    assert minted != first
    assert _hash(bench, minted) == _hash(bench, first)
    assert _hash(bench, minted) != _hash(bench, _turn(says="bye"))


@check("STO.42")
async def the_turn_hash_covers_what_was_said(bench: Bench) -> None:
    """Another text under the same ids is another turn."""
    first = _turn(says="hello")
    assert isinstance(first.graph, Append)
    node = first.graph.nodes[0]
    changed = type(node).from_json(node.to_json().replace('"content":"hello"', '"content":"bye"'))

    assert _hash(bench, first.but(graph=Append(nodes=(changed,), leaf_node_id="hello"))) != (
        _hash(bench, first)
    )


@check("STO.42")
async def the_turn_hash_covers_usage_checkpoint_and_claims(bench: Bench) -> None:
    """Four commits that differ in one part each have four hashes."""
    hashes = {
        _hash(bench, _turn()),
        _hash(bench, _turn(usage_deltas=(spent(input_tokens=1),))),
        _hash(bench, _turn().but(checkpoint=at(4, tool_state=tool_state(1)))),
        _hash(bench, _turn(interrupted_turn_input_turn_id="t0")),
    }

    assert [type(one) for one in hashes] == [str] * 4
