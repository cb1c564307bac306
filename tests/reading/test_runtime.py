"""Runtimes and what surrounds a turn: constructors, park, history, plugins, children, frames."""

import asyncio

import pytest
from runtime_kit import MODEL, CounterFactory, Place, texts, tool

from lash_ref.children import ChildSpec
from lash_ref.core import LashCore
from lash_ref.errors import MissingPluginTurnInput
from lash_ref.hosting import (
    BackgroundRuntimeHost,
    EmbeddedRuntimeHost,
    PersistentRuntimeServices,
    RuntimeCoreConfig,
    RuntimeEnvironment,
    RuntimeServices,
    TurnInjectionBridge,
    TurnInputInjectionBridge,
)
from lash_ref.inputs import ActiveTurn, TextItem, TurnInput
from lash_ref.lease import LeaseOwnerIdentity
from lash_ref.memory_store import MemoryStoreFactory
from lash_ref.messages import text_message
from lash_ref.operations import Outcome, PluginOperation
from lash_ref.persisted import AppendPlugin
from lash_ref.plugin_events import Custom, PluginMessage
from lash_ref.plugin_host import PluginHost
from lash_ref.plugins import PluginBinding, PluginSessionContext, PluginSpec, StaticPluginFactory
from lash_ref.policy import ModeId, Residency, SessionPolicy
from lash_ref.processes import ProcessRegistry
from lash_ref.prompt import PromptContribution, PromptLayer
from lash_ref.protocol import StandardProtocolPluginFactory
from lash_ref.records import ModelSpec, SessionStoreCreateRequest
from lash_ref.runtime import LashRuntime
from lash_ref.runtime_errors import (
    ModeNotInstalled,
    RuntimeFailure,
    SessionError,
    StoreSessionMismatch,
    WiringError,
)
from lash_ref.scalars import Json
from lash_ref.scripted import Reply, ScriptedProvider
from lash_ref.session_admin import SessionConfigPatch
from lash_ref.state import PersistedSessionState
from lash_ref.tool_results import Done, Pending, SwitchAgentFrame
from lash_ref.wait_store import Resolved

POLICY = SessionPolicy(provider_id="scripted", model=MODEL)


def plugin_host(*factories):
    return PluginHost((StandardProtocolPluginFactory(), *factories))


async def store(stores, session_id="s"):
    return await stores.create_store(SessionStoreCreateRequest(session_id=session_id, policy=POLICY.for_store()))


def test_every_constructor_makes_a_runtime():
    async def run():
        stores = MemoryStoreFactory()
        kept = await store(stores)
        embedded = EmbeddedRuntimeHost(RuntimeCoreConfig()).with_session_store_factory(stores)
        background = BackgroundRuntimeHost(embedded, ProcessRegistry())

        def plugins():
            return plugin_host().build_session(PluginSessionContext("s"))

        def state():
            return PersistedSessionState(session_id="s")

        def bridged():
            return PersistentRuntimeServices.new_with_bridges(
                plugins(), TurnInjectionBridge(), TurnInputInjectionBridge(), kept
            )

        made = [
            await LashRuntime.from_embedded_state(POLICY, embedded, RuntimeServices(plugins()), state()),
            await LashRuntime.from_background_state(POLICY, background, RuntimeServices(plugins()), state()),
            await LashRuntime.from_persistent_embedded_state(POLICY, embedded, bridged(), state()),
            await LashRuntime.from_persistent_background_state(POLICY, background, bridged(), state()),
            await LashRuntime.from_environment(RuntimeEnvironment(plugin_host=plugin_host()), POLICY, state()),
        ]
        assert [m.host.processes is not None for m in made] == [False, True, False, True, False]
        assert [m.services.store is not None for m in made] == [False, False, True, True, False]
        assert {m.state.policy.model_id for m in made} == {"m-1"}
        unnamed = await LashRuntime.from_environment(
            RuntimeEnvironment(plugin_host=plugin_host()), POLICY, PersistedSessionState(session_id="")
        )
        assert unnamed.session_id

    asyncio.run(run())


def test_construction_refuses_what_cannot_work():
    async def run():
        with pytest.raises(SessionError):
            await LashRuntime.from_environment(RuntimeEnvironment(), POLICY, PersistedSessionState())
        trimmed = RuntimeEnvironment(plugin_host=plugin_host(), residency=Residency.ACTIVE_PATH_ONLY)
        with pytest.raises(SessionError):
            await LashRuntime.from_environment(trimmed, POLICY, PersistedSessionState())
        env = RuntimeEnvironment(plugin_host=plugin_host())
        with pytest.raises(SessionError):
            await LashRuntime.from_environment(env, SessionPolicy(), PersistedSessionState())

    asyncio.run(run())


def test_park_history_and_resume_of_a_runtime():
    async def run():
        kept = await store(MemoryStoreFactory())
        env = RuntimeEnvironment(plugin_host=plugin_host(), residency=Residency.ACTIVE_PATH_ONLY)
        runtime = await LashRuntime.from_environment(env, POLICY, PersistedSessionState(session_id="s"), kept)
        ids = await runtime.append_session_nodes([AppendPlugin(plugin_type="x", body=Json(n)) for n in range(3)])
        await runtime.branch_to_node(ids[0])
        assert await runtime.orphaned_node_ids() == ids[1:]
        parked = await runtime.park()
        assert (parked.session_id, parked.store, parked.policy.model_id) == ("s", kept, "m-1")
        back = await LashRuntime.resume(parked, env)
        assert [n.node_id for n in back.state.session_graph.nodes] == [ids[0]]
        assert (await back.get_historic_node(ids[2])).node_id == ids[2]
        assert await back.get_historic_node("nobody") is None
        ephemeral = await LashRuntime.from_environment(
            RuntimeEnvironment(plugin_host=plugin_host()), POLICY, PersistedSessionState(session_id="e")
        )
        for refused in (ephemeral.park(), ephemeral.orphaned_node_ids(), ephemeral.get_historic_node("x")):
            with pytest.raises(SessionError):
                await refused

    asyncio.run(run())


def test_plugin_state_survives_and_configure_is_kept():
    async def run():
        place, counter = Place(), CounterFactory()
        provider = ScriptedProvider([Reply(calls=[("c", "count", {})]), "one", "two"])
        core = await place.builder(provider).plugin(counter).build()
        session = await core.session("s").open()
        await session.turn("go").run()
        other = ModelSpec.from_token_limits("m-2", None, 4000)
        await session.configure(SessionConfigPatch(model=other))
        parked = await session.park()
        back = await core.resume(parked)
        assert counter.restored[-1] == 1
        assert back.policy_snapshot().model_id == "m-2"
        await back.turn("more").run()
        assert provider.requests[-1].model == "m-2"
        clean = back.observe().current_observation().cursor.revision
        parked = await back.park()
        again = await core.resume(parked)
        assert again.observe().current_observation().cursor.revision == clean

    asyncio.run(run())


def test_fresh_and_given_states():
    async def run():
        place = Place()
        core = await place.builder(ScriptedProvider(["one", "two", "three"])).build()
        session = await core.session("s").open()
        await session.turn("first").run()
        exported = session.admin().state().export_state()
        fresh = await core.session("s").open_fresh()
        assert texts(fresh) == []
        await fresh.turn("anew").run()
        assert texts(await core.session("s").open()) == ["anew", "two"]
        with pytest.raises(StoreSessionMismatch):
            await core.session("other").open_with_state(exported)
        given = await core.session("s").open_with_state(exported)
        assert texts(given) == ["first", "one"]
        await given.turn("on").run()
        assert texts(await core.session("s").open()) == ["first", "one", "on", "three"]

    asyncio.run(run())


def test_wiring_and_modes():
    async def run():
        for incomplete in (LashCore.builder(), LashCore.standard_builder(), LashCore.standard_builder().model(MODEL)):
            with pytest.raises(WiringError) as refused:
                await incomplete.build()
            assert (refused.value.is_terminal, refused.value.is_retryable) == (True, False)
        core = await Place().builder(ScriptedProvider()).build()
        assert (await core.session("s").standard().open()).mode() == ModeId.standard()
        with pytest.raises(ModeNotInstalled):
            await core.session("s").rlm().open()

    asyncio.run(run())


def test_prompt_layers_fold_and_a_turn_override_does_not_persist():
    async def run():
        def layer(text):
            return PromptLayer.of([PromptContribution.guidance("T", text)])

        provider, other = ScriptedProvider(["a", "b"]), ScriptedProvider(["c"])
        builder = Place().builder(provider)
        builder.prompt_layer_mut(lambda held: held.with_contribution(PromptContribution.guidance("T", "of the core")))
        core = await builder.build()
        session = await core.session("s").prompt_contribution(PromptContribution.guidance("T", "of the session")).open()
        await session.turn("1").prompt_contribution(PromptContribution.guidance("T", "of the turn")).run()
        await session.turn("2").provider(other).clear_prompt_slot("guidance").run()
        await session.turn("3").run()
        system = [r.messages[0].blocks[0].text for r in (*provider.requests, *other.requests)]
        words = ("of the core", "of the session", "of the turn")
        assert [[word in text for word in words] for text in system] == [
            [True, True, True], [True, True, False], [False, False, False],
        ]  # fmt: skip
        assert session.policy_snapshot().provider_id == "scripted"

    asyncio.run(run())


def test_active_input_is_taken_in_and_late_input_is_deferred():
    async def run():
        reached, gate = asyncio.Event(), asyncio.Event()
        provider = ScriptedProvider([Reply("first", reached=reached, hangs=gate), "second", "third"])
        core = await Place().builder(provider).build()
        session = await core.session("s").open()
        turn = asyncio.ensure_future(session.turn("go").turn_id("t").run())
        await reached.wait()
        await session.enqueue("steer").id("k").ingress(ActiveTurn(turn_id="t", min_boundary="before_completion"))
        gate.set()
        done = await turn
        assert texts(session) == ["go", "first", "steer", "second"]
        assert [a.event.inputs[0].id for a in done.activities if a.event.type == "queued_input_accepted"] == ["k"]
        await core.enqueue_turn_input("s", "late", ActiveTurn(turn_id="t"))
        assert [i.state for i in await session.pending_turn_inputs()] == ["pending_active"]

    asyncio.run(run())


def test_a_pending_tool_waits_for_the_world():
    async def run():
        keys = asyncio.Queue()

        async def ask(call):
            await keys.put(await call.context.completion_key())
            return Pending()

        provider = ScriptedProvider([Reply(calls=[("c", "ask", {})]), "done"] * 2)
        core = await Place().builder(provider).tools(tool("ask", ask)).build()
        session = await core.session("s").open()
        turn = asyncio.ensure_future(session.turn("go").run())
        core.completions().resolve(await keys.get(), Resolved(value=Json("42")))
        done = await turn
        assert done.result.tool_calls[0].output.model_text() == "42"
        turn = asyncio.ensure_future(session.turn("go").run())
        await keys.get()
        await asyncio.sleep(0)
        await session.revoke_durable_waits()
        assert not (await turn).result.tool_calls[0].output.is_success

    asyncio.run(run())


def test_a_frame_switch_goes_on_in_the_new_frame():
    async def run():
        async def switch(call):
            return Done.ok("ok").with_control(SwitchAgentFrame(frame_id="f2", task="carry on"))

        provider = ScriptedProvider([Reply(calls=[("c", "switch", {})]), "in the new frame"])
        core = await Place().builder(provider).tools(tool("switch", switch)).build()
        session = await core.session("s").open()
        await session.enqueue("go")
        done = await session.queued_turn().run()
        assert done.result.turn_id.endswith(":agent-frame:1")
        assert [b.text for b in provider.requests[1].messages[-1].blocks] == ["carry on"]
        assert texts(session) == ["carry on", "in the new frame"]
        assert await session.queued_work() == ()
        assert texts(await core.session("s").open()) == ["carry on", "in the new frame"]

    asyncio.run(run())


def test_commands_compaction_and_children():
    async def run():
        async def compact(context):
            return [Json({"role": "System", "content": "summary"})]

        spec = PluginSpec(compact=[(0, compact)])
        provider = ScriptedProvider(["one", "child says", "two"])
        core = await Place().builder(provider).plugin(StaticPluginFactory("c", spec)).build()
        session = await core.session("s").open()
        await session.turn("go").run()
        assert await session.admin().state().compact_context()
        assert texts(session) == ["summary"]
        child = await session.admin().children().create(ChildSpec(session_id="kid", usage_source="helper"))
        result = await session.admin().children().turn(child, "task")
        assert result.assistant_output.safe_text == "child says"
        for taken in ("s", "kid"):
            with pytest.raises(RuntimeFailure):
                await session.admin().children().create(ChildSpec(session_id=taken))
        done = await session.turn("more").run()
        assert done.result.total_usage.total == 30
        assert [e.source for e in session.usage_report().by_source] == ["helper", "turn"]
        assert texts(await core.session("kid").open()) == ["task", "child says"]
        first = await session.commands().reset_session("k", "start over")
        assert (await session.commands().reset_session("k")).batch_id == first.batch_id
        assert await session.queued_turn().run() is None
        assert (texts(session), await session.queued_work()) == ([], ())
        with pytest.raises(RuntimeFailure):
            await session.commands().reset_session(" ")

    asyncio.run(run())


def test_operations_events_become_nodes_and_queue_turns():
    async def run():
        async def add(context, args):
            return Outcome(args["by"] + 1, events=(Custom(name="added", payload=Json(args)),))

        op = PluginOperation("x.add", "adds", dict, int)
        core = await Place().builder(ScriptedProvider()).plugin(
            StaticPluginFactory("x", PluginSpec(operations=[("command", op, add)]))
        ).build()
        session = await core.session("s").open()
        receipt = await session.plugin_actions().command("x.add", {"by": 2})
        assert (receipt.outcome.output.value, len(receipt.node_ids)) == (3, 1)
        stored = await (await core.session("s").open()).admin().state().get_historic_node(receipt.node_ids[0])
        assert "lash.plugin_runtime" in stored.event.text

    asyncio.run(run())


class Bound(PluginBinding):
    ID = "bound"

    @classmethod
    def factory(cls, config):
        return StaticPluginFactory("bound", PluginSpec())

    @classmethod
    def requires_turn_input(cls, config):
        return True


def test_bound_plugins_want_their_input_and_a_store_refuses_live_ones():
    async def run():
        core = await Place().builder(ScriptedProvider(["x"]), stored=False).build()
        session = await core.session("s").plugin(Bound).open()
        with pytest.raises(MissingPluginTurnInput):
            await session.turn("hi").run()
        await session.turn("hi").with_plugin_input(Bound, {"a": 1}).run()
        stored = await (await Place().builder(ScriptedProvider(["x"])).build()).session("s").plugin(Bound).open()
        with pytest.raises(RuntimeFailure) as refused:
            await stored.turn("hi").with_plugin_input("bound", 1).run()
        assert refused.value.runtime_code == "durable_effect_live_plugin_input"

    asyncio.run(run())


def test_a_stable_owner_re_enters_and_bridges_inject():
    async def run():
        owner = LeaseOwnerIdentity(owner_id="w", incarnation_id="1")
        core = await Place().builder(ScriptedProvider(["one", "two"])).build()
        session = await core.session("s").session_execution_owner(owner).open()
        session.admin().injection().inputs.say("by the way")
        await session.turn(TurnInput(items=(TextItem(text="a"), TextItem(text="b")))).run()
        assert texts(session) == ["ab", "one", "by the way", "two"]
        session.admin().injection().messages.inject(PluginMessage(role="System", content="x"))
        assert text_message("i", "User", "t").text == "t"

    asyncio.run(run())
