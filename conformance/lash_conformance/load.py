"""Random kills under load: writers commit turn after turn, and are killed without warning, again and again.

What a writer was told is all that is compared: after each kill its session must hold every turn it was
answered, at most the one that was under way besides, and each exactly once.
"""

import asyncio
import random
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lash_conformance.bench import owner, request, scratch
from lash_conformance.model_lease import FENCE
from lash_conformance.model_state import Data
from lash_conformance.scenes import turn
from lash_conformance.target import TargetBroke, VirtualClock
from lash_conformance.transcript import Driver
from lash_conformance.victim import Launch, Victim, outcome, ttl_of
from lash_conformance.vocabulary import Unexpected, batch

WRITERS = 3
"""Each in a process of its own on one place, if the target lets as many open it."""
MOST_TURNS = 3
"""Before a kill one session commits fewer turns than this."""
LONGEST = 12
"""Turns of a session before its writer begins another."""
STARTS = 3
"""How often a process is started that misses a deadline while it is asked what is there."""


@dataclass
class Writer:
    """One session and what its writer was told."""

    session_id: str
    acknowledged: int = 0
    """How many turns were answered; they are numbered from 1."""
    begun: int = 0
    """The last turn that was sent."""
    fence: Data | None = None
    incarnation: int = 0
    held_until: float = 0.0
    """When the lease may run out on the real clock, by the judge's; 0 where time is the judge's."""

    @property
    def outlived(self) -> bool:
        """Whether this machine was so slow that the writer's lease may have run out."""
        return 0 < self.held_until < time.monotonic()

    @property
    def store(self) -> str:
        """Address of the session's store."""
        return f"store[{self.session_id}]"

    def data(self, number: int) -> Data:
        """The commit of one turn, with a batch in its outbox."""
        assert self.fence is not None
        sent = (batch(source_key=f"k{number}", session_id=self.session_id),)
        made = turn(self.fence, f"t{number}", number, enqueued_queue_batches=sent)
        stamp: Data = made["turn_commit"] | {"session_id": self.session_id}
        frames = [one | {"session_id": self.session_id} for one in made["agent_frames"]]
        return made | {"session_id": self.session_id, "turn_commit": stamp, "agent_frames": frames}


@dataclass
class Load:
    """What came of it."""

    begun: int = 0
    """How many kills are done or under way."""
    kills: int = 0
    acknowledged: int = 0
    unanswered: int = 0
    """Commits that were under way when their process was killed."""
    applied: int = 0
    """How many of those had been applied all the same."""
    faults: list[str] = field(default_factory=list[str])

    def line(self) -> str:
        """The sentence for the report."""
        lost = len(self.faults)
        return (
            f"{self.kills} random kills, {self.acknowledged} acknowledged commits, {lost} lost; of {self.unanswered} "
            f"commits cut short {self.applied} were applied, each settled once by its repeat"
        )


@dataclass
class Process:
    """One process of the target and the writers in it."""

    number: int
    chance: random.Random
    share: int
    """How many of the writers are in it."""
    writers: list[Writer] = field(default_factory=list[Writer])
    victim: Victim | None = None
    lives: int = 0

    def writer(self, slot: int) -> Writer:
        """A writer for a session of its own."""
        return Writer(f"w{self.number}{slot}-{self.lives}")


async def loaded(how: Launch, *, kills: int, seed: int, most: int) -> Load:
    """Run writers in processes on one place, kill a process at a random moment ``kills`` times, judge each time."""
    folder = scratch().resolve()
    load = Load()
    count = min(WRITERS, most)
    processes = [Process(number, random.Random(f"load/{seed}/{number}"), WRITERS // count) for number in range(count)]

    async def live(process: Process) -> None:
        while load.begun < kills and not load.faults:
            load.begun += 1
            await _round(process, load)
            await _revive(how, folder, process, load)

    try:
        for process in processes:
            await _revive(how, folder, process, load)
        await asyncio.gather(*(live(process) for process in processes))
    finally:
        for process in processes:
            if process.victim is not None:
                await process.victim.kill()
        shutil.rmtree(folder, ignore_errors=True)
    return load


async def _round(process: Process, load: Load) -> None:
    """Let every writer commit, and kill their process in the middle of it."""
    victim = process.victim
    assert victim is not None
    enough, patience = asyncio.Event(), process.chance.randrange(1, MOST_TURNS)

    async def write(writer: Writer) -> None:
        while not victim.dead:
            writer.begun = writer.acknowledged + 1
            try:
                found = await outcome(victim.driver, writer.store, "commit_runtime_state", (writer.data(writer.begun),))
            except TargetBroke:
                return  # it took too long, and was killed for it: a kill like the others
            if found.get("ok", {}).get("head_revision") == writer.begun:
                writer.acknowledged = writer.begun
                load.acknowledged += 1
            elif "broken" in found or (found.get("refused") == "SessionExecutionLeaseExpired" and writer.outlived):
                return
            else:
                load.faults.append(f"{writer.session_id}: turn {writer.begun} was answered {found}")
                return
            if writer.acknowledged % MOST_TURNS >= patience:
                enough.set()

    writing = [asyncio.create_task(write(writer)) for writer in process.writers]
    waiting = asyncio.create_task(enough.wait())
    await asyncio.wait([waiting, *writing], return_when=asyncio.FIRST_COMPLETED, timeout=5)
    await asyncio.sleep(process.chance.random() * 0.01)
    await victim.kill()
    waiting.cancel()
    await asyncio.gather(*writing)
    load.kills += 1


async def _revive(how: Launch, folder: Path, process: Process, load: Load) -> None:
    """Start the process again, and see what it finds of its sessions; once more if it misses a deadline over it.

    Raises:
        TargetBroke: it misses one each time.
    """
    for start in range(1, STARTS + 1):
        try:
            await _revived(how, folder, process, load)
        except TargetBroke:
            if start == STARTS:
                raise
            if process.victim is not None:
                await process.victim.kill()
        else:
            return


async def _revived(how: Launch, folder: Path, process: Process, load: Load) -> None:
    process.lives += 1
    victim = process.victim = await Victim.start(how, folder, None)
    if isinstance(victim.bench.clock, VirtualClock):
        victim.bench.clock.advance(process.lives * (ttl_of(victim.bench) + 1))
    process.writers += [process.writer(slot) for slot in range(len(process.writers), process.share)]
    resumed = await asyncio.gather(*(_resume(victim, process, slot, load) for slot in range(process.share)), return_exceptions=True)
    for err in resumed:
        if err is not None:
            raise err


async def _resume(victim: Victim, process: Process, slot: int, load: Load) -> None:
    """See what a writer finds of its session, and let it begin another when that one is long or there is none."""
    writer = process.writers[slot]
    try:
        if writer.begun:
            await _inspect(victim, writer, load)
        if writer.begun and writer.acknowledged < LONGEST:
            return
        writer = process.writers[slot] = process.writer(slot)
        await answer(victim.driver, "factory", "create_store", request(writer.session_id).to_data())
        await take_over(victim.driver, writer)
    except Unexpected as err:
        load.faults.append(f"{writer.session_id}: {err}")


async def _inspect(victim: Victim, writer: Writer, load: Load) -> None:
    applied = await turns(victim.driver, writer)
    if not writer.acknowledged <= applied <= writer.begun:
        raise Unexpected(f"turns 1 to {writer.acknowledged} or {writer.begun}", f"{applied} turns")
    await take_over(victim.driver, writer)
    if writer.begun > writer.acknowledged:
        load.unanswered += 1
        load.applied += applied == writer.begun
        repeated = await outcome(victim.driver, writer.store, "commit_runtime_state", (writer.data(writer.begun),))
        if repeated.get("refused") == "SessionExecutionLeaseExpired" and writer.outlived:
            raise TargetBroke("a commit came later than its lease lasts", missed=True)
        made = _answered("commit_runtime_state", repeated)
        if made["head_revision"] != writer.begun or await turns(victim.driver, writer) != writer.begun:
            raise Unexpected(f"turn {writer.begun} settled once", f"revision {made['head_revision']}")
        writer.acknowledged = writer.begun
        load.acknowledged += 1


async def turns(driver: Driver, writer: Writer) -> int:
    """How many turns the session holds, each whole and once.

    Raises:
        Unexpected: a turn is there in part, twice, or out of order.
    """
    read = await answer(driver, writer.store, "load_session", "FullGraph")
    queue = await answer(driver, writer.store, "list_queued_work", writer.session_id)
    head = read["head_revision"] if read else 0
    nodes = [node["node_id"] for node in read["graph"]["nodes"]] if read else []
    spent = sum(entry["usage"]["input_tokens"] for entry in read["token_ledger"]) if read else 0
    keys = [one["source_key"] for one in queue]
    wanted = [f"n{n}" for n in range(1, head + 1)], head * (head + 1) // 2, [f"k{n}" for n in range(1, head + 1)]
    if (nodes, spent, keys) != wanted:
        raise Unexpected(f"{head} whole turns", f"nodes {nodes[-3:]}, {spent} tokens, batches {keys[-3:]}")
    if len({one["batch_id"] for one in queue}) < len(queue):
        raise Unexpected("a batch id of its own for each batch", f"{[one['batch_id'] for one in queue]}")
    return int(head)


async def take_over(driver: Driver, writer: Writer) -> None:
    """Claim the lane of a writer's session under a new incarnation, when its time has run out if need be."""
    bench = driver.bench
    writer.incarnation += 1
    holder = owner(writer.session_id, str(writer.incarnation)).to_data()
    # Between two rounds the clock stands still, or a round is over long before this is.
    ttl = ttl_of(bench) if bench.virtual else 10_000
    found: Any = None
    if not bench.virtual and writer.fence:
        # What the dead holder held is given back in its name, as waiting for each of hundreds would take hours.
        await answer(driver, writer.store, "release_session_execution_lease", writer.fence)
    for _ in range(3):
        writer.held_until = 0.0 if bench.virtual else time.monotonic() + ttl / 1000
        found = await answer(driver, writer.store, "try_claim_session_execution_lease", writer.session_id, holder, ttl)
        if "Acquired" in found:
            writer.fence = {name: found["Acquired"][name] for name in FENCE}
            return
        await bench.pass_time(ttl + 1)
    raise Unexpected("the lane is free once its time ran out", f"{found}")


async def answer(driver: Driver, on: str, method: str, *arguments: Any) -> Any:
    """What a call is answered.

    Raises:
        Unexpected: it is refused, or broken.
    """
    return _answered(method, await outcome(driver, on, method, arguments))


def _answered(method: str, found: Data) -> Any:
    if "ok" not in found:
        raise Unexpected(f"{method} is answered", f"{found}")
    return found["ok"]
