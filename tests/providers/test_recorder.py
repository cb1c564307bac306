"""A recording equals its source, and no planted secret reaches the disk."""

import base64
import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import quote

import httpx
import pytest

from lash_conformance.fixture import fixtures
from lash_conformance.recorder import RecordingProxy, promoted
from lash_conformance.redaction import Redaction
from lash_conformance.replay_server import ReplayServer

ASK = {"model": "m", "stream": True, "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
KEY = "sk-fixture-session-key-000000"

SOURCES = [
    "anthropic-messages.stream.text",
    "anthropic-messages.stream.tool-args-split",
    "anthropic-messages.error.529-then-ok",
    "openai-chat.stream.text-usage-tail",
    "openai-chat.stream.gateway-comments-metadata",
    "openai-chat.error.503-retry-after",
    "openai-responses.stream.text-phases",
    "openai-responses.stream.refusal",
    "gemini.stream.text-repeated",
    "gemini.error.in-band-503",
]
PATHS = {
    "anthropic-messages": "/v1/messages",
    "openai-chat": "/chat/completions",
    "openai-responses": "/responses",
    "gemini": "/models/m:streamGenerateContent?alt=sse&key=" + KEY,
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_recording_of_the_replayer_equals_its_source(name: str, tmp_path: Path):
    """Status, kept headers, frames, bytes and ends of every exchange come back after capture and promotion."""
    source = fixtures()[name]
    # the bodies that a source asks for are its own business; what is compared is what was answered
    asked = source.exchanges[0].request.model_copy(update={"body": {}})
    exchanges = [e.model_copy(update={"request": asked}) for e in source.exchanges]
    server = ReplayServer().start()
    url, _ = server.begin(source.model_copy(update={"exchanges": exchanges}), run="recorded")
    proxy = RecordingProxy(url, tmp_path).start()
    try:
        for _ in exchanges:
            headers = {"authorization": f"Bearer {KEY}", "x-api-key": KEY, "x-goog-api-key": KEY}
            httpx.post(proxy.url + PATHS[source.dialect], json=ASK, headers=headers)
        _until(lambda: len(proxy.written) == len(exchanges))
    finally:
        proxy.stop()
        server.stop()

    made = promoted(
        sorted(tmp_path.glob("*.json")), name=name, dialect=source.dialect, proves="It is the same.",
        captured_at="2026-11-01T00:00:00+00:00",
    )  # fmt: skip

    for again, before in zip(made.exchanges, source.exchanges, strict=True):
        kept = [h for h in before.response.headers if Redaction().headers([h])]
        assert again.response.status == before.response.status
        assert sorted(again.response.headers) == sorted(kept)
        assert again.response.wire_sha256 == before.response.wire_sha256
        assert again.response.end == before.response.end
    assert KEY not in "".join(path.read_text() for path in tmp_path.glob("*"))


PLANTED = {
    "request bearer": "tok-planted-01-aaaaaaaa",
    "request api key": "key-planted-02-bbbbbbbb",
    "request cookie": "cookie-planted-03-cccccc",
    "query key": "query-planted-04-dddddd",
    "request body": "body-planted-05-eeeeee",
    "reply cookie": "reply-planted-06-ffffff",
    "reply header nobody listed": "header-planted-07-gggg",
    "openai key": "sk-planted08AAAAAAAAAAAAAAAA",
    "anthropic key": "sk-ant-api03-planted09-AAAAAAAA",
    "google key": "AIzaSyPlanted10AAAAAAAAAAAAAAAA",
    "google token": "ya29.planted11-AAAAAAAAA",
    "github token": "ghp_planted12AAAAAAAAAAAAA",
    "github fine token": "github_pat_planted13AAAAAAAAAAAA",
    "gitlab token": "glpat-planted14-AAAAAAAA",
    "aws key": "AKIAPLANTED15AAAAAAA",
    "slack token": "xoxb-planted16-AAAAAAAA",
    "stripe key": "sk_live_planted17AAAAAAAA",
    "webhook secret": "whsec_planted18AAAAAAAAAA",
    "hugging face token": "hf_planted19AAAAAAAAAA",
    "groq key": "gsk_planted20AAAAAAAAAA",
    "xai key": "xai-planted21AAAAAAAAAA",
    "npm token": "npm_planted22AAAAAAAAAA",
    "pypi token": "pypi-planted23AAAAAAAAAA",
    "private key": "-----BEGIN RSA PRIVATE KEY-----planted24-----END RSA PRIVATE KEY-----",
    "json web token": "eyJplanted25AA.eyJplanted25AA.sigplanted25",
    "organisation id": "org-planted26AAAAAAA",
    "project id": "proj_planted27AAAAAAA",
    "mail address": "planted28@example.com",
    "url with password": "https://user:planted29pass@db.example.com/x",
    "bearer in prose": "Bearer planted30-AAAAAAAA",
    "marker": "my-own-planted-31",
    "split over network chunks": "sk-planted32SplitOverChunksAAAA",
    "split over deltas": "sk-planted33SplitOverDeltasAAAA",
    "password member": "planted34-hunter2",
    "secret member in an error": "planted35-shh",
    "echoed percent-encoded": quote("mark er/planted+36", safe=""),
    "echoed in base64": base64.b64encode(b"planted-37-basis!!").decode(),
}


class _Leaky(BaseHTTPRequestHandler):
    """A provider that repeats everything it ever heard, cut where it hurts."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def do_POST(self) -> None:
        """Stream every planted secret."""
        size = int(self.headers["content-length"])
        body = self.rfile.read(size).decode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("set-cookie", PLANTED["reply cookie"])
        self.send_header("x-internal", PLANTED["reply header nobody listed"])
        self.send_header("x-request-id", "req_fx " + PLANTED["openai key"])
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        split = PLANTED["split over deltas"]
        frames = [{"text": secret} for what, secret in PLANTED.items() if what != "reply header nobody listed"]
        frames += [{"delta": split[:9]}, {"delta": split[9:]}, {"echo": body}]
        frames += [{"password": PLANTED["password member"]}, {"error": {"client_secret": PLANTED["secret member in an error"]}}]
        text = "".join(f"data: {json.dumps(frame)}\n\n" for frame in frames).encode()
        cut = text.index(PLANTED["split over network chunks"].encode()) + 8
        for piece in (text[:cut], text[cut:]):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")


@pytest.fixture
def leaky() -> Iterator[str]:
    """The leaky provider's URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Leaky)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_no_planted_secret_reaches_the_disk(leaky: str, tmp_path: Path):
    """In headers, query, bodies, members, prose, encodings, split over chunks and over deltas."""
    markers = [PLANTED["marker"], "mark er/planted+36", "planted-37-basis!!", "planted34-hunter2", "planted35-shh"]
    proxy = RecordingProxy(leaky, tmp_path, markers=markers).start()
    try:
        httpx.post(
            f"{proxy.url}/v1/x?key={PLANTED['query key']}",
            json={"say": PLANTED["request body"], "stream": True},
            headers={
                "authorization": f"Bearer {PLANTED['request bearer']}",
                "x-api-key": PLANTED["request api key"],
                "cookie": f"session={PLANTED['request cookie']}; other=1",
            },
        )
        _until(lambda: bool(proxy.written))
    finally:
        proxy.stop()

    (capture,) = tmp_path.iterdir()
    text = capture.read_text()
    echoed_body = {"request body"}
    leaked = [what for what, secret in PLANTED.items() if secret in text and what not in echoed_body]
    numbers = set(re.findall(r"planted[-_]?(\d\d)", text.lower()))

    assert leaked == []
    assert numbers <= {"05"}


def test_markers_must_name_what_only_the_owner_knows(leaky: str, tmp_path: Path):
    """What the request's body said is not kept from the request; an echo of it is, unless it was marked."""
    proxy = RecordingProxy(leaky, tmp_path, markers=[PLANTED["request body"]]).start()
    try:
        httpx.post(f"{proxy.url}/v1/x", json={"say": PLANTED["request body"]})
        _until(lambda: bool(proxy.written))
    finally:
        proxy.stop()

    assert PLANTED["request body"] not in next(tmp_path.iterdir()).read_text()


class _Binary(_Leaky):
    def do_POST(self) -> None:
        """Not UTF-8."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"\xff\xfe")


def test_what_cannot_be_read_is_not_kept(tmp_path: Path):
    """A reply that is no UTF-8 might hold anything: nothing is written, and it is said."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Binary)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    proxy = RecordingProxy(f"http://127.0.0.1:{server.server_address[1]}", tmp_path).start()
    try:
        httpx.post(f"{proxy.url}/v1/x", json={})
        _until(lambda: bool(proxy.refused))
    finally:
        proxy.stop()
        server.shutdown()
        server.server_close()

    assert proxy.refused == ["/v1/x: a UTF-8 reply expected, found byte 0 of another encoding"]
    assert list(tmp_path.iterdir()) == []


def _until(holds: object) -> None:
    """Wait for what another thread does, with a bound."""
    import time

    for _ in range(400):
        if holds():  # pyright: ignore[reportCallIssue] - a condition
            return
        time.sleep(0.02)
    raise AssertionError("it never came")
