"""Reads: one committed state, a node, the meta."""

import hashlib

from lash_ref.errors import SessionBindingMismatch, UnknownLeaf, UnreadableRecord
from lash_ref.nodes import ActivePath, FullGraph, GraphSnapshot, SessionNodeRecord
from lash_ref.records import (
    CHECKPOINT_SCHEMA_VERSION,
    HydratedSessionCheckpoint,
    PersistedSessionRead,
    SessionCheckpoint,
    SessionHeadMeta,
    SessionMeta,
)
from lash_ref.rows import Rows
from lash_ref.scalars import Json, admitted, identifier
from lash_ref.segment import Segment
from lash_ref.versions import versioned


class ReadSegment(Segment):
    """What `SessionCommitStore` reads, and the meta, over rows."""

    async def load_session(self, scope: FullGraph | ActivePath) -> PersistedSessionRead | None:
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
        if leaf is None:
            return []
        return (await rows.path(self.session_id, leaf))[::-1]

    async def hydrated(self, rows: Rows, head: SessionHeadMeta) -> HydratedSessionCheckpoint | None:
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


def blob_name(data: bytes) -> str:
    """The name bytes are stored under: their SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def _require_named(data: bytes, ref: str, kind: str) -> None:
    if blob_name(data) != ref:
        raise UnreadableRecord(kind, ref, "its bytes are not those it was named after")


def _json(ref: str | None, data: bytes | None) -> Json | None:
    if data is None:
        return None
    try:
        return Json.parse(data)
    except ValueError as err:
        raise UnreadableRecord("blob", ref, f"not JSON: {err}") from err
