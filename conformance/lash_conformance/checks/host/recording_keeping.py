"""Recorders: that requests and replies pass unchanged, and that what is kept says what was and holds no secret."""

import asyncio
import json

import httpx

from lash_conformance.check import host_check
from lash_conformance.host import Data
from lash_conformance.host_bench import HostBench
from lash_conformance.replay_words import (
    ASKED,
    BOUND_S,
    Say,
    captured,
    left,
    patiently,
    provider,
    recording,
    saying,
)

KEY = "sk-judged-BBBBBBBBBBBBBBBBBBBB"


@host_check("RPL.22", needs=("replay",))
async def a_request_is_passed_on_as_it_came(bench: HostBench) -> None:
    """Method, path, query, key and body are with the provider as the client sent them."""
    heard: list[bytes] = []
    out = bench.directory / "captures"
    async with provider(saying(b"data: 1\n\n"), heard=heard) as upstream, recording(bench, upstream, out) as (root, client):
        await client.post(f"{root}/v1/m:go?alt=sse&key=abcd1234", json={"b": 1, "a": "é"}, headers={"x-goog-api-key": KEY})
        await client.get(f"{root}/v1/models")
    first, second = (text.decode("latin-1") for text in heard)

    assert first.startswith("POST /v1/m:go?alt=sse&key=abcd1234 ")
    assert f"x-goog-api-key: {KEY}".lower() in first.lower()
    assert first.encode("latin-1").endswith(httpx.Request("POST", "http://x", json={"b": 1, "a": "é"}).content)
    assert second.startswith("GET /v1/models ")


@host_check("RPL.19", needs=("replay",))
async def a_reply_passes_with_its_status_its_headers_and_its_secrets(bench: HostBench) -> None:
    """What is taken out of the record is not taken from the client."""
    body = f'data: {{"key":"{KEY}"}}\n\n'.encode()
    out = bench.directory / "captures"
    async with (
        provider(saying(body), ["retry-after: 3", "x-own: 1"], status="429 Busy") as upstream,
        recording(bench, upstream, out) as (root, client),
    ):
        reply = await client.post(f"{root}/v1/x", json=ASKED)

    assert (reply.status_code, reply.content) == (429, body)
    assert (reply.headers.get("retry-after"), reply.headers.get("x-own")) == ("3", "1")


@host_check("RPL.23", needs=("replay",))
async def what_is_kept_says_what_was(bench: HostBench) -> None:
    """Method, path and status of each exchange, each in a file of its own, in their order."""
    out = bench.directory / "captures"
    async with provider(saying(b"data: 1\n\n"), status="429 Busy") as upstream, recording(bench, upstream, out) as (root, client):
        await client.post(f"{root}/v1/chat/completions", json=ASKED)
        await client.get(f"{root}/v1/models")
    kept: list[Data] = [json.loads(path.read_text("utf-8"))["exchange"] for path in sorted(out.glob("*.capture.json"))]

    assert [(one["request"]["method"], one["request"]["path"]) for one in kept] == [("POST", "/v1/chat/completions"), ("GET", "/v1/models")]
    assert [one["response"]["status"] for one in kept] == [429, 429]


@host_check("RPL.23", needs=("replay",))
async def a_lost_reply_is_lost_for_the_client_and_in_the_record(bench: HostBench) -> None:
    """The provider closes inside the body: the client sees no clean end, and the capture ends in a cut."""
    out = bench.directory / "captures"
    lost: Exception | None = None
    async with provider(saying(b"data: first\n\n"), cut=True) as upstream, recording(bench, upstream, out) as (root, client):
        try:
            await client.post(f"{root}/v1/x", json=ASKED)
        except httpx.TransportError as err:
            lost = err

    assert lost is not None
    assert captured(out)["response"]["frames"] == [{"data": "first"}, {"end": "cut"}]


@host_check("RPL.11", needs=("replay",))
async def secrets_of_a_request_are_kept_nowhere(bench: HostBench) -> None:
    """A key in the query, in the path, in each header that may hold one, in a cookie; echoed in a kept header too."""
    marker = "judged-owner"
    own = {"x-api-key": "own-a-12345", "x-goog-api-key": "own-b-12345", "api-key": "own-c-12345", "cookie": "sid=own-d-12345"}
    echo = json.dumps([*own.values(), "own-d-12345", "own-e-12345"])
    out = bench.directory / "captures"
    async with (
        provider(saying(f"data: {echo}\n\n".encode()), [f"x-request-id: req-{marker}"]) as upstream,
        recording(bench, upstream, out, [marker]) as (root, client),
    ):
        await client.post(f"{root}/v1/{marker}/x?key=own-e-12345", json=ASKED, headers=own)
    kept = left(out)

    assert [secret for secret in (marker, "own-a", "own-b", "own-c", "own-d", "own-e") if secret in kept] == []


@host_check("RPL.11", needs=("replay",))
async def secrets_are_found_however_a_reply_is_spelled(bench: HostBench) -> None:
    """Split over deltas with spaces in their JSON, with CRLF and with other deltas between; escaped; in a comment; in a name."""
    halves = [KEY[:9], KEY[9:20], KEY[20:]]

    def deltas(form: str, end: str, between: str = "") -> bytes:
        return "".join(form.replace("$", half) + end + between for half in halves).encode()

    other = 'data: {"index":1,"delta":"and so on"}\n\n'
    replies = {
        "spaced": deltas('data: {"delta": "$"}', "\n\n"),
        "crlf": deltas('data: {"delta":"$"}', "\r\n\r\n"),
        "interleaved": deltas('data: {"index":0,"delta":"$"}', "\n\n", other),
        "escaped": f'data: {{"a":"\\u0073{KEY[1:]}"}}\n\n'.encode(),
        "comment": f": {KEY}\n\n".encode(),
        "name": f'data: {{"{KEY}":1}}\n\n'.encode(),
        "document": json.dumps({"a": [{"api_key": "hunter-judged"}, KEY]}).encode(),
        "array": json.dumps([{"delta": half} for half in halves]).encode(),
    }
    out = bench.directory / "captures"
    for name, body in replies.items():
        kind = "application/json" if name in {"document", "array"} else "text/event-stream"
        async with provider(saying(body), kind=kind) as upstream, recording(bench, upstream, out) as (root, client):
            assert (await client.post(f"{root}/v1/x", json=ASKED)).content == body
        kept = left(out)
        spelled = [KEY[9:20], KEY[20:], KEY[1:], "hunter-judged"]

        assert [text for text in spelled if text in kept] == [], name


@host_check("RPL.11", needs=("replay",))
async def nothing_is_written_before_it_was_looked_at(bench: HostBench) -> None:
    """While a reply still comes, the folder holds nothing of it."""
    looked = asyncio.Event()
    out = bench.directory / "captures"
    early = ""

    async def answer(say: Say) -> None:
        await say(f'data: {{"delta":"{KEY[:12]}"}}\n\n'.encode())
        await patiently(looked)
        await say(f'data: {{"delta":"{KEY[12:]}"}}\n\n'.encode())

    async with (
        provider(answer) as upstream,
        recording(bench, upstream, out) as (root, client),
        client.stream("POST", f"{root}/v1/x", json=ASKED) as reply,
    ):
        chunks = reply.aiter_raw()
        await asyncio.wait_for(anext(chunks), BOUND_S)
        early = left(out)
        looked.set()
        async for _ in chunks:
            pass

    assert KEY[:12] not in early
