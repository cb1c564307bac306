# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# the SDKs leave parts of their own types open
"""The official Python SDKs as clients: one call each, and what the client made of the reply."""

import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, cast

from lash_conformance.sdk_types import PACKAGES

Data = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """What a client made of one reply: its text, and its calls as (name, arguments)."""

    text: str
    calls: tuple[tuple[str, Any], ...]


Client = Callable[[str, Data, bool], Said]
"""Given base URL, body and whether to stream: makes one call, or raises the SDK's own error."""


def anthropic_client(url: str, body: Data, stream: bool) -> Said:
    """The official Anthropic client."""
    from anthropic import Anthropic

    with Anthropic(base_url=url, api_key="fixture", max_retries=0) as client:
        create: Any = client.messages.create
        reply = create(**body)
        if not stream:
            return _anthropic_said([block.model_dump() for block in reply.content])
        blocks: dict[int, Data] = {}
        for event in reply:
            told = cast("Data", event.model_dump(warnings=False))
            match told["type"]:
                case "content_block_start":
                    blocks[told["index"]] = told["content_block"] | {"json": ""}
                case "content_block_delta":
                    delta = told["delta"]
                    block = blocks[told["index"]]
                    block["text"] = (block.get("text") or "") + (delta.get("text") or "")
                    block["json"] += delta.get("partial_json") or ""
                case _:
                    pass
        for block in blocks.values():
            if block["type"] == "tool_use":
                block["input"] = arguments(block["json"]) if block["json"] else block["input"]
        return _anthropic_said(list(blocks.values()))


def _anthropic_said(blocks: list[Data]) -> Said:
    return Said(
        "".join(block.get("text") or "" for block in blocks if block["type"] == "text"),
        tuple((block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"),
    )


def chat_client(url: str, body: Data, stream: bool) -> Said:
    """The official OpenAI client on Chat Completions."""
    from openai import OpenAI

    with OpenAI(base_url=url, api_key="fixture", max_retries=0) as client:
        create: Any = client.chat.completions.create
        reply = create(**body)
        if not stream:
            message = reply.choices[0].message
            called = [(call.function.name, call.function.arguments) for call in message.tool_calls or []]
            return Said(message.content or "", tuple((name, arguments(args)) for name, args in called))
        text = ""
        calls: dict[int, list[str]] = {}
        for chunk in reply:
            for choice in chunk.choices:
                text += choice.delta.content or ""
                for call in choice.delta.tool_calls or []:
                    grown = calls.setdefault(call.index, ["", ""])
                    grown[0] += call.function.name or ""
                    grown[1] += call.function.arguments or ""
        return Said(text, tuple((name, arguments(args)) for _, (name, args) in sorted(calls.items())))


def responses_client(url: str, body: Data, stream: bool) -> Said:
    """The official OpenAI client on Responses."""
    from openai import OpenAI

    with OpenAI(base_url=url, api_key="fixture", max_retries=0) as client:
        create: Any = client.responses.create
        reply: Any = create(**body)
        text: str = "" if stream else reply.output_text
        calls: list[tuple[str, Any]] = []
        events: Any = reply if stream else ()
        for event in events:
            if event.type == "response.output_text.delta":
                text += event.delta
            elif event.type == "response.output_item.done" and event.item.type == "function_call":
                calls.append((event.item.name, arguments(event.item.arguments)))
        return Said(text, tuple(calls))


def gemini_client(url: str, body: Data, stream: bool) -> Said:
    """The official Google client."""
    from google import genai

    options: Any = {"base_url": url.removesuffix("/v1beta"), "api_version": "v1beta"}
    client = genai.Client(api_key="fixture", http_options=options)
    config: Data = dict(body.get("generationConfig", {}))
    if "systemInstruction" in body:
        config["system_instruction"] = body["systemInstruction"]
    if "tools" in body:
        config["tools"] = body["tools"]
        config["automatic_function_calling"] = {"disable": True}
    models: Any = client.models
    method = models.generate_content_stream if stream else models.generate_content
    reply: Any = method(model="m", contents=body["contents"], config=config)
    frames: list[Data] = [frame.model_dump() for frame in (reply if stream else [reply])]
    client.close()
    contents = [c.get("content") or {} for frame in frames for c in frame.get("candidates") or []]
    parts: list[Data] = [part for content in contents for part in content.get("parts") or []]
    return Said(
        "".join(part.get("text") or "" for part in parts if not part.get("thought")),
        tuple((p["function_call"]["name"], p["function_call"]["args"]) for p in parts if p.get("function_call")),
    )


CLIENTS: dict[str, Client] = {
    "anthropic-messages": anthropic_client,
    "openai-chat": chat_client,
    "openai-responses": responses_client,
    "gemini": gemini_client,
}


def arguments(text: str) -> Any:
    """Arguments as a value, or as they were written where they are no JSON."""
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text


@dataclass(frozen=True)
class Sdk:
    """One client of one dialect."""

    name: str
    """Language, package and installed version; only the first two where it is not installed."""
    ask: Client
    owns: Callable[[Exception], bool]
    """Whether an error is the SDK's own, typed one."""
    absent: str = ""
    """Why it cannot be asked; empty when it can."""


def named(dialect: str) -> str:
    """The Python client of a dialect with its installed version, or empty where it is not installed."""
    package = PACKAGES[dialect]
    try:
        importlib.import_module({"google-genai": "google.genai"}.get(package, package))
        return f"python {package} {version(package)}"
    except (ImportError, PackageNotFoundError):
        return ""


def python_sdk(dialect: str) -> Sdk:
    """The Python client of a dialect, installed or not."""
    absent = "" if named(dialect) else f"{PACKAGES[dialect]} is not installed: pip install 'lash-ref[sdks]'"
    return Sdk(named(dialect) or f"python {PACKAGES[dialect]}", CLIENTS[dialect], _owned, absent)


def _owned(error: Exception) -> bool:
    return type(error).__module__.startswith(("anthropic", "openai", "google.genai"))
