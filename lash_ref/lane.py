"""Holding a session's lane: claim the execution lease, keep it renewed, learn that it was lost, give it back."""

import asyncio
from contextlib import suppress
from functools import cached_property

from lash_ref.cancel import CancellationToken
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import LashError, SessionExecutionLeaseExpired
from lash_ref.lease import (
    Busy,
    LeaseOwnerIdentity,
    LeaseTimings,
    SessionExecutionLease,
    SessionExecutionLeaseFence,
)
from lash_ref.runtime_errors import RuntimeErrorCode, RuntimeFailure


class Lane:
    """One held lease; ``lost`` once a renewal was refused, and nothing may be committed under it then."""

    def __init__(
        self, store: RuntimePersistence, lease: SessionExecutionLease, timings: LeaseTimings
    ) -> None:
        self.store = store
        self.lease = lease
        self.lost = False
        self.released = False
        self._timings = timings
        self._told: list[CancellationToken] = []
        self._renewing: asyncio.Task[None] | None = None
        self._due = self._later()

    @cached_property
    def fence(self) -> SessionExecutionLeaseFence:
        """Proof of authority for every write."""
        return self.lease.fence()

    def stops(self, token: CancellationToken) -> None:
        """Fire ``token`` when the lease is lost."""
        self._told.append(token)
        if self.lost:
            token.cancel()

    def _later(self) -> asyncio.TimerHandle:
        # Most turns end before their lease is due, and a timer costs less than a task that sleeps.
        loop = asyncio.get_running_loop()
        return loop.call_later(self._timings.renew_interval_ms / 1000, self._begin)

    def _begin(self) -> None:
        self._renewing = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        try:
            await self.store.renew_session_execution_lease(self.fence, self._timings.ttl_ms)
        except LashError:
            self.lose()
        else:
            self._due = self._later()

    def lose(self) -> None:
        """The lease is somebody else's, or nobody's."""
        self.lost = True
        for token in self._told:
            token.cancel()

    def settled(self) -> None:
        """A commit gave the lease back."""
        self.released = True
        self._due.cancel()
        if self._renewing is not None:
            self._renewing.cancel()

    async def release(self) -> None:
        """Give the lease back, unless it is gone."""
        if not self.released:
            self.settled()
            if not self.lost:
                with suppress(LashError):
                    await self.store.release_session_execution_lease(self.lease.completion())


async def claim_lane(
    store: RuntimePersistence,
    session_id: str,
    owner: LeaseOwnerIdentity,
    timings: LeaseTimings,
) -> Lane | None:
    """The session's lane, or none while another live holder has it; a provably dead one is superseded."""
    outcome = await store.try_claim_session_execution_lease(session_id, owner, timings.ttl_ms)
    if isinstance(outcome, Busy) and outcome.holder.owner.is_provably_dead_to(owner):
        outcome = await store.reclaim_session_execution_lease(
            session_id, owner, outcome.holder.fence(), timings.ttl_ms
        )
    return None if isinstance(outcome, Busy) else Lane(store, outcome, timings)


def lease_lost(session_id: str) -> RuntimeFailure:
    """The error of a turn whose lease is gone."""
    code = RuntimeErrorCode.SESSION_EXECUTION_LEASE_LOST
    return RuntimeFailure(code, f"the execution lease of session {session_id!r} was lost; nothing was committed")


def lane_busy(session_id: str) -> RuntimeFailure:
    """The error of a foreground turn that finds the lane held."""
    code = RuntimeErrorCode.SESSION_EXECUTION_BUSY
    return RuntimeFailure(code, f"another worker runs session {session_id!r}")


def store_failure(err: LashError, session_id: str) -> RuntimeFailure:
    """A store's refusal as a turn tells it."""
    if isinstance(err, SessionExecutionLeaseExpired):
        return lease_lost(session_id)
    return RuntimeFailure(RuntimeErrorCode.STORE_COMMIT_FAILED, f"{err.code}: {err}")
