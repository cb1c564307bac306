"""What runs beside a session: its triggers, its processes, its children."""

from collections.abc import Sequence

from lash_ref.children import ChildSpec
from lash_ref.contracts import RuntimePersistence
from lash_ref.inputs import TurnInput
from lash_ref.observe import ProcessChangedPayload
from lash_ref.outcome import TurnResult
from lash_ref.processes import ProcessHandleSummary, ProcessRegistry, SessionScope
from lash_ref.registrar import TriggerEvent
from lash_ref.runtime_errors import ProcessError
from lash_ref.scalars import Json
from lash_ref.shared import Facet
from lash_ref.triggers import TriggerOccurrence, TriggerRouter, TriggerSubscription
from lash_ref.turn_base import TurnRequest
from lash_ref.turn_builders import as_input
from lash_ref.turn_loop import TurnLoop
from lash_ref.usage import OWN_SOURCE, TokenLedgerEntry


class SessionTriggerAdmin(Facet):
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


class SessionProcessAdmin(Facet):
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


class ChildAdmin(Facet):
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
