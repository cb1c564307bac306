"""Checks of one turn: its commit, identity and input ([TRN.1] to [TRN.17], [TRN.35] to [TRN.42])."""

from lash_conformance.check import host_check
from lash_conformance.host import Data, HostCore, HostSession, TurnSpec
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import (
    activities,
    answer,
    calls,
    exchange,
    opened,
    refusal,
    say,
    script,
    spent,
    stored_lines,
    text,
    transcript,
    wrote,
)
from lash_conformance.store_faults import COMMIT

GUIDANCE = {"slots": {"guidance": {"reset": False, "contributions": [{"slot": "guidance", "content": "be brief"}]}}}
REPLACED = {"slots": {"guidance": {"reset": True, "contributions": [{"slot": "guidance", "content": "be loud"}]}}}
CLEARED: Data = {"slots": {"guidance": {"reset": True, "contributions": []}}}

DURABLE = ("session_store", "attachment_store", "process_env_store")


@host_check("TRN.1")
async def a_turn_adds_one_question_and_one_answer(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """In the session's view and in the store, after one turn and after two."""
    report = await exchange(core, session, "hi", {"chunks": ["hel", "lo"]})
    once = await transcript(session)
    await exchange(core, session, "more", "fine")

    assert (answer(report), once) == ("says hello", ["user: hi", "assistant: hello"])
    assert stored_lines(await bench.stored()) == [
        "user: hi", "assistant: hello", "user: more", "assistant: fine",
    ]  # fmt: skip


@host_check("TRN.2")
async def turns_are_counted(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """One and two, in the view and in the stored checkpoint."""
    await exchange(core, session, "hi", "hello")
    first = await session.read("turn_index")
    await exchange(core, session, "more", "fine")

    assert (first, await session.read("turn_index")) == (1, 2)
    assert (await bench.loaded()).checkpoint.turn_state.turn_index == 2


@host_check("TRN.3")
async def a_turn_is_one_commit(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Messages, turn state, usage, tool state and stamp, with tools in between, are in the only commit."""
    await script(core, calls(("echo", {"text": "ping"})), "done")
    await say(session, "hi", turn_id="t1")

    read = await bench.loaded()
    stamps = [commit.turn_commit and commit.turn_commit.turn_id for commit in await bench.commits(core)]
    assert (stamps, read.head_revision) == (["t1"], 1)
    assert (read.checkpoint.turn_state.turn_index, len(read.token_ledger)) == (1, 1)
    assert read.checkpoint.tool_state is not None
    assert stored_lines(read)[-1] == "assistant: done"


@host_check("TRN.4")
async def a_turn_that_errs_leaves_the_store_as_it_was(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """The store refuses the commit: nothing changed, and the same words can be said again without a double."""
    await exchange(core, session, "hi", "hello")
    before = await bench.stored()
    await bench.line(core).fail(COMMIT)
    await script(core, "lost")

    await refusal("Runtime", say(session, "more"), runtime_code="store_commit_failed")

    assert await bench.stored() == before
    await bench.line(core).fail()
    await bench.after_expiry()
    await exchange(core, session, "more", "fine")
    assert (await transcript(session))[2:] == ["user: more", "assistant: fine"]
    assert stored_lines(await bench.stored())[2:] == ["user: more", "assistant: fine"]


@host_check("TRN.5")
async def prose_around_tools_is_committed_once(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """What the model said before its tool and after it are each in the history once."""
    await script(core, calls(("echo", {"text": "ping"}), says="let me see"), {"chunks": ["all ", "done"]})
    await say(session, "hi")

    stored = " | ".join(stored_lines(await bench.stored()))
    assert (stored.count("let me see"), stored.count("all done")) == (1, 1)


@host_check("TRN.6")
async def only_a_value_is_announced(core: HostCore, session: HostSession) -> None:
    """A prose answer ends without a terminal activity; a finishing tool gives exactly one, the last."""
    prose = await exchange(core, session, "hi", {"chunks": ["hel", "lo"]})
    value = await exchange(core, session, "more", calls(("finish", {"value": 3})))

    assert activities(prose) == ["model_request_started", "prose hel", "prose lo", "usage"]
    assert activities(value) == [
        "model_request_started", "usage", "started finish", "completed finish", "tool value finish = 3",
    ]  # fmt: skip
    assert answer(value) == "tool finish = 3"


@host_check("TRN.7")
async def the_turn_id_stamps_the_commit(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """The id given to a turn, and that given to a drain; a different one for each turn when none is given."""
    await script(core, "1", "2", "3", "4")
    await say(session, "a", turn_id="mine")
    await say(session, "b")
    await say(session, "c")
    await session.call("enqueue", {"text": "d"})
    await session.queued_turn(drain_id="ours")

    stamps = [commit.turn_commit.turn_id for commit in await bench.commits(core) if commit.turn_commit]
    assert (stamps[0], stamps[3]) == ("mine", "ours")
    assert (len(stamps), len(set(stamps))) == (4, 4)


@host_check("TRN.8")
async def two_names_for_one_turn_are_refused(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Nothing runs."""
    await refusal(
        "Runtime", say(session, "hi", turn_id="t1", trace_turn_id="t2"),
        runtime_code="execution_scope_turn_id_mismatch",
    )  # fmt: skip

    assert (await core.requests(), await bench.stored()) == ([], None)


@host_check("TRN.9")
async def a_blank_turn_id_is_refused(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Nothing runs."""
    await refusal("Runtime", say(session, "hi", turn_id="  "), runtime_code="missing_execution_scope_id")

    assert (await core.requests(), await bench.stored()) == ([], None)


@host_check("TRN.10")
async def a_required_plugin_input_is_required(bench: HostBench) -> None:
    """The turn is refused before the model is asked; with the input it runs."""
    core = await bench.core(store="none")
    session = await opened(core, "s1", plugins=("bound",))

    await refusal("MissingPluginTurnInput", say(session, "hi"), plugin_id="bound")

    assert await core.requests() == []
    await script(core, "hello")
    assert answer(await say(session, "hi", plugin_inputs={"bound": {"word": "w"}})) == "says hello"


@host_check("TRN.11")
async def live_inputs_need_a_session_without_a_store(bench: HostBench, core: HostCore) -> None:
    """On a stored session they are refused and nothing is committed."""
    session = await opened(core, "s1", plugins=("bound",))

    await refusal(
        "Runtime", say(session, "hi", plugin_inputs={"bound": {"word": "w"}}),
        runtime_code="durable_effect_live_plugin_input",
    )  # fmt: skip

    assert (await core.requests(), await bench.stored()) == ([], None)


@host_check("TRN.12")
async def unreadable_input_is_a_committed_turn(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """An attachment nobody stored ends as InvalidInput; the model is not asked, and the session goes on."""
    ghost = {"id": "0" * 64, "media_type": "image/png", "byte_len": 3}
    item = {"type": "attachment", "source": {"source": "stored", "attachment_ref": ghost}}

    report = await session.turn(TurnSpec(items=(item,)))

    assert answer(report) == "stopped invalid_input"
    assert (await core.requests(), await bench.revision()) == ([], 1)
    assert answer(await exchange(core, session, "hi", "hello")) == "says hello"


@host_check("TRN.13")
async def adjacent_texts_are_one_part(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Three text items are one user message of one part."""
    await script(core, "hello")
    await session.turn(TurnSpec(items=text("a", "b", "c")))

    first = (await bench.loaded()).graph.nodes[0].event.value["Conversation"]
    assert (first["role"], len(first["parts"])) == ("User", 1)
    assert [first["parts"][0]["content"].count(letter) for letter in "abc"] == [1, 1, 1]


@host_check("TRN.14")
async def a_provider_for_one_turn_is_forgotten(bench: HostBench) -> None:
    """The next turn asks the session's own, and that one is stored."""
    core = await bench.core(providers=("prov", "spare"))
    session = await opened(core)
    await script(core, "1", "2")
    await say(session, "a", provider="spare")
    await say(session, "b")

    assert [one["provider"] for one in await core.requests()] == ["spare", "prov"]
    assert (await bench.loaded()).config.provider_id == "prov"


@host_check("TRN.15")
async def a_prompt_for_one_turn_is_forgotten(bench: HostBench) -> None:
    """It stands beside the core's and the session's in that turn, and only there."""
    core = await bench.core(prompt={"slots": {"guidance": {"contributions": [{"slot": "guidance", "content": "from the core"}]}}})
    session = await opened(core, "s1", prompt=GUIDANCE)
    await script(core, "1", "2")
    turn = {"slots": {"guidance": {"contributions": [{"slot": "guidance", "content": "for this turn"}]}}}
    await say(session, "a", prompt=turn)
    await say(session, "b")

    first, second = [one["system"] for one in await core.requests()]
    assert [words in first for words in ("from the core", "be brief", "for this turn")] == [True, True, True]
    assert [words in second for words in ("from the core", "be brief", "for this turn")] == [True, True, False]


@host_check("TRN.16")
async def a_reset_slot_discards_the_layers_below(bench: HostBench) -> None:
    """A turn that replaces the slot shows its own words alone; one that clears it shows none."""
    core = await bench.core()
    session = await opened(core, "s1", prompt=GUIDANCE)
    await script(core, "1", "2")
    await say(session, "a", prompt=REPLACED)
    await say(session, "b", prompt=CLEARED)

    first, second = [one["system"] for one in await core.requests()]
    assert [words in first for words in ("be brief", "be loud")] == [False, True]
    assert [words in second for words in ("be brief", "be loud")] == [False, False]


@host_check("TRN.17")
async def a_turn_s_options_are_laid_over_the_session_s(bench: HostBench) -> None:
    """One key of two is overridden for one turn; the other stays, and the next turn has both as before."""
    core = await bench.core("options")
    session = await opened(core)
    state = await session.call("export_state", {})
    state["protocol_turn_options"] = {"schema_version": 1, "payload": {"kept": 1, "changed": 1}}
    session = await opened(core, "s1", how="state", state=state)
    await script(core, "1", "2")
    await say(session, "a", options={"schema_version": 1, "payload": {"changed": 2}})
    await say(session, "b")

    first, second = [one["system"].replace(" ", "") for one in await core.requests()]
    assert '"payload":{"changed":2,"kept":1}' in first
    assert '"payload":{"changed":1,"kept":1}' in second


@host_check("TRN.35")
async def plugins_hear_before_and_after_the_commit(bench: HostBench) -> None:
    """TurnFinalized comes before the commit and TurnPersisted after it, each once."""
    core = await bench.core("a")
    session = await opened(core)
    seen = [await bench.at_commit(core, exchange(core, session, "hi", "hello"), core.journal()), await core.journal()]

    def events(journal: list[str]) -> list[str]:
        return [entry for entry in journal if entry.startswith("a event turn_")]

    assert events(seen[0]) == ["a event turn_finalized"]
    assert events(seen[1]) == ["a event turn_finalized", "a event turn_persisted 2"]


@host_check("TRN.36", "SNP.40")
async def a_replayed_turn_runs_no_tool_again(bench: HostBench) -> None:
    """The first commit was lost with its process; the turn is driven again from its journal: one count in all, and it is stored."""
    core = await bench.core("counter", journal=True, durable=DURABLE)
    session = await opened(core)
    await script(core, calls(("count", {})), "done")
    await bench.line(core).halt("before", 1)
    bench.start(say(session, "hi", turn_id="t1"))
    await bench.line(core).halted()
    before = await core.journal()
    await bench.crash(core)
    await bench.after_expiry()
    second = await bench.core("counter", journal=True, durable=DURABLE)

    report = await say(await opened(second), "hi", turn_id="t1")

    counted = [entry for entry in before + await second.journal() if entry == "counter count"]
    assert answer(report) == "says done"
    assert len(counted) == 1
    assert await second.requests() == []
    snapshot = (await bench.loaded()).checkpoint.plugin_snapshot.value
    assert snapshot["plugins"]["counter"]["meta"]["state"] == {"count": 1}


@host_check("TRN.37")
async def a_foreign_response_moves_nothing(bench: HostBench) -> None:
    """The machine that awaits the first model call ignores a response to effect 99."""
    found = await bench.pure("machine", {"steps": ["start", {"response": 99}]})

    assert found["before"] == found["after"]


@host_check("TRN.38")
async def a_restored_machine_asks_for_the_same_effect(bench: HostBench) -> None:
    """The outstanding effect of a machine and of the one restored from its checkpoint are equal."""
    found = await bench.pure("machine", {"steps": ["start", "restore"]})

    assert found["outstanding"] == found["redelivered"]
    assert len(found["outstanding"]) == 1


@host_check("TRN.39")
async def an_aborting_plugin_stops_a_committed_turn(bench: HostBench) -> None:
    """The outcome is PluginAbort, the user's message is stored, and the next turn runs."""
    abort = {"kind": "abort_turn", "code": "kit_abort", "message": "not now"}
    core = await bench.core("a", options={"a": {"directives": {"before_turn": [abort]}}})
    session = await opened(core)

    report = await say(session, "hi")

    assert answer(report) == "stopped plugin_abort"
    assert await core.requests() == []
    assert stored_lines(await bench.stored()) == ["user: hi"]
    assert answer(await exchange(core, session, "more", "fine")) == "says fine"


@host_check("TRN.40")
async def usage_is_the_sum_over_the_calls(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Two calls of 10/5 and 7/3 tokens: in the report, in the session's report, and in the stored ledger."""
    await script(
        core, calls(("echo", {"text": "x"})),
        {"text": "done", "usage": {"input_tokens": 7, "output_tokens": 3}},
    )  # fmt: skip

    report = await say(session, "hi")

    assert spent(report) == (17, 8)
    assert spent(await session.read("usage_report")) == (17, 8)
    ledger = (await bench.loaded()).token_ledger
    assert [(e.model, e.usage.input_tokens, e.usage.output_tokens) for e in ledger] == [("m-1", 17, 8)]


@host_check("TRN.41")
async def the_final_usage_wins(core: HostCore, session: HostSession) -> None:
    """A call that streamed 1/1 and ended with 10/5 spent 10/5; one that ended with none spent what it streamed."""
    first = await exchange(core, session, "hi", {"text": "a", "streamed_usage": {"input_tokens": 1, "output_tokens": 1}})
    second = await exchange(
        core, session, "more",
        {"text": "b", "streamed_usage": {"input_tokens": 2, "output_tokens": 2}, "usage": {}},
    )  # fmt: skip

    assert (spent(first), spent(second)) == ((10, 5), (2, 2))


async def _phases(core: HostCore) -> list[str]:
    """The phases that the probe was told, in order."""
    return [told.split()[1] for told in await wrote(core, "probe ")]


@host_check("TRN.42")
async def a_probe_is_told_every_phase(core: HostCore, session: HostSession) -> None:
    """Of two turns alike, in the same order; of none before it was set."""
    await exchange(core, session, "before", "hello")
    await session.call("set_turn_phase_probe", {})
    told: list[list[str]] = []
    for _ in range(2):
        seen = len(await _phases(core))
        await script(core, calls(("echo", {"text": "x"})), "done")
        await say(session, "hi")
        told.append((await _phases(core))[seen:])

    assert len(told[0]) > 1
    assert told[0] == told[1]


@host_check("TRN.42")
async def a_probe_holds_the_turn(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """At the gate of its first phase it goes no further; once it is opened the turn ends."""
    await session.call("set_turn_phase_probe", {})
    await exchange(core, session, "hi", "hello")
    first = (await _phases(core))[0]
    before = await bench.stored()
    await script(core, "fine")
    gate = bench.start(core.reached(f"probe {first}"))
    await bench.breathe()
    running = bench.start(say(session, "more"))
    async with bench.promptly():
        await gate
    await bench.breathe()

    assert (running.done(), await bench.stored()) == (False, before)

    await core.release(f"probe {first}")
    assert answer(await running) == "says fine"
