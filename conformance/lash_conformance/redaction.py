"""What of a captured exchange may be kept: headers by allowlist, bodies without anything that looks like a secret.

Everything is redacted in memory, on the whole text, before a byte reaches a disk ([RPL.10][], [RPL.11][]); so a
secret that was split over chunks is found all the same.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, cast
from urllib.parse import quote, quote_plus, unquote

from lash_ref.provider_errors import runs

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
        r"\beyJ[A-Za-z0-9_-]{8,1024}\.[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]*)?",
        r"\b(org|proj|acct|user|cus)[-_][A-Za-z0-9]{10,}",
        r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+",
        r"[A-Za-z][A-Za-z0-9+.-]{0,20}://[^/\s:@\"]{1,256}:[^/\s@\"]{1,256}@",
    )
)

ASSIGNED: Final = re.compile(
    r"(?i)(?:[?&;](?:key|token|sig|signature|auth|code)=|(?<![A-Za-z])(?:api[_-]?key|password|passwd|(?:client[_-]?)?secret|private[_-]?key"
    r"|(?:access|refresh|id|session|auth)[_-]?token)\\*[\"']?\s{0,8}[:=]\s{0,8}\\*[\"']?)(?!null|true|false|none)([^\s\"'\\,;&}<>]{4,})"
)
"""A secret behind its name: in a query, in JSON inside a text, in prose."""

ENCODED: Final = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}|(?:[\w.~+/=-]|%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}){8,}")
"""What may be text in base64, in hexadecimal, percent-encoded or in JSON escapes."""

LOOSE: Final = re.compile(r"[\r\n]+(?:[a-z]*: ?)?")
"""What stands between two lines of a stream."""

GONE: Final = "redacted"
"""Stands where a secret stood."""

Span = tuple[int, int]


class Redaction:
    """Takes secrets out of text; knows the exchange's own credentials and what its owner marked."""

    def __init__(self, markers: Iterable[str] = ()) -> None:
        self._markers: set[str] = set()
        self._runs: dict[int, set[str]] = {}
        """Runs of characters of credentials, by their length: a part of a key gives the rest away."""
        for marker in markers:
            self.learn(marker)

    def learn(self, secret: str) -> None:
        """Never keep ``secret``, in clear, percent-encoded, JSON-escaped, in hexadecimal or in base64."""
        secret = secret.strip()
        if len(secret) >= 4:
            self._markers |= {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
            self._markers |= {secret.encode().hex(), secret.encode().hex().upper(), *_in_base64(secret)}

    def learn_credential(self, secret: str) -> None:
        """Never keep ``secret`` or half of it; of what is too short and too plain to be one, nothing is learned."""
        secret = secret.strip()
        scheme, _, rest = secret.partition(" ")
        if rest and scheme.lower() in {"bearer", "basic", "token"}:
            self.learn_credential(rest)
            for decoded in _decoded(rest) if scheme.lower() == "basic" else ():
                self.learn_credential(decoded.partition(":")[2])
            return
        if len(secret) < 8 and (secret.isalpha() or secret.isdigit()):
            return
        self.learn(secret)
        for run in runs(secret):
            self._runs.setdefault(len(run), set()).add(run)

    def learn_request(self, headers: Mapping[str, str], query: Iterable[tuple[str, str]]) -> None:
        """Learn whatever a request authenticates with."""
        for name, value in headers.items():
            if re.search(r"auth|key|token|cookie|secret|organi[sz]ation|account|project", name, re.IGNORECASE):
                for piece in re.split(r"[;,]\s*", value):
                    self.learn_credential(piece)
                    self.learn_credential(piece.partition("=")[2])
        for name, value in query:
            if re.search(r"auth|key|token|sig|secret|code|password|credential|session", name, re.IGNORECASE):
                self.learn_credential(value)

    def learn_cookie(self, cookie: str) -> None:
        """Learn the value that a reply sets; its attributes are no secret."""
        self.learn_credential(cookie.partition(";")[0].partition("=")[2])

    def text(self, text: str) -> str:
        """``text`` without secrets."""
        end = 0
        kept: list[str] = []
        for first, last in sorted(self._secrets(text)):
            if first >= end:
                kept += [text[end:first], GONE]
            end = max(end, last)
        return "".join([*kept, text[end:]])

    def lines(self, text: str) -> str | None:
        """Lines of a stream without secrets; none when a secret runs over the end of a line."""
        redacted = self.text(text)
        return redacted if self.text(LOOSE.sub("", text)) == LOOSE.sub("", redacted) else None

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

    def _secrets(self, text: str) -> list[Span]:
        """Where secrets stand in ``text``, in clear or in an encoding of their own."""
        plain = self._in_clear(text)
        return plain + [
            token.span() for token in ENCODED.finditer(text) if any(self._in_clear(said) for said in _decoded(token[0]))
        ]

    def _in_clear(self, text: str) -> list[Span]:
        found = [match.span() for pattern in PATTERNS for match in pattern.finditer(text)]
        found += [match.span(1) for match in ASSIGNED.finditer(text) if match[1] != GONE]
        found += [match.span() for marker in self._markers if marker in text for match in re.finditer(re.escape(marker), text)]
        for size, known in self._runs.items():
            found += [(at, at + size) for at in range(len(text) - size + 1) if text[at : at + size] in known]
        return found

    def headers(self, headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """The reply headers worth keeping, in their order."""
        return [(name.lower(), self.text(value)) for name, value in headers if KEPT_HEADERS.match(name.lower())]


def _in_base64(secret: str) -> Iterator[str]:
    """The secret in both alphabets of base64, wherever in a longer text it begins; what its neighbours tinge is left off."""
    for before in range(3):
        data = bytes(before) + secret.encode()
        encoded = base64.b64encode(data).rstrip(b"=").decode()[-(-before * 8 // 6) :]
        whole = encoded[:-1] if len(data) % 3 else encoded
        if len(whole) >= 8:
            yield from (whole, whole.translate(str.maketrans("+/", "-_")))


def _decoded(token: str) -> Iterator[str]:
    """The texts that a token may stand for."""
    if "%" in token:
        yield unquote(token)
    if "\\u" in token:
        yield re.sub(r"\\u([0-9A-Fa-f]{4})", lambda match: chr(int(match[1], 16)), token)
    for decode in (bytes.fromhex, _from_base64):
        try:
            said = decode(token).decode("ascii")
        except ValueError:
            continue
        if said.isprintable():
            yield said


def _from_base64(token: str) -> bytes:
    bare = token.rstrip("=").translate(str.maketrans("-_", "+/"))
    return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)


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
