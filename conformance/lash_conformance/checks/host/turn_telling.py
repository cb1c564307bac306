"""Checks of what a turn takes in and tells: attachments, usage, the stored turn state, notices ([TRN.12], [TRN.35], [TRN.41], [TRN.46], [TRN.47])."""

from lash_conformance.check import host_check
from lash_conformance.host import HostCore, HostSession, TurnSpec
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import answer, calls, exchange, opened, say, script, spent, wrote


@host_check("TRN.35")
async def plugins_hear_of_a_turn_without_a_store(bench: HostBench) -> None:
    """Both notices, once each, though nothing is committed."""
    core = await bench.core("a", store="none")
    await exchange(core, await opened(core), "hi", "hello")

    told = await wrote(core, "a event turn_")
    assert told == ["a event turn_finalized", "a event turn_persisted 2"]


@host_check("TRN.47")
async def a_turn_is_finalized_behind_its_hooks(bench: HostBench) -> None:
    """Two plugins: both have been asked when the first is told."""
    core = await bench.core("a", "b")
    await exchange(core, await opened(core), "hi", "hello")

    told = await wrote(core, "a after_turn", "b after_turn", "a event turn_finalized", "b event turn_finalized")
    assert told[:2] == ["a after_turn", "b after_turn"]
    assert sorted(told[2:]) == ["a event turn_finalized", "b event turn_finalized"]


@host_check("TRN.46")
async def the_turn_state_tells_what_was_spent(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Of two calls the usage is the sum and the prompt the last; a turn that asks no model spends nothing and leaves the prompt."""
    await script(core, calls(("echo", {"text": "x"})), {
        "text": "done", "usage": {"input_tokens": 7, "output_tokens": 3, "cache_read_input_tokens": 5, "cache_write_input_tokens": 2},
    })  # fmt: skip
    await say(session, "hi")
    first = (await bench.loaded()).checkpoint.turn_state
    await session.fire("now")
    await say(session, "stop", cancel="now")
    second = (await bench.loaded()).checkpoint.turn_state

    assert (first.token_usage.input_tokens, first.token_usage.output_tokens) == (17, 8)
    assert (second.token_usage.input_tokens, second.token_usage.output_tokens) == (0, 0)
    for state in (first, second):
        prompt = state.last_prompt_usage
        assert prompt is not None, "the last prompt had 14 tokens, yet the stored turn state tells none"
        assert (prompt.input_tokens, prompt.prompt_context_tokens) == (7, 14)


@host_check("TRN.41")
async def a_final_usage_of_nothing_is_empty(core: HostCore, session: HostSession) -> None:
    """A provider that ends with zeros has spent what it streamed."""
    report = await exchange(core, session, "hi", {
        "text": "a", "streamed_usage": {"input_tokens": 2, "output_tokens": 2}, "usage": {"input_tokens": 0, "output_tokens": 0},
    })  # fmt: skip

    assert spent(report) == (2, 2)


@host_check("TRN.12")
async def every_attachment_is_looked_at(core: HostCore, session: HostSession) -> None:
    """One that a tool of the session put, then one that nobody did: the second ends the turn."""
    await script(core, calls(("put", {"text": "here"})), "done")
    known = (await say(session))["tool_calls"][0]["output"]["outcome"]["payload"]
    items = [
        {"type": "attachment", "source": {"source": "stored", "attachment_ref": {"id": id, "media_type": "text/plain", "byte_len": 4}}}
        for id in (known, "0" * 64)
    ]
    asked = len(await core.requests())

    assert answer(await session.turn(TurnSpec(items=tuple(items)))) == "stopped invalid_input"
    assert len(await core.requests()) == asked
