# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a patch replaces is typed where it stands
"""Broken judges of how a reply ended: cut, limited, refused, empty."""

from typing import Any

from lash_conformance.mutants.host import BrokenHost, Patch, host_mutant
from lash_conformance.mutants.host_patches import answer, failing
from lash_ref.openai_chat import ChatReading
from lash_ref.provider import LlmResponse, ProviderFailure
from lash_ref.untrusted import MalformedReply


@host_mutant("PRV.12", character="Literal: says stop because the provider did.")
class SaysStopWithCalls(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch(
            "lash_ref.dialect:Reading.response",
            answer(lambda reading, made: made.but(terminal_reason=reading.reason()) if reading.terminal else made),
        )


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
                self.terminal = self.terminal and (getattr(self, "done", False) or not isinstance(self, ChatReading))
                return original(self)

            return end

        patch("lash_ref.dialect:Reading.end", ends)


@host_mutant("PRV.20", "PRV.45", character="Trusting: takes any end for the end.")
class TakesAnyEnd(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.dialect:Reading.end", lambda _: lambda self: self.response(finished=True))
        patch("lash_ref.gemini:GeminiReading.end", lambda _: lambda self: self.response(finished=True))


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
        patch("lash_ref.openai_chat:ChatReading.never_silent", lambda _: False)


@host_mutant("PRV.24", character="Official: takes an empty Response for an answer, for OpenAI sends none.")
class TakesEmptyResponses(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.responses_reading:ResponsesReading.never_silent", lambda _: False)


@host_mutant("PRV.85", character="Settled: takes the first stop word for the last.")
class BelievesTheFirstStop(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.dialect:Reading.settled", lambda _: property(lambda self: self.terminal))


@host_mutant("PRV.85", character="Nervous: drops what comes behind a stop word.")
class DropsWhatGoesOn(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def tell(self: Any, text: Any, said: str) -> Any:
                yield from original(self, text, "" if self.terminal else said)

            return tell

        patch("lash_ref.dialect:Reading.tell", make)


@host_mutant("PRV.86", character="Easy: takes an end that it does not know for a stop.")
class TakesNewEndsForStops(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def change(_: Any, response: LlmResponse) -> LlmResponse:
            failed = response.terminal_reason == "provider_error"
            return response.but(terminal_reason="stop") if failed else response

        patch("lash_ref.dialect:Reading.response", answer(change))


@host_mutant("PRV.86", character="Undecided: says unknown of a reason that it does not know.")
class SaysUnknown(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def change(_: Any, response: LlmResponse) -> LlmResponse:
            failed = response.terminal_reason == "provider_error"
            return response.but(terminal_reason="unknown") if failed else response

        patch("lash_ref.dialect:Reading.response", answer(change))


@host_mutant("PRV.87", character="Even: wants the evidence of a stream from a document too.")
class WantsEvidenceOfDocuments(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def end(self: Any) -> Any:
                self.terminal = self.terminal and self.finish is not None
                return original(self)

            return end

        patch("lash_ref.dialect:Reading.end", make)


@host_mutant("PRV.25", "PRV.82", character="Deaf: hears no refusal.")
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


@host_mutant("PRV.29", character="Strict: tolerates no end of a stream, whatever the host says.")
class ToleratesNothing(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def init(self: Any, request: Any, endpoint: Any) -> None:
                original(self, request, endpoint)
                self.termination = "require_terminal_evidence"

            return init

        patch("lash_ref.dialect:Reading.__init__", make)


@host_mutant("PRV.20", character="Thankful: takes a stream for whole once it has told its usage.")
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


@host_mutant("PRV.23", "PRV.82", character="Optimistic: takes the limit for a stop.")
class TakesTheLimitForAStop(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def change(_: Any, response: LlmResponse) -> LlmResponse:
            cut = response.terminal_reason == "output_limit"
            return response.but(terminal_reason="stop") if cut else response

        patch("lash_ref.dialect:Reading.response", answer(change))


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
