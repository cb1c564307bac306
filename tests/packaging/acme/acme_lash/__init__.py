"""A store that somebody else ships; it stands on the in-memory reading, for it is the door that is tried here."""

from lash_conformance.targets.memory import MemoryBackend
from lash_ref.attachments import InMemoryAttachmentStore
from lash_ref.memory_store import MemoryStoreFactory


async def open_acme(place):
    """Open the place: the same place again finds the same data."""
    if "acme" not in place.memory:
        factory = MemoryStoreFactory(place.clock, place.mint, place.processes)
        place.memory["acme"] = factory, InMemoryAttachmentStore(place.clock)
    return MemoryBackend(*place.memory["acme"])
