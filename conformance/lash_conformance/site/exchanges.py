"""The fixture viewer: every recorded exchange of a dialect, frame by frame, beside what it must come to."""

import json
from typing import Any

from jinja2 import Environment

from lash_conformance.catalogue import Clause
from lash_conformance.fixture import Exchange, Fixture, Frame, fixtures
from lash_conformance.site.evidence import SiteFault

TITLES = {
    "anthropic-messages": "Anthropic Messages", "openai-chat": "OpenAI Chat Completions",
    "openai-responses": "OpenAI Responses", "gemini": "Gemini",
}  # fmt: skip
LONGEST = 2000
"""Characters shown of one frame; the file holds all."""


def page(dialect: str, law: dict[str, Clause], templates: Environment) -> str:
    """The page of one dialect.

    Raises:
        SiteFault: a fixture covers an unknown clause.
    """
    mine = [made for made in fixtures().values() if made.dialect == dialect]
    for made in mine:
        for clause in made.covers:
            if clause not in law:
                raise SiteFault(f"fixture {made.id} covers the unknown clause {clause}")
    shown = [(made, [(exchange, wire(exchange)) for exchange in made.exchanges], expected(made)) for made in mine]
    return templates.get_template("fixtures.md.j2").render(title=TITLES[dialect], fixtures=shown, law=law, request=request)


def wire(exchange: Exchange) -> list[tuple[str, str]]:
    """Each step of the reply: what kind it is, and its bytes as text."""
    response = exchange.response
    if response.before != "answer":
        return [("transport", f"{response.before}: no header is sent")]
    head = "\n".join([f"HTTP {response.status}", *(f"{name}: {value}" for name, value in response.headers)])
    steps = [("head", head)]
    if response.json_body is not None:
        steps.append(("body", json.dumps(response.json_body, indent=1, ensure_ascii=False)))
    newline = "\r\n" if response.newline == "crlf" else "\n"
    return steps + [_frame(frame, newline) for frame in response.frames]


def _frame(frame: Frame, newline: str) -> tuple[str, str]:
    sent = frame.bytes(newline)
    if sent:
        text = sent.decode("utf-8", "backslashreplace").replace("\r", "\\r")
        return frame.event or "data", text[:LONGEST] + (" …" if len(text) > LONGEST else "")
    if frame.end is not None:
        return "end", frame.end
    if frame.gate is not None:
        return "gate", frame.gate
    return "pause", f"{frame.delay_ms} ms"


def request(exchange: Exchange) -> str:
    """What the request must be, as JSON."""
    asked: dict[str, Any] = exchange.request.model_dump(exclude_defaults=True)
    return json.dumps(asked, indent=1, ensure_ascii=False)


def expected(made: Fixture) -> list[str]:
    """What each call must come to, as JSON."""
    return [json.dumps(call.expect, indent=1, ensure_ascii=False) for call in made.calls]
