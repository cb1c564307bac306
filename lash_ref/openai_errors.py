"""Errors as OpenAI's two dialects and their many look-alikes spell them."""

from typing import Any, Final

from lash_ref.provider_errors import AUTH, FILTERED, HARD_QUOTA, OVERFLOW, UNSUPPORTED, Meaning, Refusal
from lash_ref.untrusted import count, part, text, words

OPENAI_CODES: Final[dict[str, Meaning]] = {
    "context_length_exceeded": OVERFLOW,
    "insufficient_quota": HARD_QUOTA,
    "usage_limit_reached": HARD_QUOTA,
    "usage_not_included": HARD_QUOTA,
    "billing_hard_limit_reached": HARD_QUOTA,
    "content_filter": FILTERED,
    "content_policy_violation": FILTERED,
    "model_not_found": UNSUPPORTED,
    "invalid_api_key": AUTH,
    "rate_limit_exceeded": Meaning("quota", retryable=True),
}
"""Codes of OpenAI's errors, which both of its dialects share."""

_STATUS: Final = {
    "server_error": 500,
    "rate_limit_error": 429,
    "requests": 429,
    "tokens": 429,
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "timeout": 504,
}


def openai_error(body: dict[str, Any]) -> dict[str, Any]:
    """The error of a reply: an object, a bare text, or the reply itself where it is flat ([PRV.35][])."""
    told = body.get("error")
    return {"message": told} if isinstance(told, str) else part(body, "error") or body


def openai_refusal(error: dict[str, Any], status: int | None) -> Refusal:
    """``{"message", "type", "code"}``; a null code is no code, so the type speaks ([PRV.35][])."""
    code = text(error, "code") if not isinstance(error.get("code"), int) else None
    kind = text(error, "type")
    if status is None and isinstance(error.get("code"), int):
        status = count(error, "code")
    if status is None:
        status = _STATUS.get(code or "") or _STATUS.get(kind or "")
    return Refusal(words(error, "message") or "the provider gave no message", code or kind, status, raw=str(error))
