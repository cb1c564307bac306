"""Chores: hide nodes, vacuum, collect garbage. None takes a fence."""

from collections.abc import Sequence

from lash_ref.commits import CommitSegment
from lash_ref.records import GcReport, SessionHeadMeta, VacuumReport
from lash_ref.rows import Rows
from lash_ref.scalars import identifier


class MaintenanceSegment(CommitSegment):
    """`StoreMaintenance` over rows."""

    async def tombstone_nodes(self, ids: Sequence[str]) -> None:
        """Hide nodes from every read; the revision and the leaf stay."""
        given = [identifier("ids", node_id) for node_id in ids]
        async with self.transactions.begin(write=True) as rows:
            hidden = await rows.tombstone(self.session_id, given)
            head = await rows.head(self.session_id)
            if head is not None and hidden:
                await rows.put_head(head.but(graph_node_count=head.graph_node_count - hidden))

    async def vacuum(self) -> VacuumReport:
        """Delete hidden nodes and terminal inputs of the bound session."""
        async with self.transactions.begin(write=True) as rows:
            return VacuumReport(
                removed_node_count=await rows.drop_tombstoned(self.session_id),
                removed_pending_turn_input_tombstone_count=await rows.drop_terminal_inputs(self.session_id),
            )

    async def gc_unreachable(self) -> GcReport:
        """Delete blobs that no live head reaches; nothing when a head or manifest is unreadable."""
        async with self.transactions.begin(write=True) as rows:
            heads = [head for head in await rows.heads() if head.checkpoint_ref is not None]
            reachable: set[str] = set()
            for head in heads:
                reachable |= await self.reached(rows, head)
            stored = await rows.blob_refs()
            doomed = [ref for ref in stored if ref not in reachable]
            await rows.drop_blobs(doomed)
            return GcReport(
                root_count=len(heads),
                retained_blob_count=len(stored) - len(doomed),
                deleted_blob_count=len(doomed),
            )

    async def reached(self, rows: Rows, head: SessionHeadMeta) -> set[str]:
        """What a head keeps alive: its manifest, the manifest's parts, its frames' states."""
        refs: set[str | None] = {frame.execution_state_ref for frame in head.agent_frames}
        if head.checkpoint_ref is not None:
            manifest = await self.manifest(rows, head.checkpoint_ref)
            refs |= {head.checkpoint_ref, manifest.tool_state_ref, manifest.plugin_snapshot_ref}
            refs.add(manifest.execution_state_ref)
        return {ref for ref in refs if ref is not None}
