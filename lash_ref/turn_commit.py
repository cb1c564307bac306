"""How a turn ends: the gate is closed, plugins have their last word, one commit is made, and readers are told.

The order: gate, hooks after the turn, TurnFinalized, capture, commit, late events, terminal, publication,
TurnPersisted. What follows the commit never undoes it.
"""

import json
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from lash_ref import activity, hooks
from lash_ref.cancel import TurnCancellationEvidence
from lash_ref.errors import PluginError
from lash_ref.frames import open_agent_frame, read_nodes
from lash_ref.lane import lease_lost
from lash_ref.observe import AgentFrameSwitchedPayload
from lash_ref.outcome import (
    CANCELLED,
    AgentFrameSwitch,
    AssistantMessage,
    ExecutionSummary,
    FinalValue,
    Finished,
    TurnIssue,
    TurnOutcome,
    TurnResult,
    assistant_output,
)
from lash_ref.records import RuntimeCommit, RuntimeTurnCommitStamp
from lash_ref.runtime_errors import RuntimeErrorCode, RuntimeFailure
from lash_ref.scalars import Json, LaterJson
from lash_ref.turn import Turn
from lash_ref.turn_hash import turn_commit_hash
from lash_ref.usage import OWN_SOURCE, TokenLedgerEntry, merged_ledger
from lash_ref.wait_store import Resolved
from lash_ref.work import AgentFrameTask, QueuedWorkBatchDraft


@dataclass(frozen=True)
class Handoff:
    """A claimed turn goes on in another frame: the batch that says so, once it is committed."""

    batch_id: str
    task: AgentFrameTask


@dataclass(frozen=True)
class CommittedTurn:
    """A turn that is over and kept."""

    result: TurnResult
    handoff: Handoff | None = None


async def finish(turn: Turn, outcome: TurnOutcome) -> CommittedTurn:
    """Commit a turn that has an outcome.

    Raises:
        RuntimeFailure: it could not be committed; the caller rolls back.
    """
    runtime = turn.runtime
    evidence = _settled(turn)
    if evidence is not None:
        outcome = CANCELLED
    _close_history(turn, cancelled=evidence is not None)
    state = runtime.state
    state.token_usage = turn.usage
    state.last_prompt_usage = turn.prompt_usage() or state.last_prompt_usage
    result = _assembled(turn, outcome, evidence)
    await _after_turn(turn, result)
    task = _switched(turn, outcome)
    await runtime.notify(hooks.TurnFinalized(result))
    failed = runtime.capture()
    if failed is not None:
        issue = TurnIssue(kind="plugin_snapshot", message=failed, retryable=True)
        result = result.but(errors=(*result.errors, issue))
    await runtime.reach("commit", turn.turn_id)
    handoff = await _commit(turn, task)
    turn.committed = True
    result = result.but(head_revision=state.head_revision)
    await _announce(turn, result)
    return CommittedTurn(result, handoff)


def _settled(turn: Turn) -> TurnCancellationEvidence | None:
    """Close the gate; the evidence of the request that won, if one did.

    Raises:
        RuntimeFailure: the lease was lost and nobody asked for a cancel, or the session was deleted.
    """
    asked = turn.gate.peek()
    lost = turn.lane is not None and turn.lane.lost
    if asked is None and lost:
        raise lease_lost(turn.runtime.session_id)
    own = None
    if turn.token.is_cancelled() and asked is None:
        own = TurnCancellationEvidence(
            request_id=f"internal:{turn.turn_id}",
            origin=turn.token.origin,
            requested_at_ms=turn.runtime.host.core.clock.now_ms(),
        )
    return turn.gate.settle(own)


def _close_history(turn: Turn, *, cancelled: bool) -> None:
    """Append what the machine's last step held; prose that a cancel overtook is dropped."""
    for message in turn.held:
        is_prose = message.role == "Assistant" and all(part.kind != "ToolCall" for part in message.parts)
        if not (cancelled and is_prose):
            turn.runtime.state.append_active_conversation_messages((message,), timestamp=turn.timestamp)
    turn.held.clear()


def _assembled(
    turn: Turn, outcome: TurnOutcome, evidence: TurnCancellationEvidence | None
) -> TurnResult:
    runtime = turn.runtime
    records = tuple(turn.dispatch.records) if turn.dispatch is not None else ()
    return TurnResult(
        session_id=runtime.session_id,
        turn_id=turn.turn_id,
        turn_index=runtime.state.turn_index,
        outcome=outcome,
        cancellation=evidence,
        assistant_output=assistant_output(outcome, partial(_last_answer, turn), len(turn.issues)),
        execution=ExecutionSummary(
            had_tool_calls=bool(records),
            started_at_ms=turn.now_ms,
            duration_ms=max(0, runtime.host.core.clock.now_ms() - turn.now_ms),
        ),
        usage=turn.usage,
        children_usage=merged_ledger(runtime.shared_token_ledger),
        llm_calls=tuple(turn.llm_calls),
        tool_calls=records,
        errors=tuple(turn.issues),
    )


def _last_answer(turn: Turn) -> str:
    last = turn.runtime.state.read_model().said[-1:]
    return last[0].text if last and last[0].role == "Assistant" else ""


async def _after_turn(turn: Turn, result: TurnResult) -> None:
    """The hooks after the turn; what they put in joins the history, what they emit follows the commit."""
    context = hooks.TurnResultHookContext(turn.runtime.session_id, result, turn.runtime.plugin_services)
    try:
        emitted = await turn.runtime.plugins.after_turn(context)
        await turn.take_late(emitted)
    except PluginError as err:
        raise RuntimeFailure(RuntimeErrorCode.PLUGIN_FINALIZE_TURN, str(err)) from err


def _switched(turn: Turn, outcome: TurnOutcome) -> AgentFrameTask | None:
    """Open the frame that the outcome names, in the same commit."""
    if not isinstance(outcome, AgentFrameSwitch):
        return None
    state = turn.runtime.state
    open_agent_frame(
        state,
        outcome.frame_id,
        "continue_as",
        timestamp=turn.timestamp,
        nodes=read_nodes(outcome.initial_nodes),
    )
    return AgentFrameTask(
        frame_id=outcome.frame_id, task=outcome.task, protocol_turn_options=turn.options
    )


async def _commit(turn: Turn, task: AgentFrameTask | None) -> Handoff | None:
    runtime, lane = turn.runtime, turn.lane
    if runtime.services.store is None or lane is None:
        deltas = merged_ledger((*_own_usage(turn), *runtime.shared_token_ledger))
        runtime.state.token_ledger = merged_ledger((*runtime.state.token_ledger, *deltas))
        runtime.state.discard_runtime_snapshots()
        runtime.state.session_graph.committed()
        runtime.shared_token_ledger.clear()
        return None
    held = bool(turn.claims.inputs or turn.claims.work)
    drafts = (_handoff_draft(turn, task),) if task is not None and held else ()
    commit, deltas = runtime.pending_commit(
        _own_usage(turn),
        session_execution_lease=lane.fence,
        release_session_execution_lease=lane.lease.completion() if task is None else None,
        completed_queue_claims=tuple(claim.completion() for claim in turn.claims.work),
        completed_turn_input_claims=tuple(claim.completion() for claim in turn.claims.inputs),
        enqueued_queue_batches=drafts,
        interrupted_turn_input_turn_id=turn.turn_id,
    )
    result = await runtime.commit(_stamped(turn, commit), deltas)
    runtime.shared_token_ledger.clear()
    if task is None:
        lane.settled()
    if task is None or not result.enqueued_queue_batches:
        return None
    return Handoff(result.enqueued_queue_batches[0].batch_id, task)


def _stamped(turn: Turn, commit: RuntimeCommit) -> RuntimeCommit:
    stamp = RuntimeTurnCommitStamp(
        session_id=turn.runtime.session_id,
        turn_id=turn.turn_id,
        turn_commit_hash=turn_commit_hash(commit),
    )
    return commit.but(turn_commit=stamp)


def _own_usage(turn: Turn) -> tuple[TokenLedgerEntry, ...]:
    model = turn.runtime.state.policy.model_id
    return (TokenLedgerEntry(source=OWN_SOURCE, model=model, usage=turn.usage),)


def _handoff_draft(turn: Turn, task: AgentFrameTask) -> QueuedWorkBatchDraft:
    return QueuedWorkBatchDraft(
        session_id=turn.runtime.session_id,
        source_key=f"handoff:{turn.turn_id}",
        delivery_policy="after_current_turn_commit",
        slot_policy="exclusive",
        payloads=(task,),
    )


def recorded(turn: Turn) -> CommittedTurn | None:
    """The result of a turn that was committed before, when a host drives it again.

    Raises:
        RuntimeFailure: it was committed, and its result is known to nobody any more.
    """
    if turn.runtime.state.session_graph.find_node(f"{turn.turn_id}.user") is None:
        return None
    key = turn.waits.key(turn.runtime.session_id, "turn_terminal", turn.turn_id)
    stands = turn.waits.store.look(key)
    if isinstance(stands, Resolved):
        return CommittedTurn(stands.value.read(TurnResult))
    raise RuntimeFailure("turn_already_committed", f"turn {turn.turn_id!r} was committed before")


async def _announce(turn: Turn, result: TurnResult) -> None:
    """Tell observers and plugins of a turn that is committed."""
    runtime, outcome = turn.runtime, result.outcome
    if isinstance(outcome, Finished) and not isinstance(outcome.finish, AssistantMessage):
        finish = outcome.finish
        shown = (
            activity.FinalValueShown(value=finish.value)
            if isinstance(finish, FinalValue)
            else activity.ToolValueShown(tool_name=finish.tool_name, value=finish.value)
        )
        await _shown(turn, "final", shown)
    for owned in turn.late_events:
        event = activity.PluginRuntime(plugin_id=owned.plugin_id, event=Json(owned.value.to_data()))
        await _shown(turn, f"plugin:{owned.plugin_id}", event)
    with suppress(Exception):
        key = turn.waits.key(runtime.session_id, "turn_terminal", turn.turn_id)
        turn.waits.resolve(key, Resolved(value=LaterJson(partial(json.loads, result.to_json()))))
    if isinstance(outcome, AgentFrameSwitch):
        runtime.publish()
        runtime.record(AgentFrameSwitchedPayload(frame_id=outcome.frame_id))
    runtime.publish(committed=True)
    if runtime.plugins.contributions.on_event:
        view = runtime.state.read_view()
        await runtime.notify(hooks.TurnPersisted(runtime.session_id, view, runtime.plugin_services))
    if isinstance(outcome, AgentFrameSwitch):
        await runtime.plugins.protocol_session.restore_session(runtime.session_id, runtime.state)
    await runtime.reach("committed", turn.turn_id)


async def _shown(turn: Turn, correlation_id: str, event: activity.TurnEvent) -> None:
    """Show something after the commit; a sink that fails is traced and changes nothing."""
    try:
        await turn.show(correlation_id, event)
    except Exception as err:
        turn.runtime.host.core.trace("turn.sink_failed", Json({"error": str(err)}))
