"""Tools: dispatch, batches, retries, and what the model sees (area TOO)."""

from lash_conformance.check import host_check
from lash_conformance.host import Data, HostCore, HostSession
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import (
    activities,
    answer,
    asked,
    calls,
    failures,
    named,
    opened,
    say,
    script,
    stored_lines,
    within,
    wrote,
)
from lash_ref.messages import message_of

DURABLE = ("session_store", "attachment_store", "process_env_store")
"""Every facet that a journal needs beside it."""


async def _ran(core: HostCore, session: HostSession, reply: Data) -> Data:
    """The report of a turn of one round of calls."""
    await script(core, reply, "done")
    return await say(session)


# -- dispatch


@host_check("TOO.1")
async def broken_arguments_do_not_reach_the_tool(bench: HostBench) -> None:
    """One missing, one of another type, one too many."""
    core = await bench.core(tools=("brittle", "echo", "flaky"))
    session = await opened(core)
    reply = calls(("echo", {}), ("flaky", {"times": "two"}), ("brittle", {"extra": 1}))

    report = await _ran(core, session, reply)

    assert (answer(report), failures(report)) == ("says done", ["invalid_tool_args"] * 3)
    assert await wrote(core, "flaky", "brittle") == []


@host_check("TOO.3")
async def a_tool_that_is_not_offered_does_not_exist(bench: HostBench) -> None:
    """One opted out, one that nobody knows; no hook is asked."""
    core = await bench.core("a", tools=("echo", "flaky"))
    session = await opened(core)
    await session.call("tools.set_membership", {"tool_id": "kit:flaky", "member": False})

    report = await _ran(core, session, calls(("flaky", {"times": 0}), ("nobody", {})))

    assert (answer(report), failures(report)) == ("says done", ["tool_unavailable", "tool_unavailable"])
    assert await wrote(core, "a before_tool", "a after_tool", "flaky") == []


@host_check("TOO.4")
async def a_failing_tool_is_told_to_the_model(bench: HostBench) -> None:
    """Its message is the result, and the model goes on."""
    core = await bench.core(tools=("fail",))
    report = await _ran(core, await opened(core), calls(("fail", {"message": "out of milk"})))

    assert (answer(report), failures(report)) == ("says done", ["kit_failed"])
    assert "out of milk" in asked((await core.requests())[1])[-1]


@host_check("TOO.5")
async def a_call_cannot_become_another(bench: HostBench) -> None:
    """Its preparation names another tool."""
    core = await bench.core(tools=("echo", "impostor"))
    report = await _ran(core, await opened(core), calls(("impostor", {})))

    assert (answer(report), failures(report)) == ("says done", ["prepared_tool_id_mismatch"])
    assert await wrote(core, "impostor") == []


@host_check("TOO.6")
async def a_pending_result_needs_a_key(bench: HostBench) -> None:
    """The tool never asked for one."""
    core = await bench.core(tools=("keyless",))

    assert failures(await _ran(core, await opened(core), calls(("keyless", {})))) == [
        "pending_tool_missing_completion_key"
    ]


# -- batches


@host_check("TOO.10")
async def calls_of_one_response_run_side_by_side(bench: HostBench) -> None:
    """Twelve that wait for each other."""
    core = await bench.core(tools=("meet",))
    reply = calls(*(("meet", {"id": f"call {number}", "of": 12}) for number in range(12)))
    report = await within(_ran(core, await opened(core), reply))

    assert (answer(report), failures(report)) == ("says done", [])


@host_check("TOO.11")
async def results_keep_the_order_of_the_calls(bench: HostBench) -> None:
    """The first call returns only after the last has."""
    core = await bench.core(tools=("meet",))
    session = await opened(core)
    reply = calls(
        ("meet", {"id": "one", "of": 3, "after": "two"}),
        ("meet", {"id": "two", "of": 3, "after": "three"}),
        ("meet", {"id": "three", "of": 3}),
    )
    report = await within(_ran(core, session, reply))

    assert asked((await core.requests())[1])[-3:] == ["tool: one", "tool: two", "tool: three"]
    assert [record["args"]["id"] for record in report["tool_calls"]] == ["one", "two", "three"]


@host_check("TOO.12")
async def every_call_starts_and_completes_once(bench: HostBench) -> None:
    """A success, a failure, and a call that never ran."""
    core = await bench.core(tools=("echo", "fail"))
    await script(core, calls(("echo", {"text": "x"}), ("fail", {"message": "no"}), ("echo", {})), "done")
    report = await say(await opened(core))

    started = [one["call_id"] for one in report["activities"] if one["type"] == "tool_call_started"]
    completed = [one["call_id"] for one in report["activities"] if one["type"] == "tool_call_completed"]
    assert sorted(started) == ["c1", "c2", "c3"]
    assert sorted(completed) == ["c1", "c2", "c3"]
    assert [line for line in activities(report) if line.startswith("started")] == [
        "started echo",
        "started fail",
        "started echo",
    ]


def _alike(*words: str) -> Data:
    """A reply that calls ``echo`` for each of the words, every call under the id ``c``."""
    return {"tools": [{"id": "c", "name": "echo", "args": {"text": word}} for word in words]}


@host_check("TOO.13")
async def calls_of_one_id_are_calls_of_their_own(bench: HostBench) -> None:
    """Both run, are paired, shown and stored; the first is still the model's ``c``, the second is not."""
    core = await bench.core(tools=("echo",))
    report = await _ran(core, await opened(core), _alike("x", "y"))

    ids = named(report["tool_calls"], "call_id")
    assert (ids[0], len(ids), len(set(ids))) == ("c", 2, 2)
    for kind in ("tool_call_started", "tool_call_completed"):
        assert sorted(one["call_id"] for one in report["activities"] if one["type"] == kind) == sorted(ids)
    assert asked((await core.requests())[-1])[-2:] == ["tool: x", "tool: y"]
    parts = [part for one in map(message_of, (await bench.loaded()).graph.nodes) if one for part in one.parts]
    for kind in ("ToolCall", "ToolResult"):
        assert [part.tool_call_id for part in parts if part.kind == kind] == ids


@host_check("TOO.13")
async def a_new_id_takes_nobody_s(bench: HostBench) -> None:
    """Of ``c``, ``c`` and the id that the second was given before, the third keeps its own and all differ."""
    core = await bench.core(tools=("echo",))
    session = await opened(core)
    _, given = named((await _ran(core, session, _alike("x", "y")))["tool_calls"], "call_id")
    reply = _alike("x", "y", "z")
    reply["tools"][2]["id"] = given

    ids = named((await _ran(core, session, reply))["tool_calls"], "call_id")

    assert ((ids[0], ids[2]), len(set(ids))) == (("c", given), 3)


# -- retries


@host_check("TOO.20", "TOO.21")
async def a_retry_needs_both_sides(bench: HostBench) -> None:
    """Failure and policy say safe; the failure says never; the tool says nothing."""
    core = await bench.core(tools=("flaky", "wary", "brittle"))
    session = await opened(core)
    await _ran(core, session, calls(("flaky", {"times": 2}), ("wary", {}), ("brittle", {})))

    lines = await core.journal()
    assert [lines.count(f"{name} attempt") for name in ("flaky", "wary", "brittle")] == [3, 1, 1]


@host_check("TOO.22")
async def the_last_failure_is_exhausted(bench: HostBench) -> None:
    """Three attempts, and no more."""
    core = await bench.core(tools=("doomed",))
    report = await _ran(core, await opened(core), calls(("doomed", {})))

    assert len(await wrote(core, "doomed attempt")) == 3
    assert report["tool_calls"][0]["output"]["outcome"]["payload"]["retry"] == {
        "type": "exhausted",
        "attempts": 3,
    }


@host_check("TOO.23")
async def a_cancelled_turn_tries_no_more(bench: HostBench) -> None:
    """Cancelled inside the first attempt."""
    core = await bench.core(tools=("doomed",))
    session = await opened(core)
    await script(core, calls(("doomed", {"gate": "g"})), "never")
    turn = bench.start(say(session, cancel="stop"))
    await within(core.reached("g"))
    await session.fire("stop")

    assert answer(await turn) == "stopped cancelled"
    assert len(await wrote(core, "doomed attempt")) == 1


@host_check("TOO.24")
async def attempts_share_their_replay_key(bench: HostBench) -> None:
    """Three attempts, one key, and another for another call."""
    core = await bench.core(tools=("doomed",))
    await _ran(core, await opened(core), calls(("doomed", {}), ("doomed", {})))

    keys = [line.removeprefix("doomed attempt ") for line in await wrote(core, "doomed attempt")]
    assert len(keys) == 6
    assert sorted(keys.count(key) for key in set(keys)) == [3, 3]
    assert "" not in keys


@host_check("TOO.26")
async def calls_of_one_id_have_keys_of_their_own(bench: HostBench) -> None:
    """Two rounds whose calls have one id, the second with two of them: three keys, three attempts each."""
    core = await bench.core(tools=("doomed",))
    twice: Data = {"tools": [{"id": "c1", "name": "doomed", "args": {}}] * 2}
    await script(core, calls(("doomed", {})), twice, "done")
    await say(await opened(core))

    keys = await wrote(core, "doomed attempt")
    assert sorted(keys.count(key) for key in set(keys)) == [3, 3, 3]


@host_check("TOO.26")
async def calls_of_one_id_are_answered_apart(bench: HostBench) -> None:
    """Two rounds with a pending call of one id each: the answer to the first is none to the second."""
    core = await bench.core(tools=("pending",))
    session = await opened(core)
    await script(core, calls(("pending", {"name": "p1"})), calls(("pending", {"name": "p2"})), "done")
    running = bench.start(say(session))
    for name, value in (("p1", "one"), ("p2", "two")):
        key = await bench.pending_key(core, name)
        assert await core.call("resolve", {"key": key, "resolution": {"ok": value}}) == "resolved"

    assert answer(await running) == "says done"
    assert [line for line in asked((await core.requests())[-1]) if line.startswith("tool")] == ["tool: one", "tool: two"]


@host_check("TOO.25", needs=("durable",))
async def a_recorded_attempt_is_not_made_again(bench: HostBench) -> None:
    """The process dies before the turn's commit; driven again from the journal, the tool stays still."""
    core = await bench.core(tools=("flaky",), journal=True, durable=DURABLE)
    await bench.line(core).halt("before", 1)
    await script(core, calls(("flaky", {"times": 0})), "done")
    await bench.ended(bench.start(say(await opened(core), turn_id="t1")), core)
    assert await wrote(core, "flaky") == ["flaky attempt"]
    await bench.crash(core)
    await bench.after_expiry()

    again = await bench.core(tools=("flaky",), journal=True, durable=DURABLE)
    report = await say(await opened(again), turn_id="t1")

    assert (answer(report), failures(report)) == ("says done", [])
    assert await wrote(again, "flaky") == []


# -- what the model sees


@host_check("TOO.30")
async def a_projector_changes_the_view_only(bench: HostBench) -> None:
    """The model is shown more than the tool returned; the record is the tool's."""
    options = {"a": {"claims": ["tool_result_projector"], "shown": " (shortened)"}}
    core = await bench.core("a", tools=("echo",), options=options)
    report = await _ran(core, await opened(core), calls(("echo", {"text": "x"})))

    assert asked((await core.requests())[1])[-1] == "tool: x (shortened)"
    assert [record["output"]["outcome"] for record in report["tool_calls"]] == [
        {"status": "success", "payload": "x"}
    ]
    assert stored_lines(await bench.stored())[-1] == "assistant: done"
