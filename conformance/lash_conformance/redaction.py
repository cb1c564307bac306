"""What of a captured exchange may be kept: headers by allowlist, bodies without anything that looks like a secret.

Everything is redacted in memory, on the whole text, before a byte reaches a disk ([RPL.10][], [RPL.11][]); so a
secret that was split over chunks is found all the same.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, cast
from urllib.parse import quote, quote_plus

KEPT_HEADERS: Final = re.compile(
    r"^(content-type|retry-after|retry-after-ms|x-should-retry|request-id|x-request-id"
    r"|(x|anthropic)-ratelimit-[a-z0-9-]+)$"
)
"""Reply headers worth keeping; every other is dropped, whatever it holds."""

SECRET_KEYS: Final = re.compile(
    r"(^|[_-])(api[_-]?key|x-api-key|authorization|password|passwd|secret|client[_-]?secret|private[_-]?key"
    r"|access[_-]?token|refresh[_-]?token|id[_-]?token|session[_-]?token|bearer|cookie|set-cookie|credential"
    r"|credentials|organization|organisation|org[_-]?id|account[_-]?id|project[_-]?id|user[_-]?id|email|phone)$",
    re.IGNORECASE,
)
"""JSON members whose values are never kept."""

PATTERNS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"\b(sk|pk|rk)-[A-Za-z0-9_-]{6,}",
        r"AIza[0-9A-Za-z_-]{10,}",
        r"ya29\.[0-9A-Za-z._-]{6,}",
        r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}",
        r"\bgh[pousr]_[A-Za-z0-9]{10,}|\bgithub_pat_[A-Za-z0-9_]{10,}|\bglpat-[A-Za-z0-9_-]{10,}",
        r"\b(AKIA|ASIA)[0-9A-Z]{12,}",
        r"\bxox[abeprs]-[A-Za-z0-9-]{8,}",
        r"\b(sk|rk|pk|whsec)_(live|test)?_?[A-Za-z0-9]{12,}",
        r"\bhf_[A-Za-z0-9]{12,}|\bgsk_[A-Za-z0-9]{12,}|\bxai-[A-Za-z0-9]{12,}|\bnpm_[A-Za-z0-9]{12,}|\bpypi-[A-Za-z0-9_-]{12,}",
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)",
        r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]*)?",
        r"\b(org|proj|acct|user|cus)[-_][A-Za-z0-9]{10,}",
        r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+",
        r"(?i)\b[a-z][a-z0-9+.-]*://[^/\s:@\"]+:[^/\s@\"]+@",
    )
)

GONE: Final = "redacted"
"""Stands where a secret stood."""


class Redaction:
    """Takes secrets out of text; knows the exchange's own credentials and what its owner marked."""

    def __init__(self, markers: Iterable[str] = ()) -> None:
        self._markers: set[str] = set()
        for marker in markers:
            self.learn(marker)

    def learn(self, secret: str) -> None:
        """Never keep ``secret``, in clear, percent-encoded, JSON-escaped or in base64."""
        secret = secret.strip()
        if len(secret) < 4:
            return
        self._markers |= {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
        self._markers.add(base64.b64encode(secret.encode()).decode().rstrip("="))
        scheme, _, rest = secret.partition(" ")
        if rest and scheme.lower() in {"bearer", "basic", "token"}:
            self.learn(rest)

    def learn_request(self, headers: Mapping[str, str], query: Mapping[str, str]) -> None:
        """Learn whatever a request authenticates with."""
        for name, value in headers.items():
            if re.search(r"auth|key|token|cookie|secret|organi[sz]ation|account|project", name, re.IGNORECASE):
                for piece in re.split(r"[;,]\s*", value):
                    self.learn(piece)
                    self.learn(piece.partition("=")[2])
        for value in query.values():
            self.learn(value)

    def text(self, text: str) -> str:
        """``text`` without secrets."""
        for marker in sorted(self._markers, key=len, reverse=True):
            text = text.replace(marker, GONE)
        for pattern in PATTERNS:
            text = pattern.sub(GONE, text)
        return text

    def value(self, value: Any) -> Any:
        """A JSON value without secrets; members of `SECRET_KEYS` lose theirs whatever they hold."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(member) for member in cast("list[Any]", value)]
        if isinstance(value, dict):
            members = cast("dict[str, Any]", value)
            return {
                self.text(key): GONE if SECRET_KEYS.search(key) and member is not None else self.value(member)
                for key, member in members.items()
            }
        return value

    def across(self, documents: list[dict[str, Any]]) -> None:
        """Blank, in place, the pieces of texts that a stream spelled out over several documents, where a secret spans them.

        To be called before anything else is taken out: half a secret that is gone hides the other half.
        """
        pieces: dict[str, list[tuple[Any, Any, str]]] = {}
        for document in documents:
            for path, stream, owner, key, said in _strings(document, "", ""):
                pieces.setdefault(path, []).append((owner, key, said))
                if stream:
                    pieces.setdefault(f"{path}{stream}", []).append((owner, key, said))
        for found in pieces.values():
            secrets = self._secrets("".join(said for _, _, said in found)) if len(found) > 1 else []
            start = 0
            for owner, key, said in found:
                end = start + len(said)
                if any(a < end and b > start and (a < start or b > end) for a, b in secrets):
                    owner[key] = GONE
                start = end

    def _secrets(self, text: str) -> list[tuple[int, int]]:
        """Where secrets stand in ``text``."""
        patterns = (*map(re.compile, map(re.escape, self._markers)), *PATTERNS)
        return [found.span() for pattern in patterns for found in pattern.finditer(text)]

    def headers(self, headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """The reply headers worth keeping, in their order."""
        return [(name.lower(), self.text(value)) for name, value in headers if KEPT_HEADERS.match(name.lower())]


def _stream_of(owner: dict[str, Any]) -> str:
    """Which of several texts that come by turns a document goes on with."""
    named = (owner.get(name) for name in ("index", "output_index", "content_index"))
    return "".join(f"#{index}" for index in named if isinstance(index, int))


def _strings(value: Any, path: str, stream: str) -> Iterator[tuple[str, str, Any, Any, str]]:
    """Every text in a JSON value with its path, the indices on the way, its owner and its key there."""
    if isinstance(value, dict):
        members = list(cast("dict[str, Any]", value).items())
        stream += _stream_of(cast("dict[str, Any]", value))
    elif isinstance(value, list):
        members = list(enumerate(cast("list[Any]", value)))
    else:
        return
    for key, member in members:
        if isinstance(member, str):
            yield f"{path}/{key}", stream, value, key, member
        else:
            yield from _strings(member, f"{path}/{key}", stream)
