"""Every fixture is of the format, is realistic, and comes to the same over loopback, in process and however it is cut."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from lash_conformance.expectation import compare
from lash_conformance.fixture import Fixture, FixtureFault, fixtures, read
from lash_conformance.provider_calls import ReferenceProviders
from lash_conformance.replay_server import ReplayServer
from lash_conformance.replay_transport import served
from lash_conformance.sdk_types import unrealistic

HOST = ReferenceProviders()


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    """One replayer for all."""
    made = ReplayServer().start()
    yield made
    made.stop()


@pytest.mark.parametrize("name", list(fixtures()))
def test_a_fixture_comes_to_what_it_says_in_every_lane(name: str, server: ReplayServer):
    """In process and over loopback, by frame and by byte: the expected result, and equal results."""
    made = fixtures()[name]
    with served(made) as (url, replay):
        in_process = asyncio.run(HOST.provider_calls(made, url))
    assert replay.faults == []
    compare(made, in_process)

    for chunking in ("frame", "byte"):
        url, replay = server.begin(made, chunking)
        over_loopback = asyncio.run(HOST.provider_calls(made, url))
        assert replay.faults == []
        compare(made, over_loopback)
        if not name.endswith((".reset", ".refused")):
            assert [call["response"] for call in over_loopback] == [call["response"] for call in in_process]
            assert [call["events"] for call in over_loopback] == [call["events"] for call in in_process]


@pytest.mark.parametrize("name", list(fixtures()))
def test_frames_are_what_the_official_sdks_type(name: str):
    """Successful frames validate against the installed SDK, and official ones hold nothing it does not know."""
    assert unrealistic(fixtures()[name]) == []


def test_the_sdks_types_refuse_a_frame_nobody_sends():
    """The gate can fail: a delta without its index, a reason that does not exist, a member from nowhere."""
    made = fixtures()["anthropic-messages.stream.text"]
    exchange = made.exchanges[0]
    broken = [
        exchange.response.frames[3].model_copy(update={"data": {"type": "content_block_delta", "delta": {}}}),
        exchange.response.frames[6].model_copy(
            update={"data": {"type": "message_delta", "delta": {"stop_reason": "tired"}, "usage": {"output_tokens": 1}}}
        ),
        exchange.response.frames[8].model_copy(update={"data": {"type": "message_stop", "speed": 3}}),
    ]

    for frame in broken:
        response = exchange.response.model_copy(update={"frames": [frame]})
        fake = made.model_copy(update={"exchanges": [exchange.model_copy(update={"response": response})]})
        assert len(unrealistic(fake)) == 1


def test_a_changed_byte_is_found(tmp_path: Path):
    """The pinned hash tells which exchange is not what was reviewed."""
    text = (fixtures()["gemini.stream.thoughts"].model_dump_json(by_alias=True)).replace("Weigh", "Weighs", 1)
    path = tmp_path / "thoughts.json"
    path.write_text(text)

    with pytest.raises(FixtureFault, match="exchange 0 pins"):
        read(path)


def test_expectations_can_fail():
    """A missing event, another part and a forgotten attempt are each found."""
    made: Fixture = fixtures()["openai-chat.error.503-retry-after"]
    with served(made) as (url, _):
        found = asyncio.run(HOST.provider_calls(made, url))

    for key, lie in (("events", found[0]["events"][:-1]), ("response", None), ("attempts", []), ("waits_ms", [1])):
        with pytest.raises(AssertionError):
            compare(made, [found[0] | {key: lie}])
