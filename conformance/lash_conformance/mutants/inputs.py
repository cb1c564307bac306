"""Stores that are wrong about pending turn input."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import StoreWrapper
from lash_ref.errors import DuplicateInputId, PendingTurnInputSourceKeyConflict, TurnInputClaimSuperseded
from lash_ref.inputs import (
    ActiveTurn,
    NextTurn,
)
from lash_ref.store import Store


class Enqueueing(StoreWrapper):
    """Edits a draft before it is enqueued."""

    def edited(self, draft):
        return draft

    async def enqueue_pending_turn_input(self, input):
        return await self.inner.enqueue_pending_turn_input(self.edited(input))


@mutant("INP.1", "INP.12", character="Postponing: all input waits for the next turn.")
class EverythingIsForTheNextTurn(Enqueueing):
    def edited(self, draft):
        return draft.but(ingress=NextTurn())


@mutant("INP.2", character="Renaming: mints an id, whatever was given.")
class AlwaysMintsIds(Enqueueing):
    def edited(self, draft):
        return draft.but(input_id=None)


@mutant("INP.3", character="Forgiving: a taken id answers the input that has it.")
class TakenIdsAnswer(StoreWrapper):
    async def enqueue_pending_turn_input(self, input):
        try:
            return await self.inner.enqueue_pending_turn_input(input)
        except DuplicateInputId:
            listed = await self.inner.list_pending_turn_inputs(input.session_id)
            return next((one for one in listed if one.input_id == input.input_id), None)


@mutant("INP.3", character="Worldwide: an id of one session is taken for all.")
class InputIdsAreGlobal(StoreWrapper):
    async def enqueue_pending_turn_input(self, input):
        taken = self.place.memory.setdefault("ids", {})
        if taken.setdefault(input.input_id, input.session_id) != input.session_id and input.input_id:
            raise DuplicateInputId(input.session_id, input.input_id)
        return await self.inner.enqueue_pending_turn_input(input)


@mutant("INP.4", character="Repeating: a repeated key is a new input.")
class RepeatsAreNew(Enqueueing):
    def edited(self, draft):
        return draft.but(source_key=None)


@mutant("INP.4", "INP.19", character="Short of memory: a finished input no longer answers its key.")
class ForgetsFinishedKeys(Store):
    async def submitted_before(self, rows, draft):
        found = await super().submitted_before(rows, draft)
        if found is not None and found.state in ("cancelled", "completed"):
            return found.but(state="deferred_next_turn")
        return found


@mutant("INP.5", character="Silent: other content under a key is taken for a repeat.")
class ConflictsAreSilent(Store):
    async def submitted_before(self, rows, draft):
        row = None
        if draft.source_key is not None:
            row = await rows.input_by_key(draft.session_id, draft.source_key)
        return None if row is None else row.input


@mutant("INP.5", character="Blind to ingress: only content makes a conflict.")
class IgnoresIngressInConflicts(Store):
    async def submitted_before(self, rows, draft):
        row = await rows.input_by_key(draft.session_id, draft.source_key) if draft.source_key else None
        if row is not None:
            draft = draft.but(ingress=row.submitted)
        return await super().submitted_before(rows, draft)


@mutant("INP.6", character="Superficial: compares the words of an input and not its options.")
class ComparesWordsOnly(Store):
    async def submitted_before(self, rows, draft):
        row = await rows.input_by_key(draft.session_id, draft.source_key) if draft.source_key else None
        if row is not None and row.input.input.items == draft.input.items:
            return row.input
        return await super().submitted_before(rows, draft)


@mutant("INP.7", character="Literal: compares the draft with the rewritten ingress.")
class ComparesWithTheDeferred(Store):
    async def submitted_before(self, rows, draft):
        row = await rows.input_by_key(draft.session_id, draft.source_key) if draft.source_key else None
        if row is not None and row.input.ingress != draft.ingress:
            raise PendingTurnInputSourceKeyConflict(draft.session_id, draft.source_key, row.input.input_id)
        return await super().submitted_before(rows, draft)


@mutant("INP.8", character="By name: lists input by id.")
class ListsInputsById(StoreWrapper):
    async def list_pending_turn_inputs(self, session_id):
        found = await self.inner.list_pending_turn_inputs(session_id)
        return tuple(sorted(found, key=lambda one: one.input_id))


@mutant("INP.8", character="Open: lists claimed input as waiting.")
class ListsClaimedInputs(Store):
    def input_is_held(self, row, live_generation):
        return False


@mutant("INP.9", "INP.17", "INP.25", character="Short of breath: acceptance ends with the lease.")
class AcceptanceEndsWithTheLease(Store):
    async def try_claim_session_execution_lease(self, session_id, owner, lease_ttl_ms):
        await self._give_back(session_id)
        return await super().try_claim_session_execution_lease(session_id, owner, lease_ttl_ms)

    async def release_session_execution_lease(self, completion):
        await super().release_session_execution_lease(completion)
        await self._give_back(completion.session_id)

    async def _give_back(self, session_id):
        async with self.transactions.begin(write=True) as rows:
            for row in await rows.inputs_from(session_id, 0):
                if row.input.state == "accepted":
                    await rows.put_input(row.but(input=row.input.but(state="pending_active"), hold=None))


@mutant("INP.10", character="Textual: keeps the words and drops the attachments.")
class DropsAttachments(Enqueueing):
    def edited(self, draft):
        kept = tuple(item for item in draft.input.items if item.type == "text")
        return draft.but(input=draft.input.but(items=kept))


@mutant("INP.11", character="Boundless: a next-turn claim does not look at its maximum.")
class NextIgnoresTheMaximum(StoreWrapper):
    async def claim_next_turn_inputs(self, session_id, lease, owner, max_inputs):
        return await self.inner.claim_next_turn_inputs(session_id, lease, owner, max_inputs + 99)


@mutant("INP.11", character="Accepting: a next-turn claim changes the state.")
class NextAccepts(Store):
    def moved(self, row, event):
        made = super().moved(row, event)
        return made.but(input=made.input.but(state="accepted")) if event == "claim" else made


@mutant("INP.12", character="Undiscerning: an active claim takes any turn's input.")
class TakesAnyTurnsInput(Store):
    async def active_candidates(self, rows, session_id, turn_id, checkpoint, generation):
        waiting = await rows.waiting_inputs(session_id)
        return [r for r in waiting if isinstance(r.input.ingress, ActiveTurn) and r.hold is None]


@mutant("INP.13", character="Exact: after-work input comes after work and at no other time.")
class AfterWorkOnly(Store):
    def admits(self, ingress, checkpoint):
        return ingress.min_boundary == checkpoint


@mutant("INP.14", character="Eager: admits all input at every checkpoint.")
class AdmitsEverything(Store):
    def admits(self, ingress, checkpoint):
        return True


@mutant("INP.15", character="Generous: grants one turn the same input twice.")
class GrantsInputTwice(Store):
    async def claim_next_turn_inputs(self, session_id, session_execution_lease, owner, max_inputs):
        async with self.transactions.begin(write=True) as rows:
            for row in await rows.waiting_inputs(session_id):
                await rows.put_input(row.but(hold=None))
        return await super().claim_next_turn_inputs(session_id, session_execution_lease, owner, max_inputs)


@mutant("INP.16", character="Clinging: input claimed once stays claimed, whatever became of the lease.")
class InputIsHeldForEver(StoreWrapper):
    async def claim_next_turn_inputs(self, session_id, lease, owner, max_inputs):
        if self.place.memory.setdefault("number", lease.fencing_token) != lease.fencing_token:
            return None
        return await self.inner.claim_next_turn_inputs(session_id, lease, owner, max_inputs)


@mutant("INP.18", character="Holding on: an abandoned input stays held.")
class NeverAbandonsInput(StoreWrapper):
    async def abandon_turn_input_claim(self, claim):
        return None

    async def abandon_turn_input_claims(self, claims):
        return None


@mutant("INP.18", character="Half-way: abandon frees the input and leaves it accepted.")
class AbandonLeavesAccepted(Store):
    async def abandon_turn_input_claims(self, claims):
        async with self.transactions.begin(write=True) as rows:
            for claim in claims:
                for held in claim.inputs:
                    row = await rows.input(claim.session_id, held.input_id)
                    if self.holds(row, claim.claim_id, claim.lease_token):
                        await rows.put_input(row.but(hold=None))


@mutant("INP.18", character="Blunt: abandoning frees the input, whoever holds it.")
class AbandonsOthersInput(Store):
    def holds(self, row, claim_id, token):
        return True


@mutant("INP.19", character="Deleting: a completed input is gone.")
class DeletesCompletedInput(Store):
    async def complete_input(self, rows, row):
        await rows.put_input(row.but(input=row.input.but(state="cancelled"), hold=None))


@mutant("INP.20", character="Trusting: an input completion settles whatever it lists.")
class CompletesAnyInput(Store):
    async def completed_inputs(self, rows, completion):
        found = [await rows.input(self.session_id, input_id) for input_id in completion.input_ids]
        return [row for row in found if row is not None]


@mutant("INP.21", character="Resurrecting: finished input can be claimed again.")
class ClaimsFinishedInput(Store):
    async def claim_next_turn_inputs(self, session_id, session_execution_lease, owner, max_inputs):
        async with self.transactions.begin(write=True) as rows:
            for row in await rows.inputs_from(session_id, 0):
                if row.input.state in ("cancelled", "completed"):
                    await rows.put_input(row.but(input=row.input.but(state="deferred_next_turn")))
        return await super().claim_next_turn_inputs(session_id, session_execution_lease, owner, max_inputs)


@mutant("INP.22", character="Trusting: claims input under any fence.")
class InputNeedsNoFence(Store):
    async def require_live(self, rows, session_id, fence, now):
        return fence


@mutant("INP.44", character="Zero means all: a maximum of 0 is no maximum.")
class ZeroMeansAllInputs(StoreWrapper):
    async def claim_next_turn_inputs(self, session_id, lease, owner, max_inputs):
        return await self.inner.claim_next_turn_inputs(session_id, lease, owner, max_inputs or 99)


@mutant("INP.42", character="Shrugging: an input completion of nothing may name any session.")
class AcceptsForeignEmptyInputCompletions(Store):
    async def completed_inputs(self, rows, completion):
        return await super().completed_inputs(rows, completion) if completion.input_ids else []


@mutant("INP.43", character="Suspicious: an input completion that lists nothing is stale.")
class RefusesEmptyInputCompletions(Store):
    async def completed_inputs(self, rows, completion):
        if not completion.input_ids:
            raise TurnInputClaimSuperseded(completion.session_id, completion.claim_id)
        return await super().completed_inputs(rows, completion)


@mutant("INP.16", character="Fresh start: counts the claims of each opening from one.")
class CountsClaimsFromOne(StoreWrapper):
    counted = 0

    async def claim_next_turn_inputs(self, session_id, session_execution_lease, owner, max_inputs):
        made = await self.inner.claim_next_turn_inputs(session_id, session_execution_lease, owner, max_inputs)
        self.counted += 1
        return made and made.but(fencing_token=self.counted)
