"""Where durable waits are kept: their keys, the words that resolve them, the table of their life, and two stores.

A key carries a seal, so that nobody resolves a wait by guessing or by changing a key. Two identities are reserved for
turn control, a turn's cancel gate and its terminal, and a session's sweep does not touch them.

What survives a crash is the store's matter: `MemoryWaits` lives with the process, `SqliteWaits` survives it.
"""

import sqlite3
from collections import deque
from pathlib import Path
from typing import Annotated, Final, Literal, Protocol

from pydantic import Field, TypeAdapter

from lash_ref.scalars import Identifier, Json, Record, Text

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


WaitName = tuple[str, WaitKind, str]
"""A key without its seal: session, kind and id."""


class AwaitEventKey(Record):
    """The name of one wait, sealed by the host that gave it; send it anywhere."""

    session_id: Identifier
    kind: WaitKind
    wait_id: Identifier
    seal: Text

    def __hash__(self) -> int:
        """The seal's, which stands for the rest."""
        return hash(self.seal)

    @property
    def name(self) -> WaitName:
        """What the key names."""
        return self.session_id, self.kind, self.wait_id

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


_EVENTS: Final[dict[str, WaitEvent]] = {
    "ok": "resolve", "err": "resolve", "timeout": "deadline", "cancelled": "cancel",
}  # fmt: skip


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
        self._settled: dict[WaitName, Resolution] = {}
        self._open: dict[WaitName, AwaitEventKey] = {}
        self._ended: deque[tuple[str, str]] = deque()
        self._revoked: set[str] = set()

    def _state(self, key: AwaitEventKey) -> WaitState:
        if key.session_id in self._revoked:
            return "revoked"
        if key.name in self._settled:
            return "resolved"
        return "pending" if key.name in self._open else "missing"

    def settle(self, key: AwaitEventKey, resolution: Resolution) -> Resolution | None:
        if _changes(self._state(key), _EVENTS[resolution.type]):
            self._open.pop(key.name, None)
            self._settled[key.name] = resolution
            if key.kind == "turn_terminal":
                self._ended.append((key.session_id, key.wait_id))
                self._forget()
        return self._settled.get(key.name)

    def _forget(self) -> None:
        while len(self._ended) > self._turns:
            session_id, turn_id = self._ended.popleft()
            for kind in RESERVED:
                self._settled.pop((session_id, kind, turn_id), None)

    def look(self, key: AwaitEventKey) -> Resolution | None:
        return self._settled.get(key.name)

    def open_wait(self, key: AwaitEventKey) -> bool:
        if _changes(self._state(key), "await"):
            self._open[key.name] = key
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
