"""The reference's pure helpers as the host Protocol asks for them (``HostTarget.pure``)."""

import base64
from collections.abc import Callable, Sequence
from typing import Any, cast

from pydantic import TypeAdapter

from lash_conformance.host import Data
from lash_ref.machine import Begin, LlmAnswered, MachineState, outstanding, step
from lash_ref.messages import Message, text_message
from lash_ref.moves import TRANSITIONS
from lash_ref.persisted import (
    SessionAppendNode,
    append_session_nodes_to_state,
    apply_residency_on_load,
    apply_session_checkpoint,
    apply_session_head,
    normalize_session_graph,
)
from lash_ref.policy import Residency
from lash_ref.provider import LlmResponse, TextPart
from lash_ref.records import (
    HydratedSessionCheckpoint,
    ModelLimits,
    ModelSpec,
    PersistedSessionRead,
    RuntimeCommitResult,
)
from lash_ref.retries import LlmCallRecord, LlmCompletion
from lash_ref.runtime_errors import EmbedError, RuntimeErrorCode, RuntimeFailure
from lash_ref.scalars import Json
from lash_ref.state import PersistedSessionState, StoredSessionState
from lash_ref.usage import SessionUsageReport, TokenLedgerEntry, usage_entries_diff

WHEN = "2026-11-21T00:00:00Z"
NODES: TypeAdapter[tuple[SessionAppendNode, ...]] = TypeAdapter(tuple[SessionAppendNode, ...])


def read(given: Data) -> PersistedSessionState:
    """A state from its whole JSON."""
    runtime_only = ("head_revision", "graph_replace_required")
    record = StoredSessionState.from_data({k: v for k, v in given.items() if k not in runtime_only})
    state = PersistedSessionState.from_snapshot(record)
    state.head_revision = given.get("head_revision")
    state.graph_replace_required = given.get("graph_replace_required", False)
    return state


def written(state: PersistedSessionState) -> Data:
    """A state's whole JSON."""
    flags = {"head_revision": state.head_revision, "graph_replace_required": state.graph_replace_required}
    return state.stored().to_data() | flags


def message(given: Data) -> Message:
    """A message as the judge gives it."""
    origin = Json({"transient": True}) if given.get("transient") else None
    return text_message(given["id"], given["role"], given["text"], origin)


def stepped(state: PersistedSessionState, do: Data) -> Any:
    """One step on a state; what it answers."""
    match do["do"]:
        case "apply_commit_result":
            state.apply_persisted_commit_result(RuntimeCommitResult.from_data(do["result"]))
        case "set_execution_state":
            data = do["bytes"]
            state.set_execution_state_snapshot(None if data is None else base64.b64decode(data))
        case "append_read_delta":
            state.append_active_read_delta([message(one) for one in do["messages"]], timestamp=WHEN)
        case "replace_read_state":
            state.replace_active_read_state([message(one) for one in do["messages"]], timestamp=WHEN)
        case "heal":
            normalize_session_graph(state)
        case "load_residency":
            normalize_session_graph(state)
            apply_residency_on_load(state, Residency(do["residency"]))
        case "append_nodes":
            nodes = NODES.validate_python(do["nodes"])
            required = do.get("requires_ancestor")
            return append_session_nodes_to_state(state, nodes, timestamp=WHEN, requires_ancestor=required)
        case "apply_checkpoint":
            held = do["checkpoint"]
            parsed = None if held is None else HydratedSessionCheckpoint.from_data(held)
            apply_session_checkpoint(state, parsed)
        case "apply_head":
            apply_session_head(state, PersistedSessionRead.from_data(do["head"]))
        case other:
            raise ValueError(f"no step {other!r}")
    return None


def run_state(arguments: Data) -> Data:
    """Steps on a state: what it became, and what each answered."""
    state = read(arguments["given"])
    answers = [stepped(state, do) for do in arguments["steps"]]
    return {"state": written(state), "answers": answers}


def run_machine(arguments: Data) -> Data:
    """A turn machine that began, then got a foreign response or was restored from its JSON."""
    state, effect = step(MachineState(turn_id="t1", context_window=8000), Begin(), TRANSITIONS)
    found: Data = {"before": state.to_data(), "outstanding": [] if effect is None else [effect.to_data()]}
    for one in arguments["steps"]:
        match one:
            case {"response": effect_id}:
                response = LlmResponse(parts=(TextPart(text="late"),))
                record = LlmCallRecord(call_id="x")
                state, _ = step(state, LlmAnswered(effect_id, LlmCompletion(record=record, response=response)), TRANSITIONS)
            case "restore":
                again = outstanding(MachineState.from_json(state.to_json()))
                found["redelivered"] = [] if again is None else [again.to_data()]
            case _:
                pass
    return found | {"after": state.to_data()}


def entries(given: Sequence[Data]) -> tuple[TokenLedgerEntry, ...]:
    """A ledger."""
    return tuple(TokenLedgerEntry.from_data(one) for one in given)


def error(arguments: Data) -> EmbedError:
    """The error of that name, as the reading has it."""
    from lash_ref import runtime_errors

    code, facts = str(arguments["code"]), arguments["fields"]
    kind = getattr(runtime_errors, "RuntimeFailure" if code == "Runtime" else code)
    return cast("EmbedError", kind(*(facts[name] for name in kind.names)))


def model_spec(arguments: Data) -> Data:
    """A model's description."""
    limits = ModelLimits.from_data(
        {"context_window_tokens": arguments["window"]}
        | ({} if arguments["output"] is None else {"output_token_capacity": arguments["output"]})
    )
    return ModelSpec(id=arguments["id"], limits=limits).to_data()


PURE: dict[str, Callable[[Data], Any]] = {
    "state": run_state,
    "machine": run_machine,
    "default_state": lambda _: written(PersistedSessionState()),
    "usage_report": lambda a: SessionUsageReport.from_entries(entries(a["entries"])).to_data(),
    "usage_diff": lambda a: [one.to_data() for one in usage_entries_diff(entries(a["before"]), entries(a["after"]))],
    "model_spec": model_spec,
    "is_retryable": lambda a: error(a).is_retryable,
    "is_terminal": lambda a: error(a).is_terminal,
    "error_code": lambda a: str(RuntimeFailure(_code(a["code"]), "").runtime_code),
}


def _code(code: str) -> str:
    return RuntimeErrorCode(code) if code in set(RuntimeErrorCode) else code
