"""An observer that loses its connection: it comes back with its cursor and misses nothing, or is told what it missed."""

import asyncio

from lash_ref.attachments import InMemoryAttachmentStore
from lash_ref.core import LashCore
from lash_ref.effects import InlineEffectHost
from lash_ref.hosting import InMemoryProcessEnvStore
from lash_ref.memory_store import MemoryStoreFactory
from lash_ref.observe import Gap, LiveReplayStore
from lash_ref.records import ModelSpec
from lash_ref.scripted import ScriptedProvider
from lash_ref.store import SystemClock


async def main() -> None:
    """Away for one turn, then away for too long."""
    core = await (
        LashCore.standard_builder()
        .provider(ScriptedProvider(["one", "two", "three"]))
        .model(ModelSpec.from_token_limits("scripted", None, 8000))
        .effect_host(InlineEffectHost())
        .attachment_store(InMemoryAttachmentStore(SystemClock()))
        .process_env_store(InMemoryProcessEnvStore())
        .store_factory(MemoryStoreFactory())
        .live_replay_store(LiveReplayStore(SystemClock(), capacity=6))
        .build()
    )
    session = await core.session("chat").open()
    watched = session.observe()
    cursor = watched.current_observation().cursor.text()
    await session.turn("1")
    seen = watched.resume_from_cursor(cursor).events
    print("missed nothing:", [event.payload.type for event in seen][-1], len(seen))
    await session.turn("2")
    await session.turn("3")
    gone = watched.resume_from_cursor(cursor)
    print("gap:", gone.gap.reason if gone.gap else None)
    async for event in watched.subscribe_and_recover(cursor):
        if isinstance(event, Gap):
            print("goes on from:", event.latest_cursor.text())
            break
    await session.close()


if __name__ == "__main__":
    asyncio.run(main())
