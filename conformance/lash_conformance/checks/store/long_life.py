"""What a session holds outlives the bustle around it (FAC.15)."""

from lash_conformance.bench import Bench, Lane, owner
from lash_conformance.check import check
from lash_conformance.vocabulary import (
    batch,
    chain,
    checkpoint,
    commit,
    during,
    everything,
    said,
    spent,
    stamp,
    task,
    tool_state,
)
from lash_ref.contracts import RuntimePersistence
from lash_ref.inputs import TurnInputApplication, TurnInputClaim
from lash_ref.nodes import Append
from lash_ref.records import AttachmentIntent, RootSession, RuntimeCommit, RuntimeCommitResult, SessionMeta
from lash_ref.work import QueuedWorkClaim

BUSTLE = 70
"""How often a batch comes and goes elsewhere: more than 128 writes in all."""
META = SessionMeta(session_id="s1", session_name="mine", created_at="then", model="m", relation=RootSession())
KEYED = said("waiting", source_key="kd")


async def _first_turn(store: RuntimePersistence, lane: Lane) -> tuple[RuntimeCommit, RuntimeCommitResult]:
    """A turn with a bit of everything: nodes, checkpoint, usage, an input settled, an outbox, an attachment."""
    await store.save_session_meta(META)
    await store.record_intent(AttachmentIntent(attachment_id="a2", session_id="s1", canonical_uri="u", intent_at_epoch_ms=1))
    await store.record_intent(AttachmentIntent(attachment_id="a1", session_id="s1", canonical_uri="u", intent_at_epoch_ms=2))
    await store.enqueue_pending_turn_input(said(input_id="i0"))
    claim = await store.claim_next_turn_inputs("s1", lane.fence, lane.owner, 1)
    assert claim is not None
    applied = TurnInputApplication(input_id="i0", turn_id="t1", committed_message_id="c")
    joins = tuple(batch(task(key), slot_policy="join", source_key=key) for key in ("k2", "k1"))
    first = commit(
        lane,
        Append(nodes=chain("c", "a", "b"), leaf_node_id="a"),
        turn_commit=stamp("t1"),
        checkpoint=checkpoint(7, tool_state=tool_state(7), execution_state=b""),
        usage_deltas=(spent("z", input_tokens=1), spent("a", input_tokens=2)),
        completed_turn_input_claims=(claim.completion().but(applications=(applied,)),),
        enqueued_queue_batches=joins,
        committed_attachment_ids=("a1",),
    )
    return first, await store.commit_runtime_state(first)


async def _second_turn(store: RuntimePersistence, lane: Lane) -> tuple[QueuedWorkClaim, TurnInputClaim]:
    """A node hidden; input deferred, cancelled, waiting and accepted; work given back once, and held."""
    await store.tombstone_nodes(["b"])
    await store.enqueue_pending_turn_input(KEYED)
    await store.enqueue_pending_turn_input(said("deferred", input_id="i9", ingress=during("t9")))
    await store.commit_runtime_state(
        commit(lane, Append(nodes=chain("d", under="a"), leaf_node_id="d"), interrupted_turn_input_turn_id="t9")
    )
    for name in ("i4", "i3"):
        await store.enqueue_pending_turn_input(said(input_id=name))
    await store.cancel_pending_turn_input("s1", "i3")
    await store.enqueue_pending_turn_input(said(input_id="i1", ingress=during("t2")))
    accepted = await store.claim_active_turn_inputs("s1", lane.fence, lane.owner, "t2", "after_work", 9)
    given_back = await store.claim_ready_queued_work("s1", lane.fence, lane.owner, "idle", 1)
    assert accepted is not None
    assert given_back is not None
    await store.abandon_queued_work_claim(given_back)
    held = await store.claim_ready_queued_work("s1", lane.fence, lane.owner, "idle", 1)
    assert held is not None
    assert held.fencing_token > given_back.fencing_token
    return held, accepted


async def _bustle(bench: Bench) -> None:
    """Much is written elsewhere, through another backend where there can be one."""
    other = await bench.session("s2", on=await bench.another() if "shared" in bench.target.capabilities else None)
    await other.enqueue_pending_turn_input(said("x" * 1_100_000, session_id="s2", input_id="long"))
    for number in range(BUSTLE):
        made = await other.enqueue_queued_work(batch(session_id="s2", source_key=f"k{number}"))
        await other.cancel_queued_work_batch("s2", made.batch_id)
    await other.enqueue_queued_work(batch(session_id="s2", source_key="last"))
    here = await bench.session("s2")
    assert [one.source_key for one in await here.list_queued_work("s2")] == ["last"]


async def _seen(store: RuntimePersistence) -> tuple[object, ...]:
    """All that reads tell of the session, and who holds its lane until when."""
    held = await store.try_claim_session_execution_lease("s1", owner("somebody else"), 1)
    return held, await everything(store), await store.list_turn_input_applications("s1")


@check("FAC.15")
async def a_quiet_session_is_as_before_after_much_work_elsewhere(
    bench: Bench, store: RuntimePersistence, lane: Lane
) -> None:
    """It reads as before, its first turn is known, what it holds is settled, and no number is given again."""
    await bench.pass_time(7)
    await bench.lane(store)
    await bench.lane(store, "s3")
    await (freed := await bench.lane(store, "s3", owner("a"))).release()
    first, answered = await _first_turn(store, lane)
    held, accepted = await _second_turn(store, lane)
    waiting = await store.enqueue_pending_turn_input(KEYED)
    before = await _seen(store)

    await _bustle(bench)

    assert await _seen(store) == before
    if "durable" in bench.target.capabilities:
        await bench.reopen()
    again = await bench.session("s1")
    assert await _seen(again) == before
    busy = await bench.session("s2")
    assert [one.input_id for one in await busy.list_pending_turn_inputs("s2")] == ["long"]
    assert await again.commit_runtime_state(first.but(session_execution_lease=None)) == answered
    assert await again.enqueue_pending_turn_input(KEYED) == waiting
    finished = [await again.cancel_pending_turn_input("s1", name) for name in ("i0", "i1", "i3")]
    assert [one.outcome for one in finished] == ["already_completed", "already_claimed", "already_cancelled"]
    second = commit(
        lane,
        expected_head_revision=2,
        turn_commit=stamp("t2"),
        completed_queue_claims=(held.completion(),),
        completed_turn_input_claims=(accepted.completion(),),
    )
    result = await again.commit_runtime_state(second)
    assert result.head_revision == 3
    report = await again.vacuum()
    assert (report.removed_node_count, report.removed_pending_turn_input_tombstone_count) == (1, 3)
    newer = await again.enqueue_queued_work(batch())
    assert newer.batch_id not in {one.batch_id for one in answered.enqueued_queue_batches}
    assert newer.enqueue_seq > max(one.enqueue_seq for one in answered.enqueued_queue_batches)
    third = await bench.lane(again, "s3")
    assert third.fence.fencing_token > freed.fence.fencing_token
