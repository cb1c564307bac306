"""Hooks: where plugins are called, with what, and how the answers of several are composed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, TypeVar

from lash_ref.directives import PluginDirective
from lash_ref.errors import InvokeError, PluginError
from lash_ref.messages import Message
from lash_ref.plugin_events import PluginOwned, PluginRuntimeEvent
from lash_ref.policy import SessionPolicy
from lash_ref.prompt import PromptContribution
from lash_ref.scalars import Json
from lash_ref.services import ReadView, SessionServices, TurnContext
from lash_ref.tool_results import Done, ModelToolReturn, ToolCallOutput
from lash_ref.tools import ArgumentProjection, SessionToolAccess, ToolContract, ToolManifest, ToolProvider
from lash_ref.usage import PromptUsage
from lash_ref.work import CheckpointKind, ProtocolTurnOptions

C = TypeVar("C")
V = TypeVar("V")


# -- contexts


@dataclass(frozen=True)
class PromptHookContext:
    """For prompt contributors."""

    session_id: str
    state: ReadView
    services: SessionServices
    turn_context: TurnContext
    protocol_turn_options: ProtocolTurnOptions


@dataclass(frozen=True)
class ToolCatalogContext:
    """For what takes tools out of the catalog; everybody sees the same full list."""

    session_id: str
    tools: tuple[ToolManifest, ...]
    resolve_contract: Callable[[str], ToolContract | None]
    tool_access: SessionToolAccess
    subagent: Json | None = None
    extensions: Any = None


@dataclass(frozen=True)
class TurnHookContext:
    """Before a turn."""

    session_id: str
    state: ReadView
    services: SessionServices
    turn_context: TurnContext


@dataclass(frozen=True)
class CheckpointHookContext:
    """At a checkpoint inside a turn."""

    session_id: str
    checkpoint: CheckpointKind
    state: ReadView
    services: SessionServices


@dataclass(frozen=True)
class TurnResultHookContext:
    """After a turn is assembled and before it is committed."""

    session_id: str
    turn: Any
    """The turn's summary as the runtime assembles it."""
    services: SessionServices


@dataclass(frozen=True)
class ToolCallHookContext:
    """Before a call; the arguments are the model's, whatever other hooks ask for."""

    session_id: str
    call_id: str
    tool_name: str
    args: Json
    argument_projection: ArgumentProjection
    services: SessionServices
    turn_context: TurnContext


@dataclass(frozen=True)
class ToolResultHookContext:
    """After an attempt; the result is the tool's, whatever other hooks make of it."""

    session_id: str
    call_id: str
    tool_name: str
    args: Json
    result: Done
    duration_ms: int
    services: SessionServices
    turn_context: TurnContext


@dataclass(frozen=True)
class ToolResultProjectionContext:
    """For the one projector of tool results."""

    session_id: str
    call_id: str
    tool_name: str
    args: Json
    output: ToolCallOutput
    duration_ms: int


@dataclass(frozen=True)
class AssistantStreamTransform:
    """A chunk as a stream hook leaves it; ``abort_stream`` ends the model call with what has come."""

    chunk: str
    reasoning_deltas: tuple[str, ...] = ()
    events: tuple[PluginRuntimeEvent, ...] = ()
    abort_stream: bool = False


@dataclass(frozen=True)
class AssistantResponseTransform:
    """A model response as a response hook leaves it."""

    response: Any
    events: tuple[PluginRuntimeEvent, ...] = ()


StreamFinishReason = Literal["attempt_reset", "complete", "aborted", "cancelled", "provider_error"]


@dataclass(frozen=True)
class SessionConfigChangedContext:
    """A session's policy before and after."""

    session_id: str
    previous: SessionPolicy
    current: SessionPolicy
    services: SessionServices


# -- lifecycle events


@dataclass(frozen=True)
class TurnFinalized:
    """The turn is assembled; its commit follows."""

    turn: Any


@dataclass(frozen=True)
class TurnPersisted:
    """The turn is committed; without a store, it is adopted."""

    session_id: str
    state: ReadView
    services: SessionServices


@dataclass(frozen=True)
class SessionRestored:
    """The runtime is up, also for a session that is new."""

    state: ReadView


@dataclass(frozen=True)
class SessionConfigChanged:
    """The policy is another one."""

    context: SessionConfigChangedContext


PluginLifecycleEvent = TurnFinalized | TurnPersisted | SessionRestored | SessionConfigChanged


# -- context transforms


@dataclass(frozen=True)
class PreparedContext:
    """What the model will see of the session this turn; nothing of it is stored."""

    messages: tuple[Message, ...] = ()
    prompt_contributions: tuple[PromptContribution, ...] = ()
    tool_providers: tuple[ToolProvider, ...] = ()
    include_base_tools: bool = True


@dataclass(frozen=True)
class TurnTransformContext:
    """For transforms of the turn's context."""

    session_id: str
    state: ReadView
    services: SessionServices
    prompt_usage: PromptUsage | None = None
    max_context_tokens: int | None = None
    turn_context: TurnContext = field(default_factory=TurnContext)


@dataclass(frozen=True)
class CompactionContext:
    """For compactors; ``instructions`` are the caller's."""

    session_id: str
    state: ReadView
    services: SessionServices
    instructions: str | None = None


# -- hook types

Directives = Awaitable[Sequence[PluginDirective]]
PromptContributor = Callable[[PromptHookContext], Awaitable[Sequence[PromptContribution]]]
ToolCatalogContributor = Callable[[ToolCatalogContext], Sequence[str]]
"""Names the tools to take out; it is not async, as the catalog is composed between two steps of a turn."""
BeforeTurnHook = Callable[[TurnHookContext], Directives]
CheckpointHook = Callable[[CheckpointHookContext], Directives]
AfterTurnHook = Callable[[TurnResultHookContext], Directives]
BeforeToolCallHook = Callable[[ToolCallHookContext], Directives]
AfterToolCallHook = Callable[[ToolResultHookContext], Directives]
ToolResultProjector = Callable[[ToolResultProjectionContext], Awaitable[ModelToolReturn]]
AssistantStreamHook = Callable[[str, str], Awaitable[AssistantStreamTransform]]
"""Called with the session id and the chunk."""
AssistantResponseHook = Callable[[str, Any], Awaitable[AssistantResponseTransform]]
"""Called with the session id and the response."""
StreamFinishedHook = Callable[[str, StreamFinishReason], Awaitable[None]]
LifecycleEventHook = Callable[[PluginLifecycleEvent], Awaitable[None]]
SessionConfigMutator = Callable[[SessionConfigChangedContext, SessionPolicy], Awaitable[SessionPolicy]]
TurnContextTransform = Callable[[TurnTransformContext, PreparedContext], Awaitable[PreparedContext]]
ContextCompactor = Callable[[CompactionContext], Awaitable[Sequence[Json] | None]]
"""The nodes that seed the compacted frame, or nothing."""


class AssistantProseProjector(Protocol):
    """Makes of prose that did not stream what a reader is shown; chunks go through the stream hooks."""

    def project_assistant_prose(self, text: str) -> str: ...


# -- composition


def hook_error(plugin_id: str, point: str, err: Exception) -> PluginError:
    """The contract's error for whatever a hook raised."""
    if isinstance(err, PluginError):
        return err
    return InvokeError(f"plugin {plugin_id!r} failed at {point}: {type(err).__name__}: {err}")


async def collect(
    hooks: Sequence[PluginOwned[Callable[[C], Awaitable[Sequence[V]]]]], context: C, point: str
) -> list[PluginOwned[V]]:
    """Call every hook on the same input, one after the other, and pool what they answer ([HOK.1][]).

    Raises:
        PluginError: the first hook that fails stops the rest.
    """
    pooled: list[PluginOwned[V]] = []
    for owned in hooks:
        try:
            answer = await owned.value(context)
        except Exception as err:
            raise hook_error(owned.plugin_id, point, err) from err
        pooled.extend(PluginOwned(owned.plugin_id, value) for value in answer)
    return pooled


async def pipe_stream(
    hooks: Sequence[PluginOwned[AssistantStreamHook]], session_id: str, chunk: str
) -> tuple[AssistantStreamTransform, list[PluginOwned[PluginRuntimeEvent]]]:
    """Pass a chunk through every hook; reasoning and events add up, any abort holds ([HOK.41][]).

    Raises:
        PluginError: the first hook that fails.
    """
    piped = AssistantStreamTransform(chunk)
    events: list[PluginOwned[PluginRuntimeEvent]] = []
    for owned in hooks:
        try:
            done = await owned.value(session_id, piped.chunk)
        except Exception as err:
            raise hook_error(owned.plugin_id, "output.stream", err) from err
        events.extend(PluginOwned(owned.plugin_id, event) for event in done.events)
        piped = replace(
            done,
            reasoning_deltas=(*piped.reasoning_deltas, *done.reasoning_deltas),
            events=(*piped.events, *done.events),
            abort_stream=piped.abort_stream or done.abort_stream,
        )
    return piped, events


async def pipe_response(
    hooks: Sequence[PluginOwned[AssistantResponseHook]], session_id: str, response: Any
) -> tuple[Any, list[PluginOwned[PluginRuntimeEvent]]]:
    """Pass a response through every hook ([HOK.40][]).

    Raises:
        PluginError: the first hook that fails.
    """
    events: list[PluginOwned[PluginRuntimeEvent]] = []
    for owned in hooks:
        try:
            done = await owned.value(session_id, response)
        except Exception as err:
            raise hook_error(owned.plugin_id, "output.response", err) from err
        response = done.response
        events.extend(PluginOwned(owned.plugin_id, event) for event in done.events)
    return response, events


async def notify(
    hooks: Sequence[PluginOwned[LifecycleEventHook]], event: PluginLifecycleEvent
) -> list[PluginOwned[PluginError]]:
    """Call every hook at once and await them all; the failures, which change nothing."""
    if not hooks:
        return []

    async def one(owned: PluginOwned[LifecycleEventHook]) -> PluginError | None:
        try:
            await owned.value(event)
        except Exception as err:
            return hook_error(owned.plugin_id, "session.on_event", err)
        return None

    outcomes = await asyncio.gather(*(one(owned) for owned in hooks))
    return [
        PluginOwned(owned.plugin_id, failure)
        for owned, failure in zip(hooks, outcomes, strict=True)
        if failure is not None
    ]
