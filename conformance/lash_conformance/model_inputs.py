"""The model of pending input: enqueueing, claiming, abandoning, cancelling, deferring."""

from lash_conformance.model_lease import require
from lash_conformance.model_queue import free_under, grant, held_live, holds
from lash_conformance.model_state import Data, Faulty, Row, State, lean
from lash_ref.errors import DuplicateInputId, PendingTurnInputSourceKeyConflict

WAITING = ("pending_active", "deferred_next_turn")
NEXT_TURN = {"scope": "next_turn"}


def _named(state: State, session_id: str, **wanted: str | None) -> Row | None:
    ((field, value),) = wanted.items()
    rows = state.session(session_id).inputs
    return next((row for row in rows if value is not None and row.data.get(field) == value), None)


def enqueue(state: State, bound: str, draft: Data) -> Data:
    """The new input, or the one its source key names already."""
    session_id, key, given = draft["session_id"], draft.get("source_key"), draft.get("input_id")
    submitted = {"ingress": draft["ingress"], "input": draft["input"]}
    stored, taken = _named(state, session_id, source_key=key), _named(state, session_id, input_id=given)
    if stored is not None and stored.submitted == submitted:
        return stored.data
    if stored is not None or taken is not None:
        conflict = stored and PendingTurnInputSourceKeyConflict(session_id, key, stored.data["input_id"])
        duplicate = taken and DuplicateInputId(session_id, given)
        raise Faulty([fault for fault in (conflict, duplicate) if fault])
    session = state.session(session_id)
    session.last_input = state.above(session_id, "inputseq", session.last_input)
    active_ = draft["ingress"]["scope"] == "active_turn"
    data = draft | {
        "input_id": given if given is not None else state.mint(session_id, "input"),
        "enqueue_seq": session.last_input,
        "state": "pending_active" if active_ else "deferred_next_turn",
        "enqueued_at_ms": state.moment(state.now),
    }
    session.inputs.append(Row(data, submitted))
    return data


def list_pending(state: State, bound: str, session_id: str) -> list[Data]:
    """Waiting inputs that nobody live holds."""
    return [
        row.data
        for row in state.session(session_id).inputs
        if row.data["state"] in WAITING and not held_live(state, session_id, row)
    ]


def list_applications(state: State, bound: str, session_id: str) -> list[Data]:
    """What stamped commits made of inputs, oldest commit first."""
    stamps = state.session(session_id).stamps.values()
    return [one for stamp in stamps for one in stamp.result["turn_input_applications"]]


# -- claims


def active(state: State, session_id: str, turn_id: str, checkpoint: str) -> list[Row]:
    """What the running turn may take in at that checkpoint."""
    return [
        row
        for row in state.session(session_id).inputs
        if row.data["state"] == "pending_active"
        and row.data["ingress"]["turn_id"] == turn_id
        and row.data["ingress"]["min_boundary"] in ("after_work", checkpoint)
    ]


def granted_inputs(
    state: State, session_id: str, fence: Data, owner: Data, rows: list[Row], mode: Data
) -> Data | None:
    """The claim of these inputs, or none of none; those of a running turn are accepted by it."""
    if not rows:
        return None
    header = grant(state, session_id, fence, owner, rows, "input")
    for row in rows:
        if mode["kind"] == "active_turn":
            row.data = row.data | {"state": "accepted"}
    return header | {"mode": mode, "inputs": [row.data for row in rows], "applications": []}


def claim_active(
    state: State, bound: str, session_id: str, fence: Data, owner: Data, turn_id: str,
    checkpoint: str, at_most: int,
) -> Data | None:  # fmt: skip
    """The running turn's inputs, accepted."""
    if at_most == 0:
        return None
    require(state, session_id, fence)
    rows = active(state, session_id, turn_id, checkpoint)[:at_most]
    mode = {"kind": "active_turn", "turn_id": turn_id, "checkpoint": checkpoint}
    return granted_inputs(state, session_id, fence, owner, rows, mode)


def claim_next(
    state: State, bound: str, session_id: str, fence: Data, owner: Data, at_most: int
) -> Data | None:
    """What waits for the next turn, held."""
    if at_most == 0:
        return None
    require(state, session_id, fence)
    rows = [
        row
        for row in state.session(session_id).inputs
        if row.data["state"] == "deferred_next_turn" and free_under(row, fence["fencing_token"])
    ]
    return granted_inputs(state, session_id, fence, owner, rows[:at_most], {"kind": "next_turn"})


def abandon(state: State, bound: str, claim: Data) -> None:
    """The claim's inputs, waiting again."""
    for row in state.session(claim["session_id"]).inputs:
        if holds(row, claim):
            row.claim = None
            if row.data["state"] == "accepted":
                row.data = row.data | {"state": "pending_active"}


def abandon_all(state: State, bound: str, claims: list[Data]) -> None:
    """Each abandoned."""
    for claim in claims:
        abandon(state, bound, claim)


def complete(row: Row) -> None:
    """The input is in the conversation."""
    row.claim = None
    row.data = row.data | {"state": "completed"}


def defer(state: State, session_id: str, turn_id: str) -> None:
    """What an interrupted turn left waiting goes to the next one."""
    for row in state.session(session_id).inputs:
        ingress = row.data["ingress"]
        if row.data["state"] == "pending_active" and ingress["turn_id"] == turn_id:
            row.data = row.data | {"state": "deferred_next_turn", "ingress": NEXT_TURN}


# -- cancellation


def _cancelled(state: State, session_id: str, row: Row | None) -> Data:
    if row is None:
        return {"outcome": "not_found"}
    if row.data["state"] in ("completed", "cancelled"):
        return {"outcome": f"already_{row.data['state']}", "data": row.data}
    if row.data["state"] == "accepted" or held_live(state, session_id, row):
        assert row.claim is not None
        diagnostics = {
            "state": row.data["state"],
            "claim_id": row.claim.claim_id,
            "claim_owner": row.claim.owner,
            "claim_session_lease_generation": row.claim.generation,
            "claim_fencing_token": row.number,
        }
        return {"outcome": "already_claimed", "data": {"input": row.data, "claim": diagnostics}}
    row.claim = None
    row.data = row.data | {"state": "cancelled"}
    return {"outcome": "cancelled", "data": row.data}


def _target(state: State, session_id: str, target: Data) -> Row | None:
    if target["kind"] == "input_id":
        return _named(state, session_id, input_id=target["value"])
    return _named(state, session_id, source_key=target["value"])


def cancel(state: State, bound: str, session_id: str, input_id: str) -> Data:
    """One input cancelled."""
    return _cancelled(state, session_id, _named(state, session_id, input_id=input_id))


def cancel_many(state: State, bound: str, session_id: str, targets: list[Data]) -> list[Data]:
    """Several, one after the other."""
    return [
        {"target": target, "outcome": _cancelled(state, session_id, _target(state, session_id, target))}
        for target in targets
    ]


def cancel_suffix(state: State, bound: str, session_id: str, anchor: Data) -> Data:
    """The anchor and all that came after it."""
    first = _target(state, session_id, anchor)
    if first is None:
        return {"outcome": "anchor_not_found", "data": {"anchor": anchor}}
    rows = state.session(session_id).inputs
    outcomes = [_cancelled(state, session_id, row) for row in rows[rows.index(first) :]]
    return {"outcome": "outcomes", "data": lean(anchor=anchor, outcomes=outcomes)}
