"""Broken hosts of the session's queue ([SES.70] to [SES.91])."""

# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false

import itertools
from typing import Any

from lash_conformance.mutants.host import BrokenHost, Patch, SentStore, host_mutant
from lash_conformance.mutants.host_cancel import method
from lash_ref.claims import TurnClaims
from lash_ref.inputs import NotFound
from lash_ref.runtime_errors import RuntimeFailure


@host_mutant("SES.70", character="Optimist: a queue without a store is an empty queue.")
class EmptyQueueWithoutAStore(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(call: Any) -> Any:
            async def broken(session: Any, name: str, arguments: Any) -> Any:
                try:
                    return await call(session, name, arguments)
                except RuntimeFailure:
                    return []

            return broken

        patch("lash_conformance.targets.reference_session:ReferenceSession.call", make)


@host_mutant("SES.71", character="Plain: stores the id as it was given.")
class StoresBareIds(BrokenHost):
    class sends(SentStore):
        async def enqueue_pending_turn_input(self, draft: Any) -> Any:
            key = draft.source_key and draft.source_key.removeprefix("host:")
            return await self.inner.enqueue_pending_turn_input(draft.but(source_key=key))


@host_mutant("SES.72", character="Busy: an idle drain is a turn of nothing.")
class RunsEmptyTurns(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        from lash_ref.claims import DrainedWork
        from lash_ref.inputs import TurnInput

        def make(work: Any) -> Any:
            async def broken(*parts: Any) -> Any:
                return await work(*parts) or DrainedWork(TurnInput(), ((),), TurnClaims())

            return broken

        patch("lash_ref.turn_loop:next_work", make)


@host_mutant("SES.73", character="Contrary: the last word first.")
class RunsInReverse(BrokenHost):
    class sends(SentStore):
        async def claim_next_turn_inputs(self, *parts: Any) -> Any:
            claim = await self.inner.claim_next_turn_inputs(*parts)
            return claim and claim.but(inputs=tuple(reversed(claim.inputs)))


@host_mutant("SES.74", character="Double: what was run stays in the queue.")
class DeliversTwice(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(commit: Any) -> Any:
            async def broken(turn: Any, task: Any) -> Any:
                claims, turn.claims = turn.claims, TurnClaims()
                await claims.abandon(turn.runtime.services.store)
                return await commit(turn, task)

            return broken

        patch("lash_ref.turn_commit:_commit", make)


@host_mutant("SES.75", character="Single-minded: listens to nobody while it works.")
class IgnoresActiveInput(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        async def broken(turn: Any, effect: Any) -> tuple[()]:
            return ()

        patch("lash_ref.turn:Turn._admitted", method(broken))


@host_mutant("SES.76", character="Stranding: leaves missed input to a turn that is over.")
class StrandsMissedInput(BrokenHost):
    class sends(SentStore):
        async def commit_runtime_state(self, commit: Any) -> Any:
            return await self.inner.commit_runtime_state(commit.but(interrupted_turn_input_turn_id=None))


@host_mutant("SES.77", character="Polite: says cancelled and cancels nothing.")
class PretendsToCancel(BrokenHost):
    class sends(SentStore):
        async def cancel_pending_turn_input(self, session_id: str, input_id: str) -> Any:
            from lash_ref.inputs import Cancelled

            rows = await self.inner.list_pending_turn_inputs(session_id)
            return next((Cancelled(data=row) for row in rows if row.input_id == input_id), NotFound())


@host_mutant("SES.78", character="Vague: whatever is not pending was not found.")
class FindsOnlyPending(BrokenHost):
    class sends(SentStore):
        async def cancel_pending_turn_input(self, session_id: str, input_id: str) -> Any:
            told = await self.inner.cancel_pending_turn_input(session_id, input_id)
            return told if told.outcome == "cancelled" else NotFound()


@host_mutant("SES.79", character="Sorting: answers in an order of its own.")
class AnswersSorted(BrokenHost):
    class sends(SentStore):
        async def cancel_pending_turn_inputs(self, session_id: str, targets: Any) -> Any:
            results = await self.inner.cancel_pending_turn_inputs(session_id, targets)
            return tuple(reversed(results))


@host_mutant("SES.80", character="Literal: takes back the anchor and nothing after it.")
class CancelsTheAnchorOnly(BrokenHost):
    class sends(SentStore):
        async def cancel_pending_turn_input_suffix(self, session_id: str, anchor: Any) -> Any:
            from lash_ref.inputs import Outcomes, SuffixOutcomes

            found = await self.inner.cancel_pending_turn_inputs(session_id, (anchor,))
            if found[0].outcome.outcome == "not_found":
                return await self.inner.cancel_pending_turn_input_suffix(session_id, anchor)
            return Outcomes(data=SuffixOutcomes(anchor=anchor, outcomes=(found[0].outcome,)))


@host_mutant("SES.81", character="Exhaustive: lists what is claimed, too.")
class ListsTheClaimed(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        kept: dict[str, Any] = {}

        def make(listing: Any) -> Any:
            async def broken(session: Any) -> Any:
                rows = await listing(session)
                kept.update({row.input_id: row for row in rows})
                return tuple(kept.values())

            return broken

        patch("lash_ref.session:LashSession.pending_turn_inputs", make)


@host_mutant("SES.82", character="Clinging: keeps an abandoned claim until the lease ends.")
class KeepsAbandonedClaims(BrokenHost):
    class sends(SentStore):
        async def abandon_turn_input_claim(self, claim: Any) -> None:
            pass


@host_mutant("SES.83", character="Forgetful: cancels a batch and answers none.")
class AnswersNoBatch(BrokenHost):
    class sends(SentStore):
        async def cancel_queued_work_batch(self, session_id: str, batch_id: str) -> None:
            await self.inner.cancel_queued_work_batch(session_id, batch_id)


@host_mutant("SES.84", character="Hasty: awaits nothing.")
class AwaitsNothing(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        async def broken(session: Any, batch_id: str) -> None:
            pass

        patch("lash_ref.session:LashSession.await_queued_work_batch", method(broken))


@host_mutant("SES.85", character="Lossy: what the core enqueues is nobody's.")
class LosesCoreInput(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(enqueue: Any) -> Any:
            async def broken(core: Any, session_id: str, *parts: Any) -> Any:
                return await enqueue(core, f"{session_id}-queue", *parts)

            return broken

        patch("lash_ref.core:LashCore.enqueue_turn_input", make)


@host_mutant("SES.86", character="Helpful: drains something else when the named batch is not there.")
class DrainsSomethingElse(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(work: Any) -> Any:
            async def broken(store: Any, session_id: str, lane: Any, batch_ids: Any) -> Any:
                return await work(store, session_id, lane, batch_ids) or await work(store, session_id, lane, ())

            return broken

        patch("lash_ref.turn_loop:next_work", make)


@host_mutant("SES.87", character="Obedient: does as often as it is told.")
class RepeatsCommands(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        numbers = itertools.count()

        def make(draft: Any) -> Any:
            def broken(session_id: str, command: Any, key: str) -> Any:
                return draft(session_id, command, key).but(source_key=f"command-{next(numbers)}")

            return broken

        patch("lash_ref.session_admin:command_draft", make)


@host_mutant("SES.88", character="Careless: a blank key is a key.")
class TakesBlankKeys(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(draft: Any) -> Any:
            def broken(session_id: str, command: Any, key: str) -> Any:
                return draft(session_id, command, key.strip() or "blank")

            return broken

        patch("lash_ref.session_admin:command_draft", make)


@host_mutant("SES.89", character="Reluctant: leaves commands in the queue.")
class LeavesCommands(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        async def broken(loop: Any, lane: Any) -> None:
            pass

        patch("lash_ref.turn_loop:TurnLoop._drain_commands", method(broken))


@host_mutant("SES.90", character="Sentimental: a reset keeps the history.")
class ResetsNothing(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.session_commands:_reset", method(lambda runtime: None))


@host_mutant("SES.91", character="Stubborn: input that a plugin refused comes again.")
class OffersAbortedInputAgain(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(finish: Any) -> Any:
            async def broken(turn: Any, outcome: Any) -> Any:
                if getattr(outcome, "stop", "") == "plugin_abort":
                    claims, turn.claims = turn.claims, TurnClaims()
                    await claims.abandon(turn.runtime.services.store)
                return await finish(turn, outcome)

            return broken

        patch("lash_ref.turn_loop:finish", make)
