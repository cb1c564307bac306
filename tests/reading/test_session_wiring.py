"""What a core and a session are told when they are made: models, specs, options, surfaces, and how a turn is to end."""

import asyncio

from session_kit import MODEL, echo, said

from lash_ref.hosting import TerminationPolicy
from lash_ref.machine import LlmAnswered, Step
from lash_ref.moves import append, assistant_message
from lash_ref.outcome import AssistantMessage, Finished, outcome_data
from lash_ref.plugins import PluginOptions, PluginSpec, PluginSpecFactory
from lash_ref.policy import SessionSpec
from lash_ref.protocol import StandardDriver, StandardProtocolPluginFactory, StandardSession
from lash_ref.records import ModelSpec
from lash_ref.scalars import Json
from lash_ref.scripted import ScriptedProvider
from lash_ref.tool_state import ToolStateEntry
from lash_ref.tools import ToolDefinition


def test_a_spec_names_the_cores_model_and_a_turn_another(wiring):
    async def run():
        provider = ScriptedProvider(["one", "two"])
        core = await wiring(provider).session_spec(SessionSpec(provider_id="scripted", model=MODEL, max_turns=3)).build()
        session = await core.session("s").open()
        assert session.policy_snapshot().max_turns == 3
        await session.turn("hi").model(ModelSpec.from_token_limits("m-2", None, 8000)).run()
        await session.turn("hi").run()
        assert [request.model for request in provider.requests] == ["m-2", "m-1"]

    asyncio.run(run())


def test_what_is_said_last_of_a_session_stands(wiring):
    async def run():
        mine, other = ScriptedProvider(["one"]), ScriptedProvider([], kind="other")
        core = await wiring(mine).session_spec(SessionSpec(model=MODEL)).build()
        replaced = await core.session("s").provider(other).session_spec(SessionSpec(max_turns=3)).open()
        kept = await core.session("t").session_spec(SessionSpec(max_turns=3)).provider(other).open()
        plain = await core.session("u").open()

        policies = [session.policy_snapshot() for session in (replaced, kept, plain)]
        assert [(each.provider_id, each.max_turns) for each in policies] == [("scripted", 3), ("other", 3), ("scripted", None)]
        assert (await plain.turn("hi").run()).result.outcome == Finished(finish=AssistantMessage(text="one"))

    asyncio.run(run())


def test_a_surface_is_laid_back_whatever_its_generation(wiring):
    async def run():
        core = await wiring(ScriptedProvider()).tools(echo()).build()
        session = await core.session("s").open()
        before = session.tools().state()
        gone = ToolDefinition.raw("t:gone", "gone", "Gone", {"type": "object"}).manifest
        stored = before.but(generation=7, tools={
            "t:echo": before.tools["t:echo"].but(member=False), "t:gone": ToolStateEntry(manifest=gone),
        })

        report = await session.tools().restore_state(stored)

        after = session.tools().state()
        assert (report.generation, report.orphaned) == (8, ("t:gone",))
        assert {id: (each.is_member, bool(each.orphaned)) for id, each in after.tools.items()} == {
            "t:echo": (False, False), "t:gone": (False, True),
        }

    asyncio.run(run())


def test_plugins_are_built_with_the_sessions_options_and_the_protocol_is_shown(wiring):
    async def run():
        seen = []
        factory = PluginSpecFactory("p", lambda context: seen.append(context.plugin_options.get("p")) or PluginSpec())
        core = await wiring(ScriptedProvider()).plugin(factory).build()
        options = PluginOptions(plugins={"p": Json({"a": 1}), "q": Json(2)})
        session = await core.session("s").plugin_option("p", Json(0)).plugin_options(options).open()
        await core.session("t").open()

        assert seen == [Json({"a": 1}), None]
        assert {name: type(part) for name, part in session.admin().protocol().items()} == {
            "session": StandardSession, "driver": StandardDriver,
        }

    asyncio.run(run())


class AbruptProtocol(StandardProtocolPluginFactory):
    """Takes the model's answer in and asks for nothing more, without an outcome."""

    def build(self, context):
        class Driver(StandardDriver):
            def step(self, state, input):
                if not isinstance(input, LlmAnswered):
                    return super().step(state, input)
                return Step(append(state, assistant_message("m", input.completion.response)))

        def register(reg):
            reg.protocol().session(StandardSession())
            reg.protocol().protocol_driver(Driver())

        plugin = super().build(context)
        plugin.register = register
        return plugin


def test_a_turn_without_an_end_is_judged_by_the_termination_policy(wiring):
    async def run():
        told = []
        for number, policy in enumerate((None, TerminationPolicy(treat_missing_done_as_failure=False))):
            made = wiring(ScriptedProvider(["said"])).protocol_plugin(AbruptProtocol())
            core = await (made if policy is None else made.termination(policy)).build()
            session = await core.session(f"s{number}").open()
            result = (await session.turn("hi").run()).result
            told.append((outcome_data(result.outcome), [issue.code for issue in result.errors], said(session)))
        kept = [("User", "hi"), ("Assistant", "said")]
        assert told == [
            ({"stopped": "runtime_error"}, ["missing_done"], kept),
            ({"finished": {"assistant_message": {"text": "said"}}}, [], kept),
        ]

    asyncio.run(run())
