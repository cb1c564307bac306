"""Broken hosts that lose, double or rewrite what was said ([TRN.1], [TRN.4], [TRN.24] to [TRN.43])."""

# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false

import sys
from typing import Any

from lash_conformance.mutants.host import BrokenHost, Patch, host_mutant
from lash_conformance.mutants.host_cancel import method
from lash_ref.errors import LashError
from lash_ref.inputs import CheckpointWork
from lash_ref.moves import ask_model
from lash_ref.runtime_errors import RuntimeFailure
from lash_ref.usage import TokenUsage


def leaves_out(is_left_out: Any) -> Any:
    """A patch of what a turn appends, without the messages that are left out."""

    def make(append: Any) -> Any:
        def broken(turn: Any, *messages: Any) -> None:
            append(turn, *(message for message in messages if not is_left_out(turn, message)))

        return broken

    return make


def rewrites(change: Any) -> Any:
    """A patch of what makes a message, every text of which is changed."""

    def make(original: Any) -> Any:
        def broken(message_id: str, given: Any) -> Any:
            made = original(message_id, given)
            kinds = ("Text", "Prose", "ToolResult")
            return made.but(
                parts=tuple(p.but(content=change(p.content)) if p.kind in kinds else p for p in made.parts)
            )

        return broken

    return make


@host_mutant("TRN.1", character="By content: what was said before need not be said again.")
class HearsNoRepeats(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def is_known(turn: Any, message: Any) -> bool:
            said = {one.text for one in turn.runtime.state.read_model().messages if one.role == "User"}
            return message.role == "User" and bool(message.text) and message.text in said

        patch("lash_ref.turn_base:TurnBase._append", leaves_out(is_known))


@host_mutant("TRN.1", character="Literal: saying nothing is not saying.")
class HearsNoSilence(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.turn_base:TurnBase._append", leaves_out(lambda turn, message: not message.parts))


@host_mutant("TRN.4", character="Counting: a turn that failed has a number all the same.")
class CountsLostTurns(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(rollback: Any) -> Any:
            def broken(state: Any, point: Any) -> None:
                counted = state.turn_index
                rollback(state, point)
                state.turn_index = counted

            return broken

        patch("lash_ref.state:PersistedSessionState.rollback", make)


@host_mutant("TRN.4", character="Thrifty: bills a turn that was lost with the next one.")
class BillsLostTurns(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        owed: dict[str, TokenUsage] = {}

        def commits(commit: Any) -> Any:
            async def broken(turn: Any, task: Any) -> Any:
                try:
                    return await commit(turn, task)
                except RuntimeFailure:
                    owed[turn.runtime.session_id] = turn.usage
                    raise

            return broken

        def bills(own_usage: Any) -> Any:
            def broken(turn: Any) -> Any:
                more = owed.get(turn.runtime.session_id, TokenUsage())
                return tuple(entry.but(usage=entry.usage + more) for entry in own_usage(turn))

            return broken

        patch("lash_ref.turn_commit:_commit", commits)
        patch("lash_ref.turn_commit:_own_usage", bills)


@host_mutant("TRN.4", character="Blaming: undoes what a store refused, and not what a hook did.")
class KeepsWhatHooksFailed(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(rollback: Any) -> Any:
            def broken(state: Any, point: Any) -> None:
                err = sys.exc_info()[1]
                if not isinstance(err, RuntimeFailure) or "store" in str(err.fields["runtime_code"]):
                    rollback(state, point)

            return broken

        patch("lash_ref.state:PersistedSessionState.rollback", make)


@host_mutant("TRN.24", character="Strict: one limit for all turns of a session.")
class OneLimitForAll(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        used: dict[str, int] = {}

        def make(drive: Any) -> Any:
            async def broken(turn: Any) -> Any:
                state, before = turn.runtime.state, used.get(turn.runtime.session_id, 0)
                policy = state.policy
                if policy.max_turns is not None:
                    state.policy = policy.but(max_turns=max(1, policy.max_turns - before))
                try:
                    return await drive(turn)
                finally:
                    state.policy = policy
                    used[turn.runtime.session_id] = before + len(turn.llm_calls)

            return broken

        patch("lash_ref.turn:Turn._drive", make)


@host_mutant("TRN.28", character="Undaunted: tries again as long as it is told that it may.")
class TriesForEver(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def broken(retries: Any, failure: Any, spent: int) -> str:
            return "retryable_failure" if failure.retryable else "not_retryable"

        patch("lash_ref.retries:Retries._reason", method(broken))


@host_mutant("TRN.28", character="Soon tired: tries twice.")
class TriesTwice(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(reason: Any) -> Any:
            def broken(retries: Any, failure: Any, spent: int) -> Any:
                return "not_retryable" if spent >= 2 else reason(retries, failure, spent)

            return broken

        patch("lash_ref.retries:Retries._reason", make)


@host_mutant("TRN.40", character="Generous: a frame that was left was free.")
class LeftFramesAreFree(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(commit: Any) -> Any:
            async def broken(turn: Any, task: Any) -> Any:
                if task is not None:
                    turn.usage = TokenUsage()
                return await commit(turn, task)

            return broken

        patch("lash_ref.turn_commit:_commit", make)


@host_mutant("TRN.41", character="Adding up: bills what a broken attempt had streamed.")
class BillsBrokenAttempts(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        lost: dict[int, TokenUsage] = {}

        def resets(reset: Any) -> Any:
            async def broken(call: Any) -> None:
                lost[id(call)] = call.usage or TokenUsage()
                await reset(call)

            return broken

        def streams(streamed: Any) -> Any:
            async def broken(call: Any, request: Any) -> Any:
                done = await streamed(call, request)
                if done.response is None or done.response.usage is None:
                    return done
                more = lost.pop(id(call), TokenUsage())
                return done.but(response=done.response.but(usage=done.response.usage + more))

            return broken

        patch("lash_ref.model_call:ModelCall._reset", resets)
        patch("lash_ref.model_call:ModelCall._streamed", streams)


@host_mutant("TRN.43", character="Tidy: trims what users say.")
class TrimsTheUser(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.turn_intake:user_message", rewrites(str.strip))


@host_mutant("TRN.43", character="Plain: answers are kept in ASCII.")
class KeepsAnswersInAscii(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def plain(said: str) -> str:
            return said.encode("ascii", "replace").decode()

        patch("lash_ref.moves:assistant_message", rewrites(plain))


@host_mutant("TRN.43", character="Brief: cuts long results of tools.")
class CutsLongResults(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.moves:tool_result_message", rewrites(lambda said: said[:30_000]))


@host_mutant("TRN.4", character="Unshaken: when the store cannot say what waits, nothing does.")
class GoesOnWithoutItsStore(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(checkpoint_work: Any) -> Any:
            async def broken(*asked: Any) -> Any:
                try:
                    return await checkpoint_work(*asked)
                except LashError:
                    return CheckpointWork()

            return broken

        patch("lash_ref.turn_steps:checkpoint_work", make)


@host_mutant("TRN.28", character="Vague: a failure of the model is a failure, of whatever kind.")
class HidesTheKind(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(failed_call: Any) -> Any:
            def broken(state: Any, completion: Any) -> Any:
                made = failed_call(state, completion)
                return made.but(issues=tuple(issue.but(provider_failure_kind=None) for issue in made.issues))

            return broken

        patch("lash_ref.moves:failed_call", make)


@host_mutant("TRN.44", character="Obedient: runs a turn as often as it is asked to.")
class RunsItAgain(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        known: set[str] = set()

        def make(named: Any) -> Any:
            def broken(builder: Any, mint: Any) -> str:
                name = named(builder, mint)
                if name in known:
                    return mint("turn")
                known.add(name)
                return name

            return broken

        patch("lash_ref.turn_builders:TurnBuilder._named", make)


@host_mutant("TRN.32", character="Sketchy: keeps that a tool was called and not what with.")
class LosesArguments(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(assistant_message: Any) -> Any:
            def broken(message_id: str, response: Any) -> Any:
                made = assistant_message(message_id, response)
                return made.but(parts=tuple(p.but(content="{}") if p.kind == "ToolCall" else p for p in made.parts))

            return broken

        patch("lash_ref.moves:assistant_message", make)


@host_mutant("TRN.40", character="Simple: counts what went in and what came out.")
class CountsTwoCounters(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def broken(one: Any, other: Any) -> Any:
            counted = ("input_tokens", "output_tokens")
            return TokenUsage(**{name: getattr(one, name) + getattr(other, name) for name in counted})

        patch("lash_ref.usage:TokenUsage.__add__", method(broken))


@host_mutant("TRN.27", character="Undeterred: runs what a cut reply asks for.")
class RunsCutCalls(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(terminal_stop: Any) -> Any:
            def broken(state: Any, response: Any) -> Any:
                return None if response.tool_calls else terminal_stop(state, response)

            return broken

        patch("lash_ref.moves:terminal_stop", make)


@host_mutant("TRN.24", character="Yielding: a hook can ask for one call more than the limit.")
class HooksGetOneMore(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(next_iteration: Any) -> Any:
            def broken(state: Any) -> Any:
                asked_by_a_hook = state.checkpoint == "before_completion"
                return ask_model(state) if asked_by_a_hook else next_iteration(state)

            return broken

        patch("lash_ref.moves:next_iteration", make)
