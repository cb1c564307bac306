"""Replies that checks make up, a dialect at a time: how each opens, says text, ends, and breaks off with an error.

They are the shapes of the fixtures with nothing beside what a runtime must read; no provider sent them.
"""

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from lash_conformance.fixture import (
    Call,
    Exchange,
    Fixture,
    Frame,
    Host,
    Provenance,
    RequestMatch,
    Response,
    compact,
)

Data = dict[str, Any]
STREAM: Final = ("content-type", "text/event-stream")
SEALED: Final = "c2VhbGVkLWJ5LXRoZS1wcm92aWRlcg=="
"""Opaque data that only the provider can read."""
PATHS: Final = {
    "anthropic-messages": "/v1/messages",
    "openai-chat": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "gemini": "^/v1beta/models/m[^/]*:",
}


@dataclass(frozen=True)
class Words:
    """One dialect's; ``$`` in `text` stands for what is said."""

    opening: tuple[Data, ...]
    text: Data
    ending: tuple[Data, ...]
    """The terminal event is the last."""
    whole: Data
    """The reply ``Hi.``, not streamed."""
    idle: tuple[Data, ...]
    """Events that say nothing, their members null, empty or unknown."""
    errors: tuple[tuple[Data, str | None, bool], ...]
    """Errors inside a stream: the event, its code, and whether a repeat may help."""
    broken: tuple[tuple[Data, ...], ...]
    """Events that are not of the dialect behind the opening, or do not fit together."""
    calling: tuple[Data, ...]
    """A whole stream that thinks, seals `SEALED`, and calls ``echo`` with the text ``café``; the golden usage."""
    limited: tuple[Data, ...]
    """How a stream ends that ran into its output limit."""
    refused: tuple[Data, ...]
    """How a stream ends that the provider filtered."""
    history: str
    """The member of a request that holds what was said before."""

    def said(self, *texts: str) -> list[Data]:
        """A whole stream that says the texts, one an event."""
        return [*self.opening, *(filled(self.text, text) for text in texts), *self.ending]


def filled(event: Data, text: str) -> Data:
    """The event with its ``$`` replaced."""
    return json.loads(compact(event).replace('"$"', compact(text)))


def sse(events: Sequence[Data]) -> bytes:
    """The events as bytes of a stream."""
    return b"".join(b"data: " + compact(event).encode() + b"\n\n" for event in events)


def reply(body: bytes, status: int = 200, *headers: tuple[str, str]) -> Response:
    """A reply of any bytes."""
    frames = [Frame(b64=b64encode(body).decode())] if body else []
    return Response(status=status, headers=list(headers), frames=frames)


def asked(dialect: Any, *replies: Response, attempts: int = 1, **options: Any) -> Fixture:
    """A call that is answered by the replies in turn."""
    exchanges = [Exchange(request=RequestMatch(path=PATHS[dialect]), response=one) for one in replies]
    request = {"messages": [{"role": "user", "blocks": [{"type": "text", "text": "hi"}]}]}
    return Fixture(
        schema="lash.provider-fixture/1", id=f"{dialect}.stream.made-up", dialect=dialect, covers=[], proves="made up",
        provenance=Provenance(kind="synthetic", source="made by a check"),
        host=Host(options=options, retry={"max_attempts": attempts}),
        exchanges=exchanges, calls=[Call(request=request, expect={})],
    )  # fmt: skip


def _anthropic(index: int, **delta: Any) -> Data:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def _block(index: int, **block: Any) -> Data:
    return {"type": "content_block_start", "index": index, "content_block": block}


def _tool(index: int, name: str | None) -> Data:
    return _block(index, type="tool_use", id="t1", name=name, input={})


def _stops(reason: str, **usage: Any) -> Data:
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}


CACHED: Final = {"input_tokens": 60, "output_tokens": 1, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 0}


def _error(kind: str, **more: Any) -> Data:
    return {"type": kind, "message": "made up"} | more


ANTHROPIC: Final = Words(
    opening=(
        {"type": "message_start", "message": {"id": "a1", "model": "m", "usage": {"input_tokens": 60, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ),
    text=_anthropic(0, type="text_delta", text="$"),
    ending=(
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 35}},
        {"type": "message_stop"},
    ),
    whole={
        "type": "message", "id": "a1", "model": "m", "content": [{"type": "text", "text": "Hi."}],
        "stop_reason": "end_turn", "usage": {"input_tokens": 60, "output_tokens": 35},
    },
    idle=(
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": None},
        _anthropic(0, type="text_delta", text=None),
        _anthropic(0, type="novel_delta", novel={"a": [1]}),
        {"type": "message_delta", "delta": None, "usage": None},
        {},
    ),
    errors=(
        ({"type": "error", "error": _error("overloaded_error")}, "overloaded_error", True),
        ({"error": _error("api_error")}, "api_error", True),
        ({"type": "error", "error": _error("rate_limit_error")}, "rate_limit_error", True),
        ({"type": "error", "error": _error("invalid_request_error")}, "invalid_request_error", False),
        ({"type": "error", "error": "made up"}, None, False),
        ({"type": "error", "message": "made up", "code": 503}, None, True),
        ({"error": {"message": "made up", "type": None, "code": "503"}}, None, True),
        ({"type": "error", "error": _error("a_new_error")}, "a_new_error", False),
    ),
    broken=(
        ({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},),
        (_anthropic(7, type="text_delta", text="lost"),),
        (_anthropic(0, type="text_delta", text=["H"]),),
        ({"type": "message_delta", "delta": {"stop_reason": 3}},),
        ({"type": "message_delta", "delta": {}, "usage": {"output_tokens": "many"}},),
        ({"type": "message_delta", "delta": {}, "usage": {"output_tokens": 2**63}},),
        ({"type": "message_delta", "delta": {}, "usage": {"output_tokens": 2**63 - 1}},),
        (_tool(1, None),),
        ({"type": "message_start", "message": []},),
        (_block(1, type="tool_use", id="t\0", name="f", input={}),),
    ),
    calling=(
        {"type": "message_start", "message": {"id": "a1", "model": "m", "usage": CACHED}},
        _block(0, type="thinking", thinking="", signature=""),
        _anthropic(0, type="thinking_delta", thinking="Weigh."),
        _anthropic(0, type="signature_delta", signature=SEALED),
        _tool(1, "echo"),
        _anthropic(1, type="input_json_delta", partial_json=""),
        _anthropic(1, type="input_json_delta", partial_json='{"text":"ca'),
        _anthropic(1, type="input_json_delta", partial_json='fé"}'),
        _stops("tool_use", output_tokens=35, output_tokens_details={"thinking_tokens": 15}),
        {"type": "message_stop"},
    ),
    limited=(_stops("max_tokens", output_tokens=35), {"type": "message_stop"}),
    refused=(_stops("refusal", output_tokens=35), {"type": "message_stop"}),
    history="/messages",
)  # fmt: skip


def _chunk(delta: Any, finish: Any = None, **more: Any) -> Data:
    return {"id": "c1", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]} | more


def _call(**fragment: Any) -> Data:
    return _chunk({"tool_calls": [{"index": 0} | fragment]})


CHAT_USAGE: Final = {"prompt_tokens": 60, "completion_tokens": 35}
CHAT: Final = Words(
    opening=(_chunk({"role": "assistant", "content": ""}),),
    text=_chunk({"content": "$"}),
    ending=({"id": "c1", "choices": [], "usage": CHAT_USAGE}, _chunk({}, "stop")),
    whole={
        "id": "c1", "model": "m", "usage": CHAT_USAGE,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}],
    },
    idle=(
        _chunk({"content": None, "tool_calls": None, "refusal": None, "reasoning_content": None}, usage=None),
        _chunk(None),
        _chunk({}, ""),
        {"id": "c1", "choices": []},
        {"id": "c1", "choices": None},
        {"choices": [{"index": 1, "delta": {"content": "another choice"}, "finish_reason": "stop"}]},
        {"object": "novel", "novel": 1},
        {},
    ),
    errors=(
        ({"error": _error("server_error", code=None)}, "server_error", True),
        ({"error": _error("rate_limit_error", code="rate_limit_exceeded")}, "rate_limit_exceeded", True),
        ({"error": {"message": "made up", "code": 502}}, None, True),
        ({"error": "made up"}, None, False),
        ({"error": {"message": "made up", "type": None, "param": None, "code": "503"}}, None, True),
        ({"error": {"message": "made up", "code": 1302}}, "1302", False),
        ({"error": _error("too_many_requests", code="too_many_requests")}, "too_many_requests", True),
        ({"error": _error("InternalServerError", code=None)}, "InternalServerError", True),
        ({"choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": {"code": 502, "message": "made up"}}]}, None, True),
        ({"object": "error", "message": "made up", "type": "BadRequestError", "code": 400}, "BadRequestError", False),
        ({"error": _error("insufficient_quota", code="insufficient_quota")}, "insufficient_quota", False),
    ),
    broken=(
        (_chunk({"content": 7}),),
        (_chunk({"content": {"text": "H"}}),),
        ({"choices": "none"},),
        ({"choices": [None]},),
        (_chunk({}, usage={"prompt_tokens": "many"}),),
        (_chunk({}, usage={"prompt_tokens": 1e300}),),
        (_call(id="t1", function={"name": None, "arguments": "{}"}),),
        (_call(id="t\0", function={"name": "f", "arguments": "{}"}),),
        (_call(id="t1", function={"name": "f", "arguments": [1]}),),
        (_call(id="t1", function={"name": "f", "arguments": "{"}), _chunk({}, "tool_calls"), _call(function={"arguments": "}"})),
    ),
    calling=(
        _chunk({"role": "assistant", "content": None, "reasoning_content": "Weigh."}),
        _chunk({"reasoning_details": [{"type": "reasoning.encrypted", "id": "t1", "data": SEALED}]}),
        _call(id="t1", type="function", function={"name": "echo", "arguments": ""}),
        _call(function={"arguments": '{"text":"ca'}),
        _call(function={"arguments": 'fé"}'}),
        _chunk({}, "tool_calls"),
        {
            "id": "c1", "choices": [], "usage": {
                "prompt_tokens": 100, "completion_tokens": 35, "prompt_tokens_details": {"cached_tokens": 40},
                "completion_tokens_details": {"reasoning_tokens": 15},
            },
        },
    ),
    limited=(_chunk({}, "length"),),
    refused=(_chunk({}, "content_filter"),),
    history="/messages",
)  # fmt: skip


def _response(status: str, **more: Any) -> Data:
    made: Data = {"id": "r1", "object": "response", "model": "m", "status": status, "output": []}
    return made | more


def _item(text: str) -> Data:
    return {"type": "message", "id": "m1", "content": [{"type": "output_text", "text": text}]}


def _event(kind: str, **more: Any) -> Data:
    return {"type": f"response.{kind}"} | more


def _thought() -> Data:
    summary = [{"type": "summary_text", "text": "Weigh."}]
    return {"type": "reasoning", "id": "rs1", "summary": summary, "encrypted_content": SEALED}


def _called(arguments: str) -> Data:
    return {"type": "function_call", "id": "fc1", "call_id": "t1", "name": "echo", "arguments": arguments}


RESPONSES_USAGE: Final = {"input_tokens": 60, "output_tokens": 35}
RESPONSES: Final = Words(
    opening=(
        _event("created", response=_response("in_progress")),
        _event("output_item.added", output_index=0, item={"type": "message", "id": "m1", "content": []}),
    ),
    text=_event("output_text.delta", output_index=0, delta="$"),
    ending=(_event("completed", response=_response("completed", usage=RESPONSES_USAGE)),),
    whole=_response("completed", output=[_item("Hi.")], usage=RESPONSES_USAGE),
    idle=(
        _event("output_text.delta", output_index=0, delta=None),
        _event("output_text.delta", output_index=0, delta=""),
        _event("in_progress", response=None),
        _event("novel.delta", output_index=0, delta={"a": 1}),
        {"type": "keepalive"},
        {},
    ),
    errors=(
        (_error("error", code="server_error", param=None, sequence_number=3), "server_error", True),
        ({"type": "error", "error": _error("server_error", code=None)}, "server_error", True),
        ({"type": "error", "code": "503", "message": "made up", "param": None}, None, True),
        ({"type": "error", "status": 503, "error": {"message": "made up"}}, None, True),
        ({"error": _error("rate_limit_error", code="rate_limit_exceeded")}, "rate_limit_exceeded", True),
        (_event("failed", response=_response("failed", error={"code": "server_error", "message": "made up"})), "server_error", True),
        (_event("completed", response=_response("failed", error={"code": "server_error", "message": "made up"})), "server_error", True),
        (_event("failed", response=_response("failed", error=None)), None, False),
        (_event("failed", response=_response("failed", error={"code": "invalid_prompt", "message": "made up"})), "invalid_prompt", False),
    ),
    broken=(
        (_event("output_item.done", output_index=0, item=_item("H")), _event("output_item.done", output_index=0, item=_item("I"))),
        (_event("output_text.delta", output_index=0, delta=["H"]),),
        (_event("output_item.done", output_index=0, item="H"),),
        (_event("output_item.done", output_index=1, item={"type": "function_call", "call_id": "t1", "arguments": "{}"}),),
        (_event("output_item.done", output_index=1, item={"type": "function_call", "call_id": "t\0", "name": "f", "arguments": "{}"}),),
        (_event("completed", response=_response("completed", usage={"input_tokens": "many"})),),
        (_event("completed", response=_response("completed", usage={"input_tokens": 2**64})),),
    ),
    calling=(
        _event("created", response=_response("in_progress")),
        _event("output_item.added", output_index=0, item={"type": "reasoning", "id": "rs1", "summary": []}),
        _event("reasoning_summary_text.delta", output_index=0, delta="Weigh."),
        _event("output_item.done", output_index=0, item=_thought()),
        _event("output_item.added", output_index=1, item=_called("")),
        _event("function_call_arguments.delta", output_index=1, delta='{"text":"ca'),
        _event("function_call_arguments.delta", output_index=1, delta='fé"}'),
        _event("output_item.done", output_index=1, item=_called('{"text":"café"}')),
        _event("completed", response=_response("completed", usage={
            "input_tokens": 100, "output_tokens": 35, "input_tokens_details": {"cached_tokens": 40},
            "output_tokens_details": {"reasoning_tokens": 15},
        })),
    ),
    limited=(_event("incomplete", response=_response("incomplete", incomplete_details={"reason": "max_output_tokens"})),),
    refused=(
        _event("refusal.delta", output_index=0, delta="No."),
        _event("completed", response=_response("completed", usage=RESPONSES_USAGE)),
    ),
    history="/input",
)  # fmt: skip


def _frame(*pieces: Any, **more: Any) -> Data:
    return {"candidates": [{"content": {"role": "model", "parts": list(pieces)}, "index": 0} | more], "responseId": "g1"}


GEMINI_USAGE: Final = {"promptTokenCount": 60, "candidatesTokenCount": 35}
GEMINI: Final = Words(
    opening=(_frame(),),
    text=_frame({"text": "$"}),
    ending=({"usageMetadata": GEMINI_USAGE}, _frame(finishReason="STOP")),
    whole=_frame({"text": "Hi."}, finishReason="STOP") | {"usageMetadata": GEMINI_USAGE},
    idle=(
        {"candidates": None, "usageMetadata": None, "promptFeedback": None},
        {"candidates": []},
        {"candidates": [{"content": None, "finishReason": None}]},
        _frame({"text": None}, {"text": ""}, {"functionCall": None, "text": None}, {"novel": {"a": 1}}),
        {"novel": True},
        {},
    ),
    errors=(
        ({"error": {"code": 503, "message": "made up", "status": "UNAVAILABLE"}}, "UNAVAILABLE", True),
        ({"error": {"code": 500, "message": "made up", "status": None}}, None, True),
        ({"error": {"code": 429, "message": "made up", "status": "RESOURCE_EXHAUSTED"}}, "RESOURCE_EXHAUSTED", True),
        ({"error": {"code": 400, "message": "made up", "status": "INVALID_ARGUMENT"}}, "INVALID_ARGUMENT", False),
        ({"error": {"code": "503", "message": "made up"}}, None, True),
        ({"error": "made up"}, None, False),
    ),
    broken=(
        (_frame({"text": 7}),),
        (_frame("H"),),
        ({"candidates": {}},),
        ({"usageMetadata": {"promptTokenCount": "many"}},),
        ({"usageMetadata": {"promptTokenCount": 10**40}},),
        (_frame({"functionCall": {"name": "f", "args": "{}"}}),),
        (_frame({"functionCall": {"args": {}}}),),
        (_frame({"functionCall": {"id": "t\0", "name": "f", "args": {}}}),),
        (_frame({"functionCall": {"name": "f", "args": {"n": 10**40}}}),),
        (_frame({"functionCall": {"name": "f", "args": {}, "willContinue": True}}),),
        (_frame({"functionCall": {"name": "f", "partialArgs": [{"jsonPath": "$.a"}]}}),),
    ),
    calling=(
        _frame({"text": "Weigh.", "thought": True}),
        _frame({"functionCall": {"id": "t1", "name": "echo", "args": {"text": "café"}}, "thoughtSignature": SEALED}),
        _frame(finishReason="STOP") | {"usageMetadata": {
            "promptTokenCount": 100, "cachedContentTokenCount": 40, "candidatesTokenCount": 20, "thoughtsTokenCount": 15,
        }},
    ),
    limited=(_frame(finishReason="MAX_TOKENS"),),
    refused=({"promptFeedback": {"blockReason": "SAFETY"}},),
    history="/contents",
)  # fmt: skip

WORDS: Final = {"anthropic-messages": ANTHROPIC, "openai-chat": CHAT, "openai-responses": RESPONSES, "gemini": GEMINI}
