"""Processes: work that outlives a turn, known by name, awaited, signalled and cancelled by id.

A registry runs handlers that its host registered by kind; a row a process says what became of it. Rows live
where the `ProcessStore` keeps them: a durable one answers for ended processes after a restart, and marks
those that ran when their host died as failed. Deleting a session cancels none of its processes ([PRC.5][]).
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from lash_ref.contracts import Clock
from lash_ref.records import DurabilityTier
from lash_ref.runtime_errors import ProcessError
from lash_ref.scalars import U64, Identifier, Json, Record, Text
from lash_ref.segment import Mint
from lash_ref.store import SystemClock, random_mint

ProcessState = Literal["running", "completed", "failed", "cancelled"]


class SessionScope(Record):
    """What a process belongs to: a session, or one frame of it."""

    session_id: Identifier
    agent_frame_id: Identifier | None = None

    @classmethod
    def for_agent_frame(cls, session_id: str, agent_frame_id: str) -> "SessionScope":
        """The scope of one frame."""
        return cls(session_id=session_id, agent_frame_id=agent_frame_id or None)


class ProcessHandleSummary(Record):
    """One process as its session lists it."""

    process_id: Identifier
    kind: Text
    scope: SessionScope | None = None
    """None once its session was deleted."""
    state: ProcessState
    started_at_ms: U64
    ended_at_ms: U64 | None = None
    label: Text | None = None
    output: Json | None = None
    error: Text | None = None


class ProcessStore(Protocol):
    """Where process rows are kept."""

    @property
    def tier(self) -> DurabilityTier:
        """Whether rows survive the process."""
        ...

    def put(self, row: ProcessHandleSummary) -> None:
        """Write a row; atomic."""
        ...

    def rows(self) -> list[ProcessHandleSummary]:
        """Every row, oldest first."""
        ...


class MemoryProcesses:
    """Rows that live in this object."""

    tier: DurabilityTier = "inline"

    def __init__(self) -> None:
        self._rows: dict[str, ProcessHandleSummary] = {}

    def put(self, row: ProcessHandleSummary) -> None:
        self._rows[row.process_id] = row

    def rows(self) -> list[ProcessHandleSummary]:
        return list(self._rows.values())


class SqliteProcesses:
    """Rows in one SQLite file."""

    tier: DurabilityTier = "durable"

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, timeout=30)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("CREATE TABLE IF NOT EXISTS processes (id TEXT PRIMARY KEY, row TEXT NOT NULL)")

    def put(self, row: ProcessHandleSummary) -> None:
        self._db.execute(
            "INSERT INTO processes VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET row = excluded.row",
            (row.process_id, row.to_json()),
        )

    def rows(self) -> list[ProcessHandleSummary]:
        found = self._db.execute("SELECT row FROM processes ORDER BY rowid").fetchall()
        return [ProcessHandleSummary.from_json(row[0]) for row in found]

    def close(self) -> None:
        """Close the file."""
        self._db.close()


@dataclass
class ProcessContext:
    """What a running process may use."""

    process_id: str
    scope: SessionScope
    arguments: Json
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    signals: asyncio.Queue[Json] = field(default_factory=asyncio.Queue[Json])

    async def signal(self) -> Json:
        """The next signal."""
        return await self.signals.get()


ProcessHandler = Callable[[ProcessContext], Awaitable[object]]
"""Runs a process; what it returns, as JSON, is the output."""


class ProcessRegistry:
    """The processes of a core."""

    def __init__(
        self,
        store: ProcessStore | None = None,
        clock: Clock | None = None,
        mint: Mint = random_mint,
        concurrency: int = 8,
    ) -> None:
        self.store: ProcessStore = store or MemoryProcesses()
        self._clock: Clock = clock or SystemClock()
        self._mint = mint
        self._slots = asyncio.Semaphore(concurrency)
        self._handlers: dict[str, ProcessHandler] = {}
        self._rows = {row.process_id: row for row in self.store.rows()}
        self._running: dict[str, tuple[ProcessContext, asyncio.Task[None]]] = {}
        self._ended: dict[str, asyncio.Event] = {}
        for row in list(self._rows.values()):
            if row.state == "running":
                self._put(row.but(state="failed", error="its host died", ended_at_ms=self._clock.now_ms()))

    @property
    def tier(self) -> DurabilityTier:
        """Whether rows survive the process."""
        return self.store.tier

    def limit(self, concurrency: int) -> None:
        """Run at most that many of the processes that are started from now on at once ([PRC.10][])."""
        self._slots = asyncio.Semaphore(concurrency)

    def handle(self, kind: str, handler: ProcessHandler) -> None:
        """Register what runs processes of a kind."""
        self._handlers[kind] = handler

    def start(
        self,
        kind: str,
        scope: SessionScope,
        arguments: Json,
        *,
        process_id: str | None = None,
        label: str | None = None,
    ) -> ProcessHandleSummary:
        """Start a process; one whose id is known already is answered, not started again ([TRG.2][]).

        Raises:
            ProcessError: nothing runs that kind.
        """
        if process_id is not None and process_id in self._rows:
            return self._rows[process_id]
        handler = self._handlers.get(kind)
        if handler is None:
            raise ProcessError(kind, f"no such kind of process; known are {', '.join(self._handlers)}")
        row = ProcessHandleSummary(
            process_id=process_id or self._mint("process"),
            kind=kind,
            scope=scope,
            state="running",
            started_at_ms=self._clock.now_ms(),
            label=label,
        )
        self._put(row)
        self._ended[row.process_id] = asyncio.Event()
        context = ProcessContext(row.process_id, scope, arguments)
        task = asyncio.ensure_future(self._run(handler, context))
        self._running[row.process_id] = (context, task)
        return row

    async def _run(self, handler: ProcessHandler, context: ProcessContext) -> None:
        ended: dict[str, Any]
        try:
            async with self._slots:
                output = Json.of(await handler(context))
            ended = {"state": "cancelled" if context.cancelled.is_set() else "completed", "output": output}
        except asyncio.CancelledError:
            ended = {"state": "cancelled"}
        except Exception as err:
            state = "cancelled" if context.cancelled.is_set() else "failed"
            ended = {"state": state, "error": f"{type(err).__name__}: {err}"}
        # Read now: its session may have been deleted since it began.
        row = self._rows[context.process_id]
        self._put(row.but(ended_at_ms=self._clock.now_ms(), **ended))
        self._running.pop(context.process_id, None)
        self._ended[context.process_id].set()

    def _put(self, row: ProcessHandleSummary) -> None:
        self.store.put(row)
        self._rows[row.process_id] = row

    def get(self, process_id: str) -> ProcessHandleSummary:
        """A process by id.

        Raises:
            ProcessError: there is none.
        """
        if process_id not in self._rows:
            raise ProcessError(process_id, "no such process")
        return self._rows[process_id]

    def of_session(self, session_id: str) -> tuple[ProcessHandleSummary, ...]:
        """Every process of a session, oldest first ([PRC.1][])."""
        return tuple(row for row in self._rows.values() if row.scope and row.scope.session_id == session_id)

    async def await_output(self, process_id: str) -> ProcessHandleSummary:
        """The process once it has ended, also long after ([PRC.2][])."""
        row = self.get(process_id)
        if row.state == "running":
            await self._ended[process_id].wait()
        return self.get(process_id)

    def signal(self, process_id: str, signal: Json) -> None:
        """Hand a running process a signal ([PRC.4][]).

        Raises:
            ProcessError: it does not run.
        """
        self.get(process_id)
        if process_id not in self._running:
            raise ProcessError(process_id, "it does not run any more")
        self._running[process_id][0].signals.put_nowait(signal)

    async def cancel(self, process_id: str, grace_s: float = 0.5) -> ProcessHandleSummary:
        """Ask a process to end; one that does not is stopped; one that has ended stays as it is ([PRC.3][])."""
        self.get(process_id)
        if (running := self._running.get(process_id)) is not None:
            context, task = running
            context.cancelled.set()
            await asyncio.wait({task}, timeout=grace_s)
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        return self.get(process_id)

    def release_session(self, session_id: str) -> tuple[str, ...]:
        """Forget which session's the processes are; ids of those that still run ([PRC.5][], [PRC.11][])."""
        released = self.of_session(session_id)
        for row in released:
            self._put(row.but(scope=None))
        return tuple(row.process_id for row in released if row.process_id in self._running)

    async def close(self) -> None:
        """Stop everything that runs."""
        tasks = [task for _, task in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


