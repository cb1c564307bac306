"""Child sessions, and what plugins and tools may ask of the session they run in."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from lash_ref.activity import ChildUsage
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import InvalidToolSurface, PluginSessionError
from lash_ref.frames import read_nodes
from lash_ref.policy import SessionPolicy, SessionSpec
from lash_ref.records import ChildSession, SessionStoreCreateRequest
from lash_ref.resident import Resident
from lash_ref.runtime_errors import RuntimeErrorCode, RuntimeFailure
from lash_ref.scalars import Json, Record
from lash_ref.services import ReadView
from lash_ref.tool_state import ToolState
from lash_ref.tools import SessionToolAccess, ToolManifest
from lash_ref.usage import CHILD_SOURCE, TokenLedgerEntry


@dataclass(frozen=True)
class ChildRequest:
    """A child to create; its policy is resolved already."""

    session_id: str
    policy: SessionPolicy
    store: RuntimePersistence | None = None
    fork: bool = False
    """Start from the parent's plugin and tool state."""
    usage_source: str = CHILD_SOURCE
    tool_access: SessionToolAccess = field(default_factory=SessionToolAccess)
    subagent: Json | None = None


class ChildSpec(Record):
    """What a plugin or a host says of a child it wants."""

    session_id: str | None = None
    spec: SessionSpec = SessionSpec()
    plugin_source: str = "current_host_fresh"
    usage_source: str = CHILD_SOURCE
    tool_access: SessionToolAccess = SessionToolAccess()
    subagent: Json | None = None


class ChildSessions:
    """The children of one live session, by id."""

    def __init__(
        self, parent: Resident, open_child: Callable[[ChildRequest], Awaitable[Resident]]
    ) -> None:
        self.parent = parent
        self._open = open_child
        self._sources: dict[str, str] = {}

    async def create(self, spec: ChildSpec, store: RuntimePersistence | None = None) -> Resident:
        """A child session on a store of its own ([PRC.7][]).

        Raises:
            RuntimeFailure: the id is the parent's or another child's, or the store is the parent's.
        """
        parent = self.parent
        session_id = spec.session_id or parent.host.core.mint("session")
        if session_id == parent.session_id or session_id in parent.managed_sessions:
            raise _refused(f"session id {session_id!r} is the parent's or another child's")
        policy = spec.spec.resolve_against(parent.state.policy).but(session_id=session_id)
        own = store or await self._store(session_id, policy)
        if own is not None and own is parent.services.store:
            raise _refused(
                f"child {session_id!r} was given its parent's store; configure child_store_factory instead"
            )
        child = await self._open(
            ChildRequest(
                session_id,
                policy,
                own,
                spec.plugin_source == "current_session_fork",
                spec.usage_source,
                spec.tool_access,
                spec.subagent,
            )
        )
        parent.managed_sessions[session_id] = child
        self._sources[session_id] = spec.usage_source
        return child

    async def _store(self, session_id: str, policy: SessionPolicy) -> RuntimePersistence | None:
        factory = self.parent.host.session_store_factory
        if factory is None:
            return None
        relation = ChildSession(parent_session_id=self.parent.session_id)
        request = SessionStoreCreateRequest(
            session_id=session_id, relation=relation, policy=policy.for_store()
        )
        return await factory.create_store(request)

    def get(self, session_id: str) -> Resident:
        """A child by id.

        Raises:
            RuntimeFailure: there is none.
        """
        if session_id not in self.parent.managed_sessions:
            raise _refused(f"there is no child session {session_id!r}")
        return self.parent.managed_sessions[session_id]

    def begin_turn(self, session_id: str) -> Resident:
        """Reserve a child for one turn.

        Raises:
            RuntimeFailure: it runs one already, or does not exist.
        """
        child = self.get(session_id)
        if session_id in self.parent.managed_turns:
            raise _refused(f"child session {session_id!r} runs a turn already")
        self.parent.managed_turns.add(session_id)
        return child

    async def end_turn(self, session_id: str, spent: Sequence[TokenLedgerEntry]) -> None:
        """Give the child back and account for what it spent, live and for the parent's next commit ([PRC.8][])."""
        parent = self.parent
        parent.managed_turns.discard(session_id)
        source = self._sources.get(session_id, CHILD_SOURCE)
        for entry in spent:
            parent.shared_token_ledger.append(entry.but(source=source))
            if parent.sink is not None:
                told = ChildUsage(
                    session_id=session_id,
                    source=source,
                    model=entry.model,
                    protocol_iteration=0,
                    usage=entry.usage,
                    cumulative=entry.usage,
                )
                await parent.tell(f"child:{session_id}", told)

    async def close(self, session_id: str) -> None:
        """Persist a child and let it go."""
        child = self.get(session_id)
        await child.persist()
        child.session.leave()
        del self.parent.managed_sessions[session_id]


def _refused(message: str) -> RuntimeFailure:
    return RuntimeFailure(RuntimeErrorCode.PLUGIN_SESSION_MANAGER, message)


class SessionPlane:
    """`SessionServices` of one live session and its children."""

    def __init__(
        self,
        resident: Resident,
        children: ChildSessions,
        append: Callable[[Sequence[Any]], Awaitable[list[str]]],
    ) -> None:
        self.resident = resident
        self.children = children
        self._append = append

    def _found(self, session_id: str) -> Resident:
        if session_id == self.resident.session_id:
            return self.resident
        child = self.resident.managed_sessions.get(session_id)
        if child is None:
            raise PluginSessionError(f"session {session_id!r} is neither this one nor a child of it")
        return child

    async def snapshot_session(self, session_id: str) -> ReadView:
        """What was last published of a session."""
        return self._found(session_id).published.read_view

    async def tool_catalog(self, session_id: str) -> Sequence[ToolManifest]:
        """The tools a session may call."""
        return self._found(session_id).session.tool_catalog()

    async def tool_state(self, session_id: str) -> ToolState:
        """A session's tool surface."""
        return self._found(session_id).session.tool_registry.export_state()

    async def set_tool_membership(self, session_id: str, names: Sequence[str], *, present: bool) -> int:
        """Let tools in or take them out; the new generation."""
        registry = self._found(session_id).session.tool_registry
        try:
            return registry.apply_state(
                registry.export_state().with_membership_by_name(tuple(names), present=present)
            )
        except InvalidToolSurface as err:
            raise PluginSessionError(str(err)) from err

    async def create_session(self, request: Json) -> str:
        """Create a child session; its id."""
        return (await self.children.create(ChildSpec.from_data(request.value))).session_id

    async def append_session_nodes(self, session_id: str, nodes: Sequence[Json]) -> Sequence[str]:
        """Append nodes to this session's graph; their ids."""
        if self._found(session_id) is not self.resident:
            raise PluginSessionError("nodes are appended through the session they belong to")
        return await self._append(cast("Sequence[Any]", read_nodes(nodes)))

    async def emit_trace(self, name: str, payload: Json) -> None:
        """Record a trace event."""
        self.resident.host.core.trace(name, payload)
