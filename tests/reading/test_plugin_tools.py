"""Tools in real sessions: failures, retries, calls at once and calls answered later."""

import asyncio

from plugin_kit import SCHEMA, Place, spec

from lash_ref.outcome import outcome_data
from lash_ref.scalars import Json
from lash_ref.scripted import Reply
from lash_ref.tool_results import Done, Pending
from lash_ref.tools import StaticToolProvider, ToolDefinition, ToolRetryPolicy
from lash_ref.wait_store import Resolved


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
