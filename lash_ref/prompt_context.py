"""The plugin `prompt_context`: project instructions from a source the factory holds.

A template for what is put into the system prompt from state that all sessions share. Whatever changes by
the minute goes to the turn's context instead, so that the system prompt stays the same byte by byte.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from lash_ref.directives import EnqueueMessages, PluginDirective
from lash_ref.hooks import PreparedContext, PromptHookContext, ToolResultHookContext, TurnTransformContext
from lash_ref.plugin_events import PluginMessage
from lash_ref.plugins import PluginFactory, PluginSessionContext, SessionPlugin
from lash_ref.prompt import PromptContribution
from lash_ref.registrar import PluginRegistrar

ENVIRONMENT_PRIORITY = 50


class InstructionSource(Protocol):
    """Instructions, answered from memory: it is asked at every build of a prompt."""

    def system_instructions(self) -> str:
        """What holds for the whole project."""
        ...

    def context_instructions_for_reads(self, paths: Sequence[str]) -> str:
        """What holds where these files are, and was not said yet."""
        ...


@dataclass(frozen=True)
class PromptContextConfig:
    """What is contributed."""

    include_environment: bool = True
    include_project_instructions: bool = True


@dataclass(frozen=True)
class PromptContextPlugin(SessionPlugin):
    """Handles on what the factory holds; no state of its own."""

    source: InstructionSource
    config: PromptContextConfig
    environment: Callable[[], str]

    id = "prompt_context"

    def register(self, reg: PluginRegistrar) -> None:
        if self.config.include_project_instructions:
            reg.prompt().contribute(self._instructions)
            reg.tool_calls().after(self._after_read)
        if self.config.include_environment:
            reg.context().prepare_turn(ENVIRONMENT_PRIORITY, self._environment)

    async def _instructions(self, context: PromptHookContext) -> list[PromptContribution]:
        del context
        text = self.source.system_instructions()
        return [PromptContribution.project_instructions(text)] if text.strip() else []

    async def _after_read(self, context: ToolResultHookContext) -> list[PluginDirective]:
        """Instructions that hold where a file was read follow at the next checkpoint."""
        args = context.args.value
        path = args.get("path") if isinstance(args, dict) else None
        if context.tool_name != "read_file" or not context.result.output.is_success:
            return []
        if not isinstance(path, str) or not path:
            return []
        text = self.source.context_instructions_for_reads([path])
        return [EnqueueMessages((PluginMessage(role="System", content=text),))] if text.strip() else []

    async def _environment(self, context: TurnTransformContext, prepared: PreparedContext) -> PreparedContext:
        note = PluginMessage(role="User", content=self.environment())
        message = note.message(f"{context.session_id}:environment:{context.state.turn_index}")
        return replace(prepared, messages=(*prepared.messages, message))


class PromptContextPluginFactory(PluginFactory):
    """Holds the source; every session asks the same one."""

    id = "prompt_context"

    def __init__(
        self,
        source: InstructionSource,
        environment: Callable[[], str],
        config: PromptContextConfig | None = None,
    ) -> None:
        """``environment`` says what holds now: the date, the folder, the branch."""
        self._source = source
        self._environment = environment
        self._config = config or PromptContextConfig()

    def build(self, context: PluginSessionContext) -> SessionPlugin:
        del context
        return PromptContextPlugin(self._source, self._config, self._environment)
