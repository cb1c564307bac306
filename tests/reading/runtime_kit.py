"""What the runtime's tests are built of: one place with stores, and builders on it."""

from lash_ref.attachments import FileAttachmentStore, InMemoryAttachmentStore
from lash_ref.core import LashCore
from lash_ref.effects import InlineEffectHost
from lash_ref.hosting import InMemoryProcessEnvStore
from lash_ref.memory_store import MemoryStoreFactory
from lash_ref.plugins import PluginFactory, SessionPlugin
from lash_ref.records import ModelSpec
from lash_ref.scalars import Json
from lash_ref.snapshots import PluginSnapshotMeta
from lash_ref.sqlite_store import SqliteStoreFactory
from lash_ref.store import SystemClock
from lash_ref.tool_results import Done
from lash_ref.tools import StaticToolProvider, ToolDefinition

MODEL = ModelSpec.from_token_limits("m-1", None, 8000)
NO_ARGS = {"type": "object", "properties": {}}


class DurableEnv(InMemoryProcessEnvStore):
    async def persistence(self):
        return "durable"


class Place:
    """Stores that several cores share."""

    def __init__(self, directory=None):
        clock = SystemClock()
        self.durable = directory is not None
        self.stores = SqliteStoreFactory(directory / "db") if directory else MemoryStoreFactory()
        self.attachments = FileAttachmentStore(directory / "a", clock) if directory else InMemoryAttachmentStore(clock)
        self.env = DurableEnv() if directory else InMemoryProcessEnvStore()

    def builder(self, provider, effect_host=None, stored=True):
        made = LashCore.standard_builder().provider(provider).model(MODEL)
        made.effect_host(effect_host or InlineEffectHost()).attachment_store(self.attachments)
        made.process_env_store(self.env)
        return made.store_factory(self.stores) if stored else made

    async def close(self):
        if self.durable:
            await self.stores.close()


def tool(name, handler, schema=None):
    """A tool with one handler."""
    definition = ToolDefinition.raw(f"t:{name}", name, name, schema or NO_ARGS)
    return StaticToolProvider().add(definition, handler)


def texts(session):
    """The texts a session shows, in order."""
    return [message.text for message in session.read_view().messages]


class CounterFactory(PluginFactory):
    """Counts in a tool, keeps the count in its snapshot, and writes down how often the tool ran."""

    id = "counter"

    def __init__(self):
        self.ran = 0
        self.restored = []

    def build(self, context):
        return _Counter(self)


class _Counter(SessionPlugin):
    id = "counter"

    def __init__(self, factory):
        self.factory, self.count = factory, 0

    def register(self, reg):
        reg.tools().provider(tool("count", self._count))

    async def _count(self, call):
        self.factory.ran += 1
        self.count += 1
        return Done.ok(self.count)

    def snapshot_revision(self):
        return self.count

    def snapshot(self, writer):
        return PluginSnapshotMeta(
            plugin_id=self.id, plugin_version="1", revision=self.count, state=Json({"count": self.count})
        )

    def restore(self, meta, reader):
        self.count = 0 if meta.state is None else meta.state.value["count"]
        self.factory.restored.append(self.count)
