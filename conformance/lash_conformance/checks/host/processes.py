"""Checks of processes, triggers and children ([PRC.1] to [PRC.11], [TRG.1], [TRG.2], [TRG.4])."""

from typing import Any

from lash_conformance.check import host_check
from lash_conformance.host import HostCore, HostSession
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import (
    exchange,
    named,
    opened,
    refusal,
    refused,
    say,
    script,
    stored_lines,
    transcript,
    wrote,
)
from lash_conformance.store_faults import COMMIT

EVENT = {"resource_type": "kit", "alias": "door", "event": "opened"}


async def _core(bench: HostBench, *plugins: str, **parts: Any) -> HostCore:
    """A core that runs processes."""
    return await bench.core(*plugins, tools=("echo",), registry="inline", **parts)


async def _start(session: HostSession, name: str, **arguments: Any) -> str:
    """Start a kit process; its id."""
    return (await session.call("processes.start", {"name": name, "arguments": arguments}))["process_id"]


@host_check("PRC.1", needs=("processes",))
async def a_process_is_listed(bench: HostBench) -> None:
    """As running while it runs and as completed afterwards; another session does not list it."""
    core = await _core(bench)
    session, other = await opened(core), await opened(core, "s2")
    started = await _start(session, "wait", gate="g")
    await core.reached("g")
    running = await session.call("processes.list", {})
    await core.release("g")
    await session.call("processes.await", {"id": started})

    ended = await session.call("processes.list", {})
    assert [(one["process_id"], one["state"]) for one in running] == [(started, "running")]
    assert [(one["process_id"], one["state"]) for one in ended] == [(started, "completed")]
    assert await other.call("processes.list", {}) == []


@host_check("PRC.2", needs=("processes",))
async def output_can_be_awaited_twice(bench: HostBench) -> None:
    """By somebody who waits before the end, and by somebody who asks afterwards."""
    core = await _core(bench)
    session = await opened(core)
    started = await _start(session, "wait", gate="g")
    early = bench.start(session.call("processes.await", {"id": started}))
    await core.reached("g")
    await core.release("g")

    outputs = [(await early)["output"], (await session.call("processes.await", {"id": started}))["output"]]
    assert outputs == [{"gate": "g"}, {"gate": "g"}]


@host_check("PRC.3", "OBS.9", needs=("processes",))
async def a_cancelled_process_ends(bench: HostBench) -> None:
    """As cancelled, for whoever waits for it; who watches is told of the start and of the cancel, by its id."""
    core = await _core(bench)
    session = await opened(core)
    cursor = (await session.observe())["cursor"]
    started = await _start(session, "wait", gate="g")
    await core.reached("g")
    waiting = bench.start(session.call("processes.await", {"id": started}))

    await session.call("processes.cancel", {"id": started})

    assert (await waiting)["state"] == "cancelled"
    events = (await session.resume_from(cursor))["events"]
    assert [(one["change"], one["ids"]) for one in events] == [("started", [started]), ("cancelled", [started])]


@host_check("PRC.4", needs=("processes",))
async def a_signal_reaches_its_process(bench: HostBench) -> None:
    """The process answers with what it was told; an unknown process is refused."""
    core = await _core(bench)
    session = await opened(core)
    started = await _start(session, "listen")

    await session.call("processes.signal", {"id": started, "signal": {"go": 1}})

    assert (await session.call("processes.await", {"id": started}))["output"] == {"go": 1}
    await refused(session.call("processes.signal", {"id": "nowhere", "signal": 1}), "nowhere")


@host_check("PRC.5", needs=("processes",))
async def a_process_outlives_its_session(bench: HostBench) -> None:
    """The delete reports it, and it goes on to its end."""
    core = await _core(bench)
    session, witness = await opened(core), await opened(core, "s2")
    await exchange(core, session, "hi", "hello")
    started = await _start(session, "wait", gate="g")
    await core.reached("g")
    await session.close()

    report = await core.delete("s1")
    await core.release("g")

    assert report["running_processes"] == [started]
    assert (await witness.call("processes.await", {"id": started}))["state"] == "completed"


@host_check("PRC.6")
async def the_graph_is_refreshed_on_demand(bench: HostBench) -> None:
    """What another handle committed is shown after a refresh, without a turn."""
    core = await bench.core()
    session, worker = await opened(core), await opened(core)
    await exchange(core, session, "hi", "hello")
    await exchange(core, worker, "more", "fine")
    before = await transcript(session)

    await session.call("refresh_background_graph", {})

    assert before == ["user: hi", "assistant: hello"]
    assert await transcript(session) == ["user: hi", "assistant: hello", "user: more", "assistant: fine"]


@host_check("PRC.7")
async def a_child_has_a_store_and_an_id_of_its_own(bench: HostBench) -> None:
    """Its turn is in its own store; its parent's id, and another child's, are refused."""
    core = await bench.core()
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    await session.call("children.create", {"session_id": "kid"})
    await script(core, "from the kid")
    await session.call("children.turn", {"session_id": "kid", "text": "go"})

    assert stored_lines(await bench.stored("s1")) == ["user: hi", "assistant: hello"]
    assert stored_lines(await bench.stored("kid", other=True)) == ["user: go", "assistant: from the kid"]
    for taken in ("s1", "kid"):
        await refused(session.call("children.create", {"session_id": taken}), taken)


@host_check("PRC.8")
async def a_child_s_usage_is_told_apart(bench: HostBench) -> None:
    """The parent's next turn tells it beside its own, and the session's report holds both by source; a turn later the child has not spent more."""
    core = await bench.core()
    session = await opened(core)
    await session.call("children.create", {"session_id": "kid"})
    await script(core, {"text": "from the kid", "usage": {"input_tokens": 100, "output_tokens": 1}}, "hello")
    await session.call("children.turn", {"session_id": "kid", "text": "go"})
    turn = await say(session, "hi")

    report = await session.read("usage_report")
    assert turn["usage"]["input_tokens"] == 10
    assert [(one["source"], one["usage"]["input_tokens"]) for one in turn["children_usage"]] == [("child", 100)]
    assert {one["source"]: one["usage"]["input_tokens"] for one in report["by_source"]} == {"child": 100, "turn": 10}
    assert {e.source: e.usage.input_tokens for e in (await bench.loaded()).token_ledger} == {"child": 100, "turn": 10}
    await exchange(core, session, "more", "fine")
    assert {e.source: e.usage.input_tokens for e in (await bench.loaded()).token_ledger} == {"child": 100, "turn": 20}


@host_check("PRC.9")
async def a_core_without_processes_lists_none(core: HostCore, session: HostSession) -> None:
    """And refuses to start one."""
    assert await session.call("processes.list", {}) == []

    await refused(session.call("processes.start", {"name": "echo"}))


@host_check("PRC.10", needs=("processes",))
async def no_more_processes_run_than_may(bench: HostBench) -> None:
    """One at a time: the second starts when the first has ended."""
    core = await _core(bench, process_concurrency=1)
    session = await opened(core)
    first = await _start(session, "wait", gate="g")
    await core.reached("g")
    second = await _start(session, "echo")
    await bench.breathe()
    early = await wrote(core, "process ")

    await core.release("g")

    states = [(await session.call("processes.await", {"id": one}))["state"] for one in (first, second)]
    assert (early, states) == ([], ["completed", "completed"])
    assert await wrote(core, "process ") == [f"process {second}"]


@host_check("PRC.10", needs=("processes",))
async def as_many_processes_run_as_may(bench: HostBench) -> None:
    """Of two at a time neither waits for the other, and a third does."""
    core = await _core(bench, process_concurrency=2)
    session = await opened(core)
    for gate in ("g1", "g2"):
        await _start(session, "wait", gate=gate)
        async with bench.promptly():
            await core.reached(gate)
    third = await _start(session, "echo")
    await bench.breathe()
    early = await wrote(core, "process ")

    await core.release("g2")

    assert (early, (await session.call("processes.await", {"id": third}))["state"]) == ([], "completed")


@host_check("PRC.11", needs=("processes",))
async def a_deleted_session_leaves_no_process_to_the_next(bench: HostBench) -> None:
    """One that ended and one that still runs: a session of the same id lists neither, also after the second's end."""
    core = await _core(bench)
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    ended, running = await _start(session, "echo"), await _start(session, "wait", gate="g")
    await session.call("processes.await", {"id": ended})
    await core.reached("g")
    await session.close()
    await core.delete("s1")

    again = await opened(core)

    assert await again.call("processes.list", {}) == []
    await core.release("g")
    await again.call("processes.await", {"id": running})
    assert await again.call("processes.list", {}) == []


@host_check("TRG.1", needs=("triggers",))
async def a_declared_event_is_listed_once(bench: HostBench) -> None:
    """By its resource type, alias and name."""
    core = await _core(bench, "a", options={"a": {"triggers": [EVENT]}})
    session = await opened(core)

    listed = await session.call("triggers.catalog", {})

    assert [{key: one[key] for key in EVENT} for one in listed] == [EVENT]


@host_check("TRG.2", needs=("triggers",))
async def an_event_starts_one_process_a_subscription(bench: HostBench) -> None:
    """Two subscriptions, one event told twice under its key: two processes; another key starts two more."""
    core = await _core(bench, "a", options={"a": {"triggers": [EVENT]}})
    session = await opened(core)
    for _ in range(2):
        await session.call("triggers.register", {"event": "door.opened", "process": "echo"})
    for key in ("k1", "k1", "k2"):
        await session.call("triggers.emit", {"event": "door.opened", "key": key, "payload": {"by": "cat"}})

    started = named(await session.call("processes.list", {}), "process_id")
    for one in started:
        await session.call("processes.await", {"id": one})
    ran = [line for line in await core.journal() if line.startswith("process ")]
    assert (len(set(started)), len(ran)) == (4, 4)
    await refused(session.call("triggers.register", {"event": "door.closed", "process": "echo"}), "door.closed")


@host_check("TRG.2", needs=("triggers",))
async def a_key_is_an_event_s_own(bench: HostBench) -> None:
    """Two events told under one key are two events."""
    core = await _core(bench, "a", options={"a": {"triggers": [EVENT, EVENT | {"event": "closed"}]}})
    session = await opened(core)
    for event in ("door.opened", "door.closed"):
        await session.call("triggers.register", {"event": event, "process": "echo"})
        await session.call("triggers.emit", {"event": event, "key": "k1", "payload": {"by": "cat"}})

    assert len(await session.call("processes.list", {})) == 2


@host_check("PRC.8", needs=("line",))
async def a_child_beside_a_failing_turn_is_billed(bench: HostBench) -> None:
    """The child's turn ends while the parent's runs, which then fails: the parent's next turn tells what the child spent."""
    core = await bench.core()
    session = await opened(core)
    await session.call("children.create", {"session_id": "kid"})
    await script(core, {"text": "lost", "gate": "g"}, {"text": "from the kid", "usage": {"input_tokens": 100, "output_tokens": 1}}, "hello")
    running = bench.start(say(session, "hi"))
    await core.reached("g")
    await session.call("children.turn", {"session_id": "kid", "text": "go"})
    await bench.line(core).fail(COMMIT)
    await core.release("g")
    await refusal("Runtime", running, runtime_code="store_commit_failed")
    await bench.line(core).fail()
    await bench.after_expiry()

    turn = await say(session, "again")

    assert [(one["source"], one["usage"]["input_tokens"]) for one in turn["children_usage"]] == [("child", 100)]


@host_check("PRC.8")
async def a_child_is_billed_once(bench: HostBench) -> None:
    """Its turn, then a change of the parent that is committed, then the parent's turn: the ledger has what each spent, and once."""
    core = await bench.core()
    session = await opened(core)
    await session.call("children.create", {"session_id": "kid"})
    await script(core, {"text": "from the kid", "usage": {"input_tokens": 100, "output_tokens": 1}}, "hello")
    await session.call("children.turn", {"session_id": "kid", "text": "go"})
    await session.call("open_agent_frame", {"frame_id": "f2", "task": "go on"})
    await say(session, "hi")

    assert {e.source: e.usage.input_tokens for e in (await bench.loaded()).token_ledger} == {"child": 100, "turn": 10}


@host_check("PRC.8")
async def a_child_is_billed_by_a_park(bench: HostBench) -> None:
    """The parent does nothing but park: what its child spent is stored."""
    core = await bench.core()
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    await session.call("children.create", {"session_id": "kid"})
    await script(core, {"text": "from the kid", "usage": {"input_tokens": 100, "output_tokens": 1}})
    await session.call("children.turn", {"session_id": "kid", "text": "go"})

    await session.park()

    assert {e.source: e.usage.input_tokens for e in (await bench.loaded()).token_ledger} == {"child": 100, "turn": 10}


@host_check("TRG.4", needs=("triggers",))
async def a_deleted_session_wishes_for_nothing(bench: HostBench) -> None:
    """Its subscription starts no process at another session's event, and a session of its id has none."""
    core = await _core(bench, "a", options={"a": {"triggers": [EVENT]}})
    session, other = await opened(core), await opened(core, "s2")
    await exchange(core, session, "hi", "hello")
    for one in (session, other):
        await one.call("triggers.register", {"event": "door.opened", "process": "echo"})
    await session.close()
    await core.delete("s1")

    await other.call("triggers.emit", {"event": "door.opened", "key": "k1", "payload": {}})

    (started,) = named(await other.call("processes.list", {}), "process_id")
    await other.call("processes.await", {"id": started})
    assert await wrote(core, "process ") == [f"process {started}"]
    again = await opened(core)
    assert (await again.call("triggers.list", {}), await again.call("processes.list", {})) == ([], [])
