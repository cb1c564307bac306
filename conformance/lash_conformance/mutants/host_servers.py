# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a patch replaces is typed where it stands
"""Broken readers of bytes and shapes that servers of many makers send."""

from typing import Any

from lash_conformance.mutants.host import BrokenHost, Patch, host_mutant
from lash_ref.sse import Framer, ServerSentEvent
from lash_ref.untrusted import MalformedReply, count, parsed, part, piece, whole, words


@host_mutant("PRV.2", character="Unixoid: ends a line at LF, and takes a CR for a letter.")
class EndsLinesAtLf(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def feed(self: Framer, chunk: bytes) -> list[ServerSentEvent]:
                return original(self, chunk.replace(b"\r", b""))

            return feed

        patch("lash_ref.sse:Framer.feed", make)


@host_mutant("PRV.2", character="Split: takes a CR LF that two chunks split for two line ends.")
class EndsSplitLinesTwice(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def feed(self: Framer, chunk: bytes) -> list[ServerSentEvent]:
                self._after_cr = False
                return original(self, chunk)

            return feed

        patch("lash_ref.sse:Framer.feed", make)


@host_mutant("PRV.67", character="Stock: reads gzip as its HTTP library does, one member of it.")
class ReadsOneMember(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.http_provider:decoded", lambda _: lambda reply: reply.aiter_bytes())


@host_mutant("PRV.68", character="Strict: takes half a pair for no JSON.")
class RefusesHalves(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(_: Any) -> Any:
            def with_halves(data: bytes, err: ValueError) -> Any:
                raise MalformedReply(f"a JSON object expected: {err}")

            return with_halves

        patch("lash_ref.untrusted:_with_halves", make)


@host_mutant("PRV.68", character="Hasty: mends each delta by itself.")
class MendsEachDelta(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            return lambda self, said: original(self, whole(said))

        patch("lash_ref.joined:Joined.add", make)


@host_mutant("PRV.68", character="Waiting: never says the half that no other half followed.")
class KeepsTheLastHalf(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.joined:Joined.close", lambda _: lambda self: "")


@host_mutant("PRV.56", character="Exact: reads on behind the end, and fails on what is no JSON there.")
class ReadsOnBehindTheEnd(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            async def feed(self: Any, framed: Any, reading: Any, events: Any) -> None:
                for event in framed:
                    if event.data.strip() not in {b"", b"[DONE]"}:
                        parsed(event.data)
                await original(self, framed, reading, events)

            return feed

        patch("lash_ref.http_provider:HttpProvider._feed", make)


@host_mutant("PRV.77", character="Official: looks for deltas alone in a stream.")
class LooksForDeltas(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.openai_chat:_delta", lambda _: lambda choice: part(choice, "delta"))


@host_mutant("PRV.77", character="Silent: reads a whole reply in an event and tells nobody.")
class TellsNoWholeReply(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.dialect:Reading.tell_whole", lambda _: lambda self: iter(()))


@host_mutant("PRV.78", character="Typed: wants arguments in a text.")
class WantsArgumentsInAText(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        for module in ("chat_calls", "response_items", "responses_reading"):
            patch(f"lash_ref.{module}:call_arguments", lambda _: lambda function: piece(function, "arguments"))


@host_mutant("PRV.55", character="Identified: tells calls apart by their ids alone.")
class TellsCallsApartById(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(_: Any) -> Any:
            def begins(self: Any, fragment: dict[str, Any]) -> bool:
                named = words(fragment, "id")
                return bool(words(part(fragment, "function"), "name") and self.id and named not in {"", self.id})

            return begins

        patch("lash_ref.chat_calls:ChatCall.begins_another", make)


@host_mutant("PRV.50", character="Official: takes completion tokens for all the output there is.")
class CountsCompletionsAlone(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def usage(self: Any) -> Any:
                made = original(self)
                return made.but(output_tokens=count(self.raw_usage, "completion_tokens") or 0) if made is not None else None

            return usage

        patch("lash_ref.openai_chat:ChatReading.usage", make)


@host_mutant("PRV.23", "PRV.25", character="Official: knows OpenAI's words for an end.")
class KnowsOneVendorsWords(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        own = {"stop", "length", "tool_calls", "function_call", "content_filter", "model_length"}
        patch("lash_ref.stop_words:REASONS", lambda original: {word: reason for word, reason in original.items() if word in own})


@host_mutant("PRV.14", character="Additive: puts a signature behind the one it has.")
class DoublesSignatures(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(_: Any) -> Any:
            def sign(self: Any, signature: str) -> None:
                self.signature += signature

            return sign

        patch("lash_ref.anthropic:_Block.sign", make)


@host_mutant("PRV.35", character="Present: takes any error member but null for an error.")
class TakesEmptyErrors(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        for module in ("anthropic", "openai_chat", "responses_reading", "gemini"):
            patch(f"lash_ref.{module}:is_error", lambda _: lambda told: told is not None)


@host_mutant("PRV.69", character="Deaf: goes by the status, whatever the provider asks for.")
class GoesByTheStatus(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _asked(patch, lambda asked: None)


@host_mutant("PRV.69", character="Obedient in part: hears that it may ask again, not that it must not.")
class HearsTrueAlone(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _asked(patch, lambda asked: asked or None)


@host_mutant("PRV.69", character="Obliging: asks again when asked to, also where it cannot help.")
class AsksAgainForNothing(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def failure(*args: Any, asked: bool | None = None, **named: Any) -> Any:
                made = original(*args, asked=asked, **named)
                made.retryable = made.retryable or asked is True
                return made

            return failure

        patch("lash_ref.http_provider:failure", make)


def _asked(patch: Patch, change: Any) -> None:
    """Patch what is heard of the provider's word on a repeat."""

    def make(original: Any) -> Any:
        def failure(*args: Any, asked: bool | None = None, **named: Any) -> Any:
            return original(*args, asked=change(asked), **named)

        return failure

    patch("lash_ref.http_provider:failure", make)


@host_mutant("PRV.37", character="Left to right: knows the route's key by its beginning alone.")
class KnowsKeysByTheirBeginning(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.provider_errors:runs", lambda _: lambda credential: frozenset())


@host_mutant("PRV.79", character="Counting: goes by the index alone, and takes one that is missing for 0.")
class CountsItems(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        for name in ("opened", "of", "finished"):
            patch(f"lash_ref.response_items:Places.{name}", lambda _: lambda self, index, item_id: index or 0)


@host_mutant("PRV.79", character="Nominal: goes by the id alone, also where it changes.")
class GoesByItemIds(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            return lambda self, index, item_id: original(self, None if item_id else index, item_id)

        for name in ("opened", "of", "finished"):
            patch(f"lash_ref.response_items:Places.{name}", make)


@host_mutant("PRV.44", character="Standard: passes over a field of another name, whatever it holds.")
class PassesOverErrorFields(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            return lambda self, line: None if line.startswith(b"error:") else original(self, line)

        patch("lash_ref.sse:Framer._line", make)


@host_mutant("PRV.5", character="Strict: fails on any fragment behind the end.")
class FailsOnEmptyFragments(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.openai_chat:says_something", lambda _: lambda fragment: True)


@host_mutant("PRV.34", character="Closed: knows the codes of three services alone.")
class KnowsThreeServicesCodes(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        own = {"server_error", "rate_limit_error", "overloaded_error", "api_error", "requests", "tokens", "slow_down", "timeout_error"}
        patch("lash_ref.provider_errors:STANDS_FOR", lambda original: {code: status for code, status in original.items() if code in own})
