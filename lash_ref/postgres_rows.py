"""`Rows` over PostgreSQL: the statements of `SqlRows`, under locks that make writers of one session take turns."""

import functools
import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from psycopg import AsyncConnection, AsyncPipeline

from lash_ref.scalars import Record
from lash_ref.sql_rows import NOBODY, PLACE, About, Scope, SqlRows
from lash_ref.stored_text import written

KEY_BYTES = 64
"""A longer id is kept as its digest."""


def key(text: str) -> str:
    """What stands for ``text`` in a key column: itself, or its SHA-256 when it is long or holds a NUL.

    A digest is longer than any id that stands for itself, so that no id can pass for another's digest.
    """
    data = text.encode()
    if len(data) <= KEY_BYTES and b"\0" not in data:
        return text
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def lock_number(*names: str) -> int:
    """The advisory lock of a name: 64 bits of its digest. Two names that share one wait needlessly, no more."""
    digest = hashlib.sha256("\0".join(names).encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


@functools.cache
def _dialect(sql: str) -> bytes:
    return sql.replace("?", "%s").encode()


class PostgresRows(SqlRows):
    """One transaction's rows on one connection.

    Before a writer's first statement about a session it takes the session's advisory lock, also when the
    session has no row yet, and keeps it to the end of the transaction; it shares the place's lock, which a
    writer of every session's rows takes alone. Each later statement sees what was committed before the lock
    was granted, so writers of a session run as if one after the other, and sessions do not wait for each
    other. Readers read one snapshot and take no lock.
    """

    def __init__(
        self, connection: AsyncConnection, pipeline: AsyncPipeline, schema: str, write: bool
    ) -> None:
        self.connection = connection
        self.pipeline = pipeline
        self.schema = schema
        self.locks = write
        self.entered: set[Scope] = set()

    def key(self, text: str) -> str:
        return key(text)

    async def _enter(self, about: Scope) -> None:
        if not self.locks or about is NOBODY or about in self.entered or PLACE in self.entered:
            return
        place = lock_number(self.schema)
        if isinstance(about, About):
            await self.connection.execute("SELECT pg_advisory_xact_lock(%s)", (place,))
        else:
            session = lock_number(self.schema, about)
            await self.connection.execute(
                "SELECT pg_advisory_xact_lock_shared(%s), pg_advisory_xact_lock(%s)", (place, session)
            )
        self.entered.add(about)

    async def _all(self, about: Scope, sql: str, *values: Any) -> list[Any]:
        await self._enter(about)
        cursor = await self.connection.execute(_dialect(sql), _bound(about, values))
        # Without a sync the server would take a client that stops here for a busy one, and never time it out.
        await self.pipeline.sync()
        return await cursor.fetchall()

    async def _count(self, about: Scope, sql: str, *values: Any) -> int:
        counted = f"WITH touched AS ({sql} RETURNING 1) SELECT count(*) FROM touched"  # noqa: S608 - a statement of SqlRows
        return (await self._one(about, counted, *values))[0]

    async def _many(self, about: Scope, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        await self._enter(about)
        for values in rows:
            await self.connection.execute(_dialect(sql), _bound(about, values))

    async def next_sequence(self) -> int:
        return (await self._one(NOBODY, "SELECT nextval('enqueued')"))[0]


def _bound(about: Scope, values: Sequence[Any]) -> list[Any]:
    given = [about, *values] if isinstance(about, str) else values
    return [_parameter(value) for value in given]


def _parameter(value: Any) -> Any:
    match value:
        case Record():
            return written(value)
        case str():
            return key(value)
        case _:
            return value
