"""Broken hosts that mistake what waits: inputs, tasks, wakes and handoffs ([SES.73] to [SES.95], [FRM.9], [FRM.10])."""

# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false

from typing import Any

from lash_conformance.mutants.host import BrokenHost, Patch, SentStore, host_mutant
from lash_conformance.mutants.host_cancel import method
from lash_ref.claims import TurnClaims
from lash_ref.errors import PendingTurnInputSourceKeyConflict
from lash_ref.messages import Message


@host_mutant("SES.73", character="By letters: sorts inputs by their number as text.")
class SortsInputsAsText(BrokenHost):
    class sends(SentStore):
        async def claim_next_turn_inputs(self, *asked: Any) -> Any:
            claim = await self.inner.claim_next_turn_inputs(*asked)
            return claim and claim.but(inputs=tuple(sorted(claim.inputs, key=lambda each: str(each.enqueue_seq))))


@host_mutant("SES.73", character="By content: of inputs that are alike one is said.")
class SaysEqualInputOnce(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(merged: Any) -> Any:
            def broken(claim: Any) -> Any:
                first = {each.input.to_json(): each for each in reversed(claim.inputs)}
                made = merged(claim.but(inputs=tuple(each for each in claim.inputs if each in first.values())))
                made.claims.inputs[:] = [claim]
                return made

            return broken

        patch("lash_ref.claims:_merged", make)


@host_mutant("SES.75", character="All ears: takes input for any turn as its own.")
class HearsEveryTurn(BrokenHost):
    class sends(SentStore):
        async def claim_checkpoint_work(
            self, session_id: str, fence: Any, owner: Any, turn_id: str, kind: Any, inputs: int, batches: int
        ) -> Any:
            rows = await self.inner.list_pending_turn_inputs(session_id)
            named = next((row.ingress.turn_id for row in rows if row.state == "pending_active"), turn_id)
            return await self.inner.claim_checkpoint_work(session_id, fence, owner, named, kind, inputs, batches)


@host_mutant("SES.86", character="In turn: runs what waits first, whatever was named.")
class DrainsTheFirst(BrokenHost):
    class sends(SentStore):
        async def claim_ready_queued_work_by_batch_ids(
            self, session_id: str, fence: Any, owner: Any, boundary: Any, batch_ids: Any
        ) -> Any:
            waiting = [batch.batch_id for batch in await self.inner.list_pending_queued_work(session_id)]
            chosen = waiting[:1] if set(batch_ids) <= set(waiting) else batch_ids
            return await self.inner.claim_ready_queued_work_by_batch_ids(session_id, fence, owner, boundary, chosen)


@host_mutant("SES.92", character="Ventriloquist: a wake is what the user said.")
class WakesAreTheUser(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(wake_message: Any) -> Any:
            return lambda wake: wake_message(wake).but(role="User")

        for module in ("claims", "turn_intake"):
            patch(f"lash_ref.{module}:wake_message", make)


@host_mutant("SES.92", character="Half asleep: a running turn settles wakes and does not hear them.")
class SleepsThroughWakes(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(claimed_messages: Any) -> Any:
            return lambda turn_id, work: claimed_messages(turn_id, work.but(queued_work_claim=None))

        patch("lash_ref.turn_steps:claimed_messages", make)


@host_mutant("SES.93", character="Eager: every boundary is the last.")
class IgnoresBoundaries(BrokenHost):
    class sends(SentStore):
        async def claim_checkpoint_work(
            self, session_id: str, fence: Any, owner: Any, turn_id: str, kind: Any, inputs: int, batches: int
        ) -> Any:
            last = "before_completion"
            return await self.inner.claim_checkpoint_work(session_id, fence, owner, turn_id, last, inputs, batches)


@host_mutant("SES.94", character="Blunt: a turn that somebody waits for leaves commands alone.")
class TurnsPassCommands(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(foreground: Any) -> Any:
            async def broken(loop: Any, request: Any) -> Any:
                async def nothing(lane: Any) -> None:
                    pass

                loop._drain_commands = nothing
                return await foreground(loop, request)

            return broken

        patch("lash_ref.turn_loop:TurnLoop.foreground", make)


@host_mutant("SES.94", character="Commanding: commands jump the queue.")
class CommandsJumpTheQueue(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        async def broken(store: Any, session_id: str, lane: Any) -> Any:
            return await store.claim_leading_ready_session_command(session_id, lane.fence, lane.lease.owner)

        patch("lash_ref.turn_loop:leading_command", method(broken))


@host_mutant("FRM.9", character="Untidy: leaves the way to the next frame in the queue.")
class LeavesTheHandoff(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        async def broken(loop: Any, lane: Any, handoff: Any) -> TurnClaims:
            return TurnClaims()

        patch("lash_ref.turn_loop:TurnLoop._handed_over", method(broken))


@host_mutant("FRM.10", character="Short-lived: the way to the next frame dies with the process.")
class HandsOverInMemory(BrokenHost):
    class sends(SentStore):
        async def commit_runtime_state(self, commit: Any) -> Any:
            return await self.inner.commit_runtime_state(commit.but(enqueued_queue_batches=()))


@host_mutant("SES.74", character="Unsettled: what a running turn took in is nobody's to settle.")
class LeavesAcceptedInput(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(tell: Any) -> Any:
            async def broken(turn: Any, *told: Any) -> None:
                held = list(turn.claims.inputs)
                await tell(turn, *told)
                turn.claims.inputs[:] = held

            return broken

        patch("lash_ref.turn:Turn._tell_admitted", make)


@host_mutant("SES.74", character="Once is enough: input of a turn that failed was heard.")
class DropsWhatItCouldNotRun(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(abandon: Any) -> Any:
            async def broken(claims: Any, store: Any) -> None:
                await abandon(claims, store)
                for claim in claims.inputs:
                    for row in claim.inputs:
                        await store.cancel_pending_turn_input(row.session_id, row.input_id)

            return broken

        patch("lash_ref.claims:TurnClaims.abandon", make)


@host_mutant("SES.71", character="Conciliatory: other words under an id are the words that it has.")
class SettlesConflicts(BrokenHost):
    class sends(SentStore):
        async def enqueue_pending_turn_input(self, draft: Any) -> Any:
            try:
                return await self.inner.enqueue_pending_turn_input(draft)
            except PendingTurnInputSourceKeyConflict:
                rows = await self.inner.list_pending_turn_inputs(draft.session_id)
                return next(row for row in rows if row.source_key == draft.source_key)


@host_mutant("SES.92", character="Polite: a drained wake comes with an empty word of the user.")
class WakesComeWithAnEmptyWord(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(take_in: Any) -> Any:
            async def broken(turn: Any) -> Any:
                refused = await take_in(turn)
                if turn.request.wakes:
                    turn._append(Message(id=f"{turn.turn_id}.user", role="User"))
                return refused

            return broken

        patch("lash_ref.turn:Turn._take_in", make)


@host_mutant("SES.95", character="Clean slate: a reset forgets what was spent.")
class ResetsTheLedger(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(reset: Any) -> Any:
            def broken(runtime: Any) -> None:
                reset(runtime)
                runtime.state.token_ledger = ()

            return broken

        patch("lash_ref.session_commands:_reset", make)


@host_mutant("SES.82", character="Clinging: keeps an abandoned claim of work until the lease ends.")
class KeepsAbandonedWork(BrokenHost):
    class sends(SentStore):
        async def abandon_queued_work_claim(self, claim: Any) -> None:
            pass


@host_mutant("SES.96", character="Broken off: what a checkpoint took in goes down with the hook that failed there.")
class LosesInputOfBrokenCheckpoints(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(admitted: Any) -> Any:
            async def broken(turn: Any, effect: Any) -> Any:
                messages = await admitted(turn, effect)
                append = turn._append
                turn._append = lambda *given: append(*(one for one in given if one not in messages))
                return messages

            return broken

        patch("lash_ref.turn:Turn._admitted", make)


@host_mutant("SES.96", character="One at a time: with a wake at the same checkpoint input is claimed and not said.")
class SaysTheWakeAlone(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(messages: Any) -> Any:
            def broken(turn_id: str, work: Any) -> Any:
                both = work.turn_input_claim is not None and work.queued_work_claim is not None
                return messages(turn_id, work.but(turn_input_claim=None) if both else work)

            return broken

        patch("lash_ref.turn_steps:claimed_messages", make)


@host_mutant("SES.97", character="Technical: announces input under the key that it is stored by.")
class AnnouncesTheKey(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(accepted: Any) -> Any:
            return lambda inputs: tuple(one if one.id is None else one.but(id=f"host:{one.id}") for one in accepted(inputs))

        patch("lash_ref.turn_steps:accepted", make)
