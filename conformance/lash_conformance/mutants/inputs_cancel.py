"""Stores that are wrong about how pending turn input ends: cancels, interruption, vacuum."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import StoreWrapper
from lash_ref.errors import PendingTurnInputSourceKeyConflict
from lash_ref.inputs import (
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


@mutant("INP.30", character="Far-reaching: a suffix is cut off in every session.")
class CancelsEverySuffix(StoreWrapper):
    async def enqueue_pending_turn_input(self, input):
        self.place.memory.setdefault("spoken", {})[input.session_id] = True
        return await self.inner.enqueue_pending_turn_input(input)

    async def cancel_pending_turn_input_suffix(self, session_id, anchor):
        answer = await self.inner.cancel_pending_turn_input_suffix(session_id, anchor)
        for other in self.place.memory.get("spoken", ()):
            for one in await self.inner.list_pending_turn_inputs(other) if other != session_id else ():
                await self.inner.cancel_pending_turn_input(other, one.input_id)
        return answer
