"""Hooks around a tool call (HOK.20 to HOK.32)."""

import asyncio
from typing import Any

from lash_conformance.check import host_check
from lash_conformance.host import Data, HostCore, HostSession
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import (
    answer,
    asked,
    calls,
    failures,
    opened,
    say,
    script,
    stored_lines,
    wrote,
)
from lash_conformance.plugin_words import ECHO, aborts, adds, directed, result_shown


@host_check("HOK.20")
async def before_tool_hooks_are_asked_before_validation(bench: HostBench) -> None:
    """Broken arguments are mended by a hook."""
    core, session = await directed(
        bench, a={"before_tool": [{"kind": "replace_tool_args", "args": {"text": "mended"}}]}
    )

    assert await result_shown(core, session, calls(("echo", {"wrong": 1}))) == ("says done", "tool: mended")
    assert await wrote(core, "a before_tool") == ['a before_tool echo {"wrong":1}']


@host_check("HOK.21")
async def every_before_tool_hook_sees_the_models_arguments(bench: HostBench) -> None:
    """The first replaces them; the second is still shown the model's."""
    core, session = await directed(
        bench, "a", "b", a={"before_tool": [{"kind": "replace_tool_args", "args": {"text": "y"}}]}
    )
    await result_shown(core, session)

    assert await wrote(core, "b before_tool") == ['b before_tool echo {"text":"x"}']


@host_check("HOK.22")
async def the_last_replacement_is_used(bench: HostBench) -> None:
    """Two replace; the tool gets the second's."""
    core, session = await directed(
        bench, "b", "a",
        b={"before_tool": [{"kind": "replace_tool_args", "args": {"text": "early"}}]},
        a={"before_tool": [{"kind": "replace_tool_args", "args": {"text": "late"}}]},
    )  # fmt: skip

    assert await result_shown(core, session) == ("says done", "tool: late")


@host_check("HOK.22")
async def replaced_arguments_are_validated(bench: HostBench) -> None:
    """Arguments that break the schema do not reach the tool."""
    core, session = await directed(
        bench, a={"before_tool": [{"kind": "replace_tool_args", "args": {"wrong": 1}}]}
    )
    await script(core, ECHO, "done")
    report = await say(session)

    assert failures(report) == ["invalid_tool_args"]


@host_check("HOK.23", "HOK.24")
async def a_short_circuit_answers_in_the_tools_place(bench: HostBench) -> None:
    """The tool would fail; the plugin's value is recorded and shown, and no after hook is asked."""
    core, session = await directed(
        bench, "a", "b", a={"before_tool": [{"kind": "short_circuit_tool", "value": "cached"}]}
    )

    assert await result_shown(core, session, calls(("fail", {"message": "no"}))) == (
        "says done",
        "tool: cached",
    )
    assert await wrote(core, "a after_tool", "b after_tool") == []
    assert "tool" in [line.split(":")[0] for line in asked((await core.requests())[-1])]


async def _failure(core: HostCore, session: HostSession, reply: Data = ECHO) -> tuple[str, list[str]]:
    """How a turn of one call ends, and the codes of the calls' failures."""
    await script(core, reply, "done")
    report = await say(session)
    return answer(report), failures(report)


@host_check("HOK.25")
async def an_abort_from_a_tool_hook_refuses_the_call(bench: HostBench) -> None:
    """Before the call and after it; the turn goes on."""
    for point in ("before_tool", "after_tool"):
        core, session = await directed(bench, a={point: [aborts("not_now")]})
        assert await _failure(core, session) == ("says done", ["not_now"])


@host_check("HOK.26")
async def a_message_before_a_call_refuses_it(bench: HostBench) -> None:
    """The tool does not run, the message is nowhere."""
    core, session = await directed(bench, a={"before_tool": [adds("hm")]})
    ended, failures = await _failure(core, session)

    assert (ended, len(failures)) == ("says done", 1)
    assert "system: hm" not in stored_lines(await bench.stored())


@host_check("HOK.27", "HOK.28")
async def a_failing_tool_hook_fails_the_call(bench: HostBench) -> None:
    """Each under its own code, the turn going on."""
    for point in ("before_tool", "after_tool"):
        core = await bench.core("a", tools=("echo",), options={"a": {"fails_at": [point]}})
        assert await _failure(core, await opened(core)) == ("says done", [f"{point}_call_failed"])


@host_check("HOK.29")
async def after_tool_hooks_wait_for_a_pending_result(bench: HostBench) -> None:
    """Not asked at launch, once at resolution."""
    core, session = await directed(bench, "a")
    await script(core, calls(("pending", {"name": "p"})), "done")
    turn = bench.start(say(session))
    key = await _pending_key(core, "p")
    assert await wrote(core, "a after_tool") == []
    await core.call("resolve", {"key": key, "resolution": {"ok": "late"}})
    assert answer(await turn) == "says done"

    assert await wrote(core, "a after_tool") == ['a after_tool pending success "late"']


async def _pending_key(core: HostCore, name: str) -> Any:
    for _ in range(2000):
        if f"pending {name}" in await core.journal():
            break
        await asyncio.sleep(0.01)
    return await core.call("pending_key", {"name": name})


@host_check("HOK.30")
async def after_tool_hooks_see_every_attempt(bench: HostBench) -> None:
    """Two attempts fail, the third succeeds."""
    core, session = await directed(bench, "a")
    await result_shown(core, session, calls(("flaky", {"times": 2})))

    lines = await wrote(core, "a after_tool")
    assert [line.split()[3] for line in lines] == ["failure", "failure", "success"]


@host_check("HOK.31")
async def a_pending_short_circuit_fails_the_call(bench: HostBench) -> None:
    """Nobody could resolve it."""
    core, session = await directed(
        bench, a={"before_tool": [{"kind": "short_circuit_tool", "pending": True}]}
    )

    assert await _failure(core, session) == ("says done", ["pending_tool_short_circuit"])


@host_check("HOK.32")
async def every_after_tool_hook_sees_the_toolsresult_shown(bench: HostBench) -> None:
    """The first replaces it; the second is still shown the tool's."""
    core, session = await directed(
        bench, "a", "b", a={"after_tool": [{"kind": "short_circuit_tool", "value": "y"}]}
    )

    assert await result_shown(core, session) == ("says done", "tool: y")
    assert await wrote(core, "b after_tool") == ['b after_tool echo success "x"']
