"""Plugins in real sessions: their state through turns, parks and reopens; their hooks, tools and faults."""

import asyncio

import pytest

from lash_ref.attachments import InMemoryAttachmentStore
from lash_ref.core import LashCore
from lash_ref.directives import AbortTurn, EmitRuntimeEvents, EnqueueMessages
from lash_ref.effects import InlineEffectHost
from lash_ref.errors import MissingPluginTurnInput
from lash_ref.hosting import InMemoryProcessEnvStore
from lash_ref.memory_store import MemoryStoreFactory
from lash_ref.nodes import FullGraph
from lash_ref.operations import Outcome, PluginOperation
from lash_ref.outcome import outcome_data
from lash_ref.plugin_events import Custom, PluginMessage
from lash_ref.plugins import PluginBinding, PluginFactory, PluginSpec, SessionPlugin, StaticPluginFactory
from lash_ref.prompt import PromptContribution
from lash_ref.records import ModelSpec, SessionStoreCreateRequest
from lash_ref.records import SessionPolicy as StorePolicy
from lash_ref.runtime_errors import RuntimeFailure, SessionError
from lash_ref.scalars import Json
from lash_ref.scripted import Reply, ScriptedProvider
from lash_ref.snapshots import PluginSnapshotMeta
from lash_ref.store import SystemClock
from lash_ref.tool_results import Done, Pending
from lash_ref.tools import StaticToolProvider, ToolDefinition, ToolRetryPolicy
from lash_ref.update_plan import UpdatePlanPluginFactory
from lash_ref.waits import Resolved

MODEL = ModelSpec.from_token_limits("m-1", None, 8000)
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}


class Place:
    """One store that outlives cores, and what was asked of the model last."""

    def __init__(self):
        self.stores = MemoryStoreFactory()
        self.attachments = InMemoryAttachmentStore(SystemClock())

    async def core(self, *replies, plugins=(), tools=None, prompt=None, stored=True):
        self.provider = ScriptedProvider(list(replies))
        builder = LashCore.standard_builder().provider(self.provider).model(MODEL)
        builder = builder.effect_host(InlineEffectHost()).attachment_store(self.attachments)
        builder = builder.process_env_store(InMemoryProcessEnvStore())
        if stored:
            builder = builder.store_factory(self.stores)
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


# -- state


def test_state_is_in_the_turns_commit_and_comes_back_through_park_resume_and_reopen():
    async def run():
        place, counter = Place(), CounterFactory()
        core = await place.core(bump(), "ok", bump(), "ok", plugins=[counter])
        session = await core.session("s").open()
        assert counter.restores == []
        await session.turn("go").run()
        assert (await place.entry("counter"))[0] == 1
        back = await core.resume(await session.park())
        assert (counter.restores, counter.built[-1].count) == ([Json(1)], 1)
        await back.turn("go").run()
        await back.close()
        later = CounterFactory()
        reopened = await (await place.core("bye", plugins=[later])).session("s").open()
        assert (later.restores, later.built[-1].count) == ([Json(2)], 2)
        captures = later.captures
        await reopened.turn("nothing").run()
        assert later.captures == captures
        assert (await place.entry("counter"))[0] == 2

    asyncio.run(run())


def test_a_park_stores_what_changed_since_the_last_commit_and_a_clean_one_commits_nothing():
    async def run():
        place, counter = Place(), CounterFactory()
        core = await place.core("ok", plugins=[counter])
        session = await core.session("s").open()
        await session.turn("go").run()
        counter.built[-1].count = 7
        back = await core.resume(await session.park())
        stored = await place.stored()
        assert (await place.entry("counter"))[0] == 7
        await core.resume(await back.park())
        assert (await place.stored()).head_revision == stored.head_revision

    asyncio.run(run())


def test_a_failed_capture_keeps_the_former_snapshot_and_is_tried_again():
    async def run():
        place, counter = Place(), CounterFactory()
        core = await place.core(bump(), "ok", bump(), "ok", "ok", plugins=[counter])
        session = await core.session("s").open()
        await session.turn("go").run()
        before = await place.entry("counter")
        counter.fault = "disk on fire"
        done = await session.turn("go").run()
        assert outcome_data(done.result.outcome) == {"finished": {"assistant_message": {"text": "ok"}}}
        assert [issue.kind for issue in done.result.errors] == ["plugin_snapshot"]
        assert await place.entry("counter") == before
        counter.fault = None
        await session.turn("go").run()
        after = await place.entry("counter")
        assert (after[0], after[1] != before[1]) == (2, True)

    asyncio.run(run())


def test_a_failed_restore_fails_the_open_and_leaves_store_and_id_alone():
    async def run():
        place, counter = Place(), CounterFactory()
        core = await place.core(bump(), "ok", plugins=[counter])
        session = await core.session("s").open()
        await session.turn("go").run()
        await session.close()
        stored = await place.stored()
        counter.fault = "unreadable"
        with pytest.raises(SessionError, match="plugin 'counter' could not take up its state: unreadable"):
            await core.session("s").open()
        assert await place.stored() == stored
        counter.fault = None
        await (await core.session("s").open()).close()

    asyncio.run(run())


def test_an_absent_plugins_state_waits_for_it():
    async def run():
        place = Place()
        core = await place.core(bump(), "ok", plugins=[CounterFactory(), UpdatePlanPluginFactory()])
        session = await core.session("s").open()
        await session.turn("go").run()
        await session.close()
        without = await place.core("ok", plugins=[UpdatePlanPluginFactory()])
        session = await without.session("s").open()
        await session.turn("go").run()
        await session.close()
        assert (await place.entry("counter"))[0] == 1
        again = CounterFactory()
        await (await place.core(plugins=[again])).session("s").open()
        assert again.built[-1].count == 1

    asyncio.run(run())


def test_open_fresh_ignores_stored_state_and_the_next_commit_replaces_it():
    async def run():
        place, counter = Place(), CounterFactory()
        core = await place.core(bump(), "ok", "ok", plugins=[counter])
        session = await core.session("s").open()
        await session.turn("go").run()
        await session.close()
        fresh = await core.session("s").open_fresh()
        assert counter.restores == []
        await fresh.turn("go").run()
        assert (await place.entry("counter"))[0] == 0

    asyncio.run(run())


def test_a_plan_survives_reopening_and_its_event_is_seen():
    async def run():
        place = Place()
        plan = {"plan": [{"step": "a", "status": "pending"}]}
        core = await place.core(
            Reply(calls=[("c1", "update_plan", plan)]), "planned", plugins=[UpdatePlanPluginFactory()]
        )
        session = await core.session("s").open()
        done = await session.turn("plan").run()
        events = [a.event.event.value for a in done.activities if a.event.type == "plugin_runtime"]
        payload = {"generation": 1, "plan": plan["plan"]}
        assert events == [{"kind": "custom", "name": "update_plan.snapshot", "payload": payload}]
        assert "### Planning" in place.provider.requests[0].messages[0].blocks[0].text
        await session.close()
        assert (await place.entry("update_plan"))[0] == payload | {"format": 1}
        child = await core.session("child").parent("s").open()
        assert [m.name for m in child.observe().active_tool_manifests()] == []

    asyncio.run(run())


# -- hooks


def hook(*directives):
    async def asked(context):
        return list(directives)

    return asked


def note(text, role="System"):
    return EnqueueMessages((PluginMessage(role=role, content=text),))


def test_hooks_run_in_stack_order_and_pool_before_anything_applies():
    async def run():
        place, journal = Place(), []

        def written(name):
            async def asked(context):
                journal.append((name, len(context.state.messages)))
                return [note(name)]

            return asked

        plugins = [spec("a", before_turn=[written("a")]), spec("b", before_turn=[written("b")])]
        session = await (await place.core("ok", plugins=plugins)).session("s").open()
        await session.turn("hi").run()
        assert journal == [("a", 1), ("b", 1)]
        assert said(session) == [("User", "hi"), ("System", "a"), ("System", "b"), ("Assistant", "ok")]

    asyncio.run(run())


def test_an_abort_before_the_turn_commits_with_its_messages_and_asks_no_model():
    async def run():
        place = Place()
        plugins = [spec(before_turn=[hook(note("why"), AbortTurn("one", "1"), AbortTurn("two", "2"))])]
        session = await (await place.core(plugins=plugins)).session("s").open()
        done = await session.turn("hi").run()
        assert outcome_data(done.result.outcome) == {"stopped": "plugin_abort"}
        assert [(issue.kind, issue.code) for issue in done.result.errors] == [("plugin", "two")]
        assert (said(session), place.provider.requests) == ([("User", "hi"), ("System", "why")], [])
        assert len((await place.stored()).graph.nodes) == 2

    asyncio.run(run())


@pytest.mark.parametrize(
    ("surface", "code"), [("before_turn", "plugin_prepare_turn"), ("after_turn", "plugin_finalize_turn")]
)
def test_a_hook_that_fails_the_turn_leaves_no_trace(surface, code):
    async def run():
        async def broken(context):
            raise KeyError("gone")

        place = Place()
        session = await (await place.core("ok", plugins=[spec(**{surface: [broken]})])).session("s").open()
        with pytest.raises(RuntimeFailure) as failed:
            await session.turn("hi").run()
        assert failed.value.fields["runtime_code"] == code
        assert (said(session), await place.stored()) == ([], None)

    asyncio.run(run())


def test_messages_at_completion_cause_another_answer_and_late_events_follow_the_commit():
    async def run():
        place, once = Place(), [note("reconsider", "User")]

        async def checkpoint(context):
            return [once.pop()] if once and context.checkpoint == "before_completion" else []

        late = EmitRuntimeEvents((Custom(name="late", payload=Json(1)),))
        plugins = [spec(checkpoint=[checkpoint], after_turn=[hook(late, note("ps"))])]
        session = await (await place.core("first", "second", plugins=plugins)).session("s").open()
        done = await session.turn("hi").run()
        assert said(session) == [
            ("User", "hi"), ("Assistant", "first"), ("User", "reconsider"), ("Assistant", "second"), ("System", "ps"),
        ]  # fmt: skip
        assert [a.event.type for a in done.activities][-1] == "plugin_runtime"

    asyncio.run(run())


def test_lifecycle_events_come_in_their_order_and_their_failures_change_nothing():
    async def run():
        place, journal = Place(), []

        async def seen(event):
            journal.append(type(event).__name__)
            raise RuntimeError("ignored")

        session = await (await place.core("ok", plugins=[spec(on_event=[seen])])).session("s").open()
        done = await session.turn("hi").run()
        assert journal == ["SessionRestored", "TurnFinalized", "TurnPersisted"]
        assert done.result.errors == ()

    asyncio.run(run())


def test_a_catalog_contribution_takes_a_tool_from_the_model_and_from_dispatch():
    async def run():
        place = Place()
        plugins = [CounterFactory(), spec(tool_catalog=[lambda context: ["bump"]])]
        session = await (await place.core(bump(), "ok", plugins=plugins)).session("s").open()
        done = await session.turn("go").run()
        assert place.provider.requests[0].tools == ()
        assert done.result.tool_calls[0].output.outcome.payload.code == "tool_unavailable"

    asyncio.run(run())


# -- tools


def tools(**handlers):
    provider = StaticToolProvider()
    for name, handler in handlers.items():
        policy = ToolRetryPolicy.safe(3) if name == "flaky" else ToolRetryPolicy()
        definition = ToolDefinition.raw(f"t:{name}", name, "", SCHEMA).with_retry_policy(policy)
        provider.add(definition, handler)
    return provider


def test_each_kind_of_failure_is_a_result_and_the_turn_goes_on():
    async def run():
        place = Place()

        async def fails(call):
            return Done.err("no")

        async def raises(call):
            raise ZeroDivisionError("by zero")

        async def unsettled(call):
            return Pending()

        calls = [
            ("c1", "fails", {}), ("c2", "raises", {}), ("c3", "unsettled", {}), ("c4", "fails", {"n": "x"}),
            ("c5", "absent", {}),
        ]  # fmt: skip
        core = await place.core(
            Reply(calls=calls), "ok", tools=tools(fails=fails, raises=raises, unsettled=unsettled)
        )
        session = await core.session("s").open()
        done = await session.turn("go").run()
        assert [record.output.outcome.payload.code for record in done.result.tool_calls] == [
            "tool_error", "tool_error", "pending_tool_missing_completion_key", "invalid_tool_args", "tool_unavailable",
        ]  # fmt: skip
        assert [record.call_id for record in done.result.tool_calls] == ["c1", "c2", "c3", "c4", "c5"]
        assert outcome_data(done.result.outcome) == {"finished": {"assistant_message": {"text": "ok"}}}

    asyncio.run(run())


def test_a_retryable_failure_is_tried_again_under_one_replay_key():
    async def run():
        place, keys = Place(), []

        async def flaky(call):
            keys.append((call.context.attempt_number, call.context.max_attempts, call.context.replay_key))
            return Done.ok("fine") if len(keys) == 3 else Done.retryable("external", "down", "no")

        session = await (await place.core(Reply(calls=[("c1", "flaky", {})]), "ok", tools=tools(flaky=flaky))).session(
            "s"
        ).open()
        done = await session.turn("go").run()
        assert [key[:2] for key in keys] == [(1, 3), (2, 3), (3, 3)]
        assert len({key[2] for key in keys}) == 1
        assert done.result.tool_calls[0].output.model_text() == "fine"

    asyncio.run(run())


def test_calls_of_one_reply_run_at_the_same_time_and_answer_in_their_order():
    async def run():
        place, met, finished = Place(), asyncio.Barrier(2), []

        async def meets(call):
            await met.wait()
            if call.args["n"] == 1:
                await asyncio.sleep(0.05)
            finished.append(call.args["n"])
            return Done.ok(call.args["n"])

        reply = Reply(calls=[("c1", "meets", {"n": 1}), ("c2", "meets", {"n": 2})])
        session = await (await place.core(reply, "ok", tools=tools(meets=meets))).session("s").open()
        done = await session.turn("go").run()
        assert finished == [2, 1]
        assert [record.output.model_text() for record in done.result.tool_calls] == ["1", "2"]

    asyncio.run(run())


def test_a_pending_call_is_answered_later_and_hooks_are_asked_once():
    async def run():
        place, keys, seen = Place(), asyncio.Queue(), []

        async def later(call):
            await keys.put(await call.context.completion_key())
            return Pending()

        async def after(context):
            seen.append(context.result.output.model_text())
            return []

        reply = Reply(calls=[("c1", "later", {})])
        core = await place.core(reply, "ok", tools=tools(later=later), plugins=[spec(after_tool_call=[after])])
        session = await core.session("s").open()
        turn = asyncio.create_task(session.turn("go").run())
        core.completions().resolve(await keys.get(), Resolved(value=Json("answered")))
        done = await turn
        assert (done.result.tool_calls[0].output.model_text(), seen) == ("answered", ["answered"])

    asyncio.run(run())


# -- prompt, operations, bindings


def test_layers_of_plugin_core_session_and_turn_reach_the_model_and_a_turns_own_is_gone_after_it():
    async def run():
        place = Place()

        async def contribute(context):
            return [PromptContribution.guidance("P", "from plugin")]

        def guide(name):
            return PromptContribution.guidance(name, f"from {name}")

        def told(n):
            system = place.provider.requests[n].messages[0].blocks[0].text
            return [name for name in ("plugin", "core", "session", "turn", "reset") if f"from {name}" in system]

        core = await place.core("ok", "ok", "ok", plugins=[spec(prompt=[contribute])], prompt=guide("core"))
        session = await core.session("s").prompt_contribution(guide("session")).open()
        await session.turn("hi").prompt_contribution(guide("turn")).run()
        await session.turn("hi").replace_prompt_slot("guidance", guide("reset")).run()
        await session.turn("hi").run()
        assert [told(n) for n in range(3)] == [
            ["plugin", "core", "session", "turn"], ["reset"], ["plugin", "core", "session"],
        ]  # fmt: skip

    asyncio.run(run())


def test_a_commands_events_state_and_turns_are_durable_and_a_query_waits_for_no_turn():
    async def run():
        place, counter = Place(), CounterFactory()
        told = Custom(name="bumped", payload=Json(1))

        async def command(context, n):
            counter.built[-1].count += n
            return Outcome(counter.built[-1].count, events=(told,))

        async def query(context, args):
            return counter.built[-1].count

        operations = [
            ("command", PluginOperation("add", "", int, int, "required"), command),
            ("query", PluginOperation("get", "", dict, int), query),
        ]
        gate = asyncio.Event()
        reached = asyncio.Event()
        core = await place.core(
            Reply("ok", hangs=gate, reached=reached), plugins=[counter, spec("ops", operations=operations)]
        )
        session = await core.session("s").open()
        receipt = await session.plugin_operations().command("add", 3)
        assert (receipt.outcome.output, [e.plugin_id for e in receipt.outcome.events]) == (Json(3), ["ops"])
        stored = await place.stored()
        assert [node.event.value["Protocol"] for node in stored.graph.nodes] == [
            {"id": "lash.plugin_runtime", "plugin_id": "ops", "event": told.to_data()}
        ]
        assert (await place.entry("counter"))[0] == 3
        turn = asyncio.create_task(session.turn("go").run())
        await reached.wait()
        assert await session.plugin_operations().query("get", {}) == Json(3)
        gate.set()
        await turn

    asyncio.run(run())


class Tone(PluginBinding):
    ID = "tone"

    @classmethod
    def factory(cls, config):
        async def contribute(context):
            return [PromptContribution.guidance("Tone", context.turn_context.plugin_inputs["tone"])]

        return StaticPluginFactory("tone", PluginSpec(prompt=[contribute]))

    @classmethod
    def requires_turn_input(cls, config):
        return True


def test_a_binding_gets_its_input_and_a_turn_without_it_does_not_run():
    async def run():
        place = Place()
        core = await place.core("ok", stored=False)
        session = await core.session("s").plugin(Tone, None).open()
        with pytest.raises(MissingPluginTurnInput):
            await session.turn("hi").run()
        await session.turn("hi").with_plugin_input("tone", "gently").run()
        assert "gently" in place.provider.requests[0].messages[0].blocks[0].text

    asyncio.run(run())
