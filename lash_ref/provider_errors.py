"""What a provider's refusal means: its kind, whether a repeat may help, and how long to wait.

Structured codes are asked first, known phrases next, the HTTP status last ([PRV.30][], [PRV.31][]).
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final, cast

from lash_ref.provider import LlmTerminalReason, ProviderFailure, ProviderFailureKind
from lash_ref.untrusted import mended, part


@dataclass(frozen=True, slots=True)
class Meaning:
    """How a refusal is to be taken."""

    kind: ProviderFailureKind
    retryable: bool = False
    reason: LlmTerminalReason = "provider_error"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A provider's error as its dialect spells it."""

    message: str
    code: str | None = None
    """The most telling code: OpenAI's ``code`` or ``type``, Anthropic's ``type``, Google's ``reason`` or ``status``."""
    status: int | None = None
    """The HTTP status, or the one the code stands for inside a stream."""
    raw: str = ""
    retry_delay_s: float | None = None


HARD_QUOTA: Final = Meaning("quota")
AUTH: Final = Meaning("auth")
OVERFLOW: Final = Meaning("validation", reason="context_overflow")
FILTERED: Final = Meaning("validation", reason="content_filter")
UNSUPPORTED: Final = Meaning("unsupported")

_OVERFLOW = re.compile(
    r"(prompt|input) (is )?too long|(maximum|model'?s|than the) context length|context window|maximum prompt length"
    r"|input token count.{0,80}exceeds|exceeds? (the )?maximum number of (input )?tokens"
    r"|exceeds? (the available context size|context limit)|too many tokens|request[ _]too[ _]large"
    r"|context_length_exceeded|model_context_window_exceeded|token limit exceeded"
    r"|exceeded model token limit|reduce the length of (the messages|your prompt)"
)
"""Words of Anthropic, OpenAI, Google and of who speaks their dialects; bounded, for the text is anybody's."""
_THROTTLED = re.compile(r"rate[ _]?limit|throttl|too many requests|\btpm\b|quota|per minute")
_FILTERED = re.compile(r"content_filter|prohibited_content|safety (filter|system)|sensitive content|content management policy")
_UNKNOWN_MODEL = re.compile(r"model_not_found|unsupported model|\bmodel\b.{0,120}(does not exist|not found)")
_SPENT = re.compile(r"credit balance is too low|insufficient_quota|usage_limit_reached|usage_not_included")
_GOOGLE_SPENT = re.compile(r"exceeded your current quota")
_GOOGLE_PACED = re.compile(r"retrydelay|please retry|quotametric|quota_metric|per (minute|day)")
_SECRET = re.compile(
    r"(sk-[A-Za-z0-9_-]{8,}|AIza[0-9A-Za-z_-]{16,}|ya29\.[0-9A-Za-z._-]+|[Bb]earer\s+[^\s\"',}]+"
    r"|(?i:api[_-]?key|access[_-]?token|[?&]key)[\"']?\s*[=:]\s*[\"']?[^\s\"'&,}<>]{6,})"
)
_DELAY = re.compile(r"^\s*(\d+(?:\.\d+)?)(ms|s)\s*$")

STANDS_FOR: Final[Mapping[str, int]] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "requests": 429,
    "tokens": 429,
    "api_error": 500,
    "server_error": 500,
    "server_is_overloaded": 503,
    "service_unavailable_error": 503,
    "temporarily_unavailable": 503,
    "bad_gateway": 502,
    "gateway_timeout": 504,
    "upstream_error": 502,
    "slow_down": 503,
    "timeout": 504,
    "timeout_error": 504,
    "overloaded_error": 529,
    "too_many_requests": 429,
    "rate_limited": 429,
    "RateLimitExceeded": 429,
    "engine_overloaded_error": 429,
    "throttlingException": 429,
    "ThrottlingException": 429,
    "RateLimitError": 429,
    "internal_error": 500,
    "internal_server_error": 500,
    "internalServerException": 500,
    "InternalServerError": 500,
    "overloaded": 503,
    "service_unavailable": 503,
    "serviceUnavailableException": 503,
    "ServiceUnavailableError": 503,
}
"""The status that a code or type of an error stands for inside a stream, where there is none."""

_REFUSED: Final = frozenset({None, 400, 403, 404, 422, 451})
"""Where words may say that the request itself is refused."""

DIAGNOSTIC_LIMIT = 1024
"""Characters of a provider's words that the ledger keeps."""


def runs(credential: str) -> frozenset[str]:
    """Runs of characters, of one length, that give a credential away: half of it, 8 to 12 of them."""
    size = min(12, max(8, len(credential) // 2))
    return frozenset(credential[start : start + size] for start in range(len(credential) - size + 1))


def redacted(text: str, credentials: Iterable[str] = ()) -> str:
    """``text`` without ``credentials`` and what looks like a key, wherever they stand in it ([PRV.37][]).

    A credential is known by its first eight characters, for a quotation may be cut, and by any half of it.
    """
    for credential in credentials:
        if len(credential) >= 8:
            known = "|".join(map(re.escape, (credential[:8], *sorted(runs(credential)))))
            text = re.sub(f"(?:{known})[^\\s\"',}}<>\\\\]*", "[redacted]", text)
    return _SECRET.sub("[redacted]", text)


def told_error(body: dict[str, Any]) -> dict[str, Any]:
    """The error of a reply: an object, the first of some, a bare text, or a flat reply itself ([PRV.35][])."""
    told, several = body.get("error"), body.get("errors")
    flat = {key: value for key, value in body.items() if (key, value) != ("type", "error")}
    if not told and isinstance(several, list) and several:
        (first, *_) = cast("list[Any]", several)
        return mended(first) if isinstance(first, dict) else {"message": str(first)}
    if isinstance(told, str):
        return mended(flat | {"message": told})
    return mended(part(body, "error") or flat)


def told_words(error: dict[str, Any]) -> str:
    """What the error says, or all of it where it has no message."""
    for said in (error.get("message"), error.get("detail")):
        if isinstance(said, str) and said:
            return said
    return f"the provider gave no message: {json.dumps(error)}" if error else "the provider gave no message"


def told_status(error: dict[str, Any], *codes: str | None) -> int | None:
    """The status that an error of a stream names, as a number or in digits, or that a code of it stands for."""
    for value in (error.get("code"), error.get("status")):
        if isinstance(value, str | int) and re.fullmatch(r"[45]\d\d", str(value)):
            return int(value)
    return next((STANDS_FOR[code] for code in codes if code in STANDS_FOR), None)


def told_code(error: dict[str, Any]) -> str | None:
    """The code of an error; null and a mere status are none ([PRV.35][])."""
    code = error.get("code")
    if not isinstance(code, str | int) or isinstance(code, bool) or re.fullmatch(r"[1-5]\d\d|", str(code)):
        return None
    return str(code)


def meaning(refusal: Refusal, codes: Mapping[str, Meaning]) -> Meaning:
    """What the refusal means for retries and for the turn."""
    return _told(refusal, codes) or _by_status(refusal.status)


def _told(refusal: Refusal, codes: Mapping[str, Meaning]) -> Meaning | None:
    """What its code or its words decide."""
    if refusal.code is not None and refusal.code in codes:
        return codes[refusal.code]
    words = f"{refusal.message} {refusal.raw}".lower()
    if refusal.status != 429 and _OVERFLOW.search(words) and not _THROTTLED.search(words):
        return OVERFLOW
    if _SPENT.search(words):
        return HARD_QUOTA
    if refusal.status in _REFUSED and _FILTERED.search(words):
        return FILTERED
    if refusal.status in _REFUSED and _UNKNOWN_MODEL.search(words):
        return UNSUPPORTED
    if refusal.status == 429 and _GOOGLE_SPENT.search(words) and not _GOOGLE_PACED.search(words):
        return HARD_QUOTA
    return None


def _by_status(status: int | None) -> Meaning:
    match status:
        case None:
            return Meaning("unknown")
        case 401 | 403:
            return AUTH
        case 402:
            return HARD_QUOTA
        case 408:
            return Meaning("timeout", retryable=True)
        case 409 | 425:
            return Meaning("http", retryable=True)
        case 429:
            return Meaning("quota", retryable=True)
        case 400 | 413 | 422:
            return Meaning("validation")
        case 501 | 505:
            return Meaning("http")
        case _:
            return Meaning("http", retryable=status >= 500)


def failure(
    refusal: Refusal,
    codes: Mapping[str, Meaning],
    *,
    in_stream: bool = False,
    retry_after_s: float | None = None,
    asked: bool | None = None,
) -> ProviderFailure:
    """The failure that the refusal is; inside a stream its kind is always ``stream`` ([PRV.34][]).

    ``asked`` is whether the provider asked for a repeat, or not to be asked again ([PRV.69][]).
    """
    meant = meaning(refusal, codes)
    if asked is False or (asked and _told(refusal, codes) is None):
        meant = replace(meant, retryable=asked)
    return ProviderFailure(
        redacted(refusal.message)[:DIAGNOSTIC_LIMIT],
        "stream" if in_stream else meant.kind,
        retryable=meant.retryable,
        status=None if in_stream else refusal.status,
        provider_code=redacted(refusal.code)[:DIAGNOSTIC_LIMIT] if refusal.code is not None else None,
        retry_after_s=retry_after_s if retry_after_s is not None else refusal.retry_delay_s,
        terminal_reason=meant.reason,
    )


def retry_after_s(headers: Mapping[str, str], now_ms: int) -> float | None:
    """Seconds to wait by the reply's headers: milliseconds, seconds, decimals or an HTTP date ([PRV.40][])."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if found := re.fullmatch(r"([0-9]{1,12}(\.[0-9]{1,12})?)(,.*)?", value):
            return float(found[1]) * scale
    try:
        when = parsedate_to_datetime(headers.get("retry-after", ""))
        when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
        return max(0.0, when.timestamp() - now_ms / 1000)
    except (ValueError, OverflowError):
        return None


def retry_delay_s(body: object) -> float | None:
    """Seconds to wait by the first ``retryDelay`` anywhere in a JSON error; never taken from prose ([PRV.41][])."""
    if isinstance(body, dict):
        owner = cast("dict[str, Any]", body)
        found = owner.get("retryDelay")
        if isinstance(found, str) and (match := _DELAY.match(found)):
            return float(match[1]) * (0.001 if match[2] == "ms" else 1.0)
        members: list[Any] = list(owner.values())
    elif isinstance(body, list):
        members = cast("list[Any]", body)
    else:
        return None
    return next((delay for member in members if (delay := retry_delay_s(member)) is not None), None)
