"""Retries of one model call: which failures are retried, after how long, and a record of every attempt."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal

from lash_ref.contracts import Clock
from lash_ref.provider import (
    AttemptReset,
    LlmEventSink,
    LlmRequest,
    LlmResponse,
    LlmTerminalReason,
    ProtocolPosition,
    Provider,
    ProviderFailure,
    ProviderFailureKind,
    RetryStatus,
)
from lash_ref.provider_errors import DIAGNOSTIC_LIMIT, redacted
from lash_ref.scalars import U64, Json, Record, Text
from lash_ref.usage import TokenUsage

Sleep = Callable[[float], Awaitable[None]]
"""Waits that many seconds; a host passes `asyncio.sleep`, a test its own."""

AttemptOutcome = Literal["completed", "failed", "aborted", "interrupted"]
_OUTCOMES: Final[dict[LlmTerminalReason, AttemptOutcome]] = {"unknown": "interrupted", "cancelled": "aborted"}
"""Of attempts that were answered without an end."""
RetryReason = Literal[
    "provider_retry_after", "retryable_failure", "not_retryable", "retry_budget_exhausted"
]


class RetryPolicy(Record, extra="forbid"):
    """How often and how patiently a call is repeated; times in seconds."""

    max_attempts: U64 = 4
    base_delay_s: float = 2.0
    max_delay_s: float = 10.0
    max_retry_after_s: float = 60.0
    throttle_budget_s: float = 90.0

    def backoff_s(self, retry_index: int) -> float:
        """The delay before retry ``retry_index``, 0 for the first."""
        return min(self.base_delay_s * 2.0**retry_index, self.max_delay_s)


class AttemptError(Record):
    kind: ProviderFailureKind
    provider_code: Text | None = None
    http_status: U64 | None = None
    provider_request_id: Text | None = None
    retry_after_s: float | None = None
    diagnostic: Text


class LlmAttempt(Record):
    """One attempt of a call."""

    ordinal: U64
    started_at_ms: U64
    duration_ms: U64
    outcome: AttemptOutcome
    protocol_position: ProtocolPosition = "terminal_observed"
    retry_budget_consumed: bool = True
    retry_scheduled: bool = False
    retry_delay_s: float | None = None
    retry_reason: RetryReason | None = None
    error: AttemptError | None = None
    evidence: Json | None = None
    usage: TokenUsage | None = None


class LlmCallRecord(Record):
    """One call with every attempt at it."""

    call_id: Text
    label: Text | None = None
    attempts: tuple[LlmAttempt, ...] = ()


class LlmCompletion(Record):
    """A call that ended: its answer, or its last failure."""

    record: LlmCallRecord
    response: LlmResponse | None = None
    failure: AttemptError | None = None
    failure_message: Text | None = None
    failure_retryable: bool = False
    failure_reason: Text = "provider_error"


@dataclass
class Retries:
    """Repeats failed attempts of one call under a policy."""

    policy: RetryPolicy
    clock: Clock
    sleep: Sleep

    async def complete(
        self, provider: Provider, request: LlmRequest, call_id: str, events: LlmEventSink
    ) -> LlmCompletion:
        """The call's end; before each retry the streamed attempt is reset, then the wait is announced."""
        attempts: list[LlmAttempt] = []
        spent, throttled_s = 0, 0.0
        while True:
            started = self.clock.now_ms()
            try:
                response = await provider.complete(request, events)
            except ProviderFailure as failure:
                throttle = failure.is_throttle
                wait = self._wait_s(failure, spent)
                if throttle and throttled_s + max(wait, 1.0) <= self.policy.throttle_budget_s:
                    throttled_s += max(wait, 1.0)
                else:
                    throttle = False
                    spent += 1
                reason = self._reason(failure, spent)
                again = reason in {"provider_retry_after", "retryable_failure"}
                attempts.append(self._failed(failure, attempts, started, throttle, again, wait, reason))
                if not again:
                    return _failed_call(LlmCallRecord(call_id=call_id, attempts=tuple(attempts)), failure)
                await events(AttemptReset())
                await events(
                    RetryStatus(
                        wait_seconds=int(wait),
                        attempt=len(attempts),
                        max_attempts=self.policy.max_attempts,
                        reason=failure.message,
                    )
                )
                await self.sleep(wait)
            else:
                attempts.append(self._completed(response, attempts, started))
                record = LlmCallRecord(call_id=call_id, attempts=tuple(attempts))
                return LlmCompletion(record=record, response=response)

    def _wait_s(self, failure: ProviderFailure, spent: int) -> float:
        if failure.retry_after_s is not None:
            return min(failure.retry_after_s, self.policy.max_retry_after_s)
        return self.policy.backoff_s(spent)

    def _reason(self, failure: ProviderFailure, spent: int) -> RetryReason:
        if not failure.retryable:
            return "not_retryable"
        if spent >= self.policy.max_attempts:
            return "retry_budget_exhausted"
        return "provider_retry_after" if failure.retry_after_s is not None else "retryable_failure"

    def _failed(
        self,
        failure: ProviderFailure,
        before: list[LlmAttempt],
        started: int,
        throttle: bool,
        again: bool,
        wait: float,
        reason: RetryReason,
    ) -> LlmAttempt:
        interrupted = failure.kind in {"timeout", "stream"}
        return LlmAttempt(
            ordinal=len(before) + 1,
            started_at_ms=started,
            duration_ms=max(0, self.clock.now_ms() - started),
            outcome="interrupted" if interrupted else "failed",
            protocol_position=failure.position,
            retry_budget_consumed=not throttle,
            retry_scheduled=again,
            retry_delay_s=wait if again else None,
            retry_reason=reason,
            error=attempt_error(failure),
            evidence=failure.partial.execution_evidence if failure.partial is not None else None,
            usage=failure.partial.usage if failure.partial is not None else None,
        )

    def _completed(self, response: LlmResponse, before: list[LlmAttempt], started: int) -> LlmAttempt:
        outcome = _OUTCOMES.get(response.terminal_reason, "completed")
        reached: ProtocolPosition = "output_started" if response.parts else "response_observed"
        return LlmAttempt(
            ordinal=len(before) + 1,
            started_at_ms=started,
            duration_ms=max(0, self.clock.now_ms() - started),
            outcome=outcome,
            protocol_position="terminal_observed" if outcome == "completed" else reached,
            evidence=response.execution_evidence,
            usage=response.usage,
        )


def attempt_error(failure: ProviderFailure) -> AttemptError:
    """The failure as the ledger keeps it."""
    return AttemptError(
        kind=failure.kind,
        provider_code=failure.provider_code,
        http_status=failure.status,
        provider_request_id=failure.request_id,
        retry_after_s=failure.retry_after_s,
        diagnostic=redacted(failure.message)[:DIAGNOSTIC_LIMIT],
    )


def _failed_call(record: LlmCallRecord, failure: ProviderFailure) -> LlmCompletion:
    return LlmCompletion(
        record=record,
        failure=attempt_error(failure),
        failure_message=failure.message,
        failure_retryable=failure.retryable,
        failure_reason=failure.terminal_reason,
    )
