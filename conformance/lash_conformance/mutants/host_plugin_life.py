"""Hosts that are wrong about lifecycle events and bindings."""
# pyright: basic, reportIncompatibleMethodOverride=false

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from lash_conformance.mutants.host import BrokenHost, host_mutant
from lash_conformance.mutants.host_plugins import PLUGINS
from lash_ref import hooks
from lash_ref.services import TurnContext


def told(change):
    """``emit_lifecycle_event`` as ``change(original, self, event)`` does it."""
    return lambda original: lambda self, event: change(lambda one: original(self, one), self, event)


@host_mutant("PLG.30", character="Literal: a new session was not restored, so nobody is told.")
class NewSessionsAreNotTold(BrokenHost):
    def breaks(self, patch):
        async def change(emit, _, event):
            if isinstance(event, hooks.SessionRestored) and not event.state.messages:
                return []
            return await emit(event)

        patch(f"{PLUGINS}.emit_lifecycle_event", told(change))


@host_mutant("PLG.31", character="One by one: observers wait for each other.")
class ObserversWaitForEachOther(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def notify(owned, event):
                return [failure for one in owned for failure in await original([one], event)]

            return notify

        patch("lash_ref.hooks:notify", make)


@host_mutant("PLG.31", character="Hasty: nobody waits for the observers.")
class NobodyWaitsForObservers(BrokenHost):
    def breaks(self, patch):
        running = set()

        def make(original):
            async def notify(owned, event):
                task = asyncio.get_running_loop().create_task(original(owned, event))
                running.add(task)
                task.add_done_callback(running.discard)
                return []

            return notify

        patch("lash_ref.hooks:notify", make)


@host_mutant("PLG.32", character="Touchy: a failing observer fails the turn.")
class ObserversFailTheTurn(BrokenHost):
    def breaks(self, patch):
        async def change(emit, _, event):
            for failure in await emit(event):
                raise failure.value
            return []

        patch(f"{PLUGINS}.emit_lifecycle_event", told(change))


@host_mutant("PLG.33", character="Late: a finalized turn is told once it is stored.")
class FinalizedIsToldLate(BrokenHost):
    def breaks(self, patch):
        held = []

        async def change(emit, _, event):
            if isinstance(event, hooks.TurnFinalized):
                held.append(event)
                return []
            if isinstance(event, hooks.TurnPersisted) and held:
                await emit(held.pop())
            return await emit(event)

        patch(f"{PLUGINS}.emit_lifecycle_event", told(change))


@host_mutant("PLG.33", "PLG.34", character="Insistent: tells everything twice.")
class TellsTwice(BrokenHost):
    def breaks(self, patch):
        async def change(emit, _, event):
            await emit(event)
            return await emit(event)

        patch(f"{PLUGINS}.emit_lifecycle_event", told(change))


@host_mutant("PLG.34", character="Blank: a persisted turn is told without its history.")
class PersistedShowsNothing(BrokenHost):
    def breaks(self, patch):
        async def change(emit, _, event):
            if isinstance(event, hooks.TurnPersisted):
                state = event.state
                view = SimpleNamespace(
                    session_id=state.session_id, turn_index=state.turn_index, messages=state.messages[:-1]
                )
                event = replace(event, state=view)
            return await emit(event)

        patch(f"{PLUGINS}.emit_lifecycle_event", told(change))


@host_mutant("PLG.34", "PLG.35", character="Early: a turn is called persisted before it is stored.")
class PersistedIsToldEarly(BrokenHost):
    def breaks(self, patch):
        last = {}

        async def change(emit, self, event):
            if isinstance(event, hooks.SessionRestored):
                last[self.session_id] = event.state
            if isinstance(event, hooks.TurnFinalized):
                failures = await emit(event)
                nothing: Any = None
                early = hooks.TurnPersisted(self.session_id, last[self.session_id], nothing)
                return [*failures, *await emit(early)]
            if isinstance(event, hooks.TurnPersisted):
                return []
            return await emit(event)

        patch(f"{PLUGINS}.emit_lifecycle_event", told(change))


@host_mutant("PLG.36", character="Up to date: what was before is as it is now.")
class ForgetsThePreviousPolicy(BrokenHost):
    def breaks(self, patch):
        async def change(emit, _, event):
            if isinstance(event, hooks.SessionConfigChanged):
                event = replace(event, context=replace(event.context, previous=event.context.current))
            return await emit(event)

        patch(f"{PLUGINS}.emit_lifecycle_event", told(change))


@host_mutant("PLG.38", character="Last word: each mutator gets the host's policy.")
class MutatorsAreNotPiped(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def mutate_session_config(self, context, policy):
                everybody = self.contributions.config_mutators
                self.contributions.config_mutators = everybody[-1:]
                try:
                    return await original(self, context, policy)
                finally:
                    self.contributions.config_mutators = everybody

            return mutate_session_config

        patch(f"{PLUGINS}.mutate_session_config", make)


@host_mutant("PLG.39", character="Discouraged: after one failure no mutator is asked.")
class OneFailureStopsMutators(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def mutate_session_config(self, context, policy):
                changed, failures = await original(self, context, policy)
                return (policy if failures else changed), failures

            return mutate_session_config

        patch(f"{PLUGINS}.mutate_session_config", make)


# -- bindings


@host_mutant("PLG.41", character="Closed: prompts are written without the turn's input.")
class PromptsDoNotSeeInputs(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def prompt_contributions(self, context):
                return await original(self, lambda: replace(context(), turn_context=TurnContext()))

            return prompt_contributions

        patch(f"{PLUGINS}.prompt_contributions", make)


@host_mutant("PLG.41", character="Closed: calls are prepared without the turn's input.")
class PreparationDoesNotSeeInputs(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def prepare_tool_call(self, call):
                return await original(self, replace(call, turn_context=TurnContext()))

            return prepare_tool_call

        patch("lash_ref.tool_registry:ToolRegistry.prepare_tool_call", make)


@host_mutant("PLG.42", character="Open: execution reads the live input.")
class ExecutionSeesInputs(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def executed(self, tool_id, call):
                object.__setattr__(call.context, "turn_context", self.turn_context)
                return await original(self, tool_id, call)

            return executed

        patch("lash_ref.dispatch:ToolDispatch._executed", make)
