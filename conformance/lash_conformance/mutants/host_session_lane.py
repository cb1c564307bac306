"""Broken hosts of a session's lease ([SES.60] to [SES.69])."""

# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false

from contextlib import suppress
from typing import Any

from lash_conformance.mutants.host import BrokenHost, Patch, SentStore, host_mutant
from lash_conformance.mutants.host_cancel import method
from lash_ref.claims import TurnClaims
from lash_ref.lane import lane_busy
from lash_ref.runtime_errors import RuntimeFailure


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


@host_mutant("SES.67", character="Stingy: renews a lease for a third of its time.")
class RenewsForLess(BrokenHost):
    class sends(SentStore):
        async def renew_session_execution_lease(self, fence: Any, ttl_ms: int) -> Any:
            return await self.inner.renew_session_execution_lease(fence, ttl_ms // 3)


@host_mutant("SES.65", character="Confident: a change that was made is stored, whatever the store says.")
class TakesItsWordForTheStore(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(change: Any) -> Any:
            async def broken(runtime: Any, made: Any) -> None:
                with suppress(RuntimeFailure):
                    await change(runtime, made)

            return broken

        patch("lash_ref.session_changes:SessionChanges.change", make)


@host_mutant("SES.62", character="Vague: a lane that was lost is a lane that is busy.")
class TakesLostForBusy(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        for module in ("lane", "turn_steps", "turn_commit"):
            patch(f"lash_ref.{module}:lease_lost", method(lane_busy))


@host_mutant("SES.68", character="Sulking: keeps the lane of a turn that failed.")
class KeepsTheLaneOfFailedTurns(BrokenHost):
    class sends(SentStore):
        async def release_session_execution_lease(self, completion: Any) -> None:
            pass


@host_mutant("SES.69", character="Careless: nodes appended beside a turn share its fate.")
class AppendsIntoTheRunningTurn(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(append: Any) -> Any:
            async def broken(runtime: Any, nodes: Any, **more: Any) -> Any:
                if runtime.writer.locked():
                    return runtime._appended(nodes, None, None)
                return await append(runtime, nodes, **more)

            return broken

        patch("lash_ref.session_changes:SessionChanges.append_session_nodes", make)


@host_mutant("SES.62", character="Blunt: between frames a lost lease is whatever the store says.")
class TellsTheStoresWordBetweenFrames(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(_: Any) -> Any:
            async def broken(loop: Any, lane: Any, handoff: Any) -> Any:
                store = loop.runtime.services.store
                claim = await store.claim_ready_queued_work_by_batch_ids(
                    loop.runtime.session_id, lane.fence, lane.lease.owner, "idle", (handoff.batch_id,)
                )
                return TurnClaims(work=[claim] if claim is not None else [])

            return broken

        patch("lash_ref.turn_loop:TurnLoop._handed_over", make)


@host_mutant("SES.53", character="Stale: changes what it remembers, and is refused.")
class ChangesFromMemory(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(change: Any) -> Any:
            async def broken(runtime: Any, made: Any) -> None:
                async def stale(lane: Any) -> bool:
                    return False

                runtime.refresh = stale
                try:
                    await change(runtime, made)
                finally:
                    del runtime.refresh

            return broken

        patch("lash_ref.session_changes:SessionChanges.change", make)


@host_mutant("SES.62", character="Patient: a drain is told of its lost lease when the model has answered.")
class DrainsDoNotHearOfLostLeases(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(queued: Any) -> Any:
            async def broken(loop: Any, request: Any, *parts: Any) -> Any:
                claim = loop.runtime.claim

                async def deaf() -> Any:
                    lane = await claim()
                    if lane is not None:
                        lane.stops = lambda token: None
                    return lane

                loop.runtime.claim = deaf
                try:
                    return await queued(loop, request, *parts)
                finally:
                    del loop.runtime.claim

            return broken

        patch("lash_ref.turn_loop:TurnLoop.queued", make)


@host_mutant("SES.65", character="Optimist: a command whose commit failed is done.")
class ForgivesFailedCommands(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(run: Any) -> Any:
            async def broken(*parts: Any) -> None:
                with suppress(RuntimeFailure):
                    await run(*parts)

            return broken

        patch("lash_ref.turn_loop:run_command", make)
