"""What the wire costs: the same calls in process and over stdio, and where the time between them goes."""

import asyncio
import shutil
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from lash_conformance.bench import Bench, scratch
from lash_conformance.projection import answered
from lash_conformance.store_calls import data_of, read_answer
from lash_conformance.target import StoreTarget
from lash_conformance.targets.stdio import StdioTarget
from lash_conformance.vocabulary import batch, chain, commit, message
from lash_conformance.wire import read_line, written_line
from lash_ref.nodes import Append, FullGraph

REPEATS = 100
NODES = 200

Operation = Callable[[int], Awaitable[Any]]


@dataclass(frozen=True)
class Cost:
    """Microseconds of one call; medians."""

    operation: str
    inside: float
    outside: float
    ping: float
    """Of a request that does nothing: two pipes, two wake-ups, an event loop."""
    judge: float
    """What the judge spends on JSON and validation: arguments written, the answer read."""

    @property
    def target(self) -> float:
        """What is left: the target's own JSON, validation and record building."""
        return max(0.0, self.outside - self.inside - self.ping - self.judge)


async def _medians(operations: dict[str, Operation], repeats: int) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, operation in operations.items():
        times: list[float] = []
        for number in range(repeats):
            started = time.perf_counter()
            await operation(number)
            times.append(time.perf_counter() - started)
        found[name] = statistics.median(times) * 1e6
    return found


async def _on(target: StoreTarget, repeats: int) -> tuple[dict[str, float], dict[str, float]]:
    """The time of each call on a fresh place, and the judge's share of it."""
    bench = Bench(target, scratch())
    try:
        parts = await bench.provide(("store", "lane"))
        store, lane = parts["store"], parts["lane"]
        names = [f"n{number}" for number in range(NODES)]
        await store.commit_runtime_state(commit(lane, Append(nodes=chain(*names), leaf_node_id=names[-1])))

        def one(number: int) -> Any:
            return commit(lane, Append(nodes=(message(f"c{number}", parent=names[-1]),), leaf_node_id=names[-1]))

        times = await _medians(
            {
                "load_node": lambda number: store.load_node("n0"),
                "enqueue_queued_work": lambda number: store.enqueue_queued_work(batch()),
                "commit_runtime_state": lambda number: store.commit_runtime_state(one(number)),
                "load_session": lambda number: store.load_session(FullGraph()),
            },
            repeats,
        )
        read = await store.load_session(FullGraph())
        samples: list[tuple[str, dict[str, Any], Any]] = [
            ("load_node", {"node_id": "n0"}, await store.load_node("n0")),
            ("enqueue_queued_work", {"batch": batch()}, await store.enqueue_queued_work(batch())),
            ("commit_runtime_state", {"commit": one(repeats)}, await store.commit_runtime_state(one(repeats))),
            ("load_session", {"scope": FullGraph()}, read),
        ]
        return times, {name: _judge(name, given, answer) for name, given, answer in samples}
    finally:
        await bench.remove()
        shutil.rmtree(bench.place.directory, ignore_errors=True)


def _judge(method: str, arguments: dict[str, Any], answer: Any) -> float:
    line = written_line({"result": answered("store", method, answer)["ok"]})
    times: list[float] = []
    for _ in range(20):
        started = time.perf_counter()
        written_line({"params": data_of("store", method, arguments)})
        read_answer("store", method, read_line(line)["result"])
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e6


async def _measured(inside: StoreTarget, outside: StdioTarget, repeats: int) -> list[Cost]:
    connection = outside.connection()
    ping = (await _medians({"ping": lambda number: connection.call("smoke", {"value": number})}, repeats))["ping"]
    near, judge = await _on(inside, repeats)
    far, _ = await _on(outside, repeats)
    return [Cost(name, near[name], far[name], ping, judge[name]) for name in near]


def measure(inside: StoreTarget, outside: StdioTarget, repeats: int = REPEATS) -> list[Cost]:
    """The costs of a few typical calls, on two targets that should be the same store."""
    return asyncio.run(_measured(inside, outside, repeats))


def show(console: Console, costs: list[Cost]) -> None:
    """Print the table."""
    table = Table(title=f"calls over the wire, medians; a session of {NODES} nodes", title_justify="left")
    for column in ("call", "in process /s", "over stdio /s", "slower", "store µs", "ping µs", "judge µs", "target µs"):
        table.add_column(column, justify="left" if column == "call" else "right")
    for cost in costs:
        table.add_row(
            cost.operation, f"{1e6 / cost.inside:,.0f}", f"{1e6 / cost.outside:,.0f}", f"{cost.outside / cost.inside:.1f} x",
            *(f"{part:,.0f}" for part in (cost.inside, cost.ping, cost.judge, cost.target)),
        )  # fmt: skip
    console.print(table)
