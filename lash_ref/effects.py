"""The boundary every effect of a turn passes, and hosts that record effects so that a turn can be driven again.

An effect is a model call, a tool attempt, a checkpoint's claims, a wait: whatever would not come out the
same twice. Its outcome is plain JSON. An inline host performs it; a journaling host performs it once, keeps
the outcome before the turn sees it, and answers a re-driven turn from the journal without performing
anything again.
"""

import asyncio
import hashlib
import json
import os
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal, Protocol

from lash_ref.contracts import Clock
from lash_ref.records import DurabilityTier
from lash_ref.retries import Sleep
from lash_ref.runtime_errors import EffectDiverged, RuntimeErrorCode, RuntimeFailure
from lash_ref.scalars import Identifier, Json, Record, Text
from lash_ref.wait_store import WaitStore
from lash_ref.waits import Waits

EffectKind = Literal["turn_start", "llm_call", "tool_attempt", "checkpoint", "wait", "sleep", "exec", "sync"]
Perform = Callable[[], Awaitable[Json]]


class ExecutionScope(Record):
    """What effects belong to: one turn of one session."""

    session_id: Identifier
    turn_id: Identifier

    @property
    def scope_id(self) -> str:
        """The scope as one name."""
        return json.dumps([self.session_id, self.turn_id])

    def required(self) -> "ExecutionScope":
        """The scope itself.

        Raises:
            RuntimeFailure: an id is blank.
        """
        if not self.session_id.strip() or not self.turn_id.strip():
            code = RuntimeErrorCode.MISSING_EXECUTION_SCOPE_ID
            raise RuntimeFailure(code, "an execution scope needs a session id and a turn id")
        return self


class EffectController(Protocol):
    """Runs the effects of one scope."""

    @property
    def scope(self) -> ExecutionScope:
        """The turn whose effects these are."""
        ...

    @property
    def records(self) -> bool:
        """Whether outcomes outlive the turn, so that they must carry all that the effect changed."""
        ...

    async def run(self, kind: EffectKind, effect_id: str, request: Json, perform: Perform) -> Json:
        """The outcome of the effect, performed now or recorded before.

        Raises:
            EffectDiverged: the journal holds another request under that id.
        """
        ...


class EffectHost(Protocol):
    """Gives controllers, and keeps the waits that turns park on."""

    @property
    def waits(self) -> Waits:
        """The host's durable waits."""
        ...

    @property
    def tier(self) -> DurabilityTier:
        """Whether effects and waits survive the process; a durable host runs turns under its own controllers."""
        ...

    def controller(self, scope: ExecutionScope) -> EffectController:
        """The controller of one turn."""
        ...


class InlineController:
    """Performs, and keeps nothing."""

    records = False

    def __init__(self, scope: ExecutionScope) -> None:
        self.scope = scope.required()

    async def run(self, kind: EffectKind, effect_id: str, request: Json, perform: Perform) -> Json:  # noqa: ARG002
        """Perform."""
        return await perform()


class InlineEffectHost:
    """Runs effects where the turn runs; promises live and die with this object."""

    tier: DurabilityTier = "inline"

    def __init__(
        self, secret: bytes | None = None, clock: Clock | None = None, sleep: Sleep = asyncio.sleep
    ) -> None:
        self.waits = Waits(secret or secrets.token_bytes(32), clock=clock, sleep=sleep)

    def controller(self, scope: ExecutionScope) -> EffectController:
        """A controller that performs."""
        return InlineController(scope)


# -- recording and replaying


class JournalEntry(Record):
    """One performed effect."""

    scope_id: Identifier
    effect_id: Identifier
    kind: Text
    request_hash: Text
    outcome: Json


class Journal(Protocol):
    """Where effects are kept; an entry that was acknowledged survives what the journal's medium survives."""

    def find(self, scope_id: str, effect_id: str) -> JournalEntry | None:
        """The entry of that effect."""
        ...

    def append(self, entry: JournalEntry) -> None:
        """Keep an entry."""
        ...


class MemoryJournal:
    """A journal in memory."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], JournalEntry] = {}

    def find(self, scope_id: str, effect_id: str) -> JournalEntry | None:
        return self.entries.get((scope_id, effect_id))

    def append(self, entry: JournalEntry) -> None:
        self.entries[entry.scope_id, entry.effect_id] = entry


class FileJournal(MemoryJournal):
    """A journal in one file, an entry a line, each synced before it is acknowledged.

    A last line that a crash cut short was never acknowledged and is dropped.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        whole = 0
        if path.exists():
            for line in path.read_bytes().splitlines(keepends=True):
                if not line.endswith(b"\n"):
                    break
                super().append(JournalEntry.from_json(line))
                whole += len(line)
        self._file = path.open("ab")
        self._file.truncate(whole)

    def append(self, entry: JournalEntry) -> None:
        self._file.write(entry.to_json().encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        super().append(entry)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class JournalController:
    """Performs what the journal lacks, answers what it holds."""

    records = True

    def __init__(self, scope: ExecutionScope, journal: Journal) -> None:
        self.scope = scope.required()
        self.journal = journal
        self.performed: list[str] = []
        """Ids of the effects performed by this controller."""
        self.replayed: list[str] = []
        """Ids of the effects answered from the journal."""

    async def run(self, kind: EffectKind, effect_id: str, request: Json, perform: Perform) -> Json:
        """The recorded outcome, or the performed one once it is recorded."""
        asked = hashlib.sha256(request.text.encode()).hexdigest()
        held = self.journal.find(self.scope.scope_id, effect_id)
        if held is not None:
            if (held.kind, held.request_hash) != (kind, asked):
                raise EffectDiverged(self.scope.scope_id, effect_id, held.kind, f"{kind} with other content")
            self.replayed.append(effect_id)
            return held.outcome
        outcome = await perform()
        self.journal.append(
            JournalEntry(
                scope_id=self.scope.scope_id,
                effect_id=effect_id,
                kind=kind,
                request_hash=asked,
                outcome=outcome,
            )
        )
        self.performed.append(effect_id)
        return outcome


class JournalEffectHost:
    """A durable effect host: hand its controller to a turn with ``effects(host.controller(scope))``."""

    tier: DurabilityTier = "durable"

    def __init__(
        self,
        journal: Journal,
        secret: bytes,
        waits: WaitStore | None = None,
        clock: Clock | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.journal = journal
        self.waits = Waits(secret, waits, clock=clock, sleep=sleep)

    def controller(self, scope: ExecutionScope) -> JournalController:
        """A controller that records and replays."""
        return JournalController(scope, self.journal)
