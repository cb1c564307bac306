"""The PostgreSQL store beyond the suite: its schema, and the target and the extra that come with it."""

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from lash_conformance.bench import request, scratch
from lash_conformance.target import TargetFault, load
from lash_conformance.targets.postgres_server import Server
from lash_ref.errors import (
    Backend,
    InvalidRecord,
    UnreadableRecord,
    UnsupportedDatabaseSchema,
)
from lash_ref.postgres_rows import key
from lash_ref.postgres_store import Patience, PostgresStoreFactory, PostgresTransactions

pytestmark = pytest.mark.long(40)


def spoil(server: Server, schema: str, *statements: str) -> None:
    with psycopg.connect(server.dsn, autocommit=True, options=f"-c search_path={schema}") as connection:
        for statement in statements:
            connection.execute(statement.encode())


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


@pytest.mark.parametrize(
    "judging",
    [
        ("--target", "postgres:{}", "--select", "LEA.1,REC.30,ATT.1"),
        ("--profile", "host", "--target", "reference:postgres:{}", "--select", "SES.1,SES.3,SES.10,SES.73"),
    ],
    ids=["store", "host"],
)
def test_a_named_server_is_judged_and_left_as_it_was(server: Server, judging: tuple[str, ...]) -> None:
    def schemas() -> list[Any]:
        with psycopg.connect(server.dsn) as connection:
            return connection.execute("SELECT nspname FROM pg_namespace ORDER BY 1").fetchall()

    before = schemas()
    done = subprocess.run(
        [sys.executable, "-m", "lash_conformance", "run", *(word.format(server.dsn) for word in judging),
         "--report", str(scratch())],
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
