"""The SQLite store: one database file a directory, one transaction an operation.

All sessions of a factory share the file, so deleting a session is one transaction and the roots of all
attachments are one query. Each factory works on one connection in one thread of its own; several factories,
in one process or many, may open one directory at once.
"""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

from lash_ref.contracts import Clock, ProcessEvidence, RuntimePersistence
from lash_ref.errors import Backend, LashError, UnreadableRecord, UnsupportedDatabaseSchema
from lash_ref.records import DurabilityTier, SessionStoreCreateRequest
from lash_ref.rows import Rows
from lash_ref.segment import Contended, Mint
from lash_ref.sqlite_rows import SqliteRows
from lash_ref.sqlite_schema import SCHEMA, SCHEMA_VERSION
from lash_ref.store import Store, StoreFactory, random_mint

P = ParamSpec("P")
T = TypeVar("T")

DATABASE_NAME = "lash.db"
BUSY_TIMEOUT_S = 15.0
"""How long a writer waits for another's transaction before it gives up with `Backend`."""
LOG_PAGES = 100
"""When the write-ahead log starts over: a log that is overwritten syncs faster than one that makes its file grow."""


class SqliteTransactions:
    """One connection, opened by the first transaction."""

    def __init__(self, directory: Path, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self.path = directory / DATABASE_NAME
        self.busy_timeout_s = busy_timeout_s
        self._connection: sqlite3.Connection | None = None

    def connection(self) -> sqlite3.Connection:
        """The connection, on a database of this build's schema.

        Raises:
            UnsupportedDatabaseSchema: the file is of another version; it is left as it is.
            UnreadableRecord: the file is no database.
        """
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            opened = sqlite3.connect(
                self.path, timeout=self.busy_timeout_s, isolation_level=None, check_same_thread=False
            )
            opened.text_factory = bytes
            try:
                _prepare(opened, self.busy_timeout_s)
            except BaseException:
                opened.close()
                raise
            self._connection = opened
        return self._connection

    def begin(self, write: bool) -> "SqliteTransaction":
        """``BEGIN IMMEDIATE`` for writers, so that what they read is what they overwrite."""
        return SqliteTransaction(self, "BEGIN IMMEDIATE" if write else "BEGIN")

    def typed(self, err: Exception) -> LashError:
        """What SQLite or the file system said, as the contract's error."""
        code = _primary_code(err)
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or "no such table" in str(err):
            return UnreadableRecord("database", self.path.name, str(err))
        if code == sqlite3.SQLITE_BUSY:
            return Contended(f"{self.path.name}: {err}")
        return Backend(f"{self.path.name}: {err}")

    def close(self) -> None:
        """Close the connection; what was committed stays."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class SqliteTransaction:
    """One transaction, kept when the block ends and undone when it raises."""

    def __init__(self, transactions: SqliteTransactions, begin: str) -> None:
        self.transactions = transactions
        self.begin = begin

    async def __aenter__(self) -> Rows:
        try:
            self.connection = self.transactions.connection()
            self.connection.execute(self.begin)
        except (sqlite3.Error, OSError) as err:
            raise self.transactions.typed(err) from err
        return SqliteRows(self.connection)

    async def __aexit__(self, kind: object, err: BaseException | None, trace: object) -> None:
        try:
            try:
                if err is None:
                    self.connection.execute("COMMIT")
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
        except sqlite3.Error as failed:
            raise self.transactions.typed(failed) from failed
        if isinstance(err, (sqlite3.Error, OSError)):
            raise self.transactions.typed(err) from err


def _primary_code(err: Exception) -> int:
    return getattr(err, "sqlite_errorcode", 0) & 0xFF


def _enter_wal(connection: sqlite3.Connection, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as err:
            # Two openers that switch at once would deadlock, so SQLite refuses one without waiting.
            if _primary_code(err) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return


def _prepare(connection: sqlite3.Connection, patience_s: float) -> None:
    connection.execute("BEGIN")
    is_new = _is_new(connection)
    connection.execute("COMMIT")
    _enter_wal(connection, patience_s)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
    if not is_new:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _is_new(connection):
            for statement in _statements(SCHEMA):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _is_new(connection: sqlite3.Connection) -> bool:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if version == SCHEMA_VERSION:
        return False
    if version or tables:
        raise UnsupportedDatabaseSchema(version, SCHEMA_VERSION)
    return True


def _statements(script: str) -> list[str]:
    bare = "\n".join(line for line in script.splitlines() if not line.startswith("--"))
    return [statement for statement in bare.split(";") if statement.strip()]


def driven(operation: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never suspends, run where it is called.

    The rules are written as coroutines because some backends await; over SQLite's rows nothing does, so a
    worker thread can run a whole transaction in one go.
    """
    try:
        operation.send(None)
    except StopIteration as done:
        return done.value
    operation.close()
    raise Backend("a rule over SQLite's rows suspended")


class Worker:
    """The one thread in which a factory's connection works; half an executor's cost a call."""

    def __init__(self, transactions: SqliteTransactions) -> None:
        self.transactions = transactions
        self.loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._asked: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    async def run(
        self, operation: Callable[P, Coroutine[Any, Any, T]], *arguments: P.args, **named: P.kwargs
    ) -> T:
        """Run a whole operation in the thread; it runs to its end even when the waiter is cancelled."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="lash-sqlite", daemon=True)
            self._thread.start()
        self.loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = self.loop.create_future()
        self._asked.put(partial(_answer, answer, operation, *arguments, **named))
        return await answer

    def _work(self) -> None:
        while (asked := self._asked.get()) is not None:
            asked()

    async def close(self) -> None:
        """Close the connection and end the thread."""

        async def closed() -> None:
            self.transactions.close()

        if self._thread is not None:
            await self.run(closed)
            thread, self._thread = self._thread, None
            self._asked.put(None)
            thread.join()


def _answer(
    answer: "asyncio.Future[T]",
    operation: Callable[P, Coroutine[Any, Any, T]],
    *arguments: P.args,
    **named: P.kwargs,
) -> None:
    told: tuple[Callable[[Any], None], Any]
    try:
        told = answer.set_result, driven(operation(*arguments, **named))
    except BaseException as err:
        told = answer.set_exception, err
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        answer.get_loop().call_soon_threadsafe(_tell, answer, *told)


def _tell(answer: "asyncio.Future[T]", tell: Callable[[Any], None], told: Any) -> None:
    if not answer.done():
        tell(told)


class EvidenceOnLoop:
    """Asks the host's evidence in the host's event loop, while the worker waits between transactions."""

    def __init__(self, evidence: ProcessEvidence, worker: Worker) -> None:
        self.evidence = evidence
        self.worker = worker

    async def process_is_gone(self, process_id: str) -> bool:
        """The host's answer; not gone when none comes in time."""
        if self.worker.loop is None:
            return False
        asked = self.evidence.process_is_gone(process_id)
        try:
            return asyncio.run_coroutine_threadsafe(asked, self.worker.loop).result(BUSY_TIMEOUT_S)
        except TimeoutError:
            return False


class OnWorker:
    """Runs every public coroutine method of what it wraps in the factory's thread."""

    def __init__(self, inner: object, worker: Worker) -> None:
        self._inner = inner
        self._worker = worker

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        return partial(self._worker.run, getattr(self._inner, name))


class SqliteStoreFactory:
    """`SessionStoreFactory` on a directory; what was acknowledged survives a crash of the process or machine."""

    def __init__(
        self,
        directory: Path,
        clock: Clock | None = None,
        mint: Mint = random_mint,
        evidence: ProcessEvidence | None = None,
        store: type[Store] = Store,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
    ) -> None:
        transactions = SqliteTransactions(directory, busy_timeout_s)
        self.worker = Worker(transactions)
        asked = EvidenceOnLoop(evidence, self.worker) if evidence is not None else None
        self.rules = StoreFactory(transactions, clock, mint, asked)
        self.rules.tier = "durable"
        self.rules.store = store

    def _handle(self, session_id: str) -> RuntimePersistence:
        return OnWorker(self.rules.bound(session_id), self.worker)  # pyright: ignore[reportReturnType] - every method is passed on by name

    async def durability_tier(self) -> DurabilityTier:
        """Durable."""
        return "durable"

    async def create_store(self, request: SessionStoreCreateRequest) -> RuntimePersistence:
        """Open the session's store, seeding its meta when it is new."""
        await self.worker.run(self.rules.create_store, request)
        return self._handle(request.session_id)

    async def open_existing_store(self, request: SessionStoreCreateRequest) -> RuntimePersistence | None:
        """The session's store, or none when it was never created or was deleted."""
        found = await self.worker.run(self.rules.open_existing_store, request)
        return None if found is None else self._handle(request.session_id)

    async def delete_session(self, session_id: str) -> None:
        """Delete everything of the session, in one transaction."""
        await self.worker.run(self.rules.delete_session, session_id)

    async def live_attachment_refs(self, intent_grace_cutoff_epoch_ms: int) -> frozenset[str]:
        """Reconcile every session's dead intents, then answer every id still referred to."""
        return await self.worker.run(self.rules.live_attachment_refs, intent_grace_cutoff_epoch_ms)

    async def has_live_attachment_ref(self, attachment_id: str, intent_grace_cutoff_epoch_ms: int) -> bool:
        """Whether any session's row would keep these bytes alive; deletes nothing."""
        return await self.worker.run(
            self.rules.has_live_attachment_ref, attachment_id, intent_grace_cutoff_epoch_ms
        )

    async def close(self) -> None:
        """Close the connection and end the thread; a later call opens them again."""
        await self.worker.close()
