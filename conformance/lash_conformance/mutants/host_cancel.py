"""Broken hosts of the cancel chapter ([CAN.1] to [CAN.20])."""

# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false

from typing import Any

from lash_conformance.mutants.host import BrokenHost, Patch, host_mutant
from lash_ref.cancel import CancelRequested, CompletionWonRace, TurnCancellationEvidence
from lash_ref.claims import TurnClaims
from lash_ref.machine import Cancel
from lash_ref.messages import text_message
from lash_ref.model_call import TurnCancelled
from lash_ref.runtime_errors import RuntimeFailure


def method(replacement: Any) -> Any:
    """A patch that replaces a member whatever it was."""
    return lambda original: replacement


@host_mutant("CAN.1", character="Offended: a cancelled turn is an error and commits nothing.")
class RefusesToCommitCancelled(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(finish: Any) -> Any:
            async def broken(turn: Any, outcome: Any) -> Any:
                if turn.token.is_cancelled():
                    raise RuntimeFailure("cancelled", "stopped")
                return await finish(turn, outcome)

            return broken

        patch("lash_ref.turn_loop:finish", make)


@host_mutant("CAN.1", character="Traumatised: a session that was cancelled once runs no more turns.")
class UnusableAfterCancel(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        scarred: set[str] = set()

        def make(foreground: Any) -> Any:
            async def broken(loop: Any, request: Any) -> Any:
                if loop.runtime.session_id in scarred:
                    raise RuntimeFailure("unusable", "this session was cancelled")
                run = await foreground(loop, request)
                if run.final_turn.is_cancelled:
                    scarred.add(loop.runtime.session_id)
                return run

            return broken

        patch("lash_ref.turn_loop:TurnLoop.foreground", make)


@host_mutant("CAN.2", character="Discreet: does not say who stopped the turn.")
class HidesTheEvidence(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch(
            "lash_ref.turn_commit:_assembled",
            lambda made: lambda *parts: made(*parts).but(cancellation=None),
        )


@host_mutant("CAN.2", character="Paranoid: finds evidence of a cancel in every turn.")
class InventsEvidence(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        evidence = TurnCancellationEvidence(request_id="internal:t1", requested_at_ms=0)
        patch(
            "lash_ref.turn_commit:_assembled",
            lambda made: lambda *parts: made(*parts).but(cancellation=evidence),
        )


@host_mutant("CAN.3", character="Impatient: a token that fired early is an error at once.")
class RefusesEarlyTokens(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(foreground: Any) -> Any:
            async def broken(loop: Any, request: Any) -> Any:
                if request.token.is_cancelled():
                    raise RuntimeFailure("cancelled", "never began")
                return await foreground(loop, request)

            return broken

        patch("lash_ref.turn_loop:TurnLoop.foreground", make)


@host_mutant("CAN.4", character="Hoarder: keeps what the model had streamed when it was stopped.")
class CommitsPartialProse(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        said: list[str] = []

        def say(original: Any) -> Any:
            async def broken(call: Any, text: str) -> None:
                said.append(text)
                await original(call, text)

            return broken

        def close(original: Any) -> Any:
            def broken(turn: Any, *, cancelled: bool) -> None:
                if cancelled and said:
                    turn._append(text_message(f"{turn.turn_id}.partial", "Assistant", "".join(said)))
                said.clear()
                original(turn, cancelled=cancelled)

            return broken

        patch("lash_ref.model_call:ModelCall._say", say)
        patch("lash_ref.turn_commit:_close_history", close)


class _TakesBack(BrokenHost):
    """A cancelled turn takes back what was appended since a stage of it."""

    since: str

    def breaks(self, patch: Patch) -> None:
        def stage(original: Any) -> Any:
            async def broken(turn: Any) -> Any:
                turn.before = turn.runtime.state.session_graph.savepoint()
                return await original(turn)

            return broken

        def close(original: Any) -> Any:
            def broken(turn: Any, *, cancelled: bool) -> None:
                if cancelled:
                    turn.runtime.state.session_graph.rollback(turn.before)
                original(turn, cancelled=cancelled)

            return broken

        patch(self.since, stage)
        patch("lash_ref.turn_commit:_close_history", close)


@host_mutant("CAN.5", character="Ashamed: a cancelled turn forgets the question, too.")
class ForgetsTheQuestion(_TakesBack):
    since = "lash_ref.turn:Turn.run"


@host_mutant("CAN.6", character="Amnesiac: a cancelled turn forgets what its tools did.")
class ForgetsTheTools(_TakesBack):
    since = "lash_ref.turn:Turn._drive"


@host_mutant("CAN.7", character="Generous: what a cancelled turn spent is on the house.")
class LosesTheUsageOfCancelled(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch(
            "lash_ref.turn_commit:_own_usage",
            lambda spent: lambda turn: () if turn.token.is_cancelled() else spent(turn),
        )


@host_mutant("CAN.8", character="Short-armed: reaches the first turn only.")
class CancelsTheFirstOnly(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def broken(registry: Any, origin: str | None = None) -> int:
            for token in registry._tokens[:1]:
                token.hint(origin)
                token.cancel()
            return len(registry._tokens[:1])

        patch("lash_ref.cancel:TurnCancelRegistry.cancel_all", method(broken))


@host_mutant("CAN.9", character="Long-armed: one registry for every handle there is.")
class CancelsEverywhere(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        everywhere: list[Any] = []

        def make(original: Any) -> Any:
            def broken(registry: Any, *parts: Any) -> None:
                original(registry, *parts)
                registry._tokens = everywhere

            return broken

        patch("lash_ref.cancel:TurnCancelRegistry.__init__", make)


@host_mutant("CAN.10", character="Deaf: a drain is not registered with the stop button.")
class DrainsUnregistered(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            async def broken(builder: Any, sink: Any) -> Any:
                register = builder.shared.cancels.register
                builder.shared.cancels.register = lambda token: None
                running = original(builder, sink)
                try:
                    return await running
                finally:
                    builder.shared.cancels.register = register

            return broken

        patch("lash_ref.turn_builders:QueuedTurnBuilder.stream_to", make)


@host_mutant("CAN.11", character="Nostalgic: never forgets a turn that ended.")
class NeverForgetsATurn(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.cancel:TurnCancelRegistry.forget", method(lambda registry, token: None))


@host_mutant("CAN.12", character="Fickle: believes whoever spoke last.")
class BelievesTheLastOrigin(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def broken(token: Any, origin: str | None) -> None:
            token.origin = origin

        patch("lash_ref.cancel:CancellationToken.hint", method(broken))


@host_mutant("CAN.13", character="Stubborn: lets a tool finish whatever was asked.")
class HidesTheCancelFromTools(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        async def broken(dispatch: Any, tool_id: str, call: Any) -> Any:
            from dataclasses import replace

            alone = replace(call, context=replace(call.context, cancellation=None))
            return await dispatch.registry.execute_by_id(tool_id, alone)

        patch("lash_ref.dispatch:ToolDispatch._executed", method(broken))


@host_mutant("CAN.14", character="Late: looks for a request only when the turn is over.")
class StartsUnlooked(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        async def nothing(turn: Any) -> None:
            return None

        def unwatched(turn: Any) -> None:
            return None

        patch("lash_ref.turn:Turn._start_gate", method(nothing))
        patch("lash_ref.turn:Turn._watch", method(unwatched))


@host_mutant("CAN.15", character="Agreeable: every request is the first.")
class EveryRequestIsFirst(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def broken(gate: Any, evidence: Any) -> Any:
                original(gate, evidence)
                return CancelRequested(evidence=evidence)

            return broken

        patch("lash_ref.cancel:TurnCancelGate.request", make)


@host_mutant("CAN.16", character="Boastful: claims to have stopped what had ended.")
class ClaimsToHaveWon(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def broken(gate: Any, evidence: Any) -> Any:
                told = original(gate, evidence)
                return CancelRequested(evidence=evidence) if isinstance(told, CompletionWonRace) else told

            return broken

        patch("lash_ref.cancel:TurnCancelGate.request", make)


@host_mutant("CAN.17", character="Careless: takes a request without a name.")
class TakesNamelessRequests(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def broken(gate: Any, evidence: Any) -> Any:
                return original(gate, evidence.but(request_id=evidence.request_id.strip() or "somebody"))

            return broken

        patch("lash_ref.cancel:TurnCancelGate.request", make)


@host_mutant("CAN.18", character="Sweeping: one gate for all turns of a session.")
class OneGateASession(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def broken(gate: Any) -> None:
            gate.key = gate.waits.key(gate.session_id, "turn_cancel_gate", "any")

        patch("lash_ref.cancel:TurnCancelGate.__post_init__", method(broken))


@host_mutant("CAN.19", character="Salesman: every receipt is durable.")
class SellsDurability(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.effects:InlineEffectHost.tier", method("durable"))


@host_mutant("CAN.20", character="Returner: puts claimed input back when the turn is cancelled.")
class PutsClaimedInputBack(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            async def broken(turn: Any, task: Any) -> Any:
                if turn.token.is_cancelled():
                    await turn.claims.abandon(turn.runtime.services.store)
                    turn.claims = TurnClaims()
                return await original(turn, task)

            return broken

        patch("lash_ref.turn_commit:_commit", make)


@host_mutant("CAN.4", character="Proud: an answer that was complete stays, cancelled or not.")
class LateAnswersStay(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(close_history: Any) -> Any:
            return lambda turn, *, cancelled: close_history(turn, cancelled=False)

        patch("lash_ref.turn_commit:_close_history", make)


@host_mutant("CAN.6", character="All or nothing: calls made together are forgotten together.")
class ForgetsTheBatch(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(run_tools: Any) -> Any:
            async def broken(turn: Any, effect: Any) -> Any:
                answered = await run_tools(turn, effect)
                return Cancel() if turn.token.is_cancelled() else answered

            return broken

        patch("lash_ref.turn:Turn._run_tools", make)


@host_mutant("CAN.21", character="Fatalist: a turn that runs is as good as over.")
class RunningIsOver(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        running: set[str] = set()

        def starts(drive: Any) -> Any:
            async def broken(turn: Any) -> Any:
                running.add(turn.turn_id)
                return await drive(turn)

            return broken

        def requests(request: Any) -> Any:
            def broken(gate: Any, evidence: Any) -> Any:
                return CompletionWonRace() if gate.key.wait_id in running else request(gate, evidence)

            return broken

        patch("lash_ref.turn:Turn._drive", starts)
        patch("lash_ref.cancel:TurnCancelGate.request", requests)


@host_mutant("CAN.1", character="Flustered: a turn that is stopped between two attempts is an error.")
class BreaksBetweenAttempts(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(or_cancelled: Any) -> Any:
            async def broken(call: Any, work: Any) -> Any:
                try:
                    return await or_cancelled(call, work)
                except TurnCancelled:
                    if call._attempt:
                        raise RuntimeFailure("interrupted", "the model was being asked again") from None
                    raise

            return broken

        patch("lash_ref.model_call:ModelCall._or_cancelled", make)


@host_mutant("CAN.6", character="Sweeping: whatever a turn held back when it was stopped is dropped.")
class DropsWhatWasHeld(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(close_history: Any) -> Any:
            def broken(turn: Any, *, cancelled: bool) -> None:
                if cancelled:
                    turn.held.clear()
                close_history(turn, cancelled=cancelled)

            return broken

        patch("lash_ref.turn_commit:_close_history", make)
