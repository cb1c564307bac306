"""What tests of whole sessions share: places in memory and in SQLite, and words about what was said."""

import asyncio

import pytest

from lash_ref.attachments import FileAttachmentStore, InMemoryAttachmentStore
from lash_ref.core import LashCore
from lash_ref.effects import InlineEffectHost
from lash_ref.hosting import InMemoryProcessEnvStore
from lash_ref.memory_store import MemoryStoreFactory
from lash_ref.records import ModelSpec
from lash_ref.sqlite_store import SqliteStoreFactory
from lash_ref.store import SystemClock
from lash_ref.tool_results import Done
from lash_ref.tools import StaticToolProvider, ToolDefinition

MODEL = ModelSpec.from_token_limits("m-1", None, 8000)


class DurableEnv(InMemoryProcessEnvStore):
    async def persistence(self):
        return "durable"


@pytest.fixture(params=["memory", "sqlite"])
def wiring(request, tmp_path):
    """A function that starts a builder on one place."""
    if request.param == "memory":
        stores, attachments, env = MemoryStoreFactory(), InMemoryAttachmentStore(SystemClock()), InMemoryProcessEnvStore()
    else:
        stores = SqliteStoreFactory(tmp_path / "db")
        attachments, env = FileAttachmentStore(tmp_path / "files", SystemClock()), DurableEnv()

    def builder(provider, **parts):
        made = LashCore.standard_builder().provider(provider).model(MODEL).effect_host(InlineEffectHost())
        return made.attachment_store(attachments).process_env_store(env).store_factory(stores)

    yield builder
    if request.param == "sqlite":
        asyncio.run(stores.close())


def said(session):
    return [(m.role, m.text) for m in session.read_view().messages]


def echo():
    async def run(call):
        return Done.ok(call.args["text"])

    schema = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    return StaticToolProvider().add(ToolDefinition.raw("t:echo", "echo", "Echo", schema), run)
