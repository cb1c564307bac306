"""Broken hosts of the frame chapter ([FRM.1] to [FRM.8])."""

# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false

from typing import Any

from lash_conformance.mutants.host import BrokenHost, Patch, host_mutant
from lash_conformance.mutants.host_cancel import method
from lash_ref.runtime_errors import RuntimeFailure


@host_mutant("FRM.1", character="Orphaning: a new frame does not know the one before.")
class ForgetsThePreviousFrame(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(opens: Any) -> Any:
            def broken(state: Any, *parts: Any, **named: Any) -> Any:
                opened = opens(state, *parts, **named)
                state.agent_frames = tuple(f.but(previous_frame_id=None) for f in state.agent_frames)
                return opened

            return broken

        patch("lash_ref.turn_commit:open_agent_frame", make)


@host_mutant("FRM.2", character="Busy: opens a frame whatever its name.")
class OpensAnyFrame(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(opens: Any) -> Any:
            async def broken(runtime: Any, frame_id: str, task: Any = None, reason: str = "continue_as") -> Any:
                if not frame_id.strip() or frame_id == runtime.state.current_agent_frame_id:
                    frame_id = "another"
                return await opens(runtime, frame_id, task, reason)

            return broken

        patch("lash_ref.runtime:LashRuntime.open_agent_frame", make)


@host_mutant("FRM.3", character="Nostalgic: shows the model every frame.")
class ShowsEveryFrame(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch(
            "lash_ref.state:PersistedSessionState.read_model",
            method(lambda state: state.session_graph.read_model()),
        )


@host_mutant("FRM.4", character="Curt: answers the switch itself.")
class AnswersTheSwitch(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.turn_loop:AgentFrameRun.final_turn", method(property(lambda run: run.turns[0])))


@host_mutant("FRM.5", character="Thrifty: one stamp for all frames of a turn.")
class OneStampForAll(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(stamped: Any) -> Any:
            def broken(turn: Any, commit: Any) -> Any:
                made = stamped(turn, commit)
                stamp = made.turn_commit.but(turn_id=turn.turn_id.partition(":")[0] + "#" + turn.turn_id[-1])
                return made.but(turn_commit=stamp)

            return broken

        patch("lash_ref.turn_commit:_stamped", make)


@host_mutant("FRM.6", character="Tireless: follows frames for ever.")
class FollowsForEver(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.turn_loop:MAX_FRAME_SWITCHES", method(10_000))


@host_mutant("FRM.7", character="Shredder: compaction deletes what it compacts.")
class CompactsByDeleting(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(compact: Any) -> Any:
            async def broken(runtime: Any, instructions: Any = None) -> Any:
                done = await compact(runtime, instructions)
                runtime.replace_graph()
                return done

            return broken

        patch("lash_ref.runtime:LashRuntime.compact_context", make)


@host_mutant("FRM.8", character="Fragile: a cancel in the middle of a chain breaks the session.")
class BreaksOnAChainedCancel(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(frames: Any) -> Any:
            async def broken(loop: Any, request: Any, lane: Any, claims: Any, work: Any) -> Any:
                run = await frames(loop, request, lane, claims, work)
                if len(run.turns) > 1 and run.final_turn.is_cancelled:
                    raise RuntimeFailure("chain_broken", "the chain was cut")
                return run

            return broken

        patch("lash_ref.turn_loop:TurnLoop._frames", make)


@host_mutant("FRM.3", character="Homesick: what is said after an open belongs to the first frame.")
class SpeaksInTheFirstFrame(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(ensure_frame: Any) -> Any:
            def broken(state: Any, *, timestamp: str) -> None:
                ensure_frame(state, timestamp=timestamp)
                state.session_graph.agent_frame_id = None

            return broken

        patch("lash_ref.runtime:ensure_frame", make)


def forgetting(*parts: str) -> Any:
    """A turn's next frame, asked for without these of its parts."""
    return lambda request: lambda **given: request(**{name: one for name, one in given.items() if name not in parts})


@host_mutant("FRM.11", character="Forgetful: what was said of a turn holds in its first frame only.")
class ForgetsTheTurnInItsNextFrame(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.turn_loop:TurnRequest", forgetting("provider", "prompt", "protocol_turn_options"))


@host_mutant("FRM.11", character="Forgetful: a turn's next frame is run without prompt edits.")
class ForgetsThePromptInTheNextFrame(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.turn_loop:TurnRequest", forgetting("prompt"))


@host_mutant("FRM.11", character="Forgetful: plugins' inputs hold in a turn's first frame only.")
class ForgetsInputsInTheNextFrame(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.turn_loop:TurnRequest", forgetting("plugin_inputs"))


@host_mutant("FRM.4", character="Turned away: shows a turn's first frame to whoever ran it, and no other.")
class ShowsTheFirstFrameOnly(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.turn_loop:TurnRequest", forgetting("sink"))


@host_mutant("FRM.1", character="Rooted: every frame follows the first.")
class FollowsTheFirstFrame(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(record: Any) -> Any:
            def broken(**parts: Any) -> Any:
                previous = parts.get("previous_frame_id")
                root = None if previous is None else f"{parts['session_id']}:frame:initial"
                return record(**parts | {"previous_frame_id": root})

            return broken

        patch("lash_ref.frames:AgentFrameRecord", make)
