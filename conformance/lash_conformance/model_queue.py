"""The model of queued work: enqueueing, claiming at a boundary, abandoning, cancelling, listing."""

from collections.abc import Sequence
from typing import Any

from lash_conformance.model_lease import holder, require
from lash_conformance.model_state import Claim, Data, Number, Row, State, lean
from lash_ref.errors import InvalidRecord

CHECKPOINT = "active_turn_checkpoint"


def class_of(payloads: Sequence[Data]) -> str | None:
    """The class all payloads share, if one."""
    found = {"command" if p["type"] == "session_command" else "turn" for p in payloads}
    return found.pop() if len(found) == 1 else None


def row_class(row: Row) -> str | None:
    """The class of a batch."""
    return class_of([item["payload"] for item in row.data["items"]])


def require_class(draft: Data) -> None:
    """Refuse a draft that no claim could ever grant."""
    if class_of(draft["payloads"]) is None:
        raise InvalidRecord("QueuedWorkBatchDraft", "payloads", "one class", "none")


def enqueue(state: State, bound: str, draft: Data) -> Data:
    """The new batch, or the one its source key names already."""
    require_class(draft)
    session = state.session(draft["session_id"])
    key = draft.get("source_key")
    for row in session.queue:
        if key is not None and row.data.get("source_key") == key:
            return row.data
    session_id = draft["session_id"]
    session.last_batch = state.above(session_id, "seq", session.last_batch)
    data = {name: value for name, value in draft.items() if name != "payloads"}
    data |= {
        "batch_id": state.mint(session_id, "batch"),
        "enqueue_seq": session.last_batch,
        "enqueued_at_ms": state.moment(state.now),
        "items": [
            {"item_id": state.mint(session_id, "item"), "payload": payload}
            for payload in draft["payloads"]
        ],
    }
    session.queue.append(Row(data))
    return data


# -- claims


def held_live(state: State, session_id: str, row: Row) -> bool:
    """Whether a claim holds the row, as one sees it without a fence."""
    lease = holder(state, session_id)
    return row.claim is not None and lease is not None and lease["fencing_token"] == row.claim.generation


def free_under(row: Row, generation: Number) -> bool:
    """Whether a caller of that generation may take the row."""
    return row.claim is None or row.claim.generation != generation


def candidates(state: State, session_id: str, generation: Number) -> list[Row]:
    """What a claim looks at, in order."""
    return [
        row
        for row in state.session(session_id).queue
        if row.data["available_at_ms"] <= state.now and free_under(row, generation)
    ]


def admitted(row: Row, boundary: str) -> bool:
    """Whether turn work may be delivered at that boundary."""
    return boundary == "idle" or row.data["delivery_policy"] == "earliest_safe_boundary"


def joins(head: Row, row: Row) -> bool:
    """Whether the row may share the head's turn."""
    alike = ("delivery_policy", "merge_key")
    return (
        row_class(row) == "turn"
        and head.data["slot_policy"] == row.data["slot_policy"] == "join"
        and all(head.data[name] == row.data[name] for name in alike)
    )


def leading(rows: list[Row], boundary: str, at_most: int) -> list[Row]:
    """The group of turn work at the front."""
    if not rows or at_most == 0 or row_class(rows[0]) != "turn" or not admitted(rows[0], boundary):
        return []
    group = rows[:1]
    for row in rows[1:]:
        if len(group) == at_most or not joins(rows[0], row):
            break
        group.append(row)
    return group


def grant(state: State, session_id: str, fence: Data, owner: Data, rows: list[Row], family: str) -> Data:
    """The claim of these rows, now held."""
    claim = Claim(
        claim_id=state.mint(session_id, f"{family}claim"),
        token=state.mint(session_id, f"{family}token"),
        owner=owner,
        generation=fence["fencing_token"],
    )
    number = state.above(session_id, "number", *(row.number for row in rows))
    for row in rows:
        row.claim, row.number = claim, number
    return {
        "session_id": session_id,
        "claim_id": claim.claim_id,
        "owner": owner,
        "lease_token": claim.token,
        "fencing_token": number,
        "session_lease_generation": claim.generation,
    }


def granted(state: State, session_id: str, fence: Data, owner: Data, rows: list[Row]) -> Data | None:
    """The claim of these batches, or none of none."""
    if not rows:
        return None
    header = grant(state, session_id, fence, owner, rows, "queue")
    return header | {"batches": [row.data for row in rows]}


def claim_command(state: State, bound: str, session_id: str, fence: Data, owner: Data) -> Data | None:
    """The head of the queue, if it is a command."""
    require(state, session_id, fence)
    rows = candidates(state, session_id, fence["fencing_token"])[:1]
    rows = [row for row in rows if row_class(row) == "command"]
    return granted(state, session_id, fence, owner, rows)


def claim_ready(
    state: State, bound: str, session_id: str, fence: Data, owner: Data, boundary: str, at_most: int
) -> Data | None:
    """The leading group that the boundary admits."""
    if at_most == 0:
        return None
    require(state, session_id, fence)
    rows = leading(candidates(state, session_id, fence["fencing_token"]), boundary, at_most)
    return granted(state, session_id, fence, owner, rows)


def claim_exact(
    state: State, bound: str, session_id: str, fence: Data, owner: Data, boundary: str, ids: list[str]
) -> Data | None:
    """These batches, or none."""
    if not ids:
        return None
    require(state, session_id, fence)
    ready = candidates(state, session_id, fence["fencing_token"])
    free = {row.data["batch_id"]: row for row in ready}
    rows = [free[batch_id] for batch_id in dict.fromkeys(ids) if batch_id in free]
    legal = (
        len(rows) == len(set(ids))
        and all(row_class(row) == "turn" and admitted(row, boundary) for row in rows)
        and (len(rows) == 1 or all(joins(rows[0], row) for row in rows))
    )
    return granted(state, session_id, fence, owner, rows) if legal else None


# -- the rest


def abandon(state: State, bound: str, claim: Data) -> None:
    """The claim's batches, free again."""
    for row in _held_by(state, claim):
        row.claim = None


def abandon_all(state: State, bound: str, claims: list[Data]) -> None:
    """Each abandoned."""
    for claim in claims:
        abandon(state, bound, claim)


def _held_by(state: State, claim: Data) -> list[Row]:
    rows = state.session(claim["session_id"]).queue
    return [row for row in rows if holds(row, claim)]


def holds(row: Row, claim: Data) -> bool:
    """Whether the claim or completion holds the row."""
    held = row.claim
    return held is not None and (held.claim_id, held.token) == (claim["claim_id"], claim["lease_token"])


def cancel(state: State, bound: str, session_id: str, batch_id: str) -> Data | None:
    """The batch, removed, if nobody live holds it."""
    queue = state.session(session_id).queue
    for row in queue:
        if row.data["batch_id"] == batch_id and not held_live(state, session_id, row):
            queue.remove(row)
            return row.data
    return None


def list_all(state: State, bound: str, session_id: str) -> list[Data]:
    """Every batch."""
    return [row.data for row in state.session(session_id).queue]


def list_pending(state: State, bound: str, session_id: str) -> list[Data]:
    """Those nobody live holds."""
    queue = state.session(session_id).queue
    return [row.data for row in queue if not held_live(state, session_id, row)]


def checkpoint_work(
    state: State, bound: str, session_id: str, fence: Data, owner: Data, *wanted: Any
) -> Data:
    """Both families at once; with nothing to grant the fence is not judged."""
    from lash_conformance.model_inputs import active, granted_inputs

    turn_id, checkpoint, max_inputs, max_batches = wanted
    generation = fence["fencing_token"]
    inputs = active(state, session_id, turn_id, checkpoint)[:max_inputs]
    batches = leading(candidates(state, session_id, generation), CHECKPOINT, max_batches)
    if not inputs and not batches:
        return {}
    require(state, session_id, fence)
    mode = {"kind": "active_turn", "turn_id": turn_id, "checkpoint": checkpoint}
    return lean(
        turn_input_claim=granted_inputs(state, session_id, fence, owner, inputs, mode),
        queued_work_claim=granted(state, session_id, fence, owner, batches),
    )
