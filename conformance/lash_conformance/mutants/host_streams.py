# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a patch replaces is typed where it stands
"""Broken readers of streams: bytes framed wrongly, deltas and calls put together wrongly."""

import re
from typing import Any

from lash_conformance.mutants.host import BrokenHost, Patch, host_mutant
from lash_conformance.mutants.host_patches import answer
from lash_ref.provider import Delta, LlmResponse, PartDone, ReasoningPart, TextPart, ToolCallPart
from lash_ref.scalars import Json
from lash_ref.sse import Framer, ServerSentEvent
from lash_ref.untrusted import MalformedReply


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
            def say(self: Any, said: str, signature: str | None, *, thought: bool) -> Any:
                last = self._spoken[-1].said.pieces if self._spoken else []
                if last != [said]:
                    yield from original(self, said, signature, thought=thought)

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


@host_mutant("PRV.46", character="Punctual: takes an event without data for a broken one.")
class BreaksOnBlanks(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.http_provider:_is_blank", lambda _: lambda data: data == b"[DONE]")


@host_mutant("PRV.46", character="Exact: takes a byte order mark for a part of the first line.")
class KeepsTheMark(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.http_provider:_opening", lambda _: lambda head: head)


@host_mutant("PRV.47", character="Streaming: takes every reply for a stream.")
class TakesDocumentsForStreams(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.http_provider:_is_document", lambda _: lambda start: False)
        patch("lash_ref.sse:_FIELD", lambda _: re.compile(b""))


@host_mutant("PRV.7", character="Single-handed: joins fragments without an index into one call.")
class JoinsWithoutIndex(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.openai_chat:ChatReading._place", lambda _: lambda self, fragment: (fragment.get("index") or 0, 0))


@host_mutant("PRV.5", "PRV.6", character="Closing: fails on what comes behind the end.")
class FailsBehindTheEnd(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def take(self: Any, data: dict[str, Any]) -> Any:
                if self.terminal or not data:
                    raise MalformedReply("nothing expected, found an event")
                yield from original(self, data)

            return take

        patch("lash_ref.dialect:Reading.take", make)
