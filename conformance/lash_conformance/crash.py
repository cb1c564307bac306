"""What the crash checks share: one drill a target, of which each check looks at its own rows."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from lash_conformance import search, strace
from lash_conformance.background_work import CALLS, background_scene
from lash_conformance.bench import Bench
from lash_conformance.drill import CUTS, FULL_FOR, HANDS, Drill, Rehearsal, Struck
from lash_conformance.in_flight import cut_in_flight
from lash_conformance.load import WRITERS, loaded
from lash_conformance.recovery import FATES, Fate
from lash_conformance.scenes import SCENES, Scene
from lash_conformance.steps import Step, chosen
from lash_conformance.strace import Errno
from lash_conformance.target import Served
from lash_conformance.targets.stdio import StdioTarget
from lash_conformance.victim import Launch, served
from lash_conformance.vocabulary import Inapplicable, Unexpected

Blow = Literal["kill", "cut", "refuse", "sync", "fall"]
ERRNOS: tuple[Errno, ...] = ("ENOSPC", "EIO", "EINTR")
TELLING = ("append", "settle claims", "commit with outbox")
"""Scenes that are struck at several steps also when there is little time."""
COMMITS = (
    "append", "first commit", "replace graph", "settle claims", "commit with outbox", "large commit", "adopt attachment",
)  # fmt: skip
CHORE_FATES: tuple[Fate, ...] = ("lost", "torn", "repeat", "unopenable", "lane", "unsynced")
INLINE = "the store is not of the durable tier: it promises to outlive its process, not the machine"
MOMENTS_S = (0.0, 0.001, 0.003, 0.01)
"""When a call is cut short where no tracer can be asked to do it at a step."""

PARTS = (0.0, 0.3, 0.6, 0.9)
"""The same, in parts of the time a call takes, for a target whose data is kept by a server."""


@dataclass
class Rows:
    """A drill and the rows it has so far."""

    drill: Drill
    struck: dict[tuple[str, Blow], list[Struck]] = field(default_factory=dict[tuple[str, Blow], list[Struck]])


ROWS: dict[Launch, Rows] = {}
"""By how it is started, for the life of this process: each blow is struck once, however many checks look at it."""


def rows_of(bench: Bench) -> Rows:
    """The drill of the bench's target.

    Raises:
        Inapplicable: the target cannot be run in a process of its own.
    """
    how = served(bench.target, bench.given)
    if how is None:
        raise Inapplicable("the target has no name by which a process of its own could run it: give it with --target")
    rows = ROWS.setdefault(how, Rows(Drill(bench.target, how)))
    rows.drill.target = bench.target
    rows.drill.hands = asyncio.Semaphore(HANDS)
    return rows


async def struck(bench: Bench, blow: Blow, scenes: Sequence[str], fates: Sequence[Fate]) -> None:
    """Strike the scenes; refuse a target that met one of the fates.

    Raises:
        Inapplicable: such a blow cannot be struck here, or on this target.
        Unexpected: a fate was met.
    """
    rows = rows_of(bench)
    if blow not in ("kill", "fall") and (why := strace.missing()):
        raise Inapplicable(why)
    if blow in ("cut", "sync") and await bench.factory.durability_tier() != "durable":
        raise Inapplicable(INLINE)
    if blow == "fall" and not (isinstance(bench.target, Served) and bench.target.may_crash):
        raise Inapplicable("no server of the judge's keeps the data")
    chosen_ = [SCENES[name] for name in scenes if SCENES[name].needs <= bench.target.capabilities]
    found: list[Struck] = []
    started = time.perf_counter()
    if search.SEARCH.first_is_enough or blow == "fall":
        for scene in chosen_:
            found += await _row(bench, rows, scene, blow)
            if any(one.fate in fates for one in found):
                break
    else:
        for made in await asyncio.gather(*(_row(bench, rows, scene, blow) for scene in chosen_)):
            found += made
    bench.trace.target_seconds += time.perf_counter() - started
    if not found:
        raise Inapplicable(f"{blow}: the target writes nothing here that could be struck; a server keeps its data")
    _refuse(found, fates)


def _refuse(found: Sequence[Struck], fates: Sequence[Fate]) -> None:
    for one in found:
        if one.fate in fates:
            where = f"{one.scene}, step {one.step} of {one.steps}, {one.call}: {one.blow}"
            raise Unexpected("sound", f"{FATES[one.fate]} ({where}): {one.told}")


async def chores_struck(bench: Bench) -> None:
    """Strike the store at what it does of its own accord; refuse it if that cost anything.

    Raises:
        Inapplicable: it cannot be seen at work here, or does nothing of its own accord.
        Unexpected: a fate was met.
    """
    rows = rows_of(bench)
    if why := strace.missing():
        raise Inapplicable(why)
    started = time.perf_counter()
    scene = await background_scene(rows.drill)
    if scene is None:
        raise Inapplicable(f"none of {CALLS} like calls did more to files than the others")
    rehearsal = await rows.drill.rehearse(scene)
    if rehearsal.unlike:
        raise Inapplicable(f"the trace does not explain {', '.join(rehearsal.unlike)}")
    powered = CUTS if await bench.factory.durability_tier() == "durable" else ()
    found = [rehearsal.struck, *await rows.drill.cuts(scene, rehearsal, ("nothing lost", *powered))]
    bench.crash_map += [asdict(one) for one in found]
    bench.trace.target_seconds += time.perf_counter() - started
    _refuse(found, CHORE_FATES)


async def cut_beside_each_other(bench: Bench) -> None:
    """Cut the power while commits are in flight together; refuse a target that answered one before it was synced.

    Raises:
        Inapplicable: such a blow cannot be struck here, or on this target.
        Unexpected: a turn that was answered is gone.
    """
    rows = rows_of(bench)
    if why := strace.missing():
        raise Inapplicable(why)
    if await bench.factory.durability_tier() != "durable":
        raise Inapplicable(INLINE)
    started = time.perf_counter()
    found = await cut_in_flight(rows.drill)
    bench.crash_map += [asdict(one) for one in found]
    bench.trace.target_seconds += time.perf_counter() - started
    _refuse(found, ("unsynced",))


async def _row(bench: Bench, rows: Rows, scene: Scene, blow: Blow) -> list[Struck]:
    key = (scene.name, blow)
    if key not in rows.struck:
        rows.struck[key] = await STRIKES[blow](rows.drill, scene)
        bench.crash_map += [asdict(one) for one in rows.struck[key]]
    return rows.struck[key]


# -- the blows


async def _kills(drill: Drill, scene: Scene) -> list[Struck]:
    if strace.missing():
        return list(await asyncio.gather(*(drill.kill_at(scene, moment) for moment in MOMENTS_S)))
    rehearsal = await drill.rehearse(scene)
    if rehearsal.elsewhere:
        parts = PARTS if scene.name in TELLING or search.SEARCH.scale.strikes == 0 else PARTS[-1:]
        made = [drill.kill_at(scene, part * rehearsal.seconds, "caller killed") for part in parts]
        return [*await asyncio.gather(*made), rehearsal.struck]
    every, most = search.SEARCH.scale.strikes == 0, search.SEARCH.scale.strikes
    steps = rehearsal.steps
    if not search.SEARCH.first_is_enough and not (scene.name in TELLING and rehearsal.unlike):
        # Where kills can be played back at every step, a few calls show that a real one leaves the same.
        most = 1 if scene.name in TELLING or rehearsal.unlike else 0
    made = [drill.kill(scene, _number(rehearsal, step), step, len(steps)) for step in chosen(steps, None if every else most)]
    found = [*await asyncio.gather(*made), rehearsal.struck]
    return found if rehearsal.unlike else [*found, *await drill.cuts(scene, rehearsal, ("nothing lost",))]


async def _cuts(drill: Drill, scene: Scene) -> list[Struck]:
    rehearsal = await drill.rehearse(scene)
    if rehearsal.elsewhere or not rehearsal.steps:
        return []
    if rehearsal.unlike:
        why = f"not played: the trace does not explain {', '.join(rehearsal.unlike)}"
        return [Struck(scene.name, 0, len(rehearsal.steps), why, "power cut", "", "not judged")]
    return await drill.cuts(scene, rehearsal)


async def _refusals(drill: Drill, scene: Scene) -> list[Struck]:
    rehearsal = await drill.rehearse(scene)
    if rehearsal.elsewhere:
        return []
    steps = [step for step in rehearsal.steps if step.kind != "reply"]
    answers_by = {step.call for step in rehearsal.steps if step.kind == "reply"}
    most = search.SEARCH.scale.refusals or None
    # A sync that failed and was taken for one shows in no other way than by a power cut after it.
    syncs = [step for step in steps if step.kind == "sync" and step.aimed and most is not None][-1:]
    made = [drill.refuse(scene, _number(rehearsal, step), step, len(rehearsal.steps), "EIO", 1) for step in syncs]
    made += [
        drill.refuse(
            scene, _number(rehearsal, step), step, len(rehearsal.steps), errno,
            # A tracer cannot tell files from pipes: where answers go out by the same call, only the disk is struck.
            FULL_FOR if errno == "ENOSPC" and step.call not in answers_by else 1,
        )
        for errno in ERRNOS
        for step in chosen(steps, most)
        if errno != "EIO" or step not in syncs
    ]
    return list(await asyncio.gather(*made))


async def _falls(drill: Drill, scene: Scene) -> list[Struck]:
    seconds = (None, *MOMENTS_S) if scene.name in TELLING else (None,)
    return [await drill.fall(scene, moment) for moment in seconds]


async def _syncs(drill: Drill, scene: Scene) -> list[Struck]:
    rehearsal = await drill.rehearse(scene)
    if rehearsal.elsewhere:
        return []
    steps = len(rehearsal.steps)
    fate: Fate = "unsynced" if rehearsal.syncs else ""
    found = FATES["unsynced"] if fate else "synced before the answer"
    return [Struck(scene.name, steps, steps, "write answer", "watched", "ok", found, fate, rehearsal.syncs)]


def _number(rehearsal: Rehearsal, step: Step) -> int:
    return rehearsal.steps.index(step) + 1


STRIKES: dict[Blow, Callable[[Drill, Scene], Awaitable[list[Struck]]]] = {
    "kill": _kills, "cut": _cuts, "refuse": _refusals, "sync": _syncs, "fall": _falls,
}  # fmt: skip


async def killed_under_load(bench: Bench) -> None:
    """Kill writers at random moments; refuse a target that lost something.

    Raises:
        Unexpected: an acknowledged commit is gone, or one is there in part or twice.
    """
    rows = rows_of(bench)
    target = bench.target
    most = 1 if "shared" not in target.capabilities else target.share if isinstance(target, StdioTarget) else WRITERS
    started = time.perf_counter()
    load = await loaded(rows.drill.how, kills=search.SEARCH.scale.kills, seed=search.SEARCH.seed, most=most)
    bench.trace.target_seconds += time.perf_counter() - started
    fate: Fate = "lost" if load.faults else ""
    line = Struck("random kills", 0, 0, load.line(), "killed at a moment", "", FATES[fate], fate, "; ".join(load.faults))
    bench.crash_map.append(asdict(line))
    if load.faults:
        raise Unexpected("0 acknowledged commits lost, each settled once", load.faults[0])
