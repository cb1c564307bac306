"""Stores that are wrong about claims of queued work."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

import asyncio

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import StoreWrapper
from lash_ref.errors import SessionExecutionLeaseExpired
from lash_ref.inputs import CheckpointWork
from lash_ref.store import Store


@mutant("QUE.10", character="Trusting: a claim needs no live fence.")
class ClaimsNeedNoFence(Store):
    async def require_live(self, rows, session_id, fence, now):
        return fence


@mutant("QUE.10", character="Forgets whose session the fence is of.")
class IgnoresTheFencesSession(Store):
    async def require_live(self, rows, session_id, fence, now):
        return await super().require_live(rows, fence.session_id if fence else session_id, fence, now)


@mutant("QUE.11", character="Zero means all: a maximum of 0 is no maximum.")
class ZeroMeansAll(StoreWrapper):
    async def claim_ready_queued_work(self, session_id, lease, owner, boundary, max_batches):
        return await self.inner.claim_ready_queued_work(session_id, lease, owner, boundary, max_batches or 99)


@mutant("QUE.11", character="Officious: asks for the fence of a claim of nothing.")
class JudgesTheFenceOfNothing(StoreWrapper):
    async def claim_ready_queued_work(self, session_id, lease, owner, boundary, max_batches):
        if not max_batches:
            await self.inner.claim_leading_ready_session_command(session_id, lease, owner)
        return await self.inner.claim_ready_queued_work(session_id, lease, owner, boundary, max_batches)


@mutant("QUE.56", character="Accommodating: an unknown boundary is the idle one.")
class GuessesTheBoundary(StoreWrapper):
    async def claim_ready_queued_work(self, session_id, lease, owner, boundary, max_batches):
        known = boundary if boundary in ("idle", "active_turn_checkpoint") else "idle"
        return await self.inner.claim_ready_queued_work(session_id, lease, owner, known, max_batches)


@mutant("QUE.12", character="Clinging: a batch claimed once stays claimed, whatever became of the lease.")
class HeldForEver(Store):
    async def candidates(self, rows, session_id, generation, now):
        return [r for r in await super().candidates(rows, session_id, generation, now) if r.hold is None]


@mutant("QUE.12", character="Terse: a claim names its batches and leaves their items out.")
class ClaimsWithoutItems(Store):
    async def hold(self, rows, chosen, fence, owner):
        claim = await super().hold(rows, chosen, fence, owner)
        return claim and claim.but(batches=tuple(one.but(items=()) for one in claim.batches))


@mutant("QUE.13", character="Impatient: claims work before its time.")
class IgnoresTheTime(Store):
    async def candidates(self, rows, session_id, generation, now):
        return await super().candidates(rows, session_id, generation, 2**63 - 1)


@mutant("QUE.13", character="Orderly: a future batch blocks what comes after it.")
class FutureBlocks(Store):
    async def candidates(self, rows, session_id, generation, now):
        every = await rows.batches(session_id)
        future = [r.batch.enqueue_seq for r in every if r.batch.available_at_ms > now]
        ready = await super().candidates(rows, session_id, generation, now)
        return [r for r in ready if not future or r.batch.enqueue_seq < future[0]]


@mutant("QUE.14", character="Orderly: a held batch blocks what comes after it.")
class HeldBlocks(Store):
    async def candidates(self, rows, session_id, generation, now):
        every = await rows.batches(session_id)
        return [] if any(r.hold is not None for r in every) else every


@mutant("QUE.14", character="Generous: grants one turn the same batch twice.")
class GrantsTwice(Store):
    async def candidates(self, rows, session_id, generation, now):
        return await super().candidates(rows, session_id, -1, now)


@mutant("QUE.15", character="Short-sighted: scans the first 33 batches.")
class ScansThirtyThree(Store):
    async def candidates(self, rows, session_id, generation, now):
        first = {r.batch.batch_id for r in (await rows.batches(session_id))[:33]}
        ready = await super().candidates(rows, session_id, generation, now)
        return [r for r in ready if r.batch.batch_id in first]


@mutant("QUE.16", character="Filtering: picks turn work from behind a command.")
class WorkPassesCommands(Store):
    def leading_group(self, ready, boundary, limit):
        return super().leading_group([r for r in ready if r.batch.work_class == "turn_work"], boundary, limit)


@mutant("QUE.17", character="Filtering: picks a command from behind turn work.")
class CommandsPassWork(Store):
    def leading_command(self, ready):
        return super().leading_command([r for r in ready if r.batch.work_class == "session_command"])


@mutant("QUE.17", character="Greedy: takes every leading command at once.")
class TakesAllCommands(Store):
    def leading_command(self, ready):
        return [r for r in ready if r.batch.work_class == "session_command"]


@mutant("QUE.18", character="Filtering: lets early work pass an after-commit head.")
class EarlyPassesLate(Store):
    def leading_group(self, ready, boundary, limit):
        if boundary == "active_turn_checkpoint":
            ready = [r for r in ready if r.batch.delivery_policy == "earliest_safe_boundary"]
        return super().leading_group(ready, boundary, limit)


@mutant("QUE.18", "QUE.25", character="Unbounded: does not look at the boundary.")
class IgnoresTheBoundary(Store):
    def leading_group(self, ready, boundary, limit):
        return super().leading_group(ready, "idle", limit)


@mutant("QUE.19", character="Early: at idle it still holds after-commit work back.")
class IdleIsACheckpoint(Store):
    def leading_group(self, ready, boundary, limit):
        return super().leading_group(ready, "active_turn_checkpoint", limit)


@mutant("QUE.20", character="Sociable: an exclusive batch takes company.")
class ExclusiveJoins(Store):
    def leading_group(self, ready, boundary, limit):
        group = super().leading_group(ready, boundary, limit)
        return list(ready[:limit]) if group else group


@mutant("QUE.21", character="Boundless: a join group knows no maximum.")
class IgnoresTheMaximum(Store):
    def leading_group(self, ready, boundary, limit):
        return super().leading_group(ready, boundary, 10**6 if limit else 0)


@mutant("QUE.21", character="Mixing: joins whatever the merge key.")
class IgnoresMergeKeys(Store):
    def joins(self, head, other):
        return super().joins(head, other.but(merge_key=head.merge_key))


@mutant("QUE.21", character="Mixing: joins whatever the delivery policy.")
class IgnoresDeliveryInJoins(Store):
    def joins(self, head, other):
        return super().joins(head, other.but(delivery_policy=head.delivery_policy))


@mutant("QUE.21", character="Gathering: picks joins from behind a break.")
class JoinsAcrossBreaks(Store):
    def leading_group(self, ready, boundary, limit):
        group = super().leading_group(ready, boundary, limit)
        if not group or group[0].batch.slot_policy != "join":
            return group
        return [group[0], *[r for r in ready[1:] if self.joins(group[0].batch, r.batch)]][:limit]


@mutant("QUE.22", character="Literal: never means never, even to another never.")
class NeverNeverJoins(Store):
    def joins(self, head, other):
        return head.merge_key != "never" and super().joins(head, other)


@mutant("QUE.32", character="Stuck: the number of a claim is always 1.")
class ClaimNumberIsOne(Store):
    async def hold(self, rows, chosen, fence, owner):
        return await super().hold(rows, [row.but(claim_number=0) for row in chosen], fence, owner)


@mutant("QUE.23", character="Ageless: records generation 0 on every claim.")
class AnswersNoGeneration(Store):
    async def hold(self, rows, chosen, fence, owner):
        claim = await super().hold(rows, chosen, fence, owner)
        return claim if claim is None else claim.but(session_lease_generation=0)


@mutant("QUE.32", character="By the head: numbers a group after its first batch.")
class NumbersByTheHead(Store):
    async def hold(self, rows, chosen, fence, owner):
        alike = [row.but(claim_number=chosen[0].claim_number) for row in chosen]
        return await super().hold(rows, alike, fence, owner)


@mutant(
    "QUE.24",
    "INP.23",
    character="Hesitant: finds work, pauses, and claims it in another step.",
    on_sqlite=False,
)
class FindsThenClaims(StoreWrapper):
    async def claim_ready_queued_work(self, session_id, lease, owner, boundary, max_batches):
        claim = await self.inner.claim_ready_queued_work(session_id, lease, owner, boundary, max_batches)
        if claim is not None:
            await self.inner.abandon_queued_work_claim(claim)
            await asyncio.sleep(0)
            return claim
        return claim

    async def claim_next_turn_inputs(self, session_id, lease, owner, max_inputs):
        claim = await self.inner.claim_next_turn_inputs(session_id, lease, owner, max_inputs)
        if claim is not None:
            await self.inner.abandon_turn_input_claim(claim)
            await asyncio.sleep(0)
        return claim


@mutant("QUE.25", character="Partial: an exact claim takes what it can get.")
class ExactTakesSome(StoreWrapper):
    async def claim_ready_queued_work_by_batch_ids(self, session_id, lease, owner, boundary, batch_ids):
        for batch_id in batch_ids:
            found = await self.inner.claim_ready_queued_work_by_batch_ids(
                session_id, lease, owner, boundary, [batch_id]
            )
            if found is not None:
                return found
        return None


@mutant("QUE.25", character="Any company: an exact list need not be one group.")
class ExactTakesAnyGroup(Store):
    def leading_group(self, ready, boundary, limit):
        return list(ready) if limit == len(ready) > 1 else super().leading_group(ready, boundary, limit)


@mutant("QUE.26", character="In line: an exact claim must begin at the head.")
class ExactMustLead(StoreWrapper):
    async def claim_ready_queued_work_by_batch_ids(self, session_id, lease, owner, boundary, batch_ids):
        pending = await self.inner.list_pending_queued_work(session_id)
        if pending and pending[0].batch_id not in batch_ids:
            return None
        return await self.inner.claim_ready_queued_work_by_batch_ids(
            session_id, lease, owner, boundary, batch_ids
        )


@mutant("QUE.27", character="Counting: an id named twice must be there twice.")
class CountsRepeatedIds(StoreWrapper):
    async def claim_ready_queued_work_by_batch_ids(self, session_id, lease, owner, boundary, batch_ids):
        if len(set(batch_ids)) != len(batch_ids):
            return None
        return await self.inner.claim_ready_queued_work_by_batch_ids(
            session_id, lease, owner, boundary, batch_ids
        )


@mutant("QUE.28", character="One-sided: a checkpoint grants input or work, never both.")
class GrantsOneFamily(StoreWrapper):
    async def claim_checkpoint_work(self, *arguments):
        work = await self.inner.claim_checkpoint_work(*arguments)
        return work.but(queued_work_claim=None) if work.turn_input_claim else work


@mutant("QUE.28", character="Boundless: a checkpoint does not look at its limits.")
class CheckpointIgnoresLimits(StoreWrapper):
    async def claim_checkpoint_work(self, session_id, lease, owner, turn_id, checkpoint, inputs, batches):
        return await self.inner.claim_checkpoint_work(
            session_id, lease, owner, turn_id, checkpoint, inputs + 9, batches + 9
        )


@mutant("QUE.29", character="Strict: judges the fence even when there is nothing to grant.")
class JudgesTheFenceForNothing(Store):
    async def claim_checkpoint_work(self, session_id, session_execution_lease, *rest):
        async with self.transactions.begin(write=False) as rows:
            await self.require_live(rows, session_id, session_execution_lease, self.clock.now_ms())
        return await super().claim_checkpoint_work(session_id, session_execution_lease, *rest)


@mutant("QUE.29", character="Lax: a checkpoint never judges the fence.")
class CheckpointNeverJudges(StoreWrapper):
    async def claim_checkpoint_work(self, *arguments):
        try:
            return await self.inner.claim_checkpoint_work(*arguments)
        except SessionExecutionLeaseExpired:
            return CheckpointWork()


@mutant("QUE.25", character="Obedient: claims what is named, before its time or not.")
class ExactIgnoresTheTime(Store):
    async def claim_ready_queued_work_by_batch_ids(self, *arguments):
        ready, self.candidates = (
            self.candidates,
            lambda rows, session, gen, now: ready(rows, session, gen, 2**63 - 1),
        )
        try:
            return await super().claim_ready_queued_work_by_batch_ids(*arguments)
        finally:
            self.candidates = ready


@mutant("QUE.25", character="Obedient: claims what is named, turn work or not.")
class ExactTakesCommands(Store):
    def leading_group(self, ready, boundary, limit):
        if limit == len(ready) == 1:
            return list(ready)
        return super().leading_group(ready, boundary, limit)


@mutant("QUE.33", character="Orderly: grants what was named in the order of the queue.")
class GrantsInQueueOrder(StoreWrapper):
    async def claim_ready_queued_work_by_batch_ids(self, session_id, lease, owner, boundary, batch_ids):
        places = [row.batch_id for row in await self.inner.list_queued_work(session_id)]
        wanted = [one for one in places if one in batch_ids] + [one for one in batch_ids if one not in places]
        return await self.inner.claim_ready_queued_work_by_batch_ids(session_id, lease, owner, boundary, wanted)


@mutant("QUE.34", character="Shy: grants nothing at a checkpoint.")
class NothingAtACheckpoint(Store):
    def leading_group(self, ready, boundary, limit):
        return super().leading_group(ready, boundary, limit) if boundary == "idle" else []
