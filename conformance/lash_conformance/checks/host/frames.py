"""Checks of agent frames ([FRM.1] to [FRM.11])."""

from typing import Any

from lash_conformance.check import host_check
from lash_conformance.host import Data, HostCore, HostSession
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import (
    activities,
    answer,
    asked,
    calls,
    exchange,
    named,
    opened,
    say,
    script,
    stored_lines,
)


def _switch(frame_id: str, task: str = "go on") -> Any:
    return calls(("switch_frame", {"frame_id": frame_id, "task": task}))


@host_check("FRM.1")
async def a_switch_opens_a_frame_after_the_old(core: HostCore, session: HostSession) -> None:
    """The new frame is active and names the old, which is superseded and keeps its assignment."""
    await script(core, _switch("f2"), "done")
    await say(session, "hi")

    old, new = await session.read("frames")
    assert (old["status"], new["status"]) == ("superseded", "active")
    assert (new["frame_id"], new.get("previous_frame_id")) == ("f2", old["frame_id"])
    assert old.get("previous_frame_id") is None
    assert old["assignment"] == new["assignment"]
    assert await session.read("current_frame") == "f2"


@host_check("FRM.2")
async def a_blank_or_current_frame_is_no_switch(core: HostCore, session: HostSession) -> None:
    """Opening either leaves the frames as they were."""
    await exchange(core, session, "hi", "hello")
    before = await session.read("frames")
    current = await session.read("current_frame")

    for frame_id in ("", current):
        await session.call("open_agent_frame", {"frame_id": frame_id, "task": "again"})

    assert named(before, "frame_id") == [current]
    assert await session.read("frames") == before


@host_check("FRM.3")
async def the_model_reads_the_current_frame(core: HostCore, session: HostSession) -> None:
    """After a switch the earlier conversation is not shown; the new task is."""
    await exchange(core, session, "old words", "old answer")
    await script(core, _switch("f2", "new task"), "done", "fine")
    await say(session, "switch please")
    await say(session, "more")

    last = " ".join(asked((await core.requests())[-1]))
    assert ("old words" in last, "switch please" in last) == (False, False)
    assert last.endswith("user: more")
    assert "new task" in last


@host_check("FRM.3")
async def a_reopened_session_goes_on_in_its_frame(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """What is said after an open is said in the frame that was current, and shown there."""
    await script(core, _switch("f2"), "in the frame", "fine", "good")
    await say(session, "hi")
    await session.close()
    again = await opened(core)
    await say(again, "more")
    await say(again, "and more")

    assert await again.read("current_frame") == "f2"
    assert asked((await core.requests())[-1])[-4:] == ["assistant: in the frame", "user: more", "assistant: fine", "user: and more"]
    assert "user: hi" not in asked((await core.requests())[-1])


@host_check("FRM.4")
async def the_turn_goes_on_in_the_new_frame(core: HostCore, session: HostSession) -> None:
    """One call of the host gives the answer that the new frame gave."""
    await script(core, _switch("f2", "new task"), "from the new frame")

    report = await say(session, "hi")

    assert answer(report) == "says from the new frame"
    assert "new task" in " ".join(asked((await core.requests())[1]))


@host_check("FRM.5")
async def each_physical_turn_has_its_stamp(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """A turn t1 that switches twice commits t1 and its two frames under ids of their own."""
    await script(core, _switch("f2"), _switch("f3"), "done")
    await say(session, "hi", turn_id="t1")

    stamps = [commit.turn_commit.turn_id for commit in await bench.commits(core) if commit.turn_commit]
    assert stamps == ["t1", "t1:agent-frame:1", "t1:agent-frame:2"]


@host_check("FRM.6")
async def endless_switching_ends(core: HostCore, session: HostSession) -> None:
    """The seventeenth switch is not followed."""
    await script(core, *(_switch(f"f{n}") for n in range(2, 22)))

    report = await say(session, "hi")

    assert answer(report) == "stopped runtime_error"
    assert len(await core.requests()) == 17


@host_check("FRM.7")
async def compaction_keeps_the_history(bench: HostBench) -> None:
    """A compaction opens a frame with the summary; every node from before is still stored."""
    core = await bench.core("a", options={"a": {"compacts": {"priority": 0, "text": "in short"}}})
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    before = {node.node_id for node in (await bench.loaded()).graph.nodes}

    done = await session.call("compact_context", {"instructions": "short"})
    await exchange(core, session, "more", "fine")

    assert done is True
    assert [f["reason"] for f in await session.read("frames")] == ["initial", "compaction"]
    assert before <= {node.node_id for node in (await bench.loaded()).graph.nodes}
    assert asked((await core.requests())[-1]) == ["user: in short", "user: more"]


@host_check("FRM.8")
async def a_cancelled_chain_is_one_cancelled_turn(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Stopped in its second frame, the turn answers Cancelled once, and the session goes on."""
    await script(core, _switch("f2"), {"text": "late", "gate": "g"}, "fine")
    running = bench.start(say(session, "hi", cancel="stop"))
    await core.reached("g")
    await session.fire("stop")

    report = await running

    assert answer(report) == "stopped cancelled"
    assert answer(await say(session, "more")) == "says fine"
    assert named(await session.call("queued_work", {}), "batch_id") == []


@host_check("FRM.9")
async def a_drained_turn_that_switches_is_done(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """It answers its last frame, its input and its task are said once, and nothing of it waits."""
    await session.call("enqueue", {"text": "hi"})
    await script(core, _switch("f2"), "done")

    assert answer(await session.queued_turn()) == "says done"

    assert await session.call("queued_work", {}) == []
    assert await session.call("pending_turn_inputs", {}) == []
    assert (await session.queued_turn(), len(await core.requests())) == (None, 2)


@host_check("FRM.10", needs=("durable",))
async def the_next_drain_goes_on_in_the_frame(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """A drained turn switched frames and its process died in the second one: the task is run there, the input is not repeated."""
    await session.call("enqueue", {"text": "hi"})
    await script(core, _switch("f2"), {"text": "late", "gate": "g"})
    bench.start(session.queued_turn())
    await core.reached("g")
    await bench.crash(core)
    await bench.after_expiry()
    second = await bench.core(tools=("switch_frame",))
    again = await opened(second)
    await script(second, "done")

    assert answer(await again.queued_turn()) == "says done"

    assert await again.read("current_frame") == "f2"
    assert asked((await second.requests())[0]) == ["user: go on"]
    assert await again.queued_turn() is None
    assert sum(line == "user: hi" for line in stored_lines(await bench.stored())) == 1


@host_check("FRM.11")
async def what_was_said_of_a_turn_holds_in_its_next_frame(bench: HostBench) -> None:
    """Its provider, its prompt and its options, in the second frame as in the first; the next turn has none of them."""
    core = await bench.core("options", tools=("switch_frame",), providers=("prov", "other"))
    session = await opened(core)
    prompt = {"slots": {"guidance": {"contributions": [{"slot": "guidance", "content": "for this turn"}]}}}
    await script(core, _switch("f2"), "done", "fine")
    await say(session, "hi", provider="other", prompt=prompt, options={"schema_version": 1, "payload": {"mine": 1}})
    await say(session, "more")

    def of_the_turn(request: Data) -> list[bool]:
        system = request["system"].replace(" ", "")
        return [request["provider"] == "other", "forthisturn" in system, '"mine":1' in system]

    assert [of_the_turn(request) for request in await core.requests()] == [[True] * 3, [True] * 3, [False] * 3]


@host_check("FRM.11")
async def a_turns_plugin_input_holds_in_its_next_frame(bench: HostBench) -> None:
    """The plugin reads it for the second frame too."""
    core = await bench.core(tools=("switch_frame",), store="none")
    session = await opened(core, plugins=("bound",))
    await script(core, _switch("f2"), "done")
    await say(session, "hi", plugin_inputs={"bound": {"word": "plum"}})

    assert ["word: plum" in request["system"] for request in await core.requests()] == [True, True]


@host_check("FRM.4")
async def who_ran_the_turn_is_told_of_its_last_frame(core: HostCore, session: HostSession) -> None:
    """What the second frame's model said is among the activities."""
    await script(core, _switch("f2"), "done")

    report = await say(session, "hi")

    assert "prose done" in activities(report)


@host_check("FRM.1")
async def each_frame_names_the_one_before(core: HostCore, session: HostSession) -> None:
    """Two switches, one after the other: the third frame names the second."""
    await script(core, _switch("f2"), _switch("f3"), "done")
    await say(session, "hi")

    frames = await session.read("frames")
    first = next(one["frame_id"] for one in frames if one.get("previous_frame_id") is None)
    assert {one["frame_id"]: (one.get("previous_frame_id"), one["status"]) for one in frames} == {
        first: (None, "superseded"), "f2": (first, "superseded"), "f3": ("f2", "active"),
    }  # fmt: skip
