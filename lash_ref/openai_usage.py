"""Usage as OpenAI's two dialects and their many look-alikes count it."""

from typing import Any

from lash_ref.untrusted import count, part
from lash_ref.usage import TokenUsage


def openai_usage(raw: dict[str, Any]) -> TokenUsage | None:
    """Prompt tokens less what a cache served or took; none when nothing was reported ([PRV.50][])."""
    if not raw:
        return None
    details = _either(raw, "prompt_tokens_details", "input_tokens_details")
    prompt = _first(raw, "prompt_tokens", "input_tokens") or 0
    completion = _first(raw, "completion_tokens", "output_tokens") or 0
    read = count(details, "cached_tokens")
    if read is None:
        read = _first(raw, "cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens")
    written = _first(details, "cache_write_tokens", "cache_creation_tokens")
    if written is None:
        written = _first(raw, "cache_write_tokens", "cache_creation_input_tokens")
    reasoning = reasoning_tokens(raw)
    beyond = (count(raw, "total_tokens") or 0) - prompt - completion
    if beyond > 0 and (beyond == reasoning or (reasoning is None and read is None)):
        completion += beyond  # some services count reasoning beside the completion, in the total alone
    return TokenUsage(
        input_tokens=max(0, prompt - (read or 0) - (written or 0)),
        output_tokens=completion,
        cache_read_input_tokens=read or 0,
        cache_write_input_tokens=written or 0,
        reasoning_output_tokens=reasoning or 0,
    )


def reasoning_tokens(raw: dict[str, Any]) -> int | None:
    """The reasoning within the output, or none where it was not reported."""
    told = count(_either(raw, "completion_tokens_details", "output_tokens_details"), "reasoning_tokens")
    return told if told is not None else count(raw, "reasoning_tokens")


def merged(before: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """What was reported so far with what is reported now, key by key ([PRV.52][])."""
    return before | {key: value for key, value in told.items() if value is not None}


def _first(raw: dict[str, Any], *keys: str) -> int | None:
    return next((found for key in keys if (found := count(raw, key)) is not None), None)


def _either(raw: dict[str, Any], one: str, other: str) -> dict[str, Any]:
    return part(raw, one) or part(raw, other)
