"""Claims of a lane, and under it of queued work and user input in session "s1", and what they hold."""

from typing import Any

from lash_conformance.bench import Lane
from lash_conformance.vocabulary import batch, task, turn
from lash_ref.contracts import RuntimePersistence
from lash_ref.inputs import TurnInputClaim
from lash_ref.lease import Acquired, Busy, LeaseOwnerIdentity
from lash_ref.work import QueuedWorkBatch, QueuedWorkBatchDraft, QueuedWorkClaim


async def claim_lane(
    store: RuntimePersistence, by: LeaseOwnerIdentity, ttl: int = 60_000, session_id: str = "s1"
) -> Acquired | Busy:
    """Claim a session's lane."""
    return await store.try_claim_session_execution_lease(session_id, by, ttl)


async def hold_lane(store: RuntimePersistence, by: LeaseOwnerIdentity, ttl: int = 60_000) -> Acquired:
    """The lane of session "s1", which must be free."""
    outcome = await claim_lane(store, by, ttl)
    assert isinstance(outcome, Acquired), "the lane is free, yet it was not granted"
    return outcome


def joining(text: str = "work", **parts: Any) -> QueuedWorkBatchDraft:
    """A batch that lets others join it."""
    return batch(task(text), slot_policy="join", **parts)


async def claim_work(
    store: RuntimePersistence, lane: Lane, most: int = 10, boundary: Any = "idle"
) -> QueuedWorkClaim | None:
    """Claim the leading group of turn work."""
    return await store.claim_ready_queued_work("s1", lane.fence, lane.owner, boundary, most)


async def claim_exactly(
    store: RuntimePersistence, lane: Lane, *chosen: QueuedWorkBatch, boundary: Any = "idle"
) -> QueuedWorkClaim | None:
    """Claim these batches or none."""
    names = [one.batch_id for one in chosen]
    return await store.claim_ready_queued_work_by_batch_ids("s1", lane.fence, lane.owner, boundary, names)


async def claim_command(store: RuntimePersistence, lane: Lane) -> QueuedWorkClaim | None:
    """Claim the command at the head of the queue."""
    return await store.claim_leading_ready_session_command("s1", lane.fence, lane.owner)


def batches_of(claim: QueuedWorkClaim | None) -> list[str]:
    """Ids of the batches a claim holds; no claim holds none."""
    return [] if claim is None else [one.batch_id for one in claim.batches]


async def claim_next(store: RuntimePersistence, lane: Lane, most: int = 10) -> TurnInputClaim | None:
    """Claim input that waits for the next turn."""
    return await store.claim_next_turn_inputs("s1", lane.fence, lane.owner, most)


async def claim_active(
    store: RuntimePersistence, lane: Lane, turn_id: str = "t1", at: Any = "after_work", most: int = 10
) -> TurnInputClaim | None:
    """Claim a running turn's input at a checkpoint."""
    return await store.claim_active_turn_inputs("s1", lane.fence, lane.owner, turn_id, at, most)


def inputs_of(claim: TurnInputClaim | None) -> list[str]:
    """Ids of the inputs a claim holds; no claim holds none."""
    return [] if claim is None else [held.input_id for held in claim.inputs]


async def waiting(store: RuntimePersistence) -> list[str]:
    """Ids of the inputs that wait, in the order of the listing."""
    return [listed.input_id for listed in await store.list_pending_turn_inputs("s1")]


async def complete_inputs(
    store: RuntimePersistence, lane: Lane, claim: TurnInputClaim | None, turn_id: str = "t9"
) -> None:
    """Commit a turn that took in what the claim holds."""
    assert claim is not None, "there is input to claim"
    done = turn(turn_id, fence=lane, completed_turn_input_claims=(claim.completion(),))
    await store.commit_runtime_state(done)
