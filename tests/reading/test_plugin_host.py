"""Factories, stacks, building and registering, capture and restore."""

import asyncio
import hashlib

import pytest

from lash_ref.errors import PluginSessionError, RegistrationError, SnapshotError, UnknownPluginSession
from lash_ref.operations import Outcome, PluginOperation, PluginQueryContext
from lash_ref.plugin_host import PluginHost
from lash_ref.plugins import (
    PluginExtensionContribution,
    PluginFactory,
    PluginSessionContext,
    PluginSpec,
    PluginStack,
    SessionPlugin,
    StaticPluginFactory,
)
from lash_ref.registrar import TriggerEvent
from lash_ref.scalars import Json
from lash_ref.snapshots import PluginSessionSnapshot, PluginSnapshotMeta
from lash_ref.tool_results import Done
from lash_ref.tools import StaticToolProvider, ToolDefinition


class Protocol(SessionPlugin):
    id = "protocol"

    def register(self, reg):
        reg.protocol().session(object())
        reg.protocol().protocol_driver(object())


class Counter(SessionPlugin):
    """Counts, keeps its count in meta and a blob, and writes down what happens to it."""

    def __init__(self, id, journal):
        self.id, self.journal = id, journal
        self.count, self.revision, self.fault = 0, 0, None

    def register(self, reg):
        self.journal.append(f"register {self.id}")

    def session_ready(self, context):
        self.journal.append(f"ready {self.id}")

    def snapshot_revision(self):
        return self.revision

    def snapshot(self, writer):
        if self.fault:
            raise ValueError(self.fault)
        writer.write_blob("count", b"%d" % self.count)
        writer.write_blob("count", b"ignored")
        return PluginSnapshotMeta(
            plugin_id=self.id, plugin_version="7", revision=self.revision, state=Json({"count": self.count})
        )

    def restore(self, meta, reader):
        self.journal.append(f"restore {self.id} {meta.plugin_version} {meta.state and meta.state.text}")
        if self.fault:
            raise ValueError(self.fault)
        self.count = int(reader.read_blob("count") or b"0")


class Factory(PluginFactory):
    def __init__(self, id, make, extensions=()):
        self.id, self.make, self.extensions = id, make, extensions
        self.contexts = []

    def extension_contributions(self):
        return self.extensions

    def build(self, context):
        self.contexts.append(context)
        return self.make(self.id)


PROTOCOL = Factory("protocol", lambda name: Protocol())


def counters(journal, *ids):
    def made(id):
        journal.append(f"build {id}")
        return Counter(id, journal)

    return [Factory(id, made) for id in ids]


def test_a_stack_keeps_its_order_and_edits_by_id():
    a, b, c = (StaticPluginFactory(id, PluginSpec()) for id in "abc")
    other = StaticPluginFactory("b", PluginSpec())
    stack = PluginStack().extend([a, b, c]).replace(other).remove("a").replace(a)
    assert [each is kept for each, kept in zip(stack.factories, (other, c, a), strict=True)] == [True] * 3


def test_each_factory_is_built_and_registered_before_the_next():
    journal = []
    host = PluginHost([*counters(journal, "a", "b"), PROTOCOL])
    host.build_session(PluginSessionContext("s1"))
    assert journal == ["build a", "register a", "build b", "register b", "ready a", "ready b"]


def test_two_plugins_of_one_id_are_refused_and_a_builtin_is_replaced():
    with pytest.raises(RegistrationError, match="two plugins have the id 'a'"):
        PluginHost(counters([], "a", "a"))
    same = Factory("b", lambda name: Counter("a", []))
    with pytest.raises(RegistrationError, match="two plugins have the id 'a'"):
        PluginHost([*counters([], "a"), same, PROTOCOL]).build_session(PluginSessionContext("s1"))
    mine, builtin = counters([], "a", "a")
    assert PluginHost([mine], builtins=[builtin]).factories == (mine,)


def test_a_session_without_a_protocol_is_refused_and_leaves_its_id_free():
    host = PluginHost(counters([], "a"))
    with pytest.raises(RegistrationError, match="no plugin registered the protocol session"):
        host.build_session(PluginSessionContext("s1"))
    with pytest.raises(UnknownPluginSession):
        host.session("s1")


def test_a_live_id_is_refused_until_it_is_unregistered():
    host = PluginHost([PROTOCOL])
    held = host.build_session(PluginSessionContext("s1"))
    with pytest.raises(PluginSessionError, match="s1"):
        host.build_session(PluginSessionContext("s1"))
    assert host.session("s1") is held
    host.unregister_session("s1")
    assert host.build_session(PluginSessionContext("s1")) is not held


def test_what_a_plugin_wrote_it_gets_back_and_the_first_blob_of_a_name_wins():
    journal = []
    host = PluginHost([*counters(journal, "a"), PROTOCOL])
    session = host.build_session(PluginSessionContext("s1"))
    session.plugins[0].count = 5
    stored = PluginSessionSnapshot.from_json(session.snapshot().to_json())
    host.unregister_session("s1")
    journal.clear()
    again = host.build_session(PluginSessionContext("s1"))
    again.restore(stored)
    assert journal == ["build a", "register a", "ready a", 'restore a 7 {"count":5}']
    assert again.plugins[0].count == 5


def test_a_plugin_without_an_entry_is_reset_and_an_absent_plugins_entry_is_carried_along():
    first = PluginHost([*counters([], "a", "b"), PROTOCOL]).build_session(PluginSessionContext("s1"))
    first.plugins[1].count = 3
    journal = []
    second = PluginHost([*counters(journal, "a", "c"), PROTOCOL]).build_session(PluginSessionContext("s1"))
    second.plugins[1].count = 9
    second.restore(first.snapshot())
    assert (journal[-1], second.plugins[1].count) == ("restore c 1 None", 0)
    assert second.snapshot().plugins["b"] == first.snapshot().plugins["b"]
    third = PluginHost([*counters([], "b"), PROTOCOL]).build_session(PluginSessionContext("s1"))
    third.restore(second.snapshot())
    assert third.plugins[0].count == 3


def test_one_plugin_that_fails_fails_the_capture_and_a_failed_restore_names_the_plugin():
    session = PluginHost([*counters([], "a", "b"), PROTOCOL]).build_session(PluginSessionContext("s1"))
    session.plugins[1].fault = "disk on fire"
    with pytest.raises(SnapshotError, match=r"plugin 'b' could not write its state: disk on fire"):
        session.snapshot()
    with pytest.raises(SnapshotError, match="plugin 'b' could not take up its state"):
        session.restore(PluginSessionSnapshot())


def test_the_fingerprint_is_the_contracts():
    session = PluginHost([*counters([], "a", "b")[:1], PROTOCOL]).build_session(PluginSessionContext("s1"))
    session.plugins[0].revision = 258
    bytes_ = b"a\x001\x00\x02\x01\x00\x00\x00\x00\x00\x00\xff" + b"protocol\x001\x00" + b"\0" * 8 + b"\xff"
    digest = hashlib.sha256(bytes_).digest()
    assert session.snapshot_revision_fingerprint() == int.from_bytes(digest[:8], "little") % 2**63


def tool_of(name):
    async def run(call):
        return Done.ok(name)

    return StaticToolProvider().add(ToolDefinition.raw(f"tool:{name}", name, "", {"type": "object"}), run)


@pytest.mark.parametrize(
    ("spec", "again"),
    [
        (PluginSpec(tool_providers=[tool_of("x")]), "tool 'x'"),
        (PluginSpec(triggers=[TriggerEvent(resource_type="clock", alias="a", event="e")]), "clock.a.e"),
        (PluginSpec(operations=[("query", PluginOperation("op", "", int, int), None)]), "operation 'op'"),
        (PluginSpec(tool_result_projector=lambda context: None), "projector.*'one'.*'two'"),
    ],
    ids=["tool", "trigger", "operation", "projector"],
)
def test_what_must_be_unique_is_refused_the_second_time(spec, again):
    host = PluginHost([StaticPluginFactory("one", spec), StaticPluginFactory("two", spec), PROTOCOL])
    with pytest.raises(RegistrationError, match=again):
        host.build_session(PluginSessionContext("s1"))


def test_extensions_are_seen_in_stack_order_and_a_child_is_no_root():
    seen = [PluginExtensionContribution(extension_id="x", payload=Json(n)) for n in (1, 2)]
    factories = [Factory(str(n), lambda name: Counter(name, []), [each]) for n, each in enumerate(seen)]
    host = PluginHost([*factories, PROTOCOL])
    assert host.extensions.payloads("x") == (Json(1), Json(2))
    host.build_session(PluginSessionContext("child", parent_session_id="s1", extensions=host.extensions))
    assert [factories[0].contexts[0].is_root_session(), len(factories[0].contexts)] == [False, 1]


def test_operations_read_their_arguments_and_say_what_is_wrong_with_them():
    async def double(context, n):
        return Outcome(n * 2)

    op = PluginOperation("math.double", "doubles", int, int, "required")
    spec = PluginSpec(operations=[("command", op, double)])
    session = PluginHost([StaticPluginFactory("math", spec), PROTOCOL]).build_session(PluginSessionContext("s"))
    found = session.operation("command", "math.double")
    assert asyncio.run(found.invoke(PluginQueryContext("s", None), 4)).output == Json(8)
    assert session.operations()[0].input_schema == Json({"type": "integer"})
