"""Checks of the pure helpers of session state ([STA.1] to [STA.20])."""

from typing import Any

from lash_conformance.check import host_check
from lash_conformance.host import Data
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import exchange, opened, refusal, say, script
from lash_conformance.vocabulary import CONFIG

POLICY: Data = {"model": {"id": "m-1", "limits": {"context_window_tokens": 8000}}, "provider_id": "prov"}
SLOTS = ("tool_state_ref", "plugin_snapshot_ref", "execution_state_ref")


def node(node_id: str, parent: str | None = None, text: str | None = None) -> Data:
    """A user message node."""
    part = {"id": f"{node_id}.p0", "kind": "Text", "content": text or node_id, "prune_state": "Intact"}
    body = {"id": node_id, "role": "User", "parts": [part]}
    return {
        "kind": "event", "node_id": node_id, "parent_node_id": parent, "timestamp": "2026-11-21T00:00:00Z",
        "event": {"Conversation": body},
    }  # fmt: skip


def chain(*ids: str, leaf: str | None = "") -> Data:
    """A graph of messages, each the child of the one before; the leaf is the last unless named."""
    parents = (None, *ids[:-1])
    nodes = [node(one, parent) for one, parent in zip(ids, parents, strict=True)]
    return {"nodes": nodes, "leaf_node_id": ids[-1] if leaf == "" else leaf}


def state(graph: Data | None = None, **parts: Any) -> Data:
    """A state of session "s1"."""
    return {"session_id": "s1", "policy": POLICY, "session_graph": graph or {"nodes": []}} | parts


async def after(bench: HostBench, given: Data, *steps: Data) -> Data:
    """The state after the steps, and their answers."""
    found: Data = await bench.pure("state", {"given": given, "steps": list(steps)})
    return found


def ids(found: Data) -> list[str]:
    """Node ids of the state's graph, in order."""
    return [one["node_id"] for one in found["state"]["session_graph"].get("nodes", [])]


def user(message_id: str, text: str | None = None, **parts: Any) -> Data:
    """A user message to append."""
    return {"id": message_id, "role": "User", "text": text or message_id} | parts


@host_check("STA.1")
async def an_exported_state_round_trips(bench: HostBench) -> None:
    """Read back it is the same, and it holds no head, flag or body."""
    core = await bench.core("counter", tools=("echo",))
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    exported = await session.call("export_state", {})

    found = await after(bench, exported)

    hidden = {"head_revision", "graph_replace_required", "tool_state_snapshot", "plugin_snapshot"}
    assert hidden & set(exported) == set()
    assert {key: found["state"][key] for key in exported} == exported
    assert exported["turn_index"] == 1
    assert [one["usage"]["input_tokens"] for one in exported["token_ledger"]] == [10]


@host_check("STA.2")
async def a_default_state_is_root(bench: HostBench) -> None:
    """With an empty graph, at turn 0."""
    found = await bench.pure("default_state", {})

    assert (found["session_id"], found["turn_index"], found["session_graph"].get("nodes", [])) == ("root", 0, [])


@host_check("STA.3")
async def a_commit_result_is_taken_over(bench: HostBench) -> None:
    """Head, refs and revision are the result's; bodies are gone and the flag is clear."""
    body: Data = {"generation": 4, "tools": {}}
    given = state(chain("a"), tool_state_snapshot=body, graph_replace_required=True, head_revision=2)
    manifest: Data = {
        "schema_version": 1, "turn_state": {}, "tool_state_ref": "t", "plugin_snapshot_ref": "p",
        "plugin_snapshot_revision": 9, "execution_state_ref": "e",
    }  # fmt: skip
    result: Data = {"head_revision": 3, "checkpoint_ref": "c", "manifest": manifest}

    found = (await after(bench, given, {"do": "apply_commit_result", "result": result}))["state"]

    assert [found[key] for key in ("head_revision", "checkpoint_ref", *SLOTS)] == [3, "c", "t", "p", "e"]
    assert (found["plugin_snapshot_revision"], found["tool_state_generation"]) == (9, 4)
    assert (found["graph_replace_required"], found.get("tool_state_snapshot")) == (False, None)


@host_check("STA.4")
async def a_cleared_execution_state_has_no_ref(bench: HostBench) -> None:
    """Setting none clears both; setting bytes keeps the ref until the commit."""
    given = state(execution_state_ref="e")

    cleared = await after(bench, given, {"do": "set_execution_state", "bytes": None})
    kept = await after(bench, given, {"do": "set_execution_state", "bytes": "QUJD"})

    assert cleared["state"].get("execution_state_ref") is None
    assert (kept["state"]["execution_state_ref"], kept["state"]["execution_state_snapshot"]) == ("e", "QUJD")


@host_check("STA.5")
async def a_read_delta_adds_what_is_new(bench: HostBench) -> None:
    """A known id and a transient message are left out; the rest is chained in order."""
    delta = [user("a"), user("b"), user("ghost", transient=True), user("c")]

    found = await after(bench, state(chain("a")), {"do": "append_read_delta", "messages": delta})

    assert ids(found) == ["a", "b", "c"]
    assert [one.get("parent_node_id") for one in found["state"]["session_graph"]["nodes"]] == [None, "a", "b"]


@host_check("STA.6")
async def replacing_forks_after_the_common_prefix(bench: HostBench) -> None:
    """The old tail stays as a branch; the new one hangs from the last common message."""
    wanted = [user("a"), user("b"), user("x")]

    found = await after(bench, state(chain("a", "b", "c")), {"do": "replace_read_state", "messages": wanted})

    nodes = {one["node_id"]: one.get("parent_node_id") for one in found["state"]["session_graph"]["nodes"]}
    assert nodes == {"a": None, "b": "a", "c": "b", "x": "b"}
    assert found["state"]["session_graph"]["leaf_node_id"] == "x"


@host_check("STA.7")
async def a_dangling_leaf_is_healed(bench: HostBench) -> None:
    """It moves to the newest message, not to a plugin's node, and the graph is to be replaced; a sound one stays."""
    graph = chain("a", "b", leaf="nowhere")
    graph["nodes"].append(node("p", "b") | {"kind": "plugin", "plugin_type": "kit", "body": 1})
    del graph["nodes"][-1]["event"]

    healed = (await after(bench, state(graph), {"do": "heal"}))["state"]
    sound = (await after(bench, state(chain("a", "b")), {"do": "heal"}))["state"]

    assert (healed["session_graph"]["leaf_node_id"], healed["graph_replace_required"]) == ("b", True)
    assert (sound["session_graph"]["leaf_node_id"], sound["graph_replace_required"]) == ("b", False)


@host_check("STA.8")
async def healing_comes_before_trimming(bench: HostBench) -> None:
    """A branched graph is trimmed to its path; one whose leaf dangles keeps its conversation."""
    graph = chain("a", "b")
    graph["nodes"].append(node("x", "a"))
    load = {"do": "load_residency", "residency": "active_path_only"}

    trimmed = await after(bench, state(graph), load)
    healed = await after(bench, state(graph | {"leaf_node_id": "nowhere"}), load)
    full = await after(bench, state(graph), {"do": "load_residency", "residency": "keep_all"})

    assert (ids(trimmed), ids(full)) == (["a", "b"], ["a", "b", "x"])
    assert {"a", "x"} <= set(ids(healed))


def entry(source: str, model: str, tokens: int, **usage: int) -> Data:
    """A ledger entry of that many input tokens."""
    return {"source": source, "model": model, "usage": {"input_tokens": tokens} | usage}


@host_check("STA.9")
async def a_report_sums_three_ways(bench: HostBench) -> None:
    """By source, by model and by pair, merged and without rows that bill nothing; reasoning is not billed twice."""
    entries = [
        entry("turn", "m1", 1), entry("turn", "m1", 2, output_tokens=4, reasoning_output_tokens=3),
        entry("child", "m1", 10), entry("child", "m2", 20), entry("idle", "m2", 0),
    ]  # fmt: skip

    report = await bench.pure("usage_report", {"entries": entries})

    def totals(rows: list[Data], *keys: str) -> dict[Any, int]:
        return {tuple(row[key] for key in keys): row["total_tokens"] for row in rows}

    assert (report["entry_count"], report["total_tokens"]) == (3, 37)
    assert totals(report["by_source"], "source") == {("child",): 30, ("turn",): 7}
    assert totals(report["by_model"], "model") == {("m1",): 17, ("m2",): 20}
    assert totals(report["by_source_model"], "source", "model") == {
        ("child", "m1"): 10, ("child", "m2"): 20, ("turn", "m1"): 7,
    }  # fmt: skip


@host_check("STA.10")
async def a_difference_is_what_was_spent(bench: HostBench) -> None:
    """Sorted by key without zeros; a decrease is refused."""
    before = [entry("b", "m", 5), entry("a", "m", 5)]
    later = [entry("b", "m", 5), entry("a", "n", 1), entry("a", "m", 8)]

    found = await bench.pure("usage_diff", {"before": before, "after": later})

    assert [(one["source"], one["model"], one["usage"]["input_tokens"]) for one in found] == [
        ("a", "m", 3), ("a", "n", 1),
    ]  # fmt: skip
    await refusal("UsageDecreased", bench.pure("usage_diff", {"before": later, "after": before}))


@host_check("STA.11")
async def a_message_is_found_by_its_id(bench: HostBench) -> None:
    """A given id is the node's; a minted one starts with message:, a plugin's node with plugin:."""
    nodes = [
        {"kind": "message", "message": {"id": "mine", "role": "User", "content": "one"}},
        {"kind": "message", "message": {"role": "User", "content": "two"}},
        {"kind": "plugin", "plugin_type": "kit", "body": {"n": 1}},
    ]

    (answered,) = (await after(bench, state(), {"do": "append_nodes", "nodes": nodes}))["answers"]

    assert answered[0] == "mine"
    assert (answered[1].partition(":")[0], answered[2].partition(":")[0]) == ("message", "plugin")
    assert len(set(answered)) == 3


@host_check("STA.12")
async def appended_nodes_are_chained(bench: HostBench) -> None:
    """Under the leaf, one under the other, their ids answered in that order."""
    nodes = [{"kind": "message", "message": {"id": one, "role": "User", "content": one}} for one in "xyz"]

    found = await after(bench, state(chain("a")), {"do": "append_nodes", "nodes": nodes})

    graph = found["state"]["session_graph"]
    assert found["answers"] == [["x", "y", "z"]]
    assert [one.get("parent_node_id") for one in graph["nodes"]] == [None, "a", "x", "y"]
    assert graph["leaf_node_id"] == "z"


@host_check("STA.13")
async def a_stale_branch_is_refused(bench: HostBench) -> None:
    """An ancestor off the path refuses by name; one on the path is fine."""
    graph = chain("a", "b")
    graph["nodes"].append(node("x", "a"))
    nodes = [{"kind": "message", "message": {"id": "n", "role": "User", "content": "n"}}]
    stale = {"do": "append_nodes", "nodes": nodes, "requires_ancestor": "x"}

    await refusal("StaleBranch", after(bench, state(graph), stale), session_id="s1", node_id="x")

    assert ids(await after(bench, state(graph), stale | {"requires_ancestor": "a"})) == ["a", "b", "x", "n"]


@host_check("STA.14")
async def an_unconfigured_state_takes_the_caller_s_policy(bench: HostBench) -> None:
    """A state that names neither provider nor model opens with the caller's; a configured one keeps its provider."""
    caller = POLICY | {"provider_id": "theirs"}

    blank = await bench.pure("from_environment", {"state": {"session_id": "s1"}, "policy": caller})
    own = await bench.pure("from_environment", {"state": state(), "policy": caller})

    assert (blank["policy"]["provider_id"], blank["policy"]["model"]["id"]) == ("theirs", "m-1")
    assert own["policy"]["provider_id"] == "prov"


@host_check("STA.15")
async def a_runtime_needs_a_model(bench: HostBench) -> None:
    """A policy without one is refused at construction."""
    given = {"state": {"session_id": "s1"}, "policy": {"provider_id": "prov"}}

    await refusal("Session", bench.pure("from_environment", given))


@host_check("STA.16")
async def a_missing_checkpoint_clears_its_parts_only(bench: HostBench) -> None:
    """Refs, revision, generation and bodies go; graph, turn index, ledger and head stay."""
    given = state(
        chain("a"), turn_index=4, head_revision=7, token_ledger=[entry("turn", "m", 3)], tool_state_ref="t",
        plugin_snapshot_ref="p", plugin_snapshot_revision=2, execution_state_ref="e", tool_state_generation=3,
    )  # fmt: skip

    found = await after(bench, given, {"do": "apply_checkpoint", "checkpoint": None})

    gone = (*SLOTS, "plugin_snapshot_revision", "tool_state_generation")
    assert [found["state"].get(key) for key in gone] == [None] * 5
    assert (ids(found), found["state"]["turn_index"], found["state"]["head_revision"]) == (["a"], 4, 7)
    assert len(found["state"]["token_ledger"]) == 1


@host_check("STA.17")
async def a_session_head_is_taken_over(bench: HostBench) -> None:
    """Graph, checkpoint ref, ledger, revision, provider and model are the head's; the flag is clear."""
    head = {
        "session_id": "s1", "head_revision": 9, "config": CONFIG.to_data(), "graph": chain("x", "y"),
        "checkpoint_ref": "c9", "token_ledger": [entry("turn", "m", 5)],
    }  # fmt: skip
    given = state(chain("a"), graph_replace_required=True, head_revision=1, checkpoint_ref="c1")

    found = await after(bench, given, {"do": "apply_head", "head": head})

    told = found["state"]
    assert (ids(found), told["head_revision"], told["checkpoint_ref"]) == (["x", "y"], 9, "c9")
    assert [one["usage"]["input_tokens"] for one in told["token_ledger"]] == [5]
    assert (told["policy"]["model"]["id"], told["graph_replace_required"]) == ("m-1", False)


@host_check("STA.18")
async def tool_state_is_exported_when_it_changed(bench: HostBench) -> None:
    """The first commit carries it, the second does not, the one after a membership change does."""
    core = await bench.core(tools=("echo", "fail"))
    session = await opened(core)
    await exchange(core, session, "a", "1")
    await exchange(core, session, "b", "2")
    await session.call("tools.set_membership", {"tool_id": "kit:fail", "member": False})
    await exchange(core, session, "c", "3")

    turns = [one for one in await bench.commits(core) if one.turn_commit is not None]
    assert [one.checkpoint.tool_state is not None for one in turns[:2]] == [True, False]
    stored = (await bench.loaded()).checkpoint.tool_state.value
    assert stored["tools"]["kit:fail"]["member"] is False


@host_check("STA.19")
async def plugin_state_is_captured_when_it_changed(bench: HostBench) -> None:
    """The first commit captures, a turn that counted captures, a turn that did not does not."""
    core = await bench.core("counter")
    session = await opened(core)
    await exchange(core, session, "a", "1")
    await exchange(core, session, "b", "2")
    await script(core, {"tools": [{"id": "c1", "name": "count", "args": {}}]}, "3")
    await say(session, "c")

    assert [one.checkpoint.plugin_snapshot is not None for one in await bench.commits(core)] == [True, False, True]


@host_check("STA.20")
async def error_codes_are_kept_as_text(bench: HostBench) -> None:
    """A known code, and one that no edition knows yet, come back as they went in."""
    for code in ("store_commit_failed", "session_execution_busy", "quantum_decoherence"):
        assert await bench.pure("error_code", {"code": code}) == code
