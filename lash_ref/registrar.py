"""The registrar: every surface a plugin can register on, by namespace.

A plugin calls ``reg.tools().provider(...)``, ``reg.turn().before(...)`` and so on from `register`, which is
not async. Names that must be unique are refused at once.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from lash_ref import hooks
from lash_ref.errors import RegistrationError
from lash_ref.operations import (
    OperationKind,
    Outcome,
    PluginCommandContext,
    PluginOperation,
    PluginQueryContext,
    PluginTaskContext,
    RegisteredOperation,
)
from lash_ref.plugin_events import PluginOwned
from lash_ref.scalars import Identifier, Json, Record
from lash_ref.tools import ToolProvider

A = TypeVar("A")
O = TypeVar("O")  # noqa: E741 - output
T = TypeVar("T")


class TriggerEvent(Record):
    """An occurrence a plugin's resource may report, and the schema of what it carries."""

    resource_type: Identifier
    alias: Identifier
    event: Identifier
    payload_schema: Json = Json({})

    @property
    def key(self) -> tuple[str, str, str]:
        """What must be unique in a session."""
        return (self.resource_type, self.alias, self.event)

    @property
    def source_type(self) -> str:
        """How subscriptions name it."""
        return f"{self.alias}.{self.event}"


class Exclusive(Generic[T]):
    """A surface that one plugin may take."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.held: PluginOwned[T] | None = None

    @property
    def value(self) -> T | None:
        """What holds the surface, if anything does."""
        return self.held.value if self.held else None

    def take(self, plugin_id: str, value: T) -> None:
        """Take the surface.

        Raises:
            RegistrationError: [PLG.19][], [PLG.20][] another plugin holds it.
        """
        if self.held is not None:
            raise RegistrationError(
                f"{self.name} is registered by plugin {self.held.plugin_id!r} and again by {plugin_id!r}"
            )
        self.held = PluginOwned(plugin_id, value)


def _owned() -> list[PluginOwned[Any]]:
    return []


@dataclass
class Contributions:
    """All that the plugins of one session registered, in stack order."""

    tool_providers: list[PluginOwned[ToolProvider]] = field(default_factory=_owned)
    triggers: dict[tuple[str, str, str], PluginOwned[TriggerEvent]] = field(
        default_factory=dict[tuple[str, str, str], PluginOwned[TriggerEvent]]
    )
    prompt: list[PluginOwned[hooks.PromptContributor]] = field(default_factory=_owned)
    tool_catalog: list[PluginOwned[hooks.ToolCatalogContributor]] = field(default_factory=_owned)
    before_turn: list[PluginOwned[hooks.BeforeTurnHook]] = field(default_factory=_owned)
    after_turn: list[PluginOwned[hooks.AfterTurnHook]] = field(default_factory=_owned)
    checkpoint: list[PluginOwned[hooks.CheckpointHook]] = field(default_factory=_owned)
    before_tool_call: list[PluginOwned[hooks.BeforeToolCallHook]] = field(default_factory=_owned)
    after_tool_call: list[PluginOwned[hooks.AfterToolCallHook]] = field(default_factory=_owned)
    stream: list[PluginOwned[hooks.AssistantStreamHook]] = field(default_factory=_owned)
    response: list[PluginOwned[hooks.AssistantResponseHook]] = field(default_factory=_owned)
    stream_finished: list[PluginOwned[hooks.StreamFinishedHook]] = field(default_factory=_owned)
    on_event: list[PluginOwned[hooks.LifecycleEventHook]] = field(default_factory=_owned)
    config_mutators: list[PluginOwned[hooks.SessionConfigMutator]] = field(default_factory=_owned)
    operations: dict[str, RegisteredOperation] = field(default_factory=dict[str, RegisteredOperation])
    transforms: list[tuple[int, PluginOwned[hooks.TurnContextTransform]]] = field(
        default_factory=list[tuple[int, PluginOwned[hooks.TurnContextTransform]]]
    )
    compactors: list[tuple[int, PluginOwned[hooks.ContextCompactor]]] = field(
        default_factory=list[tuple[int, PluginOwned[hooks.ContextCompactor]]]
    )
    projector: Exclusive[hooks.ToolResultProjector] = field(
        default_factory=lambda: Exclusive("the tool result projector")
    )
    prose_projector: Exclusive[hooks.AssistantProseProjector] = field(
        default_factory=lambda: Exclusive("the assistant prose projector")
    )
    protocol_session: Exclusive[Any] = field(default_factory=lambda: Exclusive("the protocol session"))
    protocol_driver: Exclusive[Any] = field(default_factory=lambda: Exclusive("the protocol driver"))
    code_executor: Exclusive[Any] = field(default_factory=lambda: Exclusive("the code executor"))

    def require_protocol(self) -> None:
        """Refuse a session without a protocol.

        Raises:
            RegistrationError: no plugin registered the protocol session, or the driver.
        """
        for required in (self.protocol_session, self.protocol_driver):
            if required.held is None:
                raise RegistrationError(f"no plugin registered {required.name}")


class PluginRegistrar:
    """One plugin's way into the contributions of its session."""

    def __init__(self, plugin_id: str, contributions: Contributions) -> None:
        self.plugin_id = plugin_id
        self.contributions = contributions

    def own(self, value: T) -> PluginOwned[T]:
        """``value`` with this plugin as its owner."""
        return PluginOwned(self.plugin_id, value)

    def tools(self) -> "ToolRegistrations":
        """Tools."""
        return ToolRegistrations(self)

    def triggers(self) -> "TriggerRegistrations":
        """Trigger events."""
        return TriggerRegistrations(self)

    def prompt(self) -> "PromptRegistrations":
        """The system prompt."""
        return PromptRegistrations(self)

    def tool_catalog(self) -> "ToolCatalogRegistrations":
        """The catalog of callable tools."""
        return ToolCatalogRegistrations(self)

    def turn(self) -> "TurnRegistrations":
        """The points of a turn."""
        return TurnRegistrations(self)

    def tool_calls(self) -> "ToolCallRegistrations":
        """Around tool calls."""
        return ToolCallRegistrations(self)

    def output(self) -> "OutputRegistrations":
        """The assistant's output."""
        return OutputRegistrations(self)

    def tool_results(self) -> "ToolResultRegistrations":
        """What the model sees of results."""
        return ToolResultRegistrations(self)

    def session(self) -> "SessionRegistrations":
        """The session's lifecycle."""
        return SessionRegistrations(self)

    def operations(self) -> "OperationRegistrations":
        """What hosts call by name."""
        return OperationRegistrations(self)

    def context(self) -> "ContextRegistrations":
        """What the model sees of the session."""
        return ContextRegistrations(self)

    def protocol(self) -> "ProtocolRegistrations":
        """How turns are driven."""
        return ProtocolRegistrations(self)

    def execution(self) -> "ExecutionRegistrations":
        """How code is run."""
        return ExecutionRegistrations(self)


@dataclass(frozen=True)
class _Namespace:
    reg: PluginRegistrar

    @property
    def held(self) -> Contributions:
        return self.reg.contributions


class ToolRegistrations(_Namespace):
    """``reg.tools()``."""

    def provider(self, provider: ToolProvider) -> None:
        """Offer tools.

        Raises:
            RegistrationError: [PLG.17][] another provider offers a tool of that name.
        """
        taken = {m.name: own.plugin_id for own in self.held.tool_providers for m in own.value.tool_manifests()}
        for manifest in provider.tool_manifests():
            if manifest.name in taken:
                raise RegistrationError(
                    f"tool {manifest.name!r} of plugin {self.reg.plugin_id!r} is offered by {taken[manifest.name]!r}"
                )
            taken[manifest.name] = self.reg.plugin_id
        self.held.tool_providers.append(self.reg.own(provider))


class TriggerRegistrations(_Namespace):
    """``reg.triggers()``."""

    def declare(self, event: TriggerEvent) -> None:
        """Declare an event.

        Raises:
            RegistrationError: [PLG.22][] its key is declared already.
        """
        if event.key in self.held.triggers:
            raise RegistrationError(f"trigger event {'.'.join(event.key)!r} is declared twice")
        self.held.triggers[event.key] = self.reg.own(event)


class PromptRegistrations(_Namespace):
    """``reg.prompt()``."""

    def contribute(self, contributor: hooks.PromptContributor) -> None:
        """Contribute at every build of the prompt."""
        self.held.prompt.append(self.reg.own(contributor))


class ToolCatalogRegistrations(_Namespace):
    """``reg.tool_catalog()``."""

    def contribute(self, contributor: hooks.ToolCatalogContributor) -> None:
        """Take tools out of the catalog by name."""
        self.held.tool_catalog.append(self.reg.own(contributor))


class TurnRegistrations(_Namespace):
    """``reg.turn()``."""

    def before(self, hook: hooks.BeforeTurnHook) -> None:
        """Once before each turn."""
        self.held.before_turn.append(self.reg.own(hook))

    def after(self, hook: hooks.AfterTurnHook) -> None:
        """Once after each turn is assembled, before it is committed."""
        self.held.after_turn.append(self.reg.own(hook))

    def checkpoint(self, hook: hooks.CheckpointHook) -> None:
        """At each checkpoint inside a turn."""
        self.held.checkpoint.append(self.reg.own(hook))


class ToolCallRegistrations(_Namespace):
    """``reg.tool_calls()``."""

    def before(self, hook: hooks.BeforeToolCallHook) -> None:
        """Before each call, ahead of the validation of its arguments."""
        self.held.before_tool_call.append(self.reg.own(hook))

    def after(self, hook: hooks.AfterToolCallHook) -> None:
        """After each attempt that ended."""
        self.held.after_tool_call.append(self.reg.own(hook))


class OutputRegistrations(_Namespace):
    """``reg.output()``."""

    def stream(self, hook: hooks.AssistantStreamHook) -> None:
        """On each chunk of visible text."""
        self.held.stream.append(self.reg.own(hook))

    def response(self, hook: hooks.AssistantResponseHook) -> None:
        """On each whole response."""
        self.held.response.append(self.reg.own(hook))

    def stream_finished(self, hook: hooks.StreamFinishedHook) -> None:
        """When a stream ends, and when an attempt at it is given up."""
        self.held.stream_finished.append(self.reg.own(hook))

    def assistant_prose_projector(self, projector: hooks.AssistantProseProjector) -> None:
        """Project the assistant's prose; one plugin may."""
        self.held.prose_projector.take(self.reg.plugin_id, projector)


class ToolResultRegistrations(_Namespace):
    """``reg.tool_results()``."""

    def projector(self, projector: hooks.ToolResultProjector) -> None:
        """Project tool results for the model; one plugin may."""
        self.held.projector.take(self.reg.plugin_id, projector)


class SessionRegistrations(_Namespace):
    """``reg.session()``."""

    def on_event(self, hook: hooks.LifecycleEventHook) -> None:
        """At each lifecycle event."""
        self.held.on_event.append(self.reg.own(hook))

    def config_mutator(self, mutator: hooks.SessionConfigMutator) -> None:
        """Change a changed policy before it is announced."""
        self.held.config_mutators.append(self.reg.own(mutator))


class OperationRegistrations(_Namespace):
    """``reg.operations()``; one name is one operation, whatever its kind ([PLG.18][])."""

    def _add(self, kind: OperationKind, op: PluginOperation[Any, Any], handler: Any) -> None:
        held = self.held.operations.get(op.name)
        if held is not None:
            raise RegistrationError(
                f"operation {op.name!r} of plugin {self.reg.plugin_id!r} is a {held.kind} of {held.plugin_id!r}"
            )
        self.held.operations[op.name] = RegisteredOperation(self.reg.plugin_id, op, kind, handler)

    def typed_query(
        self, op: PluginOperation[A, O], handler: Callable[[PluginQueryContext, A], Awaitable[O]]
    ) -> None:
        """Answer a query."""
        self._add("query", op, handler)

    def typed_command(
        self, op: PluginOperation[A, O], handler: Callable[[PluginCommandContext, A], Awaitable[Outcome[O]]]
    ) -> None:
        """Carry out a command that may emit events and queue turns."""
        self._add("command", op, handler)

    def typed_command_value(
        self, op: PluginOperation[A, O], handler: Callable[[PluginCommandContext, A], Awaitable[O]]
    ) -> None:
        """Carry out a command that only answers."""
        self._add("command", op, handler)

    def typed_task(
        self, op: PluginOperation[A, O], handler: Callable[[PluginTaskContext, A], Awaitable[Outcome[O]]]
    ) -> None:
        """Carry out a task that may emit events and queue turns."""
        self._add("task", op, handler)

    def typed_task_value(
        self, op: PluginOperation[A, O], handler: Callable[[PluginTaskContext, A], Awaitable[O]]
    ) -> None:
        """Carry out a task that only answers."""
        self._add("task", op, handler)


class ContextRegistrations(_Namespace):
    """``reg.context()``; higher priorities go first, equal ones in order of registration."""

    def prepare_turn(self, priority: int, transform: hooks.TurnContextTransform) -> None:
        """Transform what the model sees, for one turn."""
        self.held.transforms.append((priority, self.reg.own(transform)))

    def compact(self, priority: int, compactor: hooks.ContextCompactor) -> None:
        """Seed a compacted frame."""
        self.held.compactors.append((priority, self.reg.own(compactor)))


class ProtocolRegistrations(_Namespace):
    """``reg.protocol()``; a session needs both, each from one plugin."""

    def session(self, protocol_session: Any) -> None:
        """The session side of the protocol."""
        self.held.protocol_session.take(self.reg.plugin_id, protocol_session)

    def protocol_driver(self, driver: Any) -> None:
        """The driver of turns."""
        self.held.protocol_driver.take(self.reg.plugin_id, driver)


class ExecutionRegistrations(_Namespace):
    """``reg.execution()``."""

    def code_executor(self, executor: Any) -> None:
        """What runs code; one plugin may."""
        self.held.code_executor.take(self.reg.plugin_id, executor)
