"""What a tool answers: done, with an outcome and perhaps a control, or pending until someone resolves it.

The JSON is lash's; values are opaque JSON.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal, Self

from pydantic import AliasChoices, Field

from lash_ref.scalars import U64, Identifier, Json, Record, Text

ToolFailureClass = Literal[
    "invalid_request", "unavailable", "permission_denied", "timeout", "execution", "external",
    "resource_limit", "internal",
]  # fmt: skip
ToolFailureSource = Literal["runtime", "tool", "plugin", "policy", "cancellation"]


# -- whether a failed call may be made again


class NeverRetry(Record):
    """The call must not be made again."""

    type: Literal["never"] = "never"


class SafeRetry(Record):
    """The call may be made again, after this long if the tool says so."""

    type: Literal["safe"] = "safe"
    after_ms: U64 | None = None


class ExhaustedRetry(Record):
    """The call was made this often and failed each time."""

    type: Literal["exhausted"] = "exhausted"
    attempts: U64


ToolRetryDisposition = Annotated[NeverRetry | SafeRetry | ExhaustedRetry, Field(discriminator="type")]


# -- outcomes


class ToolFailure(Record, serialize_by_alias=True):
    """Why a call failed; ``code`` is stable, ``message`` is for the model."""

    failure_class: ToolFailureClass = Field(
        validation_alias=AliasChoices("class", "failure_class"), serialization_alias="class"
    )
    code: Text
    message: Text
    source: ToolFailureSource
    retry: ToolRetryDisposition = NeverRetry()
    raw: Json | None = None

    @classmethod
    def runtime(cls, failure_class: ToolFailureClass, code: str, message: str) -> Self:
        """A failure that the runtime found."""
        return cls(failure_class=failure_class, code=code, message=message, source="runtime")

    @classmethod
    def tool(cls, failure_class: ToolFailureClass, code: str, message: str) -> Self:
        """A failure that the tool reports."""
        return cls(failure_class=failure_class, code=code, message=message, source="tool")


class ToolCancellation(Record):
    """The call was given up before it ended."""

    message: Text
    source: ToolFailureSource = "runtime"
    raw: Json | None = None


class Success(Record):
    """The call ended well, with this value."""

    status: Literal["success"] = "success"
    payload: Json


class Failure(Record):
    """The call ended badly."""

    status: Literal["failure"] = "failure"
    payload: ToolFailure


class Cancelled(Record):
    """The call did not end."""

    status: Literal["cancelled"] = "cancelled"
    payload: ToolCancellation


ToolCallOutcome = Annotated[Success | Failure | Cancelled, Field(discriminator="status")]


# -- controls


class SwitchAgentFrame(Record):
    """The turn goes on in another agent frame."""

    type: Literal["switch_agent_frame"] = "switch_agent_frame"
    frame_id: Identifier
    initial_nodes: tuple[Json, ...] = ()
    task: Text | None = None


class Finish(Record):
    """The turn ends with this value."""

    type: Literal["finish"] = "finish"
    value: Json


class Fail(Record):
    """The turn stops with this value as its error."""

    type: Literal["fail"] = "fail"
    value: Json


ToolControl = Annotated[SwitchAgentFrame | Finish | Fail, Field(discriminator="type")]


class ToolCallOutput(Record):
    """An outcome and what it asks of the turn."""

    outcome: ToolCallOutcome
    control: ToolControl | None = None

    @property
    def is_success(self) -> bool:
        """Whether the call ended well."""
        return isinstance(self.outcome, Success)

    def model_text(self) -> str:
        """What the model reads: a text as it stands, any other value as JSON, a failure as its message."""
        match self.outcome:
            case Success(payload=payload):
                value = payload.value
                return value if isinstance(value, str) else payload.text
            case Failure(payload=failure):
                return failure.message
            case Cancelled(payload=cancellation):
                return cancellation.message


class ToolCallRecord(Record):
    """One finished call as history keeps it."""

    call_id: Identifier | None = None
    tool: Text
    args: Json
    output: ToolCallOutput
    duration_ms: U64


# -- what the model sees


class TextPart(Record):
    """Text for the model."""

    type: Literal["text"] = "text"
    text: Text


class AttachmentPart(Record):
    """An attachment for the model."""

    type: Literal["attachment"] = "attachment"
    source: Json


ModelToolReturnPart = Annotated[TextPart | AttachmentPart, Field(discriminator="type")]

_TAG = "$lash_tool_value"


class ModelToolReturn(Record):
    """What goes into the next request for one call; the record of the call stays as it was."""

    call_id: Identifier
    tool_name: Text
    parts: tuple[ModelToolReturnPart, ...]

    @classmethod
    def text(cls, call_id: str, tool_name: str, text: str) -> Self:
        """One text."""
        return cls(call_id=call_id, tool_name=tool_name, parts=(TextPart(text=text),))

    @classmethod
    def from_output(cls, call_id: str, tool_name: str, output: ToolCallOutput) -> Self:
        """The whole output; attachments, alone or in a list, become parts of their own."""
        if isinstance(output.outcome, Success):
            value = output.outcome.payload.value
            members = [Json(member) for member in value] if isinstance(value, list) else [Json(value)]
            if any(attachment_source(member) is not None for member in members):
                parts = tuple(_part(member) for member in members)
                return cls(call_id=call_id, tool_name=tool_name, parts=parts)
        return cls.text(call_id, tool_name, output.model_text())


def _part(member: Json) -> TextPart | AttachmentPart:
    source = attachment_source(member)
    if source is not None:
        return AttachmentPart(source=source)
    return TextPart(text=member.value if isinstance(member.value, str) else member.text)


def attachment_value(source: Json) -> Json:
    """The tool value that stands for an attachment."""
    return Json({_TAG: "attachment", "source": source.value})


def attachment_source(value: Json) -> Json | None:
    """The attachment a tool value stands for, if it stands for one."""
    tagged = value.value
    if not isinstance(tagged, dict) or tagged.get(_TAG) != "attachment":
        return None
    return Json(tagged["source"]) if "source" in tagged else None


# -- results


class PendingCompletion(Record):
    """How long to wait for the outside world, and what to do when it does not answer."""

    deadline_ms: U64 | None = None
    """From the launch; absent means no limit."""
    on_timeout: Literal["error_as_result", "fail_turn"] = "error_as_result"
    on_cancel: Literal["ignore", "cancel_external_work"] = "cancel_external_work"


@dataclass(frozen=True)
class Done:
    """The call ended."""

    output: ToolCallOutput

    @classmethod
    def ok(cls, value: object) -> Self:
        """Ended well; ``value`` is any JSON value."""
        return cls(ToolCallOutput(outcome=Success(payload=Json.of(value))))

    @classmethod
    def err(cls, value: object) -> Self:
        """Ended badly: code ``tool_error``, the value's text as message, the value kept raw."""
        raw = Json.of(value)
        plain = raw.value
        message = plain if isinstance(plain, str) else raw.text
        failure = ToolFailure.tool("execution", "tool_error", message).but(raw=raw)
        return cls.failure(failure)

    @classmethod
    def failure(cls, failure: ToolFailure) -> Self:
        """Ended badly."""
        return cls(ToolCallOutput(outcome=Failure(payload=failure)))

    @classmethod
    def retryable(
        cls, failure_class: ToolFailureClass, code: str, message: str, after_ms: int | None = None
    ) -> Self:
        """Ended badly, and may be tried again."""
        failure = ToolFailure.tool(failure_class, code, message)
        return cls.failure(failure.but(retry=SafeRetry(after_ms=after_ms)))

    @classmethod
    def cancelled(cls, message: str) -> Self:
        """Given up."""
        return cls(ToolCallOutput(outcome=Cancelled(payload=ToolCancellation(message=message))))

    def with_control(self, control: "SwitchAgentFrame | Finish | Fail") -> Self:
        """The same, asking this of the turn."""
        return type(self)(self.output.but(control=control))


@dataclass(frozen=True)
class Pending:
    """The call was launched and is answered later, under the completion key it took."""

    completion: PendingCompletion = field(default_factory=PendingCompletion)


ToolResult = Done | Pending


def runtime_failure(failure_class: ToolFailureClass, code: str, message: str) -> Done:
    """A call that the runtime ended."""
    return Done.failure(ToolFailure.runtime(failure_class, code, message))
