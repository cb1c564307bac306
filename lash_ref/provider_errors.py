"""What a provider's refusal means: its kind, whether a repeat may help, and how long to wait.

Structured codes are asked first, known phrases next, the HTTP status last ([PRV.30][], [PRV.31][]).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final, cast

from lash_ref.provider import LlmTerminalReason, ProviderFailure, ProviderFailureKind


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
    r"prompt is too long|maximum context length|context window|input token count.*exceeds"
    r"|exceeds? the maximum number of (input )?tokens|input is too long"
)
_THROTTLED = re.compile(r"rate limit|throttl|\btpm\b|quota|per minute")
_SPENT = re.compile(r"credit balance is too low|insufficient_quota|usage_limit_reached|usage_not_included")
_GOOGLE_SPENT = re.compile(r"exceeded your current quota")
_GOOGLE_PACED = re.compile(r"retrydelay|please retry|quotametric|quota_metric|per (minute|day)")
_SECRET = re.compile(
    r"(sk-[A-Za-z0-9_-]{8,}|AIza[0-9A-Za-z_-]{16,}|ya29\.[0-9A-Za-z._-]+|[Bb]earer\s+[^\s\"',}]+)"
)
_DELAY = re.compile(r"^\s*(\d+(?:\.\d+)?)(ms|s)\s*$")

DIAGNOSTIC_LIMIT = 1024
"""Characters of a provider's words that the ledger keeps."""


def redacted(text: str) -> str:
    """``text`` without what looks like a key, wherever it stands in it ([PRV.37][])."""
    return _SECRET.sub("[redacted]", text)


def meaning(refusal: Refusal, codes: Mapping[str, Meaning]) -> Meaning:
    """What the refusal means to the ladder and to the turn."""
    if refusal.code is not None and refusal.code in codes:
        return codes[refusal.code]
    words = f"{refusal.message} {refusal.raw}".lower()
    if _OVERFLOW.search(words) and not _THROTTLED.search(words):
        return OVERFLOW
    if _SPENT.search(words):
        return HARD_QUOTA
    if refusal.status == 429 and _GOOGLE_SPENT.search(words) and not _GOOGLE_PACED.search(words):
        return HARD_QUOTA
    return _by_status(refusal.status)


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
) -> ProviderFailure:
    """The failure that the refusal is; inside a stream its kind is always ``stream`` ([PRV.34][])."""
    meant = meaning(refusal, codes)
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
        if re.fullmatch(r"\d{1,12}(\.\d+)?", value):
            return float(value) * scale
    try:
        when = parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return max(0.0, when.timestamp() - now_ms / 1000)


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
