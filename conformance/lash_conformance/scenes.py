"""What a process is doing when it is struck: one scene for each kind of call that changes what is stored."""

import base64
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

from lash_conformance.bench import owner, request
from lash_conformance.model_lease import FENCE
from lash_conformance.model_state import Data
from lash_conformance.target import Capability
from lash_conformance.vocabulary import (
    batch,
    chain,
    checkpoint,
    commit,
    during,
    frame,
    message,
    plugin_snapshot,
    said,
    spent,
    stamp,
    tool_state,
)
from lash_ref.nodes import Append, ReplaceFull

HOLDER = owner("a", "1").to_data()
"""Who holds the lane when the process is struck."""
SUCCESSOR = owner("b", "1").to_data()
"""Who takes the lane over."""
LARGE = 130
"""More rows than a store may write in one go."""
BYTES = b"what was put " * 700
BYTES_ID = hashlib.sha256(BYTES).hexdigest()
DOOMED_BYTES = b"what was deleted " * 500
DOOMED_BYTES_ID = hashlib.sha256(DOOMED_BYTES).hexdigest()
WITH_BYTES = ("put bytes", "delete bytes", "adopt attachment", "delete session", "gc")
"""The scenes in which bytes are there, or come to be."""
REQUEST = request().to_data()


class Caller(Protocol):
    """Makes calls that must be answered, on the way to the one that is struck."""

    async def call(self, on: str, method: str, *arguments: Any) -> Any:
        """The answer; none when the contract demands a refusal, and it came.

        Raises:
            Unexpected: it is not what the contract demands.
        """
        ...

    @property
    def ttl(self) -> int:
        """How long a lane is held, in ms."""
        ...


@dataclass(frozen=True)
class FinalCall:
    """The call that is struck."""

    on: str
    method: str
    arguments: tuple[Any, ...] = ()
    repeats: bool = True
    """Whether a caller that got no answer makes the call again: it carries its own stamp, key or id."""

    def under(self, fence: Data) -> "FinalCall":
        """The same call by whoever holds the lane now."""
        return FinalCall(self.on, self.method, tuple(_under(argument, fence) for argument in self.arguments), self.repeats)


def _under(argument: Any, fence: Data) -> Any:
    if not isinstance(argument, dict):
        return argument
    data = cast("Data", argument)
    return data | {"session_execution_lease": fence} if "session_execution_lease" in data else data


@dataclass(frozen=True)
class Scene:
    """How a place is brought to the call that is struck."""

    name: str
    play: Callable[[Caller], Awaitable[FinalCall]]
    needs: frozenset[Capability]
    holds_lane: bool
    """Whether the lane is held when it happens, so that it must be taken over."""


SCENES: dict[str, Scene] = {}
STORE = "store[s1]"


def _scene(
    name: str, *needs: Capability, holds_lane: bool = True
) -> Callable[[Callable[[Caller], Awaitable[FinalCall]]], Callable[[Caller], Awaitable[FinalCall]]]:
    def register(play: Callable[[Caller], Awaitable[FinalCall]]) -> Callable[[Caller], Awaitable[FinalCall]]:
        SCENES[name] = Scene(name, play, frozenset(needs), holds_lane)
        return play

    return register


async def _session(caller: Caller) -> None:
    await caller.call("factory", "create_store", REQUEST)


async def _lane(caller: Caller) -> Data:
    answer = await caller.call(STORE, "try_claim_session_execution_lease", "s1", HOLDER, caller.ttl)
    return {name: answer["Acquired"][name] for name in FENCE}


async def begun(caller: Caller) -> Data:
    """A session with one committed turn; the fence of its lane."""
    await _session(caller)
    fence = await _lane(caller)
    await caller.call(STORE, "commit_runtime_state", turn(fence, "t1", 1))
    return fence


def turn(fence: Data, turn_id: str, number: int, graph: Any = None, **parts: Any) -> Data:
    """A stamped commit of everything a turn writes: a message, usage, a checkpoint with its parts, a frame."""
    under = f"n{number - 1}" if number > 1 else None
    delta = graph or Append(nodes=(message(f"n{number}", text=f"says {turn_id} " * 40, parent=under),), leaf_node_id=f"n{number}")
    data = commit(
        None, delta, turn_commit=stamp(turn_id), expected_head_revision=number - 1,
        usage_deltas=(spent(input_tokens=number),), agent_frames=(frame("f1"),), current_agent_frame_id="f1",
        checkpoint=checkpoint(number, tool_state=tool_state(number), plugin_snapshot=plugin_snapshot(number)), **parts,
    ).to_data()  # fmt: skip
    return data | {"session_execution_lease": fence}


# -- sessions and commits


@_scene("create session", holds_lane=False)
async def _create(caller: Caller) -> FinalCall:  # noqa: ARG001 - nothing comes before it
    return FinalCall("factory", "create_store", (REQUEST,))


@_scene("first commit")
async def _first(caller: Caller) -> FinalCall:
    await _session(caller)
    fence = await _lane(caller)
    return FinalCall(STORE, "commit_runtime_state", (turn(fence, "t1", 1),))


@_scene("append")
async def _append(caller: Caller) -> FinalCall:
    fence = await begun(caller)
    refused = turn(fence, "t2", 9, enqueued_queue_batches=(batch(source_key="refused"),))
    await caller.call(STORE, "commit_runtime_state", refused)
    return FinalCall(STORE, "commit_runtime_state", (turn(fence, "t2", 2),))


@_scene("replace graph")
async def _replace(caller: Caller) -> FinalCall:
    fence = await begun(caller)
    delta = ReplaceFull(nodes=chain("r1", "r2", "r3"), leaf_node_id="r3")
    return FinalCall(STORE, "commit_runtime_state", (turn(fence, "t2", 2, delta),))


@_scene("commit with outbox")
async def _outbox(caller: Caller) -> FinalCall:
    fence = await begun(caller)
    sent = (batch(source_key="k1"), batch(source_key="k2"))
    return FinalCall(STORE, "commit_runtime_state", (turn(fence, "t2", 2, enqueued_queue_batches=sent),))


@_scene("last commit")
async def _last(caller: Caller) -> FinalCall:
    fence = await begun(caller)
    return FinalCall(STORE, "commit_runtime_state", (turn(fence, "t2", 2) | {"release_session_execution_lease": fence},))


@_scene("large commit")
async def _large(caller: Caller) -> FinalCall:
    fence = await begun(caller)
    names = [f"m{number}" for number in range(LARGE)]
    usage = [spent("turn", f"m-{number}", input_tokens=1).to_data() for number in range(LARGE)]
    sent = tuple(batch(source_key=f"k{number}") for number in range(20))
    delta = Append(nodes=chain(*names, under="n1"), leaf_node_id=names[-1])
    data = turn(fence, "t2", 2, delta, enqueued_queue_batches=sent) | {"usage_deltas": usage}
    return FinalCall(STORE, "commit_runtime_state", (data,))


@_scene("settle claims")
async def _settle(caller: Caller) -> FinalCall:
    fence = await begun(caller)
    await caller.call(STORE, "enqueue_queued_work", batch().to_data())
    await caller.call(STORE, "enqueue_pending_turn_input", said(input_id="i1").to_data())
    work = await caller.call(STORE, "claim_ready_queued_work", "s1", fence, fence["owner"], "idle", 9)
    waiting = await caller.call(STORE, "claim_next_turn_inputs", "s1", fence, fence["owner"], 9)
    data = turn(fence, "t2", 2) | {
        "completed_queue_claims": [_done(work) | {"batch_ids": [one["batch_id"] for one in work["batches"]]}],
        "completed_turn_input_claims": [_done(waiting) | {"input_ids": [one["input_id"] for one in waiting["inputs"]]}],
    }
    return FinalCall(STORE, "commit_runtime_state", (data,))


def _done(claim: Data) -> Data:
    return {name: claim[name] for name in ("session_id", "claim_id", "lease_token")}


@_scene("delete session", holds_lane=False)
async def _delete(caller: Caller) -> FinalCall:
    await begun(caller)
    await caller.call(STORE, "enqueue_queued_work", batch().to_data())
    await _stored(caller)
    for session_id in ("s1", "s2"):
        await caller.call(STORE, "record_intent", _INTENT | {"session_id": session_id})
    return FinalCall("factory", "delete_session", ("s1",))


@_scene("close the place")
async def _close(caller: Caller) -> FinalCall:
    await begun(caller)
    return FinalCall("place", "close", repeats=False)


# -- lane


@_scene("claim lane")
async def _claim_lane(caller: Caller) -> FinalCall:
    await _session(caller)
    fence = await _lane(caller)
    await caller.call(STORE, "release_session_execution_lease", fence)
    return FinalCall(STORE, "try_claim_session_execution_lease", ("s1", HOLDER, caller.ttl), repeats=False)


@_scene("renew lane")
async def _renew(caller: Caller) -> FinalCall:
    fence = await begun(caller)
    return FinalCall(STORE, "renew_session_execution_lease", (fence, caller.ttl), repeats=False)


@_scene("release lane")
async def _release(caller: Caller) -> FinalCall:
    fence = await begun(caller)
    return FinalCall(STORE, "release_session_execution_lease", (fence,), repeats=False)


# -- queued work and input


@_scene("enqueue work")
async def _enqueue(caller: Caller) -> FinalCall:
    await begun(caller)
    made = await caller.call(STORE, "enqueue_queued_work", batch().to_data())
    await caller.call(STORE, "cancel_queued_work_batch", "s1", made["batch_id"])
    return FinalCall(STORE, "enqueue_queued_work", (batch(source_key="k1").to_data(),))


@_scene("claim work")
async def _claim_work(caller: Caller) -> FinalCall:
    fence = await begun(caller)
    await caller.call(STORE, "enqueue_queued_work", batch().to_data())
    await caller.call(STORE, "enqueue_pending_turn_input", said().to_data())
    work, waiting = [await caller.call(*claim) for claim in claims(fence)]
    await caller.call(STORE, "abandon_queued_work_claim", work)
    await caller.call(STORE, "abandon_turn_input_claim", waiting)
    on, method, *arguments = claims(fence)[0]
    return FinalCall(on, method, tuple(arguments), repeats=False)


def claims(fence: Data) -> list[tuple[Any, ...]]:
    """Claims of all the work and input there is, as calls."""
    held = ("s1", fence, fence["owner"])
    return [(STORE, "claim_ready_queued_work", *held, "idle", 9), (STORE, "claim_next_turn_inputs", *held, 9)]


@_scene("cancel work")
async def _cancel(caller: Caller) -> FinalCall:
    await begun(caller)
    made = await caller.call(STORE, "enqueue_queued_work", batch().to_data())
    return FinalCall(STORE, "cancel_queued_work_batch", ("s1", made["batch_id"]), repeats=False)


@_scene("enqueue input")
async def _input(caller: Caller) -> FinalCall:
    await begun(caller)
    made = await caller.call(STORE, "enqueue_pending_turn_input", said().to_data())
    await caller.call(STORE, "cancel_pending_turn_input", "s1", made["input_id"])
    await caller.call(STORE, "vacuum")
    return FinalCall(STORE, "enqueue_pending_turn_input", (said(source_key="k1", ingress=during("t2")).to_data(),))


@_scene("cancel input")
async def _cancel_input(caller: Caller) -> FinalCall:
    await begun(caller)
    for text in ("one", "two"):
        await caller.call(STORE, "enqueue_pending_turn_input", said(text, input_id=text).to_data())
    targets = [{"kind": "input_id", "value": text} for text in ("one", "two")]
    return FinalCall(STORE, "cancel_pending_turn_inputs", ("s1", targets), repeats=False)


# -- chores and bytes


@_scene("vacuum")
async def _vacuum(caller: Caller) -> FinalCall:
    fence = await begun(caller)
    await caller.call(STORE, "commit_runtime_state", turn(fence, "t2", 2))
    await caller.call(STORE, "tombstone_nodes", ["n1"])
    return FinalCall(STORE, "vacuum", repeats=False)


@_scene("gc", "gc")
async def _gc(caller: Caller) -> FinalCall:
    fence = await begun(caller)
    await caller.call(STORE, "commit_runtime_state", turn(fence, "t2", 2))
    await _stored(caller)
    return FinalCall(STORE, "gc_unreachable", repeats=False)


@_scene("record intent", "manifest")
async def _intent(caller: Caller) -> FinalCall:
    await begun(caller)
    return FinalCall(STORE, "record_intent", (_INTENT,))


_INTENT: Data = {
    "attachment_id": BYTES_ID, "session_id": "s1", "canonical_uri": f"attachment:{BYTES_ID}", "intent_at_epoch_ms": 5,
    "owner_kind": "turn", "owner_id": "t2",
}  # fmt: skip


@_scene("put bytes")
async def _put(caller: Caller) -> FinalCall:
    await begun(caller)
    return FinalCall("attachments", "put", _put_of(BYTES))


def _put_of(data: bytes) -> tuple[str, Data]:
    return base64.b64encode(data).decode("ascii"), {"media_type": "text/plain"}


async def _stored(caller: Caller) -> None:
    await caller.call("attachments", "put", *_put_of(BYTES))


@_scene("delete bytes", holds_lane=False)
async def _delete_bytes(caller: Caller) -> FinalCall:
    await _session(caller)
    await _stored(caller)
    await caller.call("attachments", "put", *_put_of(DOOMED_BYTES))
    return FinalCall("attachments", "delete", (DOOMED_BYTES_ID,))


@_scene("adopt attachment", "manifest")
async def _adopt(caller: Caller) -> FinalCall:
    fence = await begun(caller)
    await _stored(caller)
    await caller.call(STORE, "record_intent", _INTENT)
    return FinalCall(STORE, "commit_runtime_state", (turn(fence, "t2", 2, committed_attachment_ids=(BYTES_ID,)),))


def reads(scene: Scene, capabilities: frozenset[Capability]) -> list[tuple[str, str, tuple[Any, ...]]]:
    """What is read after reopening, bytes first, and of a session its presence: where it is gone nothing more is read."""
    found: list[tuple[str, str, tuple[Any, ...]]] = [
        ("factory", "open_existing_store", (REQUEST,)),
        (STORE, "load_session", ("FullGraph",)),
        (STORE, "list_queued_work", ("s1",)),
        (STORE, "list_pending_turn_inputs", ("s1",)),
        (STORE, "load_session_meta", ()),
    ]
    if "manifest" in capabilities:
        found += [(STORE, "list_uncommitted", (2**62,)), (STORE, "list_all_refs", ())]
    if scene.name in WITH_BYTES:
        ids = (BYTES_ID, DOOMED_BYTES_ID) if scene.name == "delete bytes" else (BYTES_ID,)
        found = [("attachments", "list", ()), *(("attachments", "get", (one,)) for one in ids), *found]
    return found
