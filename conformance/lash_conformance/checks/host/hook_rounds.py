"""Checks of when hooks are asked: every round, every call, every kind of turn ([HOK.18], [HOK.19], [HOK.33], [PLG.33])."""

from lash_conformance.check import host_check
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import (
    answer,
    asked,
    calls,
    exchange,
    opened,
    say,
    script,
    stored_lines,
    wrote,
)
from lash_conformance.plugin_words import ECHO, aborts, adds, directed


@host_check("HOK.18")
async def messages_stand_in_the_order_of_the_stack(bench: HostBench) -> None:
    """Two plugins, before the turn, before its completion and after it."""
    core, session = await directed(
        bench, "a", "b",
        **{
            name: {
                "before_turn": [adds(f"{name}1")], "checkpoint before_completion": [adds(f"{name}2")],
                "after_turn": [adds(f"{name}3")],
            }
            for name in ("a", "b")
        },
    )  # fmt: skip
    await script(core, "first", "second")
    await say(session)

    assert stored_lines(await bench.stored()) == [
        "user: hi", "system: a1", "system: b1", "assistant: first", "system: a2", "system: b2", "assistant: second",
        "system: a3", "system: b3",
    ]  # fmt: skip


@host_check("HOK.19")
async def every_round_has_its_checkpoint(bench: HostBench) -> None:
    """Two rounds of tools, an answer that a hook is not content with, and another."""
    core, session = await directed(bench, a={"checkpoint before_completion": [adds("are you sure?")]})
    await script(core, ECHO, ECHO, "first", "second")

    assert answer(await say(session)) == "says second"

    rounds = [line.removeprefix("a checkpoint ") for line in await wrote(core, "a checkpoint")]
    assert rounds == ["after_work", "after_work", "before_completion", "before_completion"]


@host_check("HOK.33")
async def every_call_of_a_batch_is_guarded(bench: HostBench) -> None:
    """Three calls in one reply: the hooks before and after are asked for each."""
    core, session = await directed(bench, "a")
    await script(core, calls(*(("echo", {"text": one}) for one in "xyz")), "done")
    await say(session)

    before, after = await wrote(core, "a before_tool"), await wrote(core, "a after_tool")
    assert sorted(before) == [f'a before_tool echo {{"text":"{one}"}}' for one in "xyz"]
    assert sorted(after) == [f'a after_tool echo success "{one}"' for one in "xyz"]


@host_check("HOK.40")
async def every_answer_is_asked_about(bench: HostBench) -> None:
    """The response hook marks what the model says with its calls, at their end, and in the next turn."""
    core = await bench.core("a", tools=("echo",), options={"a": {"response": " <a>"}})
    session = await opened(core)
    await script(core, calls(("echo", {"text": "x"}), says="let me see"), "done", "fine")
    await say(session)
    await say(session, "more")

    said = [line for line in asked((await core.requests())[-1]) if line.startswith("assistant: ")]
    assert [line.count(" <a>") for line in said] == [1, 1]
    assert stored_lines(await bench.stored())[-1] == "assistant: fine <a>"


EVENTS = ["a event turn_finalized", "a event turn_persisted"]


@host_check("PLG.33", "PLG.34")
async def every_kind_of_turn_is_told(bench: HostBench) -> None:
    """One that a plugin aborts, one that is cancelled while it runs, and a drained one: each once, before and after."""
    core = await bench.core("a", options={"a": {"directives": {"before_turn": [aborts("no")]}}})
    session = await opened(core)
    ends = [answer(await say(session))]
    await script(core, {"text": "late", "gate": "g"})
    running = bench.start(say(session, cancel="stop"))
    await core.reached("g")
    await session.fire("stop")
    ends.append(answer(await running))
    await session.call("enqueue", {"text": "later"})
    await script(core, "drained")
    ends.append(answer(await session.queued_turn()))

    told = [" ".join(line.split()[:3]) for line in await wrote(core, "a event turn_")]
    assert (ends, told) == (["stopped plugin_abort", "stopped cancelled", "says drained"], EVENTS * 3)


@host_check("SNP.40")
async def a_cancelled_turn_keeps_what_its_plugins_did(bench: HostBench) -> None:
    """A tool counted before the turn was stopped: its count is in the commit with it."""
    core = await bench.core("counter")
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    await script(core, calls(("count", {})), {"text": "late", "gate": "g"})
    running = bench.start(say(session, "count", cancel="stop"))
    await core.reached("g")
    await session.fire("stop")

    assert answer(await running) == "stopped cancelled"

    snapshot = (await bench.loaded()).checkpoint.plugin_snapshot.value
    assert snapshot["plugins"]["counter"]["meta"]["state"] == {"count": 1}
