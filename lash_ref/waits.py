"""Durable waits: promises a turn parks on and somebody else resolves, first word wins."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from functools import lru_cache
from typing import Annotated, Final, Literal

from pydantic import Field

from lash_ref.contracts import Clock
from lash_ref.scalars import Record
from lash_ref.store import SystemClock
from lash_ref.wait_store import (
    RESERVED,
    AwaitEventKey,
    MemoryWaits,
    Resolution,
    TimedOut,
    WaitCancelled,
    WaitKind,
    WaitStore,
)


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
