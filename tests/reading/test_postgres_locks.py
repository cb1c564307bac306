"""Locks and faults of the PostgreSQL store."""

import asyncio
from typing import Any

import psycopg
import pytest
from postgres_kit import holding, turn

from lash_conformance.bench import request
from lash_conformance.targets.postgres_server import Server
from lash_conformance.vocabulary import chain
from lash_ref.errors import (
    Backend,
    HeadRevisionConflict,
)
from lash_ref.nodes import FullGraph
from lash_ref.postgres_rows import lock_number
from lash_ref.postgres_store import Patience, PostgresStoreFactory, PostgresTransactions, Undone, patiently

pytestmark = pytest.mark.long(40)


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
