"""Checks of queued work and of the order of what waits ([SES.73] to [SES.75], [SES.86], [SES.92] to [SES.97])."""

import contextlib
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
    refusal,
    say,
    script,
    spent,
    stored_lines,
    transcript,
)
from lash_conformance.plugin_words import aborts
from lash_conformance.vocabulary import batch, task
from lash_ref.errors import LashError
from lash_ref.work import ProcessWake, ProcessWakeDelivery


def _wake(words: str) -> ProcessWake:
    """A process that wakes "s1" with these words."""
    told = ProcessWakeDelivery(
        wake_id=f"wake {words}", target_session_id="s1", target_scope_id="s1", process_id="p1", sequence=1, input=words,
        dedupe_key=words, created_at_ms=0,
    )  # fmt: skip
    return ProcessWake(wake=told)


@host_check("SES.73")
async def many_inputs_keep_their_order(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Twelve, two of them alike: each is said once, in the order in which it was enqueued."""
    words = [f"<{number}>" for number in (*range(1, 11), 3, 12)]
    for one in words:
        await session.call("enqueue", {"text": one})
    await script(core, "ok")

    assert answer(await session.queued_turn()) == "says ok"

    said = "".join(one["text"] for one in (await core.requests())[0]["messages"])
    assert [f"<{each.partition('>')[0]}>" for each in said.split("<")[1:]] == words
    assert await session.call("pending_turn_inputs", {}) == []


@host_check("SES.86")
async def a_named_batch_is_drained_and_no_other(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """The second of two tasks is run; the first, and input that waits, stay."""
    store = await bench.store()
    first, second = [
        await store.enqueue_queued_work(batch(task(one), delivery_policy="after_current_turn_commit"))
        for one in ("wash", "iron")
    ]
    row = await session.call("enqueue", {"text": "later"})
    await script(core, "ironed")

    assert answer(await session.queued_turn(batch_ids=(second.batch_id,))) == "says ironed"

    words = " ".join(asked((await core.requests())[0]))
    assert [one in words for one in ("iron", "wash", "later")] == [True, False, False]
    assert named(await session.call("queued_work", {}), "batch_id") == [first.batch_id]
    assert named(await session.call("pending_turn_inputs", {}), "input_id") == [row["input_id"]]


def _roles(lines: list[str], words: str) -> list[str]:
    """Who says the words in these lines."""
    return [line.partition(": ")[0] for line in lines if words in line]


@host_check("SES.92")
async def a_drained_wake_is_an_event(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """The model is asked with it, it is kept as nobody's words, and stored once."""
    await (await bench.store()).enqueue_queued_work(batch(_wake("the wash is done")))
    await script(core, "good")

    assert answer(await session.queued_turn()) == "says good"

    assert len(_roles(asked((await core.requests())[0]), "the wash is done")) == 1
    kept = stored_lines(await bench.stored())
    assert (_roles(kept, "the wash is done"), kept[1:]) == (["event"], ["assistant: good"])
    assert await session.queued_turn() is None


@host_check("SES.92")
async def a_running_turn_takes_a_wake_in(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Queued while a tool runs, it is an event before the next model call, and the queue is empty after."""
    store: Any = await bench.store()
    await script(core, calls(("slow", {"gate": "g"})), "good")
    running = bench.start(say(session, "hi"))
    await core.reached("g")
    await store.enqueue_queued_work(batch(_wake("the wash is done")))
    await core.release("g")

    assert answer(await running) == "says good"

    assert len(_roles(asked((await core.requests())[1]), "the wash is done")) == 1
    assert _roles(stored_lines(await bench.stored()), "the wash is done") == ["event"]
    assert await session.call("queued_work", {}) == []


async def _during(core: HostCore, session: HostSession, bench: HostBench, turn_id: str, boundary: str) -> Any:
    """The turn t1 in its tool, and input enqueued meanwhile for a turn at a boundary; the turn's report and the row."""
    running = bench.start(say(session, "hi", turn_id="t1"))
    await core.reached("g")
    ingress = {"scope": "active_turn", "turn_id": turn_id, "min_boundary": boundary}
    row = await session.call("enqueue", {"text": "by the way", "ingress": ingress})
    await core.release("g")
    return await running, row


@host_check("SES.75")
async def active_input_is_for_its_turn(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Enqueued while t1 works and meant for t2, it is shown to t2."""
    await script(core, calls(("slow", {"gate": "g"})), "one", calls(("echo", {"text": "x"})), "two")
    await _during(core, session, bench, "t2", "after_work")
    first = [line for request in await core.requests() for line in asked(request)]
    await say(session, "more", turn_id="t2")

    assert "user: by the way" not in first
    assert asked((await core.requests())[-1])[-2:] == ["tool: x", "user: by the way"]


@host_check("SES.75")
async def active_input_steers_a_drain(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """A drained turn is steered by its id like any other."""
    await session.call("enqueue", {"text": "hi"})
    await script(core, calls(("slow", {"gate": "g"})), "done")
    draining = bench.start(session.queued_turn(drain_id="d1"))
    await core.reached("g")
    ingress = {"scope": "active_turn", "turn_id": "d1", "min_boundary": "after_work"}
    await session.call("enqueue", {"text": "faster", "ingress": ingress})
    await core.release("g")

    assert answer(await draining) == "says done"
    assert asked((await core.requests())[-1])[-2:] == ["tool: done", "user: faster"]


@host_check("SES.93")
async def active_input_waits_for_its_boundary(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Meant for the end of the turn, it is not shown after the tool, and then answered before the turn ends."""
    await script(core, calls(("slow", {"gate": "g"})), "first", "second")

    report, _ = await _during(core, session, bench, "t1", "before_completion")

    shown = [asked(request) for request in await core.requests()]
    assert (answer(report), len(shown)) == ("says second", 3)
    assert ["user: by the way" in lines for lines in shown] == [False, False, True]


async def _reset(session: HostSession) -> None:
    """Queue a command that empties the conversation."""
    await session.call("command", {"kind": "reset_session", "key": "k1", "reason": "why"})


@host_check("SES.94")
async def a_command_runs_before_the_next_turn(core: HostCore, session: HostSession) -> None:
    """A turn asked for after a reset was queued starts from nothing."""
    await exchange(core, session, "hi", "hello")
    await _reset(session)

    await exchange(core, session, "anew", "yes")

    assert asked((await core.requests())[-1]) == ["user: anew"]
    assert await session.call("queued_work", {}) == []


@host_check("SES.94", needs=("clock",))
async def a_command_does_not_jump_the_queue(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Input that was there before a reset is run with the history before it; then the reset empties that."""
    await exchange(core, session, "hi", "hello")
    await session.call("enqueue", {"text": "older"})
    await bench.pass_time(5)
    await _reset(session)
    await script(core, "heard")

    first = await session.queued_turn()

    assert (answer(first), asked((await core.requests())[-1])) == ("says heard", ["user: hi", "assistant: hello", "user: older"])
    assert (await session.queued_turn(), await transcript(session)) == (None, [])


@host_check("SES.74")
async def accepted_input_is_delivered_once(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """What a running turn took in is settled with it: no drain and no later turn says it again."""
    await script(core, calls(("slow", {"gate": "g"})), "done", "fine")
    _, row = await _during(core, session, bench, "t1", "after_work")

    told = await session.call("cancel_pending_turn_input", {"input_id": row["input_id"]})
    assert (told["outcome"], await session.queued_turn()) == ("already_completed", None)
    await say(session, "more")
    assert asked((await core.requests())[-1]).count("user: by the way") == 1
    assert await session.queued_turn() is None


@host_check("SES.74")
async def input_of_a_turn_without_an_outcome_waits_on(bench: HostBench) -> None:
    """A hook fails the drain: its input is pending as before, and the next drain says it, once."""
    core = await bench.core("a", options={"a": {"fails_at": ["before_turn"], "fail_times": 1}})
    session = await opened(core)
    row = await session.call("enqueue", {"text": "later"})

    await refusal("Runtime", session.queued_turn(), runtime_code="plugin_prepare_turn")

    assert named(await session.call("pending_turn_inputs", {}), "input_id") == [row["input_id"]]
    await script(core, "heard")
    assert answer(await session.queued_turn()) == "says heard"
    assert stored_lines(await bench.stored()) == ["user: later", "assistant: heard"]
    assert await session.queued_turn() is None


@host_check("SES.95")
async def a_reset_forgets_no_cost(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """What was spent before it is in the report after it, and in that of a later open."""
    await exchange(core, session, "hi", "hello")
    await session.call("command", {"kind": "reset_session", "key": "k1", "reason": "why"})
    await session.queued_turn()

    assert spent(await session.read("usage_report")) == (10, 5)
    await exchange(core, session, "anew", "yes")
    assert spent(await session.read("usage_report")) == (20, 10)
    assert spent(await (await opened(core)).read("usage_report")) == (20, 10)


@host_check("SES.96")
async def input_and_a_wake_are_taken_in_together(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Both wait at one checkpoint: both are shown to the model and stored, and neither waits any more."""
    store: Any = await bench.store()
    await script(core, calls(("slow", {"gate": "g"})), "good", "never")
    running = bench.start(say(session, "hi", turn_id="t1"))
    await core.reached("g")
    await store.enqueue_queued_work(batch(_wake("the wash is done")))
    ingress = {"scope": "active_turn", "turn_id": "t1", "min_boundary": "after_work"}
    await session.call("enqueue", {"text": "by the way", "ingress": ingress})
    await core.release("g")
    await running

    shown, said = asked((await core.requests())[-1]), stored_lines(await bench.stored())
    assert [len(_roles(shown, words)) for words in ("by the way", "the wash is done")] == [1, 1]
    assert _roles(said, "by the way") + _roles(said, "the wash is done") == ["user", "event"]
    assert (await session.call("queued_work", {}), await session.call("pending_turn_inputs", {})) == ([], [])


@host_check("SES.96")
async def steering_input_of_an_aborted_checkpoint_is_kept(bench: HostBench) -> None:
    """The hook of the checkpoint that took it in aborts the turn: it is in what the turn commits, or it waits again."""
    core = await bench.core("a", tools=("echo",), options={"a": {"directives": {"checkpoint after_work": [aborts("enough")]}}})
    session = await opened(core)
    ingress = {"scope": "active_turn", "turn_id": "t1", "min_boundary": "after_work"}
    row = await session.call("enqueue", {"text": "not this way", "ingress": ingress})
    await script(core, calls(("echo", {"text": "x"})), "never")
    with contextlib.suppress(LashError):
        await say(session, "go", turn_id="t1")

    waits = named(await session.call("pending_turn_inputs", {}), "input_id")
    said = stored_lines(await bench.stored())
    assert (waits == [row["input_id"]], said.count("user: not this way")) in ((True, 0), (False, 1))


@host_check("SES.97")
async def accepted_input_is_called_as_its_host_calls_it(core: HostCore, session: HostSession) -> None:
    """Given an id, it is announced under it; without one it has none."""
    ingress = {"scope": "active_turn", "turn_id": "t1", "min_boundary": "after_work"}
    rows = [
        await session.call("enqueue", {"text": words, "ingress": ingress, **given})
        for words, given in (("faster", {"id": "mine"}), ("slower", {}))
    ]
    await script(core, calls(("echo", {"text": "x"})), "done")

    report = await say(session, "go", turn_id="t1")

    (accepted,) = [one for one in report["activities"] if one["type"] == "queued_input_accepted"]
    told = [(one.get("id"), one["input_id"]) for one in accepted["inputs"]]
    assert told == [("mine", rows[0]["input_id"]), (None, rows[1]["input_id"])]


@host_check("SES.96")
async def steering_input_of_a_broken_checkpoint_is_kept(bench: HostBench) -> None:
    """The hook of the checkpoint that took it in fails: it is in what the turn commits, or it waits again."""
    for point in ("checkpoint after_work", "checkpoint before_completion"):
        core = await bench.core("a", tools=("echo",), options={"a": {"fails_at": [point], "fail_times": 1}})
        session = await opened(core, f"s {point}")
        row = await session.call("enqueue", {
            "text": "not this way", "ingress": {"scope": "active_turn", "turn_id": "t1", "min_boundary": "after_work"},
        })
        await script(core, calls(("echo", {"text": "x"})), "done", "never")
        with contextlib.suppress(LashError):
            await say(session, "go", turn_id="t1")

        waits = named(await session.call("pending_turn_inputs", {}), "input_id")
        said = stored_lines(await bench.stored(f"s {point}"))
        assert (waits == [row["input_id"]], said.count("user: not this way")) in ((True, 0), (False, 1))
        await core.close()
