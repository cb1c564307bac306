"""The handle that a host holds on a session, and the one that an observer holds.

Handles share one live session. Where lash consumes a handle by ownership, Python says so: `clone` makes
another handle, `drop` (or letting it be collected) lets one go, and `close` and `park` need the sole handle
and no turn, else `SessionStillInUse` and nothing is changed. After any of these the handle raises
`SessionConsumed`, but for reads, which show what was last published ([SES.51][]).
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Self

from lash_ref.cancel import TurnCancelReceipt
from lash_ref.effects import EffectHost
from lash_ref.errors import LashError
from lash_ref.hosting import TurnPhaseProbe
from lash_ref.inputs import (
    CancelOutcome,
    CancelResult,
    CancelTarget,
    PendingTurnInput,
    SuffixCancelOutcome,
    TurnInput,
    TurnInputClaim,
)
from lash_ref.lane import store_failure
from lash_ref.observe import (
    Gap,
    SessionCursor,
    SessionObservation,
    SessionObservationEvent,
    SessionObservationSubscription,
    SessionResume,
)
from lash_ref.policy import ModeId, SessionPolicy
from lash_ref.processes import ProcessHandleSummary, SessionScope
from lash_ref.published import RuntimeObservation
from lash_ref.runtime import ParkedSession
from lash_ref.runtime_errors import SessionConsumed
from lash_ref.session_admin import (
    PluginOperations,
    SessionAdmin,
    SessionCommandAdmin,
    SessionConfigPatch,
    SessionProcessAdmin,
    SessionTriggerAdmin,
    ToolAdmin,
)
from lash_ref.shared import Shared
from lash_ref.state import SessionReadView
from lash_ref.tool_state import ToolState
from lash_ref.tools import ToolManifest
from lash_ref.turn_builders import EnqueueTurnBuilder, QueuedTurnBuilder, TurnBuilder, as_input
from lash_ref.turn_control import TurnWorkDriver
from lash_ref.usage import SessionUsageReport
from lash_ref.work import QueuedWorkBatch, QueuedWorkClaim

FIRST_LOOK_S = 0.025
LAST_LOOK_S = 0.4
"""How often a waiter looks whether its batch is still pending: soon at first, less often later."""


class LashSession:
    """A handle on an opened session."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        shared.handles.add(self)

    # -- ownership

    @property
    def _held(self) -> Shared:
        """What the handle holds.

        Raises:
            SessionConsumed: it was parked, closed or dropped ([SES.51][]).
        """
        if self not in self._shared.handles:
            raise SessionConsumed(self.session_id())
        return self._shared

    def clone(self) -> "LashSession":
        """Another handle on the same live session ([SES.48][])."""
        return LashSession(self._held)

    def clone_from(self, source: "LashSession") -> Self:
        """Let this handle go and hold what ``source`` holds."""
        held = source._held
        self.drop()
        self._shared = held
        self._shared.handles.add(self)
        return self

    def drop(self) -> None:
        """Let this handle go; nothing is flushed and nothing else ends."""
        self._shared.handles.discard(self)

    async def close(self) -> None:
        """Persist what is dirty and end the live session.

        Raises:
            SessionStillInUse: a clone or a turn is alive; nothing was changed.
            RuntimeFailure: the flush failed; the session stays live.
        """
        with self._held.ending("close") as runtime:
            await runtime.persist()
            runtime.unregister()

    async def park(self) -> ParkedSession:
        """Persist what is dirty, end the live session, and answer what `LashCore.resume` takes.

        Raises:
            SessionStillInUse: a clone or a turn is alive; nothing was changed.
            SessionError: there is no store.
            RuntimeFailure: the flush failed; the session stays live.
        """
        with self._held.ending("park") as runtime:
            return await runtime.park()

    # -- reads of what was last published

    @property
    def _seen(self) -> RuntimeObservation:
        return self._shared.runtime.published

    def session_id(self) -> str:
        """The session's id."""
        return self._shared.session_id

    def parent_session_id(self) -> str | None:
        """The parent it was opened with."""
        return self._shared.parent_session_id

    def policy_snapshot(self) -> SessionPolicy:
        """The policy in force."""
        return self._seen.policy

    def read_view(self) -> SessionReadView:
        """The conversation of the current frame; waits for no turn ([OBS.1][])."""
        return self._seen.read_view

    def usage_report(self) -> SessionUsageReport:
        """What the session spent, in tokens."""
        return self._seen.usage_report

    def mode(self) -> ModeId:
        """The mode the session was opened in."""
        return self._shared.mode

    def effect_host(self) -> EffectHost:
        """The effect host its turns run on."""
        return self._shared.effect_host

    def observe(self) -> "ObservableSession":
        """The session for observers; holds no handle."""
        return ObservableSession(self._shared)

    # -- turns

    def turn(self, input: TurnInput | str) -> TurnBuilder:
        """A turn to run."""
        return TurnBuilder(self._held, as_input(input))

    def queued_turn(self) -> QueuedTurnBuilder:
        """A drain of the queue."""
        return QueuedTurnBuilder(self._held)

    def enqueue(self, input: TurnInput | str) -> EnqueueTurnBuilder:
        """Input for a later turn."""
        return EnqueueTurnBuilder(self._held, as_input(input))

    def cancel_running_turns(self) -> int:
        """Cancel every turn that runs or waits through this handle and its clones; how many ([CAN.8][])."""
        return self._shared.cancels.cancel_all()

    def cancel_running_turns_with_origin(self, origin: str | None) -> int:
        """As `cancel_running_turns`, saying on whose behalf."""
        return self._shared.cancels.cancel_all(origin)

    async def request_turn_cancel(
        self, turn_id: str, request_id: str, origin: str | None = None, reason: str | None = None
    ) -> TurnCancelReceipt:
        """Ask one turn to stop, by its id, whoever runs it and also before it starts ([CAN.14][]).

        Raises:
            RuntimeFailure: the request id is blank.
        """
        driver = TurnWorkDriver(self._shared.effect_host, self._shared.runtime.host.core.clock)
        return driver.request_cancel(self.session_id(), turn_id, request_id, origin, reason)

    # -- facets

    def admin(self) -> SessionAdmin:
        """Every facet."""
        return SessionAdmin(self._held)

    async def configure(self, patch: SessionConfigPatch) -> None:
        """Change provider, model or prompt; durable by the next commit, park or close."""
        await self.admin().config().update(patch)

    def tools(self) -> ToolAdmin:
        """The tool surface."""
        return self.admin().tools()

    def commands(self) -> SessionCommandAdmin:
        """Commands for between turns."""
        return self.admin().commands()

    def triggers(self) -> SessionTriggerAdmin:
        """Trigger events."""
        return self.admin().triggers()

    def processes(self) -> SessionProcessAdmin:
        """Processes."""
        return self.admin().processes()

    def plugin_operations(self) -> PluginOperations:
        """Queries, commands and tasks of plugins."""
        return self.admin().plugin_operations()

    plugin_actions = plugin_operations

    async def refresh_background_graph(self) -> None:
        """Take up what processes committed to this session."""
        await self._held.require_live().refresh_background_graph()

    async def set_turn_phase_probe(self, probe: TurnPhaseProbe | None) -> None:
        """Watch the phases of this session's turns."""
        runtime = self._held.require_live()
        async with runtime.writer:
            runtime.turn_phase_probe = probe

    # -- queue

    async def queued_work(self) -> tuple[QueuedWorkBatch, ...]:
        """Batches that wait: commands, wakes, tasks; user input is in `pending_turn_inputs`."""
        return await self._held.queue_store().list_pending_queued_work(self.session_id())

    async def pending_turn_inputs(self) -> tuple[PendingTurnInput, ...]:
        """Input that waits and that nobody claimed."""
        return await self._held.queue_store().list_pending_turn_inputs(self.session_id())

    async def cancel_pending_turn_input(self, input_id: str) -> CancelOutcome:
        """Cancel one input, or learn why it cannot be ([SES.78][])."""
        store = self._held.queue_store()
        outcome = await store.cancel_pending_turn_input(self.session_id(), input_id)
        self._tell_cancelled((outcome,))
        return outcome

    async def cancel_pending_turn_inputs(
        self, targets: Iterable[CancelTarget]
    ) -> tuple[CancelResult, ...]:
        """Cancel several, by input id or source key, in one unit; one result a target, in order."""
        store = self._held.queue_store()
        results = await store.cancel_pending_turn_inputs(self.session_id(), tuple(targets))
        self._tell_cancelled([result.outcome for result in results])
        return results

    async def cancel_pending_turn_input_suffix(self, anchor: CancelTarget) -> SuffixCancelOutcome:
        """Cancel an input and everything enqueued after it, in one unit."""
        store = self._held.queue_store()
        outcome = await store.cancel_pending_turn_input_suffix(self.session_id(), anchor)
        if outcome.outcome == "outcomes":
            self._tell_cancelled(outcome.data.outcomes)
        return outcome

    def _tell_cancelled(self, outcomes: Sequence[CancelOutcome]) -> None:
        gone = [each.data.input_id for each in outcomes if each.outcome == "cancelled"]
        if gone:
            self._shared.tell_queue("cancelled", *gone)

    async def cancel_queued_work_batch(self, batch_id: str) -> QueuedWorkBatch | None:
        """Remove a batch nobody claimed; none when it is claimed or unknown."""
        store = self._held.queue_store()
        batch = await store.cancel_queued_work_batch(self.session_id(), batch_id)
        if batch is not None:
            self._shared.tell_queue("cancelled", batch_id)
        return batch

    async def abandon_queued_work_claim(self, claim: QueuedWorkClaim) -> None:
        """Give a claim back, so that its batches can be claimed at once."""
        await self._held.queue_store().abandon_queued_work_claim(claim)

    async def abandon_turn_input_claim(self, claim: TurnInputClaim) -> None:
        """Give a claim back, so that its inputs can be claimed at once."""
        await self._held.queue_store().abandon_turn_input_claim(claim)

    async def revoke_durable_waits(self) -> None:
        """Cancel every open wait of the session but turn control; later waits work ([WAI.5][], [WAI.6][])."""
        self._held.effect_host.waits.sweep(self.session_id())

    async def await_queued_work_batch(self, batch_id: str) -> None:
        """Until the batch is no longer pending, whoever drained or cancelled it; at once when it is unknown.

        There is no deadline: bound it with `asyncio.timeout`.
        """
        store, pause = self._held.queue_store(), FIRST_LOOK_S
        while True:
            try:
                pending = await store.list_pending_queued_work(self.session_id())
            except LashError as err:
                raise store_failure(err, self.session_id()) from err
            if batch_id not in {batch.batch_id for batch in pending}:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_LOOK_S)


class ObservableSession:
    """A session for observers: reads what was last published, follows what happens."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    @property
    def _seen(self) -> RuntimeObservation:
        return self._shared.runtime.published

    def current_observation(self) -> SessionObservation:
        """The published session and the cursor it stands at."""
        return self._shared.observer().current()

    def resume_from_cursor(self, cursor: SessionCursor | str) -> SessionResume:
        """What happened since a cursor, or the gap.

        Raises:
            ObservationError: the cursor is malformed or another session's.
        """
        return self._shared.observer().resume(cursor)

    def subscribe_from_cursor(self, cursor: SessionCursor | str) -> SessionObservationSubscription:
        """What happened since a cursor, then what happens; raises as `resume_from_cursor`."""
        return self._shared.observer().subscribe(cursor)

    def subscribe_and_recover(
        self, cursor: SessionCursor | str
    ) -> AsyncIterator[SessionObservationEvent | Gap]:
        """As `subscribe_from_cursor`; a gap is told and then left behind."""
        return self._shared.observer().subscribe_and_recover(cursor)

    def session_id(self) -> str:
        """The session's id."""
        return self._seen.session_id

    def policy_snapshot(self) -> SessionPolicy:
        """The policy in force."""
        return self._seen.policy

    def read_view(self) -> SessionReadView:
        """The conversation of the current frame."""
        return self._seen.read_view

    def usage_report(self) -> SessionUsageReport:
        """What the session spent."""
        return self._seen.usage_report

    def tool_state(self) -> ToolState:
        """The tool surface."""
        return self._seen.tool_state

    def active_tool_manifests(self) -> tuple[ToolManifest, ...]:
        """The tools that are members."""
        return self._seen.tool_state.tool_manifests()

    async def list_process_handles(self) -> Sequence[ProcessHandleSummary]:
        """Processes that run; none without a registry."""
        return SessionProcessAdmin(self._shared).list()

    async def list_all_process_handles(self) -> Sequence[ProcessHandleSummary]:
        """Ended ones too."""
        return SessionProcessAdmin(self._shared).list_all()

    def process_scope(self) -> SessionScope:
        """The scope that processes started now belong to."""
        frame = self._seen.persisted_state.current_agent_frame_id
        return SessionScope.for_agent_frame(self.session_id(), frame)
