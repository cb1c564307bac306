"""Queued work: enqueue, claim, settle, cancel, list."""

from collections.abc import Sequence

from lash_ref.errors import QueuedWorkClaimSuperseded
from lash_ref.lease import LeaseOwnerIdentity, SessionExecutionLeaseFence
from lash_ref.rows import BatchRow, Rows
from lash_ref.scalars import admitted, identifier, u64
from lash_ref.segment import Segment, boundary_of, require_one_class
from lash_ref.work import (
    BATCH_TRANSITIONS,
    BatchState,
    ClaimBoundary,
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkCompletion,
    QueuedWorkItem,
)


class QueueSegment(Segment):
    """`QueuedWorkStore` over rows."""

    async def enqueue_queued_work(self, batch: QueuedWorkBatchDraft) -> QueuedWorkBatch:
        """Enqueue, or answer the batch that the source key names already."""
        batch = admitted(batch)
        require_one_class(batch)
        async with self.transactions.begin(write=True) as rows:
            return await self.enqueue(rows, batch, self.clock.now_ms())

    async def enqueue(self, rows: Rows, draft: QueuedWorkBatchDraft, now: int) -> QueuedWorkBatch:
        """The same inside a transaction; commits use it for their outbox."""
        if draft.source_key is not None:
            named = await rows.batch_by_key(draft.session_id, draft.source_key)
            if named is not None:
                return named.batch
        batch = QueuedWorkBatch(
            batch_id=self.mint("batch"),
            session_id=draft.session_id,
            enqueue_seq=await rows.next_sequence(),
            source_key=draft.source_key,
            delivery_policy=draft.delivery_policy,
            slot_policy=draft.slot_policy,
            merge_key=draft.merge_key,
            available_at_ms=draft.available_at_ms,
            enqueued_at_ms=now,
            items=tuple(
                QueuedWorkItem(item_id=self.mint("item"), payload=payload) for payload in draft.payloads
            ),
        )
        await rows.put_batch(BatchRow(batch=batch))
        return batch

    # -- claims

    async def claim_leading_ready_session_command(
        self,
        session_id: str,
        session_execution_lease: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
    ) -> QueuedWorkClaim | None:
        """Claim the head of the queue if it is a command."""
        identifier("session_id", session_id)
        fence, owner = admitted(session_execution_lease), admitted(owner)
        async with self.transactions.begin(write=True) as rows:
            now = self.clock.now_ms()
            await self.require_live(rows, session_id, fence, now)
            ready = await self.candidates(rows, session_id, fence.fencing_token, now)
            return await self.hold(rows, self.leading_command(ready), fence, owner)

    async def claim_ready_queued_work(
        self,
        session_id: str,
        session_execution_lease: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
        boundary: ClaimBoundary,
        max_batches: int,
    ) -> QueuedWorkClaim | None:
        """Claim the leading group of turn work that the boundary admits."""
        identifier("session_id", session_id)
        fence, owner = admitted(session_execution_lease), admitted(owner)
        boundary = boundary_of(boundary)
        if u64("max_batches", max_batches) == 0:
            return None
        async with self.transactions.begin(write=True) as rows:
            now = self.clock.now_ms()
            await self.require_live(rows, session_id, fence, now)
            ready = await self.candidates(rows, session_id, fence.fencing_token, now)
            group = self.leading_group(ready, boundary, max_batches)
            return await self.hold(rows, group, fence, owner)

    async def claim_ready_queued_work_by_batch_ids(
        self,
        session_id: str,
        session_execution_lease: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
        boundary: ClaimBoundary,
        batch_ids: Sequence[str],
    ) -> QueuedWorkClaim | None:
        """Claim exactly these batches, in the order given, or none ([QUE.33][])."""
        identifier("session_id", session_id)
        fence, owner = admitted(session_execution_lease), admitted(owner)
        boundary = boundary_of(boundary)
        wanted = dict.fromkeys(identifier("batch_ids", batch_id) for batch_id in batch_ids)
        if not wanted:
            return None
        async with self.transactions.begin(write=True) as rows:
            now = self.clock.now_ms()
            await self.require_live(rows, session_id, fence, now)
            ready = await self.candidates(rows, session_id, fence.fencing_token, now)
            free = {row.batch.batch_id: row for row in ready}
            chosen = [free[batch_id] for batch_id in wanted if batch_id in free]
            if len(chosen) != len(wanted):
                return None
            if len(self.leading_group(chosen, boundary, len(chosen))) != len(chosen):
                return None
            return await self.hold(rows, chosen, fence, owner)

    async def candidates(self, rows: Rows, session_id: str, generation: int, now: int) -> list[BatchRow]:
        """What a holder of that generation may claim now, in enqueue order."""
        return [
            row
            for row in await rows.batches(session_id)
            if row.batch.available_at_ms <= now
            and (self.batch_state(row, generation), "claim") in BATCH_TRANSITIONS
        ]

    def leading_command(self, ready: Sequence[BatchRow]) -> list[BatchRow]:
        """The head, if it is a command; commands are claimed one at a time."""
        return [row for row in ready[:1] if row.batch.work_class == "session_command"]

    def leading_group(self, ready: Sequence[BatchRow], boundary: ClaimBoundary, limit: int) -> list[BatchRow]:
        """The head if the boundary admits it, and the joins that follow it without a break."""
        if not ready or limit == 0:
            return []
        head = ready[0].batch
        if head.work_class != "turn_work":
            return []
        if boundary == "active_turn_checkpoint" and head.delivery_policy != "earliest_safe_boundary":
            return []
        group = [ready[0]]
        for row in ready[1:limit] if head.slot_policy == "join" else ():
            if not self.joins(head, row.batch):
                break
            group.append(row)
        return group

    def joins(self, head: QueuedWorkBatch, other: QueuedWorkBatch) -> bool:
        """Whether a batch belongs to the head's group."""
        return (
            other.work_class == "turn_work"
            and other.slot_policy == "join"
            and other.delivery_policy == head.delivery_policy
            and other.merge_key == head.merge_key
        )

    async def hold(
        self,
        rows: Rows,
        chosen: Sequence[BatchRow],
        fence: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
    ) -> QueuedWorkClaim | None:
        """Claim the chosen rows, all under one claim."""
        if not chosen:
            return None
        number = max(row.claim_number for row in chosen) + 1
        hold = self.new_hold(owner, fence)
        for row in chosen:
            await rows.put_batch(row.but(hold=hold, claim_number=number))
        return QueuedWorkClaim(
            session_id=fence.session_id,
            claim_id=hold.claim_id,
            owner=owner,
            lease_token=hold.lease_token,
            fencing_token=number,
            session_lease_generation=hold.generation,
            batches=tuple(row.batch for row in chosen),
        )

    # -- settle

    async def completed_batches(self, rows: Rows, completion: QueuedWorkCompletion) -> list[BatchRow]:
        """The rows a completion settles.

        Raises:
            QueuedWorkClaimSuperseded: one of them is not held by that claim and token, or the completion
                names another session ([QUE.55][]).
        """
        superseded = QueuedWorkClaimSuperseded(completion.session_id, completion.claim_id)
        if completion.session_id != self.session_id:
            raise superseded
        held: list[BatchRow] = []
        for batch_id in dict.fromkeys(completion.batch_ids):
            row = await rows.batch(self.session_id, batch_id)
            if row is None or not self.holds(row, completion.claim_id, completion.lease_token):
                raise superseded
            held.append(row)
        return held

    async def abandon_queued_work_claim(self, claim: QueuedWorkClaim) -> None:
        """Free the batches that the claim still holds."""
        await self.abandon_queued_work_claims((claim,))

    async def abandon_queued_work_claims(self, claims: Sequence[QueuedWorkClaim]) -> None:
        """Abandon each, in one unit."""
        given = [admitted(claim) for claim in claims]
        async with self.transactions.begin(write=True) as rows:
            for claim in given:
                for batch in claim.batches:
                    row = await rows.batch(claim.session_id, batch.batch_id)
                    if row is not None and self.holds(row, claim.claim_id, claim.lease_token):
                        await rows.put_batch(row.but(hold=None))

    async def cancel_queued_work_batch(self, session_id: str, batch_id: str) -> QueuedWorkBatch | None:
        """Remove and answer a batch that nobody live holds."""
        identifier("session_id", session_id)
        identifier("batch_id", batch_id)
        async with self.transactions.begin(write=True) as rows:
            live = await self.live_generation(rows, session_id, self.clock.now_ms())
            row = await rows.batch(session_id, batch_id)
            if row is None or (self.batch_state(row, live), "cancel") not in BATCH_TRANSITIONS:
                return None
            await rows.drop_batch(session_id, batch_id)
            return row.batch

    def batch_state(self, row: BatchRow, generation: int | None) -> BatchState:
        """Where a stored batch stands while that lease generation is live."""
        if row.hold is None:
            return "waiting"
        return "held" if row.hold.generation == generation else BATCH_TRANSITIONS["held", "lease ends"]

    def is_held(self, row: BatchRow, live_generation: int | None) -> bool:
        """Whether a live claim holds the row, as seen by someone without a fence."""
        return self.batch_state(row, live_generation) == "held"

    async def list_queued_work(self, session_id: str) -> tuple[QueuedWorkBatch, ...]:
        """Every batch of the session."""
        identifier("session_id", session_id)
        async with self.transactions.begin(write=False) as rows:
            return tuple(row.batch for row in await rows.batches(session_id))

    async def list_pending_queued_work(self, session_id: str) -> tuple[QueuedWorkBatch, ...]:
        """Those that no live claim holds."""
        identifier("session_id", session_id)
        async with self.transactions.begin(write=False) as rows:
            found = await rows.batches(session_id)
            live = await self.live_generation(rows, session_id, self.clock.now_ms()) if found else None
            return tuple(row.batch for row in found if not self.is_held(row, live))
