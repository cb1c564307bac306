"""The facets of an opened session: configuration, tools, commands, triggers, processes, plugins, children, graph."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lash_ref.children import ChildSpec
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import LashError
from lash_ref.hosting import TurnInjectionBridge, TurnInputInjectionBridge
from lash_ref.inputs import NextTurn, PendingTurnInputDraft, TurnInput
from lash_ref.lane import store_failure
from lash_ref.observe import ProcessChangedPayload
from lash_ref.operations import (
    OperationKind,
    OperationOutcome,
    PluginCommandContext,
    PluginOperationDef,
    PluginQueryContext,
    PluginTaskContext,
    QueueTurn,
)
from lash_ref.outcome import TurnResult
from lash_ref.persisted import AppendEvent, SessionAppendNode, append_session_nodes_to_state
from lash_ref.policy import SessionPolicy
from lash_ref.processes import ProcessHandleSummary, ProcessRegistry, SessionScope
from lash_ref.prompt import PromptLayer
from lash_ref.provider import Provider, SingleProviderResolver
from lash_ref.records import ModelSpec, SessionNodeRecord, TokenLedgerEntry
from lash_ref.registrar import TriggerEvent
from lash_ref.runtime import LashRuntime
from lash_ref.runtime_errors import ProcessError
from lash_ref.scalars import Json
from lash_ref.session_commands import command_draft
from lash_ref.shared import Shared
from lash_ref.state import SessionSnapshot
from lash_ref.tool_registry import ToolRestoreReport, ToolSourceHandle
from lash_ref.tool_state import ToolState
from lash_ref.tools import Cancellation, ToolProvider
from lash_ref.triggers import TriggerOccurrence, TriggerRouter, TriggerSubscription
from lash_ref.turn_base import TurnRequest
from lash_ref.turn_builders import as_input
from lash_ref.turn_loop import TurnLoop
from lash_ref.usage import OWN_SOURCE
from lash_ref.work import QueuedWorkBatch, RefreshToolCatalog, ResetSession, SessionCommand


@dataclass(frozen=True)
class SessionConfigPatch:
    """Changes to a session's configuration; what is none stays ([SES.41][])."""

    provider: Provider | None = None
    model: ModelSpec | None = None
    prompt: PromptLayer | None = None


@dataclass(frozen=True)
class _Facet:
    shared: Shared

    @property
    def runtime(self) -> LashRuntime:
        """The live session."""
        return self.shared.require_live()


class SessionConfigAdmin(_Facet):
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


class ToolAdmin(_Facet):
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
        async with self.runtime.writer:
            generation = self.runtime.session.tool_registry.apply_state(state)
        self.runtime.publish(committed=True)
        return generation

    async def restore_state(self, state: ToolState) -> ToolRestoreReport:
        """Lay a stored surface over the live one; not fenced by generation."""
        async with self.runtime.writer:
            report = self.runtime.session.tool_registry.restore_state(state)
        self.runtime.publish(committed=True)
        return report

    async def set_membership(self, names: Sequence[str], *, present: bool) -> int:
        """Let tools in or take them out by name; the new generation."""
        state = self.state()
        return await self.apply_state(state.with_membership_by_name(tuple(names), present=present))

    async def add_provider(self, provider: ToolProvider) -> ToolSourceHandle:
        """Offer a live provider's tools in this session."""
        async with self.runtime.writer:
            handle = self.runtime.session.tool_registry.add_tool_provider(provider)
        self.runtime.publish(committed=True)
        return handle

    async def remove_source(self, handle: ToolSourceHandle) -> int:
        """Take a live provider away with its tools."""
        async with self.runtime.writer:
            generation = self.runtime.session.tool_registry.remove_source(handle)
        self.runtime.publish(committed=True)
        return generation

    async def refresh(self) -> int:
        """Ask every source again what it offers; the generation."""
        async with self.runtime.writer:
            generation = self.runtime.session.tool_registry.refresh_sources()
        self.runtime.publish(committed=True)
        return generation


class SessionCommandAdmin(_Facet):
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


class SessionTriggerAdmin(_Facet):
    """Trigger events and what this session wants to happen at them."""

    @property
    def _router(self) -> TriggerRouter:
        if self.shared.triggers is None:
            raise ProcessError("triggers", "this core has no trigger store and process registry")
        return self.shared.triggers

    def declared(self) -> tuple[TriggerEvent, ...]:
        """The events that the session's plugins declare ([TRG.1][])."""
        return self.runtime.session.triggers

    def register(
        self,
        source_type: str,
        process_kind: str,
        arguments: Json | None = None,
        subscription_id: str | None = None,
    ) -> TriggerSubscription:
        """Start a process of that kind at every such event.

        Raises:
            ProcessError: no plugin declares the event, or the core has no trigger plane.
        """
        named = subscription_id or self.runtime.host.core.mint("subscription")
        subscription = TriggerSubscription(
            subscription_id=named,
            session_id=self.shared.session_id,
            source_type=source_type,
            process_kind=process_kind,
            arguments=arguments or Json({}),
        )
        return self._router.register(self.declared(), subscription)

    def list(self) -> list[TriggerSubscription]:
        """This session's subscriptions; none without a trigger plane."""
        triggers = self.shared.triggers
        return [] if triggers is None else triggers.store.subscriptions(self.shared.session_id)

    def unregister(self, subscription_id: str) -> bool:
        """Drop a subscription; whether there was one."""
        return self._router.store.unsubscribe(subscription_id)

    def emit(self, source_type: str, payload: Json, key: str) -> Sequence[ProcessHandleSummary]:
        """Tell an event, once for a key; the processes it started."""
        occurrence = TriggerOccurrence(occurrence_id=key, source_type=source_type, payload=payload)
        started = self._router.emit(occurrence)
        self.runtime.record(
            ProcessChangedPayload(change="started", ids=tuple(row.process_id for row in started))
        )
        return started


class SessionProcessAdmin(_Facet):
    """This session's processes."""

    @property
    def registry(self) -> ProcessRegistry:
        """The core's registry.

        Raises:
            ProcessError: the core has none.
        """
        if self.runtime.host.processes is None:
            raise ProcessError("processes", "this core has no process registry")
        return self.runtime.host.processes

    def start(self, kind: str, arguments: Json | None = None, label: str | None = None) -> ProcessHandleSummary:
        """Start a process of a kind."""
        frame = self.runtime.state.current_agent_frame_id
        scope = SessionScope.for_agent_frame(self.shared.session_id, frame)
        row = self.registry.start(kind, scope, arguments or Json({}), label=label)
        self.runtime.record(ProcessChangedPayload(change="started", ids=(row.process_id,)))
        return row

    def list(self) -> Sequence[ProcessHandleSummary]:
        """Those that run; none without a registry ([PRC.9][])."""
        return tuple(row for row in self.list_all() if row.state == "running")

    def list_all(self) -> Sequence[ProcessHandleSummary]:
        """Ended ones too."""
        processes = self.runtime.host.processes
        return () if processes is None else processes.of_session(self.shared.session_id)

    async def await_output(self, process_id: str) -> ProcessHandleSummary:
        """The process once it has ended."""
        return await self.registry.await_output(process_id)

    def signal(self, process_id: str, signal: Json) -> None:
        """Hand a running process a signal."""
        self.registry.signal(process_id, signal)

    async def cancel(self, process_id: str) -> ProcessHandleSummary:
        """End a process."""
        row = await self.registry.cancel(process_id)
        self.runtime.record(ProcessChangedPayload(change="cancelled", ids=(process_id,)))
        return row


@dataclass(frozen=True)
class OperationReceipt:
    """What a command or task came to, and the nodes that keep its events."""

    outcome: OperationOutcome
    node_ids: tuple[str, ...] = ()
    queued_input_ids: tuple[str, ...] = ()


class PluginOperations(_Facet):
    """Queries, commands and tasks of the session's plugins."""

    def list(self) -> Sequence[PluginOperationDef]:
        """Every operation."""
        return self.runtime.session.operations()

    async def query(self, name: str, args: object = None, session_id: str | None = None) -> Json:
        """Ask; waits for no turn."""
        operation = self.runtime.session.operation("query", name)
        chosen = operation.session(session_id, self.shared.session_id)
        context = PluginQueryContext(chosen, self.runtime.plugin_services)
        return (await operation.invoke(context, args)).output

    async def command(
        self, name: str, args: object = None, session_id: str | None = None
    ) -> OperationReceipt:
        """Carry out a command: its events become nodes, state is committed, then turns are queued.

        Raises:
            PluginOperationError: it was refused or failed; nothing was committed.
            RuntimeFailure: the lane is held, or the store failed.
        """
        return await self._carried_out("command", name, args, session_id, None)

    async def task(
        self,
        name: str,
        args: object = None,
        session_id: str | None = None,
        cancellation: Cancellation | None = None,
    ) -> OperationReceipt:
        """As `command`, for what may take long."""
        return await self._carried_out("task", name, args, session_id, cancellation)

    async def _carried_out(
        self,
        kind: OperationKind,
        name: str,
        args: object,
        session_id: str | None,
        cancellation: Cancellation | None,
    ) -> OperationReceipt:
        runtime = self.runtime
        operation = runtime.session.operation(kind, name)
        chosen = operation.session(session_id, self.shared.session_id)
        services = runtime.plugin_services
        context: object = PluginCommandContext(chosen, services)
        if kind == "task":
            context = PluginTaskContext(chosen, services, cancellation)
        done: list[OperationOutcome] = []
        nodes: list[str] = []

        async def carry_out() -> None:
            outcome = await operation.invoke(context, args)
            done.append(outcome)
            events: list[SessionAppendNode] = [
                AppendEvent(
                    event=Json({
                        "id": "lash.plugin_runtime",
                        "plugin_id": owned.plugin_id,
                        "event": owned.value.to_data(),
                    })
                )
                for owned in outcome.events
            ]
            nodes.extend(
                append_session_nodes_to_state(runtime.state, events, timestamp=runtime.timestamp())
            )

        await runtime.change(carry_out)
        queued = [await self._queue(directive) for directive in done[0].directives]
        return OperationReceipt(done[0], tuple(nodes), tuple(queued))

    async def _queue(self, directive: QueueTurn) -> str:
        """Queue a turn that an operation asks for."""
        given: Any = directive.input.value
        draft = PendingTurnInputDraft(
            session_id=self.shared.session_id,
            source_key=directive.source_key,
            ingress=NextTurn(),
            input=as_input(given) if isinstance(given, str) else TurnInput.from_data(given),
        )
        made = await self.shared.queue_store().enqueue_pending_turn_input(draft)
        await self.shared.enqueued(made)
        return made.input_id


class SessionStateAdmin(_Facet):
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


class ChildAdmin(_Facet):
    """Managed child sessions."""

    async def create(self, spec: ChildSpec | None = None, store: RuntimePersistence | None = None) -> str:
        """A child on a store of its own; its id."""
        child = await self.runtime.children.create(spec or ChildSpec(), store)
        return child.session_id

    def list(self) -> Sequence[str]:
        """Ids of the children."""
        return tuple(self.runtime.managed_sessions)

    async def turn(self, session_id: str, input: TurnInput | str) -> TurnResult:
        """Run one turn of a child; what it spends is the parent's too, under the child's source.

        Raises:
            RuntimeFailure: no such child, or it runs a turn already.
        """
        children = self.runtime.children
        child = children.begin_turn(session_id)
        spent: tuple[TokenLedgerEntry, ...] = ()
        try:
            turn_id = child.host.core.mint("turn")
            run = await TurnLoop(child, self.shared.effect_host).foreground(
                TurnRequest(input=as_input(input), turn_id=turn_id)
            )
            spent = tuple(
                TokenLedgerEntry(source=OWN_SOURCE, model=child.state.policy.model_id, usage=turn.usage)
                for turn in run.turns
            )
            return run.final_turn
        finally:
            await children.end_turn(session_id, spent)

    def usage(self) -> Sequence[TokenLedgerEntry]:
        """What children spent since the parent's last commit."""
        return tuple(self.runtime.shared_token_ledger)

    async def close(self, session_id: str) -> None:
        """Persist a child and let it go."""
        await self.runtime.children.close(session_id)


class InjectionAdmin(_Facet):
    """In-memory messages for the running turn's next checkpoint (older surface; queue input instead)."""

    @property
    def messages(self) -> TurnInjectionBridge:
        """Messages of any role."""
        return self.runtime.services.injection

    @property
    def inputs(self) -> TurnInputInjectionBridge:
        """What a user says."""
        return self.runtime.services.input_injection


class SessionAdmin(_Facet):
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
