"""What a model provider is asked and answers: one attempt at one call, and why an attempt failed.

A dialect implements `Provider.complete` for one transport attempt; `retries` repeats attempts.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal, Protocol

from pydantic import Field

from lash_ref.errors import LashError
from lash_ref.inputs import AttachmentSource
from lash_ref.phases import visible
from lash_ref.scalars import U64, Identifier, Json, Record, Text
from lash_ref.usage import TokenUsage

LlmTerminalReason = Literal[
    "stop",
    "tool_use",
    "output_limit",
    "context_overflow",
    "content_filter",
    "provider_error",
    "cancelled",
    "unknown",
]
ProviderFailureKind = Literal[
    "transport", "timeout", "http", "stream", "auth", "validation", "quota", "unsupported", "unknown"
]
ProtocolPosition = Literal["no_response", "response_observed", "output_started", "terminal_observed"]
"""How far an attempt got before it ended."""
ToolChoice = Literal["auto", "none", "required"]


# -- request


class TextBlock(Record):
    type: Literal["text"] = "text"
    text: Text
    cache_breakpoint: bool = False
    response_meta: Json | None = None


class AttachmentBlock(Record):
    type: Literal["attachment"] = "attachment"
    source: AttachmentSource


class ToolCallBlock(Record):
    type: Literal["tool_call"] = "tool_call"
    call_id: Text
    tool_name: Text
    input_json: Text
    """The arguments as the model wrote them; never re-serialised."""
    replay: Json | None = None


class ToolResultBlock(Record):
    type: Literal["tool_result"] = "tool_result"
    call_id: Text
    tool_name: Text
    content: Text


class ReasoningBlock(Record):
    type: Literal["reasoning"] = "reasoning"
    text: Text
    replay: Json | None = None


LlmBlock = Annotated[
    TextBlock | AttachmentBlock | ToolCallBlock | ToolResultBlock | ReasoningBlock,
    Field(discriminator="type"),
]


class LlmMessage(Record):
    role: Literal["user", "assistant", "system"]
    blocks: tuple[LlmBlock, ...]


class LlmTool(Record):
    name: Text
    description: Text
    input_schema: Json


class LlmScope(Record):
    """Who asks, for caches and traces."""

    session_id: Identifier
    agent_frame_id: Identifier | None = None
    request_id: Identifier


class LlmRequest(Record):
    """One call to a model."""

    model: Text
    messages: tuple[LlmMessage, ...]
    tools: tuple[LlmTool, ...] = ()
    tool_choice: ToolChoice = "auto"
    model_variant: Json = Json("provider_default")
    model_capability: Json | None = None
    output_token_cap: U64 | None = None
    output_spec: Json | None = None
    scope: LlmScope


# -- response


class TextPart(Record):
    type: Literal["text"] = "text"
    text: Text
    response_meta: Json | None = None


class ReasoningPart(Record):
    type: Literal["reasoning"] = "reasoning"
    text: Text
    replay: Json | None = None


class ToolCallPart(Record):
    type: Literal["tool_call"] = "tool_call"
    call_id: Text
    tool_name: Text
    input_json: Text
    replay: Json | None = None


LlmPart = Annotated[TextPart | ReasoningPart | ToolCallPart, Field(discriminator="type")]


class LlmResponse(Record):
    """What one successful attempt answered."""

    parts: tuple[LlmPart, ...] = ()
    usage: TokenUsage | None = None
    terminal_reason: LlmTerminalReason = "stop"
    terminal_diagnostic: Text | None = None
    provider_usage: Json | None = None
    request_body: Json | None = None
    http_summary: Text | None = None
    execution_evidence: Json | None = None
    response_metadata: Json | None = None

    @property
    def full_text(self) -> str:
        """The visible text of all parts."""
        return visible((part.text, part.response_meta) for part in self.parts if isinstance(part, TextPart))

    @property
    def tool_calls(self) -> tuple[ToolCallPart, ...]:
        """The calls asked for, in order."""
        return tuple(part for part in self.parts if isinstance(part, ToolCallPart))


# -- streaming


class Delta(Record):
    """More visible text."""

    type: Literal["delta"] = "delta"
    text: Text


class ReasoningDelta(Record):
    """More reasoning text."""

    type: Literal["reasoning_delta"] = "reasoning_delta"
    text: Text


class PartDone(Record):
    """A structured part, whole and final for this attempt."""

    type: Literal["part"] = "part"
    part: LlmPart


class UsageSnapshot(Record):
    """Usage so far; the last one wins."""

    type: Literal["usage"] = "usage"
    usage: TokenUsage


class AttemptReset(Record):
    """All that this attempt streamed is void."""

    type: Literal["attempt_reset"] = "attempt_reset"


class RetryStatus(Record):
    """A retry waits."""

    type: Literal["retry_status"] = "retry_status"
    wait_seconds: U64
    attempt: U64
    max_attempts: U64
    reason: Text


LlmStreamEvent = Annotated[
    Delta | ReasoningDelta | PartDone | UsageSnapshot | AttemptReset | RetryStatus,
    Field(discriminator="type"),
]
LlmEventSink = Callable[[LlmStreamEvent], Awaitable[None]]


# -- failure


class ProviderFailure(LashError):
    """One attempt failed; ``partial`` is what had arrived, and is never executed or committed."""

    names = ("message", "kind")
    wording = "provider failure ({kind}): {message}"

    def __init__(
        self,
        message: str,
        kind: ProviderFailureKind = "unknown",
        *,
        retryable: bool = False,
        status: int | None = None,
        provider_code: str | None = None,
        retry_after_s: float | None = None,
        terminal_reason: LlmTerminalReason = "provider_error",
        partial: LlmResponse | None = None,
    ) -> None:
        super().__init__(message, kind)
        self.message = message
        self.kind: ProviderFailureKind = kind
        self.retryable = retryable
        self.status = status
        self.provider_code = provider_code
        self.retry_after_s = retry_after_s
        self.terminal_reason: LlmTerminalReason = terminal_reason
        self.partial = partial
        self.position: ProtocolPosition = "no_response"
        self.request_id: str | None = None
        """The provider's id of the request, where it gave one."""

    def hush(self, change: Callable[[str], str]) -> None:
        """Put other words in place of the provider's, in the message and in the code."""
        self.message = change(self.message)
        self.provider_code = change(self.provider_code) if self.provider_code is not None else None
        self.values = (self.message, self.kind)
        self.args = (self.wording.format(**self.fields),)

    @property
    def is_throttle(self) -> bool:
        """A retryable quota answer that says how long to wait."""
        return self.kind == "quota" and self.retryable and self.retry_after_s is not None


class Provider(Protocol):
    """A model provider."""

    @property
    def kind(self) -> str:
        """The provider's id, as sessions record it; ``unconfigured`` when there is none."""
        ...

    async def complete(self, request: LlmRequest, events: LlmEventSink) -> LlmResponse:
        """One transport attempt; streams to ``events`` in order and answers the whole.

        Raises:
            ProviderFailure: the attempt failed.
        """
        ...

    async def close(self) -> None:
        """Release transports."""
        ...


class ProviderResolver(Protocol):
    """Finds the live provider of a recorded provider id."""

    def resolve(self, provider_id: str) -> Provider | None:
        """The provider, or none when this host has none of that id."""
        ...


class SingleProviderResolver:
    """Answers for the one provider it holds."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider

    def resolve(self, provider_id: str) -> Provider | None:
        """The provider if its kind is that id."""
        return self.provider if self.provider.kind == provider_id else None
