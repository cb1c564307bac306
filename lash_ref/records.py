"""The session's records: configuration, frames, checkpoint, meta, and the commit that writes them.

Field names, tags and defaults are those of lash 0.1.0-alpha.113's JSON ([REC.10][] to [REC.14][]).
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from lash_ref.inputs import TurnInputApplication, TurnInputCompletion
from lash_ref.lease import SessionExecutionLeaseCompletion, SessionExecutionLeaseFence
from lash_ref.nodes import GraphCommitDelta, GraphSnapshot
from lash_ref.scalars import U32, U64, Bits64, Blob, Identifier, Json, MediaType, Record, Text
from lash_ref.usage import PromptUsage, TokenLedgerEntry, TokenUsage
from lash_ref.work import (
    CausalRef,
    ProtocolTurnOptions,
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkCompletion,
)

DurabilityTier = Literal["inline", "durable"]
BlobRef = Identifier
"""An opaque name for stored bytes."""

HEAD_SCHEMA_VERSION = 1
CHECKPOINT_SCHEMA_VERSION = 1


# -- configuration


class ModelLimits(Record, extra="forbid"):
    """Token limits of a model route."""

    context_window_tokens: Annotated[U64, Field(gt=0)]
    output_token_capacity: Annotated[U64, Field(gt=0)] | None = None


def _known_variant(variant: Json) -> Json:
    match variant.value:
        case "provider_default" | "disabled":
            return variant
        case {"effort": str(), **rest} if not rest:
            return variant
        case _:
            raise ValueError("provider_default, disabled or an effort")


class ModelSpec(Record, extra="forbid"):
    """A model route as the host describes it; unknown keys are refused ([REC.11][])."""

    id: Text
    variant: Annotated[Json, AfterValidator(_known_variant), Field(examples=[{"effort": "high"}])] = Json(
        "provider_default"
    )
    """``"provider_default"``, ``"disabled"`` or ``{"effort": name}`` ([REC.18][])."""
    limits: ModelLimits
    capability: Json | None = Field(default=None, examples=[{"cache_control": "anthropic"}])

    @classmethod
    def from_token_limits(
        cls,
        id: str,
        variant: str | None,
        context_window_tokens: int,
        output_token_capacity: int | None = None,
    ) -> "ModelSpec":
        """A route by its limits, in tokens; ``variant`` names a reasoning effort, none is the provider's default.

        Raises:
            InvalidRecord: a limit is not positive.
        """
        return cls.from_data({
            "id": id,
            "variant": "provider_default" if variant is None else {"effort": variant},
            "limits": {
                "context_window_tokens": context_window_tokens,
                "output_token_capacity": output_token_capacity,
            },
        })


class PersistedSessionConfig(Record):
    """The provider and model recorded with the session."""

    provider_id: Text
    model: ModelSpec


# -- frames


class AgentFrameAssignment(Record):
    """What an agent frame runs with; the parts are the runtime's and opaque to the store."""

    policy: Json = Field(
        examples=[
            {
                "model": {
                    "id": "m",
                    "variant": "provider_default",
                    "limits": {"context_window_tokens": 1},
                },
                "provider_id": "p",
                "autonomous": False,
            }
        ]
    )
    plugin_options: Json = Field(default=Json({}), examples=[{"plugins": {"kit": {"a": [None]}}}])
    plugin_source: Literal["current_host_fresh", "current_session_fork"] = "current_session_fork"
    tool_access: Json = Field(default=Json({}), examples=[{"hidden_tools": ["t"]}])
    subagent: Json | None = Field(default=None, examples=[None])
    usage_source: Text | None = None


class AgentFrameRecord(Record):
    """One agent frame of the session's history."""

    frame_id: Identifier
    session_id: Identifier
    previous_frame_id: Identifier | None = None
    status: Literal["active", "superseded"] = "active"
    reason: Text = "initial"
    caused_by: CausalRef | None = None
    created_at: Text
    assignment: AgentFrameAssignment
    protocol_turn_options: ProtocolTurnOptions = ProtocolTurnOptions()
    execution_state_ref: BlobRef | None = None
    execution_state_snapshot: Blob | None = None


# -- turn state


class PersistedTurnState(Record):
    """What the next turn starts from."""

    turn_index: U64 = 0
    token_usage: TokenUsage = TokenUsage()
    last_prompt_usage: PromptUsage | None = None
    protocol_turn_options: ProtocolTurnOptions = ProtocolTurnOptions()


# -- checkpoint


class SessionCheckpoint(Record):
    """The manifest of a checkpoint: turn state and the names of its parts."""

    schema_version: U32 = CHECKPOINT_SCHEMA_VERSION
    turn_state: PersistedTurnState
    tool_state_ref: BlobRef | None = None
    plugin_snapshot_ref: BlobRef | None = None
    plugin_snapshot_revision: Bits64 | None = None
    execution_state_ref: BlobRef | None = None


class HydratedSessionCheckpoint(Record):
    """A checkpoint with its parts inline; an inline part wins over a ref in the same slot."""

    turn_state: PersistedTurnState = PersistedTurnState()
    tool_state_ref: BlobRef | None = None
    tool_state: Json | None = Field(default=None, examples=[{"generation": 1, "tools": {}}])
    plugin_snapshot_ref: BlobRef | None = None
    plugin_snapshot: Json | None = Field(default=None, examples=[{"plugins": {}}])
    plugin_snapshot_revision: Bits64 | None = None
    execution_state_ref: BlobRef | None = None
    execution_state: Blob | None = None


# -- head, read, meta


class SessionHeadMeta(Record):
    """The head row as stored: everything of a head but the graph and the ledger."""

    schema_version: U32 = HEAD_SCHEMA_VERSION
    session_id: Identifier = "root"
    head_revision: U64 = 0
    config: PersistedSessionConfig
    agent_frames: tuple[AgentFrameRecord, ...] = ()
    current_agent_frame_id: Text = ""
    checkpoint_ref: BlobRef | None = None
    leaf_node_id: Identifier | None = None
    graph_node_count: U64 = 0
    token_ledger: tuple[TokenLedgerEntry, ...] = ()
    """Always stored empty; the ledger has rows of its own."""


class PersistedSessionRead(Record):
    """What a load returns."""

    session_id: Identifier
    head_revision: U64
    config: PersistedSessionConfig
    agent_frames: tuple[AgentFrameRecord, ...] = ()
    current_agent_frame_id: Text = ""
    graph: GraphSnapshot
    checkpoint_ref: BlobRef | None = None
    checkpoint: HydratedSessionCheckpoint | None = None
    token_ledger: tuple[TokenLedgerEntry, ...] = ()


class RootSession(Record):
    """A session nobody spawned."""

    kind: Literal["root"] = "root"


class ChildSession(Record):
    """A session spawned by another."""

    kind: Literal["child"] = "child"
    parent_session_id: Identifier
    caused_by: CausalRef | None = None


SessionRelation = Annotated[RootSession | ChildSession, Field(discriminator="kind")]


class SessionMeta(Record):
    """What a session picker shows."""

    session_id: Identifier
    session_name: Text
    created_at: Text
    model: Text
    cwd: Text | None = None
    relation: SessionRelation


class SessionPolicy(Record):
    """What a new session runs with, as far as a store factory needs it."""

    provider_id: Text = ""
    model: ModelSpec


class SessionStoreCreateRequest(Record):
    """What a factory needs to open or create a session's store."""

    session_id: Identifier
    relation: SessionRelation = RootSession()
    policy: SessionPolicy


# -- commit


class RuntimeTurnCommitStamp(Record):
    """Identity of a final turn commit; the hash is opaque to the store."""

    session_id: Identifier
    turn_id: Identifier
    turn_commit_hash: Text


class RuntimeCommit(Record):
    """Everything one turn writes, in one atomic step."""

    session_id: Identifier
    expected_head_revision: U64 | None = None
    """The head the caller built on; absent means "do not check", 0 means "must be new"."""
    session_execution_lease: SessionExecutionLeaseFence | None = None
    release_session_execution_lease: SessionExecutionLeaseCompletion | None = None
    config: PersistedSessionConfig
    agent_frames: tuple[AgentFrameRecord, ...] = ()
    current_agent_frame_id: Text = ""
    graph: GraphCommitDelta
    checkpoint: HydratedSessionCheckpoint = HydratedSessionCheckpoint()
    usage_deltas: tuple[TokenLedgerEntry, ...] = ()
    turn_commit: RuntimeTurnCommitStamp | None = None
    completed_queue_claims: tuple[QueuedWorkCompletion, ...] = ()
    completed_turn_input_claims: tuple[TurnInputCompletion, ...] = ()
    enqueued_queue_batches: tuple[QueuedWorkBatchDraft, ...] = ()
    interrupted_turn_input_turn_id: Identifier | None = None
    committed_attachment_ids: tuple[Identifier, ...] = ()


class RuntimeCommitResult(Record):
    """What an applied commit answers, and what a repeat of it answers."""

    head_revision: U64
    checkpoint_ref: BlobRef
    manifest: SessionCheckpoint
    enqueued_queue_batches: tuple[QueuedWorkBatch, ...] = ()
    turn_input_applications: tuple[TurnInputApplication, ...] = ()
    """Those of the commit's input completions, in their order ([INP.39][])."""


# -- maintenance


class VacuumReport(Record):
    """What a vacuum removed."""

    removed_node_count: U64 = 0
    removed_pending_turn_input_tombstone_count: U64 = 0


class GcReport(Record):
    """What a garbage collection kept and deleted."""

    root_count: U64 = 0
    retained_blob_count: U64 = 0
    deleted_blob_count: U64 = 0


# -- attachments


AttachmentOwnerKind = Literal["turn", "process"]


class AttachmentIntent(Record):
    """A session's claim on bytes about to be written; owner fields are both set or both absent."""

    attachment_id: Identifier
    session_id: Identifier
    canonical_uri: Text
    intent_at_epoch_ms: U64
    owner_kind: AttachmentOwnerKind | None = None
    owner_id: Identifier | None = None


class AttachmentManifestEntry(AttachmentIntent):
    """An intent and, once a commit adopted it, when."""

    committed_at_epoch_ms: U64 | None = None


class AttachmentCreateMeta(Record):
    """What the caller says of the bytes it puts."""

    media_type: MediaType
    type_metadata: Json | None = Field(default=None, examples=[{"type": "image", "width": 3}])
    label: Text | None = None


class StoredBlobRef(Record):
    """One stored blob; an absent time counts as past every grace period."""

    id: Identifier
    last_modified_epoch_ms: U64 | None = None


class AttachmentReclamationReport(Record):
    """What a sweep of unreferenced bytes did."""

    scanned_blob_count: U64 = 0
    reclaimed_count: U64 = 0
    failed_ids: tuple[Identifier, ...] = ()
    deleted_while_referenced: tuple[Identifier, ...] = ()
