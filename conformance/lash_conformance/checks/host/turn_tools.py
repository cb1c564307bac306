"""Checks of the tool loop and of how a turn ends ([TRN.20] to [TRN.34])."""

import json

from lash_conformance.check import host_check
from lash_conformance.host import HostCore, HostSession
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import (
    answer,
    asked,
    calls,
    exchange,
    opened,
    say,
    script,
    seen_up_to,
    stored_lines,
)
from lash_conformance.plugin_words import adds


@host_check("TRN.20")
async def results_are_shown_in_call_order(core: HostCore, session: HostSession) -> None:
    """The first call waits for the second; the model still reads the first result first."""
    await script(core, calls(("meet", {"id": "one", "of": 2, "after": "two"}), ("meet", {"id": "two", "of": 2})), "done")

    await say(session, "hi")

    assert asked((await core.requests())[-1])[-2:] == ["tool: one", "tool: two"]


@host_check("TRN.20")
async def calls_are_reported_in_their_order(core: HostCore, session: HostSession) -> None:
    """The first waits for the second; the report tells the first one first."""
    await script(core, calls(("meet", {"id": "one", "of": 2, "after": "two"}), ("meet", {"id": "two", "of": 2})), "done")

    report = await say(session, "hi")

    assert [one["args"]["id"] for one in report["tool_calls"]] == ["one", "two"]


@host_check("TRN.21")
async def calls_of_one_reply_run_together(core: HostCore, session: HostSession) -> None:
    """Twelve calls that wait for each other all return."""
    await script(core, calls(*(("meet", {"id": name, "of": 12}) for name in "abcdefghijkl")), "done")

    assert answer(await say(session, "hi")) == "says done"


@host_check("TRN.22")
async def a_failing_tool_is_shown_to_the_model(core: HostCore, session: HostSession) -> None:
    """The failure's words are in the next request, and the turn ends with the model's answer."""
    await script(core, calls(("fail", {"message": "no such file"})), "sorry")

    report = await say(session, "hi")

    assert answer(report) == "says sorry"
    assert "no such file" in asked((await core.requests())[-1])[-1]


@host_check("TRN.22")
async def a_failing_call_stops_no_other(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Of two calls made together the first fails at once; the other goes on to its end, and the model reads both."""
    following = await session.subscribe((await session.observe())["cursor"])
    await script(core, calls(("fail", {"message": "no"}), ("slow", {"gate": "g"})), "done")
    running = bench.start(say(session, "hi"))
    async with bench.promptly():
        await seen_up_to(following, "completed fail")
    await following.close()
    await core.reached("g")
    await core.release("g")

    assert answer(await running) == "says done"
    assert await core.journal() == ["slow started", "slow done"]
    assert asked((await core.requests())[-1])[-1] == "tool: done"


@host_check("TRN.23")
async def the_first_control_in_call_order_decides(core: HostCore, session: HostSession) -> None:
    """A failing call does not count; of two controls the first called wins, also when it gives up."""
    await script(
        core,
        calls(("fail", {"message": "no"}), ("finish", {"value": 1}), ("give_up", {"value": 2})),
        calls(("give_up", {"value": 2}), ("finish", {"value": 1})),
    )

    first, second = await say(session, "a"), await say(session, "b")

    assert answer(first) == "tool finish = 1"
    stopped = second["outcome"]["stopped"]["tool_error"]
    value = stopped["value"]["raw"] if isinstance(stopped["value"], dict) else stopped["value"]
    assert (stopped["tool_name"], value) == ("give_up", 2)


@host_check("TRN.23", "TRN.32")
async def a_control_waits_for_the_other_calls(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """A finishing call ends the turn once the slow one before it is done; both results are history."""
    following = await session.subscribe((await session.observe())["cursor"])
    await script(core, calls(("slow", {"gate": "g"}), ("finish", {"value": "at last"})), "fine")
    running = bench.start(say(session, "hi"))
    async with bench.promptly():
        await seen_up_to(following, "completed finish")
    await following.close()
    await core.reached("g")
    await core.release("g")

    assert answer(await running) == 'tool finish = "at last"'
    assert await core.journal() == ["slow started", "slow done"]
    await say(session, "more")
    assert asked((await core.requests())[-1])[2:] == ["tool: done", "tool: at last", "user: more"]


@host_check("TRN.24")
async def a_turn_ends_at_its_limit(bench: HostBench) -> None:
    """With two calls allowed the third is not made, and the tool results so far are stored."""
    core = await bench.core(tools=("echo",), max_turns=2)
    session = await opened(core)
    again = calls(("echo", {"text": "again"}))
    await script(core, again, again, again)

    report = await say(session, "hi")

    assert answer(report) == "stopped max_turns"
    assert len(await core.requests()) == 2
    assert sum("again" in line for line in stored_lines(await bench.stored())) >= 2


@host_check("TRN.25")
async def an_empty_reply_is_a_provider_error(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Its issue says empty_response, the user's message is stored, the next turn runs."""
    report = await exchange(core, session, "hi", "")

    assert answer(report) == "stopped provider_error"
    assert [issue["code"] for issue in report["errors"]] == ["empty_response"]
    assert stored_lines(await bench.stored()) == ["user: hi"]
    assert answer(await exchange(core, session, "more", "fine")) == "says fine"


@host_check("TRN.25")
async def an_empty_reply_behind_an_answer_is_a_provider_error(bench: HostBench) -> None:
    """Tools, an answer, a hook that is not content with it, and then nothing: the tools are no excuse any more."""
    core = await bench.core("a", tools=("echo",), options={"a": {"directives": {"checkpoint before_completion": [adds("sure?")]}}})
    session = await opened(core)
    await script(core, calls(("echo", {"text": "x"})), "first", "")

    report = await say(session, "hi")

    assert (answer(report), [issue["code"] for issue in report["errors"]]) == ("stopped provider_error", ["empty_response"])


@host_check("TRN.48")
async def a_full_window_is_a_provider_error(bench: HostBench) -> None:
    """Of 8000 tokens 7600 are 95 %, cached ones too; one less, or one token of output, and the reply is only incomplete."""
    core = await bench.core(context_window=8000)
    session = await opened(core)

    async def cut(cached: int, output: int) -> str:
        usage = {"input_tokens": 100, "cache_read_input_tokens": cached, "cache_write_input_tokens": 100, "output_tokens": output}
        return answer(await exchange(core, session, "hi", {"text": "a" * output, "usage": usage, "finish": "output_limit"}))

    ends = [await cut(*given) for given in ((7400, 0), (7399, 0), (7400, 1))]
    assert ends == ["stopped provider_error", "stopped incomplete", "stopped incomplete"]


@host_check("TRN.26")
async def an_empty_reply_after_tools_finishes(core: HostCore, session: HostSession) -> None:
    """With empty text."""
    await script(core, calls(("echo", {"text": "x"})), "")

    assert answer(await say(session, "hi")) == "says "


@host_check("TRN.27")
async def a_reply_cut_at_the_limit_is_incomplete(core: HostCore, session: HostSession) -> None:
    """And not a message."""
    report = await exchange(core, session, "hi", {"text": "and then", "finish": "output_limit"})

    assert answer(report) == "stopped incomplete"


@host_check("TRN.27")
async def calls_of_a_cut_reply_are_not_run(bench: HostBench) -> None:
    """Their arguments may be cut as well."""
    core = await bench.core(tools=("flaky",))
    session = await opened(core)

    report = await exchange(core, session, "hi", calls(("flaky", {"times": 0})) | {"finish": "output_limit"})

    assert (answer(report), await core.journal()) == ("stopped incomplete", [])
    assert answer(await exchange(core, session, "more", "fine")) == "says fine"


@host_check("TRN.28")
async def a_failed_provider_ends_a_committed_turn(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Not an error: the outcome is ProviderError, the issue says why, the user's message is stored."""
    report = await exchange(core, session, "hi", {"error": {"kind": "auth", "retryable": False, "message": "no key"}})

    assert answer(report) == "stopped provider_error"
    issue = report["errors"][0]
    assert ("no key" in issue["message"], issue["provider_failure_kind"], issue["retryable"]) == (True, "auth", False)
    assert stored_lines(await bench.stored()) == ["user: hi"]
    assert answer(await exchange(core, session, "more", "fine")) == "says fine"


@host_check("TRN.29")
async def a_retried_attempt_leaves_nothing(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Half an answer that broke off is neither in the report nor in the store; the second attempt is."""
    broken = {"chunks": ["half "], "error": {"kind": "transport", "retryable": True, "message": "cut", "retry_after_ms": 1}}
    await script(core, broken, "whole")

    report = await say(session, "hi")

    assert answer(report) == "says whole"
    assert stored_lines(await bench.stored()) == ["user: hi", "assistant: whole"]
    assert "model_attempt_reset" in [one["type"] for one in report["activities"]]


@host_check("TRN.45")
async def a_retried_attempt_is_taken_back(core: HostCore, session: HostSession) -> None:
    """Two attempts break off, the second without a thought: each is taken back by the ids under which it was shown, and nothing else is."""
    error = {"kind": "transport", "retryable": True, "message": "cut", "retry_after_ms": 1}
    cut = {"chunks": ["ha", "lf"], "error": error}
    await script(core, calls(("echo", {"text": "x"}), says="let me see"), cut | {"reasoning": "hm"}, cut, "whole")

    report = await say(session, "hi")

    deltas = {"assistant_prose_delta": "assistant_prose_correlation_ids", "reasoning_delta": "reasoning_correlation_ids"}
    shown: dict[str, set[str]] = {named: set() for named in deltas.values()}
    taken_back: list[bool] = []
    gone: set[str] = set()
    for one in report["activities"]:
        if one["type"] in deltas:
            assert one["correlation_id"] not in gone, "words are shown under a name that was taken back"
            shown[deltas[one["type"]]].add(one["correlation_id"])
        elif one["type"] == "model_request_started":
            shown = {named: set() for named in shown}
        elif one["type"] == "model_attempt_reset":
            taken_back.append({named: set(one[named]) for named in shown} == shown)
            gone.update(*shown.values())
            shown = {named: set() for named in shown}
    assert taken_back == [True, True]
    assert sum(one["type"] == "reasoning_delta" for one in report["activities"]) == 1


@host_check("TRN.30")
async def start_and_completion_are_paired(core: HostCore, session: HostSession) -> None:
    """Two calls of one tool: each start has its completion under one correlation id, different from the other's."""
    await script(core, calls(("echo", {"text": "a"}), ("echo", {"text": "b"})), "done")

    report = await say(session, "hi")

    found = {
        kind: {one["args"]["text"]: one["correlation_id"] for one in report["activities"] if one["type"] == kind}
        for kind in ("tool_call_started", "tool_call_completed")
    }
    assert found["tool_call_started"] == found["tool_call_completed"]
    assert len(set(found["tool_call_started"].values())) == 2


@host_check("TRN.31")
async def a_pending_tool_waits_for_the_world(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """The turn goes on when its key is resolved, with the resolution as the tool's result."""
    await script(core, calls(("pending", {"name": "order"})), "delivered")
    running = bench.start(say(session, "hi"))
    key = await bench.pending_key(core, "order")

    told = await core.call("resolve", {"key": key, "resolution": {"ok": "parcel 7"}})

    assert told == "resolved"
    assert answer(await running) == "says delivered"
    assert "parcel 7" in asked((await core.requests())[-1])[-1]


@host_check("TRN.32")
async def tool_results_are_history(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """The call and its result are stored with the turn, and shown to the model in the next."""
    await script(core, calls(("echo", {"text": "ping"})), "done", "fine")
    await say(session, "hi")
    stored = stored_lines(await bench.stored())
    await say(session, "more")

    assert json.loads(stored[1].removeprefix("assistant: ")) == {"text": "ping"}
    assert [stored[0], *stored[2:]] == ["user: hi", "user: ping", "assistant: done"]
    assert asked((await core.requests())[-1]) == [
        "user: hi", "assistant: call c1 echo", "tool: ping", "assistant: done", "user: more",
    ]  # fmt: skip


@host_check("TRN.33", needs=("clock",))
async def a_turn_starts_when_the_clock_says(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """The reported start is the clock's, also after it moved, and so is the time that the model took."""
    await bench.pass_time(12_345)
    now = bench.clock.now_ms()
    await script(core, {"text": "hello", "gate": "g"})
    running = bench.start(say(session, "hi"))
    await core.reached("g")
    await bench.pass_time(1_500)
    await core.release("g")

    execution = (await running)["execution"]

    assert (execution["started_at_ms"], execution["duration_ms"]) == (now, 1_500)


@host_check("TRN.34")
async def attachments_are_adopted_by_their_turn(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """The intent is the turn's, and the commit adopted it."""
    await script(core, calls(("put", {"text": "some bytes"})), {"text": "done", "gate": "g"})
    running = bench.start(say(session, "hi", turn_id="t1"))
    await core.reached("g")
    (intent,) = await bench.intents()
    await core.release("g")
    await running

    assert (intent.owner_kind, intent.owner_id) == ("turn", "t1")
    assert await bench.intents() == ()
    assert await (await bench.store()).holds_ref("s1", intent.attachment_id)
