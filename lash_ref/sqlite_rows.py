"""`Rows` over SQLite: records as JSON text, beside the columns that queries need."""

import sqlite3
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from lash_ref.errors import UnreadableRecord
from lash_ref.lease import LeaseOwnerIdentity
from lash_ref.records import (
    HEAD_SCHEMA_VERSION,
    AttachmentManifestEntry,
    SessionHeadMeta,
    SessionMeta,
    SessionNodeRecord,
    TokenLedgerEntry,
    TokenUsage,
)
from lash_ref.rows import BatchRow, InputRow, LeaseRow, Rows, StampRow
from lash_ref.scalars import Record
from lash_ref.sqlite_schema import KEYED_BY_SESSION
from lash_ref.versions import versioned

R = TypeVar("R", bound=Record)

_NODE: TypeAdapter[SessionNodeRecord] = TypeAdapter(SessionNodeRecord)
_OWNER: TypeAdapter[LeaseOwnerIdentity] = TypeAdapter(LeaseOwnerIdentity)


def _read(kind: type[R], text: Any, stored_as: str, record_id: Any) -> R:
    try:
        return kind.model_validate_json(text)
    except (ValidationError, TypeError) as err:
        raise UnreadableRecord(stored_as, _shown(record_id), _first(err)) from err


def _node(text: Any, node_id: Any) -> SessionNodeRecord:
    try:
        return _NODE.validate_json(text)
    except (ValidationError, TypeError) as err:
        raise UnreadableRecord("node", _shown(node_id), _first(err)) from err


def _shown(record_id: Any) -> str:
    return record_id.decode("utf-8", "replace") if isinstance(record_id, bytes) else str(record_id)


def _first(err: ValidationError | TypeError) -> str:
    if isinstance(err, TypeError):
        return "not text"
    fault = err.errors(include_url=False)[0]
    where = ".".join(map(str, fault["loc"])) or "record"
    return f"{where}: {fault['msg']}"


class SqliteRows(Rows):
    """`Rows` on one connection, inside one transaction; nothing here ever suspends.

    The connection hands text out as bytes: records are decoded by whoever reads the JSON, so that text
    which is no UTF-8 is reported as the record it belongs to.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def _all(self, sql: str, *values: Any) -> list[Any]:
        return self.connection.execute(sql, values).fetchall()

    def _one(self, sql: str, *values: Any) -> Any:
        return self.connection.execute(sql, values).fetchone()

    def _do(self, sql: str, *values: Any) -> int:
        return self.connection.execute(sql, values).rowcount

    # -- head and graph

    async def head(self, session_id: str) -> SessionHeadMeta | None:
        row = self._one("SELECT record FROM heads WHERE session_id = ?", session_id)
        return None if row is None else self._head(session_id, row[0])

    async def heads(self) -> list[SessionHeadMeta]:
        rows = self._all("SELECT session_id, record FROM heads ORDER BY session_id")
        return [self._head(session_id, text) for session_id, text in rows]

    def _head(self, session_id: Any, text: Any) -> SessionHeadMeta:
        return versioned(SessionHeadMeta, text, HEAD_SCHEMA_VERSION, "head", _shown(session_id))

    async def put_head(self, head: SessionHeadMeta) -> None:
        self._do("INSERT OR REPLACE INTO heads VALUES (?, ?)", head.session_id, head.to_json())

    async def nodes(self, session_id: str) -> list[SessionNodeRecord]:
        rows = self._all(
            "SELECT node_id, record FROM nodes WHERE session_id = ? AND NOT hidden ORDER BY position",
            session_id,
        )
        return [_node(text, node_id) for node_id, text in rows]

    async def node(self, session_id: str, node_id: str) -> SessionNodeRecord | None:
        row = self._one(
            "SELECT record FROM nodes WHERE session_id = ? AND node_id = ? AND NOT hidden",
            session_id,
            node_id,
        )
        return None if row is None else _node(row[0], node_id)

    async def add_nodes(self, session_id: str, nodes: Sequence[SessionNodeRecord]) -> None:
        self.connection.executemany(
            "DELETE FROM nodes WHERE session_id = ? AND node_id = ? AND hidden",
            [(session_id, node.node_id) for node in nodes],
        )
        self.connection.executemany(
            "INSERT INTO nodes (session_id, node_id, record) VALUES (?, ?, ?)",
            [(session_id, node.node_id, node.to_json()) for node in nodes],
        )

    async def clear_nodes(self, session_id: str) -> None:
        self._do("DELETE FROM nodes WHERE session_id = ?", session_id)

    async def tombstone(self, session_id: str, node_ids: Sequence[str]) -> int:
        sql = "UPDATE nodes SET hidden = 1 WHERE session_id = ? AND node_id = ? AND NOT hidden"
        return sum(self._do(sql, session_id, node_id) for node_id in node_ids)

    async def drop_tombstoned(self, session_id: str) -> int:
        return self._do("DELETE FROM nodes WHERE session_id = ? AND hidden", session_id)

    # -- blobs

    async def blob(self, ref: str) -> bytes | None:
        row = self._one("SELECT data FROM blobs WHERE ref = ?", ref)
        return None if row is None else bytes(row[0])

    async def put_blob(self, ref: str, data: bytes) -> None:
        self._do("INSERT OR IGNORE INTO blobs VALUES (?, ?)", ref, data)

    async def blob_refs(self) -> list[str]:
        return [row[0].decode() for row in self._all("SELECT ref FROM blobs ORDER BY ref")]

    async def drop_blobs(self, refs: Sequence[str]) -> None:
        self.connection.executemany("DELETE FROM blobs WHERE ref = ?", [(ref,) for ref in refs])

    # -- ledger, stamps, meta

    async def ledger(self, session_id: str) -> list[TokenLedgerEntry]:
        rows = self._all(
            "SELECT source, model, usage FROM ledger WHERE session_id = ? ORDER BY position",
            session_id,
        )
        return [self._entry(session_id, row[0].decode(), row[1].decode(), row[2]) for row in rows]

    def _entry(self, session_id: str, source: str, model: str, usage: Any) -> TokenLedgerEntry:
        read = _read(TokenUsage, usage, "ledger", f"{session_id}/{source}/{model}")
        return TokenLedgerEntry(source=source, model=model, usage=read)

    async def ledger_entry(self, session_id: str, source: str, model: str) -> TokenLedgerEntry | None:
        row = self._one(
            "SELECT usage FROM ledger WHERE session_id = ? AND source = ? AND model = ?",
            session_id, source, model,
        )  # fmt: skip
        return None if row is None else self._entry(session_id, source, model, row[0])

    async def put_ledger_entry(self, session_id: str, entry: TokenLedgerEntry) -> None:
        self._do(
            "INSERT INTO ledger (session_id, source, model, usage) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (session_id, source, model) DO UPDATE SET usage = excluded.usage",
            session_id, entry.source, entry.model, entry.usage.to_json(),
        )  # fmt: skip

    async def stamp(self, session_id: str, turn_id: str) -> StampRow | None:
        row = self._one("SELECT record FROM stamps WHERE session_id = ? AND turn_id = ?", session_id, turn_id)
        return None if row is None else _read(StampRow, row[0], "turn_commit", turn_id)

    async def stamps(self, session_id: str) -> list[StampRow]:
        rows = self._all("SELECT turn_id, record FROM stamps WHERE session_id = ?", session_id)
        return [_read(StampRow, text, "turn_commit", turn_id) for turn_id, text in rows]

    async def put_stamp(self, row: StampRow) -> None:
        self._do(
            "INSERT INTO stamps VALUES (?, ?, ?, ?)",
            row.session_id, row.turn_id, row.committed_at_ms, row.to_json(),
        )  # fmt: skip

    async def other_turn_since(self, session_id: str, turn_id: str, after_ms: int) -> bool:
        found = self._one(
            "SELECT 1 FROM stamps WHERE session_id = ? AND committed_at_ms > ? AND turn_id <> ? LIMIT 1",
            session_id, after_ms, turn_id,
        )  # fmt: skip
        return found is not None

    async def meta(self, session_id: str) -> SessionMeta | None:
        row = self._one("SELECT record FROM metas WHERE session_id = ?", session_id)
        return None if row is None else _read(SessionMeta, row[0], "meta", session_id)

    async def put_meta(self, meta: SessionMeta) -> None:
        self._do("INSERT OR REPLACE INTO metas VALUES (?, ?)", meta.session_id, meta.to_json())

    # -- lease

    async def lease(self, session_id: str) -> LeaseRow | None:
        row = self._one("SELECT liveness, record FROM leases WHERE session_id = ?", session_id)
        if row is None:
            return None
        lease = _read(LeaseRow, row[1], "lease", session_id)
        try:
            owner = _OWNER.validate_json(row[0])
        except (ValidationError, TypeError):
            return lease
        return lease.but(owner=owner)

    async def put_lease(self, row: LeaseRow) -> None:
        opaque = LeaseOwnerIdentity(owner_id=row.owner.owner_id, incarnation_id=row.owner.incarnation_id)
        self._do(
            "INSERT OR REPLACE INTO leases VALUES (?, ?, ?)",
            row.session_id, row.owner.to_json(), row.but(owner=opaque).to_json(),
        )  # fmt: skip

    # -- queued work

    async def next_sequence(self) -> int:
        row = self._one(
            "INSERT INTO sequences VALUES ('enqueue', 1)"
            " ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value"
        )
        return int(row[0])

    def _batch(self, row: Any) -> BatchRow:
        return _read(BatchRow, row[1], "queued_work", row[0])

    async def batches(self, session_id: str) -> list[BatchRow]:
        sql = "SELECT batch_id, record FROM batches WHERE session_id = ? ORDER BY enqueue_seq"
        return [self._batch(row) for row in self._all(sql, session_id)]

    async def batch(self, session_id: str, batch_id: str) -> BatchRow | None:
        sql = "SELECT batch_id, record FROM batches WHERE session_id = ? AND batch_id = ?"
        row = self._one(sql, session_id, batch_id)
        return None if row is None else self._batch(row)

    async def batch_by_key(self, session_id: str, source_key: str) -> BatchRow | None:
        sql = "SELECT batch_id, record FROM batches WHERE session_id = ? AND source_key = ?"
        row = self._one(sql, session_id, source_key)
        return None if row is None else self._batch(row)

    async def put_batch(self, row: BatchRow) -> None:
        put = row.batch
        self._do(
            "INSERT INTO batches VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (enqueue_seq) DO UPDATE SET record = excluded.record",
            put.enqueue_seq, put.session_id, put.batch_id, put.source_key, row.to_json(),
        )  # fmt: skip

    async def drop_batch(self, session_id: str, batch_id: str) -> None:
        self._do("DELETE FROM batches WHERE session_id = ? AND batch_id = ?", session_id, batch_id)

    # -- pending input

    def _input(self, row: Any) -> InputRow:
        return _read(InputRow, row[1], "turn_input", row[0])

    async def waiting_inputs(self, session_id: str) -> list[InputRow]:
        sql = (
            "SELECT input_id, record FROM inputs WHERE session_id = ?"
            " AND state IN ('pending_active', 'deferred_next_turn') ORDER BY enqueue_seq"
        )
        return [self._input(row) for row in self._all(sql, session_id)]

    async def inputs_from(self, session_id: str, enqueue_seq: int) -> list[InputRow]:
        sql = (
            "SELECT input_id, record FROM inputs WHERE session_id = ? AND enqueue_seq >= ?"
            " ORDER BY enqueue_seq"
        )
        return [self._input(row) for row in self._all(sql, session_id, enqueue_seq)]

    async def input(self, session_id: str, input_id: str) -> InputRow | None:
        sql = "SELECT input_id, record FROM inputs WHERE session_id = ? AND input_id = ?"
        row = self._one(sql, session_id, input_id)
        return None if row is None else self._input(row)

    async def input_by_key(self, session_id: str, source_key: str) -> InputRow | None:
        sql = "SELECT input_id, record FROM inputs WHERE session_id = ? AND source_key = ?"
        row = self._one(sql, session_id, source_key)
        return None if row is None else self._input(row)

    async def put_input(self, row: InputRow) -> None:
        put = row.input
        self._do(
            "INSERT INTO inputs VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (enqueue_seq)"
            " DO UPDATE SET state = excluded.state, record = excluded.record",
            put.enqueue_seq, put.session_id, put.input_id, put.source_key, put.state, row.to_json(),
        )  # fmt: skip

    async def drop_terminal_inputs(self, session_id: str) -> int:
        sql = "DELETE FROM inputs WHERE session_id = ? AND state IN ('cancelled', 'completed')"
        return self._do(sql, session_id)

    # -- attachment manifest

    def _intent(self, row: Any) -> AttachmentManifestEntry:
        return _read(AttachmentManifestEntry, row[1], "attachment_intent", row[0])

    async def intent(self, session_id: str, attachment_id: str) -> AttachmentManifestEntry | None:
        sql = "SELECT attachment_id, record FROM intents WHERE session_id = ? AND attachment_id = ?"
        row = self._one(sql, session_id, attachment_id)
        return None if row is None else self._intent(row)

    async def intents_of(self, attachment_id: str) -> list[AttachmentManifestEntry]:
        sql = "SELECT attachment_id, record FROM intents WHERE attachment_id = ? ORDER BY session_id"
        return [self._intent(row) for row in self._all(sql, attachment_id)]

    async def uncommitted(self, cutoff_ms: int) -> list[AttachmentManifestEntry]:
        sql = (
            "SELECT attachment_id, record FROM intents WHERE NOT committed AND intent_at_ms <= ?"
            " ORDER BY intent_at_ms, session_id, attachment_id"
        )
        return [self._intent(row) for row in self._all(sql, cutoff_ms)]

    async def intents_of_turn(self, session_id: str, turn_id: str) -> list[AttachmentManifestEntry]:
        sql = (
            "SELECT attachment_id, record FROM intents"
            " WHERE session_id = ? AND turn_id = ? AND NOT committed ORDER BY attachment_id"
        )
        return [self._intent(row) for row in self._all(sql, session_id, turn_id)]

    async def put_intent(self, entry: AttachmentManifestEntry) -> None:
        turn_id = entry.owner_id if entry.owner_kind == "turn" else None
        self._do(
            "INSERT OR REPLACE INTO intents VALUES (?, ?, ?, ?, ?, ?)",
            entry.session_id, entry.attachment_id, entry.intent_at_epoch_ms,
            entry.committed_at_epoch_ms is not None, turn_id, entry.to_json(),
        )  # fmt: skip

    async def drop_intent(self, session_id: str, attachment_id: str) -> None:
        self._do("DELETE FROM intents WHERE session_id = ? AND attachment_id = ?", session_id, attachment_id)

    async def all_refs(self) -> list[str]:
        rows = self._all("SELECT attachment_id, record FROM intents ORDER BY attachment_id")
        return list(dict.fromkeys(self._intent(row).attachment_id for row in rows))

    # -- sessions

    async def drop_session(self, session_id: str) -> None:
        for table in KEYED_BY_SESSION:
            self._do(f"DELETE FROM {table} WHERE session_id = ?", session_id)  # noqa: S608 - fixed names
