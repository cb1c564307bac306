"""The model of the lane: claim, re-entry, reclaim, renewal, release."""

from lash_conformance.model_state import MAX, Data, Lane, State
from lash_ref.errors import SessionExecutionLeaseExpired

FENCE = ("session_id", "owner", "lease_token", "fencing_token")
DEAD_PID = 2**32 - 2
"""Beyond every Linux pid limit: a process of that number never runs."""


def same(one: Data, other: Data) -> bool:
    """Whether both name one incarnation of one owner."""
    return (one["owner_id"], one["incarnation_id"]) == (other["owner_id"], other["incarnation_id"])


def holder(state: State, session_id: str) -> Data | None:
    """The live lease of the session."""
    lane = state.session(session_id).lane
    return lane.holder if lane.holder is not None and lane.expires > state.now else None


def is_live(state: State, session_id: str, fence: Data | None) -> bool:
    """Whether the fence is the live lease of the session operated on."""
    held = holder(state, session_id)
    return fence is not None and held is not None and _matches(held, fence)


def _matches(held: Data, fence: Data) -> bool:
    return (
        fence["session_id"] == held["session_id"]
        and same(fence["owner"], held["owner"])
        and fence["lease_token"] == held["lease_token"]
        and fence["fencing_token"] == held["fencing_token"]
    )


def require(state: State, session_id: str, fence: Data | None) -> None:
    """Refuse what is not done under the live lease."""
    if not is_live(state, session_id, fence):
        raise SessionExecutionLeaseExpired(session_id)


def _until(state: State, lane: Lane, ttl: int) -> None:
    assert lane.holder is not None
    lane.expires = min(state.now + ttl, MAX)
    lane.holder = lane.holder | {"expires_at_epoch_ms": state.moment(lane.expires)}


def _acquired(state: State, session_id: str, owner: Data, ttl: int) -> Data:
    lane = state.session(session_id).lane
    lane.number = 1 if lane.number == 0 else state.above(session_id, "fence", lane.number)
    lane.holder = {
        "session_id": session_id,
        "owner": owner,
        "lease_token": state.mint(session_id, "leasetoken"),
        "fencing_token": lane.number,
        "claimed_at_epoch_ms": state.moment(state.now),
    }
    _until(state, lane, ttl)
    return {"Acquired": lane.holder}


def try_claim(state: State, bound: str, session_id: str, owner: Data, ttl: int) -> Data:
    """A plain claim."""
    held = holder(state, session_id)
    if held is None:
        return _acquired(state, session_id, owner, ttl)
    if not same(held["owner"], owner):
        return {"Busy": {"holder": held}}
    lane = state.session(session_id).lane
    _until(state, lane, ttl)
    return {"Acquired": lane.holder}


def reclaim(
    state: State, bound: str, session_id: str, owner: Data, observed: Data, ttl: int
) -> Data:
    """A claim that may also take a live lane from a dead process."""
    held = holder(state, session_id)
    if held is None:
        return try_claim(state, bound, session_id, owner, ttl)
    if _matches(held, observed) and _dead(state, held["owner"], owner):
        return _acquired(state, session_id, owner, ttl)
    return {"Busy": {"holder": held}}


def _dead(state: State, held: Data, claimant: Data) -> bool:
    one, other = held["liveness"], claimant["liveness"]
    return (
        "process_liveness" in state.capabilities
        and one["kind"] == other["kind"] == "local_process"
        and (one["host_id"], one["boot_id"]) == (other["host_id"], other["boot_id"])
        and one["pid"] == DEAD_PID
    )


def renew(state: State, bound: str, fence: Data, ttl: int) -> Data:
    """A live lease, running anew."""
    session_id = fence["session_id"]
    require(state, session_id, fence)
    lane = state.session(session_id).lane
    _until(state, lane, ttl)
    assert lane.holder is not None
    return lane.holder


def release(state: State, bound: str, completion: Data | None) -> None:
    """The lane freed, if the completion is its lease."""
    if completion is not None and is_live(state, completion["session_id"], completion):
        state.session(completion["session_id"]).lane.holder = None
