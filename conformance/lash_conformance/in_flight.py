"""Commits that are in flight together, and the power cut after their answers.

A store may let one sync serve several commits, but none may do without: at the moment when an answer has left
the process, what was synced by then must hold its commit.
"""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

from lash_conformance.bench import Bench, request, scratch
from lash_conformance.disk import Disk, Left, restore
from lash_conformance.drill import Drill, Struck, place_of
from lash_conformance.load import Writer, answer, take_over, turns
from lash_conformance.recovery import FATES
from lash_conformance.steps import Watched
from lash_conformance.strace import SENDS, SYNCS, WRITES, Call
from lash_conformance.transcript import Driver
from lash_conformance.victim import Victim, outcome
from lash_conformance.vocabulary import Inapplicable, Unexpected

SESSIONS = 8
"""How many commit at once, each its first turn."""
ROUNDS = 2
MOMENTS = 3
"""After how many of the answers the power is cut: the last, the first, and one between."""


async def cut_in_flight(drill: Drill) -> list[Struck]:
    """Let sessions commit side by side, and cut the power after some of the answers.

    Raises:
        Inapplicable: the target takes one request at a time, or the trace does not explain its files.
        Unexpected: the commits are not answered.
    """
    folder = scratch().resolve()
    place = place_of(folder)
    place.mkdir()
    try:
        victim = await Victim.start(drill.how, place, folder / "trace")
        try:
            if victim.target.connection().said.limits.in_flight < 2:
                raise Inapplicable("the target takes one request at a time")
            writers = [Writer(f"flight-{number}") for number in range(SESSIONS)]
            for writer in writers:
                await answer(victim.driver, "factory", "create_store", request(writer.session_id).to_data())
                await take_over(victim.driver, writer)
            for turn in range(1, ROUNDS + 1):
                sent = [(writer, writer.data(turn)) for writer in writers]
                made = (outcome(victim.driver, writer.store, "commit_runtime_state", (data,)) for writer, data in sent)
                for found in await asyncio.gather(*made):
                    if found.get("ok", {}).get("head_revision") != turn:
                        raise Unexpected("commits of several sessions are answered side by side", f"{found}")
            shutil.copytree(place, folder / "seen")
        finally:
            await victim.kill()
        calls = victim.calls()
        whole = Disk(place)
        whole.play(calls)
        if not whole.names:
            raise Inapplicable("the target writes nothing here; a server keeps its data")
        if unlike := whole.unlike(folder / "seen"):
            raise Inapplicable(f"the trace does not explain {', '.join(unlike)}")
        told = _told(calls, victim.watched, writers)
        moments = sorted({position for position, _, _ in told})
        chosen = sorted({moments[number * (len(moments) - 1) // (MOMENTS - 1)] for number in range(MOMENTS)})
        return [await _judged(drill, folder / f"cut{at}", _safe(calls, place, at), told, at) for at in chosen]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _told(calls: Sequence[Call], watched: Watched, writers: Sequence[Writer]) -> list[tuple[int, Writer, int]]:
    """Which turn of which writer was answered, and by which call."""
    rest, found = b"", list[tuple[int, Writer, int]]()
    for position, call in enumerate(calls):
        if call.name in (*WRITES, *SENDS) and call.path() == watched.answers:
            *lines, rest = (rest + b"".join(call.strings)).split(b"\n")
            found += [
                (position, writer, turn)
                for line in lines
                for writer in writers
                for turn in range(1, ROUNDS + 1)
                if f'"{writer.session_id}"'.encode() in line and f'"k{turn}"'.encode() in line
            ]
    return found


def _safe(calls: Sequence[Call], place: Path, at: int) -> Left:
    """What is left when the power is cut right after a call; a sync that had not returned by then is none."""
    disk = Disk(place)
    disk.play([call for call in calls[: at + 1] if call.name not in SYNCS or call.ended < at])
    return disk.left("unsynced lost")


async def _judged(
    drill: Drill, directory: Path, left: Left, told: Sequence[tuple[int, Writer, int]], at: int
) -> Struck:
    """Open what is left, and find every turn that was answered by then."""
    answered = {writer.session_id: (writer, turn) for position, writer, turn in told if position <= at}
    directory.mkdir()
    restore(left, directory)
    fault = ""
    bench = Bench(drill.target, directory, life="again-")
    driver = Driver(bench)
    try:
        await driver.open()
        for writer, turn in answered.values():
            if (found := await turns(driver, writer)) < turn:
                raise Unexpected(f"turn {turn} of {writer.session_id}, which was answered", f"{found} turns")
    except Exception as err:
        fault = str(err)
    finally:
        await bench.remove()
    count = sum(position <= at for position, _, _ in told)
    fate = "unsynced" if fault else ""
    return Struck(
        f"{SESSIONS} commits in flight", 0, 0, f"after answer {count} of {len(told)}", "power cut, unsynced lost", "ok",
        FATES[fate] if fate else "as after the call", fate, fault,
    )  # fmt: skip
