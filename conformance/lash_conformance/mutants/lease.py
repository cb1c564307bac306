"""Stores that are wrong about the lease."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

import asyncio
from pathlib import Path

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import StoreWrapper
from lash_ref.errors import SessionExecutionLeaseExpired
from lash_ref.lease import Acquired, Busy, LocalProcess, Opaque
from lash_ref.segment import granted, later
from lash_ref.store import Store


class Claiming(StoreWrapper):
    """Edits what a claim answers."""

    def edited(self, outcome):
        return outcome

    async def try_claim_session_execution_lease(self, session_id, owner, ttl):
        return self.edited(await self.inner.try_claim_session_execution_lease(session_id, owner, ttl))


@mutant("LEA.1", character="Counts from zero: the first grant has number 0.")
class FirstNumberIsZero(Claiming):
    def edited(self, outcome):
        if isinstance(outcome, Acquired):
            return outcome.but(fencing_token=outcome.fencing_token - 1)
        return outcome


@mutant("LEA.2", "LEA.3", "LEA.11", character="Open-handed: grants the lane to whoever asks.")
class GrantsToAll(Store):
    async def try_claim_session_execution_lease(self, session_id, owner, lease_ttl_ms):
        async with self.transactions.begin(write=True) as rows:
            row = await rows.lease(session_id)
            return await self._acquire(rows, session_id, owner, row, self.clock.now_ms(), lease_ttl_ms)


@mutant("LEA.2", character="Discreet: says busy, but names the asker as the holder.")
class NamesTheWrongHolder(StoreWrapper):
    async def try_claim_session_execution_lease(self, session_id, owner, ttl):
        outcome = await self.inner.try_claim_session_execution_lease(session_id, owner, ttl)
        return Busy(holder=outcome.holder.but(owner=owner)) if isinstance(outcome, Busy) else outcome


@mutant("LEA.3", character="Familiar: takes a restarted worker for the old one.")
class IgnoresIncarnations(StoreWrapper):
    async def try_claim_session_execution_lease(self, session_id, owner, ttl):
        return await self.inner.try_claim_session_execution_lease(
            session_id, owner.but(incarnation_id="1"), ttl
        )


@mutant("LEA.4", character="Re-granting: re-entry gets a new token and number.")
class ReentryIsAFreshGrant(Store):
    async def _extend(self, rows, row, expires):
        now = self.clock.now_ms()
        return await self._acquire(rows, row.session_id, row.owner, row, now, expires - now)


@mutant("LEA.5", character="Maximal: re-entry never shortens a lease.")
class ReentryKeepsTheLaterExpiry(Store):
    async def _extend(self, rows, row, expires):
        return await super()._extend(rows, row, max(expires, row.expires_at_epoch_ms))


@mutant("LEA.5", character="Frozen: re-entry leaves the expiry alone.")
class ReentryKeepsTheExpiry(Store):
    async def _extend(self, rows, row, expires):
        return await super()._extend(rows, row, row.expires_at_epoch_ms)


@mutant("LEA.6", character="Repeating: a fresh grant to the same owner has the old number and token.")
class ReusesGrants(Store):
    async def _acquire(self, rows, session_id, owner, before, now, ttl):
        if before is not None and before.owner.same_incarnation(owner):
            return await self._extend(rows, before, later(now, ttl))
        return await super()._acquire(rows, session_id, owner, before, now, ttl)


@mutant("LEA.6", "LEA.7", character="Deletes the lease row on release, and the number with it.")
class ForgetsTheNumber(Store):
    async def _acquire(self, rows, session_id, owner, before, now, ttl):
        kept = before if before is not None and before.expires_at_epoch_ms > 0 else None
        return await super()._acquire(rows, session_id, owner, kept, now, ttl)


@mutant("LEA.28", character="Deducible: makes the token of a lease of its session's name and number.")
class DerivesTokens(Store):
    async def _acquire(self, rows, session_id, owner, before, now, ttl):
        made = await super()._acquire(rows, session_id, owner, before, now, ttl)
        row = await rows.lease(session_id)
        token = f"{session_id}-{row.fencing_token}"
        await rows.put_lease(row.but(lease_token=token))
        return made.but(lease_token=token)


@mutant("LEA.7", character="Starts over after an expiry.")
class StartsOverAfterExpiry(Store):
    async def _acquire(self, rows, session_id, owner, before, now, ttl):
        return await super()._acquire(rows, session_id, owner, None, now, ttl)


@mutant("LEA.8", character="Off by one: a lease is still live in the millisecond of its expiry.")
class LiveAtExpiry(Store):
    def lease_is_live(self, row, now):
        return row is not None and row.expires_at_epoch_ms > 0 and row.expires_at_epoch_ms >= now


@mutant("LEA.9", "LEA.22", character="Unforgiving: only the last holder may take an expired lane.")
class ExpiredLanesAreLocked(Store):
    async def _acquire(self, rows, session_id, owner, before, now, ttl):
        if before is not None and not before.owner.same_incarnation(owner):
            return Busy(holder=granted(before))
        return await super()._acquire(rows, session_id, owner, before, now, ttl)


@mutant("LEA.10", character="Grave-robbing: a plain claim takes from the dead.")
class ClaimsFromTheDead(Store):
    async def try_claim_session_execution_lease(self, session_id, owner, lease_ttl_ms):
        async with self.transactions.begin(write=False) as rows:
            row = await rows.lease(session_id)
        if row is not None:
            fence = granted(row).fence()
            return await self.reclaim_session_execution_lease(session_id, owner, fence, lease_ttl_ms)
        return await super().try_claim_session_execution_lease(session_id, owner, lease_ttl_ms)


@mutant("LEA.11", "LEA.23", character="Hesitant: looks whether the lane is free, pauses, and takes it.")
class LooksThenTakes(Store):
    async def _pause_then(self, session_id, owner, ttl):
        await asyncio.sleep(0)
        async with self.transactions.begin(write=True) as rows:
            row = await rows.lease(session_id)
            return await self._acquire(rows, session_id, owner, row, self.clock.now_ms(), ttl)

    async def try_claim_session_execution_lease(self, session_id, owner, lease_ttl_ms):
        async with self.transactions.begin(write=False) as rows:
            free = not self.lease_is_live(await rows.lease(session_id), self.clock.now_ms())
        if free:
            return await self._pause_then(session_id, owner, lease_ttl_ms)
        return await super().try_claim_session_execution_lease(session_id, owner, lease_ttl_ms)

    async def reclaim_session_execution_lease(self, session_id, owner, observed_holder, lease_ttl_ms):
        async with self.transactions.begin(write=False) as rows:
            row = await rows.lease(session_id)
        if row is not None and row.owner.is_provably_dead_to(owner):
            return await self._pause_then(session_id, owner, lease_ttl_ms)
        return Busy(holder=granted(row))


@mutant("LEA.12", character="One lane for all: a held session makes every other busy.")
class OneLaneForAll(StoreWrapper):
    async def try_claim_session_execution_lease(self, session_id, owner, ttl):
        outcome = await self.inner.try_claim_session_execution_lease("s1", owner, ttl)
        return outcome.but(session_id=session_id) if isinstance(outcome, Acquired) else outcome


@mutant("LEA.13", character="Two-timing: stamps leases by a clock of its own.")
class UsesItsOwnClock(Claiming):
    def edited(self, outcome):
        return outcome.but(claimed_at_epoch_ms=1) if isinstance(outcome, Acquired) else outcome


@mutant("LEA.14", character="Renewing: a renewal counts as claimed anew.")
class RenewalMovesTheClaimTime(Store):
    async def renew_session_execution_lease(self, fence, lease_ttl_ms):
        lease = await super().renew_session_execution_lease(fence, lease_ttl_ms)
        return lease.but(claimed_at_epoch_ms=self.clock.now_ms())


@mutant("LEA.14", character="Saying so: answers the new expiry and keeps the old one.")
class RenewsInWordsOnly(Store):
    async def renew_session_execution_lease(self, fence, lease_ttl_ms):
        async with self.transactions.begin(write=False) as rows:
            await self.require_live(rows, fence.session_id, fence, self.clock.now_ms())
            row = await rows.lease(fence.session_id)
            return granted(row.but(expires_at_epoch_ms=later(self.clock.now_ms(), lease_ttl_ms)))


@mutant("LEA.15", character="Reviving: a renewal brings an expired or released lease back.")
class RevivesOnRenewal(Store):
    async def renew_session_execution_lease(self, fence, lease_ttl_ms):
        async with self.transactions.begin(write=True) as rows:
            row = await rows.lease(fence.session_id)
            if row is None or not self.matches(row, fence):
                raise SessionExecutionLeaseExpired(fence.session_id)
            return await self._extend(rows, row, later(self.clock.now_ms(), lease_ttl_ms))


@mutant("LEA.15", character="Trusting: renews whatever token is shown.")
class RenewsAnyToken(Store):
    async def renew_session_execution_lease(self, fence, lease_ttl_ms):
        async with self.transactions.begin(write=True) as rows:
            row = await rows.lease(fence.session_id)
            if row is None or not self.lease_is_live(row, self.clock.now_ms()):
                raise SessionExecutionLeaseExpired(fence.session_id)
            return await self._extend(rows, row, later(self.clock.now_ms(), lease_ttl_ms))


@mutant("LEA.15", character="Obliging: renewing a lane that nobody holds claims it.")
class RenewalClaims(Store):
    async def renew_session_execution_lease(self, fence, lease_ttl_ms):
        async with self.transactions.begin(write=False) as rows:
            unknown = await rows.lease(fence.session_id) is None
        if unknown:
            return await self.try_claim_session_execution_lease(fence.session_id, fence.owner, lease_ttl_ms)
        return await super().renew_session_execution_lease(fence, lease_ttl_ms)


@mutant("LEA.16", character="Deaf: a release frees nothing.")
class NeverFrees(StoreWrapper):
    async def release_session_execution_lease(self, completion):
        return None


@mutant("LEA.17", character="Blunt: any release frees the lane.")
class FreesOnAnyRelease(Store):
    async def release(self, rows, completion):
        row = await rows.lease(completion.session_id)
        if row is not None:
            await rows.put_lease(row.but(expires_at_epoch_ms=0))


@mutant("LEA.17", character="Strict: a release that does not match is an error.")
class FailsOnStaleRelease(Store):
    async def release(self, rows, completion):
        row = await rows.lease(completion.session_id)
        if row is None or not self.matches(row, completion):
            raise SessionExecutionLeaseExpired(completion.session_id)
        await super().release(rows, completion)


@mutant("LEA.18", character="Respectful: never reclaims, however dead the holder.")
class NeverReclaims(Store):
    async def reclaim_session_execution_lease(self, session_id, owner, observed_holder, lease_ttl_ms):
        return await self.try_claim_session_execution_lease(session_id, owner, lease_ttl_ms)


@mutant("LEA.19", character="Unobservant: reclaims from the dead whatever was observed.")
class IgnoresTheObservation(Store):
    async def reclaim_session_execution_lease(self, session_id, owner, observed_holder, lease_ttl_ms):
        async with self.transactions.begin(write=False) as rows:
            row = await rows.lease(session_id)
        seen = observed_holder if row is None else granted(row).fence()
        return await super().reclaim_session_execution_lease(session_id, owner, seen, lease_ttl_ms)


class Reclaiming(Store):
    """Judges death by a rule of its own."""

    def dead(self, holder, claimant):
        return False

    async def reclaim_session_execution_lease(self, session_id, owner, observed_holder, lease_ttl_ms):
        async with self.transactions.begin(write=True) as rows:
            row = await rows.lease(session_id)
            if row is not None and self.matches(row, observed_holder) and self.dead(row.owner, owner):
                return await self._acquire(rows, session_id, owner, row, self.clock.now_ms(), lease_ttl_ms)
        return await super().reclaim_session_execution_lease(session_id, owner, observed_holder, lease_ttl_ms)


@mutant("LEA.20", character="Murderous: takes a running process for dead.")
class TakesTheLivingForDead(Reclaiming):
    def dead(self, holder, claimant):
        return isinstance(holder.liveness, LocalProcess)


@mutant("LEA.20", character="By the pid alone: does not ask for host or boot.")
class TrustsThePidAlone(Reclaiming):
    def dead(self, holder, claimant):
        if not isinstance(holder.liveness, LocalProcess) or not isinstance(claimant.liveness, LocalProcess):
            return False
        mine = claimant.liveness
        here = holder.liveness.but(host_id=mine.host_id, boot_id=mine.boot_id)
        return holder.but(liveness=here).is_provably_dead_to(claimant)


@mutant("LEA.20", character="Presuming: an opaque holder is as good as dead.")
class TakesTheOpaqueForDead(Reclaiming):
    def dead(self, holder, claimant):
        return isinstance(holder.liveness, Opaque)


@mutant("LEA.21", character="Credulous: lets an opaque claimant pronounce death.")
class OpaqueClaimantsMayReclaim(Reclaiming):
    def dead(self, holder, claimant):
        lent = claimant.but(liveness=holder.liveness)
        return isinstance(claimant.liveness, Opaque) and holder.is_provably_dead_to(lent)


@mutant("LEA.22", character="Literal: a reclaim must observe right, even of a free lane.")
class FreeLanesNeedObservation(Store):
    async def reclaim_session_execution_lease(self, session_id, owner, observed_holder, lease_ttl_ms):
        async with self.transactions.begin(write=False) as rows:
            row = await rows.lease(session_id)
        if row is not None and not self.matches(row, observed_holder):
            return Busy(holder=granted(row))
        return await super().reclaim_session_execution_lease(session_id, owner, observed_holder, lease_ttl_ms)


@mutant("LEA.22", character="Pedantic: where nobody ever held, there is nothing to reclaim.")
class NothingToReclaim(Store):
    async def reclaim_session_execution_lease(self, session_id, owner, observed_holder, lease_ttl_ms):
        async with self.transactions.begin(write=False) as rows:
            if await rows.lease(session_id) is None:
                raise SessionExecutionLeaseExpired(session_id)
        return await super().reclaim_session_execution_lease(session_id, owner, observed_holder, lease_ttl_ms)


@mutant(
    "LEA.24",
    character="Boastless: reclaims from the dead without having declared it.",
    lacks=("process_liveness",),
)
class ReclaimsUndeclared(Store):
    pass


@mutant("LEA.18", character="By the pid alone: while its number runs, a holder is alive.")
class TakesARecycledPidForTheHolder(Store):
    async def reclaim_session_execution_lease(self, session_id, owner, observed_holder, lease_ttl_ms):
        async with self.transactions.begin(write=False) as rows:
            row = await rows.lease(session_id)
        process = row.owner.liveness
        if isinstance(process, LocalProcess) and Path(f"/proc/{process.pid}").exists():
            return Busy(holder=granted(row))
        return await super().reclaim_session_execution_lease(session_id, owner, observed_holder, lease_ttl_ms)


@mutant("LEA.19", "LEA.27", character="By the token alone: does not compare owner or number.")
class ComparesTokensOnly(Store):
    def matches(self, row, fence):
        return (row.session_id, row.lease_token) == (fence.session_id, fence.lease_token)


@mutant("LEA.25", character="Wrapping around: a ttl that reaches past the last integer ends in the past.")
class WrapsAround(StoreWrapper):
    async def try_claim_session_execution_lease(self, session_id, owner, ttl):
        return await self.inner.try_claim_session_execution_lease(
            session_id, owner, ttl if ttl < 2**62 else 0
        )

    async def renew_session_execution_lease(self, fence, ttl):
        return await self.inner.renew_session_execution_lease(fence, ttl if ttl < 2**62 else 0)


@mutant("LEA.26", character="Self-serving: a holder that reclaims its own lane is let in again.")
class ReentersByReclaim(Store):
    async def reclaim_session_execution_lease(self, session_id, owner, observed_holder, lease_ttl_ms):
        async with self.transactions.begin(write=False) as rows:
            row = await rows.lease(session_id)
        if self.lease_is_live(row, self.clock.now_ms()) and row.owner.same_incarnation(owner):
            return await self.try_claim_session_execution_lease(session_id, owner, lease_ttl_ms)
        return await super().reclaim_session_execution_lease(session_id, owner, observed_holder, lease_ttl_ms)


@mutant("LEA.14", character="Hasty: a renewal is told and forgotten.")
class ForgetsRenewals(StoreWrapper):
    async def renew_session_execution_lease(self, fence, lease_ttl_ms):
        stranger = fence.owner.but(owner_id="nobody in particular")
        seen = await self.inner.try_claim_session_execution_lease(fence.session_id, stranger, 0)
        renewed = await self.inner.renew_session_execution_lease(fence, lease_ttl_ms)
        if isinstance(seen, Busy):
            left = seen.holder.expires_at_epoch_ms - self.place.clock.now_ms()
            await self.inner.renew_session_execution_lease(fence, max(0, left))
        return renewed
