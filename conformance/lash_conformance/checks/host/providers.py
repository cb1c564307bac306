"""Providers: every fixture is a check of the clauses it covers, and a stream is cut in many ways.

A fixture runs over loopback, and also in process where the target speaks httpx; both must come to the same.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from lash_conformance.check import host_check
from lash_conformance.expectation import compare
from lash_conformance.fixture import DIALECTS, Fixture, fixtures
from lash_conformance.host_bench import HostBench
from lash_conformance.provider_calls import SpeaksProviders
from lash_conformance.replay_server import ReplayServer
from lash_conformance.replay_transport import served
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
    """What must not depend on how the bytes came: events, answer, error and waits, but for their prose."""
    return [
        {
            "events": [_mute(event, "reason") for event in call["events"]],
            "response": call["response"],
            "error": _mute(call["error"] or {}, "message", "diagnostic"),
            "waits_ms": call["waits_ms"],
        }
        for call in found
    ]


def _mute(data: Data, *words: str) -> Data:
    return {key: value for key, value in data.items() if key not in words}


def _judge(fixture: Fixture) -> None:
    async def judged(bench: HostBench) -> None:
        found = await over_loopback(bench, fixture)
        compare(fixture, found)
        if getattr(bench.target, "speaks_httpx", False):
            again = await in_process(bench, fixture)
            compare(fixture, again)
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
