"""One tool call from the model's wish to its result: prepare, attempt, perhaps attempt again, settle, project.

Each step is one coroutine, so that whoever drives a turn decides which of them are effects to record.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from lash_ref.directives import Emit, apply_after_tool, apply_before_tool
from lash_ref.errors import PluginError
from lash_ref.hooks import ToolCallHookContext, ToolResultHookContext, ToolResultProjectionContext
from lash_ref.plugin_events import PluginMessage
from lash_ref.plugin_host import PluginSession
from lash_ref.scalars import Json
from lash_ref.services import SessionServices, TurnContext
from lash_ref.tool_registry import ToolRegistry
from lash_ref.tool_results import (
    Done,
    ExhaustedRetry,
    Failure,
    ModelToolReturn,
    Pending,
    PendingCompletion,
    SafeRetry,
    ToolCallOutput,
    ToolCallRecord,
    ToolFailure,
    runtime_failure,
)
from lash_ref.tools import (
    PendingToolCall,
    PreparedToolCall,
    ToolCall,
    ToolContext,
    ToolContract,
    ToolExecutionGrant,
    ToolManifest,
    ToolPrepareCall,
    ToolRetryPolicy,
    invalid_tool_input,
)


@dataclass(frozen=True)
class Launched:
    """An attempt that is answered later, under this key."""

    completion_key: str
    completion: PendingCompletion


@dataclass(frozen=True)
class ToolDispatch:
    """What the calls of one turn are run with."""

    plugins: PluginSession
    registry: ToolRegistry
    """The turn's own surface."""
    catalog: Sequence[ToolManifest]
    """What the model was offered; nothing else can be called."""
    services: SessionServices
    turn_context: TurnContext
    emit: Emit
    enqueue: Callable[[tuple[PluginMessage, ...]], None]
    """Keeps messages of `tool_calls.after` hooks for the next checkpoint."""

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self.plugins.session_id

    def manifest(self, name: str) -> ToolManifest | None:
        """A tool that may be called, by name."""
        return next((each for each in self.catalog if each.name == name), None)

    def retry_policy(self, prepared: PreparedToolCall) -> ToolRetryPolicy:
        """How often a prepared call may run."""
        found = (each.retry_policy for each in self.catalog if each.id == prepared.tool_id)
        return next(found, ToolRetryPolicy())

    # -- prepare

    async def prepare(self, call: PendingToolCall) -> PreparedToolCall | ToolCallRecord:
        """Freeze a call: ask the hooks, validate, let the tool prepare; or the record of its refusal.

        A refusal is final: no attempt follows and no hook is asked again ([TOO.1][], [TOO.3][], [TOO.5][],
        [HOK.20][] to [HOK.27][]).
        """
        manifest = self.manifest(call.tool_name)
        if manifest is None:
            missing = f"tool {call.tool_name!r} is not available in this session"
            return _refused(call, runtime_failure("unavailable", "tool_unavailable", missing))
        contract = self.registry.resolve_contract_by_id(manifest.id)
        if contract is None:
            missing = f"tool {call.tool_name!r} has no contract in this session"
            return _refused(call, runtime_failure("unavailable", "tool_contract_unavailable", missing))
        return await self._authorized(call, manifest, contract, None)

    async def prepare_granted(
        self, call: PendingToolCall, grant: ToolExecutionGrant
    ) -> PreparedToolCall | ToolCallRecord:
        """Freeze a call whose authority is a grant, whatever the catalog holds."""
        return await self._authorized(call, grant.manifest, grant.contract, grant)

    async def _authorized(
        self,
        call: PendingToolCall,
        manifest: ToolManifest,
        contract: ToolContract,
        grant: ToolExecutionGrant | None,
    ) -> PreparedToolCall | ToolCallRecord:
        context = ToolCallHookContext(
            session_id=self.session_id,
            call_id=call.call_id,
            tool_name=manifest.name,
            args=call.args,
            argument_projection=manifest.argument_projection,
            services=self.services,
            turn_context=self.turn_context,
        )
        try:
            emitted = await self.plugins.before_tool_call(context)
        except PluginError as err:
            return _refused(call, runtime_failure("internal", "before_tool_call_failed", str(err)))
        args, answer = await apply_before_tool(emitted, call.args, self.services, self.emit)
        call = call.but(args=args, tool_name=manifest.name)
        if answer is not None:
            return _refused(call, answer)
        if fault := invalid_tool_input(contract, args):
            return _refused(call, runtime_failure("invalid_request", "invalid_tool_args", fault))
        asked = ToolPrepareCall(
            tool_id=manifest.id,
            pending=call,
            session_id=self.session_id,
            turn_context=self.turn_context,
            execution_binding=grant.execution_binding if grant else Json(None),
            services=self.services,
        )
        try:
            prepared = await (
                self.registry.prepare_granted(grant, asked) if grant else self.registry.prepare_tool_call(asked)
            )
        except Exception as err:
            return _refused(call, _raised(err))
        if isinstance(prepared, Done):
            return _refused(call, prepared)
        if prepared.tool_id != manifest.id:
            wrong = f"tool {manifest.id!r} was called and {prepared.tool_id!r} was prepared"
            return _refused(call, runtime_failure("internal", "prepared_tool_id_mismatch", wrong))
        return prepared

    # -- attempt

    async def attempt(
        self,
        prepared: PreparedToolCall,
        context: ToolContext,
        now_ms: Callable[[], int],
        grant: ToolExecutionGrant | None = None,
    ) -> ToolCallRecord | Launched:
        """Run one attempt and ask the hooks about its result; one that is pending is asked about when it is resolved.

        Whatever a tool raises is a failed result ([TOO.4][], [TOO.6][], [HOK.29][], [HOK.30][]).
        """
        keys: list[str] = []
        take_key = context.completion_key

        async def completion_key() -> str:
            if not keys:
                keys.append(await take_key())
            return keys[0]

        context = replace(
            context,
            call_id=prepared.call_id,
            prepared_payload=prepared.prepared_payload,
            execution_binding=grant.execution_binding if grant else context.execution_binding,
            completion_key=completion_key,
        )
        call = ToolCall(prepared.tool_name, prepared.args, context)
        started = now_ms()
        try:
            result = await (
                self.registry.execute_granted(grant, call)
                if grant
                else self.registry.execute_by_id(prepared.tool_id, call)
            )
        except Exception as err:
            result = _raised(err)
        if isinstance(result, Pending) and keys:
            return Launched(keys[0], result.completion)
        if isinstance(result, Pending):
            missing = "the tool answered that it is pending without taking a completion key"
            result = runtime_failure("internal", "pending_tool_missing_completion_key", missing)
        return await self.settle(prepared, result, max(0, now_ms() - started))

    async def settle(self, prepared: PreparedToolCall, result: Done, duration_ms: int) -> ToolCallRecord:
        """The record of a result, as the hooks leave it; also for a pending call once it is resolved."""
        context = ToolResultHookContext(
            session_id=self.session_id,
            call_id=prepared.call_id,
            tool_name=prepared.tool_name,
            args=prepared.args,
            result=result,
            duration_ms=duration_ms,
            services=self.services,
            turn_context=self.turn_context,
        )
        try:
            emitted = await self.plugins.after_tool_call(context)
        except PluginError as err:
            result = runtime_failure("internal", "after_tool_call_failed", str(err))
        else:
            result = await apply_after_tool(emitted, result, self.services, self.emit, self.enqueue)
        return ToolCallRecord(
            call_id=prepared.call_id,
            tool=prepared.tool_name,
            args=prepared.args,
            output=result.output,
            duration_ms=duration_ms,
        )

    async def project(self, record: ToolCallRecord) -> ModelToolReturn:
        """What the model sees of a record, which stays as it is ([TOO.30][])."""
        return await self.plugins.project_tool_result(
            ToolResultProjectionContext(
                session_id=self.session_id,
                call_id=record.call_id or "",
                tool_name=record.tool,
                args=record.args,
                output=record.output,
                duration_ms=record.duration_ms,
            )
        )


def _refused(call: PendingToolCall, result: Done) -> ToolCallRecord:
    return ToolCallRecord(
        call_id=call.call_id, tool=call.tool_name, args=call.args, output=result.output, duration_ms=0
    )


def _raised(err: Exception) -> Done:
    return Done.failure(ToolFailure.tool("execution", "tool_error", f"{type(err).__name__}: {err}"))


# -- retries


def retry_after_ms(output: ToolCallOutput, policy: ToolRetryPolicy, retry_index: int) -> int | None:
    """How long to wait before running the call again, or nothing when it must not be ([TOO.20][], [TOO.21][])."""
    if policy.type == "never" or not isinstance(output.outcome, Failure):
        return None
    match output.outcome.payload.retry:
        case SafeRetry(after_ms=after_ms):
            return policy.delay_ms(retry_index, after_ms)
        case _:
            return None


def exhausted(output: ToolCallOutput, attempts: int) -> ToolCallOutput:
    """The same failure, marked as tried that often ([TOO.22][])."""
    if not isinstance(output.outcome, Failure):
        return output
    failure = output.outcome.payload.but(retry=ExhaustedRetry(attempts=attempts))
    return output.but(outcome=Failure(payload=failure))


async def with_retries(
    policy: ToolRetryPolicy,
    attempt: Callable[[int, int], Awaitable[ToolCallRecord | Launched]],
    sleep_ms: Callable[[int], Awaitable[None]],
    is_cancelled: Callable[[], bool],
) -> ToolCallRecord | Launched:
    """Run ``attempt(number, of)`` until it needs no other; a cancelled turn starts no other ([TOO.23][])."""
    for number in range(1, policy.attempts + 1):
        record = await attempt(number, policy.attempts)
        if isinstance(record, Launched):
            return record
        delay = retry_after_ms(record.output, policy, number - 1)
        if delay is None:
            return record
        if number == policy.attempts:
            return record.but(output=exhausted(record.output, number))
        if not is_cancelled():
            await sleep_ms(delay)
        if is_cancelled():
            return record
    raise AssertionError("a policy allows at least one attempt")
