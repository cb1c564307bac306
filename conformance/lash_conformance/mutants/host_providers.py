# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a patch replaces is typed where it stands
"""Broken provider dialects and ladders."""

import random
from typing import Any

from lash_conformance.mutants.host import BrokenHost, Patch, host_mutant
from lash_ref.dialect import Reading
from lash_ref.provider import (
    Delta,
    LlmResponse,
    PartDone,
    ProviderFailure,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from lash_ref.provider_errors import AUTH, Meaning
from lash_ref.records import TokenUsage
from lash_ref.scalars import Json
from lash_ref.sse import Framer, ServerSentEvent
from lash_ref.untrusted import MalformedReply


def answer(change: Any) -> Any:
    """A patch of `Reading.response` that changes the finished answer."""

    def make(original: Any) -> Any:
        def response(self: Any, **how: Any) -> LlmResponse:
            return change(self, original(self, **how))

        return response

    return make


def failing(change: Any) -> Any:
    """A patch of a function that makes a `ProviderFailure`, changing it."""

    def make(original: Any) -> Any:
        def failure(*args: Any, **named: Any) -> Any:
            made = original(*args, **named)
            change(made)
            return made

        return failure

    return make


@host_mutant("PRV.1", character="Impatient: takes every chunk for whole lines.")
class TakesChunksForLines(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def feed(self: Framer, chunk: bytes) -> list[ServerSentEvent]:
                return original(self, chunk if chunk.endswith(b"\n") else chunk + b"\n")

            return feed

        patch("lash_ref.sse:Framer.feed", make)


@host_mutant("PRV.2", character="Worldly: ends a line wherever Unicode may.")
class SplitsAtUnicodeLines(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def feed(self: Framer, chunk: bytes) -> list[ServerSentEvent]:
                for mark in ("\u2028", "\u2029", "\u0085"):
                    chunk = chunk.replace(mark.encode(), b"\n")
                return original(self, chunk)

            return feed

        patch("lash_ref.sse:Framer.feed", make)


@host_mutant("PRV.3", character="Literal: wants a space after the colon.")
class WantsTheSpace(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def line(self: Framer, text: bytes) -> ServerSentEvent | None:
                strict = text.startswith(b"data:") and not text.startswith(b"data: ")
                return None if strict else original(self, text)

            return line

        patch("lash_ref.sse:Framer._line", make)


@host_mutant("PRV.4", character="Summing: tells all the text so far with every delta.")
class TellsAllTextSoFar(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def take(self: Any, data: dict[str, Any]) -> Any:
                for event in original(self, data):
                    if isinstance(event, Delta):
                        self.said = getattr(self, "said", "") + event.text
                        yield Delta(text=self.said)
                    else:
                        yield event

            return take

        patch("lash_ref.dialect:Reading.take", make)


@host_mutant("PRV.5", character="Closed: fails on an event it does not know.")
class FailsOnStrangers(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def event(self: Any, data: dict[str, Any]) -> Any:
                if str(data.get("type", "")).startswith("future"):
                    raise MalformedReply(f"type: a known one expected, found {data['type']}")
                yield from original(self, data)

            return event

        patch("lash_ref.anthropic:MessagesReading.event", make)


@host_mutant("PRV.6", character="Cumulative: drops a delta that repeats the text so far.")
class DropsRepeatedText(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def say(self: Any, made: Any) -> None:
                last = self._parts[-1] if self._parts else None
                if isinstance(last, TextPart) and isinstance(made, TextPart) and made.text == last.text:
                    return
                original(self, made)

            return say

        patch("lash_ref.gemini:GeminiReading._say", make)


@host_mutant("PRV.7", character="First come: orders calls by arrival.")
class OrdersCallsByArrival(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def calls(self: Any) -> Any:
                arrived = list(self._calls)
                made = dict(zip(sorted(self._calls), original(self), strict=True))
                return iter([made[index] for index in arrived])

            return calls

        patch("lash_ref.openai_chat:ChatReading._tool_calls", make)


@host_mutant("PRV.8", character="Eager: shows a call as soon as its name is known.")
class ShowsCallsEarly(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def grow(self: Any, delta: dict[str, Any]) -> Any:
                yield from original(self, delta)
                if delta.get("tool_calls"):
                    yield from (PartDone(part=call) for call in self._tool_calls())

            return grow

        patch("lash_ref.openai_chat:ChatReading._grow", make)


@host_mutant("PRV.9", character="Candid: takes reasoning for the answer's text.")
class MixesReasoningIn(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def change(_: Any, response: LlmResponse) -> LlmResponse:
            parts = [TextPart(text=p.text) if isinstance(p, ReasoningPart) else p for p in response.parts]
            return response.but(parts=tuple(parts))

        patch("lash_ref.dialect:Reading.response", answer(change))


def _written(patch: Patch, where: str, change: Any) -> None:
    """Change the body that a dialect writes."""

    def make(original: Any) -> Any:
        def write(self: Any, request: Any, endpoint: Any) -> Any:
            call = original(self, request, endpoint)
            change(call.body, request)
            return call

        return write

    patch(where, make)


@host_mutant("PRV.10", character="Forgetful: leaves later system messages out.")
class LeavesLaterSystemOut(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _written(
            patch, "lash_ref.openai_responses:OpenAiResponses.write",
            lambda body, _: body.update(instructions=body.get("instructions", "").partition("\n\n")[0]),
        )  # fmt: skip


@host_mutant("PRV.11", character="Loose: sends neighbours of one role apart, empty text included.")
class SendsNeighboursApart(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(_: Any) -> Any:
            def runs(request: Any) -> Any:
                for message in request.messages:
                    yield message.role, list(message.blocks)

            return runs

        patch("lash_ref.anthropic:runs", make)
        patch("lash_ref.gemini:runs", make)


@host_mutant("PRV.12", character="Literal: says stop because the provider did.")
class SaysStopWithCalls(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch(
            "lash_ref.dialect:Reading.response",
            answer(lambda reading, made: made.but(terminal_reason=reading.reason()) if reading.terminal else made),
        )


@host_mutant("PRV.13", character="Stingy: asks for 4096 tokens when nobody says.")
class AsksForLess(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        for dialect in ("anthropic", "openai_chat", "openai_responses", "gemini"):
            patch(f"lash_ref.{dialect}:output_cap", lambda _: lambda request, endpoint: request.output_token_cap or 4096)


@host_mutant("PRV.14", character="Tidy: throws opaque replay data away.")
class ThrowsReplayAway(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def change(_: Any, response: LlmResponse) -> LlmResponse:
            kept = [
                p.but(replay=None) if isinstance(p, ReasoningPart | ToolCallPart) else p.but(response_meta=None)
                for p in response.parts
            ]
            return response.but(parts=tuple(kept))

        patch("lash_ref.dialect:Reading.response", answer(change))


@host_mutant("PRV.15", character="Random: mints an id for a call that has none.")
class MintsRandomIds(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def change(_: Any, response: LlmResponse) -> LlmResponse:
            minted = [
                p.but(call_id=f"call_{random.random()}") if (isinstance(p, ToolCallPart) and "_fx" in p.call_id) or
                (isinstance(p, ToolCallPart) and "-fx" in p.call_id) else p
                for p in response.parts
            ]
            return response.but(parts=tuple(minted))

        patch("lash_ref.dialect:Reading.response", answer(change))


@host_mutant("PRV.16", character="Frugal: hints the system prompt only.")
class HintsTheSystemOnly(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def change(body: dict[str, Any], _: Any) -> None:
            for message in body["messages"]:
                for block in message["content"]:
                    block.pop("cache_control", None)

        _written(patch, "lash_ref.anthropic:AnthropicMessages.write", change)


@host_mutant("PRV.17", character="Generous: sends cache hints to everyone.")
class HintsEveryone(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def change(body: dict[str, Any], _: Any) -> None:
            for message in body["messages"]:
                for item in message["content"] or []:
                    item["cache_control"] = {"type": "ephemeral"}

        _written(patch, "lash_ref.openai_chat:OpenAiChat.write", change)


@host_mutant("PRV.18", character="One-eyed: overlooks refusals in replies that were not streamed.")
class OverlooksBufferedRefusals(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def whole(self: Any, body: dict[str, Any]) -> None:
                for choice in body["choices"]:
                    choice["message"].pop("refusal", None)
                original(self, body)

            return whole

        patch("lash_ref.openai_chat:ChatReading.whole", make)


@host_mutant("PRV.19", character="Ceremonious: takes no stream for whole without its [DONE].")
class WantsDone(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            async def feed(self: Any, framed: list[Any], reading: Any, events: Any) -> None:
                if any(event.data.strip() == b"[DONE]" for event in framed):
                    reading.done = True
                await original(self, framed, reading, events)

            return feed

        patch("lash_ref.http_provider:HttpProvider._feed", make)

        def ends(original: Any) -> Any:
            def end(self: Any) -> Any:
                self.terminal = self.terminal and getattr(self, "done", False)
                return original(self)

            return end

        patch("lash_ref.openai_chat:ChatReading.end", ends)


@host_mutant("PRV.20", "PRV.45", character="Trusting: takes any end for the end.")
class TakesAnyEnd(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.dialect:Reading.end", lambda _: lambda self: self.response(finished=True))
        patch("lash_ref.gemini:GeminiReading.end", lambda _: lambda self: self.response(finished=True))
        patch("lash_ref.openai_chat:ChatReading.end", lambda _: lambda self: self.response(finished=True))


@host_mutant("PRV.21", "PRV.29", character="Hasty: runs the calls of a stream that just ended.")
class RunsUnfinishedCalls(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def response(self: Any, *, finished: bool, keep_tools: bool = False) -> LlmResponse:
                return original(self, finished=finished, keep_tools=True)

            return response

        patch("lash_ref.dialect:Reading.response", make)


@host_mutant("PRV.22", character="Flat: calls every lost connection a transport failure.")
class CallsEverythingTransport(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def change(made: Any) -> None:
            made.kind = "transport"

        patch("lash_ref.http_provider:_interrupted", failing(change))


@host_mutant("PRV.23", character="Careless: keeps a call that the limit cut in half.")
class KeepsCutCalls(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.dialect:_is_cut_call", lambda _: lambda part: False)


@host_mutant("PRV.24", character="Content: takes an empty answer for an answer.")
class TakesEmptyAnswers(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.openai_chat:ChatReading.end", lambda _: Reading.end)


@host_mutant("PRV.25", character="Deaf: hears no refusal.")
class HearsNoRefusal(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def change(_: Any, response: LlmResponse) -> LlmResponse:
            filtered = response.terminal_reason == "content_filter"
            return response.but(terminal_reason="stop") if filtered else response

        patch("lash_ref.dialect:Reading.response", answer(change))


@host_mutant("PRV.26", character="Vague: calls a full context window a provider error.")
class CallsOverflowAnError(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def change(_: Any, response: LlmResponse) -> LlmResponse:
            full = response.terminal_reason == "context_overflow"
            return response.but(terminal_reason="provider_error") if full else response

        patch("lash_ref.dialect:Reading.response", answer(change))


def _without(patch: Patch, kind: str) -> None:
    """Swallow events of one kind that the ladder tells."""

    def make(original: Any) -> Any:
        async def complete(self: Any, provider: Any, request: Any, call_id: str, events: Any) -> Any:
            async def some(event: Any) -> None:
                if event.type != kind:
                    await events(event)

            return await original(self, provider, request, call_id, some)

        return complete

    patch("lash_ref.ladder:Ladder.complete", make)


@host_mutant("PRV.27", character="Quiet: does not say that what it showed is void.")
class DoesNotTakeBack(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _without(patch, "attempt_reset")


@host_mutant("PRV.28", character="Thrifty: keeps what a failed attempt had said.")
class KeepsFailedText(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            async def complete(self: Any, request: Any, events: Any) -> LlmResponse:
                try:
                    response = await original(self, request, events)
                except Exception as err:
                    partial = getattr(err, "partial", None)
                    self.kept = getattr(self, "kept", ()) + (partial.parts if partial is not None else ())
                    raise
                return response.but(parts=getattr(self, "kept", ()) + response.parts)

            return complete

        patch("lash_ref.http_provider:HttpProvider.complete", make)


@host_mutant("PRV.29", character="Strict: tolerates no end of a stream, whatever the host says.")
class ToleratesNothing(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def init(self: Any, request: Any, endpoint: Any) -> None:
                original(self, request, endpoint)
                self.termination = "require_terminal_evidence"

            return init

        patch("lash_ref.dialect:Reading.__init__", make)


def _meaning(patch: Patch, change: Any) -> None:
    def make(original: Any) -> Any:
        def meaning(refusal: Any, codes: Any) -> Meaning:
            return change(refusal, original(refusal, codes))

        return meaning

    patch("lash_ref.provider_errors:meaning", make)


@host_mutant("PRV.30", character="Listed: repeats on a closed list of statuses, without 529.")
class ForgetsTheOverload(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        listed = {408, 409, 425, 429, 500, 502, 503, 504}
        _meaning(patch, lambda refusal, meant: meant if refusal.status in listed else Meaning(meant.kind, reason=meant.reason))


@host_mutant("PRV.31", character="Blind: goes by the status alone.")
class GoesByStatus(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch(
            "lash_ref.provider_errors:meaning",
            lambda _: lambda refusal, codes: Meaning("validation") if refusal.status == 400 else AUTH,
        )


@host_mutant("PRV.32", character="Hopeful: asks again when the credit is spent.")
class HopesForCredit(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _meaning(patch, lambda _, meant: Meaning("quota", retryable=True) if meant.kind == "quota" else meant)


@host_mutant("PRV.33", character="Vague: does not say that the prompt is too long.")
class HidesTheOverflow(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _meaning(patch, lambda _, meant: Meaning(meant.kind, meant.retryable))


@host_mutant("PRV.34", character="Settled: never repeats what failed inside a stream.")
class NeverRepeatsStreams(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def change(made: Any) -> None:
            made.retryable = made.retryable and made.kind != "stream"

        for module in ("anthropic", "openai_chat", "openai_responses", "gemini"):
            patch(f"lash_ref.{module}:failure", failing(change))


@host_mutant("PRV.35", character="Nested: looks for an error's fields in one place only.")
class LooksInOnePlace(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def failed(self: Any, error: dict[str, Any]) -> Any:
                return original(self, {} if "sequence_number" in error else error)

            return failed

        patch("lash_ref.openai_responses:ResponsesReading._failed", make)


@host_mutant("PRV.36", character="Brief: records that an attempt failed and no more.")
class RecordsNoMore(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def failed(self: Any, *args: Any) -> Any:
                return original(self, *args).but(usage=None, protocol_position="no_response")

            return failed

        patch("lash_ref.ladder:Ladder._failed", make)


@host_mutant("PRV.37", character="Frank: records keys that an error quotes.")
class RecordsKeys(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.provider_errors:redacted", lambda _: lambda text: text)
        patch("lash_ref.ladder:redacted", lambda _: lambda text: text)


@host_mutant("PRV.38", character="Steady: waits two seconds every time.")
class WaitsTheSame(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.ladder:RetryPolicy.backoff_s", lambda _: lambda self, index: self.base_delay_s)


@host_mutant("PRV.39", character="Tired: gives up after three attempts.")
class GivesUpEarly(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def reason(self: Any, failure: Any, spent: int) -> Any:
                return original(self, failure, spent + 1)

            return reason

        patch("lash_ref.ladder:Ladder._reason", make)


@host_mutant("PRV.40", character="Whole: reads whole seconds only.")
class ReadsWholeSeconds(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(_: Any) -> Any:
            def retry_after_s(headers: Any, now_ms: int) -> float | None:
                value = headers.get("retry-after", "")
                return float(value) if value.isdigit() else None

            return retry_after_s

        patch("lash_ref.http_provider:retry_after_s", make)


@host_mutant("PRV.41", character="Well-read: takes a wait from an error's prose, and none from its fields.")
class ReadsProse(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.http_provider:retry_delay_s", lambda _: lambda body: 20.0 if "20s" in str(body) else None)
        patch("lash_ref.gemini:retry_delay_s", lambda _: lambda body: None)


@host_mutant("PRV.42", character="Patient: waits as long as it is told.")
class WaitsForever(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def wait(self: Any, failure: Any, spent: int) -> float:
                told = failure.retry_after_s
                return told if told is not None else original(self, failure, spent)

            return wait

        patch("lash_ref.ladder:Ladder._wait_s", make)


@host_mutant("PRV.43", character="Strict: counts a throttle as an attempt.")
class CountsThrottles(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.provider:ProviderFailure.is_throttle", lambda _: property(lambda self: False))


@host_mutant("PRV.44", character="Selective: reads only what comes as an event.")
class IgnoresBareErrors(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(_: Any) -> Any:
            async def stray(self: Any, text: bytes, reading: Any, events: Any) -> None:
                return None

            return stray

        patch("lash_ref.http_provider:HttpProvider._stray", make)


def _usage(patch: Patch, where: str, change: Any) -> None:
    def make(original: Any) -> Any:
        def usage(self: Any) -> TokenUsage | None:
            made = original(self)
            return change(made) if made is not None else None

        return usage

    patch(where, make)


@host_mutant("PRV.50", character="Double: counts cached input twice.")
class CountsCacheTwice(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _usage(
            patch, "lash_ref.openai_chat:ChatReading.usage",
            lambda made: made.but(input_tokens=made.input_tokens + made.cache_read_input_tokens),
        )  # fmt: skip


@host_mutant("PRV.51", character="Polite: fills in a zero where nothing was reported.")
class FillsInZeros(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def evidence(self: Any, usage: Any) -> dict[str, Any]:
                found = original(self, usage)
                return found if "reasoning_output_tokens" in found else {}

            return evidence

        patch("lash_ref.dialect:Reading.evidence", make)


@host_mutant("PRV.52", character="Replacing: forgets the start's usage when the delta's comes.")
class ReplacesUsage(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(_: Any) -> Any:
            def count(self: Any, usage: dict[str, Any]) -> None:
                self.raw_usage = usage or self.raw_usage

            return count

        patch("lash_ref.anthropic:MessagesReading._count", make)


@host_mutant("PRV.53", character="Early: keeps the first value that a stream gives.")
class KeepsFirstValues(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def change(reading: Any, response: LlmResponse) -> LlmResponse:
            kept = response.response_metadata
            return response.but(response_metadata=Json({"body:/provider": "First"}) if kept is not None else None)

        patch("lash_ref.dialect:Reading.response", answer(change))


@host_mutant("PRV.58", character="Obliging: sends any effort.")
class SendsAnyEffort(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.openai_chat:chosen", lambda _: lambda model, able, asked: asked)


@host_mutant("PRV.59", character="Silent: leaves out what it cannot say.")
class LeavesOutTheUnsayable(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.openai_chat:_reasoning", lambda _: lambda request, endpoint: {})


@host_mutant("PRV.60", character="Clever: goes by the model's name.")
class GoesByTheName(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def thinking(request: Any, able: Any) -> dict[str, Any]:
                if request.model.startswith("claude"):
                    return {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}
                return original(request, able)

            return thinking

        patch("lash_ref.anthropic:_thinking", make)


@host_mutant("PRV.6", character="Suspicious: takes an event that repeats the one before for a mistake.")
class DropsRepeatedEvents(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def feed(self: Any, chunk: bytes) -> Any:
                before = getattr(feed, "before", None)
                kept = []
                for event in original(self, chunk):
                    if event != before:
                        kept.append(event)
                    before = event
                feed.before = before  # pyright: ignore[reportFunctionMemberAccess] - the patch's own memory
                return kept

            return feed

        patch("lash_ref.sse:Framer.feed", make)


@host_mutant("PRV.7", character="Single: keeps one call of an answer.")
class KeepsOneCall(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def change(_: Any, response: LlmResponse) -> LlmResponse:
            first = response.tool_calls[:1]
            kept = [p for p in response.parts if not isinstance(p, ToolCallPart) or p in first]
            return response.but(parts=tuple(kept))

        patch("lash_ref.dialect:Reading.response", answer(change))


@host_mutant("PRV.7", character="Pretty: writes a call's arguments anew.")
class RewritesArguments(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def change(_: Any, response: LlmResponse) -> LlmResponse:
            kept = [
                p.but(input_json=Json.parse(p.input_json).text.replace("{}", "{ }")) if isinstance(p, ToolCallPart) else p
                for p in response.parts
            ]
            return response.but(parts=tuple(kept))

        patch("lash_ref.dialect:Reading.response", answer(change))


@host_mutant("PRV.20", character="Thankful: takes a stream for whole once it has told its usage.", searched=True)
class TakesUsageForTheEnd(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def head(self: Any, data: dict[str, Any]) -> None:
                original(self, data)
                if data.get("usage"):
                    self.terminal = True
                    self.finish = self.finish or "stop"

            return head

        patch("lash_ref.openai_chat:ChatReading._head", make)


@host_mutant("PRV.22", character="Blurred: says stream of what never began.")
class SaysStreamOfNothing(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            async def complete(self: Any, request: Any, events: Any) -> LlmResponse:
                try:
                    return await original(self, request, events)
                except ProviderFailure as err:
                    if err.kind in {"transport", "timeout"}:
                        err.kind = "stream"
                    raise

            return complete

        patch("lash_ref.http_provider:HttpProvider.complete", make)


@host_mutant("PRV.23", character="Optimistic: takes the limit for a stop.")
class TakesTheLimitForAStop(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def change(_: Any, response: LlmResponse) -> LlmResponse:
            cut = response.terminal_reason == "output_limit"
            return response.but(terminal_reason="stop") if cut else response

        patch("lash_ref.dialect:Reading.response", answer(change))


@host_mutant("PRV.40", character="Own clock: waits by its ladder whatever the headers say.")
class WaitsByItsLadder(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.http_provider:retry_after_s", lambda _: lambda headers, now_ms: None)


@host_mutant("PRV.45", character="Forgiving: passes over a frame that it cannot read.")
class PassesOverBrokenFrames(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def parsed(data: bytes) -> dict[str, Any]:
                try:
                    return original(data)
                except MalformedReply:
                    return {}

            return parsed

        patch("lash_ref.http_provider:parsed", make)
