"""`Rows` in SQL that SQLite and PostgreSQL both read: records as JSON text, beside the columns that queries need.

A backend adds four ways to run a statement. Every statement is about one session, whose id is its first
parameter, or about the place, or about rows that belong to nobody in particular; a backend that locks learns
from that what to lock. A parameter that is text is a key, one that is a `Record` is stored as JSON.
"""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Final

from lash_ref.errors import UnreadableRecord
from lash_ref.lease import LeaseOwnerIdentity
from lash_ref.nodes import SessionNodeRecord
from lash_ref.records import AttachmentManifestEntry, SessionHeadMeta, SessionMeta
from lash_ref.rows import BatchRow, InputRow, LeaseRow, Rows, StampRow, upward
from lash_ref.stored_text import read, read_head, read_node, shown
from lash_ref.usage import TokenLedgerEntry


class About(Enum):
    """What a statement is about when it is not about one session."""

    PLACE = "every session's rows"
    NOBODY = "rows named after what they hold"


PLACE: Final = About.PLACE
NOBODY: Final = About.NOBODY
Scope = str | About

KEYED_BY_SESSION = (
    "heads", "nodes", "ledger", "stamps", "metas", "leases", "batches", "inputs", "intents",
)  # fmt: skip
"""What deleting a session deletes from."""

_AT_ONCE = 500
"""Ids asked for in one statement."""


class SqlRows(Rows):
    """`Rows` over the tables that a backend's schema describes."""

    @abstractmethod
    async def _all(self, about: Scope, sql: str, *values: Any) -> list[Any]:
        """The rows a query finds; its parameters are keys and never records."""

    @abstractmethod
    async def _count(self, about: Scope, sql: str, *values: Any) -> int:
        """How many rows a change touched."""

    @abstractmethod
    async def _many(self, about: Scope, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a change once a row of parameters; the session's id comes first in each."""

    async def _do(self, about: Scope, sql: str, *values: Any) -> None:
        await self._many(about, sql, (values,))

    async def _one(self, about: Scope, sql: str, *values: Any) -> Any:
        found = await self._all(about, sql, *values)
        return found[0] if found else None

    # -- head and graph

    async def head(self, session_id: str) -> SessionHeadMeta | None:
        row = await self._one(session_id, "SELECT record FROM heads WHERE session_id = ?")
        return None if row is None else read_head(row[0], session_id)

    async def heads(self) -> list[SessionHeadMeta]:
        rows = await self._all(PLACE, "SELECT session_id, record FROM heads")
        return [read_head(text, session_id) for session_id, text in rows]

    async def put_head(self, head: SessionHeadMeta) -> None:
        await self._do(
            head.session_id,
            "INSERT INTO heads (session_id, record) VALUES (?, ?)"
            " ON CONFLICT (session_id) DO UPDATE SET record = excluded.record",
            head,
        )

    async def nodes(self, session_id: str) -> list[SessionNodeRecord]:
        sql = "SELECT node_id, record FROM nodes WHERE session_id = ? AND NOT hidden ORDER BY position"
        return [read_node(text, node_id) for node_id, text in await self._all(session_id, sql)]

    async def node(self, session_id: str, node_id: str) -> SessionNodeRecord | None:
        sql = "SELECT record FROM nodes WHERE session_id = ? AND node_id = ? AND NOT hidden"
        row = await self._one(session_id, sql, node_id)
        return None if row is None else read_node(row[0], node_id)

    async def live(self, session_id: str, node_ids: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for start in range(0, len(node_ids), _AT_ONCE):
            part = node_ids[start : start + _AT_ONCE]
            marks = ", ".join("?" * len(part))
            sql = f"SELECT node_id FROM nodes WHERE session_id = ? AND NOT hidden AND node_id IN ({marks})"  # noqa: S608 - marks only
            stored = {shown(row[0]) for row in await self._all(session_id, sql, *part)}
            found |= {node_id for node_id in part if self.key(node_id) in stored}
        return found

    def key(self, text: str) -> str:
        """What stands for ``text`` in a key column."""
        return text

    async def path(self, session_id: str, leaf: str) -> list[SessionNodeRecord]:
        # UNION drops a row it met before, which ends the walk where the parents form a circle. Sub-queries
        # and no join, because a planner may join by reading every node of the session.
        sql = (
            "WITH RECURSIVE up (node_id, parent_id) AS ("
            " SELECT node_id, parent_id FROM nodes WHERE session_id = ? AND node_id = ? AND NOT hidden"
            " UNION SELECT parent_id, (SELECT n.parent_id FROM nodes n"
            " WHERE n.session_id = ? AND n.node_id = up.parent_id AND NOT n.hidden)"
            " FROM up WHERE parent_id IS NOT NULL"
            ") SELECT node_id, (SELECT n.record FROM nodes n"
            " WHERE n.session_id = ? AND n.node_id = up.node_id AND NOT n.hidden) FROM up"
        )
        found = await self._all(session_id, sql, leaf, session_id, session_id)
        nodes = [read_node(text, node_id) for node_id, text in found if text is not None]
        return upward(leaf, {node.node_id: node for node in nodes}.get)

    async def add_nodes(self, session_id: str, nodes: Sequence[SessionNodeRecord]) -> None:
        await self._many(
            session_id,
            "DELETE FROM nodes WHERE session_id = ? AND node_id = ? AND hidden",
            [(node.node_id,) for node in nodes],
        )
        await self._many(
            session_id,
            "INSERT INTO nodes (session_id, node_id, parent_id, record) VALUES (?, ?, ?, ?)",
            [(node.node_id, node.parent_node_id, node) for node in nodes],
        )

    async def clear_nodes(self, session_id: str) -> None:
        await self._do(session_id, "DELETE FROM nodes WHERE session_id = ?")

    async def tombstone(self, session_id: str, node_ids: Sequence[str]) -> int:
        sql = "UPDATE nodes SET hidden = TRUE WHERE session_id = ? AND node_id = ? AND NOT hidden"
        return sum([await self._count(session_id, sql, node_id) for node_id in node_ids])

    async def drop_tombstoned(self, session_id: str) -> int:
        return await self._count(session_id, "DELETE FROM nodes WHERE session_id = ? AND hidden")

    # -- blobs

    async def blob(self, ref: str) -> bytes | None:
        row = await self._one(NOBODY, "SELECT data FROM blobs WHERE ref = ?", ref)
        return None if row is None else bytes(row[0])

    async def has_blob(self, ref: str) -> bool:
        return await self._one(NOBODY, "SELECT 1 FROM blobs WHERE ref = ?", ref) is not None

    async def put_blobs(self, blobs: Mapping[str, bytes]) -> None:
        # In one order for everybody, so that two writers of the same blobs never wait for each other.
        sql = "INSERT INTO blobs (ref, data) VALUES (?, ?) ON CONFLICT (ref) DO NOTHING"
        await self._many(NOBODY, sql, sorted(blobs.items()))

    async def blob_refs(self) -> list[str]:
        return [shown(row[0]) for row in await self._all(PLACE, "SELECT ref FROM blobs ORDER BY ref")]

    async def drop_blobs(self, refs: Sequence[str]) -> None:
        await self._many(PLACE, "DELETE FROM blobs WHERE ref = ?", [(ref,) for ref in refs])

    # -- ledger, stamps, meta

    async def ledger(self, session_id: str) -> list[TokenLedgerEntry]:
        sql = "SELECT source, model, record FROM ledger WHERE session_id = ? ORDER BY position"
        return [self._entry(session_id, *row) for row in await self._all(session_id, sql)]

    def _entry(self, session_id: str, source: Any, model: Any, record: Any) -> TokenLedgerEntry:
        return read(TokenLedgerEntry, record, "ledger", f"{session_id}/{shown(source)}/{shown(model)}")

    async def ledger_entry(self, session_id: str, source: str, model: str) -> TokenLedgerEntry | None:
        sql = "SELECT record FROM ledger WHERE session_id = ? AND source = ? AND model = ?"
        row = await self._one(session_id, sql, source, model)
        return None if row is None else self._entry(session_id, source, model, row[0])

    async def put_ledger_entry(self, session_id: str, entry: TokenLedgerEntry) -> None:
        await self._do(
            session_id,
            "INSERT INTO ledger (session_id, source, model, record) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (session_id, source, model) DO UPDATE SET record = excluded.record",
            entry.source, entry.model, entry,
        )  # fmt: skip

    async def stamp(self, session_id: str, turn_id: str) -> StampRow | None:
        sql = "SELECT record FROM stamps WHERE session_id = ? AND turn_id = ?"
        row = await self._one(session_id, sql, turn_id)
        return None if row is None else read(StampRow, row[0], "turn_commit", turn_id)

    async def stamps(self, session_id: str) -> list[StampRow]:
        sql = "SELECT turn_id, record FROM stamps WHERE session_id = ?"
        rows = await self._all(session_id, sql)
        return [read(StampRow, text, "turn_commit", shown(turn_id)) for turn_id, text in rows]

    async def put_stamp(self, row: StampRow) -> None:
        await self._do(
            row.session_id,
            "INSERT INTO stamps (session_id, turn_id, committed_at_ms, record) VALUES (?, ?, ?, ?)",
            row.turn_id, row.committed_at_ms, row,
        )  # fmt: skip

    async def other_turn_since(self, session_id: str, turn_id: str, after_ms: int) -> bool:
        sql = "SELECT 1 FROM stamps WHERE session_id = ? AND committed_at_ms > ? AND turn_id <> ? LIMIT 1"
        return await self._one(session_id, sql, after_ms, turn_id) is not None

    async def meta(self, session_id: str) -> SessionMeta | None:
        row = await self._one(session_id, "SELECT record FROM metas WHERE session_id = ?")
        return None if row is None else read(SessionMeta, row[0], "meta", session_id)

    async def put_meta(self, meta: SessionMeta) -> None:
        await self._do(
            meta.session_id,
            "INSERT INTO metas (session_id, record) VALUES (?, ?)"
            " ON CONFLICT (session_id) DO UPDATE SET record = excluded.record",
            meta,
        )

    # -- lease

    async def lease(self, session_id: str) -> LeaseRow | None:
        row = await self._one(session_id, "SELECT liveness, record FROM leases WHERE session_id = ?")
        if row is None:
            return None
        lease = read(LeaseRow, row[1], "lease", session_id)
        try:
            owner = read(LeaseOwnerIdentity, row[0], "liveness", session_id)
        except UnreadableRecord:
            owner = LeaseOwnerIdentity(
                owner_id=lease.owner.owner_id, incarnation_id=lease.owner.incarnation_id
            )
        # Lately written or read, which is usual, both texts stand for one and the same owner.
        return lease if owner is lease.owner else lease.but(owner=owner)

    async def put_lease(self, row: LeaseRow) -> None:
        await self._do(
            row.session_id,
            "INSERT INTO leases (session_id, liveness, record) VALUES (?, ?, ?) ON CONFLICT (session_id)"
            " DO UPDATE SET liveness = excluded.liveness, record = excluded.record",
            row.owner, row,
        )  # fmt: skip

    # -- queued work

    def _batch(self, row: Any) -> BatchRow:
        return read(BatchRow, row[1], "queued_work", row[0])

    async def batches(self, session_id: str) -> list[BatchRow]:
        sql = "SELECT batch_id, record FROM batches WHERE session_id = ? ORDER BY enqueue_seq"
        return [self._batch(row) for row in await self._all(session_id, sql)]

    async def batch(self, session_id: str, batch_id: str) -> BatchRow | None:
        sql = "SELECT batch_id, record FROM batches WHERE session_id = ? AND batch_id = ?"
        row = await self._one(session_id, sql, batch_id)
        return None if row is None else self._batch(row)

    async def batch_by_key(self, session_id: str, source_key: str) -> BatchRow | None:
        sql = "SELECT batch_id, record FROM batches WHERE session_id = ? AND source_key = ?"
        row = await self._one(session_id, sql, source_key)
        return None if row is None else self._batch(row)

    async def put_batch(self, row: BatchRow) -> None:
        put = row.batch
        await self._do(
            put.session_id,
            "INSERT INTO batches (session_id, enqueue_seq, batch_id, source_key, record)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT (enqueue_seq) DO UPDATE SET record = excluded.record",
            put.enqueue_seq, put.batch_id, put.source_key, row,
        )  # fmt: skip

    async def drop_batch(self, session_id: str, batch_id: str) -> None:
        await self._do(session_id, "DELETE FROM batches WHERE session_id = ? AND batch_id = ?", batch_id)

    # -- pending input

    def _input(self, row: Any) -> InputRow:
        return read(InputRow, row[1], "turn_input", row[0])

    async def waiting_inputs(self, session_id: str) -> list[InputRow]:
        sql = (
            "SELECT input_id, record FROM inputs WHERE session_id = ?"
            " AND state IN ('pending_active', 'deferred_next_turn') ORDER BY enqueue_seq"
        )
        return [self._input(row) for row in await self._all(session_id, sql)]

    async def inputs_from(self, session_id: str, enqueue_seq: int) -> list[InputRow]:
        sql = (
            "SELECT input_id, record FROM inputs WHERE session_id = ? AND enqueue_seq >= ?"
            " ORDER BY enqueue_seq"
        )
        return [self._input(row) for row in await self._all(session_id, sql, enqueue_seq)]

    async def input(self, session_id: str, input_id: str) -> InputRow | None:
        sql = "SELECT input_id, record FROM inputs WHERE session_id = ? AND input_id = ?"
        row = await self._one(session_id, sql, input_id)
        return None if row is None else self._input(row)

    async def input_by_key(self, session_id: str, source_key: str) -> InputRow | None:
        sql = "SELECT input_id, record FROM inputs WHERE session_id = ? AND source_key = ?"
        row = await self._one(session_id, sql, source_key)
        return None if row is None else self._input(row)

    async def put_input(self, row: InputRow) -> None:
        put = row.input
        await self._do(
            put.session_id,
            "INSERT INTO inputs (session_id, enqueue_seq, input_id, source_key, state, record)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (enqueue_seq)"
            " DO UPDATE SET state = excluded.state, record = excluded.record",
            put.enqueue_seq, put.input_id, put.source_key, put.state, row,
        )  # fmt: skip

    async def drop_terminal_inputs(self, session_id: str) -> int:
        sql = "DELETE FROM inputs WHERE session_id = ? AND state IN ('cancelled', 'completed')"
        return await self._count(session_id, sql)

    # -- attachment manifest

    def _intent(self, row: Any) -> AttachmentManifestEntry:
        return read(AttachmentManifestEntry, row[1], "attachment_intent", row[0])

    async def intent(self, session_id: str, attachment_id: str) -> AttachmentManifestEntry | None:
        sql = "SELECT attachment_id, record FROM intents WHERE session_id = ? AND attachment_id = ?"
        row = await self._one(session_id, sql, attachment_id)
        return None if row is None else self._intent(row)

    async def intents_of(self, attachment_id: str) -> list[AttachmentManifestEntry]:
        sql = "SELECT attachment_id, record FROM intents WHERE attachment_id = ?"
        return [self._intent(row) for row in await self._all(PLACE, sql, attachment_id)]

    async def uncommitted(self, cutoff_ms: int) -> list[AttachmentManifestEntry]:
        sql = "SELECT attachment_id, record FROM intents WHERE NOT committed AND intent_at_ms <= ?"
        found = [self._intent(row) for row in await self._all(PLACE, sql, cutoff_ms)]
        return sorted(found, key=lambda e: (e.intent_at_epoch_ms, e.session_id, e.attachment_id))

    async def intents_of_turn(self, session_id: str, turn_id: str) -> list[AttachmentManifestEntry]:
        sql = (
            "SELECT attachment_id, record FROM intents"
            " WHERE session_id = ? AND turn_id = ? AND NOT committed ORDER BY attachment_id"
        )
        return [self._intent(row) for row in await self._all(session_id, sql, turn_id)]

    async def put_intent(self, entry: AttachmentManifestEntry) -> None:
        turn_id = entry.owner_id if entry.owner_kind == "turn" else None
        await self._do(
            entry.session_id,
            "INSERT INTO intents (session_id, attachment_id, intent_at_ms, committed, turn_id, record)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (session_id, attachment_id)"
            " DO UPDATE SET intent_at_ms = excluded.intent_at_ms, committed = excluded.committed,"
            " turn_id = excluded.turn_id, record = excluded.record",
            entry.attachment_id, entry.intent_at_epoch_ms,
            entry.committed_at_epoch_ms is not None, turn_id, entry,
        )  # fmt: skip

    async def drop_intent(self, session_id: str, attachment_id: str) -> None:
        sql = "DELETE FROM intents WHERE session_id = ? AND attachment_id = ?"
        await self._do(session_id, sql, attachment_id)

    async def all_refs(self) -> list[str]:
        rows = await self._all(PLACE, "SELECT attachment_id, record FROM intents")
        return sorted({self._intent(row).attachment_id for row in rows})

    # -- sessions

    async def drop_session(self, session_id: str) -> None:
        for table in KEYED_BY_SESSION:
            await self._do(session_id, f"DELETE FROM {table} WHERE session_id = ?")  # noqa: S608 - fixed names
