"""Broken hosts of what a turn tells: words taken back, what was spent, who hears of it when ([TRN.33], [TRN.35], [TRN.45] to [TRN.47])."""

# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false

from typing import Any

from lash_conformance.mutants.host import BrokenHost, Patch, SentStore, host_mutant
from lash_ref import hooks
from lash_ref.machine import CheckpointAnswered, Rule
from lash_ref.usage import TokenUsage


@host_mutant("TRN.45", character="Short: takes back words under names under which it never showed them.")
class TakesBackByOtherNames(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(reset: Any) -> Any:
            def broken(**named: tuple[str, ...]) -> Any:
                return reset(**{kind: tuple(id.partition(":")[2] for id in ids) for kind, ids in named.items()})

            return broken

        patch("lash_ref.activity:ModelAttemptReset", make)


@host_mutant("TRN.45", character="Sweeping: takes back with each attempt whatever was taken back before.")
class TakesBackTooMuch(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(reset: Any) -> Any:
            async def broken(call: Any) -> None:
                before = [*call._prose]
                await reset(call)
                call._prose = before

            return broken

        patch("lash_ref.model_call:ModelCall._reset", make)


@host_mutant("TRN.45", character="Superficial: takes back prose and leaves the reasoning.")
class LeavesTheReasoning(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.activity:ModelAttemptReset", lambda reset: lambda **named: reset(**named | {"reasoning_correlation_ids": ()}))


@host_mutant("TRN.46", character="Careless: the turn state says nothing of what was spent.")
class StoresNoUsage(BrokenHost):
    class sends(SentStore):
        async def commit_runtime_state(self, commit: Any) -> Any:
            state = commit.checkpoint.turn_state.but(token_usage=TokenUsage())
            return await self.inner.commit_runtime_state(commit.but(checkpoint=commit.checkpoint.but(turn_state=state)))


@host_mutant("TRN.46", character="Forgetful: a turn that asked no model forgets the last prompt.")
class ForgetsTheLastPrompt(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(usage: Any) -> Any:
            def broken(turn: Any) -> Any:
                turn.runtime.state.last_prompt_usage = None
                return usage(turn)

            return broken

        patch("lash_ref.turn:Turn.prompt_usage", make)


@host_mutant("TRN.35", character="Bookish: what no store keeps, plugins need not hear of.")
class HearsOfStoredTurnsOnly(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(notify: Any) -> Any:
            async def broken(runtime: Any, event: Any) -> None:
                if runtime.services.store is not None or not isinstance(event, hooks.TurnPersisted):
                    await notify(runtime, event)

            return broken

        patch("lash_ref.resident:Resident.notify", make)


@host_mutant("TRN.47", character="Hasty: says finalized before the hooks had their word.")
class FinalizesBeforeHooks(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(after: Any) -> Any:
            async def broken(turn: Any, result: Any) -> None:
                await turn.runtime.notify(hooks.TurnFinalized(result))
                await after(turn, result)
                notify = turn.runtime.notify

                async def once(event: Any) -> None:
                    if not isinstance(event, hooks.TurnFinalized):
                        await notify(event)

                turn.runtime.notify = once

            return broken

        patch("lash_ref.turn_commit:_after_turn", make)


@host_mutant("TRN.33", character="Quick: every turn takes no time.")
class TakesNoTime(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.turn_commit:ExecutionSummary", lambda summary: lambda **given: summary(**given | {"duration_ms": 0}))


@host_mutant("TRN.45", character="Repetitive: the next attempt is shown under the name that was taken back.")
class ReusesTheNameOfAnAttempt(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(reset: Any) -> Any:
            async def broken(call: Any) -> None:
                await reset(call)
                call._attempt -= 1

            return broken

        patch("lash_ref.model_call:ModelCall._reset", make)


@host_mutant("TRN.41", character="Literal: a provider that ends with zeros spent nothing.")
class TakesZerosForAnAnswer(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.model_call:TokenUsage", lambda _: lambda: None)


@host_mutant("TRN.20", character="Backwards: reports the last call first.")
class ReportsCallsBackwards(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(run_all: Any) -> Any:
            async def broken(dispatch: Any, *asked: Any) -> Any:
                answers = await run_all(dispatch, *asked)
                dispatch.records.reverse()
                return answers

            return broken

        patch("lash_ref.dispatch:ToolDispatch.run_all", make)


@host_mutant("TRN.12", character="Cursory: looks at a turn's first attachment.")
class LooksAtOneAttachment(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(refused: Any) -> Any:
            async def broken(turn: Any, item: Any) -> Any:
                looked, turn.looked = getattr(turn, "looked", False), True
                return None if looked else await refused(turn, item)

            return broken

        patch("lash_ref.turn_intake:TurnIntake._refused", make)


@host_mutant("OBS.17", character="Forgetful: a turn's meter shows its last call.")
class MetersTheLastCall(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.activity:Usage", lambda usage: lambda **told: usage(**told | {"cumulative": told["usage"]}))


@host_mutant("HOK.13", character="Absorbed: events of hooks around a call are not told.")
class SilentAroundCalls(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        async def nothing(_: Any) -> None:
            pass

        def before(apply: Any) -> Any:
            return lambda emitted, args, services, emit: apply(emitted, args, services, nothing)

        patch("lash_ref.dispatch:apply_before_tool", before)


@host_mutant("TRN.48", character="Trusting: what was cut may be gone on with, however full the window.")
class NeverOverflows(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.moves:_overflowed", lambda _: lambda state, response: False)


@host_mutant("TRN.48", character="Blind to the cache: counts the prompt's new tokens only.")
class CountsNewTokensOnly(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(overflowed: Any) -> Any:
            def broken(state: Any, response: Any) -> Any:
                usage = response.usage
                bare = usage and usage.but(cache_read_input_tokens=0, cache_write_input_tokens=0)
                return overflowed(state, response.but(usage=bare))

            return broken

        patch("lash_ref.moves:_overflowed", make)


@host_mutant("TRN.25", character="Lenient: a turn that once ran tools may end with nothing.")
class ExcusedByOldTools(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(checkpoint: Any) -> Any:
            def broken(state: Any, input: Any) -> Any:
                moved = checkpoint(state, input)
                return moved.but(ended_on_tools=state.ended_on_tools)

            return broken

        def table(rules: Any) -> Any:
            return {key: Rule(make(rule.run), rule.targets) if key[0] == "waiting_checkpoint" and key[1] is CheckpointAnswered else rule for key, rule in rules.items()}

        patch("lash_ref.protocol:StandardDriver.table", table)
