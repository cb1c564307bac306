"""The kit's shelf and bindings: tools that come and go, and turn inputs (``docs/kit.md``)."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from lash_conformance.host import Data
from lash_conformance.targets.kit_written import Stage
from lash_ref import hooks
from lash_ref.plugins import PluginBinding, PluginFactory, PluginSessionContext, SessionPlugin
from lash_ref.prompt import PromptContribution
from lash_ref.registrar import PluginRegistrar
from lash_ref.scalars import Json
from lash_ref.tool_results import Done, ToolResult
from lash_ref.tools import (
    PreparedToolCall,
    ToolCall,
    ToolContract,
    ToolManifest,
    ToolPrepareCall,
    ToolProvider,
)


class Registers(SessionPlugin):
    """A plugin that registers and does nothing else."""

    def __init__(self, plugin_id: str, register: Callable[[PluginRegistrar], None]) -> None:
        self.id = plugin_id
        self._register = register

    def register(self, reg: PluginRegistrar) -> None:
        """As told."""
        self._register(reg)


class ShelfFactory(PluginFactory):
    """Tools from a list that the judge changes."""

    id = "shelf"

    def __init__(self, options: Data, stage: Stage) -> None:
        self.offers: list[Data] = list(options.get("offers", ()))
        self.stage = stage

    def build(self, context: PluginSessionContext) -> SessionPlugin:
        """A plugin whose one provider reads the list."""
        del context
        return Registers(self.id, lambda reg: reg.tools().provider(_Offers(self)))


class _Offers(ToolProvider):
    def __init__(self, shelf: ShelfFactory) -> None:
        self._shelf = shelf

    def _runs(self, name: str) -> tuple[ToolProvider, str] | None:
        offer = next((one for one in self._shelf.offers if one.get("name", one["tool"]) == name), None)
        return None if offer is None else (self._shelf.stage.provider([offer["tool"]]), offer["tool"])

    def tool_manifests(self) -> Sequence[ToolManifest]:
        """What is offered now."""
        found: list[ToolManifest] = []
        for offer in self._shelf.offers:
            (manifest,) = self._shelf.stage.provider([offer["tool"]]).tool_manifests()
            found.append(
                manifest.but(**{part: offer[part] for part in ("id", "name", "description") if part in offer})
            )
        return found

    def resolve_contract(self, name: str) -> ToolContract | None:
        """The contract of the tool that runs under that name."""
        runs = self._runs(name)
        return runs and runs[0].resolve_contract(runs[1])

    async def execute(self, call: ToolCall) -> ToolResult:
        """Run the kit tool behind the name."""
        runs = self._runs(call.name)
        if runs is None:
            return Done.err(f"{call.name} is not on the shelf")
        provider, name = runs
        return await provider.execute(ToolCall(name, call.frozen_args, call.context, call.progress))


class Bound(PluginBinding[None, Data]):
    """A binding that requires a word a turn."""

    ID: ClassVar[str] = "bound"

    @classmethod
    def factory(cls, config: None) -> PluginFactory:
        """A factory of the binding's plugin."""
        del config
        return _BoundFactory(cls.ID)

    @classmethod
    def requires_turn_input(cls, config: None) -> bool:
        """It does."""
        del config
        return True


class BoundOptional(Bound):
    """A binding that takes a word a turn, or none."""

    ID: ClassVar[str] = "bound_optional"

    @classmethod
    def requires_turn_input(cls, config: None) -> bool:
        """It does not."""
        del config
        return False


class _BoundFactory(PluginFactory):
    def __init__(self, plugin_id: str) -> None:
        self.id = plugin_id

    def build(self, context: PluginSessionContext) -> SessionPlugin:
        return Registers(self.id, self._register)

    def _register(self, reg: PluginRegistrar) -> None:
        async def contribute(context: hooks.PromptHookContext) -> list[PromptContribution]:
            word = _word(context.turn_context, self.id)
            return [] if word is None else [PromptContribution(slot="guidance", content=f"word: {word}")]

        reg.prompt().contribute(contribute)
        reg.tools().provider(_Tell(self.id))


def _word(turn_context: Any, plugin_id: str) -> str | None:
    given = getattr(turn_context, "plugin_inputs", {}).get(plugin_id)
    return None if given is None else str(given["word"])


class _Tell(ToolProvider):
    """The tool ``tell``."""

    manifest = ToolManifest(id="kit:tell", name="tell", description="tells the word of the turn")
    contract = ToolContract(
        input_schema=Json({"type": "object", "properties": {}, "additionalProperties": False})
    )

    def __init__(self, plugin_id: str) -> None:
        self._plugin_id = plugin_id

    def tool_manifests(self) -> Sequence[ToolManifest]:
        """The one tool."""
        return [self.manifest]

    def resolve_contract(self, name: str) -> ToolContract | None:
        """It takes nothing."""
        return self.contract if name == "tell" else None

    async def prepare_tool_call(self, call: ToolPrepareCall) -> PreparedToolCall | Done:
        """Freeze the turn's word."""
        prepared = await super().prepare_tool_call(call)
        if isinstance(prepared, Done):
            return prepared
        return prepared.but(prepared_payload=Json(_word(call.turn_context, self._plugin_id)))

    async def execute(self, call: ToolCall) -> ToolResult:
        """Tell the frozen word, and the one that is still there."""
        live = _word(getattr(call.context, "turn_context", None), self._plugin_id)
        return Done.ok(f"frozen {call.context.prepared_payload.value or 'none'} live {live or 'none'}")
