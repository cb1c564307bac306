"""Hosts with the slips of a hurried author: truth for presence, a shared list, a deaf wait, digits for numbers."""
# pyright: basic

import asyncio
import itertools
from typing import Any

from lash_conformance.mutants.host import BrokenHost, SentStore, host_mutant
from lash_conformance.mutants.host_observation import _opens_a_stream
from lash_ref.hooks import hook_error
from lash_ref.outcome import Finished, ToolValue
from lash_ref.plugin_events import PluginOwned
from lash_ref.scalars import Json
from lash_ref.wait_store import Resolved, TimedOut


@host_mutant("TRN.6", character="Careless: a value that is not true is none.")
class TakesSlightValuesForNone(BrokenHost):
    def breaks(self, patch):
        def make(finish):
            async def broken(turn, outcome):
                if isinstance(outcome, Finished) and isinstance(outcome.finish, ToolValue) and not outcome.finish.value.value:
                    outcome = Finished(finish=outcome.finish.but(value=Json(None)))
                return await finish(turn, outcome)

            return broken

        patch("lash_ref.turn_loop:finish", make)


@host_mutant("TRN.4", character="Sharing: a lost turn's nodes stay in the list, behind a leaf that does not know them.")
class StoresLostNodesLater(BrokenHost):
    def breaks(self, patch):
        def make(rollback):
            def broken(graph, point):
                lost = graph.nodes[point.nodes :]
                rollback(graph, point)
                for node in lost:
                    graph._add(node)
                    graph._fresh.append(node)

            return broken

        patch("lash_ref.graph:SessionGraph.rollback", make)


@host_mutant("CAN.13", character="Courteous: waits for a tool however long it takes to hear.")
class WaitsForDeafTools(BrokenHost):
    def breaks(self, patch):
        patch("lash_ref.dispatch:GRACE_S", lambda _: 3600.0)


@host_mutant("CAN.13", character="Present-minded: listens for a cancel from now on, and not for the one that was.")
class MissesTheEarlierCancel(BrokenHost):
    def breaks(self, patch):
        def make(cancelled):
            async def broken(token):
                if token.is_cancelled():
                    await asyncio.Event().wait()
                await cancelled(token)

            return broken

        patch("lash_ref.cancel:CancellationToken.cancelled", make)


@host_mutant("SES.74", character="Partial: a turn that failed gives back what began it, and keeps what steered it.")
class KeepsWhatSteeredIt(BrokenHost):
    def breaks(self, patch):
        def make(abandon):
            async def broken(claims, store):
                claims.inputs = [one for one in claims.inputs if one.mode.kind == "next_turn"]
                await abandon(claims, store)

            return broken

        patch("lash_ref.claims:TurnClaims.abandon", make)


@host_mutant("SES.48", character="Two-laned: a drain does not wait for the turns of its session.")
class DrainsBesideTurns(BrokenHost):
    def breaks(self, patch):
        def make(queued):
            async def broken(loop, request, batch_ids=(), drain_id=None):
                writer, loop.runtime.writer = loop.runtime.writer, asyncio.Lock()
                try:
                    return await queued(loop, request, batch_ids, drain_id)
                finally:
                    loop.runtime.writer = writer

            return broken

        patch("lash_ref.turn_loop:TurnLoop.queued", make)


@host_mutant("HOK.2", "HOK.18", character="Eager: who answers first stands first.")
class TheQuickestHookFirst(BrokenHost):
    def breaks(self, patch):
        def make(_):
            async def collect(hooks, context, point):
                pooled = []

                async def ask(owned):
                    try:
                        answer = await owned.value(context)
                    except Exception as err:
                        raise hook_error(owned.plugin_id, point, err) from err
                    pooled.extend(PluginOwned(owned.plugin_id, value) for value in answer)

                await asyncio.gather(*map(ask, hooks))
                return pooled

            return collect

        patch("lash_ref.hooks:collect", make)


@host_mutant("PRM.6", character="Literal: sorts priorities as texts.")
class SortsPrioritiesAsTexts(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def render(self, prompt):
                flat = [each.but(priority=0) for each in sorted(prompt.contributions, key=lambda each: str(each.priority))]
                return original(self, type(prompt)(prompt.execution_prompt, prompt.tool_names, flat))

            return render

        patch("lash_ref.prompt:PromptTemplate.render", make)


@host_mutant("HOK.50", character="Unsteady: of equal transforms the last registered speaks first.")
class EqualTransformsReversed(BrokenHost):
    def breaks(self, patch):
        later = itertools.count(0, -1)
        patch("lash_ref.plugin_session:_highest_first", lambda _: lambda entry: (-entry[0], next(later)))


@host_mutant("WAI.3", character="On its own watch: lets the seconds of a wait go by for themselves.")
class WaitsByItsOwnWatch(BrokenHost):
    def breaks(self, patch):
        def make(wait):
            async def broken(waits, key, *, cancelled=None, deadline_s=None):
                try:
                    async with asyncio.timeout(deadline_s):
                        return await wait(waits, key, cancelled=cancelled)
                except TimeoutError:
                    return waits.store.settle(key, TimedOut())

            return broken

        patch("lash_ref.waits:Waits.wait", make)


@host_mutant("OBS.4", character="Last one out: a reader that leaves turns off the light.")
class LeavesWithEverybody(BrokenHost):
    def breaks(self, patch):
        def make(events):
            async def broken(following):
                try:
                    async for seen in events(following):
                        yield seen
                finally:
                    following.store._stream(following.cursor.session_id).awaited = None

            return broken

        patch("lash_ref.observe:SessionObservationSubscription._events", make)


@host_mutant("OBS.14", character="Near-sighted: takes sessions whose ids differ in case or blanks for one.")
class MixesSessionsThatLookAlike(BrokenHost):
    def breaks(self, patch):
        def make(append):
            def broken(store, session_id, revision, payload):
                for other in list(store._streams):
                    if other != session_id and other.strip().casefold() == session_id.strip().casefold():
                        append(store, other, revision, payload)
                return append(store, session_id, revision, payload)

            return broken

        patch("lash_ref.observe:LiveReplayStore.append", make)
        patch("lash_ref.observe:LiveReplayStore.tail", _opens_a_stream)


@host_mutant("TOO.3", character="Inheriting: what its table of tools has by itself is taken for one of the tools.")
class TakesMembersForTools(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def broken(dispatch, effect_id, calls):
                known = [call.but(tool_name="echo") if hasattr(dict, call.tool_name) else call for call in calls]
                return await original(dispatch, effect_id, tuple(known))

            return broken

        patch("lash_ref.dispatch:ToolDispatch.run_all", make)


@host_mutant("SES.1", character="Inheriting: an id that its table of sessions answers to is a session that was.")
class RefusesInheritedNames(BrokenHost):
    class sends(SentStore):
        async def load_session(self, scope: Any) -> Any:
            read = await self.inner.load_session(scope)
            if read is not None and hasattr(dict, read.session_id):
                return None
            return read


@host_mutant("WAI.1", character="Careless: an answer that is not true is no answer.")
class TakesSlightAnswersForNone(BrokenHost):
    def breaks(self, patch):
        def make(resolve):
            def broken(waits, key, resolution):
                if isinstance(resolution, Resolved) and not resolution.value.value:
                    resolution = Resolved()
                return resolve(waits, key, resolution)

            return broken

        patch("lash_ref.waits:Waits.resolve", make)
