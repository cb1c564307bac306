"""Sessions, whole: opened, run, parked, resumed, queued, cancelled and observed, on memory and SQLite."""

import asyncio

import pytest
from session_kit import echo, said

from lash_ref.activity import TurnActivity
from lash_ref.cancel import CancellationToken
from lash_ref.inputs import AttachmentItem, ExternalUrlSource, TurnInput
from lash_ref.outcome import outcome_data
from lash_ref.runtime_errors import RuntimeFailure, SessionConsumed, SessionStillInUse
from lash_ref.scripted import Reply, ScriptedProvider


def test_a_turn_is_kept_and_a_later_open_sees_it(wiring):
    async def run():
        core = await wiring(ScriptedProvider(["hello", "again"])).build()
        session = await core.session("s").open()
        done = await session.turn("hi").run()
        assert outcome_data(done.result.outcome) == {"finished": {"assistant_message": {"text": "hello"}}}
        assert said(session) == [("User", "hi"), ("Assistant", "hello")]
        other = await core.session("s").open()
        assert said(other) == said(session)
        await other.turn("more").run()
        assert [t for _, t in said(other)] == ["hi", "hello", "more", "again"]
        assert other.usage_report().total_tokens == 30

    asyncio.run(run())


def test_tools_run_and_their_results_are_kept(wiring):
    async def run():
        replies = [Reply(calls=[("c1", "echo", {"text": "a"}), ("c2", "echo", {"text": "b"})]), "done"]
        provider = ScriptedProvider(list(replies))
        core = await wiring(provider).tools(echo()).build()
        session = await core.session("s").open()
        done = await session.turn("go").run()
        assert [r.output.model_text() for r in done.result.tool_calls] == ["a", "b"]
        assert [a.event.type for a in done.activities if a.event.type.startswith("tool")][:2] == ["tool_call_started"] * 2
        results = provider.requests[1].messages[-1].blocks
        assert [b.content for b in results] == ["a", "b"]

    asyncio.run(run())


def test_park_resume_close_and_ownership(wiring):
    async def run():
        core = await wiring(ScriptedProvider(["one", "two"])).build()
        session = await core.session("s").open()
        await session.turn("hi").run()
        clone = session.clone()
        with pytest.raises(SessionStillInUse):
            await session.park()
        clone.drop()
        revision = session.observe().current_observation().cursor.revision
        parked = await session.park()
        with pytest.raises(SessionConsumed):
            session.turn("no")
        back = await core.resume(parked)
        assert back.observe().current_observation().cursor.revision == revision
        assert [t for _, t in said(back)] == ["hi", "one"]
        await back.turn("more").run()
        await back.close()

    asyncio.run(run())


def test_a_cancelled_turn_commits_and_the_session_goes_on(wiring):
    async def run():
        reached = asyncio.Event()
        slow = Reply("partial", hangs=asyncio.Event(), reached=reached)
        core = await wiring(ScriptedProvider([slow, "fine"])).build()
        session = await core.session("s").open()
        turn = asyncio.ensure_future(session.turn("hi").run())
        await reached.wait()
        assert session.cancel_running_turns() == 1
        done = await turn
        assert outcome_data(done.result.outcome) == {"stopped": "cancelled"}
        assert done.result.cancellation is not None
        assert said(session) == [("User", "hi")]
        await session.turn("again").advanced().run()
        assert [t for _, t in said(session)] == ["hi", "again", "fine"]

    asyncio.run(run())


def test_a_fired_token_and_a_request_before_the_start_cancel(wiring):
    async def run():
        core = await wiring(ScriptedProvider(["x"])).build()
        session = await core.session("s").open()
        token = CancellationToken()
        token.cancel()
        done = await session.turn("hi").cancel(token).run()
        assert done.result.is_cancelled
        receipt = await session.request_turn_cancel("t9", "r1", "ui")
        assert receipt.outcome.outcome == "requested"
        done = await session.turn("hi").turn_id("t9").run()
        assert done.result.cancellation.request_id == "r1"

    asyncio.run(run())


def test_a_turns_end_is_told_by_its_name(wiring):
    async def run():
        gate, reached = asyncio.Event(), asyncio.Event()
        core = await wiring(ScriptedProvider([Reply("done", hangs=gate, reached=reached)])).build()
        session = await core.session("s").open()
        turn = asyncio.ensure_future(session.turn("hi").turn_id("t1").run())
        await reached.wait()
        assert await core.turn_work_driver().await_terminal("s", "t1", timeout_s=0) is None
        gate.set()
        assert await core.turn_work_driver().await_terminal("s", "t1") == (await turn).result

    asyncio.run(run())


def test_a_handle_lets_go_of_one_session_for_another(wiring):
    async def run():
        core = await wiring(ScriptedProvider(["one"])).build()
        first, second = await core.session("a").open(), await core.session("b").open()
        handle = first.clone().clone_from(second)
        assert handle.session_id() == "b"
        await first.close()
        with pytest.raises(SessionStillInUse):
            await second.close()

    asyncio.run(run())


def test_a_core_without_a_driver_leaves_input_where_it_waits(wiring):
    class Driver:
        async def poke(self, session_id):
            raise AssertionError(session_id)

    async def run():
        core = await wiring(ScriptedProvider([])).queued_work_driver(Driver()).disable_queued_work_driver().build()
        made = await core.enqueue_turn_input("s", "hi")
        assert await (await core.session("s").open()).pending_turn_inputs() == (made,)

    asyncio.run(run())


def test_a_trace_sink_is_asked_to_write_out(wiring):
    class Sink:
        flushed = 0

        def __call__(self, name, payload):
            pass

        def flush(self):
            self.flushed += 1

    async def run():
        sink = Sink()
        (await wiring(ScriptedProvider([])).trace_sink(sink).build()).flush_trace_sink()
        (await wiring(ScriptedProvider([])).build()).flush_trace_sink()
        assert sink.flushed == 1

    asyncio.run(run())


def test_queued_input_runs_once_in_order(wiring):
    async def run():
        core = await wiring(ScriptedProvider(["both"])).build()
        session = await core.session("s").open()
        first = await session.enqueue("one").id("k")
        assert first.source_key == "host:k"
        assert await session.enqueue("one").id("k") == first
        await core.enqueue_turn_input("s", "two")
        done = await session.queued_turn().run()
        assert done is not None
        assert await session.queued_turn().run() is None
        assert await session.pending_turn_inputs() == ()
        (user,) = [m for m in session.read_view().messages if m.role == "User"]
        assert [p.content for p in user.parts] == ["one", "two"]

    asyncio.run(run())


def test_a_held_lane_is_busy(wiring):
    async def run():
        gate, reached = asyncio.Event(), asyncio.Event()
        core = await wiring(ScriptedProvider([Reply("slow", hangs=gate, reached=reached)])).build()
        one, two = await core.session("s").open(), await core.session("s").open()
        turn = asyncio.ensure_future(one.turn("hi").run())
        await reached.wait()
        with pytest.raises(RuntimeFailure) as busy:
            await two.turn("hi").run()
        assert (busy.value.runtime_code, busy.value.is_retryable) == ("session_execution_busy", True)
        assert await two.queued_turn().run() is None
        gate.set()
        await turn

    asyncio.run(run())


def test_an_observer_replays_and_recovers(wiring):
    async def run():
        core = await wiring(ScriptedProvider(["hello"])).build()
        session = await core.session("s").open()
        start = session.observe().current_observation().cursor.text()
        await session.turn("hi").run()
        seen = session.observe().resume_from_cursor(start)
        kinds = [e.payload.type for e in seen.events]
        assert kinds[-1] == "committed"
        assert kinds[0] == "turn_activity"
        assert session.observe().resume_from_cursor("lashsc1:1:9999:s").gap.reason == "unavailable"

    asyncio.run(run())


def test_an_unknown_provider_fails_the_turn_and_keeps_nothing(wiring):
    async def run():
        core = await wiring(ScriptedProvider(["hello"])).build()
        session = await core.session("s").open()
        await session.turn("hi").run()
        other = await wiring(ScriptedProvider(["x"], kind="elsewhere")).build()
        moved = await other.session("s").open()
        with pytest.raises(RuntimeFailure) as failed:
            await moved.turn("lost").run()
        assert failed.value.runtime_code == "llm_provider"
        assert [t for _, t in said(moved)] == ["hi", "hello"]
        assert moved.read_view().turn_index == 1

    asyncio.run(run())


def test_a_turn_is_streamed_collected_or_awaited(wiring):
    async def run():
        core = await wiring(ScriptedProvider(["one", "two", "three", "four"])).build()
        session = await core.session("s").open()
        stream = session.turn("hi").stream()
        assert [shown.event.type async for shown in stream][-1] == "usage"
        assert await stream.next_activity() is None
        assert (await stream.finish()).assistant_output.safe_text == "one"
        shown = (await session.turn("hi").collect())[-1]
        assert shown.event.type == "usage"
        assert TurnActivity.from_data(shown.to_data()) == shown
        assert (await session.turn("hi")).result.assistant_output.safe_text == "three"
        await session.enqueue("hi")
        assert (await session.queued_turn()).result.assistant_output.safe_text == "four"

    asyncio.run(run())


def test_a_stream_that_is_closed_waits_for_its_turn_and_forgives_its_end(wiring):
    async def run():
        gate, reached = asyncio.Event(), asyncio.Event()
        core = await wiring(ScriptedProvider([Reply("slow", hangs=gate, reached=reached)])).build()
        one, two = await core.session("s").open(), await core.session("s").open()
        first = one.turn("hi").stream()
        await reached.wait()
        busy = two.turn("hi").stream()
        await busy.aclose()
        with pytest.raises(RuntimeFailure):
            await busy.finish()
        gate.set()
        await first.aclose()
        assert [t for _, t in said(one)] == ["hi", "slow"]

    asyncio.run(run())


def test_the_older_delivery_policy_names_the_turn_that_runs(wiring):
    async def run():
        gate, reached = asyncio.Event(), asyncio.Event()
        core = await wiring(ScriptedProvider([Reply("first", hangs=gate, reached=reached), "second"])).build()
        session = await core.session("s").open()
        turn = asyncio.ensure_future(session.turn("hi").turn_id("t1").run())
        await reached.wait()
        now = await session.enqueue("now").delivery_policy("earliest_safe_boundary").slot_policy("join")
        later = await session.enqueue("later").delivery_policy("after_current_turn_commit")
        assert (now.ingress.scope, later.ingress.scope) == ("active_turn", "next_turn")
        gate.set()
        await turn
        assert [t for _, t in said(session)] == ["hi", "first", "now", "second"]

    asyncio.run(run())


def test_a_host_may_deny_an_attachment_and_cancel_on_somebodys_behalf(wiring):
    async def run():
        async def policy(source):
            return f"no {source.media_type}"

        picture = AttachmentItem(source=ExternalUrlSource(media_type="image/png", url="https://example.org/a.png"))
        session = await (await wiring(ScriptedProvider([])).attachment_policy(policy).build()).session("s").open()
        denied = (await session.turn(TurnInput(items=(picture,))).run()).result
        assert [(issue.code, issue.message) for issue in denied.errors] == [("attachment_refused", "no image/png")]
        token = CancellationToken()
        token.cancel()
        stopped = (await session.turn("hi").cancel_with_origin(token, "ui").run()).result
        assert stopped.cancellation.origin == "ui"

    asyncio.run(run())
