"""Plugins in real sessions: their state through turns, parks and reopens; their prompts, operations and bindings."""

import asyncio

import pytest
from plugin_kit import CounterFactory, Place, bump, spec

from lash_ref.errors import MissingPluginTurnInput, OperationFailed
from lash_ref.operations import Outcome, PluginOperation
from lash_ref.outcome import outcome_data
from lash_ref.plugin_events import Custom
from lash_ref.plugins import (
    PluginBinding,
    PluginFactory,
    PluginSpec,
    PluginSpecFactory,
    SessionPlugin,
    StaticPluginFactory,
)
from lash_ref.prompt import PromptContribution, PromptTemplate, PromptTemplateSection, SlotEntry
from lash_ref.runtime_errors import SessionError
from lash_ref.scalars import Json
from lash_ref.scripted import Reply
from lash_ref.update_plan import UpdatePlanPluginFactory


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


class Asking(SessionPlugin):
    """Operations that answer bare values, over what the session offers to plugins."""

    id = "asking"

    def register(self, reg):
        async def messages(context, args):
            view = await context.services.snapshot_session(context.session_id)
            return [message.text for message in view.messages]

        async def callable_tools(context, args):
            offered = await context.services.tool_catalog(context.session_id)
            known = await context.services.tool_state(context.session_id)
            return [[manifest.name for manifest in offered], len(known.tools)]

        async def opt(context, present):
            return await context.services.set_tool_membership(context.session_id, ["bump"], present=present)

        async def note(context, text):
            return len(await context.services.append_session_nodes(context.session_id, [Json({"role": "User", "content": text})]))

        reg.operations().typed_query(PluginOperation("messages", "", dict, list), messages)
        reg.operations().typed_query(PluginOperation("callable_tools", "", dict, list), callable_tools)
        reg.operations().typed_command_value(PluginOperation("opt", "", bool, int), opt)
        reg.operations().typed_task_value(PluginOperation("note", "", str, int), note)


class AskingFactory(PluginFactory):
    id = "asking"

    def build(self, context):
        return Asking()


def test_operations_read_and_change_the_session_they_are_called_for():
    async def run():
        place = Place()
        session = await (await place.core("ok", plugins=[CounterFactory(), AskingFactory()])).session("s").open()
        operations = session.plugin_operations()
        await session.turn("hi").run()
        assert await operations.query("messages", {}) == Json(["hi", "ok"])
        assert await operations.query("callable_tools", {}) == Json([["bump"], 1])
        assert (await operations.command("opt", False)).outcome.output == Json(2)
        assert await operations.query("callable_tools", {}) == Json([[], 1])
        assert (await asyncio.wait_for(operations.task("note", "by the way"), 5)).outcome.output == Json(1)
        assert await operations.query("messages", {}) == Json(["hi", "ok", "by the way"])
        with pytest.raises(OperationFailed, match="neither this one nor a child"):
            await operations.query("messages", {}, session_id="elsewhere")

    asyncio.run(run())


def test_a_factory_may_make_a_spec_for_each_session():
    async def run():
        def spec_of(context):
            async def contribute(hook):
                return [PromptContribution.guidance("Where", f"in {context.session_id}")]

            return PluginSpec(prompt=[contribute])

        place = Place()
        core = await place.core("ok", plugins=[PluginSpecFactory("where", spec_of)])
        template = PromptTemplate(sections=(PromptTemplateSection(entries=(SlotEntry(slot="guidance"),)),))
        await (await core.session("s9").open()).turn("hi").prompt_template(template).run()
        assert place.provider.requests[0].messages[0].blocks[0].text == "### Where\n\nin s9"

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
