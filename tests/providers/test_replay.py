"""The replayer is strict: order, matching, extras, chunking, gates and its control interface."""

import asyncio
import hashlib
import threading
from collections.abc import Iterator

import httpx
import pytest

from lash_conformance.fixture import fixtures
from lash_conformance.replay import Chunking
from lash_conformance.replay_server import ReplayServer

ASK = {"model": "m", "stream": True, "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
HEADERS = {"x-api-key": "fixture"}


@pytest.fixture
def server() -> Iterator[ReplayServer]:
    """A replayer of its own."""
    made = ReplayServer(hang_s=5).start()
    yield made
    made.stop()


def test_it_sends_the_bytes_that_the_fixture_pins(server: ReplayServer):
    """Whatever the chunking, the body's hash is the pinned one."""
    made = fixtures()["anthropic-messages.stream.text"]
    for chunking in ("frame", "byte", "whole", "seed:7"):
        url, replay = server.begin(made, chunking)
        body = httpx.post(f"{url}/v1/messages", json=ASK, headers=HEADERS).content

        assert hashlib.sha256(body).hexdigest() == made.exchanges[0].response.wire_sha256
        assert replay.faults == []


@pytest.mark.parametrize(
    ("path", "body", "headers", "fault"),
    [
        ("/v1/other", ASK, HEADERS, "path /v1/messages expected, found /v1/other"),
        ("/v1/messages", ASK | {"stream": False}, HEADERS, "body /stream: true expected, found false"),
        ("/v1/messages", ASK, {}, r"one of the headers .* expected"),
    ],
)
def test_a_request_that_differs_is_refused_and_kept(server: ReplayServer, path: str, body: object, headers: dict[str, str], fault: str):
    """422, the difference in words, and a run that is not clean; the exchange stays unused."""
    import re

    url, replay = server.begin(fixtures()["anthropic-messages.stream.text"])
    reply = httpx.post(url + path, json=body, headers=headers)

    assert reply.status_code == 422
    assert reply.headers["x-lash-replay"] == "mismatch"
    assert re.search(fault, reply.json()["error"]["message"])
    assert len(replay.faults) == 2
    assert replay.unused == 1


def test_a_request_too_many_is_refused(server: ReplayServer):
    """Exchanges are not repeated."""
    url, replay = server.begin(fixtures()["anthropic-messages.stream.text"])
    for _ in range(2):
        reply = httpx.post(f"{url}/v1/messages", json=ASK, headers=HEADERS)

    assert reply.status_code == 422
    assert replay.faults == ["no request expected after 1, found POST /v1/messages"]


def test_runs_are_begun_read_and_told_over_http(server: ReplayServer):
    """The control interface, as another language uses it."""
    begun = httpx.post(
        f"{server.url}/_replay/runs", json={"fixture": "anthropic-messages.stream.text", "chunking": "byte"}
    ).json()
    before = httpx.get(f"{server.url}/_replay/runs/{begun['run']}").json()
    httpx.post(f"{begun['base_url']}/v1/messages", json=ASK, headers=HEADERS)
    after = httpx.get(f"{server.url}/_replay/runs/{begun['run']}").json()

    assert (before["clean"], before["unused"]) == (False, 1)
    assert (after["clean"], after["unused"], after["requests"][0]["body"]) == (True, 0, ASK)
    assert "anthropic-messages.stream.text" in httpx.get(f"{server.url}/_replay/fixtures").json()["fixtures"]


@pytest.mark.parametrize(
    ("asked", "status"),
    [({"fixture": "nothing"}, 404), ({"fixture": "gemini.stream.thoughts", "chunking": "odd"}, 400), ([], 400)],
)
def test_bad_control_requests_are_refused(server: ReplayServer, asked: object, status: int):
    """By status, with words."""
    reply = httpx.post(f"{server.url}/_replay/runs", json=asked)

    assert reply.status_code == status
    assert reply.json()["error"]


def test_a_run_begins_by_its_url_alone(server: ReplayServer):
    """A client that can only set a base URL needs nothing else."""
    url = f"{server.url}/r/mine/anthropic-messages.stream.text/v1/messages"

    assert httpx.post(url, json=ASK, headers=HEADERS).status_code == 200
    assert server.runs["mine"].faults == []
    assert httpx.post(url.replace("stream.text", "stream.none"), json=ASK).status_code == 404


def test_a_gate_holds_what_is_behind_it(server: ReplayServer):
    """Frames behind a gate come after it was opened, and not before."""
    made = fixtures()["anthropic-messages.stream.text"]
    exchange = made.exchanges[0]
    frames = [*exchange.response.frames[:4], exchange.response.frames[0].__class__(gate="g"), *exchange.response.frames[4:]]
    response = exchange.response.model_copy(update={"frames": frames})
    gated = made.model_copy(update={"exchanges": [exchange.model_copy(update={"response": response})]})
    url, replay = server.begin(gated, run="gated")
    seen: list[bytes] = []
    reached = threading.Event()

    def read() -> None:
        with httpx.stream("POST", f"{url}/v1/messages", json=ASK, headers=HEADERS) as reply:
            for chunk in reply.iter_raw():
                seen.append(chunk)
                if b"Hel" in chunk:
                    reached.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert reached.wait(20)
    assert b"message_stop" not in b"".join(seen)
    httpx.post(f"{server.url}/_replay/runs/gated/gates/g")
    reader.join(20)

    assert b"message_stop" in b"".join(seen)
    assert replay.faults == []


def test_chunking_is_named():
    """Anything else is refused."""
    with pytest.raises(ValueError, match="frame, byte, whole or seed:N; found 'some'"):
        Chunking("some")


async def _many(url: str) -> list[int]:
    async with httpx.AsyncClient() as client:
        return [reply.status_code for reply in await asyncio.gather(*(client.get(f"{url}/_replay/fixtures") for _ in range(20)))]


def test_it_serves_many_at_once(server: ReplayServer):
    """Threads, not turns."""
    assert asyncio.run(_many(server.url)) == [200] * 20
