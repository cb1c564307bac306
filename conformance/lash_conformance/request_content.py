"""The content of a request to one of the suite's own servers, by its length or in chunks."""

from http.server import BaseHTTPRequestHandler

LIMIT_BYTES = 64 * 1024 * 1024
"""No request of a client is longer."""


class UnreadableContent(Exception):
    """The content is too long, or does not say where it ends."""


def content(handler: BaseHTTPRequestHandler) -> bytes:
    """All of it.

    Raises:
        UnreadableContent: nothing more can be read from the connection.
    """
    if "chunked" in handler.headers.get("transfer-encoding", "").lower():
        return _chunks(handler)
    return handler.rfile.read(_size(handler.headers.get("content-length") or "0", 10))


def _chunks(handler: BaseHTTPRequestHandler) -> bytes:
    whole = b""
    while size := _size(handler.rfile.readline(64).partition(b";")[0].decode("latin-1").strip(), 16):
        whole += handler.rfile.read(size)
        handler.rfile.readline(64)
        _size(f"{len(whole):x}", 16)
    while handler.rfile.readline(65536).strip():
        """A trailer says nothing of the content."""
    return whole


def _size(written: str, base: int) -> int:
    try:
        size = int(written, base)
    except ValueError as err:
        raise UnreadableContent(f"a length expected, found {written!r:.40}") from err
    if not 0 <= size <= LIMIT_BYTES:
        raise UnreadableContent(f"at most {LIMIT_BYTES} bytes expected, found {size}")
    return size
