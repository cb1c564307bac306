"""Checks of the slips that authors in other languages make: what is falsy, shared, alike, or told by another clock."""

from typing import Any

from lash_conformance.check import host_check
from lash_conformance.host import Data, HostCore, HostSession
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import (
    answer,
    asked,
    calls,
    exchange,
    failures,
    line,
    named,
    opened,
    refusal,
    say,
    script,
    seen,
    stored_lines,
    transcript,
)
from lash_conformance.plugin_words import aborts, adds

SLIGHT: tuple[Any, ...] = (0, False, "", None, [], {}, 1.5)
"""Values that a careless test for truth takes for nothing."""


@host_check("TRN.6")
async def a_slight_value_is_a_value(core: HostCore, session: HostSession) -> None:
    """Nought, false, empty text, null, an empty list and object: each ends its turn as itself, and is announced once."""
    for value in SLIGHT:
        report = await exchange(core, session, "hi", calls(("finish", {"value": value})))

        finish = report["outcome"]["finished"]["tool_value"]
        shown = [one for one in report["activities"] if one["type"] == "tool_value"]
        found = [finish.get("value", "nothing"), *(one.get("value", "nothing") for one in shown)]
        assert [(type(one), one) for one in found] == [(type(value), value)] * 2


@host_check("TRN.4")
async def nothing_of_a_lost_turn_is_stored_later(bench: HostBench) -> None:
    """A hook failed it; the commit of the next turn has the next turn's nodes, and no others beside the path."""
    core = await bench.core("a", tools=("echo",), options={"a": {"fails_at": ["after_turn"], "fail_times": 1}})
    session = await opened(core)
    await script(core, calls(("echo", {"text": "x"})), "lost")
    await refusal("Runtime", say(session, "forget this"), runtime_code="plugin_finalize_turn")

    await exchange(core, session, "hi", "hello")

    read = await bench.loaded()
    assert (stored_lines(read), len(read.graph.nodes)) == (["user: hi", "assistant: hello"], 2)


@host_check("CAN.13")
async def a_tool_that_does_not_listen_is_left(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """It waits for somebody who never comes and heeds no cancel: the turn is over all the same, and the session goes on."""
    following = await session.subscribe((await session.observe())["cursor"])
    await script(core, calls(("meet", {"id": "a", "of": 2})), "fine")
    running = bench.start(say(session, "hi", cancel="stop"))
    async with bench.promptly():
        while line(await seen(following)) != "started meet":
            pass
        await following.close()
        await session.fire("stop")
        assert answer(await running) == "stopped cancelled"

    assert answer(await say(session, "more")) == "says fine"


@host_check("CAN.13")
async def a_tool_that_starts_late_sees_the_cancel(bench: HostBench) -> None:
    """The cancel came while a hook guarded the call: whatever then starts is stopped, and nobody opens its gate."""
    core = await bench.core("a", tools=("slow",), options={"a": {"waits": {"before_tool": "guard"}}})
    session = await opened(core)
    await script(core, calls(("slow", {"gate": "g"})), "fine")
    running = bench.start(say(session, "hi", cancel="stop"))
    await core.reached("guard")
    await session.fire("stop")
    await core.release("guard")

    async with bench.promptly():
        assert answer(await running) == "stopped cancelled"
    assert answer(await say(session, "more")) == "says fine"


@host_check("SES.74")
async def steering_input_of_a_turn_without_an_outcome_waits_on(bench: HostBench) -> None:
    """A running turn took it in, and a hook failed the turn: it is pending as before, and the turn asked for again says it."""
    core = await bench.core("a", tools=("slow",), options={"a": {"fails_at": ["after_turn"], "fail_times": 1}})
    session = await opened(core)
    await script(core, calls(("slow", {"gate": "g"})), "lost", calls(("slow", {"gate": "g"})), "done")
    running = bench.start(say(session, "hi", turn_id="t1"))
    await core.reached("g")
    ingress = {"scope": "active_turn", "turn_id": "t1", "min_boundary": "after_work"}
    row = await session.call("enqueue", {"text": "faster", "ingress": ingress})
    await core.release("g")
    await refusal("Runtime", running, runtime_code="plugin_finalize_turn")

    assert named(await session.call("pending_turn_inputs", {}), "input_id") == [row["input_id"]]
    assert answer(await say(session, "hi", turn_id="t1")) == "says done"
    assert asked((await core.requests())[-1])[-2:] == ["tool: done", "user: faster"]


@host_check("SES.48")
async def a_drain_follows_the_turn_of_its_clone(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Asked for while a clone's turn runs it waits for it, sees what it said, and both are committed."""
    clone = await session.clone()
    await session.call("enqueue", {"text": "later"})
    await script(core, {"text": "first", "gate": "g"}, "second")
    running = bench.start(say(clone, "one"))
    await core.reached("g")
    draining = bench.start(session.queued_turn())
    await bench.breathe()
    before = len(await core.requests())
    await core.release("g")

    assert [answer(await one) for one in (running, draining)] == ["says first", "says second"]
    assert (before, stored_lines(await bench.stored())) == (1, ["user: one", "assistant: first", "user: later", "assistant: second"])


@host_check("HOK.2", "HOK.18")
async def a_slow_hook_keeps_its_place(bench: HostBench) -> None:
    """The lower plugin answers long after the upper one: its message stands first, and its abort does not win."""
    for ours, theirs in ((adds("one"), adds("two")), (aborts("low"), aborts("high"))):
        options = {
            "a": {"directives": {"before_turn": [ours]}, "waits": {"before_turn": "g"}},
            "b": {"directives": {"before_turn": [theirs]}},
        }
        core = await bench.core("a", "b", options=options)
        session = await opened(core, f"s {ours['kind']}")
        await script(core, "hello")
        running = bench.start(say(session, "hi"))
        await core.reached("g")
        await bench.breathe()
        await core.release("g")
        report = await running
        if ours["kind"] == "abort_turn":
            assert [one["code"] for one in report["errors"]] == ["high"]
        else:
            assert asked((await core.requests())[-1]) == ["user: hi", "system: one", "system: two"]


@host_check("PRM.6")
async def priorities_are_numbers(bench: HostBench) -> None:
    """Of one digit, of two and below nought, by their size and not by their digits."""
    prompts = [{"slot": "guidance", "content": f"<{number}>", "priority": number} for number in (10, 9, 1, 0, -10, 100, -9, 2)]
    core = await bench.core("a", options={"a": {"prompts": prompts}})
    await exchange(core, await opened(core), "hi", "hello")

    told = (await core.requests())[0]["system"]
    assert sorted((-10, -9, 0, 1, 2, 9, 10, 100), key=lambda number: told.index(f"<{number}>")) == [-10, -9, 0, 1, 2, 9, 10, 100]


@host_check("HOK.50")
async def equal_transforms_come_as_registered(bench: HostBench) -> None:
    """Three of one priority below one of a higher, by their size and not by their digits."""
    transforms = {"c": (9, "nine"), "a": (9, "neun"), "b": (9, "neuf"), "lash.triggers": (10, "ten")}
    options = {name: {"transform": {"priority": given, "text": words}} for name, (given, words) in transforms.items()}
    core = await bench.core(*transforms, options=options)
    await exchange(core, await opened(core), "hi", "hello")

    assert asked((await core.requests())[0]) == ["user: hi", "user: ten", "user: nine", "user: neun", "user: neuf"]


@host_check("WAI.3", needs=("clock",))
async def a_deadline_is_told_by_the_core_s_clock(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """A wait of an hour ends as soon as the clock says that the hour is over."""
    key = await core.call("wait_key", {"session_id": "s1", "wait_id": "w1"})
    waiting = bench.start(core.call("await", {"key": key, "deadline_ms": 3_600_000}))
    await bench.breathe()
    await bench.pass_time(3_600_001)

    async with bench.promptly():
        assert await waiting == "timeout"


@host_check("OBS.4")
async def a_reader_that_leaves_takes_nobody_along(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Two wait for what comes; one is closed, and the other is told all of it."""
    cursor = (await session.observe())["cursor"]
    leaving, staying = [await session.subscribe(cursor) for _ in range(2)]
    gone, waiting = [bench.start(reader.next()) for reader in (leaving, staying)]
    await bench.breathe()
    await leaving.close()
    await bench.breathe()
    await exchange(core, session, "hi", "hello")

    async with bench.promptly():
        first = await waiting
        told = [line(first or {}), *[line(await seen(staying)) for _ in range(3)]]
        assert (await gone, told) == (None, ["model_request_started", "prose hello", "usage", "committed"])
    await staying.close()


@host_check("OBS.14")
async def sessions_that_look_alike_are_strangers(core: HostCore) -> None:
    """Another case, a blank, a slash: what one does is told to it alone."""
    alike = ("team", "Team", "team ", "team/", "team:0")
    sessions = [await opened(core, name) for name in alike]
    cursors = [(await session.observe())["cursor"] for session in sessions]
    await exchange(core, sessions[0], "hi", "hello")

    told = [len((await one.resume_from(at))["events"]) for one, at in zip(sessions, cursors, strict=True)]
    assert told == [4, 0, 0, 0, 0]


INHERITED = ("constructor", "__proto__", "toString", "hasOwnProperty", "__class__", "keys")
"""Names that an object of some language answers to before anybody put them there."""


@host_check("TOO.3")
async def what_every_object_has_is_no_tool(core: HostCore, session: HostSession) -> None:
    """Calls by names that maps of some languages inherit: each is unavailable, and nothing else happens."""
    nothing: Data = {}
    await script(core, calls(*[(name, nothing) for name in INHERITED]), "done")

    report = await say(session, "hi")

    assert (answer(report), failures(report)) == ("says done", ["tool_unavailable"] * len(INHERITED))


@host_check("SES.1")
async def what_every_object_has_may_be_a_name(bench: HostBench, core: HostCore) -> None:
    """Sessions and turns of such names begin empty, run, and are found again by another core."""
    for number, name in enumerate(INHERITED):
        session = await opened(core, name)
        assert await transcript(session) == []
        await script(core, f"a{number}")
        assert answer(await say(session, f"q{number}", turn_id=name)) == f"says a{number}"
        await session.close()
    second = await bench.core()

    for number, name in enumerate(INHERITED):
        assert await transcript(await opened(second, name)) == [f"user: q{number}", f"assistant: a{number}"]


@host_check("WAI.1")
async def a_slight_resolution_is_a_resolution(core: HostCore, session: HostSession) -> None:
    """Nought, false, empty text, null, an empty list and object are what whoever waits is told."""
    for number, value in enumerate(SLIGHT):
        key = await core.call("wait_key", {"session_id": "s1", "wait_id": f"w{number}"})
        assert await core.call("resolve", {"key": key, "resolution": {"ok": value}}) == "resolved"

        told = await core.call("await", {"key": key})
        assert (told, type(told["ok"])) == ({"ok": value}, type(value))
