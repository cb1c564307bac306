"""The Gemini generateContent dialect."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from lash_ref.attached import gemini_part
from lash_ref.capability import (
    Budget,
    DisableByBudget,
    DisableByEffort,
    DisableByOmission,
    DisableByToggle,
    DisableNatively,
    Effort,
    ProviderDefault,
    Termination,
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
    AUTH,
    UNSUPPORTED,
    Meaning,
    Refusal,
    failure,
    retry_delay_s,
    told_code,
    told_error,
    told_status,
    told_words,
)
from lash_ref.scalars import Json
from lash_ref.untrusted import MalformedReply, count, is_error, mended, name, part, parts, piece, text, words
from lash_ref.usage import TokenUsage

_FILTERED: Final = frozenset({
    "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "MODEL_ARMOR",
})  # fmt: skip

SKIP_SIGNATURE = "skip_thought_signature_validator"
"""What Gemini 3 takes in place of the signature of a call that another model made."""


class Gemini:
    """``POST {base}/models/{model}:streamGenerateContent?alt=sse``; the base ends in the API version."""

    kind: ClassVar[str] = "gemini"
    request_id_header: ClassVar[str] = "x-request-id"
    codes: ClassVar[Mapping[str, Meaning]] = {
        "API_KEY_INVALID": AUTH,
        "UNAUTHENTICATED": AUTH,
        "PERMISSION_DENIED": AUTH,
        "NOT_FOUND": UNSUPPORTED,
    }

    def write(self, request: LlmRequest, endpoint: Endpoint) -> HttpCall:
        """The request's body; system messages become the system instruction ([PRV.10][])."""
        system = [
            {"text": block.text}
            for message in request.messages
            if message.role == "system"
            for block in message.blocks
            if isinstance(block, TextBlock) and block.text
        ]
        ids = _ids(request)
        spoken = request.but(messages=tuple(m for m in request.messages if m.role != "system"))
        config: dict[str, Any] = {"temperature": 0, "maxOutputTokens": output_cap(request, endpoint)}
        thinking = _thinking(request, endpoint)
        if thinking:
            config["thinkingConfig"] = thinking
        if request.output_spec is not None:
            config["responseMimeType"] = "application/json"
            wanted = request.output_spec.value
            if isinstance(wanted, dict) and "schema" in wanted:
                config["responseJsonSchema"] = wanted["schema"]
        body: dict[str, Any] = {
            "contents": [
                {"role": "model" if role == "assistant" else "user", "parts": written}
                for role, blocks in runs(spoken)
                if (written := [made for b in blocks if (made := _part(b, request, ids)) is not None])
            ],
            "generationConfig": config,
        }
        if system:
            body["systemInstruction"] = {"parts": system}
        if request.tools:
            declared = [
                {"name": tool.name, "description": tool.description, "parametersJsonSchema": tool.input_schema.value}
                for tool in request.tools
            ]
            body["tools"] = [{"functionDeclarations": declared}]
            mode = {"auto": "AUTO", "none": "NONE", "required": "ANY"}[request.tool_choice]
            body["toolConfig"] = {"functionCallingConfig": {"mode": mode}}
        verb, params = ("streamGenerateContent", {"alt": "sse"}) if endpoint.streaming else ("generateContent", {})
        return HttpCall(f"/models/{request.model}:{verb}", body, params)

    def reading(self, request: LlmRequest, endpoint: Endpoint) -> "GeminiReading":
        """A reader of one reply."""
        return GeminiReading(request, endpoint)

    def refusal(self, body: dict[str, Any], status: int | None) -> Refusal:
        """``{"error": {"code", "message", "status", "details"}}``."""
        return _refusal(body, status)


def _refusal(body: dict[str, Any], status: int | None) -> Refusal:
    error = told_error(body)
    reasons = [words(detail, "reason") for detail in parts(error, "details")]
    code = next((reason for reason in reasons if reason in Gemini.codes), None) or text(error, "status")
    return Refusal(
        told_words(error),
        code or told_code(error),
        status if status is not None else told_status(error),
        raw=str(error),
        retry_delay_s=retry_delay_s(error),
    )


# -- writing


def _ids(request: LlmRequest) -> dict[str, str]:
    """The ids that Gemini itself gave its calls, by ours; a result names its call by it ([PRV.90][])."""
    calls = (block for message in request.messages for block in message.blocks if isinstance(block, ToolCallBlock))
    return {call.call_id: replay["item_id"] for call in calls if "item_id" in (replay := thawed(call.replay))}


def _part(block: LlmBlock, request: LlmRequest, ids: Mapping[str, str]) -> dict[str, Any] | None:
    match block:
        case TextBlock():
            meta = thawed(block.response_meta)
            ours = meta.get("origin_provider") == Gemini.kind and meta.get("origin_model") == request.model
            signature = meta.get("provider_payload") if ours else None
            return {"text": block.text} | ({"thoughtSignature": signature} if signature else {})
        case AttachmentBlock():
            return gemini_part(block.source)
        case ToolCallBlock():
            replay = thawed(block.replay)
            args = arguments(block.input_json)
            call: dict[str, Any] = {
                "name": block.tool_name,
                "args": args if args is not None else {"_raw": block.input_json},
            }
            if "item_id" in replay:
                call["id"] = replay["item_id"]
            signature = replay.get("opaque") or (SKIP_SIGNATURE if "gemini-3" in request.model.lower() else None)
            return {"functionCall": call} | ({"thoughtSignature": signature} if signature else {})
        case ToolResultBlock():
            told = {"name": block.tool_name, "response": {"output": block.content}}
            return {"functionResponse": ({"id": ids[block.call_id]} if block.call_id in ids else {}) | told}
        case ReasoningBlock():
            replay = thawed(block.replay)
            signature = replay.get("signature")
            if not signature and not block.text.strip():
                return None
            return {"text": block.text, "thought": True} | ({"thoughtSignature": signature} if signature else {})


def _thinking(request: LlmRequest, endpoint: Endpoint) -> dict[str, Any]:
    shown = {"includeThoughts": True} if endpoint.expose_thinking else {}
    match reasoning_of(request):
        case ProviderDefault():
            return shown
        case Effort(effort=effort):
            return shown | {"thinkingLevel": effort}
        case Budget(tokens=tokens):
            return shown | {"thinkingBudget": tokens}
        case DisableByOmission():
            return {}
        case DisableByEffort(effort=effort):
            return {"thinkingLevel": effort}
        case DisableByBudget(tokens=tokens):
            return {"thinkingBudget": tokens}
        case DisableNatively():
            return {"thinkingBudget": 0}
        case DisableByToggle():
            raise unrepresentable("reasoning_encoding", Gemini.kind)


# -- reading


class _Speech:
    """Text or reasoning as it grows."""

    def __init__(self, thought: bool) -> None:
        self.thought = thought
        self.said = Joined()
        self.signature: str | None = None

    def part(self, model: str) -> LlmPart | None:
        said = str(self.said)
        if self.thought:
            replay = Json({"signature": self.signature}) if self.signature else None
            return ReasoningPart(text=said, replay=replay) if said or replay else None
        meta = {"provider_payload": self.signature, "origin_provider": Gemini.kind, "origin_model": model}
        return TextPart(text=said, response_meta=Json(meta) if self.signature else None) if said else None


class GeminiReading(Reading):
    """A reply whose frames all have the shape of the whole; text is appended, usage replaced ([PRV.6][])."""

    default_termination: ClassVar[Termination] = "eof_tolerated"
    no_evidence: ClassVar[str] = "stream_ended_before_finish_reason"

    def __init__(self, request: LlmRequest, endpoint: Endpoint) -> None:
        super().__init__(request, endpoint)
        self._spoken: list[_Speech | ToolCallPart] = []
        self._calls = 0
        self._blocked = False
        self._framed = False

    def event(self, data: dict[str, Any]) -> Iterator[LlmStreamEvent]:
        """One frame."""
        if "candidates" not in data and isinstance(data.get("response"), dict):
            data = part(data, "response")
        if is_error(data.get("error")):
            raise failure(_refusal(data, None), Gemini.codes, in_stream=True)
        self._framed = self._framed or "candidates" in data or "promptFeedback" in data
        self.served_model = self.served_model or name(data, "modelVersion")
        self.response_id = self.response_id or name(data, "responseId")
        usage = part(data, "usageMetadata")
        if any(key.endswith("TokenCount") for key in usage):  # Vertex sends frames that name a traffic class alone
            self.raw_usage = usage
        blocked = text(part(data, "promptFeedback"), "blockReason")
        if blocked:
            self._blocked = self.terminal = True
            self.finish = blocked
            self.diagnostic = text(part(data, "promptFeedback"), "blockReasonMessage") or blocked
        for candidate in parts(data, "candidates"):
            if (count(candidate, "index") or 0) == 0:
                for one in parts(part(candidate, "content"), "parts"):
                    yield from self._grow(one)
                finish = text(candidate, "finishReason")
                if finish:
                    self.finish, self.terminal = finish, True
                    self.diagnostic = text(candidate, "finishMessage") or self.diagnostic

    def whole(self, body: dict[str, Any]) -> None:
        """A reply that was not streamed."""
        for _ in self.event(body):
            pass
        if not self._framed:
            raise MalformedReply("candidates: an array of objects expected, found none")

    def documents(self, bodies: list[dict[str, Any]]) -> None:
        """A stream that was not asked for as events is an array of its frames ([PRV.57][])."""
        for body in bodies:
            self.whole(body)
        self.terminal = self.terminal or (len(bodies) == 1 and not self.endpoint.streaming)

    def end(self) -> Any:
        """As the shared rule; a stream in which no frame was of this dialect is no reply at all."""
        if not self._framed:
            raise MalformedReply("candidates: a frame of this dialect expected, found none")
        return super().end()

    def _grow(self, one: dict[str, Any]) -> Iterator[LlmStreamEvent]:
        self.output_started = True
        signature = text(one, "thoughtSignature")
        if one.get("functionCall") is not None:
            self._call(part(one, "functionCall"), signature)
        elif "text" in one or one.keys() <= {"thought", "thoughtSignature"}:
            yield from self._say(piece(one, "text"), signature, thought=one.get("thought") is True)

    def _say(self, said: str, signature: str | None, *, thought: bool) -> Iterator[LlmStreamEvent]:
        """Append to the last part of the same kind, keeping the newest opaque payload ([PRV.6][])."""
        last = self._spoken[-1] if self._spoken else None
        if not isinstance(last, _Speech) or last.thought is not thought:
            last = _Speech(thought)
            self._spoken.append(last)
        last.signature = signature or last.signature
        if not thought:
            yield from self.tell(last.said, said)
        elif (new := last.said.add(said)) and self.endpoint.expose_thinking:
            yield ReasoningDelta(text=new)

    def _call(self, call: dict[str, Any], signature: str | None) -> None:
        if call.get("partialArgs") is not None or call.get("willContinue"):
            raise MalformedReply("functionCall: whole arguments expected, found a piece of them")
        self.went_on = self.terminal
        named = name(call, "id")
        replay = {"item_id": named, "opaque": signature}
        kept = {key: value for key, value in replay.items() if value}
        self._spoken.append(
            ToolCallPart(
                call_id=named or f"call_{self.response_id or 0}_{self._calls}",
                tool_name=words(call, "name"),
                input_json=Json(mended(part(call, "args"))).text,
                replay=Json(kept) if kept else None,
            )
        )
        self._calls += 1

    def parts(self) -> tuple[LlmPart, ...]:
        """What was said, in its order."""
        spoken = (one if isinstance(one, ToolCallPart) else one.part(self.request.model) for one in self._spoken)
        return tuple(part for part in spoken if part is not None)

    def usage(self) -> TokenUsage | None:
        """The last running total; thoughts are output, a tool's prompt is input ([PRV.50][])."""
        raw = self.raw_usage
        if not raw:
            return None
        read = count(raw, "cachedContentTokenCount") or 0
        thoughts = count(raw, "thoughtsTokenCount") or 0
        prompt = max(0, (count(raw, "promptTokenCount") or 0) - read)
        return TokenUsage(
            input_tokens=prompt + (count(raw, "toolUsePromptTokenCount") or 0),
            output_tokens=(count(raw, "candidatesTokenCount") or 0) + thoughts,
            cache_read_input_tokens=read,
            cache_write_input_tokens=0,
            reasoning_output_tokens=thoughts,
        )

    def reports_reasoning(self) -> bool:
        """Whether thoughts were counted for us."""
        return count(self.raw_usage, "thoughtsTokenCount") is not None

    def reason(self) -> LlmTerminalReason:
        """By the finish reason, or by what blocked the prompt."""
        if self._blocked:
            return "content_filter"
        match self.finish:
            case None | "STOP":
                return "stop"
            case "MAX_TOKENS":
                return "output_limit"
            case reason if reason in _FILTERED or reason.startswith("IMAGE_"):
                return "content_filter"
            case "FINISH_REASON_UNSPECIFIED":
                return "unknown"
            case _:
                return "provider_error"
