"""Stores that are wrong about queued work."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

import asyncio

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import FactoryWrapper, StoreWrapper, WrappedTarget
from lash_ref.errors import InvalidRecord, QueuedWorkClaimSuperseded, SessionExecutionLeaseExpired
from lash_ref.inputs import CheckpointWork
from lash_ref.segment import Segment
from lash_ref.store import Store


class Queueing(StoreWrapper):
    """Edits a draft before it is enqueued."""

    def edited(self, draft):
        return draft

    async def enqueue_queued_work(self, batch):
        return await self.inner.enqueue_queued_work(self.edited(batch))


@mutant("QUE.1", character="Backwards: keeps a batch's payloads in reverse.")
class ReversesPayloads(Queueing):
    def edited(self, draft):
        return draft.but(payloads=draft.payloads[::-1])


@mutant("QUE.2", character="Last come, first served: lists the newest batch first.")
class ListsBackwards(StoreWrapper):
    async def list_queued_work(self, session_id):
        return (await self.inner.list_queued_work(session_id))[::-1]


@mutant("QUE.2", character="By name: lists batches by the text of their sequence, 10 before 2.")
class ListsByText(StoreWrapper):
    async def list_queued_work(self, session_id):
        found = await self.inner.list_queued_work(session_id)
        return tuple(sorted(found, key=lambda one: str(one.enqueue_seq)))


@mutant("QUE.3", character="Keyless: enqueues a repeated key again.")
class IgnoresSourceKeys(Queueing):
    def edited(self, draft):
        self.place.memory["n"] = number = self.place.memory.get("n", 0) + 1
        return draft if draft.source_key is None else draft.but(source_key=f"{draft.source_key}#{number}")


@mutant("QUE.3", character="Last word: a repeated key replaces the payloads.")
class RepeatsReplace(Store):
    async def enqueue(self, rows, draft, now):
        made = await super().enqueue(rows, draft, now)
        row = await rows.batch(draft.session_id, made.batch_id)
        changed = made.but(slot_policy=draft.slot_policy, delivery_policy=draft.delivery_policy)
        await rows.put_batch(row.but(batch=changed))
        return changed


@mutant("QUE.4", character="Worldwide: a key of one session is taken for all.")
class KeysAreGlobal(StoreWrapper):
    async def enqueue_queued_work(self, batch):
        seen = self.place.memory.setdefault("keys", {})
        if batch.source_key in seen and batch.source_key is not None:
            return seen[batch.source_key]
        made = await self.inner.enqueue_queued_work(batch)
        seen[batch.source_key] = made
        return made


@mutant("QUE.5", character="Long of memory: a key is never free again.")
class RemembersKeysForEver(KeysAreGlobal):
    async def enqueue_queued_work(self, batch):
        if batch.source_key is not None:
            batch = batch.but(source_key=f"{batch.session_id}/{batch.source_key}")
        return await super().enqueue_queued_work(batch)


@mutant("QUE.6", character="Hesitant: looks for the key, pauses, and enqueues.")
class LooksForTheKeyThenEnqueues(StoreWrapper):
    async def enqueue_queued_work(self, batch):
        for made in await self.inner.list_queued_work(batch.session_id):
            if made.source_key == batch.source_key and batch.source_key is not None:
                return made
        await asyncio.sleep(0)
        made = await self.inner.enqueue_queued_work(batch.but(source_key=None))
        return made.but(source_key=batch.source_key)


@mutant("QUE.7", character="Common: every session sees one queue.")
class OneQueueForAll(Queueing):
    def edited(self, draft):
        return draft.but(session_id="s1")


@mutant("QUE.8", character="Guarded: only a held lane may receive work.")
class EnqueueNeedsALease(Store):
    async def enqueue(self, rows, draft, now):
        if not self.lease_is_live(await rows.lease(draft.session_id), now):
            raise SessionExecutionLeaseExpired(draft.session_id)
        return await super().enqueue(rows, draft, now)


@mutant("QUE.9", character="Ephemeral: the queue lives with the process.")
class QueueDiesWithTheProcess(WrappedTarget):
    async def open(self, place):
        backend = await super().open(place)
        place.memory["opened"] = place.memory.get("opened", 0) + 1

        class Forgetting(StoreWrapper):
            async def list_queued_work(self, session_id):
                if self.place.memory["opened"] > 1:
                    return ()
                return await self.inner.list_queued_work(session_id)

        backend.sessions.store = Forgetting
        return backend


@mutant("QUE.30", character="Liberal: takes a batch of any payloads, or of none.")
class TakesAnyBatch(StoreWrapper):
    async def enqueue_queued_work(self, batch):
        try:
            return await self.inner.enqueue_queued_work(batch)
        except InvalidRecord:
            return None


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


@mutant("QUE.12", character="Clinging: a batch claimed once stays claimed, whatever became of the lease.")
class HeldForEver(Store):
    async def candidates(self, rows, session_id, generation, now):
        return [r for r in await super().candidates(rows, session_id, generation, now) if r.hold is None]


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


@mutant("QUE.23", character="Stuck: the number of a claim is always 1.")
class ClaimNumberIsOne(Store):
    async def hold(self, rows, chosen, fence, owner):
        return await super().hold(rows, [row.but(claim_number=0) for row in chosen], fence, owner)


@mutant("QUE.23", character="Ageless: records generation 0 on every claim.")
class AnswersNoGeneration(Store):
    async def hold(self, rows, chosen, fence, owner):
        claim = await super().hold(rows, chosen, fence, owner)
        return claim if claim is None else claim.but(session_lease_generation=0)


@mutant("QUE.24", "INP.23", character="Hesitant: finds work, pauses, and claims it in another step.", on_sqlite=False)
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


class Exact(Store):
    """Judges an exact list by a rule of its own."""

    def leading_group(self, ready, boundary, limit):
        return super().leading_group(ready, boundary, limit)


@mutant("QUE.25", character="Any company: an exact list need not be one group.")
class ExactTakesAnyGroup(Exact):
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


# -- settle


@mutant("QUE.40", "QUE.41", "QUE.43", character="Trusting: a completion removes whatever it lists.")
class CompletesAnything(Store):
    def holds(self, row, claim_id, token):
        return True


@mutant("QUE.41", character="Half-blind: compares the claim id and not the token.")
class IgnoresClaimTokens(Store):
    def holds(self, row, claim_id, token):
        return row.hold is not None and row.hold.claim_id == claim_id


@mutant("QUE.41", character="Borderless: takes another session's completion for its own.")
class CompletesForOtherSessions(StoreWrapper):
    async def commit_runtime_state(self, commit):
        done = tuple(one.but(session_id="s1") for one in commit.completed_queue_claims)
        return await self.inner.commit_runtime_state(commit.but(completed_queue_claims=done))


@mutant("QUE.42", character="Hoarding: a completed batch stays in the queue.")
class KeepsCompletedBatches(StoreWrapper):
    async def commit_runtime_state(self, commit):
        return await self.inner.commit_runtime_state(commit.but(completed_queue_claims=()))


@mutant("QUE.43", character="Lenient: an old claim may still complete after a takeover.")
class OldClaimsStillComplete(Store):
    async def hold(self, rows, chosen, fence, owner):
        again = [row for row in chosen if row.hold is not None]
        claim = await super().hold(rows, chosen, fence, owner)
        for row in again:
            taken = await rows.batch(row.batch.session_id, row.batch.batch_id)
            await rows.put_batch(taken.but(hold=row.hold.model_copy(update={"generation": fence.fencing_token})))
        return claim


@mutant("QUE.44", character="All or nothing: refuses a completion of a part of the claim.")
class RefusesPartialCompletion(Store):
    async def completed_batches(self, rows, completion):
        held = [r for r in await rows.batches(self.session_id) if r.hold is not None]
        mine = [r for r in held if r.hold.claim_id == completion.claim_id]
        if len(mine) != len(completion.batch_ids):
            raise QueuedWorkClaimSuperseded(completion.session_id, completion.claim_id)
        return await super().completed_batches(rows, completion)


@mutant("QUE.44", character="Letting go: a partial completion frees the rest.")
class PartialCompletionFreesTheRest(Store):
    async def write(self, rows, commit, *rest):
        result = await super().write(rows, commit, *rest)
        for done in commit.completed_queue_claims:
            for row in await rows.batches(self.session_id):
                if row.hold is not None and row.hold.claim_id == done.claim_id:
                    await rows.put_batch(row.but(hold=None))
        return result


@mutant("QUE.45", character="Generational: a claim dies for good with its lease.")
class DeadGenerationsCannotComplete(Store):
    async def completed_batches(self, rows, completion):
        live = await self.live_generation(rows, self.session_id, self.clock.now_ms())
        held = await super().completed_batches(rows, completion)
        if any(row.hold.generation != live for row in held):
            raise QueuedWorkClaimSuperseded(completion.session_id, completion.claim_id)
        return held


@mutant("QUE.46", character="Holding on: an abandoned batch stays held.")
class NeverAbandons(StoreWrapper):
    async def abandon_queued_work_claim(self, claim):
        return None

    async def abandon_queued_work_claims(self, claims):
        return None


@mutant("QUE.46", character="First only: of several claims it abandons the first.")
class AbandonsTheFirst(StoreWrapper):
    async def abandon_queued_work_claims(self, claims):
        await self.inner.abandon_queued_work_claims(claims[:1])


@mutant("QUE.47", character="Blunt: abandoning frees the batches, whoever holds them.")
class AbandonsForOthers(Store):
    async def abandon_queued_work_claims(self, claims):
        async with self.transactions.begin(write=True) as rows:
            for claim in claims:
                for batch in claim.batches:
                    row = await rows.batch(claim.session_id, batch.batch_id)
                    if row is not None:
                        await rows.put_batch(row.but(hold=None))


@mutant("QUE.48", character="In words only: answers a cancelled batch and keeps it.")
class CancelsInWordsOnly(Store):
    async def cancel_queued_work_batch(self, session_id, batch_id):
        async with self.transactions.begin(write=False) as rows:
            live = await self.live_generation(rows, session_id, self.clock.now_ms())
            row = await rows.batch(session_id, batch_id)
            return None if row is None or self.is_held(row, live) else row.batch


@mutant("QUE.49", "QUE.51", character="Ruthless: cancels what is being worked on, and calls it pending.")
class CancelsHeldBatches(Store):
    def is_held(self, row, live_generation):
        return False


@mutant("QUE.50", character="Clinging: a claim outlives its lease for everyone without a fence.")
class ClaimsOutliveLeases(Store):
    def is_held(self, row, live_generation):
        return row.hold is not None


@mutant("QUE.51", character="Hiding: the full listing shows what is pending only.")
class FullListingHides(StoreWrapper):
    async def list_queued_work(self, session_id):
        return await self.inner.list_pending_queued_work(session_id)


@mutant("QUE.52", character="Recycling: mints ids from the number of rows there are.")
class RecyclesIds(FactoryWrapper):
    async def create_store(self, request):
        made = await super().create_store(request)
        engine = made.inner
        assert isinstance(engine, Segment)

        def mint(kind):
            return f"{kind}-0" if kind in ("batch", "claim") else f"{kind}-{id(object())}"

        engine.mint = mint
        return made
