"""Providers: output schemas, attachments and tool choices in each dialect's words, or refused before anything is sent."""

from typing import Any

from lash_conformance.check import host_check
from lash_conformance.checks.host.provider_replies import asking, failure, streamed, text
from lash_conformance.fixture import Fixture, Matcher
from lash_conformance.host_bench import HostBench
from lash_conformance.provider_words import WORDS, asked

Data = dict[str, Any]
REFUSED = None
"""The dialect has no words for it."""


def requesting(dialect: str, request: Data, written: Data | None) -> Fixture:
    """A call whose body must hold these values at these pointers, none meaning nothing; a refused one sends nothing."""
    made = asked(dialect, *([] if written is None else [streamed(WORDS[dialect].said("Hi."))]))
    call = made.calls[0].model_copy(update={"request": made.calls[0].request | request})
    body = {
        pointer: Matcher(present=False) if value is None else Matcher(equals=value)
        for pointer, value in (written or {}).items()
    }
    exchanges = [
        one.model_copy(update={"request": one.request.model_copy(update={"body": body})}) for one in made.exchanges
    ]
    return made.model_copy(update={"calls": [call], "exchanges": exchanges})


async def judge(bench: HostBench, request: Data, written: dict[str, Data | None]) -> None:
    """The request in every dialect."""
    async with asking(bench) as ask:
        for dialect, wanted in written.items():
            found = await ask(requesting(dialect, request, wanted))
            if wanted is REFUSED:
                assert failure(found)[0] == "unsupported"
            else:
                assert text(found) == "Hi."


SCHEMA: Data = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


@host_check("PRV.61", needs=("providers",))
async def an_output_schema_is_asked_for_in_each_dialect(bench: HostBench) -> None:
    """Schema and name stand where the dialect has them; any JSON without a schema is refused where there is no word for it."""
    await judge(bench, {"output_spec": {"name": "answer", "schema": SCHEMA, "strict": True}}, {
        "anthropic-messages": {"/output_config/format/type": "json_schema", "/output_config/format/schema": SCHEMA},
        "openai-chat": {
            "/response_format/type": "json_schema", "/response_format/json_schema/name": "answer",
            "/response_format/json_schema/schema": SCHEMA, "/response_format/json_schema/strict": True,
        },
        "openai-responses": {
            "/text/format/type": "json_schema", "/text/format/name": "answer", "/text/format/schema": SCHEMA,
            "/text/format/strict": True,
        },
        "gemini": {
            "/generationConfig/responseMimeType": "application/json", "/generationConfig/responseJsonSchema": SCHEMA,
        },
    })  # fmt: skip
    await judge(bench, {"output_spec": "json_object"}, {
        "anthropic-messages": REFUSED,
        "openai-chat": {"/response_format/type": "json_object"},
        "openai-responses": {"/text/format/type": "json_object"},
        "gemini": {"/generationConfig/responseMimeType": "application/json", "/generationConfig/responseJsonSchema": None},
    })  # fmt: skip


def attaching(source: Data) -> Data:
    """A request with an attachment behind a text."""
    blocks: list[Data] = [{"type": "text", "text": "What is this?"}, {"type": "attachment", "source": source}]
    return {"messages": [{"role": "user", "blocks": blocks}]}


PLACES = {
    "anthropic-messages": "/messages/0/content/1",
    "openai-chat": "/messages/0/content/1",
    "openai-responses": "/input/0/content/1",
    "gemini": "/contents/0/parts/1",
}
BYTES, URL = "iVBORw==", "https://pictures.invalid/a.png"


@host_check("PRV.62", needs=("providers",))
async def an_attachment_stands_where_it_was_put(bench: HostBench) -> None:
    """Bytes inline or an address, behind the text that precedes it, with its media type."""
    for source, shown in (
        ({"source": "inline", "media_type": "image/png", "bytes": BYTES}, {
            "anthropic-messages": {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": BYTES}},
            "openai-chat": {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{BYTES}"}},
            "openai-responses": {"type": "input_image", "image_url": f"data:image/png;base64,{BYTES}"},
            "gemini": {"inlineData": {"mimeType": "image/png", "data": BYTES}},
        }),
        ({"source": "external_url", "media_type": "image/png", "url": URL}, {
            "anthropic-messages": {"type": "image", "source": {"type": "url", "url": URL}},
            "openai-chat": {"type": "image_url", "image_url": {"url": URL}},
            "openai-responses": {"type": "input_image", "image_url": URL},
            "gemini": {"fileData": {"mimeType": "image/png", "fileUri": URL}},
        }),
    ):  # fmt: skip
        await judge(bench, attaching(source), {dialect: {PLACES[dialect]: block} for dialect, block in shown.items()})


@host_check("PRV.62", "PRV.59", needs=("providers",))
async def an_attachment_that_a_dialect_cannot_carry_is_refused(bench: HostBench) -> None:
    """Sound where only images go, a file of another provider, bytes that nobody resolved: nothing is sent."""
    sound = {"source": "inline", "media_type": "audio/wav", "bytes": BYTES}
    refused: dict[str, Data | None] = {"anthropic-messages": REFUSED, "openai-chat": REFUSED, "openai-responses": REFUSED}
    await judge(bench, attaching(sound), refused)
    scope = {"provider": "elsewhere", "credential_scope": "c1"}
    theirs = {"source": "provider_file", "provider_scope": scope, "id": "file-1", "media_type": "image/png"}
    await judge(bench, attaching(theirs), refused | {"gemini": REFUSED})


TOOL: Data = {"name": "look", "description": "Looks.", "input_schema": SCHEMA}


@host_check("PRV.63", needs=("providers",))
async def tools_and_their_choice_are_offered_in_each_dialect(bench: HostBench) -> None:
    """Name, description and schema as given; may, must not and must call, each by the dialect's word."""
    words = {
        "auto": ("auto", "auto", "auto", "AUTO"),
        "none": ("none", "none", "none", "NONE"),
        "required": ("any", "required", "required", "ANY"),
    }
    for choice, (anthropic, chat, responses, gemini) in words.items():
        await judge(bench, {"tools": [TOOL], "tool_choice": choice}, {
            "anthropic-messages": {"/tools/0": TOOL, "/tool_choice/type": anthropic},
            "openai-chat": {
                "/tools/0/function": {"name": "look", "description": "Looks.", "parameters": SCHEMA}, "/tool_choice": chat,
            },
            "openai-responses": {
                "/tools/0/name": "look", "/tools/0/description": "Looks.", "/tools/0/parameters": SCHEMA,
                "/tool_choice": responses,
            },
            "gemini": {
                "/tools/0/functionDeclarations/0": {"name": "look", "description": "Looks.", "parametersJsonSchema": SCHEMA},
                "/toolConfig/functionCallingConfig/mode": gemini,
            },
        })  # fmt: skip
