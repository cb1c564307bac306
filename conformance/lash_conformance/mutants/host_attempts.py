# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a patch replaces is typed where it stands
"""Broken retries: errors taken for others, repeats and waits of their own, records that leave things out."""

from datetime import timedelta, timezone
from typing import Any, cast

import httpx

from lash_conformance.mutants.host import BrokenHost, Patch, host_mutant
from lash_conformance.mutants.host_patches import failing
from lash_ref.provider import LlmResponse
from lash_ref.provider_errors import AUTH, Meaning
from lash_ref.sse import Framer, ServerSentEvent


def _without(patch: Patch, kind: str) -> None:
    """Swallow events of one kind that retries announce."""

    def make(original: Any) -> Any:
        async def complete(self: Any, provider: Any, request: Any, call_id: str, events: Any) -> Any:
            async def some(event: Any) -> None:
                if event.type != kind:
                    await events(event)

            return await original(self, provider, request, call_id, some)

        return complete

    patch("lash_ref.retries:Retries.complete", make)


@host_mutant("PRV.27", "PRV.81", character="Quiet: does not say that what it showed is void.")
class DoesNotTakeBack(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _without(patch, "attempt_reset")


@host_mutant("PRV.28", "PRV.81", character="Thrifty: keeps what a failed attempt had said.")
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

        for module in ("anthropic", "openai_chat", "responses_reading", "gemini"):
            patch(f"lash_ref.{module}:failure", failing(change))


@host_mutant("PRV.35", character="Nested: looks for an error's fields in one place only.")
class LooksInOnePlace(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def failed(self: Any, error: dict[str, Any], *status: Any) -> Any:
                return original(self, {} if "sequence_number" in error else error, *status)

            return failed

        patch("lash_ref.responses_reading:ResponsesReading._failed", make)


@host_mutant("PRV.36", character="Brief: records that an attempt failed and no more.")
class RecordsNoMore(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def failed(self: Any, *args: Any) -> Any:
                return original(self, *args).but(usage=None, protocol_position="no_response")

            return failed

        patch("lash_ref.retries:Retries._failed", make)


@host_mutant("PRV.37", character="Frank: records keys that an error quotes.")
class RecordsKeys(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        for module in ("provider_errors", "http_provider", "retries"):
            patch(f"lash_ref.{module}:redacted", lambda _: lambda text, *_: text)


@host_mutant("PRV.37", character="Shapely: knows a key by its shape alone.")
class KnowsKeysByShape(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.http_provider:_credentials", lambda _: lambda headers: [])


@host_mutant("PRV.38", character="Steady: waits two seconds every time.")
class WaitsTheSame(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.retries:RetryPolicy.backoff_s", lambda _: lambda self, index: self.base_delay_s)


@host_mutant("PRV.39", character="Tired: gives up after three attempts.")
class GivesUpEarly(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def reason(self: Any, failure: Any, spent: int) -> Any:
                return original(self, failure, spent + 1)

            return reason

        patch("lash_ref.retries:Retries._reason", make)


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

        patch("lash_ref.retries:Retries._wait_s", make)


@host_mutant("PRV.43", character="Strict: counts a throttle as an attempt.")
class CountsThrottles(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.provider:ProviderFailure.is_throttle", lambda _: property(lambda self: False))


@host_mutant("PRV.44", character="Selective: reads only what comes as an event.")
class IgnoresBareErrors(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def line(self: Framer, text: bytes) -> ServerSentEvent | None:
                made = original(self, text)
                self.stray.clear()
                return made

            return line

        patch("lash_ref.sse:Framer._line", make)


@host_mutant("PRV.40", character="Own clock: waits by its own backoff whatever the headers say.")
class WaitsByItsLadder(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.http_provider:retry_after_s", lambda _: lambda headers, now_ms: None)


@host_mutant("PRV.48", character="Assured: takes whatever comes under a good status for an answer.")
class LooksAtTheStatusOnly(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def whole(self: Any, body: dict[str, Any]) -> None:
                original(self, {key: value for key, value in body.items() if key != "error"})

            return whole

        patch("lash_ref.openai_chat:ChatReading.whole", make)


@host_mutant("PRV.49", character="Thin-skinned: falls over a body that is not what its encoding says.")
class FallsOverSpoiltBodies(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            async def read(*call: Any) -> None:
                try:
                    await original(*call)
                except httpx.DecodingError as err:
                    raise RuntimeError("nobody expected this") from err

            return read

        patch("lash_ref.http_provider:HttpProvider._read", make)


@host_mutant("PRV.49", character="Unguarded: lets a record's refusal out of the attempt.")
class LetsRefusalsOut(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(_: Any) -> Any:
            def unrecordable(err: ValueError) -> Any:
                return err

            return unrecordable

        patch("lash_ref.dialect:unrecordable", make)


@host_mutant("PRV.49", character="Hashing: looks the type of a content's piece up in a set.")
class HashesTypes(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def content(delta: dict[str, Any]) -> Any:
                pieces: Any = delta.get("content")
                if isinstance(pieces, list):
                    {one.get("type") for one in cast("list[Any]", pieces) if isinstance(one, dict)}
                return original(delta)

            return content

        patch("lash_ref.openai_chat:_content", make)


@host_mutant("PRV.54", character="Literate: judges no error whose body it cannot read.")
class WantsReadableErrors(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.http_provider:Refusal", lambda original: lambda words, status=None: original(words))


@host_mutant("PRV.40", character="Local: takes a date without a zone for its own time.")
class TakesDatesForLocal(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.provider_errors:UTC", lambda _: timezone(timedelta(hours=5)))


@host_mutant("PRV.36", character="Final: says of every answer that its end was seen.")
class SeesEveryEnd(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def completed(self: Any, *args: Any) -> Any:
                return original(self, *args).but(outcome="completed", protocol_position="terminal_observed")

            return completed

        patch("lash_ref.retries:Retries._completed", make)


@host_mutant("PRV.36", "PRV.53", character="Joining: takes all values of a repeated header for one.")
class JoinsRepeatedHeaders(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.http_provider:_first", lambda _: lambda headers, name: headers.get(name))
