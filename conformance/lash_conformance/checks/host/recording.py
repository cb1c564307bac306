"""Recorders: what they keep of an exchange, what they never do, and that nobody waits for them."""

import asyncio
import base64
import json

from lash_conformance.check import host_check
from lash_conformance.host_bench import HostBench
from lash_conformance.replay_words import (
    ASKED,
    BOUND_S,
    Say,
    captured,
    left,
    patiently,
    provider,
    recorded,
    recording,
    replayed,
    saying,
)

SECRET = "sk-judged-AAAAAAAAAAAAAAAAAAAA"
REPLY = 'event: x\ndata: {"z":1, "a":"é"}\n\n: beat\n\ndata: {"z":2,"a":"b"}\n\ndata: [DONE]\n\n'.encode()


@host_check("RPL.10", needs=("replay",))
async def only_listed_reply_headers_are_kept(bench: HostBench) -> None:
    """Type, retry hints, request ids and rate limits are kept; a cookie, a server's name and its own headers are not."""
    said = [
        "x-request-id: req_1", "request-id: req_2", "retry-after: 3", "retry-after-ms: 300",
        "x-ratelimit-remaining-tokens: 9", "anthropic-ratelimit-requests-limit: 8", "x-should-retry: true",
        "set-cookie: sid=abcdefgh", "server: secret-host", "x-internal-token: t", "via: 1.1 proxy", "x-api-version: 5",
    ]  # fmt: skip
    kept = captured(await recorded(bench, saying(b"data: 1\n\n"), said=said))
    wanted = {
        "content-type": "text/event-stream", "x-request-id": "req_1", "request-id": "req_2", "retry-after": "3",
        "retry-after-ms": "300", "x-ratelimit-remaining-tokens": "9", "anthropic-ratelimit-requests-limit": "8",
        "x-should-retry": "true",
    }  # fmt: skip

    assert {name: value for name, value in kept["response"]["headers"]} == wanted  # noqa: C416 - pairs of JSON


@host_check("RPL.11", needs=("replay",))
async def no_secret_reaches_the_disk(bench: HostBench) -> None:
    """The request's own key echoed, a marker in three spellings, key shapes, and a key split over chunks and over deltas."""
    marker = "mark er/judged"
    frames = [
        {"echo": "own-judged-key-1"}, {"a": marker}, {"b": "mark%20er%2Fjudged"},
        {"c": base64.b64encode(marker.encode()).decode()}, {"d": f"your key {SECRET} is wrong"},
        {"e": "AIzaJudgedAAAAAAAAAAAAAAAA"}, {"password": "hunter-judged"}, {"f": "judged@example.com"},
        {"delta": SECRET[:8]}, {"delta": SECRET[8:]}, {"cut": SECRET},
    ]  # fmt: skip
    text = "".join(f"data: {json.dumps(frame, separators=(',', ':'))}\n\n" for frame in frames).encode()
    middle = text.rindex(SECRET.encode()) + 6
    out = await recorded(
        bench, saying(text[:middle], text[middle:]), markers=[marker], headers={"authorization": "Bearer own-judged-key-1"}
    )
    kept = left(out)
    spellings = ["own-judged-key-1", marker, "mark%20er%2Fjudged", SECRET, SECRET[8:], "AIzaJudged", "hunter-judged"]
    spellings += [base64.b64encode(marker.encode()).decode(), "judged@example"]

    assert [secret for secret in spellings if secret in kept] == []
    assert len(captured(out)["response"]["frames"]) == len(frames) + 1


@host_check("RPL.13", needs=("replay",))
async def a_request_s_body_is_not_kept(bench: HostBench) -> None:
    """Nothing that the request said is in the capture."""
    body = ASKED | {"messages": [{"role": "user", "content": "private words"}], "metadata": {"judged": "odd member"}}
    kept = left(await recorded(bench, saying(b"data: 1\n\n"), json=body))

    assert [text for text in ("private words", "odd member", "judged") if text in kept] == []


@host_check("RPL.14", needs=("replay",))
async def a_reply_that_is_not_utf8_is_not_kept(bench: HostBench) -> None:
    """The client gets it, and the disk does not."""
    out = bench.directory / "captures"
    async with provider(saying(b"data: \xff\xfe\n\n")) as upstream, recording(bench, upstream, out) as (root, client):
        reply = await client.post(f"{root}/v1/x", json=ASKED)

    assert reply.content == b"data: \xff\xfe\n\n"
    assert list(out.iterdir()) == []


@host_check("RPL.15", needs=("replay",))
async def a_recording_replays_the_same_bytes(bench: HostBench) -> None:
    """Order of members, spaces, comments and the last line come back from a fixture made of the capture."""
    kept = captured(await recorded(bench, saying(REPLY[:20], REPLY[20:])))

    assert await replayed(bench, kept, REPLY) == REPLY


@host_check("RPL.12", needs=("replay",))
async def an_exchange_is_kept_when_its_client_went_away(bench: HostBench) -> None:
    """The client leaves after the first of many pieces; what had come is written, ending in a cut."""
    gone = asyncio.Event()

    async def answer(say: Say) -> None:
        await say(b"data: first\n\n")
        await patiently(gone)
        for _ in range(200):
            await say(b"data: more\n\n" + b": " + b"x" * 4000 + b"\n\n")
            await asyncio.sleep(0.01)

    out = bench.directory / "captures"
    async with provider(answer) as upstream, recording(bench, upstream, out) as (root, client):
        async with client.stream("POST", f"{root}/v1/x", json=ASKED) as reply:
            assert b"first" in await asyncio.wait_for(anext(reply.aiter_raw()), BOUND_S)
        gone.set()
    response = captured(out)["response"]

    assert response["frames"][0] == {"data": "first"}
    assert response["frames"][-1] == {"end": "cut"}


@host_check("RPL.19", needs=("replay",))
async def a_reply_is_passed_on_as_it_comes(bench: HostBench) -> None:
    """The first piece is with the client before the provider sends the second."""
    seen = asyncio.Event()
    in_time: list[bool] = []

    async def answer(say: Say) -> None:
        await say(b"data: first\n\n")
        await patiently(seen)
        in_time.append(seen.is_set())
        await say(b"data: second\n\n")

    out = bench.directory / "captures"
    body = b""
    async with (
        provider(answer) as upstream,
        recording(bench, upstream, out) as (root, client),
        client.stream("POST", f"{root}/v1/x", json=ASKED) as reply,
    ):
        async for chunk in reply.aiter_raw():
            body += chunk
            seen.set()

    assert in_time == [True]
    assert body == b"data: first\n\ndata: second\n\n"
