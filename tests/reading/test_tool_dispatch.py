"""One tool call: hooks around it, validation, failures, retries, pending."""

import asyncio

import pytest

from lash_ref.directives import (
    AbortTurn,
    EmitRuntimeEvents,
    EnqueueMessages,
    ReplaceToolArgs,
    ShortCircuitTool,
    short_circuit,
)
from lash_ref.plugin_events import Custom, PluginMessage
from lash_ref.plugin_host import PluginHost
from lash_ref.plugins import PluginSessionContext, PluginSpec, SessionPlugin, StaticPluginFactory
from lash_ref.scalars import Json
from lash_ref.services import TurnContext
from lash_ref.tool_dispatch import Launched, ToolDispatch, with_retries
from lash_ref.tool_results import Done, Failure, Pending, ToolCallRecord, ToolFailure
from lash_ref.tools import (
    PendingToolCall,
    StaticToolProvider,
    ToolContext,
    ToolDefinition,
    ToolRetryPolicy,
)

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


class Protocol(SessionPlugin):
    id = "protocol"

    def register(self, reg):
        reg.protocol().session(object())
        reg.protocol().protocol_driver(object())


class ProtocolFactory(StaticPluginFactory):
    def build(self, context):
        return Protocol()


class Bench:
    """A dispatch of the tools given, and all that it said on the side."""

    def __init__(self, handlers, **spec):
        tools = StaticToolProvider()
        for name, handler in handlers.items():
            tools.add(ToolDefinition.raw(f"tool:{name}", name, "", SCHEMA), handler)
        plugin = StaticPluginFactory("kit", PluginSpec(tool_providers=[tools], **spec))
        host = PluginHost([plugin, ProtocolFactory("protocol", PluginSpec())])
        session = host.build_session(PluginSessionContext("s1"))
        self.events, self.messages = [], []

        async def emit(owned):
            self.events.append((owned.plugin_id, owned.value.name))

        self.dispatch = ToolDispatch(
            plugins=session,
            registry=session.tool_registry,
            catalog=session.tool_catalog(),
            services=None,
            turn_context=TurnContext(),
            emit=emit,
            enqueue=self.messages.extend,
        )

    def run(self, name, args, **context):
        """The record of one call."""

        async def one():
            call = PendingToolCall(call_id="c1", tool_name=name, args=Json(args))
            prepared = await self.dispatch.prepare(call)
            if isinstance(prepared, ToolCallRecord):
                return prepared
            ticks = iter([100, 107])
            return await self.dispatch.attempt(
                prepared, ToolContext(session_id="s1", **context), lambda: next(ticks)
            )

        return asyncio.run(one())


def fault(record):
    assert isinstance(record.output.outcome, Failure)
    failure = record.output.outcome.payload
    return failure.source, failure.code, failure.message


async def echo(call):
    return Done.ok(call.args["n"])


def hook(*directives):
    async def asked(context):
        return list(directives)

    return asked


def test_a_call_runs_and_its_record_says_how_long_it_took():
    record = Bench({"echo": echo}).run("echo", {"n": 3})
    assert record.to_data() == {
        "call_id": "c1", "tool": "echo", "args": {"n": 3}, "duration_ms": 7,
        "output": {"outcome": {"status": "success", "payload": 3}},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "args", "source", "code"),
    [
        ("other", {"n": 1}, "runtime", "tool_unavailable"),
        ("echo", {"n": "x"}, "runtime", "invalid_tool_args"),
        ("echo", {}, "runtime", "invalid_tool_args"),
    ],
)
def test_what_cannot_run_is_a_failed_result_without_a_run(name, args, source, code):
    ran = []

    async def spied(call):
        ran.append(call)
        return Done.ok(None)

    assert fault(Bench({"echo": spied}).run(name, args))[:2] == (source, code)
    assert ran == []


def test_a_tool_that_raises_is_a_failed_result():
    async def raises(call):
        raise ZeroDivisionError("by zero")

    assert fault(Bench({"bad": raises}).run("bad", {"n": 1})) == (
        "tool", "tool_error", "ZeroDivisionError: by zero",
    )  # fmt: skip


def test_pending_needs_a_key_and_carries_the_one_it_took():
    async def pending(call):
        if call.args["n"]:
            assert await call.context.completion_key() == await call.context.completion_key()
        return Pending()

    async def key():
        return "k1"

    bench = Bench({"later": pending}, after_tool_call=[hook(AbortTurn("never", "asked"))])
    launched = bench.run("later", {"n": 1}, completion_key=key)
    assert isinstance(launched, Launched)
    assert launched.completion_key == "k1"
    bare = Bench({"later": pending})
    assert fault(bare.run("later", {"n": 0}, completion_key=key))[1] == "pending_tool_missing_completion_key"


def test_every_before_hook_sees_the_models_arguments_and_the_last_replacement_runs():
    seen = []

    def replacing(n):
        async def asked(context):
            seen.append(context.args)
            return [ReplaceToolArgs(Json({"n": n}))]

        return asked

    record = Bench({"echo": echo}, before_tool_call=[replacing(1), replacing(2)]).run("echo", {"n": 0})
    assert (seen, record.args, record.output.outcome.payload) == ([Json({"n": 0})] * 2, Json({"n": 2}), Json(2))
    assert fault(Bench({"echo": echo}, before_tool_call=[replacing("x")]).run("echo", {"n": 0}))[1] == (
        "invalid_tool_args"
    )


MESSAGE = PluginMessage(role="System", content="note")


@pytest.mark.parametrize(
    ("directive", "found"),
    [
        (AbortTurn("stop", "no"), ("plugin", "stop", "no")),
        (EnqueueMessages((MESSAGE,)), ("tool", "tool_error", "before_tool_call does not take messages")),
        (short_circuit(Pending()), ("runtime", "pending_tool_short_circuit", None)),
    ],
)
def test_what_a_before_hook_may_not_do_fails_the_call_and_skips_the_tool(directive, found):
    async def never(call):
        raise AssertionError("ran")

    bench = Bench({"echo": never}, before_tool_call=[hook(directive)], after_tool_call=[hook(AbortTurn("a", "b"))])
    assert fault(bench.run("echo", {"n": 1}))[:2] == found[:2]


def test_after_hooks_see_the_tools_result_and_the_last_replacement_stands():
    seen = []

    def replacing(value):
        async def asked(context):
            seen.append(context.result)
            return [ShortCircuitTool(Done.ok(value).output), EnqueueMessages((MESSAGE,))]

        return asked

    told = hook(EmitRuntimeEvents((Custom(name="done", payload=Json(1)),)))
    bench = Bench({"echo": echo}, after_tool_call=[replacing("a"), told, replacing("b")])
    record = bench.run("echo", {"n": 5})
    assert (seen, record.output.outcome.payload) == ([Done.ok(5)] * 2, Json("b"))
    assert (bench.events, bench.messages) == ([("kit", "done")], [MESSAGE, MESSAGE])


@pytest.mark.parametrize(
    ("surface", "code"),
    [("before_tool_call", "before_tool_call_failed"), ("after_tool_call", "after_tool_call_failed")],
)
def test_a_hook_that_fails_fails_the_call(surface, code):
    async def broken(context):
        raise KeyError("gone")

    assert fault(Bench({"echo": echo}, **{surface: [broken]}).run("echo", {"n": 1}))[1] == code


# -- retries


def failing(times, retry=True):
    """An attempt that fails that often; what it wrote down; and what was slept."""
    log, slept = [], []

    async def attempt(number, of):
        log.append((number, of))
        if number > times:
            return record(Done.ok("fine"))
        if not retry:
            return record(Done.failure(ToolFailure.tool("external", "down", "no")))
        return record(Done.retryable("external", "down", "no"))

    async def sleep(ms):
        slept.append(ms)

    return log, slept, attempt, sleep


def record(done):
    return ToolCallRecord(call_id="c", tool="t", args=Json({}), output=done.output, duration_ms=0)


@pytest.mark.parametrize(
    ("policy", "times", "retry", "attempts", "slept", "disposition"),
    [
        (ToolRetryPolicy(), 1, True, 1, [], "safe"),
        (ToolRetryPolicy.safe(4, 100, 250), 3, True, 4, [100, 200, 250], None),
        (ToolRetryPolicy.safe(3, 10), 9, True, 3, [10, 20], "exhausted"),
        (ToolRetryPolicy.idempotent(3, 10), 9, False, 1, [], "never"),
    ],
)
def test_an_attempt_is_repeated_when_policy_and_failure_allow(policy, times, retry, attempts, slept, disposition):
    log, waited, attempt, sleep = failing(times, retry)
    result = asyncio.run(with_retries(policy, attempt, sleep, lambda: False))
    found = getattr(getattr(result.output.outcome.payload, "retry", None), "type", None)
    assert (len(log), waited, found) == (attempts, slept, disposition)


def test_a_cancelled_turn_starts_no_other_attempt():
    log, slept, attempt, sleep = failing(9)
    asyncio.run(with_retries(ToolRetryPolicy.safe(5, 10), attempt, sleep, lambda: len(log) == 2))
    assert (log, slept) == ([(1, 5), (2, 5)], [10])


def test_a_requested_wait_wins_over_the_backoff_and_is_capped():
    policy = ToolRetryPolicy.safe(3, 100, 400)
    assert [policy.delay_ms(0, 300), policy.delay_ms(0, 900), policy.delay_ms(80)] == [300, 400, 400]
