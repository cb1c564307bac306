"""One model call of a turn: streamed through the plugins, retried as its policy says, recorded as one effect."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from lash_ref import activity
from lash_ref.cancel import CancellationToken
from lash_ref.dispatch import Show
from lash_ref.effects import EffectController
from lash_ref.errors import PluginError
from lash_ref.hooks import StreamFinishReason
from lash_ref.hosting import RuntimeCoreConfig
from lash_ref.plugin_events import PluginOwned, PluginRuntimeEvent
from lash_ref.plugin_session import PluginSession
from lash_ref.provider import (
    AttemptReset,
    Delta,
    LlmRequest,
    LlmResponse,
    LlmStreamEvent,
    Provider,
    ProviderFailure,
    ReasoningDelta,
    RetryStatus,
    TextPart,
    UsageSnapshot,
)
from lash_ref.retries import LlmCompletion, Retries
from lash_ref.scalars import Json, RecordJson
from lash_ref.usage import TokenUsage


class StreamAborted(Exception):
    """A stream hook wants the call to end with what has come."""


class TurnCancelled(Exception):
    """The token fired while the model was being asked."""


@dataclass
class ModelCall:
    """Runs one call and shows what it streams."""

    plugins: PluginSession
    provider: Provider
    controller: EffectController
    core: RuntimeCoreConfig
    token: CancellationToken
    show: Show
    emit: Callable[[PluginOwned[PluginRuntimeEvent]], Awaitable[None]]
    turn_id: str
    call_id: str
    usage: TokenUsage | None = None
    _said: list[str] = field(default_factory=list[str])
    """Text so far, in its pieces: an answer may have as many as it has tokens."""
    _prose: list[str] = field(default_factory=list[str])
    _reasoning: list[str] = field(default_factory=list[str])
    _attempt: int = 0

    async def run(self, effect_id: int, request: LlmRequest) -> LlmCompletion:
        """The call's end, its response as the response hooks leave it.

        Raises:
            TurnCancelled: the token fired first; nothing of the call is kept.
        """

        async def perform() -> Json:
            done = await self._or_cancelled(self._streamed(request))
            return RecordJson(done)

        asked = RecordJson(request)
        kept = await self.controller.run("llm_call", str(effect_id), asked, perform)
        completion = kept.read(LlmCompletion)
        if completion.response is None:
            return completion
        return await self._responded(completion, completion.response)

    async def _or_cancelled(self, work: Awaitable[LlmCompletion]) -> LlmCompletion:
        done: LlmCompletion | None = None
        try:
            async with asyncio.timeout(None) as limit:
                with self.token.stops(partial(limit.reschedule, 0)):
                    done = await work
        except Exception:
            if not self.token.is_cancelled():
                raise
        finally:
            if self.token.is_cancelled():
                await self._finished("cancelled")
        if done is None or self.token.is_cancelled():
            raise TurnCancelled
        return done

    async def _streamed(self, request: LlmRequest) -> LlmCompletion:
        retries = Retries(self.core.retry, self.core.clock, self.core.sleep)
        try:
            done = await retries.complete(self.provider, request, self.call_id, self._seen)
        except StreamAborted:
            await self._finished("aborted")
            said = "".join(self._said)
            response = LlmResponse(parts=(TextPart(text=said),) if said else (), usage=self.usage)
            return LlmCompletion.from_data({
                "record": {"call_id": self.call_id}, "response": response.to_data()
            })
        await self._finished("complete" if done.response is not None else "provider_error")
        if done.response is None:
            return done
        said = done.response.usage
        if (said is None or said == TokenUsage()) and self.usage is not None:
            return done.but(response=done.response.but(usage=self.usage))
        return done

    async def _seen(self, event: LlmStreamEvent) -> None:
        match event:
            case Delta(text=text):
                await self._delta(text)
            case ReasoningDelta(text=text):
                await self._think(text)
            case UsageSnapshot(usage=usage):
                self.usage = usage
            case AttemptReset():
                await self._reset()
            case RetryStatus():
                await self.show(f"{self.call_id}:retry", activity.RetryStatus.from_data(event.to_data()))
            case _:
                pass

    async def _delta(self, text: str) -> None:
        try:
            piped, events = await self.plugins.stream(text)
        except PluginError as err:
            raise ProviderFailure(str(err), "unknown", provider_code="plugin_assistant_stream") from err
        for owned in events:
            await self.emit(owned)
        for thought in piped.reasoning_deltas:
            await self._think(thought)
        if piped.chunk:
            await self._say(piped.chunk)
        if piped.abort_stream:
            raise StreamAborted

    async def _say(self, text: str) -> None:
        self._said.append(text)
        named = f"{self.call_id}:prose:{self._attempt}"
        if named not in self._prose:
            self._prose.append(named)
        await self.show(named, activity.AssistantProseDelta(text=text))

    async def _think(self, text: str) -> None:
        named = f"{self.call_id}:reasoning:{self._attempt}"
        if named not in self._reasoning:
            self._reasoning.append(named)
        await self.show(named, activity.ReasoningDelta(text=text))

    async def _reset(self) -> None:
        """Take back what the attempt streamed, live and for whoever reads the replay ([TRN.45][])."""
        await self._finished("attempt_reset")
        reset = activity.ModelAttemptReset(
            assistant_prose_correlation_ids=tuple(self._shown_as(self._prose)),
            reasoning_correlation_ids=tuple(self._shown_as(self._reasoning)),
        )
        self._prose, self._reasoning = [], []
        self._attempt += 1
        self._said, self.usage = [], None
        await self.show(f"{self.call_id}:reset", reset)

    def _shown_as(self, names: Sequence[str]) -> Iterator[str]:
        """Names of this call as the turn shows them."""
        return (f"{self.turn_id}:{name}" for name in names)

    async def _finished(self, reason: StreamFinishReason) -> None:
        failed = await self.plugins.stream_finished(reason)
        if failed is not None:
            self.core.trace("plugin.hook_failed", Json({"plugin": failed.plugin_id, "error": str(failed.value)}))

    async def _responded(self, completion: LlmCompletion, response: LlmResponse) -> LlmCompletion:
        try:
            if not self._prose and (shown := self.plugins.project_prose(response.full_text)):
                await self._say(shown)
            changed, events = await self.plugins.response(response)
        except PluginError as err:
            return completion.but(
                response=None,
                failure=None,
                failure_message=str(err),
                failure_reason="plugin_assistant_response",
            )
        for owned in events:
            await self.emit(owned)
        return completion if changed is response else completion.but(response=changed)
