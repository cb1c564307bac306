"""The facets of an opened session: configuration, tools, commands, triggers, processes, plugins, children, graph."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from lash_ref.errors import LashError
from lash_ref.hosting import TurnInjectionBridge, TurnInputInjectionBridge
from lash_ref.lane import store_failure
from lash_ref.nodes import SessionNodeRecord
from lash_ref.persisted import SessionAppendNode
from lash_ref.plugin_operations import PluginOperations
from lash_ref.policy import SessionPolicy
from lash_ref.prompt import PromptLayer
from lash_ref.provider import Provider, SingleProviderResolver
from lash_ref.records import ModelSpec
from lash_ref.session_commands import command_draft
from lash_ref.session_planes import ChildAdmin, SessionProcessAdmin, SessionTriggerAdmin
from lash_ref.shared import Facet
from lash_ref.state import SessionSnapshot
from lash_ref.tool_registry import ToolRegistry, ToolRestoreReport, ToolSourceHandle
from lash_ref.tool_state import ToolState
from lash_ref.tools import ToolProvider
from lash_ref.work import QueuedWorkBatch, RefreshToolCatalog, ResetSession, SessionCommand

T = TypeVar("T")


@dataclass(frozen=True)
class SessionConfigPatch:
    """Changes to a session's configuration; what is none stays ([SES.41][])."""

    provider: Provider | None = None
    model: ModelSpec | None = None
    prompt: PromptLayer | None = None


class SessionConfigAdmin(Facet):
    """Configuration."""

    def policy(self) -> SessionPolicy:
        """The policy in force."""
        return self.runtime.published.policy

    async def update(self, patch: SessionConfigPatch) -> None:
        """Put a patch in force: at once in memory, in the store by the next commit, park or close."""
        runtime = self.runtime
        before = runtime.state.policy
        policy = before.but(
            provider_id=before.provider_id if patch.provider is None else patch.provider.kind,
            model=patch.model or before.model,
            prompt=patch.prompt or before.prompt,
        )
        if patch.provider is not None:
            # The core's configuration is shared; this session's is its own from now on.
            core = runtime.host.core.but(provider_resolver=SingleProviderResolver(patch.provider))
            runtime.host.core = core
        await runtime.update_session_config(policy)


class ToolAdmin(Facet):
    """The tool surface; what changes is durable by the next commit, park or close."""

    def state(self) -> ToolState:
        """The surface now."""
        return self.runtime.session.tool_registry.export_state()

    async def apply_state(self, state: ToolState) -> int:
        """Make the surface exactly ``state``, built on this generation; the new generation.

        Raises:
            GenerationMismatch: the surface moved on.
            InvalidToolSurface: a tool resolves nowhere.
        """
        return await self._changed(lambda tools: tools.apply_state(state))

    async def restore_state(self, state: ToolState) -> ToolRestoreReport:
        """Lay a stored surface over the live one; not fenced by generation."""
        return await self._changed(lambda tools: tools.restore_state(state))

    async def set_membership(self, names: Sequence[str], *, present: bool) -> int:
        """Let tools in or take them out by name; the new generation."""
        state = self.state()
        return await self.apply_state(state.with_membership_by_name(tuple(names), present=present))

    async def add_provider(self, provider: ToolProvider) -> ToolSourceHandle:
        """Offer a live provider's tools in this session."""
        return await self._changed(lambda tools: tools.add_tool_provider(provider))

    async def remove_source(self, handle: ToolSourceHandle) -> int:
        """Take a live provider away with its tools."""
        return await self._changed(lambda tools: tools.remove_source(handle))

    async def refresh(self) -> int:
        """Ask every source again what it offers; the generation."""
        return await self._changed(lambda tools: tools.refresh_sources())

    async def _changed(self, change: Callable[[ToolRegistry], T]) -> T:
        """What a change answers, made while nobody else writes and then published."""
        runtime = self.runtime
        async with runtime.writer:
            answer = change(runtime.session.tool_registry)
        runtime.publish(committed=True)
        return answer


class SessionCommandAdmin(Facet):
    """Commands queued for between turns."""

    async def submit(self, command: SessionCommand, key: str) -> QueuedWorkBatch:
        """Queue a command, once for a kind and key.

        Raises:
            RuntimeFailure: the key is blank, or there is no store.
        """
        store = self.shared.queue_store()
        draft = command_draft(self.shared.session_id, command, key)
        try:
            batch = await store.enqueue_queued_work(draft)
        except LashError as err:
            raise store_failure(err, self.shared.session_id) from err
        self.shared.tell_queue("enqueued", batch.batch_id)
        return batch

    async def refresh_tool_catalog(self, key: str, reason: str = "") -> QueuedWorkBatch:
        """Have every tool source asked again."""
        return await self.submit(RefreshToolCatalog(reason=reason), key)

    async def reset_session(self, key: str, reason: str = "") -> QueuedWorkBatch:
        """Have the session start over, keeping id and policy."""
        return await self.submit(ResetSession(reason=reason), key)


class SessionStateAdmin(Facet):
    """The graph and the frames."""

    def export_state(self) -> SessionSnapshot:
        """The session's state as a host may keep it: refs, no bodies."""
        return self.runtime.published.persisted_state.to_snapshot()

    async def append_nodes(
        self, nodes: Sequence[SessionAppendNode], requires_ancestor: str | None = None
    ) -> list[str]:
        """Append and commit nodes; their ids."""
        return await self.runtime.append_session_nodes(nodes, requires_ancestor=requires_ancestor)

    async def get_historic_node(self, node_id: str) -> SessionNodeRecord | None:
        """A node by id, resident or stored."""
        return await self.runtime.get_historic_node(node_id)

    async def orphaned_node_ids(self) -> Sequence[str]:
        """Stored nodes off the stored active path."""
        return await self.runtime.orphaned_node_ids()

    async def open_agent_frame(self, frame_id: str, task: str | None = None) -> bool:
        """Open a frame; whether anything changed."""
        return await self.runtime.open_agent_frame(frame_id, task)

    async def compact_context(self, instructions: str | None = None) -> bool:
        """Open a frame that a compactor seeds; false when none does."""
        return await self.runtime.compact_context(instructions)

    async def branch_to_node(self, node_id: str) -> None:
        """Go on from another node."""
        await self.runtime.branch_to_node(node_id)


class InjectionAdmin(Facet):
    """In-memory messages for the running turn's next checkpoint (older surface; queue input instead)."""

    @property
    def messages(self) -> TurnInjectionBridge:
        """Messages of any role."""
        return self.runtime.services.injection

    @property
    def inputs(self) -> TurnInputInjectionBridge:
        """What a user says."""
        return self.runtime.services.input_injection


class SessionAdmin(Facet):
    """Every facet of a session."""

    def config(self) -> SessionConfigAdmin:
        """Configuration."""
        return SessionConfigAdmin(self.shared)

    def tools(self) -> ToolAdmin:
        """The tool surface."""
        return ToolAdmin(self.shared)

    def commands(self) -> SessionCommandAdmin:
        """Queued commands."""
        return SessionCommandAdmin(self.shared)

    def triggers(self) -> SessionTriggerAdmin:
        """Trigger events."""
        return SessionTriggerAdmin(self.shared)

    def state(self) -> SessionStateAdmin:
        """Graph and frames."""
        return SessionStateAdmin(self.shared)

    def children(self) -> ChildAdmin:
        """Child sessions."""
        return ChildAdmin(self.shared)

    def injection(self) -> InjectionAdmin:
        """In-memory injection."""
        return InjectionAdmin(self.shared)

    def protocol(self) -> Mapping[str, Any]:
        """The protocol's session and driver."""
        plugins = self.runtime.session
        return {"session": plugins.protocol_session, "driver": plugins.protocol_driver}

    def processes(self) -> SessionProcessAdmin:
        """Processes."""
        return SessionProcessAdmin(self.shared)

    def plugin_operations(self) -> PluginOperations:
        """Plugin operations."""
        return PluginOperations(self.shared)
