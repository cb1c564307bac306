"""What the tests of plugins in sessions are built of."""

import runtime_kit
from runtime_kit import MODEL

from lash_ref.nodes import FullGraph
from lash_ref.plugins import PluginFactory, PluginSpec, SessionPlugin, StaticPluginFactory
from lash_ref.records import SessionPolicy as StorePolicy
from lash_ref.records import SessionStoreCreateRequest
from lash_ref.scalars import Json
from lash_ref.scripted import Reply, ScriptedProvider
from lash_ref.snapshots import PluginSnapshotMeta
from lash_ref.tool_results import Done
from lash_ref.tools import StaticToolProvider, ToolDefinition

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}


class Place(runtime_kit.Place):
    """One store that outlives cores, and what was asked of the model last."""

    async def core(self, *replies, plugins=(), tools=None, prompt=None, stored=True, traces=None):
        self.provider = ScriptedProvider(list(replies))
        builder = self.builder(self.provider, stored=stored)
        if traces is not None:
            builder = builder.trace_sink(lambda name, payload: traces.append((name, payload.value)))
        if prompt is not None:
            builder = builder.prompt_contribution(prompt)
        for plugin in plugins:
            builder = builder.plugin(plugin)
        if tools is not None:
            builder = builder.tools(tools)
        return await builder.build()

    async def stored(self, session_id="s"):
        policy = StorePolicy(provider_id="scripted", model=MODEL)
        store = await self.stores.create_store(SessionStoreCreateRequest(session_id=session_id, policy=policy))
        return await store.load_session(FullGraph())

    async def entry(self, plugin_id, session_id="s"):
        """One plugin's stored state, and the stored revision of all."""
        checkpoint = (await self.stored(session_id)).checkpoint
        held = checkpoint.plugin_snapshot.value["plugins"].get(plugin_id)
        return held and held["meta"].get("state"), checkpoint.plugin_snapshot_revision


class Counter(SessionPlugin):
    """Counts the calls of its tool."""

    id = "counter"

    def __init__(self, factory):
        self.factory, self.count, self.fault = factory, 0, None

    def register(self, reg):
        async def bump(call):
            self.count += 1
            return Done.ok(self.count)

        reg.tools().provider(StaticToolProvider().add(ToolDefinition.raw("t:bump", "bump", "", SCHEMA), bump))

    def snapshot_revision(self):
        return self.count

    def snapshot(self, writer):
        self.factory.captures += 1
        if self.factory.fault:
            raise OSError(self.factory.fault)
        return super().snapshot(writer).but(state=Json(self.count))

    def restore(self, meta: PluginSnapshotMeta, reader):
        if self.factory.fault:
            raise OSError(self.factory.fault)
        self.factory.restores.append(meta.state)
        self.count = meta.state.value if meta.state else 0


class CounterFactory(PluginFactory):
    id = "counter"

    def __init__(self):
        self.fault, self.captures, self.restores, self.built = None, 0, [], []

    def build(self, context):
        self.built.append(Counter(self))
        return self.built[-1]


def bump(name="c1"):
    return Reply(calls=[(name, "bump", {})])


def spec(id="kit", **surfaces):
    return StaticPluginFactory(id, PluginSpec(**surfaces))


def said(session):
    return [(m.role, m.text) for m in session.read_view().messages if m.text]
