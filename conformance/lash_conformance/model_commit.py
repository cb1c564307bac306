"""The model of the commit: every check in order, then every write."""

from collections.abc import Callable
from typing import Any

from lash_conformance.model_inputs import complete, defer
from lash_conformance.model_lease import release, require
from lash_conformance.model_manifest import adopt
from lash_conformance.model_queue import enqueue, holds, require_class
from lash_conformance.model_state import ANY, Data, Row, Session, Stamp, State, lean, require_all
from lash_ref.errors import (
    DuplicateNodeId,
    HeadRevisionConflict,
    QueuedWorkClaimSuperseded,
    RuntimeTurnCommitConflict,
    SessionBindingMismatch,
    TurnInputClaimSuperseded,
    UnreadableRecord,
)

SLOTS = {
    "tool_state_ref": "tool_state",
    "plugin_snapshot_ref": "plugin_snapshot",
    "execution_state_ref": "execution_state",
}
COUNTERS = (
    "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_write_input_tokens",
    "reasoning_output_tokens",
)  # fmt: skip


def commit(state: State, bound: str, given: Data) -> Data:
    """One commit, or the answer to a repeated one."""
    session, stamp = state.session(bound), given.get("turn_commit")
    for draft in given["enqueued_queue_batches"]:
        require_class(draft)
    _require_bound(bound, given)
    if stamp is not None and stamp["session_id"] != bound:
        raise RuntimeTurnCommitConflict(ANY, stamp["turn_id"])
    if stamp is not None and (known := session.stamps.get(stamp["turn_id"])):
        if known.turn_hash != stamp["turn_commit_hash"]:
            raise RuntimeTurnCommitConflict(bound, stamp["turn_id"])
        release(state, bound, given.get("release_session_execution_lease"))
        return known.result
    require(state, bound, given.get("session_execution_lease"))
    _require_head(session, given.get("expected_head_revision"))
    batches: list[Row] = []
    inputs: list[Row] = []
    require_all(
        lambda: _require_new_nodes(bound, session, given["graph"]),
        lambda: _require_parts(state, given["checkpoint"]),
        lambda: batches.extend(_settled(bound, session.queue, given["completed_queue_claims"], "batch")),
        lambda: inputs.extend(_settled(bound, session.inputs, given["completed_turn_input_claims"], "input")),
    )
    return _write(state, bound, given, batches, inputs)


def _require_bound(bound: str, given: Data) -> None:
    for named in (given, *given["enqueued_queue_batches"]):
        if named["session_id"] != bound:
            raise SessionBindingMismatch(bound, named["session_id"])


def _require_head(session: Session, expected: int | None) -> None:
    actual = session.head["head_revision"] if session.head else 0
    if expected is not None and expected != actual:
        raise HeadRevisionConflict(expected, actual)


def _require_new_nodes(bound: str, session: Session, graph: Data) -> None:
    ((form, delta),) = graph.items()
    ids = [node["node_id"] for node in delta.get("nodes", ())]
    taken = session.live() if form == "Append" else {}
    wrong = {node_id for node_id in ids if node_id in taken or ids.count(node_id) > 1}
    if wrong:
        raise DuplicateNodeId(bound, wrong.pop() if len(wrong) == 1 else ANY)


def _require_parts(state: State, checkpoint: Data) -> None:
    for ref_name, part_name in SLOTS.items():
        ref = checkpoint.get(ref_name)
        if ref is None or part_name in checkpoint:
            continue
        if ref not in state.parts or ref in state.collected:
            raise UnreadableRecord("blob", ref, ANY)


def _settled(bound: str, rows: list[Row], completions: list[Data], family: str) -> list[Row]:
    kinds: dict[str, Callable[..., Exception]] = {
        "batch": QueuedWorkClaimSuperseded,
        "input": TurnInputClaimSuperseded,
    }
    settled: list[Row] = []
    for completion in completions:
        ids = set(completion[f"{family}_ids"])
        held = [row for row in rows if row.data[f"{family}_id"] in ids and holds(row, completion)]
        foreign = completion["session_id"] != bound
        if foreign or len(held) != len(ids):
            raise kinds[family](ANY if foreign else bound, completion["claim_id"])
        settled += held
    return settled


def _write(state: State, bound: str, given: Data, batches: list[Row], inputs: list[Row]) -> Data:
    session, stamp = state.session(bound), given.get("turn_commit")
    _write_graph(session, given["graph"])
    ledger_add(session.ledger, given["usage_deltas"])
    revision = session.head["head_revision"] + 1 if session.head else 1
    manifest, checkpoint = _write_checkpoint(state, bound, given["checkpoint"])
    ref = state.mint(bound, "ref")
    kept = ("config", "agent_frames", "current_agent_frame_id")
    session.head = {"session_id": bound, "head_revision": revision, "checkpoint_ref": ref}
    session.head |= {name: given[name] for name in kept} | {"checkpoint": checkpoint}
    ((_, delta),) = given["graph"].items()
    session.head |= lean(leaf=delta.get("leaf_node_id"))
    session.queue = [row for row in session.queue if row not in batches]
    for row in inputs:
        complete(row)
    if (turn_id := given.get("interrupted_turn_input_turn_id")) is not None:
        defer(state, bound, turn_id)
    outbox = [enqueue(state, bound, draft) for draft in given["enqueued_queue_batches"]]
    result = lean(
        head_revision=revision, checkpoint_ref=ref, manifest=manifest, enqueued_queue_batches=outbox,
        turn_input_applications=[
            one for done in given["completed_turn_input_claims"] for one in done.get("applications", ())
        ],
    )  # fmt: skip
    adopt(state, bound, given["committed_attachment_ids"], stamp and stamp["turn_id"])
    if stamp is not None:
        session.stamps[stamp["turn_id"]] = Stamp(stamp["turn_commit_hash"], result, state.now)
    release(state, bound, given.get("release_session_execution_lease"))
    state.dirty = True
    return result


def _write_graph(session: Session, graph: Data) -> None:
    ((form, delta),) = graph.items()
    added: list[Data] = list(delta.get("nodes", ()))
    if form == "ReplaceFull":
        session.nodes, session.hidden = added, set()
    elif form == "Append":
        ids = {node["node_id"] for node in added}
        session.nodes = [node for node in session.nodes if node["node_id"] not in ids] + added
        session.hidden -= ids


def ledger_add(ledger: list[Data], deltas: list[Data]) -> None:
    """Each delta that costs something, merged in."""
    for delta in deltas:
        usage = delta["usage"]
        if sum(usage[name] for name in COUNTERS[:4]) == 0:
            continue
        key = (delta["source"], delta["model"])
        for number, entry in enumerate(ledger):
            if (entry["source"], entry["model"]) == key:
                summed = {name: entry["usage"][name] + usage[name] for name in COUNTERS}
                ledger[number] = entry | {"usage": summed}
                break
        else:
            ledger.append(delta)


def _write_checkpoint(state: State, bound: str, given: Data) -> tuple[Data, Data]:
    """The manifest answered, and the checkpoint that loads show."""
    kept = ("turn_state", "plugin_snapshot_revision")
    common: dict[str, Any] = {name: given[name] for name in kept if name in given}
    refs: Data = {}
    parts: Data = {}
    for ref_name, part_name in SLOTS.items():
        if part_name not in given and ref_name not in given:
            continue
        part = given[part_name] if part_name in given else state.parts[given[ref_name]][1]
        refs[ref_name], parts[part_name] = state.mint(bound, "ref"), part
        state.parts[refs[ref_name]] = (part_name, part)
    return {"schema_version": 1} | common | refs, common | refs | parts
