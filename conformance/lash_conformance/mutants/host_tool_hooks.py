"""Hosts that are wrong about hooks around a tool call."""
# pyright: basic, reportIncompatibleMethodOverride=false

from dataclasses import replace
from types import SimpleNamespace

from lash_conformance.mutants.host import BrokenHost, host_mutant
from lash_conformance.mutants.host_hooks import DISPATCH, PLUGINS, answers, deaf, without
from lash_ref.directives import AbortTurn, EnqueueMessages, ReplaceToolArgs, ShortCircuitTool
from lash_ref.errors import InvokeError
from lash_ref.plugin_events import PluginOwned
from lash_ref.tool_results import Done, runtime_failure
from lash_ref.tools import invalid_tool_input


@host_mutant("HOK.20", character="Early: arguments are validated before anybody is asked.")
class ValidatesFirst(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def prepared(self, call, manifest, args):
                contract = self.registry.resolve_contract_by_id(manifest.id)
                if fault := invalid_tool_input(contract, args):
                    return runtime_failure("invalid_request", "invalid_tool_args", fault)
                return await original(self, call, manifest, args)

            return prepared

        patch(f"{DISPATCH}:ToolDispatch._prepared", make)


@host_mutant("HOK.21", character="Chatty: each hook is shown the arguments of the one before it.")
class ArgumentsArePiped(BrokenHost):
    def breaks(self, patch):
        def make(_):
            async def before_tool_call(self, context):
                pooled = []
                for owned in self.contributions.before_tool_call:
                    for directive in await owned.value(context):
                        pooled.append(PluginOwned(owned.plugin_id, directive))
                        if isinstance(directive, ReplaceToolArgs):
                            context = replace(context, args=directive.args)
                return pooled

            return before_tool_call

        patch(f"{PLUGINS}.before_tool_call", make)


@host_mutant("HOK.22", character="First come: the first replacement wins.")
class TheFirstReplacementWins(BrokenHost):
    def breaks(self, patch):
        patch(f"{PLUGINS}.before_tool_call", answers(lambda emitted: emitted[::-1]))


@host_mutant("HOK.22", character="Trusting: what a hook put in is not validated.")
class ReplacementsAreTrusted(BrokenHost):
    def breaks(self, patch):
        replaced = []

        def note(original):
            async def apply_before_tool(emitted, args, services, emit):
                made = await original(emitted, args, services, emit)
                if made[0] != args:
                    replaced.append(made[0])
                return made

            return apply_before_tool

        patch(f"{DISPATCH}:apply_before_tool", note)
        patch(
            f"{DISPATCH}:invalid_tool_input",
            lambda original: lambda contract, args: None if args in replaced else original(contract, args),
        )


@host_mutant("HOK.23", character="Thorough: hooks are asked about a short circuit too.")
class ShortCircuitsAreInspected(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def prepared(self, call, manifest, args):
                made = await original(self, call, manifest, args)
                if isinstance(made, Done) and made.output.is_success:
                    asked = SimpleNamespace(call_id=call.call_id, tool_name=call.tool_name, args=args)
                    return await self._hooked(asked, made, 0)
                return made

            return prepared

        patch(f"{DISPATCH}:ToolDispatch._prepared", make)


@host_mutant("HOK.23", character="Diligent: runs the tool whatever a hook answered.")
class RunsAnyway(BrokenHost):
    def breaks(self, patch):
        patch(f"{PLUGINS}.before_tool_call", without(ShortCircuitTool))


@host_mutant("HOK.24", character="Discreet: the model is not shown a short circuit's value.")
class ShortCircuitsAreNotShown(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def before_tool_call(self, context):
                emitted = await original(self, context)
                return [
                    PluginOwned(owned.plugin_id, ShortCircuitTool(Done.ok("").output))
                    if isinstance(owned.value, ShortCircuitTool)
                    else owned
                    for owned in emitted
                ]

            return before_tool_call

        patch(f"{PLUGINS}.before_tool_call", make)


@host_mutant("HOK.25", character="Determined: an abort from a tool hook is passed over.")
class IgnoresToolAborts(BrokenHost):
    def breaks(self, patch):
        patch(f"{PLUGINS}.before_tool_call", without(AbortTurn))


@host_mutant("HOK.25", character="Drastic: an abort from a tool hook fails the turn.")
class ToolAbortsEndTheTurn(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def apply_after_tool(emitted, result, services, emit, enqueue):
                for owned in emitted:
                    if isinstance(owned.value, AbortTurn):
                        raise InvokeError(owned.value.message)
                return await original(emitted, result, services, emit, enqueue)

            return apply_after_tool

        patch(f"{DISPATCH}:apply_after_tool", make)


@host_mutant("HOK.26", character="Deaf: messages before a call are dropped and it runs.")
class DropsMessagesBeforeCalls(BrokenHost):
    def breaks(self, patch):
        patch(f"{PLUGINS}.before_tool_call", without(EnqueueMessages))


@host_mutant("HOK.27", character="Deaf: a guard that fails lets everybody pass.")
class ForgivesBeforeToolHooks(BrokenHost):
    def breaks(self, patch):
        patch(f"{PLUGINS}.before_tool_call", deaf)


@host_mutant("HOK.28", character="Deaf: an inspection that fails is a passed one.")
class ForgivesAfterToolHooks(BrokenHost):
    def breaks(self, patch):
        patch(f"{PLUGINS}.after_tool_call", deaf)


@host_mutant("HOK.29", character="Early: hooks are asked about a result that is still to come.")
class InspectsPendingResults(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def performed(self, effect_id, prepared, attempt, most):
                said = await original(self, effect_id, prepared, attempt, most)
                if "pending" in said.value:
                    await self._hooked(prepared, Done.ok(None), 0)
                return said

            return performed

        patch(f"{DISPATCH}:ToolDispatch._performed", make)


@host_mutant("HOK.30", character="At the end: hooks are asked about the last attempt only.")
class InspectsTheLastAttempt(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def after_tool_call(self, context):
                failure = getattr(context.result.output.outcome, "payload", None)
                if getattr(getattr(failure, "retry", None), "type", "") == "safe":
                    return []
                return await original(self, context)

            return after_tool_call

        patch(f"{PLUGINS}.after_tool_call", make)


@host_mutant("HOK.31", character="Hopeful: a pending short circuit is an empty success.")
class PendingShortCircuitsSucceed(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def short_circuit(result):
                return original(result if isinstance(result, Done) else Done.ok(None))

            return short_circuit

        patch("lash_conformance.targets.kit_written:short_circuit", make)


@host_mutant("HOK.32", character="Chatty: each hook is shown the result of the one before it.")
class ResultsArePiped(BrokenHost):
    def breaks(self, patch):
        def make(_):
            async def after_tool_call(self, context):
                pooled = []
                for owned in self.contributions.after_tool_call:
                    for directive in await owned.value(context):
                        pooled.append(PluginOwned(owned.plugin_id, directive))
                        if isinstance(directive, ShortCircuitTool):
                            context = replace(context, result=Done(directive.output))
                return pooled

            return after_tool_call

        patch(f"{PLUGINS}.after_tool_call", make)
