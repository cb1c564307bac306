# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a patch replaces is typed where it stands
"""Broken readers of the same facts in other spellings."""

import re
from dataclasses import replace
from typing import Any

from lash_conformance.mutants.host import BrokenHost, Patch, host_mutant
from lash_ref.scalars import Json
from lash_ref.untrusted import MalformedReply, part, parts, piece, text


@host_mutant("PRV.83", character="Typed: wants counts as numbers.")
class WantsNumbers(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def count(owner: dict[str, Any], key: str) -> int | None:
                if isinstance(owner.get(key), str):
                    raise MalformedReply(f"{key}: a whole number expected, found a text")
                return original(owner, key)

            return count

        for module in ("openai_usage", "openai_chat", "responses_reading", "anthropic", "gemini"):
            patch(f"lash_ref.{module}:count", make)


@host_mutant("PRV.83", character="Typed: wants ids as texts.")
class WantsNamesAsTexts(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        for module in ("chat_calls", "openai_chat"):
            patch(f"lash_ref.{module}:name", lambda _: text)


@host_mutant("PRV.83", character="Forgetful: passes over an id that is a number, as if there were none.")
class PassesOverNumbers(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        for module in ("chat_calls", "openai_chat"):
            patch(f"lash_ref.{module}:name", lambda _: lambda owner, key: owner[key] if isinstance(owner.get(key), str) else None)


@host_mutant("PRV.84", character="Strict: takes an item that comes again for a mistake.")
class RefusesItemsAgain(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def opened(self: Any, index: int | None, item_id: str) -> int:
                if item_id in self._by_id:
                    raise MalformedReply(f"item {item_id} was added before")
                return original(self, index, item_id)

            return opened

        patch("lash_ref.response_items:Places.opened", make)


@host_mutant("PRV.84", character="Repeating: makes a part of an item each time it comes.")
class TellsItemsAgain(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def finished(self: Any, index: int, item: dict[str, Any]) -> Any:
                self._whole.discard(index)
                yield from original(self, index, item)

            return finished

        patch("lash_ref.responses_reading:ResponsesReading._finished", make)


@host_mutant("PRV.64", "PRV.4", character="Finished: keeps text that no delta told, and tells nobody.")
class TellsDeltasAlone(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def replace(self: Any, index: int, item: dict[str, Any]) -> Any:
                for _ in original(self, index, item):
                    pass
                return iter(())

            return replace

        patch("lash_ref.responses_reading:ResponsesReading._replace", make)


@host_mutant("PRV.52", character="Replacing: keeps the last report of usage in the OpenAI dialects.")
class KeepsTheLastReport(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        for module in ("openai_chat", "responses_reading"):
            patch(f"lash_ref.{module}:merged", lambda _: lambda before, told: told)


@host_mutant("PRV.52", character="Adding: merges Gemini's totals too.")
class MergesTotals(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def event(self: Any, data: dict[str, Any]) -> Any:
                before = self.raw_usage
                yield from original(self, data)
                self.raw_usage = before | self.raw_usage

            return event

        patch("lash_ref.gemini:GeminiReading.event", make)


@host_mutant("PRV.52", character="Empty-handed: takes a report that counts nothing for the last.")
class TakesEmptyReports(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def event(self: Any, data: dict[str, Any]) -> Any:
                yield from original(self, data)
                self.raw_usage = part(data, "usageMetadata") if "usageMetadata" in data else self.raw_usage

            return event

        patch("lash_ref.gemini:GeminiReading.event", make)


@host_mutant("PRV.50", character="Official: knows each dialect's own names of usage alone.")
class KnowsOwnNames(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def first(raw: dict[str, Any], *keys: str) -> int | None:
                return original(raw, *keys[:1])

            return first

        patch("lash_ref.openai_usage:_first", make)


@host_mutant("PRV.88", character="Latest: keeps the last id and model that a stream names.")
class KeepsTheLastNames(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def take(self: Any, data: dict[str, Any]) -> Any:
                if any(data.get(key) for key in ("id", "responseId")):
                    self.response_id = self.served_model = None
                yield from original(self, data)

            return take

        patch("lash_ref.dialect:Reading.take", make)


@host_mutant("PRV.9", character="Typed: wants reasoning in a text.")
class WantsReasoningInAText(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.openai_chat:_thought", lambda _: piece)


@host_mutant("PRV.31", "PRV.33", character="Coded: asks the words of an error for nothing but a prompt that is too long.")
class KnowsFewWords(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.provider_errors:_OVERFLOW", lambda _: re.compile("prompt is too long|maximum context length"))
        patch("lash_ref.provider_errors:_FILTERED", lambda _: re.compile(r"\b\B"))


@host_mutant("PRV.31", character="Anxious: takes any word of safety for a filter.")
class FearsEveryWord(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.provider_errors:_FILTERED", lambda _: re.compile("safety|sensitive|content_filter|prohibited_content"))


@host_mutant("PRV.35", character="Official: looks for an error's words in its message alone.")
class KnowsMessagesAlone(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            return lambda error: original({key: value for key, value in error.items() if key != "detail"})

        patch("lash_ref.openai_errors:told_words", make)


@host_mutant("PRV.37", character="Shaped: knows a key by its shape, not by its name.")
class KnowsKeysByTheirShape(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.provider_errors:_SECRET", lambda _: re.compile(r"sk-[A-Za-z0-9_-]{8,}|AIza[0-9A-Za-z_-]{16,}|[Bb]earer\s+\S+"))


@host_mutant("PRV.91", character="Garrulous: takes commentary for a part of the answer.")
class AnswersWithCommentary(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.phases:phase", lambda _: lambda meta: None)


@host_mutant("PRV.91", character="Curt: leaves commentary out, also where it is all there is.")
class LeavesCommentaryOut(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(_: Any) -> Any:
            return lambda texts: "".join(text for text, meta in texts if meta is None or "commentary" not in meta.text)

        patch("lash_ref.messages:visible", make)
        patch("lash_ref.provider:visible", make)


@host_mutant("PRV.92", character="Repeating: appends the whole message to what deltas told.")
class RepeatsWholeMessages(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.openai_chat:ChatReading._unsaid", lambda _: lambda self, message: message)


@host_mutant("PRV.92", character="Forgetful: passes over the whole message, also for what no delta told.")
class PassesOverWholeMessages(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.openai_chat:ChatReading._unsaid", lambda _: lambda self, message: {})


@host_mutant("PRV.93", character="Typed: wants pieces where texts may stand.")
class WantsPieces(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        for module in ("response_items", "responses_reading"):
            patch(f"lash_ref.{module}:pieces", lambda _: parts)


@host_mutant("PRV.9", "PRV.66", character="Official: looks for reasoning in one field and one kind of piece.")
class LooksForReasoningInOnePlace(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.openai_chat:_detailed", lambda _: lambda details: "")


@host_mutant("PRV.33", "PRV.31", character="Wordy: takes a throttle that speaks of tokens for a prompt that does not fit.")
class TakesThrottlesForOverflows(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            return lambda refusal, codes: original(replace(refusal, status=400) if refusal.status == 429 else refusal, codes)

        patch("lash_ref.provider_errors:_told", make)


@host_mutant("PRV.48", character="Official: finds errors where the dialect has them.")
class FindsOfficialErrors(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.http_provider:_as_error", lambda _: lambda data: data)


@host_mutant("PRV.35", "PRV.54", character="Plain: reads an error's body as a document or not at all.")
class ReadsPlainErrors(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.http_provider:_unframed", lambda _: lambda raw: raw)


@host_mutant("PRV.78", "PRV.45", character="Typed: wants a call's input as an object from the start.")
class WantsInputAsAnObject(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(_: Any) -> Any:
            def given(self: Any) -> str:
                return Json(part(self.start, "input")).text if part(self.start, "input") else ""

            return given

        patch("lash_ref.anthropic:_Block._given", make)


@host_mutant("PRV.94", character="Public: knows Gemini's frames unwrapped alone.")
class KnowsBareFrames(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def event(self: Any, data: dict[str, Any]) -> Any:
                return original(self, {} if "response" in data else data)

            return event

        patch("lash_ref.gemini:GeminiReading.event", make)
