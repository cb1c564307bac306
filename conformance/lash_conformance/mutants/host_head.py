"""Broken hosts of what a session takes up when others wrote it meanwhile ([SES.33], [SES.34], [SES.41], [SES.43], [SES.52], [SES.54], [SES.55])."""

# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false

from typing import Any

from lash_conformance.mutants.host import BrokenHost, Patch, host_mutant
from lash_conformance.mutants.host_cancel import method
from lash_ref.runtime_errors import SessionError


@host_mutant("SES.33", character="Forgiving: a turn takes up the store's head and holds itself for clean, whatever was changed here.")
class CleanAfterTheHeadMoved(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(adopt: Any) -> Any:
            def broken(runtime: Any, loaded: Any) -> None:
                adopt(runtime, loaded)
                runtime.mark_clean()

            return broken

        patch("lash_ref.resident:Resident.adopt", make)


@host_mutant("SES.54", character="Obedient: the tools that another stored replace those that were chosen here.")
class TakesOverEveryTool(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(adopt: Any) -> Any:
            def broken(runtime: Any, loaded: Any) -> None:
                surface, moved = loaded.tool_state_snapshot, loaded.tool_state_ref != runtime.state.tool_state_ref
                adopt(runtime, loaded)
                if surface is not None and moved:
                    runtime.session.tool_registry.restore_state(surface)

            return broken

        patch("lash_ref.resident:Resident.adopt", make)


@host_mutant("SES.33", character="Hasty: a refresh takes up the head, and what was configured is never stored.")
class RefreshesOverChanges(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(refresh: Any) -> Any:
            async def broken(runtime: Any) -> Any:
                runtime.mark_clean()
                return await refresh(runtime)

            return broken

        patch("lash_ref.runtime:LashRuntime.refresh_background_graph", make)


@host_mutant("SES.34", character="Suspicious: what another wrote is to be written again.")
class DirtyAfterARefresh(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(adopt: Any) -> Any:
            def broken(runtime: Any, loaded: Any) -> None:
                clean = runtime._clean
                adopt(runtime, loaded)
                runtime._clean = clean

            return broken

        patch("lash_ref.resident:Resident.adopt", make)


@host_mutant("SES.41", character="Deferential: another handle's turn takes back the provider that was chosen here.")
class TakesOverTheProvider(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(adopt: Any) -> Any:
            def broken(runtime: Any, loaded: Any) -> None:
                provider = loaded.policy.provider_id
                adopt(runtime, loaded)
                runtime.state.policy = runtime.policy = runtime.policy.but(provider_id=provider)

            return broken

        patch("lash_ref.resident:Resident.adopt", make)


@host_mutant("SES.41", character="Half-hearted: configures the session and not its frame.")
class ConfiguresNoFrame(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.session_changes:reassign_current_frame", method(lambda state: None))


@host_mutant("SES.52", character="Amnesic: branches to what it no longer holds, and shows nothing.")
class BranchesToNothing(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        async def broken(runtime: Any, node_id: str) -> None:
            pass

        patch("lash_ref.session_changes:SessionChanges._bring_in", method(broken))


@host_mutant("SES.52", character="Strict: branches only to what it holds.")
class BranchesWithinMemory(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        async def broken(runtime: Any, node_id: str) -> None:
            raise SessionError(f"node {node_id} is not resident")

        patch("lash_ref.session_changes:SessionChanges._bring_in", method(broken))


@host_mutant("SES.43", character="Haunted: the events of a deleted session are told to the next of its id.")
class RemembersDeletedEvents(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.observe:LiveReplayStore.forget", method(lambda store, session_id: None))


@host_mutant("SES.55", character="Bare: a state that was kept brings the conversation and nothing else.")
class OpensStatesBare(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(claim: Any) -> Any:
            async def broken(builder: Any, state: Any, store: Any) -> None:
                await claim(builder, state, store)
                state.plugin_snapshot = None

            return broken

        patch("lash_ref.session_builder:SessionBuilder._claim_parts", make)


@host_mutant("SES.55", character="Lavish: a state that was kept is opened with every tool there is.")
class OpensStatesWithEveryTool(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(claim: Any) -> Any:
            async def broken(builder: Any, state: Any, store: Any) -> None:
                await claim(builder, state, store)
                state.tool_state_snapshot = None

            return broken

        patch("lash_ref.session_builder:SessionBuilder._claim_parts", make)
