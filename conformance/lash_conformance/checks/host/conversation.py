"""Checks of what a turn leaves in the conversation: words, silence, repeats, and nothing of a failure."""

from lash_conformance.check import host_check
from lash_conformance.host import HostCore, HostSession, TurnSpec
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import (
    answer,
    asked,
    calls,
    exchange,
    opened,
    refusal,
    refused,
    say,
    script,
    spent,
    stored_lines,
    transcript,
)
from lash_conformance.plugin_words import adds
from lash_conformance.store_faults import COMMIT
from lash_ref.errors import LashError

ODD = ' \tcaf\u00e9 cafe\u0301 \r\n\u2028 \ufb01 \\n {"a": 1} &amp; \U0001f469\u200d\U0001f467 \u05e9\u05dc\u05d5\u05dd\u00a0 '
"""Blanks at both ends, line ends of three kinds, two ways to write one letter, and what looks like markup."""
LONG_CHARS = 100_000


@host_check("TRN.1")
async def the_same_words_again_are_said_again(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """A second turn that asks and answers word for word as the first is a turn of its own."""
    for _ in range(2):
        await exchange(core, session, "hi", "hello")

    assert asked((await core.requests())[1]) == ["user: hi", "assistant: hello", "user: hi"]
    assert stored_lines(await bench.stored()) == ["user: hi", "assistant: hello"] * 2


@host_check("TRN.1")
async def a_turn_without_words_is_a_turn(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Input of no items is one empty message of the user, and the model is asked."""
    await script(core, "hello", "fine")

    report = await session.turn(TurnSpec())

    assert answer(report) == "says hello"
    assert stored_lines(await bench.stored()) == ["user: ", "assistant: hello"]
    assert answer(await say(session, "more")) == "says fine"


@host_check("TRN.43")
async def odd_words_are_kept_as_they_are(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Of the user, of a tool and of the model: in the store, in the view, and in what the model is shown next."""
    await script(core, calls(("echo", {"text": ODD})), ODD, "fine")
    await say(session, ODD)
    await say(session, "more")

    assert asked((await core.requests())[-1]) == [
        f"user: {ODD}", "assistant: call c1 echo", f"tool: {ODD}", f"assistant: {ODD}", "user: more",
    ]  # fmt: skip
    stored = stored_lines(await bench.stored())
    assert [stored[at] for at in (0, 2, 3)] == [f"user: {ODD}", f"user: {ODD}", f"assistant: {ODD}"]
    assert (await transcript(session))[3] == f"assistant: {ODD}"


@host_check("TRN.43")
async def long_words_are_kept_whole(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """A hundred thousand characters of the user, of a tool and of the model, counted where they arrive."""
    long = "0123456789" * (LONG_CHARS // 10)
    await script(core, calls(("echo", {"text": long})), long, "fine")
    await say(session, long)
    await say(session, "more")

    shown = [len(one["text"]) for one in (await core.requests())[-1]["messages"]]
    stored = [len(one.partition(": ")[2]) for one in stored_lines(await bench.stored())]
    assert [shown[at] for at in (0, 2, 3)] == [LONG_CHARS] * 3
    assert [stored[at] for at in (0, 2, 3)] == [LONG_CHARS] * 3


@host_check("TRN.4")
async def a_lost_turn_is_neither_counted_nor_billed(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """After a commit that the store refused, the next turn is the first, at the price of one."""
    await bench.line(core).fail(COMMIT)
    await script(core, "lost")
    await refusal("Runtime", say(session, "hi"), runtime_code="store_commit_failed")
    await bench.line(core).fail()
    await bench.after_expiry()

    await exchange(core, session, "hi", "hello")

    read = await bench.loaded()
    assert (await session.read("turn_index"), read.checkpoint.turn_state.turn_index) == (1, 1)
    assert spent(await session.read("usage_report")) == (10, 5)
    assert [(entry.usage.input_tokens, entry.usage.output_tokens) for entry in read.token_ledger] == [(10, 5)]


@host_check("TRN.4")
async def a_turn_that_a_hook_failed_is_forgotten(bench: HostBench) -> None:
    """Its question and its answer are in no later request, view or commit."""
    core = await bench.core("a", options={"a": {"fails_at": ["after_turn"], "fail_times": 1}})
    session = await opened(core)
    await script(core, "lost")
    await refusal("Runtime", say(session, "forget this"), runtime_code="plugin_finalize_turn")

    await exchange(core, session, "hi", "hello")

    assert asked((await core.requests())[-1]) == ["user: hi"]
    assert await transcript(session) == ["user: hi", "assistant: hello"]
    assert stored_lines(await bench.stored()) == ["user: hi", "assistant: hello"]
    assert await session.read("turn_index") == 1


@host_check("TRN.24")
async def every_turn_has_the_whole_limit(bench: HostBench) -> None:
    """With two calls allowed, two turns of two calls each end as they would."""
    core = await bench.core(tools=("echo",), max_turns=2)
    session = await opened(core)
    again = calls(("echo", {"text": "again"}))
    await script(core, again, "one", again, "two")

    assert [answer(await say(session)) for _ in range(2)] == ["says one", "says two"]


@host_check("TRN.24")
async def a_call_that_a_hook_asks_for_counts(bench: HostBench) -> None:
    """With one call allowed, an answer that a hook is not content with is the last."""
    directives = {"checkpoint before_completion": [adds("are you sure?")]}
    core = await bench.core("a", max_turns=1, options={"a": {"directives": directives}})
    session = await opened(core)
    await script(core, "first", "second")

    assert (answer(await say(session)), len(await core.requests())) == ("stopped max_turns", 1)


@host_check("TRN.28")
async def a_failure_that_repeats_ends_a_committed_turn(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Four attempts may each be repeated and fail: no fifth, and what they had said is nowhere."""
    cut = {"chunks": ["half"], "error": {"kind": "transport", "retryable": True, "message": "cut", "retry_after_ms": 1}}
    await script(core, cut, cut, cut, cut, "fine")

    report = await say(session, "hi")

    assert answer(report) == "stopped provider_error"
    issue = report["errors"][0]
    assert ("cut" in issue["message"], len(await core.requests())) == (True, 4)
    assert (issue["provider_failure_kind"], issue["retryable"]) == ("transport", True)
    assert stored_lines(await bench.stored()) == ["user: hi"]
    assert answer(await say(session, "more")) == "says fine"


@host_check("TRN.40")
async def every_counter_is_summed(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """What was cached and what was reasoned too, each of two calls of a turn, and the two models of a session apart."""
    usage = {
        "input_tokens": 7, "output_tokens": 3, "cache_read_input_tokens": 5, "cache_write_input_tokens": 2,
        "reasoning_output_tokens": 1,
    }  # fmt: skip
    await script(core, calls(("echo", {"text": "x"})) | {"usage": usage}, {"text": "done", "usage": usage}, {"text": "fine", "usage": usage})
    first = await say(session, "hi")
    await session.configure({"model": "m-2"})
    await say(session, "more")

    twice = {name: 2 * count for name, count in usage.items()}
    assert {name: first["usage"][name] for name in usage} == twice
    told = {one["model"]: one["usage"] for one in (await session.read("usage_report"))["by_model"]}
    assert {model: {name: spent[name] for name in usage} for model, spent in told.items()} == {"m-1": twice, "m-2": usage}
    ledger = {entry.model: entry.usage.to_data() for entry in (await bench.loaded()).token_ledger}
    assert {model: {name: spent[name] for name in usage} for model, spent in ledger.items()} == {"m-1": twice, "m-2": usage}


@host_check("TRN.40")
async def every_frame_is_billed(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """A turn that goes on in another frame spent both calls, though its report is of the last."""
    await script(core, calls(("switch_frame", {"frame_id": "f2", "task": "go on"})), "done")
    await say(session, "hi")

    assert spent(await session.read("usage_report")) == (20, 10)
    assert [entry.usage.input_tokens for entry in (await bench.loaded()).token_ledger] == [20]


@host_check("TRN.41")
async def a_repeated_call_spends_what_it_ended_with(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """What the attempt that broke off had streamed of its usage is not added."""
    broken = {"kind": "transport", "retryable": True, "message": "cut", "retry_after_ms": 1}
    await script(core, {"chunks": ["half"], "streamed_usage": {"input_tokens": 3, "output_tokens": 3}, "error": broken}, "whole")

    report = await say(session, "hi")

    assert (answer(report), spent(report)) == ("says whole", (10, 5))
    assert [entry.usage.input_tokens for entry in (await bench.loaded()).token_ledger] == [10]


@host_check("TRN.44")
async def a_turn_is_run_once_under_its_id(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Asked for again it is answered as before, or refused; the model is not asked, and the store stays."""
    await script(core, "hello", "again")
    await say(session, "hi", turn_id="t1")
    before = await bench.stored()

    try:
        again = answer(await say(session, "hi", turn_id="t1"))
    except LashError:
        again = "says hello"

    assert (again, len(await core.requests())) == ("says hello", 1)
    assert await bench.stored() == before


@host_check("TRN.4")
async def a_turn_that_lost_its_store_is_forgotten(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """The store fails at the checkpoint after a tool: the turn is refused, and the next one knows nothing of it."""
    await script(core, calls(("echo", {"text": "x"})))
    await bench.line(core).fail("claim_checkpoint_work")
    await refused(say(session, "forget this"))
    await bench.line(core).fail()

    await exchange(core, session, "hi", "hello")

    assert asked((await core.requests())[-1]) == ["user: hi"]
    assert stored_lines(await bench.stored()) == ["user: hi", "assistant: hello"]
