"""The model of attachments: who refers to which bytes, whose intents are dead, and the bytes."""

import base64
import hashlib

from lash_conformance.model_state import MAYBE, Data, Intent, State
from lash_ref.errors import AttachmentNotFound, InvalidRecord


def record(state: State, bound: str, intent: Data) -> None:
    """An intent, new or refreshed."""
    if ("owner_kind" in intent) != ("owner_id" in intent):
        raise InvalidRecord("AttachmentIntent", "owner", "both or neither", "one")
    key = (intent["session_id"], intent["attachment_id"])
    stored = state.intents.get(key)
    state.intents[key] = Intent(intent, stored is not None and stored.committed)


def commit_refs(state: State, bound: str, session_id: str, ids: list[str]) -> None:
    """Existing rows stamped."""
    adopt(state, session_id, ids, None)


def adopt(state: State, session_id: str, ids: list[str], turn_id: str | None) -> None:
    """Rows listed, or recorded by that turn, stamped."""
    for (owner, attachment_id), row in state.intents.items():
        mine = turn_id is not None and _owner(row) == ("turn", turn_id)
        if owner == session_id and (attachment_id in ids or mine):
            row.committed = True


def _owner(row: Intent) -> tuple[str, str] | None:
    return (row.data["owner_kind"], row.data["owner_id"]) if "owner_kind" in row.data else None


def _survives(state: State, session_id: str, row: Intent, cutoff: int) -> bool:
    at = row.data["intent_at_epoch_ms"]
    if row.committed or at > cutoff:
        return True
    match _owner(row):
        case None:
            return False
        case ("turn", turn_id):
            stamps = state.session(session_id).stamps
            return not any(turn != turn_id and stamp.at > at for turn, stamp in stamps.items())
        case (_, process_id):
            return "process_evidence" not in state.capabilities or process_id not in state.gone


def list_uncommitted(state: State, bound: str, cutoff: int) -> list[Data]:
    """Uncommitted rows up to the cutoff, oldest first."""
    rows = [
        row.data
        for row in state.intents.values()
        if not row.committed and row.data["intent_at_epoch_ms"] <= cutoff
    ]
    order = ("intent_at_epoch_ms", "session_id", "attachment_id")
    return sorted(rows, key=lambda row: tuple(row[name] for name in order))


def forget_aged(state: State, bound: str, cutoff: int) -> None:
    """Dead intents up to the cutoff, forgotten."""
    state.intents = {
        key: row for key, row in state.intents.items() if _survives(state, key[0], row, cutoff)
    }


def has_live_ref(state: State, bound: str, attachment_id: str, cutoff: int) -> bool:
    """Whether any row would keep the bytes."""
    return any(
        key[1] == attachment_id and _survives(state, key[0], row, cutoff)
        for key, row in state.intents.items()
    )


def forget(state: State, bound: str, session_id: str, attachment_id: str) -> None:
    """One row dropped."""
    state.intents.pop((session_id, attachment_id), None)


def holds_ref(state: State, bound: str, session_id: str, attachment_id: str) -> bool:
    """Whether the session has a row for it."""
    return (session_id, attachment_id) in state.intents


def all_refs(state: State, bound: str) -> list[str]:
    """Every id with a row."""
    return sorted({attachment_id for _, attachment_id in state.intents})


# -- bytes


def put(state: State, bound: str, data: str, meta: Data) -> Data:
    """The bytes, stored under their hash."""
    raw = base64.b64decode(data)
    attachment_id = hashlib.sha256(raw).hexdigest()
    state.bytes[attachment_id] = data
    return {"id": attachment_id, "byte_len": len(raw)} | meta


def get(state: State, bound: str, attachment_id: str) -> str:
    """The bytes."""
    if attachment_id not in state.bytes:
        raise AttachmentNotFound(attachment_id)
    return state.bytes[attachment_id]


def delete(state: State, bound: str, attachment_id: str) -> None:
    """The bytes, gone."""
    state.bytes.pop(attachment_id, None)


def list_bytes(state: State, bound: str) -> list[Data]:
    """One entry a blob."""
    return [{"id": key, "last_modified_epoch_ms": MAYBE} for key in sorted(state.bytes)]


def head(state: State, bound: str, attachment_id: str) -> Data | None:
    """One blob's entry."""
    if attachment_id not in state.bytes:
        return None
    return {"id": attachment_id, "last_modified_epoch_ms": MAYBE}
