"""What the kit shares on one core (``docs/kit.md``): its journal, its gates, and the scripted provider."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lash_conformance.host import Data
from lash_ref.provider import (
    Delta,
    LlmEventSink,
    LlmMessage,
    LlmPart,
    LlmRequest,
    LlmResponse,
    PartDone,
    ProviderFailure,
    ReasoningDelta,
    ReasoningPart,
    TextBlock,
    TextPart,
    ToolCallBlock,
    ToolCallPart,
    ToolResultBlock,
    UsageSnapshot,
)
from lash_ref.scalars import Json
from lash_ref.usage import TokenUsage

USAGE: Data = {"input_tokens": 10, "output_tokens": 5}


class Gate:
    """A name that somebody waits at."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()


@dataclass
class Stage:
    """Journal, gates, script and requests of one core."""

    journal: list[str] = field(default_factory=list[str])
    replies: list[Data] = field(default_factory=list[Data])
    requests: list[tuple[str, LlmRequest]] = field(default_factory=list[tuple[str, LlmRequest]])
    """Whom the core asked, and what."""
    gates: dict[str, Gate] = field(default_factory=dict[str, Gate])
    pending: dict[str, Any] = field(default_factory=dict[str, Any])
    """Completion keys of the ``pending`` tool, by name."""

    def note(self, line: str) -> None:
        """Write a line into the journal."""
        self.journal.append(line)

    def gate(self, name: str) -> Gate:
        """The gate of that name."""
        return self.gates.setdefault(name, Gate())

    async def wait(self, gate: str) -> None:
        """Stand at a gate until it is opened."""
        found = self.gate(gate)
        found.reached.set()
        await found.opened.wait()


class KitProvider:
    """Answers the core's n-th call with the script's n-th reply."""

    def __init__(self, kind: str, stage: Stage) -> None:
        self.kind = kind
        self.stage = stage

    async def complete(self, request: LlmRequest, events: LlmEventSink) -> LlmResponse:
        """The next reply.

        Raises:
            ProviderFailure: the reply says so, or there is none.
        """
        self.stage.requests.append((self.kind, request))
        if not self.stage.replies:
            raise ProviderFailure("the script is empty", "unsupported")
        reply = self.stage.replies.pop(0)
        text = reply.get("text", "".join(reply.get("chunks", ())))
        if reasoning := reply.get("reasoning", ""):
            await events(ReasoningDelta(text=reasoning))
        for chunk in reply.get("chunks", [text] if text else []):
            await events(Delta(text=chunk))
        if "streamed_usage" in reply:
            await events(UsageSnapshot(usage=TokenUsage(**reply["streamed_usage"])))
        if "gate" in reply:
            await self.stage.wait(reply["gate"])
        if "error" in reply:
            raise failure(reply["error"])
        parts = parts_of(reasoning, text, reply.get("tools", ()))
        for part in parts:
            await events(PartDone(part=part))
        usage = reply.get("usage", USAGE)
        reason = reply.get("finish", "tool_use" if reply.get("tools") else "stop")
        counted = TokenUsage(**usage) if usage else None
        return LlmResponse(parts=parts, usage=counted, terminal_reason=reason)

    async def close(self) -> None:
        """Nothing is held."""


def parts_of(reasoning: str, text: str, tools: Sequence[Data]) -> tuple[LlmPart, ...]:
    """A reply's parts, in order."""
    parts: list[LlmPart] = [ReasoningPart(text=reasoning)] if reasoning else []
    if text:
        parts.append(TextPart(text=text))
    parts += [
        ToolCallPart(call_id=one["id"], tool_name=one["name"], input_json=Json(one["args"]).text) for one in tools
    ]
    return tuple(parts)


def failure(error: Data) -> ProviderFailure:
    """A reply's error."""
    after = error.get("retry_after_ms")
    return ProviderFailure(
        error["message"], error["kind"], retryable=error["retryable"],
        retry_after_s=None if after is None else after / 1000,
    )  # fmt: skip


def told(provider: str, request: LlmRequest) -> Data:
    """A request as the kit writes it down."""
    system = [m for m in request.messages[:1] if m.role == "system"]
    rest = request.messages[len(system) :]
    return {
        "provider": provider,
        "model": request.model,
        "system": "\n".join(text_of(m) for m in system),
        "messages": [line for message in rest for line in lines_of(message)],
        "tools": [tool.name for tool in request.tools],
    }


def text_of(message: LlmMessage) -> str:
    """A message's text, and a line for each call."""
    lines = [block.text for block in message.blocks if isinstance(block, TextBlock)]
    lines += [f"call {b.call_id} {b.tool_name}" for b in message.blocks if isinstance(b, ToolCallBlock)]
    return "\n".join(lines)


def lines_of(message: LlmMessage) -> list[Data]:
    """One entry for the message, or one a tool result that it carries."""
    results = [block for block in message.blocks if isinstance(block, ToolResultBlock)]
    lines: list[Data] = [{"role": "tool", "text": block.content} for block in results]
    if len(results) < len(message.blocks):
        lines.append({"role": message.role, "text": text_of(message)})
    return lines
