"""Hosts that are wrong about hooks."""
# pyright: basic, reportIncompatibleMethodOverride=false

from dataclasses import replace
from types import SimpleNamespace

from lash_conformance.mutants.host import BrokenHost, host_mutant
from lash_ref.directives import (
    AbortTurn,
    EmitRuntimeEvents,
    EnqueueMessages,
    ReplaceToolArgs,
    ShortCircuitTool,
)
from lash_ref.errors import PluginError, PluginSessionError
from lash_ref.plugin_events import PluginMessage, PluginOwned

PLUGINS = "lash_ref.plugin_session:PluginSession"
DISPATCH = "lash_ref.dispatch"


def answers(change):
    """A hook point whose pooled directives go through ``change``."""

    def make(original):
        async def asked(self, context):
            return change(await original(self, context))

        return asked

    return make


def without(*kinds):
    """Pooled directives but for those of these kinds."""
    return answers(lambda emitted: [owned for owned in emitted if not isinstance(owned.value, kinds)])


def deaf(original):
    """A hook point whose failures are not noticed."""

    async def asked(self, context):
        try:
            return await original(self, context)
        except PluginError:
            return []

    return asked


# -- how hooks compose


@host_mutant("HOK.1", character="Chatty: each hook is shown what the one before it enqueued.")
class HooksSeeEachOther(BrokenHost):
    def breaks(self, patch):
        def make(_):
            async def before_turn(self, made):
                context = made()
                pooled, told = [], list(context.state.messages)
                for owned in self.contributions.before_turn:
                    view = SimpleNamespace(
                        session_id=context.state.session_id,
                        turn_index=context.state.turn_index,
                        messages=told,
                    )
                    for directive in await owned.value(replace(context, state=view)):
                        pooled.append(PluginOwned(owned.plugin_id, directive))
                        told = told + list(getattr(directive, "messages", ()))
                return pooled

            return before_turn

        patch(f"{PLUGINS}.before_turn", make)


@host_mutant("HOK.2", character="First come: the first abort wins.")
class TheFirstAbortWins(BrokenHost):
    def breaks(self, patch):
        def change(emitted):
            aborts = [owned for owned in emitted if isinstance(owned.value, AbortTurn)]
            return [owned for owned in emitted if owned not in aborts[1:]]

        patch(f"{PLUGINS}.before_turn", answers(change))


# -- before a turn


@host_mutant("HOK.3", character="Deaf: messages before a turn are dropped.")
class DropsMessagesBeforeTurns(BrokenHost):
    def breaks(self, patch):
        patch(f"{PLUGINS}.before_turn", without(EnqueueMessages))


@host_mutant("HOK.4", character="Determined: runs the turn whatever hooks say.")
class IgnoresAborts(BrokenHost):
    def breaks(self, patch):
        patch(f"{PLUGINS}.before_turn", without(AbortTurn))


@host_mutant("HOK.5", character="Curt: an aborted turn keeps nothing but the question.")
class AbortsDropMessages(BrokenHost):
    def breaks(self, patch):
        def change(emitted):
            if any(isinstance(owned.value, AbortTurn) for owned in emitted):
                return [owned for owned in emitted if not isinstance(owned.value, EnqueueMessages)]
            return emitted

        patch(f"{PLUGINS}.before_turn", answers(change))


@host_mutant("HOK.6", "HOK.4", character="Alarmed: an abort is an error and nothing of the turn is kept.")
class AbortsAreErrors(BrokenHost):
    def breaks(self, patch):
        def change(emitted):
            for owned in emitted:
                if isinstance(owned.value, AbortTurn):
                    raise PluginSessionError(owned.value.message)
            return emitted

        patch(f"{PLUGINS}.before_turn", answers(change))


@host_mutant("HOK.7", character="Open: plugins speak in any role.")
class PluginsSpeakInAnyRole(BrokenHost):
    def breaks(self, patch):
        patch("lash_ref.directives:admitted_messages", lambda _: tuple)


@host_mutant("HOK.8", character="Tolerant: tool directives of turn hooks are dropped.")
class DropsMisplacedDirectives(BrokenHost):
    def breaks(self, patch):
        for point in ("before_turn", "after_turn"):
            patch(f"{PLUGINS}.{point}", without(ReplaceToolArgs, ShortCircuitTool))


@host_mutant("HOK.9", character="Deaf: a hook that fails before a turn is passed over.")
class ForgivesBeforeTurnHooks(BrokenHost):
    def breaks(self, patch):
        patch(f"{PLUGINS}.before_turn", deaf)


# -- within a turn


@host_mutant("HOK.10", "HOK.11", character="Finished: messages before completion are dropped.")
class CompletesAnyway(BrokenHost):
    def breaks(self, patch):
        patch(f"{PLUGINS}.at_checkpoint", without(EnqueueMessages))


@host_mutant("HOK.12", character="Deaf: messages after a call are dropped.")
class DropsMessagesAfterCalls(BrokenHost):
    def breaks(self, patch):
        patch(f"{PLUGINS}.after_tool_call", without(EnqueueMessages))


@host_mutant("HOK.13", character="Anonymous: events belong to the host.")
class EventsWithoutOwner(BrokenHost):
    def breaks(self, patch):
        def change(emitted):
            return [
                PluginOwned("host", owned.value) if isinstance(owned.value, EmitRuntimeEvents) else owned
                for owned in emitted
            ]

        patch(f"{PLUGINS}.before_turn", answers(change))


# -- after a turn


@host_mutant("HOK.14", character="Closed: messages after a turn are dropped.")
class DropsMessagesAfterTurns(BrokenHost):
    def breaks(self, patch):
        patch(f"{PLUGINS}.after_turn", without(EnqueueMessages))


@host_mutant("HOK.15", character="Tolerant: an abort after the turn is passed over.")
class ForgivesLateAborts(BrokenHost):
    def breaks(self, patch):
        patch(f"{PLUGINS}.after_turn", without(AbortTurn))


@host_mutant("HOK.16", character="Silent: events after a turn are not told.")
class DropsLateEvents(BrokenHost):
    def breaks(self, patch):
        patch(f"{PLUGINS}.after_turn", without(EmitRuntimeEvents))


@host_mutant("HOK.16", character="Hasty: tells events after a turn before it is committed.")
class TellsLateEventsEarly(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def broken(turn, point, emitted):
                asked = await original(turn, point, emitted)
                late, turn.late_events = turn.late_events, []
                for owned in late:
                    await turn.emit(owned)
                return asked

            return broken

        patch("lash_ref.turn_base:TurnBase._directed", make)


@host_mutant("HOK.17", character="Deaf: a hook that fails after a turn is passed over.")
class ForgivesAfterTurnHooks(BrokenHost):
    def breaks(self, patch):
        patch(f"{PLUGINS}.after_turn", deaf)


# -- on what the model says, and context


@host_mutant("HOK.40", character="Backwards: the last response hook is asked first.")
class ResponsesArePipedBackwards(BrokenHost):
    def breaks(self, patch):
        patch(
            "lash_ref.hooks:pipe_response", lambda original: lambda owned, *rest: original(owned[::-1], *rest)
        )


@host_mutant("HOK.41", character="Last word: each stream hook is shown the model's chunk.")
class StreamsAreNotPiped(BrokenHost):
    def breaks(self, patch):
        patch("lash_ref.hooks:pipe_stream", lambda original: lambda owned, *rest: original(owned[-1:], *rest))


@host_mutant("HOK.42", character="Plain: shows prose as the model wrote it.")
class ProjectsNoProse(BrokenHost):
    def breaks(self, patch):
        patch(f"{PLUGINS}.project_prose", lambda _: lambda self, text: text)


@host_mutant("HOK.42", character="Literal: stores prose as it was shown.")
class StoresProjectedProse(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def broken(self, response):
                shown = tuple(
                    part.but(text=self.project_prose(part.text)) if part.type == "text" else part for part in response.parts
                )
                return await original(self, response.but(parts=shown))

            return broken

        patch(f"{PLUGINS}.response", make)


@host_mutant("HOK.50", character="Upside down: the lowest priority speaks first.")
class LowPrioritiesFirst(BrokenHost):
    def breaks(self, patch):
        patch("lash_ref.plugin_session:_highest_first", lambda _: lambda entry: entry[0])


@host_mutant("HOK.51", character="Retentive: what was said for one turn stays.")
class TransientMessagesStay(BrokenHost):
    def breaks(self, patch):
        def prepare(original):
            async def prepare_context(self, context, prepared):
                self.kept = await original(self, context, prepared)
                return self.kept

            return prepare_context

        def keep(original):
            async def before_turn(self, context):
                said = tuple(PluginMessage(role=one.role, content=one.text) for one in self.kept.messages)
                return [*await original(self, context), PluginOwned("a", EnqueueMessages(said))]

            return before_turn

        patch(f"{PLUGINS}.prepare_context", prepare)
        patch(f"{PLUGINS}.before_turn", keep)


@host_mutant("HOK.52", character="Eager: the first compactor has the word, even with nothing to say.")
class TheFirstCompactorDecides(BrokenHost):
    def breaks(self, patch):
        def make(_):
            async def compact_context(self, context):
                nodes = await self._compactors[0].value(context)
                return tuple(nodes) if nodes else None

            return compact_context

        patch(f"{PLUGINS}.compact_context", make)


@host_mutant("HOK.53", character="Eager: compacts even when there is nothing to seed.")
class CompactsToNothing(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def compact_context(self, context):
                from lash_conformance.targets.kit_written import seed

                return await original(self, context) or (seed("nothing"),)

            return compact_context

        patch(f"{PLUGINS}.compact_context", make)


@host_mutant("HOK.12", character="Insistent: repeats at every checkpoint what a hook wanted at one.")
class RepeatsMessagesAfterCalls(BrokenHost):
    def breaks(self, patch):
        class Kept(list):
            def clear(self):
                pass

        def make(compose):
            async def broken(turn, driver):
                await compose(turn, driver)
                turn.dispatch.queued = Kept()

            return broken

        patch("lash_ref.turn:Turn._compose", make)
