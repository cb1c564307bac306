"""How a store's costs grow with its history, and what durability costs: ratios measured in one run."""

import asyncio
import json
import shutil
import sqlite3
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pygal
from rich.console import Console
from rich.table import Table

from lash_conformance.bench import Bench, Lane, scratch
from lash_conformance.target import StoreTarget
from lash_conformance.vocabulary import batch, chain, commit, message, said, stamp
from lash_ref.contracts import RuntimePersistence
from lash_ref.nodes import ActivePath, Append, FullGraph

REPEATS = 20
CHUNK = 2000


@dataclass
class Measured:
    """Milliseconds per operation at each history length; medians of `REPEATS` calls."""

    target: str
    nodes: list[int] = field(default_factory=list[int])
    milliseconds: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    commits_per_second: float = 0.0
    bare_per_second: float = 0.0

    @property
    def ratio(self) -> float:
        """Commits a second over bare transactions a second of the same bytes and durability."""
        return self.commits_per_second / self.bare_per_second if self.bare_per_second else 0.0


async def _median(operation: Callable[[int], Awaitable[object]], repeats: int = REPEATS) -> float:
    times: list[float] = []
    for number in range(repeats):
        started = time.perf_counter()
        await operation(number)
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


async def grown(store: RuntimePersistence, lane: Lane, size: int) -> None:
    """Give session "s1" a history of `size` messages, one under the other."""
    names = [f"n{number}" for number in range(size)]
    for start in range(0, size, CHUNK):
        part = names[start : start + CHUNK]
        under = names[start - 1] if start else None
        await store.commit_runtime_state(commit(lane, Append(nodes=chain(*part, under=under), leaf_node_id=part[-1])))


async def side_branch(store: RuntimePersistence, lane: Lane) -> None:
    """A short branch beside the history, whose path has ten nodes however long the history is."""
    names = [f"side{number}" for number in range(10)]
    await store.commit_runtime_state(commit(lane, Append(nodes=chain(*names), leaf_node_id=names[-1])))


async def _at(bench: Bench, size: int, measured: Measured) -> None:
    parts = await bench.provide(("store", "lane"))
    store, lane = parts["store"], parts["lane"]
    await grown(store, lane, size)
    await side_branch(store, lane)
    await store.enqueue_queued_work(batch())
    await store.enqueue_pending_turn_input(said())

    async def one_commit(number: int) -> object:
        node = message(f"c{size}-{number}", parent="side9")
        return await store.commit_runtime_state(commit(lane, Append(nodes=(node,), leaf_node_id="side9")))

    operations: dict[str, Callable[[int], Awaitable[object]]] = {
        "commit of one node": one_commit,
        "active path of ten nodes": lambda _: store.load_session(ActivePath()),
        "pending work": lambda _: store.list_pending_queued_work("s1"),
        "pending input": lambda _: store.list_pending_turn_inputs("s1"),
    }
    for name, operation in operations.items():
        measured.milliseconds.setdefault(name, []).append(await _median(operation))
    full = await _median(lambda _: store.load_session(FullGraph()), 3)
    measured.milliseconds.setdefault("full load", []).append(full)
    measured.nodes.append(size)


async def _throughput(bench: Bench, count: int) -> tuple[float, int]:
    parts = await bench.provide(("store", "lane"))
    store, lane = parts["store"], parts["lane"]
    commits = [
        commit(
            lane, Append(nodes=(message(f"t{n}"),), leaf_node_id=f"t{n}"), turn_commit=stamp(f"t{n}"),
            expected_head_revision=n,
        )
        for n in range(count)
    ]
    started = time.perf_counter()
    for made in commits:
        await store.commit_runtime_state(made)
    return count / (time.perf_counter() - started), len(commits[0].to_json())


def _bare(count: int, size: int) -> float:
    directory = scratch()
    connection = sqlite3.connect(directory / "bare.db", isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE bytes (id INTEGER PRIMARY KEY, data TEXT)")
        data = "x" * size
        started = time.perf_counter()
        for _ in range(count):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO bytes (data) VALUES (?)", (data,))
            connection.execute("COMMIT")
        return count / (time.perf_counter() - started)
    finally:
        connection.close()
        shutil.rmtree(directory)


async def _measure(console: Console, target: StoreTarget, sizes: list[int]) -> Measured:
    measured = Measured(target.name)
    for size in sizes:
        bench = Bench(target, scratch())
        try:
            console.print(f"history of {size} nodes …", style="dim")
            await _at(bench, size, measured)
        finally:
            await bench.remove()
    bench = Bench(target, scratch())
    try:
        measured.commits_per_second, size = await _throughput(bench, 500)
        measured.bare_per_second = _bare(500, size)
    finally:
        await bench.remove()
    return measured


def run(console: Console, target: StoreTarget, sizes: list[int]) -> Measured:
    """Measure, and print the table and the ratio."""
    measured = asyncio.run(_measure(console, target, sizes))
    table = Table(title=f"{target.name}: milliseconds by history length", title_justify="left")
    table.add_column("operation")
    for size in measured.nodes:
        table.add_column(f"{size:,}", justify="right")
    for name, times in measured.milliseconds.items():
        table.add_row(name, *(f"{one:.2f}" for one in times))
    console.print(table)
    console.print(
        f"{measured.commits_per_second:,.0f} commits/s; a bare sqlite3 transaction of the same bytes with the "
        f"same durability: {measured.bare_per_second:,.0f}/s; ratio {measured.ratio:.2f}"
    )
    return measured


def save(measured: Measured, folder: Path) -> None:
    """Write the numbers as JSON and the growth curves as one self-contained page."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = asdict(measured) | {"ratio": measured.ratio}
    (folder / "bench.json").write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    chart = pygal.XY(
        js=[], width=900, height=500, legend_at_bottom=True, logarithmic=True, xrange=None,
        x_title="nodes of history", y_title="milliseconds", disable_xml_declaration=True,
    )  # fmt: skip
    chart.x_labels = measured.nodes
    for name, times in measured.milliseconds.items():
        chart.add(name, list(zip(measured.nodes, times, strict=True)))
    page = (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>growth</title>"
        f"<body style='font:16px system-ui;max-width:60rem;margin:2rem auto'><h1>{measured.target}</h1>"
        f"<p>Median milliseconds by history length; commits at {measured.ratio:.2f} of a bare transaction.</p>"
        f"{chart.render(is_unicode=True)}</body></html>"
    )
    (folder / "bench.html").write_text(page, encoding="utf-8")
