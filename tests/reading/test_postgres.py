"""The PostgreSQL store beyond the suite: schemas, locks, many processes, a server that falls over."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lash_conformance.bench import Bench, owner, request, scratch
from lash_conformance.history import Call, explained, smallest, told
from lash_conformance.race import Race
from lash_conformance.rules_lane import OWNERS
from lash_conformance.target import TargetFault, load
from lash_conformance.targets import postgres_server
from lash_conformance.targets.postgres import PostgresTarget
from lash_conformance.targets.postgres_server import Server
from lash_conformance.vocabulary import chain, commit, spent, stamp
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import (
    Backend,
    HeadRevisionConflict,
    InvalidRecord,
    UnreadableRecord,
    UnsupportedDatabaseSchema,
)
from lash_ref.lease import Acquired
from lash_ref.nodes import Append, FullGraph
from lash_ref.postgres_rows import key, lock_number
from lash_ref.postgres_store import Patience, PostgresStoreFactory, PostgresTransactions, Undone, patiently
from lash_ref.records import RuntimeCommit, RuntimeCommitResult

WORKER = Path(__file__).with_name("postgres_worker.py")


async def holding(store: RuntimePersistence, session_id: str = "s1") -> Acquired:
    taken = await store.try_claim_session_execution_lease(session_id, owner(), 10**9)
    assert isinstance(taken, Acquired)
    return taken


def turn(lease: Acquired, *nodes: str, expects: int | None = None) -> RuntimeCommit:
    made = Append(nodes=chain(*nodes) if nodes else (), leaf_node_id=nodes[-1] if nodes else None)
    return commit(
        lease.fence(), made, session_id=lease.session_id,
        expected_head_revision=expects, usage_deltas=(spent(input_tokens=1),),
    )  # fmt: skip


@pytest.fixture
def schema() -> str:
    return f"t{uuid.uuid4().hex}"


def spoil(server: Server, schema: str, *statements: str) -> None:
    with psycopg.connect(server.dsn, autocommit=True, options=f"-c search_path={schema}") as connection:
        for statement in statements:
            connection.execute(statement.encode())


# -- the schema


def test_first_opens_at_once_all_succeed(server: Server, schema: str) -> None:
    async def opened() -> None:
        factory = PostgresStoreFactory(PostgresTransactions(server.dsn, schema))
        await factory.create_store(request())
        await factory.close()

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(asyncio.run, opened()) for _ in range(8)]:
            done.result()


@pytest.mark.parametrize(
    ("statement", "refusal", "found"),
    [
        ("UPDATE schema_version SET version = 2", UnsupportedDatabaseSchema, {"actual": 2, "expected": 1}),
        ("DROP TABLE schema_version", UnsupportedDatabaseSchema, {"actual": 0, "expected": 1}),
        ("DELETE FROM schema_version", UnreadableRecord, {"record_kind": "database"}),
        ("DROP TABLE inputs", UnreadableRecord, {"record_kind": "database"}),
    ],
)
def test_another_schema_is_refused_and_left_alone(
    server: Server, schema: str, statement: str, refusal: type[Exception], found: dict[str, Any]
) -> None:
    def tables() -> list[Any]:
        with psycopg.connect(server.dsn) as connection:
            sql = "SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY 1"
            return connection.execute(sql, (schema,)).fetchall()

    async def main() -> None:
        factory = PostgresStoreFactory(PostgresTransactions(server.dsn, schema))
        await factory.create_store(request())
        await factory.close()
        spoil(server, schema, statement)
        before = tables()
        with pytest.raises(refusal) as caught:
            await factory.create_store(request())
        assert found.items() <= caught.value.fields.items()
        assert tables() == before

    asyncio.run(main())


def test_tables_of_somebody_else_are_no_empty_schema(server: Server, schema: str) -> None:
    spoil(server, schema, f"CREATE SCHEMA {schema}", f"CREATE TABLE {schema}.theirs (x integer)")

    async def main() -> None:
        with pytest.raises(UnsupportedDatabaseSchema):
            await PostgresStoreFactory(PostgresTransactions(server.dsn, schema)).create_store(request())

    asyncio.run(main())


def test_an_empty_schema_made_beforehand_is_used(server: Server, schema: str) -> None:
    spoil(server, schema, f"CREATE SCHEMA {schema}")

    async def main() -> None:
        factory = PostgresStoreFactory(PostgresTransactions(server.dsn, schema))
        await factory.create_store(request())
        await factory.close()

    asyncio.run(main())


def test_a_database_that_is_not_utf8_is_refused(server: Server, schema: str) -> None:
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {schema} ENCODING 'SQL_ASCII' TEMPLATE template0".encode())

    async def main() -> None:
        transactions = PostgresTransactions(server.dsn.replace("dbname=postgres", f"dbname={schema}"), "lash")
        with pytest.raises(Backend, match="UTF8"):
            await PostgresStoreFactory(transactions).create_store(request())

    asyncio.run(main())


@pytest.mark.parametrize("name", ["", "x" * 64, "é" * 32, "a\0b"])
def test_a_schema_name_that_the_server_would_cut_is_refused(name: str) -> None:
    with pytest.raises(InvalidRecord):
        PostgresTransactions("", name)


def test_a_server_that_is_not_there_is_a_typed_error() -> None:
    async def main() -> None:
        transactions = PostgresTransactions("host=/nonexistent", patience=Patience(connection_s=0.2))
        with pytest.raises(Backend):
            await PostgresStoreFactory(transactions).create_store(request())

    asyncio.run(main())


def test_long_ids_never_pass_for_one_another() -> None:
    long = "x" * 65
    assert key("x" * 64) == "x" * 64
    assert key(long).startswith("sha256:")
    assert key(key(long)) != key(long)
    assert key("a\0b") != key("ab")


# -- locks and faults


def test_a_commit_that_waited_in_vain_says_what_it_lost(server: Server, schema: str) -> None:
    async def main() -> None:
        factory = PostgresStoreFactory(
            PostgresTransactions(server.dsn, schema, patience=Patience(lock_s=0.05))
        )
        store = await factory.create_store(request())
        lease = await holding(store)
        await store.commit_runtime_state(turn(lease, "a", expects=0))
        with psycopg.connect(server.dsn, autocommit=True) as other:
            other.execute("SELECT pg_advisory_lock(%s)", (lock_number(schema, "s1"),))
            with pytest.raises(HeadRevisionConflict):
                await store.commit_runtime_state(turn(lease, expects=0))
            with pytest.raises(Backend):
                await store.commit_runtime_state(turn(lease, expects=1))
            assert await store.load_session(FullGraph()) is not None, "readers wait for nobody"
        await factory.close()

    asyncio.run(main())


def test_sessions_do_not_wait_for_one_another(server: Server, schema: str) -> None:
    async def main() -> None:
        transactions = PostgresTransactions(server.dsn, schema, patience=Patience(lock_s=0.05))
        async with transactions.begin(write=True) as one, transactions.begin(write=True) as two:
            assert await one.lease("a") is None
            assert await two.lease("b") is None
            with pytest.raises(psycopg.errors.LockNotAvailable):
                await two.lease("a")
        await transactions.close()

    with pytest.raises(Backend):
        asyncio.run(main())


def test_a_deadlock_is_broken_and_the_loser_repeated(server: Server, schema: str) -> None:
    begun: list[str] = []

    async def main() -> None:
        transactions = PostgresTransactions(server.dsn, schema)
        both = asyncio.Barrier(2)

        async def crossing(first: str, second: str) -> None:
            begun.append(first)
            async with transactions.begin(write=True) as rows:
                await rows.lease(first)
                if len(begun) <= 2:
                    await both.wait()
                await rows.lease(second)

        await asyncio.gather(patiently(lambda: crossing("a", "b")), patiently(lambda: crossing("b", "a")))
        await transactions.close()

    asyncio.run(main())
    assert len(begun) == 3, "two began, and the one that PostgreSQL undid began again"


def test_a_client_that_stops_inside_a_unit_loses_its_locks(server: Server, schema: str) -> None:
    async def main() -> None:
        stopped = PostgresTransactions(server.dsn, schema, patience=Patience(idle_s=0.2))
        with pytest.raises(Undone):
            async with stopped.begin(write=True) as rows:
                await rows.lease("s1")
                factory = PostgresStoreFactory(PostgresTransactions(server.dsn, schema))
                await holding(await factory.create_store(request()))
                await factory.close()
                await rows.lease("s1")
        await stopped.close()

    asyncio.run(main())


def test_no_statement_reads_the_history(server: Server, schema: str) -> None:
    async def touched(rows: Any) -> int:
        cursor = await rows.connection.execute(
            "SELECT sum(seq_tup_read)::int + sum(idx_tup_fetch)::int FROM pg_stat_xact_user_tables"
            " WHERE schemaname = %s AND relname IN ('nodes', 'inputs', 'batches')",
            (schema,),
        )
        return (await cursor.fetchall())[0][0]

    async def main() -> None:
        transactions = PostgresTransactions(server.dsn, schema, connections=1)
        factory = PostgresStoreFactory(transactions)
        store = await factory.create_store(request())
        lease = await holding(store)
        for number in range(12):
            await store.commit_runtime_state(turn(lease, f"early{number}"))
        await store.commit_runtime_state(turn(lease, *(f"n{number}" for number in range(5000))))
        await store.commit_runtime_state(turn(lease, "a", "b", "c"))
        for number in range(8):
            async with transactions.begin(write=True) as rows:
                before = await touched(rows)
                assert [found.node_id for found in await rows.path("s1", "c")] == ["c", "b", "a"]
                assert await rows.live("s1", ["a", "z", "n7"]) == {"a", "n7"}
                await rows.add_nodes("s1", chain(f"x{number}", f"y{number}"))
                assert await rows.tombstone("s1", [f"x{number}"]) == 1
                assert await rows.waiting_inputs("s1") == await rows.batches("s1") == []
                assert 5 <= await touched(rows) - before <= 20
        await factory.close()

    asyncio.run(main())


def test_a_unit_that_failed_is_never_taken_for_kept(
    server: Server, schema: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        transactions = PostgresTransactions(server.dsn, schema)
        with pytest.raises(Backend):
            async with transactions.begin(write=True) as rows:
                await rows.add_nodes("s1", chain("a"))
                await rows.add_nodes("s1", chain("a"))
        with pytest.raises(Backend):
            async with transactions.begin(write=True) as rows:
                await rows.add_nodes("s1", chain("a", "a"))
                await rows.head("s1")
        async with transactions.begin(write=False) as rows:
            assert await rows.nodes("s1") == []
        caplog.clear()
        with pytest.raises(LookupError):
            async with transactions.begin(write=True) as rows:
                await rows.add_nodes("s1", chain("b"))
                raise LookupError
        async with transactions.begin(write=False) as rows:
            assert await rows.nodes("s1") == []
        await transactions.close()
        assert caplog.records == [], "a refusal is no news to the driver"

    asyncio.run(main())


def test_a_caller_that_gives_up_leaves_no_lock_and_no_connection_behind(
    server: Server, schema: str
) -> None:
    async def main() -> None:
        factory = PostgresStoreFactory(PostgresTransactions(server.dsn, schema, connections=1))
        store = await factory.create_store(request())
        lease = await holding(store)
        with psycopg.connect(server.dsn, autocommit=True) as other:
            other.execute("SELECT pg_advisory_lock(%s)", (lock_number(schema, "s1"),))
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await store.commit_runtime_state(turn(lease, "a"))
        assert (await store.commit_runtime_state(turn(lease, "a", expects=0))).head_revision == 1
        await factory.close()

    asyncio.run(main())


# -- many processes


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
            referee = await race.client("referee")
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


# -- a server that falls over


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


# -- the target and the extra


def test_a_named_server_is_judged_and_left_as_it_was(server: Server) -> None:
    def schemas() -> list[Any]:
        with psycopg.connect(server.dsn) as connection:
            return connection.execute("SELECT nspname FROM pg_namespace ORDER BY 1").fetchall()

    before = schemas()
    done = subprocess.run(
        [sys.executable, "-m", "lash_conformance", "run", "--target", f"postgres:{server.dsn}", "--select",
         "LEA.1,REC.30,ATT.1", "--report", str(scratch())],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert schemas() == before


def test_a_server_that_cannot_be_reached_is_no_target() -> None:
    with pytest.raises(TargetFault, match="no PostgreSQL server at"):
        load("postgres:host=/nonexistent")


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("import lash_ref.postgres_store", "pip install 'lash-ref[postgres]'"),
        ("from lash_conformance.target import load; load('postgres')", "pip install 'lash-ref[postgres]'"),
    ],
)
def test_without_the_extra_the_error_says_what_to_install(script: str, told: str) -> None:
    block = "import sys; sys.modules['psycopg'] = None; "
    done = subprocess.run([sys.executable, "-c", block + script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert told in done.stderr.splitlines()[-1]


def test_nothing_else_needs_the_extra() -> None:
    script = (
        "import sys, pkgutil, importlib, lash_ref, lash_conformance.cli, lash_conformance.suite\n"
        "for one in pkgutil.iter_modules(lash_ref.__path__):\n"
        "    if not one.name.startswith('postgres_'):\n"
        "        importlib.import_module('lash_ref.' + one.name)\n"
        "assert not [name for name in sys.modules if name.startswith('psycopg')]"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
