"""What every segment of the store shares: the bound session, transactions, time, and the fence."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from pydantic import TypeAdapter, ValidationError

from lash_ref.contracts import Clock, ProcessEvidence
from lash_ref.errors import Backend, InvalidRecord, SessionExecutionLeaseExpired
from lash_ref.lease import (
    LANE_TRANSITIONS,
    LaneState,
    LeaseOwnerIdentity,
    SessionExecutionLease,
    SessionExecutionLeaseFence,
)
from lash_ref.rows import BatchRow, Hold, InputRow, LeaseRow, Rows
from lash_ref.scalars import MAX_INT, invalid
from lash_ref.work import CheckpointKind, ClaimBoundary, QueuedWorkBatchDraft, work_class

_BOUNDARY: TypeAdapter[ClaimBoundary] = TypeAdapter(ClaimBoundary)
_CHECKPOINT: TypeAdapter[CheckpointKind] = TypeAdapter(CheckpointKind)

Mint = Callable[[str], str]
"""Makes text of a kind (``lease``, ``claim``, …) that was never made before, by this process or another ([QUE.62][], [INP.51][])."""


class Contended(Backend):
    """A unit could not begin in time because others kept writing; nothing was changed."""

    known_as = "Backend"


class Transactions(Protocol):
    """Where a backend's transactions come from; `begin` may raise `Contended`."""

    def begin(self, write: bool) -> AbstractAsyncContextManager[Rows]:
        """One atomic unit: kept when the block ends, undone when it raises."""
        ...


class Segment:
    """Base of the five segments and the manifest: pure rules over `Rows`."""

    def __init__(
        self,
        session_id: str,
        transactions: Transactions,
        clock: Clock,
        mint: Mint,
        evidence: ProcessEvidence,
    ) -> None:
        self.session_id = session_id
        self.transactions = transactions
        self.clock = clock
        self.mint = mint
        self.evidence = evidence

    def lease_is_live(self, row: LeaseRow | None, now: int) -> bool:
        """Live while the expiry lies strictly in the future ([LEA.8][])."""
        return row is not None and row.expires_at_epoch_ms > now

    def lane(self, row: LeaseRow | None, now: int) -> LaneState:
        """Where the lane stands; time moves it as the table says."""
        if row is None or row.expires_at_epoch_ms == 0:
            return "free"
        return "held" if self.lease_is_live(row, now) else LANE_TRANSITIONS["held", "expiry"][1]

    def matches(self, row: LeaseRow, fence: SessionExecutionLeaseFence) -> bool:
        """Whether the fence names this very grant: session, owner, token and number."""
        return (
            row.session_id == fence.session_id
            and row.owner.same_incarnation(fence.owner)
            and row.lease_token == fence.lease_token
            and row.fencing_token == fence.fencing_token
        )

    async def require_live(
        self, rows: Rows, session_id: str, fence: SessionExecutionLeaseFence | None, now: int
    ) -> SessionExecutionLeaseFence:
        """The fence, if it is the session's live lease.

        Raises:
            SessionExecutionLeaseExpired: otherwise.
        """
        row = await rows.lease(session_id)
        if fence is None or row is None or not self.lease_is_live(row, now):
            raise SessionExecutionLeaseExpired(session_id)
        if not self.matches(row, fence):
            raise SessionExecutionLeaseExpired(session_id)
        return fence

    async def live_generation(self, rows: Rows, session_id: str, now: int) -> int | None:
        """The number of the session's live lease, if one is live."""
        row = await rows.lease(session_id)
        return row.fencing_token if row is not None and self.lease_is_live(row, now) else None

    def new_hold(self, owner: LeaseOwnerIdentity, fence: SessionExecutionLeaseFence) -> Hold:
        """A claim of the owner, under a new id and token, in the generation of the fence."""
        token = fence.fencing_token
        return Hold(claim_id=self.mint("claim"), owner=owner, lease_token=self.mint("token"), generation=token)

    def holds(self, row: BatchRow | InputRow, claim_id: str, token: str) -> bool:
        """Whether the row is held by that claim; the generation does not count."""
        return row.hold is not None and (row.hold.claim_id, row.hold.lease_token) == (claim_id, token)


def boundary_of(value: object) -> ClaimBoundary:
    """``value`` as a claim boundary, or `InvalidRecord`."""
    try:
        return _BOUNDARY.validate_python(value)
    except ValidationError as err:
        raise invalid("boundary", err) from err


def checkpoint_of(value: object) -> CheckpointKind:
    """``value`` as a kind of checkpoint, or `InvalidRecord`."""
    try:
        return _CHECKPOINT.validate_python(value)
    except ValidationError as err:
        raise invalid("checkpoint", err) from err


def later(now: int, ms: int) -> int:
    """``now`` plus ``ms``, at most the largest integer a record holds."""
    return min(now + ms, MAX_INT)


def granted(row: LeaseRow) -> SessionExecutionLease:
    """The lease a row stands for."""
    return SessionExecutionLease(**vars(row))


def require_one_class(draft: QueuedWorkBatchDraft) -> None:
    """Refuse a batch without payloads or of mixed classes ([QUE.30][])."""
    if work_class(draft.payloads) is None:
        kinds = sorted({payload.type for payload in draft.payloads})
        raise InvalidRecord("QueuedWorkBatchDraft", "payloads", "one work class, at least one", kinds)
