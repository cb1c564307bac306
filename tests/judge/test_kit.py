"""The kit's written plugins and shelf do what their page says."""

import asyncio

import pytest

from lash_conformance.targets.kit_shelf import ShelfFactory
from lash_conformance.targets.kit_tools import KitStage
from lash_conformance.targets.kit_written import WrittenFactory, directive
from lash_ref.directives import AbortTurn, ReplaceToolArgs, ShortCircuitTool
from lash_ref.errors import InvokeError, SnapshotError
from lash_ref.plugin_host import PluginHost
from lash_ref.plugins import PluginFactory, PluginSessionContext, SessionPlugin
from lash_ref.scalars import Json


class Protocol(SessionPlugin):
    id = "protocol"

    def register(self, reg):
        reg.protocol().session(object())
        reg.protocol().protocol_driver(object())


class ProtocolFactory(PluginFactory):
    id = "protocol"

    def build(self, context):
        return Protocol()


def session(stage, snapshot=None, *, parent=None, **options):
    factories = [WrittenFactory(name, written, stage) for name, written in options.items()]
    context = PluginSessionContext(session_id="s1", parent_session_id=parent)
    return PluginHost([ProtocolFactory(), *factories]).build_session(context, snapshot)


def test_a_written_plugin_tells_its_points():
    """Build, register and ready, of a child that is handed an extension."""
    stage = KitStage()
    session(stage, parent="p", a={"extension": {"y": 1, "x": 2}})

    assert stage.journal == ["a build child", 'a extensions [{"x":2,"y":1}]', "a register", "a ready"]


def test_a_written_plugin_counts_and_keeps_its_number_and_blobs():
    """The number is the revision; blobs come back by name."""
    stage = KitStage()
    options = {"changes_at": ["ready"], "blobs": [["x", "one"], ["x", "two"]], "version": "7"}
    made = session(stage, a=options)
    (entry,) = [each for id, each in made.snapshot().plugins.items() if id == "a"]
    assert (entry.meta.revision, entry.meta.state, len(entry.artifacts)) == (1, Json({"n": 1}), 2)

    stage.journal.clear()
    session(stage, made.snapshot(), a=options | {"version": "8"}, b={"changes_at": ["ready"]})
    told = [line for line in stage.journal if "restore" in line or "blob" in line]
    assert told == ['a restore 7 {"n":1}', "a blob x one", "b restore none"]


def test_a_written_plugin_fails_as_often_as_written():
    """Once, and not again; a failing snapshot is a snapshot error."""
    stage = KitStage()
    made = session(stage, a={"fails_at": ["snapshot"], "fail_times": 1})
    with pytest.raises(SnapshotError, match="broken at snapshot"):
        made.snapshot()
    made.snapshot()

    with pytest.raises(InvokeError, match="broken at register"):
        session(stage, a={"fails_at": ["register"]})


def test_directives_of_a_point_are_given_once():
    """At the first call on the core, and nothing later; a gate holds the point."""
    stage = KitStage()
    written = {
        "directives": {"checkpoint after_work": [{"kind": "abort_turn", "code": "c", "message": "m"}]},
        "waits": {"checkpoint after_work": "g"},
    }
    made = session(stage, a=written)

    class Context:
        checkpoint = "after_work"

    async def run():
        task = asyncio.get_running_loop().create_task(made.at_checkpoint(Context))
        await stage.gate("g").reached.wait()
        stage.gate("g").opened.set()
        return [owned.value for owned in await task], await made.at_checkpoint(Context)

    assert asyncio.run(run()) == ([AbortTurn("c", "m")], [])
    assert stage.journal[-1] == "a checkpoint after_work done"


def test_the_kits_directives_are_read():
    """Arguments, a value, a pending result; anything else is an error of the kit."""
    assert directive({"kind": "replace_tool_args", "args": {"x": 1}}) == ReplaceToolArgs(Json({"x": 1}))
    assert isinstance(directive({"kind": "short_circuit_tool", "value": 1}), ShortCircuitTool)
    assert directive({"kind": "short_circuit_tool", "pending": True}).output.outcome.payload.code == (
        "pending_tool_short_circuit"
    )
    with pytest.raises(ValueError, match="no directive of the kit"):
        directive({"kind": "nonsense"})


def test_the_shelf_offers_what_it_holds_now():
    """Under the kit's name and id, or under others."""
    shelf = ShelfFactory({"offers": [{"tool": "echo", "name": "say", "id": "x:say"}]}, KitStage())
    context = PluginSessionContext(session_id="s1")
    made = PluginHost([ProtocolFactory(), shelf]).build_session(context)
    assert [(one.id, one.name) for one in made.tool_registry.tool_manifests()] == [("x:say", "say")]

    shelf.offers = [{"tool": "fail"}]
    made.tool_registry.refresh_sources()
    assert [one.id for one in made.tool_registry.tool_manifests()] == ["kit:fail"]
