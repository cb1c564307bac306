"""The OpenAI Responses dialect, stateless: what the model needs back is sent back, nothing is stored there."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lash_ref.attached import responses_item
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
from lash_ref.dialect import Endpoint, HttpCall, listed, output_cap, reasoning_of, thawed, unrepresentable
from lash_ref.openai_errors import OPENAI_CODES, openai_refusal
from lash_ref.provider import (
    AttachmentBlock,
    LlmMessage,
    LlmRequest,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
)
from lash_ref.provider_errors import Meaning, Refusal, told_error
from lash_ref.responses_reading import ResponsesReading
from lash_ref.scalars import Json


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
        body |= _reasoning(request, endpoint)
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
                spoken.append(responses_item(block.source))
            case ToolCallBlock():
                yield from _told(spoken)
                replay = thawed(block.replay)
                call = {
                    "type": "function_call",
                    "call_id": block.call_id,
                    "name": block.tool_name,
                    "arguments": block.input_json,
                }
                yield call | ({"id": replay["item_id"]} if "item_id" in replay else {})
            case ToolResultBlock():
                yield from _told(spoken)
                yield {"type": "function_call_output", "call_id": block.call_id, "output": block.content}
            case ReasoningBlock():
                yield from _told(spoken)
                yield from _thought(block)
    yield from _told(spoken)


def _told(spoken: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What was said up to here, in its place before what follows; nothing of it is left."""
    if spoken:
        yield {"type": "message", "role": "user", "content": [*spoken]}
        spoken.clear()


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
            **({"id": replay["item_id"]} if replay.get("item_id") else {}),
            "summary": [{"type": "summary_text", "text": said} for said in listed(replay, "summary", str)],
            "encrypted_content": replay["encrypted_content"],
        }


def _reasoning(request: LlmRequest, endpoint: Endpoint) -> dict[str, Any]:
    shown = {"summary": "auto"} if endpoint.expose_thinking else {}
    match reasoning_of(request):
        case ProviderDefault() | DisableByOmission():
            return {}
        case Effort(effort=effort):
            return {"reasoning": {"effort": effort} | shown}
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
