"""Running the tool calls of one model reply: hooks, validation, attempts, waits, and what the model is shown.

Each attempt is one effect, with the hooks that follow it; a journal therefore replays it whole. When a
host records, the outcome also carries the plugins' state if the attempt changed it, so that a re-driven
turn has the state that the tool left without running the tool.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lash_ref import hooks
from lash_ref.activity import ToolCallCompleted, ToolCallStarted, TurnEvent
from lash_ref.cancel import CancellationToken
from lash_ref.directives import apply_after_tool, apply_before_tool
from lash_ref.effects import EffectController
from lash_ref.errors import PluginError
from lash_ref.hosting import RuntimeCoreConfig
from lash_ref.machine import ToolAnswer
from lash_ref.plugin_events import PluginMessage, PluginOwned, PluginRuntimeEvent
from lash_ref.plugin_session import PluginSession
from lash_ref.provider import ToolCallPart
from lash_ref.runtime_errors import RuntimeFailure
from lash_ref.scalars import Json
from lash_ref.services import SessionServices, TurnContext
from lash_ref.snapshots import PluginSessionSnapshot
from lash_ref.tool_registry import ToolRegistry
from lash_ref.tool_results import (
    Done,
    ExhaustedRetry,
    Failure,
    Pending,
    PendingCompletion,
    SafeRetry,
    ToolCallOutput,
    ToolCallRecord,
    ToolResult,
    runtime_failure,
)
from lash_ref.tools import (
    PendingToolCall,
    PreparedToolCall,
    ToolCall,
    ToolContext,
    ToolManifest,
    ToolPrepareCall,
    invalid_tool_input,
)
from lash_ref.wait_store import AwaitEventKey, Failed, Resolution, Resolved, TimedOut
from lash_ref.waits import Waits

GRACE_S = 0.5
"""How long a cancelled tool may take to answer before it is stopped."""

Show = Callable[[str, TurnEvent], Awaitable[None]]
"""Shows an activity under a correlation id."""


class FailTurn(Exception):
    """A pending tool's deadline asks for the turn to fail."""


@dataclass
class ToolDispatch:
    """Runs calls for one turn."""

    session_id: str
    turn_id: str
    agent_frame_id: str
    plugins: PluginSession
    registry: ToolRegistry
    members: Sequence[ToolManifest]
    controller: EffectController
    waits: Waits
    core: RuntimeCoreConfig
    services: SessionServices
    turn_context: TurnContext
    token: CancellationToken
    show: Show
    emit: Callable[[PluginOwned[PluginRuntimeEvent]], Awaitable[None]]
    queued: list[PluginMessage] = field(default_factory=list[PluginMessage])
    """Messages that hooks want at the next checkpoint."""
    records: list[ToolCallRecord] = field(default_factory=list[ToolCallRecord])
    _sequence: int = 0

    async def run_all(self, effect_id: int, calls: Sequence[ToolCallPart]) -> tuple[ToolAnswer, ...]:
        """Every call at once; answers in call order, records too.

        Raises:
            FailTurn: a pending call timed out and asks for that.
        """
        for call in calls:
            await self.show(f"tool:{call.call_id}", _started(call))
        runs = [
            asyncio.ensure_future(self._run(f"{effect_id}.{n}", call)) for n, call in enumerate(calls)
        ]
        try:
            done = await asyncio.gather(*runs)
        except BaseException:
            for run in runs:
                run.cancel()
            await asyncio.gather(*runs, return_exceptions=True)
            raise
        self.records.extend(record for _, record in done)
        return tuple(answer for answer, _ in done)

    async def run_cell(self, effect_id: str, call: ToolCallPart) -> ToolAnswer:
        """One call that model-written code makes; counted like any other, shown to the code alone."""
        await self.show(f"tool:{call.call_id}", _started(call))
        answer, record = await self._run(effect_id, call)
        self.records.append(record)
        return answer

    async def _run(self, effect_id: str, call: ToolCallPart) -> tuple[ToolAnswer, ToolCallRecord]:
        began = self.core.clock.now_ms()
        args = parsed_args(call.input_json)
        shown = Json(call.input_json) if args is None else args
        if args is None:
            done = runtime_failure("invalid_request", "invalid_tool_args", "the arguments are not JSON")
        else:
            done = await self._answer(effect_id, call, args)
        duration = max(0, self.core.clock.now_ms() - began)
        output = done.output
        returned = await self.plugins.project_tool_result(
            hooks.ToolResultProjectionContext(
                self.session_id, call.call_id, call.tool_name, shown, output, duration
            )
        )
        record = ToolCallRecord(
            call_id=call.call_id, tool=call.tool_name, args=shown, output=output, duration_ms=duration
        )
        completed = ToolCallCompleted(
            call_id=call.call_id, name=call.tool_name, args=shown, output=output, duration_ms=duration
        )
        await self.show(f"tool:{call.call_id}", completed)
        return ToolAnswer(call, output, returned), record

    async def _answer(self, effect_id: str, call: ToolCallPart, args: Json) -> Done:
        manifest = next((each for each in self.members if each.name == call.tool_name), None)
        if manifest is None:
            return runtime_failure(
                "unavailable", "tool_unavailable", f"no tool {call.tool_name!r} is available"
            )
        prepared = await self._prepared(call, manifest, args)
        if isinstance(prepared, Done):
            return prepared
        return await self._attempts(effect_id, manifest, prepared)

    async def _prepared(
        self, call: ToolCallPart, manifest: ToolManifest, args: Json
    ) -> PreparedToolCall | Done:
        """The call frozen for its attempts, or the answer when it is not to run."""
        context = hooks.ToolCallHookContext(
            self.session_id,
            call.call_id,
            call.tool_name,
            args,
            manifest.argument_projection,
            self.services,
            self.turn_context,
        )
        try:
            emitted = await self.plugins.before_tool_call(context)
        except PluginError as err:
            return runtime_failure("internal", "before_tool_call_failed", str(err))
        args, answer = await apply_before_tool(emitted, args, self.services, self.emit)
        if answer is not None:
            return answer
        contract = self.registry.resolve_contract_by_id(manifest.id)
        fault = "its contract is gone" if contract is None else invalid_tool_input(contract, args)
        if fault is not None:
            return runtime_failure("invalid_request", "invalid_tool_args", fault)
        pending = PendingToolCall(
            call_id=call.call_id, tool_name=call.tool_name, args=args, replay=call.replay
        )
        asked = ToolPrepareCall(
            manifest.id, pending, self.session_id, self.turn_context, services=self.services
        )
        try:
            prepared = await self.registry.prepare_tool_call(asked)
        except Exception as err:
            return Done.err(f"{type(err).__name__}: {err}")
        if isinstance(prepared, PreparedToolCall) and prepared.tool_id != manifest.id:
            return runtime_failure(
                "internal",
                "prepared_tool_id_mismatch",
                f"tool {manifest.id!r} was prepared as {prepared.tool_id!r}",
            )
        return prepared

    async def _attempts(self, effect_id: str, manifest: ToolManifest, prepared: PreparedToolCall) -> Done:
        policy = manifest.retry_policy
        for attempt in range(1, policy.attempts + 1):
            done = await self._attempt(effect_id, prepared, attempt, policy.attempts)
            retry = done.output.outcome.payload.retry if isinstance(done.output.outcome, Failure) else None
            if not isinstance(retry, SafeRetry) or policy.type == "never" or self.token.is_cancelled():
                return done
            if attempt == policy.attempts:
                return _exhausted(done, attempt)
            delay_s = policy.delay_ms(attempt - 1, retry.after_ms) / 1000
            await self._sleep(f"{effect_id}.{attempt}.sleep", delay_s)
        raise AssertionError("a call is attempted at least once")

    async def _sleep(self, effect_id: str, seconds: float) -> None:
        async def perform() -> Json:
            slept = asyncio.ensure_future(_until(self.core.sleep(seconds)))
            stopped = asyncio.ensure_future(self.token.cancelled())
            await asyncio.wait({slept, stopped}, return_when=asyncio.FIRST_COMPLETED)
            slept.cancel()
            stopped.cancel()
            return Json(None)

        await self.controller.run("sleep", effect_id, Json(seconds), perform)

    # -- one attempt

    async def _attempt(self, effect_id: str, prepared: PreparedToolCall, attempt: int, most: int) -> Done:
        """One run of the tool with the hooks after it; parks while the tool's answer is pending."""
        call, effect_id = effect_id, f"{effect_id}.{attempt}"
        performed = False

        async def perform() -> Json:
            nonlocal performed
            performed = True
            return await self._performed(call, effect_id, prepared, attempt, most)

        request = Json({"call": prepared.to_data(), "attempt": attempt})
        kept = await self.controller.run("tool_attempt", effect_id, request, perform)
        said: Any = kept.value
        self.queued.extend(PluginMessage.from_data(each) for each in said["messages"])
        if not performed:
            self._take_up(said)
        if "pending" not in said:
            return Done(ToolCallOutput.from_data(said["output"]))
        completion = PendingCompletion.from_data(said["pending"])
        resolved = await self._awaited(effect_id, AwaitEventKey.from_data(said["key"]), completion)
        return await self._hooked(prepared, resolved, 0)

    def _take_up(self, said: dict[str, Any]) -> None:
        """Bring back the plugin state that a recorded attempt left, unless a later one's is back already."""
        if said["sequence"] > self._sequence:
            self._sequence = said["sequence"]
            if "plugins" in said:
                self.plugins.restore(PluginSessionSnapshot.from_data(said["plugins"]))

    async def _performed(
        self, call_effect: str, effect_id: str, prepared: PreparedToolCall, attempt: int, most: int
    ) -> Json:
        before = self.plugins.snapshot_revision_fingerprint()
        already = len(self.queued)
        began = self.core.clock.now_ms()
        key = self.waits.key(self.session_id, "tool_completion", f"{self.turn_id}:{effect_id}")
        taken = False

        async def completion_key() -> str:
            nonlocal taken
            taken = True
            self.waits.store.open_wait(key)
            return key.text()

        context = ToolContext(
            session_id=self.session_id,
            call_id=prepared.call_id,
            agent_frame_id=self.agent_frame_id,
            attempt_number=attempt,
            max_attempts=most,
            replay_key=f"{self.turn_id}:{call_effect}",
            prepared_payload=prepared.prepared_payload,
            services=self.services,
            cancellation=self.token,
            completion_key=completion_key,
        )
        call = ToolCall(prepared.tool_name, prepared.args, context)
        result = await self._executed(prepared.tool_id, call)
        said: dict[str, Any]
        if isinstance(result, Pending):
            if not taken:
                done = runtime_failure(
                    "internal", "pending_tool_missing_completion_key", "the tool is pending under no key"
                )
                said = {"output": (await self._hooked(prepared, done, 0)).output.to_data()}
            else:
                said = {"pending": result.completion.to_data(), "key": key.to_data()}
        else:
            duration = max(0, self.core.clock.now_ms() - began)
            said = {"output": (await self._hooked(prepared, result, duration)).output.to_data()}
        said["messages"] = [message.to_data() for message in self.queued[already:]]
        del self.queued[already:]
        self._sequence += 1
        said["sequence"] = self._sequence
        if self.controller.records and self.plugins.snapshot_revision_fingerprint() != before:
            said["plugins"] = self.plugins.snapshot().to_data()
        return Json(said)

    async def _executed(self, tool_id: str, call: ToolCall) -> ToolResult:
        """The tool's own answer; a tool that raises has failed, one that ignores a cancel is stopped."""
        run = asyncio.ensure_future(self.registry.execute_by_id(tool_id, call))
        stopped = asyncio.ensure_future(self.token.cancelled())
        try:
            await asyncio.wait({run, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not run.done():
                await asyncio.wait({run}, timeout=GRACE_S)
            if not run.done():
                return Done.cancelled("the turn was cancelled while the tool ran")
            return run.result()
        except Exception as err:
            return Done.err(f"{type(err).__name__}: {err}")
        finally:
            stopped.cancel()
            if not run.done():
                run.cancel()
                await asyncio.gather(run, return_exceptions=True)

    async def _hooked(self, prepared: PreparedToolCall, done: Done, duration_ms: int) -> Done:
        """The answer as the hooks after the call leave it."""
        context = hooks.ToolResultHookContext(
            self.session_id,
            prepared.call_id,
            prepared.tool_name,
            prepared.args,
            done,
            duration_ms,
            self.services,
            self.turn_context,
        )
        try:
            emitted = await self.plugins.after_tool_call(context)
        except PluginError as err:
            return runtime_failure("internal", "after_tool_call_failed", str(err))
        return await apply_after_tool(emitted, done, self.services, self.emit, self.queued.extend)

    async def _awaited(self, effect_id: str, key: AwaitEventKey, completion: PendingCompletion) -> Done:
        """The answer that the world gives to a pending call."""

        async def perform() -> Json:
            deadline_s = None if completion.deadline_ms is None else completion.deadline_ms / 1000
            stands = await self.waits.wait(key, cancelled=self.token.event, deadline_s=deadline_s)
            return Json(stands.to_data())

        request = Json({"key": key.to_data()})
        kept = await self.controller.run("wait", f"{effect_id}.wait", request, perform)
        said: Any = kept.value
        if said.get("outcome") == "unknown_or_revoked":
            raise RuntimeFailure("turn_control_unknown_or_revoked", "the session's waits were revoked")
        return _resolution(said, completion)


def _resolution(said: dict[str, Any], completion: PendingCompletion) -> Done:
    kinds: dict[str, type[Resolution]] = {"ok": Resolved, "err": Failed, "timeout": TimedOut}
    kind = kinds.get(said["type"])
    match kind.from_data(said) if kind is not None else None:
        case Resolved(value=value):
            return Done.ok(value)
        case Failed(message=message):
            return Done.err(message)
        case TimedOut():
            if completion.on_timeout == "fail_turn":
                raise FailTurn("a pending tool was not answered in time")
            return runtime_failure("timeout", "pending_tool_timeout", "nobody answered in time")
        case _:
            return Done.cancelled("the wait for the tool's answer was cancelled")


async def _until(work: Awaitable[None]) -> None:
    await work


def _exhausted(done: Done, attempts: int) -> Done:
    outcome = done.output.outcome
    if not isinstance(outcome, Failure):
        return done
    worn = outcome.but(payload=outcome.payload.but(retry=ExhaustedRetry(attempts=attempts)))
    return replace(done, output=done.output.but(outcome=worn))


def _started(call: ToolCallPart) -> ToolCallStarted:
    args = parsed_args(call.input_json)
    return ToolCallStarted(
        call_id=call.call_id,
        name=call.tool_name,
        args=Json(call.input_json) if args is None else args,
    )


def parsed_args(written: str) -> Json | None:
    """The arguments as JSON; blank means none given, and what is no JSON is none."""
    try:
        return Json(json.loads(written)) if written.strip() else Json({})
    except ValueError:
        return None
