"""The operations of a session's plugins, as a host calls them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lash_ref.inputs import NextTurn, PendingTurnInputDraft, TurnInput
from lash_ref.operations import (
    OperationKind,
    OperationOutcome,
    PluginCommandContext,
    PluginOperationDef,
    PluginQueryContext,
    PluginTaskContext,
    QueueTurn,
)
from lash_ref.persisted import AppendEvent, SessionAppendNode, append_session_nodes_to_state
from lash_ref.scalars import Json
from lash_ref.shared import Facet
from lash_ref.tools import Cancellation
from lash_ref.turn_builders import as_input


@dataclass(frozen=True)
class OperationReceipt:
    """What a command or task came to, and the nodes that keep its events."""

    outcome: OperationOutcome
    node_ids: tuple[str, ...] = ()
    queued_input_ids: tuple[str, ...] = ()


class PluginOperations(Facet):
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
