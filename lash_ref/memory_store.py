"""The in-memory store: dictionaries, and a journal that undoes what a failed transaction wrote.

A transaction never suspends, so asyncio runs it in one piece; threads must not share a factory.
"""

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

from lash_ref.contracts import Clock, ProcessEvidence
from lash_ref.nodes import SessionNodeRecord
from lash_ref.records import AttachmentManifestEntry, SessionHeadMeta, SessionMeta
from lash_ref.rows import BatchRow, InputRow, LeaseRow, Rows, StampRow, upward
from lash_ref.segment import Mint
from lash_ref.store import StoreFactory, random_mint
from lash_ref.usage import TokenLedgerEntry

K = TypeVar("K")
V = TypeVar("V")

WAITING = ("pending_active", "deferred_next_turn")
TERMINAL = ("cancelled", "completed")


class Placed(NamedTuple):
    """A live node and its place in stored order."""

    place: int
    node: SessionNodeRecord


@dataclass
class SessionTables:
    """All rows keyed by one session.

    Undoing a deletion puts a row back at the end of its dictionary, so no listing of rows that can be
    deleted relies on a dictionary's order.
    """

    head: SessionHeadMeta | None = None
    meta: SessionMeta | None = None
    lease: LeaseRow | None = None
    nodes: dict[str, Placed] = field(default_factory=dict[str, Placed])
    tombstoned: dict[str, None] = field(default_factory=dict[str, None])
    next_place: int = 0
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
    intents: dict[str, AttachmentManifestEntry] = field(default_factory=dict[str, AttachmentManifestEntry])
    uncommitted: dict[str, None] = field(default_factory=dict[str, None])


class MemoryRows(Rows):
    """`Rows` over dictionaries; every write leaves its undo in the journal."""

    def __init__(self) -> None:
        self.sessions: dict[str, SessionTables] = {}
        self.blobs: dict[str, bytes] = {}
        self.sequence = 0
        self.journal: list[Callable[[], Any]] = []

    def read(self, session_id: str) -> SessionTables:
        """The session's tables to read; reading makes no session."""
        return self.sessions.get(session_id) or SessionTables()

    def tables(self, session_id: str) -> SessionTables:
        """The session's tables to write, made when it is new."""
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
        doomed = {key: table.pop(key) for key in keys if key in table}
        if doomed:
            self.journal.append(lambda: table.update(doomed))
        return len(doomed)

    def _set(self, tables: SessionTables, name: str, value: object) -> None:
        before = getattr(tables, name)
        self.journal.append(lambda: setattr(tables, name, before))
        setattr(tables, name, value)

    # -- head and graph

    async def head(self, session_id: str) -> SessionHeadMeta | None:
        return self.read(session_id).head

    async def heads(self) -> list[SessionHeadMeta]:
        return [tables.head for tables in self.sessions.values() if tables.head is not None]

    async def put_head(self, head: SessionHeadMeta) -> None:
        self._set(self.tables(head.session_id), "head", head)

    async def nodes(self, session_id: str) -> list[SessionNodeRecord]:
        placed = sorted(self.read(session_id).nodes.values(), key=itemgetter(0))
        return [node for _, node in placed]

    async def node(self, session_id: str, node_id: str) -> SessionNodeRecord | None:
        placed = self.read(session_id).nodes.get(node_id)
        return None if placed is None else placed.node

    async def live(self, session_id: str, node_ids: Sequence[str]) -> set[str]:
        return self.read(session_id).nodes.keys() & set(node_ids)

    async def path(self, session_id: str, leaf: str) -> list[SessionNodeRecord]:
        nodes = self.read(session_id).nodes
        return upward(leaf, lambda node_id: nodes[node_id].node if node_id in nodes else None)

    async def add_nodes(self, session_id: str, nodes: Sequence[SessionNodeRecord]) -> None:
        tables = self.tables(session_id)
        for place, node in enumerate(nodes, tables.next_place):
            self._drop(tables.tombstoned, (node.node_id,))
            self._put(tables.nodes, node.node_id, Placed(place, node))
        self._set(tables, "next_place", tables.next_place + len(nodes))

    async def clear_nodes(self, session_id: str) -> None:
        tables = self.tables(session_id)
        self._set(tables, "nodes", {})
        self._set(tables, "tombstoned", {})

    async def tombstone(self, session_id: str, node_ids: Sequence[str]) -> int:
        tables = self.tables(session_id)
        hidden = [node_id for node_id in dict.fromkeys(node_ids) if node_id in tables.nodes]
        for node_id in hidden:
            self._put(tables.tombstoned, node_id, None)
        return self._drop(tables.nodes, hidden)

    async def drop_tombstoned(self, session_id: str) -> int:
        tables = self.tables(session_id)
        return self._drop(tables.tombstoned, list(tables.tombstoned))

    # -- blobs

    async def blob(self, ref: str) -> bytes | None:
        return self.blobs.get(ref)

    async def has_blob(self, ref: str) -> bool:
        return ref in self.blobs

    async def put_blobs(self, blobs: Mapping[str, bytes]) -> None:
        for ref, data in blobs.items():
            self._put(self.blobs, ref, data)

    async def blob_refs(self) -> list[str]:
        return list(self.blobs)

    async def drop_blobs(self, refs: Sequence[str]) -> None:
        self._drop(self.blobs, refs)

    # -- ledger, stamps, meta

    async def ledger(self, session_id: str) -> list[TokenLedgerEntry]:
        return list(self.read(session_id).ledger.values())

    async def ledger_entry(self, session_id: str, source: str, model: str) -> TokenLedgerEntry | None:
        return self.read(session_id).ledger.get((source, model))

    async def put_ledger_entry(self, session_id: str, entry: TokenLedgerEntry) -> None:
        self._put(self.tables(session_id).ledger, (entry.source, entry.model), entry)

    async def stamp(self, session_id: str, turn_id: str) -> StampRow | None:
        return self.read(session_id).stamps.get(turn_id)

    async def stamps(self, session_id: str) -> list[StampRow]:
        return list(self.read(session_id).stamps.values())

    async def put_stamp(self, row: StampRow) -> None:
        self._put(self.tables(row.session_id).stamps, row.turn_id, row)

    async def other_turn_since(self, session_id: str, turn_id: str, after_ms: int) -> bool:
        stamps = reversed(self.read(session_id).stamps.values())
        return any(s.turn_id != turn_id and s.committed_at_ms > after_ms for s in stamps)

    async def meta(self, session_id: str) -> SessionMeta | None:
        return self.read(session_id).meta

    async def put_meta(self, meta: SessionMeta) -> None:
        self._set(self.tables(meta.session_id), "meta", meta)

    # -- lease

    async def lease(self, session_id: str) -> LeaseRow | None:
        return self.read(session_id).lease

    async def put_lease(self, row: LeaseRow) -> None:
        self._set(self.tables(row.session_id), "lease", row)

    # -- queued work

    async def next_sequence(self) -> int:
        self.sequence += 1
        return self.sequence

    async def batches(self, session_id: str) -> list[BatchRow]:
        rows = self.read(session_id).batches.values()
        return sorted(rows, key=lambda row: row.batch.enqueue_seq)

    async def batch(self, session_id: str, batch_id: str) -> BatchRow | None:
        return self.read(session_id).batches.get(batch_id)

    async def batch_by_key(self, session_id: str, source_key: str) -> BatchRow | None:
        tables = self.read(session_id)
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
        tables = self.read(session_id)
        return [tables.inputs[tables.waiting[number]] for number in sorted(tables.waiting)]

    async def inputs_from(self, session_id: str, enqueue_seq: int) -> list[InputRow]:
        rows = self.read(session_id).inputs.values()
        suffix = [row for row in rows if row.input.enqueue_seq >= enqueue_seq]
        return sorted(suffix, key=lambda row: row.input.enqueue_seq)

    async def input(self, session_id: str, input_id: str) -> InputRow | None:
        return self.read(session_id).inputs.get(input_id)

    async def input_by_key(self, session_id: str, source_key: str) -> InputRow | None:
        tables = self.read(session_id)
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
        return self.read(session_id).intents.get(attachment_id)

    async def intents_of(self, attachment_id: str) -> list[AttachmentManifestEntry]:
        found = [tables.intents.get(attachment_id) for tables in self.sessions.values()]
        return [entry for entry in found if entry is not None]

    async def uncommitted(self, cutoff_ms: int) -> list[AttachmentManifestEntry]:
        open_ = [t.intents[a] for t in self.sessions.values() for a in t.uncommitted]
        aged = [entry for entry in open_ if entry.intent_at_epoch_ms <= cutoff_ms]
        return sorted(aged, key=lambda e: (e.intent_at_epoch_ms, e.session_id, e.attachment_id))

    async def intents_of_turn(self, session_id: str, turn_id: str) -> list[AttachmentManifestEntry]:
        tables = self.read(session_id)
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
    async def begin(self, write: bool) -> AsyncGenerator[Rows]:  # noqa: ARG002 - readers are undone alike
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
