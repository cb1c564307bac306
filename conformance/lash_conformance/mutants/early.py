"""Stores that look at what is to be done, let others in, and do it without looking again."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false

import asyncio
from contextlib import asynccontextmanager

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import AttachmentsWrapper, FactoryWrapper, WrappedTarget
from lash_ref.attachments import reference
from lash_ref.records import AttachmentManifestEntry, GcReport, SessionMeta, VacuumReport
from lash_ref.sqlite_rows import SqliteRows
from lash_ref.store import Store


@mutant("QUE.47", character="Late hand: sees that it holds the work, lets others in, and gives it back.", searched=True)
class SeesThenGivesBack(Store):
    async def abandon_queued_work_claims(self, claims):
        async with self.transactions.begin(write=False) as rows:
            found = [await rows.batch(claim.session_id, each.batch_id) for claim in claims for each in claim.batches]
            held = [row for row in found if row and self.holds(row, claims[0].claim_id, claims[0].lease_token)]
        await asyncio.sleep(0)
        async with self.transactions.begin(write=True) as rows:
            for row in held:
                await rows.put_batch(row.but(hold=None))


@mutant("INP.18", character="Late hand: sees that it holds the input, lets others in, and gives it back.", searched=True)
class SeesThenReturns(Store):
    async def abandon_turn_input_claims(self, claims):
        async with self.transactions.begin(write=False) as rows:
            found = [await rows.input(claim.session_id, each.input_id) for claim in claims for each in claim.inputs]
            held = [row for row in found if row and self.holds(row, claims[0].claim_id, claims[0].lease_token)]
        await asyncio.sleep(0)
        if not any(row.input.state == "deferred_next_turn" for row in held):
            await super().abandon_turn_input_claims(claims)
            return
        async with self.transactions.begin(write=True) as rows:
            for row in held:
                await rows.put_input(row.but(hold=None))


@mutant("MNT.7", character="Rubbish list: writes down what is garbage, lets others in, and deletes it.", searched=True)
class DeletesWhatWasGarbage(Store):
    async def gc_unreachable(self):
        async with self.transactions.begin(write=False) as rows:
            heads = await rows.heads()
            alive = {ref for head in heads for ref in await self.reached(rows, head)}
            doomed = [ref for ref in await rows.blob_refs() if ref not in alive]
        await asyncio.sleep(0)
        async with self.transactions.begin(write=True) as rows:
            await rows.drop_blobs(doomed)
        return GcReport(root_count=len(heads), retained_blob_count=len(alive), deleted_blob_count=len(doomed))


@mutant("MNT.9", character="Old list: writes down which nodes are hidden, lets others in, and deletes them.", searched=True)
class SweepsByAnOldList(Store):
    async def vacuum(self):
        async with self.transactions.begin(write=False) as rows:
            hidden = list(rows.read(self.session_id).tombstoned)
        await asyncio.sleep(0)
        async with self.transactions.begin(write=True) as rows:
            await rows.tombstone(self.session_id, hidden)
            await rows.drop_tombstoned(self.session_id)
            inputs = await rows.drop_terminal_inputs(self.session_id)
        return VacuumReport(removed_node_count=len(hidden), removed_pending_turn_input_tombstone_count=inputs)


@mutant("FAC.4", character="Two doors: sees no session, lets others in, and seeds one.", searched=True)
class SeesThenSeeds(FactoryWrapper):
    async def create_store(self, request):
        known = await self.inner.open_existing_store(request)
        await asyncio.sleep(0)
        made = await super().create_store(request)
        if known is None:
            seeded = {"session_name": request.session_id, "created_at": "2026-11-21T00:00:00Z"}
            model, relation = request.policy.model.id, request.relation
            await made.save_session_meta(
                SessionMeta(session_id=request.session_id, model=model, relation=relation, **seeded)
            )
        return made


@mutant("FAC.5", character="Self-centred: what one handle found once is there until that handle deletes it.", searched=True)
class RemembersWhatIsThere(FactoryWrapper):
    def __init__(self, inner, place):
        super().__init__(inner, place)
        self.known = {}

    async def open_existing_store(self, request):
        if request.session_id not in self.known:
            found = await super().open_existing_store(request)
            if found is None:
                return None
            self.known[request.session_id] = found
        return self.known[request.session_id]

    async def delete_session(self, session_id):
        self.known.pop(session_id, None)
        await self.inner.delete_session(session_id)


@mutant("ATT.2", character="Old copy: reads the row of an intent, lets others in, and writes it anew.", searched=True)
class RecordsOverAnAdoption(Store):
    async def record_intent(self, intent):
        if (intent.owner_kind is None) != (intent.owner_id is None):
            await super().record_intent(intent)
        async with self.transactions.begin(write=False) as rows:
            before = await rows.intent(intent.session_id, intent.attachment_id)
        await asyncio.sleep(0)
        stamp = before.committed_at_epoch_ms if before is not None else None
        async with self.transactions.begin(write=True) as rows:
            made = AttachmentManifestEntry.from_data(intent.to_data())
            await rows.put_intent(made.but(committed_at_epoch_ms=stamp))


@mutant("ATT.14", "ATT.15", character="Death list: writes down which intents are dead, lets others in, and forgets them.", searched=True)
class ForgetsByAnOldList(Store):
    async def forget_aged_uncommitted_intents(self, intent_grace_cutoff_epoch_ms):
        cutoff = intent_grace_cutoff_epoch_ms
        gone = await self.gone_processes(cutoff)
        async with self.transactions.begin(write=False) as rows:
            aged = await rows.uncommitted(cutoff)
            dead = [entry for entry in aged if await self.is_dead(rows, entry, cutoff, gone)]
        await asyncio.sleep(0)
        for entry in dead:
            await self.forget(entry.session_id, entry.attachment_id)


@mutant("ATT.23", character="Clean sheet: removes what is put again, lets others in, and stores it anew.", searched=True)
class RemovesThenPuts(AttachmentsWrapper):
    async def put(self, data, meta):
        await self.inner.delete(reference(bytes(data), meta).id)
        await asyncio.sleep(0)
        return await self.inner.put(data, meta)


# -- commits and names


@mutant("GRA.5", character="Early: looks which nodes are there, lets others in, and stores its own.", searched=True)
class LooksForNodesEarly(Store):
    taken = frozenset()

    async def commit_runtime_state(self, commit):
        async with self.transactions.begin(write=False) as rows:
            taken = await rows.live(self.session_id, [node.node_id for node in getattr(commit.graph, "nodes", ())])
        await asyncio.sleep(0)
        self.taken = taken
        return await super().commit_runtime_state(commit)

    async def stored_nodes(self, rows, node_ids):
        return self.taken & set(node_ids)


@mutant("STO.32", character="Early: looks for the turn, lets others in, and commits it.", searched=True)
class LooksForTheTurnEarly(Store):
    known = None

    async def commit_runtime_state(self, commit):
        self.require_bound(commit)
        async with self.transactions.begin(write=False) as rows:
            known = await super().recorded(rows, commit)
        await asyncio.sleep(0)
        self.known = known
        return await super().commit_runtime_state(commit)

    async def recorded(self, rows, commit):
        return self.known


@mutant("STO.17", character="Two steps: lands the turn, lets others in, and lets go of the lane.", searched=True)
class ReleasesLater(Store):
    async def commit_runtime_state(self, commit):
        result = await super().commit_runtime_state(commit.but(release_session_execution_lease=None))
        await asyncio.sleep(0)
        async with self.transactions.begin(write=True) as rows:
            await self.release_lane(rows, commit)
        return result


@mutant("STO.24", character="Early: looks which keys are queued, lets others in, and sends its outbox.", searched=True)
class LooksForKeysEarly(Store):
    queued = None

    async def commit_runtime_state(self, commit):
        keys = [draft.source_key for draft in commit.enqueued_queue_batches if draft.source_key is not None]
        async with self.transactions.begin(write=False) as rows:
            queued = {key for key in keys if await rows.batch_by_key(self.session_id, key)}
        await asyncio.sleep(0)
        self.queued = queued
        try:
            return await super().commit_runtime_state(commit)
        finally:
            self.queued = None

    async def enqueue(self, rows, draft, now):
        key = draft.source_key
        if self.queued is None or key is None or key in self.queued:
            return await super().enqueue(rows, draft, now)
        made = await super().enqueue(rows, draft.but(source_key=None), now)
        row = await rows.batch(draft.session_id, made.batch_id)
        await rows.put_batch(row.but(batch=made.but(source_key=key)))
        self.queued.add(key)
        return made.but(source_key=key)


@mutant("INP.3", character="Early: looks whether the id is taken, lets others in, and takes it.", searched=True)
class LooksForTheInputEarly(Store):
    async def enqueue_pending_turn_input(self, input):
        if input.input_id is None:
            return await super().enqueue_pending_turn_input(input)
        async with self.transactions.begin(write=False) as rows:
            known = await rows.input(input.session_id, input.input_id)
        await asyncio.sleep(0)
        if known is not None:
            return await super().enqueue_pending_turn_input(input)
        mint, self.mint = self.mint, lambda kind: input.input_id
        try:
            return await super().enqueue_pending_turn_input(input.but(input_id=None))
        finally:
            self.mint = mint


# -- reads


@mutant("GRA.31", character="Piecemeal: each statement of a read sees what is there by then.", searched=True)
class ReadsPiecemeal(WrappedTarget):
    on_sqlite = True

    async def inner(self, place):
        backend = await super().inner(place)
        transactions = backend.sessions.worker.transactions
        whole = transactions.begin

        @asynccontextmanager
        async def piecemeal():
            yield SqliteRows(transactions.connection())

        transactions.begin = lambda write: whole(write) if write else piecemeal()
        return backend
