"""The independent model: the whole store contract of one place as pure, synchronous Python.

It knows the contract's records and errors and no implementation. Given the same calls as a store it
predicts every outcome, minted values by name (`model_state`); the machines drive both side by side, and
the races ask it whether some order of concurrent calls explains what clients saw.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, cast

from lash_conformance import (
    model_commit,
    model_inputs,
    model_lease,
    model_manifest,
    model_queue,
    model_reads,
)
from lash_conformance.model_state import Data, Faulty, Number, State, rebuilt
from lash_conformance.projection import refused
from lash_ref.errors import LashError

Operation = Callable[..., Any]

STORE: dict[str, Operation] = {
    "load_session": model_reads.load,
    "load_node": model_reads.load_node,
    "commit_runtime_state": model_commit.commit,
    "save_session_meta": model_reads.save_meta,
    "load_session_meta": model_reads.load_meta,
    "try_claim_session_execution_lease": model_lease.try_claim,
    "reclaim_session_execution_lease": model_lease.reclaim,
    "renew_session_execution_lease": model_lease.renew,
    "release_session_execution_lease": model_lease.release,
    "enqueue_queued_work": model_queue.enqueue,
    "claim_leading_ready_session_command": model_queue.claim_command,
    "claim_ready_queued_work": model_queue.claim_ready,
    "claim_ready_queued_work_by_batch_ids": model_queue.claim_exact,
    "claim_checkpoint_work": model_queue.checkpoint_work,
    "abandon_queued_work_claim": model_queue.abandon,
    "abandon_queued_work_claims": model_queue.abandon_all,
    "cancel_queued_work_batch": model_queue.cancel,
    "list_queued_work": model_queue.list_all,
    "list_pending_queued_work": model_queue.list_pending,
    "enqueue_pending_turn_input": model_inputs.enqueue,
    "list_pending_turn_inputs": model_inputs.list_pending,
    "list_turn_input_applications": model_inputs.list_applications,
    "cancel_pending_turn_input": model_inputs.cancel,
    "cancel_pending_turn_inputs": model_inputs.cancel_many,
    "cancel_pending_turn_input_suffix": model_inputs.cancel_suffix,
    "claim_active_turn_inputs": model_inputs.claim_active,
    "claim_next_turn_inputs": model_inputs.claim_next,
    "abandon_turn_input_claim": model_inputs.abandon,
    "abandon_turn_input_claims": model_inputs.abandon_all,
    "tombstone_nodes": model_reads.tombstone,
    "vacuum": model_reads.vacuum,
    "gc_unreachable": model_reads.gc,
    "record_intent": model_manifest.record,
    "commit_refs": model_manifest.commit_refs,
    "list_uncommitted": model_manifest.list_uncommitted,
    "forget_aged_uncommitted_intents": model_manifest.forget_aged,
    "has_live_ref_for_id": model_manifest.has_live_ref,
    "forget": model_manifest.forget,
    "holds_ref": model_manifest.holds_ref,
    "list_all_refs": model_manifest.all_refs,
}
FACTORY: dict[str, Operation] = {
    "create_store": model_reads.create,
    "open_existing_store": model_reads.open_existing,
    "delete_session": model_reads.delete,
    "live_attachment_refs": model_reads.live_refs,
    "has_live_attachment_ref": model_manifest.has_live_ref,
}
ATTACHMENTS: dict[str, Operation] = {
    "put": model_manifest.put,
    "get": model_manifest.get,
    "delete": model_manifest.delete,
    "list": model_manifest.list_bytes,
    "head": model_manifest.head,
}
OPERATIONS = {"store": STORE, "factory": FACTORY, "attachments": ATTACHMENTS}


_ADDRESS = re.compile(r"^(\w+)(?:\[(.*)\])?(@\d)?$", re.DOTALL)


def family_of(on: str) -> tuple[str, str]:
    """Which Protocol a step addresses, and the bound session: ``store[s1]@2`` is a store of s1."""
    found = _ADDRESS.match(on)
    return (found[1], found[2] or "") if found else (on, "")


def backend_of(on: str) -> str:
    """Which backend a step addresses: nothing for the first, ``@2`` for the second."""
    found = _ADDRESS.match(on)
    return (found[3] or "") if found else ""


class Model:
    """One place, as the contract says it must be."""

    def __init__(self, state: State) -> None:
        self.state = state

    def apply(self, on: str, method: str, arguments: Iterable[Any]) -> Data:
        """The outcome the contract demands, the model moved on.

        The numbers this outcome must raise are in `rising` until the next call.
        """
        self.state.rising = []
        family, bound = family_of(on)
        if family == "place":
            return {"ok": self._move(method, cast("dict[str, Any]", next(iter(arguments), cast("object", {}))))}
        try:
            return {"ok": OPERATIONS[family][method](self.state, bound, *arguments)}
        except LashError as err:
            return refused(err)
        except Faulty as err:
            outcomes = [refused(fault) for fault in err.faults]
            return outcomes[0] if len(outcomes) == 1 else {"any_of": outcomes}

    def _move(self, method: str, facts: Data) -> None:
        if method == "advance":
            self.state.now += facts["ms"]
        elif method == "process_gone":
            self.state.gone.add(facts["process_id"])

    @property
    def rising(self) -> list[list[Number]]:
        """Pairs of numbers whose second the last outcome must make the higher."""
        return self.state.rising

    def knowing(self, names: dict[str, Any]) -> "Model":
        """A copy in which every name in ``names`` gives way to its value."""
        return Model(rebuilt(self.state, names))
