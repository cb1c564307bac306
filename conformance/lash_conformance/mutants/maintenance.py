"""Stores that are wrong about maintenance and the factory."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

import unicodedata

from lash_conformance.bench import request
from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import FactoryWrapper, StoreWrapper, WrappedTarget
from lash_ref.errors import Backend, LashError, UnreadableRecord
from lash_ref.nodes import FullGraph
from lash_ref.records import GcReport, RootSession, VacuumReport
from lash_ref.store import Store


@mutant("MNT.1", character="In words only: a tombstone hides nothing.")
class HidesNothing(StoreWrapper):
    async def tombstone_nodes(self, ids):
        return None


@mutant("MNT.1", character="Half-way: a tombstoned node can still be looked up.")
class TombstonedNodesAreFound(StoreWrapper):
    async def tombstone_nodes(self, ids):
        for node_id in ids:
            self.place.memory[node_id] = await self.inner.load_node(node_id)
        await self.inner.tombstone_nodes(ids)

    async def load_node(self, node_id):
        return await self.inner.load_node(node_id) or self.place.memory.get(node_id)


@mutant("MNT.2", character="Overdrawn: subtracts from the number of nodes what it is told to hide, hidden or not.")
class SubtractsWhatItIsTold(StoreWrapper):
    async def tombstone_nodes(self, ids):
        hidden = self.place.memory["hidden"] = self.place.memory.get("hidden", 0) + len(ids)
        read = await self.inner.load_session(FullGraph())
        if read is not None and hidden > 3 + len(read.graph.nodes):
            raise Backend("fewer than no nodes")
        await self.inner.tombstone_nodes(ids)


@mutant("MNT.2", character="Strict: an unknown id is an error.")
class DemandsKnownIds(StoreWrapper):
    async def tombstone_nodes(self, ids):
        for node_id in ids:
            if await self.inner.load_node(node_id) is None:
                raise Backend(f"no node {node_id}")
        await self.inner.tombstone_nodes(ids)


@mutant("MNT.3", character="Ceremonious: tombstoning is a commit of its own.")
class TombstoningCommits(Store):
    async def tombstone_nodes(self, ids):
        await super().tombstone_nodes(ids)
        async with self.transactions.begin(write=True) as rows:
            head = await rows.head(self.session_id)
            if head is not None:
                await rows.put_head(head.but(head_revision=head.head_revision + 1))


@mutant("MNT.4", character="Silent: a vacuum reports one node, however many.")
class ReportsAtMostOne(StoreWrapper):
    async def vacuum(self):
        report = await self.inner.vacuum()
        return report.but(removed_node_count=min(1, report.removed_node_count))


@mutant("MNT.4", character="Stale: counts a node that was committed again since.")
class CountsRevivedNodes(StoreWrapper):
    async def tombstone_nodes(self, ids):
        self.place.memory.setdefault("hidden", set()).update(ids)
        await self.inner.tombstone_nodes(ids)

    async def vacuum(self):
        await self.inner.vacuum()
        return VacuumReport(removed_node_count=len(self.place.memory.pop("hidden", ())))


@mutant("MNT.5", character="Repeating: every vacuum reports what the first one did.")
class ReportsTheSameAgain(StoreWrapper):
    async def vacuum(self):
        report = await self.inner.vacuum()
        return self.place.memory.setdefault("report", report)


@mutant("MNT.9", character="Thorough: a vacuum takes what is off the active path.")
class VacuumsOffPathNodes(StoreWrapper):
    async def vacuum(self):
        read = await self.inner.load_session(FullGraph())
        path = {read.graph.leaf_node_id, *(node.parent_node_id for node in read.graph.nodes)}
        await self.inner.tombstone_nodes([n.node_id for n in read.graph.nodes if n.node_id not in path])
        return await self.inner.vacuum()


@mutant("MNT.6", character="Idle: collects nothing and says so.")
class CollectsNothing(StoreWrapper):
    async def gc_unreachable(self):
        return GcReport(root_count=1)


@mutant("MNT.12", character="Sentimental: counts the heads of sessions that are gone.")
class CountsLostHeads(StoreWrapper):
    most = 0

    async def gc_unreachable(self):
        made = await self.inner.gc_unreachable()
        self.most = max(self.most, made.root_count)
        return made.but(root_count=self.most)


@mutant("MNT.6", character="Boasting: counts garbage and leaves it.")
class CountsAndLeaves(Store):
    async def gc_unreachable(self):
        return GcReport(root_count=1, deleted_blob_count=3)


@mutant("MNT.7", character="Shallow: keeps manifests and collects their parts.")
class CollectsParts(Store):
    async def reached(self, rows, head):
        return {head.checkpoint_ref}


@mutant("MNT.7", character="Self-centred: roots its own session only.")
class RootsItsOwnSession(Store):
    async def reached(self, rows, head):
        return await super().reached(rows, head) if head.session_id == self.session_id else set()


@mutant("MNT.8", character="Repeating: reports deletions it did not make.")
class ReportsOldDeletions(StoreWrapper):
    async def gc_unreachable(self):
        return self.place.memory.setdefault("gc", await self.inner.gc_unreachable())


@mutant("MNT.10", character="Careless: an unreadable root is no root.", on_sqlite=True)
class SwallowsUnreadableRoots(StoreWrapper):
    async def gc_unreachable(self):
        try:
            return await self.inner.gc_unreachable()
        except LashError:
            return GcReport()


@mutant("MNT.11", character="Silent: does not collect, and reports zeros.", lacks=("gc",))
class ReportsZeros(StoreWrapper):
    async def gc_unreachable(self):
        return GcReport()


# -- the factory


@mutant("FAC.1", "FAC.14", character="Boasting: its factory says durable, its stores say inline.")
class StoresSayInline(StoreWrapper):
    async def durability_tier(self):
        return "inline"


@mutant("FAC.14", character="Modest in words: declares no durability, and says durable.", lacks=("durable",))
class SaysDurableUndeclared(StoreWrapper):
    pass


@mutant("FAC.2", character="Creating: opening an unknown session makes it.")
class OpeningCreates(FactoryWrapper):
    async def open_existing_store(self, request):
        return await self.create_store(request)


@mutant("FAC.3", character="Bare: creates a session without a relation to its parent.")
class ForgetsTheRelation(FactoryWrapper):
    async def create_store(self, request):
        return await super().create_store(request.but(relation=RootSession()))


class DatesItsSessions(StoreWrapper):
    """Says when a session was created in another way."""

    def date(self, created_at):
        return created_at

    async def load_session_meta(self):
        meta = await self.inner.load_session_meta()
        return None if meta is None else meta.but(created_at=self.date(meta.created_at))


@mutant("FAC.18", character="Local: writes the time of a session's creation without an offset.")
class DatesWithoutOffset(DatesItsSessions):
    def date(self, created_at):
        return created_at.removesuffix("Z")


@mutant("FAC.18", character="Watch on its own wrist: dates a session by a clock that is not the store's.")
class DatesByTheWall(DatesItsSessions):
    def date(self, created_at):
        return "2020-01-01T00:00:00Z"


@mutant("FAC.4", character="Fresh: creating a session that exists starts it over.")
class CreatingStartsOver(FactoryWrapper):
    async def create_store(self, request):
        await self.inner.delete_session(request.session_id)
        return await super().create_store(request)


@mutant("FAC.4", character="Renaming: creating a session that exists overwrites its meta.")
class CreatingOverwritesMeta(FactoryWrapper):
    async def create_store(self, request):
        made = await super().create_store(request)
        meta = await made.load_session_meta()
        await made.save_session_meta(meta.but(relation=request.relation, session_name=request.session_id))
        return made


@mutant("FAC.5", character="Keeping: a deleted session can still be opened.")
class DeletedSessionsOpen(FactoryWrapper):
    async def delete_session(self, session_id):
        kept = self.place.memory.setdefault("kept", set())
        kept.add(session_id)
        await self.inner.delete_session(session_id)

    async def open_existing_store(self, request):
        if request.session_id in self.place.memory.get("kept", ()):
            return await self.create_store(request)
        return await super().open_existing_store(request)


@mutant("FAC.6", character="Strict: deleting what is not there is an error.")
class DeletingMustFind(FactoryWrapper):
    async def delete_session(self, session_id):
        seen = self.place.memory.setdefault("deleted", set())
        if session_id in seen:
            raise Backend(f"no session {session_id}")
        seen.add(session_id)
        await self.inner.delete_session(session_id)


class Deleting(FactoryWrapper):
    """Deletes a session but for something of it."""

    async def kept(self, store, session_id):
        return None

    async def put_back(self, store, kept):
        return None

    async def delete_session(self, session_id):
        store = self.inner.bound(session_id)
        kept = await self.kept(store, session_id)
        await self.inner.delete_session(session_id)
        await self.put_back(store, kept)


class KeepsRows(Deleting):
    """Puts chosen rows back after the deletion."""

    names = ()

    async def kept(self, store, session_id):
        rows = self.inner.transactions.rows
        tables = rows.sessions.get(session_id)
        return session_id, {name: getattr(tables, name) for name in self.names} if tables else None

    async def put_back(self, store, kept):
        session_id, found = kept
        if found:
            tables = self.inner.transactions.rows.tables(session_id)
            for name, value in found.items():
                setattr(tables, name, value)


@mutant("FAC.7", character="Deletes the parent and not the children: the lease row survives.")
class DeletionKeepsTheLease(KeepsRows):
    names = ("lease",)


@mutant("FAC.7", character="Deletes the parent and not the children: turn stamps survive.")
class DeletionKeepsStamps(KeepsRows):
    names = ("stamps",)


@mutant("FAC.7", character="Deletes the parent and not the children: the ledger survives.")
class DeletionKeepsTheLedger(KeepsRows):
    names = ("ledger",)


@mutant("FAC.9", character="Deletes the parent and not the children: attachment rows survive.")
class DeletionKeepsIntents(KeepsRows):
    names = ("intents", "uncommitted")


@mutant("FAC.8", character="By pattern: deletes whatever begins like the id.")
class DeletesByPrefix(FactoryWrapper):
    async def create_store(self, request):
        self.place.memory.setdefault("names", set()).add(request.session_id)
        return await super().create_store(request)

    async def delete_session(self, session_id):
        for name in self.place.memory.get("names", ()):
            if name.startswith(session_id.rstrip("%*")):
                await self.inner.delete_session(name)


@mutant("FAC.10", character="Narrow: its roots are adopted attachments only.")
class RootsAreNarrow(FactoryWrapper):
    async def live_attachment_refs(self, cutoff):
        refs = await self.inner.live_attachment_refs(cutoff)
        return frozenset(sorted(refs)[:1])


@mutant("FAC.11", character="Case-blind: folds session ids.")
class FoldsSessionIds(FactoryWrapper):
    async def create_store(self, request):
        return await super().create_store(request)

    store = type(
        "Folding",
        (StoreWrapper,),
        {
            "enqueue_queued_work": lambda self, batch: self.inner.enqueue_queued_work(
                batch.but(session_id=batch.session_id.lower())
            ),
            "list_queued_work": lambda self, session_id: self.inner.list_queued_work(session_id.lower()),
        },
    )


@mutant("FAC.11", character="Normalising: é is é, however it is written.")
class NormalisesSessionIds(StoreWrapper):
    async def enqueue_queued_work(self, batch):
        return await self.inner.enqueue_queued_work(
            batch.but(session_id=unicodedata.normalize("NFC", batch.session_id))
        )

    async def list_queued_work(self, session_id):
        return await self.inner.list_queued_work(unicodedata.normalize("NFC", session_id))


@mutant("FAC.12", character="Drops the last commit on reopening.")
class ReopenForgetsSessions(WrappedTarget):
    async def open(self, place):
        backend = await super().open(place)
        if place.memory.setdefault("opened", 0):
            await backend.sessions.delete_session("s1")
        place.memory["opened"] = 1
        return backend


@mutant("FAC.13", character="Careless: unreadable manifest rows are no roots.", on_sqlite=True)
class SwallowsUnreadableManifests(FactoryWrapper):
    async def live_attachment_refs(self, cutoff):
        try:
            return await self.inner.live_attachment_refs(cutoff)
        except UnreadableRecord:
            return frozenset()


@mutant("FAC.4", character="Exacting: a session that never ran is not there.")
class OpensOnlyTheRun(FactoryWrapper):
    async def open_existing_store(self, request):
        found = await super().open_existing_store(request)
        return found if found is not None and await found.load_session(FullGraph()) else None


@mutant("FAC.7", character="Sentimental: a session made anew bears its old name.")
class KeepsTheMeta(FactoryWrapper):
    async def delete_session(self, session_id):
        store = await self.inner.create_store(request(session_id))
        self.place.memory[session_id] = await store.load_session_meta()
        await self.inner.delete_session(session_id)

    async def create_store(self, request):
        made = await super().create_store(request)
        if old := self.place.memory.pop(request.session_id, None):
            await made.save_session_meta(old)
        return made


@mutant("FAC.12", character="Undead: what was deleted is back after reopening.")
class ReopenRevives(WrappedTarget):
    async def open(self, place):
        backend = await super().open(place)
        if place.memory.setdefault("opened", 0):
            await backend.sessions.create_store(request())
        place.memory["opened"] = 1
        return backend
