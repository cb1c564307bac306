"""A worker process of the PostgreSQL tests: one client of one place, told what to do, answering what it saw.

Arguments: connection string, the place's directory, its own name, what to do. It says ``ready``, waits for a
line with the fence to work under, and prints its calls as JSON, timed by the machine's one monotonic clock.
"""

import asyncio
import itertools
import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lash_conformance.bench import Bench
from lash_conformance.checks.store.races import committing
from lash_conformance.history import Call
from lash_conformance.race import fence_of
from lash_conformance.rules_lane import OWNERS
from lash_conformance.targets.postgres import PostgresTarget, schema_of
from lash_conformance.transcript import Driver
from lash_conformance.vocabulary import batch
from lash_ref.postgres_store import PostgresTransactions


class Worker:
    def __init__(self, dsn: str, directory: Path, name: str) -> None:
        numbers = itertools.count(1)
        self.name = name
        self.calls: list[Call] = []
        self.bench = Bench(PostgresTarget(dsn), directory)
        self.bench.place = replace(self.bench.place, mint=lambda kind: f"{kind}-{name}-{next(numbers)}")
        self.driver = Driver(self.bench)

    async def call(self, method: str, *arguments: Any) -> Any:
        invoked = time.monotonic_ns()
        found = await self.driver.call("store[s1]", method, arguments)
        self.calls.append(
            Call(self.name, "store[s1]", method, arguments, found, invoked, time.monotonic_ns())
        )
        return found.get("ok")

    async def lanes(self, fence: Any) -> None:
        owner = OWNERS[int(self.name)]
        for _ in range(3):
            held = fence_of(await self.call("try_claim_session_execution_lease", "s1", owner, 600_000))
            if held:
                await self.call("renew_session_execution_lease", held, 600_000)
                await self.call("release_session_execution_lease", held)

    async def commits(self, fence: Any) -> None:
        for turn in range(3):
            read = await self.call("load_session", "FullGraph")
            head = read["head_revision"] if read else 0
            made = committing(fence, f"n{self.name}-{turn}", expected_head_revision=head)
            await self.call("commit_runtime_state", made)

    async def queue(self, fence: Any) -> None:
        await self.call("enqueue_queued_work", batch(source_key="one").to_data())
        await self.call("enqueue_queued_work", batch(source_key=self.name).to_data())
        claimed = await self.call("claim_ready_queued_work", "s1", fence, fence["owner"], "idle", 1)
        if claimed:
            await self.call("abandon_queued_work_claim", claimed)
        found = await self.call("list_queued_work", "s1")
        await self.call("cancel_queued_work_batch", "s1", found[0]["batch_id"])


async def hold(dsn: str, directory: Path) -> None:
    """Take the session's lock inside a transaction, say so, and never let go."""
    place = Bench(PostgresTarget(dsn), directory).place
    transactions = PostgresTransactions(dsn, schema_of(place))
    async with transactions.begin(write=True) as rows:
        await rows.lease("s1")
        print("held", flush=True)
        await asyncio.sleep(600)


async def main(dsn: str, directory: Path, name: str, what: str) -> None:
    if what == "hold":
        await hold(dsn, directory)
        return
    worker = Worker(dsn, directory, name)
    await worker.driver.open()
    await worker.driver.hold("s1")
    print("ready", flush=True)
    fence = json.loads(await asyncio.to_thread(sys.stdin.readline))
    await getattr(worker, what)(fence)
    await worker.bench.close()
    print(json.dumps([asdict(call) for call in worker.calls]), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4]))
