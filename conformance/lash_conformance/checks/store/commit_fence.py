"""Committing under a lease: who holds it, and what a commit does to it (STO.10 to STO.18)."""

from lash_conformance.bench import Bench, Lane, owner
from lash_conformance.check import check
from lash_conformance.vocabulary import (
    refused,
    turn,
)
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import (
    SessionExecutionLeaseExpired,
)
from lash_ref.lease import Acquired
from lash_ref.nodes import FullGraph


@check("STO.10")
async def a_commit_without_a_fence_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """Nobody writes without authority, even while the lane is held."""
    await refused(
        SessionExecutionLeaseExpired, store.commit_runtime_state(turn("t1", fence=None)), session_id="s1"
    )
    assert await store.load_session(FullGraph()) is None


@check("STO.11")
async def a_commit_after_a_takeover_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """The lane was handed to "b"; the fence of "a" is worth nothing."""
    stale = lane.fence
    await lane.hand_over()

    await refused(SessionExecutionLeaseExpired, store.commit_runtime_state(turn("t1", fence=stale)))
    assert await store.load_session(FullGraph()) is None


@check("STO.11")
async def a_commit_after_expiry_is_refused(bench: Bench, store: RuntimePersistence) -> None:
    """Nobody took over, but the time is up."""
    lane = await bench.lane(store, ttl=bench.ttl)
    await lane.expire()

    await refused(SessionExecutionLeaseExpired, store.commit_runtime_state(turn("t1", fence=lane)))
    assert await store.load_session(FullGraph()) is None


@check("STO.11")
async def a_commit_after_release_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """A lane given back is no authority."""
    await lane.release()

    await refused(SessionExecutionLeaseExpired, store.commit_runtime_state(turn("t1", fence=lane)))


@check("STO.13")
async def a_fence_with_a_wrong_token_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """Everything is right but the token."""
    fence = lane.fence.but(lease_token="forged")

    await refused(SessionExecutionLeaseExpired, store.commit_runtime_state(turn("t1", fence=fence)))


@check("STO.13")
async def a_fence_with_a_wrong_incarnation_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """Everything is right but the incarnation."""
    fence = lane.fence.but(owner=owner("a", "2"))

    await refused(SessionExecutionLeaseExpired, store.commit_runtime_state(turn("t1", fence=fence)))


@check("STO.13")
async def a_fence_with_a_wrong_number_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """Everything is right but the fencing number."""
    fence = lane.fence.but(fencing_token=lane.fence.fencing_token + 1)

    await refused(SessionExecutionLeaseExpired, store.commit_runtime_state(turn("t1", fence=fence)))


@check("STO.13")
async def a_fence_of_another_session_is_refused(bench: Bench, store: RuntimePersistence) -> None:
    """A live lease on "s2" is no authority over "s1"."""
    other = await bench.lane(store, "s2")

    await refused(SessionExecutionLeaseExpired, store.commit_runtime_state(turn("t1", fence=other)))


@check("STO.15")
async def the_fence_is_judged_before_the_revision(store: RuntimePersistence, lane: Lane) -> None:
    """Both are wrong; the lease error is the answer."""
    attempt = store.commit_runtime_state(turn("t1", fence=None, expects=7))

    await refused(SessionExecutionLeaseExpired, attempt)


@check("STO.16")
async def a_commit_leaves_the_lease_held(store: RuntimePersistence, lane: Lane) -> None:
    """After a commit another owner still finds the lane busy, with the expiry it had."""
    await store.commit_runtime_state(turn("t1", fence=lane))

    outcome = await store.try_claim_session_execution_lease("s1", owner("b"), 1)

    assert not isinstance(outcome, Acquired)
    assert outcome.holder.expires_at_epoch_ms == lane.lease.expires_at_epoch_ms


@check("STO.16", needs=("clock",))
async def a_commit_does_not_move_the_expiry(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """A commit half-way through the ttl does not prolong the lease."""
    await bench.pass_time(bench.ttl // 2)
    await store.commit_runtime_state(turn("t1", fence=lane))
    await bench.pass_time(bench.ttl // 2)

    outcome = await store.try_claim_session_execution_lease("s1", owner("b"), 1)

    assert isinstance(outcome, Acquired)


@check("STO.17")
async def a_commit_that_releases_frees_the_lane(store: RuntimePersistence, lane: Lane) -> None:
    """The next owner need not wait."""
    assert not isinstance(await store.try_claim_session_execution_lease("s1", owner("b"), 1000), Acquired)
    await store.commit_runtime_state(
        turn("t1", fence=lane, release_session_execution_lease=lane.completion)
    )

    outcome = await store.try_claim_session_execution_lease("s1", owner("b"), 1000)

    assert isinstance(outcome, Acquired)


@check("STO.18")
async def a_release_that_does_not_match_is_ignored(store: RuntimePersistence, lane: Lane) -> None:
    """The commit applies and the lane stays held."""
    wrong = lane.completion.but(lease_token="forged")
    result = await store.commit_runtime_state(turn("t1", fence=lane, release_session_execution_lease=wrong))

    outcome = await store.try_claim_session_execution_lease("s1", owner("b"), 1000)

    assert result.head_revision == 1
    assert not isinstance(outcome, Acquired)
