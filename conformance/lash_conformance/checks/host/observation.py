"""Checks of observation ([OBS.1] to [OBS.14])."""

from typing import Any

from lash_conformance.check import host_check
from lash_conformance.host import Data, HostCore, HostSession
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import (
    activities,
    answer,
    calls,
    exchange,
    line,
    opened,
    refusal,
    say,
    script,
    seen,
    transcript,
)
from lash_conformance.store_faults import COMMIT


async def _cursor(session: HostSession) -> Any:
    return (await session.observe())["cursor"]


async def _after(session: HostSession, cursor: Any) -> Any:
    """What followed the cursor, as lines."""
    return [line(event) for event in (await session.resume_from(cursor))["events"]]


@host_check("OBS.1")
async def reads_do_not_wait(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """While a turn runs the last committed view is read at once."""
    await exchange(core, session, "hi", "hello")
    await script(core, {"text": "late", "gate": "g"})
    running = bench.start(say(session, "more"))
    await core.reached("g")

    async with bench.promptly():
        assert await transcript(session) == ["user: hi", "assistant: hello"]
        assert (await session.read("policy"))["model"]["id"] == "m-1"
        assert (await session.read("usage_report"))["usage"]["input_tokens"] == 10
    await core.release("g")
    assert answer(await running) == "says late"


@host_check("OBS.2")
async def a_turn_is_replayed_in_order(core: HostCore, session: HostSession) -> None:
    """Its activities, as its caller got them, and then its commit."""
    cursor = await _cursor(session)
    await script(core, calls(("echo", {"text": "x"})), {"chunks": ["do", "ne"]})
    await say(session, "hi")

    assert await _after(session, cursor) == [
        "model_request_started", "usage", "started echo", "completed echo",
        "model_request_started", "prose do", "prose ne", "usage", "committed",
    ]  # fmt: skip


@host_check("OBS.2")
async def a_long_turn_is_replayed_whole(core: HostCore, session: HostSession) -> None:
    """Three hundred chunks, each in its place."""
    cursor = await _cursor(session)
    await exchange(core, session, "hi", {"chunks": [f"{number} " for number in range(300)]})

    told = await _after(session, cursor)
    assert told[1:-2] == [f"prose {number} " for number in range(300)]


@host_check("OBS.2")
async def a_drain_tells_its_caller_what_it_tells_watchers(core: HostCore, session: HostSession) -> None:
    """A drained turn's report has its activities, and a watcher is told the same and then of the commit."""
    await session.call("enqueue", {"text": "later"})
    cursor = await _cursor(session)
    await script(core, calls(("echo", {"text": "x"})), "done")

    report = await session.queued_turn()

    told = ["model_request_started", "usage", "started echo", "completed echo", "model_request_started", "prose done", "usage"]
    assert report is not None and activities(report) == told
    assert await _after(session, cursor) == [*told, "committed"]


@host_check("OBS.3")
async def every_event_has_its_cursor(core: HostCore, session: HostSession) -> None:
    """All differ, and replaying after any of them gives exactly the rest."""
    start = await _cursor(session)
    await exchange(core, session, "hi", {"chunks": ["a", "b"]})
    events = (await session.resume_from(start))["events"]

    cursors = [event["cursor"] for event in events]
    assert len(set(cursors)) == len(cursors) == 5
    for number, cursor in enumerate(cursors, start=1):
        assert await _after(session, cursor) == [line(event) for event in events[number:]]


@host_check("OBS.3")
async def a_cursor_takes_any_id(core: HostCore) -> None:
    """A session whose id holds colons and blanks is resumed and followed like any other."""
    session = await opened(core, "team:42: caf\u00e9")
    cursor = await _cursor(session)
    await exchange(core, session, "hi", "hello")
    events = (await session.resume_from(cursor))["events"]

    assert len({event["cursor"] for event in events}) == len(events) == 4
    assert await _after(session, events[1]["cursor"]) == ["usage", "committed"]


@host_check("OBS.4")
async def a_subscription_misses_and_repeats_nothing(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Opened in the middle of a turn: what was buffered, then what comes, each once."""
    cursor = await _cursor(session)
    await script(core, {"chunks": ["a", "b"], "gate": "g"})
    running = bench.start(say(session, "hi"))
    await core.reached("g")
    following = await session.subscribe(cursor)
    early = [line(await seen(following)) for _ in range(3)]

    await core.release("g")
    await running

    assert early == ["model_request_started", "prose a", "prose b"]
    assert [line(await seen(following)) for _ in range(2)] == ["usage", "committed"]
    await following.close()


@host_check("OBS.4")
async def every_reader_gets_every_event(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Two subscriptions from one cursor: what the one read, the other reads too."""
    cursor = await _cursor(session)
    readers = [await session.subscribe(cursor) for _ in range(2)]
    await exchange(core, session, "hi", "hello")

    for reader in readers:
        async with bench.promptly():
            told = [line(await seen(reader)) for _ in range(4)]
        assert told == ["model_request_started", "prose hello", "usage", "committed"]
        await reader.close()


@host_check("OBS.4")
async def a_cursor_outlives_its_handle(core: HostCore, session: HostSession) -> None:
    """Held over a close and an open of its core it gives what came since, or says that it cannot."""
    await exchange(core, session, "hi", "hello")
    cursor = await _cursor(session)
    await session.close()
    again = await opened(core)
    await exchange(core, again, "more", "fine")

    found = await again.resume_from(cursor)

    told = [line(event) for event in found.get("events", [])]
    assert "gap" in found or told == ["model_request_started", "prose fine", "usage", "committed"]


@host_check("OBS.5")
async def a_cursor_that_is_not_of_here_is_refused(core: HostCore, session: HostSession) -> None:
    """Malformed text, and a cursor of another session, by replay and by subscription."""
    other = await opened(core, "s2")
    foreign = await _cursor(other)

    for cursor in ("nonsense", "lashsc1:x:0:s1", foreign):
        await refusal("ObservationError", session.resume_from(cursor))
        await refusal("ObservationError", session.subscribe(cursor))


@host_check("OBS.6")
async def a_cursor_ahead_is_a_gap(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Of a core that told more than this one has: Unavailable, with the cursor to go on from; or all of it is still known."""
    start = await _cursor(session)
    await exchange(core, session, "hi", {"chunks": ["a", "b", "c", "d"]})
    ahead = await _cursor(session)
    assert ahead != start
    await session.close()
    other = await opened(await bench.core())
    latest = await _cursor(other)

    found = await other.resume_from(ahead)

    gap: Any = found.get("gap") or {}
    told = (gap.get("reason"), gap.get("session_id"), gap.get("latest_cursor"))
    assert told == ("unavailable", "s1", latest) or (found.get("events"), latest) == ([], ahead)


@host_check("OBS.7")
async def a_cursor_behind_what_is_kept_is_a_gap(bench: HostBench) -> None:
    """With room for three events a turn of five trims; replay and subscription say so."""
    core = await bench.core(replay_events=3)
    session = await opened(core)
    start = await _cursor(session)
    await exchange(core, session, "hi", {"chunks": ["a", "b"]})

    gap = (await session.resume_from(start))["gap"]
    following = await session.subscribe(start, recover=True)

    assert (gap["reason"], gap["requested_cursor"]) == ("trimmed", start)
    assert (await seen(following))["gap"]["reason"] == "trimmed"
    await following.close()


@host_check("OBS.7")
async def a_gap_begins_where_something_is_missing(bench: HostBench) -> None:
    """Of five events three are kept: what follows the second, and the fifth, is all there; what follows the first is not."""
    core = await bench.core(replay_events=3)
    session = await opened(core)
    start = await _cursor(session)
    await script(core, {"chunks": ["a", "b"], "gate": "g"})
    running = bench.start(say(session, "hi"))
    await core.reached("g")
    first, second, _ = [event["cursor"] for event in (await session.resume_from(start))["events"]]
    await core.release("g")
    await running

    assert await _after(session, second) == ["prose b", "usage", "committed"]
    assert await _after(session, await _cursor(session)) == []
    assert (await session.resume_from(first))["gap"]["reason"] == "trimmed"


@host_check("OBS.8")
async def a_recovering_subscription_goes_on_after_the_gap(bench: HostBench) -> None:
    """The gap names the cursor of its observation, and what comes next follows from it."""
    core = await bench.core(replay_events=3)
    session = await opened(core)
    start = await _cursor(session)
    await exchange(core, session, "hi", {"chunks": ["a", "b"]})
    following = await session.subscribe(start, recover=True)

    gap = (await seen(following))["gap"]
    await session.configure({"model": "m-2"})

    assert gap["latest_cursor"] == gap["observation"]["cursor"]
    assert line(await seen(following)) == "committed"
    await following.close()


@host_check("OBS.9")
async def changes_are_published_at_once(core: HostCore, session: HostSession) -> None:
    """A patch shows in the policy, a tool opted out in the tools, an enqueue and every way to cancel in the events, without a turn."""
    cursor = await _cursor(session)
    await session.configure({"model": "m-2"})
    await session.call("tools.set_membership", {"tool_id": "kit:echo", "member": False})
    ids = [(await session.call("enqueue", {"text": one}))["input_id"] for one in ("a", "b", "c")]
    targets = [{"kind": "input_id", "value": one} for one in ids]
    await session.call("cancel_pending_turn_input", {"input_id": ids[0]})
    await session.call("cancel_pending_turn_inputs", {"targets": targets[1:2]})
    await session.call("cancel_pending_turn_input_suffix", {"anchor": targets[2]})

    events = (await session.resume_from(cursor))["events"]
    changes = [(one["change"], one["ids"]) for one in events if one["type"] == "queue_changed"]
    assert (await session.read("policy"))["model"]["id"] == "m-2"
    assert "echo" not in await session.read("active_tools")
    assert [line(one) for one in events][:2] == ["committed", "committed"]
    assert changes == [(change, [one]) for change in ("enqueued", "cancelled") for one in ids]


@host_check("OBS.9")
async def what_the_core_enqueues_is_published(core: HostCore, session: HostSession) -> None:
    """Input for the next turn by its id; input for a turn that runs without one."""
    cursor = await _cursor(session)
    row = await core.call("enqueue_turn_input", {"session_id": "s1", "text": "from the web"})
    ingress = {"scope": "active_turn", "turn_id": "t1", "min_boundary": "after_work"}
    await session.call("enqueue", {"text": "faster", "ingress": ingress})

    events = (await session.resume_from(cursor))["events"]
    changes = [(one["change"], one["ids"]) for one in events if one["type"] == "queue_changed"]
    assert changes == [("enqueued", [row["input_id"]]), ("enqueued", [])]


@host_check("OBS.10")
async def an_error_publishes_no_commit(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """A turn whose commit the store refuses leaves no Committed."""
    cursor = await _cursor(session)
    await bench.line(core).fail(COMMIT)
    await script(core, "lost")

    await refusal("Runtime", say(session, "hi"), runtime_code="store_commit_failed")

    assert "committed" not in await _after(session, cursor)
    await bench.line(core).fail()
    await bench.after_expiry()
    await exchange(core, session, "hi", "hello")
    assert (await _after(session, cursor)).count("committed") == 1


@host_check("OBS.11")
async def the_revision_is_the_stored_head(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """After each of two turns."""
    told: list[tuple[int, int]] = []
    for words in ("hi", "more"):
        await exchange(core, session, words, "ok")
        told.append(((await session.observe())["revision"], await bench.revision()))

    (first, stored), (second, later) = told
    assert (first, second) == (stored, later)
    assert 0 < first < second


@host_check("OBS.13")
async def a_frame_switch_is_seen_before_its_commit(core: HostCore, session: HostSession) -> None:
    """The event that names the new frame directly precedes a Committed."""
    cursor = await _cursor(session)
    await script(core, calls(("switch_frame", {"frame_id": "f2", "task": "go on"})), "done")
    await say(session, "hi")

    events = (await session.resume_from(cursor))["events"]
    at = [event["type"] for event in events].index("agent_frame_switched")
    assert events[at]["frame_id"] == "f2"
    assert events[at + 1]["type"] == "committed"


@host_check("OBS.14")
async def sessions_are_strangers(core: HostCore, session: HostSession) -> None:
    """A turn of one session leaves no event with another."""
    other = await opened(core, "s2")
    cursor = await _cursor(other)

    await exchange(core, session, "hi", "hello")

    assert await _after(other, cursor) == []
    await exchange(core, other, "you", "too")
    assert (await _after(other, cursor))[-1] == "committed"


async def _two_turns(core: HostCore, session: HostSession) -> list[Data]:
    """What is told of two turns, each with two calls and prose before and after them; a list for each."""
    cursor = (await session.observe())["cursor"]
    told: list[Data] = []
    for _ in range(2):
        await script(core, calls(("echo", {"text": "x"}), ("echo", {"text": "y"}), says="let me see"), "done")
        told.append(await say(session, "hi"))
    replayed = [one for one in (await session.resume_from(cursor))["events"] if "correlation_id" in one]
    assert [one["id"] for one in replayed] == [one["id"] for report in told for one in report["activities"]]
    return told


@host_check("OBS.15")
async def every_activity_has_an_id(core: HostCore, session: HostSession) -> None:
    """Two turns alike: no id comes twice."""
    ids = [one["id"] for report in await _two_turns(core, session) for one in report["activities"]]

    assert len(set(ids)) == len(ids) > 0


@host_check("OBS.16")
async def turns_share_no_correlation(core: HostCore, session: HostSession) -> None:
    """Two turns alike, down to the ids of their calls."""
    first, second = [{one["correlation_id"] for one in told["activities"]} for told in await _two_turns(core, session)]

    assert first
    assert second
    assert first & second == set()


@host_check("OBS.9")
async def what_changes_the_conversation_is_published(core: HostCore, session: HostSession) -> None:
    """A frame that is opened and a node that is appended, each told as committed, without a turn."""
    await exchange(core, session, "hi", "hello")
    cursor = await _cursor(session)
    await session.call("open_agent_frame", {"frame_id": "f2", "task": "go on"})

    assert await _after(session, cursor) == ["committed"]
    assert (await session.read("current_frame"), await transcript(session)) == ("f2", ["user: go on"])


@host_check("OBS.17")
async def a_meter_shows_call_and_turn(core: HostCore, session: HostSession) -> None:
    """Two calls of 10/5 and 7/3, in two turns alike: the sum starts over with the turn."""
    for _ in range(2):
        await script(core, calls(("echo", {"text": "x"})), {"text": "done", "usage": {"input_tokens": 7, "output_tokens": 3}})
        report = await say(session, "hi")

        meters = [one for one in report["activities"] if one["type"] == "usage"]
        told = [[one[kind]["input_tokens"] for kind in ("usage", "cumulative")] for one in meters]
        assert told == [[10, 10], [7, 17]]


@host_check("OBS.9")
async def commands_are_published(core: HostCore, session: HostSession) -> None:
    """Queued and taken back, each told by its batch's id."""
    cursor = await _cursor(session)
    made = await session.call("command", {"kind": "reset_session", "key": "k1", "reason": "why"})
    await session.call("cancel_queued_work_batch", {"batch_id": made["batch_id"]})

    events = (await session.resume_from(cursor))["events"]
    changes = [(one["change"], one["ids"]) for one in events if one["type"] == "queue_changed"]
    assert changes == [(change, [made["batch_id"]]) for change in ("enqueued", "cancelled")]
