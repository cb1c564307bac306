"""Broken hosts of the tool loop and of how turns end ([TRN.20] to [TRN.34])."""

# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false

from typing import Any

from lash_conformance.mutants.host import BrokenHost, Patch, host_mutant
from lash_conformance.mutants.host_cancel import method
from lash_ref.outcome import AssistantMessage, Finished, Stopped
from lash_ref.runtime_errors import RuntimeFailure
from lash_ref.tool_results import Done


@host_mutant("TRN.20", character="Racer: shows results as they come in.")
class ShowsAsTheyCome(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(run_all: Any) -> Any:
            async def broken(dispatch: Any, effect_id: int, calls: Any) -> Any:
                ended: list[str] = []
                show = dispatch.show

                async def watch(named: str, event: Any) -> None:
                    if event.type == "tool_call_completed":
                        ended.append(event.call_id)
                    await show(named, event)

                dispatch.show = watch
                answers = await run_all(dispatch, effect_id, calls)
                dispatch.show = show
                return tuple(sorted(answers, key=lambda answer: ended.index(answer.call.call_id)))

            return broken

        patch("lash_ref.dispatch:ToolDispatch.run_all", make)


@host_mutant("TRN.21", character="Orderly: one call after the other.")
class OneCallAtATime(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        async def broken(dispatch: Any, effect_id: int, calls: Any) -> Any:
            done = [await dispatch._run(f"{effect_id}.{n}", call) for n, call in enumerate(calls)]
            dispatch.records.extend(record for _, record in done)
            return tuple(answer for answer, _ in done)

        patch("lash_ref.dispatch:ToolDispatch.run_all", method(broken))


@host_mutant("TRN.22", character="Touchy: a failing tool ends the turn.")
class FailsWithTheTool(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(step: Any) -> Any:
            def broken(state: Any, given: Any, *table: Any) -> Any:
                moved = step(state, given, *table)
                if any(not answer.output.is_success for answer in getattr(given, "answers", ())):
                    stopped = Stopped(stop="tool_failure")
                    return moved._replace(state=moved.state.but(phase="finished", outcome=stopped), effect=None)
                return moved

            return broken

        patch("lash_ref.protocol:step", make)


@host_mutant("TRN.23", character="Contrary: the last control decides.")
class LastControlDecides(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(step: Any) -> Any:
            def broken(state: Any, given: Any, *table: Any) -> Any:
                if hasattr(given, "answers"):
                    given = given._replace(answers=tuple(reversed(given.answers)))
                return step(state, given, *table)

            return broken

        patch("lash_ref.protocol:step", make)


@host_mutant("TRN.24", character="Tireless: asks once more than it may.")
class AsksOnceMore(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(following: Any) -> Any:
            def broken(state: Any) -> Any:
                limit = state.max_turns
                moved = following(state.but(max_turns=None if limit is None else limit + 1))
                return moved.but(max_turns=limit)

            return broken

        patch("lash_ref.moves:next_iteration", make)


@host_mutant("TRN.25", character="Content: takes silence for an answer.")
class TakesSilence(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(finish: Any) -> Any:
            def broken(state: Any, outcome: Any, *issues: Any, **more: Any) -> Any:
                if issues and issues[0].code == "empty_response":
                    return finish(state, Finished(finish=AssistantMessage(text="")))
                return finish(state, outcome, *issues, **more)

            return broken

        patch("lash_ref.moves:finish", make)


@host_mutant("TRN.26", character="Insatiable: wants words even when the tools have answered.")
class WantsWordsAfterTools(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(reach: Any) -> Any:
            def broken(state: Any, kind: Any, **more: Any) -> Any:
                if kind == "before_completion" and more.get("answer") is None:
                    return state.but(phase="finished", outcome=Stopped(stop="provider_error"))
                return reach(state, kind, **more)

            return broken

        patch("lash_ref.moves:reach", make)


@host_mutant("TRN.27", character="Easy-going: half an answer is an answer.")
class TakesHalfAnswers(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.moves:terminal_stop", method(lambda state, response: None))


@host_mutant("TRN.28", character="Dramatic: a failing provider is an error of the host.")
class RaisesProviderErrors(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def broken(state: Any, completion: Any) -> Any:
            raise RuntimeFailure("llm_provider", completion.failure_message or "failed")

        patch("lash_ref.moves:failed_call", method(broken))


@host_mutant("TRN.29", character="Hoarder: keeps what a broken attempt had said.")
class KeepsBrokenAttempts(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        said: list[str] = []

        def say(original: Any) -> Any:
            async def broken(call: Any, text: str) -> None:
                said.append(text)
                await original(call, text)

            return broken

        def spoken(original: Any) -> Any:
            def broken(message_id: str, response: Any) -> Any:
                made = original(message_id, response)
                parts = tuple(
                    part.but(content="".join(said)) if part.kind == "Prose" else part for part in made.parts
                )
                return made.but(parts=parts)

            return broken

        patch("lash_ref.model_call:ModelCall._say", say)
        patch("lash_ref.moves:assistant_message", spoken)


@host_mutant("TRN.30", character="Scatterbrained: a completion has another id than its start.")
class LosesTheCorrelation(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(show: Any) -> Any:
            async def broken(turn: Any, correlation_id: str, event: Any) -> None:
                late = "!" if event.type == "tool_call_completed" else ""
                await show(turn, correlation_id + late, event)

            return broken

        patch("lash_ref.turn:Turn.show", make)


@host_mutant("TRN.31", character="Impatient: a pending tool has answered nothing.")
class AnswersForTheWorld(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        async def broken(dispatch: Any, effect_id: str, key: Any, completion: Any) -> Any:
            return Done.ok(None)

        patch("lash_ref.dispatch:ToolDispatch._awaited", method(broken))


@host_mutant("TRN.32", character="Tidy: keeps calls and drops their results.")
class DropsResults(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def append(original: Any) -> Any:
            def broken(turn: Any, *messages: Any) -> None:
                kept = [m for m in messages if all(part.kind != "ToolResult" for part in m.parts)]
                original(turn, *kept)

            return broken

        patch("lash_ref.turn:Turn._append", append)


@host_mutant("TRN.33", character="Independent: has a watch of its own.")
class HasItsOwnWatch(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(assembled: Any) -> Any:
            def broken(turn: Any, *parts: Any) -> Any:
                made = assembled(turn, *parts)
                return made.but(execution=made.execution.but(started_at_ms=1))

            return broken

        patch("lash_ref.turn_commit:_assembled", make)


@host_mutant("TRN.34", character="Careless: nobody owns what a turn puts.")
class PutsWithoutAnOwner(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.turn:Turn._own_attachments", method(lambda turn: None))


@host_mutant("TRN.34", character="Forgetful: a commit adopts nothing.")
class AdoptsNothingHost(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(stamped: Any) -> Any:
            def broken(turn: Any, commit: Any) -> Any:
                made = stamped(turn, commit)
                owner = made.turn_commit.but(turn_id=f"{turn.turn_id}!")
                return made.but(turn_commit=owner)

            return broken

        patch("lash_ref.turn_commit:_stamped", make)
