"""What a host's turns cost: as the conversation grows, beside a long history, in memory, on disk, and beside peers."""

import asyncio
import contextlib
import json
import shutil
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import pygal
from rich.console import Console
from rich.table import Table

from lash_conformance import peers
from lash_conformance.bench import scratch
from lash_conformance.benchmark import grown, side_branch
from lash_conformance.host import HostCore, HostSession, HostTarget, OpenSpec, TurnSpec
from lash_conformance.host_stand import Stand, bytes_kept, stand
from lash_conformance.target import StoreTarget, TargetFault

SAID, ANSWER = "And what about the day after that?", "The same as the day before, only a little later."
TURNS = 500
"""Turns of the chat."""
WINDOW = 20
"""Turns that a median is taken of."""
SESSIONS = 1000
REPEATS = 5

Residency = Literal["keep_all", "active_path_only"]
RESIDENCIES: tuple[Residency, ...] = ("keep_all", "active_path_only")


@dataclass
class Chat:
    """One conversation, turn by turn."""

    runtime: str
    turns: list[int]
    """How many turns came before the window."""
    milliseconds: list[float]
    """Median of a turn in that window."""
    turns_per_second: float
    """Over the whole conversation."""
    processor: list[float]
    """Median milliseconds of processor time of a turn in that window, whatever else the machine did; of a command its own alone."""
    bytes_per_turn: list[float]
    """On disk, in the first and in the second half; 0 where nothing is kept on disk."""


@dataclass
class HistoryCost:
    """Milliseconds beside a history that is off the active path."""

    store: str
    residency: Residency
    nodes: int
    turn: float
    open: float
    park: float
    resume: float


@dataclass
class Held:
    """Bytes that one session keeps, of many: of Python objects, or of a command's resident memory."""

    store: str
    sessions: int
    live: float
    parked: float


@dataclass
class HostCosts:
    """Everything measured in one run."""

    host: str
    chats: list[Chat] = field(default_factory=list[Chat])
    history: list[HistoryCost] = field(default_factory=list[HistoryCost])
    memory: list[Held] = field(default_factory=list[Held])
    notes: list[str] = field(default_factory=list[str])


async def _timed(operation: Awaitable[Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    answer = await operation
    return time.perf_counter() - started, answer


async def _turn(core: HostCore, session: HostSession) -> None:
    await core.script([{"text": ANSWER}])
    done = await session.turn(TurnSpec(items=({"type": "text", "text": SAID},)))
    if "finished" not in done["outcome"]:
        raise AssertionError(f"a scripted turn finishes, found {done['outcome']!r}")


@dataclass
class _Talk:
    """A conversation that is being measured."""

    runtime: str
    folder: Path
    turn: Callable[[], Awaitable[object]]
    worked: Callable[[], float]
    """Seconds of processor time so far."""
    times: list[float] = field(default_factory=list[float])
    processor: list[float] = field(default_factory=list[float])
    sizes: list[int] = field(default_factory=list[int])


async def _chats(target: HostTarget, stores: Sequence[StoreTarget], count: int) -> list[Chat]:
    """The same turns on each runtime, in turn, so that whatever else the machine does meets all of them."""
    async with contextlib.AsyncExitStack() as open_now:
        talks: list[_Talk] = []
        for store in stores:
            at = await open_now.enter_async_context(stand(target, store))
            core = await at.core(residency="active_path_only")
            open_now.push_async_callback(core.close)
            turn = partial(_turn, core, await core.open("s1", OpenSpec()))
            talks.append(_Talk(f"{target.name} on {store.name}", at.folder, turn, at.worked))
        if peers.langgraph_installed():
            folder = scratch()
            open_now.callback(shutil.rmtree, folder)
            turn = await open_now.enter_async_context(peers.langgraph_chat(folder, SAID, ANSWER))
            talks.append(_Talk("langgraph on AsyncSqliteSaver", folder, turn, time.process_time))
        for number in range(count + 1):
            if number in (0, count // 2, count):
                for talk in talks:
                    talk.sizes.append(bytes_kept(talk.folder))
            for talk in talks if number < count else ():
                began = talk.worked()
                talk.times.append((await _timed(talk.turn()))[0])
                talk.processor.append(talk.worked() - began)
        return [_chat(talk) for talk in talks]


def _chat(talk: _Talk) -> Chat:
    times = talk.times
    width = min(WINDOW, max(1, len(times) // 4))
    last = len(times) - width
    starts = sorted({start for start in (0, 10, 50, 100, 250, last) if start <= last})
    elapsed, processor = (
        [statistics.median(each[start : start + width]) * 1000 for start in starts]
        for each in (times, talk.processor)
    )
    kept = [2 * (after - before) / len(times) for before, after in pairwise(talk.sizes)]
    return Chat(talk.runtime, starts, elapsed, len(times) / sum(times), processor, kept)


async def _beside(at: Stand, residency: Residency, nodes: int) -> HistoryCost:
    core = await at.core(residency=residency)
    opened, turned, parked, resumed = list[float](), list[float](), list[float](), list[float]()
    for _ in range(REPEATS if nodes <= 10_000 else 1):
        seconds, session = await _timed(core.open("s1", OpenSpec()))
        opened.append(seconds)
        for _ in range(REPEATS * 2):
            turned.append((await _timed(_turn(core, session)))[0])
        seconds, ticket = await _timed(session.park())
        parked.append(seconds)
        seconds, session = await _timed(core.resume(ticket))
        resumed.append(seconds)
        await session.close()
    await core.close()
    turn, open_, park, resume = (statistics.median(each) * 1000 for each in (turned, opened, parked, resumed))
    return HistoryCost(at.bench.target.name, residency, nodes, turn, open_, park, resume)


async def _histories(target: HostTarget, store: StoreTarget, sizes: Sequence[int]) -> list[HistoryCost]:
    found: list[HistoryCost] = []
    for nodes in sizes:
        async with stand(target, store) as at:
            kept = await at.bench.session()
            lane = await at.bench.lane(kept)
            await grown(kept, lane, nodes)
            await side_branch(kept, lane)
            await lane.release()
            found += [await _beside(at, residency, nodes) for residency in RESIDENCIES]
    return found


async def _turns(core: HostCore, sessions: Sequence[HostSession]) -> None:
    for session in sessions:
        await _turn(core, session)


async def _memory(target: HostTarget, store: StoreTarget, count: int) -> Held:
    """What sessions of one turn each hold while they are live and idle, and once they are parked."""
    async with stand(target, store) as at:
        core = await at.core(residency="active_path_only")
        warm = await core.open("warm", OpenSpec())
        await _turn(core, warm)
        await warm.close()
        del warm
        with at.weighed():
            before = at.held()
            sessions = [await core.open(f"idle{number}", OpenSpec()) for number in range(count)]
            await _turns(core, sessions)
            live = at.held()
            tickets: list[object] = []
            while sessions:
                tickets.append(await sessions.pop().park())
            parked = at.held()
        await core.close()
    return Held(store.name, count, (live - before) / count, (parked - before) / count)


async def _measured(
    console: Console, target: HostTarget, stores: Sequence[StoreTarget], sizes: Sequence[int], turns: int, sessions: int
) -> HostCosts:
    found = HostCosts(target.name)
    if not peers.langgraph_installed():
        found.notes.append(peers.MISSING)
        console.print(peers.MISSING, style="yellow", markup=False, soft_wrap=True)
    console.print(f"{turns} turns …", style="dim")
    found.chats = await _chats(target, stores, turns)
    for store in stores:
        console.print(f"history of {', '.join(f'{size:,}' for size in sizes)} nodes on {store.name} …", style="dim")
        found.history += await _histories(target, store, sizes)
    for store in stores:
        console.print(f"{sessions} sessions on {store.name} …", style="dim")
        found.memory.append(await _memory(target, store, sessions))
    return found


def stores_of(target: HostTarget, given: str | None) -> list[str]:
    """The names of the stores to measure a host on.

    Raises:
        TargetFault: the host is a command, which opens its own store, and another was given.
    """
    if "process" not in target.capabilities:
        return (given or "memory,sqlite").split(",")
    if given not in (None, target.store):
        raise TargetFault(f"{target.name} is a command that keeps its sessions on {target.store}; found --store {given}")
    return [target.store]


def run(
    console: Console,
    target: HostTarget,
    stores: Sequence[StoreTarget],
    sizes: Sequence[int],
    *,
    turns: int = TURNS,
    sessions: int = SESSIONS,
) -> HostCosts:
    """Measure, and print the tables."""
    found = asyncio.run(_measured(console, target, stores, sizes, turns, sessions))
    _show(console, found, turns)
    return found


def _show(console: Console, found: HostCosts, turns: int) -> None:
    table = Table(title=f"one conversation of {turns} turns, a model that answers at once", title_justify="left")
    for column in ("runtime", "turns/s", "ms a turn, after so many", "processor ms", "bytes a turn on disk, by halves"):
        table.add_column(column)
    for chat in found.chats:
        growth = ", ".join(f"{at}: {ms:.1f}" for at, ms in zip(chat.turns, chat.milliseconds, strict=True))
        kept = ", ".join(f"{size:,.0f}" for size in chat.bytes_per_turn)
        worked = ", ".join(f"{ms:.1f}" for ms in chat.processor)
        table.add_row(chat.runtime, f"{chat.turns_per_second:,.0f}", growth, worked, kept)
    console.print(table)
    table = Table(title="beside a history off the active path, in milliseconds", title_justify="left")
    for column in ("store", "residency", "nodes", "turn", "open", "park", "resume"):
        table.add_column(column, justify="left" if column in ("store", "residency") else "right")
    for one in found.history:
        times = (f"{ms:.1f}" for ms in (one.turn, one.open, one.park, one.resume))
        table.add_row(one.store, one.residency, f"{one.nodes:,}", *times)
    console.print(table)
    for held in found.memory:
        console.print(
            f"{held.sessions:,} sessions of one turn on {held.store}: {held.live / 1024:.1f} KiB each while live and "
            f"idle, {held.parked / 1024:.1f} KiB once parked"
        )


def _chart(**parts: Any) -> Any:
    return pygal.XY(
        js=[], width=900, height=500, legend_at_bottom=True, legend_at_bottom_columns=1, y_title="milliseconds",
        disable_xml_declaration=True, **parts,
    )  # fmt: skip


def save(found: HostCosts, folder: Path) -> None:
    """Write the numbers as JSON and the curves as one self-contained page."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench-host.json").write_text(json.dumps(asdict(found), indent=1) + "\n", encoding="utf-8")
    chat = _chart(x_title="turns before")
    for one in found.chats:
        chat.add(one.runtime, list(zip(one.turns, one.milliseconds, strict=True)))
    history = _chart(logarithmic=True, x_title="nodes of history")
    history.x_labels = sorted({one.nodes for one in found.history})
    for store, residency in dict.fromkeys((one.store, one.residency) for one in found.history):
        rows = [one for one in found.history if (one.store, one.residency) == (store, residency)]
        for what in ("turn", "open"):
            history.add(f"{what}, {residency}, {store}", [(r.nodes, getattr(r, what)) for r in rows])
    held = "".join(
        f"<p>{one.sessions:,} sessions of one turn on {one.store}: {one.live / 1024:.1f} KiB each while live and "
        f"idle, {one.parked / 1024:.1f} KiB once parked.</p>"
        for one in found.memory
    )
    notes = "".join(f"<p>{note}</p>" for note in found.notes)
    page = (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>turns</title>"
        f"<body style='font:16px system-ui;max-width:60rem;margin:2rem auto'><h1>{found.host}</h1>"
        f"<h2>A turn as the conversation grows</h2>{chat.render(is_unicode=True)}"
        f"<h2>A turn beside a history off the active path</h2>{history.render(is_unicode=True)}"
        f"<h2>Memory</h2>{held}{notes}</body></html>"
    )
    (folder / "bench-host.html").write_text(page, encoding="utf-8")
