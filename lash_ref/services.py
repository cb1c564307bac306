"""What the runtime offers to plugins and tools: reads for queries, and more for hooks, commands and tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lash_ref.messages import Message
from lash_ref.scalars import Json
from lash_ref.tool_state import ToolState
from lash_ref.tools import ToolManifest


class ReadView(Protocol):
    """A session as it stood when the view was taken."""

    @property
    def session_id(self) -> str: ...

    @property
    def turn_index(self) -> int: ...

    @property
    def messages(self) -> Sequence[Message]:
        """The active conversation."""
        ...


class SessionReads(Protocol):
    """Reads of live sessions; nothing here waits for a turn."""

    async def snapshot_session(self, session_id: str) -> ReadView: ...

    async def tool_catalog(self, session_id: str) -> Sequence[ToolManifest]: ...

    async def tool_state(self, session_id: str) -> ToolState: ...


class SessionServices(SessionReads, Protocol):
    """Reads, and what changes sessions."""

    async def set_tool_membership(self, session_id: str, names: Sequence[str], *, present: bool) -> int:
        """Let tools in or take them out; the new generation."""
        ...

    async def create_session(self, request: Json) -> str:
        """Create a child session; its id."""
        ...

    async def append_session_nodes(self, session_id: str, nodes: Sequence[Json]) -> Sequence[str]:
        """Append nodes to a session's graph; their ids, in order."""
        ...

    async def emit_trace(self, name: str, payload: Json) -> None:
        """Record a custom trace event."""
        ...


@dataclass(frozen=True)
class TurnContext:
    """What lives for one turn only and is never stored."""

    plugin_inputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The host's inputs for bound plugins, by plugin id."""
