"""Provider fixtures served on loopback to any language, over the standard library's HTTP server.

A run is chosen by the base URL: ``POST /_replay/runs {"fixture", "chunking"?}`` answers ``run`` and
``base_url``; ``/r/<run>/<fixture>/…`` also starts one by itself on its first request.
``GET /_replay/runs/<run>`` reports, ``POST /_replay/runs/<run>/gates/<gate>`` opens a gate ([RPL.5][]).
"""

import contextlib
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from lash_conformance.fixture import BASE, Exchange, Fixture, FixtureFault, Frame, compact, fixtures
from lash_conformance.replay import MISMATCH_STATUS, Chunking, Mismatch, Replay, segments
from lash_conformance.request_content import UnreadableContent, content

PAUSE_LIMIT_MS = 50
"""The longest real pause for a fixture's ``delay_ms``; recorded time is not waited for."""

_RUN = re.compile(r"^/r/(?P<run>[^/]+)/(?P<fixture>[^/]+)(?P<rest>/.*)?$")
_CONTROL = re.compile(r"^/_replay/runs/(?P<run>[^/]+)(?:/gates/(?P<gate>[^/]+))?$")


class ReplayServer(ThreadingHTTPServer):
    """Serves on 127.0.0.1; port 0 takes a free one."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int = 0, hang_s: float = 3600.0, offered: Mapping[str, Fixture] | None = None) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.offered = fixtures() if offered is None else offered
        """The fixtures served, by id."""
        self.runs: dict[str, Replay] = {}
        self.hang_s = hang_s
        """How long a ``hang`` lasts when the client does not go away."""
        self.stopping = threading.Event()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """The server's root."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def begin(self, fixture: Fixture, chunking: str = "frame", run: str | None = None) -> tuple[str, Replay]:
        """Start a run; answers its base URL and its state."""
        with self._lock:
            name = run or f"run{len(self.runs) + 1}"
            replay = self.runs[name] = Replay(fixture, Chunking(chunking))
        return f"{self.url}/r/{name}/{fixture.id}{BASE[fixture.dialect]}", replay

    def named(self, run: str, fixture: str) -> Replay | None:
        """The run, begun now if nobody has; none for a fixture that does not exist."""
        if run not in self.runs and fixture in self.offered:
            self.begin(self.offered[fixture], run=run)
        found = self.runs.get(run)
        return found if found is not None and found.fixture.id == fixture else None

    def start(self) -> "ReplayServer":
        """Serve in a thread of this process."""
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True).start()
        return self

    def stop(self) -> None:
        """Serve no more; hanging replies end."""
        self.stopping.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is none of our business."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ReplayServer  # pyright: ignore[reportIncompatibleVariableOverride] - the only server that uses it

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing; the run's report says it all."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        try:
            body = content(self)
        except UnreadableContent as err:
            self._json(413, {"error": str(err)})
            self.close_connection = True
            return
        if self.path.startswith("/_replay/"):
            self._control(body)
            return
        match = _RUN.match(self.path)
        replay = self.server.named(match["run"], match["fixture"]) if match else None
        if match is None or replay is None:
            self._json(404, {"error": f"no run or fixture at {self.path}; see /_replay/fixtures"})
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        found = replay.answer(self.command, match["rest"] or "/", headers, body)
        if isinstance(found, Mismatch):
            self._json(MISMATCH_STATUS, {"error": {"message": found.fault}}, {"x-lash-replay": "mismatch"})
            return
        self._answer(replay, found)

    # -- control

    def _control(self, body: bytes) -> None:
        match = _CONTROL.match(self.path)
        try:
            if self.path == "/_replay/fixtures":
                self._json(200, {"fixtures": {name: made.proves for name, made in self.server.offered.items()}})
            elif self.path == "/_replay/runs" and self.command == "POST":
                asked = cast("dict[str, Any]", json.loads(body))
                name = f"run{len(self.server.runs) + 1}"
                made = self.server.offered[str(asked["fixture"])]
                base_url, _ = self.server.begin(made, str(asked.get("chunking", "frame")), name)
                self._json(200, {"run": name, "base_url": base_url})
            elif match and match["gate"]:
                self.server.runs[match["run"]].gate(match["gate"]).set()
                self._json(200, {"open": match["gate"]})
            elif match:
                self._json(200, self.server.runs[match["run"]].report())
            else:
                self._json(404, {"error": f"nothing at {self.path}"})
        except KeyError as err:
            self._json(404, {"error": f"no fixture, run or gate {err}"})
        except (ValueError, TypeError, FixtureFault) as err:
            self._json(400, {"error": str(err)})

    def _json(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        text = compact(value).encode()
        self.send_response(status)
        for name, said in ({"content-type": "application/json"} | (headers or {})).items():
            self.send_header(name, said)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    # -- replaying

    def _answer(self, replay: Replay, exchange: Exchange) -> None:
        response = exchange.response
        if response.before != "answer":
            if response.before == "hang":
                self._hang()
            self._close(reset=response.before == "refuse")
            return
        chunked = response.framing == "chunked"
        self.send_response_only(response.status)
        for name, value in response.headers:
            self.send_header(name, value)
        if chunked:
            self.send_header("transfer-encoding", "chunked")
        else:
            length = len(response.body()) + (1 if response.end != "eof" else 0)
            self.send_header("content-length", str(length))
        self.end_headers()
        self.wfile.flush()
        for step in segments(exchange, replay.chunking):
            if isinstance(step, Frame):
                self._wait(replay, step)
                continue
            self.wfile.write(b"%x\r\n%b\r\n" % (len(step), step) if chunked else step)
            self.wfile.flush()
        match response.end:
            case "eof":
                if chunked:
                    self.wfile.write(b"0\r\n\r\n")
            case "hang":
                self._hang()
                self._close(reset=False)
            case end:
                self._close(reset=end == "reset")

    def _wait(self, replay: Replay, step: Frame) -> None:
        if step.gate is not None:
            gate = replay.gate(step.gate)
            while not gate.wait(0.05) and not self.server.stopping.is_set():
                pass
        elif step.delay_ms is not None:
            time.sleep(min(step.delay_ms, PAUSE_LIMIT_MS) / 1000)

    def _hang(self) -> None:
        """Say nothing more until the client goes away, the server stops, or the bound is over."""
        until = time.monotonic() + self.server.hang_s
        self.connection.settimeout(0.05)
        while time.monotonic() < until and not self.server.stopping.is_set():
            try:
                if not self.connection.recv(1):
                    return
            except TimeoutError:
                continue
            except OSError:
                return

    def _close(self, *, reset: bool) -> None:
        self.close_connection = True
        if reset:
            time.sleep(PAUSE_LIMIT_MS / 1000)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
        self.rfile.close()
        self.wfile.close()
        self.connection.close()
