"""Opaque values wherever they go, not in nodes alone (REC.7)."""

from lash_conformance.bench import Bench, Lane
from lash_conformance.check import check
from lash_conformance.vocabulary import (
    POLICY,
    WHEN,
    batch,
    checkpoint,
    commit,
    frame,
    loaded,
    plugin_node,
    plugin_snapshot,
    refused,
    said,
    task,
    tool_state,
)
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import PendingTurnInputSourceKeyConflict
from lash_ref.inputs import TextItem, TurnInput
from lash_ref.nodes import Append, EventNode
from lash_ref.records import AgentFrameAssignment, PersistedTurnState
from lash_ref.scalars import Json
from lash_ref.work import ProtocolTurnOptions

VALUE: dict[str, object] = {
    "": None, "ints": [2**53 + 1, 2**63 - 1, -(2**63), 0, 2**64 - 1], "floats": [1.0, -0.0, 1e22, 0.1, 5e-324, 1e300],
    "empty": [{}, [], "", False], "text": "e\u0301 é \u0000 \u2028 𝄞 \\u0041", "b": 1, "B": 2, "a": 3,
}  # fmt: skip
"""What a column for numbers, a normal form or a template would change."""
OPTIONS = ProtocolTurnOptions(payload=Json(VALUE))


@check("REC.7", "STO.50", "STO.52")
async def opaque_values_of_a_commit_read_back_equal(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """In a plugin's snapshot, in the options of the turn state and of a frame, and in the outbox."""
    state = PersistedTurnState(turn_index=1, protocol_turn_options=OPTIONS)
    parts = checkpoint(plugin_snapshot=plugin_snapshot(1, VALUE)).but(turn_state=state)
    frames = (frame("f1", protocol_turn_options=OPTIONS),)
    sent = batch(task().but(protocol_turn_options=OPTIONS))
    result = await store.commit_runtime_state(
        commit(lane, checkpoint=parts, agent_frames=frames, enqueued_queue_batches=(sent,))
    )
    again = await bench.session("s1", on=await bench.reopen()) if "durable" in bench.target.capabilities else store

    read = await loaded(again)

    assert read.checkpoint is not None
    assert read.checkpoint.plugin_snapshot == plugin_snapshot(1, VALUE)
    assert read.checkpoint.turn_state == state
    assert result.manifest.turn_state == state
    assert read.agent_frames == frames
    assert [one.items[0].payload for one in await again.list_queued_work("s1")] == list(sent.payloads)


INTS = (2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 2**63, 2**64 - 1)
"""What a language with one kind of number would round, and what one without unsigned ones would wrap."""


@check("REC.7", "GRA.8", "STO.22", "STO.50", "QUE.1", "INP.10")
async def integers_of_64_bits_are_exact_wherever_a_value_is_opaque(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """In nodes of both kinds, a snapshot, tool state, options of turn, frame, work and input, and in what a frame assigns."""
    options = ProtocolTurnOptions(payload=Json(INTS))
    event = EventNode(node_id="e", timestamp=WHEN, event=Json({"Protocol": {"plugin_id": "kit", "payload": list(INTS)}}))
    nodes = (event, plugin_node("p", list(INTS), parent="e"))
    state = PersistedTurnState(protocol_turn_options=options)
    parts = checkpoint(tool_state=tool_state(2**53 + 1), plugin_snapshot=plugin_snapshot(1, list(INTS))).but(turn_state=state)
    assigned = AgentFrameAssignment(policy=POLICY, plugin_options=Json({"plugins": {"kit": list(INTS)}}))
    frames = (frame("f1", protocol_turn_options=options).but(assignment=assigned),)
    sent = batch(task().but(protocol_turn_options=options))
    words = TurnInput(items=(TextItem(text="hi"),), protocol_turn_options=options)
    await store.enqueue_pending_turn_input(said(input=words))
    delta = Append(nodes=nodes, leaf_node_id="p")
    await store.commit_runtime_state(
        commit(lane, delta, checkpoint=parts, agent_frames=frames, enqueued_queue_batches=(sent,))
    )
    again = await bench.session("s1", on=await bench.reopen()) if "durable" in bench.target.capabilities else store

    read = await loaded(again)

    assert (read.graph.nodes, read.agent_frames) == (nodes, frames)
    assert read.checkpoint is not None
    assert (read.checkpoint.tool_state, read.checkpoint.plugin_snapshot) == (parts.tool_state, parts.plugin_snapshot)
    assert read.checkpoint.turn_state == state
    assert [one.items[0].payload for one in await again.list_queued_work("s1")] == list(sent.payloads)
    assert [one.input for one in await again.list_pending_turn_inputs("s1")] == [words]


@check("REC.7", "STO.54")
async def parts_that_differ_in_the_kind_of_a_number_are_two(store: RuntimePersistence, lane: Lane) -> None:
    """1 and 1.0, a and A: what is kept by content is kept by all of it."""
    values: tuple[object, ...] = (1, 1.0, True, "a", "A", "é", "e\u0301", [], {}, None, "1")
    for value in values:
        part = plugin_snapshot(1, {"value": value})
        await store.commit_runtime_state(commit(lane, checkpoint=checkpoint(plugin_snapshot=part)))

        read = await loaded(store)

        assert read.checkpoint is not None
        assert read.checkpoint.plugin_snapshot == part


@check("REC.7", "INP.5", "INP.6")
async def input_that_differs_in_the_kind_of_a_number_is_other_input(store: RuntimePersistence) -> None:
    """The key conflicts for 1.0, true and a null that came along; with the members in another order it does not."""

    def draft(payload: object) -> TurnInput:
        return TurnInput(
            items=(TextItem(text="hi"),), protocol_turn_options=ProtocolTurnOptions(payload=Json(payload))
        )

    stored = await store.enqueue_pending_turn_input(said(source_key="k", input=draft({"a": 1, "b": 2**53 + 1})))

    for other in ({"a": 1.0, "b": 2**53 + 1}, {"a": True, "b": 2**53 + 1}, {"a": 1, "b": 2**53}, {"a": 1, "b": 2**53 + 1, "c": None}):
        attempt = store.enqueue_pending_turn_input(said(source_key="k", input=draft(other)))
        await refused(PendingTurnInputSourceKeyConflict, attempt)
    same = draft({"b": 2**53 + 1, "a": 1})
    assert await store.enqueue_pending_turn_input(said(source_key="k", input=same)) == stored
    assert [one.input for one in await store.list_pending_turn_inputs("s1")] == [same]
