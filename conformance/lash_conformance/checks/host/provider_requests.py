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
    bitmap = {"source": "inline", "media_type": "image/bmp", "bytes": BYTES}
    await judge(bench, attaching(bitmap), {"anthropic-messages": REFUSED})
    report = {"source": "inline", "media_type": "application/pdf", "bytes": BYTES}
    await judge(bench, attaching(report), {"openai-chat": REFUSED})
    scope = {"provider": "elsewhere", "credential_scope": "c1"}
    theirs = {"source": "provider_file", "provider_scope": scope, "id": "file-1", "media_type": "image/png"}
    await judge(bench, attaching(theirs), refused | {"gemini": REFUSED})


FILES: tuple[tuple[Data, dict[str, Data | None]], ...] = (
    ({"source": "inline", "media_type": "application/pdf", "bytes": BYTES}, {
        "anthropic-messages": {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": BYTES}},
        "openai-responses": {"type": "input_file", "file_data": f"data:application/pdf;base64,{BYTES}"},
        "gemini": {"inlineData": {"mimeType": "application/pdf", "data": BYTES}},
    }),
    ({"source": "external_url", "media_type": "application/pdf", "url": URL}, {
        "anthropic-messages": {"type": "document", "source": {"type": "url", "url": URL}},
        "openai-responses": {"type": "input_file", "file_url": URL},
        "gemini": {"fileData": {"mimeType": "application/pdf", "fileUri": URL}},
    }),
    ({"source": "provider_file", "provider_scope": {"provider": "openai", "credential_scope": "c1"}, "id": "file-1"}, {
        "openai-responses": {"type": "input_file", "file_id": "file-1"}, "openai-chat": REFUSED, "gemini": REFUSED,
    }),
    ({
        "source": "provider_file", "provider_scope": {"provider": "Anthropic", "credential_scope": "c1"}, "id": "file-1",
        "media_type": "application/pdf",
    }, {"anthropic-messages": {"type": "document", "source": {"type": "file", "file_id": "file-1"}}, "openai-responses": REFUSED}),
    ({"source": "provider_file", "provider_scope": {"provider": "anthropic", "credential_scope": "c1"}, "id": "file-1"}, {
        "anthropic-messages": REFUSED,
    }),
    ({"source": "provider_file", "provider_scope": {"provider": "gemini", "credential_scope": "c1"}, "id": "files/1"}, {
        "gemini": {"fileData": {"fileUri": "files/1"}}, "anthropic-messages": REFUSED,
    }),
)  # fmt: skip
"""Attachments that are no pictures, as each dialect has them."""


@host_check("PRV.62", "PRV.59", needs=("providers",))
async def a_file_is_sent_where_a_dialect_has_a_place_for_it(bench: HostBench) -> None:
    """A PDF's bytes and its address, and files that a provider keeps, each named to that provider alone."""
    for source, shown in FILES:
        placed = {dialect: REFUSED if block is None else {PLACES[dialect]: block} for dialect, block in shown.items()}
        await judge(bench, attaching(source), placed)


def speaking(*blocks: Data, role: str = "user") -> Data:
    """A message of these blocks."""
    return {"role": role, "blocks": list(blocks)}


def saying(said: str, **more: Any) -> Data:
    """A text."""
    return {"type": "text", "text": said} | more


@host_check("PRV.16", needs=("providers",))
async def a_cache_mark_stays_where_it_was_put(bench: HostBench) -> None:
    """On the marked one of two texts that are alike, and on the last of two marks, whoever said it."""
    alike = {"messages": [speaking(saying("Again.", cache_breakpoint=True), saying("Now."), saying("Again."))]}
    marked: Data = {"/messages/0/content/0/cache_control/type": "ephemeral", "/messages/0/content/2/cache_control": None}
    said = {"messages": [
        speaking(saying("Hi.", cache_breakpoint=True)), speaking(saying("Yes?", cache_breakpoint=True), role="assistant"), speaking(saying("Go.")),
    ]}  # fmt: skip
    later: Data = {
        "/messages/0/content/0/cache_control": None, "/messages/1/content/0/cache_control/type": "ephemeral",
        "/messages/2/content/0/cache_control": None,
    }  # fmt: skip
    async with asking(bench) as ask:
        for request, written in ((alike, marked), (said, later)):
            for dialect, capability in (("anthropic-messages", {}), ("openai-chat", {"cache_control": "anthropic"})):
                made = requesting(dialect, request, written)
                host = made.host.model_copy(update={"capability": capability, "options": {"cache_retention": "short"}})
                assert text(await ask(made.model_copy(update={"host": host}))) == "Hi."


@host_check("PRV.11", needs=("providers",))
async def blank_text_is_not_sent_where_it_is_refused(bench: HostBench) -> None:
    """Blanks alone say nothing to Anthropic, in a message of their own, beside a text, and as reasoning that nobody signed."""
    blank: list[Data] = [
        speaking(saying("Hi."), saying(" \n")), speaking({"type": "reasoning", "text": " "}, role="assistant"), speaking(saying("\t"), saying("There.")),
    ]  # fmt: skip
    texts = [{"type": "text", "text": "Hi."}, {"type": "text", "text": "There."}]
    await judge(bench, {"messages": [speaking(saying(" "), role="system"), *blank]}, {
        "anthropic-messages": {"/messages/0/content": texts, "/messages/1": None, "/system": None},
    })  # fmt: skip
    await judge(bench, {"messages": blank[1:]}, {"gemini": {"/contents/0/role": "user", "/contents/1": None}})


@host_check("PRV.62", needs=("providers",))
async def what_was_said_before_a_result_stands_before_it(bench: HostBench) -> None:
    """Texts around a tool's result keep their order in Responses, and sealed reasoning without an id has none."""
    result = {"type": "tool_result", "call_id": "t1", "tool_name": "f", "content": "3"}
    sealed = {"type": "reasoning", "text": "Weigh.", "replay": {"encrypted_content": "x"}}
    call = {"type": "tool_call", "call_id": "t1", "tool_name": "f", "input_json": "{}"}
    request = {"messages": [speaking(sealed, call, role="assistant"), speaking(saying("Here:"), result, saying("Go on."))]}
    await judge(bench, request, {"openai-responses": {
        "/input/0/id": None, "/input/0/encrypted_content": "x", "/input/2/content/0/text": "Here:", "/input/3/output": "3",
        "/input/4/content/0/text": "Go on.",
    }})  # fmt: skip


@host_check("PRV.90", needs=("providers",))
async def a_result_names_its_call_to_gemini_by_gemini_s_id(bench: HostBench) -> None:
    """A call that came with an id, one that came without, and one whose id the turn had to change."""
    calls = [
        {"type": "tool_call", "call_id": call_id, "tool_name": "f", "input_json": "{}"} | ({"replay": {"item_id": given}} if given else {})
        for call_id, given in (("g1", "g1"), ("call_x_1", None), ("g1-2", "g1"))
    ]
    results = [{"type": "tool_result", "call_id": call["call_id"], "tool_name": "f", "content": "3"} for call in calls]
    await judge(bench, {"messages": [speaking(*calls, role="assistant"), speaking(*results)]}, {"gemini": {
        "/contents/0/parts/0/functionCall/id": "g1", "/contents/1/parts/0/functionResponse/id": "g1",
        "/contents/0/parts/1/functionCall/id": None, "/contents/1/parts/1/functionResponse/id": None,
        "/contents/1/parts/2/functionResponse/id": "g1", "/contents/1/parts/2/functionResponse/response": {"output": "3"},
    }})  # fmt: skip


@host_check("PRV.14", needs=("providers",))
async def what_a_record_seals_is_sent_back_under_any_host(bench: HostBench) -> None:
    """Sealed reasoning as lash's records hold it, its members null or absent alike; what is not sealed is text or nothing."""
    kept: list[tuple[str, Data]] = [
        ("", {"redacted": True, "signature": "x"}), ("w", {"signature": "s", "redacted": False, "item_id": None}),
        ("v", {"signature": None}), ("", {"encrypted_content": "e", "item_id": None, "summary": None}),
    ]  # fmt: skip
    call = {"type": "tool_call", "call_id": "c1", "tool_name": "f", "input_json": "{}", "replay": {"item_id": None, "reasoning_details": None}}
    thoughts = [{"type": "reasoning", "text": said, "replay": replay} for said, replay in kept]
    await judge(bench, {"messages": [speaking(*thoughts, call, role="assistant")]}, {
        "anthropic-messages": {
            "/messages/0/content/0": {"type": "redacted_thinking", "data": "x"},
            "/messages/0/content/1": {"type": "thinking", "thinking": "w", "signature": "s"},
            "/messages/0/content/2": {"type": "text", "text": "v"}, "/messages/0/content/3/type": "tool_use",
        },
        "openai-chat": {"/messages/0/reasoning_details": None, "/messages/0/tool_calls/0/id": "c1"},
        "openai-responses": {
            "/input/0": {"type": "reasoning", "summary": [], "encrypted_content": "e"},
            "/input/1": {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        },
        "gemini": {"/contents/0/parts/1/thoughtSignature": "s", "/contents/0/parts/3/functionCall": {"name": "f", "args": {}}},
    })  # fmt: skip


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
