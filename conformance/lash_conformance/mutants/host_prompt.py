"""Hosts that are wrong about the prompt."""
# pyright: basic, reportIncompatibleMethodOverride=false

from lash_conformance.mutants.host import BrokenHost, host_mutant
from lash_ref.errors import PluginError

PROMPT = "lash_ref.prompt"


@host_mutant("PRM.1", character="Open: every contribution is let in.")
class GatesStandOpen(BrokenHost):
    def breaks(self, patch):
        patch(f"{PROMPT}:PromptContributionGate.opens", lambda _: lambda self, names: True)


@host_mutant("PRM.1", character="Strict: a gate wants all of its tools.")
class GatesWantAll(BrokenHost):
    def breaks(self, patch):
        patch(
            f"{PROMPT}:PromptContributionGate.opens", lambda _: lambda self, names: {*self.tools} <= {*names}
        )


class OwnLayers(BrokenHost):
    """Resolves the layers in its own way; ``resolve`` gets the original and the layers."""

    def resolve(self, original, layers):
        raise NotImplementedError

    def breaks(self, patch):
        def make(original):
            return lambda layers: self.resolve(original, list(layers))

        patch(f"{PROMPT}:resolve_prompt_layers", make)
        patch("lash_ref.turn_steps:resolve_prompt_layers", make)


@host_mutant("PRM.2", character="Narrow: only the last layer counts.")
class OnlyTheLastLayer(OwnLayers):
    def resolve(self, original, layers):
        return original(layers[-1:])


@host_mutant("PRM.3", character="Attached: a reset spares what plugins said.")
class ResetsSparePluginPrompts(OwnLayers):
    def resolve(self, original, layers):
        first = original(layers[:1])
        rest = original(layers[1:])
        from dataclasses import replace

        return replace(rest, contributions=(*first.contributions, *rest.contributions))


@host_mutant("PRM.3", character="Piling: nothing is ever reset.")
class NothingIsReset(OwnLayers):
    def resolve(self, original, layers):
        kept = [
            layer.but(slots={slot: part.but(reset=False) for slot, part in layer.slots.items()})
            for layer in layers
        ]
        return original(kept)


@host_mutant("PRM.4", character="First come: the first template holds.")
class TheFirstTemplateHolds(OwnLayers):
    def resolve(self, original, layers):
        seen = False
        kept = []
        for layer in layers:
            kept.append(layer.but(template=None) if seen else layer)
            seen = seen or layer.template is not None
        return original(kept)


@host_mutant("PRM.5", character="Repetitive: says everything as often as it is told.")
class NoDeduplication(BrokenHost):
    def breaks(self, patch):
        patch("lash_ref.prompt:distinct", lambda _: tuple)


@host_mutant("PRM.5", character="Overzealous: the same text is said once, wherever it was meant to stand.")
class DeduplicatesByTextAlone(BrokenHost):
    def breaks(self, patch):
        def distinct(contributions):
            kept = {}
            for each in contributions:
                kept.setdefault(each.content.strip(), each)
            return tuple(kept.values())

        patch("lash_ref.prompt:distinct", lambda _: distinct)


@host_mutant("PRM.6", character="As it comes: priorities are not looked at.")
class PrioritiesDoNotCount(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def render(self, prompt):
                flat = [each.but(priority=0) for each in prompt.contributions]
                return original(self, type(prompt)(prompt.execution_prompt, prompt.tool_names, flat))

            return render

        patch(f"{PROMPT}:PromptTemplate.render", make)


@host_mutant("PRM.7", character="Hopeful: advises to ask, whoever could be asked.")
class AdvisesToAskAnyway(BrokenHost):
    def breaks(self, patch):
        def make(original):
            return lambda self: original(type(self)(self.execution_prompt, ("ask",), self.contributions))

        patch(f"{PROMPT}:PromptContext.core_guidance", make)


@host_mutant("PRM.9", character="Deaf: a contributor that fails contributes nothing.")
class ForgivesContributors(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def prompt_contributions(self, context):
                try:
                    return await original(self, context)
                except PluginError:
                    return ()

            return prompt_contributions

        patch("lash_ref.plugin_session:PluginSession.prompt_contributions", make)


@host_mutant("PRM.10", character="Settled: contributors are asked once a session.")
class AsksContributorsOnce(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def prompt_contributions(self, context):
                if not hasattr(self, "_said"):
                    self._said = await original(self, context)
                return self._said

            return prompt_contributions

        patch("lash_ref.plugin_session:PluginSession.prompt_contributions", make)
