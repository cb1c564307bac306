"""Checks of deleting, cloning and reading sessions, and of their stored nodes ([SES.42] to [SES.50])."""

from typing import Any

from lash_conformance.check import host_check
from lash_conformance.host import HostCore
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import (
    answer,
    exchange,
    opened,
    refusal,
    say,
    script,
    stored_lines,
    transcript,
)


@host_check("SES.42")
async def deleting_needs_a_factory(bench: HostBench) -> None:
    """A core without one refuses."""
    core = await bench.core(store="none")

    await refusal("MissingSessionStoreFactory", core.delete("s1"))


@host_check("SES.43")
async def a_deleted_session_is_gone(bench: HostBench) -> None:
    """It opens empty, its store holds nothing, and another session stays."""
    core = await bench.core()
    for session_id in ("s1", "s2"):
        session = await opened(core, session_id)
        await exchange(core, session, "hi", "hello")
        await session.close()

    report = await core.delete("s1")

    assert report["session_id"] == "s1"
    assert await bench.stored("s1") is None
    assert await transcript(await opened(core, "s1")) == []
    assert await transcript(await opened(core, "s2")) == ["user: hi", "assistant: hello"]


@host_check("SES.44")
async def a_session_without_a_store_closes(bench: HostBench) -> None:
    """After a turn in memory it closes without complaint, and its id opens empty."""
    core = await bench.core(store="none")
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    seen = await transcript(session)

    await session.close()

    assert seen == ["user: hi", "assistant: hello"]
    assert await transcript(await opened(core)) == []


async def _abandoned(core: HostCore) -> Any:
    """Session "s1" with an abandoned branch; the branch's node ids and the path's."""
    session = await opened(core)
    await exchange(core, session, "root", "r")
    stem = (await session.call("export_state", {}))["session_graph"]
    await exchange(core, session, "left", "l")
    all_nodes = (await session.call("export_state", {}))["session_graph"]["nodes"]
    await session.call("branch_to_node", {"node_id": stem["leaf_node_id"]})
    await exchange(core, session, "right", "x")
    await session.close()
    return [node["node_id"] for node in all_nodes[2:]], stem["nodes"][0]["node_id"]


@host_check("SES.45")
async def a_node_that_is_not_resident_is_found(bench: HostBench) -> None:
    """An active-path session finds a node of the abandoned branch, and none for an unknown id."""
    left, root = await _abandoned(await bench.core())
    session = await opened(await bench.core(residency="active_path_only"))

    found = [await session.call("get_historic_node", {"node_id": one}) for one in (left[0], root, "nowhere")]

    assert [node and node["node_id"] for node in found] == [left[0], root, None]


@host_check("SES.46")
async def orphaned_ids_are_those_off_the_path(bench: HostBench) -> None:
    """Both nodes of the abandoned branch, and nothing else; none before the first commit."""
    core = await bench.core()
    empty = await opened(core, "s2")
    assert await empty.call("orphaned_node_ids", {}) == []
    left, _ = await _abandoned(core)
    session = await opened(core)

    assert sorted(await session.call("orphaned_node_ids", {})) == sorted(left)


@host_check("SES.47")
async def stored_nodes_need_a_store(bench: HostBench) -> None:
    """Without one both questions are refused rather than answered with none."""
    core = await bench.core(store="none")
    session = await opened(core)

    await refusal("Session", session.call("get_historic_node", {"node_id": "nowhere"}))
    await refusal("Session", session.call("orphaned_node_ids", {}))


@host_check("SES.48")
async def clones_share_one_session(bench: HostBench) -> None:
    """What a clone configures and runs, the other handle shows."""
    core = await bench.core()
    session = await opened(core)
    clone = await session.clone()
    await clone.configure({"model": "m-2"})
    await exchange(core, clone, "hi", "hello")

    assert await transcript(session) == ["user: hi", "assistant: hello"]
    assert (await session.read("policy"))["model"]["id"] == "m-2"
    assert answer(await exchange(core, session, "more", "fine")) == "says fine"
    assert await transcript(clone) == ["user: hi", "assistant: hello", "user: more", "assistant: fine"]


@host_check("SES.48")
async def turns_of_clones_follow_each_other(bench: HostBench) -> None:
    """A turn asked for while a clone's runs waits for it, sees what it said, and both are committed."""
    core = await bench.core()
    session = await opened(core)
    clone = await session.clone()
    await script(core, {"text": "first", "gate": "g"}, "second")
    running = bench.start(say(session, "one"))
    await core.reached("g")
    waiting = bench.start(say(clone, "two"))
    await bench.breathe()
    before = len(await core.requests())
    await core.release("g")

    assert [answer(await one) for one in (running, waiting)] == ["says first", "says second"]

    assert before == 1
    assert stored_lines(await bench.stored()) == ["user: one", "assistant: first", "user: two", "assistant: second"]


@host_check("STA.12")
async def appended_nodes_are_history(bench: HostBench) -> None:
    """Appended between two turns: stored at once, chained behind the first, and read by the model in the second."""
    core = await bench.core()
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    notes = [{"kind": "message", "message": {"role": "System", "content": one}} for one in ("note one", "note two")]

    ids = await session.call("append_nodes", {"nodes": notes})

    read = await bench.loaded()
    assert (ids, read.graph.leaf_node_id) == ([node.node_id for node in read.graph.nodes[2:]], ids[1])
    assert stored_lines(read) == ["user: hi", "assistant: hello", "system: note one", "system: note two"]
    await exchange(core, session, "more", "fine")
    assert [one["text"] for one in (await core.requests())[-1]["messages"]] == ["hi", "hello", "note one", "note two", "more"]


@host_check("SES.49")
async def a_child_knows_its_parent(bench: HostBench) -> None:
    """The given parent is answered; a root has none; the store's factory was told."""
    core = await bench.core()
    child, root = await opened(core, "kid", parent="s1"), await opened(core, "s1")

    asked = [call.arguments[0] for call in await bench.sent(core, "create_store")]
    relation = next(one.relation for one in asked if one.session_id == "kid")
    assert await child.read("parent_session_id") == "s1"
    assert await root.read("parent_session_id") is None
    assert relation.parent_session_id == "s1"


@host_check("SES.50")
async def reading_changes_nothing_stored(bench: HostBench) -> None:
    """Every read of a clean session, a park and a resume leave the stored session as it was."""
    core = await bench.core("counter", tools=("echo",))
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    before = await bench.loaded()
    for what in ("policy", "transcript", "usage_report", "tool_state", "frames", "active_tools"):
        await session.read(what)
    await session.observe()

    await core.resume(await session.park())

    assert await bench.stored() == before
