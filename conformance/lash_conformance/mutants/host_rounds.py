"""Broken hosts that ask hooks once where they should ask again ([HOK.18], [HOK.19], [HOK.33], [HOK.40], [PLG.33])."""

# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false

from typing import Any

from lash_conformance.mutants.host import BrokenHost, Patch, host_mutant
from lash_ref.hooks import TurnFinalized, TurnPersisted
from lash_ref.outcome import CANCELLED

PLUGINS = "lash_ref.plugin_session:PluginSession"


@host_mutant("HOK.18", character="Backwards: what the last plugin enqueues stands first.")
class MessagesStandBackwards(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(ask: Any) -> Any:
            async def broken(plugins: Any, context: Any) -> Any:
                return list(reversed(await ask(plugins, context)))

            return broken

        for point in ("at_checkpoint", "after_turn"):
            patch(f"{PLUGINS}.{point}", make)


@host_mutant("HOK.19", character="Trusting: asks once a turn whether the work is well done.")
class OneCheckpointATurn(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        asked: set[tuple[str, str]] = set()

        def reaches(checkpoint: Any) -> Any:
            async def broken(turn: Any, effect: Any) -> Any:
                turn.runtime.plugins.reached = (turn.turn_id, effect.kind)
                return await checkpoint(turn, effect)

            return broken

        def asks(at_checkpoint: Any) -> Any:
            async def broken(plugins: Any, context: Any) -> Any:
                if plugins.reached in asked:
                    return []
                asked.add(plugins.reached)
                return await at_checkpoint(plugins, context)

            return broken

        patch("lash_ref.turn:Turn._checkpoint", reaches)
        patch(f"{PLUGINS}.at_checkpoint", asks)


@host_mutant("HOK.33", character="Spot check: guards the first call of a batch.")
class GuardsTheFirstCall(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(ask: Any) -> Any:
            async def broken(plugins: Any, context: Any) -> Any:
                return await ask(plugins, context) if context.call_id == "c1" else []

            return broken

        for point in ("before_tool_call", "after_tool_call"):
            patch(f"{PLUGINS}.{point}", make)


@host_mutant("HOK.40", character="First impression: asks about the first answer of a session.")
class AsksAboutTheFirstAnswer(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        asked: set[int] = set()

        def make(ask: Any) -> Any:
            async def broken(plugins: Any, response: Any) -> Any:
                if id(plugins) in asked:
                    return response, ()
                asked.add(id(plugins))
                return await ask(plugins, response)

            return broken

        patch(f"{PLUGINS}.response", make)


@host_mutant("PLG.33", "PLG.34", character="Discreet: a turn that was cancelled is not talked about.")
class CancelledTurnsAreNotTold(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        cancelled: set[str] = set()

        def make(notify: Any) -> Any:
            async def broken(runtime: Any, event: Any) -> None:
                if isinstance(event, TurnFinalized):
                    cancelled.discard(runtime.session_id)
                    if event.turn.outcome == CANCELLED:
                        cancelled.add(runtime.session_id)
                told = isinstance(event, (TurnFinalized, TurnPersisted))
                if not (told and runtime.session_id in cancelled):
                    await notify(runtime, event)

            return broken

        patch("lash_ref.resident:Resident.notify", make)


@host_mutant("SNP.40", character="Rejecting: what plugins did in a cancelled turn is not stored with it.")
class CancelledTurnsCaptureNothing(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(finish: Any) -> Any:
            async def broken(turn: Any, outcome: Any) -> Any:
                if turn.token.is_cancelled():
                    turn.runtime.capture = lambda: None
                try:
                    return await finish(turn, outcome)
                finally:
                    vars(turn.runtime).pop("capture", None)

            return broken

        patch("lash_ref.turn_loop:finish", make)


@host_mutant("SES.75", character="On rails: a drained turn hears nobody.")
class DrainsHearNobody(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(admitted: Any) -> Any:
            async def broken(turn: Any, effect: Any) -> Any:
                return () if turn.claims.inputs else await admitted(turn, effect)

            return broken

        patch("lash_ref.turn:Turn._admitted", make)


@host_mutant("SNP.40", character="Forgetful: a recorded tool leaves nothing behind when its turn is driven again.")
class ReplaysWithoutTheState(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(take_up: Any) -> Any:
            return lambda dispatch, said: None

        patch("lash_ref.dispatch:ToolDispatch._take_up", make)
