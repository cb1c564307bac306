"""Errors as OpenAI's two dialects and their many look-alikes spell them."""

from typing import Any, Final

from lash_ref.provider_errors import (
    AUTH,
    FILTERED,
    HARD_QUOTA,
    OVERFLOW,
    UNSUPPORTED,
    Meaning,
    Refusal,
    told_code,
    told_status,
    told_words,
)
from lash_ref.untrusted import text

OPENAI_CODES: Final[dict[str, Meaning]] = {
    "context_length_exceeded": OVERFLOW,
    "exceed_context_size_error": OVERFLOW,
    "insufficient_quota": HARD_QUOTA,
    "usage_limit_reached": HARD_QUOTA,
    "usage_not_included": HARD_QUOTA,
    "billing_hard_limit_reached": HARD_QUOTA,
    "billing_not_active": HARD_QUOTA,
    "exceeded_current_quota_error": HARD_QUOTA,
    "content_filter": FILTERED,
    "content_policy_violation": FILTERED,
    "moderation_blocked": FILTERED,
    "model_not_found": UNSUPPORTED,
    "invalid_api_key": AUTH,
    "rate_limit_exceeded": Meaning("quota", retryable=True),
}
"""Codes of OpenAI's errors, which both of its dialects share, and of servers that speak like it."""


def openai_refusal(error: dict[str, Any], status: int | None) -> Refusal:
    """``{"message", "type", "code"}``; a null code is no code, so the type speaks ([PRV.35][])."""
    code, kind = told_code(error), text(error, "type")
    if status is None:
        status = told_status(error, code, kind)
    return Refusal(told_words(error), code or kind, status, raw=str(error))
