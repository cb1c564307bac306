"""A stop button: whoever holds a clone of the session stops its turns, and the session goes on."""

import asyncio

from lash_ref.attachments import InMemoryAttachmentStore
from lash_ref.core import LashCore
from lash_ref.effects import InlineEffectHost
from lash_ref.hosting import InMemoryProcessEnvStore
from lash_ref.memory_store import MemoryStoreFactory
from lash_ref.records import ModelSpec
from lash_ref.scripted import Reply, ScriptedProvider
from lash_ref.store import SystemClock


async def main() -> None:
    """A turn that would never end, stopped; then one that ends."""
    speaking = asyncio.Event()
    endless = Reply("Once upon a time", hangs=asyncio.Event(), reached=speaking)
    core = await (
        LashCore.standard_builder()
        .provider(ScriptedProvider([endless, "The end."]))
        .model(ModelSpec.from_token_limits("scripted", None, 8000))
        .effect_host(InlineEffectHost())
        .attachment_store(InMemoryAttachmentStore(SystemClock()))
        .process_env_store(InMemoryProcessEnvStore())
        .store_factory(MemoryStoreFactory())
        .build()
    )
    session = await core.session("chat").open()
    button = session.clone()
    turn = asyncio.ensure_future(session.turn("Tell me a story").run())
    await speaking.wait()
    print("stopped:", button.cancel_running_turns_with_origin("stop button"))
    done = await turn
    print("cancelled by:", done.result.cancellation.origin if done.result.cancellation else "nobody")
    await session.turn("Just the end, please")
    print([message.text for message in session.read_view().messages])
    button.drop()
    await session.close()


if __name__ == "__main__":
    asyncio.run(main())
