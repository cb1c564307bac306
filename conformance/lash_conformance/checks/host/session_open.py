"""Checks of opening sessions ([SES.1] to [SES.23])."""

from typing import Any

from lash_conformance.check import host_check
from lash_conformance.host import HostCore
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import (
    answer,
    calls,
    exchange,
    opened,
    refusal,
    say,
    script,
    stored_lines,
    transcript,
)
from lash_ref.records import AgentFrameRecord


@host_check("SES.1")
async def an_unknown_id_opens_empty(bench: HostBench) -> None:
    """The transcript is empty and the policy is the core's, under the builder's changes."""
    core = await bench.core(model="m-core", max_turns=7)

    session = await opened(core, "s1", max_turns=3)

    policy = await session.read("policy")
    assert await transcript(session) == []
    assert (policy["model"]["id"], policy["max_turns"], policy["provider_id"]) == ("m-core", 3, "prov")
    assert await session.read("session_id") == "s1"


@host_check("SES.1")
async def ids_that_look_alike_are_of_two_sessions(bench: HostBench) -> None:
    """Another case, a blank, a slash, a colon, a letter written otherwise: each opens empty, and keeps what is its own."""
    core = await bench.core()
    alike = ("caf\u00e9", "CAF\u00c9", "cafe\u0301", "caf\u00e9 ", "caf\u00e9/", "caf\u00e9:1", "x" * 200)
    for number, session_id in enumerate(alike):
        session = await opened(core, session_id)
        assert (await transcript(session), await session.read("session_id")) == ([], session_id)
        await exchange(core, session, f"q{number}", f"a{number}")

    for number, session_id in enumerate(alike):
        assert stored_lines(await bench.stored(session_id)) == [f"user: q{number}", f"assistant: a{number}"]


@host_check("SES.2", needs=("durable",))
async def a_committed_session_is_restored(bench: HostBench) -> None:
    """Another core sees transcript, frames, usage, turn index and tools, and goes on."""
    first = await bench.core(tools=("echo", "fail"))
    one = await opened(first)
    await exchange(first, one, "hi", "hello")
    frames = await one.read("frames")
    await one.close()
    second = await bench.core(tools=("echo", "fail"))

    again = await opened(second)

    usage = await again.read("usage_report")
    assert await transcript(again) == ["user: hi", "assistant: hello"]
    assert [AgentFrameRecord.from_data(one) for one in await again.read("frames")] == [AgentFrameRecord.from_data(one) for one in frames]
    assert await again.read("turn_index") == 1
    assert (usage["usage"]["input_tokens"], usage["usage"]["output_tokens"]) == (10, 5)
    assert await again.read("active_tools") == ["echo", "fail"]
    assert answer(await exchange(second, again, "more", "again")) == "says again"
    assert (await second.requests())[0]["messages"][0] == {"role": "user", "text": "hi"}


@host_check("SES.3")
async def an_explicit_store_wins(bench: HostBench) -> None:
    """The turn is in the explicit store and the factory's store is empty."""
    core = await bench.core()
    session = await opened(core, "s1", store="other")

    await exchange(core, session, "hi", "hello")

    assert stored_lines(await bench.stored(other=True)) == ["user: hi", "assistant: hello"]
    assert await bench.stored() is None


@host_check("SES.4")
async def a_state_of_another_session_is_refused(bench: HostBench) -> None:
    """The refusal names the state's id and the requested one."""
    core = await bench.core()
    session = await opened(core, "s1")
    state = await session.call("export_state", {})

    await refusal("StoreSessionMismatch", opened(core, "s2", how="state", state=state), loaded="s1", requested="s2")


@host_check("SES.5")
async def a_factory_that_fails_is_named(bench: HostBench) -> None:
    """The refusal is StoreFactory and carries the session id."""
    core = await bench.core()
    await bench.line(core).fail("create_store")

    await refusal("StoreFactory", opened(core, "s9"), session_id="s9")


@host_check("SES.6")
async def the_builder_reconfigures_what_comes(bench: HostBench) -> None:
    """After reopening with another model the next call uses it; an older frame keeps its own."""
    core = await bench.core(tools=("switch_frame",), model="m-old")
    session = await opened(core)
    await script(core, calls(("switch_frame", {"frame_id": "f2", "task": "go on"})), "done")
    await say(session, "hi")
    await session.close()

    again = await opened(core, "s1", model="m-new", max_turns=9)
    await exchange(core, again, "more", "fine")

    models = [frame["assignment"]["policy"]["model"]["id"] for frame in await again.read("frames")]
    policy = await again.read("policy")
    assert (await core.requests())[-1]["model"] == "m-new"
    assert (policy["model"]["id"], policy["max_turns"]) == ("m-new", 9)
    assert models == ["m-old", "m-new"]


@host_check("SES.6")
async def the_builder_reconfigures_a_given_state(bench: HostBench) -> None:
    """A state opened with another model and limit runs under these."""
    core = await bench.core(model="m-old", max_turns=5)
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    state = await session.call("export_state", {})
    await session.close()

    again = await opened(core, "s1", how="state", state=state, model="m-new", max_turns=9)
    await exchange(core, again, "more", "fine")

    policy = await again.read("policy")
    assert (policy["model"]["id"], policy["max_turns"]) == ("m-new", 9)
    assert (await core.requests())[-1]["model"] == "m-new"


@host_check("SES.7")
async def the_recorded_provider_survives(bench: HostBench) -> None:
    """A session first run with one provider asks the same one after reopening with another."""
    core = await bench.core(providers=("prov", "spare"))
    session = await opened(core, "s1", provider="spare")
    await exchange(core, session, "hi", "hello")
    await session.close()

    again = await opened(core, "s1")
    await exchange(core, again, "more", "fine")

    assert [one["provider"] for one in await core.requests()] == ["spare", "spare"]


@host_check("SES.8")
async def an_unknown_provider_fails_the_turn_not_the_open(bench: HostBench) -> None:
    """The session opens and shows its transcript; its turn fails with llm_provider."""
    first = await bench.core(providers=("gone",))
    one = await opened(first)
    await exchange(first, one, "hi", "hello")
    await one.close()
    second = await bench.core(providers=("prov",))

    again = await opened(second)

    assert await transcript(again) == ["user: hi", "assistant: hello"]
    await refusal("Runtime", say(again, "more"), runtime_code="llm_provider")


@host_check("SES.9")
async def a_stale_provider_of_the_frame_is_repaired(bench: HostBench) -> None:
    """A state whose current frame names another provider opens with the session's."""
    core = await bench.core()
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    state = await session.call("export_state", {})
    await session.close()
    state["agent_frames"][-1]["assignment"]["policy"]["provider_id"] = "stale"

    again = await opened(core, "s1", how="state", state=state)

    assert [f["assignment"]["policy"]["provider_id"] for f in await again.read("frames")] == ["prov"]


@host_check("SES.10")
async def a_fresh_open_starts_over(bench: HostBench) -> None:
    """Nothing of the stored session is seen, by the host or by the model."""
    core = await bench.core()
    old = await opened(core)
    await exchange(core, old, "hi", "hello")
    await old.close()

    fresh = await opened(core, "s1", how="fresh")

    assert await transcript(fresh) == []
    assert await fresh.read("turn_index") == 0
    await exchange(core, fresh, "anew", "yes")
    assert (await core.requests())[-1]["messages"] == [{"role": "user", "text": "anew"}]


@host_check("SES.11")
async def the_first_commit_after_a_fresh_open_replaces_all(bench: HostBench) -> None:
    """The store holds exactly the new nodes, on and off the path."""
    core = await bench.core()
    old = await opened(core)
    await exchange(core, old, "hi", "hello")
    await old.close()
    fresh = await opened(core, "s1", how="fresh")

    await exchange(core, fresh, "anew", "yes")

    read = await bench.loaded()
    assert stored_lines(read) == ["user: anew", "assistant: yes"]
    assert len(read.graph.nodes) == 2


@host_check("SES.12")
async def a_given_state_is_used_instead_of_the_stored(bench: HostBench) -> None:
    """A state exported after one turn shows that turn, though the store holds two."""
    core = await bench.core()
    session = await opened(core)
    await exchange(core, session, "one", "1")
    state = await session.call("export_state", {})
    await exchange(core, session, "two", "2")
    await session.close()

    again = await opened(core, "s1", how="state", state=state)

    assert await transcript(again) == ["user: one", "assistant: 1"]


async def _branched(core: HostCore) -> Any:
    """Session "s1" with a turn on each of two branches; answers the ids of the abandoned branch."""
    session = await opened(core)
    await exchange(core, session, "root", "r")
    stem = (await session.call("export_state", {}))["session_graph"]["leaf_node_id"]
    await exchange(core, session, "left", "l")
    nodes = (await session.call("export_state", {}))["session_graph"]["nodes"]
    await session.call("branch_to_node", {"node_id": stem})
    await exchange(core, session, "right", "x")
    await session.close()
    return [node["node_id"] for node in nodes[-2:]]


@host_check("SES.13")
async def active_path_residency_reads_and_holds_the_path_only(bench: HostBench) -> None:
    """The store is asked for the active path, and the abandoned branch is not resident."""
    core = await bench.core()
    left = await _branched(core)
    lean = await bench.core(residency="active_path_only")

    session = await opened(lean)

    state = await session.call("export_state", {})
    scopes = [type(call.arguments[0]).__name__ for call in await bench.sent(lean, "load_session")]
    assert scopes == ["ActivePath"]
    assert await transcript(session) == ["user: root", "assistant: r", "user: right", "assistant: x"]
    assert set(left) & {node["node_id"] for node in state["session_graph"]["nodes"]} == set()


@host_check("SES.14")
async def full_residency_holds_every_node(bench: HostBench) -> None:
    """The abandoned branch is resident too."""
    core = await bench.core()
    left = await _branched(core)
    again = await bench.core(residency="keep_all")

    session = await opened(again)

    state = await session.call("export_state", {})
    assert set(left) <= {node["node_id"] for node in state["session_graph"]["nodes"]}


@host_check("SES.15")
async def a_dangling_leaf_does_not_empty_the_session(bench: HostBench) -> None:
    """An active-path open of a session whose stored leaf names nothing shows the conversation, and mends the store."""
    core = await bench.core()
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    await session.close()
    await bench.dangle()
    lean = await bench.core(residency="active_path_only")

    again = await opened(lean)

    assert await transcript(again) == ["user: hi", "assistant: hello"]
    await exchange(lean, again, "more", "fine")
    assert stored_lines(await bench.stored()) == ["user: hi", "assistant: hello", "user: more", "assistant: fine"]


@host_check("SES.16")
async def active_path_residency_needs_a_store(bench: HostBench) -> None:
    """A session that would trim what it cannot load again is refused."""
    core = await bench.core(residency="active_path_only", store="none")

    await refusal("Session", opened(core))


@host_check("SES.17")
async def an_environment_needs_a_plugin_host(bench: HostBench) -> None:
    """An environment without a plugin host makes no runtime."""
    await refusal("Session", bench.pure("from_environment", {"plugin_host": False, "session_id": "s1"}))


@host_check("SES.18")
async def a_tool_whose_source_is_gone_is_an_orphan(bench: HostBench) -> None:
    """The session opens, keeps the tool's entry as orphaned, and does not offer it."""
    first = await bench.core(tools=("echo", "fail"))
    one = await opened(first)
    await exchange(first, one, "hi", "hello")
    await one.close()
    second = await bench.core(tools=("echo",))

    again = await opened(second)

    tools = (await again.read("tool_state"))["tools"]
    assert await again.read("active_tools") == ["echo"]
    assert tools["kit:fail"]["orphaned"] is True


@host_check("SES.19")
async def a_failing_restore_fails_the_open(bench: HostBench) -> None:
    """The plugin's refusal is told and the stored session stays as it was."""
    core = await bench.core("counter")
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    await session.close()
    broken = await bench.core("counter", "a", options={"a": {"fails_at": ["restore"]}})
    before = await bench.revision()

    refused = await refusal("Session", opened(broken))

    assert "broken at restore" in str(refused)
    assert await bench.revision() == before


@host_check("SES.20")
async def plugins_hear_once_that_the_session_was_restored(bench: HostBench) -> None:
    """On a first open and on a reopen, after the plugin's own restore."""
    core = await bench.core("a")
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    await session.close()
    second = await bench.core("a")

    await opened(second)

    first = [entry for entry in await core.journal() if entry == "a event session_restored"]
    again = [e for e in await second.journal() if e.startswith(("a restore", "a event session_restored"))]
    assert len(first) == 1
    assert [entry.split(" ")[1] for entry in dict.fromkeys(again)] == ["restore", "event"]
    assert again.count("a event session_restored") == 1


@host_check("SES.21")
async def two_handles_exclude_each_other(bench: HostBench) -> None:
    """While one handle's turn runs, the other's is refused as busy; afterwards it runs."""
    core = await bench.core()
    one, other = await opened(core), await opened(core)
    await script(core, {"text": "first", "gate": "g"})
    running = bench.start(say(one, "a"))
    await core.reached("g")

    await refusal("Runtime", say(other, "b"), runtime_code="session_execution_busy")

    await core.release("g")
    assert answer(await running) == "says first"
    assert answer(await exchange(core, other, "b", "second")) == "says second"


@host_check("SES.22")
async def opening_takes_no_lease(bench: HostBench) -> None:
    """Another worker can claim the lane while the session is open, and the session runs a turn afterwards."""
    core = await bench.core()
    session = await opened(core)

    await bench.free_lane(await bench.take_lane())

    await exchange(core, session, "hi", "hello")
    assert stored_lines(await bench.stored()) == ["user: hi", "assistant: hello"]


@host_check("SES.23")
async def an_old_policy_is_refused(bench: HostBench) -> None:
    """A frame whose policy holds `provider`, or a field nobody knows, is refused and not half read."""
    core = await bench.core()
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    state = await session.call("export_state", {})

    for key, value in (("provider", {"kind": "openai"}), ("mood", "sunny")):
        policy = state["policy"] | {key: value}
        await refusal("InvalidRecord", opened(core, "s1", how="state", state=state | {"policy": policy}))
