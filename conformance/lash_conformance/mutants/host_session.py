"""Broken hosts of opening sessions ([SES.1] to [SES.23])."""

# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false

import asyncio
import unicodedata
from typing import Any

from lash_conformance.mutants.host import BrokenHost, Patch, SentStore, host_mutant
from lash_conformance.mutants.host_cancel import method
from lash_ref.nodes import Append, ReplaceFull
from lash_ref.policy import Residency, SessionPolicy
from lash_ref.runtime_errors import SessionConsumed, SessionError, StoreSessionMismatch


@host_mutant("SES.1", character="Overbearing: every session runs under the core's policy.")
class IgnoresTheBuilder(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.policy:SessionSpec.resolve_against", method(lambda spec, base: base))


@host_mutant("SES.2", "SES.38", character="Amnesiac: opens every session as a new one.")
class LoadsNothing(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        async def broken(store: Any, residency: Any) -> None:
            return None

        patch("lash_ref.session_builder:load_for_residency", method(broken))
        patch("lash_ref.runtime:load_for_residency", method(broken))


@host_mutant("SES.2", character="Spendthrift: a reopened session has spent nothing.")
class ForgetsTheLedger(BrokenHost):
    class sends(SentStore):
        async def load_session(self, scope: Any) -> Any:
            read = await self.inner.load_session(scope)
            return read and read.but(token_ledger=())


@host_mutant("SES.3", character="Loyal: keeps to the factory whatever store it is given.")
class IgnoresTheStore(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.session_builder:SessionBuilder.store", method(lambda builder, store: builder))


@host_mutant("SES.4", character="Welcoming: renames whatever state it is given.")
class RenamesStates(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(opens: Any) -> Any:
            async def broken(builder: Any, state: Any) -> Any:
                state.session_id = builder.id
                return await opens(builder, state)

            return broken

        patch("lash_ref.session_builder:SessionBuilder.open_with_state", make)


def _just_a_failure(session_id: str, message: str) -> SessionError:
    return SessionError(message)


@host_mutant("SES.5", character="Vague: a factory's failure is just a failure.")
class BlursFactoryFailures(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch(
            "lash_ref.session_builder:StoreFactoryError",
            method(_just_a_failure),
        )


@host_mutant("SES.6", character="Revisionist: every frame has always run under today's policy.")
class RewritesOldFrames(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        from lash_ref.frames import _policy

        def broken(state: Any) -> None:
            state.agent_frames = tuple(
                frame.but(assignment=frame.assignment.but(policy=_policy(state.policy)))
                for frame in state.agent_frames
            )

        patch("lash_ref.frames:reassign_current_frame", method(broken))


@host_mutant("SES.7", character="Faithless: a reopened session changes to the builder's provider.")
class ChangesTheProvider(BrokenHost):
    class sends(SentStore):
        async def load_session(self, scope: Any) -> Any:
            read = await self.inner.load_session(scope)
            return read and read.but(config=read.config.but(provider_id="prov"))


@host_mutant("SES.8", character="Strict: a session whose provider is gone does not open.")
class RefusesToOpenWithoutAProvider(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(opens: Any) -> Any:
            async def broken(builder: Any) -> Any:
                session = await opens(builder)
                named = session.policy_snapshot().provider_id
                if builder.parts.core.provider_resolver.resolve(named) is None:
                    raise SessionError(f"no provider {named}")
                return session

            return broken

        patch("lash_ref.session_builder:SessionBuilder.open", make)


@host_mutant("SES.9", character="Lazy: leaves the current frame as it was stored.")
class LeavesTheFrame(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.frames:reassign_current_frame", method(lambda state: None))


@host_mutant("SES.10", character="Sentimental: a fresh open is an open.")
class FreshIsOpen(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        from lash_ref.session_builder import SessionBuilder

        patch("lash_ref.session_builder:SessionBuilder.open_fresh", method(SessionBuilder.open))


@host_mutant("SES.11", character="Adding: a fresh start is appended to the old graph.")
class AppendsAFreshStart(BrokenHost):
    class sends(SentStore):
        async def commit_runtime_state(self, commit: Any) -> Any:
            if isinstance(commit.graph, ReplaceFull):
                graph = Append(nodes=commit.graph.nodes, leaf_node_id=commit.graph.leaf_node_id)
                commit = commit.but(graph=graph)
            return await self.inner.commit_runtime_state(commit)


@host_mutant("SES.12", character="Distrustful: a given state is nothing against the stored one.")
class PrefersTheStored(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(opens: Any) -> Any:
            async def broken(builder: Any, state: Any) -> Any:
                if state.session_id != builder.id:
                    raise StoreSessionMismatch(state.session_id, builder.id)
                return await builder.open()

            return broken

        patch("lash_ref.session_builder:SessionBuilder.open_with_state", make)


@host_mutant("SES.13", character="Collector: keeps every node whatever the residency.")
class KeepsEverything(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(load: Any) -> Any:
            async def broken(store: Any, residency: Any) -> Any:
                return await load(store, Residency.KEEP_ALL)

            return broken

        patch("lash_ref.session_builder:load_for_residency", make)
        patch("lash_ref.runtime:apply_residency_on_load", method(lambda state, residency: None))


@host_mutant("SES.14", character="Minimalist: keeps the active path whatever the residency.")
class KeepsThePathOnly(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(load: Any) -> Any:
            async def broken(store: Any, residency: Any) -> Any:
                return await load(store, Residency.ACTIVE_PATH_ONLY)

            return broken

        patch("lash_ref.session_builder:load_for_residency", make)


@host_mutant("SES.15", character="Resigned: an empty path is an empty session.")
class AcceptsAnEmptyPath(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        from lash_ref.persisted import load_persisted_session_state_active_path as load_path

        async def broken(store: Any, residency: Any) -> Any:
            return await load_path(store)

        patch("lash_ref.session_builder:load_for_residency", method(broken))


@host_mutant("SES.16", character="Reckless: trims what it cannot load again.")
class TrimsWithoutAStore(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            async def broken(cls: Any, env: Any, policy: Any, state: Any, store: Any = None, **rest: Any) -> Any:
                if store is None:
                    from dataclasses import replace

                    env = replace(env, residency=Residency.KEEP_ALL)
                return await original.__func__(cls, env, policy, state, store, **rest)

            return classmethod(broken)

        patch("lash_ref.runtime:LashRuntime.from_environment", make)


@host_mutant("SES.17", character="Obliging: makes a plugin host of its own.")
class MakesAPluginHost(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            async def broken(arguments: Any) -> Any:
                return await original({k: v for k, v in arguments.items() if k != "plugin_host"} | _CONFIGURED)

            return broken

        patch("lash_conformance.targets.reference:from_environment", make)


_CONFIGURED: dict[str, Any] = {
    "policy": {"provider_id": "prov", "model": {"id": "m", "limits": {"context_window_tokens": 10}}}
}


@host_mutant("SES.18", character="Brittle: a tool that is gone fails the open.")
class RefusesOrphans(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(restore: Any) -> Any:
            def broken(registry: Any, state: Any) -> Any:
                report = restore(registry, state)
                if report.orphaned:
                    raise SessionError(f"tools are gone: {report.orphaned}")
                return report

            return broken

        patch("lash_ref.tool_registry:ToolRegistry.restore_state", make)


@host_mutant("SES.19", character="Cheerful: opens although a plugin could not be restored.")
class IgnoresRestoreFailures(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(restore: Any) -> Any:
            def broken(plugins: Any, snapshot: Any) -> None:
                from contextlib import suppress

                with suppress(Exception):
                    restore(plugins, snapshot)

            return broken

        patch("lash_ref.plugin_session:PluginSession.restore", make)


@host_mutant("SES.20", character="Early: says restored before it restores.")
class RestoredBeforeRestore(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(restore: Any) -> Any:
            async def broken(services: Any, state: Any) -> None:
                from lash_ref import hooks

                told = hooks.SessionRestored(state.read_view())
                await services.plugin_session.emit_lifecycle_event(told)
                await restore(services, state)

            return broken

        patch("lash_ref.runtime:_restore", make)


@host_mutant("SES.21", "SES.60", character="Pushy: runs a turn on a lane that another holds.")
class RunsOnAHeldLane(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(busy: Any) -> Any:
            def broken(session_id: str) -> Any:
                return SessionConsumed(session_id)

            return broken

        patch("lash_ref.resident:lane_busy", make)


@host_mutant("SES.22", character="Possessive: takes the lane at the open.")
class LeasesAtOpen(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(opens: Any) -> Any:
            async def broken(builder: Any) -> Any:
                session = await opens(builder)
                session.held = await session._shared.runtime.claim()
                return session

            return broken

        patch("lash_ref.session_builder:SessionBuilder.open", make)


@host_mutant("SES.23", character="Tolerant: drops what it does not know of a policy.")
class DropsUnknownPolicyFields(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            async def broken(core: Any, session_id: str, spec: Any) -> Any:
                from dataclasses import replace

                if spec.state is not None:
                    policy = {k: v for k, v in spec.state["policy"].items() if k not in ("provider", "mood")}
                    spec = replace(spec, state=spec.state | {"policy": policy})
                return await original(core, session_id, spec)

            return broken

        patch("lash_conformance.targets.reference_core:ReferenceCore.open", make)


@host_mutant("SES.2", character="Mindful: a core knows the tools of a session that it had open, whatever is stored.")
class RemembersTools(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        known: dict[str, Any] = {}

        def leaves(unregister: Any) -> Any:
            def broken(runtime: Any) -> None:
                known.setdefault(runtime.session_id, runtime.session.tool_registry.export_state())
                unregister(runtime)

            return broken

        def restores(restore: Any) -> Any:
            async def broken(services: Any, state: Any) -> None:
                state.tool_state_snapshot = known.get(state.session_id, state.tool_state_snapshot)
                await restore(services, state)

            return broken

        patch("lash_ref.runtime:LashRuntime.unregister", leaves)
        patch("lash_ref.runtime:_restore", restores)


@host_mutant("SES.2", character="Short memory: the last ten messages are history enough.")
class LoadsTheLastTen(BrokenHost):
    class sends(SentStore):
        async def load_session(self, scope: Any) -> Any:
            read = await self.inner.load_session(scope)
            if read is None or len(read.graph.nodes) <= 10:
                return read
            first, *rest = read.graph.nodes[-10:]
            return read.but(graph=read.graph.but(nodes=(first.but(parent_node_id=None), *rest)))


@host_mutant("SES.63", character="Own-minded: takes up another's turn and not what it cost.")
class KeepsItsOwnBill(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(adopt: Any) -> Any:
            def broken(runtime: Any, loaded: Any) -> None:
                loaded.token_ledger = runtime.state.token_ledger
                adopt(runtime, loaded)

            return broken

        patch("lash_ref.resident:Resident.adopt", make)


@host_mutant("SES.6", character="Literal: runs a given state under the policy that it was given with.")
class KeepsTheGivenPolicy(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(claim_parts: Any) -> Any:
            async def broken(builder: Any, state: Any, store: Any) -> None:
                await claim_parts(builder, state, store)
                given = next(frame for frame in state.agent_frames if frame.frame_id == state.current_agent_frame_id)
                state.policy = SessionPolicy.from_data(given.assignment.policy.value)

            return broken

        patch("lash_ref.session_builder:SessionBuilder._claim_parts", make)


@host_mutant("SES.1", character="Folding: ids that look alike are alike.")
class FoldsIds(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(session: Any) -> Any:
            def broken(core: Any, session_id: str) -> Any:
                return session(core, unicodedata.normalize("NFC", session_id).casefold().strip(" /"))

            return broken

        patch("lash_ref.core:LashCore.session", make)


@host_mutant("SES.48", character="Hurried: a clone's turn waits for nobody.")
class RunsClonesAtOnce(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(foreground: Any) -> Any:
            async def broken(loop: Any, request: Any) -> Any:
                loop.runtime.writer = asyncio.Lock()
                return await foreground(loop, request)

            return broken

        patch("lash_ref.turn_loop:TurnLoop.foreground", make)
