"""A provider that plays a list of replies: for examples, tests, and hosts without a model."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from lash_ref.provider import (
    Delta,
    LlmEventSink,
    LlmPart,
    LlmRequest,
    LlmResponse,
    LlmTerminalReason,
    PartDone,
    ProviderFailure,
    ReasoningDelta,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    UsageSnapshot,
)
from lash_ref.scalars import Json
from lash_ref.usage import TokenUsage

DEFAULT_USAGE = TokenUsage(input_tokens=10, output_tokens=5)


@dataclass(frozen=True)
class Reply:
    """One scripted attempt: what it streams, what it answers, or how it fails."""

    text: str | Sequence[str] = ""
    """Visible text; a sequence is streamed as that many deltas."""
    reasoning: str = ""
    calls: Sequence[tuple[str, str, object]] = ()
    """Tool calls as (call id, tool name, arguments); text arguments are sent as they are."""
    usage: TokenUsage | None = DEFAULT_USAGE
    terminal_reason: LlmTerminalReason | None = None
    fails: ProviderFailure | None = None
    """Raised after the deltas were streamed."""
    hangs: asyncio.Event | None = None
    """Waited for after the deltas, before the answer."""
    reached: asyncio.Event | None = None
    """Set once the deltas were streamed."""


@dataclass
class ScriptedProvider:
    """Plays ``replies`` in order, one an attempt, and keeps every request it was sent."""

    replies: list[Reply | str] = field(default_factory=list[Reply | str])
    kind: str = "scripted"
    requests: list[LlmRequest] = field(default_factory=list[LlmRequest])
    closed: bool = False

    async def complete(self, request: LlmRequest, events: LlmEventSink) -> LlmResponse:
        """The next reply of the script.

        Raises:
            ProviderFailure: the script says so, or has no reply left (``unsupported``, not retryable).
        """
        self.requests.append(request)
        if not self.replies:
            raise ProviderFailure("the script has no reply left", "unsupported")
        given = self.replies.pop(0)
        reply = Reply(given) if isinstance(given, str) else given
        chunks = [reply.text] if isinstance(reply.text, str) else list(reply.text)
        if reply.reasoning:
            await events(ReasoningDelta(text=reply.reasoning))
        for chunk in chunks:
            if chunk:
                await events(Delta(text=chunk))
        if reply.reached is not None:
            reply.reached.set()
        if reply.hangs is not None:
            await reply.hangs.wait()
        if reply.fails is not None:
            raise reply.fails
        parts = _parts("".join(chunks), reply)
        for part in parts:
            await events(PartDone(part=part))
        if reply.usage is not None:
            await events(UsageSnapshot(usage=reply.usage))
        reason = reply.terminal_reason or ("tool_use" if reply.calls else "stop")
        return LlmResponse(parts=parts, usage=reply.usage, terminal_reason=reason)

    async def close(self) -> None:
        """Nothing is held."""
        self.closed = True


def _parts(text: str, reply: Reply) -> tuple[LlmPart, ...]:
    parts: list[LlmPart] = []
    if reply.reasoning:
        parts.append(ReasoningPart(text=reply.reasoning))
    if text:
        parts.append(TextPart(text=text))
    for call_id, name, arguments in reply.calls:
        written = arguments if isinstance(arguments, str) else Json(arguments).text
        parts.append(ToolCallPart(call_id=call_id, tool_name=name, input_json=written))
    return tuple(parts)
