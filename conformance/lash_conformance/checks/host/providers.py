"""Providers: every fixture is a check of the clauses it covers, and streams are cut and mutated at random.

A fixture runs over loopback, and also in process where the target speaks httpx; both must come to the same.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from lash_conformance.check import host_check
from lash_conformance.expectation import compare
from lash_conformance.fixture import DIALECTS, Fixture, Frame, fixtures
from lash_conformance.host_bench import HostBench
from lash_conformance.provider_calls import SpeaksProviders
from lash_conformance.replay_server import ReplayServer
from lash_conformance.replay_transport import served
from lash_conformance.search import SEARCH
from lash_conformance.vocabulary import Unexpected

Data = dict[str, Any]
HANG_S = 30.0


async def over_loopback(bench: HostBench, fixture: Fixture, chunking: str = "frame") -> list[Data]:
    """What the host makes of the fixture when it is served on a socket; its requests must be the expected ones."""
    server = ReplayServer(hang_s=HANG_S).start()
    try:
        url, replay = server.begin(fixture, chunking)
        found = await cast("SpeaksProviders", bench.target).provider_calls(fixture, url)
    finally:
        await asyncio.to_thread(server.stop)
    if replay.faults:
        raise Unexpected("the requests that the fixture answers", "; ".join(replay.faults))
    return found


async def in_process(bench: HostBench, fixture: Fixture) -> list[Data]:
    """The same without a socket, for a host that speaks httpx."""
    with served(fixture) as (url, replay):
        found = await cast("SpeaksProviders", bench.target).provider_calls(fixture, url)
    if replay.faults:
        raise Unexpected("the requests that the fixture answers", "; ".join(replay.faults))
    return found


def told(found: Sequence[Data]) -> list[Data]:
    """What must not depend on how the bytes came: events, answer and error."""
    return [{key: call.get(key) for key in ("events", "response", "error", "waits_ms")} for call in found]


def _judge(fixture: Fixture) -> None:
    async def judged(bench: HostBench) -> None:
        found = await over_loopback(bench, fixture)
        compare(fixture, found)
        if getattr(bench.target, "speaks_httpx", False):
            again = await in_process(bench, fixture)
            compare(fixture, again)
            if not fixture.id.endswith((".reset", ".refused", ".hang", ".start-timeout", ".cut")):
                assert told(again) == told(found)

    judged.__name__ = fixture.id.replace(".", "_").replace("-", "_")
    judged.__doc__ = fixture.proves
    host_check(*fixture.covers, needs=("providers",))(judged)


for made in fixtures().values():
    _judge(made)


def _streams(dialect: str) -> list[Fixture]:
    return [
        made
        for made in fixtures().values()
        if made.dialect == dialect and ".stream." in made.id and made.sdk == "accepts"
    ]


@host_check("PRV.1", needs=("providers",))
async def an_answer_does_not_depend_on_how_its_bytes_were_cut(bench: HostBench) -> None:
    """A stream of each dialect reads the same by frame, by byte, whole, at random cuts, and with CRLF."""
    for dialect in DIALECTS:
        made = _streams(dialect)[0]
        plain = told(await over_loopback(bench, made))
        for chunking in ("byte", "whole", "seed:1", "seed:2"):
            assert told(await over_loopback(bench, made, chunking)) == plain
        assert told(await over_loopback(bench, _with_crlf(made), "seed:3")) == plain


def _with_crlf(made: Fixture) -> Fixture:
    exchanges = [
        exchange.model_copy(update={"response": exchange.response.model_copy(update={"newline": "crlf"})})
        for exchange in made.exchanges
    ]
    return made.model_copy(update={"exchanges": exchanges})


@host_check("PRV.1", "PRV.6", "PRV.20", "PRV.21", "PRV.45", needs=("providers",), kind="machine")
async def no_damaged_stream_becomes_a_success_without_evidence(bench: HostBench) -> None:
    """Frames dropped, doubled, swapped or cut at random: no answer without terminal evidence, no call from a failure."""
    streams = [made for dialect in DIALECTS[:3] for made in _streams(dialect) if len(made.exchanges) == 1]

    @seed(SEARCH.seed)
    @settings(
        max_examples=SEARCH.scale.examples, deadline=None, database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much], phases=(Phase.explicit, Phase.generate),
    )  # fmt: skip
    @given(st.sampled_from(streams), st.data())
    def searched(made: Fixture, draw: st.DataObject) -> None:
        frames = [frame for frame in made.exchanges[0].response.frames if frame.end is None]
        kept = _damaged(made.dialect, frames, draw)
        response = made.exchanges[0].response.model_copy(update={"frames": kept})
        broken = made.model_copy(
            update={
                "exchanges": [made.exchanges[0].model_copy(update={"response": response})],
                "host": made.host.model_copy(update={"retry": {"max_attempts": 1}}),
            }
        )
        (found,) = asyncio.run(over_loopback(bench, broken, draw.draw(st.sampled_from(["frame", "whole", "seed:5"]))))
        if not any(_is_terminal(made.dialect, frame) for frame in kept):
            assert found["response"] is None
        if found["response"] is None:
            assert found["error"] is not None

    await asyncio.to_thread(searched)


def _damaged(dialect: str, frames: list[Frame], draw: st.DataObject) -> list[Frame]:
    kept = list(frames)
    for _ in range(draw.draw(st.integers(min_value=1, max_value=3))):
        place = draw.draw(st.integers(min_value=0, max_value=len(kept) - 1))
        match draw.draw(st.sampled_from(["drop", "double", "swap", "stop", "stranger", "endless"])):
            case "drop" if len(kept) > 1:
                del kept[place]
            case "endless":
                kept = [frame for frame in kept if not _is_terminal(dialect, frame)] or kept[:1]
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


def _is_terminal(dialect: str, frame: Frame) -> bool:
    """Whether the frame may end a stream of the dialect, by the table of the chapter and nothing of the target."""
    data = cast("Data", frame.data) if isinstance(frame.data, dict) else Data()
    if dialect == "anthropic-messages":
        return data.get("type") == "message_stop"
    if dialect == "openai-chat":
        return any(choice.get("finish_reason") for choice in data.get("choices", []))
    return data.get("type") in {"response.completed", "response.incomplete", "response.failed", "response.done"}
