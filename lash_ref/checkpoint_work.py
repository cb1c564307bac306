"""What a running turn takes in at a checkpoint: pending input and queued work, in one unit."""

from lash_ref.inputs import ActiveTurnMode, CheckpointWork
from lash_ref.lease import LeaseOwnerIdentity, SessionExecutionLeaseFence
from lash_ref.queue import QueueSegment
from lash_ref.scalars import admitted, identifier, u64
from lash_ref.segment import checkpoint_of
from lash_ref.turn_inputs import InputSegment
from lash_ref.work import CheckpointKind


class CheckpointWorkSegment(QueueSegment, InputSegment):
    """The one operation that spans both families."""

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
        """Claim what a running turn may take in at a checkpoint, of both families, in one unit."""
        identifier("session_id", session_id)
        identifier("turn_id", turn_id)
        checkpoint = checkpoint_of(checkpoint)
        fence, owner = admitted(session_execution_lease), admitted(owner)
        inputs, batches = u64("max_inputs", max_inputs), u64("max_batches", max_batches)
        generation = fence.fencing_token
        async with self.transactions.begin(write=False) as rows:
            now = self.clock.now_ms()
            ready = await self.candidates(rows, session_id, generation, now)
            group = self.leading_group(ready, "active_turn_checkpoint", batches)
            waiting = await self.active_candidates(rows, session_id, turn_id, checkpoint, generation)
            if not group and not waiting[:inputs]:
                return CheckpointWork()
        async with self.transactions.begin(write=True) as rows:
            now = self.clock.now_ms()
            await self.require_live(rows, session_id, fence, now)
            waiting = await self.active_candidates(rows, session_id, turn_id, checkpoint, generation)
            mode = ActiveTurnMode(turn_id=turn_id, checkpoint=checkpoint)
            input_claim = await self.hold_inputs(rows, waiting[:inputs], fence, owner, mode)
            ready = await self.candidates(rows, session_id, generation, now)
            group = self.leading_group(ready, "active_turn_checkpoint", batches)
            work_claim = await self.hold(rows, group, fence, owner)
            return CheckpointWork(turn_input_claim=input_claim, queued_work_claim=work_claim)
