"""Stores that are wrong about pending turn input."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import StoreWrapper
from lash_ref.errors import DuplicateInputId, PendingTurnInputSourceKeyConflict
from lash_ref.inputs import (
    ActiveTurn,
    AlreadyCancelled,
    AlreadyClaimed,
    AnchorNotFound,
    NextTurn,
    NotFound,
    Outcomes,
    SuffixOutcomes,
)
from lash_ref.records import VacuumReport
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
    async def hold_inputs(self, rows, chosen, fence, owner, mode, state):
        return await super().hold_inputs(rows, chosen, fence, owner, mode, "accepted")


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
                    if self.holds_input(row, claim.claim_id, claim.lease_token):
                        await rows.put_input(row.but(hold=None))


@mutant("INP.18", character="Blunt: abandoning frees the input, whoever holds it.")
class AbandonsOthersInput(Store):
    def holds_input(self, row, claim_id, token):
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


class Cancelling(StoreWrapper):
    """Edits the outcomes of cancels."""

    def edited(self, outcome):
        return outcome

    async def cancel_pending_turn_input(self, session_id, input_id):
        return self.edited(await self.inner.cancel_pending_turn_input(session_id, input_id))

    async def cancel_pending_turn_inputs(self, session_id, targets):
        results = await self.inner.cancel_pending_turn_inputs(session_id, targets)
        return tuple(result.but(outcome=self.edited(result.outcome)) for result in results)


@mutant("INP.24", character="In words only: says cancelled and keeps the input waiting.")
class CancelsInputInWordsOnly(StoreWrapper):
    async def cancel_pending_turn_input(self, session_id, input_id):
        self.place.memory.setdefault("kept", []).extend(
            one for one in await self.inner.list_pending_turn_inputs(session_id) if one.input_id == input_id
        )
        return await self.inner.cancel_pending_turn_input(session_id, input_id)

    async def list_pending_turn_inputs(self, session_id):
        kept = self.place.memory.get("kept", [])
        return (*await self.inner.list_pending_turn_inputs(session_id), *kept)


@mutant("INP.24", character="Uninformative: answers the row as it was before the cancel.")
class AnswersTheOldRow(Cancelling):
    def edited(self, outcome):
        if outcome.outcome == "cancelled":
            return outcome.but(data=outcome.data.but(state="deferred_next_turn"))
        return outcome


@mutant("INP.25", character="Ruthless: cancels input that is being worked on.")
class CancelsHeldInput(Store):
    def input_is_held(self, row, live_generation):
        return False


@mutant("INP.25", character="Discreet: does not say who holds the input.")
class HidesDiagnostics(Cancelling):
    def edited(self, outcome):
        if isinstance(outcome, AlreadyClaimed):
            return outcome.but(data=outcome.data.but(claim=None))
        return outcome


@mutant("INP.26", character="Simple: what cannot be cancelled is not found.")
class EverythingElseIsNotFound(Cancelling):
    def edited(self, outcome):
        return NotFound() if outcome.outcome in ("already_completed", "already_cancelled") else outcome


@mutant("INP.27", character="Clinging: input of a dead generation cannot be cancelled.")
class DeadHoldsStillHold(Store):
    def input_is_held(self, row, live_generation):
        return row.hold is not None


@mutant("INP.28", character="Deduplicating: answers a repeated target once.")
class AnswersTargetsOnce(StoreWrapper):
    async def cancel_pending_turn_inputs(self, session_id, targets):
        seen = {target.value.lstrip("k"): target for target in targets}
        return await self.inner.cancel_pending_turn_inputs(session_id, tuple(seen.values()))


@mutant("INP.29", character="Confused: looks every target up by id.")
class LooksUpById(Store):
    async def targeted(self, rows, session_id, target):
        return await rows.input(session_id, target.value)


@mutant("INP.29", character="Helpful: a target that is no id is tried as a key, and the other way round.")
class TriesBoth(Store):
    async def targeted(self, rows, session_id, target):
        by_id = await rows.input(session_id, target.value)
        return by_id or await rows.input_by_key(session_id, target.value)


@mutant("INP.30", character="Exclusive: a suffix begins after its anchor.")
class SuffixSkipsTheAnchor(StoreWrapper):
    async def cancel_pending_turn_input_suffix(self, session_id, anchor):
        answer = await self.inner.cancel_pending_turn_input_suffix(session_id, anchor)
        if isinstance(answer, Outcomes):
            return Outcomes(data=SuffixOutcomes(anchor=anchor, outcomes=answer.data.outcomes[1:]))
        return answer


@mutant("INP.30", character="Selective: a suffix leaves out what was finished before.")
class SuffixHidesFinished(StoreWrapper):
    async def cancel_pending_turn_input_suffix(self, session_id, anchor):
        answer = await self.inner.cancel_pending_turn_input_suffix(session_id, anchor)
        if not isinstance(answer, Outcomes):
            return answer
        kept = tuple(one for one in answer.data.outcomes if not isinstance(one, AlreadyCancelled))
        return Outcomes(data=SuffixOutcomes(anchor=anchor, outcomes=kept))


@mutant("INP.31", character="Drastic: a missing anchor means everything.")
class MissingAnchorCancelsAll(Store):
    async def cancel_pending_turn_input_suffix(self, session_id, anchor):
        answer = await super().cancel_pending_turn_input_suffix(session_id, anchor)
        if isinstance(answer, AnchorNotFound):
            async with self.transactions.begin(write=True) as rows:
                for row in await rows.waiting_inputs(session_id):
                    await self.cancel(rows, row, None)
        return answer


@mutant("INP.32", character="Step by step: cancels one target after the other.")
class CancelsStepByStep(StoreWrapper):
    async def cancel_pending_turn_inputs(self, session_id, targets):
        results = []
        for target in targets:
            results += await self.inner.cancel_pending_turn_inputs(session_id, (target,))
        return tuple(results)


@mutant("INP.33", "INP.7", character="Leaving: interrupted input waits for a turn that is over.")
class NeverDefers(StoreWrapper):
    async def commit_runtime_state(self, commit):
        return await self.inner.commit_runtime_state(commit.but(interrupted_turn_input_turn_id=None))


@mutant("INP.34", character="Out of order: defers before it settles.")
class DefersCompletedInput(Store):
    async def defer_interrupted(self, rows, turn_id):
        await super().defer_interrupted(rows, turn_id)
        for row in await rows.inputs_from(self.session_id, 0):
            if row.input.state == "completed":
                await rows.put_input(row.but(input=row.input.but(state="deferred_next_turn", ingress=NextTurn())))


@mutant("INP.35", character="Sweeping: defers every turn's input.")
class DefersEverything(Store):
    async def defer_interrupted(self, rows, turn_id):
        for row in await rows.waiting_inputs(self.session_id):
            moved = row.input.but(state="deferred_next_turn", ingress=NextTurn())
            await rows.put_input(row.but(input=moved))


@mutant("INP.36", character="To the back: a deferred input loses its place.")
class DeferredGoesLast(StoreWrapper):
    async def list_pending_turn_inputs(self, session_id):
        found = await self.inner.list_pending_turn_inputs(session_id)
        return tuple(sorted(found, key=lambda one: one.source_key == "ka"))


@mutant("INP.37", "INP.38", character="Idle: a vacuum leaves finished input.")
class VacuumsNoInput(Store):
    async def vacuum(self):
        return VacuumReport()


@mutant("INP.37", character="Thorough: a vacuum takes waiting input too.")
class VacuumsWaitingInput(StoreWrapper):
    async def vacuum(self):
        waiting = await self.inner.list_pending_turn_inputs("s1")
        for one in waiting:
            await self.inner.cancel_pending_turn_input("s1", one.input_id)
        return await self.inner.vacuum()


@mutant("INP.38", character="Remembering: a vacuumed key stays taken.")
class VacuumedKeysStayTaken(StoreWrapper):
    async def enqueue_pending_turn_input(self, input):
        seen = self.place.memory.setdefault("seen", {})
        before = seen.setdefault((input.session_id, input.source_key), input.input)
        if input.source_key is not None and before != input.input:
            raise PendingTurnInputSourceKeyConflict(input.session_id, input.source_key, "gone")
        return await self.inner.enqueue_pending_turn_input(input)


