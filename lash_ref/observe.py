"""Watching a session from outside: cursors, the live replay store, gaps, and subscriptions that recover.

A cursor is ``lashsc1:<revision>:<position>:<session_id>``: the head's revision, the number of the last event
seen, and the session, whose id may hold colons. Hosts treat it as opaque. Events live in memory,
bounded in number and age; what has gone is told as a gap, never skipped in silence.
"""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Annotated, Literal, NamedTuple, Protocol

from pydantic import Field

from lash_ref.activity import TurnActivity
from lash_ref.contracts import Clock
from lash_ref.runtime_errors import ObservationError
from lash_ref.scalars import MAX_INT, U64, Identifier, Json, Record

_CURSOR = re.compile(r"lashsc1:([0-9]{1,19}):([0-9]{1,19}):(.+)", re.DOTALL)


class SessionCursor(Record):
    """A place in a session's stream of events."""

    revision: U64
    position: U64
    session_id: Identifier

    def text(self) -> str:
        """The cursor as hosts keep it."""
        return f"lashsc1:{self.revision}:{self.position}:{self.session_id}"

    @classmethod
    def parse(cls, text: str) -> "SessionCursor":
        """Read a cursor.

        Raises:
            ObservationError: the text is none.
        """
        found = _CURSOR.fullmatch(text)
        if found is None or max(int(found[1]), int(found[2])) > MAX_INT:
            raise ObservationError(text, "not of the form lashsc1:<revision>:<position>:<session id>")
        return cls(revision=int(found[1]), position=int(found[2]), session_id=found[3])


# -- payloads


class TurnActivityPayload(Record):
    type: Literal["turn_activity"] = "turn_activity"
    activity: TurnActivity


class CommittedPayload(Record):
    type: Literal["committed"] = "committed"
    read_view: Json


class AgentFrameSwitchedPayload(Record):
    type: Literal["agent_frame_switched"] = "agent_frame_switched"
    frame_id: Identifier


class QueueChangedPayload(Record):
    type: Literal["queue_changed"] = "queue_changed"
    change: Literal["enqueued", "cancelled"]
    ids: tuple[Identifier, ...] = ()


class ProcessChangedPayload(Record):
    type: Literal["process_changed"] = "process_changed"
    change: Literal["started", "cancelled"]
    ids: tuple[Identifier, ...] = ()


ObservationPayload = Annotated[
    TurnActivityPayload
    | CommittedPayload
    | AgentFrameSwitchedPayload
    | QueueChangedPayload
    | ProcessChangedPayload,
    Field(discriminator="type"),
]


class SessionObservationEvent(Record):
    """One event and the cursor that stands right behind it."""

    cursor: SessionCursor
    payload: ObservationPayload


GapReason = Literal["unavailable", "trimmed"]


class Gap(Record):
    """Events between the cursor asked for and the oldest kept are gone, or never were."""

    session_id: Identifier
    requested_cursor: SessionCursor
    latest_cursor: SessionCursor
    latest_revision: U64
    reason: GapReason


# -- the replay store


class _Kept(NamedTuple):
    """What an event is made of, when somebody asks for it."""

    at_ms: int
    position: int
    revision: int
    payload: ObservationPayload

    def event(self, session_id: str) -> SessionObservationEvent:
        cursor = SessionCursor(revision=self.revision, position=self.position, session_id=session_id)
        return SessionObservationEvent(cursor=cursor, payload=self.payload)


@dataclass
class _Stream:
    events: deque[_Kept] = field(default_factory=deque[_Kept])
    tail: int = 0
    awaited: asyncio.Event | None = None
    """Set at the next event, once somebody waits for it."""


@dataclass
class LiveReplayStore:
    """The latest events of every session of a core, in memory."""

    clock: Clock
    capacity: int = 2048
    """Events kept a session."""
    ttl_ms: int = 120_000
    _streams: dict[str, _Stream] = field(default_factory=dict[str, _Stream])

    def append(self, session_id: str, revision: int, payload: ObservationPayload) -> None:
        """Keep an event and wake its subscribers."""
        stream = self._stream(session_id)
        stream.tail += 1
        now = self.clock.now_ms()
        stream.events.append(_Kept(now, stream.tail, revision, payload))
        self._trim(stream, now)
        if stream.awaited is not None:
            stream.awaited.set()
            stream.awaited = None

    def tail(self, session_id: str) -> int:
        """The number of the newest event, 0 before the first."""
        stream = self._streams.get(session_id)
        return stream.tail if stream is not None else 0

    def replay(self, cursor: SessionCursor) -> list[SessionObservationEvent] | GapReason:
        """Every kept event behind the cursor, or why it cannot be told."""
        stream = self._streams.get(cursor.session_id)
        if stream is None:
            return [] if cursor.position == 0 else "unavailable"
        self._trim(stream, self.clock.now_ms())
        if cursor.position > stream.tail:
            return "unavailable"
        oldest = stream.events[0].position if stream.events else stream.tail + 1
        if cursor.position + 1 < oldest:
            return "trimmed"
        return [kept.event(cursor.session_id) for kept in stream.events if kept.position > cursor.position]

    def changed(self, session_id: str) -> asyncio.Event:
        """Set at the session's next event."""
        stream = self._stream(session_id)
        stream.awaited = stream.awaited or asyncio.Event()
        return stream.awaited

    def forget(self, session_id: str) -> None:
        """Drop a deleted session's events; its numbers go on."""
        if (stream := self._streams.get(session_id)) is not None:
            stream.events.clear()

    def _stream(self, session_id: str) -> _Stream:
        if session_id not in self._streams:
            self._streams[session_id] = _Stream()
        return self._streams[session_id]

    def _trim(self, stream: _Stream, now_ms: int) -> None:
        oldest = now_ms - self.ttl_ms
        while stream.events and (len(stream.events) > self.capacity or stream.events[0].at_ms < oldest):
            stream.events.popleft()


# -- observing one session


class Observed(Protocol):
    """What an observer asks a session for; never waits for a turn."""

    def current_cursor(self) -> SessionCursor:
        """The cursor of the newest published observation."""
        ...

    def current_view(self) -> Json:
        """The newest committed read view."""
        ...


class SessionObservation(Record):
    """What a session looked like at a cursor."""

    cursor: SessionCursor
    read_view: Json


class SessionResume(Record):
    """What happened since a cursor: the events, or a gap with a fresh observation."""

    events: tuple[SessionObservationEvent, ...] = ()
    gap: Gap | None = None
    observation: SessionObservation | None = None
    """Given with a gap; its cursor is the gap's latest cursor."""


@dataclass
class SessionObservationSubscription:
    """Buffered events, then live ones; ends with a gap when it falls behind what is kept."""

    store: LiveReplayStore
    cursor: SessionCursor
    gap_of: Callable[[SessionCursor, GapReason], Gap]

    def __aiter__(self) -> AsyncIterator[SessionObservationEvent | Gap]:
        return self._events()

    async def _events(self) -> AsyncIterator[SessionObservationEvent | Gap]:
        while True:
            waits = self.store.changed(self.cursor.session_id)
            found = self.store.replay(self.cursor)
            if isinstance(found, str):
                yield self.gap_of(self.cursor, found)
                return
            for event in found:
                self.cursor = event.cursor
                yield event
            if not found:
                await waits.wait()


@dataclass(frozen=True)
class Observer:
    """Resumes and subscribes to one session."""

    session_id: str
    store: LiveReplayStore
    session: Observed

    def current(self) -> SessionObservation:
        """The newest published observation."""
        return SessionObservation(cursor=self.session.current_cursor(), read_view=self.session.current_view())

    def cursor(self, given: SessionCursor | str) -> SessionCursor:
        """The cursor, if it is one of this session's."""
        cursor = SessionCursor.parse(given) if isinstance(given, str) else given
        if cursor.session_id != self.session_id:
            raise ObservationError(cursor.text(), f"it is of another session than {self.session_id!r}")
        return cursor

    def resume(self, given: SessionCursor | str) -> SessionResume:
        """What happened since the cursor."""
        cursor = self.cursor(given)
        found = self.store.replay(cursor)
        if isinstance(found, str):
            return SessionResume(gap=self.gap(cursor, found), observation=self.current())
        return SessionResume(events=tuple(found))

    def subscribe(self, given: SessionCursor | str) -> SessionObservationSubscription:
        """Events since the cursor, then live ones; a cursor that is gone yields its gap at once."""
        return SessionObservationSubscription(self.store, self.cursor(given), self.gap)

    async def subscribe_and_recover(
        self, given: SessionCursor | str
    ) -> AsyncIterator[SessionObservationEvent | Gap]:
        """As `subscribe`, but a gap is told and then left behind."""
        cursor = self.cursor(given)
        while True:
            async for seen in self.subscribe(cursor):
                cursor = seen.latest_cursor if isinstance(seen, Gap) else seen.cursor
                yield seen

    def gap(self, cursor: SessionCursor, reason: GapReason) -> Gap:
        """The gap between a cursor and now."""
        latest = self.session.current_cursor()
        return Gap(
            session_id=self.session_id,
            requested_cursor=cursor,
            latest_cursor=latest,
            latest_revision=latest.revision,
            reason=reason,
        )
