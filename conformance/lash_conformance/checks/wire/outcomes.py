"""Outcomes (WIR.40 to WIR.43)."""

import base64
import hashlib
from typing import Any

import jsonschema

from lash_conformance.check import check
from lash_conformance.exchange import NOW_MS, OWNER, REQUEST, Exchange, Line
from lash_conformance.openrpc import result_schemas
from lash_conformance.vocabulary import batch, checkpoint, commit, said, tool_state, turn


async def _lane(wire: Exchange, store: str) -> dict[str, Any]:
    params: dict[str, Any] = {"session_id": "s1", "owner": OWNER, "lease_ttl_ms": 600_000}
    outcome = await wire.result("store.try_claim_session_execution_lease", store=store, **params)
    lease = outcome["Acquired"]
    return {name: lease[name] for name in ("session_id", "owner", "lease_token", "fencing_token")}


@check("WIR.40", needs=("wire",))
async def a_refusal_names_its_error_and_carries_its_fields(line: Line) -> None:
    """A head that moved on, a lease of somebody else, a key with other content, and bytes that are not there."""
    wire = await line.greeted()
    place = await wire.place(line.directory)
    store = await wire.store(place)
    fence = await _lane(wire, store)
    data = commit(None, expected_head_revision=4).to_data()
    first = await wire.result("store.enqueue_pending_turn_input", store=store, input=said("a", source_key="k").to_data())

    for method, params, error, fields in (
        (
            "store.enqueue_pending_turn_input", {"store": store, "input": said("b", source_key="k").to_data()},
            "PendingTurnInputSourceKeyConflict",
            {"session_id": "s1", "source_key": "k", "existing_input_id": first["input_id"]},
        ),
        (
            "store.commit_runtime_state", {"store": store, "commit": data | {"session_execution_lease": fence}},
            "HeadRevisionConflict", {"expected": 4, "actual": 0},
        ),
        (
            "store.renew_session_execution_lease",
            {"store": store, "fence": fence | {"lease_token": "another"}, "lease_ttl_ms": 1000},
            "SessionExecutionLeaseExpired", {"session_id": "s1"},
        ),
        ("attachments.get", {"place": place, "attachment_id": "0" * 64}, "AttachmentNotFound", {"attachment_id": "0" * 64}),
    ):  # fmt: skip
        answer = await wire.ask(method, **params)

        assert "error" in answer, f"expected {error}\nfound {answer!r:.200}"
        assert answer["error"]["code"] == 1
        assert answer["error"]["data"] == {"error": error, "fields": fields}


@check("WIR.41", needs=("wire",), without=("gc",))
async def what_is_not_offered_is_named(line: Line) -> None:
    """A collection of blobs by a target that does not reclaim them."""
    wire = await line.greeted()
    store = await wire.store(await wire.place(line.directory))

    answer = await wire.ask("store.gc_unreachable", store=store)

    assert "error" in answer, f"expected code 2\nfound {answer!r:.200}"
    assert (answer["error"]["code"], answer["error"].get("data")) == (2, {"capability": "gc"})


@check("WIR.42", needs=("wire",))
async def results_follow_their_schemas(line: Line) -> None:
    """A tour of every kind of answer: a lease, commits, reads, work, input, claims, reports and bytes."""
    wire = await line.greeted()
    place = await wire.place(line.directory)
    store = await wire.store(place)
    fence = await _lane(wire, store)
    lane: dict[str, Any] = {"session_id": "s1", "session_execution_lease": fence, "owner": OWNER}
    state = checkpoint(tool_state=tool_state(1), execution_state=b"\0state")
    first = turn("t1", fence=None, checkpoint=state).to_data() | {"session_execution_lease": fence}
    tour: list[tuple[str, dict[str, Any]]] = [
        ("store.durability_tier", {}),
        ("store.load_session", {"scope": "FullGraph"}),
        ("store.commit_runtime_state", {"commit": first}),
        ("store.load_session", {"scope": "FullGraph"}),
        ("store.load_node", {"node_id": "t1"}),
        ("store.load_node", {"node_id": "missing"}),
        ("store.load_session_meta", {}),
        ("store.enqueue_queued_work", {"batch": batch().to_data()}),
        ("store.enqueue_pending_turn_input", {"input": said().to_data()}),
        ("store.list_queued_work", {"session_id": "s1"}),
        ("store.list_pending_turn_inputs", {"session_id": "s1"}),
        ("store.claim_checkpoint_work", {**lane, "turn_id": "t2", "checkpoint": "after_work", "max_inputs": 9, "max_batches": 9}),
        ("store.claim_next_turn_inputs", {**lane, "max_inputs": 9}),
        ("store.claim_ready_queued_work", {**lane, "boundary": "idle", "max_batches": 9}),
        ("store.claim_leading_ready_session_command", lane),
        ("store.cancel_pending_turn_inputs", {"session_id": "s1", "targets": [{"kind": "input_id", "value": "x"}]}),
        ("store.cancel_pending_turn_input_suffix", {"session_id": "s1", "anchor": {"kind": "source_key", "value": "x"}}),
        ("store.renew_session_execution_lease", {"fence": fence, "lease_ttl_ms": 600_000}),
        ("store.try_claim_session_execution_lease", {"session_id": "s1", "owner": OWNER | {"owner_id": "b"}, "lease_ttl_ms": 1}),
        ("store.release_session_execution_lease", {"completion": fence}),
        ("store.vacuum", {}),
        ("store.list_uncommitted", {"older_than_epoch_ms": NOW_MS}),
        ("store.list_all_refs", {}),
    ]  # fmt: skip
    places: list[tuple[str, dict[str, Any]]] = [
        ("factory.durability_tier", {}),
        ("factory.open_existing_store", {"request": REQUEST}),
        ("factory.live_attachment_refs", {"intent_grace_cutoff_epoch_ms": 0}),
        ("factory.delete_session", {"session_id": "s1"}),
        ("attachments.persistence", {}),
        ("attachments.put", {"data": base64.b64encode(b"bytes").decode(), "meta": {"media_type": "text/plain"}}),
        ("attachments.list", {}),
        ("attachments.head", {"attachment_id": hashlib.sha256(b"bytes").hexdigest()}),
        ("attachments.head", {"attachment_id": "0" * 64}),
        ("attachments.get", {"attachment_id": hashlib.sha256(b"bytes").hexdigest()}),
    ]
    schemas = result_schemas()
    calls = [(name, {"store": store} | params) for name, params in tour] + [(name, {"place": place} | params) for name, params in places]
    for method, params in calls:
        found = await wire.result(method, **params)
        fault = next(schemas[method].iter_errors(found), None)

        assert fault is None, f"expected a result of {method} that follows its schema\nfound {_told(fault)}"


def _told(fault: jsonschema.ValidationError | None) -> str:
    return "" if fault is None else f"{fault.json_path}: {fault.message:.200}"


@check("WIR.43", needs=("wire",))
async def bytes_cross_as_base64(line: Line) -> None:
    """Of an attachment and of an execution state, all 256 values and a length that needs padding."""
    data = bytes(range(256)) + b"\0"
    text = base64.b64encode(data).decode()
    wire = await line.greeted()
    place = await wire.place(line.directory)
    store = await wire.store(place)
    made = await wire.result("attachments.put", place=place, data=text, meta={"media_type": "x/y"})
    part = commit(None, checkpoint=checkpoint(execution_state=data)).to_data()
    await wire.result("store.commit_runtime_state", store=store, commit=part | {"session_execution_lease": await _lane(wire, store)})
    read = await wire.result("store.load_session", store=store, scope="FullGraph")

    assert (made["id"], made["byte_len"]) == (hashlib.sha256(data).hexdigest(), 257)
    assert await wire.result("attachments.get", place=place, attachment_id=made["id"]) == text
    assert read["checkpoint"]["execution_state"] == text
