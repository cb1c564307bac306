"""The session execution lease: claim, renew, release (LEA.1 to LEA.17)."""

import asyncio

from lash_conformance.bench import Bench, Lane, owner
from lash_conformance.check import check
from lash_conformance.claims import claim_lane, hold_lane
from lash_conformance.vocabulary import refused, turn
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import SessionExecutionLeaseExpired
from lash_ref.lease import Acquired, Busy, SessionExecutionLease


@check("LEA.1")
async def the_first_grant_has_number_one(store: RuntimePersistence) -> None:
    """A fresh lane starts at 1, and is then held."""
    lease = await hold_lane(store, owner())

    assert (lease.fencing_token, lease.session_id, lease.owner) == (1, "s1", owner())
    assert isinstance(await claim_lane(store, owner("b")), Busy)


@check("LEA.2")
async def a_held_lane_is_busy_and_names_its_holder(store: RuntimePersistence) -> None:
    """The answer is the holder's lease, whole."""
    lease = await hold_lane(store, owner("a"))

    outcome = await claim_lane(store, owner("b"))

    assert isinstance(outcome, Busy)
    assert dict(outcome.holder) == dict(lease)


@check("LEA.3")
async def another_incarnation_of_the_owner_is_busy(store: RuntimePersistence) -> None:
    """The worker restarted; its old lease is another's."""
    await hold_lane(store, owner("a", "1"))

    assert isinstance(await claim_lane(store, owner("a", "2")), Busy)


@check("LEA.4")
async def the_holder_re_enters_its_own_lease(store: RuntimePersistence) -> None:
    """Token, number and claim time stay."""
    first = await hold_lane(store, owner())

    again = await hold_lane(store, owner())

    assert (again.lease_token, again.fencing_token) == (first.lease_token, first.fencing_token)
    assert again.claimed_at_epoch_ms == first.claimed_at_epoch_ms
    assert isinstance(await claim_lane(store, owner("b")), Busy)


@check("LEA.5", needs=("clock",))
async def re_entry_sets_a_later_expiry(bench: Bench, store: RuntimePersistence) -> None:
    """Now plus the ttl."""
    await hold_lane(store, owner(), 1000)
    await bench.pass_time(400)

    again = await hold_lane(store, owner(), 1000)

    assert again.expires_at_epoch_ms == bench.clock.now_ms() + 1000


@check("LEA.5", needs=("clock",))
async def re_entry_may_shorten_the_lease(bench: Bench, store: RuntimePersistence) -> None:
    """The holder's latest word counts, also when it is sooner."""
    await hold_lane(store, owner("a"), 60_000)
    shorter = await hold_lane(store, owner("a"), 10)
    await bench.pass_time(10)

    assert shorter.expires_at_epoch_ms == bench.clock.now_ms()
    assert isinstance(await claim_lane(store, owner("b")), Acquired)


@check("LEA.6")
async def each_fresh_grant_has_a_higher_number(bench: Bench, store: RuntimePersistence) -> None:
    """After a release, to the same owner and to another."""
    lane = await bench.lane(store)
    numbers = [lane.fence.fencing_token]
    for name in ("a", "b", "a"):
        await lane.hand_over(owner(name))
        numbers.append(lane.fence.fencing_token)

    assert numbers == sorted(set(numbers))


@check("LEA.6")
async def a_fresh_grant_has_another_token(bench: Bench, store: RuntimePersistence) -> None:
    """The old token is worth nothing, even to its owner."""
    lane = await bench.lane(store)
    before = lane.fence

    await lane.hand_over(owner())

    assert lane.fence.lease_token != before.lease_token
    await refused(SessionExecutionLeaseExpired, store.renew_session_execution_lease(before, 1000))


@check("LEA.7")
async def the_number_survives_release(bench: Bench, store: RuntimePersistence) -> None:
    """A released lane does not start over."""
    lane = await bench.lane(store)
    await lane.hand_over()
    await lane.release()

    again = await hold_lane(store, owner("c"))

    assert again.fencing_token > lane.fence.fencing_token


@check("LEA.7")
async def the_number_survives_expiry(bench: Bench, store: RuntimePersistence) -> None:
    """An expired lane does not start over."""
    lane = await bench.lane(store, ttl=bench.ttl)
    await lane.expire()

    assert (await hold_lane(store, owner("b"))).fencing_token > lane.fence.fencing_token


@check("LEA.7", needs=("durable",))
async def the_number_survives_reopening(bench: Bench, store: RuntimePersistence) -> None:
    """A restart does not revive old fences."""
    lane = await bench.lane(store)
    await lane.release()
    factory = await bench.reopen()

    again = await hold_lane(await bench.session(on=factory), owner("b"))

    assert again.fencing_token > lane.fence.fencing_token


@check("LEA.8")
async def a_ttl_of_zero_is_dead_at_once(store: RuntimePersistence) -> None:
    """Granted, and no authority."""
    lease = await hold_lane(store, owner("a"), 0)

    await refused(SessionExecutionLeaseExpired, store.claim_next_turn_inputs("s1", lease.fence(), lease.owner, 1))
    assert isinstance(await claim_lane(store, owner("b")), Acquired)


@check("LEA.8", needs=("clock",))
async def a_lease_dies_in_the_millisecond_of_its_expiry(bench: Bench, store: RuntimePersistence) -> None:
    """One before it is live, at it it is dead."""
    lease = await hold_lane(store, owner("a"), 1000)
    await bench.pass_time(999)
    assert isinstance(await claim_lane(store, owner("b")), Busy)

    await bench.pass_time(1)

    await refused(SessionExecutionLeaseExpired, store.claim_next_turn_inputs("s1", lease.fence(), lease.owner, 1))
    assert isinstance(await claim_lane(store, owner("b")), Acquired)


@check("LEA.9")
async def an_expired_lane_is_anyones(bench: Bench, store: RuntimePersistence) -> None:
    """A crash does not lock the session for ever."""
    lane = await bench.lane(store, ttl=bench.ttl)
    await lane.expire()

    outcome = await claim_lane(store, owner("b"))

    assert isinstance(outcome, Acquired)
    assert outcome.owner == owner("b")


@check("LEA.11", "LEA.2", needs=("shared",))
async def one_of_two_first_claims_through_two_backends_wins(bench: Bench) -> None:
    """Nobody held the lane before, so there is no row to lock."""
    first = await bench.session()
    second = await bench.session(on=await bench.another())

    outcomes = await asyncio.gather(claim_lane(first, owner("a")), claim_lane(second, owner("b")))

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Acquired", "Busy"]


@check("LEA.11")
async def one_of_five_first_claims_wins(store: RuntimePersistence) -> None:
    """The others see the winner as holder."""
    outcomes = await asyncio.gather(*(claim_lane(store, owner(name)) for name in "abcde"))

    winners = [outcome for outcome in outcomes if isinstance(outcome, Acquired)]
    assert len(winners) == 1
    holders = {outcome.holder.lease_token for outcome in outcomes if isinstance(outcome, Busy)}
    assert holders == {winners[0].lease_token}


@check("LEA.12")
async def lanes_of_two_sessions_are_independent(store: RuntimePersistence) -> None:
    """Each starts at 1 and neither makes the other busy."""
    first = await claim_lane(store, owner("a"), session_id="s1")
    second = await claim_lane(store, owner("b"), session_id="s2")

    assert isinstance(first, Acquired)
    assert isinstance(second, Acquired)
    assert (first.fencing_token, second.fencing_token) == (1, 1)
    assert isinstance(await claim_lane(store, owner("b"), session_id="s1"), Busy)


@check("LEA.13", needs=("clock",))
async def lease_times_are_the_stores_clocks(bench: Bench, store: RuntimePersistence) -> None:
    """Claimed now, expiring a ttl later, by the injected clock."""
    lease = await hold_lane(store, owner(), 5000)

    now = bench.clock.now_ms()
    assert (lease.claimed_at_epoch_ms, lease.expires_at_epoch_ms) == (now, now + 5000)


@check("LEA.14", needs=("clock",))
async def a_renewal_moves_only_the_expiry(bench: Bench, store: RuntimePersistence) -> None:
    """Token, number and claim time stay; the expiry is now plus the ttl, even sooner."""
    lease = await hold_lane(store, owner(), 60_000)
    await bench.pass_time(100)

    renewed = await store.renew_session_execution_lease(lease.fence(), 50)

    expected = dict(lease) | {"expires_at_epoch_ms": bench.clock.now_ms() + 50}
    assert dict(renewed) == expected


@check("LEA.14")
async def a_renewed_lease_is_live(bench: Bench, store: RuntimePersistence) -> None:
    """It outlives its first ttl."""
    first = bench.ttl * 8
    lease = await hold_lane(store, owner("a"), first)
    renewed = await store.renew_session_execution_lease(lease.fence(), bench.ttl * 100)
    await bench.pass_time(first + 1)

    assert (renewed.lease_token, renewed.fencing_token) == (lease.lease_token, lease.fencing_token)
    assert isinstance(await claim_lane(store, owner("b")), Busy)


@check("LEA.14", "LEA.5", needs=("durable",))
async def a_renewal_and_a_re_entry_survive_reopening(bench: Bench, store: RuntimePersistence) -> None:
    """Who comes after the reopening is shown the expiry that was answered last."""
    lease = await hold_lane(store, owner("a"), 60_000)
    renewed = await store.renew_session_execution_lease(lease.fence(), 120_000)

    again = await bench.session("s1", on=await bench.reopen())
    assert await claim_lane(again, owner("b")) == Busy(holder=SessionExecutionLease(**dict(renewed)))
    entered = await hold_lane(again, owner("a"), 240_000)
    third = await bench.session("s1", on=await bench.reopen())

    assert await claim_lane(third, owner("b")) == Busy(holder=SessionExecutionLease(**dict(entered)))


@check("LEA.15")
async def a_renewal_with_a_wrong_token_is_refused(store: RuntimePersistence) -> None:
    """Everything is right but the token."""
    lease = await hold_lane(store, owner())

    attempt = store.renew_session_execution_lease(lease.fence().but(lease_token="forged"), 1000)

    await refused(SessionExecutionLeaseExpired, attempt, session_id="s1")


@check("LEA.15")
async def a_renewal_after_release_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """A lane given back cannot be prolonged."""
    await lane.release()

    await refused(SessionExecutionLeaseExpired, store.renew_session_execution_lease(lane.fence, 1000))


@check("LEA.15")
async def a_renewal_after_a_takeover_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """The new holder keeps the lane."""
    stale = lane.fence
    await lane.hand_over()

    await refused(SessionExecutionLeaseExpired, store.renew_session_execution_lease(stale, 1000))
    assert (await store.renew_session_execution_lease(lane.fence, 1000)).owner == owner("b")


@check("LEA.15")
async def a_renewal_after_expiry_is_refused(bench: Bench, store: RuntimePersistence) -> None:
    """Also when nobody else came."""
    lane = await bench.lane(store, ttl=bench.ttl)
    await lane.expire()

    await refused(SessionExecutionLeaseExpired, store.renew_session_execution_lease(lane.fence, 1000))


@check("LEA.15")
async def a_renewal_of_an_unknown_lane_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """Nobody ever claimed "s9"."""
    fence = lane.fence.but(session_id="s9")

    await refused(
        SessionExecutionLeaseExpired, store.renew_session_execution_lease(fence, 1000), session_id="s9"
    )


@check("LEA.16")
async def a_release_frees_the_lane_at_once(store: RuntimePersistence, lane: Lane) -> None:
    """The next owner does not wait for the ttl."""
    assert isinstance(await claim_lane(store, owner("b")), Busy)
    await lane.release()

    assert isinstance(await claim_lane(store, owner("b")), Acquired)


@check("LEA.17")
async def a_stale_release_frees_nothing(store: RuntimePersistence, lane: Lane) -> None:
    """The old holder's release comes after the takeover."""
    stale = lane.completion
    await lane.hand_over()

    await store.release_session_execution_lease(stale)

    outcome = await claim_lane(store, owner("c"))
    assert isinstance(outcome, Busy)
    assert outcome.holder.owner == owner("b")


@check("LEA.17")
async def a_release_with_a_wrong_token_frees_nothing(store: RuntimePersistence, lane: Lane) -> None:
    """The same owner and number, another token."""
    await store.release_session_execution_lease(lane.completion.but(lease_token="forged"))

    assert isinstance(await claim_lane(store, owner("b")), Busy)


@check("LEA.17")
async def a_release_may_be_repeated_and_may_be_of_nothing(store: RuntimePersistence, lane: Lane) -> None:
    """Neither the second release nor one of an unknown lane fails."""
    await lane.release()

    await store.release_session_execution_lease(lane.completion)
    await store.release_session_execution_lease(lane.completion.but(session_id="s9"))

    assert (await hold_lane(store, owner("b"))).owner == owner("b")


@check("LEA.25")
async def a_ttl_of_all_time_ends_with_the_last_millisecond(store: RuntimePersistence) -> None:
    """Now plus the largest integer is past it; the lease is live and does not wrap around."""
    lease = await hold_lane(store, owner("a"), 2**63 - 1)

    assert lease.expires_at_epoch_ms == 2**63 - 1
    await store.commit_runtime_state(turn("t1", fence=lease.fence()))
    assert isinstance(await claim_lane(store, owner("b")), Busy)


@check("LEA.25")
async def a_renewal_for_all_time_ends_with_the_last_millisecond(store: RuntimePersistence) -> None:
    """Renewals end where claims do."""
    lease = await hold_lane(store, owner("a"))

    renewed = await store.renew_session_execution_lease(lease.fence(), 2**63 - 1)

    assert renewed.expires_at_epoch_ms == 2**63 - 1
    assert isinstance(await claim_lane(store, owner("b")), Busy)


@check("LEA.27")
async def a_renewal_under_a_wrong_number_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """The token is right, the number is the next one."""
    fence = lane.fence.but(fencing_token=lane.fence.fencing_token + 1)

    await refused(SessionExecutionLeaseExpired, store.renew_session_execution_lease(fence, 1000))


@check("LEA.27")
async def a_renewal_by_another_incarnation_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """The token leaked to the restarted worker."""
    fence = lane.fence.but(owner=owner("a", "2"))

    await refused(SessionExecutionLeaseExpired, store.renew_session_execution_lease(fence, 1000))


@check("LEA.27")
async def a_renewal_by_another_owner_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """The same incarnation id under another owner id."""
    fence = lane.fence.but(owner=owner("b"))

    await refused(SessionExecutionLeaseExpired, store.renew_session_execution_lease(fence, 1000))
