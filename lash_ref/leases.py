"""The session execution lease: claim, reclaim, renew, release."""

from lash_ref.errors import SessionExecutionLeaseExpired
from lash_ref.lease import (
    LANE_TRANSITIONS,
    Acquired,
    Busy,
    LaneEvent,
    LeaseOwnerIdentity,
    SessionExecutionLease,
    SessionExecutionLeaseClaimOutcome,
    SessionExecutionLeaseCompletion,
    SessionExecutionLeaseFence,
)
from lash_ref.rows import LeaseRow, Rows
from lash_ref.scalars import admitted, identifier, u64
from lash_ref.segment import Segment, granted, later


class LeaseSegment(Segment):
    """`SessionExecutionLeaseStore` over rows."""

    async def try_claim_session_execution_lease(
        self, session_id: str, owner: LeaseOwnerIdentity, lease_ttl_ms: int
    ) -> SessionExecutionLeaseClaimOutcome:
        """Take a free or expired lane, or re-enter one's own ([LEA.1][] to [LEA.9][])."""
        identifier("session_id", session_id)
        owner, ttl = admitted(owner), u64("lease_ttl_ms", lease_ttl_ms)
        async with self.transactions.begin(write=True) as rows:
            now = self.clock.now_ms()
            row = await rows.lease(session_id)
            again = row is not None and row.owner.same_incarnation(owner)
            event: LaneEvent = "claim by its holder" if again else "claim"
            return await self._moved(rows, session_id, owner, row, event, now, ttl)

    async def reclaim_session_execution_lease(
        self,
        session_id: str,
        owner: LeaseOwnerIdentity,
        observed_holder: SessionExecutionLeaseFence,
        lease_ttl_ms: int,
    ) -> SessionExecutionLeaseClaimOutcome:
        """Also take a live lane whose observed holder is provably dead."""
        identifier("session_id", session_id)
        owner, observed = admitted(owner), admitted(observed_holder)
        ttl = u64("lease_ttl_ms", lease_ttl_ms)
        async with self.transactions.begin(write=True) as rows:
            now = self.clock.now_ms()
            row = await rows.lease(session_id)
            dead = row is not None and self.matches(row, observed) and row.owner.is_provably_dead_to(owner)
            event: LaneEvent = "reclaim from the dead" if dead else "reclaim"
            return await self._moved(rows, session_id, owner, row, event, now, ttl)

    async def renew_session_execution_lease(
        self, fence: SessionExecutionLeaseFence, lease_ttl_ms: int
    ) -> SessionExecutionLease:
        """Set the expiry to now plus the ttl, also when that is sooner."""
        fence, ttl = admitted(fence), u64("lease_ttl_ms", lease_ttl_ms)
        async with self.transactions.begin(write=True) as rows:
            now = self.clock.now_ms()
            await self.require_live(rows, fence.session_id, fence, now)
            row = await rows.lease(fence.session_id)
            if row is None or (self.lane(row, now), "renew") not in LANE_TRANSITIONS:
                raise SessionExecutionLeaseExpired(fence.session_id)
            extended = row.but(expires_at_epoch_ms=later(now, ttl))
            await rows.put_lease(extended)
            return granted(extended)

    async def release_session_execution_lease(self, completion: SessionExecutionLeaseCompletion) -> None:
        """Free the lane if the completion is its lease; else nothing."""
        completion = admitted(completion)
        async with self.transactions.begin(write=True) as rows:
            await self.release(rows, completion)

    async def release(self, rows: Rows, completion: SessionExecutionLeaseFence) -> None:
        """Free a matching lane; its row stays, so that the number never starts over."""
        row = await rows.lease(completion.session_id)
        if row is None or not self.matches(row, completion):
            return
        if (self.lane(row, self.clock.now_ms()), "release") in LANE_TRANSITIONS:
            await rows.put_lease(row.but(expires_at_epoch_ms=0))

    async def _moved(
        self,
        rows: Rows,
        session_id: str,
        owner: LeaseOwnerIdentity,
        row: LeaseRow | None,
        event: LaneEvent,
        now: int,
        ttl: int,
    ) -> SessionExecutionLeaseClaimOutcome:
        """What the table answers a claim of any kind."""
        move, _ = LANE_TRANSITIONS[self.lane(row, now), event]
        if row is None or move == "grant":
            return await self._acquire(rows, session_id, owner, row, now, ttl)
        if move == "extend":
            return await self._extend(rows, row, later(now, ttl))
        return Busy(holder=granted(row))

    async def _acquire(
        self,
        rows: Rows,
        session_id: str,
        owner: LeaseOwnerIdentity,
        before: LeaseRow | None,
        now: int,
        ttl: int,
    ) -> Acquired:
        row = LeaseRow(
            session_id=session_id,
            fencing_token=before.fencing_token + 1 if before is not None else 1,
            owner=owner,
            lease_token=self.mint("lease"),
            claimed_at_epoch_ms=now,
            expires_at_epoch_ms=later(now, ttl),
        )
        await rows.put_lease(row)
        return Acquired(**vars(row))

    async def _extend(self, rows: Rows, row: LeaseRow, expires: int) -> Acquired:
        extended = row.but(expires_at_epoch_ms=expires)
        await rows.put_lease(extended)
        return Acquired(**vars(extended))
