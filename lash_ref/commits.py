"""Commits and reads: one atomic write a turn, one committed state a read."""

import hashlib
from collections.abc import Sequence

from pydantic import ValidationError

from lash_ref.checkpoint_work import CheckpointWorkSegment
from lash_ref.errors import (
    DuplicateNodeId,
    HeadRevisionConflict,
    RuntimeTurnCommitConflict,
    SessionBindingMismatch,
    UnknownLeaf,
    UnreadableRecord,
)
from lash_ref.leases import LeaseSegment
from lash_ref.records import (
    CHECKPOINT_SCHEMA_VERSION,
    ActivePath,
    Append,
    FullGraph,
    GraphSnapshot,
    HydratedSessionCheckpoint,
    PersistedSessionRead,
    ReplaceFull,
    RuntimeCommit,
    RuntimeCommitResult,
    SessionCheckpoint,
    SessionHeadMeta,
    SessionMeta,
    SessionNodeRecord,
    TokenLedgerEntry,
    Unchanged,
)
from lash_ref.rows import BatchRow, InputRow, Rows, StampRow
from lash_ref.scalars import Json, admitted, identifier, invalid
from lash_ref.segment import require_one_class
from lash_ref.versions import versioned


class CommitSegment(CheckpointWorkSegment, LeaseSegment):
    """`SessionCommitStore` over rows, but for the durability tier."""

    # -- commit

    async def commit_runtime_state(self, commit: RuntimeCommit) -> RuntimeCommitResult:
        """Apply one commit, or answer a repeated one from its record ([STO.14][]).

        All checks precede all writes; on any error the store is as before.
        """
        commit = admitted(commit)
        for draft in commit.enqueued_queue_batches:
            require_one_class(draft)
        self.require_bound(commit)
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

    async def require_fresh_nodes(
        self, rows: Rows, delta: Unchanged | Append | ReplaceFull
    ) -> None:
        """Refuse a node id that appears twice, or that Append would store again."""
        nodes = () if isinstance(delta, Unchanged) else delta.nodes
        seen: set[str] = set()
        for node in nodes:
            taken = isinstance(delta, Append) and await self.node_is_stored(rows, node.node_id)
            if node.node_id in seen or taken:
                raise DuplicateNodeId(self.session_id, node.node_id)
            seen.add(node.node_id)

    async def node_is_stored(self, rows: Rows, node_id: str) -> bool:
        """Whether a live node has that id."""
        return await rows.node(self.session_id, node_id) is not None

    async def stored_checkpoint(
        self, rows: Rows, checkpoint: HydratedSessionCheckpoint
    ) -> tuple[SessionCheckpoint, dict[str, bytes]]:
        """The manifest, and the blobs to write for it; an inline part wins over a ref."""
        blobs: dict[str, bytes] = {}

        async def slot(data: bytes | None, ref: str | None) -> str | None:
            if data is not None:
                named = _name(data)
                blobs[named] = data
                return named
            if ref is not None and await rows.blob(ref) is None:
                raise UnreadableRecord("blob", ref, "the commit refers to it, but it is not stored")
            return ref

        manifest = SessionCheckpoint(
            turn_state=checkpoint.turn_state,
            tool_state_ref=await slot(_text(checkpoint.tool_state), checkpoint.tool_state_ref),
            plugin_snapshot_ref=await slot(
                _text(checkpoint.plugin_snapshot), checkpoint.plugin_snapshot_ref
            ),
            plugin_snapshot_revision=checkpoint.plugin_snapshot_revision,
            execution_state_ref=await slot(
                checkpoint.execution_state, checkpoint.execution_state_ref
            ),
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
        checkpoint_ref = _name(data)
        for ref, part in (blobs | {checkpoint_ref: data}).items():
            await rows.put_blob(ref, part)
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

    async def record(
        self, rows: Rows, commit: RuntimeCommit, result: RuntimeCommitResult, now: int
    ) -> None:
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

    # -- read

    async def load_session(
        self, scope: FullGraph | ActivePath
    ) -> PersistedSessionRead | None:
        """One committed state, or none before the first commit."""
        scope = admitted(scope)
        async with self.transactions.begin(write=False) as rows:
            head = await rows.head(self.session_id)
            if head is None:
                return None
            nodes, leaf = await self.scoped(rows, head, scope)
            return PersistedSessionRead.model_construct(
                session_id=head.session_id,
                head_revision=head.head_revision,
                config=head.config,
                agent_frames=head.agent_frames,
                current_agent_frame_id=head.current_agent_frame_id,
                graph=GraphSnapshot.model_construct(nodes=tuple(nodes), leaf_node_id=leaf),
                checkpoint_ref=head.checkpoint_ref,
                checkpoint=await self.hydrated(rows, head),
                token_ledger=tuple(await rows.ledger(self.session_id)),
            )

    async def scoped(
        self, rows: Rows, head: SessionHeadMeta, scope: FullGraph | ActivePath
    ) -> tuple[list[SessionNodeRecord], str | None]:
        """The nodes a scope asks for, and the leaf it reports."""
        if isinstance(scope, FullGraph):
            return await rows.nodes(self.session_id), head.leaf_node_id
        if scope.leaf_node_id is None:
            return await self.ancestry(rows, head.leaf_node_id), head.leaf_node_id
        path = await self.ancestry(rows, scope.leaf_node_id)
        if not path:
            raise UnknownLeaf(scope.leaf_node_id)
        return path, scope.leaf_node_id

    async def ancestry(self, rows: Rows, leaf: str | None) -> list[SessionNodeRecord]:
        """From the root to the leaf; ends at a missing parent, and at a node already on the path."""
        path: list[SessionNodeRecord] = []
        seen: set[str] = set()
        at = leaf
        while at is not None and at not in seen:
            node = await rows.node(self.session_id, at)
            if node is None:
                break
            seen.add(at)
            path.append(node)
            at = node.parent_node_id
        return path[::-1]

    async def hydrated(
        self, rows: Rows, head: SessionHeadMeta
    ) -> HydratedSessionCheckpoint | None:
        """The head's checkpoint with its parts inline."""
        if head.checkpoint_ref is None:
            return None
        manifest = await self.manifest(rows, head.checkpoint_ref)
        tools = await self.part(rows, manifest.tool_state_ref)
        plugins = await self.part(rows, manifest.plugin_snapshot_ref)
        return HydratedSessionCheckpoint(
            turn_state=manifest.turn_state,
            tool_state_ref=manifest.tool_state_ref,
            tool_state=_json(manifest.tool_state_ref, tools),
            plugin_snapshot_ref=manifest.plugin_snapshot_ref,
            plugin_snapshot=_json(manifest.plugin_snapshot_ref, plugins),
            plugin_snapshot_revision=manifest.plugin_snapshot_revision,
            execution_state_ref=manifest.execution_state_ref,
            execution_state=await self.part(rows, manifest.execution_state_ref),
        )

    async def manifest(self, rows: Rows, ref: str) -> SessionCheckpoint:
        """The manifest a head names."""
        data = await rows.blob(ref)
        if data is None:
            raise UnreadableRecord("manifest", ref, "the head refers to it, but it is gone")
        found = versioned(SessionCheckpoint, data, CHECKPOINT_SCHEMA_VERSION, "manifest", ref)
        _require_named(data, ref, "manifest")
        return found

    async def part(self, rows: Rows, ref: str | None) -> bytes | None:
        """A part a manifest names."""
        if ref is None:
            return None
        data = await rows.blob(ref)
        if data is None:
            raise UnreadableRecord("blob", ref, "the manifest refers to it, but it is gone")
        _require_named(data, ref, "blob")
        return data

    async def load_node(self, node_id: str) -> SessionNodeRecord | None:
        """Any live node."""
        identifier("node_id", node_id)
        async with self.transactions.begin(write=False) as rows:
            return await rows.node(self.session_id, node_id)

    # -- meta

    async def save_session_meta(self, meta: SessionMeta) -> None:
        """Replace the session's meta.

        Raises:
            SessionBindingMismatch: the meta names another session.
        """
        meta = admitted(meta)
        if meta.session_id != self.session_id:
            raise SessionBindingMismatch(self.session_id, meta.session_id)
        async with self.transactions.begin(write=True) as rows:
            await rows.put_meta(meta)

    async def load_session_meta(self) -> SessionMeta | None:
        """The session's meta, if any was saved."""
        async with self.transactions.begin(write=False) as rows:
            return await rows.meta(self.session_id)


def _name(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _require_named(data: bytes, ref: str, kind: str) -> None:
    if _name(data) != ref:
        raise UnreadableRecord(kind, ref, "its bytes are not those it was named after")


def _text(value: Json | None) -> bytes | None:
    return None if value is None else value.text.encode()


def _json(ref: str | None, data: bytes | None) -> Json | None:
    if data is None:
        return None
    try:
        return Json.parse(data)
    except ValueError as err:
        raise UnreadableRecord("blob", ref, f"not JSON: {err}") from err
