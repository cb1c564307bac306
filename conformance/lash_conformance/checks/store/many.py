"""However much there is: no read, listing, claim, cancel or chore stops at a round number (REC.35)."""

from lash_conformance.bench import Bench, Lane
from lash_conformance.check import check
from lash_conformance.vocabulary import (
    batch,
    by_id,
    chain,
    checkpoint,
    commit,
    frame,
    ids,
    loaded,
    message,
    plugin_snapshot,
    refused,
    said,
    spent,
    task,
    tool_state,
    turn,
)
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import DuplicateNodeId
from lash_ref.inputs import Outcomes, TurnInputApplication
from lash_ref.nodes import ActivePath, Append
from lash_ref.records import AttachmentCreateMeta, AttachmentIntent

MANY = 1_100
"""More than the usual page, parameter and recursion limits; for what one call writes."""
SOME = 105
"""More than a small page; for what takes a call each."""


@check("REC.35", "QUE.53", "QUE.15")
async def a_thousand_batches_are_listed_claimed_and_settled(store: RuntimePersistence, lane: Lane) -> None:
    """They come with one commit and go with another."""
    draft = batch(task(), slot_policy="join")
    sent = await store.commit_runtime_state(commit(lane, enqueued_queue_batches=(draft,) * MANY))
    assert len(sent.enqueued_queue_batches) == MANY
    assert len(await store.list_queued_work("s1")) == MANY
    assert len(await store.list_pending_queued_work("s1")) == MANY

    claim = await store.claim_ready_queued_work("s1", lane.fence, lane.owner, "idle", 2 * MANY)

    assert claim is not None
    assert len(claim.batches) == MANY
    assert await store.list_pending_queued_work("s1") == ()
    await store.commit_runtime_state(commit(lane, completed_queue_claims=(claim.completion(),)))
    assert await store.list_queued_work("s1") == ()


@check("REC.35", "QUE.25")
async def two_hundred_named_batches_are_claimed_at_once(store: RuntimePersistence, lane: Lane) -> None:
    """By id, in the order of the list, and given back together."""
    draft = batch(task(), slot_policy="join")
    sent = await store.commit_runtime_state(commit(lane, enqueued_queue_batches=(draft,) * 200))
    named = [one.batch_id for one in sent.enqueued_queue_batches][::-1]

    claim = await store.claim_ready_queued_work_by_batch_ids("s1", lane.fence, lane.owner, "idle", named)

    assert claim is not None
    assert [one.batch_id for one in claim.batches] == named
    await store.abandon_queued_work_claim(claim)
    assert len(await store.list_pending_queued_work("s1")) == 200


@check("REC.35", "GRA.28", needs=("active_path",))
async def a_path_of_a_thousand_nodes_is_read_whole(store: RuntimePersistence, lane: Lane) -> None:
    """No depth limit cuts a long conversation."""
    names = [f"n{number}" for number in range(MANY)]
    await store.commit_runtime_state(commit(lane, Append(nodes=chain(*names), leaf_node_id=names[-1])))

    assert ids((await loaded(store, ActivePath())).graph) == names


@check("GRA.5", "REC.35")
async def the_last_of_a_thousand_ids_may_be_taken(store: RuntimePersistence, lane: Lane) -> None:
    """By a node that is stored, or by the first of them; refused, and none of them is stored."""
    await store.commit_runtime_state(commit(lane, Append(nodes=(message("taken"),), leaf_node_id="taken")))
    fresh = tuple(message(f"n{number}") for number in range(MANY))

    for last in ("taken", "n0"):
        delta = Append(nodes=(*fresh, message(last, "again")), leaf_node_id=last)
        await refused(DuplicateNodeId, store.commit_runtime_state(commit(lane, delta)), node_id=last)

    assert ids((await loaded(store)).graph) == ["taken"]


@check("REC.35", "GRA.20", "MNT.4")
async def a_thousand_nodes_are_read_hidden_and_swept(store: RuntimePersistence, lane: Lane) -> None:
    """All in stored order; then all but the last are hidden by one call and removed by one vacuum."""
    names = [f"n{number}" for number in range(MANY)]
    await store.commit_runtime_state(commit(lane, Append(nodes=chain(*names), leaf_node_id=names[-1])))
    assert ids((await loaded(store)).graph) == names

    await store.tombstone_nodes(names[:-1])

    assert ids((await loaded(store)).graph) == names[-1:]
    assert (await store.vacuum()).removed_node_count == MANY - 1
    assert (await store.vacuum()).removed_node_count == 0


@check("REC.35", "STO.22", "STO.61")
async def a_thousand_ledger_rows_and_frames_are_read_back(store: RuntimePersistence, lane: Lane) -> None:
    """Every model its row, every frame its record."""
    usage = tuple(spent("turn", f"m-{number}", input_tokens=number + 1) for number in range(MANY))
    frames = tuple(frame(f"f{number}") for number in range(MANY))
    await store.commit_runtime_state(commit(lane, usage_deltas=usage, agent_frames=frames))

    read = await loaded(store)

    assert read.token_ledger == usage
    assert read.agent_frames == frames


@check("REC.35", "INP.11", "INP.30")
async def a_hundred_inputs_are_listed_claimed_and_cancelled(store: RuntimePersistence, lane: Lane) -> None:
    """All of them by every call that may mean all."""
    names = [f"i{number}" for number in range(SOME)]
    for name in names:
        await store.enqueue_pending_turn_input(said(input_id=name))
    assert [one.input_id for one in await store.list_pending_turn_inputs("s1")] == names

    claim = await store.claim_next_turn_inputs("s1", lane.fence, lane.owner, 2 * SOME)

    assert claim is not None
    assert [one.input_id for one in claim.inputs] == names
    await store.abandon_turn_input_claim(claim)
    suffix = await store.cancel_pending_turn_input_suffix("s1", by_id("i0"))
    assert isinstance(suffix, Outcomes)
    assert [one.outcome for one in suffix.data.outcomes] == ["cancelled"] * SOME
    again = await store.cancel_pending_turn_inputs("s1", [by_id(name) for name in names])
    assert [one.outcome.outcome for one in again] == ["already_cancelled"] * SOME
    assert (await store.vacuum()).removed_pending_turn_input_tombstone_count == SOME


@check("REC.35", "INP.39", "INP.40")
async def a_thousand_applications_are_listed(store: RuntimePersistence, lane: Lane) -> None:
    """Of one turn, in their order."""
    await store.enqueue_pending_turn_input(said(input_id="i1"))
    claim = await store.claim_next_turn_inputs("s1", lane.fence, lane.owner, 1)
    assert claim is not None
    applied = tuple(
        TurnInputApplication(input_id="i1", turn_id="t1", committed_message_id=f"m{number}") for number in range(MANY)
    )

    done = claim.completion().but(applications=applied)
    result = await store.commit_runtime_state(turn("t1", fence=lane, completed_turn_input_claims=(done,)))

    assert result.turn_input_applications == applied
    assert await store.list_turn_input_applications("s1") == applied


@check("REC.35", "STO.37", "GRA.20", "INP.40")
async def a_hundred_turns_are_all_recognised(store: RuntimePersistence, lane: Lane) -> None:
    """The first of them too, with the input that it applied, and every node of theirs is read."""
    await store.enqueue_pending_turn_input(said(input_id="i1"))
    claim = await store.claim_next_turn_inputs("s1", lane.fence, lane.owner, 1)
    assert claim is not None
    applied = (TurnInputApplication(input_id="i1", turn_id="t0", committed_message_id="m0"),)
    done = (claim.completion().but(applications=applied),)
    commits = [turn(f"t{number}", fence=lane, checkpoint=checkpoint(number)) for number in range(SOME)]
    commits = [made.but(expected_head_revision=number) for number, made in enumerate(commits)]
    commits[0] = commits[0].but(completed_turn_input_claims=done)
    results = [await store.commit_runtime_state(made) for made in commits]

    first = await store.commit_runtime_state(turn("t0", fence=None, checkpoint=checkpoint(0)))

    assert first == results[0]
    assert await store.list_turn_input_applications("s1") == applied
    read = await loaded(store)
    assert read.head_revision == SOME
    assert ids(read.graph) == [f"t{number}" for number in range(SOME)]


@check("REC.35", "MNT.6", needs=("gc",))
async def a_collection_takes_all_the_garbage_at_once(store: RuntimePersistence, lane: Lane) -> None:
    """Of forty checkpoints of three parts the last is kept, and a second collection finds nothing."""
    for number in range(40):
        parts = checkpoint(
            number,
            tool_state=tool_state(number),
            plugin_snapshot=plugin_snapshot(number),
            execution_state=str(number).encode(),
        )
        await store.commit_runtime_state(commit(lane, checkpoint=parts))

    await store.gc_unreachable()

    assert (await store.gc_unreachable()).deleted_blob_count == 0
    kept = (await loaded(store)).checkpoint
    assert kept is not None
    assert kept.tool_state == tool_state(39)
    assert kept.execution_state == b"39"


@check("REC.35", "ATT.4", "ATT.6", "ATT.9", needs=("manifest",))
async def a_hundred_intents_are_listed_and_adopted(store: RuntimePersistence, lane: Lane) -> None:
    """By one commit."""
    names = [f"a{number:03}" for number in range(SOME)]
    for number, name in enumerate(names):
        intent = AttachmentIntent(attachment_id=name, session_id="s1", canonical_uri="u", intent_at_epoch_ms=number)
        await store.record_intent(intent)
    assert [row.attachment_id for row in await store.list_uncommitted(SOME)] == names

    await store.commit_runtime_state(commit(lane, committed_attachment_ids=tuple(names)))

    assert await store.list_uncommitted(SOME) == ()
    assert sorted(await store.list_all_refs()) == names


@check("REC.35", "ATT.26")
async def a_hundred_blobs_are_listed(bench: Bench) -> None:
    """Each once."""
    meta = AttachmentCreateMeta(media_type="text/plain")
    made = [(await bench.attachments.put(str(number).encode(), meta)).id for number in range(SOME)]

    assert sorted(blob.id for blob in await bench.attachments.list()) == sorted(made)
