"""Stores that stop at a round number."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import AttachmentsWrapper, StoreWrapper
from lash_ref.nodes import ActivePath
from lash_ref.store import Store


class Reading(StoreWrapper):
    """Edits what a load answers."""

    def edited(self, read):
        return read

    async def load_session(self, scope):
        read = await self.inner.load_session(scope)
        return None if read is None else self.edited(read)


@mutant("REC.35", character="Paging: lists the first 1,000 batches.")
class ListsAThousandBatches(StoreWrapper):
    async def list_queued_work(self, session_id):
        return (await self.inner.list_queued_work(session_id))[:1000]


@mutant("REC.35", character="Paging: an exact claim takes no more than 100 ids.")
class TakesAHundredIds(StoreWrapper):
    async def claim_ready_queued_work_by_batch_ids(self, session_id, fence, owner, boundary, batch_ids):
        return await self.inner.claim_ready_queued_work_by_batch_ids(
            session_id, fence, owner, boundary, batch_ids[:100]
        )


@mutant("REC.35", character="Short of breath: walks 1,000 nodes up and calls that the root.")
class WalksAThousandUp(StoreWrapper):
    async def load_session(self, scope):
        read = await self.inner.load_session(scope)
        if read is None or not isinstance(scope, ActivePath):
            return read
        return read.but(graph=read.graph.but(nodes=read.graph.nodes[-1000:]))


@mutant("REC.35", character="Paging: hides the first 999 of the nodes it is given.")
class HidesUpToAThousand(StoreWrapper):
    async def tombstone_nodes(self, ids):
        await self.inner.tombstone_nodes(ids[:999])


@mutant("REC.35", character="Paging: a bill has 1,000 rows.")
class BillsAThousandRows(Reading):
    def edited(self, read):
        return read.but(token_ledger=read.token_ledger[:1000])


@mutant("REC.35", character="Paging: lists the first 100 inputs.")
class ListsAHundredInputs(StoreWrapper):
    async def list_pending_turn_inputs(self, session_id):
        return (await self.inner.list_pending_turn_inputs(session_id))[:100]


@mutant("REC.35", character="Paging: lists the applications of the last 100 turns.")
class ListsApplicationsOfAHundredTurns(Store):
    async def record(self, rows, commit, result, now):
        await super().record(rows, commit, result, now)
        stamps = await rows.stamps(self.session_id)
        for old in sorted(stamps, key=lambda row: row.result.head_revision)[:-100]:
            kept = vars(self.transactions).setdefault("paged", set())
            kept.add(old.turn_id)

    async def list_turn_input_applications(self, session_id):
        paged = vars(self.transactions).get("paged", ())
        return tuple(one for one in await super().list_turn_input_applications(session_id) if one.turn_id not in paged)


@mutant("REC.35", character="Paging: lists the last 1,000 applications.")
class ListsAThousandApplications(StoreWrapper):
    async def list_turn_input_applications(self, session_id):
        return (await self.inner.list_turn_input_applications(session_id))[-1000:]


@mutant("REC.35", character="Forgetful: remembers the last 100 turns.")
class RemembersAHundredTurns(StoreWrapper):
    async def commit_runtime_state(self, commit):
        turns = self.place.memory.setdefault("turns", {})
        stamp = commit.turn_commit
        if stamp is not None and stamp.turn_id in list(turns)[:-100]:
            commit = commit.but(turn_commit=stamp.but(turn_id=stamp.turn_id + " again"))
        result = await self.inner.commit_runtime_state(commit)
        if stamp is not None:
            turns[stamp.turn_id] = True
        return result


@mutant("REC.35", character="Unhurried: collects no more than 100 blobs at a time.")
class CollectsAHundred(Store):
    async def gc_unreachable(self):
        async with self.transactions.begin(write=False) as rows:
            before = await rows.blob_refs()
            kept = {ref: await rows.blob(ref) for ref in before}
        report = await super().gc_unreachable()
        async with self.transactions.begin(write=True) as rows:
            gone = [ref for ref in before if ref not in set(await rows.blob_refs())]
            await rows.put_blobs({ref: kept[ref] for ref in gone[100:]})
        return report.but(deleted_blob_count=min(100, report.deleted_blob_count))


@mutant("REC.35", character="Paging: lists the first 100 intents.")
class ListsAHundredIntents(StoreWrapper):
    async def list_uncommitted(self, older_than_epoch_ms):
        return (await self.inner.list_uncommitted(older_than_epoch_ms))[:100]


@mutant("REC.35", character="Paging: lists the first 100 blobs.")
class ListsAHundredBlobs(AttachmentsWrapper):
    async def list(self):
        return (await self.inner.list())[:100]


@mutant("FAC.15", character="Compacting: after fifty batches a session's finished input is forgotten.")
class ForgetsFinishedInput(StoreWrapper):
    async def enqueue_queued_work(self, batch):
        count = self.place.memory["count"] = self.place.memory.get("count", 0) + 1
        if count == 50:
            await self.place.memory["first"].vacuum()
        return await self.inner.enqueue_queued_work(batch)

    async def record_intent(self, intent):
        self.place.memory.setdefault("first", self.inner)
        await self.inner.record_intent(intent)


@mutant("GRA.5", character="Looks up a thousand: ids beyond the first thousand of an append are new to it.")
class LooksUpAThousandIds(Store):
    async def stored_nodes(self, rows, node_ids):
        return await super().stored_nodes(rows, node_ids[:1000])
