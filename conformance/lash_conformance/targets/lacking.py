"""A store that honestly lacks capabilities: it declares less, and refuses what it did not declare."""

from typing import Any, cast

from lash_conformance.target import Capability, Place
from lash_conformance.targets.wrapped import FactoryWrapper, StoreWrapper, WrappedTarget
from lash_ref.errors import Unsupported, UnsupportedReadScope
from lash_ref.nodes import ActivePath


class LackingStore(StoreWrapper):
    """Refuses every operation behind a capability that the place does not offer."""

    @property
    def lacks(self) -> frozenset[str]:
        """What the target left out."""
        return cast("frozenset[str]", self.place.memory["lacks"])

    async def durability_tier(self) -> str:
        return "inline" if "durable" in self.lacks else "durable"

    async def load_session(self, scope: Any) -> Any:
        if "active_path" in self.lacks and isinstance(scope, ActivePath):
            raise UnsupportedReadScope("ActivePath")
        return await self.inner.load_session(scope)

    async def gc_unreachable(self) -> Any:
        if "gc" in self.lacks:
            raise Unsupported("gc")
        return await self.inner.gc_unreachable()

    async def reclaim_session_execution_lease(
        self, session_id: str, owner: Any, observed_holder: Any, lease_ttl_ms: int
    ) -> Any:
        if "process_liveness" not in self.lacks:
            return await self.inner.reclaim_session_execution_lease(
                session_id, owner, observed_holder, lease_ttl_ms
            )
        return await self.inner.try_claim_session_execution_lease(session_id, owner, lease_ttl_ms)

    async def record_intent(self, intent: Any) -> None:
        if "manifest" not in self.lacks:
            await self.inner.record_intent(intent)

    async def holds_ref(self, session_id: str, attachment_id: str) -> bool:
        return "manifest" in self.lacks or await self.inner.holds_ref(session_id, attachment_id)


class LackingFactory(FactoryWrapper):
    """Its stores lack the same."""

    store = LackingStore

    async def durability_tier(self) -> str:
        lacks = self.place.memory["lacks"]
        return "inline" if isinstance(lacks, frozenset) and "durable" in lacks else "durable"


class LackingTarget(WrappedTarget):
    """The unbroken store, less some capabilities."""

    factory = LackingFactory
    lacks: frozenset[Capability] = frozenset()

    @property
    def capabilities(self) -> frozenset[Capability]:  # pyright: ignore[reportIncompatibleVariableOverride] - derived
        """All but what is left out."""
        return WrappedTarget.capabilities - self.lacks

    async def open(self, place: Place) -> Any:
        """Open the place, less what is left out."""
        place.memory["lacks"] = self.lacks
        return await super().open(place)


def lacking(*capabilities: Capability) -> LackingTarget:
    """A target that honestly lacks these."""
    made = LackingTarget()
    made.lacks = frozenset(capabilities)
    return made
