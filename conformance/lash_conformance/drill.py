"""The crash drill: faults are injected into a process at its durable steps, then the place is reopened and judged.

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
from lash_conformance.bench import Bench, scratch
from lash_conformance.disk import Cut, Disk, Left, restore
from lash_conformance.model_state import Data
from lash_conformance.possible_states import PossibleStates
from lash_conformance.recovery import FATES, Fate, Recovery
from lash_conformance.scenes import FinalCall, Scene
from lash_conformance.steps import Kind, Step, Watched, answers, deeds, row, syncs_before_answering, telling
from lash_conformance.strace import Errno
from lash_conformance.target import Served, StoreTarget
from lash_conformance.transcript import Driver, short
from lash_conformance.victim import REFUSALS, Early, Launch, Victim

AIMS = 3
"""How often a fault is tried again that hit an earlier call than intended."""
HANDS = 3
ATTEMPTS = 40
"""How often a call is retried while the disk is full; each thread of a process may fail once."""
CUTS: tuple[Cut, ...] = ("unsynced lost", "names kept", "half written", "length kept")
LENGTHS = ("append", "enqueue work", "put bytes")
"""The scenes in which, after a power loss, files that grew keep their new length; a store that trusts file lengths does so in every scene."""
AFTER_ANSWER = "after the answer"
FULL_FOR = 5
"""How many system calls of one name fail with a full disk before there is room again."""


@dataclass(frozen=True)
class Struck:
    """One injected fault and what was found after it."""

    scene: str
    step: int
    """Which step of the scene, from 1; one more than there are means after the answer; 0 when unknown."""
    steps: int
    """How many steps the scene has."""
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
    """A scene that ran under the tracer without a fault and was killed after its answer."""

    place: Path
    calls: list[strace.Call]
    steps: list[Step]
    final: FinalCall
    answer: Data | None
    before: PossibleStates
    after: PossibleStates
    struck: Struck
    unlike: list[str]
    """Files that the trace does not explain, so that a power loss cannot be simulated."""
    syncs: str
    """What was not synced when the call was answered; empty when everything was."""
    seconds: float
    """From the call to its answer."""

    @property
    def elsewhere(self) -> bool:
        """Whether a server keeps the data: the process wrote no file, but sent something."""
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
    ) -> AsyncGenerator[tuple[Victim, FinalCall, PossibleStates]]:
        late = blow if self.how.late else None
        log = folder / "trace" if traced and late is None else None
        victim = await Victim.start(self.how, place_of(folder), log, None if late else blow)
        try:
            final = await scene.play(victim)
            if late is not None:
                shutil.copytree(place_of(folder), folder / "base")
                await victim.meet(late, folder / "trace")
            yield victim, final, victim.states.copy()
        finally:
            await victim.kill()

    async def reopened(
        self, directory: Path, scene: Scene, final: FinalCall, states: PossibleStates, before: PossibleStates, *, answered: bool
    ) -> Recovery:
        """Open a place in another process, or this one, and judge it."""
        bench = Bench(self.target, directory, life="again-")
        recovery = Recovery(scene, bench, Driver(bench), states.copy(), before, answered)
        try:
            await recovery.driver.open()
        except Exception as err:
            recovery.fate, recovery.told = "unopenable", f"{type(err).__name__}: {err}"
            return recovery
        try:
            await recovery.judge(final)
        finally:
            try:
                await bench.remove()
            except Exception as err:
                recovery.fate = recovery.fate or "unopenable"
                recovery.told = recovery.told or f"close: {type(err).__name__}: {err}"
        return recovery

    # -- blows

    async def rehearse(self, scene: Scene) -> Rehearsal:
        """Run a scene without a fault, record its steps, and kill the process after the answer."""
        if scene.name not in self.rehearsals:
            self.rehearsals[scene.name] = await self._rehearse(scene)
        return self.rehearsals[scene.name]

    async def _rehearse(self, scene: Scene) -> Rehearsal:
        async with self._folder() as folder:
            async with self._staged(folder, scene, None) as (victim, final, before):
                started = time.perf_counter()
                found = await victim.final(final)
                seconds = time.perf_counter() - started
                fault = victim.states.saw(final.on, final.method, final.arguments, found or {"broken": "no answer"})
                shutil.copytree(place_of(folder), folder / "seen")
            calls = victim.calls()
            steps = row(calls, victim.watched, late=self.how.late)
            disk = Disk(place_of(folder))
            disk.play(calls[: steps[-1].position + 1] if steps else calls)
            unlike = disk.unlike(folder / "seen")
            recovery = await self.reopened(place_of(folder), scene, final, victim.states, before, answered=True)
            if fault:
                recovery.fate, recovery.told = "torn", f"undisturbed: {fault}"
            made = self._line(recovery, len(steps) + 1, len(steps), AFTER_ANSWER, "killed", found)
            return Rehearsal(
                place_of(folder), calls, steps, final, found, before, victim.states, made, unlike,
                syncs_before_answering(calls, steps), seconds,
            )  # fmt: skip

    async def watched(self, scene: Scene) -> list[frozenset[tuple[Kind, str]]]:
        """The file operations before each answer of a scene that runs without a fault."""
        async with self._folder() as folder:
            async with self._staged(folder, scene, None) as (victim, final, _):
                await victim.final(final)
            return deeds(victim.calls(), victim.watched)

    async def kill(self, scene: Scene, number: int, step: Step, steps: int) -> Struck:
        """Kill just before a step."""
        return await self._aimed(lambda: self._kill(scene, number, step, steps), scene, number, step, steps, "killed")

    async def refuse(self, scene: Scene, number: int, step: Step, steps: int, errno: Errno, times: int) -> Struck:
        """Make a step fail, and ``times`` more system calls of its name, and let the caller retry."""
        return await self._aimed(
            lambda: self._refuse(scene, number, step, steps, errno, times), scene, number, step, steps, errno
        )

    async def _aimed(
        self, strike: Callable[[], Awaitable[Struck]], scene: Scene, number: int, step: Step, steps: int, blow: str
    ) -> Struck:
        """Inject the fault again when it hit an earlier call than intended, a few times."""
        for _ in range(AIMS):
            try:
                return await strike()
            except Early:
                continue
        return Struck(scene.name, number, steps, str(step), blow, "", f"not judged: fell early {AIMS} times")

    async def _kill(self, scene: Scene, number: int, step: Step, steps: int) -> Struck:
        async with self._folder() as folder:
            async with self._staged(folder, scene, step.blow()) as (victim, final, before):
                found = await victim.final(final)
                missed = not victim.dead
            states = victim.states
            if found is None:
                states.doubt(final.on, final.method, final.arguments)
            else:
                states.saw(final.on, final.method, final.arguments, found)
            recovery = await self.reopened(place_of(folder), scene, final, states, before, answered=found is not None)
            hit = f"{step} (not reached, killed after the answer)" if missed else str(step)
            return self._line(recovery, number, steps, hit, "killed", found)

    async def kill_at(self, scene: Scene, seconds: float, blow: str = "killed at a moment") -> Struck:
        """Kill some time after the call was sent: all that can be done without a tracer, or to a server's caller."""
        async with self._folder() as folder:
            async with self._staged(folder, scene, None, traced=False) as (victim, final, before):
                making = asyncio.create_task(victim.final(final))
                await asyncio.sleep(seconds)
                await victim.kill()
                found = await making
            states = victim.states
            if found is None:
                states.doubt(final.on, final.method, final.arguments)
            else:
                states.saw(final.on, final.method, final.arguments, found)
            recovery = await self.reopened(place_of(folder), scene, final, states, before, answered=found is not None)
            return self._line(recovery, 0, 0, f"{seconds * 1000:.1f} ms after the call", blow, found)

    async def fall(self, scene: Scene, seconds: float | None) -> Struck:
        """Crash the server that keeps the data, some time after the call was sent or after its answer."""
        async with self._folder() as folder:
            async with self._staged(folder, scene, None, traced=False) as (victim, final, before):
                making = asyncio.create_task(victim.final(final))
                if seconds is None:
                    await making
                else:
                    await asyncio.sleep(seconds)
                await cast("Served", self.target).crash()
                found = await making
            states = victim.states
            answered = found is not None and "ok" in found
            if found is not None and answered:
                states.saw(final.on, final.method, final.arguments, found)
            else:
                states.doubt(final.on, final.method, final.arguments)
            recovery = await self.reopened(place_of(folder), scene, final, states, before, answered=answered)
            call = AFTER_ANSWER if seconds is None else f"{seconds * 1000:.1f} ms after the call"
            return self._line(recovery, 0, 0, call, "server fell", found if answered else None)

    async def cuts(self, scene: Scene, rehearsal: Rehearsal, cuts: Sequence[Cut] = CUTS) -> list[Struck]:
        """Simulate the power loss at every step that changes what is left on disk, and after the answer."""
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
        steps, final = rehearsal.steps, rehearsal.final
        answered = number == len(steps)
        states = (rehearsal.after if answered else rehearsal.before).copy()
        if not answered:
            states.doubt(final.on, final.method, final.arguments)
        async with self._folder() as folder:
            restore(left, place_of(folder))
            recovery = await self.reopened(place_of(folder), scene, final, states, rehearsal.before, answered=answered)
        call = AFTER_ANSWER if answered else str(steps[number])
        killed = cut == "nothing lost"
        if answered and not killed and recovery.fate in ("lost", "torn", "unopenable"):
            recovery.fate = "unsynced"
        blow = "killed, played back" if killed else f"power cut, {cut}"
        return self._line(recovery, number + 1, len(steps), call, blow, rehearsal.answer if answered else None)

    async def _refuse(
        self, scene: Scene, number: int, step: Step, steps: int, errno: Errno, times: int
    ) -> Struck:
        async with self._folder() as folder:
            async with self._staged(folder, scene, step.blow(errno, times)) as (victim, final, before):
                bench = victim.bench
                found = await victim.final(final)
                recovery = Recovery(scene, bench, victim.driver, victim.states, before, answered=found is not None and "ok" in found)
                first = found
                for attempt in range(1, ATTEMPTS + 1):
                    if found is None or "broken" in found or found.get("refused") not in {None, *REFUSALS}:
                        recovery.fate, recovery.told = "untyped", short(found) if found else f"the process ended: {victim.child.fate}"
                        break
                    if "ok" in found:
                        if fault := recovery.states.saw(final.on, final.method, final.arguments, found):
                            recovery.fate, recovery.told = "repeat", fault
                        break
                    if attempt == ATTEMPTS:
                        recovery.fate, recovery.told = "stuck", f"refused {ATTEMPTS} times, at last with {short(found)}"
                        break
                    recovery.states.doubt(final.on, final.method, final.arguments)
                    found = await victim.final(final)
                if not recovery.fate:
                    recovery.answered = True
                    await recovery.look("torn")
            shutil.copytree(place_of(folder), folder / "seen")
            calls = victim.calls()
            if recovery.fate == "stuck" and _full(calls, victim.watched):
                raise Early("the disk had no room in any of its threads")
            if any(call.struck for call in calls) and not recovery.fate:
                after = await self.reopened(place_of(folder), scene, final, recovery.states, before, answered=True)
                recovery.fate, recovery.told = after.fate, after.told
                if not recovery.fate and step.kind == "sync":
                    await self._without_power(folder, scene, final, recovery, before, calls)
            return self._line(recovery, number, steps, str(step), errno, first)

    async def _without_power(
        self, folder: Path, scene: Scene, final: FinalCall, recovery: Recovery, before: PossibleStates, calls: Sequence[strace.Call]
    ) -> None:
        """Simulate a power loss after the answer of a call in which a sync had failed."""
        disk, cut = Disk(place_of(folder)), folder / "cut"
        if (folder / "base").exists():
            disk.begin(folder / "base")
        disk.play(calls)
        if disk.unlike(folder / "seen"):
            return
        cut.mkdir()
        restore(disk.left("unsynced lost"), cut)
        found = await self.reopened(cut, scene, final, recovery.states, before, answered=True)
        if found.fate in ("lost", "torn", "unopenable"):
            recovery.fate, recovery.told = "unsynced", found.told

    def _line(self, recovery: Recovery, step: int, steps: int, call: str, blow: str, answer: Data | None) -> Struck:
        return Struck(recovery.scene.name, step, steps, call, blow, _answer(answer), _found(recovery, answer), recovery.fate, recovery.told)


def _full(calls: Sequence[strace.Call], watched: Watched) -> bool:
    """Whether a system call still failed shortly before the last answer: each thread of a process meets the full disk once."""
    ends = answers(calls, watched)
    return any(call.struck for call in calls[ends[-2] if len(ends) > 1 else 0 :])


def place_of(folder: Path) -> Path:
    """The place below a drill's folder; its last name is unique, because a server may know it by that alone."""
    return folder / folder.name


def _answer(found: Data | None) -> str:
    if found is None:
        return ""
    return next((f"refused {found[kind]}" if kind == "refused" else kind for kind in ("ok", "refused") if kind in found), "broken")


def _found(recovery: Recovery, answer: Data | None) -> str:
    if recovery.fate:
        return FATES[recovery.fate]
    if answer is not None and "refused" in answer:
        return "done when repeated"
    took = {state.took for state in recovery.states.possible}
    return "either" if len(took) > 1 else "as after the call" if took == {True} else "as before the call"
