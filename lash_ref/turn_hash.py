"""The hash by which a turn is recognised: what the turn is, without what an attempt at it minted."""

import hashlib
import json
from typing import Any, cast

from lash_ref.records import RuntimeCommit

_ATTEMPT = ("expected_head_revision", "session_execution_lease", "release_session_execution_lease", "turn_commit")
_MINTED = ("node_id", "parent_node_id", "leaf_node_id", "timestamp")
_MESSAGE = {"role", "parts"}
_PART = {"kind", "content", "prune_state"}


def turn_commit_hash(commit: RuntimeCommit) -> str:
    """SHA-256 in hex of the commit's canonical JSON, attempt and minted names left out ([STO.40][] to [STO.42][])."""
    data = {name: value for name, value in commit.to_data().items() if name not in _ATTEMPT}
    text = json.dumps(_settled(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _settled(value: Any) -> Any:
    if isinstance(value, list):
        return [_settled(member) for member in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    members = cast("dict[str, Any]", value)
    named = members.keys() >= _MESSAGE or members.keys() >= _PART
    dropped = {*_MINTED, "id"} if named else set(_MINTED)
    return {key: _settled(member) for key, member in members.items() if key not in dropped}
