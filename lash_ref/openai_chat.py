"""The OpenAI Chat Completions dialect, as OpenAI and its many look-alikes speak it."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from lash_ref.attached import image_url
from lash_ref.capability import (
    Budget,
    DisableByBudget,
    DisableByEffort,
    DisableByOmission,
    DisableByToggle,
    DisableNatively,
    Effort,
    ProviderDefault,
    capability,
)
from lash_ref.chat_calls import ChatCall, says_something
from lash_ref.dialect import (
    Endpoint,
    HttpCall,
    Reading,
    joined_text,
    listed,
    output_cap,
    reasoning_of,
    thawed,
    unrepresentable,
)
from lash_ref.joined import Joined
from lash_ref.openai_errors import OPENAI_CODES, openai_refusal
from lash_ref.openai_usage import merged, openai_usage, reasoning_tokens
from lash_ref.provider import (
    AttachmentBlock,
    LlmMessage,
    LlmPart,
    LlmRequest,
    LlmStreamEvent,
    LlmTerminalReason,
    PartDone,
    ReasoningBlock,
    ReasoningDelta,
    ReasoningPart,
    TextBlock,
    ToolCallBlock,
    ToolCallPart,
    ToolResultBlock,
)
from lash_ref.provider_errors import Meaning, Refusal, failure, told_error
from lash_ref.scalars import Json
from lash_ref.stop_words import UNFINISHED, reason_of
from lash_ref.untrusted import MalformedReply, count, is_error, name, part, parts, piece, text, words
from lash_ref.usage import TokenUsage

_REASONING_FIELDS: Final = ("reasoning_content", "reasoning", "reasoning_text")


class OpenAiChat:
    """``POST {base}/chat/completions``; the base ends in ``/v1``."""

    kind: ClassVar[str] = "openai-chat"
    request_id_header: ClassVar[str] = "x-request-id"
    codes: ClassVar[Mapping[str, Meaning]] = OPENAI_CODES

    def write(self, request: LlmRequest, endpoint: Endpoint) -> HttpCall:
        """The request's body; system messages stay where they are ([PRV.10][])."""
        marked: list[dict[str, Any]] = []
        body: dict[str, Any] = {
            "model": request.model,
            "messages": [written for message in request.messages for written in _message(message, marked)],
        }
        if endpoint.output_cap_field != "omit":
            body[endpoint.output_cap_field] = output_cap(request, endpoint)
        if request.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": tool.name,
                        "description": tool.description,
                        "parameters": tool.input_schema.value,
                    },
                }
                for tool in request.tools
            ]
            body["tool_choice"] = request.tool_choice
        body |= _reasoning(request, endpoint)
        if request.output_spec is not None:
            body["response_format"] = _format(request.output_spec)
        if endpoint.cache_retention != "none":
            _hint(body, marked, request, endpoint)
        if endpoint.streaming:
            body["stream"] = True
            body["stream_options"] = {"include_usage": True}
        return HttpCall("/chat/completions", body)

    def reading(self, request: LlmRequest, endpoint: Endpoint) -> "ChatReading":
        """A reader of one completion."""
        return ChatReading(request, endpoint)

    def refusal(self, body: dict[str, Any], status: int | None) -> Refusal:
        """``{"error": {"message", "type", "code"}}``."""
        return openai_refusal(told_error(body), status)


# -- writing


def _message(message: LlmMessage, marked: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The message; texts that end what a cache may keep are also put in ``marked``."""
    content: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    details: list[Any] = []
    for block in message.blocks:
        match block:
            case TextBlock():
                if block.text:
                    content.append({"type": "text", "text": block.text})
                    marked += content[-1:] if block.cache_breakpoint else []
            case AttachmentBlock():
                content.append({"type": "image_url", "image_url": {"url": image_url(block.source)}})
            case ToolCallBlock():
                calls.append(
                    {
                        "id": block.call_id,
                        "type": "function",
                        "function": {"name": block.tool_name, "arguments": block.input_json},
                    }
                )
                details += listed(thawed(block.replay), "reasoning_details", dict)
            case ToolResultBlock():
                yield {"role": "tool", "tool_call_id": block.call_id, "content": block.content}
            case ReasoningBlock():
                pass
    if not content and not calls:
        return
    written: dict[str, Any] = {"role": message.role, "content": content or None}
    if calls:
        written["tool_calls"] = calls
    if details:
        written["reasoning_details"] = details
    yield written


def _reasoning(request: LlmRequest, endpoint: Endpoint) -> dict[str, Any]:
    match reasoning_of(request), endpoint.reasoning_encoder:
        case (ProviderDefault() | DisableByOmission()), _:
            return {}
        case (Effort(effort=effort) | DisableByEffort(effort=effort)), "openai":
            return {"reasoning_effort": effort}
        case (Effort(effort=effort) | DisableByEffort(effort=effort)), "openrouter":
            return {"reasoning": {"effort": effort}}
        case DisableNatively(), "openai":
            return {"reasoning_effort": "none"}
        case DisableNatively(), "openrouter":
            return {"reasoning": {"effort": "none"}}
        case (Budget(tokens=tokens) | DisableByBudget(tokens=tokens)), "openrouter":
            return {"reasoning": {"max_tokens": tokens}}
        case DisableByToggle(), "openrouter":
            return {"reasoning": {"enabled": False}}
        case _:
            raise unrepresentable("reasoning_encoding", OpenAiChat.kind)


def _format(spec: Json) -> dict[str, Any]:
    wanted = spec.value
    if isinstance(wanted, dict) and "schema" in wanted:
        return {"type": "json_schema", "json_schema": wanted}
    return {"type": "json_object"}


def _hint(body: dict[str, Any], marked: list[dict[str, Any]], request: LlmRequest, endpoint: Endpoint) -> None:
    """Mark what a cache may keep, only where the host says which markers the route takes ([PRV.17][])."""
    dialect = capability(request.model_capability).cache_control
    if endpoint.prompt_cache_key:
        body["prompt_cache_key"] = f"{request.scope.session_id}::{request.scope.agent_frame_id or ''}"
    if dialect is None:
        return
    mark: dict[str, Any] = {"type": "ephemeral"}
    if endpoint.cache_retention == "long" and dialect == "anthropic":
        mark["ttl"] = "1h"
    texts: list[tuple[str, dict[str, Any]]] = [
        (message["role"], item)
        for message in body["messages"]
        if isinstance(message["content"], list)
        for item in message["content"]
        if item["type"] == "text"
    ]
    chosen_items = (marked or [item for role, item in texts if role == "user"])[-1:]
    if dialect == "anthropic":
        chosen_items += [item for role, item in texts if role == "system"][-1:]
        if body.get("tools"):
            body["tools"][-1]["cache_control"] = dict(mark)
    for item in chosen_items:
        item["cache_control"] = dict(mark)


# -- reading


def _content(delta: dict[str, Any]) -> tuple[str, str]:
    """Text and reasoning of a content that is a text or, with look-alikes, a list of typed pieces."""
    if not isinstance(delta.get("content"), list):
        return piece(delta, "content"), ""
    typed = parts(delta, "content")
    said = [piece(one, "text") for one in typed if one.get("type") in ("text", "output_text")]
    thinking = [parts(one, key) for one in typed for key, kind in (("thinking", "thinking"), ("summary", "reasoning")) if one.get("type") == kind]
    return "".join(said), "".join(piece(each, "text") for thoughts in thinking for each in thoughts)


def _numbered(message: dict[str, Any]) -> dict[str, Any]:
    """A whole message as a delta: its calls are one behind the other."""
    for index, call in enumerate(parts(message, "tool_calls")):
        call["index"] = index
    return message


def _delta(choice: dict[str, Any]) -> dict[str, Any]:
    """What a choice adds; gateways that only pretend to stream put the whole message there ([PRV.77][])."""
    return part(choice, "delta") if choice.get("delta") is not None else _numbered(part(choice, "message"))


def _thought(delta: dict[str, Any], field: str) -> str:
    """The reasoning under a field: a text, or the text of an object there; anything else is none."""
    value: Any = delta.get(field)
    if isinstance(value, dict):
        owner = part(delta, field)
        value = owner.get("content") or owner.get("text")
    return value if isinstance(value, str) else ""


def _detailed(details: list[dict[str, Any]]) -> str:
    """Reasoning that stands in details alone."""
    return "".join(_thought(one, "text") or _thought(one, "summary") for one in details)


def _finish(choice: dict[str, Any]) -> str | None:
    said = text(choice, "finish_reason")
    return said if said and said.lower() not in UNFINISHED else None


class ChatReading(Reading):
    """A completion, streamed or whole; ``[DONE]`` says nothing, a finish reason does."""

    no_evidence: ClassVar[str] = "stream_ended_before_finish_reason"
    never_silent: ClassVar[bool] = True

    def __init__(self, request: LlmRequest, endpoint: Endpoint) -> None:
        super().__init__(request, endpoint)
        self._text = Joined()
        self._reasoning = Joined()
        self._refusal = Joined()
        self._calls: dict[tuple[int, int], ChatCall] = {}
        """By index, and by order where several calls have one."""
        self._details: list[dict[str, Any]] = []

    def event(self, data: dict[str, Any]) -> Iterator[LlmStreamEvent]:
        """One chunk."""
        self._refuse(data)
        self._head(data)
        for choice in parts(data, "choices"):
            if (count(choice, "index") or 0) == 0:
                self._refuse(choice)
                self._spend(choice)
                grown = _delta(choice)
                again = self.output_started and choice.get("delta") is None
                yield from self._grow(self._unsaid(grown) if again else grown)
                finish = _finish(choice)
                if finish and not self.terminal:
                    self.finish, self.terminal = finish, True
                    for call in self._tool_calls():
                        yield PartDone(part=call)

    def whole(self, body: dict[str, Any]) -> None:
        """A completion that was not streamed."""
        self._refuse(body)
        choices = parts(body, "choices")
        if not choices:
            raise MalformedReply("choices: at least one expected, found none")
        self._refuse(choices[0])
        self._head(body)
        message = part(choices[0], "message")
        for _ in self._grow(_numbered(message)):
            pass
        self.finish = _finish(choices[0])
        self.terminal = bool(self.finish) or not self.endpoint.streaming

    def _refuse(self, data: dict[str, Any]) -> None:
        """An error, nested as OpenAI sends it or flat as some look-alikes do ([PRV.35][])."""
        if is_error(data.get("error")) or data.get("object") == "error":
            raise failure(openai_refusal(told_error(data), None), OPENAI_CODES, in_stream=True)

    def _head(self, data: dict[str, Any]) -> None:
        self.served_model = self.served_model or name(data, "model")
        self.response_id = self.response_id or name(data, "id")
        self._spend(data)
        self._spend(part(data, "x_groq"))

    def _spend(self, owner: dict[str, Any]) -> None:
        """Usage stands beside the choices, and with look-alikes in one of them or in a member of their own."""
        if told := part(owner, "usage"):
            self.raw_usage = merged(self.raw_usage, told)

    def _unsaid(self, message: dict[str, Any]) -> dict[str, Any]:
        """What of a whole message the deltas before it left out ([PRV.92][])."""
        said, told = _content(message)[0], str(self._text)
        rest: dict[str, Any] = {"content": said.removeprefix(told) if said.startswith(told) else ""}
        if not self._reasoning:
            rest |= {field: message.get(field) for field in _REASONING_FIELDS}
        return rest if self._calls else rest | {"tool_calls": message.get("tool_calls")}

    def _grow(self, delta: dict[str, Any]) -> Iterator[LlmStreamEvent]:
        said, thought = _content(delta)
        details = parts(delta, "reasoning_details")
        self._details += details
        thought = next((named for field in _REASONING_FIELDS if (named := _thought(delta, field))), thought or _detailed(details))
        self.output_started = self.output_started or bool(thought)
        new = self._reasoning.add(thought)
        if new and self.endpoint.expose_thinking:
            yield ReasoningDelta(text=new)
        yield from self.tell(self._text, said)
        self._refusal.add(piece(delta, "refusal"))
        legacy = part(delta, "function_call")
        for fragment in (*parts(delta, "tool_calls"), *([{"index": 0, "function": legacy}] if legacy else [])):
            if self.terminal and not says_something(fragment):
                continue
            if self.terminal:
                raise MalformedReply("tool_calls: none expected after the finish reason, found a fragment")
            self._calls.setdefault(self._place(fragment), ChatCall()).grow(fragment)
            self.output_started = True

    def _place(self, fragment: dict[str, Any]) -> tuple[int, int]:
        """Which call a fragment is of; another id with a name begins a call whatever its index says ([PRV.55][])."""
        index = count(fragment, "index")
        last = max((place for place in self._calls if index is None or place[0] == index), default=None)
        if last is None:
            return index or 0, 0
        if index is not None:
            return (index, last[1] + 1) if self._calls[last].begins_another(fragment) else last
        before, named = self._calls[last].id, name(fragment, "id")
        begins = bool(words(part(fragment, "function"), "name"))
        return (last[0] + 1, 0) if (named != before if named else begins) else last

    def _tool_calls(self) -> Iterator[ToolCallPart]:
        for (index, order), call in sorted(self._calls.items()):
            call_id = call.id or f"call_{self.response_id or 0}_{index}" + (f"_{order}" if order else "")
            written = self.written(str(call.arguments))
            made = ToolCallPart(call_id=call_id, tool_name=call.name, input_json=written)
            sealed = [d for d in self._details if d.get("type") == "reasoning.encrypted" and d.get("id") == call_id]
            yield made.but(replay=Json({"reasoning_details": sealed})) if sealed else made

    def parts(self) -> tuple[LlmPart, ...]:
        """Reasoning, text, calls."""
        thought = str(self._reasoning)
        if self._refusal:
            self.diagnostic = str(self._refusal)
        return (
            *((ReasoningPart(text=thought),) if thought else ()),
            *joined_text(self._text),
            *self._tool_calls(),
        )

    def usage(self) -> TokenUsage | None:
        """What was reported so far."""
        return openai_usage(self.raw_usage)

    def reports_reasoning(self) -> bool:
        """Whether reasoning tokens were counted for us."""
        return reasoning_tokens(self.raw_usage) is not None

    def reason(self) -> LlmTerminalReason:
        """By the finish reason; a refusal is one whatever the finish says ([PRV.25][])."""
        if self._refusal:
            return "content_filter"
        return reason_of(self.finish)
