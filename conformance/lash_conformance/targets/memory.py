"""The in-memory store as a target; a place lives in this process."""

from dataclasses import dataclass

from lash_conformance.target import Backend, Capability, Place
from lash_ref import __version__
from lash_ref.attachments import InMemoryAttachmentStore
from lash_ref.contracts import AttachmentStore, SessionStoreFactory
from lash_ref.memory_store import MemoryStoreFactory

CAPABILITIES: frozenset[Capability] = frozenset(
    {"clock", "manifest", "gc", "active_path", "shared", "process_evidence", "process_liveness"}
)


@dataclass
class MemoryBackend:
    """One handle on a place's factory."""

    sessions: SessionStoreFactory
    attachments: AttachmentStore

    async def close(self) -> None:
        """Nothing to let go of."""


class MemoryTarget:
    """`MemoryStoreFactory` as the judge sees it."""

    name = "memory"
    version = __version__
    capabilities = CAPABILITIES

    async def open(self, place: Place) -> Backend:
        """Find or make the place's factory."""
        if "backend" not in place.memory:
            place.memory["backend"] = MemoryBackend(
                MemoryStoreFactory(clock=place.clock, mint=place.mint, evidence=place.processes),
                InMemoryAttachmentStore(place.clock),
            )
        backend = place.memory["backend"]
        assert isinstance(backend, MemoryBackend)
        return MemoryBackend(backend.sessions, backend.attachments)


def target() -> MemoryTarget:
    """The target named ``memory``."""
    return MemoryTarget()
