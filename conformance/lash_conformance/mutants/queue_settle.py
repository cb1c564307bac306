"""Stores that are wrong about how claims of queued work end."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import FactoryWrapper, StoreWrapper
from lash_ref.errors import QueuedWorkClaimSuperseded
from lash_ref.segment import Segment
from lash_ref.store import Store


@mutant("QUE.40", "QUE.41", "QUE.43", character="Trusting: a completion removes whatever it lists.")
class CompletesAnything(Store):
    def holds(self, row, claim_id, token):
        return True


@mutant("QUE.41", character="Half-blind: compares the claim id and not the token.")
class IgnoresClaimTokens(Store):
    def holds(self, row, claim_id, token):
        return row.hold is not None and row.hold.claim_id == claim_id


@mutant("QUE.41", character="Forgiving: completing what is gone already is fine.")
class CompletesTheGone(Store):
    async def completed_batches(self, rows, completion):
        every = [await rows.batch(self.session_id, batch_id) for batch_id in completion.batch_ids]
        left = tuple(row.batch.batch_id for row in every if row is not None)
        return await super().completed_batches(rows, completion.but(batch_ids=left))


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
            await rows.put_batch(
                taken.but(hold=row.hold.model_copy(update={"generation": fence.fencing_token}))
            )
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
    def batch_state(self, row, generation):
        return "waiting" if row.hold is None else "lapsed"


@mutant("QUE.49", character="Nostalgic: a batch cancelled twice is answered twice.")
class AnswersCancelledBatches(StoreWrapper):
    async def cancel_queued_work_batch(self, session_id, batch_id):
        gone = self.place.memory.setdefault("cancelled", {})
        found = await self.inner.cancel_queued_work_batch(session_id, batch_id)
        return gone.setdefault(batch_id, found) if found else gone.get(batch_id)


@mutant("QUE.50", character="Clinging: a claim outlives its lease for everyone without a fence.")
class ClaimsOutliveLeases(Store):
    def is_held(self, row, live_generation):
        return row.hold is not None


@mutant("QUE.53", character="Hiding: the full listing shows what is pending only.")
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


@mutant("QUE.54", character="Suspicious: a completion that lists nothing is stale.")
class RefusesEmptyCompletions(Store):
    async def completed_batches(self, rows, completion):
        if not completion.batch_ids:
            raise QueuedWorkClaimSuperseded(completion.session_id, completion.claim_id)
        return await super().completed_batches(rows, completion)


@mutant("QUE.55", character="Shrugging: a completion of nothing may name any session.")
class AcceptsForeignEmptyCompletions(Store):
    async def completed_batches(self, rows, completion):
        return await super().completed_batches(rows, completion) if completion.batch_ids else []
