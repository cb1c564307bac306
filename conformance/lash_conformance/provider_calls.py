"""How provider checks ask a host for model calls, and how the reference makes them.

A host that speaks providers offers `SpeaksProviders.provider_calls`: it sets up one provider as the fixture's
``host`` says, at the given base URL, makes the fixture's calls in order, and answers what came of each as JSON.
Waits are recorded, never slept.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol, cast, runtime_checkable

from lash_conformance.fixture import BASE, Fixture
from lash_conformance.target import VirtualClock
from lash_ref.anthropic import AnthropicMessages
from lash_ref.contracts import Clock
from lash_ref.credentials import AccessToken, OAuth
from lash_ref.dialect import Dialect, Endpoint
from lash_ref.gemini import Gemini
from lash_ref.http_provider import HttpProvider
from lash_ref.openai_chat import OpenAiChat
from lash_ref.openai_responses import OpenAiResponses
from lash_ref.provider import LlmMessage, LlmRequest, LlmResponse, LlmStreamEvent
from lash_ref.retries import LlmCompletion, Retries, RetryPolicy

Data = dict[str, Any]

REFERENCE: Mapping[str, Dialect] = {
    made.kind: made for made in (AnthropicMessages(), OpenAiChat(), OpenAiResponses(), Gemini())
}
AUTHORIZATION: Mapping[str, tuple[tuple[str, str], ...]] = {
    "anthropic-messages": (("x-api-key", "sk-fixture"), ("anthropic-version", "2023-06-01")),
    "openai-chat": (("authorization", "Bearer sk-fixture"),),
    "openai-responses": (("authorization", "Bearer sk-fixture"),),
    "gemini": (("x-goog-api-key", "fixture"),),
}


@runtime_checkable
class SpeaksProviders(Protocol):
    """A host whose provider dialects can be judged."""

    async def provider_calls(self, fixture: Fixture, base_url: str) -> list[Data]:
        """Make the fixture's calls; of each answer ``events``, ``response`` or ``error``, ``attempts``, ``waits_ms``.

        ``events`` are stream events, ``response`` an LlmResponse, ``error`` the last attempt's error with
        ``message`` and ``terminal_reason``, each in lash's JSON.
        """
        ...


class ReferenceProviders:
    """The reference's dialects, made of parts so that a broken one can stand in for any of them."""

    def __init__(
        self,
        dialects: Mapping[str, Dialect] = REFERENCE,
        provider: type[HttpProvider] = HttpProvider,
        retries: type[Retries] = Retries,
    ) -> None:
        self.dialects = dialects
        self.provider = provider
        self.retries = retries

    async def provider_calls(self, fixture: Fixture, base_url: str) -> list[Data]:
        """As `SpeaksProviders.provider_calls`."""
        clock = VirtualClock(fixture.host.clock_ms)
        oauth = _oauth(fixture, base_url, clock)
        headers = () if oauth else AUTHORIZATION[fixture.dialect]
        endpoint = Endpoint.from_data({"base_url": base_url, "headers": headers} | fixture.host.options)
        provider = self.provider(self.dialects[fixture.dialect], endpoint, clock, auth=oauth)

        async def made(number: int, request: LlmRequest) -> tuple[Data, LlmResponse | None]:
            events: list[Data] = []
            waits: list[int] = []

            async def told(event: LlmStreamEvent) -> None:
                events.append(event.to_data())

            async def slept(seconds: float) -> None:
                waits.append(round(seconds * 1000))
                clock.advance(round(seconds * 1000))

            retries = self.retries(RetryPolicy.from_data(fixture.host.retry), clock, slept)
            done = await retries.complete(provider, request, f"call-{number}", told)
            return shown(done, events, waits), done.response

        found: list[Data] = []
        before: LlmRequest | None = None
        answer: LlmResponse | None = None
        try:
            if fixture.host.parallel:
                asked = [requested(fixture, call.request, n, None, None) for n, call in enumerate(fixture.calls)]
                return [data for data, _ in await asyncio.gather(*(made(n, one) for n, one in enumerate(asked)))]
            for number, call in enumerate(fixture.calls):
                before = requested(fixture, call.request, number, before, answer)
                data, answer = await made(number, before)
                found.append(data)
        finally:
            await provider.close()
        return found


def route(told: Data, clock: Clock) -> HttpProvider:
    """The provider that a core's description names as its route (``docs/kit.md``)."""
    headers = AUTHORIZATION[told["dialect"]]
    endpoint = Endpoint.from_data({"base_url": told["base_url"], "headers": headers} | told.get("options", {}))
    return HttpProvider(REFERENCE[told["dialect"]], endpoint, clock)


def _oauth(fixture: Fixture, base_url: str, clock: Clock) -> OAuth | None:
    setup = fixture.host.oauth
    if setup is None:
        return None
    url = base_url.removesuffix(BASE[fixture.dialect]) + setup.token_path
    current = AccessToken(value=setup.access_token, expires_at_ms=clock.now_ms() + setup.expires_in_ms)
    return OAuth(url, setup.client_id, setup.refresh_token, clock, current)


def requested(
    fixture: Fixture, written: Data, number: int, before: LlmRequest | None, answer: LlmResponse | None
) -> LlmRequest:
    """The request a call's JSON stands for; ``continue`` follows the last answer."""
    written = dict(written)
    if "continue" in written:
        if before is None or answer is None:
            raise ValueError(f"{fixture.id}: a call can only continue an answered one")
        said = LlmMessage.from_data({"role": "assistant", "blocks": [part.to_data() for part in answer.parts]})
        more = cast("list[Data]", written.pop("continue"))
        written["messages"] = [*(m.to_data() for m in before.messages), said.to_data(), *more]
        written.setdefault("tools", [tool.to_data() for tool in before.tools])
    defaults = {
        "model": fixture.host.model,
        "scope": {"session_id": "s1", "agent_frame_id": "f1", "request_id": f"r{number}"},
    }
    if fixture.host.capability:
        defaults["model_capability"] = fixture.host.capability
    return LlmRequest.from_data(defaults | written)


def shown(done: LlmCompletion, events: list[Data], waits: list[int]) -> Data:
    """A call's end as `SpeaksProviders` answers it."""
    error = None
    if done.failure is not None:
        error = done.failure.to_data() | {
            "message": done.failure_message,
            "terminal_reason": done.failure_reason,
            "retryable": done.failure_retryable,
        }
    return {
        "events": events,
        "response": done.response.to_data() if done.response is not None else None,
        "error": error,
        "attempts": [attempt.to_data() for attempt in done.record.attempts],
        "waits_ms": waits,
    }
