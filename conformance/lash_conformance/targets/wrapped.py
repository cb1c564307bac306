"""A built-in store behind three transparent wrappers: the unbroken ancestor of every broken store.

Override a method of `StoreWrapper`, `FactoryWrapper` or `AttachmentsWrapper` in a subclass, name the
subclass in a `WrappedTarget`, and the store is broken in just that way.
"""

from typing import Any, cast

from lash_conformance.target import Backend, Capability, Damage, Place
from lash_conformance.targets.memory import CAPABILITIES, MemoryTarget
from lash_conformance.targets.sqlite import SqliteTarget
from lash_ref.contracts import AttachmentStore, RuntimePersistence, SessionStoreFactory
from lash_ref.store import Store, StoreFactory


class Wrapper:
    """Passes on whatever it does not define."""

    def __init__(self, inner: Any, place: Place) -> None:
        self.inner = inner
        self.place = place

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class StoreWrapper(Wrapper):
    """A session's store; override contract methods to break it."""

    async def durability_tier(self) -> str:
        """A place outlives its handles, so what wraps it may call itself durable."""
        return "durable"


class AttachmentsWrapper(Wrapper):
    """The attachment bytes; override contract methods to break them."""

    async def persistence(self) -> str:
        """As the stores'."""
        return "durable"


class FactoryWrapper(Wrapper):
    """The factory; wraps every store it hands out."""

    store: type[StoreWrapper] = StoreWrapper

    async def durability_tier(self) -> str:
        """As the stores'."""
        return "durable"

    async def create_store(self, request: Any) -> RuntimePersistence:
        """As the built-in one, wrapped."""
        made = await self.inner.create_store(request)
        return cast("RuntimePersistence", self.store(made, self.place))

    async def open_existing_store(self, request: Any) -> RuntimePersistence | None:
        """As the built-in one, wrapped."""
        found = await self.inner.open_existing_store(request)
        return None if found is None else cast("RuntimePersistence", self.store(found, self.place))


class WrappedBackend:
    """One opened place, wrapped."""

    def __init__(self, inner: Backend, factory: FactoryWrapper, attachments: AttachmentsWrapper) -> None:
        self.inner = inner
        self.sessions = cast("SessionStoreFactory", factory)
        self.attachments = cast("AttachmentStore", attachments)

    async def close(self) -> None:
        """Close what is wrapped."""
        await self.inner.close()


class WrappedTarget:
    """The in-memory store (or SQLite, when ``on_sqlite``) behind transparent wrappers."""

    name = "wrapped"
    version = "0"
    capabilities: frozenset[Capability] = CAPABILITIES.union(("durable",))
    on_sqlite = False
    """Set by mutants that must survive damage or be opened twice for real."""
    store: type[StoreWrapper] = StoreWrapper
    factory: type[FactoryWrapper] = FactoryWrapper
    attachments: type[AttachmentsWrapper] = AttachmentsWrapper
    engine: type[Store] = Store
    """The rules; a subclass that overrides one of their methods is broken from within."""

    @property
    def damages(self) -> frozenset[Damage]:
        """What can be spoiled: SQLite's rows, or nothing."""
        return SqliteTarget().damages if self.on_sqlite else frozenset()

    async def damage(self, place: Place, what: Damage) -> None:
        """As SQLite's."""
        await SqliteTarget().damage(place, what)

    async def inner(self, place: Place) -> Backend:
        """The backend behind the wrappers, with this target's rules."""
        backend = await (SqliteTarget() if self.on_sqlite else MemoryTarget()).open(place)
        rules = getattr(backend.sessions, "rules", backend.sessions)
        assert isinstance(rules, StoreFactory)
        rules.store = self.engine
        return backend

    async def open(self, place: Place) -> Backend:
        """Open the place behind this target's wrappers."""
        inner = await self.inner(place)
        factory = self.factory(inner.sessions, place)
        if self.store is not StoreWrapper:
            factory.store = self.store
        return WrappedBackend(inner, factory, self.attachments(inner.attachments, place))
