"""The official SDKs as clients of the replayer: the whole matrix is green, and each exception says why."""

import pytest

from lash_conformance.fixture import fixtures
from lash_conformance.fixture_check import faults
from lash_conformance.replay_server import ReplayServer
from lash_conformance.sdk_matrix import cell, named


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::pydantic.warnings.PydanticDeprecationWarning")
@pytest.mark.parametrize("name", [made.id for made in fixtures().values() if made.sdk != "not-judged"])
def test_an_official_client_makes_of_a_fixture_what_it_should(name: str):
    """The same text and calls, or the client's own typed error."""
    made = fixtures()[name]
    server = ReplayServer(hang_s=1).start()
    try:
        found = cell(named(made.dialect), made, server)
    finally:
        server.stop()

    assert found.verdict == ("raises as it should" if made.sdk == "raises" else "agrees"), found.detail


def test_fixtures_hold():
    """Format, bytes, index, clauses, secrets, orphans and types; nothing is left over."""
    assert faults() == []


def test_every_fixture_of_the_inventory_is_here():
    """44 numbered fixtures, by what they are called there."""
    wanted = {
        "anthropic-messages": ["text", "tool-args-split", "tool-parallel", "tool-no-args", "thinking-roundtrip",
            "max-tokens-in-tool", "refusal", "context-window", "cache-usage", "overloaded-in-stream", "529-then-ok",
            "credit-400", "unknown-event-and-block"],
        "openai-chat": ["text-usage-tail", "tool-args-split", "tool-parallel-interleaved", "tool-missing-id",
            "reasoning-aliases", "refusal-delta", "refusal", "length", "done-without-finish", "in-stream-null-code",
            "context-400", "429-no-header", "429-retry-after", "429-insufficient-quota", "503-retry-after",
            "gateway-comments-metadata"],
        "openai-responses": ["text-phases", "tool-args-split", "tool-parallel", "reasoning-encrypted", "refusal",
            "incomplete-max-output", "response-failed", "flat-event"],
        "gemini": ["text-repeated", "tool-parallel-no-id", "thoughts", "blocked-prompt", "safety-finish",
            "in-band-503", "429-retryinfo", "api-key-400"],
    }  # fmt: skip
    transport = ["cut", "reset", "hang", "refused", "start-timeout", "malformed-json", "wrong-dialect", "duplicate-delta"]
    have = {(made.dialect, made.id.rpartition(".")[2]) for made in fixtures().values()}

    missing = {(d, case) for d, cases in wanted.items() for case in [*cases, *transport]} - have

    assert missing == set()
