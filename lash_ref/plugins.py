"""Plugins: a factory for each core, a cheap plugin for each session, and the ways to declare and bind them.

What is expensive belongs on the factory, which every session shares; a session's plugin holds only what is
private to it, and carries that through a restart with `snapshot` and `restore`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Self, TypeVar

from lash_ref import hooks
from lash_ref.operations import OperationKind, PluginOperation
from lash_ref.registrar import PluginRegistrar, TriggerEvent
from lash_ref.scalars import Identifier, Json, Record
from lash_ref.snapshots import PluginSnapshotMeta, SnapshotReader, SnapshotWriter
from lash_ref.tools import SessionToolAccess, ToolProvider

Config = TypeVar("Config")
Input = TypeVar("Input")
T = TypeVar("T")


# -- what a build is told


class PluginOptions(Record):
    """A session's options by plugin id; each plugin reads its own."""

    plugins: Mapping[Identifier, Json] = {}

    def get(self, plugin_id: str) -> Json | None:
        """The options of one plugin."""
        return self.plugins.get(plugin_id)


class PluginExtensionContribution(Record):
    """A payload one plugin leaves for others, under an extension's id."""

    extension_id: Identifier
    payload: Json = Json(None)


@dataclass(frozen=True)
class PluginExtensions:
    """All payloads left for others, in the order of the stack."""

    contributions: tuple[PluginExtensionContribution, ...] = ()

    def payloads(self, extension_id: str) -> tuple[Json, ...]:
        """The payloads under one id."""
        return tuple(each.payload for each in self.contributions if each.extension_id == extension_id)


@dataclass(frozen=True)
class PluginSessionContext:
    """The session a plugin is built for."""

    session_id: str
    parent_session_id: str | None = None
    tool_access: SessionToolAccess = field(default_factory=SessionToolAccess)
    subagent: Json | None = None
    plugin_options: PluginOptions = field(default_factory=PluginOptions)
    extensions: PluginExtensions = field(default_factory=PluginExtensions)

    def is_root_session(self) -> bool:
        """Whether nobody is its parent, be it as a managed child or by ``.parent(id)`` ([PLG.25][])."""
        return self.parent_session_id is None


@dataclass(frozen=True)
class SessionReadyContext:
    """Every plugin is registered; nothing is restored yet."""

    session_id: str
    host: Any
    """The session's `PluginHost`."""


# -- what a plugin is


class SessionPlugin:
    """One plugin in one session; override what you need."""

    id: str
    """The same for every session of a factory, and the key of the plugin's stored state."""

    def version(self) -> str:
        """Handed back at restore with the state it wrote; never compared by the runtime."""
        return "1"

    def register(self, reg: PluginRegistrar) -> None:
        """Declare tools, hooks, prompts and operations; runs once, before anything is restored.

        Raises:
            RegistrationError: the session is not opened.
        """

    def snapshot(self, writer: SnapshotWriter) -> PluginSnapshotMeta:
        """Write the private state; equal state must give equal bytes.

        It lands in the same commit as the turn that made it. The default holds no state.
        """
        del writer
        return PluginSnapshotMeta(
            plugin_id=self.id, plugin_version=self.version(), revision=self.snapshot_revision()
        )

    def snapshot_revision(self) -> int:
        """A number that grows with every change of the state; without it changes are not stored."""
        return 0

    def restore(self, meta: PluginSnapshotMeta, reader: SnapshotReader) -> None:
        """Take up stored state; a ``meta`` without state means the defaults.

        Raises:
            SnapshotError: the session is not opened.
        """

    def session_ready(self, context: SessionReadyContext) -> None:
        """All plugins are registered; nothing is restored yet."""


class PluginFactory(ABC):
    """One plugin of a core; every session shares it."""

    id: str

    def extension_contributions(self) -> Sequence[PluginExtensionContribution]:
        """Payloads for other plugins, read when the host is made."""
        return ()

    def process_engine_contributions(self, extensions: PluginExtensions) -> Mapping[str, Any]:
        """Process engines by kind; a kind may be contributed once."""
        del extensions
        return {}

    @abstractmethod
    def build(self, context: PluginSessionContext) -> SessionPlugin:
        """Make the session's plugin; cheap: no I/O, no compiling, no pools, no large loads, no long locks.

        Runs once for each session opened, forked or spawned, never for a turn ([PLG.10][], [PLG.11][]).
        """


# -- declared plugins


@dataclass(frozen=True)
class PluginSpec:
    """A plugin as a list of what it registers; it has no state to store."""

    tool_providers: Sequence[ToolProvider] = ()
    triggers: Sequence[TriggerEvent] = ()
    prompt: Sequence[hooks.PromptContributor] = ()
    tool_catalog: Sequence[hooks.ToolCatalogContributor] = ()
    before_turn: Sequence[hooks.BeforeTurnHook] = ()
    after_turn: Sequence[hooks.AfterTurnHook] = ()
    checkpoint: Sequence[hooks.CheckpointHook] = ()
    before_tool_call: Sequence[hooks.BeforeToolCallHook] = ()
    after_tool_call: Sequence[hooks.AfterToolCallHook] = ()
    stream: Sequence[hooks.AssistantStreamHook] = ()
    response: Sequence[hooks.AssistantResponseHook] = ()
    stream_finished: Sequence[hooks.StreamFinishedHook] = ()
    tool_result_projector: hooks.ToolResultProjector | None = None
    on_event: Sequence[hooks.LifecycleEventHook] = ()
    config_mutators: Sequence[hooks.SessionConfigMutator] = ()
    operations: Sequence[tuple[OperationKind, PluginOperation[Any, Any], Callable[[Any, Any], Any]]] = ()
    prepare_turn: Sequence[tuple[int, hooks.TurnContextTransform]] = ()
    compact: Sequence[tuple[int, hooks.ContextCompactor]] = ()

    def register(self, reg: PluginRegistrar) -> None:
        """Register all of it."""
        _each(reg.tools().provider, self.tool_providers)
        _each(reg.triggers().declare, self.triggers)
        _each(reg.prompt().contribute, self.prompt)
        _each(reg.tool_catalog().contribute, self.tool_catalog)
        _each(reg.turn().before, self.before_turn)
        _each(reg.turn().after, self.after_turn)
        _each(reg.turn().checkpoint, self.checkpoint)
        _each(reg.tool_calls().before, self.before_tool_call)
        _each(reg.tool_calls().after, self.after_tool_call)
        _each(reg.output().stream, self.stream)
        _each(reg.output().response, self.response)
        _each(reg.output().stream_finished, self.stream_finished)
        _each(reg.session().on_event, self.on_event)
        _each(reg.session().config_mutator, self.config_mutators)
        if self.tool_result_projector is not None:
            reg.tool_results().projector(self.tool_result_projector)
        add = {
            "query": reg.operations().typed_query,
            "command": reg.operations().typed_command,
            "task": reg.operations().typed_task,
        }
        for kind, operation, handler in self.operations:
            add[kind](operation, handler)
        for priority, transform in self.prepare_turn:
            reg.context().prepare_turn(priority, transform)
        for priority, compactor in self.compact:
            reg.context().compact(priority, compactor)


def _each(register: Callable[[T], None], values: Iterable[T]) -> None:
    for value in values:
        register(value)


class _SpecPlugin(SessionPlugin):
    def __init__(self, id: str, spec: PluginSpec) -> None:
        self.id = id
        self._spec = spec

    def register(self, reg: PluginRegistrar) -> None:
        self._spec.register(reg)


class StaticPluginFactory(PluginFactory):
    """A factory whose sessions all get one spec."""

    def __init__(self, id: str, spec: PluginSpec) -> None:
        self.id = id
        self._spec = spec

    def build(self, context: PluginSessionContext) -> SessionPlugin:
        del context
        return _SpecPlugin(self.id, self._spec)


class PluginSpecFactory(PluginFactory):
    """A factory that makes a spec for each session."""

    def __init__(self, id: str, spec_of: Callable[[PluginSessionContext], PluginSpec]) -> None:
        self.id = id
        self._spec_of = spec_of

    def build(self, context: PluginSessionContext) -> SessionPlugin:
        return _SpecPlugin(self.id, self._spec_of(context))


# -- stack and binding


@dataclass
class PluginStack:
    """Factories in the order in which they are built and called ([PLG.1][] to [PLG.3][])."""

    factories: list[PluginFactory] = field(default_factory=list[PluginFactory])

    def push(self, factory: PluginFactory) -> Self:
        """Append one."""
        self.factories.append(factory)
        return self

    def extend(self, factories: Iterable[PluginFactory]) -> Self:
        """Append several."""
        self.factories.extend(factories)
        return self

    def remove(self, id: str) -> Self:
        """Take out all of that id."""
        return self.retain(lambda factory: factory.id != id)

    def replace(self, factory: PluginFactory) -> Self:
        """Put one in the place of the first of its id, or at the end."""
        ids = [each.id for each in self.factories]
        if factory.id in ids:
            self.factories[ids.index(factory.id)] = factory
            return self
        return self.push(factory)

    def retain(self, keep: Callable[[PluginFactory], bool]) -> Self:
        """Keep only those."""
        self.factories = [factory for factory in self.factories if keep(factory)]
        return self

    def configure(self, change: Callable[["PluginStack"], object]) -> Self:
        """Let ``change`` edit the stack."""
        change(self)
        return self


class PluginBinding(ABC, Generic[Config, Input]):
    """Installs a plugin in one session with a typed configuration, and types the input of its turns."""

    ID: ClassVar[str]

    @classmethod
    @abstractmethod
    def factory(cls, config: Config) -> PluginFactory:
        """The factory for that configuration."""

    @classmethod
    def requires_turn_input(cls, config: Config) -> bool:
        """Whether every turn must carry an input for the plugin ([PLG.40][])."""
        del config
        return False
