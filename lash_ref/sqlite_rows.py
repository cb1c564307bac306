"""`Rows` over SQLite, on one connection, inside one transaction."""

import sqlite3
from collections.abc import Iterable, Sequence
from types import NoneType
from typing import Any

from lash_ref.sql_rows import NOBODY, Scope, SqlRows
from lash_ref.stored_text import written


class SqliteRows(SqlRows):
    """Nothing here ever suspends, so a thread can run a whole transaction in one go.

    The connection hands text out as bytes: records are decoded by whoever reads the JSON, so that text
    which is no UTF-8 is reported as the record it belongs to.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    async def _all(self, about: Scope, sql: str, *values: Any) -> list[Any]:
        return self.connection.execute(sql, _keys(about, values)).fetchall()

    async def _one(self, about: Scope, sql: str, *values: Any) -> Any:
        return self.connection.execute(sql, _keys(about, values)).fetchone()

    async def _count(self, about: Scope, sql: str, *values: Any) -> int:
        return self.connection.execute(sql, _bound(about, values)).rowcount

    async def _do(self, about: Scope, sql: str, *values: Any) -> None:
        self.connection.execute(sql, _bound(about, values))

    async def _many(self, about: Scope, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self.connection.executemany(sql, [_bound(about, values) for values in rows])

    async def next_sequence(self) -> int:
        row = await self._one(
            NOBODY,
            "INSERT INTO sequences (name, value) VALUES ('enqueue', 1)"
            " ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
        )
        return int(row[0])


_AS_IT_IS = frozenset({str, int, bytes, bool, NoneType})


def _keys(about: Scope, values: Sequence[Any]) -> Sequence[Any]:
    return [about, *values] if isinstance(about, str) else values


def _bound(about: Scope, values: Sequence[Any]) -> list[Any]:
    # By type, as asking whether something is a record is slow where it is none.
    return [value if type(value) in _AS_IT_IS else written(value) for value in _keys(about, values)]
