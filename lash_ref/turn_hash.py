"""The hash by which a turn is recognised: what the turn is, without what an attempt at it minted."""

import hashlib
from typing import Any, cast

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
    turn = commit.model_dump(mode="json", exclude_none=True, exclude=_ATTEMPT)
    _drop_minted(turn)
    return hashlib.sha256(to_json(turn)).hexdigest()


def _drop_minted(value: Any) -> None:
    if type(value) is dict:
        members = cast("dict[str, Any]", value)
        if "id" in members and (members.keys() >= _MESSAGE or members.keys() >= _PART):
            del members["id"]
        for name in _MINTED.intersection(members):
            del members[name]
        value = members.values()
    for member in value:
        if type(member) is dict or type(member) is list:
            _drop_minted(member)
