"""The driver of one physical turn: runs the machine's effects and makes the turn's one commit.

Everything a turn does to the session is undone when it ends in an error rather than an outcome: the store
was not written, the state rolls back, claims are given back. Whatever ends in an outcome is committed,
cancelled and aborted turns too ([TRN.3], [TRN.4]).
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from lash_ref import activity, hooks
from lash_ref.cancel import CancellationToken, TurnCancelGate, TurnCancellationEvidence
from lash_ref.claims import TurnClaims, accepted, checkpoint_work, claimed_messages, wake_message
from lash_ref.code_tools import CodeTools
from lash_ref.directives import PluginDirective, TurnDirectives, TurnPoint, apply_turn_directives
from lash_ref.dispatch import FailTurn, ToolDispatch
from lash_ref.effects import EffectController
from lash_ref.errors import LashError, PluginError
from lash_ref.inputs import AttachmentItem, CheckpointWork, InputItem, StoredSource, TurnInput
from lash_ref.ladder import LlmCallRecord
from lash_ref.lane import Lane, lease_lost, store_failure
from lash_ref.machine import (
    Abort,
    Begin,
    CallLlm,
    Cancel,
    CheckpointAnswered,
    CodeAnswered,
    Effect,
    Input,
    LlmAnswered,
    MachineState,
    ReachCheckpoint,
    RunCode,
    RunTools,
    ToolsAnswered,
)
from lash_ref.messages import Message
from lash_ref.model_call import ModelCall, TurnCancelled
from lash_ref.outcome import FinalValue, Finished, Stopped, TurnIssue, TurnOutcome
from lash_ref.plugin_events import PluginMessage, PluginOwned, PluginRuntimeEvent
from lash_ref.projection import llm_messages, llm_tools, user_message
from lash_ref.prompt import PromptLayer, resolve_prompt_layers
from lash_ref.protocol import ProtocolDriver
from lash_ref.provider import LlmRequest, LlmScope, LlmTool, Provider
from lash_ref.records import ModelSpec, PromptUsage, TokenUsage
from lash_ref.resident import ActivitySink, Resident
from lash_ref.runtime_errors import RuntimeErrorCode, RuntimeFailure
from lash_ref.scalars import Json
from lash_ref.services import TurnContext
from lash_ref.waits import Waits
from lash_ref.work import CheckpointKind, ProcessWake, ProtocolTurnOptions


@dataclass
class TurnRequest:
    """What a host asks of a turn."""

    input: TurnInput
    parts: tuple[tuple[InputItem, ...], ...] = ()
    """The items of merged inputs kept apart; empty when there is one input."""
    turn_id: str = ""
    token: CancellationToken = field(default_factory=CancellationToken)
    protocol_turn_options: ProtocolTurnOptions | None = None
    provider: Provider | None = None
    model: ModelSpec | None = None
    prompt: PromptLayer | None = None
    plugin_inputs: dict[str, Any] = field(default_factory=dict[str, Any])
    sink: ActivitySink | None = None
    wakes: tuple[ProcessWake, ...] = ()


@dataclass
class Turn:
    """One physical turn, up to its outcome; `turn_commit` commits it."""

    runtime: Resident
    request: TurnRequest
    controller: EffectController
    waits: Waits
    lane: Lane | None = None
    claims: TurnClaims = field(default_factory=TurnClaims)

    def __post_init__(self) -> None:
        self.turn_id = self.request.turn_id
        self.token = self.request.token
        self.gate = TurnCancelGate(self.waits, self.runtime.session_id, self.turn_id)
        self.context = TurnContext(self.request.plugin_inputs)
        self.issues: list[TurnIssue] = []
        self.llm_calls: list[LlmCallRecord] = []
        self.usage = TokenUsage()
        self.last_prompt: TokenUsage | None = None
        self.late_events: list[PluginOwned[PluginRuntimeEvent]] = []
        self.committed = False
        self.now_ms = 0
        self.options = self.runtime.state.protocol_turn_options
        self.tools: tuple[LlmTool, ...] = ()
        self.shown = 0
        self.overlay = hooks.PreparedContext()
        self.history: list[Message] = []
        self.dispatch: ToolDispatch | None = None
        self.provider: Provider | None = None
        self.system = ""

    @property
    def timestamp(self) -> str:
        """When the turn began, as its nodes carry it."""
        return self.runtime.host.core.timestamp(self.now_ms)

    # -- what observers see

    async def show(self, correlation_id: str, event: activity.TurnEvent) -> None:
        """Show an activity to the turn's sink and to the session's observers."""
        from lash_ref.observe import TurnActivityPayload

        self.shown += 1
        shown = activity.TurnActivity(
            id=f"{self.turn_id}:a{self.shown}",
            correlation_id=f"{self.turn_id}:{correlation_id}",
            event=event,
        )
        self.runtime.record(TurnActivityPayload(activity=shown))
        if self.request.sink is not None:
            await self.request.sink(shown)

    async def emit(self, owned: PluginOwned[PluginRuntimeEvent]) -> None:
        """Show a plugin's runtime event."""
        event = activity.PluginRuntime(plugin_id=owned.plugin_id, event=Json(owned.value.to_data()))
        await self.show(f"plugin:{owned.plugin_id}", event)

    # -- the run

    async def run(self) -> TurnOutcome:
        """Prepare and drive the turn; its outcome, with everything it produced in the state.

        Raises:
            RuntimeFailure: the turn has no outcome.
        """
        began = await self.controller.run(
            "turn_start", "0", Json({"input": self.request.input.to_data()}), self._started
        )
        said: Any = began.value
        self.now_ms = said["now_ms"]
        self.runtime.state.turn_index += 1
        self._own_attachments()
        await self.runtime.reach("prepare", self.turn_id)
        refused = await self._take_in()
        if refused is not None:
            return self._stop("invalid_input", refused)
        aborted = await self._before_turn()
        if aborted is not None:
            return aborted
        self.provider = self._resolved_provider()
        evidence = await self._start_gate()
        if evidence is not None:
            self.token.cancel()
        watcher = asyncio.ensure_future(self._watch())
        try:
            return await self._drive()
        finally:
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher

    async def _started(self) -> Json:
        return Json({"now_ms": self.runtime.host.core.clock.now_ms()})

    def _own_attachments(self) -> None:
        if self.runtime.services.attachments is not None:
            self.runtime.services.attachments.owner = ("turn", self.turn_id)

    def _stop(self, stop: str, issue: TurnIssue) -> TurnOutcome:
        self.issues.append(issue)
        return Stopped.from_data({"stop": stop})

    # -- preparation

    async def _take_in(self) -> TurnIssue | None:
        """Put causes and the user's message into the conversation; why the input is refused, if it is."""
        state = self.runtime.state
        self._append(*(wake_message(wake) for wake in self.request.wakes))
        inputs = self.request.parts or (self.request.input.items,)
        parts = [
            part
            for n, items in enumerate(inputs)
            for part in user_message(f"{self.turn_id}.u{n}", items).parts
        ]
        if parts or not self.request.wakes:
            self._append(Message(id=f"{self.turn_id}.user", role="User", parts=tuple(parts)))
        options = self.request.protocol_turn_options or self.request.input.protocol_turn_options
        if options is not None:
            self.options = merged_options(state.protocol_turn_options, options)
        else:
            self.options = state.protocol_turn_options
        for item in (item for items in inputs for item in items if isinstance(item, AttachmentItem)):
            problem = await self._refused(item)
            if problem is not None:
                return TurnIssue(kind="input_validation", code="attachment_refused", message=problem)
        return None

    async def _refused(self, item: AttachmentItem) -> str | None:
        """Why an attachment cannot be taken in: the host denies it, or its bytes are not this session's."""
        policy = self.runtime.host.core.attachment_policy
        if policy is not None and (denied := await policy(item.source)) is not None:
            return denied
        attachments = self.runtime.services.attachments
        if isinstance(item.source, StoredSource) and attachments is not None:
            try:
                await attachments.get(item.source.attachment_ref.id)
            except LashError as err:
                return str(err)
        return None

    async def _before_turn(self) -> TurnOutcome | None:
        """Context transforms, then the hooks before the turn; how they end it, if they do."""
        plugins, services = self.runtime.plugins, self.runtime.plugin_services
        view = self.runtime.state.read_view()
        transform = hooks.TurnTransformContext(
            self.runtime.session_id,
            view,
            services,
            self.runtime.state.last_prompt_usage,
            self.runtime.state.policy.max_context_tokens,
            self.context,
        )
        try:
            self.overlay = await plugins.prepare_context(transform, hooks.PreparedContext())
        except PluginError as err:
            raise RuntimeFailure(RuntimeErrorCode.CONTEXT_PREPARE_TURN, str(err)) from err
        context = hooks.TurnHookContext(self.runtime.session_id, view, services, self.context)
        try:
            emitted = await plugins.before_turn(context)
            asked = await self._directed("before_turn", emitted)
        except PluginError as err:
            raise RuntimeFailure(RuntimeErrorCode.PLUGIN_PREPARE_TURN, str(err)) from err
        self._append(*self._written(asked.messages, "b"))
        if asked.abort is None:
            return None
        issue = TurnIssue(kind="plugin", code=asked.abort.code, message=asked.abort.message)
        return self._stop("plugin_abort", issue)

    async def _directed(self, point: TurnPoint, emitted: Sequence[PluginOwned[PluginDirective]]) -> TurnDirectives:
        asked = await apply_turn_directives(point, emitted, self.runtime.plugin_services)
        if point == "after_turn":
            self.late_events.extend(asked.events)
        else:
            for owned in asked.events:
                await self.emit(owned)
        return asked

    async def take_late(self, emitted: Sequence[PluginOwned[PluginDirective]]) -> None:
        """Carry out what the hooks after the turn ask for."""
        asked = await self._directed("after_turn", emitted)
        self._append(*self._written(asked.messages, "z"))

    def _written(self, messages: Sequence[PluginMessage], where: str) -> list[Message]:
        return [message.message(f"{self.turn_id}.{where}{n}") for n, message in enumerate(messages)]

    def _append(self, *messages: Message) -> None:
        state = self.runtime.state
        state.append_active_conversation_messages(messages, timestamp=self.timestamp)

    def _resolved_provider(self) -> Provider:
        if self.request.provider is not None:
            return self.request.provider
        named = self.runtime.state.policy.recorded_provider_id()
        resolver = self.runtime.host.core.provider_resolver
        found = resolver.resolve(named) if resolver is not None else None
        if found is None:
            problem = f"no provider {named!r} is configured on this host"
            raise RuntimeFailure(RuntimeErrorCode.LLM_PROVIDER, problem)
        return found

    async def _start_gate(self) -> TurnCancellationEvidence | None:
        """A request that came before the start; fails closed when it cannot be read ([CAN.14])."""
        for left in (2, 1, 0):
            try:
                return self.gate.peek()
            except RuntimeFailure:
                raise
            except Exception as err:
                if not left:
                    raise RuntimeFailure("turn_control_unavailable", str(err)) from err
                await self.runtime.host.core.sleep(0.05)
        return None

    async def _watch(self) -> None:
        """Fire the token when somebody closes the gate with a request."""
        if await self._closed() is not None:
            self.token.cancel()

    async def _closed(self) -> TurnCancellationEvidence | None:
        await self.waits.wait(self.gate.key)
        try:
            return self.gate.peek()
        except RuntimeFailure:
            return None

    # -- the machine

    async def _drive(self) -> TurnOutcome:
        policy = self.runtime.state.policy
        driver: ProtocolDriver = self.runtime.plugins.protocol_driver
        try:
            await self._compose(driver)
        except PluginError as err:
            issue = TurnIssue(kind=RuntimeErrorCode.PLUGIN_PROMPT, message=str(err))
            await self.show("error", activity.ErrorShown(message=str(err)))
            return self._stop("runtime_error", issue)
        machine = MachineState(
            turn_id=self.turn_id,
            max_turns=policy.max_turns,
            context_window=policy.required_model().limits.context_window_tokens,
        )
        machine, effect = driver.step(machine, Cancel() if self.token.is_cancelled() else Begin())
        while effect is not None:
            answer = await self._perform(effect, machine)
            before = len(machine.appended)
            machine, effect = driver.step(machine, answer)
            held = machine.appended[before:]
            if machine.outcome is None:
                self._append(*held)
                if self.token.is_cancelled():
                    machine, effect = driver.step(machine, Cancel())
            else:
                self.history.extend(held)
        self.issues.extend(machine.issues)
        if machine.outcome is None:
            raise RuntimeFailure("missing_done", "the protocol asked for nothing and did not finish")
        return machine.outcome

    async def _perform(self, effect: Effect, machine: MachineState) -> Input:
        await self.runtime.reach(effect.effect, self.turn_id)
        if self.lane is not None and self.lane.lost:
            raise lease_lost(self.runtime.session_id)
        match effect:
            case CallLlm():
                return await self._call_model(effect)
            case RunTools():
                return await self._run_tools(effect)
            case RunCode():
                return await self._run_code(effect)
            case ReachCheckpoint():
                return await self._checkpoint(effect, machine)

    async def _compose(self, driver: ProtocolDriver) -> None:
        """The tools and the system prompt of the turn."""
        runtime, core = self.runtime, self.runtime.host.core
        plugins = runtime.plugins
        registry = plugins.tool_registry.compose_session_catalog(
            self.overlay.tool_providers, include_base_tools=self.overlay.include_base_tools
        )
        members = plugins.tool_catalog(registry)
        self.dispatch = ToolDispatch(
            runtime.session_id,
            self.turn_id,
            runtime.state.current_agent_frame_id,
            plugins,
            registry,
            members,
            self.controller,
            self.waits,
            core,
            runtime.plugin_services,
            self.context,
            self.token,
            self.show,
            self.emit,
        )
        contributed = await plugins.prompt_contributions(
            hooks.PromptHookContext(
                runtime.session_id,
                runtime.state.read_view(),
                runtime.plugin_services,
                self.context,
                self.options,
            )
        )
        layers = [
            PromptLayer.of((*self.overlay.prompt_contributions, *contributed)),
            core.prompt,
            runtime.state.policy.prompt or PromptLayer(),
            self.request.prompt or PromptLayer(),
        ]
        names = [member.name for member in members]
        preamble = driver.execution_prompt(self.options)
        self.system = resolve_prompt_layers(layers).render(preamble, names)
        self.tools = (
            llm_tools(members, {name: registry.resolve_contract(name) for name in names})
            if driver.offers_tools()
            else ()
        )

    async def _call_model(self, effect: CallLlm) -> Input:
        if self.provider is None:
            raise RuntimeFailure(RuntimeErrorCode.LLM_PROVIDER, "no provider was resolved")
        runtime = self.runtime
        model = self.request.model or runtime.state.policy.required_model()
        called = f"{self.turn_id}:{effect.effect_id}"
        spoken = (*runtime.state.read_model().messages, *self.overlay.messages)
        request = LlmRequest(
            model=model.id,
            messages=llm_messages(self.system, spoken),
            tools=self.tools,
            model_variant=model.variant,
            model_capability=model.capability,
            output_token_cap=model.limits.output_token_capacity,
            scope=LlmScope(
                session_id=runtime.session_id,
                agent_frame_id=runtime.state.current_agent_frame_id or None,
                request_id=called,
            ),
        )
        await self.show(called, activity.ModelRequestStarted(protocol_iteration=effect.iteration))
        call = ModelCall(
            runtime.plugins,
            self.provider,
            self.controller,
            runtime.host.core,
            self.token,
            self.show,
            self.emit,
            f"call:{effect.effect_id}",
        )
        try:
            done = await call.run(effect.effect_id, request)
        except TurnCancelled:
            return Cancel()
        self.llm_calls.append(done.record)
        spent = done.response.usage if done.response is not None else None
        if spent is not None:
            await self._spend(called, spent, effect.iteration)
        return LlmAnswered(effect.effect_id, done)

    async def _spend(self, called: str, spent: TokenUsage, iteration: int) -> None:
        self.usage += spent
        self.last_prompt = spent
        usage = activity.Usage(protocol_iteration=iteration, usage=spent, cumulative=self.usage)
        await self.show(called, usage)

    async def _run_tools(self, effect: RunTools) -> Input:
        if self.dispatch is None:
            raise AssertionError("tools are composed before they run")
        try:
            answers = await self.dispatch.run_all(effect.effect_id, effect.calls)
        except FailTurn as err:
            issue = TurnIssue(kind="tool", code="pending_tool_timeout", message=str(err))
            return Abort(Stopped(stop="tool_failure"), issue)
        return ToolsAnswered(effect.effect_id, answers)

    async def _run_code(self, effect: RunCode) -> Input:
        executor, dispatch = self.runtime.plugins.code_executor, self.dispatch
        if executor is None or dispatch is None:
            problem = "no plugin of this session runs code"
            raise RuntimeFailure(RuntimeErrorCode.CODE_EXECUTION_UNAVAILABLE, problem)
        called = f"code:{effect.effect_id}"
        began = self.runtime.host.core.clock.now_ms()
        await self.show(called, activity.CodeBlockStarted(language=effect.language, code=effect.code))
        ran = await executor.execute(effect.code, effect.language, CodeTools(dispatch, effect.effect_id))
        completed = activity.CodeBlockCompleted(
            language=effect.language,
            output=ran.output,
            error=ran.error,
            success=ran.error is None,
            duration_ms=max(0, self.runtime.host.core.clock.now_ms() - began),
            tool_call_ids=tuple(ran.tool_call_ids),
        )
        await self.show(called, completed)
        outcome: TurnOutcome | None = None
        if ran.final is not None:
            outcome = Finished(finish=FinalValue(value=ran.final))
        elif ran.failed_with is not None:
            outcome = Stopped(stop="submitted_error", value=ran.failed_with)
        return CodeAnswered(effect.effect_id, ran.output, ran.error, outcome)

    # -- checkpoints

    async def _checkpoint(self, effect: ReachCheckpoint, machine: MachineState) -> Input:
        """Take in what waits for this turn, then what hooks put in; a hook's abort fails the turn."""
        runtime = self.runtime
        messages = list(await self._admitted(effect))
        bridged = (*runtime.services.injection.take(), *runtime.services.input_injection.take())
        queued = self.dispatch.queued if self.dispatch is not None else []
        context = hooks.CheckpointHookContext(
            runtime.session_id, effect.kind, runtime.state.read_view(), runtime.plugin_services
        )
        try:
            emitted = await runtime.plugins.at_checkpoint(context)
            asked = await self._directed("checkpoint", emitted)
        except PluginError as err:
            code = RuntimeErrorCode.PLUGIN_CHECKPOINT
            issue = TurnIssue(kind="plugin", code=code, message=str(err))
            return Abort(Stopped(stop="runtime_error"), issue)
        put_in = [*bridged, *queued, *asked.messages]
        queued.clear()
        if put_in:
            written = self._written(put_in, f"c{effect.effect_id}.")
            messages += written
            told = tuple(Json(message.to_data()) for message in put_in)
            shown = activity.QueuedMessagesCommitted(messages=told, checkpoint=effect.kind)
            await self.show(f"checkpoint:{effect.effect_id}", shown)
        if asked.abort is not None:
            self._append(*messages)
            issue = TurnIssue(kind="plugin", code=asked.abort.code, message=asked.abort.message)
            return Abort(Stopped(stop="runtime_error"), issue)
        del machine
        return CheckpointAnswered(effect.effect_id, tuple(messages))

    async def _admitted(self, effect: ReachCheckpoint) -> tuple[Message, ...]:
        """What this turn claims of its session's queue here."""
        store, lane = self.runtime.services.store, self.lane
        if store is None or lane is None or self.token.is_cancelled():
            return ()

        async def perform() -> Json:
            try:
                found = await checkpoint_work(
                    store, self.runtime.session_id, lane, self.turn_id, effect.kind
                )
            except LashError as err:
                raise store_failure(err, self.runtime.session_id) from err
            return Json(found.to_data())

        kept = await self.controller.run("checkpoint", str(effect.effect_id), Json(effect.kind), perform)
        work = CheckpointWork.from_data(kept.value)
        await self._tell_admitted(effect.effect_id, effect.kind, work)
        return claimed_messages(self.turn_id, work)

    async def _tell_admitted(self, effect_id: int, kind: CheckpointKind, work: CheckpointWork) -> None:
        called = f"checkpoint:{effect_id}"
        if (inputs := work.turn_input_claim) is not None:
            self.claims.inputs.append(inputs)
            shown = activity.QueuedInputAccepted(checkpoint=kind, inputs=accepted(inputs.inputs))
            await self.show(called, shown)
        if (batches := work.queued_work_claim) is not None:
            self.claims.work.append(batches)
            ids = tuple(batch.batch_id for batch in batches.batches)
            started = activity.QueuedWorkStarted(boundary="active_turn_checkpoint", batch_ids=ids)
            await self.show(called, started)

    # -- ends

    def prompt_usage(self) -> PromptUsage | None:
        """The size of the last prompt."""
        last, window = self.last_prompt, self.runtime.state.policy.max_context_tokens
        if last is None:
            return None
        cached = last.cache_read_input_tokens + last.cache_write_input_tokens
        return PromptUsage(
            prompt_context_tokens=last.input_tokens + cached,
            input_tokens=last.input_tokens,
            cache_read_input_tokens=last.cache_read_input_tokens,
            cache_write_input_tokens=last.cache_write_input_tokens,
            context_budget_tokens=window or 0,
        )


def merged_options(session: ProtocolTurnOptions, turn: ProtocolTurnOptions) -> ProtocolTurnOptions:
    """The turn's options over the session's, key by key ([TRN.17])."""
    below, above = session.payload.value, turn.payload.value
    if not isinstance(below, dict) or not isinstance(above, dict):
        return turn
    return replace_payload(turn, {**below, **above})


def replace_payload(options: ProtocolTurnOptions, payload: dict[str, Any]) -> ProtocolTurnOptions:
    """The options with another payload."""
    return options.but(payload=Json(payload))


