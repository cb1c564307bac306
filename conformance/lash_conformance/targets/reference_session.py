"""One session of the reference behind the host Protocol: names in, lash's JSON out."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from pydantic import TypeAdapter

from lash_conformance.host import Data, TurnSpec
from lash_conformance.targets.reference_data import data, event_data, gap_data, lines, report
from lash_ref.cancel import CancellationToken
from lash_ref.children import ChildSpec
from lash_ref.hosting import TurnPhaseProbe
from lash_ref.inputs import ActiveTurn, CancelTarget, NextTurn, TurnInput, TurnInputClaim
from lash_ref.observe import (
    Gap,
    SessionObservationEvent,
)
from lash_ref.persisted import SessionAppendNode
from lash_ref.prompt import PromptLayer
from lash_ref.provider import Provider
from lash_ref.records import ModelSpec
from lash_ref.scalars import Json
from lash_ref.session import LashSession
from lash_ref.session_admin import SessionConfigPatch
from lash_ref.tool_registry import ToolSourceHandle
from lash_ref.tool_state import ToolState
from lash_ref.tools import SessionToolAccess, ToolProvider
from lash_ref.turn_builders import TurnOutput
from lash_ref.work import ProtocolTurnOptions, QueuedWorkClaim

TARGETS: TypeAdapter[tuple[CancelTarget, ...]] = TypeAdapter(tuple[CancelTarget, ...])
NODES: TypeAdapter[tuple[SessionAppendNode, ...]] = TypeAdapter(tuple[SessionAppendNode, ...])


class ReferenceSubscription:
    """A live stream."""

    def __init__(self, stream: AsyncIterator[SessionObservationEvent | Gap], session: LashSession) -> None:
        self._stream = stream
        self._session = session
        self._awaited: asyncio.Future[SessionObservationEvent | Gap] | None = None

    async def next(self) -> Data | None:
        """The next event or gap; none once the stream has ended or was closed."""
        self._awaited = asyncio.ensure_future(anext(self._stream))
        try:
            await asyncio.wait((self._awaited,))
        except asyncio.CancelledError:
            self._awaited.cancel()
            raise
        if self._awaited.cancelled() or isinstance(self._awaited.exception(), StopAsyncIteration):
            return None
        seen = self._awaited.result()
        return {"type": "gap", "gap": gap_data(seen, self._session)} if isinstance(seen, Gap) else event_data(seen)

    async def close(self) -> None:
        """Stop following; whoever waits is told that the stream has ended."""
        if self._awaited is not None and not self._awaited.done():
            self._awaited.cancel()
            await asyncio.wait((self._awaited,))
        close = getattr(self._stream, "aclose", None)
        if close is not None:
            await close()


class ReferenceSession:
    """One handle on a session."""

    def __init__(
        self,
        inner: LashSession,
        providers: dict[str, Provider],
        controlled: Callable[[str, str], Any],
        probe: TurnPhaseProbe,
        provider: Callable[[Sequence[str]], ToolProvider],
    ) -> None:
        self.inner = inner
        self.provider = provider
        self.probe = probe
        self.providers = providers
        self.controlled = controlled
        self.tokens: dict[str, CancellationToken] = {}

    # -- turns

    async def turn(self, spec: TurnSpec) -> Data:
        """Run one turn to its end."""
        given = TurnInput.from_data({"items": list(spec.items), "trace_turn_id": spec.trace_turn_id})
        made = self.inner.turn(given)
        if spec.turn_id is not None:
            made = made.turn_id(spec.turn_id)
        if spec.cancel is not None:
            token = self.tokens.setdefault(spec.cancel, CancellationToken())
            made = made.cancel(token) if spec.cancel_origin is None else made.cancel_with_origin(token, spec.cancel_origin)
        if spec.provider is not None:
            made = made.provider(self.providers[spec.provider])
        if spec.prompt is not None:
            layer = PromptLayer.from_data(spec.prompt)
            made = made.prompt_layer_mut(lambda _: layer)
        if spec.options is not None:
            made = made.protocol_turn_options(ProtocolTurnOptions.from_data(spec.options))
        for plugin_id, value in spec.plugin_inputs.items():
            made = made.with_plugin_input(plugin_id, value)
        controller = self.controlled(self.inner.session_id(), spec.turn_id or "")
        return report(await (made if controller is None else made.effects(controller)).run())

    async def queued_turn(self, batch_ids: Sequence[str] = (), drain_id: str | None = None) -> Data | None:
        """Drain one turn of queued work."""
        made = self.inner.queued_turn()
        if batch_ids:
            made = made.batch_ids(batch_ids)
        if drain_id is not None:
            made = made.drain_id(drain_id)
        output = await made.run()
        return None if output is None else report(output)

    async def fire(self, token: str) -> None:
        """Fire a turn's cancellation token."""
        self.tokens.setdefault(token, CancellationToken()).cancel()

    async def cancel_running_turns(self, origin: str | None = None) -> int:
        """Cancel what runs through this handle and its clones."""
        if origin is None:
            return self.inner.cancel_running_turns()
        return self.inner.cancel_running_turns_with_origin(origin)

    async def request_turn_cancel(
        self, turn_id: str, request_id: str, origin: str | None = None, reason: str | None = None
    ) -> Data:
        """Ask one turn to stop."""
        receipt = await self.inner.request_turn_cancel(turn_id, request_id, origin, reason)
        return {"durability_tier": receipt.durability_tier, **data(receipt.outcome)}

    # -- life

    async def clone(self) -> "ReferenceSession":
        """Another handle on the same live session."""
        made = ReferenceSession(self.inner.clone(), self.providers, self.controlled, self.probe, self.provider)
        made.tokens = self.tokens
        return made

    async def drop(self) -> None:
        """Let go of this handle."""
        self.inner.drop()

    async def park(self) -> object:
        """Flush, and let go until it is resumed."""
        return await self.inner.park()

    async def close(self) -> None:
        """Flush and let go."""
        await self.inner.close()

    async def configure(self, patch: Data) -> None:
        """Change provider, model or prompt."""
        prompt = PromptLayer.from_data(patch["prompt"]) if "prompt" in patch else None
        provider = self.providers[patch["provider"]] if "provider" in patch else None
        model = self._model(patch["model"]) if "model" in patch else None
        await self.inner.configure(SessionConfigPatch(provider=provider, model=model, prompt=prompt))

    def _model(self, model_id: str) -> ModelSpec:
        return self.inner.policy_snapshot().required_model().but(id=model_id)

    # -- reads

    async def read(self, what: str) -> Any:
        """A non-blocking read."""
        inner = self.inner
        match what:
            case "session_id":
                return inner.session_id()
            case "parent_session_id":
                return inner.parent_session_id()
            case "policy":
                policy = inner.policy_snapshot()
                return {"max_turns": None, "prompt": None} | data(policy)
            case "transcript":
                return lines(inner.read_view().messages)
            case "usage_report":
                return data(inner.usage_report())
            case "turn_index":
                return inner.read_view().turn_index
            case "frames":
                return data(inner.admin().state().export_state().agent_frames)
            case "current_frame":
                return inner.admin().state().export_state().current_agent_frame_id
            case "tool_state":
                return data(inner.observe().tool_state())
            case "active_tools":
                return sorted(manifest.name for manifest in inner.observe().active_tool_manifests())
            case "head_revision":
                return inner.observe().current_observation().cursor.revision
            case _:
                raise ValueError(f"nothing to read called {what!r}")

    async def observe(self) -> Data:
        """The current observation."""
        now = self.inner.observe().current_observation()
        return {"cursor": now.cursor.text(), "revision": now.cursor.revision}

    async def resume_from(self, cursor: str) -> Data:
        """What followed the cursor."""
        found = self.inner.observe().resume_from_cursor(cursor)
        if found.gap is not None:
            return {"gap": gap_data(found.gap, self.inner)}
        return {"events": [event_data(one) for one in found.events]}

    async def subscribe(self, cursor: str, *, recover: bool = False) -> ReferenceSubscription:
        """Follow from the cursor."""
        observed = self.inner.observe()
        observed.subscribe_from_cursor(cursor)
        stream = observed.subscribe_and_recover(cursor) if recover else aiter(observed.subscribe_from_cursor(cursor))
        return ReferenceSubscription(stream, self.inner)

    # -- everything else

    async def call(self, method: str, arguments: Data) -> Any:
        """A member by its name."""
        known = {
            name: getattr(self, f"_{name.replace('.', '_')}")
            for name in METHODS
        }  # fmt: skip
        return data(await known[method](**arguments))

    async def _enqueue(self, text: str, id: str | None = None, ingress: Data | None = None) -> Any:
        made = self.inner.enqueue(text)
        if id is not None:
            made = made.id(id)
        if ingress is not None:
            scope = ActiveTurn if ingress["scope"] == "active_turn" else NextTurn
            made = made.ingress(scope.from_data(ingress))
        return {"source_key": None} | data(await made.send())

    async def _queued_work(self) -> Any:
        return await self.inner.queued_work()

    async def _pending_turn_inputs(self) -> Any:
        return await self.inner.pending_turn_inputs()

    async def _cancel_pending_turn_input(self, input_id: str) -> Any:
        return await self.inner.cancel_pending_turn_input(input_id)

    async def _cancel_pending_turn_inputs(self, targets: list[Data]) -> Any:
        return await self.inner.cancel_pending_turn_inputs(TARGETS.validate_python(targets))

    async def _cancel_pending_turn_input_suffix(self, anchor: Data) -> Any:
        return await self.inner.cancel_pending_turn_input_suffix(TARGETS.validate_python([anchor])[0])

    async def _cancel_queued_work_batch(self, batch_id: str) -> Any:
        return await self.inner.cancel_queued_work_batch(batch_id)

    async def _await_queued_work_batch(self, batch_id: str) -> None:
        await self.inner.await_queued_work_batch(batch_id)

    async def _abandon_queued_work_claim(self, claim: Data) -> None:
        await self.inner.abandon_queued_work_claim(QueuedWorkClaim.from_data(claim))

    async def _abandon_turn_input_claim(self, claim: Data) -> None:
        await self.inner.abandon_turn_input_claim(TurnInputClaim.from_data(claim))

    async def _revoke_durable_waits(self) -> None:
        await self.inner.revoke_durable_waits()

    async def _get_historic_node(self, node_id: str) -> Any:
        return await self.inner.admin().state().get_historic_node(node_id)

    async def _orphaned_node_ids(self) -> Any:
        return list(await self.inner.admin().state().orphaned_node_ids())

    async def _append_nodes(self, nodes: list[Data], requires_ancestor: str | None = None) -> Any:
        state = self.inner.admin().state()
        return await state.append_nodes(NODES.validate_python(nodes), requires_ancestor)

    async def _export_state(self) -> Any:
        return self.inner.admin().state().export_state()

    async def _refresh_background_graph(self) -> None:
        await self.inner.refresh_background_graph()

    async def _compact_context(self, instructions: str | None = None) -> Any:
        return await self.inner.admin().state().compact_context(instructions)

    async def _open_agent_frame(self, frame_id: str, task: str | None = None) -> Any:
        return await self.inner.admin().state().open_agent_frame(frame_id, task)

    async def _branch_to_node(self, node_id: str) -> None:
        await self.inner.admin().state().branch_to_node(node_id)

    async def _set_turn_phase_probe(self) -> None:
        await self.inner.set_turn_phase_probe(self.probe)

    async def _operation(self, kind: str, name: str, arguments: Data, session: str | None = None) -> Any:
        operations = self.inner.plugin_operations()
        if kind == "query":
            return await operations.query(name, arguments, session)
        run = operations.command if kind == "command" else operations.task
        receipt = await run(name, arguments, session)
        events = [{"plugin_id": one.plugin_id, "event": data(one.value)} for one in receipt.outcome.events]
        return {"output": data(receipt.outcome.output), "events": events}

    async def _operations(self) -> Any:
        return self.inner.plugin_operations().list()

    async def _triggers_catalog(self) -> Any:
        return self.inner.triggers().declared()

    async def _tools_state(self) -> Any:
        return self.inner.tools().state()

    async def _tools_apply_state(self, state: Data) -> Any:
        return await self.inner.tools().apply_state(ToolState.from_data(state))

    async def _tools_set_membership(self, tool_id: str, member: bool) -> Any:
        name = self.inner.tools().state().tools[tool_id].manifest.name
        return await self.inner.tools().set_membership([name], present=member)

    async def _tools_refresh(self) -> Any:
        return await self.inner.tools().refresh()

    async def _tools_add(self, tools: Sequence[str]) -> Any:
        return (await self.inner.tools().add_provider(self.provider(tools))).id

    async def _tools_remove(self, handle: str) -> Any:
        return await self.inner.tools().remove_source(ToolSourceHandle(handle))

    async def _command(self, kind: str, key: str, reason: str = "") -> Any:
        commands = self.inner.commands()
        run = commands.reset_session if kind == "reset_session" else commands.refresh_tool_catalog
        return await run(key, reason)

    async def _processes_start(self, name: str, arguments: Data | None = None) -> Any:
        return self.inner.processes().start(name, Json(arguments or {}))

    async def _processes_list(self) -> Any:
        return list(self.inner.processes().list_all())

    async def _processes_await(self, id: str) -> Any:
        return await self.inner.processes().await_output(id)

    async def _processes_cancel(self, id: str) -> Any:
        return await self.inner.processes().cancel(id)

    async def _processes_signal(self, id: str, signal: Any) -> None:
        self.inner.processes().signal(id, Json(signal))

    async def _triggers_register(self, event: str, process: str) -> Any:
        return self.inner.triggers().register(event, process)

    async def _triggers_list(self) -> Any:
        return self.inner.triggers().list()

    async def _triggers_emit(self, event: str, key: str, payload: Any = None) -> Any:
        return list(self.inner.triggers().emit(event, Json(payload), key))

    async def _children_create(
        self, session_id: str | None = None, fork: bool = False, hidden: Sequence[str] = ()
    ) -> Any:
        source = "current_session_fork" if fork else "current_host_fresh"
        access = SessionToolAccess(hidden_tools=tuple(hidden))
        spec = ChildSpec(session_id=session_id, plugin_source=source, tool_access=access)
        return await self.inner.admin().children().create(spec)

    async def _children_turn(self, session_id: str, text: str) -> Any:
        result = await self.inner.admin().children().turn(session_id, text)
        return report(TurnOutput(result=result))


METHODS = (
    "enqueue", "queued_work", "pending_turn_inputs", "cancel_pending_turn_input", "cancel_pending_turn_inputs",
    "cancel_pending_turn_input_suffix", "cancel_queued_work_batch", "await_queued_work_batch",
    "abandon_queued_work_claim", "abandon_turn_input_claim", "revoke_durable_waits", "get_historic_node",
    "orphaned_node_ids", "append_nodes", "export_state", "refresh_background_graph", "compact_context",
    "open_agent_frame", "branch_to_node", "set_turn_phase_probe", "operation", "operations", "triggers.catalog",
    "tools.state", "tools.apply_state", "tools.set_membership", "tools.refresh", "tools.add", "tools.remove", "command", "processes.start",
    "processes.list", "processes.await", "processes.cancel", "processes.signal", "triggers.register",
    "triggers.list", "triggers.emit", "children.create", "children.turn",
)  # fmt: skip
"""Members of a session by name."""
