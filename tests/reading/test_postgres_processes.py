"""The PostgreSQL store among many processes, and on a server that falls over."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from postgres_kit import holding, turn

from lash_conformance.bench import Bench, request, scratch
from lash_conformance.history import Call, explained, smallest, told
from lash_conformance.race import Race
from lash_conformance.rules_lane import OWNERS
from lash_conformance.targets import postgres_server
from lash_conformance.targets.postgres import PostgresTarget
from lash_conformance.targets.postgres_server import Server
from lash_conformance.vocabulary import stamp
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import (
    Backend,
)
from lash_ref.nodes import FullGraph
from lash_ref.postgres_store import PostgresStoreFactory, PostgresTransactions
from lash_ref.records import RuntimeCommit, RuntimeCommitResult

pytestmark = pytest.mark.long(40)

WORKER = Path(__file__).with_name("postgres_worker.py")


def spawned(server: Server, directory: Path, name: str, what: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(WORKER), server.dsn, str(directory), name, what],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def said(worker: subprocess.Popen[str]) -> str:
    assert worker.stdout is not None
    return worker.stdout.readline().strip()


def ended(worker: subprocess.Popen[str]) -> None:
    worker.kill()
    worker.wait()
    for pipe in (worker.stdin, worker.stdout):
        if pipe is not None:
            pipe.close()


@pytest.mark.parametrize("what", ["lanes", "commits", "queue"])
def test_processes_on_one_database_take_turns(server: Server, what: str) -> None:
    """What four processes saw is explained by one order of their calls."""

    async def main() -> None:
        bench = Bench(PostgresTarget(server.dsn), scratch())
        race = Race(bench, what)
        workers: list[subprocess.Popen[str]] = []
        try:
            referee = await race.referee()
            await referee.call("factory", "create_store", request().to_data())
            fence = await referee.lane(OWNERS[4]) if what != "lanes" else None
            workers += [spawned(server, bench.place.directory, str(n), what) for n in range(4)]
            assert [await asyncio.to_thread(said, worker) for worker in workers] == ["ready"] * 4
            for worker in workers:
                assert worker.stdin is not None
                worker.stdin.write(json.dumps(fence) + "\n")
                worker.stdin.flush()
            seen = [json.loads(await asyncio.to_thread(said, worker)) for worker in workers]
            calls = [Call(**(one | {"arguments": tuple(one["arguments"])})) for each in seen for one in each]
            started = min(call.invoked for call in calls)
            history = [*race.calls, *(moved(call, started) for call in calls)]
            assert len(calls) >= 12
            if not explained(race.model(), history).complete:
                pytest.fail(told(*smallest(race.model(), history)))
        finally:
            for worker in workers:
                ended(worker)
            await bench.remove()

    asyncio.run(main())


def moved(call: Call, started: int) -> Call:
    """After everything that the referee did."""
    later = 1_000_000 - started
    return Call(
        call.client, call.on, call.method, call.arguments, call.found,
        call.invoked + later, call.returned + later,
    )  # fmt: skip


def test_a_killed_worker_holds_up_nobody(server: Server) -> None:
    async def main() -> None:
        bench = Bench(PostgresTarget(server.dsn), scratch())
        await bench.provide(())
        store = await bench.session()
        worker = spawned(server, bench.place.directory, "0", "hold")
        try:
            assert await asyncio.to_thread(said, worker) == "held"
            waiting = asyncio.ensure_future(bench.lane(store))
            await asyncio.sleep(0.1)
            assert not waiting.done()
            worker.send_signal(signal.SIGKILL)
            assert (await waiting).lease.fencing_token == 1
        finally:
            ended(worker)
            await bench.remove()

    asyncio.run(main())


def test_what_was_acknowledged_survives_the_server(server: Server, schema: str) -> None:
    """Two sessions commit turn after turn while the server falls over twice; an unknown outcome is repeated."""
    turns = 40

    async def settled(store: RuntimePersistence, made: RuntimeCommit) -> RuntimeCommitResult:
        while True:
            try:
                return await store.commit_runtime_state(made)
            except Backend:
                await asyncio.sleep(0.02)

    async def main() -> None:
        factory = PostgresStoreFactory(PostgresTransactions(server.dsn, schema))
        reached = {5: asyncio.Event(), 20: asyncio.Event()}
        answers: dict[str, list[int]] = {"s1": [], "s2": []}

        async def writer(session_id: str) -> None:
            store = await factory.create_store(request(session_id))
            lease = await holding(store, session_id)
            for number in range(turns):
                made = turn(lease, f"n{number}", expects=number)
                result = await settled(store, made.but(turn_commit=stamp(f"t{number}", session_id=session_id)))
                answers[session_id].append(result.head_revision)
                if (least := min(map(len, answers.values()))) in reached:
                    reached[least].set()

        async def falls_over() -> None:
            for enough in reached.values():
                await enough.wait()
                await asyncio.to_thread(server.crash)

        await asyncio.gather(writer("s1"), writer("s2"), falls_over())
        for session_id, seen in answers.items():
            assert seen == list(range(1, turns + 1))
            store = await factory.open_existing_store(request(session_id))
            assert store is not None
            read = await store.load_session(FullGraph())
            assert read is not None
            assert [one.node_id for one in read.graph.nodes] == [f"n{number}" for number in range(turns)]
            assert read.token_ledger[0].usage.input_tokens == turns
        await factory.close()

    asyncio.run(main())


def test_a_server_ends_with_the_judge_that_started_it() -> None:
    script = (
        "from lash_conformance.targets.postgres_server import Server; import sys\n"
        "print(Server().directory, flush=True); sys.stdin.read()"
    )
    judge = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    directory = Path(said(judge))
    server_id = int((directory / "data" / "postmaster.pid").read_text().splitlines()[0])
    ended(judge)
    deadline = time.monotonic() + 60
    while directory.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not directory.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(server_id, 0)


def test_binaries_that_only_root_may_reach_serve_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in an environment below root's own home; the server's user gets a copy."""
    private = postgres_server.copied(postgres_server.installation(), tmp_path / "private")
    (tmp_path / "private").chmod(0o700)
    monkeypatch.setattr(postgres_server, "installation", lambda: private)
    made = Server()
    try:
        with psycopg.connect(made.dsn) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        made.stop()
    assert not made.directory.exists()
