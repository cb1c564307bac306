"""The session graph in memory: append, walk, heal, fork, and the delta since the last commit.

Sans I/O: ids and times arrive as arguments. What was read of the active path is kept and continued, so that
a turn costs what it appends and not what there is; `delta` costs what changed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self, TypeVar, overload

from lash_ref.errors import DuplicateNodeId
from lash_ref.messages import Message, message_of, node_of
from lash_ref.nodes import (
    Append,
    EventNode,
    GraphSnapshot,
    PluginNode,
    ReplaceFull,
    SessionNodeRecord,
    Unchanged,
)
from lash_ref.scalars import Json
from lash_ref.work import CausalRef

N = TypeVar("N", EventNode, PluginNode)
T = TypeVar("T")


class Savepoint(NamedTuple):
    """How a graph stood, to go back to."""

    nodes: int
    fresh: int
    leaf_node_id: str | None
    agent_frame_id: str | None
    replaced: bool


class Grown(Sequence[T]):
    """A sequence that only grows; what it grows into shares its items, so that every stage can be kept."""

    __slots__ = ("_items", "_length")

    def __init__(self, items: list[T]) -> None:
        self._items = items
        self._length = len(items)

    def grown(self, more: Iterable[T]) -> "Grown[T]":
        """This and what follows it."""
        at_the_tip = len(self._items) == self._length
        items = self._items if at_the_tip else self._items[: self._length]
        items.extend(more)
        return Grown(items)

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return self._items[slice(*index.indices(self._length))]
        return self._items[range(self._length)[index]]


@dataclass(frozen=True)
class SessionReadModel:
    """What a reader sees of the active path."""

    said: Grown[Message]
    called: Grown[str]

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages, oldest first."""
        return tuple(self.said[:])

    @property
    def tool_calls(self) -> tuple[str, ...]:
        """Ids of the tool calls that the messages carry, in order, each once."""
        return tuple(self.called[:])

    def continued(self, nodes: Sequence[Message | None]) -> "SessionReadModel":
        """This and the messages that follow it."""
        fresh = [message for message in nodes if message is not None]
        if not fresh:
            return self
        named = [part.tool_call_id for message in fresh for part in message.parts if part.tool_call_id]
        known = set(self.called) if named else set[str]()
        calls = [call for call in dict.fromkeys(named) if call not in known]
        return SessionReadModel(self.said.grown(fresh), self.called.grown(calls))


class _Walked(NamedTuple):
    """An active path that was walked, and the leaf it led to."""

    leaf_node_id: str | None
    path: Grown[SessionNodeRecord]


class _Read(NamedTuple):
    """What was read of a path: how many nodes, the last of them, and the model."""

    nodes: int
    last: SessionNodeRecord | None
    model: SessionReadModel


def _nothing_walked() -> _Walked:
    return _Walked(None, Grown([]))


def _nothing_read() -> _Read:
    return _Read(0, None, SessionReadModel(Grown([]), Grown([])))


@dataclass
class SessionGraph:
    """A session's nodes in order and the leaf that names the conversation going on."""

    session_id: str = "root"
    leaf_node_id: str | None = None
    agent_frame_id: str | None = None
    """The frame that appended nodes belong to."""
    _nodes: dict[str, SessionNodeRecord] = field(default_factory=dict[str, SessionNodeRecord])
    _fresh: list[SessionNodeRecord] = field(default_factory=list[SessionNodeRecord])
    _messages: dict[str, Message | None] = field(default_factory=dict[str, Message | None])
    _replaced: bool = True
    _plugin_types: set[str] = field(default_factory=set[str])
    _walked: _Walked = field(default_factory=_nothing_walked)
    _reads: dict[tuple[str | None, bool], _Read] = field(default_factory=dict[tuple[str | None, bool], _Read])

    @classmethod
    def from_snapshot(cls, snapshot: GraphSnapshot, session_id: str = "root") -> Self:
        """The graph a load answered; nothing is pending on it.

        Raises:
            DuplicateNodeId: two nodes share an id ([GRA.6][]).
        """
        graph = cls(session_id, snapshot.leaf_node_id)
        for node in snapshot.nodes:
            graph._add(node)
        graph.committed()
        return graph

    def snapshot(self) -> GraphSnapshot:
        """All nodes and the leaf."""
        return GraphSnapshot(nodes=self.nodes, leaf_node_id=self.leaf_node_id)

    @property
    def nodes(self) -> tuple[SessionNodeRecord, ...]:
        """Every node in stored order."""
        return tuple(self._nodes.values())

    def find_node(self, node_id: str) -> SessionNodeRecord | None:
        """A node by id."""
        return self._nodes.get(node_id)

    def active_path_nodes(self) -> Grown[SessionNodeRecord]:
        """From the root to the leaf; ends at a missing parent and at a node already on it ([GRA.29][])."""
        if self._walked.leaf_node_id != self.leaf_node_id:
            path: dict[str, SessionNodeRecord] = {}
            at = self.leaf_node_id
            while at is not None and at not in path and (node := self._nodes.get(at)) is not None:
                path[at] = node
                at = node.parent_node_id
            self._walked = _Walked(self.leaf_node_id, Grown(list(path.values())[::-1]))
        return self._walked.path

    @property
    def is_one_path(self) -> bool:
        """Whether every node is on the active path."""
        return len(self.active_path_nodes()) == len(self._nodes)

    def newest_plugin(self, plugin_type: str) -> PluginNode | None:
        """The last node of that type on the active path."""
        if plugin_type not in self._plugin_types:
            return None
        found = (node for node in reversed(self.active_path_nodes()) if isinstance(node, PluginNode))
        return next((node for node in found if node.plugin_type == plugin_type), None)

    # -- append

    def append_message(self, message: Message, *, timestamp: str) -> EventNode:
        """Append a message under the leaf and make it the leaf."""
        self._messages[message.id] = message
        return self._appended(
            node_of(
                message, parent=self.leaf_node_id, timestamp=timestamp, agent_frame_id=self.agent_frame_id
            )
        )

    def append_event(
        self, node_id: str, event: Json, *, timestamp: str, caused_by: CausalRef | None = None
    ) -> EventNode:
        """Append a protocol event under the leaf."""
        return self._appended(
            EventNode(
                node_id=node_id, parent_node_id=self.leaf_node_id, timestamp=timestamp,
                event=Json({"Protocol": event.value}), agent_frame_id=self.agent_frame_id,
                caused_by=caused_by,
            )
        )  # fmt: skip

    def append_plugin(
        self,
        node_id: str,
        plugin_type: str,
        body: Json,
        *,
        timestamp: str,
        caused_by: CausalRef | None = None,
    ) -> PluginNode:
        """Append a plugin's node under the leaf."""
        return self._appended(
            PluginNode(
                node_id=node_id, parent_node_id=self.leaf_node_id, timestamp=timestamp,
                plugin_type=plugin_type, body=body, agent_frame_id=self.agent_frame_id,
                caused_by=caused_by,
            )
        )  # fmt: skip

    def append_active_conversation_messages(self, messages: Sequence[Message], *, timestamp: str) -> None:
        """Append each message under the one before, but those shown to the model only."""
        for message in messages:
            if not message.is_transient:
                self.append_message(message, timestamp=timestamp)

    def append_active_read_delta(self, messages: Sequence[Message], *, timestamp: str) -> None:
        """Append the messages whose ids are not known yet."""
        fresh = [message for message in messages if message.id not in self._nodes]
        self.append_active_conversation_messages(fresh, timestamp=timestamp)

    def replace_active_read_state(self, messages: Sequence[Message], *, timestamp: str) -> None:
        """Make the active conversation read as ``messages``: the common prefix stays, a new tail forks off.

        Nothing is deleted; the old tail becomes a branch.
        """
        self.leaf_node_id, kept = self._common_prefix(messages)
        self.append_active_conversation_messages(messages[kept:], timestamp=timestamp)

    def _common_prefix(self, messages: Sequence[Message]) -> tuple[str | None, int]:
        held = [node for node in self.active_path_nodes() if self.message_of(node) is not None]
        kept = 0
        while kept < min(len(held), len(messages)) and self.message_of(held[kept]) == messages[kept]:
            kept += 1
        return (held[kept - 1].node_id if kept else None), kept

    # -- heal, fork, read

    def heal_orphaned_leaf(self) -> bool:
        """Point a leaf that names no node at the newest message, or at nothing; whether it changed.

        A healed graph is committed whole.
        """
        if self.leaf_node_id is None or self.leaf_node_id in self._nodes:
            return False
        newest = (node.node_id for node in reversed(self.nodes) if self.message_of(node) is not None)
        self.leaf_node_id = next(newest, None)
        self._replaced = True
        return True

    def fork_current_path(self) -> "SessionGraph":
        """A graph of its own with the active path and nothing else, all of it still to be committed."""
        fork = SessionGraph(self.session_id, self.leaf_node_id, self.agent_frame_id)
        for node in self.active_path_nodes():
            fork._add(node)
            if node.node_id in self._messages:
                fork._messages[node.node_id] = self._messages[node.node_id]
        return fork

    def view(self) -> "SessionGraph":
        """The graph as it stands, for reading: shares its nodes, and later appends do not show."""
        return replace(self, _fresh=[], _replaced=False, _reads=dict(self._reads))

    def message_of(self, node: SessionNodeRecord) -> Message | None:
        """The message a node holds, read once."""
        if node.node_id not in self._messages:
            self._messages[node.node_id] = message_of(node)
        return self._messages[node.node_id]

    def read_model(self, frame_id: str | None = None, *, initial: bool = True) -> SessionReadModel:
        """The messages of the active path and the tool calls in them; with a frame, of that frame only.

        Nodes without a frame belong to the initial one.
        """
        own = (None, frame_id) if initial else (frame_id,)
        path = self.active_path_nodes()
        held = self._reads.get((frame_id, initial)) or _nothing_read()
        if held.nodes > len(path) or (held.nodes and path[held.nodes - 1] is not held.last):
            held = _nothing_read()
        if held.nodes == len(path):
            return held.model
        rest = (node for node in path[held.nodes :] if frame_id is None or node.agent_frame_id in own)
        model = held.model.continued([self.message_of(node) for node in rest])
        self._reads[frame_id, initial] = _Read(len(path), path[-1] if path else None, model)
        return model

    # -- commit

    def delta(self) -> Unchanged | Append | ReplaceFull:
        """What a commit must carry to bring the store up to this graph."""
        if self._replaced:
            return ReplaceFull(nodes=self.nodes, leaf_node_id=self.leaf_node_id)
        if self._fresh:
            return Append(nodes=tuple(self._fresh), leaf_node_id=self.leaf_node_id)
        return Unchanged(leaf_node_id=self.leaf_node_id)

    def committed(self) -> None:
        """The store has it all."""
        self._fresh = []
        self._replaced = False

    # -- undo

    def savepoint(self) -> Savepoint:
        """How the graph stands."""
        return Savepoint(
            len(self._nodes), len(self._fresh), self.leaf_node_id, self.agent_frame_id, self._replaced
        )

    def rollback(self, point: Savepoint) -> None:
        """Take back what was appended since; costs what was appended."""
        while len(self._nodes) > point.nodes:
            node_id, _ = self._nodes.popitem()
            self._messages.pop(node_id, None)
        del self._fresh[point.fresh :]
        self.leaf_node_id, self.agent_frame_id = point.leaf_node_id, point.agent_frame_id
        self._replaced = point.replaced
        self._walked = _nothing_walked()
        self._reads.clear()

    def _appended(self, node: N) -> N:
        path = self.active_path_nodes()
        self._add(node)
        self._walked = _Walked(node.node_id, path.grown((node,)))
        self._fresh.append(node)
        self.leaf_node_id = node.node_id
        return node

    def _add(self, node: SessionNodeRecord) -> None:
        if node.node_id in self._nodes:
            raise DuplicateNodeId(self.session_id, node.node_id)
        if isinstance(node, PluginNode):
            self._plugin_types.add(node.plugin_type)
        self._nodes[node.node_id] = node
