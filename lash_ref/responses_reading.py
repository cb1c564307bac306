"""A reply in the OpenAI Responses dialect, streamed or whole."""

from collections.abc import Iterator
from typing import Any, ClassVar

from lash_ref.chat_calls import call_arguments
from lash_ref.dialect import Endpoint, Reading
from lash_ref.joined import Joined
from lash_ref.openai_errors import OPENAI_CODES, openai_refusal
from lash_ref.openai_usage import merged, openai_usage, reasoning_tokens
from lash_ref.provider import (
    LlmPart,
    LlmRequest,
    LlmStreamEvent,
    LlmTerminalReason,
    PartDone,
    ProviderFailure,
    ReasoningDelta,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from lash_ref.provider_errors import failure, told_error, told_status
from lash_ref.response_items import Places, is_response, pieces, says, text_of
from lash_ref.scalars import Json
from lash_ref.untrusted import MalformedReply, count, is_error, name, part, parts, piece, text, words
from lash_ref.usage import TokenUsage


class ResponsesReading(Reading):
    """A response, streamed or whole."""

    no_evidence: ClassVar[str] = "stream_ended_before_terminal_response"
    never_silent: ClassVar[bool] = True

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
        index, item = count(data, "output_index"), name(data, "item_id") or ""
        self._spend(data)
        self._head(part(data, "response"))
        match data.get("type"):
            case "response.output_item.added":
                begun = part(data, "item")
                place = self._places.opened(index, name(begun, "id") or "")
                if not self._places.is_done(place):
                    self._items[place] = begun
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
                yield from self._finished(self._places.finished(index, name(ended, "id") or ""), ended)
            case "response.completed" | "response.done":
                yield from self._end(part(data, "response"))
            case "response.incomplete":
                yield from self._end(part(data, "response"), "incomplete")
            case "response.failed":
                raise self._failed(part(part(data, "response"), "error"))
            case "error":
                raise self._failed(told_error(data), told_status(data))
            case None if is_error(data.get("error")):
                raise self._failed(told_error(data), told_status(data))
            case None if is_response(data) and not self.output_started:
                self._head(data)
                yield from self._end(data)
            case _:
                pass

    def whole(self, body: dict[str, Any]) -> None:
        """A response that was not streamed."""
        if not is_response(body):
            if is_error(body.get("error")):
                raise self._failed(told_error(body))
            raise MalformedReply(f"object: 'response' expected, found {body.get('object')!r}")
        self._head(body)
        for _ in self._end(body):
            pass
        self.output_started = bool(self._items)

    def _head(self, response: dict[str, Any]) -> None:
        self.served_model = self.served_model or name(response, "model")
        self.response_id = self.response_id or name(response, "id")
        self._spend(response)

    def _spend(self, owner: dict[str, Any]) -> None:
        if told := part(owner, "usage"):
            self.raw_usage = merged(self.raw_usage, told)

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
        if index in self._whole:
            if self._items[index] != item:
                raise MalformedReply(f"response.output_item.done: item {item.get('id') or index} was done before, and otherwise")
            return
        yield from self._replace(index, item)
        if says(item):
            self._whole.add(index)
        if item.get("type") == "function_call":
            self.output_started = True
            for made in self._made(index, item):
                yield PartDone(part=made)

    def _replace(self, index: int, item: dict[str, Any]) -> Iterator[LlmStreamEvent]:
        """Put a finished item in place of what has grown, and tell what of its text no delta told ([PRV.64][])."""
        self._items[index] = item
        if not says(item):
            return
        grown = self._grown.pop(index, None) or Joined()
        said, told = text_of(item), str(grown)
        if item.get("type") == "message" and said.startswith(told):
            yield from self.tell(grown, said[len(told) :])

    def _end(self, response: dict[str, Any], unsaid: str = "completed") -> Iterator[LlmStreamEvent]:
        status = words(response, "status") or unsaid
        if status == "failed":
            raise self._failed(part(response, "error"))
        self.finish = status
        details = part(response, "incomplete_details") or part(response, "incompleteDetails")
        self._incomplete = text(details, "reason")
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
                yield from self._replace(index, item)
        alone: Any = response.get("output_text")
        if isinstance(alone, str) and not any(item.get("type") == "message" for item in self._items.values()):
            place = max(self._items, default=-1) + 1
            yield from self._replace(place, {"type": "message", "content": [{"type": "output_text", "text": alone}]})
        self.terminal = status not in {"queued", "in_progress"}

    def _made(self, index: int, item: dict[str, Any]) -> Iterator[LlmPart]:
        grown = str(self._grown.get(index, ""))
        match item.get("type"):
            case "message":
                said = text_of(item) + grown
                if said:
                    meta = {key: item[key] for key in ("id", "status", "phase") if item.get(key)}
                    yield TextPart(text=said, response_meta=Json(meta) if meta else None)
            case "function_call":
                yield ToolCallPart(
                    call_id=name(item, "call_id") or f"call_{self.response_id or 0}_{index}",
                    tool_name=words(item, "name"),
                    input_json=self.written(call_arguments(item) or grown),
                    replay=Json({"item_id": item["id"]}) if text(item, "id") else None,
                )
            case "reasoning":
                summary = [words(piece, "text") for piece in pieces(item, "summary")]
                content = [words(piece, "text") for piece in pieces(item, "content")]
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
            words(piece, "refusal") for item in self._items.values() for piece in pieces(item, "content")
        )

    def usage(self) -> TokenUsage | None:
        """What was reported so far."""
        return openai_usage(self.raw_usage)

    def reports_reasoning(self) -> bool:
        """Whether reasoning tokens were counted for us."""
        return reasoning_tokens(self.raw_usage) is not None

    def reason(self) -> LlmTerminalReason:
        """By the status; a refusal is one although the status says completed ([PRV.25][])."""
        if self._refused():
            return "content_filter"
        match self.finish, self._incomplete:
            case "completed", _:
                return "stop"
            case "incomplete", "max_output_tokens" | "max_tokens":
                return "output_limit"
            case "incomplete", "content_filter" | "safety":
                return "content_filter"
            case "incomplete", str():
                return "provider_error"
            case "cancelled", _:
                return "cancelled"
            case _:
                return "unknown"
