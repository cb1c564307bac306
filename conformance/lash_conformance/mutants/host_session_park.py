"""Broken hosts of parking, closing, configuring, deleting and reading sessions ([SES.30] to [SES.51])."""

# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false

from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from lash_conformance.mutants.host import BrokenHost, Patch, SentStore, host_mutant
from lash_conformance.mutants.host_cancel import method
from lash_ref.nodes import FullGraph
from lash_ref.runtime_errors import RuntimeFailure, SessionError


class Unguarded(BrokenHost):
    """Parks or closes whoever else is there."""

    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.shared:Shared.require_sole", method(lambda shared, event: shared.require_live()))


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
            from lash_ref.nodes import ActivePath

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


def remembering_its_opening(original: Any) -> Any:
    """A runtime that knows the policy it was opened with."""

    def broken(runtime: Any) -> None:
        original(runtime)
        runtime.opened_policy = runtime.state.policy

    return broken


@host_mutant("SES.41", character="Forgetful: parks the session as it was opened, whatever was configured since.")
class ParksTheOldPolicy(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def park(original: Any) -> Any:
            async def broken(runtime: Any) -> Any:
                from dataclasses import replace

                return replace(await original(runtime), policy=runtime.opened_policy)

            return broken

        patch("lash_ref.runtime:LashRuntime.__post_init__", remembering_its_opening)
        patch("lash_ref.runtime:LashRuntime.park", park)


@host_mutant("SES.39", character="Absent-minded: a parked session forgets its limit.")
class ParksWithoutTheLimit(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(park: Any) -> Any:
            async def broken(runtime: Any) -> Any:
                parked = await park(runtime)
                return replace(parked, policy=parked.policy.but(max_turns=None))

            return broken

        patch("lash_ref.runtime:LashRuntime.park", make)


@host_mutant("SES.30", character="Clinging: never lets go of a handle.")
class NeverLetsGo(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.session:LashSession.drop", method(lambda session: None))


@host_mutant("SES.41", character="Wholesale: a patch without a prompt is a patch to no prompt.")
class PatchesWipeThePrompt(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(update: Any) -> Any:
            async def broken(admin: Any, given: Any) -> None:
                state = admin.runtime.state
                state.policy = state.policy.but(prompt=given.prompt)
                await update(admin, given)

            return broken

        patch("lash_ref.session_admin:SessionConfigAdmin.update", make)


class Undying(BrokenHost):
    """What held a session once goes on to hold it."""

    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.session:LashSession._held", method(property(lambda session: session._shared)))
        patch("lash_ref.shared:Shared.require_live", method(lambda shared: shared.runtime))


@host_mutant("SES.51", character="Undead: a handle that was parked, closed or dropped works on.")
class UsesConsumedHandles(Undying):
    pass


@host_mutant("SES.51", character="Late: a session ends only when its flush is over.")
class EndsAfterTheFlush(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        @contextmanager
        def broken(shared: Any, event: Any) -> Any:
            yield shared.require_sole(event)
            shared.phase = "parked" if event == "park" else "closed"
            shared.handles.clear()

        patch("lash_ref.shared:Shared.ending", method(broken))


@host_mutant("SES.51", character="Final: a session whose park failed is over all the same.")
class EndsDespiteAFailedFlush(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        @contextmanager
        def broken(shared: Any, event: Any) -> Any:
            runtime = shared.require_sole(event)
            shared.phase = "parked" if event == "park" else "closed"
            shared.handles.clear()
            yield runtime

        patch("lash_ref.shared:Shared.ending", method(broken))
