"""Session commands: what is queued to be done to a session between turns, each with a commit of its own."""

from lash_ref.frames import ensure_frame
from lash_ref.lane import Lane
from lash_ref.resident import Resident
from lash_ref.runtime_errors import RuntimeFailure
from lash_ref.snapshots import PluginSessionSnapshot
from lash_ref.state import PersistedSessionState
from lash_ref.work import (
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    RefreshToolCatalog,
    ResetSession,
    SessionCommand,
    SessionCommandPayload,
)


def command_draft(session_id: str, command: SessionCommand, key: str) -> QueuedWorkBatchDraft:
    """A command to queue; the same kind under the same key is one command ([SES.87][]).

    Raises:
        RuntimeFailure: the key is blank ([SES.88][]).
    """
    if not key.strip():
        raise RuntimeFailure("blank_command_key", "a session command needs a key")
    return QueuedWorkBatchDraft(
        session_id=session_id,
        source_key=f"command:{command.kind}:{key}",
        delivery_policy="after_current_turn_commit",
        slot_policy="exclusive",
        payloads=(SessionCommandPayload(command=command),),
    )


async def run_command(runtime: Resident, lane: Lane, claim: QueuedWorkClaim) -> None:
    """Carry out a claimed command and commit it with its claim.

    Raises:
        RuntimeFailure: it could not be committed; it stays claimed until the lease ends.
    """
    point, before = runtime.state.savepoint(), runtime.state
    try:
        for command in _commands(claim.batches):
            match command:
                case ResetSession():
                    _reset(runtime)
                case RefreshToolCatalog():
                    runtime.session.tool_registry.refresh_sources()
        runtime.capture()
        commit, deltas = runtime.pending_commit(
            session_execution_lease=lane.fence, completed_queue_claims=(claim.completion(),)
        )
        await runtime.commit(commit, deltas)
    except BaseException:
        runtime.state = before
        runtime.state.rollback(point)
        raise
    runtime.shared_token_ledger.clear()
    runtime.publish(committed=True)


def _commands(batches: tuple[QueuedWorkBatch, ...]) -> list[SessionCommand]:
    payloads = [item.payload for batch in batches for item in batch.items]
    return [each.command for each in payloads if isinstance(each, SessionCommandPayload)]


def _reset(runtime: Resident) -> None:
    """Start over: an empty graph and plugins at their defaults; id, policy and ledger stay ([SES.90][])."""
    old = runtime.state
    runtime.state = PersistedSessionState(
        session_id=old.session_id,
        policy=old.policy,
        token_ledger=old.token_ledger,
        head_revision=old.head_revision,
        graph_replace_required=True,
    )
    runtime.replace_graph()
    ensure_frame(runtime.state, timestamp=runtime.timestamp())
    runtime.session.restore(PluginSessionSnapshot())
