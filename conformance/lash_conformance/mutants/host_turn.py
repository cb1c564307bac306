"""Broken hosts of the turn chapter: commit, identity, input, prompts ([TRN.1] to [TRN.17], [TRN.35] to [TRN.42])."""

# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false

from typing import Any

from lash_conformance.mutants.host import BrokenHost, Patch, SentStore, host_mutant
from lash_conformance.mutants.host_cancel import method
from lash_ref import hooks
from lash_ref.nodes import Append, Unchanged
from lash_ref.prompt import PromptLayer
from lash_ref.runtime_errors import RuntimeFailure
from lash_ref.usage import TokenUsage


@host_mutant("TRN.1", character="Stutterer: says the answer twice.")
class SaysItTwice(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def broken(turn: Any, *, cancelled: bool) -> None:
                last = turn.held[-1:]
                original(turn, cancelled=cancelled)
                for message in last:
                    turn._append(message.but(id=f"{message.id}.again"))

            return broken

        patch("lash_ref.turn_commit:_close_history", make)


@host_mutant("TRN.1", character="Shy: keeps the question and not the answer.")
class ForgetsTheAnswer(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.turn_commit:_close_history", method(lambda turn, *, cancelled: turn.held.clear()))


@host_mutant("TRN.2", character="Uncounted: every turn is the first.")
class CountsNoTurns(BrokenHost):
    class sends(SentStore):
        async def commit_runtime_state(self, commit: Any) -> Any:
            state = commit.checkpoint.turn_state.but(turn_index=1)
            return await self.inner.commit_runtime_state(commit.but(checkpoint=commit.checkpoint.but(turn_state=state)))


@host_mutant("TRN.3", character="Eager: commits the question before the model is asked.")
class CommitsProgress(BrokenHost):
    class sends(SentStore):
        async def commit_runtime_state(self, commit: Any) -> Any:
            if isinstance(commit.graph, Unchanged) or commit.turn_commit is None or len(commit.graph.nodes) < 2:
                return await self.inner.commit_runtime_state(commit)
            first, rest = commit.graph.nodes[0], commit.graph.nodes[1:]
            early = commit.but(
                graph=commit.graph.but(nodes=(first,), leaf_node_id=first.node_id), turn_commit=None, usage_deltas=(),
                release_session_execution_lease=None, completed_turn_input_claims=(), completed_queue_claims=(),
                interrupted_turn_input_turn_id=None,
            )  # fmt: skip
            made = await self.inner.commit_runtime_state(early)
            late = commit.but(
                graph=Append(nodes=rest, leaf_node_id=commit.graph.leaf_node_id),
                expected_head_revision=made.head_revision
            )
            return await self.inner.commit_runtime_state(late)


@host_mutant("TRN.4", character="Leaky: keeps the question of a turn that failed.")
class KeepsHalfATurn(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.state:PersistedSessionState.rollback", method(lambda state, point: None))


@host_mutant("TRN.5", character="Echo: repeats the prose before a tool in the final answer.")
class RepeatsStreamedProse(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        said: list[str] = []

        def make(original: Any) -> Any:
            def broken(message_id: str, response: Any) -> Any:
                made = original(message_id, response)
                said.append(response.full_text)
                parts = tuple(
                    part.but(content="".join(said)) if part.kind == "Prose" else part for part in made.parts
                )
                return made.but(parts=parts)

            return broken

        patch("lash_ref.moves:assistant_message", make)


@host_mutant("TRN.6", character="Mute: announces no value.")
class AnnouncesNothing(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        async def broken(turn: Any, correlation_id: str, event: Any) -> None:
            pass

        patch("lash_ref.turn_commit:_shown", method(broken))


@host_mutant("TRN.7", character="Nameless: stamps every turn with a number of its own.")
class StampsItsOwnNumbers(BrokenHost):
    class sends(SentStore):
        async def commit_runtime_state(self, commit: Any) -> Any:
            if commit.turn_commit is not None:
                stamp = commit.turn_commit.but(turn_id=f"n{commit.expected_head_revision}")
                commit = commit.but(turn_commit=stamp)
            return await self.inner.commit_runtime_state(commit)


def _first_name(builder: Any, mint: Any) -> str:
    return builder._turn_id or builder.input.trace_turn_id or mint("turn")


@host_mutant("TRN.8", character="Indifferent: of two names takes the first.")
class TakesTheFirstName(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.turn_builders:TurnBuilder._named", method(_first_name))


@host_mutant("TRN.9", character="Polite: gives a name to a turn that was given a blank one.")
class NamesTheBlank(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def broken(builder: Any, mint: Any) -> str:
            return (builder._turn_id or "").strip() or mint("turn")

        patch("lash_ref.turn_builders:TurnBuilder._named", method(broken))


@host_mutant("TRN.10", character="Lax: runs without the input that a plugin requires.")
class RunsWithoutInputs(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            async def broken(builder: Any, sink: Any) -> Any:
                builder.shared.active_plugins = ()
                return await original(builder, sink)

            return broken

        patch("lash_ref.turn_builders:TurnBuilder._prepared", make)


@host_mutant("TRN.11", character="Trusting: takes live inputs into a stored session.")
class TakesLiveInputs(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            async def broken(builder: Any, sink: Any) -> Any:
                given, builder._inputs = builder._inputs, {}
                builder.shared.active_plugins = ()
                made = await original(builder, sink)
                made.plugin_inputs = given
                return made

            return broken

        patch("lash_ref.turn_builders:TurnBuilder._prepared", make)


@host_mutant("TRN.12", character="Blind: does not look at what it is given.")
class TakesAnyAttachment(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        async def broken(turn: Any, item: Any) -> None:
            return None

        patch("lash_ref.turn:Turn._refused", method(broken))


@host_mutant("TRN.13", character="Pedant: one part a text item.")
class KeepsItemsApart(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def broken(message_id: str, items: Any) -> Any:
                parts = [original(f"{message_id}.{n}", (item,)).parts for n, item in enumerate(items)]
                return original(message_id, ()).but(parts=tuple(part for each in parts for part in each))

            return broken

        patch("lash_ref.turn_intake:user_message", make)


@host_mutant("TRN.14", character="Impressionable: keeps the provider of one turn.")
class KeepsTheProvider(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def broken(turn: Any) -> Any:
                found = original(turn)
                state = turn.runtime.state
                state.policy = state.policy.but(provider_id=found.kind)
                return found

            return broken

        patch("lash_ref.turn:Turn._resolved_provider", make)


@host_mutant("TRN.15", character="Impressionable: keeps the prompt of one turn.")
class KeepsThePrompt(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            async def broken(turn: Any, driver: Any) -> None:
                await original(turn, driver)
                if turn.request.prompt is not None:
                    turn.runtime.state.policy = turn.runtime.state.policy.but(prompt=turn.request.prompt)

            return broken

        patch("lash_ref.turn:Turn._compose", make)


@host_mutant("TRN.16", character="Hoarder: a slot that is reset keeps what was in it.")
class IgnoresResets(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def broken(layers: Any) -> Any:
                kept = [
                    PromptLayer.from_data(_without_resets(layer.to_data())) for layer in layers
                ]
                return original(kept)

            return broken

        patch("lash_ref.turn_steps:resolve_prompt_layers", make)


def _without_resets(layer: dict[str, Any]) -> dict[str, Any]:
    slots = {name: slot | {"reset": False} for name, slot in layer.get("slots", {}).items()}
    return layer | {"slots": slots}


@host_mutant("TRN.17", character="Forgetful: one option of a turn erases the session's others.")
class ReplacesTheOptions(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.turn_intake:merged_options", method(lambda base, over: over))


@host_mutant("TRN.35", character="Early: says that the turn is kept before it is.")
class PersistedBeforeTheCommit(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            async def broken(turn: Any, task: Any) -> Any:

                runtime = turn.runtime
                view = runtime.published.read_view
                await runtime.notify(hooks.TurnPersisted(runtime.session_id, view, runtime.plugin_services))
                return await original(turn, task)

            return broken

        patch("lash_ref.turn_commit:_commit", make)


@host_mutant("TRN.36", character="Thorough: a replayed turn does everything again.")
class PerformsAgain(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.effects:MemoryJournal.find", method(lambda journal, scope_id, effect_id: None))


@host_mutant("TRN.37", character="Gullible: takes any answer for the awaited one.")
class TakesAnyAnswer(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.machine:awaits", method(lambda *given: True))


@host_mutant("TRN.38", character="Renumbering: a restored machine asks under another id.")
class RenumbersEffects(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def broken(state: Any) -> Any:
                effect = original(state)
                return effect and effect.but(effect_id=effect.effect_id + 1)

            return broken

        patch("lash_conformance.targets.reference_state:outstanding", make)


@host_mutant("TRN.39", character="Offended: an aborting plugin costs the user's message.")
class AbortsWithoutACommit(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            async def broken(turn: Any) -> Any:
                outcome = await original(turn)
                if outcome is not None:
                    raise RuntimeFailure("plugin_abort", "a plugin said no")
                return outcome

            return broken

        patch("lash_ref.turn:Turn._before_turn", make)


@host_mutant("TRN.40", character="Cheap: bills the last call only.")
class BillsTheLastCall(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            async def broken(turn: Any, called: str, spent: Any, iteration: int) -> None:
                turn.usage = TokenUsage()
                await original(turn, called, spent, iteration)

            return broken

        patch("lash_ref.turn:Turn._spend", make)


@host_mutant("TRN.40", character="Forgetful: what was spent is not stored.")
class LosesTheUsage(BrokenHost):
    class sends(SentStore):
        async def commit_runtime_state(self, commit: Any) -> Any:
            return await self.inner.commit_runtime_state(commit.but(usage_deltas=()))


@host_mutant("TRN.41", character="Hasty: bills what was streamed and not what was final.")
class BillsTheStream(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            async def broken(call: Any, effect_id: int, request: Any) -> Any:
                done = await original(call, effect_id, request)
                if done.response is None or call.usage is None:
                    return done
                return done.but(response=done.response.but(usage=call.usage))

            return broken

        patch("lash_ref.model_call:ModelCall.run", make)


@host_mutant("TRN.42", character="Unwatched: passes its phases without a word.")
class PassesInSilence(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        async def broken(runtime: Any, phase: str, turn_id: str = "") -> None:
            pass

        patch("lash_ref.resident:Resident.reach", method(broken))


@host_mutant("TRN.7", character="Inventive: gives every drain a name of its own.")
class NamesDrainsItself(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(queued: Any) -> Any:
            async def broken(loop: Any, request: Any, batch_ids: Any = (), drain_id: Any = None) -> Any:
                return await queued(loop, request, batch_ids)

            return broken

        patch("lash_ref.turn_loop:TurnLoop.queued", make)
