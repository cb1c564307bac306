"""A target that is a command: its processes, and a store, factory and attachment store that call it."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, cast

from lash_conformance.child import Running
from lash_conformance.command import Command
from lash_conformance.connection import Connection
from lash_conformance.exchange import Exchange
from lash_conformance.projection import known
from lash_conformance.store_calls import bound, data_of, read_answer
from lash_conformance.target import (
    Backend,
    Bounds,
    Capability,
    Damage,
    Place,
    Processes,
)
from lash_conformance.wire import (
    HANDLES,
    OWN,
    STORES,
    Initialized,
    Malformed,
    own_answer,
)
from lash_ref.contracts import AttachmentStore, SessionStoreFactory

MOST_PROCESSES = 3
"""Processes that share the work, if the target allows as many on one place."""


class Remote:
    """One object of the target: every method of its family is a request."""

    def __init__(self, place: "RemotePlace", family: str, handle: str) -> None:
        self._place = place
        self._family = family
        self._handle = handle

    def __getattr__(self, method: str) -> Any:
        if not known(self._family, method):
            raise AttributeError(method)

        async def call(*arguments: Any, **named: Any) -> Any:
            given = data_of(self._family, method, bound(self._family, method, arguments, named))
            answer = await self._place.asked(self._family, method, {HANDLES[self._family]: self._handle} | given)
            return Remote(self._place, "store", answer) if method in ("create_store", "open_existing_store") and answer else answer

        return call


class RemotePlace:
    """One opened place in one process of the target."""

    def __init__(self, target: "StdioTarget", connection: Connection, place: Place, handle: str) -> None:
        self.target = target
        self.connection = connection
        self.place = place
        self.handle = handle
        self.sessions = cast("SessionStoreFactory", Remote(self, "factory", handle))
        self.attachments = cast("AttachmentStore", Remote(self, "attachments", handle))
        self._now, self._gone = facts(place)
        self._closed = False

    async def asked(self, family: str, method: str, params: dict[str, Any]) -> Any:
        """The record that a store method answers."""
        await self._catch_up()
        name = f"{family}.{method}"
        data = await self.connection.call(name, params)
        try:
            return read_answer(family, method, data)
        except Malformed as err:
            raise self.connection.accuse(f"it answered {name} with another type: {err}", name) from err

    async def _catch_up(self) -> None:
        """Tell the process what the judge's clock and process table say by now; telling it twice does no harm."""
        now, gone = facts(self.place)
        if "clock" in self.target.capabilities and now != self._now:
            await self._own("clock.advance", {"place": self.handle, "now_ms": now})
            self._now = now
        if "process_evidence" in self.target.capabilities:
            for process_id in sorted(gone - self._gone):
                await self._own("process.gone", {"place": self.handle, "process_id": process_id})
            self._gone |= gone

    async def _own(self, method: str, params: dict[str, Any]) -> None:
        if (await self.connection.call(method, params)) is not None:
            raise self.connection.accuse(f"it answered {method} with more than null", method)

    async def close(self) -> None:
        """Let go of the place; closing twice is harmless."""
        if not self._closed:
            self._closed = True
            await self._own("close", {"place": self.handle})
            self.target.went_well()


def facts(place: Place) -> tuple[int, set[str]]:
    """The place's time and the processes known to be gone."""
    gone = place.processes.gone if isinstance(place.processes, Processes) else set[str]()
    return place.clock.now_ms(), set(gone)


class StdioTarget:
    """A command that speaks the wire, and its processes."""

    def __init__(self, command: str, bounds: Bounds | None = None, launch: Callable[[], Running] | None = None) -> None:
        """Start the first process and learn who it is; ``launch`` starts the command in its own way.

        Raises:
            TargetFault: the command cannot be started, or fails at the handshake.
        """
        self.command = command
        self.bounds = bounds or Bounds()
        self._made = Command(command, self.bounds, STORES, launch)
        self._lock = threading.Lock()
        self._processes: list[Connection | None] = [None] * MOST_PROCESSES
        self.spare: Exchange | None = None
        self._processes[0] = self._made.greeted()
        said: Initialized = self._processes[0].said
        self.name = said.target.name
        self.version = said.target.version
        self.capabilities: frozenset[Capability] = frozenset((*said.capabilities, "wire"))
        self.damages: frozenset[Damage] = frozenset(said.damages)
        if said.keeps:
            # Only then is this a `Keeping` target.
            self.stored, self.remove = self._stored, self._remove
        self.share = min(MOST_PROCESSES, said.limits.processes)
        """Processes that may have one place open."""

    def connection(self, number: int = 0) -> Connection:
        """A live process; ``number`` tells those apart that may share a place.

        Raises:
            TargetBroke: a new one fails at the handshake, or the target broke too often.
        """
        return self._started(number % self.share)

    def _started(self, number: int) -> Connection:
        with self._lock:
            found = self._processes[number]
            if found is not None and found.fault is None:
                return found
            if found is not None and found.fault is not None and not found.blamed:
                # It broke while nobody asked it anything: the next one who does is told.
                found.blamed = True
                raise found.fault
            if found is not None:
                self._made.broke()
            self._processes[number] = None
            made = self._made.started()
            self._processes[number] = made
            return made

    async def open(self, place: Place) -> Backend:
        """Open the place in the next process, so that reopening and sharing cross processes where that is possible."""
        opened = cast("int", place.memory.get("opened", 0))
        place.memory["opened"] = opened + 1
        connection = await asyncio.to_thread(self.connection, opened)
        now, gone = facts(place)
        params = {"directory": str(place.directory), "now_ms": now, "gone": sorted(gone)}
        answer = await self._own(connection, "open", params)
        return RemotePlace(self, connection, place, answer.place)

    async def damage(self, place: Place, what: Damage) -> None:
        """Let the target spoil its own data."""
        connection = await asyncio.to_thread(self.connection)
        await self._own(connection, "damage", {"directory": str(place.directory), "what": what})

    async def _stored(self, place: Place) -> Mapping[str, str]:
        connection = await asyncio.to_thread(self.connection)
        return await self._own(connection, "stored", {"directory": str(place.directory)})

    async def _remove(self, place: Place) -> None:
        connection = await asyncio.to_thread(self.connection)
        await self._own(connection, "remove", {"directory": str(place.directory)})

    async def _own(self, connection: Connection, method: str, params: dict[str, Any]) -> Any:
        data = await connection.call(method, params)
        try:
            return own_answer(OWN[method].answers, data)
        except Malformed as err:
            raise connection.accuse(f"it answered {method} with another type: {err}", method) from err

    def went_well(self) -> None:
        """A place was opened, used and closed."""
        self._made.went_well()

    def interrupt(self, reason: str) -> None:
        """Kill the processes that owe an answer."""
        for connection in self._processes:
            if connection is not None and connection.busy:
                connection.kill(reason)

    def stop(self) -> None:
        """End every process; the target may be used again."""
        if self.spare is not None:
            self.spare.stop()
        for connection in self._processes:
            if connection is not None:
                connection.stop()
        self.spare, self._processes = None, [None] * MOST_PROCESSES


@cache
def target(command: str) -> StdioTarget:
    """The target that the command is; one for each command in a process of the judge."""
    return StdioTarget(command)


