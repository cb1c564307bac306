"""Pending turn input: what a user sent while a turn runs, or for the next one."""

from typing import Annotated, Final, Literal

from pydantic import Field

from lash_ref.lease import LeaseOwnerIdentity
from lash_ref.scalars import U64, Blob, Identifier, Json, MediaType, Record, Text
from lash_ref.work import CheckpointKind, ProtocolTurnOptions, QueuedWorkClaim

TurnInputState = Literal["pending_active", "deferred_next_turn", "accepted", "cancelled", "completed"]
TurnInputEvent = Literal["claim", "abandon", "complete", "interrupt", "cancel"]
INPUT_TRANSITIONS: Final[dict[tuple[TurnInputState, TurnInputEvent], TurnInputState]] = {
    ("pending_active", "claim"): "accepted",
    ("pending_active", "interrupt"): "deferred_next_turn",
    ("pending_active", "cancel"): "cancelled",
    ("accepted", "abandon"): "pending_active",
    ("accepted", "complete"): "completed",
    ("deferred_next_turn", "claim"): "deferred_next_turn",
    ("deferred_next_turn", "abandon"): "deferred_next_turn",
    ("deferred_next_turn", "complete"): "completed",
    ("deferred_next_turn", "cancel"): "cancelled",
}
"""The life of pending input: (state, event) to the state after; a pair that is not listed cannot happen.

A claim for the next turn holds the input and leaves its state, so that a lost worker loses nothing.
"""


# -- content


class AttachmentRef(Record):
    """Stored bytes as a message refers to them; the id is the bytes' SHA-256 in hex."""

    id: Identifier
    media_type: MediaType
    byte_len: U64
    type_metadata: Json | None = Field(default=None, examples=[{"type": "image", "width": 3}])
    label: Text | None = None


class InlineSource(Record, extra="forbid"):
    source: Literal["inline"] = "inline"
    media_type: MediaType
    bytes: Blob


class StoredSource(Record, extra="forbid"):
    source: Literal["stored"] = "stored"
    attachment_ref: AttachmentRef


class ExternalUrlSource(Record, extra="forbid"):
    source: Literal["external_url"] = "external_url"
    media_type: MediaType
    url: Text


class ProviderFileScope(Record, extra="forbid"):
    """The account at a provider in which a file id means something."""

    provider: Text
    credential_scope: Text


class ProviderFileSource(Record, extra="forbid"):
    """A file the provider keeps; it is never fetched."""

    source: Literal["provider_file"] = "provider_file"
    provider_scope: ProviderFileScope
    id: Text
    media_type: MediaType | None = None


AttachmentSource = Annotated[
    InlineSource | StoredSource | ExternalUrlSource | ProviderFileSource, Field(discriminator="source")
]
"""Where attached bytes are; unknown keys are refused."""


class TextItem(Record):
    type: Literal["text"] = "text"
    text: Text


class AttachmentItem(Record):
    type: Literal["attachment"] = "attachment"
    source: AttachmentSource


InputItem = Annotated[TextItem | AttachmentItem, Field(discriminator="type")]


class TurnInput(Record):
    """What a user hands to a turn."""

    items: tuple[InputItem, ...] = ()
    protocol_turn_options: ProtocolTurnOptions | None = None
    trace_turn_id: Identifier | None = None


# -- ingress


class ActiveTurn(Record):
    """For the turn that runs now, at this boundary or later."""

    scope: Literal["active_turn"] = "active_turn"
    turn_id: Identifier
    min_boundary: CheckpointKind = "after_work"


class NextTurn(Record):
    """For the turn after this one."""

    scope: Literal["next_turn"] = "next_turn"


TurnInputIngress = Annotated[ActiveTurn | NextTurn, Field(discriminator="scope")]


class PendingTurnInputDraft(Record):
    """Input to enqueue."""

    session_id: Identifier
    input_id: Identifier | None = None
    source_key: Identifier | None = None
    ingress: TurnInputIngress
    input: TurnInput


class PendingTurnInput(Record):
    """Enqueued input; completed and cancelled rows stay as tombstones until a vacuum."""

    input_id: Identifier
    session_id: Identifier
    enqueue_seq: U64
    source_key: Identifier | None = None
    ingress: TurnInputIngress
    state: TurnInputState
    enqueued_at_ms: U64
    input: TurnInput


# -- claims


class ActiveTurnMode(Record):
    kind: Literal["active_turn"] = "active_turn"
    turn_id: Identifier
    checkpoint: CheckpointKind


class NextTurnMode(Record):
    kind: Literal["next_turn"] = "next_turn"


TurnInputClaimMode = Annotated[ActiveTurnMode | NextTurnMode, Field(discriminator="kind")]


class TurnInputApplication(Record):
    """Which message of which turn an input became: identities only, for reconciling ([INP.40][])."""

    input_id: Identifier
    source_key: Identifier | None = None
    turn_id: Identifier
    committed_message_id: Identifier
    checkpoint: CheckpointKind | None = None
    """Where a running turn took the input in; absent when the input began its turn."""


class TurnInputCompletion(Record):
    """A commit's word that a claim's inputs are in the conversation."""

    session_id: Identifier
    claim_id: Identifier
    lease_token: Identifier
    input_ids: tuple[Identifier, ...]
    applications: tuple[TurnInputApplication, ...] = ()


class TurnInputClaim(Record):
    """Inputs a turn holds."""

    session_id: Identifier
    claim_id: Identifier
    owner: LeaseOwnerIdentity
    lease_token: Identifier
    fencing_token: U64
    session_lease_generation: U64
    mode: TurnInputClaimMode
    inputs: tuple[PendingTurnInput, ...]
    applications: tuple[TurnInputApplication, ...] = ()
    """What the holder made of the inputs so far; a store grants a claim without any."""

    def completion(self) -> TurnInputCompletion:
        """The completion of every input held, with what became of them."""
        return TurnInputCompletion(
            session_id=self.session_id,
            claim_id=self.claim_id,
            lease_token=self.lease_token,
            input_ids=tuple(held.input_id for held in self.inputs),
            applications=self.applications,
        )


class CheckpointWork(Record):
    """What one checkpoint claim granted, of either family."""

    turn_input_claim: TurnInputClaim | None = None
    queued_work_claim: QueuedWorkClaim | None = None


# -- cancellation


class InputIdTarget(Record):
    kind: Literal["input_id"] = "input_id"
    value: Identifier


class SourceKeyTarget(Record):
    kind: Literal["source_key"] = "source_key"
    value: Identifier


CancelTarget = Annotated[InputIdTarget | SourceKeyTarget, Field(discriminator="kind")]


class ClaimDiagnostics(Record):
    """Who holds an input that could not be cancelled."""

    state: TurnInputState
    claim_id: Identifier | None = None
    claim_owner: LeaseOwnerIdentity | None = None
    claim_session_lease_generation: U64 | None = None
    claim_fencing_token: U64


class Cancelled(Record):
    outcome: Literal["cancelled"] = "cancelled"
    data: PendingTurnInput


class Claimed(Record):
    input: PendingTurnInput
    claim: ClaimDiagnostics | None = None


class AlreadyClaimed(Record):
    outcome: Literal["already_claimed"] = "already_claimed"
    data: Claimed


class AlreadyCompleted(Record):
    outcome: Literal["already_completed"] = "already_completed"
    data: PendingTurnInput


class AlreadyCancelled(Record):
    outcome: Literal["already_cancelled"] = "already_cancelled"
    data: PendingTurnInput


class NotFound(Record):
    outcome: Literal["not_found"] = "not_found"


CancelOutcome = Annotated[
    Cancelled | AlreadyClaimed | AlreadyCompleted | AlreadyCancelled | NotFound,
    Field(discriminator="outcome"),
]


class CancelResult(Record):
    """One target of a bulk cancel and what became of it."""

    target: CancelTarget
    outcome: CancelOutcome


class AnchorMissing(Record):
    anchor: CancelTarget


class SuffixOutcomes(Record):
    anchor: CancelTarget
    outcomes: tuple[CancelOutcome, ...]


class AnchorNotFound(Record):
    outcome: Literal["anchor_not_found"] = "anchor_not_found"
    data: AnchorMissing


class Outcomes(Record):
    outcome: Literal["outcomes"] = "outcomes"
    data: SuffixOutcomes


SuffixCancelOutcome = Annotated[AnchorNotFound | Outcomes, Field(discriminator="outcome")]
