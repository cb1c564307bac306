"""Queued work: batches that wait for a turn, and the claims that a turn takes on them."""

from typing import Annotated, Final, Literal

from pydantic import Field

from lash_ref.lease import LeaseOwnerIdentity
from lash_ref.scalars import U64, Identifier, Json, Record, Text

DeliveryPolicy = Literal["earliest_safe_boundary", "after_current_turn_commit"]
SlotPolicy = Literal["join", "exclusive"]
ClaimBoundary = Literal["active_turn_checkpoint", "idle"]
CheckpointKind = Literal["after_work", "before_completion"]
WorkClass = Literal["session_command", "turn_work"]

BatchState = Literal["waiting", "held", "lapsed", "completed", "cancelled"]
BatchEvent = Literal["claim", "abandon", "lease ends", "complete", "cancel"]
BATCH_TRANSITIONS: Final[dict[tuple[BatchState, BatchEvent], BatchState]] = {
    ("waiting", "claim"): "held",
    ("held", "abandon"): "waiting",
    ("held", "lease ends"): "lapsed",
    ("held", "complete"): "completed",
    ("lapsed", "claim"): "held",
    ("lapsed", "abandon"): "waiting",
    ("lapsed", "complete"): "completed",
    ("waiting", "cancel"): "cancelled",
    ("lapsed", "cancel"): "cancelled",
}
"""The life of a queued batch: (state, event) to the state after; a pair that is not listed is refused.

A claim lapses with the lease generation it was made under: anybody may take the batch then, and until
somebody does, its holder may still complete it.
"""


# -- causes


class TurnCause(Record):
    type: Literal["turn"] = "turn"
    session_id: Identifier
    turn_id: Identifier


class EffectCause(Record):
    type: Literal["effect"] = "effect"
    session_id: Identifier
    turn_id: Identifier | None = None
    effect_id: Identifier


class ToolCallCause(Record):
    type: Literal["tool_call"] = "tool_call"
    session_id: Identifier
    call_id: Identifier


class ProcessCause(Record):
    type: Literal["process"] = "process"
    process_id: Identifier


class ProcessEventCause(Record):
    type: Literal["process_event"] = "process_event"
    process_id: Identifier
    sequence: U64


class TriggerOccurrenceCause(Record):
    type: Literal["trigger_occurrence"] = "trigger_occurrence"
    occurrence_id: Identifier
    subscription_id: Identifier | None = None
    subscription_incarnation: Identifier | None = None
    subscription_revision: U64 | None = None


class SessionNodeCause(Record):
    type: Literal["session_node"] = "session_node"
    session_id: Identifier
    node_id: Identifier


CausalRef = Annotated[
    TurnCause
    | EffectCause
    | ToolCallCause
    | ProcessCause
    | ProcessEventCause
    | TriggerOccurrenceCause
    | SessionNodeCause,
    Field(discriminator="type"),
]
"""What made a node, frame, session or wake come about."""


class ProtocolTurnOptions(Record):
    """Options owned by the session's protocol plugin."""

    schema_version: Annotated[U64, Field(ge=1, le=1)] = 1
    payload: Json = Json({})


# -- payloads


class ProcessWakeDelivery(Record):
    """A process event that wakes a session."""

    wake_id: Identifier
    target_session_id: Identifier
    target_scope_id: Identifier
    process_id: Identifier
    sequence: U64
    event_type: Text = "process.wake"
    event_invocation: Json | None = Field(
        default=None,
        examples=[
            {
                "scope": {"session_id": "s"},
                "subject": {
                    "type": "process_event",
                    "process_id": "p",
                    "sequence": 1,
                    "event_type": "process.wake",
                },
            }
        ],
    )
    process_caused_by: CausalRef | None = None
    dedupe_key: Text
    input: Text
    created_at_ms: U64


class ProcessWake(Record):
    """Turn work: a process wakes the session."""

    type: Literal["process_wake"] = "process_wake"
    wake: ProcessWakeDelivery


class AgentFrameTask(Record):
    """Turn work: a task for an agent frame."""

    type: Literal["agent_frame_task"] = "agent_frame_task"
    frame_id: Identifier
    task: Text
    protocol_turn_options: ProtocolTurnOptions | None = None


class RefreshToolCatalog(Record):
    kind: Literal["refresh_tool_catalog"] = "refresh_tool_catalog"
    reason: Text


class ResetSession(Record):
    kind: Literal["reset_session"] = "reset_session"
    reason: Text


SessionCommand = Annotated[RefreshToolCatalog | ResetSession, Field(discriminator="kind")]


class SessionCommandPayload(Record):
    """Command work: run alone, between turns."""

    type: Literal["session_command"] = "session_command"
    command: SessionCommand


QueuedWorkPayload = Annotated[
    ProcessWake | AgentFrameTask | SessionCommandPayload, Field(discriminator="type")
]


def work_class(payloads: tuple[QueuedWorkPayload, ...]) -> WorkClass | None:
    """The class all ``payloads`` share; none when there are none or they differ."""
    classes: set[WorkClass] = {
        "session_command" if isinstance(payload, SessionCommandPayload) else "turn_work"
        for payload in payloads
    }
    return classes.pop() if len(classes) == 1 else None


# -- batches


class Group(Record, extra="forbid"):
    """A named merge group."""

    group: Text


MergeKey = Literal["never", "payload_default"] | Group
"""Compared for equality only: ``never`` equals ``never``."""


class QueuedWorkBatchDraft(Record):
    """Work to enqueue; payloads are one class and at least one ([QUE.30][])."""

    session_id: Identifier
    source_key: Identifier | None = None
    delivery_policy: DeliveryPolicy
    slot_policy: SlotPolicy
    merge_key: MergeKey = "never"
    available_at_ms: U64 = 0
    payloads: tuple[QueuedWorkPayload, ...]


class QueuedWorkItem(Record):
    item_id: Identifier
    payload: QueuedWorkPayload


class QueuedWorkBatch(Record):
    """Enqueued work."""

    batch_id: Identifier
    session_id: Identifier
    enqueue_seq: U64
    source_key: Identifier | None = None
    delivery_policy: DeliveryPolicy
    slot_policy: SlotPolicy
    merge_key: MergeKey
    available_at_ms: U64
    enqueued_at_ms: U64
    items: tuple[QueuedWorkItem, ...]

    @property
    def work_class(self) -> WorkClass | None:
        """The class all items share, if one."""
        return work_class(tuple(item.payload for item in self.items))


# -- claims


class QueuedWorkCompletion(Record):
    """A commit's word that a queue claim's batches are done."""

    session_id: Identifier
    claim_id: Identifier
    lease_token: Identifier
    batch_ids: tuple[Identifier, ...]


class QueuedWorkClaim(Record):
    """Batches a turn holds, until it completes or abandons them or its lease generation ends."""

    session_id: Identifier
    claim_id: Identifier
    owner: LeaseOwnerIdentity
    lease_token: Identifier
    fencing_token: U64
    session_lease_generation: U64
    batches: tuple[QueuedWorkBatch, ...]

    def completion(self) -> QueuedWorkCompletion:
        """The completion of every batch held."""
        return QueuedWorkCompletion(
            session_id=self.session_id,
            claim_id=self.claim_id,
            lease_token=self.lease_token,
            batch_ids=tuple(batch.batch_id for batch in self.batches),
        )
