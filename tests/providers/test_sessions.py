"""A session talks to each dialect: a whole turn with a tool call, over the replayer, and the golden bodies it sends."""

import asyncio
import json
from pathlib import Path

import pytest
from syrupy.extensions.json import JSONSnapshotExtension
from syrupy.matchers import path_type

from lash_conformance.fixture import Fixture, fixtures
from lash_conformance.provider_calls import AUTHORIZATION, REFERENCE
from lash_conformance.replay_server import ReplayServer
from lash_ref.attachments import InMemoryAttachmentStore
from lash_ref.core import LashCore
from lash_ref.dialect import Endpoint
from lash_ref.effects import InlineEffectHost
from lash_ref.hosting import InMemoryProcessEnvStore
from lash_ref.http_provider import HttpProvider
from lash_ref.memory_store import MemoryStoreFactory
from lash_ref.outcome import outcome_data
from lash_ref.records import ModelSpec
from lash_ref.store import SystemClock
from lash_ref.tool_results import Done
from lash_ref.tools import StaticToolProvider, ToolDefinition

TURNS = {
    "anthropic-messages": ("stream.tool-args-split", "stream.text", ['{"q": "café x"}'], "Hello."),
    "openai-chat": ("stream.tool-args-split", "stream.text-usage-tail", ['{"q":"café"}'], "Hello."),
    "openai-responses": ("stream.tool-args-split", "stream.text-phases", ['{"q":"x"}'], "42."),
    "gemini": ("stream.tool-parallel-no-id", "stream.text-repeated", ['{"q":"x"}', '{"q":"y"}'], "hahaé"),
}
"""By dialect: the fixture of the reply that calls, that of the reply after it, the calls' arguments, the answer."""


PROMPT = {
    "anthropic-messages": r"system\.0\.text",
    "openai-chat": r"messages\.0\.content\.0\.text",
    "openai-responses": "instructions",
    "gemini": r"systemInstruction\.parts\.0\.text",
}
"""Where the prompt stands: its words are another chapter's and are masked."""


def turn_of(dialect: str) -> Fixture:
    """The first replies of two fixtures, asked for in one turn."""
    calling, answering, _, _ = TURNS[dialect]
    first, second = fixtures()[f"{dialect}.{calling}"], fixtures()[f"{dialect}.{answering}"]
    exchanges = [made.exchanges[0] for made in (first, second)]
    asked = [e.model_copy(update={"request": e.request.model_copy(update={"body": {}})}) for e in exchanges]
    return first.model_copy(update={"exchanges": asked})


async def run_turn(dialect: str, url: str) -> tuple[list[str], object]:
    """The arguments that the tool was called with, and how the turn ended."""
    called: list[str] = []

    async def look_up(call):
        called.append(json.dumps(call.args, ensure_ascii=False, separators=(",", ":")))
        return Done.ok("a word")

    schema = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
    tools = StaticToolProvider().add(ToolDefinition.raw("t:lookup", "lookup", "Looks a word up.", schema), look_up)
    clock = SystemClock()
    route = Endpoint(base_url=url, headers=AUTHORIZATION[dialect], expose_thinking=True)
    provider = HttpProvider(REFERENCE[dialect], route, clock)
    core = await (
        LashCore.standard_builder().provider(provider).model(ModelSpec.from_token_limits("m", None, 8000))
        .effect_host(InlineEffectHost()).attachment_store(InMemoryAttachmentStore(clock))
        .process_env_store(InMemoryProcessEnvStore()).store_factory(MemoryStoreFactory()).tools(tools).build()
    )  # fmt: skip
    session = await core.session("s").open()
    try:
        done = await session.turn("Look it up.").run()
        return called, outcome_data(done.result.outcome)
    finally:
        await provider.close()


@pytest.mark.parametrize("dialect", list(TURNS))
def test_a_whole_turn_with_a_tool_call(dialect: str, snapshot):
    """The tool gets the streamed arguments, its result goes back, the turn ends; the bodies sent are the golden ones."""
    server = ReplayServer().start()
    try:
        url, replay = server.begin(turn_of(dialect))
        called, outcome = asyncio.run(run_turn(dialect, url))
    finally:
        server.stop()
    _, _, arguments, answer = TURNS[dialect]

    assert replay.faults == []
    assert called == [one.replace(": ", ":") for one in arguments]
    assert outcome == {"finished": {"assistant_message": {"text": answer}}}
    bodies = [request["body"] for request in replay.requests]
    masked = path_type({rf"^\d+\.{PROMPT[dialect]}$": (str,)}, regex=True)
    assert bodies == snapshot.use_extension(JSONSnapshotExtension)(matcher=masked)


def test_golden_bodies_were_kept_for_each_dialect():
    """A body for each; nothing left over."""
    folder = Path(__file__).parent / "__snapshots__" / "test_sessions"
    names = sorted(path.name for path in folder.glob("*.json"))

    assert names == sorted(f"test_a_whole_turn_with_a_tool_call[{dialect}].json" for dialect in TURNS)
