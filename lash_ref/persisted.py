"""State and store brought together: apply what a store answered, append, heal, trim, and build commits."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from lash_ref.contracts import SessionCommitStore
from lash_ref.graph import SessionGraph
from lash_ref.nodes import ActivePath, FullGraph, GraphCommitDelta, ReplaceFull
from lash_ref.plugin_events import PluginMessage
from lash_ref.policy import Residency, apply_persisted_session_config
from lash_ref.records import HydratedSessionCheckpoint, PersistedSessionRead, RuntimeCommit
from lash_ref.runtime_errors import StaleBranch
from lash_ref.scalars import Identifier, Json, Record, Text
from lash_ref.snapshots import PluginSessionSnapshot
from lash_ref.state import PersistedSessionState, digest
from lash_ref.tool_state import ToolState
from lash_ref.usage import TokenLedgerEntry
from lash_ref.work import CausalRef

# -- nodes to append


class AppendMessage(Record):
    """A conversation message."""

    kind: Literal["message"] = "message"
    message: PluginMessage


class AppendEvent(Record):
    """An event of the protocol."""

    kind: Literal["protocol_event", "event"] = "protocol_event"
    event: Json


class AppendPlugin(Record):
    """A plugin's own node."""

    kind: Literal["plugin"] = "plugin"
    plugin_type: Text
    body: Json


SessionAppendNode = Annotated[
    AppendMessage | AppendEvent | AppendPlugin, Field(discriminator="kind")
]


def append_session_nodes_to_state(
    state: PersistedSessionState,
    nodes: Sequence[SessionAppendNode],
    *,
    timestamp: str,
    requires_ancestor: Identifier | None = None,
    caused_by: CausalRef | None = None,
) -> list[str]:
    """Append nodes under the leaf, one under the other, then heal; their ids, in order ([STA.12][]).

    Raises:
        StaleBranch: the required ancestor is not on the active path; nothing was appended ([STA.13][]).
    """
    graph = state.session_graph
    if requires_ancestor is not None:
        path = {node.node_id for node in graph.active_path_nodes()}
        if requires_ancestor not in path:
            raise StaleBranch(state.session_id, requires_ancestor)
    ids: list[str] = []
    for node in nodes:
        named = digest(state, node.to_json(), timestamp)
        match node:
            case AppendMessage(message=message):
                ids.append(
                    graph.append_message(message.message(f"message:{named}"), timestamp=timestamp).node_id
                )
            case AppendEvent(event=event):
                appended = graph.append_event(
                    f"protocol:{named}", event, timestamp=timestamp, caused_by=caused_by
                )
                ids.append(appended.node_id)
            case AppendPlugin(plugin_type=plugin_type, body=body):
                kept = graph.append_plugin(
                    f"plugin:{named}", plugin_type, body, timestamp=timestamp, caused_by=caused_by
                )
                ids.append(kept.node_id)
    normalize_session_graph(state)
    return ids


# -- heal and trim


def normalize_session_graph(state: PersistedSessionState) -> None:
    """Repair a leaf that names no node; comes before any trim ([STA.7][])."""
    if state.session_graph.heal_orphaned_leaf():
        state.graph_replace_required = True


def apply_residency_on_load(state: PersistedSessionState, residency: Residency) -> None:
    """Keep the active path only, if that is the residency ([STA.8][]).

    A graph that is still to be written whole keeps every node until it is written, as the replacement
    would delete what was trimmed.
    """
    if residency is Residency.ACTIVE_PATH_ONLY and not state.graph_replace_required:
        if not state.session_graph.is_one_path:
            state.session_graph = state.session_graph.fork_current_path()
        state.session_graph.committed()


# -- apply what a store answered


def apply_session_checkpoint(
    state: PersistedSessionState, checkpoint: HydratedSessionCheckpoint | None
) -> None:
    """Take over a checkpoint; none clears the tool, plugin and execution fields only ([STA.16][])."""
    if checkpoint is None:
        _clear_parts(state)
        return
    turn = checkpoint.turn_state
    state.turn_index = turn.turn_index
    state.token_usage = turn.token_usage
    state.last_prompt_usage = turn.last_prompt_usage
    state.protocol_turn_options = turn.protocol_turn_options
    state.tool_state_ref = checkpoint.tool_state_ref
    state.tool_state_snapshot = _read(ToolState, checkpoint.tool_state)
    state.tool_state_generation = (
        state.tool_state_snapshot.generation if state.tool_state_snapshot is not None else None
    )
    state.plugin_snapshot_ref = checkpoint.plugin_snapshot_ref
    state.plugin_snapshot_revision = checkpoint.plugin_snapshot_revision
    state.plugin_snapshot = _read(PluginSessionSnapshot, checkpoint.plugin_snapshot)
    state.execution_state_ref = checkpoint.execution_state_ref
    state.execution_state_snapshot = checkpoint.execution_state


def _read(kind: type[Any], value: Json | None) -> Any:
    return None if value is None else kind.from_data(value.value)


def _clear_parts(state: PersistedSessionState) -> None:
    for part in ("tool_state_ref", "tool_state_generation", "plugin_snapshot_ref"):
        setattr(state, part, None)
    state.plugin_snapshot_revision = None
    state.execution_state_ref = None
    state.discard_runtime_snapshots()


def apply_session_head(state: PersistedSessionState, head: PersistedSessionRead) -> None:
    """Take over a head: graph, frames, refs, ledger, revision, configuration ([STA.17][])."""
    state.session_id = head.session_id
    state.session_graph = SessionGraph.from_snapshot(head.graph, head.session_id)
    state.agent_frames = head.agent_frames
    state.current_agent_frame_id = head.current_agent_frame_id
    state.session_graph.agent_frame_id = head.current_agent_frame_id or None
    state.checkpoint_ref = head.checkpoint_ref
    state.token_ledger = head.token_ledger
    _clear_parts(state)
    state.head_revision = head.head_revision
    state.graph_replace_required = False
    state.policy = apply_persisted_session_config(state.policy, head.config)


async def load_persisted_session_state(store: SessionCommitStore) -> PersistedSessionState | None:
    """The whole stored session, or none before its first commit."""
    return _loaded(await store.load_session(FullGraph()))


async def load_persisted_session_state_active_path(
    store: SessionCommitStore, leaf_node_id: str | None = None
) -> PersistedSessionState | None:
    """The stored session with its active path only."""
    return _loaded(await store.load_session(ActivePath(leaf_node_id=leaf_node_id)))


async def load_for_residency(
    store: SessionCommitStore, residency: Residency
) -> PersistedSessionState | None:
    """What a residency keeps; an active path without nodes is healed from the whole graph ([SES.15][])."""
    if residency is Residency.KEEP_ALL:
        return await load_persisted_session_state(store)
    active = await load_persisted_session_state_active_path(store)
    if active is None or active.session_graph.nodes:
        return active
    whole = await load_persisted_session_state(store)
    if whole is not None:
        whole.graph_replace_required = True
    return whole


def _loaded(read: PersistedSessionRead | None) -> PersistedSessionState | None:
    if read is None:
        return None
    state = PersistedSessionState(session_id=read.session_id)
    apply_session_head(state, read)
    apply_session_checkpoint(state, read.checkpoint)
    return state


# -- commit


def persisted_state_commit(
    state: PersistedSessionState, usage_deltas: Sequence[TokenLedgerEntry] = (), **more: Any
) -> RuntimeCommit:
    """The commit that brings a store up to this state (lash's ``RuntimeCommit::persisted_state``).

    ``more`` is what the caller adds: fence, stamp, claims and outbox, or another expected revision.

    Raises:
        SessionError: the policy names no model.
    """
    more.setdefault("expected_head_revision", state.head_revision or 0)
    return RuntimeCommit(
        session_id=state.session_id,
        config=state.policy.config(),
        agent_frames=state.agent_frames,
        current_agent_frame_id=state.current_agent_frame_id,
        graph=graph_delta(state),
        checkpoint=HydratedSessionCheckpoint(
            turn_state=state.turn_state(),
            tool_state_ref=state.tool_state_ref,
            tool_state=_written(state.tool_state_snapshot),
            plugin_snapshot_ref=state.plugin_snapshot_ref,
            plugin_snapshot=_written(state.plugin_snapshot),
            plugin_snapshot_revision=state.plugin_snapshot_revision,
            execution_state_ref=state.execution_state_ref,
            execution_state=state.execution_state_snapshot,
        ),
        usage_deltas=tuple(usage_deltas),
        **more,
    )


def graph_delta(state: PersistedSessionState) -> GraphCommitDelta:
    """What the graph adds to the stored one, or the whole of it when a replacement is due."""
    if state.graph_replace_required:
        graph = state.session_graph
        return ReplaceFull(nodes=graph.nodes, leaf_node_id=graph.leaf_node_id)
    return state.session_graph.delta()


def _written(part: Record | None) -> Json | None:
    return None if part is None else Json(part.to_data())
