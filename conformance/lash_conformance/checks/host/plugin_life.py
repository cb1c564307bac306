"""Plugins: lifecycle events and bindings (PLG.30 to PLG.44)."""

from lash_conformance.check import host_check
from lash_conformance.host import HostCore
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import (
    answer,
    asked,
    calls,
    exchange,
    opened,
    refusal,
    say,
    script,
    stored_lines,
    within,
    wrote,
)
from lash_conformance.store_faults import COMMIT

# -- lifecycle events


@host_check("PLG.30")
async def every_open_is_told_once(bench: HostBench) -> None:
    """A new session, then the same one reopened."""
    core = await bench.core("a")
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    assert await wrote(core, "a event session_restored") == ["a event session_restored"]

    await session.close()
    await opened(core)
    assert await wrote(core, "a event session_restored") == ["a event session_restored"] * 2


@host_check("PLG.31")
async def observers_of_one_event_stand_side_by_side(bench: HostBench) -> None:
    """Both wait inside the same event; the turn ends once both are through."""
    point = "event turn_persisted"
    core = await bench.core("a", "b", options={name: {"waits": {point: f"gate {name}"}} for name in "ab"})
    session = await opened(core)
    await script(core, "hello")
    turn = bench.start(say(session))
    await within(core.reached("gate a"))
    await within(core.reached("gate b"))
    assert not turn.done()
    await core.release("gate a")
    await core.release("gate b")

    assert answer(await turn) == "says hello"
    assert sorted(line for line in await wrote(core, "a event", "b event") if line.endswith("done")) == [
        "a event turn_persisted 2 done",
        "b event turn_persisted 2 done",
    ]


@host_check("PLG.32")
async def a_failing_observer_changes_nothing(bench: HostBench) -> None:
    """It fails before the commit and after it."""
    fails = ["event turn_finalized", "event turn_persisted"]
    core = await bench.core("a", options={"a": {"fails_at": fails}})
    session = await opened(core)

    assert answer(await exchange(core, session, "hi", "hello")) == "says hello"
    assert answer(await exchange(core, session, "again", "still here")) == "says still here"
    assert stored_lines(await bench.stored()) == ["user: hi", "assistant: hello", "user: again", "assistant: still here"]


async def _stored_at(bench: HostBench, point: str) -> tuple[bool, int]:
    """Whether the answer is stored while a plugin stands at ``point``, and how often the turn came there."""
    core = await bench.core("a", options={"a": {"waits": {point: "gate"}}})
    session = await opened(core)
    await script(core, "hello")
    turn = bench.start(say(session))
    await within(core.reached("gate"))
    seen = "assistant: hello" in stored_lines(await bench.stored())
    await core.release("gate")
    await turn
    lines = await wrote(core, f"a {point}")
    return seen, len([line for line in lines if not line.endswith("done")])


@host_check("PLG.33")
async def finalized_comes_before_the_commit(bench: HostBench) -> None:
    """Nothing is stored while a plugin looks at the finalized turn; it is told once."""
    assert await _stored_at(bench, "event turn_finalized") == (False, 1)


@host_check("PLG.34")
async def persisted_comes_after_the_commit(bench: HostBench) -> None:
    """The turn is stored while a plugin hears of it; it is told once."""
    assert await _stored_at(bench, "event turn_persisted") == (True, 1)


@host_check("PLG.34")
async def persisted_shows_the_committed_history(bench: HostBench) -> None:
    """Question and answer, and then four messages."""
    core = await bench.core("a")
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    await exchange(core, session, "and", "so on")

    assert await wrote(core, "a event turn_persisted") == [
        "a event turn_persisted 2",
        "a event turn_persisted 4",
    ]


@host_check("PLG.35")
async def a_failed_commit_persists_nothing(bench: HostBench) -> None:
    """The store refuses; plugins hear of the finalized turn only."""
    core = await bench.core("a")
    session = await opened(core)
    await bench.line(core).fail(COMMIT)
    await script(core, "hello")
    await refusal("Runtime", say(session))

    told = await wrote(core, "a event turn")
    assert told == ["a event turn_finalized"]


@host_check("PLG.36")
async def a_config_change_tells_both_policies(bench: HostBench) -> None:
    """Another model."""
    core = await bench.core("a")
    session = await opened(core)
    await session.configure({"model": "m-2"})

    assert await wrote(core, "a event session_config") == ["a event session_config_changed m-1 m-2"]


@host_check("PLG.37")
async def an_equal_config_is_no_change(bench: HostBench) -> None:
    """The model it has already; then another, to see that the hook works."""
    core = await bench.core("a")
    session = await opened(core)
    await session.configure({"model": "m-1"})
    await session.configure({"model": "m-2"})

    assert await wrote(core, "a event session_config") == ["a event session_config_changed m-1 m-2"]


@host_check("PLG.38")
async def mutators_are_piped_before_the_event(bench: HostBench) -> None:
    """The second gets what the first returned; the event tells the last."""
    core = await bench.core("b", "a", options={"a": {"mutates": "-a"}, "b": {"mutates": "-b"}})
    session = await opened(core)
    await session.configure({"model": "m-2"})

    assert await wrote(core, "a event session_config") == ["a event session_config_changed m-1 m-2-b-a"]
    assert (await session.read("policy"))["model"]["id"] == "m-2-b-a"


@host_check("PLG.39")
async def a_failing_mutator_is_skipped(bench: HostBench) -> None:
    """The first fails; the second's change and the host's hold."""
    options = {"b": {"mutates": "-b", "fails_at": ["mutator"]}, "a": {"mutates": "-a"}}
    session = await opened(await bench.core("b", "a", options=options))
    await session.configure({"model": "m-2"})

    assert (await session.read("policy"))["model"]["id"] == "m-2-a"


# -- bindings


@host_check("PLG.40")
async def a_required_input_is_missed_before_anything_runs(bench: HostBench) -> None:
    """No model is asked, nothing is stored."""
    core = await bench.core()
    session = await opened(core, plugins=("bound",))
    await script(core, "hello")

    await refusal("MissingPluginTurnInput", say(session), plugin_id="bound")

    assert (await core.requests(), await bench.revision()) == ([], 0)


async def _told(core: HostCore, word: str | None, binding: str = "bound") -> tuple[str, str]:
    session = await opened(core, plugins=(binding,))
    await script(core, calls(("tell", {})), "ok")
    await say(session, plugin_inputs={} if word is None else {binding: {"word": word}})
    first, second = await core.requests()
    return first["system"], asked(second)[-1]


@host_check("PLG.41", "PLG.42")
async def a_turn_input_is_read_early_and_frozen(bench: HostBench) -> None:
    """The prompt and the preparation see it; execution sees what was frozen."""
    system, result = await _told(await bench.core(store="none"), "plum")

    assert "word: plum" in system
    assert result == "tool: frozen plum live none"


@host_check("PLG.43")
async def an_optional_input_may_be_absent(bench: HostBench) -> None:
    """The turn runs and the tool finds nothing."""
    _, result = await _told(await bench.core(), None, "bound_optional")

    assert result == "tool: frozen none live none"


@host_check("PLG.44")
async def a_binding_belongs_to_its_session(bench: HostBench) -> None:
    """The neighbour is not offered its tool."""
    core = await bench.core()
    bound, free = await opened(core, "s1", plugins=("bound_optional",)), await opened(core, "s2")
    await exchange(core, bound, "hi", "hello")
    await exchange(core, free, "hi", "hello")

    assert [request["tools"] for request in await core.requests()] == [["tell"], []]
