"""Durable waits: promises a turn parks on and somebody else resolves, first word wins.

A key names one wait of one session and carries a seal, so that nobody resolves a wait by guessing
or by changing a key. Two identities are reserved for turn control, a turn's cancel gate and its
terminal, and a session's sweep does not touch them.

What survives a crash is the `WaitStore`'s matter: `MemoryWaits` lives with the process, `SqliteWaits` survives it.
"""

import asyncio
import hashlib
import hmac
import json
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final, Literal, Protocol

from pydantic import Field, TypeAdapter

from lash_ref.contracts import Clock
from lash_ref.scalars import Identifier, Json, Record, Text
from lash_ref.store import SystemClock

WaitKind = Literal["tool_completion", "signal", "external", "turn_cancel_gate", "turn_terminal"]
RESERVED: Final = ("turn_cancel_gate", "turn_terminal")

WaitState = Literal["missing", "pending", "resolved", "revoked"]
WaitEvent = Literal["await", "resolve", "deadline", "cancel", "revoke"]
WAIT_TRANSITIONS: Final[dict[tuple[WaitState, WaitEvent], WaitState]] = {
    ("missing", "await"): "pending",
    ("missing", "resolve"): "resolved",
    ("missing", "deadline"): "resolved",
    ("missing", "cancel"): "resolved",
    ("missing", "revoke"): "revoked",
    ("pending", "resolve"): "resolved",
    ("pending", "deadline"): "resolved",
    ("pending", "cancel"): "resolved",
    ("pending", "revoke"): "revoked",
    ("resolved", "revoke"): "revoked",
}
"""The life of a durable wait: (state, event) to the next state; a pair that is not listed changes nothing."""


class AwaitEventKey(Record):
    """The name of one wait, sealed by the host that gave it; send it anywhere."""

    session_id: Identifier
    kind: WaitKind
    wait_id: Identifier
    seal: Text

    def __hash__(self) -> int:
        """The seal's, which stands for the rest."""
        return hash(self.seal)

    def text(self) -> str:
        """The key as one line of text."""
        return self.to_json()


class Resolved(Record):
    """Answered with a value."""

    type: Literal["ok"] = "ok"
    value: Json = Json(None)


class Failed(Record):
    """Answered with an error."""

    type: Literal["err"] = "err"
    message: Text


class TimedOut(Record):
    """The deadline passed."""

    type: Literal["timeout"] = "timeout"


class WaitCancelled(Record):
    """Called off: by its turn, or by a sweep of the session's waits."""

    type: Literal["cancelled"] = "cancelled"


Resolution = Annotated[
    Resolved | Failed | TimedOut | WaitCancelled, Field(discriminator="type")
]
_RESOLUTION: TypeAdapter[Resolution] = TypeAdapter(Resolution)


class Accepted(Record):
    """The resolution is now the wait's."""

    outcome: Literal["accepted"] = "accepted"


_ACCEPTED: Final = Accepted()


class AlreadyResolved(Record):
    """An earlier resolution stands."""

    outcome: Literal["already_resolved"] = "already_resolved"
    resolution: Resolution


class UnknownOrRevoked(Record):
    """The key was not given here, was tampered with, or its session was revoked."""

    outcome: Literal["unknown_or_revoked"] = "unknown_or_revoked"


ResolveOutcome = Annotated[
    Accepted | AlreadyResolved | UnknownOrRevoked, Field(discriminator="outcome")
]


_EVENTS: Final[dict[str, WaitEvent]] = {
    "ok": "resolve", "err": "resolve", "timeout": "deadline", "cancelled": "cancel",
}  # fmt: skip


_Name = tuple[str, WaitKind, str]


def _name(key: AwaitEventKey) -> _Name:
    return key.session_id, key.kind, key.wait_id


def _changes(before: WaitState, event: WaitEvent) -> bool:
    """Whether a store writes anything for the event."""
    return (before, event) in WAIT_TRANSITIONS


class WaitStore(Protocol):
    """Where first words are kept; every method is atomic."""

    def settle(self, key: AwaitEventKey, resolution: Resolution) -> Resolution | None:
        """Keep the first resolution and answer the one that stands; none when the session is revoked."""
        ...

    def look(self, key: AwaitEventKey) -> Resolution | None:
        """The resolution that stands, if any."""
        ...

    def open_wait(self, key: AwaitEventKey) -> bool:
        """Note that somebody waits; false when the session is revoked."""
        ...

    def pending(self, session_id: str) -> tuple[AwaitEventKey, ...]:
        """Waits that somebody opened and nobody resolved."""
        ...

    def revoke(self, session_id: str) -> None:
        """Refuse every wait of the session, for good."""
        ...

    def is_revoked(self, session_id: str) -> bool:
        """Whether the session was revoked."""
        ...


ENDED_TURNS: Final = 1024
"""How many ended turns `MemoryWaits` remembers, of all sessions together."""


class MemoryWaits:
    """Waits that live in this object.

    The gate and the terminal of a turn are kept until ``turns`` later turns have ended, so that a host that
    lives long does not grow. A forgotten turn was committed and never runs again: a late request to cancel it
    is taken down and stops nothing, and who drives it again is told that it was committed.
    """

    def __init__(self, turns: int = ENDED_TURNS) -> None:
        self._turns = turns
        self._settled: dict[_Name, Resolution] = {}
        self._open: dict[_Name, AwaitEventKey] = {}
        self._ended: deque[tuple[str, str]] = deque()
        self._revoked: set[str] = set()

    def _state(self, key: AwaitEventKey) -> WaitState:
        if key.session_id in self._revoked:
            return "revoked"
        if _name(key) in self._settled:
            return "resolved"
        return "pending" if _name(key) in self._open else "missing"

    def settle(self, key: AwaitEventKey, resolution: Resolution) -> Resolution | None:
        if _changes(self._state(key), _EVENTS[resolution.type]):
            self._open.pop(_name(key), None)
            self._settled[_name(key)] = resolution
            if key.kind == "turn_terminal":
                self._ended.append((key.session_id, key.wait_id))
                self._forget()
        return self._settled.get(_name(key))

    def _forget(self) -> None:
        while len(self._ended) > self._turns:
            session_id, turn_id = self._ended.popleft()
            for kind in RESERVED:
                self._settled.pop((session_id, kind, turn_id), None)

    def look(self, key: AwaitEventKey) -> Resolution | None:
        return self._settled.get(_name(key))

    def open_wait(self, key: AwaitEventKey) -> bool:
        if _changes(self._state(key), "await"):
            self._open[_name(key)] = key
        return key.session_id not in self._revoked

    def pending(self, session_id: str) -> tuple[AwaitEventKey, ...]:
        return tuple(key for key in self._open.values() if key.session_id == session_id)

    def revoke(self, session_id: str) -> None:
        self._revoked.add(session_id)
        for table in (self._settled, self._open):
            for name in [name for name in table if name[0] == session_id]:
                del table[name]

    def is_revoked(self, session_id: str) -> bool:
        return session_id in self._revoked


class SqliteWaits:
    """Waits in one SQLite file: a cold process answers them as the one that made them did."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, timeout=30)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS waits (key TEXT PRIMARY KEY, session TEXT NOT NULL, resolution TEXT)"
        )
        self._db.execute("CREATE TABLE IF NOT EXISTS revoked (session TEXT PRIMARY KEY)")

    def settle(self, key: AwaitEventKey, resolution: Resolution) -> Resolution | None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            if _changes(self._state(key), _EVENTS[resolution.type]):
                self._db.execute(
                    "INSERT OR REPLACE INTO waits VALUES (?, ?, ?)",
                    (key.text(), key.session_id, resolution.to_json()),
                )
            return self.look(key)
        finally:
            self._db.execute("COMMIT")

    def _state(self, key: AwaitEventKey) -> WaitState:
        if self.is_revoked(key.session_id):
            return "revoked"
        row = self._db.execute("SELECT resolution FROM waits WHERE key = ?", (key.text(),)).fetchone()
        if row is None:
            return "missing"
        return "pending" if row[0] is None else "resolved"

    def look(self, key: AwaitEventKey) -> Resolution | None:
        row = self._db.execute("SELECT resolution FROM waits WHERE key = ?", (key.text(),)).fetchone()
        return None if row is None or row[0] is None else _RESOLUTION.validate_json(row[0])

    def open_wait(self, key: AwaitEventKey) -> bool:
        state = self._state(key)
        if _changes(state, "await"):
            self._db.execute(
                "INSERT INTO waits VALUES (?, ?, NULL) ON CONFLICT DO NOTHING", (key.text(), key.session_id)
            )
        return state != "revoked"

    def pending(self, session_id: str) -> tuple[AwaitEventKey, ...]:
        found = self._db.execute(
            "SELECT key FROM waits WHERE session = ? AND resolution IS NULL", (session_id,)
        ).fetchall()
        return tuple(AwaitEventKey.from_json(row[0]) for row in found)

    def revoke(self, session_id: str) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("INSERT INTO revoked VALUES (?) ON CONFLICT DO NOTHING", (session_id,))
        self._db.execute("DELETE FROM waits WHERE session = ?", (session_id,))
        self._db.execute("COMMIT")

    def is_revoked(self, session_id: str) -> bool:
        found = self._db.execute("SELECT 1 FROM revoked WHERE session = ?", (session_id,)).fetchone()
        return found is not None

    async def close(self) -> None:
        """Close the file; what was settled stays."""
        self._db.close()


class Waits:
    """A host's waits: gives keys, parks waiters, takes resolutions."""

    def __init__(
        self,
        secret: bytes,
        store: WaitStore | None = None,
        poll_s: float = 0.05,
        clock: Clock | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.store: WaitStore = store or MemoryWaits()
        self._secret = hashlib.blake2b(secret).digest()
        self._poll_s = poll_s
        self._clock: Clock = clock or SystemClock()
        self._sleep = sleep
        self._wakers: dict[AwaitEventKey, set[Callable[[], None]]] = {}

    def key(self, session_id: str, kind: WaitKind, wait_id: str) -> AwaitEventKey:
        """The key of a wait, the same whenever it is asked for."""
        return AwaitEventKey(
            session_id=session_id, kind=kind, wait_id=wait_id, seal=self._seal(session_id, kind, wait_id)
        )

    def _seal(self, session_id: str, kind: str, wait_id: str) -> str:
        return _sealed(self._secret, session_id, kind, wait_id)

    def _is_ours(self, key: AwaitEventKey) -> bool:
        return hmac.compare_digest(
            self._seal(key.session_id, key.kind, key.wait_id).encode(), key.seal.encode()
        )

    def resolve(self, key: AwaitEventKey, resolution: Resolution) -> ResolveOutcome:
        """Answer a wait, before or after somebody waits on it."""
        if not self._is_ours(key) or self.store.is_revoked(key.session_id):
            return UnknownOrRevoked()
        before = self.store.look(key)
        stands = self.store.settle(key, resolution)
        if stands is None:
            return UnknownOrRevoked()
        self._wake(key)
        if before is not None or (stands is not resolution and stands != resolution):
            return AlreadyResolved(resolution=stands)
        return _ACCEPTED

    async def wait(
        self,
        key: AwaitEventKey,
        *,
        cancelled: asyncio.Event | None = None,
        deadline_s: float | None = None,
    ) -> Resolution | UnknownOrRevoked:
        """Wait until the key is resolved, ``cancelled`` is set or ``deadline_s`` seconds passed."""
        if not self._is_ours(key):
            return UnknownOrRevoked()
        ends = None if deadline_s is None else self._clock.now_ms() + int(deadline_s * 1000)
        waker = asyncio.Event()
        with self._woken(key, waker.set):
            while True:
                if not self.store.open_wait(key):
                    return UnknownOrRevoked()
                if (stands := self.store.look(key)) is not None:
                    return stands
                if cancelled is not None and cancelled.is_set():
                    return self.store.settle(key, WaitCancelled()) or UnknownOrRevoked()
                if ends is not None and self._clock.now_ms() >= ends:
                    return self.store.settle(key, TimedOut()) or UnknownOrRevoked()
                waker.clear()
                await self._until(waker, cancelled, ends)

    @contextmanager
    def watched(self, key: AwaitEventKey, look: Callable[[], None]) -> Generator[None]:
        """Call ``look`` whenever the key may have been resolved or revoked, for as long as the block runs."""
        polling = None if isinstance(self.store, MemoryWaits) else asyncio.create_task(self._poll(look))
        try:
            with self._woken(key, look):
                yield
        finally:
            if polling is not None:
                polling.cancel()

    async def _poll(self, look: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(self._poll_s)
            look()

    @contextmanager
    def _woken(self, key: AwaitEventKey, wake: Callable[[], None]) -> Generator[None]:
        self._wakers.setdefault(key, set()).add(wake)
        try:
            yield
        finally:
            self._wakers[key].discard(wake)
            if not self._wakers[key]:
                del self._wakers[key]

    async def _until(
        self, waker: asyncio.Event, cancelled: asyncio.Event | None, ends: int | None
    ) -> None:
        """Until woken, cancelled, due, or time to look at what another process wrote and at a clock that was set."""
        patience = None if isinstance(self.store, MemoryWaits) and ends is None else self._poll_s
        if patience is None and cancelled is None:
            await waker.wait()
            return
        waits = [asyncio.ensure_future(waker.wait())]
        if cancelled is not None:
            waits.append(asyncio.ensure_future(cancelled.wait()))
        if ends is not None:
            left_s = max(0, ends - self._clock.now_ms()) / 1000
            waits.append(asyncio.ensure_future(self._slept(left_s)))
        try:
            await asyncio.wait(waits, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _slept(self, seconds: float) -> Literal[True]:
        await self._sleep(seconds)
        return True

    def sweep(self, session_id: str) -> int:
        """Cancel every open wait of the session but turn control; later waits work."""
        swept = [key for key in self.store.pending(session_id) if key.kind not in RESERVED]
        for key in swept:
            self.store.settle(key, WaitCancelled())
            self._wake(key)
        return len(swept)

    def revoke(self, session_id: str) -> None:
        """Refuse every wait of the session from now on, for good."""
        self.store.revoke(session_id)
        for key in [key for key in self._wakers if key.session_id == session_id]:
            self._wake(key)

    def _wake(self, key: AwaitEventKey) -> None:
        for wake in self._wakers.get(key, ()):
            wake()


@lru_cache(64)  # a turn asks for its own seals several times
def _sealed(secret: bytes, session_id: str, kind: str, wait_id: str) -> str:
    named = json.dumps([session_id, kind, wait_id]).encode()
    return hashlib.blake2b(named, key=secret, digest_size=32).hexdigest()
