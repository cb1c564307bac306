"""Stores that take a name, a sum or a fault for more, or for less, than it is."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import StoreWrapper
from lash_ref.errors import DuplicateNodeId, TurnInputClaimSuperseded
from lash_ref.store import Store


@mutant("FAC.11", "GRA.5", character="Worldwide: a node's name is taken when any session has it.")
class NodeNamesAreGlobal(StoreWrapper):
    async def commit_runtime_state(self, commit):
        taken = self.place.memory.setdefault("nodes", {})
        names = [node.node_id for node in getattr(commit.graph, "nodes", ())]
        for name in names:
            if taken.get(name, commit.session_id) != commit.session_id:
                raise DuplicateNodeId(commit.session_id, name)
        result = await self.inner.commit_runtime_state(commit)
        taken.update(dict.fromkeys(names, commit.session_id))
        return result


@mutant("STO.12", character="Thorough: looks at the nodes before it looks at the head.")
class LooksAtNodesFirst(StoreWrapper):
    async def commit_runtime_state(self, commit):
        for node in getattr(commit.graph, "nodes", ()) if hasattr(commit.graph, "nodes") else ():
            stale = commit.expected_head_revision == 0
            if stale and await self.inner.load_node(node.node_id) is not None:
                raise DuplicateNodeId(commit.session_id, node.node_id)
        return await self.inner.commit_runtime_state(commit)


@mutant("STO.22", character="Truthy: without a current frame the last one stays current.")
class KeepsTheCurrentFrame(StoreWrapper):
    async def commit_runtime_state(self, commit):
        kept = self.place.memory.setdefault("current", {})
        current = commit.current_agent_frame_id or kept.get(commit.session_id, "")
        kept[commit.session_id] = current
        return await self.inner.commit_runtime_state(commit.but(current_agent_frame_id=current))


@mutant("STO.31", character="Current: a repeat answers the batches that are still there.")
class RepeatsWithWhatIsLeft(StoreWrapper):
    async def commit_runtime_state(self, commit):
        result = await self.inner.commit_runtime_state(commit)
        left = {one.batch_id for one in await self.inner.list_queued_work(commit.session_id)}
        return result.but(enqueued_queue_batches=tuple(b for b in result.enqueued_queue_batches if b.batch_id in left))


@mutant("STO.62", character="Optimistic: what was only read from a cache costs nothing, and refunds are errors.")
class BillsWhatIsPositive(StoreWrapper):
    async def commit_runtime_state(self, commit):
        kept = tuple(d for d in commit.usage_deltas if d.usage.input_tokens + d.usage.output_tokens > 0)
        return await self.inner.commit_runtime_state(commit.but(usage_deltas=kept))


@mutant("STO.70", character="Helpful: a commit writes its model into the meta.")
class CommitsRenameTheModel(StoreWrapper):
    async def commit_runtime_state(self, commit):
        result = await self.inner.commit_runtime_state(commit)
        meta = await self.inner.load_session_meta()
        if meta is not None:
            await self.inner.save_session_meta(meta.but(model=commit.config.model.id))
        return result


@mutant("QUE.51", character="Impatient: what is not due yet does not wait.")
class HidesWhatIsNotDue(StoreWrapper):
    async def list_pending_queued_work(self, session_id):
        now = self.place.clock.now_ms()
        found = await self.inner.list_pending_queued_work(session_id)
        return tuple(one for one in found if one.available_at_ms <= now)


@mutant("QUE.57", character="Round: counts time in seconds.")
class CountsSeconds(StoreWrapper):
    async def enqueue_queued_work(self, batch):
        made = await self.inner.enqueue_queued_work(batch)
        return made.but(enqueued_at_ms=made.enqueued_at_ms // 1000 * 1000)


@mutant("INP.20", character="Hasty: gives back the inputs of a completion before it finds one of them stale.")
class SettlesInputsOneByOne(Store):
    async def commit_runtime_state(self, commit):
        try:
            return await super().commit_runtime_state(commit)
        except TurnInputClaimSuperseded:
            async with self.transactions.begin(write=True) as rows:
                for done in commit.completed_turn_input_claims:
                    for input_id in done.input_ids:
                        row = await rows.input(self.session_id, input_id)
                        if row is not None and self.holds(row, done.claim_id, done.lease_token):
                            await self.complete_input(rows, row)
            raise


@mutant("FAC.11", character="Sweeping: to append an id it clears away what any session hid under it.")
class ClearsAwayForAll(Store):
    async def write_graph(self, rows, delta, head):
        for node in getattr(delta, "nodes", ()):
            for tables in rows.sessions.values():
                tables.tombstoned.pop(node.node_id, None)
        return await super().write_graph(rows, delta, head)


@mutant("INP.37", character="Sweeping: a vacuum forgets the finished input of every session.")
class SweepsInputOfAll(Store):
    async def vacuum(self):
        report = await super().vacuum()
        async with self.transactions.begin(write=True) as rows:
            for session_id in list(rows.sessions):
                await rows.drop_terminal_inputs(session_id)
        return report
