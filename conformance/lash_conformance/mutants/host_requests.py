# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a patch replaces is typed where it stands
"""Broken writers of requests, and what is carried from an answer into the next one."""

import random
from typing import Any

from lash_conformance.mutants.host import BrokenHost, Patch, host_mutant
from lash_conformance.mutants.host_patches import answer
from lash_ref.attached import image_url
from lash_ref.capability import DisableNatively
from lash_ref.provider import LlmResponse, ReasoningPart, ToolCallPart


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


@host_mutant("PRV.58", character="Obliging: sends any effort.")
class SendsAnyEffort(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.dialect:chosen", lambda _: lambda model, able, asked: asked)


@host_mutant("PRV.59", character="Silent: leaves out what it cannot say.")
class LeavesOutTheUnsayable(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.openai_chat:_reasoning", lambda _: lambda request, endpoint: {})


@host_mutant("PRV.60", character="Clever: goes by the model's name.")
class GoesByTheName(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def thinking(request: Any, endpoint: Any) -> dict[str, Any]:
                if request.model.startswith("claude"):
                    return {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}
                return original(request, endpoint)

            return thinking

        patch("lash_ref.anthropic:_thinking", make)


@host_mutant("PRV.80", character="Mumbling: sends a tool's result back empty.")
class SendsEmptyResults(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def change(body: dict[str, Any], _: Any) -> None:
            for message in body["messages"]:
                if message["role"] == "tool":
                    message["content"] = ""

        _written(patch, "lash_ref.openai_chat:OpenAiChat.write", change)


@host_mutant("PRV.14", character="Forgetful: keeps what a provider sealed no longer than the core lives.")
class ForgetsSealsOnReopen(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def change(body: dict[str, Any], request: Any) -> None:
            last = [block for block in request.messages[-1].blocks if block.type == "tool_result"]
            for message in body["messages"] if not last else []:
                for block in message["content"]:
                    block.pop("signature", None)

        _written(patch, "lash_ref.anthropic:AnthropicMessages.write", change)


@host_mutant("PRV.14", character="Native: looks for sealed reasoning under a name of its own.")
class SealsUnderAnotherName(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def thawed(frozen: Any) -> dict[str, Any]:
                kept: dict[str, Any] = original(frozen)
                return {key: value for key, value in kept.items() if not (kept.get("redacted") and key == "signature")}

            return thawed

        patch("lash_ref.anthropic:thawed", make)


@host_mutant("PRV.14", character="Literal: sends a null of the record back as an id.")
class SendsNullBack(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        for module in ("gemini", "openai_responses"):
            patch(f"lash_ref.{module}:thawed", lambda _: lambda frozen: dict(frozen.value) if frozen is not None else {})


@host_mutant("PRV.61", character="Loose: asks for JSON of any shape.")
class ForgetsTheSchema(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def change(body: dict[str, Any], _: Any) -> None:
            body["generationConfig"].pop("responseJsonSchema", None)

        _written(patch, "lash_ref.gemini:Gemini.write", change)


@host_mutant("PRV.62", character="Tidy: puts the attachments first.")
class PutsAttachmentsFirst(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def change(body: dict[str, Any], _: Any) -> None:
            for item in body["input"]:
                if item.get("role") == "user":
                    item["content"].sort(key=lambda piece: piece["type"] != "input_image")

        _written(patch, "lash_ref.openai_responses:OpenAiResponses.write", change)


@host_mutant("PRV.63", character="Permissive: lets the model choose whatever the host said.")
class LetsTheModelChoose(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def change(body: dict[str, Any], _: Any) -> None:
            if "tool_choice" in body:
                body["tool_choice"] = {"type": "auto"}

        _written(patch, "lash_ref.anthropic:AnthropicMessages.write", change)


@host_mutant("PRV.62", character="Undiscerning: sends whatever is attached as a picture.")
class SendsAnythingAsPicture(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.openai_chat:image_url", lambda _: lambda source: "data:image/png;base64,")


@host_mutant("PRV.89", character="Curious: asks for reasoning that nobody wants to see.")
class AsksForAllReasoning(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _exposing(patch, True)


@host_mutant("PRV.89", character="Shy: asks for no reasoning, also where the host wants to see it.")
class AsksForNoReasoning(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _exposing(patch, False)


def _exposing(patch: Patch, exposed: bool) -> None:
    """Patch whether requests ask for a show of reasoning."""

    def make(original: Any) -> Any:
        def write(self: Any, request: Any, endpoint: Any) -> Any:
            return original(self, request, endpoint.but(expose_thinking=exposed))

        return write

    for where in ("anthropic:AnthropicMessages", "openai_responses:OpenAiResponses", "gemini:Gemini"):
        patch(f"lash_ref.{where}.write", make)


@host_mutant("PRV.90", character="Nameless: sends a result by the tool's name alone.")
class SendsNamelessResults(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.gemini:_ids", lambda _: lambda request: {})


@host_mutant("PRV.90", character="Own: sends Gemini ids that are not Gemini's.")
class SendsOwnIds(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(_: Any) -> Any:
            def ids(request: Any) -> dict[str, str]:
                blocks = [block for message in request.messages for block in message.blocks]
                return {block.call_id: block.call_id for block in blocks if block.type == "tool_call"}

            return ids

        patch("lash_ref.gemini:_ids", make)


@host_mutant("PRV.16", character="Literal: finds the marked block again by its text.")
class FindsMarksByText(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def hint(body: dict[str, Any], marked: list[dict[str, Any]], *rest: Any) -> None:
                texts = {block["text"] for block in marked}
                blocks = [block for message in body["messages"] for block in message["content"]]
                original(body, [block for block in blocks if block.get("text") in texts], *rest)

            return hint

        for module in ("anthropic", "openai_chat"):
            patch(f"lash_ref.{module}:_hint", make)


@host_mutant("PRV.11", character="Exact: takes blanks for a text.")
class SendsBlanks(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.anthropic:_text", lambda _: lambda said: {"type": "text", "text": said} if said else None)


@host_mutant("PRV.62", "PRV.59", character="Visual: sends pictures and nothing else to Responses.")
class SendsPicturesAlone(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(_: Any) -> Any:
            return lambda source: {"type": "input_image", "image_url": image_url(source)}

        patch("lash_ref.openai_responses:responses_item", make)


@host_mutant("PRV.62", "PRV.59", character="Borrowing: names a provider's files to any other.")
class NamesFilesToAnyone(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        anyone = {"openai", "anthropic", "gemini", "elsewhere"}
        patch("lash_ref.attached:_OWN", lambda original: dict.fromkeys(original, anyone))


@host_mutant("PRV.62", character="Late: says what stood before a tool's result behind it.")
class SaysTextsLast(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def change(body: dict[str, Any], _: Any) -> None:
            body["input"].sort(key=lambda item: item.get("role") == "user")

        _written(patch, "lash_ref.openai_responses:OpenAiResponses.write", change)


@host_mutant("PRV.60", character="Uniform: switches reasoning off in one way, whatever the capability says.")
class SwitchesOffOneWay(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def chosen(*args: Any) -> Any:
                made = original(*args)
                return DisableNatively() if made.type in {"budget", "toggle_false"} else made

            return chosen

        patch("lash_ref.dialect:chosen", make)
