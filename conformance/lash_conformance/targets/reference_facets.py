"""Facets of the reference that only the judge needs: what a place keeps, tiers, bindings, the probe."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from lash_conformance.host import Data, HostPlace
from lash_conformance.targets.kit_shelf import Bound, BoundOptional, Registers
from lash_conformance.targets.kit_tools import KitStage
from lash_ref.effects import FileJournal, Journal, MemoryJournal
from lash_ref.plugins import PluginBinding, PluginFactory, PluginSessionContext, SessionPlugin
from lash_ref.processes import MemoryProcesses
from lash_ref.provider import Provider
from lash_ref.records import DurabilityTier, ModelLimits, ModelSpec
from lash_ref.scalars import Json
from lash_ref.wait_store import Failed, MemoryWaits, Resolved, SqliteWaits, TimedOut, WaitCancelled, WaitStore

SECRET = b"the judge's own secret"


def resolution_of(told: Any) -> Any:
    """A resolution as the host Protocol has it."""
    match told:
        case {"ok": value}:
            return Resolved(value=Json(value))
        case {"err": message}:
            return Failed(message=str(message))
        case "timeout":
            return TimedOut()
        case _:
            return WaitCancelled()


def resolution_data(found: Any) -> Any:
    """As the host Protocol has it."""
    match found:
        case Resolved(value=value):
            return {"ok": value.value}
        case Failed(message=message):
            return {"err": message}
        case TimedOut():
            return "timeout"
        case WaitCancelled():
            return "cancelled"
        case _:
            return str(found.outcome)


class DurableFacet:
    """A facet that says it outlives the process; for cores whose wiring is judged."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def persistence(self) -> DurabilityTier:
        """Durable."""
        return "durable"


class DurableProcesses(MemoryProcesses):
    """Rows that say they outlive the process; for cores whose wiring is judged."""

    tier: DurabilityTier = "durable"


class Resolver:
    """The scripted providers by id."""

    def __init__(self, providers: dict[str, Provider]) -> None:
        self._providers = providers

    def resolve(self, provider_id: str) -> Provider | None:
        """The provider of that id."""
        return self._providers.get(provider_id)


@dataclass
class PlaceMemory:
    """What cores of one place share: in this process, or as files that outlive it."""

    waits: WaitStore = field(default_factory=MemoryWaits)
    journal: Journal = field(default_factory=MemoryJournal)

    async def close(self) -> None:
        """Close the files; what is in memory stays for the next core."""
        if isinstance(self.waits, SqliteWaits):
            await self.waits.close()
        if isinstance(self.journal, FileJournal):
            self.journal.close()


def kept(place: HostPlace) -> PlaceMemory:
    """What the place keeps beside its stores."""
    if place.directory is None:
        found = place.memory.setdefault("reference", PlaceMemory())
        assert isinstance(found, PlaceMemory), "the place's memory is the target's own"
        return found
    return PlaceMemory(SqliteWaits(place.directory / "waits.db"), FileJournal(place.directory / "effects.jsonl"))


class Given(PluginBinding[PluginFactory, Data]):
    """Binds any kit plugin to one session."""

    ID: ClassVar[str] = "given"

    @classmethod
    def factory(cls, config: PluginFactory) -> PluginFactory:
        """The plugin itself."""
        return config


def binding(plugin_id: str) -> Any:
    """The binding of a kit plugin to one session."""
    known = {"bound": Bound, "bound_optional": BoundOptional}
    return known.get(plugin_id) or type("Given", (Given,), {"ID": plugin_id})


class Clash(PluginFactory):
    """Registers a tool named ``echo``."""

    id = "clash"

    def __init__(self, stage: KitStage) -> None:
        self.stage = stage

    def build(self, context: PluginSessionContext) -> SessionPlugin:
        """The plugin."""
        del context
        return Registers("clash", lambda reg: reg.tools().provider(self.stage.provider(("echo",))))


class Probe:
    """Writes down the phases of a turn."""

    def __init__(self, stage: KitStage) -> None:
        self.stage = stage

    async def reached(self, phase: str, turn_id: str) -> None:
        """Journal the phase, and wait at its gate if somebody made one."""
        self.stage.note(f"probe {phase} {turn_id}")
        if f"probe {phase}" in self.stage.gates:
            await self.stage.wait(f"probe {phase}")


class Inline:
    """A facet that lives with the process, whatever keeps its bytes."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def persistence(self) -> DurabilityTier:
        """Inline."""
        return "inline"


def model_of(model_id: str, window: int) -> ModelSpec:
    """A model's description."""
    return ModelSpec(id=model_id, limits=ModelLimits(context_window_tokens=window))
