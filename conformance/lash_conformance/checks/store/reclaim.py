"""Taking a lane from the dead, and from nobody else (LEA.10, LEA.18 to LEA.26)."""

import asyncio
import os
import subprocess
import sys

from lash_conformance.bench import Bench, Lane, owner
from lash_conformance.check import check
from lash_conformance.claims import claim_lane, hold_lane
from lash_conformance.vocabulary import batch, refused, turn
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import QueuedWorkClaimSuperseded, SessionExecutionLeaseExpired
from lash_ref.lease import Acquired, Busy, LeaseOwnerIdentity, LocalProcess, Opaque, this_process

HOST = "host-1"


def _alive() -> tuple[subprocess.Popen[bytes], LeaseOwnerIdentity]:
    """A real process that waits for its input to close, and its identity."""
    process = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    return process, this_process("worker", "1", HOST, process.pid)


def _dead() -> LeaseOwnerIdentity:
    """The identity of a real process that has ended and was waited for."""
    process, identity = _alive()
    process.kill()
    process.communicate()
    return identity


def _claimant() -> LeaseOwnerIdentity:
    return this_process("rescuer", "1", HOST, os.getpid())


@check("LEA.10", needs=("process_liveness",))
async def a_plain_claim_does_not_take_from_the_dead(store: RuntimePersistence) -> None:
    """Only a reclaim may."""
    await hold_lane(store, _dead())

    assert isinstance(await claim_lane(store, _claimant()), Busy)


@check("LEA.18", needs=("process_liveness",))
async def a_provably_dead_holder_is_replaced(store: RuntimePersistence) -> None:
    """The lease is live, its process is gone, the observation matches."""
    dead = await hold_lane(store, _dead())
    rescuer = _claimant()

    outcome = await store.reclaim_session_execution_lease("s1", rescuer, dead.fence(), 60_000)

    alike = isinstance(rescuer.liveness, Opaque)
    assert isinstance(outcome, Busy if alike else Acquired)
    if isinstance(outcome, Acquired):
        assert outcome.fencing_token > dead.fencing_token
        await refused(SessionExecutionLeaseExpired, store.renew_session_execution_lease(dead.fence(), 1))


@check("LEA.18", needs=("process_liveness",))
async def a_recycled_pid_does_not_stand_for_its_first_process(store: RuntimePersistence) -> None:
    """The holder's number runs, but it started at another time: the holder is dead."""
    rescuer = _claimant()
    older = this_process("worker", "1", HOST, os.getpid())
    if isinstance(older.liveness, LocalProcess):
        older = older.but(liveness=older.liveness.but(process_start="1"))
    dead = await hold_lane(store, older)

    outcome = await store.reclaim_session_execution_lease("s1", rescuer, dead.fence(), 60_000)

    assert isinstance(outcome, Busy if isinstance(rescuer.liveness, Opaque) else Acquired)


@check("LEA.19", needs=("process_liveness",))
async def a_stale_observation_reclaims_nothing(store: RuntimePersistence) -> None:
    """The holder observed is not the holder that is there."""
    dead = await hold_lane(store, _dead())
    stale = dead.fence().but(lease_token="older")

    outcome = await store.reclaim_session_execution_lease("s1", _claimant(), stale, 60_000)

    assert isinstance(outcome, Busy)
    assert outcome.holder.lease_token == dead.lease_token


@check("LEA.19", needs=("process_liveness",))
async def an_observation_of_another_number_reclaims_nothing(store: RuntimePersistence) -> None:
    """The token is right, the number is not."""
    dead = await hold_lane(store, _dead())
    odd = dead.fence().but(fencing_token=dead.fencing_token + 1)

    outcome = await store.reclaim_session_execution_lease("s1", _claimant(), odd, 60_000)

    assert isinstance(outcome, Busy)


@check("LEA.19", needs=("process_liveness",))
async def an_observation_of_another_incarnation_reclaims_nothing(store: RuntimePersistence) -> None:
    """The worker observed is not the one that holds."""
    dead = await hold_lane(store, _dead())
    odd = dead.fence().but(owner=dead.owner.but(incarnation_id="2"))

    outcome = await store.reclaim_session_execution_lease("s1", _claimant(), odd, 60_000)

    assert isinstance(outcome, Busy)


@check("LEA.20", needs=("process_liveness",))
async def a_running_holder_is_not_replaced(store: RuntimePersistence) -> None:
    """The process is there, under its own start time."""
    process, alive = _alive()
    try:
        lease = await hold_lane(store, alive)

        outcome = await store.reclaim_session_execution_lease("s1", _claimant(), lease.fence(), 60_000)

        assert isinstance(outcome, Busy)
    finally:
        process.kill()
        process.communicate()


@check("LEA.20", needs=("process_liveness",))
async def an_opaque_holder_is_not_replaced(store: RuntimePersistence) -> None:
    """Nothing proves its death."""
    lease = await hold_lane(store, owner("a"))

    outcome = await store.reclaim_session_execution_lease("s1", _claimant(), lease.fence(), 60_000)

    assert isinstance(outcome, Busy)


@check("LEA.20", needs=("process_liveness",))
async def a_dead_pid_of_another_host_is_not_replaced(store: RuntimePersistence) -> None:
    """The same pid number means another process there."""
    dead = _dead()
    if isinstance(dead.liveness, LocalProcess):
        dead = dead.but(liveness=dead.liveness.but(host_id="elsewhere"))
    lease = await hold_lane(store, dead)

    outcome = await store.reclaim_session_execution_lease("s1", _claimant(), lease.fence(), 60_000)

    assert isinstance(outcome, Busy)


@check("LEA.20", needs=("process_liveness",))
async def a_dead_pid_of_another_boot_is_not_replaced(store: RuntimePersistence) -> None:
    """A boot id that differs is another machine's memory."""
    dead = _dead()
    if isinstance(dead.liveness, LocalProcess):
        dead = dead.but(liveness=dead.liveness.but(boot_id="another-boot"))
    lease = await hold_lane(store, dead)

    outcome = await store.reclaim_session_execution_lease("s1", _claimant(), lease.fence(), 60_000)

    assert isinstance(outcome, Busy)


@check("LEA.21", needs=("process_liveness",))
async def an_opaque_claimant_reclaims_nothing(store: RuntimePersistence) -> None:
    """It cannot see the holder's host."""
    dead = await hold_lane(store, _dead())

    outcome = await store.reclaim_session_execution_lease("s1", owner("b"), dead.fence(), 60_000)

    assert isinstance(outcome, Busy)


@check("LEA.22")
async def a_free_lane_is_reclaimed_whatever_was_observed(store: RuntimePersistence, lane: Lane) -> None:
    """The observation is wrong in every part, and nobody is there."""
    await lane.release()
    odd = lane.fence.but(lease_token="never", fencing_token=99)

    outcome = await store.reclaim_session_execution_lease("s1", owner("b"), odd, 60_000)

    assert isinstance(outcome, Acquired)
    assert outcome.fencing_token > lane.fence.fencing_token


@check("LEA.22")
async def a_lane_nobody_ever_held_is_reclaimed(store: RuntimePersistence, lane: Lane) -> None:
    """What was observed is of "s9", which has no lease at all."""
    outcome = await store.reclaim_session_execution_lease(
        "s9", owner("b"), lane.fence.but(session_id="s9"), 60_000
    )

    assert isinstance(outcome, Acquired)
    assert (outcome.session_id, outcome.fencing_token) == ("s9", 1)


@check("LEA.22")
async def an_expired_lane_is_reclaimed(bench: Bench, store: RuntimePersistence) -> None:
    """An opaque claimant may, since the lease is dead anyway."""
    lane = await bench.lane(store, ttl=bench.ttl)
    await lane.expire()

    outcome = await store.reclaim_session_execution_lease("s1", owner("b"), lane.fence, 60_000)

    assert isinstance(outcome, Acquired)
    assert outcome.fencing_token > lane.fence.fencing_token


@check("LEA.23", needs=("process_liveness",))
async def one_of_three_reclaims_wins(store: RuntimePersistence) -> None:
    """The winner is alive to the others."""
    dead = await hold_lane(store, _dead())
    rescuers = [_claimant().but(owner_id=name) for name in ("x", "y", "z")]

    outcomes = await asyncio.gather(
        *(store.reclaim_session_execution_lease("s1", one, dead.fence(), 60_000) for one in rescuers)
    )

    wins = 0 if isinstance(rescuers[0].liveness, Opaque) else 1
    assert sum(isinstance(outcome, Acquired) for outcome in outcomes) == wins


@check("LEA.24", without=("process_liveness",))
async def without_liveness_a_live_lane_is_busy(store: RuntimePersistence) -> None:
    """Even for a holder that is dead."""
    dead = await hold_lane(store, _dead())

    outcome = await store.reclaim_session_execution_lease("s1", _claimant(), dead.fence(), 60_000)

    assert isinstance(outcome, Busy)


@check("LEA.26")
async def the_holder_is_told_that_its_own_lane_is_busy(store: RuntimePersistence, lane: Lane) -> None:
    """Whether it observed itself or something odd; the lease stays, expiry included."""
    for observed in (lane.fence, lane.fence.but(lease_token="never", fencing_token=99)):
        again = await store.reclaim_session_execution_lease("s1", lane.owner, observed, 90_000)

        assert isinstance(again, Busy)
        assert again.holder.fence() == lane.fence
        assert again.holder.expires_at_epoch_ms == lane.lease.expires_at_epoch_ms


@check("QUE.43", needs=("process_liveness",))
async def a_batch_reclaimed_from_the_dead_is_not_completed_by_them(store: RuntimePersistence) -> None:
    """The rescuer took the lane and the batch; the old completion comes late."""
    dead, rescuer = await hold_lane(store, _dead()), _claimant()
    await store.enqueue_queued_work(batch())
    old = await store.claim_ready_queued_work("s1", dead.fence(), dead.owner, "idle", 1)
    assert old is not None

    taken = await store.reclaim_session_execution_lease("s1", rescuer, dead.fence(), 60_000)

    assert isinstance(taken, Busy if isinstance(rescuer.liveness, Opaque) else Acquired)
    if isinstance(taken, Acquired):
        assert await store.claim_ready_queued_work("s1", taken.fence(), rescuer, "idle", 1) is not None
        late = turn("t1", fence=taken.fence(), completed_queue_claims=(old.completion(),))
        await refused(QueuedWorkClaimSuperseded, store.commit_runtime_state(late))
