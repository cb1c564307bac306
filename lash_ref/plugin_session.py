"""The plugins of one session: their hooks, operations, prompt, tools and kept state, in stack order."""

from collections.abc import Callable, Sequence
from typing import Any

from lash_ref import hooks
from lash_ref.directives import PluginDirective
from lash_ref.errors import (
    InvalidToolSurface,
    PluginError,
    RegistrationError,
    SnapshotError,
    UnknownOperation,
)
from lash_ref.operations import OperationKind, PluginOperationDef, RegisteredOperation
from lash_ref.plugin_events import PluginOwned, PluginRuntimeEvent
from lash_ref.plugins import (
    PluginSessionContext,
    SessionPlugin,
)
from lash_ref.policy import SessionPolicy
from lash_ref.prompt import PromptContribution
from lash_ref.registrar import Contributions, TriggerEvent
from lash_ref.scalars import Json
from lash_ref.snapshots import (
    PluginSessionSnapshot,
    PluginSnapshotEntry,
    PluginSnapshotMeta,
    SnapshotReader,
    SnapshotWriter,
    snapshot_revision_fingerprint,
)
from lash_ref.tool_registry import ToolRegistry
from lash_ref.tool_results import ModelToolReturn
from lash_ref.tools import ToolManifest


class PluginSession:
    """The plugins of one session, in stack order, and all they registered."""

    def __init__(
        self,
        context: PluginSessionContext,
        plugins: Sequence[SessionPlugin],
        contributions: Contributions,
        leave: Callable[[], None],
    ) -> None:
        self.context = context
        self.plugins = tuple(plugins)
        self.contributions = contributions
        self.leave = leave
        """Lets the session go, so that its id can be opened again on its host."""
        self.catalog_overlay: frozenset[str] = frozenset()
        """Names the host takes out of the catalog, beside those the plugins take out."""
        providers = [owned.value for owned in contributions.tool_providers]
        try:
            self.tool_registry = ToolRegistry.from_providers(providers, context.tool_access.hidden_tools)
        except InvalidToolSurface as err:
            raise RegistrationError(str(err)) from err
        self._transforms = [owned for _, owned in sorted(contributions.transforms, key=_highest_first)]
        self._compactors = [owned for _, owned in sorted(contributions.compactors, key=_highest_first)]
        self._absent: dict[str, PluginSnapshotEntry] = {}

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self.context.session_id

    @property
    def protocol_session(self) -> Any:
        """The session side of the protocol."""
        return self.contributions.protocol_session.value

    @property
    def protocol_driver(self) -> Any:
        """The driver of turns."""
        return self.contributions.protocol_driver.value

    @property
    def code_executor(self) -> Any:
        """What runs code, if a plugin registered it."""
        return self.contributions.code_executor.value

    @property
    def triggers(self) -> tuple[TriggerEvent, ...]:
        """Every trigger event declared."""
        return tuple(owned.value for owned in self.contributions.triggers.values())

    # -- snapshot and restore

    def snapshot_revision_fingerprint(self) -> int:
        """A number that changes with any plugin's id, version, revision or place."""
        return snapshot_revision_fingerprint(self.plugins)

    def snapshot(self) -> PluginSessionSnapshot:
        """Capture every plugin, or none; what was restored for absent plugins is carried along.

        One entry a plugin, under its live id ([SNP.8][], [SNP.20][], [SNP.23][]).

        Raises:
            SnapshotError: one of them failed.
        """
        captured = dict(self._absent)
        for plugin in self.plugins:
            writer = SnapshotWriter()
            try:
                meta = PluginSnapshotMeta.from_data(plugin.snapshot(writer))
                captured[plugin.id] = PluginSnapshotEntry(meta=meta, artifacts=writer.artifacts)
            except Exception as err:
                raise SnapshotError(f"plugin {plugin.id!r} could not write its state: {err}") from err
        return PluginSessionSnapshot(plugins=captured)

    def restore(self, snapshot: PluginSessionSnapshot) -> None:
        """Hand every plugin its stored entry, or "no state"; entries of absent plugins are kept as they are.

        Entries are found by id and handed over unchanged ([SNP.1][], [SNP.5][] to [SNP.11][]).

        Raises:
            SnapshotError: the first plugin that fails; the session is not opened.
        """
        present = {plugin.id for plugin in self.plugins}
        self._absent = {id: entry for id, entry in snapshot.plugins.items() if id not in present}
        for plugin in self.plugins:
            entry = snapshot.plugins.get(plugin.id)
            blank = PluginSnapshotMeta(
                plugin_id=plugin.id, plugin_version=plugin.version(), revision=plugin.snapshot_revision()
            )
            try:
                plugin.restore(entry.meta if entry else blank, SnapshotReader(entry.artifacts if entry else ()))
            except Exception as err:
                raise SnapshotError(f"plugin {plugin.id!r} could not take up its state: {err}") from err

    # -- prompt and catalog

    async def prompt_contributions(
        self, context: Callable[[], hooks.PromptHookContext]
    ) -> tuple[PromptContribution, ...]:
        """What the plugins put into the prompt, in stack order.

        Raises:
            PluginError: the first contributor that fails.
        """
        if not (hooked := self.contributions.prompt):
            return ()
        pooled = await hooks.collect(hooked, context(), "prompt.contribute")
        return tuple(owned.value for owned in pooled)

    def tool_catalog(self, registry: ToolRegistry | None = None) -> tuple[ToolManifest, ...]:
        """The tools the model may call: members of ``registry`` less what anybody takes out ([REG.5][]).

        Raises:
            PluginError: the first contributor that fails.
        """
        surface = registry or self.tool_registry
        members = tuple(surface.tool_manifests())
        context = hooks.ToolCatalogContext(
            session_id=self.session_id,
            tools=members,
            resolve_contract=surface.resolve_contract,
            tool_access=self.context.tool_access,
            subagent=self.context.subagent,
            extensions=self.context.extensions,
        )
        removed = {*self.catalog_overlay, *self.context.tool_access.hidden_tools}
        for owned in self.contributions.tool_catalog:
            try:
                removed.update(owned.value(context))
            except Exception as err:
                raise hooks.hook_error(owned.plugin_id, "tool_catalog.contribute", err) from err
        return tuple(manifest for manifest in members if manifest.name not in removed)

    # -- hooks; a context that shows the session is made when there is a hook to show it

    async def before_turn(
        self, context: Callable[[], hooks.TurnHookContext]
    ) -> list[PluginOwned[PluginDirective]]:
        """What the hooks before a turn ask for."""
        hooked = self.contributions.before_turn
        return await hooks.collect(hooked, context(), "turn.before") if hooked else []

    async def at_checkpoint(
        self, context: Callable[[], hooks.CheckpointHookContext]
    ) -> list[PluginOwned[PluginDirective]]:
        """What the hooks at a checkpoint ask for."""
        hooked = self.contributions.checkpoint
        return await hooks.collect(hooked, context(), "turn.checkpoint") if hooked else []

    async def after_turn(self, context: hooks.TurnResultHookContext) -> list[PluginOwned[PluginDirective]]:
        """What the hooks after a turn ask for."""
        return await hooks.collect(self.contributions.after_turn, context, "turn.after")

    async def before_tool_call(self, context: hooks.ToolCallHookContext) -> list[PluginOwned[PluginDirective]]:
        """What the hooks before a call ask for."""
        return await hooks.collect(self.contributions.before_tool_call, context, "tool_calls.before")

    async def after_tool_call(self, context: hooks.ToolResultHookContext) -> list[PluginOwned[PluginDirective]]:
        """What the hooks after an attempt ask for."""
        return await hooks.collect(self.contributions.after_tool_call, context, "tool_calls.after")

    async def project_tool_result(self, context: hooks.ToolResultProjectionContext) -> ModelToolReturn:
        """What the model sees of a finished call; a projector that fails shows its error."""
        project = self.contributions.projector.value
        if project is None:
            return ModelToolReturn.from_output(context.call_id, context.tool_name, context.output)
        try:
            return await project(context)
        except Exception as err:
            return ModelToolReturn.text(context.call_id, context.tool_name, str(err))

    async def stream(
        self, chunk: str
    ) -> tuple[hooks.AssistantStreamTransform, list[PluginOwned[PluginRuntimeEvent]]]:
        """A chunk of visible text as the hooks leave it."""
        return await hooks.pipe_stream(self.contributions.stream, self.session_id, chunk)

    def project_prose(self, text: str) -> str:
        """Prose that did not stream, as readers are shown it; it is stored as it was said ([HOK.42][]).

        Raises:
            PluginError: the projector failed.
        """
        held = self.contributions.prose_projector.held
        if held is None:
            return text
        try:
            return held.value.project_assistant_prose(text)
        except Exception as err:
            raise hooks.hook_error(held.plugin_id, "output.assistant_prose_projector", err) from err

    async def response(self, response: Any) -> tuple[Any, list[PluginOwned[PluginRuntimeEvent]]]:
        """A whole response as the hooks leave it."""
        return await hooks.pipe_response(self.contributions.response, self.session_id, response)

    async def stream_finished(self, reason: hooks.StreamFinishReason) -> PluginOwned[PluginError] | None:
        """Tell the hooks one after the other, until one fails; that failure changes nothing."""
        for owned in self.contributions.stream_finished:
            try:
                await owned.value(self.session_id, reason)
            except Exception as err:
                return PluginOwned(owned.plugin_id, hooks.hook_error(owned.plugin_id, "stream_finished", err))
        return None

    async def emit_lifecycle_event(
        self, event: hooks.PluginLifecycleEvent
    ) -> list[PluginOwned[PluginError]]:
        """Tell every plugin at once and await them all; failures are for the log ([PLG.31][], [PLG.32][])."""
        return await hooks.notify(self.contributions.on_event, event)

    async def mutate_session_config(
        self, context: hooks.SessionConfigChangedContext, policy: SessionPolicy
    ) -> tuple[SessionPolicy, list[PluginOwned[PluginError]]]:
        """The policy as the mutators leave it in order; one that fails is skipped ([PLG.38][], [PLG.39][])."""
        failures: list[PluginOwned[PluginError]] = []
        for owned in self.contributions.config_mutators:
            try:
                policy = await owned.value(context, policy)
            except Exception as err:
                failure = hooks.hook_error(owned.plugin_id, "session.config_mutator", err)
                failures.append(PluginOwned(owned.plugin_id, failure))
        return policy, failures

    async def prepare_context(
        self, context: Callable[[], hooks.TurnTransformContext], prepared: hooks.PreparedContext
    ) -> hooks.PreparedContext:
        """The turn's context as the transforms leave it, the highest priority first ([HOK.50][])."""
        if not self._transforms:
            return prepared
        given = context()
        for owned in self._transforms:
            try:
                prepared = await owned.value(given, prepared)
            except Exception as err:
                raise hooks.hook_error(owned.plugin_id, "context.prepare_turn", err) from err
        return prepared

    async def compact_context(self, context: hooks.CompactionContext) -> tuple[Json, ...] | None:
        """The nodes of the first compactor that answers any, the highest priority first ([HOK.52][])."""
        for owned in self._compactors:
            try:
                nodes = await owned.value(context)
            except Exception as err:
                raise hooks.hook_error(owned.plugin_id, "context.compact", err) from err
            if nodes:
                return tuple(nodes)
        return None

    # -- operations

    def operations(self) -> tuple[PluginOperationDef, ...]:
        """Every operation a host may call."""
        return tuple(each.definition for each in self.contributions.operations.values())

    def operation(self, kind: OperationKind, name: str) -> RegisteredOperation:
        """An operation by kind and name.

        Raises:
            UnknownOperation: there is none.
        """
        found = self.contributions.operations.get(name)
        if found is None or found.kind != kind:
            raise UnknownOperation(name)
        return found


def _highest_first(entry: tuple[int, object]) -> int:
    return -entry[0]
