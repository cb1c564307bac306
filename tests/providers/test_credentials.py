"""A refused grant is good for nothing until its host signs in again ([PRV.74][])."""

import asyncio
import json
from urllib.parse import parse_qs

import pytest

from lash_ref.credentials import OAuth
from lash_ref.provider import ProviderFailure
from lash_ref.store import SystemClock


def reply(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (status, len(body), body)


ANSWERS = {
    "old": reply(b"400 Bad Request", b'{"error": "invalid_grant"}'),
    "new": reply(b"200 OK", b'{"access_token": "good"}'),
}


def test_new_credentials_take_the_place_of_refused_ones():
    asked = []

    async def answer(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        (token,) = parse_qs((await reader.readexactly(length)).decode())["refresh_token"]
        asked.append(token)
        writer.write(ANSWERS[token])
        await writer.drain()
        writer.close()

    async def run():
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        oauth = OAuth(f"http://127.0.0.1:{port}/token", "c", "old", SystemClock())
        for _ in range(2):
            with pytest.raises(ProviderFailure):
                await oauth.token()
        oauth.signed_in("new")
        assert await oauth.token() == "good"
        assert asked == ["old", "new"]
        server.close()
        await server.wait_closed()

    asyncio.run(run())


def renewed(answer):
    """What a token endpoint's answer comes to: the token and what renews the next, or the failure."""

    async def answering(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async def run():
        server = await asyncio.start_server(answering, "127.0.0.1", 0)
        oauth = OAuth(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/token", "c", "old", SystemClock())
        async with server:
            try:
                return await oauth.token(), oauth.refresh_token
            except ProviderFailure as failure:
                return failure

    return asyncio.run(run())


@pytest.mark.parametrize("token", ["", " ", "a\nb", "a\u0000", "\u00e9", "\ud83d", 7, None])
def test_a_token_that_no_header_can_carry_is_none(token):
    failure = renewed(reply(b"200 OK", json.dumps({"access_token": token}).encode()))
    assert (failure.kind, failure.provider_code, failure.retryable) == ("auth", "token_refused", False)
    assert failure.message == "the token endpoint refused: access_token: a text of visible ASCII characters expected, found none"


def test_an_empty_refresh_token_leaves_the_old_one():
    assert renewed(reply(b"200 OK", b'{"access_token": "good", "refresh_token": ""}')) == ("good", "old")


def test_the_words_of_a_refusal_are_those_of_its_error():
    for body in (b'{"error": {"message": "gone"}}', b'{"error": "x", "error_description": "gone"}', b'{"error": "gone", "error_description": {}}'):
        assert renewed(reply(b"400 Bad Request", body)).message == "the token endpoint refused: gone"


def test_an_answer_that_cannot_be_unpacked_is_asked_for_again():
    packed = reply(b"200 OK", b"no gzip").replace(b"Connection", b"Content-Encoding: gzip\r\nConnection")
    failure = renewed(packed)
    assert (failure.kind, failure.provider_code, failure.retryable) == ("auth", "token_unavailable", True)
