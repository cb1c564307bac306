"""A process of the target into which a fault will be injected, under the tracer where there is one."""

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

from lash_conformance import fork_server, strace
from lash_conformance.bench import Bench
from lash_conformance.machine import REAL_NOW_MS
from lash_conformance.model import Model
from lash_conformance.model_state import Data, State
from lash_conformance.possible_states import PossibleStates
from lash_conformance.scenes import FinalCall
from lash_conformance.steps import Watched, pipe_of
from lash_conformance.target import Bounds, StoreTarget, TargetBroke, VirtualClock
from lash_conformance.targets.stdio import StdioTarget
from lash_conformance.transcript import Driver
from lash_conformance.vocabulary import Unexpected


class Early(Exception):
    """The fault hit an earlier call than intended: the threads of the process interleaved differently this time."""


REFUSALS = frozenset(("Backend", "AttachmentIo", "ManifestRecordFailed", "UnreadableRecord"))
"""The errors with which a store reports a failing disk."""


BOUNDS = Bounds(start_s=120, call_s=30)
"""A traced process is slow to start."""
REAL_TTL_MS = 3_000
"""How long a lease is held where the judge does not set the time: until after the crash."""


@dataclass(frozen=True)
class Launch:
    """How a target is run in a process of its own."""

    command: str
    given: str = ""
    """The name of a target in Python, whose modules can be loaded beforehand; empty for a command."""

    @property
    def late(self) -> bool:
        """Whether the tracer is attached only when the scene has been prepared.

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


def beginning(bench: Bench) -> PossibleStates:
    """A place before anything happened."""
    virtual = isinstance(bench.clock, VirtualClock)
    now = bench.clock.now_ms() if virtual else REAL_NOW_MS
    return PossibleStates(Model(State(frozenset[str](bench.target.capabilities), now, virtual)))


def ttl_of(bench: Bench) -> int:
    """How long a lease is held on that bench, in ms."""
    return bench.ttl if bench.virtual else REAL_TTL_MS


class Victim:
    """One process with one open place."""

    def __init__(self, target: StdioTarget, directory: Path, log: Path | None, tracers: list[subprocess.Popen[bytes]], blow: strace.Blow | None) -> None:
        self.target = target
        self.bench = Bench(target, directory)
        self.driver = Driver(self.bench)
        self.states = beginning(self.bench)
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
        loaded = await asyncio.to_thread(fork_server.of, how.given) if how.given else None

        def launch() -> fork_server.Forked:
            assert loaded is not None
            forked = loaded.fork()
            if log is not None and not tracers:
                tracers.append(fork_server.attached(forked, log, blow))
            forked.begin()
            return forked

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
        """How long a lease is held, in ms."""
        return ttl_of(self.bench)

    async def call(self, on: str, method: str, *arguments: Any) -> Any:
        """The answer of a call without a fault; none when the contract demands a refusal, and it came.

        Raises:
            Early: the process was struck already.
            TargetBroke: it was so slow that a lease of the scene may have run out on the real clock.
            Unexpected: it is not what the contract demands.
        """
        found = await outcome(self.driver, on, method, arguments)
        if ("broken" in found and self.dead) or (self.refusing and found.get("refused") in REFUSALS):
            raise Early(method)
        if fault := self.states.saw(on, method, arguments, found):
            if not self.bench.virtual and time.monotonic() - self.started > self.ttl / 1000:
                raise TargetBroke("setting a scene took longer than its lease lasts", fault, missed=True)
            raise Unexpected("the scene is set as the contract says", fault)
        return found.get("ok")

    async def final(self, call: FinalCall) -> Data | None:
        """The outcome of the call into which the fault is injected; none when it got no answer."""
        if call.on == "place":
            try:
                await self.bench.close()
            except Exception as err:
                return None if self.dead else {"broken": f"{type(err).__name__}: {err}"}
            return {"ok": None}
        found = await outcome(self.driver, call.on, call.method, call.arguments)
        return None if "broken" in found and self.dead else found

    async def meet(self, blow: strace.Blow, log: Path) -> None:
        """Attach the tracer to the running process, with a fault that is counted from here."""
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
        """Its system calls; to be read when it has ended."""
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
