"""A reply's body without its content encoding.

A gzip body may hold several members, one behind the other: proxies that flush by member make such streams. The HTTP
library stops at the first and drops the rest without a word ([PRV.67][]).
"""

import zlib
from collections.abc import AsyncGenerator, Iterator

import httpx

_GZIP = 16 + zlib.MAX_WBITS
_MAGIC = b"\x1f\x8b"


async def decoded(reply: httpx.Response) -> AsyncGenerator[bytes]:
    """The body's bytes as they come.

    Raises:
        httpx.DecodingError: they are not what the encoding says, or end inside a member.
        httpx.RequestError: the connection was lost.
    """
    if reply.headers.get("content-encoding", "").strip().lower() not in {"gzip", "x-gzip"}:
        async for chunk in reply.aiter_bytes():
            yield chunk
        return
    members = _Members()
    async for chunk in reply.aiter_raw():
        for piece in members.feed(chunk):
            yield piece
    members.end()


class _Members:
    """Members of a gzip body; what stands behind the last and begins none is padding."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._begun = False
        self._between: bytes | None = None
        """What came behind a member that is over, too short yet to tell."""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        while chunk:
            if self._between is not None:
                chunk = self._between + chunk
                self._between = chunk
                if len(chunk) < len(_MAGIC) or not chunk.startswith(_MAGIC):
                    self._between = chunk[: len(_MAGIC)]
                    return
                self._member, self._between = zlib.decompressobj(_GZIP), None
            self._begun = True
            try:
                piece = self._member.decompress(chunk)
            except zlib.error as err:
                raise httpx.DecodingError(f"gzip expected: {err}") from err
            if piece:
                yield piece
            chunk = self._member.unused_data if self._member.eof else b""
            if self._member.eof:
                self._between = b""

    def end(self) -> None:
        if self._begun and not self._member.eof:
            raise httpx.DecodingError("gzip expected, found an end inside a member")
