"""Commits: one atomic write a turn."""

from collections.abc import Sequence

from pydantic import ValidationError

from lash_ref.checkpoint_work import CheckpointWorkSegment
from lash_ref.errors import (
    DuplicateNodeId,
    HeadRevisionConflict,
    RuntimeTurnCommitConflict,
    SessionBindingMismatch,
    UnreadableRecord,
)
from lash_ref.leases import LeaseSegment
from lash_ref.nodes import Append, ReplaceFull, Unchanged
from lash_ref.reads import ReadSegment, blob_name
from lash_ref.records import (
    HydratedSessionCheckpoint,
    RuntimeCommit,
    RuntimeCommitResult,
    SessionCheckpoint,
    SessionHeadMeta,
)
from lash_ref.rows import BatchRow, InputRow, Rows, StampRow
from lash_ref.scalars import Json, admitted, invalid
from lash_ref.segment import Contended, require_one_class
from lash_ref.usage import TokenLedgerEntry


class CommitSegment(ReadSegment, CheckpointWorkSegment, LeaseSegment):
    """The one write of a turn, over rows."""

    async def commit_runtime_state(self, commit: RuntimeCommit) -> RuntimeCommitResult:
        """Apply one commit, or answer a repeated one from its record ([STO.14][]).

        All checks precede all writes; on any error the store is as before.
        """
        commit = admitted(commit)
        for draft in commit.enqueued_queue_batches:
            require_one_class(draft)
        self.require_bound(commit)
        try:
            return await self.apply(commit)
        except Contended:
            await self.require_unmoved(commit)
            raise

    async def apply(self, commit: RuntimeCommit) -> RuntimeCommitResult:
        """Check and write, in one unit."""
        async with self.transactions.begin(write=True) as rows:
            if (recorded := await self.recorded(rows, commit)) is not None:
                await self.release_lane(rows, commit)
                return recorded
            now = self.clock.now_ms()
            await self.require_live(rows, self.session_id, commit.session_execution_lease, now)
            head = await self.require_head(rows, commit)
            await self.require_fresh_nodes(rows, commit.graph)
            manifest = await self.stored_checkpoint(rows, commit.checkpoint)
            batches = [
                row
                for done in commit.completed_queue_claims
                for row in await self.completed_batches(rows, done)
            ]
            inputs = [
                row
                for done in commit.completed_turn_input_claims
                for row in await self.completed_inputs(rows, done)
            ]
            return await self.write(rows, commit, head, manifest, batches, inputs, now)

    async def require_unmoved(self, commit: RuntimeCommit) -> None:
        """Tell a commit that could not begin whether it lost the lane, or the race for the head ([STO.12][], [STO.15][]).

        A commit whose twin won has not lost: repeated, it gets the twin's answer ([STO.14][]).
        """
        async with self.transactions.begin(write=False) as rows:
            if await self.recorded(rows, commit) is None:
                fence, now = commit.session_execution_lease, self.clock.now_ms()
                await self.require_live(rows, self.session_id, fence, now)
                await self.require_head(rows, commit)

    def require_bound(self, commit: RuntimeCommit) -> None:
        """Refuse a commit, or an outbox draft, of another session."""
        named = [commit.session_id, *(d.session_id for d in commit.enqueued_queue_batches)]
        for session_id in named:
            if session_id != self.session_id:
                raise SessionBindingMismatch(self.session_id, session_id)

    async def recorded(self, rows: Rows, commit: RuntimeCommit) -> RuntimeCommitResult | None:
        """The recorded answer, if this turn was committed with this hash.

        Raises:
            RuntimeTurnCommitConflict: the stamp names another session, or another hash is recorded.
        """
        stamp = commit.turn_commit
        if stamp is None:
            return None
        if stamp.session_id != self.session_id:
            raise RuntimeTurnCommitConflict(stamp.session_id, stamp.turn_id)
        row = await rows.stamp(self.session_id, stamp.turn_id)
        if row is None:
            return None
        if row.turn_commit_hash != stamp.turn_commit_hash:
            raise RuntimeTurnCommitConflict(stamp.session_id, stamp.turn_id)
        return row.result

    async def require_head(self, rows: Rows, commit: RuntimeCommit) -> SessionHeadMeta | None:
        """The stored head, if it is the expected one ([STO.12][])."""
        head = await rows.head(self.session_id)
        actual = head.head_revision if head is not None else 0
        if commit.expected_head_revision not in (None, actual):
            raise HeadRevisionConflict(commit.expected_head_revision, actual)
        return head

    async def require_fresh_nodes(self, rows: Rows, delta: Unchanged | Append | ReplaceFull) -> None:
        """Refuse a node id that appears twice, or that Append would store again."""
        ids = [] if isinstance(delta, Unchanged) else [node.node_id for node in delta.nodes]
        taken = await self.stored_nodes(rows, ids) if isinstance(delta, Append) else set[str]()
        for node_id in ids:
            if node_id in taken:
                raise DuplicateNodeId(self.session_id, node_id)
            taken.add(node_id)

    async def stored_nodes(self, rows: Rows, node_ids: Sequence[str]) -> set[str]:
        """Which of these ids name live nodes already."""
        return await rows.live(self.session_id, node_ids)

    async def stored_checkpoint(
        self, rows: Rows, checkpoint: HydratedSessionCheckpoint
    ) -> tuple[SessionCheckpoint, dict[str, bytes]]:
        """The manifest, and the blobs to write for it; an inline part wins over a ref."""
        blobs: dict[str, bytes] = {}

        async def slot(data: bytes | None, ref: str | None) -> str | None:
            if data is not None:
                named = blob_name(data)
                blobs[named] = data
                return named
            if ref is not None and not await rows.has_blob(ref):
                raise UnreadableRecord("blob", ref, "the commit refers to it, but it is not stored")
            return ref

        manifest = SessionCheckpoint(
            turn_state=checkpoint.turn_state,
            tool_state_ref=await slot(_text(checkpoint.tool_state), checkpoint.tool_state_ref),
            plugin_snapshot_ref=await slot(_text(checkpoint.plugin_snapshot), checkpoint.plugin_snapshot_ref),
            plugin_snapshot_revision=checkpoint.plugin_snapshot_revision,
            execution_state_ref=await slot(checkpoint.execution_state, checkpoint.execution_state_ref),
        )
        return manifest, blobs

    async def write(
        self,
        rows: Rows,
        commit: RuntimeCommit,
        head: SessionHeadMeta | None,
        manifest: tuple[SessionCheckpoint, dict[str, bytes]],
        batches: Sequence[BatchRow],
        inputs: Sequence[InputRow],
        now: int,
    ) -> RuntimeCommitResult:
        """Everything a valid commit changes."""
        checkpoint, blobs = manifest
        data = checkpoint.to_json().encode()
        checkpoint_ref = blob_name(data)
        await rows.put_blobs(blobs | {checkpoint_ref: data})
        count = await self.write_graph(rows, commit.graph, head)
        for delta in commit.usage_deltas:
            await self.add_usage(rows, delta)
        for row in batches:
            await rows.drop_batch(self.session_id, row.batch.batch_id)
        for row in inputs:
            await self.complete_input(rows, row)
        if commit.interrupted_turn_input_turn_id is not None:
            await self.defer_interrupted(rows, commit.interrupted_turn_input_turn_id)
        enqueued = [await self.enqueue(rows, d, now) for d in commit.enqueued_queue_batches]
        await self.adopt_attachments(rows, commit, now)
        revision = (head.head_revision if head is not None else 0) + 1
        result = RuntimeCommitResult(
            head_revision=revision,
            checkpoint_ref=checkpoint_ref,
            manifest=checkpoint,
            enqueued_queue_batches=tuple(enqueued),
            turn_input_applications=tuple(
                application
                for done in commit.completed_turn_input_claims
                for application in done.applications
            ),
        )
        await rows.put_head(
            SessionHeadMeta(
                session_id=self.session_id,
                head_revision=revision,
                config=commit.config,
                agent_frames=commit.agent_frames,
                current_agent_frame_id=commit.current_agent_frame_id,
                checkpoint_ref=checkpoint_ref,
                leaf_node_id=commit.graph.leaf_node_id,
                graph_node_count=count,
            )
        )
        await self.record(rows, commit, result, now)
        await self.release_lane(rows, commit)
        return result

    async def write_graph(
        self, rows: Rows, delta: Unchanged | Append | ReplaceFull, head: SessionHeadMeta | None
    ) -> int:
        """Apply the delta; answers the live node count."""
        before = head.graph_node_count if head is not None else 0
        match delta:
            case Unchanged():
                return before
            case Append():
                await rows.add_nodes(self.session_id, delta.nodes)
                return before + len(delta.nodes)
            case ReplaceFull():
                await rows.clear_nodes(self.session_id)
                await rows.add_nodes(self.session_id, delta.nodes)
                return len(delta.nodes)

    async def add_usage(self, rows: Rows, delta: TokenLedgerEntry) -> None:
        """Add to the ledger's sum of that source and model; a delta that bills nothing vanishes.

        Raises:
            InvalidRecord: a sum would leave 64 bits.
        """
        if delta.usage.total == 0:
            return
        before = await rows.ledger_entry(self.session_id, delta.source, delta.model)
        try:
            entry = delta if before is None else before.but(usage=before.usage + delta.usage)
        except ValidationError as err:
            raise invalid("TokenLedgerEntry", err) from err
        await rows.put_ledger_entry(self.session_id, entry)

    async def adopt_attachments(self, rows: Rows, commit: RuntimeCommit, now: int) -> None:
        """Stamp the listed intents, and all that the turn itself recorded ([ATT.5][])."""
        listed = [await rows.intent(self.session_id, a) for a in commit.committed_attachment_ids]
        if commit.turn_commit is not None:
            listed += await rows.intents_of_turn(self.session_id, commit.turn_commit.turn_id)
        for entry in listed:
            if entry is not None and entry.committed_at_epoch_ms is None:
                await rows.put_intent(entry.but(committed_at_epoch_ms=now))

    async def record(self, rows: Rows, commit: RuntimeCommit, result: RuntimeCommitResult, now: int) -> None:
        """Remember the turn's answer."""
        if (stamp := commit.turn_commit) is not None:
            await rows.put_stamp(
                StampRow(
                    session_id=self.session_id,
                    turn_id=stamp.turn_id,
                    turn_commit_hash=stamp.turn_commit_hash,
                    committed_at_ms=now,
                    result=result,
                )
            )

    async def release_lane(self, rows: Rows, commit: RuntimeCommit) -> None:
        """Free the session's lane if the commit asks to and names its lease."""
        wanted = commit.release_session_execution_lease
        if wanted is not None and wanted.session_id == self.session_id:
            await self.release(rows, wanted)


def _text(value: Json | None) -> bytes | None:
    return None if value is None else value.text.encode()
