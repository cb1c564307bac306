"""A chat with any OpenAI-compatible endpoint; without a key, with a recording.

``OPENAI_API_KEY=… python examples/chat.py --base-url https://api.openai.com/v1 --model gpt-5``
or simply ``python examples/chat.py``, which talks to the suite's replayer on loopback and needs no network.
Lines come from standard input; an empty line or its end ends the chat.
"""

import argparse
import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator

from lash_conformance.replay_server import ReplayServer
from lash_ref.attachments import InMemoryAttachmentStore
from lash_ref.core import LashCore
from lash_ref.dialect import Endpoint
from lash_ref.effects import InlineEffectHost
from lash_ref.hosting import InMemoryProcessEnvStore
from lash_ref.http_provider import HttpProvider
from lash_ref.memory_store import MemoryStoreFactory
from lash_ref.openai_chat import OpenAiChat
from lash_ref.outcome import outcome_data
from lash_ref.records import ModelSpec
from lash_ref.store import SystemClock

RECORDED = "openai-chat.stream.text-usage-tail"


@contextlib.contextmanager
def endpoint(base_url: str | None) -> Iterator[Endpoint]:
    """The route that was asked for, or the replayer's."""
    key = os.environ.get("OPENAI_API_KEY", "")
    if base_url is not None:
        yield Endpoint(base_url=base_url, headers=(("authorization", f"Bearer {key}"),) if key else ())
        return
    server = ReplayServer().start()
    try:
        url = f"{server.url}/r/chat/{RECORDED}/v1"
        print(f"no --base-url: two recorded answers of {RECORDED}")
        yield Endpoint(base_url=url, headers=(("authorization", "Bearer fixture"),))
    finally:
        server.stop()


async def chat(route: Endpoint, model: str) -> None:
    """Turn by turn, until there is nothing more to say."""
    clock = SystemClock()
    provider = HttpProvider(OpenAiChat(), route, clock)
    core = await (
        LashCore.standard_builder()
        .provider(provider)
        .model(ModelSpec.from_token_limits(model, None, 128_000))
        .effect_host(InlineEffectHost())
        .attachment_store(InMemoryAttachmentStore(clock))
        .process_env_store(InMemoryProcessEnvStore())
        .store_factory(MemoryStoreFactory())
        .build()
    )
    session = await core.session("chat").open()
    try:
        while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
            outcome = outcome_data((await session.turn(line).run()).result.outcome)
            message = outcome.get("finished", {}).get("assistant_message")
            print(message["text"] if message else outcome)
        print(f"{session.usage_report().total_tokens} tokens")
    finally:
        await session.close()
        await provider.close()


def main() -> None:
    """The command line."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--base-url", help="of any OpenAI-compatible endpoint, ending in /v1")
    asked.add_argument("--model", default="m", help="the model's name there")
    given = asked.parse_args()
    with endpoint(given.base_url) as route:
        asyncio.run(chat(route, given.model))


if __name__ == "__main__":
    main()
