"""The bench a check works at: an opened place, a clock, and the means to reopen, race and damage it."""

import asyncio
import hashlib
import itertools
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from lash_conformance import room
from lash_conformance.exchange import Line, Spoken
from lash_conformance.target import (
    Backend,
    Damage,
    Damaging,
    Keeping,
    Place,
    Processes,
    StoreTarget,
    VirtualClock,
)
from lash_conformance.traced import Trace, Traced
from lash_ref.contracts import AttachmentStore, Clock, RuntimePersistence, SessionStoreFactory
from lash_ref.lease import (
    Acquired,
    LeaseOwnerIdentity,
    SessionExecutionLease,
    SessionExecutionLeaseCompletion,
    SessionExecutionLeaseFence,
)
from lash_ref.records import ModelLimits, ModelSpec, SessionPolicy, SessionStoreCreateRequest

TICK_MS = 50
"""How coarse a real clock of a store may be."""
VIRTUAL_TTL_MS = 30_000
REAL_TTL_MS = 250
"""Long enough for a loaded machine to do a handful of calls, short enough to wait for."""


class RealClock:
    """Wall-clock time, for targets whose clock the judge cannot set."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return time.time_ns() // 1_000_000


class Minting:
    """Unique text that is the same from run to run."""

    def __init__(self, life: str = "") -> None:
        self._numbers = itertools.count(1)
        self._life = life
        """Tells apart what two processes mint for one place."""

    def __call__(self, kind: str) -> str:
        return f"{kind}-{self._life}{next(self._numbers)}"


def request(session_id: str = "s1", **changes: Any) -> SessionStoreCreateRequest:
    """A request for a root session's store, with ``changes``."""
    policy = SessionPolicy(
        provider_id="prov", model=ModelSpec(id="m-1", limits=ModelLimits(context_window_tokens=8000))
    )
    return SessionStoreCreateRequest(session_id=session_id, policy=policy).but(**changes)


def owner(name: str = "a", incarnation: str = "1", **changes: Any) -> LeaseOwnerIdentity:
    """An opaque lease owner."""
    return LeaseOwnerIdentity(owner_id=name, incarnation_id=incarnation).but(**changes)


class Lane:
    """A live lease on one session of one store."""

    def __init__(self, bench: "Bench", store: RuntimePersistence, lease: SessionExecutionLease, ttl: int) -> None:
        self.bench = bench
        self.store = store
        self.lease = lease
        self.ttl = ttl

    @property
    def fence(self) -> SessionExecutionLeaseFence:
        """What proves the holder's authority."""
        return self.lease.fence()

    @property
    def completion(self) -> SessionExecutionLeaseCompletion:
        """What gives the lease back."""
        return self.lease.completion()

    @property
    def owner(self) -> LeaseOwnerIdentity:
        """The holder."""
        return self.lease.owner

    @property
    def session_id(self) -> str:
        """The session whose lane this is."""
        return self.lease.session_id

    def revision(self, session_id: str) -> int:
        """The session's head as far as this bench has seen: what a host builds its next commit on."""
        return self.bench.trace.revisions.get(session_id, 0)

    async def release(self) -> None:
        """Give the lane back."""
        await self.store.release_session_execution_lease(self.completion)

    async def hand_over(self, to: LeaseOwnerIdentity | None = None) -> "Lane":
        """Release, and let another owner (by default "b") claim: this lane is now theirs."""
        await self.release()
        taken = await self.bench.lane(self.store, self.session_id, to or owner("b"))
        self.lease = taken.lease
        return self

    async def expire(self) -> None:
        """Let the lease's time run out."""
        await self.bench.pass_time(self.ttl + 1)


class Bench:
    """One check's bench."""

    def __init__(self, target: StoreTarget, directory: Path, *, given: str = "", life: str = "") -> None:
        self.target = target
        self.given = given
        """How the command line names the target, for checks that start it again in a process of its own."""
        self.trace = Trace()
        self.crash_map: list[dict[str, Any]] = []
        """What the crash drill did for this check, one line a blow."""
        self.processes = Processes()
        self.virtual = "clock" in target.capabilities
        self.clock: Clock = VirtualClock() if self.virtual else RealClock()
        self.place = Place(
            directory=directory, clock=self.clock, processes=self.processes, mint=Minting(life)
        )
        self._open: list[Backend] = []
        self._line: Line | None = None

    @property
    def ttl(self) -> int:
        """A lease time in ms that a check can afford to let run out."""
        return VIRTUAL_TTL_MS if self.virtual else REAL_TTL_MS

    async def pass_time(self, ms: int) -> None:
        """Let ``ms`` milliseconds go by: at once on a virtual clock, really otherwise."""
        self.trace.note("clock", "advance", ms=ms)
        if isinstance(self.clock, VirtualClock):
            self.clock.advance(ms)
        else:
            await asyncio.sleep((ms + TICK_MS) / 1000)

    @property
    def factory(self) -> SessionStoreFactory:
        """The factory of the place, as first opened."""
        return self._traced_factory(self._open[0])

    @property
    def attachments(self) -> AttachmentStore:
        """The attachment bytes of the place, as first opened."""
        return self._traced_bytes(self._open[0])

    def _traced_factory(self, backend: Backend) -> SessionStoreFactory:
        return cast("SessionStoreFactory", Traced(backend.sessions, "factory", self.trace))

    def _traced_bytes(self, backend: Backend) -> AttachmentStore:
        return cast("AttachmentStore", Traced(backend.attachments, "attachments", self.trace))

    async def session(
        self, session_id: str = "s1", *, on: SessionStoreFactory | None = None, **changes: Any
    ) -> RuntimePersistence:
        """The store of a session, created when it is new."""
        return await (on or self.factory).create_store(request(session_id, **changes))

    async def lane(
        self,
        store: RuntimePersistence,
        session_id: str = "s1",
        by: LeaseOwnerIdentity | None = None,
        ttl: int | None = None,
    ) -> Lane:
        """A live lease on ``session_id``; the check fails if the lane is busy."""
        asked = ttl or (self.ttl if self.virtual else 60_000)
        outcome = await store.try_claim_session_execution_lease(session_id, by or owner(), asked)
        assert isinstance(outcome, Acquired), f"the lane is free, yet the claim answered {outcome!r}"
        return Lane(self, store, outcome, asked)

    async def another(self) -> SessionStoreFactory:
        """A second backend opened on the same place beside the first (capability ``shared``)."""
        factory, _ = await self.beside()
        return factory

    async def beside(self) -> tuple[SessionStoreFactory, AttachmentStore]:
        """The same, with its attachment bytes."""
        opened = await self._opened()
        return self._traced_factory(opened), self._traced_bytes(opened)

    async def reopen(self) -> SessionStoreFactory:
        """Close everything and open the place again (capability ``durable``)."""
        self.trace.note("place", "reopen")
        await self._close_all()
        await self._opened()
        return self.factory

    async def damage(self, what: Damage) -> SessionStoreFactory:
        """Close everything, spoil the stored records of that kind, and open the place again.

        Opening may itself be refused; then the refusal is raised.
        """
        await self.spoil(what)
        await self._opened()
        return self.factory

    async def spoil(self, what: Damage) -> None:
        """Close everything and spoil the stored records of that kind."""
        await self._close_all()
        self.trace.note("place", "damage", what=what)
        await cast("Damaging", self.target).damage(self.place, what)

    async def _opened(self) -> Backend:
        started = time.perf_counter()
        backend = await self.target.open(self.place)
        self.trace.target_seconds += time.perf_counter() - started
        self._open.append(backend)
        return backend

    async def _close_all(self) -> None:
        started = time.perf_counter()
        if self._line is not None:
            self._line.close()
        while self._open:
            await self._open.pop().close()
        self.trace.target_seconds += time.perf_counter() - started

    async def provide(self, wants: tuple[str, ...]) -> dict[str, Any]:
        """The parts a check asked for, by name."""
        if wants == ("line",):
            self._line = Line(cast("Spoken", self.target), self.place.directory)
            return {"line": self._line}
        await self._opened()
        parts: dict[str, Any] = {"bench": self}
        if "store" in wants or "lane" in wants:
            parts["store"] = await self.session()
        if "lane" in wants:
            parts["lane"] = await self.lane(parts["store"])
        return {name: parts[name] for name in wants}

    async def close(self) -> None:
        """Close whatever is open."""
        await self._close_all()

    async def remove(self) -> None:
        """Close whatever is open, and remove the place."""
        try:
            await self._close_all()
            if isinstance(self.target, Keeping):
                await self.target.remove(self.place)
        finally:
            shutil.rmtree(self.place.directory, ignore_errors=True)

    async def stored(self) -> Mapping[str, str]:
        """What the place holds, as digests: of its files, unless the target keeps it elsewhere."""
        if isinstance(self.target, Keeping):
            return await self.target.stored(self.place)
        found = sorted(path for path in self.place.directory.rglob("*") if path.is_file())
        return {
            str(path.relative_to(self.place.directory)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in found
            if not path.name.endswith(("-wal", "-shm"))
        }


def scratch() -> Path:
    """A new empty directory for one check.

    Raises:
        HarnessFault: there is too little room for one.
    """
    room.on_disk()
    return Path(tempfile.mkdtemp(prefix="lash-conformance-"))
