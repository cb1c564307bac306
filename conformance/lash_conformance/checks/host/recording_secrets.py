"""Recorders: secrets in half, in encodings, behind a name and over line ends; and what only looks like one to the hasty."""

import base64
import contextlib
import hashlib
import json
from collections.abc import AsyncGenerator
from urllib.parse import quote

import httpx

from lash_conformance.check import host_check
from lash_conformance.host_bench import HostBench
from lash_conformance.replay_words import (
    ASKED,
    captured,
    filed,
    left,
    provider,
    recording,
    replayed,
    saying,
    serving,
)

OWN = "zQ9judgedOwnKeyOfNoShape+/123456"
KEY = "sk-judged-BBBBCCCCDDDDEEEEFFFF"


async def kept_of(bench: HostBench, name: str, body: bytes, kind: str = "text/event-stream") -> str:
    """What is left on the disk of a reply to a request that was authorized with `OWN`."""
    out = bench.directory / f"captures-{name.replace(' ', '-')}"
    async with provider(saying(body), kind=kind) as upstream, recording(bench, upstream, out) as (root, client):
        reply = await client.post(f"{root}/v1/x", json=ASKED, headers={"authorization": f"Bearer {OWN}"})
        assert reply.content == body
    return left(out)


def event(text: str) -> bytes:
    """An event that says the text in an error."""
    return f"data: {json.dumps({'error': {'message': text}})}\n\n".encode()


@host_check("RPL.11", needs=("replay",))
async def half_a_key_is_found(bench: HostBench) -> None:
    """The first half, the last, the middle, of a key of no known shape; a masked key is no secret and stays."""
    for name, said in {"first": OWN[:16], "last": OWN[16:], "middle": OWN[8:24]}.items():
        kept = await kept_of(bench, name, event(f"key {said} is wrong"))
        assert [run for run in (said[:8], said[-8:], json.dumps(said)) if run in kept] == [], name
    masked = f"key {OWN[:5]}...{OWN[-4:]} is wrong"
    assert masked in await kept_of(bench, "masked", event(masked))


@host_check("RPL.11", needs=("replay",))
async def an_encoded_key_is_found(bench: HostBench) -> None:
    """In base64 behind a name, in its other alphabet, in hexadecimal, percent-encoded; its own key and one known by shape."""
    for key in (OWN, KEY):
        spelled = {
            "base64": base64.b64encode(f"user:{key}".encode()).decode(), "hex": key.encode().hex(),
            "urlsafe": base64.urlsafe_b64encode(f"??>>{key}".encode()).decode(),
            "percent": "".join(f"%{byte:02X}" for byte in key.encode()), "quoted": quote(key, safe="").replace("-", "%2D"),
        }  # fmt: skip
        for name, said in spelled.items():
            kept = await kept_of(bench, f"{name} {key[:2]}", event(f"got {said} instead"))
            assert said[12:-6] not in kept, f"{name} of {key[:2]}"


@host_check("RPL.11", needs=("replay",))
async def a_secret_is_found_behind_its_name(bench: HostBench) -> None:
    """In a URL's query, in JSON inside a text, in prose, in form data: names of secrets give away what follows them."""
    said = {
        "query": "POST https://x/v1?key=hunter-judged&alt=sse failed", "nested": json.dumps({"api_key": "hunter-judged"}),
        "prose": "your password: hunter-judged", "form": "grant=a&refresh_token=hunter-judged&b=1",
    }  # fmt: skip
    for name, text in said.items():
        for body in (event(text), f": {text}\n\n".encode(), text.encode()):
            assert "hunter" not in await kept_of(bench, name, body), name
            for path in bench.directory.glob("captures-*/*"):
                path.unlink()


@host_check("RPL.11", needs=("replay",))
async def a_secret_is_found_over_events_and_lines_of_any_kind(bench: HostBench) -> None:
    """Split over events of bare text and of JSON texts, over lines of one event, with CR and a mark, under another type."""
    for key in (OWN, KEY):
        first, second = key[:15], key[15:]
        bodies = {
            "texts": f"data: {first}\n\n: beat\n\ndata: {second}\n\n", "json": f'data: "{first}"\n\ndata: "{second}"\n\n',
            "lines": f"data: {first}\ndata: {second}\n\n", "cr": f'data: {{"d":"{first}"}}\r\rdata: {{"d":"{second}"}}\r\r',
            "mark": f'\ufeffdata: {{"d":"{first}"}}\n\ndata: {{"d":"{second}"}}\n\n',
            "typed": f'data: {{"d":"{first}"}}\n\ndata: {{"d":"{second}"}}\n\n',
        }  # fmt: skip
        for name, body in bodies.items():
            kind = "application/json" if name == "typed" else "text/event-stream"
            kept = await kept_of(bench, f"{name} {key[:2]}", body.encode(), kind)
            assert [half for half in (first[4:], second) if half in kept] == [], f"{name} of {key[:2]}"


@host_check("RPL.15", needs=("replay",))
async def what_a_query_and_a_cookie_say_is_no_secret(bench: HostBench) -> None:
    """Words of the query, of a cookie's attributes and of a placeholder key come back in a reply's bytes."""
    said = "true None 2024-06-01-preview json dark HttpOnly api.example.com ollama"
    body = f'data: {{"a":true,"say":"{said}"}}\n\n: {said}\n\ndata: {said}\n\n'.encode()
    cookie = "set-cookie: __bm=Zm9vYmFyMTIz; path=/; domain=.example.com; HttpOnly; Secure; SameSite=None"
    out = bench.directory / "captures"
    async with provider(saying(body), [cookie]) as upstream, recording(bench, upstream, out) as (root, client):
        headers = {"authorization": "Bearer ollama", "cookie": "theme=dark"}
        await client.post(f"{root}/v1/x?beta=true&api-version=2024-06-01-preview&alt=json", json=ASKED, headers=headers)

    assert await replayed(bench, captured(out), body) == body


@host_check("RPL.15", needs=("replay",))
async def a_large_reply_without_secrets_is_kept(bench: HostBench) -> None:
    """An image in base64, in an event and in a document: nothing in it is a secret, however long it is looked at."""
    image = base64.b64encode(hashlib.sha512(b"judged").digest() * 4000).decode()
    event_of_it, document = f'data: {{"image":"{image}"}}\n\n'.encode(), f'{{"image":"{image}"}}'.encode()
    assert image in await kept_of(bench, "event", event_of_it)
    assert image in await kept_of(bench, "document", document, "application/json")


@host_check("RPL.23", needs=("replay",))
async def a_document_that_was_cut_is_kept_as_cut(bench: HostBench) -> None:
    """The provider closes inside a JSON document, and behind one that is whole."""
    for number, body in enumerate((b'{"a":"x', b'{"a":1}')):
        out = bench.directory / f"captures-{number}"
        async with (
            provider(saying(body), kind="application/json", cut=True) as upstream,
            recording(bench, upstream, out) as (root, client),
        ):
            try:
                await client.post(f"{root}/v1/x", json=ASKED)
            except httpx.TransportError:
                """That the client loses it is judged elsewhere."""
        assert captured(out)["response"]["frames"] == [{"raw": body.decode()}, {"end": "cut"}]


@host_check("RPL.19", needs=("replay",))
async def headers_of_one_name_pass_apart(bench: HostBench) -> None:
    """Two cookies that a reply sets are two for the client."""
    cookies = ["set-cookie: a=1; path=/", "set-cookie: b=2; expires=Wed, 21 Oct 2026 07:28:00 GMT"]
    out = bench.directory / "captures"
    async with provider(saying(b"data: 1\n\n"), cookies) as upstream, recording(bench, upstream, out) as (root, client):
        reply = await client.post(f"{root}/v1/x", json=ASKED)

    assert [f"set-cookie: {value}" for value in reply.headers.get_list("set-cookie")] == cookies


@host_check("RPL.22", needs=("replay",))
async def a_request_in_chunks_is_passed_on_whole(bench: HostBench) -> None:
    """A client that does not know its length sends chunks; the provider gets all of them, and the next request too."""
    heard: list[bytes] = []
    out = bench.directory / "captures"

    async def pieces() -> AsyncGenerator[bytes]:
        for piece in (b'{"a":', b"", b"1}"):
            yield piece

    async with provider(saying(b"data: 1\n\n"), heard=heard) as upstream, recording(bench, upstream, out) as (root, client):
        with contextlib.suppress(httpx.TransportError):
            await client.post(f"{root}/v1/x", content=pieces(), headers={"content-type": "application/json"})
            await client.post(f"{root}/v1/y", json=ASKED)

    assert [(text.split(b" ")[1], text.partition(b"\r\n\r\n")[2]) for text in heard[:1]] == [(b"/v1/x", b'{"a":1}')]
    assert [text.split(b" ")[1] for text in heard] == [b"/v1/x", b"/v1/y"]


@host_check("RPL.3", needs=("replay",))
async def a_request_in_chunks_is_the_expected_one(bench: HostBench) -> None:
    """Its content is compared like any other."""
    body = json.dumps(ASKED).encode()

    async def pieces() -> AsyncGenerator[bytes]:
        for start in range(0, len(body), 7):
            yield body[start : start + 7]

    async with serving(bench, filed(bench)) as asker:
        run, url = await asker.begin()
        # A replayer that left a part unread may spoil the connection, and the report is asked for over another.
        headers = {"content-type": "application/json", "connection": "close"}
        with contextlib.suppress(httpx.TransportError):
            await asker.client.post(f"{url}/chat/completions", content=pieces(), headers=headers)
        report = await asker.report(run)

    assert (report["clean"], [one["body"] for one in report["requests"]]) == (True, [ASKED])
