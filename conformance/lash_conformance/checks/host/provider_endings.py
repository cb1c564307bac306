"""Providers: answers that end oddly: for a reason nobody knows or none at all, more than once, or having said nothing."""

import json
from typing import Any

from lash_conformance.check import host_check
from lash_conformance.checks.host.provider_bytes import shown
from lash_conformance.checks.host.provider_gateways import calls, chunk, lost
from lash_conformance.checks.host.provider_replies import JSON, asking, failure, streamed, text
from lash_conformance.host_bench import HostBench
from lash_conformance.provider_words import ANTHROPIC, CHAT, GEMINI, RESPONSES, asked, filled, reply

Data = dict[str, Any]


@host_check("PRV.86", needs=("providers",))
async def a_stop_reason_that_nobody_knows_is_an_error(bench: HostBench) -> None:
    """A new word for an end in each dialect; the words that other services have for a plain stop are known."""
    incomplete = RESPONSES.limited[0]["response"] | {"incomplete_details": {"reason": "novel"}}
    novel: dict[str, list[Data]] = {
        "anthropic-messages": [{"type": "message_delta", "delta": {"stop_reason": "novel"}}, {"type": "message_stop"}],
        "openai-chat": [chunk({}, "novel")],
        "openai-responses": [{"type": "response.incomplete", "response": incomplete}],
        "gemini": [{"candidates": [{"finishReason": "NOVEL"}]}],
    }
    words = {"anthropic-messages": ANTHROPIC, "openai-chat": CHAT, "openai-responses": RESPONSES, "gemini": GEMINI}
    async with asking(bench) as ask:
        for dialect, end in novel.items():
            said = [*words[dialect].opening, filled(words[dialect].text, "Hi."), *end]
            found = await ask(asked(dialect, streamed(said)))
            assert (text(found), found["response"]["terminal_reason"]) == ("Hi.", "provider_error")
        paused = [*ANTHROPIC.said("Hi.")[:-2], {"type": "message_delta", "delta": {"stop_reason": "pause_turn"}}, ANTHROPIC.ending[-1]]
        long = [*ANTHROPIC.said("Hi.")[:-2], {"type": "message_delta", "delta": {"stop_reason": "length"}}, ANTHROPIC.ending[-1]]
        assert (await ask(asked("anthropic-messages", streamed(long))))["response"]["terminal_reason"] == "output_limit"
        ends = [("anthropic-messages", paused), *(("openai-chat", [chunk({"content": "Hi."}), chunk({}, word)]) for word in STOPS)]
        for dialect, said in ends:
            found = await ask(asked(dialect, streamed(said)))
            assert (text(found), found["response"]["terminal_reason"]) == ("Hi.", "stop")


STOPS = ("stop", "STOP", "COMPLETE", "eos_token", "end_turn", "endoftext")
"""Words of services that speak like Chat, each for an answer that is whole."""


@host_check("PRV.87", needs=("providers",))
async def a_document_without_a_stop_reason_is_whole(bench: HostBench) -> None:
    """Asked for no stream: text and a call, no word why they end; asked for a stream, Chat's wants its evidence."""
    function = {"name": "f", "arguments": '{"a":1}'}
    message = {"role": "assistant", "content": "Hi.", "tool_calls": [{"id": "t1", "function": function}]}
    documents: dict[str, Data] = {
        "anthropic-messages": ANTHROPIC.whole | {"stop_reason": None, "content": [
            {"type": "text", "text": "Hi."}, {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
        ]},
        "openai-chat": {"id": "c1", "choices": [{"index": 0, "message": message}]},
        "gemini": {"candidates": [{"content": {"parts": [{"text": "Hi."}, {"functionCall": {"id": "t1", "name": "f", "args": {"a": 1}}}]}}]},
    }  # fmt: skip
    async with asking(bench) as ask:
        for dialect, document in documents.items():
            body = json.dumps(document).encode()
            found = await ask(asked(dialect, reply(body, 200, JSON), streaming=False))
            assert (text(found), calls(found)) == ("Hi.", [("t1", "f", '{"a":1}')])
            assert found["response"]["terminal_reason"] == "tool_use"
        body = json.dumps(documents["openai-chat"]).encode()
        assert failure(await ask(asked("openai-chat", reply(body, 200, JSON))))[0] == "stream"


@host_check("PRV.92", needs=("providers",))
async def a_whole_message_at_the_end_repeats_nothing(bench: HostBench) -> None:
    """A Chat stream that ends with all of its message: said once, with what no delta told; another text changes nothing."""
    function = {"name": "f", "arguments": "{}"}
    call = {"id": "t1", "type": "function", "function": function}
    told = [chunk({"reasoning_content": "Weigh."}), chunk({"content": "H"}), chunk({"content": "i"})]

    def ending(content: str, **more: Any) -> Data:
        message = {"role": "assistant", "content": content, "reasoning_content": "Weigh."} | more
        return {"id": "c1", "object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}

    streams: list[tuple[list[Data], str, list[str]]] = [
        ([*told, ending("Hi")], "Hi", []), ([*told, ending("Hi.")], "Hi.", []), ([*told, ending("")], "Hi", []), ([*told, ending("Ho")], "Hi", []),
        ([*told, ending("Hi", tool_calls=[call])], "Hi", ["t1"]),
        ([*told, chunk({"tool_calls": [call | {"index": 0}]}), ending("Hi", tool_calls=[call])], "Hi", ["t1"]),
    ]  # fmt: skip
    async with asking(bench) as ask:
        for events, said, called in streams:
            found = await ask(asked("openai-chat", streamed(events)))
            assert (text(found), shown(found), [call_id for call_id, _, _ in calls(found)]) == (said, said, called)
            assert [part["text"] for part in found["response"]["parts"] if part["type"] == "reasoning"] == ["Weigh."]


@host_check("PRV.85", needs=("providers",))
async def an_answer_that_goes_on_is_not_whole_yet(bench: HostBench) -> None:
    """A stop word in every frame: cut between frames the attempt fails, at a clean end the answer is all of it."""
    frames: dict[str, list[Data]] = {
        "openai-chat": [chunk({"content": piece}, "stop") for piece in ("H", "i", ".")],
        "gemini": [{"candidates": [{"content": {"parts": [{"text": piece}]}, "finishReason": "STOP"}]} for piece in ("H", "i", ".")],
    }
    async with asking(bench) as ask:
        for dialect, said in frames.items():
            found = await ask(asked(dialect, streamed(said)))
            assert (text(found), found["response"]["terminal_reason"]) == ("Hi.", "stop")
            for end in ("cut", "reset"):
                assert failure(await ask(asked(dialect, lost(said[:2], end))))[0] == "stream"
        going = [chunk({"content": "H"}, "null"), chunk({"content": "i."}, "stop")]
        assert text(await ask(asked("openai-chat", lost(going, "cut")))) == "Hi."
        assert failure(await ask(asked("openai-chat", lost(going[:1], "cut"))))[0] == "stream"


@host_check("PRV.24", needs=("providers",))
async def a_response_that_says_nothing_is_asked_for_again(bench: HostBench) -> None:
    """A Response completed without an item; one with reasoning alone, one cut by its limit and one filtered are answers."""
    created, end = RESPONSES.opening[0], RESPONSES.ending[-1]
    thought = {"type": "response.output_item.done", "output_index": 0, "item": {"type": "reasoning", "id": "rs1", "encrypted_content": "x"}}
    async with asking(bench) as ask:
        found = await ask(asked("openai-responses", streamed([created, end]), streamed(RESPONSES.said("Hi.")), attempts=2))
        assert (text(found), len(found["attempts"])) == ("Hi.", 2)
        assert failure(await ask(asked("openai-responses", streamed([created, end])))) == ("stream", "empty_response", None, True)
        for events, reason in (([thought, end], "stop"), ([*RESPONSES.limited], "output_limit"), ([*RESPONSES.refused], "content_filter")):
            found = await ask(asked("openai-responses", streamed([created, *events])))
            assert (text(found), found["response"]["terminal_reason"]) == ("", reason)


@host_check("PRV.36", needs=("providers",))
async def an_answer_without_an_end_is_recorded_as_one(bench: HostBench) -> None:
    """A tolerated end with text and one with none are interrupted, a cancelled Response is aborted; none saw a terminal."""
    tolerated: Data = {"termination": "eof_tolerated"}
    cancelled = {"type": "response.completed", "response": {"id": "r1", "status": "cancelled"}}
    answers: list[tuple[Any, list[Data], Data, tuple[str, str]]] = [
        ("openai-chat", [*CHAT.said("Hi.")[:2]], tolerated, ("interrupted", "output_started")),
        ("openai-chat", [*CHAT.opening], tolerated, ("interrupted", "response_observed")),
        ("openai-responses", [*RESPONSES.said("Hi.")[:-1], cancelled], {}, ("aborted", "output_started")),
        ("openai-chat", CHAT.said("Hi."), {}, ("completed", "terminal_observed")),
    ]  # fmt: skip
    async with asking(bench) as ask:
        for dialect, events, options, recorded in answers:
            (attempt,) = (await ask(asked(dialect, streamed(events), **options)))["attempts"]
            assert (attempt["outcome"], attempt["protocol_position"]) == recorded


@host_check("PRV.36", "PRV.53", needs=("providers",))
async def of_a_header_that_is_repeated_the_first_counts(bench: HostBench) -> None:
    """The request's id, of an answer and of a failure, and a header that the host keeps."""
    twice = [("x-request-id", "first"), ("x-request-id", "later"), ("x-cost", "1"), ("x-cost", "2")]
    good = streamed(CHAT.said("Hi."))
    answer = good.model_copy(update={"headers": [*good.headers, *twice]})
    async with asking(bench) as ask:
        found = await ask(asked("openai-chat", answer, metadata=["header:X-Cost"]))
        assert text(found) == "Hi."
        assert found["response"]["execution_evidence"]["provider_request_id"] == "first"
        assert found["response"]["response_metadata"] == {"header:x-cost": "1"}
        (attempt,) = (await ask(asked("openai-chat", reply(b"{}", 500, *twice))))["attempts"]
        assert attempt["error"]["provider_request_id"] == "first"


@host_check("PRV.84", needs=("providers",))
async def an_item_that_comes_again_is_one(bench: HostBench) -> None:
    """Announced twice, finished twice, both, with index and without; finished otherwise the second time, it fails."""
    created, end = RESPONSES.opening[0], RESPONSES.ending[-1]
    said: Data = {"type": "message", "id": "m1", "content": [{"type": "output_text", "text": "Hi."}]}
    call: Data = {"type": "function_call", "id": "fc1", "call_id": "t1", "name": "f", "arguments": '{"a":1}'}

    def told(item: Data, index: int, **grown: Any) -> list[Data]:
        added = {"type": "response.output_item.added", "output_index": index, "item": item | grown}
        done = {"type": "response.output_item.done", "output_index": index, "item": item}
        return [added, added, done, added, done]

    nothing: list[Data] = []
    events = [*told(said, 0, content=nothing), *told(call, 1, arguments="")]
    unplaced = [{name: value for name, value in event.items() if name != "output_index"} for event in events]
    async with asking(bench) as ask:
        for one in (events, unplaced):
            found = await ask(asked("openai-responses", streamed([created, *one, end])))
            assert (text(found), shown(found), calls(found)) == ("Hi.", "Hi.", [("t1", "f", '{"a":1}')])
            assert [event["part"]["type"] for event in found["events"] if event["type"] == "part"] == ["tool_call"]
        other = [*events, events[-1] | {"item": call | {"arguments": '{"a":2}'}}]
        assert failure(await ask(asked("openai-responses", streamed([created, *other, end]))))[0] == "stream"


@host_check("PRV.64", "PRV.4", needs=("providers",))
async def text_that_no_delta_told_is_told_at_the_end(bench: HostBench) -> None:
    """Half of it in deltas, none, none of a second item: the deltas of a Responses stream join to the answer."""
    created, end = RESPONSES.opening[0], RESPONSES.ending[-1]
    said: Data = {"type": "message", "id": "m1", "content": [{"type": "output_text", "text": "Hi."}]}
    more: Data = {"type": "message", "id": "m2", "content": [{"type": "output_text", "text": " You."}]}
    delta: Data = {"type": "response.output_text.delta", "output_index": 0, "item_id": "m1", "delta": "H"}
    done: Data = {"type": "response.output_item.done", "output_index": 0, "item": said}
    full = end | {"response": end["response"] | {"output": [said, more]}}
    alone = end | {"response": {"id": "r1", "status": "completed", "output_text": "Hi. You."}}
    later = {"type": "response.output_item.done", "output_index": 1, "item": more}
    async with asking(bench) as ask:
        for events in ([delta, done, later, end], [done, full], [delta, full], [full], [delta, done, full], [alone]):
            found = await ask(asked("openai-responses", streamed([created, *events])))
            assert (text(found), shown(found)) == ("Hi. You.", "Hi. You.")
