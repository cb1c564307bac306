"""Recording a real provider: a proxy on loopback that passes bytes on as they come and keeps what may be kept.

For someone with a key, never in CI: ``lash-conformance record --upstream https://… --dialect … --out DIR``. Each
exchange is redacted in memory and written when it has ended, also when the client went away ([RPL.12][]).
`promote` turns captures into a fixture whose calls a person then writes and reviews.
"""

import hashlib
import json
import os
import re
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast
from urllib.parse import parse_qsl, urlsplit

import httpx

from lash_conformance.fixture import Fixture, compact
from lash_conformance.redaction import GONE, Redaction
from lash_conformance.request_content import UnreadableContent, content
from lash_ref.sse import Framer
from lash_ref.untrusted import mended

CAPTURE_SCHEMA = "lash.provider-capture/1"
_HOP = {"connection", "content-length", "host", "transfer-encoding", "accept-encoding", "keep-alive", "te", "upgrade"}


class NotKept(Exception):
    """A capture that cannot be kept; nothing of it was written."""


@dataclass
class Capture:
    """One exchange in memory, with all its secrets."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int = 0
    reply_headers: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    chunks: list[bytes] = field(default_factory=list[bytes])
    end: Literal["eof", "cut", "reset", "client_gone"] = "eof"


def kept(capture: Capture, redaction: Redaction) -> dict[str, Any]:
    """What of ``capture`` may be written: an exchange in the fixture format. The request's body is never kept.

    Raises:
        NotKept: the reply is not UTF-8, so nobody can tell what it holds.
    """
    target = urlsplit(capture.path)
    redaction.learn_request(capture.headers, parse_qsl(target.query))
    for cookie in (value for name, value in capture.reply_headers if name.lower() == "set-cookie"):
        redaction.learn_cookie(cookie)
    try:
        text = b"".join(capture.chunks).decode()
    except UnicodeDecodeError as err:
        raise NotKept(f"{target.path}: a UTF-8 reply expected, found byte {err.start} of another encoding") from err
    measured = any(name.lower() == "content-length" for name, _ in capture.reply_headers)
    response: dict[str, Any] = {
        "status": capture.status,
        "headers": redaction.headers(capture.reply_headers),
        "framing": "length" if measured else "chunked",
    }
    end = "cut" if capture.end == "client_gone" else capture.end
    document = _document(text, redaction)
    if document is not None and end == "eof":
        response["json"] = document
    else:
        response["frames"] = [*_frames(text, redaction), {"end": end}]
    return {
        "role": "completion",
        "request": {
            "method": capture.method,
            "path": redaction.text(target.path),
            "headers": {"any_of": [[name] for name in capture.headers if name in {"authorization", "x-api-key", "x-goog-api-key"}] or [[]]},
            "body": _asked(capture.body),
        },
        "response": response,
    }


def _asked(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    if isinstance(document, dict) and isinstance(document.get("stream"), bool):  # pyright: ignore[reportUnknownMemberType]
        return {"/stream": {"equals": document["stream"]}}
    return {}


def _document(text: str, redaction: Redaction) -> Any:
    """The reply as one JSON document, or none when it is none or holds no secret and is written in another way."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    before = compact(document)
    if isinstance(document, list):
        redaction.across([member for member in cast("list[Any]", document) if isinstance(member, dict)])
    redacted = redaction.value(document)
    return None if compact(redacted) == before != text else mended(redacted)


def _frames(text: str, redaction: Redaction) -> Iterator[dict[str, Any]]:
    """The body cut at blank lines; a frame the format can spell is spelled, any other is verbatim.

    A secret that was spelled over several events is looked for in all of them, however they are written.
    """
    pieces = re.findall(r".*?(?:\r\n|\n|\r){2}|.+", text, re.DOTALL)
    events = [_event(piece) for piece in pieces]
    said = [event.document if event.document is not None else {event.kind: event.data} for event in events]
    before = [compact(document) for document in said]
    redaction.across(said)
    for piece, event, document, whole in zip(pieces, events, said, before, strict=True):
        if compact(document) == whole:
            yield _frame(piece, event, redaction)
        elif event.document is None:
            yield {"raw": f": {GONE}\n\n"}
        else:
            yield event.head | {"data": mended(redaction.value(document))}


class _Event(NamedTuple):
    """The event that a piece of a stream is; a piece that is none has its lines for data."""

    head: dict[str, Any]
    data: str
    document: dict[str, Any] | None
    kind: str = "text"


def _event(piece: str) -> _Event:
    framer = Framer()
    events = [*framer.feed(piece.removeprefix("\ufeff").encode()), *framer.flush()]
    if len(events) != 1:
        return _Event({}, piece.strip("\r\n"), None, "lines")
    data = events[0].data.decode()
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        document = None
    found = cast("dict[str, Any]", document) if isinstance(document, dict) else None
    return _Event({"event": events[0].name} if events[0].name else {}, data.strip('"') if isinstance(document, str) else data, found)


def _frame(piece: str, event: _Event, redaction: Redaction) -> dict[str, Any]:
    head = f"event: {event.head['event']}\n" if event.head else ""
    if event.document is not None:
        redacted = redaction.value(event.document)
        if redacted != event.document:
            return event.head | {"data": mended(redacted)}
        if f"{head}data: {compact(event.document)}\n\n" == piece:
            return event.head | {"data": redacted}
    elif f"{head}data: {event.data}\n\n" == piece:
        return event.head | {"data": redaction.text(event.data)}
    kept = redaction.lines(piece)
    return {"raw": kept if kept is not None else f": {GONE}\n\n"}


class RecordingProxy(ThreadingHTTPServer):
    """Passes every request on to ``upstream`` and writes one file an exchange into ``out``."""

    daemon_threads = True

    def __init__(
        self, upstream: str, out: Path, *, markers: Iterable[str] = (), port: int = 0, timeout_s: float = 600.0
    ) -> None:
        super().__init__(("127.0.0.1", port), _Proxy)
        self.upstream = upstream.rstrip("/")
        self.out = out
        self.markers = tuple(markers)
        self.client = httpx.Client(timeout=timeout_s)
        self.written: list[Path] = []
        self.refused: list[str] = []
        self._lock = threading.Lock()
        self._busy = 0
        self._idle = threading.Condition()
        out.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        """What to use as a client's base URL in place of the upstream's."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def keep(self, capture: Capture) -> None:
        """Redact and write; what cannot be kept is told and forgotten."""
        try:
            document = {"schema": CAPTURE_SCHEMA, "exchange": kept(capture, Redaction(self.markers))}
        except NotKept as err:
            self.refused.append(str(err))
            return
        with self._lock:
            path = self.out / f"{len(list(self.out.glob('*.capture.json'))) + 1:03}.capture.json"
            with path.open("x", encoding="utf-8") as file:
                file.write(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
            self.written.append(path)

    def start(self) -> "RecordingProxy":
        """Record in a thread of this process."""
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    @contextmanager
    def passing(self) -> Generator[None]:
        """An exchange in progress."""
        with self._idle:
            self._busy += 1
        try:
            yield
        finally:
            with self._idle:
                self._busy -= 1
                self._idle.notify_all()

    def settle(self, bound_s: float = 30.0) -> None:
        """Wait until every exchange in progress has ended and was written."""
        with self._idle:
            self._idle.wait_for(lambda: self._busy == 0, bound_s)

    def stop(self) -> None:
        """Record no more; what was in progress is written first."""
        self.shutdown()
        self.settle()
        self.server_close()
        self.client.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away has been recorded."""


class _Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RecordingProxy  # pyright: ignore[reportIncompatibleVariableOverride] - the only server that uses it

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing; a request line may hold a key."""

    def do_GET(self) -> None:
        with self.server.passing():
            self._pass_on()

    do_POST = do_GET  # noqa: N815 - the name that the server looks for

    def _pass_on(self) -> None:
        try:
            body = content(self)
        except UnreadableContent as err:
            self.send_error(413, explain=str(err))
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        capture = Capture(self.command, self.path, headers, body)
        onward = {name: value for name, value in headers.items() if name not in _HOP} | {"accept-encoding": "identity"}
        try:
            with self.server.client.stream(self.command, self.server.upstream + self.path, headers=onward, content=body) as reply:
                capture.status = reply.status_code
                capture.reply_headers = reply.headers.multi_items()
                self._begin(reply)
                self._stream(reply, capture)
        except httpx.TransportError as err:
            if capture.status == 0:
                self.send_error(502, explain=f"{type(err).__name__} from upstream")
                return
            capture.end = "reset" if isinstance(err, httpx.ReadError) else "cut"
        if capture.end == "eof":
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.close_connection = True
        self.server.keep(capture)

    def _begin(self, reply: httpx.Response) -> None:
        self.send_response_only(reply.status_code)
        for name, value in reply.headers.multi_items():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

    def _stream(self, reply: httpx.Response, capture: Capture) -> None:
        for chunk in reply.iter_raw():
            capture.chunks.append(chunk)
            try:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                self.wfile.flush()
            except OSError:
                capture.end = "client_gone"
                return


def promoted(captures: list[Path], *, name: str, dialect: str, proves: str, captured_at: str) -> Fixture:
    """A fixture of the captures, in their order, whose calls are still to be written by a person.

    Raises:
        ValueError: a file is no capture, or the parts make no fixture.
    """
    exchanges: list[dict[str, Any]] = []
    for path in captures:
        document = json.loads(path.read_text())
        if document.get("schema") != CAPTURE_SCHEMA:
            raise ValueError(f"{path.name}: {CAPTURE_SCHEMA} expected, found {document.get('schema')!r}")
        exchanges.append(document["exchange"])
    source = exchanges[0]["request"]["path"] if exchanges else ""
    made = Fixture.model_validate(
        {
            "schema": "lash.provider-fixture/1",
            "id": name,
            "dialect": dialect,
            "covers": [],
            "proves": proves,
            "provenance": {"kind": "captured_live", "source": source, "captured_at": captured_at, "redaction": "reviewed"},
            "exchanges": exchanges,
            "calls": [],
        }
    )
    pinned = [
        exchange.model_copy(
            update={
                "response": exchange.response.model_copy(
                    update={"wire_sha256": hashlib.sha256(exchange.response.body()).hexdigest()}
                )
            }
        )
        for exchange in made.exchanges
    ]
    return made.model_copy(update={"exchanges": pinned})
