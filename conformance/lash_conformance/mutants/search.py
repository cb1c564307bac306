"""Stores that are wrong only after a certain history or under a certain interleaving.

No example finds them by accident: a machine has to come upon the history, a race upon the interleaving.
"""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false

import asyncio

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import StoreWrapper
from lash_ref.errors import HeadRevisionConflict
from lash_ref.lease import Busy
from lash_ref.nodes import FullGraph, ReplaceFull
from lash_ref.records import GcReport
from lash_ref.segment import granted
from lash_ref.store import Store

# -- histories


@mutant("GRA.20", character="Short of memory: a full read shows the last twenty nodes.", searched=True)
class EvictsAfterTwenty(StoreWrapper):
    async def load_session(self, scope):
        read = await self.inner.load_session(scope)
        if read is None or not isinstance(scope, FullGraph):
            return read
        return read.but(graph=read.graph.but(nodes=read.graph.nodes[-20:]))


@mutant("GRA.21", character="Shallow: follows at most twelve parents.", searched=True)
class FollowsTwelveParents(Store):
    async def ancestry(self, rows, leaf):
        return (await super().ancestry(rows, leaf))[-12:]


@mutant("GRA.1", character="Grudge: what was once vacuumed is left out of a full replacement.", searched=True)
class NeverReplacesTheVacuumed(StoreWrapper):
    async def tombstone_nodes(self, ids):
        self.place.memory.setdefault("hidden", set()).update(ids)
        await self.inner.tombstone_nodes(ids)

    async def vacuum(self):
        report = await self.inner.vacuum()
        if report.removed_node_count:
            self.place.memory["gone"] = set(self.place.memory.get("hidden", ()))
        return report

    async def commit_runtime_state(self, commit):
        gone = self.place.memory.get("gone", set())
        if isinstance(commit.graph, ReplaceFull):
            kept = tuple(node for node in commit.graph.nodes if node.node_id not in gone)
            commit = commit.but(graph=commit.graph.but(nodes=kept))
        return await self.inner.commit_runtime_state(commit)


@mutant("STO.14", character="Ring buffer: remembers the last three turns.", searched=True)
class KeepsThreeTurns(StoreWrapper):
    async def commit_runtime_state(self, commit):
        stamp = commit.turn_commit
        turns = self.place.memory.setdefault(f"turns of {commit.session_id}", [])
        if stamp is not None and stamp.turn_id in turns[:-3]:
            commit = commit.but(turn_commit=stamp.but(turn_id=f"{stamp.turn_id}, again"))
        made = await self.inner.commit_runtime_state(commit)
        if stamp is not None and stamp.turn_id not in turns:
            turns.append(stamp.turn_id)
        return made


@mutant("STO.61", character="Lumping: the third model of a source is added to its first.", searched=True)
class LumpsTheThirdModel(Store):
    async def add_usage(self, rows, delta):
        mine = [entry for entry in await rows.ledger(self.session_id) if entry.source == delta.source]
        if len(mine) >= 2 and delta.model not in {entry.model for entry in mine}:
            delta = delta.but(model=mine[0].model)
        await super().add_usage(rows, delta)


@mutant("LEA.6", character="Odometer: the number starts over after three takeovers.", searched=True)
class StartsOverAfterThree(Store):
    async def _acquire(self, rows, session_id, owner, before, now, ttl):
        if before is not None and before.fencing_token >= 4:
            before = before.but(fencing_token=0)
        return await super()._acquire(rows, session_id, owner, before, now, ttl)


@mutant("QUE.3", character="Worn out: a key is forgotten once its batch was abandoned and claimed again.", searched=True)
class ForgetsKeysOfReclaimedBatches(Store):
    async def enqueue(self, rows, draft, now):
        if draft.source_key is not None:
            named = await rows.batch_by_key(draft.session_id, draft.source_key)
            if named is not None and named.claim_number >= 2:
                draft = draft.but(source_key=None)
        return await super().enqueue(rows, draft, now)


@mutant("QUE.15", character="First page only: looks at ten batches, held ones included.", searched=True)
class LooksAtTenBatches(Store):
    async def candidates(self, rows, session_id, generation, now):
        page = {row.batch.batch_id for row in (await rows.batches(session_id))[:10]}
        ready = await super().candidates(rows, session_id, generation, now)
        return [row for row in ready if row.batch.batch_id in page]


@mutant("QUE.21", character="Two digits: after ten batches a group is taken in the order of their text.", searched=True)
class GroupsByTextAfterTen(Store):
    async def candidates(self, rows, session_id, generation, now):
        ready = await super().candidates(rows, session_id, generation, now)
        if len(ready) < 10:
            return ready
        return [row for _, row in sorted(enumerate(ready, start=1), key=lambda one: str(one[0]))]


@mutant("QUE.52", character="Thrifty: the id of the newest batch is given again once that batch is gone.", searched=True)
class ReusesTheTopId(Store):
    async def enqueue(self, rows, draft, now):
        taken = [int(row.batch.batch_id.rpartition("-")[2]) for row in await rows.batches(draft.session_id)]
        mint, self.mint = self.mint, lambda kind: f"{kind}-{max(taken, default=0) + 1}"
        try:
            return await super().enqueue(rows, draft, now)
        finally:
            self.mint = mint


@mutant("INP.18", character="Spent: an input accepted for the second time is never given back.", searched=True)
class KeepsWhatCameTwice(StoreWrapper):
    async def abandon_turn_input_claim(self, claim):
        if claim.fencing_token < 2:
            await self.inner.abandon_turn_input_claim(claim)

    async def abandon_turn_input_claims(self, claims):
        for claim in claims:
            await self.abandon_turn_input_claim(claim)


# -- interleavings


@mutant("STO.6", character="Looks, then leaps: reads the head, and writes without looking again.", searched=True)
class ComparesThenWrites(StoreWrapper):
    async def commit_runtime_state(self, commit):
        expected = commit.expected_head_revision
        if expected is None:
            return await self.inner.commit_runtime_state(commit)
        read = await self.inner.load_session(FullGraph())
        actual = 0 if read is None else read.head_revision
        if actual != expected:
            raise HeadRevisionConflict(expected, actual)
        await asyncio.sleep(0)
        return await self.inner.commit_runtime_state(commit.but(expected_head_revision=None))


@mutant("STO.5", character="In one boat: of calls that wait together on one handle, all are refused with the first that is.", searched=True)
class RefusesTogether(StoreWrapper):
    def __init__(self, inner, place):
        super().__init__(inner, place)
        self.waiting, self.refusal = 0, None

    async def commit_runtime_state(self, commit):
        self.waiting += 1
        try:
            await asyncio.sleep(0)
            made = await self.inner.commit_runtime_state(commit)
        except HeadRevisionConflict as err:
            self.refusal = err
            raise
        finally:
            self.waiting -= 1
            shared, self.refusal = self.refusal, self.refusal if self.waiting else None
        if shared is not None:
            raise shared
        return made


@mutant("STO.11", character="Trusting: checks the fence, lets others in, and writes.", searched=True)
class ChecksTheFenceEarly(Store):
    trusted = False

    async def require_live(self, rows, session_id, fence, now):
        return fence if self.trusted else await super().require_live(rows, session_id, fence, now)

    async def commit_runtime_state(self, commit):
        async with self.transactions.begin(write=False) as rows:
            live = await rows.lease(self.session_id)
            fence = commit.session_execution_lease
            now = self.clock.now_ms()
            self.trusted = bool(fence and live and self.lease_is_live(live, now) and self.matches(live, fence))
        for _ in range(3):
            await asyncio.sleep(0)
        try:
            return await super().commit_runtime_state(commit)
        finally:
            self.trusted = False


@mutant("LEA.11", character="Two doors: sees the lane free, lets others in, and takes it.", searched=True)
class SeesThenTakes(Store):
    async def try_claim_session_execution_lease(self, session_id, owner, lease_ttl_ms):
        async with self.transactions.begin(write=False) as rows:
            row, now = await rows.lease(session_id), self.clock.now_ms()
            if row is not None and self.lease_is_live(row, now):
                if not row.owner.same_incarnation(owner):
                    return Busy(holder=granted(row))
                return await super().try_claim_session_execution_lease(session_id, owner, lease_ttl_ms)
        await asyncio.sleep(0)
        async with self.transactions.begin(write=True) as rows:
            return await self._acquire(rows, session_id, owner, row, now, lease_ttl_ms)


@mutant("QUE.24", character="Double booking: chooses batches, lets others in, and hands them out.", searched=True)
class ChoosesThenHolds(Store):
    async def claim_ready_queued_work(self, session_id, session_execution_lease, owner, boundary, max_batches):
        fence = session_execution_lease
        async with self.transactions.begin(write=False) as rows:
            now = self.clock.now_ms()
            await self.require_live(rows, session_id, fence, now)
            ready = await self.candidates(rows, session_id, fence.fencing_token, now)
            group = self.leading_group(ready, boundary, max_batches)
        await asyncio.sleep(0)
        async with self.transactions.begin(write=True) as rows:
            return await self.hold(rows, group, fence, owner)


@mutant("QUE.6", character="No lock: looks for the key, lets others in, and enqueues.", searched=True)
class LooksForTheKeyEarly(Store):
    async def enqueue_queued_work(self, batch):
        key = batch.source_key
        async with self.transactions.begin(write=False) as rows:
            named = None if key is None else await rows.batch_by_key(batch.session_id, key)
        if named is not None or key is None:
            return await super().enqueue_queued_work(batch)
        await asyncio.sleep(0)
        async with self.transactions.begin(write=True) as rows:
            made = await self.enqueue(rows, batch.but(source_key=None), self.clock.now_ms())
            row = await rows.batch(batch.session_id, made.batch_id)
            keyed = made.but(source_key=key)
            await rows.put_batch(row.but(batch=keyed))
            return keyed


@mutant("QUE.49", character="Blind hand: sees a batch free, lets others in, and removes it.", searched=True)
class SeesThenRemoves(Store):
    async def cancel_queued_work_batch(self, session_id, batch_id):
        async with self.transactions.begin(write=False) as rows:
            live = await self.live_generation(rows, session_id, self.clock.now_ms())
            row = await rows.batch(session_id, batch_id)
            if row is None or self.is_held(row, live):
                return None
        await asyncio.sleep(0)
        async with self.transactions.begin(write=True) as rows:
            await rows.drop_batch(session_id, batch_id)
            return row.batch


@mutant("MNT.7", character="Old list: finds what lives, lets others in, and deletes the rest.", searched=True)
class CollectsByAnOldList(Store):
    async def gc_unreachable(self):
        async with self.transactions.begin(write=False) as rows:
            heads = await rows.heads()
            alive = {ref for head in heads for ref in await self.reached(rows, head)}
        await asyncio.sleep(0)
        async with self.transactions.begin(write=True) as rows:
            doomed = [ref for ref in await rows.blob_refs() if ref not in alive]
            await rows.drop_blobs(doomed)
        return GcReport(root_count=len(heads), retained_blob_count=len(alive), deleted_blob_count=len(doomed))
