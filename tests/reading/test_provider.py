"""Retries and the scripted provider."""

import asyncio

import pytest

from lash_ref.errors import InvalidRecord
from lash_ref.provider import (
    AttemptReset,
    Delta,
    LlmMessage,
    LlmRequest,
    LlmScope,
    LlmStreamEvent,
    ProviderFailure,
    RetryStatus,
    SingleProviderResolver,
    TextBlock,
)
from lash_ref.records import ModelSpec
from lash_ref.retries import Retries, RetryPolicy
from lash_ref.scripted import Reply, ScriptedProvider
from lash_ref.store import SystemClock

REQUEST = LlmRequest(
    model="m",
    messages=(LlmMessage(role="user", blocks=(TextBlock(text="hi"),)),),
    scope=LlmScope(session_id="s", request_id="r"),
)


def drive(provider, policy=None):
    waits: list[float] = []
    seen: list[LlmStreamEvent] = []

    async def sleep(seconds):
        waits.append(seconds)

    async def sink(event):
        seen.append(event)

    retries = Retries(policy or RetryPolicy(), SystemClock(), sleep)
    return asyncio.run(retries.complete(provider, REQUEST, "call-1", sink)), waits, seen


def flaky(**more):
    return ProviderFailure("overloaded", "http", retryable=True, status=503, **more)


def test_retries_double_their_delay_and_stop_after_four_attempts():
    provider = ScriptedProvider([Reply(fails=flaky()) for _ in range(5)])
    done, waits, seen = drive(provider)
    assert (done.response, len(done.record.attempts), waits) == (None, 4, [2.0, 4.0, 8.0])
    assert done.failure_retryable
    assert [type(event) for event in seen] == [AttemptReset, RetryStatus] * 3


def test_a_retry_resets_what_was_streamed_then_answers():
    provider = ScriptedProvider([Reply("par", fails=flaky()), "whole"])
    done, _, seen = drive(provider)
    assert done.response is not None
    assert done.response.full_text == "whole"
    assert [type(e).__name__ for e in seen][:4] == ["Delta", "AttemptReset", "RetryStatus", "Delta"]
    assert isinstance(seen[3], Delta)


def test_a_throttle_waits_on_its_own_budget():
    throttled = ProviderFailure("slow down", "quota", retryable=True, status=429, retry_after_s=20.0)
    provider = ScriptedProvider([Reply(fails=throttled) for _ in range(4)] + ["ok"])
    done, waits, _ = drive(provider)
    assert done.response is not None
    assert waits == [20.0] * 4
    assert [a.retry_budget_consumed for a in done.record.attempts] == [False] * 4 + [True]


def test_retry_after_is_capped_and_a_final_failure_is_not_retried():
    provider = ScriptedProvider([Reply(fails=flaky(retry_after_s=600.0)), Reply(fails=ProviderFailure("bad", "auth"))])
    done, waits, _ = drive(provider)
    assert waits == [60.0]
    assert done.record.attempts[-1].retry_reason == "not_retryable"


def test_a_script_that_ran_out_says_so():
    done, _, _ = drive(ScriptedProvider([]))
    assert done.failure is not None
    assert done.failure.kind == "unsupported"


def test_resolver_knows_its_provider_only():
    provider = ScriptedProvider(kind="a")
    assert SingleProviderResolver(provider).resolve("a") is provider
    assert SingleProviderResolver(provider).resolve("b") is None


def test_token_limits_must_be_positive():
    spec = ModelSpec.from_token_limits("m", "high", 1000, 100)
    assert spec.variant.value == {"effort": "high"}
    for window, output in ((0, None), (10, 0)):
        with pytest.raises(InvalidRecord):
            ModelSpec.from_token_limits("m", None, window, output)
