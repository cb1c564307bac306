"""Operations: what a plugin offers its host (area OPS)."""

from typing import Any

from lash_conformance.check import host_check
from lash_conformance.host import Data, HostCore, HostSession
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import answer, calls, exchange, opened, refusal, say, script, within, wrote
from lash_conformance.plugin_words import counted

EVENT: Data = {"kind": "custom", "name": "kit.happened", "payload": {"x": 1}}


async def _with(bench: HostBench, *operations: Data, **options: Any) -> tuple[HostCore, HostSession]:
    core = await bench.core(
        "a", tools=("slow",), options={"a": dict[str, Any](operations=list(operations)) | options}
    )
    return core, await opened(core)


async def _call(handle: HostSession, kind: str, name: str, **parts: Any) -> Any:
    written: Data = {"kind": kind, "name": name, "arguments": {}}
    return await handle.call("operation", written | parts)


@host_check("OPS.2")
async def an_operation_that_takes_no_session_is_told_so(bench: HostBench) -> None:
    """One is given; without one it answers."""
    _, session = await _with(bench, {"kind": "query", "name": "kit.q", "session": "forbidden"})

    await refusal("UnexpectedSession", _call(session, "query", "kit.q", session="s1"))
    assert (await _call(session, "query", "kit.q"))["session"] is None


@host_check("OPS.3")
async def an_omitted_session_is_the_current_one(bench: HostBench) -> None:
    """Required and optional."""
    operations: list[Data] = [
        {"kind": "query", "name": f"kit.{param}", "session": param} for param in ("required", "optional")
    ]
    _, session = await _with(bench, *operations)

    assert [(await _call(session, "query", one["name"]))["session"] for one in operations] == ["s1", "s1"]


@host_check("OPS.4")
async def definitions_carry_schemas(bench: HostBench) -> None:
    """The counter's command takes a number."""
    session = await opened(await bench.core("counter"))

    found = {one["name"]: one for one in await session.call("operations", {})}

    assert (found["counter.add"]["kind"], found["counter.read"]["kind"]) == ("command", "query")
    assert found["counter.add"]["input_schema"]["properties"]["by"]["type"] == "integer"
    assert found["counter.read"]["output_schema"]["type"] == "integer"


@host_check("OPS.5", "OPS.6")
async def events_of_a_command_are_kept_and_returned(bench: HostBench) -> None:
    """Of a command and of a task, under the plugin's id."""
    for kind in ("command", "task"):
        _, session = await _with(bench, {"kind": kind, "name": f"kit.{kind}", "events": [EVENT]})
        receipt = await _call(session, kind, f"kit.{kind}")
        assert receipt["events"] == [{"plugin_id": "a", "event": EVENT}]
        assert receipt["output"]["session"] == "s1"

    stored = await bench.stored()
    assert stored is not None
    nodes = [node.to_data() for node in stored.graph.nodes if "kit.happened" in str(node)]
    assert [("lash.plugin_runtime" in str(node), "'a'" in str(node)) for node in nodes] == [(True, True)] * 2


@host_check("OPS.7")
async def queued_turns_follow_the_commit(bench: HostBench) -> None:
    """The input is pending or has run, and the state that the command changed is stored."""
    operation = {"kind": "command", "name": "kit.go", "queue": ["work"]}
    core, session = await _with(bench, operation, changes_at=["operation kit.go"])
    await script(core, "done")
    await _call(session, "command", "kit.go")
    await session.queued_turn()

    assert [request["messages"][-1]["text"] for request in await core.requests()] == ["work"]
    assert await counted(bench) == 1


@host_check("OPS.7")
async def nothing_is_queued_before_the_commit(bench: HostBench) -> None:
    """The process dies right before the command's commit; no input is pending."""
    core, session = await _with(
        bench, {"kind": "command", "name": "kit.go", "queue": ["work"], "events": [EVENT]}
    )
    await bench.line(core).halt("before", 1)
    await bench.ended(bench.start(_call(session, "command", "kit.go")), core)
    await bench.crash(core)

    assert await (await bench.store()).list_pending_turn_inputs("s1") == ()


@host_check("OPS.8")
async def a_command_commits_state_and_events_together(bench: HostBench) -> None:
    """The process dies at the command's first commit, before it or after it; what is found agrees."""
    operation = {"kind": "command", "name": "kit.go", "events": [EVENT]}
    for side in ("before", "after"):
        core = await bench.core(
            "a", options={"a": {"operations": [operation], "changes_at": ["operation kit.go"]}}
        )
        session = await opened(core, side)
        await bench.line(core).halt(side, 1)
        done = bench.start(_call(session, "command", "kit.go"))
        await bench.ended(done, core)
        await bench.crash(core)
        stored = await bench.stored(side)
        if stored is None:
            assert side == "before"
            continue
        events = [node for node in stored.graph.nodes if "kit.happened" in str(node)]
        assert (len(events), await counted(bench, session_id=side)) == (1, 1)


@host_check("OPS.9")
async def a_query_does_not_wait_for_a_turn(bench: HostBench) -> None:
    """A turn stands at a gate; the query answers."""
    core, session = await _with(bench, {"kind": "query", "name": "kit.q"})
    await script(core, calls(("slow", {"gate": "g"})), "done")
    turn = bench.start(say(session))
    await within(core.reached("g"))
    assert (await within(_call(session, "query", "kit.q")))["session"] == "s1"
    await core.release("g")

    assert answer(await turn) == "says done"


@host_check("OPS.10")
async def a_query_commits_nothing(bench: HostBench) -> None:
    """Even when the plugin's state changed meanwhile."""
    core, session = await _with(bench, {"kind": "query", "name": "kit.q"}, changes_at=["operation kit.q"])
    await exchange(core, session, "hi", "hello")
    before = await bench.revision()
    await _call(session, "query", "kit.q")

    assert await bench.revision() == before
    assert await wrote(core, "a operation") == ["a operation kit.q"]


@host_check("OPS.11")
async def an_unknown_operation_is_named(bench: HostBench) -> None:
    """No such name; and a name of another kind."""
    _, session = await _with(bench, {"kind": "command", "name": "kit.c"})
    for kind, name in (("query", "kit.nobody"), ("query", "kit.c")):
        err = await refusal("UnknownOperation", _call(session, kind, name))
        assert name in str(err)
