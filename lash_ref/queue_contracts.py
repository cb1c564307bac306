"""The Protocols of what waits for a session: queued work and user input, in enqueue order."""

from collections.abc import Sequence
from typing import Protocol

from lash_ref.inputs import (
    CancelOutcome,
    CancelResult,
    CancelTarget,
    CheckpointWork,
    PendingTurnInput,
    PendingTurnInputDraft,
    SuffixCancelOutcome,
    TurnInputApplication,
    TurnInputClaim,
)
from lash_ref.lease import LeaseOwnerIdentity, SessionExecutionLeaseFence
from lash_ref.work import (
    CheckpointKind,
    ClaimBoundary,
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
)


class QueuedWorkStore(Protocol):
    """Batches of work, in enqueue order per session."""

    async def enqueue_queued_work(self, batch: QueuedWorkBatchDraft) -> QueuedWorkBatch:
        """Enqueue, or answer the batch that the source key names already; atomic."""
        ...

    async def claim_leading_ready_session_command(
        self,
        session_id: str,
        session_execution_lease: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
    ) -> QueuedWorkClaim | None:
        """Claim the head of the queue if it is a command; atomic with the fence check.

        Raises:
            SessionExecutionLeaseExpired: the fence is not the live lease of that session.
        """
        ...

    async def claim_ready_queued_work(
        self,
        session_id: str,
        session_execution_lease: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
        boundary: ClaimBoundary,
        max_batches: int,
    ) -> QueuedWorkClaim | None:
        """Claim the leading group of turn work that the boundary admits; as above."""
        ...

    async def claim_ready_queued_work_by_batch_ids(
        self,
        session_id: str,
        session_execution_lease: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
        boundary: ClaimBoundary,
        batch_ids: Sequence[str],
    ) -> QueuedWorkClaim | None:
        """Claim exactly these batches, or none; as above."""
        ...

    async def claim_checkpoint_work(
        self,
        session_id: str,
        session_execution_lease: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
        turn_id: str,
        checkpoint: CheckpointKind,
        max_inputs: int,
        max_batches: int,
    ) -> CheckpointWork:
        """Claim what a running turn may take in at a checkpoint, of both families, in one unit.

        With nothing to grant it writes nothing and does not judge the fence.

        Raises:
            SessionExecutionLeaseExpired: there is something to grant and the fence is not live.
        """
        ...

    async def abandon_queued_work_claim(self, claim: QueuedWorkClaim) -> None:
        """Free the batches that the claim still holds; others are left alone."""
        ...

    async def abandon_queued_work_claims(self, claims: Sequence[QueuedWorkClaim]) -> None:
        """Abandon each."""
        ...

    async def cancel_queued_work_batch(
        self, session_id: str, batch_id: str
    ) -> QueuedWorkBatch | None:
        """Remove and answer a batch nobody live holds; none otherwise. Atomic."""
        ...

    async def list_queued_work(self, session_id: str) -> tuple[QueuedWorkBatch, ...]:
        """Every batch of the session, in enqueue order."""
        ...

    async def list_pending_queued_work(self, session_id: str) -> tuple[QueuedWorkBatch, ...]:
        """Those that no live claim holds."""
        ...


class TurnInputStore(Protocol):
    """User input that waits for a turn, in enqueue order per session."""

    async def enqueue_pending_turn_input(self, input: PendingTurnInputDraft) -> PendingTurnInput:
        """Enqueue, or answer the input that was submitted with the same key and content; atomic.

        Raises:
            PendingTurnInputSourceKeyConflict: the key names other content.
            DuplicateInputId: the id names another input.
        """
        ...

    async def list_pending_turn_inputs(self, session_id: str) -> tuple[PendingTurnInput, ...]:
        """Inputs that wait and that no live claim holds, in enqueue order."""
        ...

    async def list_turn_input_applications(self, session_id: str) -> tuple[TurnInputApplication, ...]:
        """What stamped commits made of the session's inputs, in commit order; never forgotten ([INP.40][])."""
        ...

    async def cancel_pending_turn_input(self, session_id: str, input_id: str) -> CancelOutcome:
        """Cancel one input."""
        ...

    async def cancel_pending_turn_inputs(
        self, session_id: str, targets: Sequence[CancelTarget]
    ) -> tuple[CancelResult, ...]:
        """Cancel several, one result a target in order; atomic."""
        ...

    async def cancel_pending_turn_input_suffix(
        self, session_id: str, anchor: CancelTarget
    ) -> SuffixCancelOutcome:
        """Cancel the anchor and everything enqueued after it; atomic."""
        ...

    async def claim_active_turn_inputs(
        self,
        session_id: str,
        session_execution_lease: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
        turn_id: str,
        checkpoint: CheckpointKind,
        max_inputs: int,
    ) -> TurnInputClaim | None:
        """Accept the running turn's inputs that the checkpoint admits; atomic with the fence check.

        Raises:
            SessionExecutionLeaseExpired: the fence is not the live lease of that session.
        """
        ...

    async def claim_next_turn_inputs(
        self,
        session_id: str,
        session_execution_lease: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
        max_inputs: int,
    ) -> TurnInputClaim | None:
        """Claim what waits for the next turn; as above."""
        ...

    async def abandon_turn_input_claim(self, claim: TurnInputClaim) -> None:
        """Give back the inputs that the claim still holds; others are left alone."""
        ...

    async def abandon_turn_input_claims(self, claims: Sequence[TurnInputClaim]) -> None:
        """Abandon each."""
        ...
