"""Concurrent clients on one place: seeded interleavings, recorded and judged for linearizability."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from typing import Any

from lash_conformance import search
from lash_conformance.bench import Bench, request, scratch
from lash_conformance.history import Call, explained, smallest, told
from lash_conformance.machine import REAL_NOW_MS
from lash_conformance.model import Model
from lash_conformance.model_lease import FENCE
from lash_conformance.model_state import Data, State
from lash_conformance.target import VirtualClock
from lash_conformance.traced import Step as TraceStep
from lash_conformance.transcript import Driver
from lash_conformance.vocabulary import Unexpected

JITTER = 4
"""Before a call of the slowest client fewer turns of the event loop than this go by; of the fastest none."""


class Client:
    """One caller."""

    def __init__(self, race: "Race", name: str, driver: Driver) -> None:
        self.race = race
        self.name = name
        self.driver = driver
        self.random = random.Random(f"{race.seed}/{name}")
        self.pace = self.random.choice((1, 2, JITTER))

    async def call(self, on: str, method: str, *arguments: Any) -> Any:
        """The answer, or nothing if it was refused; either is written down."""
        for _ in range(self.random.randrange(self.pace)):
            await asyncio.sleep(0)
        invoked = next(self.race.moments)
        found = await self.driver.call(on, method, arguments)
        returned = next(self.race.moments)
        answer = None if "unknown" in found else found
        self.race.calls.append(Call(self.name, on, method, arguments, answer, invoked, returned))
        return found.get("ok")

    async def store(self, method: str, *arguments: Any) -> Any:
        """A call on the store of "s1"."""
        return await self.call("store[s1]", method, *arguments)

    async def lane(self, owner: Data, ttl: int = 600_000) -> Data | None:
        """A fence of "s1", if the lane was granted."""
        answer = await self.store("try_claim_session_execution_lease", "s1", owner, ttl)
        return fence_of(answer)


def fence_of(answer: Any) -> Data | None:
    """The fence in a claim's answer, if it was granted."""
    return {name: answer["Acquired"][name] for name in FENCE} if answer and "Acquired" in answer else None


class Race:
    """One round: a fresh place, a referee who sets up and reads back, and some clients."""

    def __init__(self, bench: Bench, seed: str) -> None:
        self.bench = bench
        self.seed = seed
        self.moments = itertools.count(1)
        self.calls: list[Call] = []

    async def referee(self) -> Client:
        """Who opens the place."""
        driver = Driver(self.bench)
        await driver.open()
        return Client(self, "referee", driver)

    async def crowd(self, clients: int, *, together: bool) -> list[Client]:
        """Clients with a backend each, or on one backend and its stores."""
        drivers: list[Driver] = []
        for _ in range(clients):
            if drivers and together:
                drivers.append(drivers[0].beside())
                continue
            drivers.append(Driver(self.bench))
            await drivers[-1].attach()
            await drivers[-1].hold("s1")
        return [Client(self, f"client {number}", driver) for number, driver in enumerate(drivers, 1)]

    def model(self) -> Model:
        """The place before anything happened."""
        clock = self.bench.clock
        virtual = isinstance(clock, VirtualClock)
        now = clock.now_ms() if virtual else REAL_NOW_MS
        return Model(State(frozenset[str](self.bench.target.capabilities), now, virtual))

    def judge(self) -> None:
        """Refuse a history that no order explains.

        Raises:
            Unexpected: with the shortest such history.
        """
        if explained(self.model(), self.calls).complete:
            return
        calls, nearest = smallest(self.model(), self.calls)
        raise Unexpected("some order of the calls that the contract explains", told(calls, nearest))


Round = Callable[[Race, Client, list[Client]], Awaitable[None]]


async def raced(bench: Bench, round_: Round, clients: int, times: int = 0) -> None:
    """Run ``round_`` on fresh places under different interleavings, or as many ``times``; judge each history.

    Every other round is on one handle: locks that tell backends apart may not tell calls apart.

    Raises:
        Unexpected: a history is not linearizable.
    """
    for number in range(times or max(4, search.SEARCH.scale.examples * 3 // 10)):
        own = Bench(bench.target, scratch())
        race = Race(own, f"{search.SEARCH.seed}/{number}")
        try:
            referee = await race.referee()
            await referee.call("factory", "create_store", request().to_data())
            crowd = await race.crowd(clients, together=number % 2 == 1)
            await round_(race, referee, crowd)
            race.judge()
        except Unexpected:
            bench.trace.steps = [
                TraceStep(call.on, call.method, list(call.arguments), call.found)
                for call in sorted(race.calls, key=lambda call: call.invoked)
            ]
            raise
        finally:
            bench.trace.target_seconds += own.trace.target_seconds
            await own.remove()
