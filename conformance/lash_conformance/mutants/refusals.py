"""Stores in which a refused call goes on with the next: calls share a transaction, or a write of a log."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import FactoryWrapper, StoreWrapper
from lash_ref.errors import (
    DuplicateInputId,
    DuplicateNodeId,
    HeadRevisionConflict,
    InvalidRecord,
    LashError,
    QueuedWorkClaimSuperseded,
    SessionExecutionLeaseExpired,
    TurnInputClaimSuperseded,
    UnreadableRecord,
)
from lash_ref.nodes import ReplaceFull
from lash_ref.records import RuntimeCommitResult, SessionCheckpoint
from lash_ref.segment import granted
from lash_ref.store import Store


class SharesItsTransaction(Store):
    """What `leaves` writes for a commit that was refused as ``at`` is there once the next one is applied."""

    at = LashError

    async def leaves(self, rows, commit):
        """Write what was written before the refusal."""

    async def commit_runtime_state(self, commit):
        left = vars(self.transactions).setdefault("left", [])
        try:
            made = await super().commit_runtime_state(commit)
        except self.at:
            left.append((self, commit))
            raise
        async with self.transactions.begin(write=True) as rows:
            for store, refused in left:
                await store.leaves(rows, refused)
        left.clear()
        return made


@mutant("STO.26", character="Half done: bills for a commit whose input claim it refused, with the next one that it takes.")
class BillsTheRefused(SharesItsTransaction):
    at = TurnInputClaimSuperseded

    async def leaves(self, rows, commit):
        for delta in commit.usage_deltas:
            await self.add_usage(rows, delta)


@mutant("STO.26", character="Half done: sends the outbox of a commit with a node too many, with the next one that it takes.")
class SendsTheRefused(SharesItsTransaction):
    at = DuplicateNodeId

    async def leaves(self, rows, commit):
        for draft in commit.enqueued_queue_batches:
            await self.enqueue(rows, draft, self.clock.now_ms())


@mutant("STO.26", character="Half done: stores the nodes of a commit that names an unknown part, with the next one that it takes.")
class AppendsTheRefused(SharesItsTransaction):
    at = UnreadableRecord

    async def leaves(self, rows, commit):
        await rows.add_nodes(self.session_id, commit.graph.nodes)


@mutant("STO.26", character="Half done: settles the claims of a commit that came too late, with the next one that it takes.")
class SettlesTheRefused(SharesItsTransaction):
    at = HeadRevisionConflict

    async def leaves(self, rows, commit):
        for done in commit.completed_queue_claims:
            for row in await self.completed_batches(rows, done):
                await rows.drop_batch(self.session_id, row.batch.batch_id)


@mutant("STO.26", character="Half done: adopts the attachments of a commit under a dead fence, with the next one that it takes.")
class AdoptsTheRefused(SharesItsTransaction):
    at = SessionExecutionLeaseExpired

    async def leaves(self, rows, commit):
        await self.adopt_attachments(rows, commit, self.clock.now_ms())


@mutant("STO.26", character="Half done: stamps a turn whose queue claim it refused, when the session commits again.")
class StampsTheRefused(StoreWrapper):
    async def commit_runtime_state(self, commit):
        stamped = self.place.memory.setdefault("stamped", {})
        stamp = commit.turn_commit
        if stamp is not None and stamp.turn_id in stamped:
            return stamped[stamp.turn_id]
        try:
            return await self.inner.commit_runtime_state(commit)
        except QueuedWorkClaimSuperseded:
            manifest = SessionCheckpoint(turn_state=commit.checkpoint.turn_state)
            stamped[stamp.turn_id] = RuntimeCommitResult(head_revision=2, checkpoint_ref="", manifest=manifest)
            raise


class LogsWhatItRefused(StoreWrapper):
    async def commit_runtime_state(self, commit):
        try:
            return await self.inner.commit_runtime_state(commit)
        except DuplicateNodeId:
            self.place.memory.setdefault("log", []).extend(commit.enqueued_queue_batches)
            raise


@mutant("STO.26", character="Reads its log: opened anew it sends the outbox of what it had refused.")
class ReplaysWhatItRefused(FactoryWrapper):
    store = LogsWhatItRefused
    replayed = False

    async def create_store(self, request):
        made = await super().create_store(request)
        if not self.replayed:
            self.replayed = True
            for draft in self.place.memory.pop("log", ()):
                await made.enqueue_queued_work(draft)
        return made


@mutant("STO.26", character="Keeps the place: an input refused for its id holds its source key once another call is answered.")
class KeepsTheKeyOfTheRefused(Store):
    async def enqueue_pending_turn_input(self, input):
        left = vars(self.transactions).setdefault("left", {})
        if input.source_key in left and left[input.source_key] != input.input_id:
            raise DuplicateInputId(self.session_id, left[input.source_key])
        try:
            return await super().enqueue_pending_turn_input(input)
        except DuplicateInputId:
            left[input.source_key] = input.input_id
            raise


@mutant("STO.26", character="Grasping: holds what it refused to a dead fence, once another session commits.")
class HoldsWhatItRefused(Store):
    async def claim_next_turn_inputs(self, session_id, fence, owner, limit):
        left = vars(self.transactions).setdefault("left", [])
        try:
            return await super().claim_next_turn_inputs(session_id, fence, owner, limit)
        except SessionExecutionLeaseExpired:
            left.append((self, session_id, owner, limit))
            raise

    async def commit_runtime_state(self, commit):
        made = await super().commit_runtime_state(commit)
        left = vars(self.transactions).setdefault("left", [])
        for store, session_id, owner, limit in left:
            async with self.transactions.begin(write=False) as rows:
                fence = granted(await rows.lease(session_id)).fence()
            await Store.claim_next_turn_inputs(store, session_id, fence, owner, limit)
        left.clear()
        return made


class HalfUndone(SharesItsTransaction):
    """What a commit refused for its bill had replaced is not put back."""

    at = InvalidRecord

    async def commit_runtime_state(self, commit):
        try:
            return await Store.commit_runtime_state(self, commit)
        except InvalidRecord:
            async with self.transactions.begin(write=True) as rows:
                await self.leaves(rows, commit)
            raise


@mutant("STO.26", character="Half undone: the nodes that a refused replacement cleared stay away.")
class LosesWhatWasReplaced(HalfUndone):
    async def leaves(self, rows, commit):
        if isinstance(commit.graph, ReplaceFull):
            await rows.clear_nodes(self.session_id)


@mutant("STO.26", character="Half undone: hidden nodes that a refused append took the place of are gone.")
class LosesWhatWasHidden(HalfUndone):
    async def leaves(self, rows, commit):
        if any(node.node_id == "hidden" for node in commit.graph.nodes):
            await rows.drop_tombstoned(self.session_id)
