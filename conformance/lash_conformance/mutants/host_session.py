"""Broken hosts of opening, parking, closing and deleting sessions, and of their lease ([SES.1] to [SES.66])."""

# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false

from typing import Any

from lash_conformance.mutants.host import BrokenHost, Patch, SentStore, host_mutant
from lash_conformance.mutants.host_cancel import method
from lash_ref.policy import Residency
from lash_ref.records import Append, FullGraph, ReplaceFull
from lash_ref.runtime_errors import RuntimeFailure, SessionConsumed, SessionError, StoreSessionMismatch


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

        patch("lash_ref.plugin_host:PluginSession.restore", make)


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

        patch("lash_conformance.targets.reference:ReferenceCore.open", make)


# -- park, close, resume, delete


class Unguarded(BrokenHost):
    """Parks or closes whoever else is there."""

    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.shared:Shared.require_sole", method(lambda shared: shared.require_live()))


@host_mutant("SES.30", character="Inconsiderate: parks a session that somebody else holds.")
class ParksWithALiveClone(Unguarded):
    pass


@host_mutant("SES.31", character="Inconsiderate: closes a session that somebody else holds.")
class ClosesWithALiveClone(Unguarded):
    pass


@host_mutant("SES.32", character="Hopeful: parks what nothing keeps.")
class ParksWithoutAStore(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        from lash_ref.runtime import ParkedSession

        async def broken(runtime: Any) -> Any:
            await runtime.persist()
            return ParkedSession(runtime.session_id, runtime.services.store, runtime.state.policy)

        patch("lash_ref.runtime:LashRuntime.park", method(broken))


@host_mutant("SES.33", character="Forgetful: a park flushes nothing, not even what was configured.")
class ParksWithoutAFlush(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        async def broken(runtime: Any) -> bool:
            return False

        patch("lash_ref.resident:Resident.persist", method(broken))


@host_mutant("SES.34", "SES.50", character="Diligent: every park is a commit.")
class AlwaysCommits(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.resident:Resident.is_dirty", method(True))


@host_mutant("SES.35", character="Brave: parks although the flush failed.")
class ParksDespiteAFailure(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(persist: Any) -> Any:
            async def broken(runtime: Any) -> bool:
                try:
                    return bool(await persist(runtime))
                except RuntimeFailure:
                    return False

            return broken

        patch("lash_ref.resident:Resident.persist", make)


@host_mutant("SES.36", character="Clinging: keeps the lane after the flush.")
class KeepsTheLane(BrokenHost):
    class sends(SentStore):
        async def commit_runtime_state(self, commit: Any) -> Any:
            return await self.inner.commit_runtime_state(commit.but(release_session_execution_lease=None))


@host_mutant("SES.37", character="Quiet: a park on a busy lane keeps nothing and says nothing.")
class ParksOnABusyLane(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(persist: Any) -> Any:
            async def broken(runtime: Any) -> bool:
                try:
                    return bool(await persist(runtime))
                except RuntimeFailure as err:
                    if err.runtime_code == "session_execution_busy":
                        return False
                    raise

            return broken

        patch("lash_ref.resident:Resident.persist", make)


@host_mutant("SES.39", character="Resetting: an empty session resumes under the core's policy.")
class ForgetsTheParkedPolicy(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(resume: Any) -> Any:
            async def broken(parts: Any, parked: Any) -> Any:
                from dataclasses import replace

                policy = parts.policy.but(session_id=parked.session_id)
                return await resume(parts, replace(parked, policy=policy))

            return broken

        patch("lash_ref.core:resume", make)


@host_mutant("SES.40", character="Clingy: what one builder bound is bound for ever.")
class RemembersBindings(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        bound: list[Any] = []

        def plugin(original: Any) -> Any:
            def broken(builder: Any, binding: Any, config: Any = None) -> Any:
                made = original(builder, binding, config)
                bound.append(made._factories[-1])
                return made

            return broken

        def resume(original: Any) -> Any:
            async def broken(parts: Any, parked: Any) -> Any:
                from dataclasses import replace

                return await original(replace(parts, factories=(*parts.factories, *bound)), parked)

            return broken

        patch("lash_ref.session_builder:SessionBuilder.plugin", plugin)
        patch("lash_ref.core:resume", resume)


@host_mutant("SES.42", character="Agreeable: deletes nothing from nowhere.")
class DeletesFromNowhere(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(delete: Any) -> Any:
            async def broken(core: Any, session_id: str) -> Any:
                from lash_ref.core import SessionDeleteReport

                if core.parts.store_factory is None:
                    return SessionDeleteReport(session_id)
                return await delete(core, session_id)

            return broken

        patch("lash_ref.core:LashCore.delete_session", make)


@host_mutant("SES.43", character="Hoarder: a deleted session is still there.")
class DeletesNothing(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(delete: Any) -> Any:
            async def broken(core: Any, session_id: str) -> Any:
                from lash_ref.core import SessionDeleteReport

                return SessionDeleteReport(session_id)

            return broken

        patch("lash_ref.core:LashCore.delete_session", make)


@host_mutant("SES.44", character="Strict: a session without a store cannot be closed.")
class RefusesToCloseStoreless(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(persist: Any) -> Any:
            async def broken(runtime: Any) -> bool:
                if runtime.services.store is None:
                    raise SessionError("nothing to persist to")
                return bool(await persist(runtime))

            return broken

        patch("lash_ref.resident:Resident.persist", make)


@host_mutant("SES.45", character="Short-sighted: only resident nodes exist.")
class LooksInMemoryOnly(BrokenHost):
    class sends(SentStore):
        async def load_node(self, node_id: str) -> None:
            return None


@host_mutant("SES.46", character="Short-sighted: a path has no orphans.")
class SeesNoOrphans(BrokenHost):
    class sends(SentStore):
        async def load_session(self, scope: Any) -> Any:
            from lash_ref.records import ActivePath

            return await self.inner.load_session(ActivePath() if isinstance(scope, FullGraph) else scope)


@host_mutant("SES.47", character="Guessing: without a store there are no stored nodes.")
class GuessesWithoutAStore(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        async def none(runtime: Any, node_id: str) -> None:
            return None

        async def empty(runtime: Any) -> list[str]:
            return []

        patch("lash_ref.runtime:LashRuntime.get_historic_node", method(none))
        patch("lash_ref.runtime:LashRuntime.orphaned_node_ids", method(empty))


@host_mutant("SES.48", character="Individual: a clone sees the session as it was when it was made.")
class ClonesTheView(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(clone: Any) -> Any:
            async def broken(session: Any) -> Any:
                seen = await session.read("transcript")
                made = await clone(session)
                read = made.read

                async def old(what: str) -> Any:
                    return seen if what == "transcript" else await read(what)

                made.read = old
                return made

            return broken

        patch("lash_conformance.targets.reference_session:ReferenceSession.clone", make)


@host_mutant("SES.49", character="Foundling: a child does not know its parent.")
class ForgetsTheParent(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.session_builder:SessionBuilder.parent", method(lambda builder, parent: builder))


@host_mutant("SES.41", character="Deaf: takes a patch with a nod.")
class ConfiguresNothing(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        async def broken(admin: Any, given: Any) -> None:
            pass

        patch("lash_ref.session_admin:SessionConfigAdmin.update", method(broken))


@host_mutant("SES.41", character="Forgetful: parks the session as it was opened, whatever was configured since.")
class ParksTheOldPolicy(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def opened(original: Any) -> Any:
            def broken(runtime: Any) -> None:
                original(runtime)
                runtime.opened_policy = runtime.state.policy

            return broken

        def park(original: Any) -> Any:
            async def broken(runtime: Any) -> Any:
                from dataclasses import replace

                return replace(await original(runtime), policy=runtime.opened_policy)

            return broken

        patch("lash_ref.runtime:LashRuntime.__post_init__", opened)
        patch("lash_ref.runtime:LashRuntime.park", park)


# -- lease


@host_mutant("SES.61", character="Loud: a drain on a held lane is an error.")
class DrainsLoudly(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(queued: Any) -> Any:
            async def broken(loop: Any, *parts: Any) -> Any:
                lane = await loop.runtime.claim_or_busy()
                await lane.release()
                return await queued(loop, *parts)

            return broken

        patch("lash_ref.turn_loop:TurnLoop.queued", make)


@host_mutant("SES.62", character="Zombie: takes the lane back and commits.")
class CommitsAfterLosingTheLane(BrokenHost):
    class sends(SentStore):
        async def commit_runtime_state(self, commit: Any) -> Any:
            from lash_ref.lease import Busy

            held = commit.session_execution_lease
            owner = await self.inner.try_claim_session_execution_lease(commit.session_id, _thief(), 30_000)
            if isinstance(owner, Busy) and owner.holder.lease_token != held.lease_token:
                taken = owner.holder
                commit = commit.but(
                    session_execution_lease=taken.fence(), release_session_execution_lease=taken.completion()
                )
            elif not isinstance(owner, Busy):
                commit = commit.but(session_execution_lease=owner.fence(), release_session_execution_lease=None)
            return await self.inner.commit_runtime_state(commit)


def _thief() -> Any:
    from lash_ref.lease import LeaseOwnerIdentity

    return LeaseOwnerIdentity(owner_id="thief", incarnation_id="1")


@host_mutant("SES.63", character="Stale: answers the conversation that it remembers.")
class StartsFromMemory(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        async def broken(runtime: Any, lane: Any) -> bool:
            return False

        patch("lash_ref.resident:Resident.refresh", method(broken))


@host_mutant("SES.64", character="Clinging: keeps the lane after its turn.")
class KeepsTheLaneAfterATurn(BrokenHost):
    class sends(SentStore):
        async def commit_runtime_state(self, commit: Any) -> Any:
            return await self.inner.commit_runtime_state(commit.but(release_session_execution_lease=None))

        async def release_session_execution_lease(self, completion: Any) -> None:
            pass


@host_mutant("SES.65", character="Optimist: a turn whose commit failed has answered.")
class AnswersWithoutACommit(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(commit: Any) -> Any:
            async def broken(turn: Any, task: Any) -> Any:
                try:
                    return await commit(turn, task)
                except RuntimeFailure:
                    return None

            return broken

        patch("lash_ref.turn_commit:_commit", make)


@host_mutant("SES.66", character="Hopeful: everything may work at the second try.")
class RetriesEverything(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.runtime_errors:RuntimeFailure.is_retryable", method(True))


