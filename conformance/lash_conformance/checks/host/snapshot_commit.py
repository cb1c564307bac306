"""Plugin snapshots: the commit that they are part of (SNP.40 to SNP.50)."""

from typing import Any

from lash_conformance.check import host_check
from lash_conformance.host import Data, HostSession
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import (
    opened,
    refusal,
    say,
    script,
    stored_lines,
    wrote,
    wrote_once,
)
from lash_conformance.plugin_words import (
    COUNTS,
    counted,
    entries,
    run_again,
    turns,
)
from lash_conformance.store_faults import COMMIT


@host_check("SNP.40", needs=("durable",))
async def messages_and_plugin_state_are_stored_together(bench: HostBench) -> None:
    """The process dies before or after any commit; what is found agrees."""
    for side in ("before", "after"):
        for number in (1, 2, 3):
            session_id = f"{side}{number}"
            core = await bench.core("a", options={"a": COUNTS})
            session = await opened(core, session_id)
            await bench.line(core).halt(side, number)
            await script(core, "one", "two")

            async def both(session: HostSession = session) -> None:
                await say(session)
                await say(session)

            turns = bench.start(both())
            await bench.ended(turns, core)
            await bench.crash(core)
            stored = await bench.stored(session_id)
            if stored is None:
                assert (side, number) == ("before", 1)
                continue
            answers = [told for told in stored_lines(stored) if told.startswith("assistant")]
            assert (await entries(bench, session_id))["a"]["meta"]["state"] == {"n": len(answers)}


@host_check("SNP.41", needs=("durable",))
async def a_failed_commit_leaves_the_stored_snapshot(bench: HostBench) -> None:
    """The second turn's commit is refused; the next process finds the first's state."""
    core = await bench.core("a", options={"a": COUNTS})
    session = await opened(core)
    await turns(core, session)
    await bench.line(core).fail(COMMIT)
    await script(core, "lost")
    await refusal("Runtime", say(session))
    await bench.crash(core)
    await bench.after_expiry()

    again, _ = await run_again(bench, "a", a=COUNTS)

    assert await wrote_once(again, "a restore") == ['a restore 1 {"n":1}']


@host_check("SNP.42")
async def changes_at_the_end_of_a_turn_belong_to_it(bench: HostBench) -> None:
    """In the after hook, and when the turn is finalized."""
    core = await bench.core("a", "b", options={"a": COUNTS, "b": {"changes_at": ["event turn_finalized"]}})
    await turns(core, await opened(core))

    assert (await counted(bench, "a"), await counted(bench, "b")) == (1, 1)


LATE: Data = {"changes_at": ["event turn_persisted"]}


@host_check("SNP.43")
async def changes_after_the_commit_come_with_the_next(bench: HostBench) -> None:
    """Not in this turn's commit, but in the next one's."""
    core = await bench.core("a", options={"a": LATE})
    session = await opened(core)
    seen: list[Any] = []
    for _ in range(2):
        await turns(core, session)
        seen.append(await counted(bench))

    assert seen == [0, 1]


@host_check("SNP.44")
async def park_and_close_store_what_changed(bench: HostBench) -> None:
    """State changed after the last commit is in the store when the session is put away."""
    for session_id, verb in (("s1", "park"), ("s2", "close")):
        core = await bench.core("a", options={"a": LATE})
        session = await opened(core, session_id)
        await turns(core, session)
        await (session.park() if verb == "park" else session.close())

        assert (await entries(bench, session_id))["a"]["meta"]["state"] == {"n": 1}


@host_check("SNP.44")
async def what_could_not_be_captured_is_stored_when_put_away(bench: HostBench) -> None:
    """The turn's capture failed; the session is parked without another turn."""
    core = await bench.core("a", options={"a": COUNTS | {"fails_at": ["snapshot"], "fail_times": 1}})
    session = await opened(core)
    await turns(core, session)
    await session.park()

    assert await counted(bench) == 1


@host_check("SNP.45")
async def a_clean_session_is_put_away_without_a_commit(bench: HostBench) -> None:
    """Parked, resumed, closed: the revision is that of the turn."""
    core = await bench.core("a", options={"a": COUNTS})
    session = await opened(core)
    await turns(core, session)
    before = await bench.revision()
    session = await core.resume(await session.park())
    await session.close()

    assert await bench.revision() == before


@host_check("SNP.46")
async def a_session_without_a_store_cannot_be_parked(bench: HostBench) -> None:
    """There is nothing it could be resumed from, and it is told so."""
    session = await opened(await bench.core(store="none"))

    await refusal("Session", session.park())


@host_check("SNP.47")
async def a_shared_session_is_not_put_away(bench: HostBench) -> None:
    """A clone lives; nothing is stored and the clone goes on."""
    core = await bench.core("a", options={"a": LATE})
    for session_id, verb in (("s1", "park"), ("s2", "close")):
        session = await opened(core, session_id)
        await turns(core, session)
        clone = await session.clone()
        before = await bench.revision(session_id)
        await refusal("SessionStillInUse", session.park() if verb == "park" else session.close())

        assert await bench.revision(session_id) == before
        await turns(core, clone)


@host_check("SNP.48")
async def exported_state_names_snapshots(bench: HostBench) -> None:
    """A reference, no body."""
    core = await bench.core("a", options={"a": COUNTS})
    session = await opened(core)
    await turns(core, session)

    state = await session.call("export_state", {})

    assert state["plugin_snapshot_ref"] is not None
    assert [name for name in ("plugin_snapshot", "tool_state_snapshot") if state.get(name) is not None] == []


@host_check("SNP.49", "SNP.50")
async def a_fork_inherits_and_a_fresh_child_does_not(bench: HostBench) -> None:
    """The parent counted two turns."""
    core = await bench.core("a", options={"a": COUNTS})
    session = await opened(core)
    await turns(core, session, 2)
    await session.call("children.create", {"session_id": "kid", "fork": True})
    assert await wrote(core, "a restore") == ['a restore 1 {"n":2}']
    await session.call("children.create", {"session_id": "other", "fork": False})
    assert await wrote(core, "a restore") == ['a restore 1 {"n":2}']


@host_check("SNP.49")
async def a_fork_counts_for_itself(bench: HostBench) -> None:
    """What the child counts is the child's: the parent goes on from where it was."""
    core = await bench.core("a", options={"a": COUNTS})
    session = await opened(core)
    await turns(core, session, 2)
    await session.call("children.create", {"session_id": "kid", "fork": True})
    await script(core, "from the kid")
    await session.call("children.turn", {"session_id": "kid", "text": "go"})
    await turns(core, session)

    assert await counted(bench) == 3


@host_check("SNP.51")
async def a_fork_is_offered_what_its_parent_is(bench: HostBench) -> None:
    """A tool that the parent's host took out is not offered to the fork; a fresh child is offered every tool."""
    core = await bench.core(tools=("echo", "fail"))
    session = await opened(core)
    await session.call("tools.set_membership", {"tool_id": "kit:fail", "member": False})
    for child, fork in (("kid", True), ("other", False)):
        await session.call("children.create", {"session_id": child, "fork": fork})
        await script(core, "ok")
        await session.call("children.turn", {"session_id": child, "text": "go"})

    assert [one["tools"] for one in await core.requests()] == [["echo"], ["echo", "fail"]]
