"""The session graph: append, walk, heal, fork and the delta of a commit."""

import pytest

from lash_ref.errors import DuplicateNodeId
from lash_ref.graph import SessionGraph
from lash_ref.messages import Message, Part, text_message
from lash_ref.nodes import Append, GraphSnapshot, ReplaceFull, Unchanged
from lash_ref.scalars import Json

WHEN = "2026-11-21T00:00:00Z"


def said(name: str, call: str | None = None) -> Message:
    """A user message whose id and text are its name."""
    part = Part(id=f"{name}.p", kind="Text", content=name, tool_call_id=call)
    return Message(id=name, role="User", parts=(part,))


def grown(*names: str) -> SessionGraph:
    """A committed graph of messages, each under the one before."""
    graph = SessionGraph()
    graph.append_active_conversation_messages([said(name) for name in names], timestamp=WHEN)
    graph.committed()
    return graph


def path(graph: SessionGraph) -> list[str]:
    """Ids of the active path."""
    return [node.node_id for node in graph.active_path_nodes()]


def test_an_append_is_the_delta_of_a_committed_graph():
    """A new graph is written whole, then only what was added, then nothing."""
    graph = SessionGraph()
    graph.append_message(said("a"), timestamp=WHEN)
    assert isinstance(graph.delta(), ReplaceFull)
    graph.committed()
    assert graph.delta() == Unchanged(leaf_node_id="a")

    added = graph.append_plugin("p", "kit", Json({"n": 1}), timestamp=WHEN)

    assert graph.delta() == Append(nodes=(added,), leaf_node_id="p")
    assert path(graph) == ["a", "p"]


def test_a_snapshot_round_trips():
    """Nodes, order and leaf."""
    graph = grown("a", "b")
    graph.append_event("e", Json({"plugin_id": "x", "payload": None}), timestamp=WHEN)

    again = SessionGraph.from_snapshot(graph.snapshot())

    assert again.snapshot() == graph.snapshot()
    assert again.delta() == Unchanged(leaf_node_id="e")


def test_a_stored_id_cannot_be_appended_again():
    """The store would refuse it too."""
    with pytest.raises(DuplicateNodeId):
        grown("a").append_message(said("a"), timestamp=WHEN)


def test_replacing_the_conversation_forks_a_new_tail():
    """The common prefix stays, the old tail becomes a branch, nothing is deleted."""
    graph = grown("a", "b", "c")

    graph.replace_active_read_state([said("a"), said("x")], timestamp=WHEN)

    assert path(graph) == ["a", "x"]
    assert [node.node_id for node in graph.nodes] == ["a", "b", "c", "x"]
    assert isinstance(graph.delta(), Append)


def test_a_read_delta_skips_what_is_known():
    """A message that is there is not said twice."""
    graph = grown("a")

    graph.append_active_read_delta([said("a"), said("b")], timestamp=WHEN)

    assert path(graph) == ["a", "b"]


def test_an_orphaned_leaf_heals_to_the_newest_message():
    """And the graph is committed whole; a sound leaf is left alone."""
    snapshot = grown("a", "b").snapshot()
    graph = SessionGraph.from_snapshot(GraphSnapshot(nodes=snapshot.nodes, leaf_node_id="gone"))

    assert graph.heal_orphaned_leaf()

    assert path(graph) == ["a", "b"]
    assert isinstance(graph.delta(), ReplaceFull)
    assert not graph.heal_orphaned_leaf()


def test_a_cycle_of_parents_ends_the_walk():
    """Each node is walked once."""
    nodes = grown("a", "b").nodes
    looped = GraphSnapshot(nodes=(nodes[0].but(parent_node_id="b"), nodes[1]), leaf_node_id="b")

    assert path(SessionGraph.from_snapshot(looped)) == ["a", "b"]


def test_a_fork_is_the_active_path_alone():
    """It is new, so all of it is still to be committed."""
    graph = grown("a", "b")
    graph.replace_active_read_state([said("a"), said("x")], timestamp=WHEN)

    fork = graph.fork_current_path()

    assert [node.node_id for node in fork.nodes] == ["a", "x"]
    assert isinstance(fork.delta(), ReplaceFull)


def test_the_read_model_shows_messages_and_tool_calls():
    """Plugin nodes are not read; a call is listed once."""
    graph = SessionGraph()
    graph.append_message(said("a", call="c1"), timestamp=WHEN)
    graph.append_plugin("p", "kit", Json(None), timestamp=WHEN)
    graph.append_message(said("b", call="c1"), timestamp=WHEN)

    read = graph.read_model()

    assert [message.id for message in read.messages] == ["a", "b"]
    assert read.tool_calls == ("c1",)


def test_what_was_read_is_never_read_of_another_history():
    graph = SessionGraph("s1")
    graph.append_message(text_message("a", "User", "one"), timestamp=WHEN)
    graph.append_message(text_message("b", "Assistant", "two"), timestamp=WHEN)
    seen = graph.view()
    assert [message.text for message in graph.read_model().messages] == ["one", "two"]

    point = graph.savepoint()
    graph.append_message(text_message("c", "User", "taken back"), timestamp=WHEN)
    assert [message.text for message in graph.read_model().messages] == ["one", "two", "taken back"]
    graph.rollback(point)
    assert [message.text for message in graph.read_model().messages] == ["one", "two"]
    graph.append_message(text_message("c", "User", "said instead"), timestamp=WHEN)
    assert [message.text for message in graph.read_model().messages] == ["one", "two", "said instead"]

    graph.leaf_node_id = "a"
    graph.append_message(text_message("d", "User", "beside"), timestamp=WHEN)
    assert [message.text for message in graph.read_model().messages] == ["one", "beside"]
    assert not graph.is_one_path
    fork = graph.fork_current_path()
    assert fork.is_one_path
    assert [message.text for message in fork.read_model().messages] == ["one", "beside"]
    graph.leaf_node_id = "c"
    assert [message.text for message in graph.read_model().messages] == ["one", "two", "said instead"]
    assert [message.text for message in seen.read_model().messages] == ["one", "two"]
    graph.leaf_node_id = "unknown"
    assert graph.read_model().messages == ()
