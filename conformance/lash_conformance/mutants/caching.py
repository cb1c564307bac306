"""Stores that are wrong because they remember what they know already, or look at one thing at a time."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import AttachmentsWrapper, StoreWrapper
from lash_ref.nodes import ActivePath, FullGraph


@mutant("STO.24", character="Once a commit: two drafts of one commit are two batches, whatever their keys say.")
class LooksAtTheQueueOnce(StoreWrapper):
    async def commit_runtime_state(self, commit):
        seen, drafts = set(), []
        for draft in commit.enqueued_queue_batches:
            drafts.append(draft.but(source_key=None) if draft.source_key in seen else draft)
            seen.add(draft.source_key)
        return await self.inner.commit_runtime_state(commit.but(enqueued_queue_batches=tuple(drafts)))


@mutant("STO.25", character="Early: looks for the outbox's keys before it removes what is done.")
class EnqueuesBeforeItCompletes(StoreWrapper):
    async def commit_runtime_state(self, commit):
        queued = {one.source_key: one for one in await self.inner.list_queued_work(commit.session_id)}
        known = [queued[d.source_key] for d in commit.enqueued_queue_batches if d.source_key in queued and d.source_key]
        fresh = tuple(d for d in commit.enqueued_queue_batches if d.source_key not in queued)
        result = await self.inner.commit_runtime_state(commit.but(enqueued_queue_batches=fresh))
        return result.but(enqueued_queue_batches=(*known, *result.enqueued_queue_batches))


@mutant("STO.51", character="Truthy: revision 0 of the plugin snapshot is none.")
class RevisionZeroIsNone(StoreWrapper):
    async def commit_runtime_state(self, commit):
        revision = commit.checkpoint.plugin_snapshot_revision or None
        checkpoint = commit.checkpoint.but(plugin_snapshot_revision=revision)
        return await self.inner.commit_runtime_state(commit.but(checkpoint=checkpoint))


@mutant("GRA.22", character="Remembers its paths: the way to a leaf is the way it was.")
class RemembersPaths(StoreWrapper):
    async def load_session(self, scope):
        read = await self.inner.load_session(scope)
        leaf = scope.leaf_node_id if isinstance(scope, ActivePath) else None
        if read is None or leaf is None:
            return read
        known = self.place.memory.setdefault("paths", {})
        names = known.setdefault(leaf, [node.node_id for node in read.graph.nodes])
        live = {node.node_id: node for node in (await self.inner.load_session(FullGraph())).graph.nodes}
        if any(name not in live for name in names):
            return read
        return read.but(graph=read.graph.but(nodes=tuple(live[name] for name in names)))


@mutant("INP.28", character="Tidy: a target named twice is answered once.")
class AnswersEachTargetOnce(StoreWrapper):
    async def cancel_pending_turn_inputs(self, session_id, targets):
        return await self.inner.cancel_pending_turn_inputs(session_id, list(dict.fromkeys(targets)))


@mutant("ATT.23", character="One gulp: reads the first megabyte and takes it for all.")
class ReadsOneMegabyte(AttachmentsWrapper):
    async def get(self, attachment_id):
        return (await self.inner.get(attachment_id))[: 1 << 20]
