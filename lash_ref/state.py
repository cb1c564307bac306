"""A session's state in memory: what hosts are shown, and what a store is given.

`SessionStateEnvelope` is the host's read model, `PersistedSessionState` adds what commits carry: references
to stored parts, their bodies until they are stored, the ledger, the frames, and the head it was built on.
Times and ids arrive as arguments; nothing here does I/O.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self, cast

from lash_ref.errors import PluginError
from lash_ref.graph import Savepoint, SessionGraph, SessionReadModel
from lash_ref.messages import Message
from lash_ref.nodes import GraphSnapshot
from lash_ref.policy import SessionPolicy
from lash_ref.records import AgentFrameRecord, BlobRef, PersistedTurnState, RuntimeCommitResult
from lash_ref.scalars import U64, Bits64, Blob, Identifier, Json, Record, Text
from lash_ref.snapshots import PluginSessionSnapshot, SnapshotSource
from lash_ref.snapshots import refresh_plugin_snapshots as refreshed
from lash_ref.tool_results import ToolCallRecord
from lash_ref.tool_state import ToolState
from lash_ref.usage import PromptUsage, SessionUsageReport, TokenLedgerEntry, TokenUsage
from lash_ref.work import ProtocolTurnOptions

TOOL_CALLS_NODE = "lash.tool_calls"
"""Plugin type of the nodes that keep tool call records; the last one on the active path speaks."""


class SessionReadView(Record):
    """A session as a reader sees it: the active conversation and where it stands."""

    session_id: Identifier
    turn_index: U64 = 0
    messages: tuple[Message, ...] = ()
    tool_calls: tuple[ToolCallRecord, ...] = ()
    tool_call_ids: tuple[Identifier, ...] = ()
    token_usage: TokenUsage = TokenUsage()
    last_prompt_usage: PromptUsage | None = None
    current_agent_frame_id: Text = ""

    @classmethod
    def from_exported_state(cls, state: "SessionStateEnvelope") -> "SessionReadView":
        """The view of an envelope."""
        return cls._of(state, "")

    @classmethod
    def from_persisted_state(cls, state: "PersistedSessionState") -> "SessionReadView":
        """The view of a state: its current frame's conversation."""
        return cls._of(state, state.current_agent_frame_id)

    @classmethod
    def _of(cls, state: "SessionStateEnvelope", frame_id: str) -> "SessionReadView":
        read = state.read_model()
        return cls.model_construct(
            session_id=state.session_id,
            turn_index=state.turn_index,
            messages=read.messages,
            tool_calls=state.active_tool_calls(),
            tool_call_ids=read.tool_calls,
            token_usage=state.token_usage,
            last_prompt_usage=state.last_prompt_usage,
            current_agent_frame_id=frame_id,
        )


class SessionEnvelope(Record):
    """The JSON of a `SessionStateEnvelope`; absent fields take their defaults."""

    session_id: Identifier
    policy: SessionPolicy = SessionPolicy()
    session_graph: GraphSnapshot = GraphSnapshot()
    turn_index: U64 = 0
    token_usage: TokenUsage = TokenUsage()
    last_prompt_usage: PromptUsage | None = None
    protocol_turn_options: ProtocolTurnOptions = ProtocolTurnOptions()


class SessionSnapshot(SessionEnvelope):
    """A state's JSON for hosts: refs, never bodies, and nothing that only a running session knows."""

    agent_frames: tuple[AgentFrameRecord, ...] = ()
    current_agent_frame_id: Text = ""
    tool_state_ref: BlobRef | None = None
    tool_state_generation: U64 | None = None
    plugin_snapshot_ref: BlobRef | None = None
    plugin_snapshot_revision: Bits64 | None = None
    execution_state_ref: BlobRef | None = None
    token_ledger: tuple[TokenLedgerEntry, ...] | None = None
    checkpoint_ref: BlobRef | None = None


class StoredSessionState(SessionSnapshot):
    """A state's whole JSON, bodies that are not stored yet included."""

    tool_state_snapshot: ToolState | None = None
    plugin_snapshot: PluginSessionSnapshot | None = None
    execution_state_snapshot: Blob | None = None


@dataclass
class SessionStateEnvelope:
    """What a session shows to hosts and plugins."""

    session_id: str = "root"
    policy: SessionPolicy = field(default_factory=SessionPolicy)
    session_graph: SessionGraph = field(default_factory=SessionGraph)
    turn_index: int = 0
    token_usage: TokenUsage = field(default_factory=TokenUsage)
    last_prompt_usage: PromptUsage | None = None
    protocol_turn_options: ProtocolTurnOptions = field(default_factory=ProtocolTurnOptions)

    @property
    def mode_turn_options(self) -> ProtocolTurnOptions:
        """Older name of ``protocol_turn_options``."""
        return self.protocol_turn_options

    @mode_turn_options.setter
    def mode_turn_options(self, options: ProtocolTurnOptions) -> None:
        self.protocol_turn_options = options

    def read_model(self) -> SessionReadModel:
        """The active conversation."""
        return self.session_graph.read_model()

    def read_view(self) -> SessionReadView:
        """The state as a reader sees it."""
        return SessionReadView.from_exported_state(self)

    def active_tool_calls(self) -> tuple[ToolCallRecord, ...]:
        """The tool call records kept on the active path."""
        node = self.session_graph.newest_plugin(TOOL_CALLS_NODE)
        kept = cast("list[object]", node.body.value) if node is not None else []
        return tuple(ToolCallRecord.from_data(each) for each in kept)

    def replace_active_read_state(
        self, messages: Sequence[Message], tool_calls: Sequence[ToolCallRecord] = (), *, timestamp: str
    ) -> None:
        """Make the active conversation read so: the common prefix stays, a new tail forks, nothing is deleted."""
        self.session_graph.replace_active_read_state(messages, timestamp=timestamp)
        if tool_calls:
            self.replace_active_tool_calls(tool_calls, timestamp=timestamp)

    def replace_active_tool_calls(self, tool_calls: Sequence[ToolCallRecord], *, timestamp: str) -> None:
        """Make the active path's tool call records exactly these (older surface; messages carry calls now)."""
        if self.active_tool_calls() == tuple(tool_calls):
            return
        body = Json([record.to_data() for record in tool_calls])
        node_id = f"plugin:{digest(self, TOOL_CALLS_NODE, body.text, timestamp)}"
        self.session_graph.append_plugin(node_id, TOOL_CALLS_NODE, body, timestamp=timestamp)

    def append_active_read_delta(
        self, messages: Sequence[Message], tool_calls: Sequence[ToolCallRecord] = (), *, timestamp: str
    ) -> None:
        """Append what is not known yet; messages shown to the model only are left out ([STA.5][])."""
        self.session_graph.append_active_read_delta(messages, timestamp=timestamp)
        known = self.active_tool_calls()
        fresh = [record for record in tool_calls if record not in known]
        if fresh:
            self.replace_active_tool_calls((*known, *fresh), timestamp=timestamp)

    def envelope(self) -> SessionEnvelope:
        """The state's JSON record."""
        shared = {name: getattr(self, name) for name in _SHARED}
        return SessionEnvelope(**shared, session_graph=self.session_graph.snapshot())

    @classmethod
    def from_envelope(cls, record: SessionEnvelope) -> Self:
        """The state that a JSON record describes."""
        shared = {name: getattr(record, name) for name in _SHARED}
        graph = SessionGraph.from_snapshot(record.session_graph, record.session_id)
        return cls(**shared, session_graph=graph)


_SHARED = (
    "session_id",
    "policy",
    "turn_index",
    "token_usage",
    "last_prompt_usage",
    "protocol_turn_options",
)
_BODIES = ("tool_state_snapshot", "plugin_snapshot", "execution_state_snapshot")


def digest(state: SessionStateEnvelope, *parts: str) -> str:
    """A name for something appended here and now: the same only at the same place with the same content."""
    text = "\0".join((state.session_id, state.session_graph.leaf_node_id or "", *parts))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass
class PersistedSessionState(SessionStateEnvelope):
    """What a runtime keeps of a session and commits."""

    agent_frames: tuple[AgentFrameRecord, ...] = ()
    current_agent_frame_id: str = ""
    tool_state_ref: str | None = None
    tool_state_generation: int | None = None
    tool_state_snapshot: ToolState | None = None
    plugin_snapshot_ref: str | None = None
    plugin_snapshot_revision: int | None = None
    plugin_snapshot: PluginSessionSnapshot | None = None
    execution_state_ref: str | None = None
    execution_state_snapshot: bytes | None = None
    token_ledger: tuple[TokenLedgerEntry, ...] = ()
    checkpoint_ref: str | None = None
    head_revision: int | None = None
    """The head this state was built on; never serialized."""
    graph_replace_required: bool = False
    """The next commit must write the whole graph; never serialized."""
    _viewed: "tuple[tuple[object, ...], SessionReadView] | None" = field(
        default=None, init=False, repr=False, compare=False
    )

    def read_model(self) -> SessionReadModel:
        """The conversation of the current frame ([FRM.3][])."""
        if not self.current_agent_frame_id:
            return self.session_graph.read_model()
        frame = next((f for f in self.agent_frames if f.frame_id == self.current_agent_frame_id), None)
        initial = frame is None or frame.previous_frame_id is None
        return self.session_graph.read_model(self.current_agent_frame_id, initial=initial)

    def read_view(self) -> SessionReadView:
        """The state as a reader sees it; the same view until something in it changes."""
        shown = (
            self.read_model(), self.session_graph.leaf_node_id, self.turn_index, self.token_usage,
            self.last_prompt_usage, self.current_agent_frame_id,
        )  # fmt: skip
        if self._viewed is None or self._viewed[0] != shown:
            self._viewed = (shown, SessionReadView.from_persisted_state(self))
        return self._viewed[1]

    # -- to and from other forms

    @classmethod
    def from_state(cls, state: SessionStateEnvelope) -> Self:
        """A state that shares what the envelope holds; refs, ledger and flags are clear."""
        return cls(**{f.name: getattr(state, f.name) for f in fields(SessionStateEnvelope)})

    def export_state(self) -> SessionStateEnvelope:
        """What hosts are shown; a graph of its own."""
        shared: dict[str, Any] = {name: getattr(self, name) for name in _SHARED}
        graph = SessionGraph.from_snapshot(self.session_graph.snapshot(), self.session_id)
        return SessionStateEnvelope(**shared, session_graph=graph)

    def apply_exported_state(self, state: SessionStateEnvelope) -> None:
        """Take over what an envelope holds; refs, ledger and head stay."""
        for shared in fields(SessionStateEnvelope):
            setattr(self, shared.name, getattr(state, shared.name))

    def to_snapshot(self) -> SessionSnapshot:
        """The state for hosts: refs and no bodies ([STA.1][])."""
        return SessionSnapshot(**self._recorded(SessionSnapshot))

    def stored(self) -> StoredSessionState:
        """The state's whole JSON record."""
        return StoredSessionState(**self._recorded(StoredSessionState))

    @classmethod
    def from_snapshot(cls, record: SessionSnapshot) -> Self:
        """The state that a JSON record describes; refs and ledger are carried."""
        given = {
            f.name: getattr(record, f.name)
            for f in fields(cls)
            if f.name in type(record).model_fields and f.name not in {"session_graph", "token_ledger"}
        }
        graph = SessionGraph.from_snapshot(record.session_graph, record.session_id)
        return cls(**given, session_graph=graph, token_ledger=record.token_ledger or ())

    def _recorded(self, kind: type[SessionSnapshot]) -> dict[str, Any]:
        names = [name for name in kind.model_fields if name not in {"session_graph", "token_ledger"}]
        recorded: dict[str, Any] = {name: getattr(self, name) for name in names}
        return recorded | {
            "session_graph": self.session_graph.snapshot(),
            "token_ledger": self.token_ledger or None,
        }

    # -- undo

    def savepoint(self) -> tuple[Savepoint, dict[str, Any]]:
        """How the state stands; costs nothing in proportion to the history."""
        return self.session_graph.savepoint(), vars(self).copy()

    def rollback(self, point: tuple[Savepoint, dict[str, Any]]) -> None:
        """Take back everything since the savepoint."""
        vars(self).update(point[1])
        self.session_graph.rollback(point[0])

    # -- reads

    def usage_report(self) -> SessionUsageReport:
        """What the session spent."""
        return SessionUsageReport.from_entries(self.token_ledger)

    def turn_state(self) -> PersistedTurnState:
        """What the next turn starts from."""
        return PersistedTurnState(
            turn_index=self.turn_index,
            token_usage=self.token_usage,
            last_prompt_usage=self.last_prompt_usage,
            protocol_turn_options=self.protocol_turn_options,
        )

    # -- changes

    def replace_active_read_state(
        self, messages: Sequence[Message], tool_calls: Sequence[ToolCallRecord] = (), *, timestamp: str
    ) -> None:
        """As the envelope's; the graph then needs no replacement."""
        super().replace_active_read_state(messages, tool_calls, timestamp=timestamp)
        self.graph_replace_required = False

    def replace_active_tool_calls(self, tool_calls: Sequence[ToolCallRecord], *, timestamp: str) -> None:
        """As the envelope's; the graph then needs no replacement."""
        super().replace_active_tool_calls(tool_calls, timestamp=timestamp)
        self.graph_replace_required = False

    def append_active_conversation_messages(self, messages: Sequence[Message], *, timestamp: str) -> None:
        """Append, but what is shown to the model only; ids are not compared."""
        self.session_graph.append_active_conversation_messages(messages, timestamp=timestamp)

    def stamp_runtime_state(
        self, tool_state: ToolState | None = None, plugin_snapshot: PluginSessionSnapshot | None = None
    ) -> None:
        """Set the bodies that the next commit carries."""
        self.tool_state_snapshot = tool_state
        self.tool_state_generation = tool_state.generation if tool_state is not None else None
        self.plugin_snapshot = plugin_snapshot

    def apply_persisted_commit_result(self, result: RuntimeCommitResult) -> None:
        """The store has it: take head and refs, drop bodies, clear the flag ([STA.3][])."""
        self.head_revision = result.head_revision
        self.checkpoint_ref = result.checkpoint_ref
        self.tool_state_ref = result.manifest.tool_state_ref
        if self.tool_state_snapshot is not None:
            self.tool_state_generation = self.tool_state_snapshot.generation
        elif self.tool_state_ref is None:
            self.tool_state_generation = None
        self.plugin_snapshot_ref = result.manifest.plugin_snapshot_ref
        self.plugin_snapshot_revision = result.manifest.plugin_snapshot_revision
        self.execution_state_ref = result.manifest.execution_state_ref
        self.graph_replace_required = False
        self.session_graph.committed()
        self.discard_runtime_snapshots()

    def discard_runtime_snapshots(self) -> None:
        """Drop bodies; refs, generation and revision stay."""
        for body in _BODIES:
            setattr(self, body, None)

    def set_execution_state_snapshot(self, snapshot: bytes | None) -> None:
        """Set the executor's state; none clears its ref too ([STA.4][])."""
        if snapshot is None:
            self.execution_state_ref = None
        self.execution_state_snapshot = snapshot

    def refresh_plugin_snapshots(self, plugins: SnapshotSource) -> PluginError | None:
        """Capture what changed in tools and plugins; the failure of a capture, which keeps the old one."""
        return refreshed(self, plugins)
