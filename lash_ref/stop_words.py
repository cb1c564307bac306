"""Words for why an answer stopped, of OpenAI, of Anthropic, and of many who speak like either."""

from typing import Final

from lash_ref.provider import LlmTerminalReason

_WORDS: Final[dict[LlmTerminalReason, str]] = {
    "stop": (
        "stop eos eos_token stop_sequence stop_token end_turn pause_turn end_of_text endoftext complete completed finished"
    ),
    "output_limit": "length max_tokens max_output_tokens max_length token_limit",
    "context_overflow": "model_length model_context_window_exceeded",
    "tool_use": "tool_calls tool_call function_call tool_use",
    "content_filter": "content_filter safety sensitive refusal recitation prohibited_content blocklist spii",
}
REASONS: Final[dict[str, LlmTerminalReason]] = {word: reason for reason, words in _WORDS.items() for word in words.split()}
"""By word, in small letters."""
UNFINISHED: Final = frozenset({"null", "none", "not_finished"})
"""What some write where an answer goes on."""


def reason_of(word: str | None) -> LlmTerminalReason:
    """The reason a word gives; no word is a stop, and one that nobody knows an error ([PRV.86][])."""
    return REASONS.get(word.lower(), "provider_error") if word else "stop"
