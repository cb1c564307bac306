"""Hooks of plugins in real sessions: their order, their directives, their faults."""

import asyncio

import pytest
from plugin_kit import CounterFactory, Place, bump, said, spec

from lash_ref.directives import (
    AbortTurn,
    CreateSession,
    EmitRuntimeEvents,
    EmitTrace,
    EnqueueMessages,
    ReplaceToolArgs,
)
from lash_ref.outcome import outcome_data
from lash_ref.plugin_events import Custom, PluginMessage
from lash_ref.runtime_errors import RuntimeFailure
from lash_ref.scalars import Json


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


def child(id):
    return CreateSession(Json({"session_id": id}))


def test_a_hook_before_a_turn_creates_sessions_and_traces():
    async def run():
        place, traces = Place(), []
        plugins = [spec(before_turn=[hook(child("kid"), EmitTrace("seen", Json(1)))])]
        session = await (await place.core("ok", plugins=plugins, traces=traces)).session("s").open()
        await session.turn("hi").run()
        assert session.admin().children().list() == ("kid",)
        assert ("plugin.kit.seen", 1) in traces
        await session.admin().children().close("kid")
        assert session.admin().children().list() == ()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("surface", "directive", "answer"),
    [
        ("before_tool_call", child("kid"), None),
        ("before_tool_call", EmitTrace("seen", Json(1)), None),
        ("before_tool_call", child("s"), "tool_error"),
        ("after_tool_call", child("kid"), None),
        ("after_tool_call", child("s"), "plugin_session_create_failed"),
        ("after_tool_call", ReplaceToolArgs(Json({})), "tool_error"),
    ],
)
def test_what_a_hook_around_a_call_asks_for_fails_the_call_when_it_cannot_be_done(surface, directive, answer):
    async def run():
        place = Place()
        plugins = [CounterFactory(), spec(**{surface: [hook(directive)]})]
        session = await (await place.core(bump(), "ok", plugins=plugins)).session("s").open()
        done = await session.turn("go").run()
        output = done.result.tool_calls[0].output
        assert (output.is_success, getattr(output.outcome.payload, "code", None)) == (answer is None, answer)

    asyncio.run(run())
