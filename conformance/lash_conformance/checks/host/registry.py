"""The tool registry: surface, applied states, restored states (area REG)."""

from typing import Any, cast

from lash_conformance.check import host_check
from lash_conformance.host import Data, HostCore, HostSession
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import (
    answer,
    asked,
    calls,
    exchange,
    failures,
    opened,
    refusal,
    refused,
    say,
    script,
    wrote,
)


async def _offered(core: HostCore, session: HostSession) -> list[str]:
    """The tools that a turn offers the model, sorted."""
    await exchange(core, session, "hi", "hello")
    return sorted((await core.requests())[-1]["tools"])


async def _shelf(
    bench: HostBench, *offers: Data, tools: tuple[str, ...] = ()
) -> tuple[HostCore, HostSession]:
    core = await bench.core("shelf", tools=tools, options={"shelf": {"offers": list(offers)}})
    return core, await opened(core)


async def _leave(core: HostCore, session: HostSession) -> None:
    """Run one turn, so that there is a head, and put the session away."""
    await exchange(core, session, "hi", "hello")
    await session.close()
    await core.close()


ECHO: Data = {"tool": "echo"}
FAIL: Data = {"tool": "fail"}


# -- the surface


@host_check("REG.1")
async def advertised_tools_are_members(bench: HostBench) -> None:
    """Both of them, with nothing said about membership."""
    core = await bench.core(tools=("echo", "fail"))
    session = await opened(core)

    state = await session.call("tools.state", {})
    assert sorted(state["tools"]) == ["kit:echo", "kit:fail"]
    assert [entry.get("member", True) for entry in state["tools"].values()] == [True, True]
    assert await _offered(core, session) == ["echo", "fail"]


@host_check("REG.2")
async def the_tool_state_names_no_sources(bench: HostBench) -> None:
    """An entry has a manifest and at most two flags."""
    _, session = await _shelf(bench, ECHO, tools=("fail",))

    state = await session.call("tools.state", {})

    assert sorted(state) == ["generation", "tools"]
    assert {name for entry in state["tools"].values() for name in entry} <= {"manifest", "orphaned", "member"}


@host_check("REG.3")
async def every_session_shows_its_tools(bench: HostBench) -> None:
    """With tools and without; before any turn."""
    bare = await opened(await bench.core(), "s1")
    full = await opened(await bench.core(tools=("echo",)), "s2")

    assert (await bare.call("tools.state", {}))["tools"] == {}
    assert list((await full.call("tools.state", {}))["tools"]) == ["kit:echo"]


@host_check("REG.4")
async def a_turn_offers_what_is_advertised_when_it_starts(bench: HostBench) -> None:
    """A tool comes between two turns, another goes."""
    core, session = await _shelf(bench, ECHO)
    assert await _offered(core, session) == ["echo"]

    await core.call("shelf", {"offers": [FAIL]})

    assert await _offered(core, session) == ["fail"]


@host_check("REG.5")
async def a_catalog_contribution_takes_away(bench: HostBench) -> None:
    """One tool that is there, one that is not."""
    core = await bench.core("a", tools=("echo", "fail"), options={"a": {"removes": ["fail", "nobody"]}})

    assert await _offered(core, await opened(core)) == ["echo"]


@host_check("REG.6")
async def a_hidden_tool_is_not_there(bench: HostBench) -> None:
    """A child is not offered it, not after a refresh either, and cannot run it."""
    core = await bench.core(tools=("echo", "flaky"))
    session = await opened(core)
    await session.call("children.create", {"session_id": "kid", "hidden": ["flaky"]})
    await script(core, calls(("flaky", {"times": 0})), "done")
    await session.call("children.turn", {"session_id": "kid", "text": "hi"})

    assert [request["tools"] for request in await core.requests()] == [["echo"], ["echo"]]
    assert await wrote(core, "flaky") == []


@host_check("REG.7")
async def a_removed_source_takes_its_tools_along(bench: HostBench) -> None:
    """They are offered while the source is there, and gone without an orphan."""
    core = await bench.core(tools=("echo",))
    session = await opened(core)
    handle = await session.call("tools.add", {"tools": ["fail"]})
    assert await _offered(core, session) == ["echo", "fail"]

    await session.call("tools.remove", {"handle": handle})

    assert await _offered(core, session) == ["echo"]
    assert list((await session.call("tools.state", {}))["tools"]) == ["kit:echo"]


@host_check("REG.8")
async def an_opt_out_survives_a_refresh(bench: HostBench) -> None:
    """The source goes on advertising it, with another description."""
    core, session = await _shelf(bench, ECHO, FAIL)
    await session.call("tools.set_membership", {"tool_id": "kit:fail", "member": False})
    await core.call("shelf", {"offers": [ECHO, FAIL | {"description": "improved"}]})
    await session.call("tools.refresh", {})

    assert await _offered(core, session) == ["echo"]


@host_check("REG.9")
async def an_opt_out_is_the_session_s_own(bench: HostBench) -> None:
    """Sessions of the same core, one open before and one opened later, go on offering the tool."""
    core = await bench.core(tools=("echo", "fail"))
    session, before = await opened(core), await opened(core, "s2")
    await session.call("tools.set_membership", {"tool_id": "kit:fail", "member": False})
    later = await opened(core, "s3")

    assert await _offered(core, session) == ["echo"]
    assert [await _offered(core, one) for one in (before, later)] == [["echo", "fail"]] * 2


# -- applying a state


async def _apply(session: HostSession, **change: Any) -> Data:
    """The current tool state with some members replaced."""
    return dict(await session.call("tools.state", {})) | change


@host_check("REG.10")
async def a_stale_state_is_refused(bench: HostBench) -> None:
    """Older and newer generations; nothing changes."""
    core = await bench.core(tools=("echo",))
    session = await opened(core)
    before = await session.call("tools.state", {})
    for generation in (0, 2):
        stale = await _apply(session, generation=generation, tools={})
        err = await refusal("GenerationMismatch", session.call("tools.apply_state", {"state": stale}))
        assert {err.fields["expected"], err.fields["actual"]} == {generation, 1}

    assert await session.call("tools.state", {}) == before


@host_check("REG.11")
async def applying_counts_one(bench: HostBench) -> None:
    """An equal state, twice."""
    session = await opened(await bench.core(tools=("echo",)))
    seen: list[int] = []
    for _ in range(2):
        await session.call("tools.apply_state", {"state": await session.call("tools.state", {})})
        seen.append((await session.call("tools.state", {}))["generation"])

    assert seen == [2, 3]


async def _with_entry(session: HostSession, **flags: Any) -> Data:
    """The current state and one more tool, which no source has."""
    state = await session.call("tools.state", {})
    stranger = dict(state["tools"]["kit:echo"]["manifest"]) | {"id": "kit:gone", "name": "gone"}
    return dict(state) | {"tools": dict(state["tools"]) | {"kit:gone": {"manifest": stranger} | flags}}


@host_check("REG.12")
async def a_tool_without_a_source_cannot_be_applied(bench: HostBench) -> None:
    """It is not marked as an orphan; nothing changes."""
    session = await opened(await bench.core(tools=("echo",)))
    before = await session.call("tools.state", {})
    await refused(session.call("tools.apply_state", {"state": await _with_entry(session)}), "kit:gone")

    assert await session.call("tools.state", {}) == before


@host_check("REG.13")
async def an_orphan_can_be_applied(bench: HostBench) -> None:
    """Marked as one, as it would be exported."""
    session = await opened(await bench.core(tools=("echo",)))
    await session.call("tools.apply_state", {"state": await _with_entry(session, orphaned=True)})

    state = await session.call("tools.state", {})
    assert state["tools"]["kit:gone"]["orphaned"] is True
    await session.call("tools.apply_state", {"state": state})


@host_check("REG.14")
async def omitted_flags_mean_bound_and_member(bench: HostBench) -> None:
    """A state of manifests only."""
    core = await bench.core(tools=("echo",))
    session = await opened(core)
    await session.call("tools.set_membership", {"tool_id": "kit:echo", "member": False})
    state = await session.call("tools.state", {})
    bare = {name: {"manifest": entry["manifest"]} for name, entry in state["tools"].items()}
    await session.call("tools.apply_state", {"state": dict(state) | {"tools": bare}})

    assert await _offered(core, session) == ["echo"]


@host_check("REG.15", needs=("durable",))
async def an_opt_out_is_found_again(bench: HostBench) -> None:
    """Set, and the session closed without another turn."""
    core = await bench.core(tools=("echo", "fail"))
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    await session.call("tools.set_membership", {"tool_id": "kit:fail", "member": False})
    await session.close()
    await core.close()

    core = await bench.core(tools=("echo", "fail"))
    assert await _offered(core, await opened(core)) == ["echo"]


# -- restoring


@host_check("REG.20", needs=("durable",))
async def an_equal_surface_keeps_its_generation(bench: HostBench) -> None:
    """Raised to 3 by two applied states, found as 3."""
    core, session = await _shelf(bench, ECHO)
    for _ in range(2):
        await session.call("tools.apply_state", {"state": await session.call("tools.state", {})})
    await _leave(core, session)

    _, session = await _shelf(bench, ECHO)

    assert (await session.call("tools.state", {}))["generation"] == 3


@host_check("REG.21", needs=("durable",))
async def a_changed_surface_counts_once(bench: HostBench) -> None:
    """Generation 1 becomes 2 at reopen, and stays 2 through turns and further reopens."""
    core, session = await _shelf(bench, ECHO)
    await _leave(core, session)
    seen: list[int] = []
    for _ in range(2):
        core, session = await _shelf(bench, ECHO, FAIL)
        seen.append((await session.call("tools.state", {}))["generation"])
        await _leave(core, session)
        stored = await bench.stored()
        assert (
            stored is not None and stored.checkpoint is not None and stored.checkpoint.tool_state is not None
        )
        seen.append(cast("Data", stored.checkpoint.tool_state.value)["generation"])

    assert seen == [2, 2, 2, 2]


async def _orphaned(bench: HostBench) -> tuple[HostCore, HostSession]:
    """A session that knew echo and fail, opened where only fail is offered."""
    core, session = await _shelf(bench, ECHO, FAIL)
    await _leave(core, session)
    return await _shelf(bench, FAIL)


@host_check("REG.22", needs=("durable",))
async def a_tool_without_a_source_becomes_an_orphan(bench: HostBench) -> None:
    """The session opens; the tool is kept and not offered."""
    core, session = await _orphaned(bench)

    entry = (await session.call("tools.state", {}))["tools"]["kit:echo"]
    assert entry["orphaned"] is True
    assert await _offered(core, session) == ["fail"]


@host_check("REG.23", needs=("durable",))
async def a_call_of_an_orphan_fails_loudly(bench: HostBench) -> None:
    """The model remembers the tool and calls it."""
    core, session = await _orphaned(bench)
    await script(core, calls(("echo", {"text": "x"})), "done")
    report = await say(session)

    assert answer(report) == "says done"
    assert failures(report) == ["tool_unavailable"]


@host_check("REG.24", needs=("durable",))
async def an_orphan_is_bound_again_and_keeps_its_membership(bench: HostBench) -> None:
    """Opted out, orphaned, advertised again under the same id and another name."""
    core, session = await _shelf(bench, ECHO, FAIL)
    await session.call("tools.set_membership", {"tool_id": "kit:echo", "member": False})
    await _leave(core, session)
    core, session = await _shelf(bench, FAIL)
    await core.call("shelf", {"offers": [ECHO | {"name": "say_again"}, FAIL]})

    assert await _offered(core, session) == ["fail"]
    entry = (await session.call("tools.state", {}))["tools"]["kit:echo"]
    assert (entry.get("orphaned", False), entry["member"]) == (False, False)
    assert entry["manifest"]["name"] == "say_again"


@host_check("REG.25", needs=("durable",))
async def a_new_tool_takes_an_orphans_name(bench: HostBench) -> None:
    """The orphan was opted out; its name's new owner is a member and runs."""
    core, session = await _shelf(bench, ECHO, FAIL)
    await session.call("tools.set_membership", {"tool_id": "kit:echo", "member": False})
    await _leave(core, session)
    core, session = await _shelf(bench, FAIL, ECHO | {"id": "other:echo"})

    assert await _offered(core, session) == ["echo", "fail"]
    assert sorted((await session.call("tools.state", {}))["tools"]) == ["kit:fail", "other:echo"]
    await script(core, calls(("echo", {"text": "x"})), "done")
    await say(session)
    assert asked((await core.requests())[-1])[-1] == "tool: x"


@host_check("REG.26", needs=("durable",))
async def the_advertised_manifest_wins(bench: HostBench) -> None:
    """New name and description, the opt-out of the other tool kept by its id."""
    core, session = await _shelf(bench, ECHO, FAIL)
    await session.call("tools.set_membership", {"tool_id": "kit:fail", "member": False})
    await _leave(core, session)
    core, session = await _shelf(
        bench, ECHO | {"name": "echo2", "description": "better"}, FAIL | {"name": "fail2"}
    )

    entries = (await session.call("tools.state", {}))["tools"]
    assert (entries["kit:echo"]["manifest"]["name"], entries["kit:echo"]["manifest"]["description"]) == (
        "echo2",
        "better",
    )
    assert await _offered(core, session) == ["echo2"]


@host_check("REG.7")
async def one_source_is_not_another(bench: HostBench) -> None:
    """Two live sources stand beside each other; removing the first leaves the second."""
    core = await bench.core(tools=("echo",))
    session = await opened(core)
    first = await session.call("tools.add", {"tools": ["fail"]})
    await session.call("tools.add", {"tools": ["brittle"]})
    assert await _offered(core, session) == ["brittle", "echo", "fail"]

    await session.call("tools.remove", {"handle": first})

    assert await _offered(core, session) == ["brittle", "echo"]
