"""What a host may leave out: which capability a use of a host needs ([HST.7][]).

A check that uses what the target does not declare does not apply; the bench asks here before it passes a call on.
"""

from collections.abc import Sequence
from typing import Any, Final, cast

from lash_conformance.host import CoreSpec, Data, HostCapability, HostTarget, OpenSpec

PARTS: Final[tuple[HostCapability, ...]] = (
    "plugins", "queue", "frames", "graph", "waits", "observation", "children", "recording", "helpers",
)  # fmt: skip
"""Capabilities that are known by the calls behind them."""

_METHODS: Final[dict[str, HostCapability]] = {
    "observe": "observation", "resume_from": "observation", "subscribe": "observation", "queued_turn": "queue",
    "pure": "helpers",
}  # fmt: skip
_MEMBERS: Final[dict[str, HostCapability]] = {
    "operation": "plugins", "operations": "plugins", "shelf": "plugins", "triggers.catalog": "plugins",
    "compact_context": "frames",
    "append_nodes": "graph", "get_historic_node": "graph", "orphaned_node_ids": "graph", "open_agent_frame": "graph",
    "wait_key": "waits", "resolve": "waits", "await": "waits", "pending_key": "waits", "revoke_durable_waits": "waits",
    "enqueue": "queue", "enqueue_turn_input": "queue", "queued_work": "queue", "pending_turn_inputs": "queue",
    "cancel_pending_turn_input": "queue", "cancel_pending_turn_inputs": "queue",
    "cancel_pending_turn_input_suffix": "queue", "cancel_queued_work_batch": "queue", "await_queued_work_batch": "queue",
    "abandon_queued_work_claim": "queue", "abandon_turn_input_claim": "queue", "command": "queue",
    "children.create": "children", "children.turn": "children", "refresh_background_graph": "processes",
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


def own_tools(target: HostTarget) -> frozenset[str]:
    """Names of tools that the host's protocol offers by itself; a target that says nothing has none."""
    return frozenset(getattr(target, "own_tools", ()))


def without_own(method: str, arguments: Sequence[Any], answer: Any, own: frozenset[str], hidden: Data) -> Any:
    """An answer about tools without those that the host's protocol offers by itself: they are not judged.

    What is taken out of a tool state is kept in ``hidden``, for `with_own`.
    """
    if not own:
        return answer
    match method, arguments:
        case ("read", ["active_tools"]):
            return [name for name in answer if name not in own]
        case ("read", ["tool_state"]) | ("call", ["tools.state", *_]):
            hidden.update({key: one for key, one in answer["tools"].items() if one["manifest"]["name"] in own})
            return answer | {"tools": {key: one for key, one in answer["tools"].items() if key not in hidden}}
        case ("requests", _):
            return [one | {"tools": [name for name in one["tools"] if name not in own]} for one in answer]
        case _:
            return answer


def with_own(method: str, arguments: tuple[Any, ...], hidden: Data) -> tuple[Any, ...]:
    """A call that applies a tool state, with the tools that were left out when the state was answered."""
    if not hidden or (method, arguments[:1]) != ("call", ("tools.apply_state",)):
        return arguments
    state = cast("Data", arguments[1]["state"])
    return "tools.apply_state", {"state": state | {"tools": hidden | state["tools"]}}
