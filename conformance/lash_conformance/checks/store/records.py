"""Records: how they come back (REC.4 to REC.9)."""

from typing import Any, cast

from lash_conformance.bench import Lane
from lash_conformance.check import check
from lash_conformance.vocabulary import (
    batch,
    checkpoint,
    commit,
    loaded,
    message,
    plugin_node,
    said,
    task,
    text_of,
    tool_state,
    turn,
    unchecked,
)
from lash_ref.contracts import RuntimePersistence
from lash_ref.inputs import TextItem, TurnInput
from lash_ref.nodes import Append, EventNode
from lash_ref.records import SessionMeta
from lash_ref.scalars import Json, Record

TEXT = "\0\x01\t\r\n e\u0301 é \u202e\u2028\u2029 \U0001f600\U0010ffff 'quotes\" \\ %s {} <b>&amp;</b> %3C \\u003c +"


async def _append(store: RuntimePersistence, lane: Lane, node: Any) -> Any:
    await store.commit_runtime_state(commit(lane, Append(nodes=(node,), leaf_node_id=node.node_id)))
    found = (await loaded(store)).graph.nodes
    assert len(found) == 1
    return found[0]


@check("REC.4")
async def text_reads_back_exactly(store: RuntimePersistence, lane: Lane) -> None:
    """NUL, controls, combining marks, right-to-left, astral, line separators, and what is markup or an escape to others."""
    node = message("n", TEXT)

    found = await _append(store, lane, node)

    assert isinstance(found, EventNode)
    assert text_of(found) == TEXT


@check("REC.4")
async def input_text_reads_back_exactly(store: RuntimePersistence) -> None:
    """The same for what a user sends, what work says and what a session is called."""
    made = await store.enqueue_pending_turn_input(said(TEXT))
    sent = await store.enqueue_queued_work(batch(task(TEXT)))
    meta = SessionMeta.model_validate(
        {"session_id": "s1", "session_name": TEXT, "created_at": "t", "model": TEXT, "relation": {"kind": "root"}}
    )
    await store.save_session_meta(meta)

    assert await store.list_pending_turn_inputs("s1") == (made,)
    assert made.input == TurnInput(items=(TextItem(text=TEXT),))
    assert await store.list_queued_work("s1") == (sent,)
    assert sent.items[0].payload == task(TEXT)
    assert await store.load_session_meta() == meta


@check("REC.5")
async def identifiers_are_compared_exactly(store: RuntimePersistence) -> None:
    """Case, space, normalisation and length make different keys; the empty one is a key too."""
    keys = ["k", "K", " k", "k ", "é", "e\u0301", "", "k" * 5000, "k" * 5000 + "x", "0", "00"]

    made = [await store.enqueue_queued_work(batch(source_key=key)) for key in keys]

    assert len({one.batch_id for one in made}) == len(keys)
    assert [one.source_key for one in await store.list_queued_work("s1")] == keys


@check("REC.5")
async def an_empty_key_is_a_key_and_an_absent_one_is_none(store: RuntimePersistence) -> None:
    """Two drafts with the empty key are one; two without a key are two."""
    first = await store.enqueue_pending_turn_input(said(source_key=""))

    assert await store.enqueue_pending_turn_input(said(source_key="")) == first
    await store.enqueue_pending_turn_input(said())
    await store.enqueue_pending_turn_input(said())
    assert len(await store.list_pending_turn_inputs("s1")) == 3


@check("REC.5", "QUE.3")
async def an_empty_key_of_work_is_a_key(store: RuntimePersistence, lane: Lane) -> None:
    """Enqueued or sent with a commit, two drafts with the empty key are one batch; two without a key are two."""
    first = await store.enqueue_queued_work(batch(source_key=""))

    assert await store.enqueue_queued_work(batch(source_key="")) == first
    sent = await store.commit_runtime_state(commit(lane, enqueued_queue_batches=(batch(source_key=""), batch(), batch())))
    assert sent.enqueued_queue_batches[0] == first
    assert len(await store.list_queued_work("s1")) == 3


@check("REC.6")
async def a_megabyte_reads_back_whole(store: RuntimePersistence, lane: Lane) -> None:
    """In a node, in the execution state and in an input."""
    large, state = "x" * 1_000_000 + "end", bytes(range(256)) * 4096

    node = message("n", large)
    await store.commit_runtime_state(
        commit(lane, Append(nodes=(node,)), checkpoint=checkpoint(1, execution_state=state))
    )
    await store.enqueue_pending_turn_input(said(large))

    read = await loaded(store)
    assert read.graph.nodes == (node,)
    assert read.checkpoint is not None
    assert read.checkpoint.execution_state == state
    (waiting,) = await store.list_pending_turn_inputs("s1")
    assert waiting.input == TurnInput(items=(TextItem(text=large),))


@check("REC.7")
async def opaque_values_read_back_equal(store: RuntimePersistence, lane: Lane) -> None:
    """Numbers at the edges, nulls, empty containers, odd keys and depth."""
    body: dict[str, Any] = {
        "ints": [0, -1, 2**53 + 1, 2**63 - 1, -(2**63)],
        "floats": [0.1, -0.0, 1e300, 5e-324, 1.0],
        "nothing": [None, {}, [], "", False],
        "keys": {"": 1, "$ref": 2, "__class__": 3, "é": 4},
        "deep": [[[[[[[[[[{"k": [1]}]]]]]]]]]],
    }

    found = await _append(store, lane, plugin_node("p", body))

    assert found.body == Json(body)
    assert [type(number) for number in found.body.value["floats"]] == [float] * 5


@check("REC.7")
async def a_bare_null_is_a_body(store: RuntimePersistence, lane: Lane) -> None:
    """Null, a string and a number are JSON values as good as any."""
    nodes = tuple(plugin_node(f"p{n}", body) for n, body in enumerate([None, "text", 0, False, []]))

    await store.commit_runtime_state(commit(lane, Append(nodes=nodes)))

    assert (await loaded(store)).graph.nodes == nodes


@check("REC.8")
async def a_caller_cannot_change_what_it_handed_over(store: RuntimePersistence, lane: Lane) -> None:
    """A list of ids and a buffer of bytes are changed after the call."""
    buffer = bytearray(b"state")
    part = unchecked(checkpoint(1), execution_state=buffer)
    nodes = [message("a")]
    delta = unchecked(Append(nodes=()), nodes=nodes)
    await store.commit_runtime_state(unchecked(commit(lane), checkpoint=part, graph=delta))

    buffer[:] = b"wrong"
    nodes.append(message("b"))

    read = await loaded(store)
    assert read.checkpoint is not None
    assert read.checkpoint.execution_state == b"state"
    assert read.graph.nodes == (message("a"),)


def _tampered(answer: Any) -> None:
    """Empty every container inside an answer that can be changed; a sound answer has none."""
    match answer:
        case list() | dict() | set() | bytearray():
            cast("list[Any]", answer).clear()
        case tuple():
            for member in cast("tuple[Any, ...]", answer):
                _tampered(member)
        case Record():
            for name in type(answer).model_fields:
                _tampered(getattr(answer, name))
        case Json():
            _tampered(answer.value)
        case _:
            return


@check("REC.9")
async def a_caller_cannot_change_what_it_was_answered(store: RuntimePersistence, lane: Lane) -> None:
    """Whatever can be emptied in the answers is emptied; the next answers are whole."""
    part = checkpoint(1, execution_state=b"state", tool_state=tool_state(1))
    await store.commit_runtime_state(turn("t1", fence=lane, says="as said", checkpoint=part))
    made = await store.enqueue_queued_work(batch(source_key="k"))
    waiting = await store.enqueue_pending_turn_input(said())

    _tampered(await loaded(store))
    _tampered((made, waiting, await store.load_node("as said")))
    _tampered(await store.list_queued_work("s1"))
    _tampered(await store.list_pending_turn_inputs("s1"))

    again = await loaded(store)
    assert again.graph.nodes == (message("as said"),)
    assert again.checkpoint is not None
    assert (again.checkpoint.execution_state, again.checkpoint.tool_state) == (b"state", tool_state(1))
    assert await store.list_queued_work("s1") == (made,)
    assert await store.list_pending_turn_inputs("s1") == (waiting,)
