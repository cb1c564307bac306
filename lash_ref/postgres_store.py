"""The PostgreSQL store: one schema a place, one transaction an operation, any number of machines.

Needs the extra: ``pip install 'lash-ref[postgres]'``. The connection string should reach the server directly,
or through a pooler that keeps a connection to one client for its life.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

from lash_ref.contracts import Clock, ProcessEvidence, RuntimePersistence
from lash_ref.errors import Backend, InvalidRecord, LashError, UnreadableRecord, UnsupportedDatabaseSchema
from lash_ref.postgres_schema import SCHEMA, SCHEMA_VERSION, TABLES
from lash_ref.records import SessionStoreCreateRequest
from lash_ref.rows import Rows
from lash_ref.segment import Contended, Mint
from lash_ref.store import Store, StoreFactory, random_mint

try:
    import psycopg
    from psycopg import AsyncConnection, errors, sql
    from psycopg_pool import AsyncConnectionPool, PoolClosed

    from lash_ref.postgres_rows import PostgresRows, lock_number
except ImportError as err:
    raise ImportError(f"the PostgreSQL store needs its extra: pip install 'lash-ref[postgres]' ({err})") from err

SCHEMA_NAME = "lash"
_NAME_BYTES = 63
"""PostgreSQL cuts a longer name off without a word, so that two would be one."""

_TRANSACTION_TIMEOUT = 170_000
_ATTEMPTS = 8
_FIRST_PAUSE_S = 0.005

_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"


class Patience(NamedTuple):
    """How long an operation waits, in seconds, before it gives up; each wait ends in a typed error."""

    connection_s: float = 15.0
    """For a connection to the server."""
    lock_s: float = 15.0
    """For another writer of the same session: ``lock_timeout``."""
    statement_s: float = 60.0
    """For one statement: ``statement_timeout``."""
    idle_s: float = 60.0
    """For the next statement of a transaction whose client has stopped: it is undone, its locks are free."""
    unit_s: float = 120.0
    """For a whole transaction: ``transaction_timeout``, which PostgreSQL has since version 17."""


class Undone(Contended):
    """PostgreSQL undid a unit, or lost it before its commit was sent: repeating it is safe."""


class PostgresTransactions:
    """A pool of connections on one schema of one database, opened by the first transaction."""

    def __init__(
        self, dsn: str, schema: str = SCHEMA_NAME, connections: int = 8, patience: Patience | None = None
    ) -> None:
        if not 0 < len(schema.encode()) <= _NAME_BYTES or "\0" in schema:
            raise InvalidRecord("PostgresTransactions", "schema", f"1 to {_NAME_BYTES} bytes, no NUL", schema)
        self.dsn = dsn
        self.schema = schema
        self.connections = connections
        self.patience = patience or Patience()
        self._opening = asyncio.Lock()
        self._pool: AsyncConnectionPool | None = None

    async def pool(self) -> AsyncConnectionPool:
        """The pool, on a schema of this build's version, created when there is none.

        Raises:
            UnsupportedDatabaseSchema: the schema is of another version; it is left as it is.
            UnreadableRecord: the schema lacks tables, or says no version.
            Backend: the server cannot be reached, or does not keep text as UTF-8.
        """
        async with self._opening:
            if self._pool is None:
                opened: AsyncConnectionPool = AsyncConnectionPool(
                    self.dsn, kwargs={"autocommit": True}, min_size=0, max_size=self.connections,
                    timeout=self.patience.connection_s, configure=self._configure, open=False,
                )  # fmt: skip
                await opened.open()
                try:
                    async with opened.connection() as connection:
                        await prepare(connection, self.schema)
                except BaseException:
                    await opened.close()
                    raise
                self._pool = opened
            return self._pool

    async def _configure(self, connection: AsyncConnection) -> None:
        settings = {
            "search_path": sql.Identifier(self.schema).as_string(connection),
            "client_encoding": "UTF8",
            "lock_timeout": f"{self.patience.lock_s * 1000:.0f}",
            "statement_timeout": f"{self.patience.statement_s * 1000:.0f}",
            "idle_in_transaction_session_timeout": f"{self.patience.idle_s * 1000:.0f}",
            # A plan kept from when the tables were small would read the whole history once they have grown.
            "plan_cache_mode": "force_custom_plan",
        }
        if connection.info.server_version >= _TRANSACTION_TIMEOUT:
            settings["transaction_timeout"] = f"{self.patience.unit_s * 1000:.0f}"
        await connection.execute(
            "SELECT " + ", ".join("set_config(%s, %s, false)" for _ in settings),
            [part for setting in settings.items() for part in setting],
        )

    @asynccontextmanager
    async def begin(self, write: bool) -> AsyncGenerator[Rows]:
        """A unit: a writer sees what was committed before its locks, a reader sees one snapshot.

        Statements are sent without waiting for the answers of those before, unless a rule needs one.

        Raises:
            Undone: PostgreSQL broke a deadlock with it, or the connection was lost before the commit was sent.
            Contended: another writer of the session kept its lock for too long.
            Backend: anything else; when the connection was lost while committing, whether it was kept is not
                known, and a commit that carries a stamp may be repeated to learn it.
        """
        sent = False
        try:
            pool = await self.pool()
            connection = await pool.getconn()
            try:
                async with connection.pipeline() as pipeline:
                    await connection.execute(_WRITE if write else _READ)
                    yield PostgresRows(connection, pipeline, self.schema, write)
                    sent = True
                    ended = await connection.execute("COMMIT")
                if ended.statusmessage != "COMMIT":
                    raise Backend(f"{self.schema}: the unit had failed and was undone: {ended.statusmessage}")
            except BaseException:
                # Locks are let go here and now; a connection that broke is the pool's to replace.
                with suppress(psycopg.Error):
                    await connection.rollback()
                raise
            finally:
                await pool.putconn(connection)
        except (psycopg.Error, OSError) as err:
            raise self.typed(err, sent) from err

    async def run(self, statement: str, *values: Any) -> list[Any]:
        """One idempotent statement, in a transaction of its own."""
        try:
            pool = await self.pool()
            async with pool.connection() as connection:
                cursor = await connection.execute(statement.encode(), values)
                return await cursor.fetchall() if cursor.description else []
        except (psycopg.Error, OSError) as err:
            raise self.typed(err, sent=False) from err

    def typed(self, err: Exception, sent: bool) -> LashError:
        """The contract's error for what the driver raised."""
        told = f"{self.schema}: {str(err).strip() or type(err).__name__}"
        match err:
            case errors.SerializationFailure() | errors.DeadlockDetected():
                return Undone(told)
            case errors.LockNotAvailable():
                return Contended(told)
            case errors.UndefinedTable() | errors.UndefinedColumn() | errors.InvalidSchemaName():
                return UnreadableRecord("database", self.schema, str(err))
            case errors.DataCorrupted() | errors.IndexCorrupted():
                return UnreadableRecord("database", self.schema, str(err))
            case psycopg.OperationalError() if _is_lost(err) and not sent:
                return Undone(told)
            case _:
                return Backend(told)

    async def close(self) -> None:
        """Close the connections; what was committed stays, and a later call opens them again."""
        async with self._opening:
            pool, self._pool = self._pool, None
            if pool is not None:
                await pool.close()


def _is_lost(err: psycopg.OperationalError) -> bool:
    """Whether a connection broke, or its server shut down; not when none was to be had."""
    return not isinstance(err, PoolClosed | psycopg.errors.QueryCanceled) and (
        err.sqlstate is None or err.sqlstate.startswith(("08", "57P"))
    )


async def prepare(connection: AsyncConnection, schema: str) -> None:
    """Make sure that ``schema`` is this build's, creating it when it holds nothing.

    Creators take turns, and a schema appears whole or not at all.
    """
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise Backend(f"{schema}: the database must keep text as UTF8; it keeps {encoding}")
    if await _is_complete(connection, schema):
        return
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (lock_number("create", schema),))
        if await _is_complete(connection, schema):
            return
        named = sql.Identifier(schema)
        await connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(named))
        await connection.execute(SCHEMA)
        await connection.execute("INSERT INTO schema_version VALUES (%s)", (SCHEMA_VERSION,))


async def _is_complete(connection: AsyncConnection, schema: str) -> bool:
    cursor = await connection.execute(
        "SELECT relname FROM pg_catalog.pg_namespace n"
        " JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
        " WHERE n.nspname = %s",
        (schema,),
    )
    tables = {row[0] for row in await cursor.fetchall()}
    if not tables:
        return False
    if "schema_version" not in tables:
        raise UnsupportedDatabaseSchema(0, SCHEMA_VERSION)
    version = await _version(connection, schema)
    if version != SCHEMA_VERSION:
        raise UnsupportedDatabaseSchema(version, SCHEMA_VERSION)
    if missing := sorted(TABLES - tables):
        raise UnreadableRecord("database", schema, f"no table {', '.join(missing)}")
    return True


async def _version(connection: AsyncConnection, schema: str) -> int:
    try:
        cursor = await connection.execute("SELECT version FROM schema_version")
        rows = await cursor.fetchall()
    except errors.UndefinedColumn as err:
        raise UnreadableRecord("database", schema, "schema_version has no version") from err
    if len(rows) != 1 or not isinstance(rows[0][0], int):
        raise UnreadableRecord("database", schema, f"schema_version holds {rows!r:.60}, not one integer")
    return rows[0][0]


async def patiently(operation: Callable[[], Awaitable[Any]]) -> Any:
    """Run an operation again when PostgreSQL undid it, a few times, after pauses that grow and differ."""
    for attempt in range(_ATTEMPTS - 1):
        try:
            return await operation()
        except Undone:
            await asyncio.sleep(_FIRST_PAUSE_S * 2**attempt * random.uniform(0.5, 1.5))
    return await operation()


class Patient:
    """Runs every public method of a store `patiently`: each is one unit, so a repeat starts over."""

    def __init__(self, inner: object) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._inner, name)

        async def call(*arguments: Any, **named: Any) -> Any:
            return await patiently(lambda: method(*arguments, **named))

        return call


class PostgresStoreFactory(StoreFactory):
    """`SessionStoreFactory` on one schema; what was acknowledged survives a crash of worker or server.

    Leases are timed by each worker's clock: keep the clocks of the machines in step, well within a lease's
    time. The fencing number protects what is stored whatever they say.
    """

    tier = "durable"

    def __init__(
        self,
        transactions: PostgresTransactions,
        clock: Clock | None = None,
        mint: Mint = random_mint,
        evidence: ProcessEvidence | None = None,
        store: type[Store] = Store,
    ) -> None:
        super().__init__(transactions, clock, mint, evidence)
        self.pooled = transactions
        self.store = store

    def bound(self, session_id: str) -> Store:
        """A handle that repeats what PostgreSQL undid."""
        return Patient(super().bound(session_id))  # pyright: ignore[reportReturnType] - every method is passed on by name

    async def create_store(self, request: SessionStoreCreateRequest) -> RuntimePersistence:
        """Open the session's store, seeding its meta when it is new."""
        return await patiently(lambda: super(PostgresStoreFactory, self).create_store(request))

    async def open_existing_store(self, request: SessionStoreCreateRequest) -> RuntimePersistence | None:
        """The session's store, or none when it was never created or was deleted."""
        return await patiently(lambda: super(PostgresStoreFactory, self).open_existing_store(request))

    async def delete_session(self, session_id: str) -> None:
        """Delete everything of the session, in one transaction."""
        await patiently(lambda: super(PostgresStoreFactory, self).delete_session(session_id))

    async def close(self) -> None:
        """Close the connections; a later call opens them again."""
        await self.pooled.close()
