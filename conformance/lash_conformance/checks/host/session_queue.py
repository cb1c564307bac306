"""Checks of a session's queue ([SES.70] to [SES.91])."""

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
    refused,
    say,
    script,
    stored_lines,
    transcript,
)
from lash_conformance.vocabulary import batch, task


async def _queued(session: HostSession, *words: Any) -> Any:
    """Enqueue each for the next turn; the rows."""
    return [await session.call("enqueue", {"text": one}) for one in words]


async def _cancel(session: HostSession, row: Any) -> Any:
    """The outcome of cancelling one row."""
    return (await session.call("cancel_pending_turn_input", {"input_id": row["input_id"]}))["outcome"]


@host_check("SES.70")
async def queueing_needs_a_store(bench: HostBench) -> None:
    """Enqueueing, listing and awaiting are refused on a session without one."""
    session = await opened(await bench.core(store="none"))

    for method, arguments in (
        ("enqueue", {"text": "later"}), ("queued_work", {}), ("pending_turn_inputs", {}),
        ("await_queued_work_batch", {"batch_id": "b"}),
    ):  # fmt: skip
        await refusal("Runtime", session.call(method, arguments), runtime_code="store_commit_failed")


@host_check("SES.71")
async def an_id_becomes_a_source_key(session: HostSession) -> None:
    """With its prefix; the same id and words answer the same row, other words are refused; without an id there is no key."""
    row = await session.call("enqueue", {"text": "later", "id": "m7"})
    again = await session.call("enqueue", {"text": "later", "id": "m7"})
    plain = await session.call("enqueue", {"text": "other"})

    await refused(session.call("enqueue", {"text": "sooner", "id": "m7"}), "host:m7")
    assert len(await session.call("pending_turn_inputs", {})) == 2
    assert (row["source_key"], again["input_id"] == row["input_id"]) == ("host:m7", True)
    assert plain.get("source_key") is None


@host_check("SES.72")
async def an_idle_drain_answers_none(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """And asks nothing, writes nothing."""
    assert await session.queued_turn() is None

    assert (await core.requests(), await bench.stored()) == ([], None)


@host_check("SES.73")
async def pending_input_runs_in_order_as_one_turn(core: HostCore, session: HostSession) -> None:
    """Three inputs, one turn, one request in their order."""
    await _queued(session, "a", "b", "c")
    await script(core, "all three")

    report = await session.queued_turn()

    words = " ".join(asked((await core.requests())[0]))
    assert answer(report) == "says all three"
    assert words.index("a") < words.index("b") < words.index("c")
    assert await session.queued_turn() is None
    assert len(await core.requests()) == 1


@host_check("SES.74", needs=("durable",))
async def input_is_delivered_once(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Drained once, it is neither drained again nor by another core after a crash."""
    await _queued(session, "buy milk")
    await script(core, "bought")
    await session.queued_turn()
    await bench.crash(core)
    await bench.after_expiry()
    second = await bench.core()

    again = await opened(second)

    assert await again.queued_turn() is None
    assert sum("buy milk" in words for words in stored_lines(await bench.stored())) == 1


@host_check("SES.74", needs=("durable",))
async def a_drain_that_died_before_its_commit_is_repeated_once(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Its input is pending again for the next worker, who runs it to one message."""
    await _queued(session, "buy milk")
    await script(core, {"text": "late", "gate": "g"})
    bench.start(session.queued_turn())
    await core.reached("g")
    await bench.crash(core)
    await bench.after_expiry()
    second = await bench.core()
    again = await opened(second)
    await script(second, "bought")

    assert answer(await again.queued_turn()) == "says bought"
    assert stored_lines(await bench.stored()) == ["user: buy milk", "assistant: bought"]
    assert await again.queued_turn() is None


async def _steered(bench: HostBench, core: HostCore, session: HostSession, words: str = "faster") -> Any:
    """A turn t1 held in its tool while ``words`` are enqueued for it; the running turn and the row."""
    await script(core, calls(("slow", {"gate": "g"})), "done", "after that")
    running = bench.start(say(session, "hi", turn_id="t1"))
    await core.reached("g")
    ingress = {"scope": "active_turn", "turn_id": "t1", "min_boundary": "after_work"}
    row = await session.call("enqueue", {"text": words, "ingress": ingress})
    return running, row


@host_check("SES.75")
async def active_input_steers_the_running_turn(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """The model reads it after the tool's result, as one user message, and the row is done."""
    running, _ = await _steered(bench, core, session)
    await core.release("g")

    report = await running

    assert answer(report) == "says done"
    assert asked((await core.requests())[1]) == [
        "user: hi", "assistant: call c1 slow", "tool: done", "user: faster",
    ]  # fmt: skip
    assert "queued_input_accepted" in [one["type"] for one in report["activities"]]
    assert await session.call("pending_turn_inputs", {}) == []


@host_check("SES.76")
async def missed_active_input_waits_for_the_next_turn(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Enqueued for a turn that is past its last checkpoint, it is deferred by that turn's commit and then runs."""
    ingress = {"scope": "active_turn", "turn_id": "t1", "min_boundary": "after_work"}
    store = await bench.store()

    async def enqueue() -> list[str]:
        await session.call("enqueue", {"text": "too late", "ingress": ingress})
        return [row.state for row in await store.list_pending_turn_inputs("s1")]

    await script(core, "hello", "heard")
    missed = await bench.at_commit(core, say(session, "hi", turn_id="t1"), enqueue())

    deferred = [row.state for row in await store.list_pending_turn_inputs("s1")]
    assert (missed, deferred) == (["pending_active"], ["deferred_next_turn"])
    assert answer(await session.queued_turn()) == "says heard"


@host_check("SES.77")
async def cancelled_input_does_not_run(core: HostCore, session: HostSession) -> None:
    """Of two inputs the cancelled one is nowhere in the request."""
    first, _ = await _queued(session, "take this back", "keep this")
    assert await _cancel(session, first) == "cancelled"
    await script(core, "ok")

    await session.queued_turn()

    words = " ".join(asked((await core.requests())[0]))
    assert ("take this back" in words, "keep this" in words) == (False, True)


@host_check("SES.78")
async def a_cancel_says_what_it_met(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Cancelled, already cancelled, already completed, already claimed, not found."""
    one, two = await _queued(session, "one", "two")
    outcomes = [await _cancel(session, one), await _cancel(session, one)]
    await script(core, "ok")
    await session.queued_turn()
    outcomes.append(await _cancel(session, two))
    (three,) = await _queued(session, "three")
    await script(core, {"text": "late", "gate": "g"})
    draining = bench.start(session.queued_turn())
    await core.reached("g")
    outcomes += [await _cancel(session, three), await _cancel(session, {"input_id": "nowhere"})]
    await core.release("g")
    await draining

    assert outcomes == ["cancelled", "already_cancelled", "already_completed", "already_claimed", "not_found"]


@host_check("SES.79")
async def a_bulk_cancel_answers_in_order(session: HostSession) -> None:
    """Each target with its outcome, ids and source keys mixed."""
    row = await session.call("enqueue", {"text": "one"})
    await session.call("enqueue", {"text": "two", "id": "m2"})
    targets = [
        {"kind": "source_key", "value": "host:m2"}, {"kind": "input_id", "value": "nowhere"},
        {"kind": "input_id", "value": row["input_id"]},
    ]  # fmt: skip

    results = await session.call("cancel_pending_turn_inputs", {"targets": targets})

    assert named(results, "target") == targets
    assert [one["outcome"]["outcome"] for one in results] == ["cancelled", "not_found", "cancelled"]
    assert await session.call("pending_turn_inputs", {}) == []


@host_check("SES.80")
async def a_suffix_cancel_takes_back_what_followed(session: HostSession) -> None:
    """The anchor and the later rows; an unknown anchor changes nothing."""
    one, two, _ = await _queued(session, "one", "two", "three")
    unknown = {"anchor": {"kind": "input_id", "value": "nowhere"}}
    missing = await session.call("cancel_pending_turn_input_suffix", unknown)
    kept = len(await session.call("pending_turn_inputs", {}))

    taken = await session.call(
        "cancel_pending_turn_input_suffix", {"anchor": {"kind": "input_id", "value": two["input_id"]}}
    )

    assert (missing["outcome"], kept) == ("anchor_not_found", 3)
    assert [found["outcome"] for found in taken["data"]["outcomes"]] == ["cancelled", "cancelled"]
    assert named(await session.call("pending_turn_inputs", {}), "input_id") == [one["input_id"]]


@host_check("SES.81")
async def lists_show_what_can_still_be_changed(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Pending rows are listed in order; claimed and completed ones are not."""
    rows = await _queued(session, "one", "two")
    listed = named(await session.call("pending_turn_inputs", {}), "input_id")
    await script(core, {"text": "late", "gate": "g"})
    draining = bench.start(session.queued_turn())
    await core.reached("g")
    claimed = await session.call("pending_turn_inputs", {})
    await core.release("g")
    await draining

    assert listed == named(rows, "input_id")
    assert (claimed, await session.call("pending_turn_inputs", {})) == ([], [])


@host_check("SES.82")
async def an_abandoned_claim_frees_its_rows(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Input claimed by a driver that stops is pending again at once."""
    (row,) = await _queued(session, "one")
    lease = await bench.take_lane()
    store = await bench.store()
    claim = await store.claim_next_turn_inputs("s1", lease.fence(), lease.owner, 8)
    assert claim is not None, "input waits, yet nothing could be claimed"
    hidden = await session.call("pending_turn_inputs", {})

    await session.call("abandon_turn_input_claim", {"claim": claim.to_data()})

    assert hidden == []
    assert named(await session.call("pending_turn_inputs", {}), "input_id") == [row["input_id"]]


@host_check("SES.82")
async def an_abandoned_claim_of_work_frees_its_batches(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Work claimed by a driver that stops is pending again at once."""
    store = await bench.store()
    made = await store.enqueue_queued_work(batch(task("later")))
    lease = await bench.take_lane()
    claim = await store.claim_ready_queued_work("s1", lease.fence(), lease.owner, "idle", 8)
    assert claim is not None, "work waits, yet nothing could be claimed"
    hidden = await session.call("queued_work", {})

    await session.call("abandon_queued_work_claim", {"claim": claim.to_data()})

    assert hidden == []
    assert named(await session.call("queued_work", {}), "batch_id") == [made.batch_id]


@host_check("SES.83")
async def a_batch_can_be_cancelled_until_it_is_claimed(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """The batch once, then none, and none for an unknown id."""
    store = await bench.store()
    made = await store.enqueue_queued_work(batch(task("later")))

    first = await session.call("cancel_queued_work_batch", {"batch_id": made.batch_id})
    again = await session.call("cancel_queued_work_batch", {"batch_id": made.batch_id})

    assert first["batch_id"] == made.batch_id
    assert (again, await session.call("cancel_queued_work_batch", {"batch_id": "nowhere"})) == (None, None)
    assert await session.call("queued_work", {}) == []


@host_check("SES.84")
async def a_batch_can_be_awaited(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """An unknown id at once; a pending one when somebody takes it back."""
    store = await bench.store()
    made = await store.enqueue_queued_work(batch(task("later")))
    async with bench.promptly():
        await session.call("await_queued_work_batch", {"batch_id": "nowhere"})
    waiting = bench.start(session.call("await_queued_work_batch", {"batch_id": made.batch_id}))
    await bench.breathe()
    assert not waiting.done()

    await session.call("cancel_queued_work_batch", {"batch_id": made.batch_id})

    assert await waiting is None


@host_check("SES.85")
async def the_core_enqueues_for_a_session_that_is_not_open(bench: HostBench, core: HostCore) -> None:
    """A session opened later drains it."""
    await core.call("enqueue_turn_input", {"session_id": "s1", "text": "from the web", "source_key": "web:1"})
    session = await opened(core)
    rows = await session.call("pending_turn_inputs", {})
    await script(core, "answered")

    assert [key.removeprefix("host:") for key in named(rows, "source_key")] == ["web:1"]
    assert answer(await session.queued_turn()) == "says answered"


@host_check("SES.86")
async def named_batches_are_drained_alone(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """An unknown id drains nothing, though other work waits."""
    await _queued(session, "later")
    await script(core, "unexpected")

    assert await session.queued_turn(batch_ids=("nowhere",)) is None

    assert await core.requests() == []
    assert len(await session.call("pending_turn_inputs", {})) == 1


@host_check("SES.87")
async def a_repeated_command_is_one(session: HostSession) -> None:
    """Two under one key are one batch; another key is another."""
    for key in ("k1", "k1", "k2"):
        await session.call("command", {"kind": "refresh_tool_catalog", "key": key, "reason": "why"})

    assert len(await session.call("queued_work", {})) == 2


@host_check("SES.88")
async def a_command_needs_a_key(session: HostSession) -> None:
    """A blank one is refused and nothing is queued."""
    for key in ("", "  "):
        await refused(session.call("command", {"kind": "refresh_tool_catalog", "key": key, "reason": "why"}))

    assert await session.call("queued_work", {}) == []


@host_check("SES.89")
async def a_drain_of_commands_is_no_turn(core: HostCore, session: HostSession) -> None:
    """It answers none, asks no model, and the queue is empty."""
    await session.call("command", {"kind": "refresh_tool_catalog", "key": "k1", "reason": "why"})

    assert await session.queued_turn() is None

    assert await session.call("queued_work", {}) == []
    assert await core.requests() == []


@host_check("SES.90")
async def a_reset_starts_over_as_the_same_session(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """The graph is empty, id and policy stay, and the next turn sees no history."""
    await exchange(core, session, "hi", "hello")
    before = await session.read("policy")
    await session.call("command", {"kind": "reset_session", "key": "k1", "reason": "why"})

    assert await session.queued_turn() is None

    assert (await transcript(session), await session.read("policy")) == ([], before)
    await exchange(core, session, "anew", "yes")
    assert asked((await core.requests())[-1]) == ["user: anew"]
    assert stored_lines(await bench.stored()) == ["user: anew", "assistant: yes"]


@host_check("SES.91")
async def input_of_an_aborted_turn_is_settled(bench: HostBench) -> None:
    """A queued input whose turn a plugin aborts does not come again."""
    abort = {"kind": "abort_turn", "code": "kit_abort", "message": "not now"}
    core = await bench.core("a", options={"a": {"directives": {"before_turn": [abort]}}})
    session = await opened(core)
    await _queued(session, "later")

    report = await session.queued_turn()

    assert answer(report) == "stopped plugin_abort"
    assert await session.call("pending_turn_inputs", {}) == []
    assert await session.queued_turn() is None
