"""One tool call in a turn: hooks around it, validation, failures, retries."""

import asyncio

import pytest

from lash_ref.attachments import InMemoryAttachmentStore
from lash_ref.core import LashCore
from lash_ref.directives import (
    AbortTurn,
    EmitRuntimeEvents,
    EnqueueMessages,
    ReplaceToolArgs,
    ShortCircuitTool,
    short_circuit,
)
from lash_ref.effects import InlineEffectHost
from lash_ref.hosting import InMemoryProcessEnvStore
from lash_ref.plugin_events import Custom, PluginMessage
from lash_ref.plugins import PluginSpec, StaticPluginFactory
from lash_ref.records import ModelSpec
from lash_ref.scalars import Json
from lash_ref.scripted import Reply, ScriptedProvider
from lash_ref.store import SystemClock
from lash_ref.tool_results import Done, Failure, ModelToolReturn, Pending, ToolFailure
from lash_ref.tools import StaticToolProvider, ToolDefinition, ToolRetryPolicy

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


class Bench:
    """A session of one plugin; what its one call came to, and what the model saw of it."""

    def __init__(self, handlers, policy=None, provider=None, **spec):
        tools = provider or StaticToolProvider()
        for name, handler in handlers.items():
            definition = ToolDefinition.raw(f"tool:{name}", name, "", SCHEMA)
            tools.add(definition.with_retry_policy(policy or ToolRetryPolicy()), handler)
        self.plugin = StaticPluginFactory("kit", PluginSpec(tool_providers=[tools], **spec))

    def run(self, name, args):
        """The record of one call."""
        return asyncio.run(self._run(name, args))

    async def _run(self, name, args):
        provider = ScriptedProvider([Reply(calls=[("c1", name, args)]), "ok"])
        core = await (
            LashCore.standard_builder()
            .provider(provider)
            .model(ModelSpec.from_token_limits("m", None, 8000))
            .effect_host(InlineEffectHost())
            .attachment_store(InMemoryAttachmentStore(SystemClock()))
            .process_env_store(InMemoryProcessEnvStore())
            .plugin(self.plugin)
            .build()
        )
        session = await core.session("s").open()
        done = await session.turn("go").run()
        self.events = [
            (a.event.plugin_id, a.event.event.value["name"]) for a in done.activities if a.event.type == "plugin_runtime"
        ]
        self.seen = [m.blocks for m in provider.requests[-1].messages][3:]
        (record,) = done.result.tool_calls
        return record


def fault(record):
    assert isinstance(record.output.outcome, Failure)
    failure = record.output.outcome.payload
    return failure.source, failure.code, failure.message


def value(record):
    return record.output.outcome.payload.value


async def echo(call):
    return Done.ok(call.args["n"])


async def never(call):
    raise AssertionError("ran")


def hook(*directives):
    async def asked(context):
        return list(directives)

    return asked


@pytest.mark.parametrize(
    ("name", "args", "code"),
    [
        ("other", {"n": 1}, "tool_unavailable"),
        ("echo", {"n": "x"}, "invalid_tool_args"),
        ("echo", {}, "invalid_tool_args"),
        ("echo", "{not json", "invalid_tool_args"),
    ],
)
def test_what_cannot_run_is_a_failed_result_without_a_run(name, args, code):
    ran = []

    async def spied(call):
        ran.append(call)
        return Done.ok(None)

    assert fault(Bench({"echo": spied}).run(name, args))[:2] == ("runtime", code)
    assert ran == []


class Broken(StaticToolProvider):
    """Prepares as it was told to."""

    prepares = None

    async def prepare_tool_call(self, call):
        made = await super().prepare_tool_call(call)
        return self.prepares(made)


def raising(made):
    raise OSError("no room")


@pytest.mark.parametrize(
    ("prepares", "code"),
    [
        (raising, "tool_error"),
        (lambda made: made.but(tool_id="tool:other"), "prepared_tool_id_mismatch"),
        (lambda made: Done.err("not now"), "tool_error"),
    ],
)
def test_a_preparation_that_fails_is_a_failed_result(prepares, code):
    provider = Broken()
    provider.prepares = prepares
    assert fault(Bench({"echo": never}, provider=provider).run("echo", {"n": 1}))[1] == code


def test_every_before_hook_sees_the_models_arguments_and_the_last_replacement_runs():
    seen = []

    def replacing(n):
        async def asked(context):
            seen.append(context.args)
            return [ReplaceToolArgs(Json({"n": n}))]

        return asked

    record = Bench({"echo": echo}, before_tool_call=[replacing(1), replacing(2)]).run("echo", {"n": 0})
    assert (seen, value(record)) == ([Json({"n": 0})] * 2, 2)
    refused = Bench({"echo": never}, before_tool_call=[replacing("x")]).run("echo", {"n": 0})
    assert fault(refused)[1] == "invalid_tool_args"


MESSAGE = PluginMessage(role="System", content="note")


@pytest.mark.parametrize(
    ("directive", "found"),
    [
        (AbortTurn("stop", "no"), ("plugin", "stop")),
        (EnqueueMessages((MESSAGE,)), ("tool", "tool_error")),
        (short_circuit(Pending()), ("runtime", "pending_tool_short_circuit")),
    ],
)
def test_what_a_before_hook_may_not_do_fails_the_call_and_skips_tool_and_later_hooks(directive, found):
    bench = Bench({"echo": never}, before_tool_call=[hook(directive)], after_tool_call=[hook(AbortTurn("a", "b"))])
    assert fault(bench.run("echo", {"n": 1}))[:2] == found


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
    assert (seen, value(record), bench.events) == ([Done.ok(5)] * 2, "b", [("kit", "done")])
    assert [[getattr(b, "text", None) or b.content for b in blocks] for blocks in bench.seen] == [
        ["b"], ["note"], ["note"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("surface", "code"),
    [("before_tool_call", "before_tool_call_failed"), ("after_tool_call", "after_tool_call_failed")],
)
def test_a_hook_that_fails_fails_the_call(surface, code):
    async def broken(context):
        raise KeyError("gone")

    assert fault(Bench({"echo": echo}, **{surface: [broken]}).run("echo", {"n": 1}))[1] == code


def test_a_projector_changes_what_the_model_sees_and_nothing_else():
    async def short(context):
        return ModelToolReturn.text(context.call_id, context.tool_name, "shown")

    async def broken(context):
        raise ValueError("projector is broken")

    for projector, seen in ((short, "shown"), (broken, "projector is broken")):
        bench = Bench({"echo": echo}, tool_result_projector=projector)
        assert (value(bench.run("echo", {"n": 7})), bench.seen[0][0].content) == (7, seen)


# -- retries


@pytest.mark.parametrize(
    ("policy", "answer", "attempts", "disposition"),
    [
        (ToolRetryPolicy(), Done.retryable("external", "down", "no"), 1, "safe"),
        (ToolRetryPolicy.safe(3), Done.retryable("external", "down", "no"), 3, "exhausted"),
        (ToolRetryPolicy.idempotent(2), Done.retryable("external", "down", "no"), 2, "exhausted"),
        (ToolRetryPolicy.safe(3), Done.failure(ToolFailure.tool("external", "down", "no")), 1, "never"),
        (ToolRetryPolicy.safe(3), Done.cancelled("no"), 1, None),
    ],
)
def test_an_attempt_is_repeated_when_policy_and_failure_allow(policy, answer, attempts, disposition):
    made, asked = [], []

    async def fails(call):
        made.append((call.context.attempt_number, call.context.max_attempts))
        return answer

    async def after(context):
        asked.append(context.result == answer)
        return []

    record = Bench({"down": fails}, policy, after_tool_call=[after]).run("down", {"n": 1})
    retry = getattr(record.output.outcome.payload, "retry", None)
    assert made == [(n + 1, policy.attempts) for n in range(attempts)]
    assert (asked, retry and retry.type) == ([True] * attempts, disposition)


def test_a_requested_wait_wins_over_the_backoff_and_is_capped():
    policy = ToolRetryPolicy.safe(3, 100, 400)
    assert [policy.delay_ms(n) for n in range(4)] == [100, 200, 400, 400]
    assert [policy.delay_ms(0, 300), policy.delay_ms(0, 900), policy.delay_ms(80)] == [300, 400, 400]
    assert [ToolRetryPolicy.safe(3, 100).delay_ms(3), ToolRetryPolicy().delay_ms(0, 300)] == [800, 0]
