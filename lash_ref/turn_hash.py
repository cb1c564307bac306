"""The hash by which a turn is recognised: what the turn is, without what an attempt at it minted."""

import hashlib
import json
from typing import Any

from pydantic_core import to_json

from lash_ref.records import RuntimeCommit

_ATTEMPT = {
    "expected_head_revision", "session_execution_lease", "release_session_execution_lease", "turn_commit",
}  # fmt: skip
_MINTED = frozenset({"node_id", "parent_node_id", "leaf_node_id", "timestamp"})
_MESSAGE = {"role", "parts"}
_PART = {"kind", "content", "prune_state"}


def turn_commit_hash(commit: RuntimeCommit) -> str:
    """SHA-256 in hex of the commit's JSON, attempt and minted names left out ([STO.40][] to [STO.42][]).

    Equal commits have equal JSON: records keep the order of their fields, and `Json` sorts its keys.
    """
    settled: Any = json.loads(
        commit.model_dump_json(exclude_none=True, exclude=_ATTEMPT), object_hook=_settled
    )
    return hashlib.sha256(to_json(settled)).hexdigest()


def _settled(members: dict[str, Any]) -> dict[str, Any]:
    if "id" in members and (members.keys() >= _MESSAGE or members.keys() >= _PART):
        del members["id"]
    if not _MINTED.isdisjoint(members):
        for name in _MINTED:
            members.pop(name, None)
    return members
