"""A recorded exchange with a provider: what is asked, the exact bytes that answer, and what they must come to.

One JSON file a scenario, under ``fixtures/providers/<dialect>/<mode>/<case>.json`` ([RPL.1][]). The frames are
the bytes: an object is written compact, in the file's key order, in UTF-8; ``raw`` and ``b64`` are verbatim.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

SCHEMA = "lash.provider-fixture/1"
DIALECTS = ("anthropic-messages", "openai-chat", "openai-responses", "gemini")

DialectName = Literal["anthropic-messages", "openai-chat", "openai-responses", "gemini"]
End = Literal["eof", "cut", "reset", "hang"]
"""``eof`` closes cleanly, ``cut`` closes inside the body, ``reset`` resets, ``hang`` waits for the client."""


class FixtureFault(Exception):
    """A fixture breaks the format; the message names the file and the fault."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Matcher(_Strict):
    """What a value of the request must be; exactly one of these."""

    equals: Any = None
    present: bool | None = None
    contains: str | None = None
    matches: str | None = None
    min_len: int | None = None
    any_of: list[Any] | None = None


class RequestMatch(_Strict):
    """The request an exchange answers; anything that does not match fails closed."""

    method: Literal["POST", "GET"] = "POST"
    path: str
    """Or a regular expression between slashes when it starts with ``^``."""
    headers: dict[str, Any] = Field(default_factory=dict[str, Any])
    """By lower-case name a matcher; ``any_of`` is a list of lists of names of which one list must be present."""
    body: dict[str, Matcher] = Field(default_factory=dict[str, Matcher])
    """By JSON pointer, into a form's fields too; pointers separated by ``|`` are tried in order."""


class Frame(_Strict):
    """One step of the reply: bytes, a pause, a gate, or the end."""

    event: str | None = None
    data: Any = None
    raw: str | None = None
    b64: str | None = None
    delay_ms: int | None = None
    gate: str | None = None
    end: End | None = None

    def bytes(self, newline: str) -> bytes:
        """What the frame puts on the wire."""
        if self.raw is not None:
            return self.raw.encode()
        if self.b64 is not None:
            return base64.b64decode(self.b64)
        if "data" not in self.model_fields_set:
            return b""
        text = self.data if isinstance(self.data, str) else compact(self.data)
        name = f"event: {self.event}{newline}" if self.event is not None else ""
        return f"{name}data: {text}{newline}{newline}".encode()


class Response(_Strict):
    """The reply: status, headers, and its body as frames or as one JSON document."""

    status: int = 200
    headers: list[tuple[str, str]] = Field(default_factory=list[tuple[str, str]])
    framing: Literal["chunked", "length"] = "chunked"
    newline: Literal["lf", "crlf"] = "lf"
    frames: list[Frame] = Field(default_factory=list[Frame])
    json_body: Any = Field(default=None, alias="json")
    before: Literal["answer", "refuse", "hang"] = "answer"
    """``refuse`` closes the connection and ``hang`` stays silent, both before any header."""
    wire_sha256: str = ""
    """Of all body bytes, so that any replayer can prove it sends the same."""

    @property
    def end(self) -> End:
        """How the body ends."""
        ends: list[End] = [frame.end for frame in self.frames if frame.end is not None]
        return ends[0] if ends else "eof"

    def pieces(self) -> Iterator[bytes]:
        """The body, a piece a frame."""
        newline = "\r\n" if self.newline == "crlf" else "\n"
        if self.json_body is not None:
            yield compact(self.json_body).encode()
        for frame in self.frames:
            piece = frame.bytes(newline)
            if piece:
                yield piece

    def body(self) -> bytes:
        """All of it."""
        return b"".join(self.pieces())


class Exchange(_Strict):
    """One request and its reply."""

    role: Literal["completion", "token"] = "completion"
    request: RequestMatch
    response: Response


class Call(_Strict):
    """One call of the host, which may take several exchanges, and what must come of it."""

    request: dict[str, Any]
    """In the form of `lash_ref.provider.LlmRequest`; a `continue` list follows the last answer instead of `messages`."""
    expect: dict[str, Any]
    """``events`` in order; of ``response``, ``error`` and each of ``attempts`` the keys that matter; ``waits_ms``."""


class OAuthSetup(_Strict):
    """A route whose access token is renewed by refresh-token grant at ``token_path`` of the provider's own host."""

    token_path: str
    client_id: str
    refresh_token: str
    access_token: str
    expires_in_ms: int
    """After ``clock_ms``."""


class Host(_Strict):
    """How the host is set up."""

    model: str = "m"
    capability: dict[str, Any] = Field(default_factory=dict[str, Any])
    options: dict[str, Any] = Field(default_factory=dict[str, Any])
    """In the form of `lash_ref.dialect.Endpoint`, without its base URL."""
    retry: dict[str, Any] = Field(default_factory=dict[str, Any])
    clock_ms: int = 1_790_000_000_000
    oauth: OAuthSetup | None = None
    parallel: bool = False
    """Whether the calls are made at once."""


class Provenance(_Strict):
    """Where the exchange comes from; nothing here was captured live unless it says so."""

    kind: Literal["captured_live", "provider_documentation", "real_world_report", "sdk_types", "synthetic"]
    source: str
    captured_at: str | None = None
    api_version: str | None = None
    sdk_checked: dict[str, str] = Field(default_factory=dict[str, str])
    redaction: Literal["none needed", "reviewed"] = "none needed"
    review_after: str = "2027-05-01"

    @model_validator(mode="after")
    def _honest(self) -> "Provenance":
        """A live capture says when it was made and that somebody read it; nothing else has a time ([RPL.16][])."""
        if self.kind == "captured_live" and (self.captured_at is None or self.redaction != "reviewed"):
            raise ValueError("captured_live expected with captured_at and redaction reviewed")
        if self.kind != "captured_live" and self.captured_at is not None:
            raise ValueError(f"captured_at expected of captured_live only, found with {self.kind}")
        return self


class Fixture(_Strict):
    """One scenario."""

    schema_: Literal["lash.provider-fixture/1"] = Field(alias="schema")
    id: str
    dialect: DialectName
    covers: list[str]
    proves: str
    divergence: list[str] = Field(default_factory=list[str])
    """Upstream gaps (G1..G24) on which the expectation differs from lash 0.1.0-alpha.113."""
    derived_from: str | None = None
    sdk: Literal["accepts", "raises", "not-judged"] = "not-judged"
    """What an official client makes of it; ``not-judged`` where a client cannot tell."""
    sdk_note: str = ""
    """Why no client can judge it."""
    provenance: Provenance
    host: Host = Field(default_factory=Host)
    exchanges: list[Exchange]
    calls: list[Call]

    @property
    def path(self) -> str:
        """Its file, below the fixtures' root."""
        dialect, mode, case = self.id.split(".", 2)
        return f"{dialect}/{mode}/{case}.json"


def compact(value: Any) -> str:
    """JSON as the wire carries it: no spaces, the given key order, UTF-8."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def directory() -> Path:
    """Where provider fixtures lie: beside the checkout's package, or packed into the wheel."""
    packed = Path(__file__).parent / "_data" / "fixtures" / "providers"
    return packed if packed.is_dir() else Path(__file__).parents[2] / "fixtures" / "providers"


BASE: dict[str, str] = {
    "anthropic-messages": "",
    "openai-chat": "/v1",
    "openai-responses": "/v1",
    "gemini": "/v1beta",
}
"""What a dialect's base URL ends in, behind the server's root."""


def read(path: Path) -> Fixture:
    """One file.

    Raises:
        FixtureFault: it is not of the format, or its bytes are not the ones it pins.
    """
    try:
        made = Fixture.model_validate_json(path.read_bytes())
    except ValidationError as err:
        fault = err.errors(include_url=False)[0]
        raise FixtureFault(f"{path.name}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}") from err
    for number, exchange in enumerate(made.exchanges):
        found = hashlib.sha256(exchange.response.body()).hexdigest()
        if found != exchange.response.wire_sha256:
            raise FixtureFault(
                f"{made.id}: exchange {number} pins {exchange.response.wire_sha256}, its bytes are {found}"
            )
    return made


@cache
def fixtures() -> dict[str, Fixture]:
    """Every fixture of this project by id, dialect by dialect.

    Raises:
        FixtureFault: as `gathered`.
    """
    return gathered(directory())


def gathered(root: Path) -> dict[str, Fixture]:
    """Every fixture under ``root`` by id.

    Raises:
        FixtureFault: one breaks the format, or is filed under another name ([RPL.1][], [RPL.2][]).
    """
    found: dict[str, Fixture] = {}
    for path in sorted(root.glob("*/*/*.json")):
        made = read(path)
        if made.path != path.relative_to(root).as_posix():
            raise FixtureFault(f"{path.relative_to(root)}: holds {made.id}")
        if made.id.partition(".")[0] != made.dialect:
            raise FixtureFault(f"{path.relative_to(root)}: {made.id} is of {made.dialect}")
        found[made.id] = made
    return dict(sorted(found.items(), key=lambda item: (DIALECTS.index(item[1].dialect), item[0])))
