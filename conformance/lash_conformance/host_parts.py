"""What a host may leave out: which capability a use of a host needs ([HST.7][]).

A check that uses what the target does not declare does not apply; the bench asks here before it passes a call on.
"""

from collections.abc import Sequence
from typing import Any, Final, cast

from lash_conformance.host import CoreSpec, Data, HostCapability, OpenSpec

PARTS: Final[tuple[HostCapability, ...]] = (
    "plugins", "queue", "frames", "waits", "observation", "children", "recording", "helpers",
)  # fmt: skip
"""Capabilities that are known by the calls behind them."""

_METHODS: Final[dict[str, HostCapability]] = {
    "observe": "observation", "resume_from": "observation", "subscribe": "observation", "queued_turn": "queue",
    "pure": "helpers",
}  # fmt: skip
_MEMBERS: Final[dict[str, HostCapability]] = {
    "operation": "plugins", "operations": "plugins", "shelf": "plugins", "triggers.catalog": "plugins",
    "open_agent_frame": "frames", "compact_context": "frames",
    "wait_key": "waits", "resolve": "waits", "await": "waits", "pending_key": "waits", "revoke_durable_waits": "waits",
    "enqueue": "queue", "enqueue_turn_input": "queue", "queued_work": "queue", "pending_turn_inputs": "queue",
    "cancel_pending_turn_input": "queue", "cancel_pending_turn_inputs": "queue",
    "cancel_pending_turn_input_suffix": "queue", "cancel_queued_work_batch": "queue", "await_queued_work_batch": "queue",
    "abandon_queued_work_claim": "queue", "abandon_turn_input_claim": "queue", "command": "queue",
    "children.create": "children", "children.turn": "children",
}  # fmt: skip
_TOOLS: Final[dict[str, HostCapability]] = {"switch_frame": "frames", "pending": "waits"}
"""Kit tools that only a host with the capability can carry out, once the model calls them."""


def needed(method: str, arguments: Sequence[Any]) -> HostCapability | None:
    """The capability behind a call; none for what every host has."""
    match method, arguments:
        case "core", [CoreSpec() as spec]:
            return "recording" if spec.journal else "plugins" if spec.plugins or spec.edits else None
        case "open", [_, OpenSpec() as spec]:
            return "plugins" if spec.plugins else None
        case "call", [str(member), *_]:
            return _MEMBERS.get(member)
        case "script", [replies]:
            called = [one["name"] for reply in cast("list[Data]", replies) for one in reply.get("tools", ())]
            return next((_TOOLS[name] for name in called if name in _TOOLS), None)
        case _:
            return _METHODS.get(method)
