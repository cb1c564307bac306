"""Broken hosts that only a life in many steps finds: each is right until two things come together."""

# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false

from dataclasses import replace
from typing import Any

from lash_conformance.mutants.host import BrokenHost, Patch, SentStore, host_mutant
from lash_conformance.mutants.host_session_park import remembering_its_opening
from lash_ref.inputs import PendingTurnInputDraft


@host_mutant(
    "SES.41", searched=True, character="Distracted: a park that leaves input waiting forgets what was configured since the last."
)
class ForgetsConfigureBehindAQueue(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def park(original: Any) -> Any:
            async def broken(runtime: Any) -> Any:
                waiting = await runtime.services.store.list_pending_turn_inputs(runtime.session_id)
                parked = await original(runtime)
                return replace(parked, policy=runtime.opened_policy) if waiting else parked

            return broken

        patch("lash_ref.runtime:LashRuntime.__post_init__", remembering_its_opening)
        patch("lash_ref.runtime:LashRuntime.park", park)


@host_mutant("SES.74", searched=True, character="Tidy: a restart takes back all input that waits but the first.")
class LosesTheSecondInput(BrokenHost):
    class sends(SentStore):
        async def load_session(self, scope: Any) -> Any:
            read = await self.inner.load_session(scope)
            if read is not None:
                for row in (await self.inner.list_pending_turn_inputs(read.session_id))[1:]:
                    await self.inner.cancel_pending_turn_input(read.session_id, row.input_id)
            return read


@host_mutant("SES.74", searched=True, character="Anxious: keeps a copy of what it delivers until it knows that it did.")
class KeepsACopyOfWhatItDelivers(BrokenHost):
    class sends(SentStore):
        held: Any = None

        async def claim_next_turn_inputs(self, *asked: Any) -> Any:
            self.held = await self.inner.claim_next_turn_inputs(*asked)
            return self.held

        async def commit_runtime_state(self, commit: Any) -> Any:
            rows = self.held.inputs if self.held and commit.completed_turn_input_claims else ()
            copies = [
                await self.inner.enqueue_pending_turn_input(
                    PendingTurnInputDraft(session_id=commit.session_id, ingress=row.ingress, input=row.input)
                )
                for row in rows
            ]
            answer = await self.inner.commit_runtime_state(commit)
            for copy in copies:
                await self.inner.cancel_pending_turn_input(commit.session_id, copy.input_id)
            return answer
