"""What a running turn shows: activities with an identity each, in the order they happened."""

from typing import Annotated, Any, Literal, cast

from pydantic import Field, model_serializer, model_validator

from lash_ref.inputs import TurnInput
from lash_ref.scalars import U64, Identifier, Json, Record, Text
from lash_ref.tool_results import ToolCallOutput
from lash_ref.usage import TokenUsage
from lash_ref.work import CheckpointKind, ClaimBoundary


class AcceptedInput(Record):
    """One input that a running turn took in; ``id`` is the bare id that the host gave, if it gave one."""

    id: Text | None = None
    input_id: Identifier
    input: TurnInput


class QueuedWorkStarted(Record):
    type: Literal["queued_work_started"] = "queued_work_started"
    boundary: ClaimBoundary
    batch_ids: tuple[Identifier, ...]
    causes: tuple[Json, ...] = ()


class ModelRequestStarted(Record):
    type: Literal["model_request_started"] = "model_request_started"
    protocol_iteration: U64


class AssistantProseDelta(Record):
    type: Literal["assistant_prose_delta"] = "assistant_prose_delta"
    text: Text


class ReasoningDelta(Record):
    type: Literal["reasoning_delta"] = "reasoning_delta"
    text: Text


class ModelAttemptReset(Record):
    """Take back the deltas of exactly these correlation ids."""

    type: Literal["model_attempt_reset"] = "model_attempt_reset"
    assistant_prose_correlation_ids: tuple[Identifier, ...]
    reasoning_correlation_ids: tuple[Identifier, ...]


class RetryStatus(Record):
    type: Literal["retry_status"] = "retry_status"
    wait_seconds: U64
    attempt: U64
    max_attempts: U64
    reason: Text


class Usage(Record):
    type: Literal["usage"] = "usage"
    protocol_iteration: U64
    usage: TokenUsage
    cumulative: TokenUsage


class ChildUsage(Record):
    type: Literal["child_usage"] = "child_usage"
    session_id: Identifier
    source: Text
    model: Text
    protocol_iteration: U64
    usage: TokenUsage
    cumulative: TokenUsage


class CodeBlockStarted(Record):
    type: Literal["code_block_started"] = "code_block_started"
    language: Text
    code: Text
    graph_key: Text | None = None


class CodeBlockCompleted(Record):
    type: Literal["code_block_completed"] = "code_block_completed"
    language: Text
    output: Text
    error: Text | None = None
    success: bool
    duration_ms: U64
    tool_call_ids: tuple[Identifier, ...] = ()
    graph_key: Text | None = None


class ToolCallStarted(Record):
    type: Literal["tool_call_started"] = "tool_call_started"
    call_id: Identifier | None = None
    name: Text
    args: Json
    graph_key: Text | None = None
    parent_call_id: Identifier | None = None


class ToolCallCompleted(Record):
    type: Literal["tool_call_completed"] = "tool_call_completed"
    call_id: Identifier | None = None
    name: Text
    args: Json
    output: ToolCallOutput
    duration_ms: U64
    graph_key: Text | None = None
    parent_call_id: Identifier | None = None


class FinalValueShown(Record):
    type: Literal["final_value"] = "final_value"
    value: Json


class ToolValueShown(Record):
    type: Literal["tool_value"] = "tool_value"
    tool_name: Text
    value: Json


class PluginRuntime(Record):
    type: Literal["plugin_runtime"] = "plugin_runtime"
    plugin_id: Text
    event: Json


class QueuedInputAccepted(Record):
    type: Literal["queued_input_accepted"] = "queued_input_accepted"
    checkpoint: CheckpointKind
    inputs: tuple[AcceptedInput, ...]


class QueuedMessagesCommitted(Record):
    type: Literal["queued_messages_committed"] = "queued_messages_committed"
    messages: tuple[Json, ...]
    checkpoint: CheckpointKind


class ErrorShown(Record):
    type: Literal["error"] = "error"
    message: Text


TurnEvent = Annotated[
    QueuedWorkStarted
    | ModelRequestStarted
    | AssistantProseDelta
    | ReasoningDelta
    | ModelAttemptReset
    | RetryStatus
    | Usage
    | ChildUsage
    | CodeBlockStarted
    | CodeBlockCompleted
    | ToolCallStarted
    | ToolCallCompleted
    | FinalValueShown
    | ToolValueShown
    | PluginRuntime
    | QueuedInputAccepted
    | QueuedMessagesCommitted
    | ErrorShown,
    Field(discriminator="type"),
]


class TurnActivity(Record):
    """One event with its own id and the id of the activity it belongs to; flat in JSON."""

    id: Identifier
    correlation_id: Identifier
    event: TurnEvent

    @model_serializer
    def _flat(self) -> dict[str, Any]:
        return {"id": self.id, "correlation_id": self.correlation_id, **self.event.to_data()}

    @model_validator(mode="before")
    @classmethod
    def _nested(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "event" in value:
            return cast("Any", value)
        body = dict(cast("dict[str, Any]", value))
        named = {name: body.pop(name, None) for name in ("id", "correlation_id")}
        return {**named, "event": body}
