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
from lash_ref.versions import versioned

R = TypeVar("R", bound=Record)

SCHEMA_VERSION = 1

SCHEMA = """
-- one row a session that ever committed: SessionHeadMeta
CREATE TABLE heads (session_id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
-- the graph; position gives the stored order, hidden marks tombstones
CREATE TABLE nodes (
    position INTEGER PRIMARY KEY, session_id TEXT NOT NULL, node_id TEXT NOT NULL,
    hidden INTEGER NOT NULL DEFAULT 0, record TEXT NOT NULL, UNIQUE (session_id, node_id)
);
CREATE INDEX hidden_nodes ON nodes (session_id) WHERE hidden;
-- checkpoint manifests and their parts, by SHA-256
CREATE TABLE blobs (ref TEXT PRIMARY KEY, data BLOB NOT NULL);
-- token usage summed by source and model; position gives the first-seen order
CREATE TABLE ledger (
    position INTEGER PRIMARY KEY, session_id TEXT NOT NULL, source TEXT NOT NULL, model TEXT NOT NULL,
    usage TEXT NOT NULL, UNIQUE (session_id, source, model)
);
-- committed turns: StampRow
CREATE TABLE stamps (
    session_id TEXT NOT NULL, turn_id TEXT NOT NULL, committed_at_ms INTEGER NOT NULL,
    record TEXT NOT NULL, PRIMARY KEY (session_id, turn_id)
) WITHOUT ROWID;
CREATE INDEX stamps_by_time ON stamps (session_id, committed_at_ms);
-- SessionMeta
CREATE TABLE metas (session_id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
-- the lane of each session, kept after release with its number; the owner's liveness apart
CREATE TABLE leases (
    session_id TEXT PRIMARY KEY, liveness TEXT NOT NULL, record TEXT NOT NULL
) WITHOUT ROWID;
-- numbers handed out once
CREATE TABLE sequences (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
-- queued work: BatchRow
CREATE TABLE batches (
    enqueue_seq INTEGER PRIMARY KEY, session_id TEXT NOT NULL, batch_id TEXT NOT NULL,
    source_key TEXT, record TEXT NOT NULL,
    UNIQUE (session_id, batch_id), UNIQUE (session_id, source_key)
);
-- pending turn input, terminal rows included: InputRow
CREATE TABLE inputs (
    enqueue_seq INTEGER PRIMARY KEY, session_id TEXT NOT NULL, input_id TEXT NOT NULL,
    source_key TEXT, state TEXT NOT NULL, record TEXT NOT NULL,
    UNIQUE (session_id, input_id), UNIQUE (session_id, source_key)
);
CREATE INDEX waiting_inputs ON inputs (session_id, enqueue_seq)
    WHERE state IN ('pending_active', 'deferred_next_turn');
CREATE INDEX terminal_inputs ON inputs (session_id) WHERE state IN ('cancelled', 'completed');
-- attachment references: AttachmentManifestEntry
CREATE TABLE intents (
    session_id TEXT NOT NULL, attachment_id TEXT NOT NULL, intent_at_ms INTEGER NOT NULL,
    committed INTEGER NOT NULL, turn_id TEXT, record TEXT NOT NULL,
    PRIMARY KEY (session_id, attachment_id)
) WITHOUT ROWID;
CREATE INDEX intents_by_id ON intents (attachment_id);
CREATE INDEX uncommitted_intents ON intents (intent_at_ms, session_id, attachment_id)
    WHERE NOT committed;
CREATE INDEX intents_by_turn ON intents (session_id, turn_id) WHERE NOT committed;
"""

_BY_SESSION = (
    "heads", "nodes", "ledger", "stamps", "metas", "leases", "batches", "inputs", "intents",
)  # fmt: skip

_NODE: TypeAdapter[SessionNodeRecord] = TypeAdapter(SessionNodeRecord)
_OWNER: TypeAdapter[LeaseOwnerIdentity] = TypeAdapter(LeaseOwnerIdentity)


def _read(kind: type[R], text: str, stored_as: str, record_id: object) -> R:
    try:
        return kind.model_validate_json(text)
    except ValidationError as err:
        raise UnreadableRecord(stored_as, str(record_id), _first(err)) from err


def _node(text: str, node_id: str) -> SessionNodeRecord:
    try:
        return _NODE.validate_json(text)
    except ValidationError as err:
        raise UnreadableRecord("node", node_id, _first(err)) from err


def _first(err: ValidationError) -> str:
    fault = err.errors(include_url=False)[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"


class SqliteRows(Rows):
    """`Rows` on one connection, inside one transaction; nothing here ever suspends."""

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

    def _head(self, session_id: str, text: str) -> SessionHeadMeta:
        return versioned(SessionHeadMeta, text, HEAD_SCHEMA_VERSION, "head", session_id)

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
        return [row[0] for row in self._all("SELECT ref FROM blobs ORDER BY ref")]

    async def drop_blobs(self, refs: Sequence[str]) -> None:
        self.connection.executemany("DELETE FROM blobs WHERE ref = ?", [(ref,) for ref in refs])

    # -- ledger, stamps, meta

    async def ledger(self, session_id: str) -> list[TokenLedgerEntry]:
        rows = self._all(
            "SELECT source, model, usage FROM ledger WHERE session_id = ? ORDER BY position",
            session_id,
        )
        return [self._entry(session_id, *row) for row in rows]

    def _entry(self, session_id: str, source: str, model: str, usage: str) -> TokenLedgerEntry:
        read = _read(TokenUsage, usage, "ledger", f"{session_id}/{source}/{model}")
        return TokenLedgerEntry(source=source, model=model, usage=read)

    async def ledger_entry(
        self, session_id: str, source: str, model: str
    ) -> TokenLedgerEntry | None:
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
        row = self._one(
            "SELECT record FROM stamps WHERE session_id = ? AND turn_id = ?", session_id, turn_id
        )
        return None if row is None else _read(StampRow, row[0], "turn_commit", turn_id)

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
        except ValidationError:
            return lease
        return lease.but(owner=owner)

    async def put_lease(self, row: LeaseRow) -> None:
        opaque = LeaseOwnerIdentity(
            owner_id=row.owner.owner_id, incarnation_id=row.owner.incarnation_id
        )
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
            "INSERT OR REPLACE INTO batches VALUES (?, ?, ?, ?, ?)",
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
            "INSERT OR REPLACE INTO inputs VALUES (?, ?, ?, ?, ?, ?)",
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
        self._do(
            "DELETE FROM intents WHERE session_id = ? AND attachment_id = ?", session_id, attachment_id
        )

    async def all_refs(self) -> list[str]:
        rows = self._all("SELECT DISTINCT attachment_id FROM intents ORDER BY attachment_id")
        return [row[0] for row in rows]

    # -- sessions

    async def drop_session(self, session_id: str) -> None:
        for table in _BY_SESSION:
            self._do(f"DELETE FROM {table} WHERE session_id = ?", session_id)  # noqa: S608 - fixed names
