"""Thousands of turns over several sessions of one host, disturbed at random, beside a model of what must survive.

Each session runs on a core of its own, as on a worker of its own, over one store. A session that has lived
its turns is looked at once more, deleted, and followed by a new one, so that what a host keeps for good shows
as memory that grows.
"""

import asyncio
import json
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from lash_conformance.bench import scratch
from lash_conformance.footprint import resident_bytes
from lash_conformance.host import HostTarget
from lash_conformance.host_bench import HostBench
from lash_conformance.life import Life, seen
from lash_conformance.target import StoreTarget
from lash_conformance.vocabulary import Unexpected

WEIGHTS = {
    "turn": 50, "count": 20, "enqueue": 6, "drain": 6, "cancel": 6, "park": 5, "reopen": 2, "configure": 2,
    "crash": 2, "lane_lost": 2, "lane_stolen": 2, "cut_before": 2, "cut_after": 2,
}  # fmt: skip
"""How often each step is taken, in relation to the others."""
TURNS = {"turn", "count", "cancel", "drain", "lane_stolen", "cut_before", "cut_after"}
"""Steps that are turns."""
LIFE = 200
"""Turns a session lives."""
LOOK = 10
"""Undisturbed steps between two looks at a session; a disturbed one is looked at every time."""
FLAT = 1.25
"""How much memory may grow from the third tenth of a run to its last."""

Ended = Literal["done", "time", "interrupted", "failed"]


class Soaked(Life):
    """A life that counts its turns."""

    turns = 0


@dataclass
class Soak:
    """What a soak did and found."""

    host: str
    store: str
    seed: int
    asked: int
    turns: int = 0
    sessions: int = 0
    looks: int = 0
    """Comparisons of a session with its model."""
    steps: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WEIGHTS, 0))
    seconds: float = 0.0
    memory_mib: list[float] = field(default_factory=list[float])
    """Resident memory of the process at each tenth of the turns."""
    ended: Ended = "done"
    problem: str = ""

    @property
    def growth(self) -> float:
        """Memory at the end over memory at the third tenth; 0 when the run was too short to say."""
        return self.memory_mib[-1] / self.memory_mib[2] if len(self.memory_mib) > 5 else 0.0

    def line(self) -> str:
        """The result in one line."""
        disturbed = ", ".join(f"{self.steps[name]} {name}" for name in WEIGHTS if name not in ("turn", "count"))
        grown = f"memory x{self.growth:.2f}" if self.growth else "too short to judge memory"
        verdict = self.problem or "nothing lost, nothing doubled"
        return (
            f"{self.ended}: {self.turns:,} turns over {self.sessions} sessions of {self.host} on {self.store}, seed "
            f"{self.seed}, {self.seconds:.0f} s, {self.looks:,} looks ({disturbed}); {grown}; {verdict}"
        )


class _Soaking:
    """A soak on its way."""

    def __init__(self, bench: HostBench, soak: Soak, sessions: int, told: Callable[[int], object]) -> None:
        self.bench = bench
        self.soak = soak
        self.told = told
        self.random = random.Random(soak.seed)
        self.lives: list[Soaked] = []
        self.width = sessions

    async def _born(self) -> Soaked:
        self.soak.sessions += 1
        life = Soaked(self.bench, f"s{self.soak.sessions}")
        await life.begin()
        return life

    async def _look(self, life: Soaked) -> None:
        self.soak.looks += 1
        found = await seen(life.session)
        if found != life.model:
            raise Unexpected(f"session {life.session_id} to hold {life.model}", str(found))

    async def _ended(self, life: Soaked) -> None:
        """A last look from a fresh core, and the end of the session."""
        dead = life.core
        await life.crash()
        await self.bench.forget(dead)
        await self._look(life)
        await life.session.close()
        await life.core.delete(life.session_id)
        await life.core.close()
        await self.bench.forget(life.core)

    async def step(self) -> None:
        """One step of one session."""
        if len(self.lives) < self.width:
            self.lives.append(await self._born())
        life = self.random.choice(self.lives)
        (name,) = self.random.choices(list(WEIGHTS), list(WEIGHTS.values()))
        dead = life.core
        drains = name != "drain" or bool(life.model.waiting)
        await getattr(life, name)()
        if life.core is not dead:
            await self.bench.forget(dead)
        await self.bench.line(life.core).sent()
        self.bench.trace.steps.clear()
        self.soak.steps[name] += 1
        if name in TURNS and drains:
            life.turns += 1
            self.soak.turns += 1
            self.told(self.soak.turns)
            if self.soak.turns % max(1, self.soak.asked // 10) == 0:
                self.soak.memory_mib.append(resident_bytes() / 2**20)
        if name not in ("turn", "count", "enqueue") or self.random.randrange(LOOK) == 0:
            await self._look(life)
        if life.turns >= LIFE:
            self.lives.remove(life)
            await self._ended(life)

    async def finish(self) -> None:
        """End every session that still lives."""
        while self.lives:
            await self._ended(self.lives.pop())


async def _soaked(
    soak: Soak, target: HostTarget, store: StoreTarget, sessions: int, until: float, told: Callable[[int], object]
) -> None:
    directory = scratch()
    bench = HostBench(target, directory, store)
    soaking = _Soaking(bench, soak, sessions, told)
    try:
        while soak.turns < soak.asked and time.monotonic() < until:
            async with bench.promptly():
                await soaking.step()
        soak.ended = "done" if soak.turns >= soak.asked else "time"
        await soaking.finish()
    except asyncio.CancelledError:
        soak.ended = "interrupted"
    except Exception as err:
        soak.ended, soak.problem = "failed", f"{type(err).__name__}: {err}"
    finally:
        await bench.close()
        shutil.rmtree(directory, ignore_errors=True)


def run(
    target: HostTarget,
    store: StoreTarget,
    *,
    turns: int,
    seed: int,
    sessions: int = 8,
    minutes: float | None = None,
    told: Callable[[int], object] = lambda _: None,
) -> Soak:
    """Soak until the turns are run, the time is up, somebody interrupts, or the host breaks its word."""
    soak = Soak(target.name, store.name, seed, turns)
    started = time.monotonic()
    until = float("inf") if minutes is None else started + minutes * 60
    try:
        asyncio.run(_soaked(soak, target, store, sessions, until, told))
    except KeyboardInterrupt:
        soak.ended = "interrupted"
    soak.seconds = time.monotonic() - started
    if soak.ended == "done" and soak.growth > FLAT:
        soak.ended, soak.problem = "failed", f"memory grew: {soak.memory_mib} MiB at each tenth of the turns"
    return soak


def save(soak: Soak, folder: Path) -> None:
    """Write the result as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    told = asdict(soak) | {"growth": soak.growth, "line": soak.line()}
    (folder / "soak.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
