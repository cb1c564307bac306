"""Directives: what hooks ask of the runtime, and what each hook point makes of them.

All hooks of a point have run before any directive is applied; directives apply in the order emitted, the
last of a kind wins, and nothing is rolled back.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from lash_ref.errors import PluginSessionError
from lash_ref.plugin_events import PluginMessage, PluginOwned, PluginRuntimeEvent
from lash_ref.scalars import Json
from lash_ref.services import SessionServices
from lash_ref.tool_results import Done, Pending, ToolCallOutput, ToolFailure, ToolResult, runtime_failure


@dataclass(frozen=True)
class AbortTurn:
    """Stop the turn ([HOK.4][]); from a tool hook, fail the call instead ([HOK.25][])."""

    code: str
    message: str


@dataclass(frozen=True)
class EnqueueMessages:
    """Put messages into the conversation; only those of users and the system are kept ([HOK.7][])."""

    messages: tuple[PluginMessage, ...]


@dataclass(frozen=True)
class CreateSession:
    """Create a child session."""

    request: Json


@dataclass(frozen=True)
class ReplaceToolArgs:
    """Run the call with other arguments, which are validated as the model's are ([HOK.22][])."""

    args: Json


@dataclass(frozen=True)
class ShortCircuitTool:
    """Answer the call without running it ([HOK.23][]); after the call, replace its answer."""

    output: ToolCallOutput


@dataclass(frozen=True)
class EmitRuntimeEvents:
    """Tell observers."""

    events: tuple[PluginRuntimeEvent, ...]


@dataclass(frozen=True)
class EmitTrace:
    """Record a trace event of the plugin's own."""

    name: str
    payload: Json


PluginDirective = (
    AbortTurn
    | EnqueueMessages
    | CreateSession
    | ReplaceToolArgs
    | ShortCircuitTool
    | EmitRuntimeEvents
    | EmitTrace
)
Emitted = Sequence[PluginOwned[PluginDirective]]
Emit = Callable[[PluginOwned[PluginRuntimeEvent]], Awaitable[None]]
"""Hands a runtime event to whoever observes the session."""


def short_circuit(result: ToolResult) -> ShortCircuitTool:
    """Answer a call with ``result``; one that is still pending is a failure ([HOK.31][])."""
    if isinstance(result, Pending):
        result = runtime_failure(
            "internal", "pending_tool_short_circuit", "a short-circuit needs the output of a finished call"
        )
    return ShortCircuitTool(result.output)


# -- at turn points

TurnPoint = Literal["before_turn", "checkpoint", "after_turn"]


@dataclass(frozen=True)
class PluginAbort:
    """Why a plugin stopped the turn."""

    plugin_id: str
    code: str
    message: str


@dataclass(frozen=True)
class TurnDirectives:
    """What the directives of one turn point came to."""

    messages: tuple[PluginMessage, ...] = ()
    events: tuple[PluginOwned[PluginRuntimeEvent], ...] = ()
    abort: PluginAbort | None = None


async def apply_turn_directives(
    point: TurnPoint, emitted: Emitted, services: SessionServices
) -> TurnDirectives:
    """Carry out the directives of a turn point: sessions and traces now, the rest handed back.

    Raises:
        PluginSessionError: [HOK.8][], [HOK.15][] a tool directive at a turn point, or an abort after the turn.
    """
    messages: list[PluginMessage] = []
    events: list[PluginOwned[PluginRuntimeEvent]] = []
    abort: PluginAbort | None = None
    for owned in emitted:
        plugin_id = owned.plugin_id
        match owned.value:
            case AbortTurn(code=code, message=message):
                if point == "after_turn":
                    raise PluginSessionError(f"plugin {plugin_id!r}: a finished turn cannot be aborted")
                abort = PluginAbort(plugin_id, code, message)
            case EnqueueMessages(messages=queued):
                messages.extend(admitted_messages(queued))
            case CreateSession(request=request):
                await services.create_session(request)
            case EmitRuntimeEvents(events=told):
                events.extend(PluginOwned(plugin_id, event) for event in told)
            case EmitTrace(name=name, payload=payload):
                await services.emit_trace(f"plugin.{plugin_id}.{name}", payload)
            case ReplaceToolArgs() | ShortCircuitTool():
                raise PluginSessionError(f"plugin {plugin_id!r}: {point} knows no tool call to change")
    return TurnDirectives(tuple(messages), tuple(events), abort)


def admitted_messages(messages: Iterable[PluginMessage]) -> tuple[PluginMessage, ...]:
    """Those a plugin may put into the conversation: a user's and the system's."""
    return tuple(message for message in messages if message.role in {"User", "System"})


# -- around a tool call


async def apply_before_tool(
    emitted: Emitted, args: Json, services: SessionServices, emit: Emit
) -> tuple[Json, Done | None]:
    """The arguments to run with, and the answer if the call is not to run at all ([HOK.22][] to [HOK.26][])."""
    answer: Done | None = None
    for owned in emitted:
        match owned.value:
            case ReplaceToolArgs(args=replaced):
                args = replaced
            case ShortCircuitTool(output=output):
                answer = Done(output)
            case AbortTurn() as abort:
                answer = _aborted(abort)
            case EnqueueMessages():
                answer = Done.err("before_tool_call does not take messages")
            case CreateSession() | EmitTrace() | EmitRuntimeEvents() as directive:
                fault = await _carried_out(PluginOwned(owned.plugin_id, directive), services, emit)
                if fault is not None:
                    return args, Done.err(fault)
    return args, answer


async def apply_after_tool(
    emitted: Emitted,
    result: Done,
    services: SessionServices,
    emit: Emit,
    enqueue: Callable[[tuple[PluginMessage, ...]], None],
) -> Done:
    """The call's answer as the hooks leave it; ``enqueue`` keeps messages for the next checkpoint."""
    for owned in emitted:
        match owned.value:
            case ShortCircuitTool(output=output):
                result = Done(output)
            case AbortTurn() as abort:
                result = _aborted(abort)
            case EnqueueMessages(messages=messages):
                enqueue(admitted_messages(messages))
            case ReplaceToolArgs():
                result = Done.err("after_tool_call cannot replace the arguments of a finished call")
            case CreateSession() | EmitTrace() | EmitRuntimeEvents() as directive:
                fault = await _carried_out(PluginOwned(owned.plugin_id, directive), services, emit)
                if fault is not None and isinstance(directive, CreateSession):
                    return runtime_failure("internal", "plugin_session_create_failed", fault)
                if fault is not None:
                    return Done.err(fault)
    return result


def _aborted(abort: AbortTurn) -> Done:
    failure = ToolFailure(
        failure_class="execution", code=abort.code, message=abort.message, source="plugin"
    )
    return Done.failure(failure)


async def _carried_out(
    owned: PluginOwned[CreateSession | EmitTrace | EmitRuntimeEvents], services: SessionServices, emit: Emit
) -> str | None:
    """Do what changes no call; what went wrong, if anything."""
    plugin_id = owned.plugin_id
    try:
        match owned.value:
            case CreateSession(request=request):
                await services.create_session(request)
            case EmitTrace(name=name, payload=payload):
                await services.emit_trace(f"plugin.{plugin_id}.{name}", payload)
            case EmitRuntimeEvents(events=events):
                for event in events:
                    await emit(PluginOwned(plugin_id, event))
    except Exception as err:
        return str(err)
    return None
