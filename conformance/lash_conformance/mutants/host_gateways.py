# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a patch replaces is typed where it stands
"""Broken readers of what gateways and look-alikes make of a dialect."""

import re
from typing import Any

import httpx

from lash_conformance.mutants.host import BrokenHost, Patch, host_mutant
from lash_ref.dialect import Reading
from lash_ref.untrusted import count, part, words


@host_mutant("PRV.55", character="Official: goes by the index alone, also where all calls have the same.")
class GoesByTheIndexAlone(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def place(self: Any, fragment: dict[str, Any]) -> tuple[int, int]:
                index = count(fragment, "index")
                return original(self, fragment) if index is None else (index, 0)

            return place

        patch("lash_ref.openai_chat:ChatReading._place", make)


@host_mutant("PRV.7", character="Forgetful: keeps the last piece of a name.")
class KeepsTheLastPieceOfAName(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def grow(self: Any, fragment: dict[str, Any]) -> None:
                before = self.name
                original(self, fragment)
                self.name = words(part(fragment, "function"), "name") or before

            return grow

        patch("lash_ref.chat_calls:ChatCall.grow", make)


@host_mutant("PRV.15", character="Partial: derives ids in the OpenAI dialects alone.")
class LeavesIdsEmpty(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def made(self: Any, reading: Any, index: int) -> Any:
                found = original(self, reading, index)
                bare = self.type == "tool_use" and "id" not in self.start
                return found.but(call_id="") if bare else found

            return made

        patch("lash_ref.anthropic:_Block.part", make)


@host_mutant("PRV.23", character="Generous: takes a call without arguments for one that needs none, also at the limit.")
class FillsInArguments(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.dialect:Reading.written", lambda _: lambda self, arguments: arguments or "{}")


@host_mutant("PRV.56", character="Formal: fails an answer whose connection did not end as it should.")
class FailsWholeAnswers(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            async def read(self: Any, reply: Any, reading: Any, events: Any) -> None:
                lost: list[Exception] = []
                pieces = reply.aiter_bytes

                async def watched() -> Any:
                    try:
                        async for piece in pieces():
                            yield piece
                    except httpx.RequestError as err:
                        lost.append(err)
                        raise

                reply.aiter_bytes = watched
                await original(self, reply, reading, events)
                if lost:
                    raise lost[0]

            return read

        patch("lash_ref.http_provider:HttpProvider._read", make)


@host_mutant("PRV.57", character="Exact: knows a Gemini stream as events alone.")
class RefusesArrays(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.gemini:GeminiReading.documents", lambda _: Reading.documents)


@host_mutant("PRV.64", character="Trusting: takes a finished item for all of it, however hollow.")
class TrustsHollowItems(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.responses_reading:says", lambda _: lambda item: True)


@host_mutant("PRV.64", character="Orderly: drops text of an item that was never announced.")
class DropsUnannouncedText(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def say(self: Any, index: int, said: str) -> Any:
                if index in self._items:
                    yield from original(self, index, said)

            return say

        patch("lash_ref.responses_reading:ResponsesReading._say", make)


@host_mutant("PRV.66", character="Plain: reads texts and passes over pieces.")
class PassesOverPieces(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            return lambda delta: ("", "") if isinstance(delta.get("content"), list) else original(delta)

        patch("lash_ref.openai_chat:_content", make)


@host_mutant("PRV.50", character="Official: looks for usage where OpenAI puts it.")
class LooksForUsageInOnePlace(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def spend(self: Any, owner: dict[str, Any]) -> None:
                if "choices" in owner:
                    original(self, owner)

            return spend

        patch("lash_ref.openai_chat:ChatReading._spend", make)


@host_mutant("PRV.33", character="Official: knows the words of three services alone.")
class KnowsThreeServices(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        known = r"prompt is too long|maximum context length|context window|exceeds the maximum number of tokens"
        patch("lash_ref.provider_errors:_OVERFLOW", lambda _: re.compile(known))


@host_mutant("PRV.35", character="Typed: reads a status that is a number, not one in digits.")
class ReadsNumbersOnly(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            return lambda error, *codes: None if isinstance(error.get("code"), str) else original(error, *codes)

        for module in ("openai_errors", "anthropic", "gemini"):
            patch(f"lash_ref.{module}:told_status", make)


@host_mutant("PRV.26", character="Official: knows OpenAI's stop words alone.")
class KnowsOpenAisWords(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.stop_words:REASONS", lambda original: {k: v for k, v in original.items() if k != "model_length"})


@host_mutant("PRV.65", character="Hopeful: asks again where nothing can be sent.")
class AsksTheUnaskable(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def unaskable(err: object) -> Any:
                made = original(err)
                made.kind, made.retryable = "transport", True
                return made

            return unaskable

        patch("lash_ref.http_provider:_unaskable", make)
