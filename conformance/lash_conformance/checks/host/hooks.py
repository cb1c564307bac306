"""Hooks: how their answers compose, and what they can do to a turn (HOK.1 to HOK.17, HOK.40 to HOK.53)."""

from typing import Any

from lash_conformance.check import host_check
from lash_conformance.host import Data
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import (
    activities,
    answer,
    asked,
    calls,
    exchange,
    opened,
    refusal,
    say,
    script,
    stored_lines,
    transcript,
    wrote,
)
from lash_conformance.plugin_words import aborts, adds, directed, emits
from lash_conformance.store_faults import COMMIT

# -- how hooks compose


@host_check("HOK.1")
async def hooks_do_not_see_each_others_messages(bench: HostBench) -> None:
    """The first enqueues; the second is shown as many messages as the first was."""
    core, session = await directed(bench, "a", "b", a={"before_turn": [adds("one"), adds("two")]})
    await exchange(core, session, "hi", "hello")

    first, second = await wrote(core, "a before_turn", "b before_turn")
    assert first.split()[-1] == second.split()[-1]
    assert stored_lines(await bench.stored())[-3:] == ["system: one", "system: two", "assistant: hello"]


@host_check("HOK.2")
async def the_last_abort_wins(bench: HostBench) -> None:
    """Two plugins abort; the turn tells the second's code."""
    core, session = await directed(
        bench, "b", "a", b={"before_turn": [aborts("early")]}, a={"before_turn": [aborts("late")]}
    )

    report = await exchange(core, session, "hi", "never")

    assert [issue.get("code") for issue in report["errors"]] == ["late"]


def _told(replayed: Data, event: str) -> int:
    """How many of the events of a replay are a plugin's of that name."""
    events = replayed.get("events", [])
    return sum(one["type"] == "plugin_runtime" and event in str(one) for one in events)


# -- before a turn


@host_check("HOK.3")
async def injected_messages_are_shown_and_kept(bench: HostBench) -> None:
    """After the user's message, for the model and in the store."""
    core, session = await directed(bench, a={"before_turn": [adds("mind the gap")]})
    await exchange(core, session, "hi", "hello")

    assert asked((await core.requests())[0])[-2:] == ["user: hi", "system: mind the gap"]
    assert stored_lines(await bench.stored()) == ["user: hi", "system: mind the gap", "assistant: hello"]


@host_check("HOK.4")
async def an_abort_stops_the_turn(bench: HostBench) -> None:
    """Stopped by a plugin, its code told, no model asked."""
    core, session = await directed(bench, a={"before_turn": [aborts("no_way")]})

    report = await exchange(core, session, "hi", "never")

    assert answer(report) == "stopped plugin_abort"
    assert [(issue["kind"], issue.get("code")) for issue in report["errors"]] == [("plugin", "no_way")]
    assert await core.requests() == []


@host_check("HOK.5")
async def messages_of_an_abort_are_kept(bench: HostBench) -> None:
    """One directive after the other, both hold."""
    core, session = await directed(bench, a={"before_turn": [aborts("no_way"), adds("closed today")]})
    await exchange(core, session, "hi", "never")

    assert stored_lines(await bench.stored()) == ["user: hi", "system: closed today"]


@host_check("HOK.6")
async def an_aborted_turn_settles_its_input(bench: HostBench) -> None:
    """The queued input is gone from the queue and in the history."""
    _, session = await directed(bench, a={"before_turn": [aborts("no_way")]})
    await session.call("enqueue", {"text": "queued"})
    report = await session.queued_turn()

    if report is not None:
        assert answer(report) == "stopped plugin_abort"
    assert await session.call("pending_turn_inputs", {}) == []
    assert stored_lines(await bench.stored()) == ["user: queued"]


@host_check("HOK.7")
async def a_hook_cannot_speak_for_the_model(bench: HostBench) -> None:
    """An assistant's message is dropped, a user's is kept."""
    core, session = await directed(
        bench, a={"before_turn": [adds("I promise", "assistant"), adds("psst", "user")]}
    )
    await exchange(core, session, "hi", "hello")

    assert stored_lines(await bench.stored()) == ["user: hi", "user: psst", "assistant: hello"]


async def _fails(bench: HostBench, code: str | None, **options: Any) -> None:
    """The turn fails with that code and the store stays empty."""
    core = await bench.core("a", options={"a": options})
    session = await opened(core)
    await script(core, "hello")

    await refusal("Runtime", say(session), **({} if code is None else {"runtime_code": code}))

    assert await bench.stored() is None


@host_check("HOK.8")
async def a_turn_hook_cannot_answer_for_a_tool(bench: HostBench) -> None:
    """Before a turn, and after it."""
    directives: tuple[Data, ...] = (
        {"kind": "replace_tool_args", "args": {}},
        {"kind": "short_circuit_tool", "value": 1},
    )
    for point in ("before_turn", "after_turn"):
        for directive in directives:
            await _fails(bench, None, directives={point: [directive]})


@host_check("HOK.9")
async def a_failing_before_turn_hook_fails_the_turn(bench: HostBench) -> None:
    """Nothing of it is stored."""
    await _fails(bench, "plugin_prepare_turn", fails_at=["before_turn"])


# -- within a turn


@host_check("HOK.10", "HOK.11")
async def a_message_before_completion_is_answered(bench: HostBench) -> None:
    """The model is asked once more; message and answer are kept."""
    core, session = await directed(bench, a={"checkpoint before_completion": [adds("are you sure?")]})
    await script(core, "first", "second")

    assert answer(await say(session)) == "says second"

    requests = await core.requests()
    assert len(requests) == 2
    assert "system: are you sure?" in asked(requests[1])
    assert stored_lines(await bench.stored())[-2:] == ["system: are you sure?", "assistant: second"]


@host_check("HOK.12")
async def a_message_of_an_after_tool_hook_follows_the_results(bench: HostBench) -> None:
    """Two calls, then the message, then the model."""
    core, session = await directed(bench, a={"after_tool": [adds("well done")]})
    await script(core, calls(("echo", {"text": "x"}), ("echo", {"text": "y"})), "done")
    await say(session)

    assert asked((await core.requests())[1])[-3:] == ["tool: x", "tool: y", "system: well done"]


@host_check("HOK.12")
async def a_message_of_an_after_tool_hook_comes_once(bench: HostBench) -> None:
    """A second round of calls, in which no hook enqueues anything, does not bring it again."""
    core, session = await directed(bench, a={"after_tool": [adds("well done")]})
    await script(core, calls(("echo", {"text": "x"})), calls(("echo", {"text": "y"})), "done")
    await say(session)

    shown = asked((await core.requests())[2])
    assert (shown.count("system: well done"), shown[-1]) == (1, "tool: y")
    assert stored_lines(await bench.stored()).count("system: well done") == 1


@host_check("HOK.13")
async def events_carry_their_owner(bench: HostBench) -> None:
    """Two plugins, one event each."""
    core, session = await directed(
        bench, "a", "b", a={"before_turn": [emits("from_a")]}, b={"before_turn": [emits("from_b")]}
    )

    report = await exchange(core, session, "hi", "hello")

    told = [one for one in report["activities"] if one["type"] == "plugin_runtime"]
    assert [(one["plugin_id"], one["name"]) for one in told] == [("a", "from_a"), ("b", "from_b")]


@host_check("HOK.13")
async def events_of_every_hook_are_streamed(bench: HostBench) -> None:
    """Around a tool call, at both checkpoints and after the turn: each once, in this order."""
    points = ("before_turn", "before_tool", "after_tool", "checkpoint after_work", "checkpoint before_completion", "after_turn")
    core, session = await directed(bench, a={point: [emits(point)] for point in points})
    await script(core, calls(("echo", {"text": "x"})), "done")

    report = await say(session)

    assert [(one["plugin_id"], one["name"]) for one in report["activities"] if one["type"] == "plugin_runtime"] == [
        ("a", point) for point in points
    ]


@host_check("HOK.7")
async def no_hook_can_speak_for_the_model(bench: HostBench) -> None:
    """Behind a call, at a checkpoint and after the turn: what the assistant is said to have said is dropped, the rest is kept."""
    points = ("after_tool", "checkpoint after_work", "after_turn")
    given = {point: [adds("I promise", "assistant"), adds(point)] for point in points}
    core, session = await directed(bench, a=given)
    await script(core, calls(("echo", {"text": "x"})), "done")
    await say(session)

    kept = stored_lines(await bench.stored())
    assert [line for line in kept if "promise" in line] == []
    assert [line for line in kept if line.startswith("system: ")] == [f"system: {point}" for point in points]


# -- after a turn


@host_check("HOK.14")
async def a_message_after_the_turn_ends_the_history(bench: HostBench) -> None:
    """Behind the answer; the next turn's model sees it."""
    core, session = await directed(bench, a={"after_turn": [adds("to be continued")]})
    await exchange(core, session, "hi", "hello")
    assert stored_lines(await bench.stored()) == ["user: hi", "assistant: hello", "system: to be continued"]

    await exchange(core, session, "go on", "gladly")
    assert "system: to be continued" in asked((await core.requests())[1])


@host_check("HOK.15")
async def an_abort_after_the_turn_is_an_error(bench: HostBench) -> None:
    """Nothing of the turn is stored."""
    await _fails(bench, "plugin_finalize_turn", directives={"after_turn": [aborts("too_late")]})


@host_check("HOK.16")
async def events_of_a_lost_turn_are_not_told(bench: HostBench) -> None:
    """The commit fails: nobody who watches is told what the hook emitted."""
    core, session = await directed(bench, a={"after_turn": [emits("done")]})
    cursor = (await session.observe())["cursor"]
    await bench.line(core).fail(COMMIT)
    await script(core, "hello")
    await refusal("Runtime", say(session))

    assert _told(await session.resume_from(cursor), "done") == 0


@host_check("HOK.16", needs=("line",))
async def events_after_the_turn_follow_the_commit(bench: HostBench) -> None:
    """While the turn stands at its commit nobody is told; once it is over, whoever watches is, and once."""
    core, session = await directed(bench, a={"after_turn": [emits("done")]})
    cursor = (await session.observe())["cursor"]
    await script(core, "hello")

    early = await bench.at_commit(core, say(session), session.resume_from(cursor))

    assert (_told(early, "done"), _told(await session.resume_from(cursor), "done")) == (0, 1)


@host_check("HOK.16")
async def events_after_the_turn_are_told_with_it(bench: HostBench) -> None:
    """Who ran the turn finds them among its activities."""
    core, session = await directed(bench, a={"after_turn": [emits("done")]})
    report = await exchange(core, session, "hi", "hello")

    assert [one["name"] for one in report["activities"] if one["type"] == "plugin_runtime"] == ["done"]


@host_check("HOK.17")
async def a_failing_after_turn_hook_fails_the_turn(bench: HostBench) -> None:
    """Nothing of it is stored."""
    await _fails(bench, "plugin_finalize_turn", fails_at=["after_turn"])


# -- on what the model says


@host_check("HOK.40")
async def response_hooks_are_piped(bench: HostBench) -> None:
    """Each puts its mark behind what the one before it returned."""
    core = await bench.core("b", "a", options={"b": {"response": " <b>"}, "a": {"response": " <a>"}})
    session = await opened(core)
    await exchange(core, session, "hi", "hello")

    assert stored_lines(await bench.stored()) == ["user: hi", "assistant: hello <b> <a>"]


@host_check("HOK.41")
async def stream_hooks_are_piped(bench: HostBench) -> None:
    """Each chunk carries both marks."""
    core = await bench.core("b", "a", options={"b": {"stream": "b"}, "a": {"stream": "a"}})
    report = await exchange(core, await opened(core), "hi", {"chunks": ["x", "y"]})

    assert [line for line in activities(report) if line.startswith("prose")] == ["prose xba", "prose yba"]


@host_check("HOK.42")
async def prose_that_did_not_stream_is_projected(bench: HostBench) -> None:
    """It is shown with the projector's mark, and answered, stored and shown to the model without."""
    core = await bench.core("a", options={"a": {"claims": ["prose_projector"], "prose": " (shown)"}})
    session = await opened(core)
    report = await exchange(core, session, "hi", {"text": "hello", "chunks": []})

    assert [line for line in activities(report) if line.startswith("prose")] == ["prose hello (shown)"]
    assert answer(report) == "says hello"
    assert stored_lines(await bench.stored()) == ["user: hi", "assistant: hello"]
    await exchange(core, session, "more", "fine")
    assert asked((await core.requests())[1]) == ["user: hi", "assistant: hello", "user: more"]


# -- context


@host_check("HOK.50", "HOK.51")
async def transforms_run_by_priority_and_leave_nothing(bench: HostBench) -> None:
    """The higher priority speaks first; the history knows nothing of it."""
    options = {
        "a": {"transform": {"priority": 1, "text": "low"}},
        "b": {"transform": {"priority": 9, "text": "high"}},
    }
    core = await bench.core("a", "b", options=options)
    session = await opened(core)
    await exchange(core, session, "hi", "hello")

    added = [line for line in asked((await core.requests())[0]) if line in ("user: low", "user: high")]
    assert added == ["user: high", "user: low"]
    assert stored_lines(await bench.stored()) == ["user: hi", "assistant: hello"]


@host_check("HOK.52")
async def a_compaction_opens_a_frame_and_keeps_the_rest(bench: HostBench) -> None:
    """The first compactor with something to say seeds the frame; the old messages stay stored."""
    options = {
        "a": {"compacts": {"priority": 9, "text": None}},
        "b": {"compacts": {"priority": 5, "text": "summary"}},
        "c": {"compacts": {"priority": 1, "text": "unused"}},
    }
    core = await bench.core("a", "b", "c", options=options)
    session = await opened(core)
    await exchange(core, session, "hi", "hello")

    assert await session.call("compact_context", {}) is True

    assert await transcript(session) == ["user: summary"]
    await exchange(core, session, "go on", "gladly")
    stored = await bench.stored()
    texts = stored_lines(stored)
    assert texts[:2] == ["user: hi", "assistant: hello"]
    assert "user: hi" not in asked((await core.requests())[1])


@host_check("HOK.53")
async def a_compaction_without_a_seed_changes_nothing(bench: HostBench) -> None:
    """The only compactor returns nothing."""
    core = await bench.core("a", options={"a": {"compacts": {"priority": 1, "text": None}}})
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    before = await session.read("current_frame")

    assert await session.call("compact_context", {}) is False

    assert await session.read("current_frame") == before
    assert await transcript(session) == ["user: hi", "assistant: hello"]
