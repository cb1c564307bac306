"""One replay of a fixture: requests are matched in strict order, and everything that goes wrong is kept.

The loopback server and the in-process transport both ask a `Replay` what to answer ([RPL.3][], [RPL.4][]).
A replay is clean only when every exchange was used, none twice, and no request differed.
"""

import json
import random
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qsl

from lash_conformance.fixture import Exchange, Fixture, Frame, Matcher, RequestMatch
from lash_ref.dialect import pointed

MISMATCH_STATUS = 422
"""Answered to a request that does not match: never a 5xx, or clients would repeat it."""


class Chunking:
    """How body bytes are cut: ``frame``, ``byte``, ``whole`` or ``seed:N``."""

    def __init__(self, name: str = "frame") -> None:
        if not re.fullmatch(r"frame|byte|whole|seed:\d+", name):
            raise ValueError(f"chunking is frame, byte, whole or seed:N; found {name!r}")
        self.name = name

    def cut(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The same bytes, otherwise cut."""
        match self.name:
            case "frame":
                yield from pieces
            case "byte":
                for piece in pieces:
                    yield from (piece[i : i + 1] for i in range(len(piece)))
            case "whole":
                yield b"".join(pieces)
            case seeded:
                draw = random.Random(int(seeded.partition(":")[2]))
                rest = b"".join(pieces)
                while rest:
                    size = draw.randint(1, 40)
                    yield rest[:size]
                    rest = rest[size:]


@dataclass(frozen=True)
class Mismatch:
    """A request that is not the one expected; the words name what was expected and what was found."""

    fault: str


@dataclass
class Replay:
    """The state of one run over one fixture; safe to ask from several threads."""

    fixture: Fixture
    chunking: Chunking = field(default_factory=Chunking)
    used: int = 0
    requests: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    mismatches: list[str] = field(default_factory=list[str])
    gates: dict[str, threading.Event] = field(default_factory=dict[str, threading.Event])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> Exchange | Mismatch:
        """The next exchange if the request is its request; header names are lower case."""
        with self._lock:
            self.requests.append({"method": method, "path": path, "body": _shown(body)})
            if self.used == len(self.fixture.exchanges):
                return self._wrong(f"no request expected after {self.used}, found {method} {path}")
            expected = self.fixture.exchanges[self.used]
            fault = differs(expected.request, method, path, headers, body)
            if fault:
                return self._wrong(f"exchange {self.used}: {fault}")
            self.used += 1
            return expected

    def _wrong(self, fault: str) -> Mismatch:
        self.mismatches.append(fault)
        return Mismatch(fault)

    def gate(self, name: str) -> threading.Event:
        """The gate of that name; frames behind it wait until it is set."""
        with self._lock:
            return self.gates.setdefault(name, threading.Event())

    @property
    def unused(self) -> int:
        """Exchanges that nobody asked for."""
        return len(self.fixture.exchanges) - self.used

    @property
    def faults(self) -> list[str]:
        """What keeps the replay from being clean."""
        return self.mismatches + ([f"{self.unused} exchange(s) were never asked for"] if self.unused else [])

    def report(self) -> dict[str, Any]:
        """The run as JSON."""
        return {
            "fixture": self.fixture.id,
            "requests": self.requests,
            "mismatches": self.mismatches,
            "unused": self.unused,
            "clean": not self.faults,
        }


def segments(exchange: Exchange, chunking: Chunking) -> Iterator[Frame | bytes]:
    """The body as a sender goes through it: cut bytes, and between them pauses and gates."""
    response = exchange.response
    if response.json_body is not None:
        yield from chunking.cut(response.pieces())
        return
    newline = "\r\n" if response.newline == "crlf" else "\n"
    run: list[bytes] = []
    for frame in response.frames:
        if frame.gate is None and frame.delay_ms is None:
            run.append(frame.bytes(newline))
            continue
        yield from chunking.cut(piece for piece in run if piece)
        run = []
        yield frame
    yield from chunking.cut(piece for piece in run if piece)


def differs(
    expected: RequestMatch, method: str, path: str, headers: Mapping[str, str], body: bytes
) -> str:
    """What of the request is not as expected, or empty; volatile values are never asked about."""
    if method != expected.method:
        return f"{expected.method} expected, found {method}"
    bare = path.partition("?")[0]
    matched = re.search(expected.path, bare) if expected.path.startswith("^") else expected.path == bare
    if not matched:
        return f"path {expected.path} expected, found {bare}"
    for name, wanted in expected.headers.items():
        if name == "any_of":
            if not any(all(one in headers for one in names) for names in wanted):
                return f"one of the headers {wanted} expected, found none"
        elif fault := _unlike(Matcher.model_validate(wanted), headers.get(name)):
            return f"header {name}: {fault}"
    if expected.body:
        try:
            document = _document(headers.get("content-type", ""), body)
        except ValueError:
            return f"a JSON body expected, found {body[:80]!r}"
        for pointers, matcher in expected.body.items():
            values = [pointed(document, pointer) for pointer in pointers.split("|")]
            value = next((value for value in values if value is not None), None)
            if fault := _unlike(matcher, value):
                return f"body {pointers}: {fault}"
    return ""


def _document(content_type: str, body: bytes) -> Any:
    return dict(parse_qsl(body.decode())) if "form-urlencoded" in content_type else json.loads(body)


def _unlike(matcher: Matcher, value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    given = matcher.model_fields_set
    if "present" in given and (value is not None) is not matcher.present:
        return f"{'a value' if matcher.present else 'nothing'} expected, found {text:.200}"
    if "equals" in given and value != matcher.equals:
        return f"{json.dumps(matcher.equals)} expected, found {text:.200}"
    if matcher.contains is not None and (value is None or matcher.contains not in text):
        return f"something with {matcher.contains!r} expected, found {text:.200}"
    if matcher.matches is not None and (value is None or not re.search(matcher.matches, text)):
        return f"something like {matcher.matches} expected, found {text:.200}"
    if matcher.min_len is not None:
        length = len(cast("list[Any]", value)) if isinstance(value, list | str | dict) else 0
        if length < matcher.min_len:
            return f"at least {matcher.min_len} members expected, found {length}"
    if matcher.any_of is not None and value not in matcher.any_of:
        return f"one of {matcher.any_of} expected, found {text:.200}"
    return ""


def _shown(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")
