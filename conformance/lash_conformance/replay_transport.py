"""Provider fixtures served in process to a host that speaks httpx, through respx: no socket, no wall time."""

from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager

import httpx

from lash_conformance.fixture import BASE, Exchange, Fixture
from lash_conformance.replay import MISMATCH_STATUS, Chunking, Mismatch, Replay, segments

ROOT = "http://replay.invalid"
"""A host name that resolves nowhere, so that a request past the transport fails."""


class _Body(httpx.AsyncByteStream):
    """A body that is cut as the run says and ends as the fixture says."""

    def __init__(self, exchange: Exchange, chunking: Chunking, request: httpx.Request) -> None:
        self.exchange = exchange
        self.chunking = chunking
        self.request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for step in segments(self.exchange, self.chunking):
            if isinstance(step, bytes):
                yield step
        match self.exchange.response.end:
            case "eof":
                return
            case "cut":
                raise httpx.RemoteProtocolError("peer closed the connection inside the body", request=self.request)
            case "reset":
                raise httpx.ReadError("connection reset by peer", request=self.request)
            case "hang":
                raise httpx.ReadTimeout("no more bytes came", request=self.request)


@contextmanager
def served(fixture: Fixture, chunking: str = "frame") -> Generator[tuple[str, Replay]]:
    """Serve one fixture to every httpx client of this process; gives its base URL and its state."""
    import respx

    replay = Replay(fixture, Chunking(chunking))
    prefix = f"/r/in-process/{fixture.id}"

    def answer(request: httpx.Request) -> httpx.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        path = request.url.raw_path.decode().removeprefix(prefix)
        found = replay.answer(request.method, path, headers, request.content)
        if isinstance(found, Mismatch):
            error = {"error": {"message": found.fault}}
            return httpx.Response(MISMATCH_STATUS, json=error, headers={"x-lash-replay": "mismatch"})
        match found.response.before:
            case "refuse":
                raise httpx.ConnectError("connection refused", request=request)
            case "hang":
                raise httpx.ReadTimeout("no reply came", request=request)
            case "answer":
                body = _Body(found, replay.chunking, request)
                return httpx.Response(found.response.status, headers=found.response.headers, stream=body)

    with respx.mock(assert_all_called=False) as router:
        router.route(url__startswith=ROOT).mock(side_effect=answer)
        yield f"{ROOT}{prefix}{BASE[fixture.dialect]}", replay
