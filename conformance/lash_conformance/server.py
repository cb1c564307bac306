"""A store target in this process behind the wire: what ``lash-conformance serve`` runs."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lash_conformance.bench import RealClock
from lash_conformance.catalogue import EDITION
from lash_conformance.projection import answered, signature
from lash_conformance.service import IN_FLIGHT, Misasked, Service, mint
from lash_conformance.target import (
    Backend,
    Damage,
    Damaging,
    Keeping,
    Place,
    Processes,
    StoreTarget,
    VirtualClock,
)
from lash_conformance.wire import (
    HANDLES,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    PROTOCOL,
    Request,
    split,
)
from lash_ref.scalars import invalid

PROCESSES = 16


@dataclass
class Ground:
    """What all openings of one directory in this process have in common."""

    clock: VirtualClock | RealClock
    processes: Processes = field(default_factory=Processes)
    memory: dict[str, object] = field(default_factory=dict[str, object])


@dataclass
class Open:
    """One opened place and the stores handed out on it."""

    backend: Backend
    ground: Ground
    stores: list[str] = field(default_factory=list[str])


class Server(Service):
    """One target, its opened places, and an answer to every line."""

    def __init__(self, target: StoreTarget) -> None:
        super().__init__()
        self.target = target
        self.virtual = "clock" in target.capabilities
        self.grounds: dict[str, Ground] = {}
        self.places: dict[str, Open] = {}
        self.stores: dict[str, Any] = {}

    async def result(self, request: Request) -> Any:
        """What the request answers."""
        family, method = split(request.method)
        if family:
            return await self.store_method(family, method, request.params)
        return await super().result(request)

    # -- the wire's own methods

    async def on_initialize(self, protocols: list[int], **_: Any) -> Any:
        """Say who the target is."""
        self.agree(protocols)
        durable = "durable" in self.target.capabilities
        return {
            "protocol": PROTOCOL,
            "edition": EDITION,
            "target": {"name": self.target.name, "version": self.target.version},
            "capabilities": sorted(self.target.capabilities - {"wire"}),
            "damages": sorted(self.target.damages) if isinstance(self.target, Damaging) else [],
            "keeps": isinstance(self.target, Keeping),
            "limits": {"in_flight": IN_FLIGHT, "processes": PROCESSES if durable else 1},
        }

    async def on_open(self, directory: str, now_ms: int, gone: list[str]) -> Any:
        """Open a place."""
        self.grounds = {name: ground for name, ground in self.grounds.items() if Path(name).is_dir()}
        if directory not in self.grounds:
            self.grounds[directory] = Ground(VirtualClock() if self.virtual else RealClock())
        ground = self.grounds[directory]
        if isinstance(ground.clock, VirtualClock):
            ground.clock.ms = now_ms
        ground.processes.gone |= set(gone)
        place = Place(
            directory=Path(directory), clock=ground.clock, processes=ground.processes, mint=mint, memory=ground.memory
        )
        handle = self.handle("place")
        self.places[handle] = Open(await self.target.open(place), ground)
        return {"place": handle}

    async def on_close(self, place: str) -> None:
        """Close a place; closing twice is harmless."""
        opened = self.places.pop(place, None)
        if opened is not None:
            for store in opened.stores:
                self.stores.pop(store, None)
            await opened.backend.close()

    async def on_clock_advance(self, place: str, now_ms: int) -> None:
        """Set the place's time."""
        clock = self._place(place).ground.clock
        if isinstance(clock, VirtualClock):
            clock.ms = now_ms

    async def on_process_gone(self, place: str, process_id: str) -> None:
        """Note a process as gone."""
        self._place(place).ground.processes.gone.add(process_id)

    async def on_damage(self, directory: str, what: Damage) -> None:
        """Spoil stored data."""
        target = self.target
        if not isinstance(target, Damaging) or what not in target.damages:
            raise Misasked(INVALID_PARAMS, f"this target cannot spoil {what}")
        await target.damage(self._closed(directory), what)

    async def on_stored(self, directory: str) -> Any:
        """What a closed place holds."""
        return dict(await self._keeping().stored(self._closed(directory)))

    async def on_remove(self, directory: str) -> None:
        """Remove a closed place."""
        await self._keeping().remove(self._closed(directory))

    def _keeping(self) -> Keeping:
        if not isinstance(self.target, Keeping):
            raise Misasked(METHOD_NOT_FOUND, "this target keeps its places in their directories")
        return self.target

    def _closed(self, directory: str) -> Place:
        clock = VirtualClock() if self.virtual else RealClock()
        return Place(directory=Path(directory), clock=clock, processes=Processes(), mint=mint)

    # -- store methods

    async def store_method(self, family: str, method: str, params: dict[str, Any]) -> Any:
        """Read the arguments, call the store, write the answer."""
        address = params.get(HANDLES[family])
        if not isinstance(address, str):
            raise Misasked(INVALID_PARAMS, f"{family}.{method} needs {HANDLES[family]}")
        called = self._object(family, address)
        arguments: list[Any] = []
        for name, adapter in signature(family, method).takes.items():
            if name not in params:
                raise Misasked(INVALID_PARAMS, f"{family}.{method} needs {name}")
            try:
                arguments.append(adapter.validate_python(params[name]))
            except ValidationError as err:
                raise invalid(name, err) from err
        found = await getattr(called, method)(*arguments)
        if method in ("create_store", "open_existing_store"):
            return None if found is None else {"store": self._keep(address, found)}
        outcome = answered(family, method, found)
        if "ok" not in outcome:
            raise TypeError(outcome["broken"])
        return outcome["ok"]

    def _object(self, family: str, address: str) -> Any:
        if family == "store":
            if address not in self.stores:
                raise Misasked(INVALID_PARAMS, f"no store {address!r} is open")
            return self.stores[address]
        backend = self._place(address).backend
        return backend.sessions if family == "factory" else backend.attachments

    def _place(self, handle: str) -> Open:
        if handle not in self.places:
            raise Misasked(INVALID_PARAMS, f"no place {handle!r} is open")
        return self.places[handle]

    def _keep(self, place: str, store: Any) -> str:
        handle = self.handle("store")
        self.stores[handle] = store
        self.places[place].stores.append(handle)
        return handle

    async def end(self, unanswered: "set[asyncio.Task[None]]") -> None:
        """Answer what was asked, and close every place."""
        await super().end(unanswered)
        for handle in list(self.places):
            await self.on_close(handle)


def serve(target: StoreTarget, kind: type[Server] = Server) -> None:
    """Serve the target on this process's pipes until the judge lets go."""
    asyncio.run(kind(target).serve())
