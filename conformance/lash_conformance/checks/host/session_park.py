"""Checks of parking, resuming, closing and configuring sessions ([SES.30] to [SES.41], [SES.51])."""


from lash_conformance.check import host_check
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import (
    answer,
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
from lash_conformance.store_faults import COMMIT

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
    await session.drop()
    assert await transcript(await core.resume(await clone.park())) == ["user: hi", "assistant: hello"]


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
    before = await bench.revision()

    again = await core.resume(await session.park())
    await again.close()

    assert (before > 0, await bench.revision()) == (True, before)


@host_check("SES.35")
async def a_park_whose_flush_fails_is_told(bench: HostBench) -> None:
    """The store's refusal surfaces, and the stored session is as before."""
    core = await bench.core()
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    await session.configure({"model": "m-2"})
    await bench.line(core).fail(COMMIT)

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
    """A session parked before its first turn resumes with the model, the limit and the prompt that its builder chose."""
    core = await bench.core(model="m-1")
    session = await opened(core, "s1", model="m-2", max_turns=3, prompt=RESET)
    before = await session.read("policy")

    again = await core.resume(await session.park())

    after = await again.read("policy")
    assert await transcript(again) == []
    assert (after["model"]["id"], after["max_turns"], after) == ("m-2", 3, before)


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
async def a_patch_changes_what_it_names(bench: HostBench) -> None:
    """Prompt, then provider, then model: each leaves the others as they are, in the next turn and after park and resume."""
    core = await bench.core(providers=("prov", "spare"))
    session = await opened(core, "s1", max_turns=9)
    for patch in ({"prompt": RESET}, {"provider": "spare"}, {"model": "m-2"}):
        await session.configure(patch)
    await exchange(core, session, "hi", "hello")

    again = await core.resume(await session.park())
    await exchange(core, again, "more", "fine")

    asked = await core.requests()
    assert [(one["provider"], one["model"], "patched" in one["system"]) for one in asked] == [("spare", "m-2", True)] * 2
    assert (await again.read("policy"))["max_turns"] == 9


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


@host_check("SES.51")
async def a_handle_that_is_over_refuses(bench: HostBench) -> None:
    """Parked, closed or dropped: no turn, no change and no other end of it is taken, and nothing reaches model or store."""
    core = await bench.core()
    witness = await opened(core)
    await exchange(core, witness, "hi", "hello")
    before = await bench.stored()
    await script(core, "late")
    for end in ("park", "close", "drop"):
        session = await opened(core)
        clone = await session.clone() if end == "drop" else None
        await getattr(session, end)()

        await refusal("SessionConsumed", say(session, "late"))
        await refusal("SessionConsumed", session.configure({"model": "m-2"}))
        await refusal("SessionConsumed", session.clone())
        for again in ("park", "close"):
            await refusal("SessionConsumed", getattr(session, again)())
        if clone is not None:
            assert (await clone.read("policy"))["model"]["id"] == "m-1"

    assert (len(await core.requests()), await bench.stored()) == (1, before)


@host_check("SES.51")
async def a_handle_that_is_over_queues_nothing(bench: HostBench) -> None:
    """Nor does it drain: the input that waits goes on waiting."""
    core = await bench.core()
    session, witness = await opened(core), await opened(core)
    row = await session.call("enqueue", {"text": "waits"})
    await session.close()
    await script(core, "late")

    await refusal("SessionConsumed", session.call("enqueue", {"text": "late"}))
    await refusal("SessionConsumed", session.call("cancel_pending_turn_input", {"input_id": row["input_id"]}))
    await refusal("SessionConsumed", session.queued_turn())

    assert named(await witness.call("pending_turn_inputs", {}), "input_id") == [row["input_id"]]


@host_check("SES.51", needs=("line",))
async def a_session_that_is_being_parked_takes_no_turn(bench: HostBench) -> None:
    """The turn begins while the flush stands at its commit: it is refused, and the park is whole."""
    core = await bench.core()
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    await session.configure({"model": "m-2"})
    await script(core, "late")
    await bench.line(core).halt("before", 1)
    parking = bench.start(session.park())
    await bench.ended(parking, core)
    late = bench.start(say(session, "late"))
    await bench.breathe()

    await bench.line(core).go_on()
    parked = await parking

    await refusal("SessionConsumed", late)
    resumed = await core.resume(parked)
    assert (await transcript(resumed), (await resumed.read("policy"))["model"]["id"]) == (
        ["user: hi", "assistant: hello"], "m-2",
    )  # fmt: skip


@host_check("SES.51", "SES.35", needs=("line",))
async def a_session_whose_park_failed_goes_on(bench: HostBench) -> None:
    """The flush is refused by the store: the handle is as before, and the next turn keeps what was configured."""
    core = await bench.core()
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    await session.configure({"model": "m-2"})
    await bench.line(core).fail(COMMIT)
    await refusal("Runtime", session.park(), runtime_code="store_commit_failed")
    await bench.line(core).fail()
    await bench.after_expiry()

    assert answer(await exchange(core, session, "more", "fine")) == "says fine"
    assert (await core.requests())[-1]["model"] == "m-2"


@host_check("SES.33")
async def a_refresh_does_not_hide_what_is_to_be_kept(bench: HostBench) -> None:
    """Configured, then refreshed over another handle's turn: the park still stores it."""
    core = await bench.core()
    session, worker = await opened(core), await opened(core)
    await exchange(core, session, "hi", "hello")
    await session.configure({"model": "m-2"})
    await exchange(core, worker, "more", "fine")
    await session.call("refresh_background_graph", {})

    await session.park()

    read = await bench.loaded()
    assert (read.config.model.id, stored_lines(read)) == ("m-2", ["user: hi", "assistant: hello", "user: more", "assistant: fine"])


@host_check("SES.41")
async def the_frame_is_under_what_was_configured(bench: HostBench) -> None:
    """The current frame's policy, shown at once and stored with the next turn."""
    core = await bench.core()
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    await session.configure({"model": "m-2"})
    shown = (await session.read("frames"))[-1]["assignment"]["policy"]["model"]["id"]
    await exchange(core, session, "more", "fine")

    stored = (await bench.loaded()).agent_frames[-1].assignment.policy.value["model"]["id"]
    assert (shown, stored) == ("m-2", "m-2")
