"""The in-memory store: dictionaries, and a journal that undoes what a failed transaction wrote.

A transaction never suspends, so asyncio runs it in one piece; threads must not share a factory.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from lash_ref.contracts import Clock, ProcessEvidence
from lash_ref.records import (
    AttachmentManifestEntry,
    SessionHeadMeta,
    SessionMeta,
    SessionNodeRecord,
    TokenLedgerEntry,
)
from lash_ref.rows import BatchRow, InputRow, LeaseRow, Rows, StampRow
from lash_ref.segment import Mint
from lash_ref.store import StoreFactory, random_mint

K = TypeVar("K")
V = TypeVar("V")

WAITING = ("pending_active", "deferred_next_turn")
TERMINAL = ("cancelled", "completed")


@dataclass
class SessionTables:
    """All rows keyed by one session; dictionaries keep the order of insertion."""

    head: SessionHeadMeta | None = None
    meta: SessionMeta | None = None
    lease: LeaseRow | None = None
    nodes: dict[str, SessionNodeRecord] = field(default_factory=dict[str, SessionNodeRecord])
    tombstoned: dict[str, SessionNodeRecord] = field(default_factory=dict[str, SessionNodeRecord])
    ledger: dict[tuple[str, str], TokenLedgerEntry] = field(
        default_factory=dict[tuple[str, str], TokenLedgerEntry]
    )
    stamps: dict[str, StampRow] = field(default_factory=dict[str, StampRow])
    batches: dict[str, BatchRow] = field(default_factory=dict[str, BatchRow])
    batch_keys: dict[str, str] = field(default_factory=dict[str, str])
    inputs: dict[str, InputRow] = field(default_factory=dict[str, InputRow])
    input_keys: dict[str, str] = field(default_factory=dict[str, str])
    waiting: dict[int, str] = field(default_factory=dict[int, str])
    terminal: dict[str, None] = field(default_factory=dict[str, None])
    intents: dict[str, AttachmentManifestEntry] = field(
        default_factory=dict[str, AttachmentManifestEntry]
    )
    uncommitted: dict[str, None] = field(default_factory=dict[str, None])


class MemoryRows(Rows):
    """`Rows` over dictionaries; every write leaves its undo in the journal."""

    def __init__(self) -> None:
        self.sessions: dict[str, SessionTables] = {}
        self.blobs: dict[str, bytes] = {}
        self.sequence = 0
        self.journal: list[Callable[[], Any]] = []

    def tables(self, session_id: str) -> SessionTables:
        """The session's tables, made when it is new."""
        if session_id not in self.sessions:
            self._put(self.sessions, session_id, SessionTables())
        return self.sessions[session_id]

    def _put(self, table: dict[K, V], key: K, value: V) -> None:
        if key in table:
            before = table[key]
            self.journal.append(lambda: table.__setitem__(key, before))
        else:
            self.journal.append(lambda: table.pop(key))
        table[key] = value

    def _drop(self, table: dict[K, V], keys: Iterable[K]) -> int:
        doomed = [key for key in keys if key in table]
        if doomed:
            before = dict(table)
            self.journal.append(lambda: (table.clear(), table.update(before)))
        for key in doomed:
            del table[key]
        return len(doomed)

    def _set(self, tables: SessionTables, name: str, value: object) -> None:
        before = getattr(tables, name)
        self.journal.append(lambda: setattr(tables, name, before))
        setattr(tables, name, value)

    # -- head and graph

    async def head(self, session_id: str) -> SessionHeadMeta | None:
        return self.tables(session_id).head

    async def heads(self) -> list[SessionHeadMeta]:
        return [tables.head for tables in self.sessions.values() if tables.head is not None]

    async def put_head(self, head: SessionHeadMeta) -> None:
        self._set(self.tables(head.session_id), "head", head)

    async def nodes(self, session_id: str) -> list[SessionNodeRecord]:
        return list(self.tables(session_id).nodes.values())

    async def node(self, session_id: str, node_id: str) -> SessionNodeRecord | None:
        return self.tables(session_id).nodes.get(node_id)

    async def add_nodes(self, session_id: str, nodes: Sequence[SessionNodeRecord]) -> None:
        tables = self.tables(session_id)
        for node in nodes:
            if node.node_id in tables.tombstoned:
                self._drop(tables.tombstoned, (node.node_id,))
            self._put(tables.nodes, node.node_id, node)

    async def clear_nodes(self, session_id: str) -> None:
        tables = self.tables(session_id)
        self._drop(tables.nodes, list(tables.nodes))
        self._drop(tables.tombstoned, list(tables.tombstoned))

    async def tombstone(self, session_id: str, node_ids: Sequence[str]) -> int:
        tables = self.tables(session_id)
        hidden = {i: tables.nodes[i] for i in node_ids if i in tables.nodes}
        for node_id, node in hidden.items():
            self._put(tables.tombstoned, node_id, node)
        return self._drop(tables.nodes, hidden)

    async def drop_tombstoned(self, session_id: str) -> int:
        tables = self.tables(session_id)
        return self._drop(tables.tombstoned, list(tables.tombstoned))

    # -- blobs

    async def blob(self, ref: str) -> bytes | None:
        return self.blobs.get(ref)

    async def put_blob(self, ref: str, data: bytes) -> None:
        self._put(self.blobs, ref, data)

    async def blob_refs(self) -> list[str]:
        return list(self.blobs)

    async def drop_blobs(self, refs: Sequence[str]) -> None:
        self._drop(self.blobs, refs)

    # -- ledger, stamps, meta

    async def ledger(self, session_id: str) -> list[TokenLedgerEntry]:
        return list(self.tables(session_id).ledger.values())

    async def add_usage(self, session_id: str, deltas: Sequence[TokenLedgerEntry]) -> None:
        ledger = self.tables(session_id).ledger
        for delta in deltas:
            key = (delta.source, delta.model)
            sum_ = delta.usage if key not in ledger else ledger[key].usage + delta.usage
            self._put(ledger, key, delta.but(usage=sum_))

    async def stamp(self, session_id: str, turn_id: str) -> StampRow | None:
        return self.tables(session_id).stamps.get(turn_id)

    async def put_stamp(self, row: StampRow) -> None:
        self._put(self.tables(row.session_id).stamps, row.turn_id, row)

    async def other_turn_since(self, session_id: str, turn_id: str, after_ms: int) -> bool:
        stamps = reversed(self.tables(session_id).stamps.values())
        return any(s.turn_id != turn_id and s.committed_at_ms > after_ms for s in stamps)

    async def meta(self, session_id: str) -> SessionMeta | None:
        return self.tables(session_id).meta

    async def put_meta(self, meta: SessionMeta) -> None:
        self._set(self.tables(meta.session_id), "meta", meta)

    # -- lease

    async def lease(self, session_id: str) -> LeaseRow | None:
        return self.tables(session_id).lease

    async def put_lease(self, row: LeaseRow) -> None:
        self._set(self.tables(row.session_id), "lease", row)

    # -- queued work

    async def next_sequence(self) -> int:
        self.sequence += 1
        return self.sequence

    async def batches(self, session_id: str) -> list[BatchRow]:
        return list(self.tables(session_id).batches.values())

    async def batch(self, session_id: str, batch_id: str) -> BatchRow | None:
        return self.tables(session_id).batches.get(batch_id)

    async def batch_by_key(self, session_id: str, source_key: str) -> BatchRow | None:
        tables = self.tables(session_id)
        batch_id = tables.batch_keys.get(source_key)
        return None if batch_id is None else tables.batches[batch_id]

    async def put_batch(self, row: BatchRow) -> None:
        tables = self.tables(row.batch.session_id)
        self._put(tables.batches, row.batch.batch_id, row)
        if row.batch.source_key is not None:
            self._put(tables.batch_keys, row.batch.source_key, row.batch.batch_id)

    async def drop_batch(self, session_id: str, batch_id: str) -> None:
        tables = self.tables(session_id)
        row = tables.batches.get(batch_id)
        if row is not None and row.batch.source_key is not None:
            self._drop(tables.batch_keys, (row.batch.source_key,))
        self._drop(tables.batches, (batch_id,))

    # -- pending input

    async def waiting_inputs(self, session_id: str) -> list[InputRow]:
        tables = self.tables(session_id)
        return [tables.inputs[tables.waiting[number]] for number in sorted(tables.waiting)]

    async def inputs_from(self, session_id: str, enqueue_seq: int) -> list[InputRow]:
        rows = self.tables(session_id).inputs.values()
        return [row for row in rows if row.input.enqueue_seq >= enqueue_seq]

    async def input(self, session_id: str, input_id: str) -> InputRow | None:
        return self.tables(session_id).inputs.get(input_id)

    async def input_by_key(self, session_id: str, source_key: str) -> InputRow | None:
        tables = self.tables(session_id)
        input_id = tables.input_keys.get(source_key)
        return None if input_id is None else tables.inputs[input_id]

    async def put_input(self, row: InputRow) -> None:
        tables, put = self.tables(row.input.session_id), row.input
        self._put(tables.inputs, put.input_id, row)
        if put.source_key is not None:
            self._put(tables.input_keys, put.source_key, put.input_id)
        if put.state in WAITING:
            self._put(tables.waiting, put.enqueue_seq, put.input_id)
        else:
            self._drop(tables.waiting, (put.enqueue_seq,))
        if put.state in TERMINAL:
            self._put(tables.terminal, put.input_id, None)

    async def drop_terminal_inputs(self, session_id: str) -> int:
        tables = self.tables(session_id)
        doomed = [tables.inputs[input_id].input for input_id in tables.terminal]
        self._drop(tables.input_keys, [i.source_key for i in doomed if i.source_key is not None])
        self._drop(tables.inputs, [i.input_id for i in doomed])
        return self._drop(tables.terminal, list(tables.terminal))

    # -- attachment manifest

    async def intent(self, session_id: str, attachment_id: str) -> AttachmentManifestEntry | None:
        return self.tables(session_id).intents.get(attachment_id)

    async def intents_of(self, attachment_id: str) -> list[AttachmentManifestEntry]:
        found = [tables.intents.get(attachment_id) for tables in self.sessions.values()]
        return [entry for entry in found if entry is not None]

    async def uncommitted(self, cutoff_ms: int) -> list[AttachmentManifestEntry]:
        open_ = [t.intents[a] for t in self.sessions.values() for a in t.uncommitted]
        aged = [entry for entry in open_ if entry.intent_at_epoch_ms <= cutoff_ms]
        return sorted(aged, key=lambda e: (e.intent_at_epoch_ms, e.session_id, e.attachment_id))

    async def intents_of_turn(self, session_id: str, turn_id: str) -> list[AttachmentManifestEntry]:
        tables = self.tables(session_id)
        mine = [tables.intents[a] for a in tables.uncommitted]
        return [entry for entry in mine if (entry.owner_kind, entry.owner_id) == ("turn", turn_id)]

    async def put_intent(self, entry: AttachmentManifestEntry) -> None:
        tables = self.tables(entry.session_id)
        self._put(tables.intents, entry.attachment_id, entry)
        if entry.committed_at_epoch_ms is None:
            self._put(tables.uncommitted, entry.attachment_id, None)
        else:
            self._drop(tables.uncommitted, (entry.attachment_id,))

    async def drop_intent(self, session_id: str, attachment_id: str) -> None:
        tables = self.tables(session_id)
        self._drop(tables.intents, (attachment_id,))
        self._drop(tables.uncommitted, (attachment_id,))

    async def all_refs(self) -> list[str]:
        return sorted({ref for tables in self.sessions.values() for ref in tables.intents})

    # -- sessions

    async def drop_session(self, session_id: str) -> None:
        self._drop(self.sessions, (session_id,))


class MemoryTransactions:
    """Transactions on one set of rows."""

    def __init__(self) -> None:
        self.rows = MemoryRows()

    @asynccontextmanager
    async def begin(self, write: bool) -> AsyncIterator[Rows]:
        """Undo everything the block wrote if it raises."""
        self.rows.journal = []
        try:
            yield self.rows
        except BaseException:
            for undo in reversed(self.rows.journal):
                undo()
            raise


class MemoryStoreFactory(StoreFactory):
    """Stores that live in this object and die with it; every handle sees the same rows."""

    def __init__(
        self,
        clock: Clock | None = None,
        mint: Mint = random_mint,
        evidence: ProcessEvidence | None = None,
    ) -> None:
        super().__init__(MemoryTransactions(), clock, mint, evidence)
