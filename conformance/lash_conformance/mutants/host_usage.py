# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a patch replaces is typed where it stands
"""Broken ledgers of usage and evidence."""

from typing import Any

from lash_conformance.mutants.host import BrokenHost, Patch, host_mutant
from lash_conformance.mutants.host_patches import answer
from lash_ref.provider import LlmResponse
from lash_ref.scalars import Json
from lash_ref.usage import TokenUsage


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
