"""A host target in this process behind the wire: what ``lash-conformance serve --profile host`` runs.

Its cores live on a store target that several processes may have open, so that the judge can look past the host.
"""

import asyncio
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, cast

from pydantic import ValidationError

from lash_conformance.bench import RealClock
from lash_conformance.catalogue import EDITION
from lash_conformance.fixture import Fixture
from lash_conformance.host import CoreSpec, Data, HostCore, HostPlace, HostTarget
from lash_conformance.host_parts import own_tools
from lash_conformance.host_wire import HOST_OWN, Call, Halt, calls, fault_of
from lash_conformance.projection import known, written
from lash_conformance.provider_calls import SpeaksProviders
from lash_conformance.replays import Replays
from lash_conformance.service import IN_FLIGHT, Misasked, Service, mint
from lash_conformance.store_faults import Power, WatchedFactory
from lash_conformance.target import Backend, Place, Processes, StoreTarget, TargetFault, VirtualClock, load
from lash_conformance.wire import INVALID_PARAMS, PROTOCOL, Own, Request
from lash_ref.contracts import SessionStoreFactory
from lash_ref.errors import LashError
from lash_ref.scalars import invalid

NOT_SERVED = frozenset(("process",))
"""Capabilities that are the judge's to see."""


@dataclass
class Live:
    """One core, its line and its clock."""

    core: HostCore
    power: Power
    clock: VirtualClock | RealClock
    backends: list[Backend]
    handles: list[str] = field(default_factory=list[str])
    """Sessions, subscriptions and parked sessions that were handed out."""


class HostServer(Service):
    """One host, its cores, and an answer to every line."""

    own: ClassVar[dict[str, Own]] = HOST_OWN
    power: type[Power] = Power

    def __init__(self, target: HostTarget, store: str) -> None:
        """Serve ``target`` on the store target named ``store``.

        Raises:
            TargetFault: the store cannot be opened by two processes at once.
        """
        super().__init__()
        self.target = target
        self.store_name = store
        self.store: StoreTarget = load(store)
        if not {"shared", "durable"} <= self.store.capabilities:
            raise TargetFault(f"a host behind the wire needs a store that two processes share; {store} is none")
        self.cores: dict[str, Live] = {}
        self.held: dict[str, Any] = {}
        self.services: dict[str, AbstractContextManager[str]] = {}

    def refused(self, err: LashError) -> dict[str, Any]:
        """A host refuses under the names of its spec."""
        return fault_of(err)

    async def result(self, request: Request) -> Any:
        """What the request answers."""
        call = calls().get(request.method)
        if call is None:
            return await super().result(request)
        family, _, name = request.method.partition(".")
        address = request.params.get(family)
        called = self._live(address).core if family == "core" else self.held.get(str(address))
        if called is None:
            raise Misasked(INVALID_PARAMS, f"no {family} {address!r} is open")
        given = _given(request, call)
        if name == "resume":
            given["parked"] = self._parked(given["parked"])
        answer = await getattr(called, name)(**given)
        core = str(address) if family == "core" else str(address).partition("/")[0]
        if name == "park":
            return {"parked": self._keep(core, "parked", answer)}
        if call.answers is not None:
            handle = "subscription" if name == "subscribe" else "session"
            return {handle: self._keep(core, handle, answer)}
        if request.method == "core.close":
            await self._close(core)
        return None if call.nothing else answer

    # -- the wire's own methods

    async def on_initialize(self, protocols: list[int], **_: Any) -> Any:
        """Say who the host is."""
        self.agree(protocols)
        return {
            "protocol": PROTOCOL,
            "edition": EDITION,
            "target": {"name": self.target.name, "version": self.target.version},
            "capabilities": sorted((self.target.capabilities | {"line"}) - NOT_SERVED),
            "limits": {"in_flight": IN_FLIGHT},
            "store": self.store_name,
            "own_tools": sorted(own_tools(self.target)),
        }

    async def on_pure(self, method: str, arguments: dict[str, Any]) -> Any:
        """A pure helper."""
        return await self.target.pure(method, arguments)

    async def on_provider_calls(self, fixture: Data, base_url: str) -> Any:
        """Make a fixture's calls."""
        try:
            made = Fixture.model_validate(fixture)
        except ValidationError as err:
            raise invalid("fixture", err) from err
        return await cast("SpeaksProviders", self.target).provider_calls(made, base_url)

    async def on_replayer_start(self, folder: str) -> Any:
        """Serve fixtures."""
        return await self._started(cast("Replays", self.target).replayer(Path(folder)))

    async def on_recorder_start(self, upstream: str, out: str, markers: list[str]) -> Any:
        """Record exchanges."""
        return await self._started(cast("Replays", self.target).recorder(upstream, Path(out), markers))

    async def _started(self, service: AbstractContextManager[str]) -> Data:
        url = await asyncio.to_thread(service.__enter__)
        handle = self.handle("service")
        self.services[handle] = service
        return {"service": handle, "url": url}

    async def on_service_stop(self, service: str) -> None:
        """Stop one."""
        found = self.services.pop(service, None)
        if found is None:
            raise Misasked(INVALID_PARAMS, f"no service {service!r} runs")
        await asyncio.to_thread(found.__exit__, None, None, None)

    async def on_core_build(self, directory: str, now_ms: int, spec: CoreSpec) -> Any:
        """Build a core on the directory's two stores."""
        clock = VirtualClock() if "clock" in self.target.capabilities else RealClock()
        if isinstance(clock, VirtualClock):
            clock.ms = now_ms
        folder = Path(directory)
        backends: list[Backend] = []
        try:
            for name in ("main", "other"):
                (folder / name).mkdir(exist_ok=True)
                place = Place(directory=folder / name, clock=clock, processes=Processes(), mint=mint)
                backends.append(await self.store.open(place))
            power = self.power(tier="durable" if "session_store" in spec.durable else "inline")
            main, other = (
                cast("SessionStoreFactory", WatchedFactory(one.sessions, power)) for one in backends
            )
            place = HostPlace(
                stores=main, others=other, attachments=backends[0].attachments, clock=clock, mint=mint, directory=folder
            )
            core = await self.target.core(place, spec)
        except BaseException:
            for backend in backends:
                await backend.close()
            raise
        handle = self.handle("core")
        self.cores[handle] = Live(core, power, clock, backends)
        return {"core": handle}

    async def on_core_advance(self, core: str, now_ms: int) -> None:
        """Set the core's clock."""
        clock = self._live(core).clock
        if isinstance(clock, VirtualClock):
            clock.ms = now_ms

    async def on_core_breathe(self, core: str) -> None:
        """Let everything run that can."""
        self._live(core)
        for _ in range(200):
            await asyncio.sleep(0)

    async def on_core_fail(self, core: str, methods: list[str]) -> None:
        """Let store methods fail."""
        await self._live(core).power.fail(*methods)

    async def on_core_halt(self, core: str, halt: Halt) -> None:
        """Stop a commit."""
        await self._live(core).power.halt(halt.side, halt.number)

    async def on_core_halted(self, core: str) -> None:
        """Once it stands."""
        await self._live(core).power.halted()

    async def on_core_go_on(self, core: str) -> None:
        """Let it go on."""
        await self._live(core).power.go_on()

    async def on_core_sent(self, core: str) -> Any:
        """What was said to the stores; what is no call of the contract is nobody's business."""
        made = [(call, call.on.partition("[")[0]) for call in await self._live(core).power.sent()]
        return [
            {"on": call.on, "method": call.method, "arguments": written(family, call.method, list(call.arguments))}
            for call, family in made
            if known(family, call.method) and call.method != "durability_tier"
        ]

    # -- what is open

    def _live(self, handle: object) -> Live:
        found = self.cores.get(str(handle))
        if found is None:
            raise Misasked(INVALID_PARAMS, f"no core {handle!r} is open")
        return found

    def _keep(self, core: str, kind: str, value: Any) -> str:
        handle = f"{core}/{self.handle(kind)}"
        self._live(core).handles.append(handle)
        self.held[handle] = value
        return handle

    def _parked(self, told: Any) -> Any:
        handle = cast("Data", told).get("parked") if isinstance(told, dict) else None
        if not isinstance(handle, str) or handle not in self.held:
            raise Misasked(INVALID_PARAMS, f"nothing was parked as {told!r:.80}")
        return self.held[handle]

    async def _close(self, core: str) -> None:
        live = self.cores.pop(core)
        for handle in live.handles:
            self.held.pop(handle, None)
        for backend in live.backends:
            await backend.close()

    async def end(self, unanswered: "set[asyncio.Task[None]]") -> None:
        """What is still asked, a turn at a gate say, is never answered."""
        for task in unanswered:
            task.cancel()
        for service in list(self.services):
            await self.on_service_stop(service)
        for handle in list(self.cores):
            await self.cores[handle].core.close()
            await self._close(handle)


def _given(request: Request, call: Call) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, adapter in call.takes.items():
        if name not in request.params:
            raise Misasked(INVALID_PARAMS, f"{request.method} needs {name}")
        try:
            given[name] = adapter.validate_python(request.params[name])
        except ValidationError as err:
            raise invalid(name, err) from err
    return given


def serve(target: HostTarget, store: str, kind: type[HostServer] = HostServer) -> None:
    """Serve the host on this process's pipes until the judge lets go."""
    asyncio.run(kind(target, store).serve())
