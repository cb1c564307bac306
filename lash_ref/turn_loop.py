"""A logical turn: claim the lane, run physical turns through every frame switch, and give the lane back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lash_ref.activity import QueuedWorkStarted
from lash_ref.claims import DrainedWork, TurnClaims, leading_command, next_work, task_input
from lash_ref.effects import EffectController, EffectHost, ExecutionScope
from lash_ref.errors import LashError
from lash_ref.frames import MAX_FRAME_SWITCHES
from lash_ref.lane import Lane, store_failure
from lash_ref.outcome import AgentFrameSwitch, Stopped, TurnIssue, TurnOutcome, TurnResult
from lash_ref.resident import Resident
from lash_ref.runtime_errors import RuntimeErrorCode, RuntimeFailure
from lash_ref.scalars import Json
from lash_ref.session_commands import run_command
from lash_ref.turn import Turn
from lash_ref.turn_base import TurnRequest
from lash_ref.turn_commit import CommittedTurn, Handoff, finish, recorded
from lash_ref.work import AgentFrameTask


@dataclass(frozen=True)
class AgentFrameRun:
    """Every physical turn of one logical turn."""

    turns: tuple[TurnResult, ...]

    @property
    def final_turn(self) -> TurnResult:
        """The last physical turn, which is the host's answer ([FRM.4][])."""
        return self.turns[-1]


@dataclass
class TurnLoop:
    """Runs logical turns of one live session, one at a time."""

    runtime: Resident
    effect_host: EffectHost
    controller: EffectController | None = None
    """The controller a host gave; none takes the effect host's own."""

    def _controller(self, turn_id: str) -> EffectController:
        given = self.controller
        if given is not None and given.scope.turn_id == turn_id:
            return given
        scope = ExecutionScope(session_id=self.runtime.session_id, turn_id=turn_id).required()
        return self.effect_host.controller(scope)

    async def foreground(self, request: TurnRequest) -> AgentFrameRun:
        """Run a turn for a host that waits for it.

        Raises:
            RuntimeFailure: the lane is held, or the turn has no outcome.
        """
        runtime = self.runtime
        async with runtime.writer:
            lane = await runtime.claim_or_busy()
            try:
                if lane is not None:
                    lane.stops(request.token)
                await runtime.refresh(lane)
                if lane is not None:
                    await self._drain_commands(lane)
                return await self._frames(request, lane, TurnClaims(), None)
            finally:
                if lane is not None:
                    await lane.release()

    async def queued(
        self, request: TurnRequest, batch_ids: Sequence[str] = (), drain_id: str | None = None
    ) -> AgentFrameRun | None:
        """Drain one turn's worth of queued work; none when nothing is runnable or another drains."""
        runtime = self.runtime
        if runtime.services.store is None:
            return None
        async with runtime.writer:
            lane = await runtime.claim()
            if lane is None:
                return None
            try:
                lane.stops(request.token)
                await runtime.refresh(lane)
                if not batch_ids:
                    await self._drain_commands(lane)
                work = await self._claimed(lane, batch_ids)
                if work is None:
                    return None
                turn_id = (
                    request.turn_id
                    or work.input.trace_turn_id
                    or drain_id
                    or (work.batch_ids[0] if work.batch_ids else "")
                    or runtime.host.core.mint("turn")
                )
                drained = replace(
                    request, input=work.input, parts=work.parts, wakes=work.wakes, turn_id=turn_id
                )
                return await self._frames(drained, lane, work.claims, work)
            finally:
                await lane.release()

    async def _claimed(self, lane: Lane, batch_ids: Sequence[str]) -> DrainedWork | None:
        store = self.runtime.services.store
        if store is None:
            return None
        try:
            return await next_work(store, self.runtime.session_id, lane, batch_ids)
        except LashError as err:
            raise store_failure(err, self.runtime.session_id) from err

    async def _drain_commands(self, lane: Lane) -> None:
        """Run the commands that lead the queue, one commit each."""
        store = self.runtime.services.store
        if store is None:
            return
        try:
            while (claim := await leading_command(store, self.runtime.session_id, lane)) is not None:
                await run_command(self.runtime, lane, claim)
        except RuntimeFailure:
            raise
        except LashError as err:
            raise store_failure(err, self.runtime.session_id) from err

    # -- frames

    async def _frames(
        self, request: TurnRequest, lane: Lane | None, claims: TurnClaims, work: DrainedWork | None
    ) -> AgentFrameRun:
        root, results = request.turn_id, list[TurnResult]()
        while True:
            done = await self._physical(request, lane, claims, work, len(results))
            results.append(done.result)
            switch = done.result.outcome
            if not isinstance(switch, AgentFrameSwitch):
                return AgentFrameRun(tuple(results))
            claims, work = await self._handed_over(lane, done.handoff), None
            request = TurnRequest(
                input=task_input(_task(switch, done.handoff)),
                turn_id=f"{root}:agent-frame:{len(results)}",
                token=request.token,
                protocol_turn_options=request.protocol_turn_options,
                provider=request.provider,
                model=request.model,
                prompt=request.prompt,
                plugin_inputs=request.plugin_inputs,
                sink=request.sink,
            )

    async def _handed_over(self, lane: Lane | None, handoff: Handoff | None) -> TurnClaims:
        """The claim on the batch that hands a claimed turn to its next frame."""
        store = self.runtime.services.store
        if handoff is None or store is None or lane is None:
            return TurnClaims()
        try:
            claim = await store.claim_ready_queued_work_by_batch_ids(
                self.runtime.session_id, lane.fence, lane.lease.owner, "idle", (handoff.batch_id,)
            )
        except LashError as err:
            raise store_failure(err, self.runtime.session_id) from err
        return TurnClaims(work=[claim] if claim is not None else [])

    async def _physical(
        self,
        request: TurnRequest,
        lane: Lane | None,
        claims: TurnClaims,
        work: DrainedWork | None,
        switches: int,
    ) -> CommittedTurn:
        """One physical turn with its commit; whatever ends without an outcome is undone.

        Raises:
            RuntimeFailure: the turn has no outcome, or could not be committed.
        """
        runtime = self.runtime
        controller = self._controller(request.turn_id)
        turn = Turn(runtime, request, controller, self.effect_host.waits, lane, claims)
        if (known := recorded(turn)) is not None:
            return known
        point = runtime.state.savepoint()
        runtime.sink, runtime.running_turn_id = request.sink, request.turn_id
        try:
            if work is not None and work.batch_ids:
                started = QueuedWorkStarted(boundary="idle", batch_ids=work.batch_ids)
                await turn.show("drain", started)
            outcome: TurnOutcome = await turn.run()
            if isinstance(outcome, AgentFrameSwitch) and switches >= MAX_FRAME_SWITCHES:
                outcome = _too_many(turn)
            return await finish(turn, outcome)
        except BaseException:
            if not turn.committed:
                runtime.state.rollback(point)
                await self._undo(turn, lane)
            raise
        finally:
            runtime.sink = runtime.running_turn_id = turn.dispatch = None
            if runtime.services.attachments is not None:
                runtime.services.attachments.owner = None

    async def _undo(self, turn: Turn, lane: Lane | None) -> None:
        """Give claims back; the lane is freed by whoever claimed it, and a commit that lands late meets its fence."""
        store = self.runtime.services.store
        if store is None or lane is None:
            return
        try:
            await turn.claims.abandon(store)
        except LashError as err:
            told = {"error": f"{err.code}: {err}"}
            self.runtime.host.core.trace("turn.abandon_failed", Json(told))


def _task(switch: AgentFrameSwitch, handoff: Handoff | None) -> AgentFrameTask:
    return handoff.task if handoff is not None else AgentFrameTask(frame_id=switch.frame_id, task=switch.task)


def _too_many(turn: Turn) -> Stopped:
    message = f"the turn switched frames more than {MAX_FRAME_SWITCHES} times"
    turn.issues.append(
        TurnIssue(kind="runtime", code=RuntimeErrorCode.AGENT_FRAME_LIMIT, message=message)
    )
    return Stopped(stop="runtime_error")

