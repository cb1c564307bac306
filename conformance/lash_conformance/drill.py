"""The crash drill: a process is struck at its durable steps, the place is opened again, and judged.

One `Struck` is one line of the crash map.
"""

import asyncio
import shutil
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from lash_conformance import strace
from lash_conformance.aftermath import Worlds
from lash_conformance.bench import Bench, scratch
from lash_conformance.disk import Cut, Disk, Left, restore
from lash_conformance.model_state import Data
from lash_conformance.scenes import Doomed, Scene
from lash_conformance.steps import Kind, Step, Watched, answers, deeds, row, syncs_before_answering, telling
from lash_conformance.strace import Errno
from lash_conformance.target import Served, StoreTarget
from lash_conformance.transcript import Driver, short
from lash_conformance.victim import REFUSALS, Early, Launch, Victim
from lash_conformance.ward import FATES, Fate, Ward

AIMS = 3
"""How often a blow is struck that falls early."""
HANDS = 3
ATTEMPTS = 40
"""How often a call is made while the disk has no room, which each thread of a process may have to find out."""
CUTS: tuple[Cut, ...] = ("unsynced lost", "names kept", "half written", "length kept")
LENGTHS = ("append", "enqueue work", "put bytes")
"""The scenes in which files that grew keep their length: a store that trusts a length does so whatever it writes."""
AFTER_ANSWER = "after the answer"
FULL_FOR = 5
"""How many calls of one name meet a full disk before it has room again."""


@dataclass(frozen=True)
class Struck:
    """One blow and what was found after it."""

    scene: str
    step: int
    """Which step of the row, from 1; one more than there are for the moment after the answer; 0 when unknown."""
    steps: int
    """How many steps the row has."""
    call: str
    blow: str
    """``killed``, ``killed, played back``, ``killed at a moment``, ``caller killed``, ``server fell``, ``power cut``, ``watched`` or an errno."""
    answer: str
    """What the caller was told, or nothing."""
    found: str
    """Whether the place was found as before the call, as after it, or as either."""
    fate: Fate = ""
    told: str = ""


@dataclass
class Rehearsal:
    """A scene played under the tracer without a blow, killed after the answer."""

    place: Path
    calls: list[strace.Call]
    steps: list[Step]
    doomed: Doomed
    answer: Data | None
    before: Worlds
    after: Worlds
    struck: Struck
    unlike: list[str]
    """Files that the trace does not explain, so that a power cut cannot be played."""
    syncs: str
    """Why the answer was not backed by a sync; empty when it was."""
    seconds: float
    """From the call to its answer."""

    @property
    def elsewhere(self) -> bool:
        """Whether the data is kept by a server: nothing was written here, but something sent."""
        return all(step.kind in ("send", "reply") for step in self.steps) and len(self.steps) > 1


@dataclass
class Drill:
    """The drill of one target."""

    target: StoreTarget
    how: Launch
    rehearsals: dict[str, Rehearsal] = field(default_factory=dict[str, Rehearsal])
    hands: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(HANDS))
    """How many places are drilled at once; belongs to one event loop."""

    @asynccontextmanager
    async def _folder(self) -> AsyncGenerator[Path]:
        folder = scratch().resolve()
        place_of(folder).mkdir()
        try:
            async with self.hands:
                yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @asynccontextmanager
    async def _staged(
        self, folder: Path, scene: Scene, blow: strace.Blow | None, *, traced: bool = True
    ) -> AsyncGenerator[tuple[Victim, Doomed, Worlds]]:
        late = blow if self.how.late else None
        log = folder / "trace" if traced and late is None else None
        victim = await Victim.start(self.how, place_of(folder), log, None if late else blow)
        try:
            doomed = await scene.play(victim)
            if late is not None:
                shutil.copytree(place_of(folder), folder / "base")
                await victim.meet(late, folder / "trace")
            yield victim, doomed, victim.worlds.copy()
        finally:
            await victim.kill()

    async def reopened(
        self, directory: Path, scene: Scene, doomed: Doomed, worlds: Worlds, before: Worlds, *, answered: bool
    ) -> Ward:
        """Open a place in another process, or this one, and judge it."""
        bench = Bench(self.target, directory, life="again-")
        ward = Ward(scene, bench, Driver(bench), worlds.copy(), before, answered)
        try:
            await ward.driver.open()
        except Exception as err:
            ward.fate, ward.told = "unopenable", f"{type(err).__name__}: {err}"
            return ward
        try:
            await ward.judge(doomed)
        finally:
            try:
                await bench.remove()
            except Exception as err:
                ward.fate = ward.fate or "unopenable"
                ward.told = ward.told or f"close: {type(err).__name__}: {err}"
        return ward

    # -- blows

    async def rehearse(self, scene: Scene) -> Rehearsal:
        """Play a scene undisturbed, note its steps, and kill after the answer."""
        if scene.name not in self.rehearsals:
            self.rehearsals[scene.name] = await self._rehearse(scene)
        return self.rehearsals[scene.name]

    async def _rehearse(self, scene: Scene) -> Rehearsal:
        async with self._folder() as folder:
            async with self._staged(folder, scene, None) as (victim, doomed, before):
                started = time.perf_counter()
                found = await victim.doomed(doomed)
                seconds = time.perf_counter() - started
                fault = victim.worlds.saw(doomed.on, doomed.method, doomed.arguments, found or {"broken": "no answer"})
                shutil.copytree(place_of(folder), folder / "seen")
            calls = victim.calls()
            steps = row(calls, victim.watched, late=self.how.late)
            disk = Disk(place_of(folder))
            disk.play(calls[: steps[-1].position + 1] if steps else calls)
            unlike = disk.unlike(folder / "seen")
            ward = await self.reopened(place_of(folder), scene, doomed, victim.worlds, before, answered=True)
            if fault:
                ward.fate, ward.told = "torn", f"undisturbed: {fault}"
            made = self._line(ward, len(steps) + 1, len(steps), AFTER_ANSWER, "killed", found)
            return Rehearsal(
                place_of(folder), calls, steps, doomed, found, before, victim.worlds, made, unlike,
                syncs_before_answering(calls, steps), seconds,
            )  # fmt: skip

    async def watched(self, scene: Scene) -> list[frozenset[tuple[Kind, str]]]:
        """What was done to which file before each answer of a scene that nothing disturbs."""
        async with self._folder() as folder:
            async with self._staged(folder, scene, None) as (victim, doomed, _):
                await victim.doomed(doomed)
            return deeds(victim.calls(), victim.watched)

    async def kill(self, scene: Scene, number: int, step: Step, steps: int) -> Struck:
        """Kill just before a step."""
        return await self._aimed(lambda: self._kill(scene, number, step, steps), scene, number, step, steps, "killed")

    async def refuse(self, scene: Scene, number: int, step: Step, steps: int, errno: Errno, times: int) -> Struck:
        """Let a step fail, and as many more calls of its name as ``times`` says, and let the caller try again."""
        return await self._aimed(
            lambda: self._refuse(scene, number, step, steps, errno, times), scene, number, step, steps, errno
        )

    async def _aimed(
        self, strike: Callable[[], Awaitable[Struck]], scene: Scene, number: int, step: Step, steps: int, blow: str
    ) -> Struck:
        """Strike again when the blow fell early, and give up at last."""
        for _ in range(AIMS):
            try:
                return await strike()
            except Early:
                continue
        return Struck(scene.name, number, steps, str(step), blow, "", f"not judged: fell early {AIMS} times")

    async def _kill(self, scene: Scene, number: int, step: Step, steps: int) -> Struck:
        async with self._folder() as folder:
            async with self._staged(folder, scene, step.blow()) as (victim, doomed, before):
                found = await victim.doomed(doomed)
                missed = not victim.dead
            worlds = victim.worlds
            if found is None:
                worlds.doubt(doomed.on, doomed.method, doomed.arguments)
            else:
                worlds.saw(doomed.on, doomed.method, doomed.arguments, found)
            ward = await self.reopened(place_of(folder), scene, doomed, worlds, before, answered=found is not None)
            hit = f"{step} (not reached, killed after the answer)" if missed else str(step)
            return self._line(ward, number, steps, hit, "killed", found)

    async def kill_at(self, scene: Scene, seconds: float, blow: str = "killed at a moment") -> Struck:
        """Kill some time after the call was sent: all that can be done without a tracer, or to a server's caller."""
        async with self._folder() as folder:
            async with self._staged(folder, scene, None, traced=False) as (victim, doomed, before):
                making = asyncio.create_task(victim.doomed(doomed))
                await asyncio.sleep(seconds)
                await victim.kill()
                found = await making
            worlds = victim.worlds
            if found is None:
                worlds.doubt(doomed.on, doomed.method, doomed.arguments)
            else:
                worlds.saw(doomed.on, doomed.method, doomed.arguments, found)
            ward = await self.reopened(place_of(folder), scene, doomed, worlds, before, answered=found is not None)
            return self._line(ward, 0, 0, f"{seconds * 1000:.1f} ms after the call", blow, found)

    async def fall(self, scene: Scene, seconds: float | None) -> Struck:
        """Let the server that keeps the data fall over, some time after the call was sent or after its answer."""
        async with self._folder() as folder:
            async with self._staged(folder, scene, None, traced=False) as (victim, doomed, before):
                making = asyncio.create_task(victim.doomed(doomed))
                if seconds is None:
                    await making
                else:
                    await asyncio.sleep(seconds)
                await cast("Served", self.target).crash()
                found = await making
            worlds = victim.worlds
            answered = found is not None and "ok" in found
            if found is not None and answered:
                worlds.saw(doomed.on, doomed.method, doomed.arguments, found)
            else:
                worlds.doubt(doomed.on, doomed.method, doomed.arguments)
            ward = await self.reopened(place_of(folder), scene, doomed, worlds, before, answered=answered)
            call = AFTER_ANSWER if seconds is None else f"{seconds * 1000:.1f} ms after the call"
            return self._line(ward, 0, 0, call, "server fell", found if answered else None)

    async def cuts(self, scene: Scene, rehearsal: Rehearsal, cuts: Sequence[Cut] = CUTS) -> list[Struck]:
        """End it at every step that changes what is left, and after the answer."""
        steps = rehearsal.steps
        jobs: list[asyncio.Task[Struck]] = []
        disk = Disk(rehearsal.place)
        played = 0
        seen: list[tuple[bool, Left]] = []
        for number in telling(steps):
            until = steps[number].position if number < len(steps) else steps[-1].position + 1
            disk.play(rehearsal.calls[played:until])
            played = until
            amid = 0 < number < len(steps) and steps[number - 1].kind == steps[number].kind == "write"
            for cut in cuts:
                if (cut in ("half written", "length kept") and amid) or (cut == "length kept" and scene.name not in LENGTHS):
                    continue
                left = (number == len(steps), disk.left(cut))
                if left not in seen:
                    seen.append(left)
                    jobs.append(asyncio.create_task(self._cut(scene, rehearsal, number, cut, left[1])))
        return list(await asyncio.gather(*jobs))

    async def _cut(
        self, scene: Scene, rehearsal: Rehearsal, number: int, cut: Cut, left: Left
    ) -> Struck:
        steps, doomed = rehearsal.steps, rehearsal.doomed
        answered = number == len(steps)
        worlds = (rehearsal.after if answered else rehearsal.before).copy()
        if not answered:
            worlds.doubt(doomed.on, doomed.method, doomed.arguments)
        async with self._folder() as folder:
            restore(left, place_of(folder))
            ward = await self.reopened(place_of(folder), scene, doomed, worlds, rehearsal.before, answered=answered)
        call = AFTER_ANSWER if answered else str(steps[number])
        killed = cut == "nothing lost"
        if answered and not killed and ward.fate in ("lost", "torn", "unopenable"):
            ward.fate = "unsynced"
        blow = "killed, played back" if killed else f"power cut, {cut}"
        return self._line(ward, number + 1, len(steps), call, blow, rehearsal.answer if answered else None)

    async def _refuse(
        self, scene: Scene, number: int, step: Step, steps: int, errno: Errno, times: int
    ) -> Struck:
        async with self._folder() as folder:
            async with self._staged(folder, scene, step.blow(errno, times)) as (victim, doomed, before):
                bench = victim.bench
                found = await victim.doomed(doomed)
                ward = Ward(scene, bench, victim.driver, victim.worlds, before, answered=found is not None and "ok" in found)
                first = found
                for attempt in range(1, ATTEMPTS + 1):
                    if found is None or "broken" in found or found.get("refused") not in {None, *REFUSALS}:
                        ward.fate, ward.told = "untyped", short(found) if found else f"the process ended: {victim.child.fate}"
                        break
                    if "ok" in found:
                        if fault := ward.worlds.saw(doomed.on, doomed.method, doomed.arguments, found):
                            ward.fate, ward.told = "repeat", fault
                        break
                    if attempt == ATTEMPTS:
                        ward.fate, ward.told = "stuck", f"refused {ATTEMPTS} times, at last with {short(found)}"
                        break
                    ward.worlds.doubt(doomed.on, doomed.method, doomed.arguments)
                    found = await victim.doomed(doomed)
                if not ward.fate:
                    ward.answered = True
                    await ward.look("torn")
            shutil.copytree(place_of(folder), folder / "seen")
            calls = victim.calls()
            if ward.fate == "stuck" and _full(calls, victim.watched):
                raise Early("the disk had no room in any of its threads")
            if any(call.struck for call in calls) and not ward.fate:
                after = await self.reopened(place_of(folder), scene, doomed, ward.worlds, before, answered=True)
                ward.fate, ward.told = after.fate, after.told
                if not ward.fate and step.kind == "sync":
                    await self._without_power(folder, scene, doomed, ward, before, calls)
            return self._line(ward, number, steps, str(step), errno, first)

    async def _without_power(
        self, folder: Path, scene: Scene, doomed: Doomed, ward: Ward, before: Worlds, calls: Sequence[strace.Call]
    ) -> None:
        """Cut the power after the answer of a call one of whose syncs had failed."""
        disk, cut = Disk(place_of(folder)), folder / "cut"
        if (folder / "base").exists():
            disk.begin(folder / "base")
        disk.play(calls)
        if disk.unlike(folder / "seen"):
            return
        cut.mkdir()
        restore(disk.left("unsynced lost"), cut)
        found = await self.reopened(cut, scene, doomed, ward.worlds, before, answered=True)
        if found.fate in ("lost", "torn", "unopenable"):
            ward.fate, ward.told = "unsynced", found.told

    def _line(self, ward: Ward, step: int, steps: int, call: str, blow: str, answer: Data | None) -> Struck:
        return Struck(ward.scene.name, step, steps, call, blow, _answer(answer), _found(ward, answer), ward.fate, ward.told)


def _full(calls: Sequence[strace.Call], watched: Watched) -> bool:
    """Whether a call was refused before the last answer still: each thread of a process meets the full disk anew."""
    ends = answers(calls, watched)
    return any(call.struck for call in calls[ends[-2] if len(ends) > 1 else 0 :])


def place_of(folder: Path) -> Path:
    """The place below a drill's folder; its last name is unique, because a server may know it by that alone."""
    return folder / folder.name


def _answer(found: Data | None) -> str:
    if found is None:
        return ""
    return next((f"refused {found[kind]}" if kind == "refused" else kind for kind in ("ok", "refused") if kind in found), "broken")


def _found(ward: Ward, answer: Data | None) -> str:
    if ward.fate:
        return FATES[ward.fate]
    if answer is not None and "refused" in answer:
        return "done when repeated"
    took = {world.took for world in ward.worlds.possible}
    return "either" if len(took) > 1 else "as after the call" if took == {True} else "as before the call"
