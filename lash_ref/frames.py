"""Agent frames: the stretches of a session's history that a model is shown one at a time.

History is append-only; a new frame hides what came before from the model and keeps it in the graph.
"""

from collections.abc import Sequence
from typing import Any, cast

from pydantic import TypeAdapter

from lash_ref.persisted import AppendMessage, SessionAppendNode, append_session_nodes_to_state
from lash_ref.plugin_events import PluginMessage
from lash_ref.policy import SessionPolicy
from lash_ref.records import AgentFrameAssignment, AgentFrameRecord
from lash_ref.scalars import Json
from lash_ref.state import PersistedSessionState
from lash_ref.work import CausalRef, ProtocolTurnOptions

MAX_FRAME_SWITCHES = 16
"""Switches that one turn may make."""

_NODE: TypeAdapter[SessionAppendNode] = TypeAdapter(SessionAppendNode)


def initial_frame_id(session_id: str) -> str:
    """The id of a session's first frame."""
    return f"{session_id}:frame:initial"


def current_frame(state: PersistedSessionState) -> AgentFrameRecord | None:
    """The frame the session is in."""
    return next((f for f in state.agent_frames if f.frame_id == state.current_agent_frame_id), None)


def ensure_frame(state: PersistedSessionState, *, timestamp: str) -> None:
    """Give a session its first frame, and let the current one run under the session's policy ([SES.6][])."""
    if current_frame(state) is None:
        first = AgentFrameRecord(
            frame_id=initial_frame_id(state.session_id),
            session_id=state.session_id,
            created_at=timestamp,
            assignment=AgentFrameAssignment(policy=_policy(state.policy)),
            protocol_turn_options=state.protocol_turn_options,
        )
        kept = [frame for frame in state.agent_frames if frame.frame_id != first.frame_id]
        state.agent_frames = (*kept, first)
        state.current_agent_frame_id = first.frame_id
    else:
        reassign_current_frame(state)
    state.session_graph.agent_frame_id = state.current_agent_frame_id


def reassign_current_frame(state: PersistedSessionState) -> None:
    """Put the session's policy into the current frame and into no other."""
    state.agent_frames = tuple(
        frame.but(assignment=frame.assignment.but(policy=_policy(state.policy)))
        if frame.frame_id == state.current_agent_frame_id
        else frame
        for frame in state.agent_frames
    )


def mirror_protocol_options(state: PersistedSessionState, options: ProtocolTurnOptions) -> None:
    """Give the session and every frame these options."""
    state.protocol_turn_options = options
    state.agent_frames = tuple(frame.but(protocol_turn_options=options) for frame in state.agent_frames)


def open_agent_frame(
    state: PersistedSessionState,
    frame_id: str,
    reason: str,
    *,
    timestamp: str,
    nodes: Sequence[SessionAppendNode] = (),
    caused_by: CausalRef | None = None,
) -> bool:
    """Open a frame after the current one and seed it; a blank id or the current one changes nothing ([FRM.2][])."""
    before = current_frame(state)
    if not frame_id.strip() or frame_id == state.current_agent_frame_id or before is None:
        return False
    kept = before.but(
        status="superseded",
        execution_state_ref=state.execution_state_ref,
        execution_state_snapshot=None,
    )
    opened = AgentFrameRecord(
        frame_id=frame_id,
        session_id=state.session_id,
        previous_frame_id=before.frame_id,
        reason=reason,
        caused_by=caused_by,
        created_at=timestamp,
        assignment=before.assignment,
        protocol_turn_options=state.protocol_turn_options,
    )
    others = [f for f in state.agent_frames if f.frame_id not in {before.frame_id, frame_id}]
    state.agent_frames = (*others, kept, opened)
    state.current_agent_frame_id = frame_id
    state.session_graph.agent_frame_id = frame_id
    state.set_execution_state_snapshot(None)
    if nodes:
        append_session_nodes_to_state(state, nodes, timestamp=timestamp, caused_by=caused_by)
    return True


def read_nodes(given: Sequence[Json]) -> list[SessionAppendNode]:
    """Nodes to append, as plugins and tools write them: a tagged node, or a bare message."""
    nodes: list[SessionAppendNode] = []
    for each in given:
        said = cast("dict[str, Any]", each.value)
        if "kind" in said:
            nodes.append(_NODE.validate_python(said))
        else:
            nodes.append(AppendMessage(message=PluginMessage.from_data(said)))
    return nodes


def _policy(policy: SessionPolicy) -> Json:
    return Json(policy.to_data())
