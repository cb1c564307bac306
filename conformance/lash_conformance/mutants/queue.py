"""Stores that are wrong about queued work."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

import asyncio

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import StoreWrapper, WrappedTarget
from lash_ref.errors import InvalidRecord, SessionExecutionLeaseExpired
from lash_ref.store import Store


class Queueing(StoreWrapper):
    """Edits a draft before it is enqueued."""

    def edited(self, draft):
        return draft

    async def enqueue_queued_work(self, batch):
        return await self.inner.enqueue_queued_work(self.edited(batch))


@mutant("QUE.1", character="Backwards: keeps a batch's payloads in reverse.")
class ReversesPayloads(Queueing):
    def edited(self, draft):
        return draft.but(payloads=draft.payloads[::-1])


@mutant("QUE.31", character="Last come, first served: lists the newest batch first.")
class ListsBackwards(StoreWrapper):
    async def list_queued_work(self, session_id):
        return (await self.inner.list_queued_work(session_id))[::-1]


@mutant("QUE.31", character="By name: lists batches by the text of their sequence, 10 before 2.")
class ListsByText(StoreWrapper):
    async def list_queued_work(self, session_id):
        found = await self.inner.list_queued_work(session_id)
        return tuple(sorted(found, key=lambda one: str(one.enqueue_seq)))


@mutant("QUE.2", "QUE.52", character="Counting: the sequence of a batch is the number of rows there are.")
class CountsRows(Store):
    async def enqueue(self, rows, draft, now):
        count = len(await rows.batches(draft.session_id))
        made = await super().enqueue(rows, draft, now)
        row = await rows.batch(draft.session_id, made.batch_id)
        counted = made.but(enqueue_seq=count + 1)
        await rows.put_batch(row.but(batch=counted))
        return counted


@mutant("QUE.3", character="Keyless: enqueues a repeated key again.")
class IgnoresSourceKeys(Queueing):
    def edited(self, draft):
        self.place.memory["n"] = number = self.place.memory.get("n", 0) + 1
        return draft if draft.source_key is None else draft.but(source_key=f"{draft.source_key}#{number}")


@mutant("QUE.3", character="Last word: a repeated key replaces the payloads.")
class RepeatsReplace(Store):
    async def enqueue(self, rows, draft, now):
        made = await super().enqueue(rows, draft, now)
        row = await rows.batch(draft.session_id, made.batch_id)
        changed = made.but(slot_policy=draft.slot_policy, delivery_policy=draft.delivery_policy)
        await rows.put_batch(row.but(batch=changed))
        return changed


@mutant("QUE.4", character="Worldwide: a key of one session is taken for all.")
class KeysAreGlobal(StoreWrapper):
    async def enqueue_queued_work(self, batch):
        seen = self.place.memory.setdefault("keys", {})
        if batch.source_key in seen and batch.source_key is not None:
            return seen[batch.source_key]
        made = await self.inner.enqueue_queued_work(batch)
        seen[batch.source_key] = made
        return made


@mutant("QUE.5", character="Long of memory: a key is never free again.")
class RemembersKeysForEver(KeysAreGlobal):
    async def enqueue_queued_work(self, batch):
        if batch.source_key is not None:
            batch = batch.but(source_key=f"{batch.session_id}/{batch.source_key}")
        return await super().enqueue_queued_work(batch)


@mutant("QUE.6", character="Hesitant: looks for the key, pauses, and enqueues.")
class LooksForTheKeyThenEnqueues(StoreWrapper):
    async def enqueue_queued_work(self, batch):
        for made in await self.inner.list_queued_work(batch.session_id):
            if made.source_key == batch.source_key and batch.source_key is not None:
                return made
        await asyncio.sleep(0)
        made = await self.inner.enqueue_queued_work(batch.but(source_key=None))
        return made.but(source_key=batch.source_key)


@mutant("QUE.7", character="Common: every session sees one queue.")
class OneQueueForAll(Queueing):
    def edited(self, draft):
        return draft.but(session_id="s1")


@mutant("QUE.8", character="Guarded: only a held lane may receive work.")
class EnqueueNeedsALease(Store):
    async def enqueue(self, rows, draft, now):
        if not self.lease_is_live(await rows.lease(draft.session_id), now):
            raise SessionExecutionLeaseExpired(draft.session_id)
        return await super().enqueue(rows, draft, now)


@mutant("QUE.9", character="Ephemeral: the queue lives with the process.")
class QueueDiesWithTheProcess(WrappedTarget):
    async def open(self, place):
        backend = await super().open(place)
        place.memory["opened"] = place.memory.get("opened", 0) + 1

        class Forgetting(StoreWrapper):
            async def list_queued_work(self, session_id):
                if self.place.memory["opened"] > 1:
                    return ()
                return await self.inner.list_queued_work(session_id)

        backend.sessions.store = Forgetting
        return backend


@mutant("QUE.30", character="Liberal: takes a batch of any payloads, or of none.")
class TakesAnyBatch(StoreWrapper):
    async def enqueue_queued_work(self, batch):
        try:
            return await self.inner.enqueue_queued_work(batch)
        except InvalidRecord:
            return None


@mutant("QUE.30", character="Tidy: leaves a batch without payloads out of a commit, and says nothing.")
class DropsEmptyDrafts(StoreWrapper):
    async def commit_runtime_state(self, commit):
        kept = tuple(draft for draft in commit.enqueued_queue_batches if draft.payloads)
        return await self.inner.commit_runtime_state(commit.but(enqueued_queue_batches=kept))
