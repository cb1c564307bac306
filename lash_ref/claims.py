"""Draining a session's queue: what runs next, and how claimed work becomes a turn's input.

The order: commands older than the oldest waiting input, then up to 64 inputs merged into one turn, then one
claim of ready turn work. On equal milliseconds input goes first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lash_ref.activity import AcceptedInput
from lash_ref.contracts import RuntimePersistence
from lash_ref.inputs import CheckpointWork, InputItem, PendingTurnInput, TurnInput, TurnInputClaim
from lash_ref.lane import Lane
from lash_ref.messages import Message, text_message
from lash_ref.projection import user_message
from lash_ref.scalars import Json
from lash_ref.work import AgentFrameTask, CheckpointKind, ProcessWake, QueuedWorkClaim

MERGED_INPUTS = 64
"""Inputs that one turn takes in at most."""
MERGED_BATCHES = 64


@dataclass
class TurnClaims:
    """What a turn holds and must settle in its commit."""

    inputs: list[TurnInputClaim] = field(default_factory=list[TurnInputClaim])
    work: list[QueuedWorkClaim] = field(default_factory=list[QueuedWorkClaim])

    async def abandon(self, store: RuntimePersistence) -> None:
        """Give everything back, so that it can be claimed at once."""
        await store.abandon_turn_input_claims(self.inputs)
        await store.abandon_queued_work_claims(self.work)


@dataclass(frozen=True)
class DrainedWork:
    """One turn's worth of claimed work."""

    input: TurnInput
    parts: tuple[tuple[InputItem, ...], ...]
    """The items of each merged input, kept apart."""
    claims: TurnClaims
    wakes: tuple[ProcessWake, ...] = ()
    batch_ids: tuple[str, ...] = ()


async def leading_command(store: RuntimePersistence, session_id: str, lane: Lane) -> QueuedWorkClaim | None:
    """The command to run now, if one leads and no input is older or of the same millisecond."""
    batches = await store.list_pending_queued_work(session_id)
    if not batches or batches[0].work_class != "session_command":
        return None
    waiting = await store.list_pending_turn_inputs(session_id)
    oldest = min((i.enqueued_at_ms for i in waiting if i.state == "deferred_next_turn"), default=None)
    if oldest is not None and oldest <= batches[0].enqueued_at_ms:
        return None
    return await store.claim_leading_ready_session_command(session_id, lane.fence, lane.lease.owner)


async def next_work(
    store: RuntimePersistence, session_id: str, lane: Lane, batch_ids: Sequence[str]
) -> DrainedWork | None:
    """The next turn's work; with ``batch_ids``, exactly those or nothing, and no input."""
    owner = lane.lease.owner
    if batch_ids:
        chosen = await store.claim_ready_queued_work_by_batch_ids(
            session_id, lane.fence, owner, "idle", batch_ids
        )
        return None if chosen is None else _worked(chosen)
    inputs = await store.claim_next_turn_inputs(session_id, lane.fence, owner, MERGED_INPUTS)
    if inputs is not None:
        return _merged(inputs)
    ready = await store.claim_ready_queued_work(session_id, lane.fence, owner, "idle", MERGED_BATCHES)
    return None if ready is None else _worked(ready)


def _merged(claim: TurnInputClaim) -> DrainedWork:
    given = [pending.input for pending in claim.inputs]
    options = next((i.protocol_turn_options for i in given if i.protocol_turn_options is not None), None)
    named = next((i.trace_turn_id for i in given if i.trace_turn_id is not None), None)
    items = tuple(item for each in given for item in each.items)
    merged = TurnInput(items=items, protocol_turn_options=options, trace_turn_id=named)
    return DrainedWork(merged, tuple(each.items for each in given), TurnClaims(inputs=[claim]))


def _worked(claim: QueuedWorkClaim) -> DrainedWork:
    payloads = [item.payload for batch in claim.batches for item in batch.items]
    task = next((each for each in payloads if isinstance(each, AgentFrameTask)), None)
    given = TurnInput() if task is None else task_input(task)
    return DrainedWork(
        given,
        (given.items,),
        TurnClaims(work=[claim]),
        tuple(each for each in payloads if isinstance(each, ProcessWake)),
        tuple(batch.batch_id for batch in claim.batches),
    )


def task_input(task: AgentFrameTask) -> TurnInput:
    """A frame's task as input."""
    data = {"items": [{"type": "text", "text": task.task}]}
    made = TurnInput.from_data(data)
    return made.but(protocol_turn_options=task.protocol_turn_options)


# -- at a checkpoint


async def checkpoint_work(
    store: RuntimePersistence, session_id: str, lane: Lane, turn_id: str, kind: CheckpointKind
) -> CheckpointWork:
    """What the running turn may take in here, of both families."""
    return await store.claim_checkpoint_work(
        session_id, lane.fence, lane.lease.owner, turn_id, kind, MERGED_INPUTS, MERGED_BATCHES
    )


def claimed_messages(turn_id: str, work: CheckpointWork) -> tuple[Message, ...]:
    """The messages that claimed work becomes: a user's, one an input, and events, one a wake."""
    messages: list[Message] = []
    if work.turn_input_claim is not None:
        messages += [
            user_message(f"{turn_id}.i{pending.enqueue_seq}", pending.input.items)
            for pending in work.turn_input_claim.inputs
        ]
    if work.queued_work_claim is not None:
        for batch in work.queued_work_claim.batches:
            for item in batch.items:
                if isinstance(item.payload, ProcessWake):
                    messages.append(wake_message(item.payload))
                elif isinstance(item.payload, AgentFrameTask):
                    messages.append(
                        user_message(f"{turn_id}.w{batch.enqueue_seq}", task_input(item.payload).items)
                    )
    return tuple(messages)


def wake_message(wake: ProcessWake) -> Message:
    """A process's wake as an event of the conversation, never a user's words."""
    told = wake.wake
    origin: dict[str, Any] = {
        "kind": "process",
        "process_id": told.process_id,
        "event_type": told.event_type,
        "sequence": told.sequence,
        "wake_id": told.wake_id,
    }
    if told.process_caused_by is not None:
        origin["caused_by"] = told.process_caused_by.to_data()
    return text_message(f"wake:{told.wake_id}", "Event", told.input, Json(origin))


def accepted(inputs: Sequence[PendingTurnInput]) -> tuple[AcceptedInput, ...]:
    """The inputs as observers are told of them, under the ids their hosts gave."""
    return tuple(
        AcceptedInput(
            id=each.source_key.removeprefix("host:") if each.source_key is not None else None,
            input_id=each.input_id,
            input=each.input,
        )
        for each in inputs
    )
