"""Broken hosts of the build chapter ([BLD.1] to [BLD.15])."""

# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false

from typing import Any, ClassVar

from lash_conformance.mutants.host import BrokenHost, Patch, host_mutant
from lash_conformance.mutants.host_cancel import method


class Lenient(BrokenHost):
    """A builder that puts something in for what is missing."""

    stand_ins: ClassVar[dict[str, Any]] = {}

    def breaks(self, patch: Patch) -> None:
        stand_ins = self.stand_ins

        def make(build: Any) -> Any:
            async def broken(builder: Any) -> Any:
                for name, stand_in in stand_ins.items():
                    if not getattr(builder, name):
                        setattr(builder, name, stand_in())
                return await build(builder)

            return broken

        patch("lash_ref.core:LashCoreBuilder.build", make)


def _standard() -> Any:
    from lash_ref.protocol import StandardProtocolPluginFactory

    return {"standard": StandardProtocolPluginFactory()}


def _effects() -> Any:
    from lash_ref.effects import InlineEffectHost

    return InlineEffectHost()


@host_mutant("BLD.1", character="Obliging: assumes the standard protocol.")
class AssumesAProtocol(Lenient):
    stand_ins: ClassVar[dict[str, Any]] = {"_protocols": _standard}


@host_mutant("BLD.2", character="Obliging: assumes a model.")
class AssumesAModel(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        from lash_conformance.targets.reference_facets import model_of

        def make(build: Any) -> Any:
            async def broken(builder: Any) -> Any:
                policy = builder._policy
                builder._policy = policy.but(model=policy.model or model_of("default", 1000))
                return await build(builder)

            return broken

        patch("lash_ref.core:LashCoreBuilder.build", make)


@host_mutant("BLD.3", character="Obliging: runs effects inline when nobody said where.")
class AssumesAnEffectHost(Lenient):
    stand_ins: ClassVar[dict[str, Any]] = {"_effect_host": _effects}


def _facet_free(requires: Any) -> Any:
    async def broken(builder: Any, attachments: Any, env_store: Any) -> None:
        pass

    return broken


@host_mutant("BLD.4", "BLD.5", "BLD.6", character="Careless: puts durable parts beside ephemeral ones.")
class MixesTiers(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.core:LashCoreBuilder._require_peers", _facet_free)


@host_mutant("BLD.7", character="Strict: accepts no core without a store factory.")
class WantsAFactory(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(build: Any) -> Any:
            async def broken(builder: Any) -> Any:
                from lash_ref.runtime_errors import MissingSessionStoreFactory

                if builder._factory is None:
                    raise MissingSessionStoreFactory
                return await build(builder)

            return broken

        patch("lash_ref.core:LashCoreBuilder.build", make)


@host_mutant("BLD.8", character="Late: looks at the concurrency last.")
class JudgesConcurrencyLast(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(build: Any) -> Any:
            async def broken(builder: Any) -> Any:
                limit, builder._concurrency = builder._concurrency, 8
                made = await build(builder)
                builder._concurrency = limit
                return made

            return broken

        patch("lash_ref.core:LashCoreBuilder.build", make)


@host_mutant("BLD.9", character="Unlimited: a window of nothing is a window.")
class TakesEmptyWindows(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def broken(arguments: Any) -> Any:
            limits = {"context_window_tokens": arguments["window"]}
            if arguments["output"] is not None:
                limits["output_token_capacity"] = arguments["output"]
            return {"id": arguments["id"], "limits": limits, "variant": "provider_default"}

        patch("lash_conformance.targets.reference_state:PURE", lambda pure: pure | {"model_spec": broken})
        patch(
            "lash_conformance.targets.reference:PURE", lambda pure: pure | {"model_spec": broken}
        )


@host_mutant("BLD.10", character="Daring: renews a lease just before it ends.")
class TakesShortLeases(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(timings: Any) -> Any:
            def broken(builder: Any, ttl_ms: int, renew_interval_ms: int) -> Any:
                return timings(builder, max(ttl_ms, 3 * renew_interval_ms), renew_interval_ms)

            return broken

        patch("lash_ref.core:LashCoreBuilder.lease_timings", make)


@host_mutant("BLD.11", character="Brisk: leases of half the time.")
class HalvesTheLease(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(claim: Any) -> Any:
            async def broken(store: Any, session_id: str, owner: Any, timings: Any) -> Any:
                halved = timings.but(ttl_ms=timings.ttl_ms // 2, renew_interval_ms=5000)
                return await claim(store, session_id, owner, halved)

            return broken

        patch("lash_ref.resident:claim_lane", make)


@host_mutant("BLD.12", character="Hopeful: a wiring error may pass.")
class HopesForBetterWiring(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.runtime_errors:WiringError.terminal", method(False))


@host_mutant("BLD.13", character="Divided: forgets the core's own tools when there are plugins.")
class ForgetsTheCoreTools(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.core:LashCoreBuilder._embedded_tools", method(lambda builder: ()))


@host_mutant("BLD.14", character="Flexible: runs the default mode when another is asked for.")
class FallsBackToTheDefault(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.session_builder:SessionBuilder.mode", method(lambda builder, mode: builder))


@host_mutant("BLD.15", character="Trusting: records beside a store that forgets.")
class RecordsBesideTheEphemeral(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        async def broken(shared: Any, controller: Any) -> None:
            pass

        patch("lash_ref.turn_builders:require_durable_peers", method(broken))
