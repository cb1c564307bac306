"""Builders of turns: foreground, drained from the queue, and queued for later."""

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from contextlib import suppress
from typing import Any, Self

from lash_ref.activity import TurnActivity
from lash_ref.cancel import CancellationToken
from lash_ref.effects import EffectController
from lash_ref.errors import LashError, MissingPluginTurnInput, PendingTurnInputSourceKeyConflict
from lash_ref.inputs import ActiveTurn, NextTurn, PendingTurnInput, PendingTurnInputDraft, TextItem, TurnInput
from lash_ref.lane import store_failure
from lash_ref.outcome import TurnResult
from lash_ref.plugins import PluginBinding
from lash_ref.prompt import PromptContribution, PromptLayer, PromptSlot, PromptTemplate
from lash_ref.provider import Provider
from lash_ref.records import ModelSpec
from lash_ref.resident import ActivitySink
from lash_ref.runtime_errors import (
    DurableEffectHostRequiresHandlerContext,
    RuntimeErrorCode,
    RuntimeFailure,
)
from lash_ref.scalars import Record
from lash_ref.shared import Shared
from lash_ref.turn_base import TurnRequest
from lash_ref.turn_loop import AgentFrameRun, TurnLoop
from lash_ref.work import DeliveryPolicy, ProtocolTurnOptions, SlotPolicy


def as_input(given: TurnInput | str) -> TurnInput:
    """Input, also from plain text."""
    return TurnInput(items=(TextItem(text=given),)) if isinstance(given, str) else given


class TurnOutput(Record):
    """A turn's result and everything it showed, in order."""

    result: TurnResult
    activities: tuple[TurnActivity, ...] = ()


class PromptLayerSink:
    """Edits one prompt layer, made when it is first edited."""

    _prompt: PromptLayer | None = None

    def prompt_layer_mut(self, change: Callable[[PromptLayer], PromptLayer]) -> Self:
        """Replace the layer by what ``change`` makes of it."""
        self._prompt = change(self._prompt or PromptLayer())
        return self

    def prompt_template(self, template: PromptTemplate) -> Self:
        """Render with this template."""
        return self.prompt_layer_mut(lambda layer: layer.with_template(template))

    def prompt_contribution(self, contribution: PromptContribution) -> Self:
        """Add to a slot."""
        return self.prompt_layer_mut(lambda layer: layer.with_contribution(contribution))

    def replace_prompt_slot(self, slot: PromptSlot, *contributions: PromptContribution) -> Self:
        """Drop what lower layers put in a slot, for these."""
        return self.prompt_layer_mut(lambda layer: layer.with_replaced_slot(slot, *contributions))

    def clear_prompt_slot(self, slot: PromptSlot) -> Self:
        """Drop what lower layers put in a slot."""
        return self.replace_prompt_slot(slot)


class _Cancellable:
    """The token of a turn to come."""

    token: CancellationToken
    controller: EffectController | None = None

    def cancel(self, token: CancellationToken) -> Self:
        """Stop the turn when this token fires, also when it has fired already."""
        self.token = token
        return self

    def cancel_with_origin(self, token: CancellationToken, origin: str | None) -> Self:
        """As `cancel`, saying on whose behalf; the first word on that stands."""
        token.hint(origin)
        return self.cancel(token)

    def effects(self, controller: EffectController) -> Self:
        """Run the turn's effects under this controller."""
        self.controller = controller
        return self


class TurnBuilder(_Cancellable, PromptLayerSink):
    """One turn to run; what is not said is the session's."""

    def __init__(self, shared: Shared, input: TurnInput) -> None:
        self.shared = shared
        self.input = input
        self.token = CancellationToken()
        self._options: ProtocolTurnOptions | None = None
        self._provider: Provider | None = None
        self._model: ModelSpec | None = None
        self._turn_id: str | None = None
        self._inputs: dict[str, Any] = {}

    def protocol_turn_options(self, options: ProtocolTurnOptions) -> Self:
        """Merge these over the session's options, key by key, for this turn."""
        self._options = options
        return self

    def provider(self, provider: Provider) -> Self:
        """Ask this provider, for this turn only."""
        self._provider = provider
        return self

    def model(self, model: ModelSpec) -> Self:
        """Ask this model, for this turn only (older surface)."""
        self._model = model
        return self

    def turn_id(self, turn_id: str) -> Self:
        """Name the turn: its execution scope, its trace and the stamp of its commit."""
        self._turn_id = turn_id
        return self

    def with_plugin_input(self, binding: "type[PluginBinding[Any, Any]] | str", input: Any) -> Self:
        """Hand a bound plugin its input; lives for this turn and is never stored."""
        self._inputs[binding if isinstance(binding, str) else binding.ID] = input
        return self

    def advanced(self) -> Self:
        """Scoped variants are on this builder: name the controller with `effects`."""
        return self

    # -- run

    async def run(self) -> TurnOutput:
        """Run the turn; its result and activities.

        Raises:
            MissingPluginTurnInput: a bound plugin needs an input.
            RuntimeFailure: the lane is held, or the turn has no outcome; nothing was committed.
        """
        seen: list[TurnActivity] = []

        async def keep(activity: TurnActivity) -> None:
            seen.append(activity)

        result = await self.stream_to(keep)
        return TurnOutput(result=result, activities=tuple(seen))

    def __await__(self) -> Generator[Any, None, TurnOutput]:
        return self.run().__await__()

    async def collect(self) -> tuple[TurnActivity, ...]:
        """Run the turn; its activities only."""
        return (await self.run()).activities

    async def stream_to(self, sink: ActivitySink) -> TurnResult:
        """Run the turn, awaiting ``sink`` for every activity in order."""
        return (await self.run_frames(sink)).final_turn

    async def run_frames(self, sink: ActivitySink | None = None) -> AgentFrameRun:
        """Run the turn; the result of every physical turn it took."""
        request = await self._prepared(sink)
        loop = TurnLoop(self.shared.require_live(), self.shared.effect_host, self.controller)
        self.shared.cancels.register(self.token)
        try:
            return await loop.foreground(request)
        finally:
            self.shared.cancels.forget(self.token)

    def stream(self) -> "TurnStream":
        """Start the turn; its activities as they come, and its result.

        The turn goes on when nobody reads any more.
        """
        return TurnStream(self)

    async def _prepared(self, sink: ActivitySink | None) -> TurnRequest:
        shared = self.shared
        runtime = shared.require_live()
        for binding in shared.active_plugins:
            if binding.requires_turn_input and binding.id not in self._inputs:
                raise MissingPluginTurnInput(binding.id)
        if self._inputs and runtime.services.store is not None:
            code = RuntimeErrorCode.DURABLE_EFFECT_LIVE_PLUGIN_INPUT
            raise RuntimeFailure(code, "live plugin inputs cannot be replayed from a session's store")
        await require_durable_peers(shared, self.controller)
        turn_id = self._named(runtime.host.core.mint)
        return TurnRequest(
            input=self.input,
            turn_id=turn_id,
            token=self.token,
            protocol_turn_options=self._options,
            provider=self._provider,
            model=self._model,
            prompt=self._prompt,
            plugin_inputs=self._inputs,
            sink=sink,
        )

    def _named(self, mint: Callable[[str], str]) -> str:
        """The turn's id: given, the controller's, the trace's, or a new one.

        Raises:
            RuntimeFailure: it is blank, or two of these differ ([TRN.8][], [TRN.9][]).
        """
        scoped = self.controller.scope.turn_id if self.controller is not None else None
        names = [name for name in (self._turn_id, scoped, self.input.trace_turn_id) if name is not None]
        if any(not name.strip() for name in names):
            code = RuntimeErrorCode.MISSING_EXECUTION_SCOPE_ID
            raise RuntimeFailure(code, "a turn id must not be blank")
        if len(set(names)) > 1:
            code = RuntimeErrorCode.EXECUTION_SCOPE_TURN_ID_MISMATCH
            raise RuntimeFailure(code, f"the turn is named differently: {', '.join(names)}")
        return names[0] if names else mint("turn")


async def require_durable_peers(shared: Shared, controller: EffectController | None) -> None:
    """Refuse a durable effect host without a controller of its own, or beside an ephemeral facet.

    Raises:
        DurableEffectHostRequiresHandlerContext: no controller was given.
        RuntimeFailure: a facet would forget what the journal remembers.
    """
    runtime = shared.runtime
    if controller is None and shared.effect_host.tier == "durable":
        raise DurableEffectHostRequiresHandlerContext
    if controller is None or not controller.records:
        return
    store = runtime.services.store
    tiers = {
        "session_store": await store.durability_tier() if store is not None else "inline",
        "attachment_store": await runtime.host.core.attachments.persistence(),
    }
    for facet, tier in tiers.items():
        if tier != "durable":
            problem = f"a durable effect controller needs a durable {facet.replace('_', ' ')}"
            raise RuntimeFailure(f"durable_store_required:{facet}", problem)


class TurnStream:
    """A turn that was started, and what it shows."""

    def __init__(self, builder: TurnBuilder) -> None:
        self._queue: asyncio.Queue[TurnActivity | None] = asyncio.Queue()
        self._task = asyncio.ensure_future(self._run(builder))

    async def _run(self, builder: TurnBuilder) -> TurnResult:
        try:
            return await builder.stream_to(self._queue.put)
        finally:
            self._queue.put_nowait(None)

    async def next_activity(self) -> TurnActivity | None:
        """The next activity, none when the turn has ended."""
        shown = await self._queue.get()
        if shown is None:
            self._queue.put_nowait(None)
        return shown

    def __aiter__(self) -> AsyncIterator[TurnActivity]:
        return self._activities()

    async def _activities(self) -> AsyncIterator[TurnActivity]:
        while (shown := await self.next_activity()) is not None:
            yield shown

    async def finish(self) -> TurnResult:
        """The committed result; raises what the turn raised."""
        return await self._task

    async def aclose(self) -> None:
        """Wait for the turn without caring how it ends."""
        with suppress(LashError):
            await self._task


class QueuedTurnBuilder(_Cancellable):
    """One drain of the session's queue."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.token = CancellationToken()
        self._batch_ids: tuple[str, ...] = ()
        self._drain_id: str | None = None

    def batch_ids(self, batch_ids: Sequence[str]) -> Self:
        """Drain exactly these batches, or nothing; inputs stay."""
        self._batch_ids = tuple(batch_ids)
        return self

    def drain_id(self, drain_id: str) -> Self:
        """Name the drain; else it is named after its first batch, or newly."""
        self._drain_id = drain_id
        return self

    async def run(self) -> TurnOutput | None:
        """Drain one turn; none when nothing is runnable, another drains, or there is no store.

        Raises:
            RuntimeFailure: the turn has no outcome; what it claimed is pending again.
        """
        seen: list[TurnActivity] = []

        async def keep(activity: TurnActivity) -> None:
            seen.append(activity)

        result = await self.stream_to(keep)
        return None if result is None else TurnOutput(result=result, activities=tuple(seen))

    def __await__(self) -> Generator[Any, None, TurnOutput | None]:
        return self.run().__await__()

    async def stream_to(self, sink: ActivitySink) -> TurnResult | None:
        """As `run`, awaiting ``sink`` for every activity."""
        await require_durable_peers(self.shared, self.controller)
        scoped = self.controller.scope.turn_id if self.controller is not None else ""
        request = TurnRequest(input=TurnInput(), turn_id=scoped, token=self.token, sink=sink)
        loop = TurnLoop(self.shared.require_live(), self.shared.effect_host, self.controller)
        self.shared.cancels.register(self.token)
        try:
            done = await loop.queued(request, self._batch_ids, self._drain_id)
        finally:
            self.shared.cancels.forget(self.token)
        return None if done is None else done.final_turn


class EnqueueTurnBuilder:
    """Input to queue; awaiting the builder sends it."""

    def __init__(self, shared: Shared, input: TurnInput) -> None:
        self.shared = shared
        self.input = input
        self._id: str | None = None
        self._ingress: ActiveTurn | NextTurn = NextTurn()

    def id(self, id: str) -> Self:
        """The host's own id: sending twice under it is sending once; stored as ``host:<id>``."""
        self._id = id
        return self

    def ingress(self, ingress: ActiveTurn | NextTurn) -> Self:
        """For which turn: the next one unless said otherwise."""
        self._ingress = ingress
        return self

    def delivery_policy(self, policy: DeliveryPolicy) -> Self:
        """Older surface: after the current turn means the next turn; the earliest boundary means the running one."""
        running = self.shared.runtime.running_turn_id
        if policy == "earliest_safe_boundary" and running is not None:
            return self.ingress(ActiveTurn(turn_id=running))
        return self.ingress(NextTurn())

    def slot_policy(self, policy: SlotPolicy) -> Self:
        """Older surface, accepted and without effect: inputs that wait for one turn merge in order."""
        del policy
        return self

    async def send(self) -> PendingTurnInput:
        """Queue it; the stored row, also when the same id and content were sent before.

        Raises:
            RuntimeFailure: the session has no store, or the store failed.
            PendingTurnInputSourceKeyConflict: the id names other input.
        """
        store = self.shared.queue_store()
        draft = PendingTurnInputDraft(
            session_id=self.shared.session_id,
            source_key=None if self._id is None else f"host:{self._id}",
            ingress=self._ingress,
            input=self.input,
        )
        try:
            made = await store.enqueue_pending_turn_input(draft)
        except PendingTurnInputSourceKeyConflict:
            raise
        except LashError as err:
            raise store_failure(err, self.shared.session_id) from err
        await self.shared.enqueued(made)
        return made

    def __await__(self) -> Generator[Any, None, PendingTurnInput]:
        return self.send().__await__()
