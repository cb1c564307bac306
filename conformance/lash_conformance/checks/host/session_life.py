"""Checks of parking, resuming, closing and deleting sessions, and of their lease ([SES.30] to [SES.66])."""

from typing import Any

from lash_conformance.check import host_check
from lash_conformance.host import HostCore
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import (
    answer,
    exchange,
    opened,
    refusal,
    refused,
    say,
    script,
    stored_lines,
    transcript,
)

RESET = {"slots": {"guidance": {"reset": True, "contributions": [{"slot": "guidance", "content": "patched"}]}}}


@host_check("SES.30")
async def a_live_clone_keeps_a_session_from_parking(bench: HostBench) -> None:
    """The park is refused, nothing is committed, and the clone goes on and can park."""
    core = await bench.core()
    session = await opened(core)
    await session.configure({"model": "m-2"})
    clone = await session.clone()

    await refusal("SessionStillInUse", session.park())

    assert await bench.revision() == 0
    assert answer(await exchange(core, clone, "hi", "hello")) == "says hello"


@host_check("SES.30")
async def a_running_turn_keeps_a_session_from_parking(bench: HostBench) -> None:
    """The park is refused while the turn runs, and the turn ends as if nobody had asked."""
    core = await bench.core()
    session = await opened(core)
    await script(core, {"text": "hello", "gate": "g"})
    running = bench.start(say(session, "hi"))
    await core.reached("g")

    await refusal("SessionStillInUse", session.park())

    await core.release("g")
    assert answer(await running) == "says hello"
    assert stored_lines(await bench.stored()) == ["user: hi", "assistant: hello"]


@host_check("SES.31")
async def a_live_clone_keeps_a_session_from_closing(bench: HostBench) -> None:
    """The close is refused, nothing is committed, and the clone still works."""
    core = await bench.core()
    session = await opened(core)
    await session.configure({"model": "m-2"})
    clone = await session.clone()

    await refusal("SessionStillInUse", session.close())

    assert await bench.revision() == 0
    assert answer(await exchange(core, clone, "hi", "hello")) == "says hello"


@host_check("SES.32")
async def a_session_without_a_store_cannot_be_parked(bench: HostBench) -> None:
    """It is refused, and the session goes on."""
    core = await bench.core(store="none")
    session = await opened(core)

    await refusal("Session", session.park())


@host_check("SES.33")
async def parking_and_closing_commit_what_was_configured(bench: HostBench) -> None:
    """The model set after the last turn is stored by either."""
    core = await bench.core(model="m-1")
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    await session.configure({"model": "m-parked"})
    await session.park()
    parked = (await bench.loaded()).config.model.id
    again = await opened(core, "s1", model="m-parked")
    await again.configure({"model": "m-closed"})
    await again.close()

    assert (parked, (await bench.loaded()).config.model.id) == ("m-parked", "m-closed")


@host_check("SES.33")
async def parking_commits_a_fresh_start(bench: HostBench) -> None:
    """A session opened fresh and parked without a turn has replaced the stored one."""
    core = await bench.core()
    old = await opened(core)
    await exchange(core, old, "hi", "hello")
    await old.close()

    await (await opened(core, "s1", how="fresh")).park()

    assert stored_lines(await bench.stored()) == []


@host_check("SES.33")
async def parking_commits_what_a_plugin_changed(bench: HostBench) -> None:
    """State that a plugin changed after the turn was kept is stored by the park."""
    core = await bench.core("a", options={"a": {"changes_at": ["event turn_persisted"]}})
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    before = (await bench.loaded()).checkpoint.plugin_snapshot.value

    await session.park()

    after = (await bench.loaded()).checkpoint.plugin_snapshot.value
    assert [each["plugins"]["a"]["meta"]["state"] for each in (before, after)] == [{"n": 0}, {"n": 1}]


@host_check("SES.34")
async def a_clean_session_is_parked_and_closed_without_a_commit(bench: HostBench) -> None:
    """The head revision stays."""
    core = await bench.core()
    session = await opened(core)
    await exchange(core, session, "hi", "hello")

    again = await core.resume(await session.park())
    await again.close()

    assert await bench.revision() == 1


@host_check("SES.35")
async def a_park_whose_flush_fails_is_told(bench: HostBench) -> None:
    """The store's refusal surfaces, and the stored session is as before."""
    core = await bench.core()
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    await session.configure({"model": "m-2"})
    bench.power(core).failing["commit_runtime_state"] = bench.unreachable()

    await refused(session.park())

    assert (await bench.revision(), (await bench.loaded()).config.model.id) == (1, "m-1")


@host_check("SES.36")
async def the_flush_takes_and_returns_its_own_lease(bench: HostBench) -> None:
    """The lane is free after a dirty park, and its fencing number shows that it was held."""
    core = await bench.core()
    session = await opened(core)
    await session.configure({"model": "m-2"})
    await session.park()

    lease = await bench.take_lane()

    assert lease.fencing_token == 2


@host_check("SES.37")
async def a_busy_lane_fails_a_dirty_park_and_close(bench: HostBench) -> None:
    """Nothing is committed while another worker holds the lane."""
    core = await bench.core()
    one, other = await opened(core, "s1"), await opened(core, "s2")
    for session in (one, other):
        await session.configure({"model": "m-2"})
    await bench.take_lane("s1")
    await bench.take_lane("s2")

    await refused(one.park())
    await refused(other.close())

    assert (await bench.revision("s1"), await bench.revision("s2")) == (0, 0)


@host_check("SES.38")
async def a_resumed_session_goes_on(bench: HostBench) -> None:
    """Transcript and usage are those of the park, and the model sees the history."""
    core = await bench.core()
    session = await opened(core)
    await exchange(core, session, "hi", "hello")

    again = await core.resume(await session.park())

    assert await transcript(again) == ["user: hi", "assistant: hello"]
    assert answer(await exchange(core, again, "more", "fine")) == "says fine"
    assert [one["text"] for one in (await core.requests())[-1]["messages"]] == ["hi", "hello", "more"]
    assert (await again.read("usage_report"))["usage"]["input_tokens"] == 20


@host_check("SES.39")
async def an_empty_parked_session_keeps_its_policy(bench: HostBench) -> None:
    """A session parked before its first turn resumes with the model that its builder chose."""
    core = await bench.core(model="m-1")
    session = await opened(core, "s1", model="m-2")

    again = await core.resume(await session.park())

    assert await transcript(again) == []
    assert (await again.read("policy"))["model"]["id"] == "m-2"


@host_check("SES.40")
async def resuming_brings_back_the_core_s_plugins_only(bench: HostBench) -> None:
    """The counter of the core is there; the pool that only the builder bound is not."""
    core = await bench.core("counter")
    session = await opened(core, "s1", plugins=("pool",))
    await exchange(core, session, "hi", "hello")
    bound = await session.read("active_tools")

    again = await core.resume(await session.park())

    assert (bound, await again.read("active_tools")) == (["borrow", "count"], ["count"])


@host_check("SES.41")
async def what_was_configured_is_in_force(bench: HostBench) -> None:
    """The next turn uses model and prompt, and so does the first after park and resume."""
    core = await bench.core(model="m-1")
    session = await opened(core)
    await session.configure({"model": "m-2", "prompt": RESET})
    await exchange(core, session, "hi", "hello")

    again = await core.resume(await session.park())
    await exchange(core, again, "more", "fine")

    asked = await core.requests()
    assert [one["model"] for one in asked] == ["m-2", "m-2"]
    assert ["patched" in one["system"] for one in asked] == [True, True]


@host_check("SES.41")
async def a_patch_without_a_turn_survives_the_park(bench: HostBench) -> None:
    """What was configured after the last turn is there after park and resume on another core."""
    core = await bench.core(model="m-1")
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    await session.configure({"model": "m-2"})

    again = await core.resume(await session.park())
    await exchange(core, again, "more", "fine")

    assert [one["model"] for one in await core.requests()] == ["m-1", "m-2"]


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


@host_check("SES.49")
async def a_child_knows_its_parent(bench: HostBench) -> None:
    """The given parent is answered; a root has none; the store's factory was told."""
    core = await bench.core()
    child, root = await opened(core, "kid", parent="s1"), await opened(core, "s1")

    relation = next(
        args[0].relation for name, _, args in bench.power(core).calls
        if name == "create_store" and args[0].session_id == "kid"
    )  # fmt: skip
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


@host_check("SES.60")
async def a_turn_on_a_held_lane_is_busy(bench: HostBench) -> None:
    """It is refused at once, nothing changes, and it runs when the lane is free."""
    core = await bench.core()
    session = await opened(core)
    lease = await bench.take_lane()

    await refusal("Runtime", say(session, "hi"), runtime_code="session_execution_busy")

    assert (await transcript(session), await bench.revision()) == ([], 0)
    await bench.free_lane(lease)
    assert answer(await exchange(core, session, "hi", "hello")) == "says hello"


@host_check("SES.61")
async def a_drain_on_a_held_lane_answers_none(bench: HostBench) -> None:
    """The input stays pending and runs when the lane is free."""
    core = await bench.core()
    session = await opened(core)
    await session.call("enqueue", {"text": "later"})
    lease = await bench.take_lane()

    assert await session.queued_turn() is None

    await bench.free_lane(lease)
    await script(core, "now")
    assert answer(await session.queued_turn()) == "says now"


@host_check("SES.62", needs=("clock",))
async def a_lost_lease_ends_the_turn_without_a_commit(bench: HostBench) -> None:
    """Another worker takes the lane over mid-turn: the turn fails as lost and its words are nowhere."""
    core = await bench.core()
    session = await opened(core)
    await script(core, {"text": "late", "gate": "g"})
    running = bench.start(say(session, "hi"))
    await core.reached("g")
    await bench.after_expiry()
    await bench.take_lane()

    await core.release("g")

    await refusal("Runtime", running, runtime_code="session_execution_lease_lost")
    assert await bench.stored() is None


@host_check("SES.63")
async def a_turn_starts_from_the_moved_head(bench: HostBench) -> None:
    """A handle opened before another handle's turn shows that turn to the model and commits after it."""
    core = await bench.core()
    early, other = await opened(core), await opened(core)
    await exchange(core, other, "first", "1")

    await exchange(core, early, "second", "2")

    asked = (await core.requests())[-1]["messages"]
    assert [one["text"] for one in asked] == ["first", "1", "second"]
    assert stored_lines(await bench.stored()) == ["user: first", "assistant: 1", "user: second", "assistant: 2"]


@host_check("SES.64")
async def a_finished_turn_leaves_the_lane_free(bench: HostBench) -> None:
    """Another worker can claim at once."""
    core = await bench.core()
    session = await opened(core)
    await exchange(core, session, "hi", "hello")

    await bench.free_lane(await bench.take_lane())

    assert answer(await exchange(core, session, "more", "fine")) == "says fine"


@host_check("SES.65")
async def a_failed_commit_keeps_nothing(bench: HostBench) -> None:
    """The turn fails as store_commit_failed, the store is as before, and the next turn starts from there."""
    core = await bench.core()
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    bench.power(core).failing["commit_runtime_state"] = bench.unreachable()
    await script(core, "lost")

    await refusal("Runtime", say(session, "more"), runtime_code="store_commit_failed")

    assert stored_lines(await bench.stored()) == ["user: hi", "assistant: hello"]
    bench.power(core).failing.clear()
    await bench.after_expiry()
    await exchange(core, session, "again", "kept")
    assert stored_lines(await bench.stored())[2:] == ["user: again", "assistant: kept"]


@host_check("SES.66")
async def only_a_busy_lane_is_worth_a_retry(bench: HostBench) -> None:
    """A busy lane says retryable; a clone in the way, a missing provider and a failed commit do not."""
    core = await bench.core()
    session = await opened(core)
    lease = await bench.take_lane()
    busy = await refusal("Runtime", say(session, "hi"), runtime_code="session_execution_busy")
    await bench.free_lane(lease)
    clone = await session.clone()
    in_use = await refusal("SessionStillInUse", session.park())
    bench.power(core).failing["commit_runtime_state"] = bench.unreachable()
    await script(core, "lost")
    failed = await refusal("Runtime", say(session, "more"), runtime_code="store_commit_failed")

    await clone.drop()
    told = [await bench.target.pure("is_retryable", {"code": e.code, "fields": e.fields}) for e in (busy, in_use, failed)]
    assert told == [True, False, False]
