"""Providers: what gateways and look-alikes make of a dialect, each of which must read as the dialect itself would."""

import json
from typing import Any, Literal

from lash_conformance.check import host_check
from lash_conformance.checks.host.provider_replies import JSON, asking, failure, streamed, text
from lash_conformance.fixture import Frame, Response
from lash_conformance.host_bench import HostBench
from lash_conformance.provider_words import (
    ANTHROPIC,
    CHAT,
    GEMINI,
    RESPONSES,
    STREAM,
    WORDS,
    asked,
    reply,
    sse,
)
from lash_conformance.vocabulary import Unexpected

Data = dict[str, Any]


def chunk(delta: Data, finish: str | None = None, **choice: Any) -> Data:
    """A Chat chunk of one choice."""
    return {"id": "c1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish} | choice]}


def fragment(index: int | None, call_id: str | None, name: str | None, arguments: str) -> Data:
    """A fragment of a Chat tool call."""
    return {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}


def calls(found: Data) -> list[tuple[str, str, str]]:
    """Id, tool and arguments of the calls of an answer; the check fails when there is none."""
    text(found)
    parts = found["response"]["parts"]
    return [(part["call_id"], part["tool_name"], part["input_json"]) for part in parts if part["type"] == "tool_call"]


def lost(events: list[Data], end: Literal["cut", "reset"]) -> Response:
    """A stream of the events whose connection then ends so."""
    made = reply(sse(events), 200, STREAM)
    return made.model_copy(update={"frames": [*made.frames, Frame(end=end)]})


@host_check("PRV.55", needs=("providers",))
async def calls_that_share_an_index_are_told_apart_by_id_and_name(bench: HostBench) -> None:
    """Every call at index 0, over chunks and in one; names alone without index and id; the calls of a document."""
    both = [("t1", "f", '{"a":1}'), ("t2", "g", '{"b":2}')]
    first, second = fragment(0, "t1", "f", '{"a":1}'), fragment(0, "t2", "g", '{"b":2}')
    nameless = [fragment(None, None, "f", '{"a":1}'), fragment(None, None, "g", '{"b":2}')]
    async with asking(bench) as ask:
        for deltas in ([[first], [second]], [[first, second]]):
            events = [*CHAT.opening, *(chunk({"tool_calls": delta}) for delta in deltas), chunk({}, "tool_calls")]
            assert calls(await ask(asked("openai-chat", streamed(events)))) == both
        derived = [("call_c1_0", "f", '{"a":1}'), ("call_c1_1", "g", '{"b":2}')]
        assert calls(await ask(asked("openai-chat", streamed([chunk({"tool_calls": nameless}, "stop")])))) == derived
        message = {"role": "assistant", "content": None, "tool_calls": [first, second]}
        whole = {"id": "c1", "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
        assert calls(await ask(asked("openai-chat", reply(json.dumps(whole).encode(), 200, JSON)))) == both


@host_check("PRV.7", needs=("providers",))
async def a_call_s_name_may_come_in_pieces_or_again(bench: HostBench) -> None:
    """A name in two fragments is joined, a name that comes again with its id is one, null and empty say nothing."""
    split = [fragment(0, "t1", "get_", ""), fragment(0, None, "time", '{"a":1}')]
    again = [fragment(0, "t1", "get_time", '{"a"'), fragment(0, "t1", "get_time", ":1}"), fragment(0, "", "", "")]
    async with asking(bench) as ask:
        for pieces in (split, again):
            events = [*CHAT.opening, *(chunk({"tool_calls": [one]}) for one in pieces), chunk({}, "tool_calls")]
            assert calls(await ask(asked("openai-chat", streamed(events)))) == [("t1", "get_time", '{"a":1}')]


@host_check("PRV.15", needs=("providers",))
async def a_call_without_an_id_gets_one_in_every_dialect(bench: HostBench) -> None:
    """Two calls that came without ids have two that are the same on every replay."""
    item = {"type": "function_call", "name": "f", "arguments": "{}"}
    replies: dict[str, list[Data]] = {
        "anthropic-messages": [
            ANTHROPIC.opening[0],
            *({"type": "content_block_start", "index": n, "content_block": {"type": "tool_use", "name": "f", "input": {}}} for n in (0, 1)),
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}}, {"type": "message_stop"},
        ],
        "openai-chat": [chunk({"tool_calls": [fragment(n, None, "f", "{}") for n in (0, 1)]}, "tool_calls")],
        "openai-responses": [
            RESPONSES.opening[0], *({"type": "response.output_item.done", "output_index": n, "item": item} for n in (0, 1)), RESPONSES.ending[-1],
        ],
        "gemini": [{
            "responseId": "g1",
            "candidates": [{"content": {"parts": [{"functionCall": {"name": "f"}}] * 2}, "finishReason": "STOP"}],
        }],
    }  # fmt: skip
    async with asking(bench) as ask:
        for dialect, events in replies.items():
            once, twice = [calls(await ask(asked(dialect, streamed(events)))) for _ in range(2)]
            assert once == twice
            assert len({call_id for call_id, _, _ in once} - {""}) == 2


@host_check("PRV.23", needs=("providers",))
async def a_call_that_the_limit_left_without_arguments_is_cut(bench: HostBench) -> None:
    """The limit came after the call's name and before its first argument."""
    replies: dict[str, list[Data]] = {
        "anthropic-messages": [
            *ANTHROPIC.said("Hi.")[:3],
            {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t1", "name": "f", "input": {}}},
            {"type": "content_block_stop", "index": 1}, *ANTHROPIC.limited,
        ],
        "openai-chat": [*CHAT.said("Hi.")[:2], chunk({"tool_calls": [fragment(0, "t1", "f", "")]}), *CHAT.limited],
    }  # fmt: skip
    async with asking(bench) as ask:
        for dialect, events in replies.items():
            found = await ask(asked(dialect, streamed(events)))
            assert (text(found), calls(found)) == ("Hi.", [])
            assert found["response"]["terminal_reason"] == "output_limit"


@host_check("PRV.56", needs=("providers",))
async def an_answer_stands_when_the_connection_is_lost_behind_it(bench: HostBench) -> None:
    """Cut and reset right behind the terminal event; cut before it, the attempt fails."""
    async with asking(bench) as ask:
        for dialect, words in WORDS.items():
            events = words.said("H", "i.")
            for end in ("cut", "reset"):
                found = await ask(asked(dialect, lost(events, end)))
                assert (text(found), found["response"]["terminal_reason"]) == ("Hi.", "stop")
                assert [attempt["outcome"] for attempt in found["attempts"]] == ["completed"]
            assert failure(await ask(asked(dialect, lost(events[:-1], "cut"))))[0] == "stream"


@host_check("PRV.57", needs=("providers",))
async def a_gemini_stream_may_come_as_an_array(bench: HostBench) -> None:
    """Two frames in an array are the stream, an error among them fails it, and an array that is cut is none."""
    events = GEMINI.said("H", "i.")
    down = {"error": {"code": 503, "message": "made up", "status": "UNAVAILABLE"}}
    async with asking(bench) as ask:
        for streaming in (True, False):
            array = b"[" + b",\r\n".join(json.dumps(event, indent=1).encode() for event in events) + b"\n]\n"
            found = await ask(asked("gemini", reply(array, 200, JSON), streaming=streaming))
            assert (text(found), found["response"]["usage"]["output_tokens"]) == ("Hi.", 35)
        assert failure(await ask(asked("gemini", reply(array[:-3], 200, JSON))))[0] == "stream"
        broken = json.dumps([events[0], down]).encode()
        assert failure(await ask(asked("gemini", reply(broken, 200, JSON)))) == ("stream", "UNAVAILABLE", None, True)


@host_check("PRV.64", needs=("providers",))
async def what_a_responses_stream_leaves_out_is_found_elsewhere(bench: HostBench) -> None:
    """No items beside the deltas, hollow items, no deltas, no finished items: text and arguments are whole, once."""
    created, added = RESPONSES.opening
    delta: Data = {"type": "response.output_text.delta", "output_index": 0, "delta": "Hi."}
    item: Data = {"type": "message", "id": "m1"}
    said = item | {"content": [{"type": "output_text", "text": "Hi."}]}
    hollow: Data = {"type": "response.output_item.done", "output_index": 0, "item": item | {"content": []}}
    end = RESPONSES.ending[-1]
    full = end | {"response": end["response"] | {"output": [said]}}
    call: Data = {"type": "function_call", "id": "fc1", "call_id": "t1", "name": "f", "arguments": ""}
    begun: Data = {"type": "response.output_item.added", "output_index": 0, "item": call}
    ended = end | {"response": end["response"] | {"output": [call | {"arguments": '{"a":1}'}]}}
    done: Data = {"type": "response.function_call_arguments.done", "output_index": 0, "arguments": '{"a":1}'}
    later: list[Data] = [delta | {"output_index": 1}, {"type": "response.output_item.done", "output_index": 1, "item": said}]
    spoken: list[list[Data]] = [
        [created, delta, end], [created, added, delta, hollow, end], [created, added, hollow, full],
        [created, delta, full], [full], [created, *later, full],
        [created, added, {"type": "response.output_text.done", "output_index": 0, "text": "Hi."}, end],
    ]  # fmt: skip
    async with asking(bench) as ask:
        for events in spoken:
            assert text(await ask(asked("openai-responses", streamed(events)))) == "Hi."
        finished: Data = {"type": "response.output_item.done", "output_index": 0, "item": call}
        for events in ([created, begun, ended], [created, begun, done, end], [created, begun, done, finished, end]):
            assert calls(await ask(asked("openai-responses", streamed(events)))) == [("t1", "f", '{"a":1}')]


@host_check("PRV.66", needs=("providers",))
async def a_chat_content_may_be_a_list_of_pieces(bench: HostBench) -> None:
    """Texts are the answer, thoughts are reasoning, pieces of other types say nothing; streamed and whole."""
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Weigh."}]}
    told: list[Data] = [{"type": "text", "text": "Hi"}, {"type": "reference", "reference_ids": [1]}]
    events = [chunk({"content": [thought]}), chunk({"content": told}), chunk({"content": "."}, "stop")]
    message = {"role": "assistant", "content": [thought, *told, {"type": "text", "text": "."}]}
    whole = {"id": "c1", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    async with asking(bench) as ask:
        for body in (sse(events), json.dumps(whole).encode()):
            found = await ask(asked("openai-chat", reply(body)))
            assert text(found) == "Hi."
            assert [part["text"] for part in found["response"]["parts"] if part["type"] == "reasoning"] == ["Weigh."]


@host_check("PRV.50", needs=("providers",))
async def usage_is_counted_wherever_a_chat_gateway_puts_it(bench: HostBench) -> None:
    """In the choice that ends, or in a member of the gateway's own; told twice, it is counted once."""
    usage: Data = {"prompt_tokens": 60, "completion_tokens": 35}
    ends: list[list[Data]] = [
        [chunk({}, "stop", usage=usage)], [chunk({}, "stop") | {"x_groq": {"id": "q", "usage": usage}}],
        [chunk({}, "stop", usage=usage) | {"usage": usage}, {"choices": [], "usage": usage}],
    ]  # fmt: skip
    async with asking(bench) as ask:
        for last in ends:
            found = (await ask(asked("openai-chat", streamed([chunk({"content": "Hi."}), *last]))))["response"]["usage"]
            assert (found["input_tokens"], found["output_tokens"]) == (60, 35)


OVERFLOWS = (
    ("openai-chat", "This model's maximum context length is 10 tokens. However, you requested 20 tokens."),
    ("openai-chat", "the request exceeds the available context size, try increasing it"),
    ("openai-chat", "This model's maximum prompt length is 10 but the request contains 20 tokens."),
    ("openai-chat", "Please reduce the length of the messages or completion."),
    ("openai-chat", "Your request exceeded model token limit: 10"),
    ("openai-responses", "Your input exceeds the context window of this model."),
    ("anthropic-messages", "prompt is too long: 20 tokens > 10 maximum"),
    ("anthropic-messages", "input length and `max_tokens` exceed context limit: 8 + 8 > 10"),
    ("gemini", "The input token count (20) exceeds the maximum number of tokens allowed (10)."),
)
"""What services and servers really say when a prompt does not fit."""


@host_check("PRV.33", needs=("providers",))
async def a_prompt_that_does_not_fit_is_known_in_many_words(bench: HostBench) -> None:
    """The words of services and servers, once with nothing beside them that decides; endless words end too."""
    async with asking(bench) as ask:
        for dialect, said in (*OVERFLOWS, ("openai-chat", "prompt is too long. " * 40_000)):
            error = json.dumps({"error": {"message": said}}).encode()
            found = await ask(asked(dialect, reply(error, 400, JSON), attempts=2))
            assert failure(found) == ("validation", None, 400, False)
            assert found["error"]["terminal_reason"] == "context_overflow"
        endless = json.dumps({"error": {"message": "input token count " * 40_000}}).encode()
        assert failure(await ask(asked("openai-chat", reply(endless, 400, JSON))))[0] == "validation"


@host_check("PRV.26", needs=("providers",))
async def a_full_window_ends_an_answer_in_other_words_too(bench: HostBench) -> None:
    """Mistral's word for it on a Chat route."""
    async with asking(bench) as ask:
        found = await ask(asked("openai-chat", streamed([chunk({"content": "Hi"}), chunk({}, "model_length")])))
        assert (text(found), found["response"]["terminal_reason"]) == ("Hi", "context_overflow")


@host_check("PRV.37", needs=("providers",))
async def a_credential_of_no_known_shape_is_not_recorded(bench: HostBench) -> None:
    """The route's own key, quoted in a message, a code, a page, a frame that is no JSON and an error of a stream."""
    key = "0123456789abcdefJUDGED"
    said = {"error": {"message": f"key {key} is wrong", "code": f"bad_{key}"}}
    replies = [
        reply(json.dumps(said).encode(), 401, JSON), reply(f"<p>{key}</p>".encode(), 403), reply(f"data: {key}\n\n".encode()),
        streamed([said]), reply(f"data: {'x' * 60}{key}\n\n".encode()),
    ]  # fmt: skip
    async with asking(bench) as ask:
        for one in replies:
            for name, value in (("api-key", key), ("authorization", f"Bearer {key}")):
                found = await ask(asked("openai-chat", one, headers=[[name, value]]))
                failure(found)
                if "0123456789" in json.dumps(found):
                    raise Unexpected("no credential in the record", f"{found['error']}")


@host_check("PRV.37", needs=("providers",))
async def half_a_credential_is_not_recorded(bench: HostBench) -> None:
    """The first half and the last of the route's own key; a few characters at its ends, as services show them, stay."""
    key = "zQ9judgedOwnKeyOfNoShape12345678"
    async with asking(bench) as ask:
        for said in (key[:16], key[16:], key[10:26]):
            error = json.dumps({"error": {"message": f"key ..{said}.. is wrong"}}).encode()
            found = await ask(asked("openai-chat", reply(error, 401, JSON), headers=[["authorization", f"Bearer {key}"]]))
            failure(found)
            assert said[4:-4] not in json.dumps(found)
        masked = json.dumps({"error": {"message": f"key {key[:4]}...{key[-4:]} is wrong"}}).encode()
        found = await ask(asked("openai-chat", reply(masked, 401, JSON), headers=[["authorization", f"Bearer {key}"]]))
        assert found["error"]["message"] == "key zQ9j...5678 is wrong"


@host_check("PRV.65", needs=("providers",))
async def a_route_that_cannot_be_asked_is_not_asked_again(bench: HostBench) -> None:
    """A key with a line end in it makes no header; nothing is sent, nothing repeated, and the key is not recorded."""
    async with asking(bench) as ask:
        found = await ask(asked("openai-chat", attempts=3, headers=[["x-api-key", "0123456789abcdefJUDGED\n"]]))
        assert (failure(found)[0], failure(found)[3], len(found["attempts"])) == ("validation", False, 1)
        assert "0123456789" not in json.dumps(found)
