"""Providers: recorded streams damaged at random; half an answer is never taken for a whole one, and nothing falls over."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any, cast, get_args

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from lash_conformance.check import host_check
from lash_conformance.checks.host.provider_replies import Ask, asking, streamed
from lash_conformance.fixture import DIALECTS, Fixture, Frame, fixtures
from lash_conformance.host_bench import HostBench
from lash_conformance.provider_words import WORDS, asked, reply
from lash_conformance.search import SEARCH
from lash_conformance.vocabulary import Unexpected
from lash_ref.provider import ProviderFailureKind

Data = dict[str, Any]
KINDS = set(get_args(ProviderFailureKind))
ODD: tuple[Any, ...] = (None, True, 0, -1, 1.5, 2**63, 10**40, 1e300, "", "odd", "\u0000", [], {}, [None], [{}], {"odd": None}, "9" * 40)
"""What a member of an event may be turned into."""


KINDS_OF_MEMBER: tuple[Any, ...] = ({"odd": None}, [{}], 7, True)
"""One member of each kind that is not a text."""

GATEWAYS: dict[str, list[Data]] = {
    "anthropic-messages": [
        {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}, "caller": {"type": "direct"}}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1, "cache_creation": {"ephemeral_5m_input_tokens": 1}}},
    ],
    "openai-chat": [
        {"choices": [{"index": 0, "delta": {"content": [
            {"type": "text", "text": "Hi."}, {"type": "thinking", "thinking": [{"type": "text", "text": "W"}]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "W"}]},
        ]}}]},
        {"choices": [{"index": 0, "delta": {"reasoning": {"text": "W"}, "reasoning_details": [{"type": "reasoning.encrypted", "id": "t", "data": "x", "index": 0}]}}]},
        {"choices": [{"index": 0, "delta": {}, "error": {"code": 500, "message": "m", "metadata": {"raw": "x"}}}], "x_groq": {"usage": {"total_tokens": 1}}},
    ],
    "openai-responses": [
        {"type": "response.output_item.done", "output_index": 0, "item": {"type": "message", "id": "m", "phase": "final", "content": ["H", {"type": "output_text", "text": "i."}]}},
        {"type": "response.output_item.done", "output_index": 1, "item": {"type": "reasoning", "id": "r", "summary": ["W"], "content": [{"type": "reasoning_text", "text": "W"}]}},
        {"type": "response.incomplete", "response": {"incomplete_details": {"reason": "max_tokens"}, "error": {"code": "x"}}},
    ],
    "gemini": [
        {"response": {"candidates": [{"content": {"parts": [{"executableCode": {"language": "PYTHON", "code": "1"}}, {"functionCall": {"id": "c", "name": "f", "args": {}}}]}}]}},
        {"promptFeedback": {"blockReason": "OTHER"}, "usageMetadata": {"promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1}]}},
    ],
}  # fmt: skip
"""Events in the shapes of gateways, whose members no recorded stream has."""


def streams(dialect: str) -> list[Fixture]:
    """The recorded streams of a dialect that are whole answers to one request."""
    return [
        made
        for made in fixtures().values()
        if made.dialect == dialect and ".stream." in made.id and made.sdk == "accepts" and len(made.exchanges) == 1
    ]


async def searched(bench: HostBench, make: Any, judge: Any) -> None:
    """Draw replies and judge what the host makes of them."""
    loop = asyncio.get_running_loop()
    async with asking(bench) as ask:

        @seed(SEARCH.seed)
        @settings(
            max_examples=SEARCH.scale.examples, deadline=None, database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
            phases=(Phase.explicit, Phase.generate),
        )  # fmt: skip
        @given(st.data())
        def search(draw: st.DataObject) -> None:
            made = make(draw)
            judge(made, asyncio.run_coroutine_threadsafe(_answered(ask, made), loop).result())

        await asyncio.to_thread(search)


async def _answered(ask: Ask, made: Fixture) -> Data:
    return await ask(made)


@host_check("PRV.1", "PRV.6", "PRV.20", "PRV.21", "PRV.29", "PRV.45", needs=("providers",), kind="machine")
async def no_damaged_stream_becomes_a_success_without_evidence(bench: HostBench) -> None:
    """Frames dropped, doubled, swapped or cut at random: no answer without terminal evidence, no call from a failure."""

    def make(draw: st.DataObject) -> Fixture:
        made = draw.draw(st.sampled_from([made for dialect in DIALECTS for made in streams(dialect)]))
        frames = [frame for frame in made.exchanges[0].response.frames if frame.end is None]
        response = made.exchanges[0].response.model_copy(update={"frames": _damaged(made.dialect, frames, draw)})
        host = made.host.model_copy(update={"retry": {"max_attempts": 1}})
        exchange = made.exchanges[0].model_copy(update={"response": response})
        return made.model_copy(update={"exchanges": [exchange], "host": host})

    def judge(made: Fixture, found: Data) -> None:
        _typed(found)
        frames = made.exchanges[0].response.frames
        if any(is_terminal(made.dialect, frame) for frame in frames) or found["response"] is None:
            return
        tolerated = made.dialect == "gemini" or made.host.options.get("termination") == "eof_tolerated"
        if not tolerated:
            raise Unexpected("no answer without terminal evidence", f"{found['response']}")
        calls = [part for part in found["response"]["parts"] if part["type"] == "tool_call"]
        assert (found["response"]["terminal_reason"], calls) == ("unknown", [])

    await searched(bench, make, judge)


@host_check("PRV.49", needs=("providers",), kind="machine")
async def whatever_a_provider_sends_the_attempt_ends(bench: HostBench) -> None:
    """Members turned into others, bytes put in or cut off, any status: an answer or a failure of a known kind."""

    def make(draw: st.DataObject) -> Fixture:
        made = draw.draw(st.sampled_from([made for dialect in DIALECTS for made in streams(dialect)]))
        frames = [frame for frame in made.exchanges[0].response.frames if frame.end is None]
        place = draw.draw(st.integers(0, len(frames) - 1))
        body = b""
        for number, frame in enumerate(frames):
            body += (_turned(frame, draw) if number == place else frame).bytes("\n")
        if draw.draw(st.booleans()):
            body = body[: draw.draw(st.integers(0, len(body)))]
        if draw.draw(st.booleans()):
            at = draw.draw(st.integers(0, len(body)))
            body = body[:at] + draw.draw(st.binary(min_size=1, max_size=3)) + body[at:]
        status = draw.draw(st.sampled_from([200, 200, 200, 201, 302, 400, 401, 429, 500, 529]))
        headers = made.exchanges[0].response.headers
        return asked(made.dialect, reply(body, status, *headers))

    def judge(_: Fixture, found: Data) -> None:
        _typed(found)

    await searched(bench, make, judge)


@host_check("PRV.49", needs=("providers",))
async def whatever_a_gateway_s_member_is_the_attempt_ends(bench: HostBench) -> None:
    """Each member of the events of gateways turned into an object, a list, a number and a truth: an answer or a failure of a known kind."""
    async with asking(bench) as ask:
        for dialect, events in GATEWAYS.items():
            for event in events:
                for path in _paths(event):
                    for odd in KINDS_OF_MEMBER:
                        body = [*WORDS[dialect].opening, _replaced(event, path, odd), *WORDS[dialect].ending]
                        _typed(await ask(asked(dialect, streamed(body))))


def _typed(found: Data) -> None:
    if found["response"] is None and (found["error"] is None or found["error"]["kind"] not in KINDS):
        raise Unexpected("an answer, or a failure of a known kind", f"{found['error']}")


def _turned(frame: Frame, draw: st.DataObject) -> Frame:
    """The frame with one member of its data turned into another."""
    if not isinstance(frame.data, dict | list):
        return frame
    path = draw.draw(st.sampled_from(list(_paths(frame.data))))
    return frame.model_copy(update={"data": _replaced(frame.data, path, draw.draw(st.sampled_from(ODD)))})


def _replaced(document: Any, path: tuple[Any, ...], odd: Any) -> Any:
    """A copy of the document whose member at the path is another."""
    made = owner = json.loads(json.dumps(document))
    for step in path[:-1]:
        owner = owner[step]
    owner[path[-1]] = odd
    return made


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    members: Any = ()
    if isinstance(value, dict):
        members = cast("Data", value).items()
    elif isinstance(value, list):
        members = enumerate(cast("list[Any]", value))
    for key, member in members:
        yield (*path, key)
        yield from _paths(member, (*path, key))


def _damaged(dialect: str, frames: list[Frame], draw: st.DataObject) -> list[Frame]:
    kept = list(frames)
    for _ in range(draw.draw(st.integers(min_value=1, max_value=3))):
        place = draw.draw(st.integers(min_value=0, max_value=len(kept) - 1))
        match draw.draw(st.sampled_from(["drop", "double", "swap", "stop", "stranger", "endless"])):
            case "drop" if len(kept) > 1:
                del kept[place]
            case "endless":
                kept = [frame for frame in kept if not is_terminal(dialect, frame)] or kept[:1]
            case "double":
                kept.insert(place, kept[place])
            case "swap":
                other = draw.draw(st.integers(min_value=0, max_value=len(kept) - 1))
                kept[place], kept[other] = kept[other], kept[place]
            case "stop":
                kept = kept[: place + 1]
            case _:
                kept.insert(place, Frame(event="future", data={"type": "future", "x": 1}))
    return kept


def is_terminal(dialect: str, frame: Frame) -> bool:
    """Whether the frame may end a stream of the dialect, by the table of the chapter and nothing of the target."""
    data = cast("Data", frame.data) if isinstance(frame.data, dict) else Data()
    match dialect:
        case "anthropic-messages":
            return data.get("type") == "message_stop"
        case "openai-chat":
            return any(choice.get("finish_reason") for choice in data.get("choices", []))
        case "gemini":
            candidates = data.get("candidates", [])
            return bool(data.get("promptFeedback")) or any(one.get("finishReason") for one in candidates)
        case _:
            return data.get("type") in {"response.completed", "response.incomplete", "response.failed", "response.done"}
