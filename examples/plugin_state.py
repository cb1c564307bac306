"""A plugin with state: it survives park, resume and a new process, in the same commit as the turn.

Run it twice with the same folder: ``python examples/plugin_state.py /tmp/diary``.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from lash_ref.attachments import FileAttachmentStore
from lash_ref.core import LashCore
from lash_ref.effects import InlineEffectHost
from lash_ref.hosting import FileProcessEnvStore
from lash_ref.plugins import PluginFactory, PluginSessionContext, SessionPlugin
from lash_ref.records import ModelSpec
from lash_ref.registrar import PluginRegistrar
from lash_ref.scalars import Json
from lash_ref.scripted import Reply, ScriptedProvider
from lash_ref.snapshots import PluginSnapshotMeta, SnapshotReader, SnapshotWriter
from lash_ref.sqlite_store import SqliteStoreFactory
from lash_ref.store import SystemClock
from lash_ref.tool_results import Done
from lash_ref.tools import StaticToolProvider, ToolCall, ToolDefinition


class Diary(SessionPlugin):
    """Keeps a line for every call of its tool."""

    id = "diary"

    def __init__(self) -> None:
        self.lines: list[str] = []

    def register(self, reg: PluginRegistrar) -> None:
        schema = {"type": "object", "properties": {"line": {"type": "string"}}, "required": ["line"]}
        definition = ToolDefinition.raw("tool:note", "note", "Writes a line into the diary.", schema)
        reg.tools().provider(StaticToolProvider().add(definition, self._note))

    async def _note(self, call: ToolCall) -> Done:
        self.lines.append(call.args["line"])
        return Done.ok(f"{len(self.lines)} lines")

    def snapshot_revision(self) -> int:
        """Grows with the state: without it, changes after the first commit are not stored."""
        return len(self.lines)

    def snapshot(self, writer: SnapshotWriter) -> PluginSnapshotMeta:
        return super().snapshot(writer).but(state=Json({"format": 1, "lines": self.lines}))

    def restore(self, meta: PluginSnapshotMeta, reader: SnapshotReader) -> None:
        """No state means the defaults, never "as you are"."""
        held = meta.state.value if meta.state else {"lines": []}
        self.lines = list(held["lines"])


class DiaryFactory(PluginFactory):
    """One for the core; every session gets a diary of its own."""

    id = "diary"

    def build(self, context: PluginSessionContext) -> SessionPlugin:
        return Diary()


async def main(folder: Path) -> None:
    """Two turns with a park between them, on whatever the folder holds already."""
    stores = SqliteStoreFactory(folder / "sessions")
    replies = [Reply(calls=[(f"c{n}", "note", {"line": f"day {n}"})]) if half == 0 else "Noted."
               for n in (1, 2) for half in (0, 1)]  # fmt: skip
    core = await (
        LashCore.standard_builder()
        .provider(ScriptedProvider(replies))
        .model(ModelSpec.from_token_limits("scripted", None, 8000))
        .effect_host(InlineEffectHost())
        .attachment_store(FileAttachmentStore(folder / "attachments", SystemClock()))
        .process_env_store(FileProcessEnvStore(folder / "environments"))
        .store_factory(stores)
        .plugin(DiaryFactory())
        .build()
    )
    session = await core.session("mine").open()
    done = await session.turn("Note the day.").run()
    print("first turn:", done.result.tool_calls[0].output.model_text())

    session = await core.resume(await session.park())
    done = await session.turn("And the next.").run()
    print("after park and resume:", done.result.tool_calls[0].output.model_text())
    await session.close()
    await stores.close()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(main(Path(sys.argv[1])))
    else:
        with tempfile.TemporaryDirectory() as made:
            asyncio.run(main(Path(made)))
