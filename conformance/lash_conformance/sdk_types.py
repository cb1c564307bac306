"""Frames held against the official SDKs' own types, so that no fixture shows what no provider sends.

Needs the extra ``sdks``. What lies outside the SDKs' event unions by design is passed over and named in `OUTSIDE`.
"""

from importlib.metadata import version
from typing import Any, cast

from pydantic import BaseModel, TypeAdapter, ValidationError

from lash_conformance.fixture import Fixture, Frame

PACKAGES = {
    "anthropic-messages": "anthropic",
    "openai-chat": "openai",
    "openai-responses": "openai",
    "gemini": "google-genai",
}
OUTSIDE = {
    "ping": "the Anthropic union leaves keep-alives out",
    "error": "error envelopes are raised by clients, not typed as events",
}


def checker(dialect: str, mode: str) -> TypeAdapter[Any]:
    """The SDK's type of one event of a stream, or of a whole reply in mode ``json``."""
    if dialect == "anthropic-messages":
        from anthropic.types import Message, RawMessageStreamEvent

        return TypeAdapter(Message if mode == "json" else RawMessageStreamEvent)
    if dialect == "openai-chat":
        from openai.types.chat import ChatCompletion, ChatCompletionChunk

        return TypeAdapter(ChatCompletion if mode == "json" else ChatCompletionChunk)
    if dialect == "openai-responses":
        from openai.types.responses import Response, ResponseStreamEvent

        return TypeAdapter(Response if mode == "json" else ResponseStreamEvent)
    from google.genai.types import GenerateContentResponse

    return TypeAdapter(GenerateContentResponse)


def _outside(data: dict[str, Any]) -> bool:
    return data.get("type") == "ping" or ("error" in data and data.get("type") in {None, "error"})


def unrealistic(fixture: Fixture) -> list[str]:
    """What of the fixture's successful replies the installed SDK's types refuse; each names exchange and frame."""
    if fixture.derived_from is not None:
        return []
    official = fixture.provenance.kind == "sdk_types"
    found: list[str] = []
    for number, exchange in enumerate(fixture.exchanges):
        if exchange.role != "completion" or exchange.response.status != 200:
            continue
        if exchange.response.json_body is not None:
            found += _faults(checker(fixture.dialect, "json"), exchange.response.json_body, f"{number}", official)
            continue
        stream = checker(fixture.dialect, "stream")
        for place, frame in enumerate(exchange.response.frames):
            if _typed(frame):
                found += _faults(stream, frame.data, f"{number}.{place}", official)
    return found


def _typed(frame: Frame) -> bool:
    if not isinstance(frame.data, dict):
        return False
    return not _outside(cast("dict[str, Any]", frame.data)) and not _novel(frame)


def _novel(frame: Frame) -> bool:
    """Kinds that do not exist yet are sent on purpose, to see them passed over."""
    return "future" in str(frame.data)


def _faults(adapter: TypeAdapter[Any], data: Any, where: str, official: bool) -> list[str]:
    try:
        made = adapter.validate_python(data, strict=False)
    except ValidationError as err:
        fault = err.errors(include_url=False)[0]
        return [f"frame {where}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}"]
    return [f"frame {where}: {path} is not typed" for path in _extras(made, "")] if official else []


def _extras(value: Any, path: str) -> list[str]:
    """Members the SDK does not know; gateways add some, official APIs none."""
    if isinstance(value, BaseModel):
        own = [f"{path}/{name}" for name in value.model_extra or {}]
        members: list[tuple[str, Any]] = [(name, getattr(value, name)) for name in type(value).model_fields]
        return own + [extra for name, member in members for extra in _extras(member, f"{path}/{name}")]
    return []


def installed(fixture: Fixture) -> dict[str, str]:
    """The SDK that judges the fixture, with its installed version."""
    package = PACKAGES[fixture.dialect]
    return {package: version(package)}
