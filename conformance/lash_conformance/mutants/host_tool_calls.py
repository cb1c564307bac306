"""Hosts that are wrong about tool calls."""
# pyright: basic, reportIncompatibleMethodOverride=false

import asyncio

from lash_conformance.mutants.host import BrokenHost, host_mutant
from lash_ref.errors import InvokeError
from lash_ref.hooks import ToolResultProjectionContext
from lash_ref.tool_results import Done, Failure, ModelToolReturn, Pending, SafeRetry
from lash_ref.tools import ToolRetryPolicy

DISPATCH = "lash_ref.dispatch"


@host_mutant("TOO.1", character="Trusting: arguments are not validated.")
class ValidatesNothing(BrokenHost):
    def breaks(self, patch):
        patch(f"{DISPATCH}:invalid_tool_input", lambda _: lambda *_: None)


@host_mutant("TOO.3", character="Curious: hooks are asked about tools that are not offered.")
class AsksAboutTheUnknown(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def answer(self, effect_id, call, args):
                if self.members and call.tool_name not in {one.name for one in self.members}:
                    await self._prepared(call, self.members[0], args)
                return await original(self, effect_id, call, args)

            return answer

        patch(f"{DISPATCH}:ToolDispatch._answer", make)


@host_mutant("TOO.3", "REG.23", character="Polite: a tool that is not there answers nothing, successfully.")
class MissingToolsSucceed(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def runtime_failure(failure_class, code, message):
                return Done.ok("") if code == "tool_unavailable" else original(failure_class, code, message)

            return runtime_failure

        patch(f"{DISPATCH}:runtime_failure", make)


@host_mutant("TOO.4", character="Brittle: a failing tool fails the turn.")
class FailingToolsFailTheTurn(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def hooked(self, prepared, done, duration_ms):
                if not done.output.is_success:
                    raise InvokeError("a tool failed")
                return await original(self, prepared, done, duration_ms)

            return hooked

        patch(f"{DISPATCH}:ToolDispatch._hooked", make)


@host_mutant("TOO.5", character="Obliging: runs whatever the preparation names.")
class RunsWhatWasPrepared(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def prepare_tool_call(self, call):
                prepared = await original(self, call)
                return prepared.but(tool_id=call.tool_id) if hasattr(prepared, "tool_id") else prepared

            return prepare_tool_call

        patch("lash_ref.tool_registry:ToolRegistry.prepare_tool_call", make)


@host_mutant("TOO.6", character="Patient: takes a result that nobody can resolve for nothing.")
class KeylessIsNothing(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def execute_by_id(self, id, call):
                result = await original(self, id, call)
                return Done.ok(None) if isinstance(result, Pending) else result

            return execute_by_id

        patch("lash_ref.tool_registry:ToolRegistry.execute_by_id", make)


@host_mutant("TOO.10", character="One by one: calls wait for each other.")
class CallsWaitForEachOther(BrokenHost):
    def breaks(self, patch):
        locks = {}

        def make(original):
            async def attempt(self, *call):
                async with locks.setdefault(id(self), asyncio.Lock()):
                    return await original(self, *call)

            return attempt

        patch(f"{DISPATCH}:ToolDispatch._attempt", make)


@host_mutant("TOO.11", character="As they come: results stand in the order in which calls ended.")
class ResultsStandAsTheyEnd(BrokenHost):
    def breaks(self, patch):
        ended = []

        def note(original):
            async def run(self, effect_id, call):
                made = await original(self, effect_id, call)
                ended.append(call.call_id)
                return made

            return run

        def sort(original):
            async def run_all(self, effect_id, calls):
                answers = await original(self, effect_id, calls)
                return tuple(sorted(answers, key=lambda one: ended.index(one.call.call_id)))

            return run_all

        patch(f"{DISPATCH}:ToolDispatch._run", note)
        patch(f"{DISPATCH}:ToolDispatch.run_all", sort)


@host_mutant("TOO.12", character="Insistent: tells every start twice.")
class StartsAreToldTwice(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def run(self, effect_id, call):
                from lash_ref import dispatch

                await self.show(f"tool:{call.call_id}", dispatch._started(call))
                return await original(self, effect_id, call)

            return run

        patch(f"{DISPATCH}:ToolDispatch._run", make)


def policies(change):
    """``_attempts`` under the policy that ``change(policy)`` answers."""

    def make(original):
        async def attempts(self, effect_id, manifest, prepared):
            changed = manifest.but(retry_policy=change(manifest.retry_policy))
            return await original(self, effect_id, changed, prepared)

        return attempts

    return make


@host_mutant("TOO.21", character="Stubborn: whatever may fail safely is tried again.")
class RetriesWithoutPolicy(BrokenHost):
    def breaks(self, patch):
        def change(policy):
            return ToolRetryPolicy.safe(2) if policy.type == "never" else policy

        patch(f"{DISPATCH}:ToolDispatch._attempts", policies(change))


@host_mutant("TOO.20", character="Deaf: tries again what said never.")
class RetriesWhatSaidNever(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def attempt(self, *call):
                done = await original(self, *call)
                outcome = done.output.outcome
                if not isinstance(outcome, Failure):
                    return done
                safe = outcome.but(payload=outcome.payload.but(retry=SafeRetry()))
                return Done(done.output.but(outcome=safe))

            return attempt

        patch(f"{DISPATCH}:ToolDispatch._attempt", make)


@host_mutant("TOO.20", character="Faint: never tries again.")
class NeverRetries(BrokenHost):
    def breaks(self, patch):
        patch(f"{DISPATCH}:ToolDispatch._attempts", policies(lambda _: ToolRetryPolicy()))


@host_mutant("TOO.22", character="Plain: the last failure looks like the first.")
class DoesNotMarkExhaustion(BrokenHost):
    def breaks(self, patch):
        patch(f"{DISPATCH}:_exhausted", lambda _: lambda done, _: done)


@host_mutant("TOO.22", character="One too few: counts the retries, not the attempts.")
class CountsRetries(BrokenHost):
    def breaks(self, patch):
        patch(f"{DISPATCH}:_exhausted", lambda original: lambda done, attempts: original(done, attempts - 1))


@host_mutant("TOO.23", character="Deaf: goes on trying after a cancel.")
class TriesAfterACancel(BrokenHost):
    def breaks(self, patch):
        def make(_):
            async def attempts(self, effect_id, manifest, prepared):
                most = manifest.retry_policy.attempts
                done = await self._attempt(f"{effect_id}.1", prepared, 1, most)
                for number in range(2, most + 1):
                    if not done.output.is_success:
                        done = await self._attempt(f"{effect_id}.{number}", prepared, number, most)
                return done

            return attempts

        patch(f"{DISPATCH}:ToolDispatch._attempts", make)


def contexts(change):
    """``ToolContext`` made with the replay key that ``change(parts)`` answers."""
    return lambda original: lambda **parts: original(**parts | {"replay_key": change(parts)})


@host_mutant("TOO.24", character="Fresh: each attempt has a key of its own.")
class KeysPerAttempt(BrokenHost):
    def breaks(self, patch):
        patch(
            f"{DISPATCH}:ToolContext",
            contexts(lambda parts: f"{parts['replay_key']}:{parts['attempt_number']}"),
        )


@host_mutant("TOO.24", character="Shared: all calls have one key.")
class OneKeyForAll(BrokenHost):
    def breaks(self, patch):
        patch(f"{DISPATCH}:ToolContext", contexts(lambda _: "key"))


@host_mutant("TOO.30", character="Rewriting: what the model sees is what is recorded.")
class ProjectionIsRecorded(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def run(self, effect_id, call):
                answer, record = await original(self, effect_id, call)
                shown = await self.plugins.project_tool_result(
                    ToolResultProjectionContext(
                        self.session_id, call.call_id, call.tool_name, record.args, record.output, 0
                    )
                )
                return answer, record.but(output=Done.ok(shown.parts[0].text).output)

            return run

        patch(f"{DISPATCH}:ToolDispatch._run", make)


@host_mutant("TOO.30", character="Blind: projectors are not asked.")
class ProjectsNothing(BrokenHost):
    def breaks(self, patch):
        def make(_):
            async def project_tool_result(self, context):
                return ModelToolReturn.from_output(context.call_id, context.tool_name, context.output)

            return project_tool_result

        patch("lash_ref.plugin_session:PluginSession.project_tool_result", make)


@host_mutant("TOO.25", character="Amnesiac: attempts are not written into the journal.")
class AttemptsAreNotRecorded(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def run(self, kind, effect_id, request, perform):
                if kind == "tool_attempt":
                    return await perform()
                return await original(self, kind, effect_id, request, perform)

            return run

        patch("lash_ref.effects:JournalController.run", make)


class Hasty(BrokenHost):
    """Stops the calls of a batch as soon as one of them ended so."""

    def ends(self, output):
        """Whether this output ends the others."""
        raise NotImplementedError

    def breaks(self, patch):
        def make(original):
            async def run(dispatch, effect_id, call):
                running = asyncio.ensure_future(original(dispatch, effect_id, call))
                stop = dispatch.__dict__.setdefault("stop", asyncio.Event())
                stopped = asyncio.ensure_future(stop.wait())
                await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
                stopped.cancel()
                if not running.done():
                    running.cancel()
                    given = dispatch.registry
                    dispatch.registry = Stopped()
                    try:
                        return await original(dispatch, effect_id, call)
                    finally:
                        dispatch.registry = given
                if self.ends(running.result()[0].output):
                    stop.set()
                return running.result()

            return run

        patch(f"{DISPATCH}:ToolDispatch._run", make)


class Stopped:
    """A registry whose every call was stopped."""

    def resolve_contract_by_id(self, id):
        """None."""

    async def prepare_tool_call(self, call):
        """Stopped."""
        return Done.cancelled("stopped")


@host_mutant("TRN.22", character="All for one: the first call that fails stops the others.")
class OneFailureStopsTheBatch(Hasty):
    def ends(self, output):
        return not output.is_success


@host_mutant("TRN.23", "TRN.32", character="Hasty: a control ends the turn before other calls are done.")
class ControlsDoNotWait(Hasty):
    def ends(self, output):
        return output.is_success and output.control is not None


@host_mutant("TOO.13", character="Literal: two calls of one id are two calls of one id.")
class LeavesTwinsAlike(BrokenHost):
    def breaks(self, patch):
        patch("lash_ref.moves:with_distinct_calls", lambda _: lambda response: response)


@host_mutant("TOO.13", character="Thrifty: of calls with one id only the first is made.")
class DropsTwins(BrokenHost):
    def breaks(self, patch):
        def broken(response):
            first = {part.call_id: part for part in reversed(response.tool_calls)}
            kept = tuple(part for part in response.parts if part.type != "tool_call" or first[part.call_id] is part)
            return response.but(parts=kept)

        patch("lash_ref.moves:with_distinct_calls", lambda _: broken)


@host_mutant("TOO.13", character="Careless: a new id may be one that another call has.")
class NamesTwinsAfterOthers(BrokenHost):
    def breaks(self, patch):
        def broken(response):
            seen, parts = {}, []
            for part in response.parts:
                if part.type == "tool_call":
                    seen[part.call_id] = seen.get(part.call_id, 0) + 1
                    number = seen[part.call_id]
                    parts.append(part if number == 1 else part.but(call_id=f"{part.call_id}-{number}"))
                else:
                    parts.append(part)
            return response.but(parts=tuple(parts))

        patch("lash_ref.moves:with_distinct_calls", lambda _: broken)


@host_mutant("TOO.26", character="Trusting: a call is known by the id that the model gave it.")
class KeysCallsByTheirIds(BrokenHost):
    def breaks(self, patch):
        def make(context):
            def broken(**parts):
                turn = parts["replay_key"].rpartition(":")[0]
                return context(**parts | {"replay_key": f"{turn}:{parts['call_id']}"})

            return broken

        patch("lash_ref.dispatch:ToolContext", make)


@host_mutant("TOO.26", character="Short of names: a turn has one completion key.")
class HasOneCompletionKeyATurn(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def broken(waits, session_id, kind, wait_id):
                return original(waits, session_id, kind, wait_id.partition(":")[0] if kind == "tool_completion" else wait_id)

            return broken

        patch("lash_ref.waits:Waits.key", make)
