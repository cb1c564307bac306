"""A host that is a command: a process for every live core, so that a core can really be killed."""

import asyncio
import threading
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, cast

from pydantic import TypeAdapter

from lash_conformance.command import Command
from lash_conformance.connection import Connection
from lash_conformance.fixture import Fixture
from lash_conformance.host import CoreSpec, Data, HostCapability, HostCore, HostPlace
from lash_conformance.host_wire import HOST_OWN, HOSTS, Built, Introduced, SentCall, Serving, calls, params_of
from lash_conformance.projection import decoded
from lash_conformance.store_faults import Sent, Side
from lash_conformance.target import Bounds, HarnessFault, TargetFault
from lash_conformance.wire import Malformed, own_answer
from lash_ref.contracts import Clock
from lash_ref.scalars import Json

TURN_S = 120.0
"""A request of a host may wait for the judge's next word, a gate or a halt; checks have shorter deadlines of their own."""
KILLED = "the judge killed it"
ROOM = 8
"""Requests that a host must take on at once: turns that wait, and what they wait for."""
_SPEC: TypeAdapter[CoreSpec] = TypeAdapter(CoreSpec)
_SENT: TypeAdapter[list[SentCall]] = TypeAdapter(list[SentCall])


class Remote:
    """One object of a host: every method of its Protocol is a request."""

    def __init__(self, core: "RemoteCore | None", family: str, handle: str) -> None:
        self._core = core or cast("RemoteCore", self)
        self._family = family
        self._handle = handle

    def __getattr__(self, method: str) -> Any:
        name = f"{self._family}.{method}"
        if name not in calls():
            raise AttributeError(method)

        async def call(*arguments: Any, **named: Any) -> Any:
            given = params_of(name, arguments, named)
            answer = await self._core.asked(name, {self._family: self._handle} | given)
            kind = calls()[name].answers
            if kind is None:
                return answer
            (handle,) = self._core.read(name, kind, answer).model_dump().values()
            return Remote(self._core, next(iter(kind.model_fields)), handle)

        return call


class RemoteCore(Remote):
    """One core, which has its process to itself; it is its own line to the stores."""

    dead = False

    def __init__(self, target: "StdioHost", connection: Connection, place: HostPlace, handle: str) -> None:
        super().__init__(None, "core", handle)
        self.target = target
        self.connection = connection
        self.clock: Clock = place.clock
        self._now = place.clock.now_ms()
        self._closed = False

    async def asked(self, method: str, params: Data) -> Any:
        """What a request answers, at the judge's time."""
        await self.catch_up()
        answer = await self.connection.call(method, params, TURN_S)
        if method in calls() and calls()[method].nothing and answer is not None:
            raise self.connection.accuse(f"it answered {method} with more than null", method)
        return answer

    def read(self, method: str, kind: Any, answer: Any) -> Any:
        """The answer, if it is of its kind."""
        return _of_kind(self.connection, method, kind, answer)

    @property
    def live(self) -> bool:
        """Whether the process is still this core's."""
        return not self.dead and not self._closed

    async def catch_up(self) -> None:
        """Tell the process what time it is; telling it twice does no harm."""
        now = self.clock.now_ms()
        if "clock" in self.target.capabilities and now != self._now and self.live:
            self._now = now
            await self._own("core.advance", now_ms=now)

    async def breathe(self) -> None:
        """Let whatever was started get as far as it can."""
        if self.live:
            await self._own("core.breathe")

    async def _own(self, method: str, **params: Any) -> Any:
        answer = await self.connection.call(method, {"core": self._handle} | params, TURN_S)
        return self.read(method, HOST_OWN[method].answers, answer)

    # -- the end

    async def kill(self) -> None:
        """Kill the process, as whoever presses the button would."""
        self.dead = True
        await asyncio.to_thread(self.connection.kill, KILLED)
        self.target.gone(self.connection)

    async def close(self) -> None:
        """Let go of the core; its process is another core's next, if it owes nothing."""
        if self.live:
            try:
                await self.asked("core.close", {"core": self._handle})
            finally:
                self._closed = True
                await asyncio.to_thread(self.target.give_back, self.connection)

    # -- the line

    async def fail(self, *methods: str) -> None:
        """As `Line.fail`."""
        await self._own("core.fail", methods=list(methods))

    async def halt(self, side: Side, number: int) -> None:
        """As `Line.halt`."""
        await self._own("core.halt", halt={"side": side, "number": number})

    async def halted(self) -> None:
        """As `Line.halted`."""
        await self._own("core.halted")

    async def go_on(self) -> None:
        """As `Line.go_on`."""
        await self._own("core.go_on")

    async def sent(self) -> list[Sent]:
        """As `Line.sent`."""
        found = await self._own("core.sent")
        try:
            return [
                Sent(one.on, one.method, tuple(decoded(one.on.partition("[")[0], one.method, one.arguments)))
                for one in _SENT.validate_python(found)
            ]
        except (ValueError, KeyError, AttributeError) as err:
            raise self.connection.accuse(f"it told of a call that the contract does not know: {err}", "core.sent") from err

    async def bury(self) -> None:
        """What is dead here needs no grave."""


def _of_kind(connection: Connection, method: str, kind: Any, answer: Any) -> Any:
    try:
        return own_answer(kind, answer)
    except Malformed as err:
        raise connection.accuse(f"it answered {method} with another type: {err}", method) from err


def _read(connection: Connection, method: str, answer: Any) -> Any:
    found = _of_kind(connection, method, HOST_OWN[method].answers, answer)
    return found.value if isinstance(found, Json) else found


class StdioHost:
    """A command that speaks for a host, and its processes."""

    def __init__(self, command: str, bounds: Bounds | None = None) -> None:
        """Start the first process and learn who it is.

        Raises:
            TargetFault: the command cannot be started, fails at the handshake, or takes on too little at once.
        """
        self.command = command
        self._made = Command(command, bounds or Bounds(), HOSTS)
        self._lock = threading.Lock()
        first = self._made.greeted()
        self._idle: list[Connection] = [first]
        self._lent: list[Connection] = []
        said: Introduced = first.said
        if said.limits.in_flight < ROOM:
            first.stop()
            told = f"limits.in_flight of at least {ROOM}, since a turn that waits is a request not answered yet"
            raise TargetFault(f"host {said.target.name!r} needs {told}; it says {said.limits.in_flight}")
        self.name = said.target.name
        self.version = said.target.version
        self.store = said.store
        self.own_tools = frozenset(said.own_tools)
        self.capabilities: frozenset[HostCapability] = frozenset((*said.capabilities, "process"))

    async def core(self, place: HostPlace, spec: CoreSpec) -> HostCore:
        """Build a core in a process that has none."""
        if place.directory is None:
            raise HarnessFault("a host in a process of its own was given no directory")
        connection = await asyncio.to_thread(self._borrow)
        params = {
            "directory": str(place.directory), "now_ms": place.clock.now_ms(),
            "spec": _SPEC.dump_python(spec, mode="json"),
        }  # fmt: skip
        built = False
        try:
            made: Built = _read(connection, "core.build", await connection.call("core.build", params, TURN_S))
            built = True
        finally:
            if not built:
                await asyncio.to_thread(self.give_back, connection)
        return cast("HostCore", RemoteCore(self, connection, place, made.core))

    async def ready(self) -> None:
        """Have a process that has no core yet; one that must be started takes its time."""
        await asyncio.to_thread(self._prepare)

    def _prepare(self) -> None:
        connection = self._borrow()
        self.gone(connection)
        with self._lock:
            self._idle.append(connection)

    async def pure(self, method: str, arguments: Data) -> Any:
        """A pure helper, in any process."""
        return await self._asked("pure", {"method": method, "arguments": arguments})

    async def provider_calls(self, fixture: Fixture, base_url: str) -> list[Data]:
        """A fixture's calls, in any process."""
        told = fixture.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return await self._asked("provider.calls", {"fixture": told, "base_url": base_url})

    async def _asked(self, method: str, params: Data) -> Any:
        connection = await asyncio.to_thread(self._borrow)
        try:
            return _read(connection, method, await connection.call(method, params, TURN_S))
        finally:
            await asyncio.to_thread(self.give_back, connection)

    def replayer(self, folder: Path) -> AbstractContextManager[str]:
        """The host's replayer, in any process."""
        return self._serving("replayer.start", folder=str(folder))

    def recorder(self, upstream: str, out: Path, markers: Sequence[str]) -> AbstractContextManager[str]:
        """The host's recorder, in any process."""
        return self._serving("recorder.start", upstream=upstream, out=str(out), markers=list(markers))

    @contextmanager
    def _serving(self, method: str, **params: Any) -> Generator[str]:
        connection = self._borrow()
        try:
            made: Serving = _read(connection, method, connection.request(method, params, TURN_S).result())
            yield made.url
            connection.request("service.stop", {"service": made.service}, TURN_S).result()
        finally:
            self.give_back(connection)

    # -- processes

    def _borrow(self) -> Connection:
        with self._lock:
            while self._idle:
                found = self._idle.pop()
                if found.fault is None:
                    self._lent.append(found)
                    return found
                if not found.blamed:
                    # It broke while nobody asked it anything: the next one who does is told.
                    raise found.fault
        made = self._made.started()
        with self._lock:
            self._lent.append(made)
        return made

    @property
    def pids(self) -> list[int]:
        """The processes that have a core."""
        with self._lock:
            return [connection.child.process.pid for connection in self._lent]

    def gone(self, connection: Connection) -> None:
        """A process that was killed is nobody's any more."""
        with self._lock:
            if connection in self._lent:
                self._lent.remove(connection)

    def give_back(self, connection: Connection) -> None:
        """Keep the process for the next core, unless it broke or still owes an answer."""
        self.gone(connection)
        if connection.fault is not None:
            self._made.broke()
        elif connection.busy:
            connection.kill("what it still owed was not waited for")
        else:
            self._made.went_well()
            with self._lock:
                self._idle.append(connection)

    def interrupt(self, reason: str) -> None:
        """Kill the processes that owe an answer."""
        for connection in list(self._lent):
            if connection.busy:
                connection.kill(reason)

    def stop(self) -> None:
        """End every process; the target may be used again."""
        with self._lock:
            idle, self._idle = self._idle, []
            lent, self._lent = self._lent, []
        for connection in lent:
            connection.kill("the judge is done")
        for connection in idle:
            connection.stop()


@cache
def target(command: str) -> StdioHost:
    """The host that the command is; one for each command in a process of the judge."""
    return StdioHost(command)


