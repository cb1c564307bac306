"""Plugins: the stack, build and register (PLG.1 to PLG.28)."""

from typing import Any

from lash_conformance.check import host_check
from lash_conformance.host import Data, HostCore
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
    wrote,
    wrote_once,
)

BUILDS = ("a build", "b build", "c build", "lash.triggers build")


async def _order(bench: HostBench, *plugins: str, edits: tuple[dict[str, Any], ...] = ()) -> list[str]:
    """Ids in the order in which a session's plugins were built."""
    core = await bench.core(*plugins, edits=edits)
    await opened(core)
    return [line.split()[0] for line in await wrote(core, *BUILDS)]


# -- the stack


@host_check("PLG.1")
async def plugins_are_built_in_the_order_of_the_stack(bench: HostBench) -> None:
    """Three factories, neither sorted nor reversed."""
    assert await _order(bench, "b", "c", "a") == ["b", "c", "a"]


@host_check("PLG.2")
async def edits_by_id_leave_the_others_in_place(bench: HostBench) -> None:
    """Removed, replaced and retained ids; the rest as they stood."""
    assert await _order(bench, "c", "b", "a", edits=({"remove": "b"},)) == ["c", "a"]
    assert await _order(bench, "c", "b", "a", edits=({"replace": "c"},)) == ["c", "b", "a"]
    assert await _order(bench, "c", "b", "a", edits=({"retain": ["a", "c"]},)) == ["c", "a"]


@host_check("PLG.3")
async def replacing_an_absent_id_appends(bench: HostBench) -> None:
    """The stack does not hold it yet."""
    assert await _order(bench, "b", "a", edits=({"replace": "c"},)) == ["b", "a", "c"]


@host_check("PLG.4")
async def plugin_appends(bench: HostBench) -> None:
    """One more, at the end."""
    assert await _order(bench, "b", edits=({"push": "a"},)) == ["b", "a"]


@host_check("PLG.5")
async def plugins_replaces_the_stack(bench: HostBench) -> None:
    """What was there before is gone."""
    assert await _order(bench, "a", "b", edits=({"plugins": ["c"]},)) == ["c"]


@host_check("PLG.6")
async def bindings_come_after_the_stack(bench: HostBench) -> None:
    """The session's own plugin is built last, though its id sorts first."""
    core = await bench.core("c", "b")
    await opened(core, plugins=("a",))

    assert await wrote(core, *BUILDS) == ["c build root", "b build root", "a build root"]


@host_check("PLG.7")
async def a_built_in_can_be_replaced(bench: HostBench) -> None:
    """Its id is no duplicate, and it is built like the others."""
    assert sorted(await _order(bench, "a", "lash.triggers")) == ["a", "lash.triggers"]


@host_check("PLG.8")
async def two_plugins_of_one_id_are_refused(bench: HostBench) -> None:
    """In the stack; neither was built."""
    made: list[HostCore] = []

    async def attempt() -> None:
        made.append(await bench.core("b", "b"))
        await opened(made[0])

    await refused(attempt(), "b")

    assert [line for core in made for line in await wrote(core, "b build")] == []


@host_check("PLG.8")
async def a_binding_with_an_id_of_the_stack_is_refused(bench: HostBench) -> None:
    """The core has it, the session adds it again; nothing is built."""
    core = await bench.core("b")

    await refused(opened(core, plugins=("b",)), "b")

    assert await wrote(core, "b build") == []


@host_check("PLG.9")
async def extensions_are_seen_by_every_plugin(bench: HostBench) -> None:
    """Two payloads, in stack order, told to both."""
    core = await bench.core("b", "a", options={"a": {"extension": 1}, "b": {"extension": {"x": 2}}})
    await opened(core)

    assert await wrote(core, "a extensions", "b extensions") == [
        'b extensions [{"x":2},1]',
        'a extensions [{"x":2},1]',
    ]


# -- build and register


@host_check("PLG.10")
async def a_session_is_built_once(bench: HostBench) -> None:
    """Two turns build nothing; a resume and a child build once each."""
    core = await bench.core("a")
    session = await opened(core)
    await exchange(core, session, "one", "1")
    await exchange(core, session, "two", "2")
    assert await wrote(core, "a build") == ["a build root"]

    session = await core.resume(await session.park())
    assert await wrote(core, "a build") == ["a build root"] * 2
    await session.call("children.create", {"session_id": "kid"})
    assert await wrote(core, "a build") == ["a build root", "a build root", "a build child"]


@host_check("PLG.12")
async def sessions_share_no_plugin_state(bench: HostBench) -> None:
    """One counter counts twice, its neighbour once."""
    core = await bench.core("counter")
    one, two = await opened(core, "s1"), await opened(core, "s2")
    await script(core, calls(("count", {}), ("count", {})), "ok", calls(("count", {})), "ok")
    await say(one)
    await say(two)

    read: Data = {"kind": "query", "name": "counter.read", "arguments": {}}
    assert (await one.call("operation", read), await two.call("operation", read)) == (2, 1)


@host_check("PLG.13")
async def sessions_share_what_the_factory_holds(bench: HostBench) -> None:
    """Two sessions borrow from one pool, opened once."""
    core = await bench.core("pool")
    one, two = await opened(core, "s1"), await opened(core, "s2")
    await script(core, calls(("borrow", {})), "ok", calls(("borrow", {})), "ok")
    await say(one)
    await say(two)

    assert [
        asked(request)[-1] for request in await core.requests() if asked(request)[-1].startswith("tool")
    ] == [
        "tool: 1",
        "tool: 2",
    ]
    assert await wrote(core, "pool") == ["pool opened", "pool build", "pool build"]


@host_check("PLG.14")
async def plugins_are_built_and_registered_one_by_one(bench: HostBench) -> None:
    """The second is built when the first has registered."""
    core = await bench.core("a", "b")
    await opened(core)

    assert await wrote(core, "a build", "b build", "a register", "b register") == [
        "a build root",
        "a register",
        "b build root",
        "b register",
    ]


@host_check("PLG.15")
async def a_plugin_that_fails_to_build_fails_the_open(bench: HostBench) -> None:
    """In build, and in register."""
    for point in ("build", "register"):
        core = await bench.core("a", options={"a": {"fails_at": [point]}})
        await refused(opened(core), f"broken at {point}")


@host_check("PLG.16")
async def a_failed_open_leaves_the_id_free(bench: HostBench) -> None:
    """The plugin fails once; the second open of the same id works."""
    core = await bench.core("a", options={"a": {"fails_at": ["register"], "fail_times": 1}})
    await refused(opened(core), "broken at register")

    session = await opened(core)

    assert answer(await exchange(core, session, "hi", "hello")) == "says hello"


@host_check("PLG.17")
async def two_tools_of_one_name_are_refused(bench: HostBench) -> None:
    """Two plugins register `echo`."""
    core = await bench.core("a", "b", options={"a": {"tools": ["echo"]}, "b": {"tools": ["echo"]}})

    await refused(opened(core), "echo")


@host_check("PLG.18")
async def two_operations_of_one_name_are_refused(bench: HostBench) -> None:
    """A query of one plugin, a command of another."""
    options = {
        "a": {"operations": [{"kind": "query", "name": "kit.same"}]},
        "b": {"operations": [{"kind": "command", "name": "kit.same"}]},
    }

    await refused(opened(await bench.core("a", "b", options=options)), "kit.same")


@host_check("PLG.19")
async def two_result_projectors_are_refused(bench: HostBench) -> None:
    """Both owners are named."""
    options = {
        "a": {"claims": ["tool_result_projector"]},
        "lash.triggers": {"claims": ["tool_result_projector"]},
    }

    await refused(opened(await bench.core("a", "lash.triggers", options=options)), "lash.triggers", "a")


@host_check("PLG.20")
async def places_for_one_are_taken_once(bench: HostBench) -> None:
    """Projector and executor claimed twice; session and driver are the protocol's already."""
    for place in ("prose_projector", "code_executor", "protocol_session", "protocol_driver"):
        core = await bench.core("a", "b", options={"a": {"claims": [place]}, "b": {"claims": [place]}})
        await refused(opened(core), "b" if place in ("prose_projector", "code_executor") else "a")


@host_check("PLG.21")
async def a_core_needs_a_protocol(bench: HostBench) -> None:
    """Left out, the build is refused."""
    await refusal("MissingProtocolPlugin", bench.core(without=("protocol_plugin",)))


TRIGGER = {"resource_type": "mail", "alias": "inbox", "event": "arrived"}


@host_check("PLG.22", needs=("triggers",))
async def two_triggers_of_one_key_are_refused(bench: HostBench) -> None:
    """Two plugins declare the same."""
    core = await bench.core("a", "b", options={"a": {"triggers": [TRIGGER]}, "b": {"triggers": [TRIGGER]}})

    await refused(opened(core), "inbox")


@host_check("PLG.23", needs=("triggers",))
async def a_declared_trigger_is_in_the_catalog(bench: HostBench) -> None:
    """Listed by the session."""
    core = await bench.core("a", options={"a": {"triggers": [TRIGGER]}})
    session = await opened(core)

    found = await session.call("triggers.catalog", {})

    assert [{name: one[name] for name in TRIGGER} for one in found if one["alias"] == "inbox"] == [TRIGGER]


@host_check("PLG.24")
async def what_a_plugin_registers_reaches_the_model(bench: HostBench) -> None:
    """A tool and a contribution, in each of two turns."""
    options = {"a": {"tools": ["echo"], "prompts": [{"slot": "guidance", "content": "Be kit."}]}}
    core = await bench.core("a", options=options)
    session = await opened(core)
    await exchange(core, session, "one", "1")
    await exchange(core, session, "two", "2")

    requests = await core.requests()
    assert [request["tools"] for request in requests] == [["echo"], ["echo"]]
    assert ["Be kit." in request["system"] for request in requests] == [True, True]


@host_check("PLG.25")
async def a_session_with_a_parent_is_no_root(bench: HostBench) -> None:
    """Opened with a parent, and without."""
    core = await bench.core("a")
    await opened(core, "s1", parent="p")
    await opened(core, "s2")

    assert await wrote(core, "a build") == ["a build child", "a build root"]


@host_check("PLG.26")
async def tools_share_one_surface(bench: HostBench) -> None:
    """One tool without a plugin, one of a plugin; both are offered and both run."""
    core = await bench.core("a", tools=("echo",), options={"a": {"tools": ["fail"]}})
    session = await opened(core)
    await script(core, calls(("echo", {"text": "x"}), ("fail", {"message": "no"})), "done")
    await say(session)

    first, second = await core.requests()
    assert sorted(first["tools"]) == ["echo", "fail"]
    assert [line.split(":")[0] for line in asked(second)[-2:]] == ["tool", "tool"]
    assert asked(second)[-2] == "tool: x"


@host_check("PLG.27", needs=("durable",))
async def ready_comes_between_register_and_restore(bench: HostBench) -> None:
    """All registers, then all readies in order, then the restores."""
    core = await bench.core("b", "a")
    await exchange(core, await opened(core), "hi", "hello")
    await core.close()
    again = await bench.core("b", "a")
    await opened(again)

    points = [line.split()[:2] for line in await wrote_once(again, "a ", "b ")]
    kept = [" ".join(words) for words in points if words[1] in ("register", "ready", "restore")]
    assert kept[:4] == ["b register", "a register", "b ready", "a ready"]
    assert sorted(kept[4:]) == ["a restore", "b restore"]


@host_check("PLG.28")
async def a_plugin_that_is_not_ready_fails_the_open(bench: HostBench) -> None:
    """It says so in `session_ready`."""
    core = await bench.core("a", options={"a": {"fails_at": ["ready"]}})

    await refused(opened(core), "broken at ready")
