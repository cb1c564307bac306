"""Checks of a session's lease: busy lanes, lost ones, and the commits between ([SES.60] to [SES.69])."""

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any

from lash_conformance.check import host_check
from lash_conformance.host import HostCore
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import (
    answer,
    calls,
    exchange,
    named,
    opened,
    refusal,
    say,
    script,
    stored_lines,
    transcript,
)
from lash_conformance.store_faults import COMMIT
from lash_ref.errors import LashError

RENEW = "renew_session_execution_lease"


@host_check("SES.60")
async def a_turn_on_a_held_lane_is_busy(bench: HostBench) -> None:
    """It is refused at once, nothing changes, and it runs when the lane is free."""
    core = await bench.core()
    session = await opened(core)
    lease = await bench.take_lane()

    await refusal("Runtime", say(session, "hi"), runtime_code="session_execution_busy")

    assert (await transcript(session), await bench.revision()) == ([], 0)
    await bench.free_lane(lease)
    assert answer(await exchange(core, session, "hi", "hello")) == "says hello"


@host_check("SES.61")
async def a_drain_on_a_held_lane_answers_none(bench: HostBench) -> None:
    """The input stays pending and runs when the lane is free."""
    core = await bench.core()
    session = await opened(core)
    await session.call("enqueue", {"text": "later"})
    lease = await bench.take_lane()

    assert await session.queued_turn() is None

    await bench.free_lane(lease)
    await script(core, "now")
    assert answer(await session.queued_turn()) == "says now"


@host_check("SES.62", needs=("clock",))
async def a_lost_lease_ends_the_turn_without_a_commit(bench: HostBench) -> None:
    """Another worker takes the lane over mid-turn: the turn fails as lost and its words are nowhere."""
    core = await bench.core()
    session = await opened(core)
    await script(core, {"text": "late", "gate": "g"})
    running = bench.start(say(session, "hi"))
    await core.reached("g")
    await bench.after_expiry()
    await bench.take_lane()

    await core.release("g")

    await refusal("Runtime", running, runtime_code="session_execution_lease_lost")
    assert await bench.stored() is None


async def _told_of_the_lost_lease(bench: HostBench, core: HostCore, turn: Coroutine[Any, Any, object]) -> None:
    """The lease of ``turn`` ends while its model does not answer; it is refused without the model and stores nothing."""
    await script(core, {"text": "never", "gate": "g"})
    running = bench.start(turn)
    await core.reached("g")
    await bench.after_expiry()
    async with bench.promptly():
        while not running.done():
            await bench.pass_time(1)
            await asyncio.sleep(0.002)
    await refusal("Runtime", running, runtime_code="session_execution_lease_lost")
    assert await bench.stored() is None


@host_check("SES.62", needs=("clock",))
async def a_turn_that_waits_is_told_of_its_lost_lease(bench: HostBench) -> None:
    """The model does not answer: the renewal that is refused ends the turn, and nobody has to wait for the model."""
    core = await bench.core(lease_renew_ms=10)
    session = await opened(core)

    await _told_of_the_lost_lease(bench, core, say(session, "hi"))


@host_check("SES.62", needs=("clock", "line"))
async def a_lease_that_is_lost_between_frames_is_told_as_lost(bench: HostBench) -> None:
    """The drained turn's first frame is committed, then another worker takes the lane: the second frame fails as lost."""
    core = await bench.core(tools=("switch_frame",))
    session = await opened(core)
    await session.call("enqueue", {"text": "hi"})
    await script(core, calls(("switch_frame", {"frame_id": "f2", "task": "go on"})), "late")
    await bench.line(core).halt("after", 1)
    running = bench.start(session.queued_turn())
    await bench.ended(running, core)
    await bench.after_expiry()
    await bench.take_lane()

    await bench.line(core).go_on()

    await refusal("Runtime", running, runtime_code="session_execution_lease_lost")
    assert stored_lines(await bench.stored())[-1].startswith("user:")


@host_check("SES.67", needs=("clock",))
async def a_long_turn_keeps_its_lane(bench: HostBench) -> None:
    """Renewed every 10 ms, a lease of 30 s outlives three times 20 s, nobody else gets in, and the turn commits."""
    core = await bench.core(lease_renew_ms=10)
    session = await opened(core)
    await script(core, {"text": "at last", "gate": "g"})
    running = bench.start(say(session, "hi"))
    await core.reached("g")
    for _ in range(3):
        await bench.pass_time(20_000)
        await bench.sent(core, RENEW)
        # One that is sent may still be on its way; the next is sent when it has arrived.
        sent = 0
        async with bench.promptly():
            while sent < 2 and not running.done():
                await bench.pass_time(1)
                await asyncio.sleep(0.002)
                sent += len(await bench.sent(core, RENEW))
    await refusal("Runtime", say(await opened(core), "me too"), runtime_code="session_execution_busy")

    await core.release("g")

    assert answer(await running) == "says at last"


@host_check("SES.63")
async def a_turn_starts_from_the_moved_head(bench: HostBench) -> None:
    """A handle opened before another handle's turn shows that turn to the model and commits after it."""
    core = await bench.core()
    early, other = await opened(core), await opened(core)
    await exchange(core, other, "first", "1")

    await exchange(core, early, "second", "2")

    asked = (await core.requests())[-1]["messages"]
    assert [one["text"] for one in asked] == ["first", "1", "second"]
    assert stored_lines(await bench.stored()) == ["user: first", "assistant: 1", "user: second", "assistant: 2"]


@host_check("SES.64")
async def a_finished_turn_leaves_the_lane_free(bench: HostBench) -> None:
    """Another worker can claim at once."""
    core = await bench.core()
    session = await opened(core)
    await exchange(core, session, "hi", "hello")

    await bench.free_lane(await bench.take_lane())

    assert answer(await exchange(core, session, "more", "fine")) == "says fine"


@host_check("SES.65")
async def a_failed_commit_keeps_nothing(bench: HostBench) -> None:
    """The turn fails as store_commit_failed, the store is as before, and the next turn starts from there."""
    core = await bench.core()
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    await bench.line(core).fail(COMMIT)
    await script(core, "lost")

    await refusal("Runtime", say(session, "more"), runtime_code="store_commit_failed")

    assert stored_lines(await bench.stored()) == ["user: hi", "assistant: hello"]
    await bench.line(core).fail()
    await bench.after_expiry()
    await exchange(core, session, "again", "kept")
    assert stored_lines(await bench.stored())[2:] == ["user: again", "assistant: kept"]


@host_check("SES.65")
async def a_change_that_is_not_stored_is_refused(bench: HostBench) -> None:
    """Appended nodes, a branch and a new frame: each is refused, and neither the store nor the view has it."""
    core = await bench.core()
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    before = await bench.loaded()
    note = {"kind": "message", "message": {"role": "System", "content": "lost"}}
    root = before.graph.nodes[0].node_id
    for method, arguments in (
        ("append_nodes", {"nodes": [note]}), ("branch_to_node", {"node_id": root}),
        ("open_agent_frame", {"frame_id": "f2", "task": "lost"}),
    ):  # fmt: skip
        await bench.line(core).fail(COMMIT)

        await refusal("Runtime", session.call(method, arguments), runtime_code="store_commit_failed")

        await bench.line(core).fail()
        await bench.after_expiry()
        assert (await transcript(session), await bench.stored()) == (["user: hi", "assistant: hello"], before)


@host_check("SES.66")
async def only_a_busy_lane_is_worth_a_retry(bench: HostBench) -> None:
    """A busy lane says retryable; a clone in the way, a missing provider and a failed commit do not."""
    core = await bench.core()
    session = await opened(core)
    lease = await bench.take_lane()
    busy = await refusal("Runtime", say(session, "hi"), runtime_code="session_execution_busy")
    await bench.free_lane(lease)
    clone = await session.clone()
    in_use = await refusal("SessionStillInUse", session.park())
    await bench.line(core).fail(COMMIT)
    await script(core, "lost")
    failed = await refusal("Runtime", say(session, "more"), runtime_code="store_commit_failed")

    await clone.drop()
    told = [await bench.pure("is_retryable", {"code": e.code, "fields": e.fields}) for e in (busy, in_use, failed)]
    assert told == [True, False, False]


@host_check("SES.68")
async def a_failed_turn_leaves_the_lane_free(bench: HostBench) -> None:
    """A hook before the turn fails it, or one after it: another worker can claim at once."""
    for point in ("before_turn", "after_turn"):
        core = await bench.core("a", options={"a": {"fails_at": [point]}})
        session = await opened(core)
        await script(core, "hello")
        await refusal("Runtime", say(session, "hi"))

        await bench.free_lane(await bench.take_lane())
        await core.close()


@host_check("SES.68")
async def a_failed_drain_leaves_the_lane_free(bench: HostBench) -> None:
    """As a turn that a host waits for; its input is pending again."""
    core = await bench.core("a", options={"a": {"fails_at": ["before_turn"], "fail_times": 1}})
    session = await opened(core)
    row = await session.call("enqueue", {"text": "hi"})
    await refusal("Runtime", session.queued_turn())

    await bench.free_lane(await bench.take_lane())

    assert named(await session.call("pending_turn_inputs", {}), "input_id") == [row["input_id"]]


@host_check("SES.69")
async def a_change_beside_a_failing_turn_is_kept(bench: HostBench) -> None:
    """Nodes appended, a tool taken out and a model chosen while the turn waits for its model are there afterwards, unless refused."""
    core = await bench.core("a", tools=("echo", "fail"), options={"a": {"fails_at": ["after_turn"], "fail_times": 1}})
    session = await opened(core)
    note = {"kind": "message", "message": {"role": "System", "content": "kept"}}
    await script(core, {"text": "lost", "gate": "g"})
    running = bench.start(say(session, "hi"))
    await core.reached("g")
    changes = [
        bench.start(session.call("append_nodes", {"nodes": [note]})),
        bench.start(session.call("tools.set_membership", {"tool_id": "kit:fail", "member": False})),
        bench.start(session.configure({"model": "m-2"})),
    ]
    await bench.breathe()

    await core.release("g")
    await refusal("Runtime", running, runtime_code="plugin_finalize_turn")

    appended, removed, chosen = [await _made(change) for change in changes]
    kept = ["system: kept"] if appended else []
    assert (await transcript(session), stored_lines(await bench.stored())) == (kept, kept)
    assert answer(await exchange(core, session, "again", "fine")) == "says fine"
    request = (await core.requests())[-1]
    assert (request["tools"] == ["echo"], request["model"] == "m-2") == (removed, chosen)


async def _made(change: Awaitable[object]) -> bool:
    """Whether a change was made; a host may refuse it while a turn runs."""
    try:
        await change
    except LashError:
        return False
    return True


@host_check("SES.53")
async def a_change_is_made_upon_the_moved_head(bench: HostBench) -> None:
    """Nodes, a frame: each by a handle that was opened before another handle's turn, and nothing of that turn is lost."""
    core = await bench.core()
    note = {"kind": "message", "message": {"role": "System", "content": "noted"}}
    for method, arguments, last in (
        ("append_nodes", {"nodes": [note]}, "system: noted"), ("open_agent_frame", {"frame_id": "f2", "task": "go on"}, "user: go on"),
    ):  # fmt: skip
        early, other = await opened(core, method), await opened(core, method)
        await exchange(core, early, "zero", "0")
        await exchange(core, other, "first", "1")

        await early.call(method, arguments)

        told = ["user: zero", "assistant: 0", "user: first", "assistant: 1", last]
        assert stored_lines(await bench.stored(method)) == told


@host_check("SES.62", needs=("clock",))
async def a_drain_that_waits_is_told_of_its_lost_lease(bench: HostBench) -> None:
    """As a turn that a host waits for: nobody has to wait for the model."""
    core = await bench.core(lease_renew_ms=10)
    session = await opened(core)
    await session.call("enqueue", {"text": "hi"})

    await _told_of_the_lost_lease(bench, core, session.queued_turn())


@host_check("SES.65", needs=("line",))
async def a_command_that_is_not_stored_is_not_done(bench: HostBench) -> None:
    """The reset's commit is refused: so is the drain, the conversation stands, and the command waits and is done later."""
    core = await bench.core()
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    made = await session.call("command", {"kind": "reset_session", "key": "k1", "reason": "why"})
    await bench.line(core).fail(COMMIT)

    await refusal("Runtime", session.queued_turn(), runtime_code="store_commit_failed")

    assert (await transcript(session), stored_lines(await bench.stored())) == (["user: hi", "assistant: hello"],) * 2
    await bench.line(core).fail()
    await bench.after_expiry()
    assert named(await session.call("queued_work", {}), "batch_id") == [made["batch_id"]]
    assert (await session.queued_turn(), await transcript(session)) == (None, [])
