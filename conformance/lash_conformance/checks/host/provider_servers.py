"""Providers: shapes in which servers of many makers put calls, whole replies, usage, stop words and refusals."""

import json
from typing import Any

from lash_conformance.check import host_check
from lash_conformance.checks.host.provider_bytes import shown
from lash_conformance.checks.host.provider_gateways import calls, chunk, fragment
from lash_conformance.checks.host.provider_replies import JSON, asking, failure, streamed, text
from lash_conformance.host_bench import HostBench
from lash_conformance.provider_words import (
    ANTHROPIC,
    CHAT,
    GEMINI,
    RESPONSES,
    SEALED,
    STREAM,
    WORDS,
    asked,
    filled,
    reply,
    sse,
)

Data = dict[str, Any]


@host_check("PRV.78", needs=("providers",))
async def arguments_may_be_an_object(bench: HostBench) -> None:
    """Streamed, in an event of its own behind the name, and in a document; empty is an empty object."""
    nothing: Any = {}
    given: Any = {"b": 1, "a": ["é", nothing]}
    async with asking(bench) as ask:
        for pieces in ([fragment(0, "t1", "f", given)], [fragment(0, "t1", "f", ""), fragment(0, None, None, given)]):
            events = [*CHAT.opening, *(chunk({"tool_calls": [one]}) for one in pieces), chunk({}, "tool_calls")]
            ((call_id, name, written),) = calls(await ask(asked("openai-chat", streamed(events))))
            assert (call_id, name, json.loads(written)) == ("t1", "f", given)
        message: Data = {"role": "assistant", "tool_calls": [fragment(None, "t1", "f", given), fragment(None, "t2", "g", nothing)]}
        whole = {"id": "c1", "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
        first, second = calls(await ask(asked("openai-chat", reply(json.dumps(whole).encode(), 200, JSON))))
        assert (json.loads(first[2]), second) == (given, ("t2", "g", "{}"))


@host_check("PRV.55", needs=("providers",))
async def calls_without_ids_that_share_an_index_are_told_apart(bench: HostBench) -> None:
    """A name behind whole arguments begins a call, the same name too when it brings some; repeated, it does not."""
    one, two = '{"a":1}', '{"a":2}'
    apart = {
        ("f", "g"): [fragment(0, None, "f", one), fragment(0, None, "g", two)],
        ("f", "f"): [fragment(0, "", "f", '{"a"'), fragment(0, "", None, ":1}"), fragment(0, "", "f", two)],
    }
    repeated = [fragment(0, None, "f", one), fragment(0, None, "f", "")]
    async with asking(bench) as ask:
        for names, pieces in apart.items():
            events = [*CHAT.opening, *(chunk({"tool_calls": [piece]}) for piece in pieces), chunk({}, "tool_calls")]
            found = calls(await ask(asked("openai-chat", streamed(events))))
            assert [(name, written) for _, name, written in found] == list(zip(names, (one, two), strict=True))
            assert len({call_id for call_id, _, _ in found} - {""}) == 2
        events = [*CHAT.opening, *(chunk({"tool_calls": [piece]}) for piece in repeated), chunk({}, "tool_calls")]
        assert [found[1:] for found in calls(await ask(asked("openai-chat", streamed(events))))] == [("f", one)]


@host_check("PRV.79", needs=("providers",))
async def items_of_a_response_are_told_apart_without_an_index(bench: HostBench) -> None:
    """No index, no index and no id in deltas, every index 0, ids that change from event to event, a delta before its item."""
    created, end = RESPONSES.opening[0], RESPONSES.ending[-1]
    said: Data = {"type": "message", "id": "m1", "content": [{"type": "output_text", "text": "Hi."}]}
    call: Data = {"type": "function_call", "id": "fc1", "call_id": "t1", "name": "f", "arguments": '{"a":1}'}
    nothing: list[Data] = []
    told: list[Data] = [
        {"type": "response.output_item.added", "output_index": 0, "item": said | {"content": nothing}},
        {"type": "response.output_text.delta", "output_index": 0, "item_id": "m1", "delta": "H"},
        {"type": "response.output_text.delta", "output_index": 0, "item_id": "m1", "delta": "i."},
        {"type": "response.output_item.done", "output_index": 0, "item": said},
        {"type": "response.output_item.added", "output_index": 1, "item": call | {"arguments": ""}},
        {"type": "response.function_call_arguments.delta", "output_index": 1, "item_id": "fc1", "delta": '{"a"'},
        {"type": "response.function_call_arguments.delta", "output_index": 1, "item_id": "fc1", "delta": ":1}"},
        {"type": "response.output_item.done", "output_index": 1, "item": call},
    ]
    kept = [event for event in told if event["type"] != "response.output_item.done"]
    early = [told[1], told[0], *told[2:]]
    changing = [event | {"item_id": f"x{n}"} if "item_id" in event else event for n, event in enumerate(told)]
    spoken: list[list[Data]] = [
        [without(event, "output_index") for event in told], [without(event, "output_index") for event in kept],
        [without(event, "output_index", "item_id") for event in kept], [event | {"output_index": 0} for event in told],
        [event | {"output_index": 0} for event in kept], early, changing,
    ]  # fmt: skip
    async with asking(bench) as ask:
        for events in spoken:
            found = await ask(asked("openai-responses", streamed([created, *events, end])))
            assert (text(found), shown(found), calls(found)) == ("Hi.", "Hi.", [("t1", "f", '{"a":1}')])


def without(event: Data, *names: str) -> Data:
    """The event without these members."""
    return {name: value for name, value in event.items() if name not in names}


@host_check("PRV.44", needs=("providers",))
async def an_error_in_a_field_of_its_own_fails_the_stream(bench: HostBench) -> None:
    """A line that begins with error: holds the error, also where the end of a stream is tolerated; its code decides."""
    async with asking(bench) as ask:
        for dialect, words in WORDS.items():
            for code, again in ((503, True), (400, False)):
                half = sse([*words.opening, filled(words.text, "Half")])
                body = half + b"error: " + json.dumps({"code": code, "message": "made up"}).encode() + b"\n\ndata: [DONE]\n\n"
                found = await ask(asked(dialect, reply(body, 200, STREAM), termination="eof_tolerated"))
                assert failure(found) == ("stream", None, None, again)


@host_check("PRV.5", needs=("providers",))
async def an_empty_fragment_behind_the_end_says_nothing(bench: HostBench) -> None:
    """A fragment without a name and without arguments behind the finish reason of a Chat stream."""
    events = [*CHAT.opening, chunk({"tool_calls": [fragment(0, "t1", "f", "{}")]}), chunk({}, "tool_calls")]
    events.append(chunk({"tool_calls": [fragment(0, None, None, "")]}))
    async with asking(bench) as ask:
        assert calls(await ask(asked("openai-chat", streamed(events)))) == [("t1", "f", "{}")]


@host_check("PRV.77", needs=("providers",))
async def a_stream_may_be_one_whole_reply(bench: HostBench) -> None:
    """The reply stands in the only event: text, deltas, usage and calls are the reply's."""
    async with asking(bench) as ask:
        for dialect, words in WORDS.items():
            for end in (b"", b"data: [DONE]\n\n"):
                found = await ask(asked(dialect, reply(sse([words.whole]) + end, 200, STREAM)))
                assert (text(found), shown(found), found["response"]["terminal_reason"]) == ("Hi.", "Hi.", "stop")
                usage = found["response"]["usage"]
                assert (usage["input_tokens"], usage["output_tokens"]) == (60, 35)
        both = [fragment(None, "t1", "f", '{"a":1}'), fragment(None, "t1", "f", '{"a":2}')]
        message = {"role": "assistant", "content": None, "tool_calls": both}
        whole: Data = {"id": "c1", "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
        assert [call[2] for call in calls(await ask(asked("openai-chat", streamed([whole]))))] == ['{"a":1}', '{"a":2}']


@host_check("PRV.50", needs=("providers",))
async def reasoning_counted_beside_a_completion_is_output(bench: HostBench) -> None:
    """Where the total shows that reasoning is no part of the completion it is added; where it is a part it is not."""
    details = {"reasoning_tokens": 15}
    counted: list[Data] = [
        {"prompt_tokens": 60, "completion_tokens": 20, "total_tokens": 95, "completion_tokens_details": details},
        {"prompt_tokens": 60, "completion_tokens": 35, "total_tokens": 95, "completion_tokens_details": details},
        {"prompt_tokens": 60, "completion_tokens": 35, "completion_tokens_details": details},
    ]
    async with asking(bench) as ask:
        for usage in counted:
            events: list[Data] = [chunk({"content": "Hi."}), chunk({}, "stop"), {"choices": [], "usage": usage}]
            found = (await ask(asked("openai-chat", streamed(events))))["response"]["usage"]
            assert (found["input_tokens"], found["output_tokens"], found["reasoning_output_tokens"]) == (60, 35, 15)
        unsaid: Data = {"prompt_tokens": 60, "completion_tokens": 20, "total_tokens": 95}
        events = [chunk({"content": "Hi."}), chunk({}, "stop", usage=unsaid)]
        assert (await ask(asked("openai-chat", streamed(events))))["response"]["usage"]["output_tokens"] == 35


@host_check("PRV.23", needs=("providers",))
async def the_limit_has_many_words(bench: HostBench) -> None:
    """What other services' servers call it on a Chat route; an incomplete Response without its status."""
    incomplete = RESPONSES.limited[0]
    bare = incomplete | {"response": {"id": "r1", "incomplete_details": {"reason": "max_tokens"}}}
    async with asking(bench) as ask:
        for word in ("length", "max_tokens", "MAX_TOKENS"):
            found = await ask(asked("openai-chat", streamed([chunk({"content": "Hi"}), chunk({}, word)])))
            assert (text(found), found["response"]["terminal_reason"]) == ("Hi", "output_limit")
        found = await ask(asked("openai-responses", streamed([*RESPONSES.said("Hi")[:-1], bare])))
        assert (text(found), found["response"]["terminal_reason"]) == ("Hi", "output_limit")


@host_check("PRV.25", needs=("providers",))
async def a_refusal_has_many_words_and_keeps_its_own(bench: HostBench) -> None:
    """Stop words of other services; a refusal told at its end alone; the reason that Gemini gives for a blocked prompt."""
    done = {"type": "response.refusal.done", "output_index": 0, "refusal": "Not that."}
    blocked = {"promptFeedback": {"blockReason": "OTHER", "blockReasonMessage": "Not that."}}
    events: dict[str, list[Data]] = {
        "openai-responses": [*RESPONSES.opening, done, *RESPONSES.ending],
        "openai-chat": [chunk({"refusal": "Not "}), chunk({"refusal": "that."}, "stop")],
        "gemini": [*GEMINI.opening, blocked],
    }
    async with asking(bench) as ask:
        for dialect, said in events.items():
            found = (await ask(asked(dialect, streamed(said), attempts=2)))["response"]
            assert (found["terminal_reason"], found["terminal_diagnostic"]) == ("content_filter", "Not that.")
        for word in ("content_filter", "SAFETY", "sensitive"):
            found = await ask(asked("openai-chat", streamed([chunk({"content": "Hi"}), chunk({}, word)])))
            assert (text(found), found["response"]["terminal_reason"]) == ("Hi", "content_filter")


@host_check("PRV.14", needs=("providers",))
async def a_signature_that_comes_again_is_kept_once(bench: HostBench) -> None:
    """It stands in the block's start and in a delta, and the delta comes twice; one in pieces is joined."""

    def signed(start: str, *deltas: str) -> list[Data]:
        block = {"type": "thinking", "thinking": "Weigh.", "signature": start}
        grown = [{"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": one}} for one in deltas]
        return [ANTHROPIC.opening[0], {"type": "content_block_start", "index": 0, "content_block": block}, *grown, *ANTHROPIC.ending]

    async with asking(bench) as ask:
        for events in (signed("", SEALED), signed(SEALED, SEALED), signed("", SEALED, SEALED), signed("", SEALED[:9], SEALED[9:])):
            found = await ask(asked("anthropic-messages", streamed(events)))
            text(found)
            assert [part["replay"] for part in found["response"]["parts"]] == [{"signature": SEALED}]


@host_check("PRV.35", needs=("providers",))
async def an_error_member_that_tells_of_none_is_none(bench: HostBench) -> None:
    """Null, false and empty in every event and in a document."""
    async with asking(bench) as ask:
        for dialect, words in WORDS.items():
            for none in (None, False, ""):
                events = [event | {"error": none} for event in words.said("H", "i.")]
                assert text(await ask(asked(dialect, streamed(events)))) == "Hi."
                whole = json.dumps(words.whole | {"error": none}).encode()
                assert text(await ask(asked(dialect, reply(whole, 200, JSON)))) == "Hi."


@host_check("PRV.69", needs=("providers",))
async def a_provider_says_whether_to_ask_again(bench: HostBench) -> None:
    """False stops where a status would repeat, true repeats where it would not, but not what no repeat can help."""
    spent = json.dumps({"error": {"message": "made up", "code": "insufficient_quota", "type": "insufficient_quota"}}).encode()
    full = json.dumps({"error": {"message": "prompt is too long", "type": "invalid_request_error"}}).encode()
    async with asking(bench) as ask:
        for dialect, words in WORDS.items():
            good = streamed(words.said("Hi."))
            for status in (429, 500, 529):
                never = await ask(asked(dialect, reply(b"{}", status, ("x-should-retry", "false")), attempts=2))
                assert (failure(never)[2:], len(never["attempts"])) == ((status, False), 1)
            for status in (400, 404, 422):
                again = await ask(asked(dialect, reply(b"{}", status, ("x-should-retry", "true")), good, attempts=2))
                assert (text(again), len(again["attempts"])) == ("Hi.", 2)
            assert failure(await ask(asked(dialect, reply(b"{}", 400, ("x-should-retry", "maybe")), attempts=2)))[3] is False
        for body, status in ((spent, 429), (full, 400)):
            helpless = await ask(asked("openai-chat", reply(body, status, ("x-should-retry", "true")), attempts=2))
            assert (failure(helpless)[3], len(helpless["attempts"])) == (False, 1)
