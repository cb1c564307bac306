"""Queueing from a second process: it never opens the session, and the first drains what it left.

``python examples/queue_from_elsewhere.py FOLDER``; without a folder it uses a temporary one.
"""

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

from lash_ref.attachments import FileAttachmentStore
from lash_ref.core import LashCore
from lash_ref.effects import InlineEffectHost
from lash_ref.hosting import FileProcessEnvStore
from lash_ref.records import ModelSpec
from lash_ref.scripted import ScriptedProvider
from lash_ref.sqlite_store import SqliteStoreFactory
from lash_ref.store import SystemClock


async def wired(folder: Path, stores: SqliteStoreFactory) -> LashCore:
    """A core on the folder."""
    return await (
        LashCore.standard_builder()
        .provider(ScriptedProvider(["Done, and done."]))
        .model(ModelSpec.from_token_limits("scripted", None, 8000))
        .effect_host(InlineEffectHost())
        .attachment_store(FileAttachmentStore(folder / "attachments", SystemClock()))
        .process_env_store(FileProcessEnvStore(folder / "env"))
        .store_factory(stores)
        .build()
    )


async def leave(folder: Path, *notes: str) -> None:
    """Queue notes for the session; a note left twice under its key is one note."""
    stores = SqliteStoreFactory(folder / "sessions")
    core = await wired(folder, stores)
    for note in (*notes, *notes):
        await core.enqueue_turn_input("chat", note, source_key=f"note:{note}")
    await stores.close()


async def main(folder: Path) -> None:
    """Open, let another process queue, drain."""
    stores = SqliteStoreFactory(folder / "sessions")
    session = await (await wired(folder, stores)).session("chat").open()
    command = [sys.executable, __file__, str(folder), "leave"]
    child = await asyncio.create_subprocess_exec(*command)
    await child.wait()
    waiting = [item.text for row in await session.pending_turn_inputs() for item in row.input.items if item.type == "text"]
    print("waiting:", ", ".join(waiting))
    done = await session.queued_turn()
    print("answer:", done.result.assistant_output.safe_text if done else "nothing to do")
    print("left:", len(await session.pending_turn_inputs()))
    await session.close()
    await stores.close()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        asyncio.run(leave(Path(sys.argv[1]), "buy milk", "call mum"))
    elif len(sys.argv) > 1:
        asyncio.run(main(Path(sys.argv[1])))
    else:
        subprocess.run([sys.executable, __file__, tempfile.mkdtemp()], check=True)
