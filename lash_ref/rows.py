"""What a backend is asked for: the rows one transaction reads and writes.

The contract's rules are written once, over this Protocol; a backend adds storage and atomicity
and cannot drift from its siblings. Rows are records plus the columns that never leave the store.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from lash_ref.inputs import PendingTurnInput, TurnInputIngress
from lash_ref.lease import LeaseOwnerIdentity
from lash_ref.nodes import SessionNodeRecord
from lash_ref.records import AttachmentManifestEntry, RuntimeCommitResult, SessionHeadMeta, SessionMeta
from lash_ref.scalars import U64, Identifier, Record
from lash_ref.usage import TokenLedgerEntry
from lash_ref.work import QueuedWorkBatch


class Hold(Record):
    """Who claimed a row; the fencing number of the row outlives the hold."""

    claim_id: Identifier
    owner: LeaseOwnerIdentity
    lease_token: Identifier
    generation: U64
    """The fencing number of the session lease the claim was made under."""


class BatchRow(Record):
    """A queued batch with its claim columns."""

    batch: QueuedWorkBatch
    hold: Hold | None = None
    claim_number: U64 = 0
    """Raised by every claim, never reset."""


class InputRow(Record):
    """A pending input with its claim columns."""

    input: PendingTurnInput
    submitted: TurnInputIngress
    """The ingress as submitted; deferral rewrites the input's own."""
    hold: Hold | None = None
    claim_number: U64 = 0


class LeaseRow(Record):
    """The lane of a session; outlives its release, with its number."""

    session_id: Identifier
    fencing_token: U64
    owner: LeaseOwnerIdentity
    lease_token: Identifier
    claimed_at_epoch_ms: U64
    expires_at_epoch_ms: U64
    """0 once released."""


class StampRow(Record):
    """A committed turn: its hash, its answer, and when."""

    session_id: Identifier
    turn_id: Identifier
    turn_commit_hash: str
    committed_at_ms: U64
    result: RuntimeCommitResult


class Rows(Protocol):
    """One transaction's view of everything a place stores.

    Reads see the transaction's own writes. A row that is there but cannot be read raises
    `UnreadableRecord` (or the schema-version errors, for heads); it is never skipped.
    """

    # -- head and graph

    async def head(self, session_id: str) -> SessionHeadMeta | None: ...
    async def heads(self) -> list[SessionHeadMeta]: ...
    async def put_head(self, head: SessionHeadMeta) -> None: ...
    async def nodes(self, session_id: str) -> list[SessionNodeRecord]:
        """Live nodes in stored order."""
        ...

    async def node(self, session_id: str, node_id: str) -> SessionNodeRecord | None:
        """A live node."""
        ...

    async def live(self, session_id: str, node_ids: Sequence[str]) -> set[str]:
        """Which of these ids name live nodes."""
        ...

    async def path(self, session_id: str, leaf: str) -> list[SessionNodeRecord]:
        """Live nodes from the leaf up; ends at a missing parent, and at a node already met (`upward`)."""
        ...

    async def add_nodes(self, session_id: str, nodes: Sequence[SessionNodeRecord]) -> None:
        """Append; a tombstoned row of the same id gives way."""
        ...

    async def clear_nodes(self, session_id: str) -> None: ...
    async def tombstone(self, session_id: str, node_ids: Sequence[str]) -> int:
        """Hide live nodes; answers how many were live."""
        ...

    async def drop_tombstoned(self, session_id: str) -> int: ...

    # -- blobs

    async def blob(self, ref: str) -> bytes | None: ...
    async def has_blob(self, ref: str) -> bool: ...
    async def put_blobs(self, blobs: Mapping[str, bytes]) -> None:
        """Keep bytes under their names; what is there already stays."""
        ...

    async def blob_refs(self) -> list[str]: ...
    async def drop_blobs(self, refs: Sequence[str]) -> None: ...

    # -- ledger, stamps, meta

    async def ledger(self, session_id: str) -> list[TokenLedgerEntry]:
        """In the order the entries were first put."""
        ...

    async def ledger_entry(self, session_id: str, source: str, model: str) -> TokenLedgerEntry | None: ...
    async def put_ledger_entry(self, session_id: str, entry: TokenLedgerEntry) -> None:
        """Insert or replace; a replaced entry keeps its place."""
        ...

    async def stamp(self, session_id: str, turn_id: str) -> StampRow | None: ...
    async def stamps(self, session_id: str) -> list[StampRow]:
        """In any order."""
        ...

    async def put_stamp(self, row: StampRow) -> None: ...
    async def other_turn_since(self, session_id: str, turn_id: str, after_ms: int) -> bool:
        """Whether a stamped turn other than ``turn_id`` committed strictly after ``after_ms``."""
        ...

    async def meta(self, session_id: str) -> SessionMeta | None: ...
    async def put_meta(self, meta: SessionMeta) -> None: ...

    # -- lease

    async def lease(self, session_id: str) -> LeaseRow | None: ...
    async def put_lease(self, row: LeaseRow) -> None: ...

    # -- queued work

    async def next_sequence(self) -> int:
        """A number never given before at this place."""
        ...

    async def batches(self, session_id: str) -> list[BatchRow]:
        """In enqueue order."""
        ...

    async def batch(self, session_id: str, batch_id: str) -> BatchRow | None: ...
    async def batch_by_key(self, session_id: str, source_key: str) -> BatchRow | None: ...
    async def put_batch(self, row: BatchRow) -> None: ...
    async def drop_batch(self, session_id: str, batch_id: str) -> None: ...

    # -- pending input

    async def waiting_inputs(self, session_id: str) -> list[InputRow]:
        """Pending-active and deferred rows, in enqueue order."""
        ...

    async def inputs_from(self, session_id: str, enqueue_seq: int) -> list[InputRow]:
        """Every row from that sequence on, in order."""
        ...

    async def input(self, session_id: str, input_id: str) -> InputRow | None: ...
    async def input_by_key(self, session_id: str, source_key: str) -> InputRow | None: ...
    async def put_input(self, row: InputRow) -> None: ...
    async def drop_terminal_inputs(self, session_id: str) -> int: ...

    # -- attachment manifest

    async def intent(self, session_id: str, attachment_id: str) -> AttachmentManifestEntry | None: ...
    async def intents_of(self, attachment_id: str) -> list[AttachmentManifestEntry]: ...
    async def uncommitted(self, cutoff_ms: int) -> list[AttachmentManifestEntry]:
        """Recorded at or before the cutoff; oldest first, then by session and id."""
        ...

    async def intents_of_turn(self, session_id: str, turn_id: str) -> list[AttachmentManifestEntry]:
        """Uncommitted rows owned by that turn."""
        ...

    async def put_intent(self, entry: AttachmentManifestEntry) -> None: ...
    async def drop_intent(self, session_id: str, attachment_id: str) -> None: ...
    async def all_refs(self) -> list[str]:
        """Each id once, sorted; every row is read, so that none is trusted that cannot be."""
        ...

    # -- sessions

    async def drop_session(self, session_id: str) -> None:
        """Delete every row keyed by the session; blobs stay for the garbage collection."""
        ...


def upward(leaf: str, found: Callable[[str], SessionNodeRecord | None]) -> list[SessionNodeRecord]:
    """The way from a leaf to its root, as far as nodes are found and none comes twice."""
    path: list[SessionNodeRecord] = []
    seen: set[str] = set()
    at: str | None = leaf
    while at is not None and at not in seen and (node := found(at)) is not None:
        seen.add(at)
        path.append(node)
        at = node.parent_node_id
    return path
