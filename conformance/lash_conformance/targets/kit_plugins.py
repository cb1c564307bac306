"""The kit's counter and pool (``docs/kit.md``)."""

import json

from pydantic import BaseModel

from lash_conformance.targets.kit_stage import Stage
from lash_ref.errors import SnapshotError
from lash_ref.hooks import PromptHookContext
from lash_ref.operations import Outcome, PluginCommandContext, PluginOperation, PluginQueryContext
from lash_ref.plugins import PluginFactory, PluginSessionContext, SessionPlugin, SessionReadyContext
from lash_ref.prompt import PromptContribution
from lash_ref.registrar import PluginRegistrar
from lash_ref.scalars import Json
from lash_ref.snapshots import PluginSnapshotMeta, SnapshotReader, SnapshotWriter
from lash_ref.tool_results import Done, ToolResult
from lash_ref.tools import StaticToolProvider, ToolCall, ToolDefinition

NO_ARGUMENTS: dict[str, object] = {"type": "object", "properties": {}, "additionalProperties": False}


class By(BaseModel):
    """How much to add."""

    by: int


class Nothing(BaseModel):
    """No arguments."""


class CounterFactory(PluginFactory):
    """The counter of one core."""

    id = "counter"

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def build(self, context: PluginSessionContext) -> SessionPlugin:
        """A counter for one session."""
        del context
        self.stage.note("counter build")
        return Counter(self.stage)


class Counter(SessionPlugin):
    """A number that is raised by a tool or a command, and kept as a snapshot."""

    def __init__(self, stage: Stage) -> None:
        self.id = "counter"
        self.stage = stage
        self.value = 0
        self.revision = 0

    def register(self, reg: PluginRegistrar) -> None:
        """A tool, a query and a command."""
        self.stage.note("counter register")
        tool = ToolDefinition.raw("kit:count", "count", "Counts.", NO_ARGUMENTS)  # pyright: ignore[reportArgumentType]
        reg.tools().provider(StaticToolProvider().add(tool, self._count))
        read = PluginOperation("counter.read", "The value.", Nothing, int, "required")
        add = PluginOperation("counter.add", "Add to the value.", By, int, "required")
        reg.operations().typed_query(read, self._read)
        reg.operations().typed_command(add, self._add)

    def session_ready(self, context: SessionReadyContext) -> None:
        """Told."""
        del context
        self.stage.note("counter ready")

    async def _count(self, call: ToolCall) -> ToolResult:
        del call
        self.stage.note("counter count")
        self._raise(1)
        return Done.ok(self.value)

    async def _read(self, context: PluginQueryContext, arguments: Nothing) -> int:
        del context, arguments
        return self.value

    async def _add(self, context: PluginCommandContext, arguments: By) -> Outcome[int]:
        del context
        self._raise(arguments.by)
        return Outcome(self.value)

    def _raise(self, by: int) -> None:
        self.value += by
        self.revision += 1

    def snapshot_revision(self) -> int:
        """The number of changes."""
        return self.revision

    def snapshot(self, writer: SnapshotWriter) -> PluginSnapshotMeta:
        """The value, twice."""
        self.stage.note(f"counter snapshot {self.value}")
        writer.write_blob("digits", str(self.value).encode())
        return super().snapshot(writer).but(state=Json({"count": self.value}))

    def restore(self, meta: PluginSnapshotMeta, reader: SnapshotReader) -> None:
        """The value, which both parts must agree on."""
        if meta.state is None:
            self.stage.note("counter restore none")
            self.value = self.revision = 0
            return
        state = meta.state.value
        value = state["count"] if isinstance(state, dict) else None
        if not isinstance(value, int) or reader.read_blob("digits") != str(value).encode():
            raise SnapshotError(f"the counter's parts disagree: {state!r}")
        self.stage.note(f"counter restore {value}")
        self.value, self.revision = value, meta.revision


class OptionsFactory(PluginFactory):
    """Shows the model the turn's protocol options."""

    id = "options"

    def build(self, context: PluginSessionContext) -> SessionPlugin:
        """The plugin."""
        del context
        return Options()


class Options(SessionPlugin):
    """One contribution: the options as JSON."""

    def __init__(self) -> None:
        self.id = "options"

    def register(self, reg: PluginRegistrar) -> None:
        """A contributor."""
        reg.prompt().contribute(self._show)

    async def _show(self, context: PromptHookContext) -> list[PromptContribution]:
        shown = json.dumps(context.protocol_turn_options.to_data(), sort_keys=True)
        return [PromptContribution(slot="guidance", content=f"options {shown}")]


class PoolFactory(PluginFactory):
    """One pool a core."""

    id = "pool"

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.borrowed = 0
        stage.note("pool opened")

    def build(self, context: PluginSessionContext) -> SessionPlugin:
        """A handle on the pool."""
        del context
        self.stage.note("pool build")
        return Pool(self)


class Pool(SessionPlugin):
    """A session's handle on the pool."""

    def __init__(self, factory: PoolFactory) -> None:
        self.id = "pool"
        self.factory = factory

    def register(self, reg: PluginRegistrar) -> None:
        """A tool."""
        tool = ToolDefinition.raw("kit:borrow", "borrow", "Borrows.", NO_ARGUMENTS)  # pyright: ignore[reportArgumentType]
        reg.tools().provider(StaticToolProvider().add(tool, self._borrow))

    async def _borrow(self, call: ToolCall) -> ToolResult:
        del call
        self.factory.borrowed += 1
        return Done.ok(self.factory.borrowed)
