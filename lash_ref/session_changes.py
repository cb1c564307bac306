"""What changes a session between turns, each change committed at once, and what is read of its history."""

from collections.abc import Awaitable, Callable, Sequence

from lash_ref import hooks
from lash_ref.errors import LashError
from lash_ref.frames import open_agent_frame, read_nodes, reassign_current_frame
from lash_ref.nodes import FullGraph, SessionNodeRecord
from lash_ref.persisted import (
    SessionAppendNode,
    append_session_nodes_to_state,
    load_for_residency,
    load_persisted_session_state_active_path,
)
from lash_ref.policy import SessionPolicy
from lash_ref.resident import Resident
from lash_ref.runtime_errors import SessionError
from lash_ref.scalars import Json
from lash_ref.work import CausalRef


class SessionChanges(Resident):
    """A live session that can be changed."""

    # -- history

    async def get_historic_node(self, node_id: str) -> SessionNodeRecord | None:
        """A node by id, resident or stored ([SES.45][]).

        Raises:
            SessionError: it is not resident and there is no store ([SES.47][]).
        """
        resident = self.state.session_graph.find_node(node_id)
        if resident is not None:
            return resident
        if self.services.store is None:
            raise SessionError("looking up a node that is not resident needs a store")
        try:
            return await self.services.store.load_node(node_id)
        except LashError as err:
            raise SessionError(f"the historic node cannot be loaded: {err}") from err

    async def orphaned_node_ids(self) -> list[str]:
        """Ids of stored nodes off the stored active path, in stored order ([SES.46][]).

        Raises:
            SessionError: there is no store.
        """
        store = self.services.store
        if store is None:
            raise SessionError("orphaned nodes are known to a store only, and this session has none")
        try:
            read = await store.load_session(FullGraph())
        except LashError as err:
            raise SessionError(f"the full graph cannot be loaded: {err}") from err
        if read is None:
            return []
        parents = {node.node_id: node.parent_node_id for node in read.graph.nodes}
        active: set[str] = set()
        at = read.graph.leaf_node_id
        while at is not None and at in parents and at not in active:
            active.add(at)
            at = parents[at]
        return [node.node_id for node in read.graph.nodes if node.node_id not in active]

    # -- changes between turns, each committed at once

    async def append_session_nodes(
        self,
        nodes: Sequence[SessionAppendNode],
        *,
        requires_ancestor: str | None = None,
        caused_by: CausalRef | None = None,
    ) -> list[str]:
        """Append nodes to the graph and commit them; their ids. Waits for a turn that runs ([SES.69][]).

        Raises:
            StaleBranch: the required ancestor is not on the active path.
            RuntimeFailure: the lane is held, or the store failed; nothing was appended.
        """
        ids: list[str] = []

        async def append() -> None:
            ids.extend(self._appended(nodes, requires_ancestor, caused_by))

        await self.change(append)
        return ids

    async def append_within(self, nodes: Sequence[SessionAppendNode]) -> list[str]:
        """As `append_session_nodes`, for a session's own plugins and tools: inside a turn they join its commit."""
        if self.writer.locked():
            return self._appended(nodes, None, None)
        return await self.append_session_nodes(nodes)

    def _appended(
        self, nodes: Sequence[SessionAppendNode], requires_ancestor: str | None, caused_by: CausalRef | None
    ) -> list[str]:
        return append_session_nodes_to_state(
            self.state,
            nodes,
            timestamp=self.timestamp(),
            requires_ancestor=requires_ancestor,
            caused_by=caused_by,
        )

    async def change(self, change: Callable[[], Awaitable[None]]) -> None:
        """Make a change and commit what became dirty under a lease of its own; undone when that fails.

        Raises:
            RuntimeFailure: the lane is held, or the store failed.
        """
        async with self.writer:
            lane = await self.claim_or_busy()
            try:
                await self.refresh(lane)
                point = self.state.savepoint()
                try:
                    await change()
                    if lane is not None and self.is_dirty:
                        await self.persist_under(lane)
                except BaseException:
                    self.state.rollback(point)
                    raise
            finally:
                if lane is not None:
                    await lane.release()
            self.publish(committed=lane is not None)

    async def open_agent_frame(
        self, frame_id: str, task: str | None = None, reason: str = "continue_as"
    ) -> bool:
        """Open a frame, seeded with a task if one is given; a blank id or the current one changes nothing."""
        opened: list[bool] = []
        nodes = read_nodes([_user_note(task)]) if task else []

        async def switch() -> None:
            opened.append(
                open_agent_frame(self.state, frame_id, reason, timestamp=self.timestamp(), nodes=nodes)
            )
            self.touched = True

        if not frame_id.strip() or frame_id == self.state.current_agent_frame_id:
            return False
        await self.change(switch)
        return opened[0]

    async def compact_context(self, instructions: str | None = None) -> bool:
        """Open a frame seeded by the first compactor that answers; false when none does ([FRM.7][]).

        Raises:
            PluginError: a compactor failed; nothing was changed.
        """
        context = hooks.CompactionContext(
            self.session_id, self.state.read_view(), self.plugin_services, instructions
        )
        seeds = await self.session.compact_context(context)
        if not seeds:
            return False
        nodes = read_nodes(seeds)
        frame_id = self.host.core.mint("frame")

        async def compact() -> None:
            open_agent_frame(
                self.state, frame_id, "compaction", timestamp=self.timestamp(), nodes=nodes
            )
            self.touched = True

        await self.change(compact)
        return True

    async def branch_to_node(self, node_id: str) -> None:
        """Make a node of the graph the leaf, durably, and its conversation resident ([SES.52][]).

        Raises:
            SessionError: no such node is resident or stored.
        """
        if await self.get_historic_node(node_id) is None:
            raise SessionError(f"session {self.session_id!r} has no node {node_id!r} to branch to")

        async def branch() -> None:
            if self.state.session_graph.find_node(node_id) is None:
                await self._bring_in(node_id)
            self.state.session_graph.leaf_node_id = node_id
            self.touched = True

        await self.change(branch)

    async def _bring_in(self, node_id: str) -> None:
        """Hold the stored conversation that leads to a node in place of the one that is resident."""
        store = self.services.store
        stored = None if store is None else await load_persisted_session_state_active_path(store, node_id)
        if stored is None:
            raise SessionError(f"session {self.session_id!r} is not stored")
        stored.session_graph.agent_frame_id = self.state.session_graph.agent_frame_id
        self.state.session_graph = stored.session_graph

    async def update_session_config(self, policy: SessionPolicy) -> SessionPolicy:
        """Put a policy in force: mutators first, then SessionConfigChanged; durable by the next flush ([SES.41][])."""
        async with self.writer:
            return await self._configured(policy)

    async def _configured(self, policy: SessionPolicy) -> SessionPolicy:
        previous = self.state.policy
        if policy == previous:
            return previous
        context = hooks.SessionConfigChangedContext(
            self.session_id, previous, policy, self.plugin_services
        )
        changed, _ = await self.session.mutate_session_config(context, policy)
        changed.required_model()
        self.state.policy = self.policy = changed
        self.touched = True
        reassign_current_frame(self.state)
        told = hooks.SessionConfigChangedContext(
            self.session_id, previous, changed, self.plugin_services
        )
        await self.notify(hooks.SessionConfigChanged(told))
        self.publish(committed=True)
        return changed

    async def refresh_background_graph(self) -> bool:
        """Take up what a process committed to this session, if one says it did ([PRC.6][]); whether it did."""
        store = self.services.store
        if store is None:
            return False
        async with self.writer:
            if self.is_dirty:
                return False
            loaded = await load_for_residency(store, self.residency)
            self.background_sync_needed = False
            if loaded is None or loaded.head_revision == self.state.head_revision:
                return False
            self.adopt(loaded)
            self.known_fence = None
        self.publish(committed=True)
        return True


def _user_note(task: str) -> Json:
    return Json({"role": "User", "content": task})
