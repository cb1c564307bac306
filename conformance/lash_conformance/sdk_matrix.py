# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# the SDKs leave parts of their own types open
"""The official SDKs as clients of the replayer: what each makes of each fixture that a client can judge.

A client sends what our dialect writes and must come to the text and the calls that the fixture expects, or raise
its own typed error; its retries are off. Clients do not normalise, so reasons, usage and records are not compared.
"""

import importlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, cast

from rich.table import Table

from lash_conformance.fixture import Fixture, compact, fixtures
from lash_conformance.provider_calls import AUTHORIZATION, REFERENCE, requested
from lash_conformance.replay_server import ReplayServer
from lash_conformance.sdk_types import PACKAGES
from lash_ref.dialect import Endpoint
from lash_ref.provider import LlmRequest, LlmResponse

Data = dict[str, Any]
CellVerdict = Literal["agrees", "raises as it should", "differs", "not judged"]


@dataclass(frozen=True)
class Said:
    """What a client made of one reply: its text, and its calls as (name, arguments)."""

    text: str
    calls: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Cell:
    """One client on one fixture."""

    client: str
    fixture: str
    verdict: CellVerdict
    detail: str = ""


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
                block["input"] = _arguments(block["json"]) if block["json"] else block["input"]
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
            return Said(message.content or "", tuple((name, _arguments(args)) for name, args in called))
        text = ""
        calls: dict[int, list[str]] = {}
        for chunk in reply:
            for choice in chunk.choices:
                text += choice.delta.content or ""
                for call in choice.delta.tool_calls or []:
                    grown = calls.setdefault(call.index, ["", ""])
                    grown[0] += call.function.name or ""
                    grown[1] += call.function.arguments or ""
        return Said(text, tuple((name, _arguments(args)) for _, (name, args) in sorted(calls.items())))


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
                calls.append((event.item.name, _arguments(event.item.arguments)))
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


def _arguments(text: str) -> Any:
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text


def named(dialect: str) -> str:
    """The client of a dialect with its installed version, or empty where it is not installed."""
    package = PACKAGES[dialect]
    try:
        importlib.import_module({"google-genai": "google.genai"}.get(package, package))
        return f"python {package} {version(package)}"
    except (ImportError, PackageNotFoundError):
        return ""


def matrix() -> Iterator[Cell]:
    """Every installed client on every fixture of its dialect."""
    server = ReplayServer(hang_s=1.0).start()
    try:
        for made in fixtures().values():
            client = named(made.dialect)
            if client:
                yield cell(client, made, server)
    finally:
        server.stop()


def table(cells: Sequence[Cell]) -> Table:
    """The matrix for a terminal."""
    rows = Table(title="official clients on the replayer", title_justify="left")
    for column in ("client", "fixture", "verdict", "detail"):
        rows.add_column(column, overflow="fold")
    for one in cells:
        rows.add_row(one.client, one.fixture, one.verdict, one.detail)
    return rows


def save(cells: Sequence[Cell], path: Path) -> None:
    """The matrix as JSON, a cell a line; each that was not judged says why."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = ",\n".join(f"  {compact(asdict(one))}" for one in cells)
    path.write_text(f'{{"schema": "lash.sdk-matrix/1", "cells": [\n{rows}\n]}}\n', encoding="utf-8")


def cell(client: str, made: Fixture, server: ReplayServer) -> Cell:
    """One client on one fixture."""
    if made.sdk == "not-judged":
        return Cell(client, made.id, "not judged", made.sdk_note)
    url, replay = server.begin(made)
    before: LlmRequest | None = None
    answer: LlmResponse | None = None
    raised = 0
    for number, call in enumerate(made.calls):
        request = requested(made, call.request, number, before, answer)
        expected = cast("Data | None", call.expect.get("response"))
        said, failed = _answered(made, request, url, expected, len(made.exchanges))
        raised += failed
        if replay.mismatches:
            return Cell(client, made.id, "differs", f"its request: {replay.mismatches[0]}")
        if expected is not None:
            wanted = _wanted(expected)
            if said != wanted:
                return Cell(client, made.id, "differs", f"expected {wanted}, found {said}")
            answer = LlmResponse.from_data({"parts": expected["parts"]})
        before = request
    if made.sdk == "raises" and not raised:
        return Cell(client, made.id, "differs", "its own typed error expected, found none")
    if replay.unused:
        return Cell(client, made.id, "differs", f"{replay.unused} exchange(s) were never asked for")
    return Cell(client, made.id, "raises as it should" if made.sdk == "raises" else "agrees")


def _answered(
    made: Fixture, request: LlmRequest, url: str, expected: Data | None, tries: int
) -> tuple[Said | None, int]:
    """What the client makes of a call, asked again while it raises and exchanges are left; and how often it raised."""
    dialect = REFERENCE[made.dialect]
    endpoint = Endpoint.from_data({"base_url": url, "headers": AUTHORIZATION[made.dialect]} | made.host.options)
    body = dialect.write(request, endpoint).body
    raised = 0
    for _ in range(tries):
        try:
            return CLIENTS[made.dialect](url, body, endpoint.streaming), raised
        except Exception as err:
            if not type(err).__module__.startswith(("anthropic", "openai", "google.genai")):
                raise
            raised += 1
            if expected is None and raised == tries:
                break
    return None, raised


def _wanted(expected: Data) -> Said:
    parts = cast("list[Data]", expected["parts"])
    return Said(
        "".join(part["text"] for part in parts if part["type"] == "text"),
        tuple((part["tool_name"], _arguments(part["input_json"])) for part in parts if part["type"] == "tool_call"),
    )
