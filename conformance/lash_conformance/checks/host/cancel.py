"""Checks of cancellation ([CAN.1] to [CAN.21])."""

from typing import Any

from lash_conformance.check import host_check
from lash_conformance.host import HostCore, HostSession
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import (
    answer,
    asked,
    calls,
    exchange,
    named,
    opened,
    refused,
    say,
    script,
    seen_up_to,
    spent,
    stored_lines,
    transcript,
)


async def _stopped(bench: HostBench, core: HostCore, session: HostSession, *before: Any, **parts: Any) -> Any:
    """A turn cancelled while its last reply streams; its report."""
    await script(core, *before, {"chunks": ["par", "tial"], "gate": "g"})
    running = bench.start(say(session, "hi", cancel="stop", **parts))
    await core.reached("g")
    await session.fire("stop")
    return await running


@host_check("CAN.1")
async def a_cancelled_turn_commits_and_the_session_goes_on(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Its outcome is Stopped(Cancelled), its commit is there, and the next turn runs and reopens."""
    report = await _stopped(bench, core, session)

    assert answer(report) == "stopped cancelled"
    assert "user: hi" in stored_lines(await bench.stored())
    assert answer(await exchange(core, session, "more", "fine")) == "says fine"
    await session.close()
    assert (await transcript(await opened(core)))[-2:] == ["user: more", "assistant: fine"]


@host_check("CAN.1")
async def a_cancel_does_not_wait_for_a_retry(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """The model asked to be left alone for half a minute; the turn that is stopped meanwhile ends at once."""
    busy = {"kind": "transport", "retryable": True, "message": "busy", "retry_after_ms": 30_000}
    following = await session.subscribe((await session.observe())["cursor"])
    await script(core, {"error": busy}, "never")
    running = bench.start(say(session, "hi", cancel="stop"))
    async with bench.promptly():
        await seen_up_to(following, "model_attempt_reset")
        await following.close()
        await session.fire("stop")

        assert answer(await running) == "stopped cancelled"
    assert stored_lines(await bench.stored()) == ["user: hi"]


@host_check("CAN.2")
async def evidence_comes_with_cancelled_only(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """A cancelled turn names a request; a finished and a failed turn have no evidence."""
    stopped = await _stopped(bench, core, session, turn_id="t1")
    finished = await exchange(core, session, "more", "fine")
    failed = await exchange(core, session, "again", "")

    evidence: Any = stopped["cancellation"] or {}
    assert evidence.get("request_id")
    assert (finished["cancellation"], failed["cancellation"]) == (None, None)


@host_check("CAN.3")
async def a_token_fired_early_gives_a_committed_turn(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """The model is not asked, the user's message is stored."""
    await session.fire("stop")

    report = await say(session, "hi", cancel="stop")

    assert answer(report) == "stopped cancelled"
    assert (await core.requests(), stored_lines(await bench.stored())) == ([], ["user: hi"])


@host_check("CAN.4")
async def partial_prose_is_not_committed(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Neither the store nor the view nor the next request holds it."""
    await _stopped(bench, core, session)
    await exchange(core, session, "more", "fine")

    assert stored_lines(await bench.stored()) == ["user: hi", "user: more", "assistant: fine"]
    assert await transcript(session) == ["user: hi", "user: more", "assistant: fine"]
    assert "partial" not in " ".join(asked((await core.requests())[-1]))


@host_check("CAN.4")
async def a_late_cancel_takes_the_answer_back(bench: HostBench) -> None:
    """A token that fires when the model has answered and the turn is not over yet still stops it."""
    core = await bench.core("a", options={"a": {"waits": {"checkpoint before_completion": "g"}}})
    session = await opened(core)
    await script(core, "too late", "fine")
    running = bench.start(say(session, "hi", cancel="stop"))
    await core.reached("g")
    await session.fire("stop")
    await core.release("g")

    assert answer(await running) == "stopped cancelled"

    assert stored_lines(await bench.stored()) == ["user: hi"]
    await say(session, "more")
    assert asked((await core.requests())[-1]) == ["user: hi", "user: more"]


@host_check("CAN.5")
async def the_user_s_message_is_kept(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """In the store at once, and shown to the model in the next turn."""
    await _stopped(bench, core, session)

    assert stored_lines(await bench.stored()) == ["user: hi"]
    await exchange(core, session, "more", "fine")
    assert asked((await core.requests())[-1]) == ["user: hi", "user: more"]


@host_check("CAN.6")
async def finished_tools_are_kept(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """A tool that ended before the cancel is stored with its result."""
    await _stopped(bench, core, session, calls(("echo", {"text": "charged"})))

    assert sum("charged" in line for line in stored_lines(await bench.stored())) >= 1
    await exchange(core, session, "more", "fine")
    assert "tool: charged" in asked((await core.requests())[-1])


@host_check("CAN.6")
async def a_finished_call_of_a_cancelled_batch_is_kept(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Of two calls made together one had ended: its result is stored, and shown with the other's in the order of the calls."""
    following = await session.subscribe((await session.observe())["cursor"])
    await script(core, calls(("slow", {"gate": "g"}), ("echo", {"text": "charged"})), "fine")
    running = bench.start(say(session, "hi", cancel="stop"))
    async with bench.promptly():
        await seen_up_to(following, "completed echo")
    await following.close()
    await core.reached("g")
    await session.fire("stop")

    assert answer(await running) == "stopped cancelled"

    assert "charged" in stored_lines(await bench.stored())[-1]
    await say(session, "more")
    shown = asked((await core.requests())[-1])
    assert (shown[1], shown[3:]) == ("assistant: call c1 slow\ncall c2 echo", ["tool: charged", "user: more"])


@host_check("CAN.6")
async def a_result_that_a_cancel_overtook_is_kept(bench: HostBench) -> None:
    """A tool finished the turn with a value; the cancel came before the turn was over: the call happened, and is history."""
    core = await bench.core("a", tools=("finish",), options={"a": {"waits": {"after_tool": "g"}}})
    session = await opened(core)
    await script(core, calls(("finish", {"value": "charged"})), "fine")
    running = bench.start(say(session, "hi", cancel="stop"))
    await core.reached("g")
    await session.fire("stop")
    await core.release("g")

    assert answer(await running) == "stopped cancelled"

    await say(session, "more")
    assert asked((await core.requests())[-1]) == ["user: hi", "assistant: call c1 finish", "tool: charged", "user: more"]


@host_check("CAN.7")
async def usage_of_finished_calls_is_kept(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """The first call's tokens are in the ledger though the second was cancelled."""
    await _stopped(bench, core, session, calls(("echo", {"text": "x"})))

    assert spent(await session.read("usage_report")) == (10, 5)
    assert [entry.usage.input_tokens for entry in (await bench.loaded()).token_ledger] == [10]


@host_check("CAN.8")
async def stopping_reaches_executing_and_waiting_turns(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """One turn runs, one of a clone waits for it: both are signalled and end as cancelled."""
    clone = await session.clone()
    await script(core, {"text": "late", "gate": "g"})
    running = bench.start(say(session, "a"))
    await core.reached("g")
    waiting = bench.start(say(clone, "b"))
    await bench.breathe()

    signalled = await clone.cancel_running_turns()

    assert signalled == 2
    assert [answer(await one) for one in (running, waiting)] == ["stopped cancelled", "stopped cancelled"]


@host_check("CAN.9")
async def stopping_does_not_cross_handles(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """A separately opened handle reaches nothing, and the turn ends as it would."""
    other = await opened(core)
    await script(core, {"text": "hello", "gate": "g"})
    running = bench.start(say(session, "hi"))
    await core.reached("g")

    assert await other.cancel_running_turns() == 0

    await core.release("g")
    assert answer(await running) == "says hello"
    assert stored_lines(await bench.stored()) == ["user: hi", "assistant: hello"]


@host_check("CAN.10")
async def stopping_reaches_drains(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """A drain of queued input is signalled and ends as cancelled."""
    await session.call("enqueue", {"text": "later"})
    await script(core, {"text": "late", "gate": "g"})
    draining = bench.start(session.queued_turn())
    await core.reached("g")

    assert await session.cancel_running_turns() == 1

    assert answer(await draining) == "stopped cancelled"


@host_check("CAN.11")
async def a_finished_turn_is_not_counted(core: HostCore, session: HostSession) -> None:
    """Neither after an answer nor after a cancel."""
    await exchange(core, session, "hi", "hello")

    assert await session.cancel_running_turns() == 0
    assert answer(await exchange(core, session, "more", "fine")) == "says fine"


@host_check("CAN.12")
async def the_first_origin_stands(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """The stop button's word, not that of the second press."""
    await script(core, {"text": "late", "gate": "g"})
    running = bench.start(say(session, "hi"))
    await core.reached("g")
    await session.cancel_running_turns("stop button")
    await session.cancel_running_turns("impatience")

    assert (await running)["cancellation"]["origin"] == "stop button"


@host_check("CAN.13")
async def a_running_tool_sees_the_cancel(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """The slow tool ends as cancelled without its gate being opened, and the turn returns."""
    await script(core, calls(("slow", {"gate": "g"})))
    running = bench.start(say(session, "hi", cancel="stop"))
    await core.reached("g")
    await session.fire("stop")

    assert answer(await running) == "stopped cancelled"
    assert await core.journal() == ["slow started", "slow cancelled"]


@host_check("CAN.14")
async def a_request_may_come_before_the_turn(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """The named turn is cancelled at its start, with the request as evidence; the model is not asked."""
    told = await session.request_turn_cancel("t1", "r1", "ui", "too slow")

    report = await say(session, "hi", turn_id="t1")

    evidence = report["cancellation"]
    assert (told["outcome"], answer(report)) == ("requested", "stopped cancelled")
    assert (evidence["request_id"], evidence["origin"], evidence["reason"]) == ("r1", "ui", "too slow")
    assert await core.requests() == []


@host_check("CAN.15")
async def the_second_request_meets_the_first(core: HostCore, session: HostSession) -> None:
    """It answers already_requested, and the turn's evidence is the first's."""
    await session.request_turn_cancel("t1", "r1")

    again = await session.request_turn_cancel("t1", "r2")

    assert again["outcome"] == "already_requested"
    assert again["evidence"]["request_id"] == "r1"
    assert (await say(session, "hi", turn_id="t1"))["cancellation"]["request_id"] == "r1"


@host_check("CAN.16")
async def a_request_after_the_end_is_too_late(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """It answers completion_won_race, and the answer stands."""
    await script(core, "hello")
    await say(session, "hi", turn_id="t1")

    told = await session.request_turn_cancel("t1", "r1")

    assert told["outcome"] == "completion_won_race"
    assert stored_lines(await bench.stored()) == ["user: hi", "assistant: hello"]


@host_check("CAN.17")
async def a_request_needs_a_name(core: HostCore, session: HostSession) -> None:
    """A blank id is refused and the turn runs."""
    await refused(session.request_turn_cancel("t1", " "))

    await script(core, "hello")
    assert answer(await say(session, "hi", turn_id="t1")) == "says hello"


@host_check("CAN.18")
async def a_request_touches_one_turn(core: HostCore, session: HostSession) -> None:
    """Another turn of the session, and the turn of that name in another session, run."""
    other = await opened(core, "s2")
    await session.request_turn_cancel("t1", "r1")
    await script(core, "one", "two")

    assert answer(await say(session, "a", turn_id="t2")) == "says one"
    assert answer(await say(other, "b", turn_id="t1")) == "says two"
    assert answer(await say(session, "c", turn_id="t1")) == "stopped cancelled"


@host_check("CAN.19")
async def a_receipt_says_whether_it_is_durable(core: HostCore, session: HostSession) -> None:
    """A core whose facets live with the process says inline."""
    assert (await session.request_turn_cancel("t1", "r1"))["durability_tier"] == "inline"


@host_check("CAN.20")
async def claimed_input_of_a_cancelled_turn_is_done(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """It is in the conversation once, and no drain finds it again."""
    await session.call("enqueue", {"text": "later"})
    await script(core, {"text": "late", "gate": "g"})
    draining = bench.start(session.queued_turn())
    await core.reached("g")
    await session.cancel_running_turns()
    await draining

    assert named(await session.call("pending_turn_inputs", {}), "input_id") == []
    assert await session.queued_turn() is None
    assert stored_lines(await bench.stored()) == ["user: later"]


@host_check("CAN.21")
async def a_request_stops_a_running_turn(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """By the session's own handle and by another's of its core, while the model answers."""
    other = await opened(core)
    for number, asking in enumerate((session, other)):
        await script(core, {"text": "late", "gate": f"g{number}"})
        running = bench.start(say(session, "hi", turn_id=f"t{number}"))
        await core.reached(f"g{number}")

        told = await asking.request_turn_cancel(f"t{number}", f"r{number}", "ui", "too slow")

        assert told["outcome"] == "requested"
        async with bench.promptly():
            report = await running
        assert answer(report) == "stopped cancelled"
        assert (report["cancellation"]["request_id"], report["cancellation"]["origin"]) == (f"r{number}", "ui")
