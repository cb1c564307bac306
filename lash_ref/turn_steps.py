"""The effects of the turn machine, performed: model calls, tools, code, and checkpoints."""

from lash_ref import activity, hooks
from lash_ref.claims import accepted, checkpoint_work, claimed_messages
from lash_ref.code_tools import CodeTools
from lash_ref.dispatch import FailTurn, ToolDispatch
from lash_ref.errors import LashError, PluginError
from lash_ref.inputs import CheckpointWork
from lash_ref.lane import lease_lost, store_failure
from lash_ref.machine import (
    Abort,
    CallLlm,
    Cancel,
    CheckpointAnswered,
    CodeAnswered,
    Effect,
    Input,
    LlmAnswered,
    ReachCheckpoint,
    RunCode,
    RunTools,
    ToolsAnswered,
)
from lash_ref.messages import Message
from lash_ref.model_call import ModelCall, TurnCancelled
from lash_ref.outcome import FinalValue, Finished, Stopped, TurnIssue, TurnOutcome
from lash_ref.projection import llm_tools
from lash_ref.prompt import PromptLayer, resolve_prompt_layers
from lash_ref.protocol import CodeExecutor, ProtocolDriver
from lash_ref.provider import LlmRequest, LlmScope
from lash_ref.runtime_errors import RuntimeErrorCode, RuntimeFailure
from lash_ref.scalars import Json, LaterJson, RecordJson
from lash_ref.turn_intake import TurnIntake
from lash_ref.usage import TokenUsage
from lash_ref.work import CheckpointKind


class TurnSteps(TurnIntake):
    """The stages that the machine asks for."""

    async def _compose(self, driver: ProtocolDriver) -> None:
        """Fix the tools and the system prompt of the turn.

        Raises:
            PluginError: a contributor failed.
        """
        runtime = self.runtime
        plugins = runtime.plugins
        registry = plugins.tool_registry.compose_session_catalog(
            self.overlay.tool_providers, include_base_tools=self.overlay.include_base_tools
        )
        members = plugins.tool_catalog(registry)
        contributed = await plugins.prompt_contributions(self._prompt_context)
        given = (runtime.host.core.prompt, runtime.state.policy.prompt, self.request.prompt)
        layers = [layer for layer in given if layer is not None]
        if added := (*self.overlay.prompt_contributions, *contributed):
            layers.insert(0, PromptLayer.of(added))
        names = [member.name for member in members]
        asked = (layers, driver.execution_prompt(self.options), names)
        if runtime.prompted[0] != asked:
            runtime.prompted = (asked, resolve_prompt_layers(layers).render(*asked[1:]))
        self.system = runtime.prompted[1]
        contracts = {name: registry.resolve_contract(name) for name in names}
        self.tools = llm_tools(members, contracts) if driver.offers_tools() else ()
        self.dispatch = ToolDispatch(
            runtime.session_id,
            self.turn_id,
            runtime.state.current_agent_frame_id,
            plugins,
            registry,
            members,
            self.controller,
            self.waits,
            runtime.host.core,
            runtime.plugin_services,
            self.context,
            self.token,
            self.show,
            self.emit,
        )

    def _prompt_context(self) -> hooks.PromptHookContext:
        runtime = self.runtime
        return hooks.PromptHookContext(
            runtime.session_id, runtime.state.read_view(), runtime.plugin_services, self.context, self.options
        )

    async def perform_effect(self, effect: Effect) -> Input:
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
                return await self._checkpoint(effect)

    def _calls(self) -> ToolDispatch:
        if self.dispatch is None:
            raise AssertionError("the turn is composed before its effects run")
        return self.dispatch

    async def _call_model(self, effect: CallLlm) -> Input:
        runtime, provider = self.runtime, self.provider
        if provider is None:
            raise RuntimeFailure(RuntimeErrorCode.LLM_PROVIDER, "no provider was resolved")
        model = self.request.model or runtime.state.policy.required_model()
        called = f"{self.turn_id}:{effect.effect_id}"
        history = runtime.state.read_model().messages
        request = LlmRequest(
            model=model.id,
            messages=runtime.projection.sent(self.system, history, self.overlay.messages),
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
            provider,
            self.controller,
            runtime.host.core,
            self.token,
            self.show,
            self.emit,
            self.turn_id,
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
        try:
            answers = await self._calls().run_all(effect.effect_id, effect.calls)
        except FailTurn as err:
            issue = TurnIssue(kind="tool", code="pending_tool_timeout", message=str(err))
            return Abort(Stopped(stop="tool_failure"), issue)
        return ToolsAnswered(effect.effect_id, answers)

    async def _run_code(self, effect: RunCode) -> Input:
        executor: CodeExecutor | None = self.runtime.plugins.code_executor
        if executor is None:
            problem = "no plugin of this session runs code"
            raise RuntimeFailure(RuntimeErrorCode.CODE_EXECUTION_UNAVAILABLE, problem)
        called = f"code:{effect.effect_id}"
        began = self.runtime.host.core.clock.now_ms()
        await self.show(called, activity.CodeBlockStarted(language=effect.language, code=effect.code))
        ran = await executor.execute(
            effect.code, effect.language, CodeTools(self._calls(), effect.effect_id)
        )
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

    async def _checkpoint(self, effect: ReachCheckpoint) -> Input:
        """Take in what waits for this turn, then what hooks put in; a hook's abort fails the turn."""
        runtime = self.runtime
        messages = list(await self._admitted(effect))
        bridged = (*runtime.services.injection.take(), *runtime.services.input_injection.take())
        queued = self._calls().queued

        def context() -> hooks.CheckpointHookContext:
            view = runtime.state.read_view()
            return hooks.CheckpointHookContext(runtime.session_id, effect.kind, view, runtime.plugin_services)

        try:
            emitted = await runtime.plugins.at_checkpoint(context)
            asked = await self._directed("checkpoint", emitted)
        except PluginError as err:
            self._append(*messages)
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
            return RecordJson(found)

        asked = LaterJson(lambda: effect.kind)
        kept = await self.controller.run("checkpoint", str(effect.effect_id), asked, perform)
        work = kept.read(CheckpointWork)
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
