"""The OpenAI Responses dialect, stateless: what the model needs back is sent back, nothing is stored there."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

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
from lash_ref.dialect import Endpoint, HttpCall, Reading, output_cap, reasoning_of, thawed, unrepresentable
from lash_ref.joined import Joined
from lash_ref.openai_chat import attachment_url
from lash_ref.openai_errors import OPENAI_CODES, openai_refusal
from lash_ref.provider import (
    AttachmentBlock,
    LlmMessage,
    LlmPart,
    LlmRequest,
    LlmStreamEvent,
    LlmTerminalReason,
    PartDone,
    ProviderFailure,
    ReasoningBlock,
    ReasoningDelta,
    ReasoningPart,
    TextBlock,
    TextPart,
    ToolCallBlock,
    ToolCallPart,
    ToolResultBlock,
)
from lash_ref.provider_errors import Meaning, Refusal, failure, told_error, told_status
from lash_ref.response_items import Places, says
from lash_ref.scalars import Json
from lash_ref.untrusted import MalformedReply, count, is_error, part, parts, piece, text, words
from lash_ref.usage import TokenUsage


class OpenAiResponses:
    """``POST {base}/responses``; the base ends in ``/v1``."""

    kind: ClassVar[str] = "openai-responses"
    request_id_header: ClassVar[str] = "x-request-id"
    codes: ClassVar[Mapping[str, Meaning]] = OPENAI_CODES

    def write(self, request: LlmRequest, endpoint: Endpoint) -> HttpCall:
        """The request's body; system messages become the instructions ([PRV.10][])."""
        instructions = [
            block.text
            for message in request.messages
            if message.role == "system"
            for block in message.blocks
            if isinstance(block, TextBlock) and block.text
        ]
        body: dict[str, Any] = {
            "model": request.model,
            "input": [i for m in request.messages if m.role != "system" for i in _items(m)],
            "store": False,
            "include": ["reasoning.encrypted_content"],
            "max_output_tokens": output_cap(request, endpoint),
        }
        if instructions:
            body["instructions"] = "\n\n".join(instructions)
        if request.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.input_schema.value,
                    "strict": False,
                }
                for tool in request.tools
            ]
            body["tool_choice"] = request.tool_choice
        body |= _reasoning(request)
        if request.output_spec is not None:
            body["text"] = {"format": _format(request.output_spec)}
        if endpoint.cache_retention != "none" and endpoint.prompt_cache_key:
            body["prompt_cache_key"] = f"{request.scope.session_id}::{request.scope.agent_frame_id or ''}"
            if endpoint.cache_retention == "long":
                body["prompt_cache_retention"] = "24h"
        if endpoint.streaming:
            body["stream"] = True
        return HttpCall("/responses", body)

    def reading(self, request: LlmRequest, endpoint: Endpoint) -> "ResponsesReading":
        """A reader of one response."""
        return ResponsesReading(request, endpoint)

    def refusal(self, body: dict[str, Any], status: int | None) -> Refusal:
        """``{"error": {"message", "type", "code"}}``."""
        return openai_refusal(told_error(body), status)


# -- writing


def _items(message: LlmMessage) -> Iterator[dict[str, Any]]:
    spoken: list[dict[str, Any]] = []
    for block in message.blocks:
        match block:
            case TextBlock() if message.role == "assistant":
                if block.text:
                    yield _answer(block)
            case TextBlock():
                if block.text:
                    spoken.append({"type": "input_text", "text": block.text})
            case AttachmentBlock():
                spoken.append({"type": "input_image", "image_url": attachment_url(block.source, OpenAiResponses.kind)})
            case ToolCallBlock():
                replay = thawed(block.replay)
                call = {
                    "type": "function_call",
                    "call_id": block.call_id,
                    "name": block.tool_name,
                    "arguments": block.input_json,
                }
                yield call | ({"id": replay["item_id"]} if "item_id" in replay else {})
            case ToolResultBlock():
                yield {"type": "function_call_output", "call_id": block.call_id, "output": block.content}
            case ReasoningBlock():
                yield from _thought(block)
    if spoken:
        yield {"type": "message", "role": "user", "content": spoken}


def _answer(block: TextBlock) -> dict[str, Any]:
    meta = thawed(block.response_meta)
    kept = {key: meta[key] for key in ("id", "status", "phase") if meta.get(key)}
    said: dict[str, Any] = {"type": "output_text", "text": block.text, "annotations": []}
    return {"type": "message", "role": "assistant", "content": [said]} | kept


def _thought(block: ReasoningBlock) -> Iterator[dict[str, Any]]:
    """Only reasoning the provider sealed can be given back."""
    replay = thawed(block.replay)
    if replay.get("encrypted_content"):
        yield {
            "type": "reasoning",
            "id": replay.get("item_id", ""),
            "summary": [{"type": "summary_text", "text": said} for said in replay.get("summary", [])],
            "encrypted_content": replay["encrypted_content"],
        }


def _reasoning(request: LlmRequest) -> dict[str, Any]:
    match reasoning_of(request):
        case ProviderDefault() | DisableByOmission():
            return {}
        case Effort(effort=effort):
            return {"reasoning": {"effort": effort, "summary": "auto"}}
        case DisableByEffort(effort=effort):
            return {"reasoning": {"effort": effort}}
        case DisableNatively():
            return {"reasoning": {"effort": "none"}}
        case Budget() | DisableByBudget() | DisableByToggle():
            raise unrepresentable("reasoning_encoding", OpenAiResponses.kind)


def _format(spec: Json) -> dict[str, Any]:
    wanted = spec.value
    if isinstance(wanted, dict) and "schema" in wanted:
        return {"type": "json_schema"} | wanted
    return {"type": "json_object"}


# -- reading


class ResponsesReading(Reading):
    """A response, streamed or whole."""

    no_evidence: ClassVar[str] = "stream_ended_before_terminal_response"

    def __init__(self, request: LlmRequest, endpoint: Endpoint) -> None:
        super().__init__(request, endpoint)
        self._items: dict[int, dict[str, Any]] = {}
        """Output items by place; replaced by their finished form."""
        self._grown: dict[int, Joined] = {}
        """What deltas have added to an item that is not finished yet."""
        self._places = Places()
        self._whole: set[int] = set()
        """Items whose finished form says all; gateways send hollow ones."""
        self._refusal = Joined()
        self._incomplete: str | None = None

    def event(self, data: dict[str, Any]) -> Iterator[LlmStreamEvent]:
        """One event; a kind nobody knows is passed over ([PRV.5][])."""
        index, item = count(data, "output_index"), words(data, "item_id")
        match data.get("type"):
            case "response.created" | "response.in_progress":
                self._head(part(data, "response"))
            case "response.output_item.added":
                begun = part(data, "item")
                self._items[self._places.opened(index, words(begun, "id"))] = begun
            case "response.output_text.delta":
                yield from self._say(self._places.of(index, item), piece(data, "delta"))
            case "response.output_text.done" if (place := self._places.of(index, item)) not in self._grown:
                yield from self._say(place, words(data, "text"))
            case "response.function_call_arguments.delta":
                self._grow(self._places.of(index, item), "function_call", piece(data, "delta"))
            case "response.function_call_arguments.done" if (place := self._places.of(index, item)) not in self._grown:
                self._grow(place, "function_call", words(data, "arguments"))
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                new = self._grow(self._places.of(index, item), "reasoning", piece(data, "delta"))
                if new and self.endpoint.expose_thinking:
                    yield ReasoningDelta(text=new)
            case "response.refusal.delta":
                self._refusal.add(piece(data, "delta"))
                self.output_started = True
            case "response.refusal.done" if not self._refusal:
                self._refusal.add(words(data, "refusal"))
                self.output_started = True
            case "response.output_item.done":
                ended = part(data, "item")
                yield from self._finished(self._places.finished(index, words(ended, "id")), ended)
            case "response.completed" | "response.done":
                self._end(part(data, "response"))
            case "response.incomplete":
                self._end(part(data, "response"), "incomplete")
            case "response.failed":
                self._head(part(data, "response"))
                raise self._failed(part(part(data, "response"), "error"))
            case "error":
                raise self._failed(told_error(data), told_status(data))
            case None if is_error(data.get("error")):
                raise self._failed(told_error(data), told_status(data))
            case None if data.get("object") == "response" and not self.output_started:
                self._end(data)
                yield from self.tell_whole()
            case _:
                pass

    def whole(self, body: dict[str, Any]) -> None:
        """A response that was not streamed."""
        if body.get("object") != "response":
            if is_error(body.get("error")):
                raise self._failed(told_error(body))
            raise MalformedReply(f"object: 'response' expected, found {body.get('object')!r}")
        self._end(body)
        self.output_started = bool(self._items)

    def _head(self, response: dict[str, Any]) -> None:
        self.served_model = text(response, "model") or self.served_model
        self.response_id = text(response, "id") or self.response_id
        self.raw_usage = part(response, "usage") or self.raw_usage

    def _failed(self, error: dict[str, Any], status: int | None = None) -> ProviderFailure:
        if error.get("type") == "error":
            error = {key: value for key, value in error.items() if key != "type"}
        return failure(openai_refusal(error, status), OPENAI_CODES, in_stream=True)

    def _begin(self, index: int, kind: str) -> Joined:
        self.output_started = True
        self._items.setdefault(index, {"type": kind})
        return self._grown.setdefault(index, Joined())

    def _grow(self, index: int, kind: str, said: str) -> str:
        return self._begin(index, kind).add(said) if said else ""

    def _say(self, index: int, said: str) -> Iterator[LlmStreamEvent]:
        if said:
            yield from self.tell(self._begin(index, "message"), said)

    def _finished(self, index: int, item: dict[str, Any]) -> Iterator[LlmStreamEvent]:
        self._items[index] = item
        if says(item):
            self._whole.add(index)
            self._grown.pop(index, None)
        if item.get("type") == "function_call":
            self.output_started = True
            for made in self._made(index, item):
                yield PartDone(part=made)

    def _end(self, response: dict[str, Any], unsaid: str = "completed") -> None:
        self._head(response)
        status = words(response, "status") or unsaid
        if status == "failed":
            raise self._failed(part(response, "error"))
        self.finish = status
        self._incomplete = text(part(response, "incomplete_details"), "reason")
        if status == "incomplete":
            self.diagnostic = self._incomplete
        known = {item["id"] for item in self._items.values() if text(item, "id")}
        for index, item in enumerate(parts(response, "output")):
            if index in self._items:
                same = text(self._items[index], "id") in {None, text(item, "id")}
                better = same and index not in self._whole and says(item)
            else:
                better = item.get("id") not in known
            if better:
                self._items[index] = item
                self._grown.pop(index, None)
        self.terminal = status not in {"queued", "in_progress"}

    def _made(self, index: int, item: dict[str, Any]) -> Iterator[LlmPart]:
        grown = str(self._grown.get(index, ""))
        match item.get("type"):
            case "message":
                said = "".join(words(piece, "text") for piece in parts(item, "content")) + grown
                if said:
                    meta = {key: item[key] for key in ("id", "status", "phase") if item.get(key)}
                    yield TextPart(text=said, response_meta=Json(meta) if meta else None)
            case "function_call":
                yield ToolCallPart(
                    call_id=words(item, "call_id") or f"call_{self.response_id or 0}_{index}",
                    tool_name=words(item, "name"),
                    input_json=self.written(words(item, "arguments") or grown),
                    replay=Json({"item_id": item["id"]}) if text(item, "id") else None,
                )
            case "reasoning":
                summary = [words(piece, "text") for piece in parts(item, "summary")]
                content = [words(piece, "text") for piece in parts(item, "content")]
                replay = {
                    "item_id": text(item, "id"),
                    "encrypted_content": text(item, "encrypted_content"),
                    "summary": summary,
                }
                kept = {key: value for key, value in replay.items() if value}
                said = "\n\n".join(summary or content) or grown
                yield ReasoningPart(text=said, replay=Json(kept) if kept else None)
            case _:
                pass

    def parts(self) -> tuple[LlmPart, ...]:
        """Items in their order."""
        self.diagnostic = self._refused() or self.diagnostic
        return tuple(made for index in sorted(self._items) for made in self._made(index, self._items[index]))

    def _refused(self) -> str:
        return str(self._refusal) or "".join(
            words(piece, "refusal") for item in self._items.values() for piece in parts(item, "content")
        )

    def usage(self) -> TokenUsage | None:
        """Input tokens less what a cache served or took; from the terminal response."""
        raw = self.raw_usage
        if not raw:
            return None
        details = part(raw, "input_tokens_details")
        read = count(details, "cached_tokens") or 0
        written = count(details, "cache_write_tokens") or 0
        return TokenUsage(
            input_tokens=max(0, (count(raw, "input_tokens") or 0) - read - written),
            output_tokens=count(raw, "output_tokens") or 0,
            cache_read_input_tokens=read,
            cache_write_input_tokens=written,
            reasoning_output_tokens=count(part(raw, "output_tokens_details"), "reasoning_tokens") or 0,
        )

    def reports_reasoning(self) -> bool:
        """Whether reasoning tokens were counted for us."""
        return count(part(self.raw_usage, "output_tokens_details"), "reasoning_tokens") is not None

    def reason(self) -> LlmTerminalReason:
        """By the status; a refusal is one although the status says completed ([PRV.25][])."""
        if self._refused():
            return "content_filter"
        match self.finish, self._incomplete:
            case "completed", _:
                return "stop"
            case "incomplete", "max_output_tokens" | "max_tokens":
                return "output_limit"
            case "incomplete", "content_filter":
                return "content_filter"
            case "cancelled", _:
                return "cancelled"
            case _:
                return "unknown"
