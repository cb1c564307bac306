"""What all handles of one opened session share, and who holds it."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol
from weakref import WeakSet

from lash_ref.cancel import TurnCancelRegistry
from lash_ref.contracts import RuntimePersistence
from lash_ref.effects import EffectHost
from lash_ref.inputs import PendingTurnInput
from lash_ref.observe import Observer, QueueChangedPayload, SessionCursor
from lash_ref.policy import ModeId
from lash_ref.runtime import LashRuntime
from lash_ref.runtime_errors import RuntimeErrorCode, RuntimeFailure, SessionConsumed, SessionStillInUse
from lash_ref.scalars import Json
from lash_ref.triggers import TriggerRouter

SessionPhase = Literal["open", "in use", "closed", "parked"]
SessionEvent = Literal["use", "let go", "close", "park"]
SESSION_TRANSITIONS: Final[dict[tuple[SessionPhase, SessionEvent], SessionPhase]] = {
    ("open", "use"): "in use",
    ("in use", "let go"): "open",
    ("open", "close"): "closed",
    ("open", "park"): "parked",
}
"""The life of an opened session; a pair that is not listed is refused.

A turn that runs or waits uses it, and so does a second handle.
"""


class QueuedWorkDriver(Protocol):
    """Drains sessions' queues; told when a session has something for its next turn."""

    async def poke(self, session_id: str) -> None:
        """Something waits for the session's next turn."""
        ...


@dataclass(frozen=True)
class ActivePluginBinding:
    """A plugin bound to one session, and whether its turns must carry an input for it."""

    id: str
    requires_turn_input: bool = False


@dataclass(eq=False)
class Shared:
    """One opened session."""

    runtime: LashRuntime
    effect_host: EffectHost
    mode: ModeId
    parent_session_id: str | None = None
    active_plugins: tuple[ActivePluginBinding, ...] = ()
    queued_work_driver: QueuedWorkDriver | None = None
    triggers: TriggerRouter | None = None
    cancels: TurnCancelRegistry = field(default_factory=TurnCancelRegistry)
    handles: "WeakSet[Any]" = field(default_factory=WeakSet[Any])
    phase: SessionPhase = "open"

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self.runtime.session_id

    def require_live(self) -> LashRuntime:
        """The runtime.

        Raises:
            SessionConsumed: the session was closed or parked.
        """
        if self.phase in {"closed", "parked"}:
            raise SessionConsumed(self.session_id)
        return self.runtime

    def require_sole(self, event: Literal["close", "park"]) -> LashRuntime:
        """The runtime, if one handle is all that holds it.

        Raises:
            SessionStillInUse: a clone is alive, or a turn runs or waits ([SES.30][], [SES.31][]).
        """
        runtime = self.require_live()
        used = not self.cancels.is_idle or runtime.writer.locked() or len(self.handles) > 1
        phase = SESSION_TRANSITIONS[self.phase, "use"] if used else self.phase
        if (phase, event) not in SESSION_TRANSITIONS:
            raise SessionStillInUse(self.session_id)
        return runtime

    @contextmanager
    def ending(self, event: Literal["close", "park"]) -> Generator[LashRuntime]:
        """End the session with the block: no handle is good for a change from its start, all are again if it fails.

        Raises:
            SessionStillInUse: as `require_sole`.
        """
        runtime = self.require_sole(event)
        before, held = self.phase, list(self.handles)
        self.phase = SESSION_TRANSITIONS[self.phase, event]
        self.handles.clear()
        try:
            yield runtime
        except BaseException:
            self.phase = before
            self.handles.update(held)
            raise

    def queue_store(self) -> RuntimePersistence:
        """The store that holds the queue.

        Raises:
            RuntimeFailure: there is none ([SES.70][]).
        """
        store = self.require_live().services.store
        if store is None:
            code = RuntimeErrorCode.STORE_COMMIT_FAILED
            raise RuntimeFailure(code, "the queue needs a session with a store")
        return store

    # -- observation

    def current_cursor(self) -> SessionCursor:
        """The cursor of what was last published."""
        return SessionCursor(
            revision=self.runtime.published.revision,
            position=self.runtime.live_replay.tail(self.session_id),
            session_id=self.session_id,
        )

    def current_view(self) -> Json:
        """The read view that was last published."""
        return Json(self.runtime.published.read_view.to_data())

    def observer(self) -> Observer:
        """Resumes and subscribes to this session."""
        return Observer(self.session_id, self.runtime.live_replay, self)

    def tell_queue(self, change: str, *ids: str) -> None:
        """Publish a change of the queue."""
        self.runtime.record(QueueChangedPayload.from_data({"change": change, "ids": ids}))

    async def enqueued(self, made: PendingTurnInput) -> None:
        """Publish an enqueued input, and drive the queue if it is for the next turn."""
        for_next = made.ingress.scope == "next_turn"
        self.tell_queue("enqueued", *([made.input_id] if for_next else []))
        if for_next and self.queued_work_driver is not None:
            await self.queued_work_driver.poke(self.session_id)


@dataclass(frozen=True)
class Facet:
    """One side of an opened session, as its handles hand it out."""

    shared: Shared

    @property
    def runtime(self) -> LashRuntime:
        """The live session."""
        return self.shared.require_live()
