"""The Anthropic Messages dialect."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lash_ref.attached import anthropic_block
from lash_ref.capability import (
    Budget,
    DisableByBudget,
    DisableByEffort,
    DisableByOmission,
    DisableByToggle,
    DisableNatively,
    Effort,
    ProviderDefault,
)
from lash_ref.dialect import (
    Endpoint,
    HttpCall,
    Reading,
    arguments,
    output_cap,
    reasoning_of,
    runs,
    thawed,
    unrepresentable,
)
from lash_ref.joined import Joined
from lash_ref.provider import (
    AttachmentBlock,
    LlmBlock,
    LlmPart,
    LlmRequest,
    LlmStreamEvent,
    LlmTerminalReason,
    ReasoningBlock,
    ReasoningDelta,
    ReasoningPart,
    TextBlock,
    TextPart,
    ToolCallBlock,
    ToolCallPart,
    ToolResultBlock,
)
from lash_ref.provider_errors import (
    HARD_QUOTA,
    OVERFLOW,
    Meaning,
    Refusal,
    failure,
    told_error,
    told_status,
    told_words,
)
from lash_ref.scalars import Json
from lash_ref.stop_words import reason_of
from lash_ref.untrusted import MalformedReply, count, is_error, name, part, parts, piece, text, words
from lash_ref.usage import TokenUsage


class AnthropicMessages:
    """``POST {base}/v1/messages``."""

    kind: ClassVar[str] = "anthropic-messages"
    request_id_header: ClassVar[str] = "request-id"
    codes: ClassVar[Mapping[str, Meaning]] = {
        "billing_error": HARD_QUOTA,
        "request_too_large": OVERFLOW,
        "not_found_error": Meaning("unsupported"),
    }

    def write(self, request: LlmRequest, endpoint: Endpoint) -> HttpCall:
        """The request's body; only the first system message is the system prompt ([PRV.10][])."""
        system, messages, marked = _conversation(request)
        body: dict[str, Any] = {
            "model": request.model,
            "max_tokens": output_cap(request, endpoint),
            "messages": messages,
        }
        if system:
            body["system"] = system
        if request.tools:
            body["tools"] = [
                {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema.value}
                for tool in request.tools
            ]
            body["tool_choice"] = {"type": {"auto": "auto", "none": "none", "required": "any"}[request.tool_choice]}
        body |= _thinking(request, endpoint)
        if request.output_spec is not None:
            schema = request.output_spec.value
            if not isinstance(schema, dict) or "schema" not in schema:
                raise unrepresentable("output_spec", self.kind)
            written: dict[str, Any] = body.setdefault("output_config", {})
            written["format"] = {"type": "json_schema", "schema": schema["schema"]}
        if endpoint.cache_retention != "none":
            _hint(body, marked, endpoint)
        if endpoint.streaming:
            body["stream"] = True
        return HttpCall("/v1/messages", body)

    def reading(self, request: LlmRequest, endpoint: Endpoint) -> "MessagesReading":
        """A reader of one message."""
        return MessagesReading(request, endpoint)

    def refusal(self, body: dict[str, Any], status: int | None) -> Refusal:
        """``{"type": "error", "error": {"type", "message"}}``."""
        return _refusal(body, status)


def _refusal(body: dict[str, Any], status: int | None) -> Refusal:
    error = told_error(body)
    code = text(error, "type")
    return Refusal(
        told_words(error), code, status if status is not None else told_status(error, code), raw=str(error)
    )


# -- writing


def _conversation(request: LlmRequest) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """System prompt, messages, and those blocks that end what a cache may keep; blank text is refused, so dropped."""
    system: list[dict[str, Any]] = []
    rest = list(request.messages)
    first = next((index for index, message in enumerate(rest) if message.role == "system"), None)
    if first is not None:
        blocks = rest.pop(first).blocks
        system = [{"type": "text", "text": b.text} for b in blocks if isinstance(b, TextBlock) and b.text.strip()]
    later = tuple(message.but(role="user") if message.role == "system" else message for message in rest)
    messages, marked = list[dict[str, Any]](), list[dict[str, Any]]()
    for role, blocks in runs(request.but(messages=later)):
        content = [(block, written) for block in blocks if (written := _block(block))]
        marked += [written for block, written in content if isinstance(block, TextBlock) and block.cache_breakpoint]
        if content and messages and messages[-1]["role"] == role:
            messages[-1]["content"] += [written for _, written in content]
        elif content:
            messages.append({"role": role, "content": [written for _, written in content]})
    return system, messages, marked


def _block(block: LlmBlock) -> dict[str, Any] | None:
    match block:
        case TextBlock():
            return _text(block.text)
        case AttachmentBlock():
            return anthropic_block(block.source)
        case ToolCallBlock():
            return {
                "type": "tool_use",
                "id": _tool_id(block.call_id),
                "name": block.tool_name,
                "input": arguments(block.input_json) or {},
            }
        case ToolResultBlock():
            return {"type": "tool_result", "tool_use_id": _tool_id(block.call_id), "content": block.content}
        case ReasoningBlock():
            replay = thawed(block.replay)
            sealed = replay.get("signature") or (replay.get("encrypted_content") if replay.get("redacted") else None)
            if not sealed:
                return _text(block.text)
            if replay.get("redacted"):
                return {"type": "redacted_thinking", "data": sealed}
            return {"type": "thinking", "thinking": block.text, "signature": sealed}


def _text(said: str) -> dict[str, Any] | None:
    return {"type": "text", "text": said} if said.strip() else None


def _tool_id(call_id: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", call_id)[:64] or "call"


def _thinking(request: LlmRequest, endpoint: Endpoint) -> dict[str, Any]:
    display = "summarized" if endpoint.expose_thinking else "omitted"
    match reasoning_of(request):
        case ProviderDefault() | DisableByOmission():
            return {}
        case Effort(effort=effort):
            return {"thinking": {"type": "adaptive", "display": display}, "output_config": {"effort": effort}}
        case Budget(tokens=tokens) | DisableByBudget(tokens=tokens):
            return {"thinking": {"type": "enabled", "budget_tokens": tokens, "display": display}}
        case DisableByEffort(effort=effort):
            return {"output_config": {"effort": effort}}
        case DisableNatively() | DisableByToggle():
            return {"thinking": {"type": "disabled"}}


def _hint(body: dict[str, Any], marked: list[dict[str, Any]], endpoint: Endpoint) -> None:
    """Mark the system's tail, the last tool, and the marked block or else the last of the user's ([PRV.16][])."""
    mark: dict[str, Any] = {"type": "ephemeral"}
    if endpoint.cache_retention == "long":
        mark["ttl"] = "1h"
    for owner in (body.get("system"), body.get("tools")):
        if owner:
            owner[-1]["cache_control"] = dict(mark)
    blocks: list[dict[str, Any]] = [
        block for message in body["messages"] if message["role"] == "user" for block in message["content"]
    ]
    for block in (marked or blocks)[-1:]:
        block["cache_control"] = dict(mark)


# -- reading


class _Block:
    """One content block as it grows."""

    def __init__(self, start: dict[str, Any]) -> None:
        self.type = words(start, "type")
        self.start = start
        self.said = Joined()
        self.json = Joined()
        self.signature = words(start, "signature")

    def opening(self) -> str:
        """What the block says already where it starts."""
        return piece(self.start, "text") or piece(self.start, "thinking")

    def sign(self, signature: str) -> None:
        """More of the signature; one that comes again, or all of it so far, takes its place."""
        self.signature = signature if signature.startswith(self.signature) else self.signature + signature

    def part(self, reading: "MessagesReading", index: int) -> LlmPart | None:
        said = str(self.said)
        match self.type:
            case "text":
                return TextPart(text=said) if said else None
            case "thinking":
                return ReasoningPart(text=said, replay=Json({"signature": self.signature}) if self.signature else None)
            case "redacted_thinking":
                replay = Json({"redacted": True, "signature": words(self.start, "data")})
                return ReasoningPart(text="", replay=replay)
            case "tool_use":
                return ToolCallPart(
                    call_id=name(self.start, "id") or f"call_{reading.response_id or 0}_{index}",
                    tool_name=words(self.start, "name"),
                    input_json=reading.written(str(self.json) or self._given()),
                )
            case _:
                return None

    def _given(self) -> str:
        """Arguments that stand in the block's start."""
        if isinstance(self.start.get("input"), str):
            return words(self.start, "input")
        given = part(self.start, "input")
        return Json(given).text if given else ""


class MessagesReading(Reading):
    """A message, streamed or whole."""

    no_evidence: ClassVar[str] = "stream_ended_before_message_stop"

    def __init__(self, request: LlmRequest, endpoint: Endpoint) -> None:
        super().__init__(request, endpoint)
        self._blocks: dict[int, _Block] = {}
        self._started = False

    def event(self, data: dict[str, Any]) -> Iterator[LlmStreamEvent]:
        """One event; a kind nobody knows is passed over ([PRV.5][])."""
        match data.get("type"):
            case "message_start":
                self._start(part(data, "message"))
            case "content_block_start":
                yield from self._open(count(data, "index") or 0, part(data, "content_block"))
            case "content_block_delta":
                yield from self._grow(count(data, "index") or 0, part(data, "delta"))
            case "message_delta":
                self._stop(part(data, "delta"))
                self._count(part(data, "usage"))
            case "message_stop":
                self.terminal = self._started
            case "message" | None if not self._started and isinstance(data.get("content"), list):
                self.whole(data)
                yield from self.tell_whole()
            case "error":
                raise failure(_refusal(data, None), AnthropicMessages.codes, in_stream=True)
            case None if is_error(data.get("error")):
                raise failure(_refusal(data, None), AnthropicMessages.codes, in_stream=True)
            case _:
                pass

    def whole(self, body: dict[str, Any]) -> None:
        """A message that was not streamed."""
        if body.get("type") == "error" or is_error(body.get("error")):
            raise failure(_refusal(body, None), AnthropicMessages.codes, in_stream=True)
        if body.get("type") != "message" and not isinstance(body.get("content"), list):
            raise MalformedReply(f"type: 'message' expected, found {body.get('type')!r}")
        self._start(body)
        for index, block in enumerate(parts(body, "content")):
            made = self._blocks[index] = _Block(block)
            made.said.add(made.opening())
        self._stop(body)
        self.output_started = bool(self._blocks)
        self.terminal = self.finish is not None or not self.endpoint.streaming

    def _start(self, message: dict[str, Any]) -> None:
        self._started = True
        self.served_model = name(message, "model")
        self.response_id = name(message, "id")
        self._count(part(message, "usage"))

    def _open(self, index: int, start: dict[str, Any]) -> Iterator[LlmStreamEvent]:
        if index in self._blocks:
            raise MalformedReply(f"content_block_start: block {index} was opened before")
        block = self._blocks[index] = _Block(start)
        yield from self._say(block, block.type, block.opening())

    def _grow(self, index: int, delta: dict[str, Any]) -> Iterator[LlmStreamEvent]:
        block = self._blocks.get(index)
        if block is None:
            raise MalformedReply(f"content_block_delta: no block {index} is open")
        match delta.get("type"):
            case "text_delta":
                yield from self._say(block, "text", piece(delta, "text"))
            case "thinking_delta":
                yield from self._say(block, "thinking", piece(delta, "thinking"))
            case "input_json_delta":
                block.json.add(piece(delta, "partial_json"))
                self.output_started = True
            case "signature_delta":
                block.sign(words(delta, "signature"))
            case _:
                pass

    def _say(self, block: _Block, kind: str, said: str) -> Iterator[LlmStreamEvent]:
        if kind == "text":
            yield from self.tell(block.said, said)
            return
        self.output_started = self.output_started or bool(said)
        new = block.said.add(said)
        if new and kind == "thinking" and self.endpoint.expose_thinking:
            yield ReasoningDelta(text=new)

    def _stop(self, said: dict[str, Any]) -> None:
        self.finish = text(said, "stop_reason") or self.finish
        details = part(said, "stop_details")
        if details:
            self.diagnostic = words(details, "explanation") or text(details, "category")

    def _count(self, usage: dict[str, Any]) -> None:
        if usage:
            self.raw_usage = self.raw_usage | {key: value for key, value in usage.items() if value is not None}

    def parts(self) -> tuple[LlmPart, ...]:
        """Blocks in their order; reasoning comes before what it led to."""
        found = (self._blocks[index].part(self, index) for index in sorted(self._blocks))
        return tuple(made for made in found if made is not None)

    def usage(self) -> TokenUsage | None:
        """Start and cumulative deltas merged key by key."""
        raw = self.raw_usage
        if not raw:
            return None
        minted = part(raw, "cache_creation")
        written = count(raw, "cache_creation_input_tokens")
        if written is None:
            written = sum(count(minted, key) or 0 for key in minted)
        return TokenUsage(
            input_tokens=count(raw, "input_tokens") or 0,
            output_tokens=count(raw, "output_tokens") or 0,
            cache_read_input_tokens=count(raw, "cache_read_input_tokens") or 0,
            cache_write_input_tokens=written,
            reasoning_output_tokens=count(part(raw, "output_tokens_details"), "thinking_tokens") or 0,
        )

    def reports_reasoning(self) -> bool:
        """Whether thinking tokens were counted for us."""
        return count(part(self.raw_usage, "output_tokens_details"), "thinking_tokens") is not None

    def reason(self) -> LlmTerminalReason:
        """By the stop reason."""
        return reason_of(self.finish)
