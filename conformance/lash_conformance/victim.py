"""A process of the target that is going to be struck, under the tracer where there is one."""

import asyncio
import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lash_conformance import nursery, strace
from lash_conformance.aftermath import Worlds
from lash_conformance.bench import Bench
from lash_conformance.machine import REAL_NOW_MS
from lash_conformance.model import Model
from lash_conformance.model_state import Data, State
from lash_conformance.scenes import Doomed
from lash_conformance.steps import Watched, pipe_of
from lash_conformance.target import Bounds, StoreTarget, TargetBroke, VirtualClock
from lash_conformance.targets.stdio import StdioTarget
from lash_conformance.transcript import Driver
from lash_conformance.vocabulary import Unexpected


class Early(Exception):
    """The process was struck on the way to the call that was meant: its threads took another turn this time."""


REFUSALS = frozenset(("Backend", "AttachmentIo", "ManifestRecordFailed", "UnreadableRecord"))
"""How a store says that its disk refused."""


BOUNDS = Bounds(start_s=120, call_s=30)
"""A traced process is slow to start."""
REAL_TTL_MS = 3_000
"""How long a lane is held where time is not the judge's: until the process has been struck, and a little more."""


@dataclass(frozen=True)
class Launch:
    """How a target is run in a process of its own."""

    command: str
    given: str = ""
    """The name of a target of this process, whose modules can be loaded before; empty for a command."""

    @property
    def late(self) -> bool:
        """Whether what strikes it is put on it when its scene is set.

        A command may have threads that take other turns from run to run, so what it did before must not count.
        """
        return not self.given and strace.attachable()


def served(target: StoreTarget, given: str) -> Launch | None:
    """How the target is run in a process of its own; none when it cannot be."""
    if isinstance(target, StdioTarget):
        return Launch(target.command)
    if not given:
        return None
    return Launch(shlex.join((sys.executable, "-m", "lash_conformance", "serve", "--target", given)), given)


def beginning(bench: Bench) -> Worlds:
    """A place before anything happened."""
    virtual = isinstance(bench.clock, VirtualClock)
    now = bench.clock.now_ms() if virtual else REAL_NOW_MS
    return Worlds(Model(State(frozenset[str](bench.target.capabilities), now, virtual)))


def ttl_of(bench: Bench) -> int:
    """How long a lane is held on that bench, in ms."""
    return bench.ttl if bench.virtual else REAL_TTL_MS


class Victim:
    """One process with one open place."""

    def __init__(self, target: StdioTarget, directory: Path, log: Path | None, tracers: list[subprocess.Popen[bytes]], blow: strace.Blow | None) -> None:
        self.target = target
        self.bench = Bench(target, directory)
        self.driver = Driver(self.bench)
        self.worlds = beginning(self.bench)
        self.log = log
        self.tracers = tracers
        self.started = time.monotonic()
        self.refusing = blow is not None and blow.errno is not None
        connection = target.connection()
        self.child = connection.child
        out = self.child.process.stdout
        assert out is not None
        self.watched = Watched(directory, pipe_of(out.fileno()))

    @classmethod
    async def start(cls, how: Launch, directory: Path, log: Path | None, blow: strace.Blow | None = None) -> "Victim":
        """Start the target, traced into ``log`` if one is given, and open the place.

        Raises:
            TargetFault: it fails at the handshake.
            Early: it is struck before the place is open.
            TargetBroke: it misses a deadline.
            Unexpected: the place does not open.
        """
        tracers: list[subprocess.Popen[bytes]] = []
        loaded = await asyncio.to_thread(nursery.of, how.given) if how.given else None

        def launch() -> nursery.Born:
            assert loaded is not None
            born = loaded.bear()
            if log is not None and not tracers:
                tracers.append(nursery.attached(born, log, blow))
            born.begin()
            return born

        line = how.command if log is None else shlex.join(strace.traced(shlex.split(how.command), log, blow))
        target = await asyncio.to_thread(StdioTarget, line, BOUNDS, launch if loaded else None)
        victim = cls(target, directory, log, tracers, blow)
        try:
            await victim.driver.open()
        except BaseException as err:
            struck = victim.dead
            await victim.kill()
            if blow is not None and (struck or victim.refusing):
                raise Early("open") from err
            if isinstance(err, TargetBroke) and err.missed:
                raise
            raise Unexpected("the place opens", f"{type(err).__name__}: {err}") from err
        return victim

    @property
    def ttl(self) -> int:
        """How long a lane is held, in ms."""
        return ttl_of(self.bench)

    async def call(self, on: str, method: str, *arguments: Any) -> Any:
        """The answer of a call that nothing disturbs; none when the contract demands a refusal, and it came.

        Raises:
            Early: the process was struck already.
            TargetBroke: it was so slow that a lease of the scene may have run out on the real clock.
            Unexpected: it is not what the contract demands.
        """
        found = await outcome(self.driver, on, method, arguments)
        if ("broken" in found and self.dead) or (self.refusing and found.get("refused") in REFUSALS):
            raise Early(method)
        if fault := self.worlds.saw(on, method, arguments, found):
            if not self.bench.virtual and time.monotonic() - self.started > self.ttl / 1000:
                raise TargetBroke("setting a scene took longer than its lease lasts", fault, missed=True)
            raise Unexpected("the scene is set as the contract says", fault)
        return found.get("ok")

    async def doomed(self, call: Doomed) -> Data | None:
        """The outcome of the call that is struck; none when it got no answer."""
        if call.on == "place":
            try:
                await self.bench.close()
            except Exception as err:
                return None if self.dead else {"broken": f"{type(err).__name__}: {err}"}
            return {"ok": None}
        found = await outcome(self.driver, call.on, call.method, call.arguments)
        return None if "broken" in found and self.dead else found

    async def meet(self, blow: strace.Blow, log: Path) -> None:
        """Put the tracer on the process as it stands, with a blow that counts from here."""
        self.log = log
        self.tracers.append(await asyncio.to_thread(strace.attached, self.child.process.pid, log, blow))

    @property
    def dead(self) -> bool:
        """Whether the process has ended."""
        return self.child.ended.is_set() or bool(self.child.fate)

    async def kill(self) -> None:
        """Kill the process, not its tracer, and wait until both are gone."""
        if not self.dead:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.child.process.pid, signal.SIGKILL)
        await asyncio.to_thread(self.child.ended.wait, 30)
        for tracer in self.tracers:
            await asyncio.to_thread(tracer.wait, 30)

    def calls(self) -> list[strace.Call]:
        """What it asked of the system; to be read when it is dead."""
        return strace.read_file(self.log) if self.log is not None else []


async def outcome(driver: Driver, on: str, method: str, arguments: tuple[Any, ...]) -> Data:
    """The outcome of a call, ``broken`` when the process ended over it.

    Raises:
        TargetBroke: it missed a deadline, which says nothing of what it stores.
    """
    try:
        return await driver.call(on, method, arguments)
    except TargetBroke as err:
        if err.missed:
            raise
        return {"broken": str(err)}
