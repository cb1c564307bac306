"""Providers: the same facts in other spellings: numbers in texts, ids in numbers, usage and errors by other names."""

import json
from typing import Any

from lash_conformance.check import host_check
from lash_conformance.checks.host.provider_gateways import calls, chunk, fragment
from lash_conformance.checks.host.provider_replies import JSON, asking, failure, streamed, text
from lash_conformance.host_bench import HostBench
from lash_conformance.provider_words import ANTHROPIC, CHAT, GEMINI, RESPONSES, STREAM, WORDS, asked, reply

Data = dict[str, Any]
BUCKETS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_write_input_tokens", "reasoning_output_tokens")


def spent(found: Data) -> tuple[int, ...]:
    """The five buckets of an answer."""
    text(found)
    return tuple(found["response"]["usage"].get(bucket, 0) for bucket in BUCKETS)


@host_check("PRV.83", needs=("providers",))
async def counts_may_come_in_digits_and_ids_as_numbers(bench: HostBench) -> None:
    """Usage and indices in texts, ids of calls and replies in numbers; a text that is no count fails as before."""
    usages: dict[str, list[Data]] = {
        "anthropic-messages": [
            *ANTHROPIC.said("Hi.")[:-2], {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": "35"}},
            {"type": "message_stop"},
        ],
        "openai-chat": [chunk({"content": "Hi."}, "stop", index="0"), {"choices": [], "usage": {"prompt_tokens": "60", "completion_tokens": "35"}}],
        "openai-responses": [*RESPONSES.said("Hi.")[:-1], {"type": "response.completed", "response": {
            "status": "completed", "usage": {"input_tokens": "60", "output_tokens": "35"},
        }}],
        "gemini": [*GEMINI.said("Hi."), {"usageMetadata": {"promptTokenCount": "60", "candidatesTokenCount": "35"}}],
    }  # fmt: skip
    async with asking(bench) as ask:
        for dialect, events in usages.items():
            assert spent(await ask(asked(dialect, streamed(events))))[:2] == (60, 35)
        one, two = fragment(None, None, "f", '{"a":1}') | {"id": 7, "index": "0"}, fragment(None, None, "g", "{}") | {"id": 8, "index": "1"}
        events = [chunk({"tool_calls": [one, two]}, "tool_calls") | {"id": 12}]
        found = await ask(asked("openai-chat", streamed(events)))
        assert calls(found) == [("7", "f", '{"a":1}'), ("8", "g", "{}")]
        assert found["response"]["execution_evidence"]["provider_response_id"] == "12"
        same = [chunk({"tool_calls": [fragment(0, None, "f", "") | {"id": 7}]}), chunk({"tool_calls": [fragment(0, None, None, "{}") | {"id": 7}]}, "stop")]
        assert calls(await ask(asked("openai-chat", streamed(same)))) == [("7", "f", "{}")]
        wrong = chunk({"content": "Hi."}, "stop") | {"usage": {"prompt_tokens": "sixty"}}
        assert failure(await ask(asked("openai-chat", streamed([wrong]))))[0] == "stream"


@host_check("PRV.52", needs=("providers",))
async def usage_in_pieces_is_merged(bench: HostBench) -> None:
    """Input in one event and output in a later one; told again in full it replaces; an empty Gemini report is none."""
    told: dict[str, list[Data]] = {
        "openai-chat": [chunk({"content": "Hi."}) | {"usage": {"prompt_tokens": 60}}, chunk({}, "stop") | {"usage": {"completion_tokens": 35}}],
        "openai-responses": [
            {"type": "response.output_text.delta", "delta": "Hi", "usage": {"input_tokens": 60}},
            {"type": "response.output_text.delta", "delta": ".", "response": {"usage": {"output_tokens": 35}}},
            {"type": "response.completed", "response": {"status": "completed", "usage": None}},
        ],
        "gemini": [*GEMINI.said("Hi."), {"usageMetadata": {}}, {"usageMetadata": {"trafficType": "ON_DEMAND"}}],
    }
    async with asking(bench) as ask:
        for dialect, events in told.items():
            assert spent(await ask(asked(dialect, streamed(events)))) == (60, 35, 0, 0, 0)
        again = [chunk({"content": "Hi."}) | {"usage": {"prompt_tokens": 9, "completion_tokens": 9}}, *CHAT.ending]
        assert spent(await ask(asked("openai-chat", streamed(again)))) == (60, 35, 0, 0, 0)
        later = [*GEMINI.opening, {"usageMetadata": {"promptTokenCount": 9, "cachedContentTokenCount": 9}}, *GEMINI.said("Hi.")]
        assert spent(await ask(asked("gemini", streamed(later)))) == (60, 35, 0, 0, 0)


USAGES: tuple[tuple[Data, tuple[int, ...]], ...] = (
    ({"input_tokens": 60, "output_tokens": 35}, (60, 35, 0, 0, 0)),
    ({"prompt_tokens": 100, "completion_tokens": 35, "prompt_cache_hit_tokens": 40, "reasoning_tokens": 15}, (60, 35, 40, 0, 15)),
    ({"prompt_tokens": 109, "completion_tokens": 35, "cached_tokens": 40, "cache_write_tokens": 9}, (60, 35, 40, 9, 0)),
    (
        {"prompt_tokens": 109, "completion_tokens": 35, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 9},
        (60, 35, 40, 9, 0),
    ),
    (
        {"input_tokens": 109, "output_tokens": 35, "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 9}},
        (60, 35, 40, 9, 0),
    ),
)
"""The same spending as gateways before other services report it, and its five buckets."""


@host_check("PRV.50", needs=("providers",))
async def usage_has_many_names(bench: HostBench) -> None:
    """Names of either OpenAI dialect, caches and reasoning beside the details, in both dialects."""
    async with asking(bench) as ask:
        for usage, buckets in USAGES:
            chat: list[Data] = [chunk({"content": "Hi."}, "stop"), {"choices": [], "usage": usage}]
            assert spent(await ask(asked("openai-chat", streamed(chat)))) == buckets
            ended = {"type": "response.completed", "response": {"status": "completed", "usage": usage}}
            assert spent(await ask(asked("openai-responses", streamed([*RESPONSES.said("Hi.")[:-1], ended])))) == buckets


@host_check("PRV.88", needs=("providers",))
async def the_first_id_and_model_are_kept(bench: HostBench) -> None:
    """Empty ones say nothing, later ones change nothing, and a call's id is derived from the first."""
    events = [
        chunk({"content": "Hi."}) | {"id": "", "model": ""}, chunk({}) | {"id": "first", "model": "m1"},
        chunk({"tool_calls": [fragment(0, None, "f", "{}")]}, "stop") | {"id": "later", "model": "m2"},
    ]  # fmt: skip
    async with asking(bench) as ask:
        found = await ask(asked("openai-chat", streamed(events)))
        assert text(found) == "Hi."
        evidence = found["response"]["execution_evidence"]
        assert (evidence["provider_response_id"], evidence["served_model"]) == ("first", "m1")
        assert [call_id for call_id, _, _ in calls(found)] == ["call_first_0"]
        frames = [event | {"responseId": f"g{n}", "modelVersion": f"m{n}"} for n, event in enumerate(GEMINI.said("H", "i."), 1)]
        evidence = (await ask(asked("gemini", streamed(frames))))["response"]["execution_evidence"]
        assert (evidence["provider_response_id"], evidence["served_model"]) == ("g1", "m1")


@host_check("PRV.9", needs=("providers",))
async def reasoning_may_stand_in_an_object(bench: HostBench) -> None:
    """Its text is the reasoning; an object, a list or a switch without a text in it says nothing."""
    shapes: list[tuple[Any, list[str]]] = [
        ("Weigh.", ["Weigh."]), ({"content": "Weigh."}, ["Weigh."]), ({"text": "Weigh."}, ["Weigh."]), ({"effort": "low"}, []), (True, []), ([], []),
    ]  # fmt: skip
    async with asking(bench) as ask:
        for shape, thoughts in shapes:
            found = await ask(asked("openai-chat", streamed([chunk({"reasoning": shape}), chunk({"content": "Hi."}, "stop")])))
            assert text(found) == "Hi."
            assert [part["text"] for part in found["response"]["parts"] if part["type"] == "reasoning"] == thoughts


@host_check("PRV.66", "PRV.9", needs=("providers",))
async def reasoning_stands_in_details_and_pieces(bench: HostBench) -> None:
    """In details alone, in details beside a text of their own, and in a content's pieces; an answer's pieces have two names."""
    detail = {"type": "reasoning.text", "text": "Weigh."}
    deltas: list[Data] = [
        {"reasoning_details": [detail]}, {"reasoning": "Weigh.", "reasoning_details": [detail]},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "Weigh."}]},
        {"content": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "Weigh."}]}]},
    ]  # fmt: skip
    async with asking(bench) as ask:
        for delta in deltas:
            found = await ask(asked("openai-chat", streamed([chunk(delta), chunk({"content": [{"type": "output_text", "text": "Hi."}]}, "stop")])))
            assert text(found) == "Hi."
            assert [part["text"] for part in found["response"]["parts"] if part["type"] == "reasoning"] == ["Weigh."]


@host_check("PRV.93", needs=("providers",))
async def texts_of_an_item_may_stand_bare(bench: HostBench) -> None:
    """A message's content and a reasoning's summary, as a text and as texts in a list; a number there fails."""
    created, end = RESPONSES.opening[0], RESPONSES.ending[-1]

    def done(index: int, **item: Any) -> Data:
        return {"type": "response.output_item.done", "output_index": index, "item": item}

    async with asking(bench) as ask:
        for thought, said in (("Weigh.", "Hi."), (["Weigh."], ["H", "i."])):
            events = [created, done(0, type="reasoning", id="rs1", summary=thought), done(1, type="message", id="m1", content=said), end]
            found = await ask(asked("openai-responses", streamed(events)))
            assert (text(found), found["response"]["parts"][0]["text"]) == ("Hi.", "Weigh.")
        wrong = [created, done(0, type="message", id="m1", content=[7]), end]
        assert failure(await ask(asked("openai-responses", streamed(wrong))))[0] == "stream"


@host_check("PRV.94", needs=("providers",))
async def a_gemini_frame_may_be_wrapped(bench: HostBench) -> None:
    """Text, a call, usage and a blocked prompt in frames of a stream, in an array of them, and in a document."""
    nothing: Data = {}
    call: Data = {"candidates": [{"content": {"parts": [{"functionCall": {"id": "t1", "name": "f", "args": nothing}}]}}]}
    frames: list[Data] = [{"response": frame, "traceId": "x"} for frame in (*GEMINI.said("H", "i."), call, GEMINI.ending[-1])]
    whole = json.dumps({"response": GEMINI.whole}).encode()
    async with asking(bench) as ask:
        for one in (streamed(frames), reply(json.dumps(frames).encode(), 200, JSON)):
            found = await ask(asked("gemini", one))
            assert (text(found), spent(found)[:2], calls(found)) == ("Hi.", (60, 35), [("t1", "f", "{}")])
        for streaming in (True, False):
            found = await ask(asked("gemini", reply(whole, 200, JSON), streaming=streaming))
            assert (text(found), found["response"]["terminal_reason"]) == ("Hi.", "stop")
        blocked = [{"response": {"promptFeedback": {"blockReason": "SAFETY"}}}]
        assert (await ask(asked("gemini", streamed(blocked))))["response"]["terminal_reason"] == "content_filter"


@host_check("PRV.78", needs=("providers",))
async def arguments_of_a_response_s_call_may_be_an_object(bench: HostBench) -> None:
    """In a finished item and in a document, which need not say that it is a response."""
    given: Any = {"b": 1, "a": ["é"]}
    call: Data = {"type": "function_call", "id": "fc1", "call_id": "t1", "name": "f", "arguments": given}
    done = {"type": "response.output_item.done", "output_index": 0, "item": call}
    document = json.dumps({"id": "r1", "status": "completed", "output": [call]}).encode()
    async with asking(bench) as ask:
        for one in (streamed([RESPONSES.opening[0], done, RESPONSES.ending[-1]]), reply(document, 200, JSON)):
            ((call_id, name, written),) = calls(await ask(asked("openai-responses", one)))
            assert (call_id, name, json.loads(written)) == ("t1", "f", given)


SAID: dict[str, tuple[tuple[int, str], ...]] = {
    "context_overflow": (
        (400, "context_length_exceeded"), (400, "too many tokens"), (413, "request too large"), (400, "model_context_window_exceeded"),
        (400, "The input (20 tokens) is longer than the model's context length (10 tokens)."), (400, "Token limit exceeded."),
    ),
    "content_filter": (
        (400, "finish_reason: content_filter"), (400, "blocked by prohibited_content"), (403, "The safety filter tripped."),
        (400, "Rejected by our safety system."), (400, "sensitive content refused"),
    ),
    "provider_error": (
        (429, "Too many tokens, please wait before trying again."), (400, "Unknown field safety_identifier."), (429, "rate limit: too many tokens per minute"), (500, "content_filter is down"),
    ),
}  # fmt: skip
"""What providers and gateways say in words alone, by what a turn makes of it."""


@host_check("PRV.31", "PRV.33", needs=("providers",))
async def words_decide_where_no_code_does(bench: HostBench) -> None:
    """Overflows, filters and unknown models by their words, none of them repeated; words of a failing server are not asked."""
    async with asking(bench) as ask:
        for reason, told in SAID.items():
            for status, words in told:
                body = json.dumps({"error": {"message": words}}).encode()
                found = await ask(asked("openai-chat", reply(body, status, JSON)))
                assert (failure(found)[3], found["error"]["terminal_reason"]) == (status >= 429, reason)
        for words in ("model_not_found", "Unsupported model.", "The model `m` does not exist.", 'model "m" not found, try pulling it'):
            body = json.dumps({"error": {"message": words}}).encode()
            assert failure(await ask(asked("openai-chat", reply(body, 404, JSON)))) == ("unsupported", None, 404, False)


@host_check("PRV.35", needs=("providers",))
async def an_error_s_words_are_found_in_every_shape(bench: HostBench) -> None:
    """A detail, the first of a list of errors, a text beside its code."""
    shapes: list[tuple[Data, str | None]] = [
        ({"detail": "made up"}, None), ({"success": False, "errors": [{"code": 7003, "message": "made up"}]}, "7003"),
        ({"error": "made up", "code": "rate_limited", "type": "x"}, "rate_limited"), ({"message": "made up"}, None),
    ]  # fmt: skip
    async with asking(bench) as ask:
        for body, code in shapes:
            found = await ask(asked("openai-chat", reply(json.dumps(body).encode(), 400, JSON)))
            assert (failure(found), found["error"]["message"]) == (("validation", code, 400, False), "made up")


@host_check("PRV.48", needs=("providers",))
async def an_error_of_a_service_s_own_shape_is_one(bench: HostBench) -> None:
    """Under a good status: a member with the service's code, in a document and in an event, and an error in a choice."""
    own: Data = {"id": "c1", "choices": None, "base_resp": {"status_code": 1008, "status_msg": "made up"}}
    good: Data = {"base_resp": {"status_code": 0, "status_msg": ""}}
    async with asking(bench) as ask:
        for dialect, words in WORDS.items():
            for one in (reply(json.dumps(own).encode(), 200, JSON), streamed([own])):
                found = await ask(asked(dialect, one))
                assert (failure(found)[0], found["error"]["message"]) == ("stream", "made up")
            assert text(await ask(asked(dialect, streamed([event | good for event in words.said("Hi.")])))) == "Hi."
        choice = {"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "error", "error": {"code": 502, "message": "made up"}}
        body = json.dumps({"id": "c1", "choices": [choice]}).encode()
        assert failure(await ask(asked("openai-chat", reply(body, 200, JSON)))) == ("stream", None, None, True)


@host_check("PRV.35", "PRV.54", needs=("providers",))
async def an_error_in_the_frame_of_a_stream_is_read(bench: HostBench) -> None:
    """Under an error's status the body is an event: its code decides, and its words are told without the frame."""
    spent = b'event: error\ndata: {"error": {"message": "made up", "type": "billing_error", "code": "insufficient_quota"}}\n\n'
    async with asking(bench) as ask:
        for dialect in ("anthropic-messages", "openai-chat", "openai-responses"):
            found = await ask(asked(dialect, reply(spent, 429, STREAM)))
            assert (failure(found)[0], failure(found)[3], found["error"]["message"]) == ("quota", False, "made up")


@host_check("PRV.45", "PRV.78", needs=("providers",))
async def an_anthropic_look_alike_s_shapes_are_read(bench: HostBench) -> None:
    """A call's input as a text, null or missing at its start, and a document that does not say it is a message."""
    deltas = [{"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": '{"a":1}'}}]
    starts: list[tuple[Data, list[Data]]] = [({"input": ""}, deltas), ({"input": None}, deltas), ({}, deltas), ({"input": '{"a":1}'}, [])]
    end = [{"type": "message_delta", "delta": {"stop_reason": "tool_use"}}, ANTHROPIC.ending[-1]]
    async with asking(bench) as ask:
        for given, grown in starts:
            block = {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "t1", "name": "f"} | given}
            assert calls(await ask(asked("anthropic-messages", streamed([ANTHROPIC.opening[0], block, *grown, *end])))) == [("t1", "f", '{"a":1}')]
        whole = {name: value for name, value in ANTHROPIC.whole.items() if name != "type"}
        assert text(await ask(asked("anthropic-messages", reply(json.dumps(whole).encode(), 200, JSON)))) == "Hi."


@host_check("PRV.37", needs=("providers",))
async def a_key_that_is_named_one_is_not_recorded(bench: HostBench) -> None:
    """Behind its name in a message and in a URL, whoever's it is."""
    async with asking(bench) as ask:
        for dialect in WORDS:
            for said in ("api_key=also-judged-secret", 'apiKey: "also-judged-secret"', "https://x.invalid/v1?key=also-judged-secret&alt=sse"):
                body = json.dumps({"error": {"message": f"wrong: {said} there"}}).encode()
                found = await ask(asked(dialect, reply(body, 401, JSON)))
                assert (failure(found)[0], "also-judged" in json.dumps(found)) == ("auth", False)
