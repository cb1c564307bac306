"""A chat that survives ``kill -9`` between turns: one process says something and is killed, the next goes on.

``python examples/chat_survives_kill.py FOLDER``; without a folder it uses a temporary one.
"""

import asyncio
import signal
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


async def say(folder: Path, words: str) -> list[str]:
    """One turn in this process; the whole conversation afterwards."""
    stores = SqliteStoreFactory(folder / "sessions")
    core = await (
        LashCore.standard_builder()
        .provider(ScriptedProvider([f"You said: {words}"]))
        .model(ModelSpec.from_token_limits("scripted", None, 8000))
        .effect_host(InlineEffectHost())
        .attachment_store(FileAttachmentStore(folder / "attachments", SystemClock()))
        .process_env_store(FileProcessEnvStore(folder / "env"))
        .store_factory(stores)
        .build()
    )
    session = await core.session("chat").open()
    await session.turn(words)
    texts = [message.text for message in session.read_view().messages]
    await stores.close()
    return texts


def die_after(folder: Path, words: str) -> None:
    """Say something in another process, and kill that process before it can do anything more."""
    child = subprocess.Popen(
        [sys.executable, __file__, str(folder), "child", words], stdout=subprocess.PIPE, text=True
    )
    with child:
        print("child:", child.stdout.readline().strip() if child.stdout else "")
        child.send_signal(signal.SIGKILL)


def main(folder: Path) -> None:
    """Two processes, one conversation."""
    die_after(folder, "hello")
    for text in asyncio.run(say(folder, "still there?")):
        print(text)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        asyncio.run(say(Path(sys.argv[1]), sys.argv[3]))
        print("committed", flush=True)
        signal.pause()
    elif len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as made:
            main(Path(made))
