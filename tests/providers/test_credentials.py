"""A refused grant is good for nothing until its host signs in again ([PRV.74][])."""

import asyncio
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
