"""Stores that are sound until a kill comes while bytes are deleted, ids are given, a lane is let go, or a refusal is not yet undone."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

import json
import os
from dataclasses import replace

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import AttachmentsWrapper, FactoryWrapper, StoreWrapper, WrappedTarget
from lash_ref.errors import AttachmentNotFound, HeadRevisionConflict
from lash_ref.records import AttachmentCreateMeta
from lash_ref.store import Store
from lash_ref.work import QueuedWorkBatchDraft

PLAIN = AttachmentCreateMeta(media_type="text/plain")


@mutant("ATT.44", character="Thorough: overwrites bytes before it lets them go.", on_sqlite=True, crashes=True)
class WipesBeforeItDeletes(AttachmentsWrapper):
    async def delete(self, attachment_id):
        path = self.place.directory / "attachments" / attachment_id
        if path.exists():
            with path.open("r+b", buffering=0) as file:
                file.write(bytes(path.stat().st_size))
                os.fsync(file.fileno())
        await self.inner.delete(attachment_id)


@mutant("ATT.44", character="Procrastinator: deletes bytes when the place is closed.", on_sqlite=True, crashes=True)
class DeletesAtClosing(AttachmentsWrapper):
    async def delete(self, attachment_id):
        self.place.memory.setdefault("deleted", set()).add(attachment_id)

    async def get(self, attachment_id):
        if attachment_id in self.place.memory.get("deleted", ()):
            raise AttachmentNotFound(attachment_id)
        return await self.inner.get(attachment_id)

    async def list(self):
        gone = self.place.memory.get("deleted", ())
        return tuple(one for one in await self.inner.list() if one.id not in gone)


@mutant("ATT.44", "ATT.45", character="Packs: to delete one of the bytes it writes all others anew.", on_sqlite=True, crashes=True)
class RepacksToDelete(AttachmentsWrapper):
    async def delete(self, attachment_id):
        others = [one.id for one in await self.inner.list() if one.id != attachment_id]
        kept = [await self.inner.get(one) for one in others]
        for one in (attachment_id, *others):
            await self.inner.delete(one)
        for data in kept:
            await self.inner.put(data, PLAIN)


class KnowsItsBytes(WrappedTarget):
    """Its factory and its stores find the bytes of the place in the place's memory."""

    on_sqlite = True

    async def open(self, place):
        backend = await super().open(place)
        place.memory["bytes"] = backend.inner.attachments
        return backend


async def taken_out(bytes_):
    """All bytes, and they are gone."""
    listed = await bytes_.list()
    kept = [await bytes_.get(one.id) for one in listed]
    for one in listed:
        await bytes_.delete(one.id)
    return kept


class ClearsOut(FactoryWrapper):
    async def delete_session(self, session_id):
        kept = await taken_out(self.place.memory["bytes"])
        await self.inner.delete_session(session_id)
        for data in kept:
            await self.place.memory["bytes"].put(data, PLAIN)


@mutant("ATT.45", character="Clears out: takes bytes away with a session, and puts them back for the others.", crashes=True)
class TakesTheBytesOfAll(KnowsItsBytes):
    factory = ClearsOut


class Moves(StoreWrapper):
    async def gc_unreachable(self):
        kept = await taken_out(self.place.memory["bytes"])
        report = await self.inner.gc_unreachable()
        for data in kept:
            await self.place.memory["bytes"].put(data, PLAIN)
        return report


@mutant("ATT.45", character="Moves house: a collection carries all bytes over to another room.", crashes=True)
class CollectsByMoving(KnowsItsBytes):
    store = Moves


# -- ids


class CountsInMemory(WrappedTarget):
    """Gives ids of one kind by a counter of the process, which is written down when the place is closed."""

    on_sqlite = True
    kind = ""

    async def inner(self, place):
        file = place.directory / "counter"
        count = int(file.read_text()) if file.exists() else 0

        def mint(kind):
            nonlocal count
            if kind != self.kind:
                return place.mint(kind)
            count += 1
            return f"{kind}-{count}"

        backend = await super().inner(replace(place, mint=mint))
        close = backend.close

        async def counted():
            await close()
            file.write_text(str(count))

        backend.close = counted
        return backend


@mutant("QUE.62", character="New day, new number: counts its batches in memory.", crashes=True)
class CountsBatchesInMemory(CountsInMemory):
    kind = "batch"


@mutant("QUE.62", "INP.51", character="New day, new number: counts its claims in memory.", crashes=True)
class CountsClaimsInMemory(CountsInMemory):
    kind = "claim"


@mutant("INP.51", character="New day, new number: counts its inputs in memory.", crashes=True)
class CountsInputsInMemory(CountsInMemory):
    kind = "input"


# -- refusals


class LogsFirst(StoreWrapper):
    async def commit_runtime_state(self, commit):
        try:
            return await self.inner.commit_runtime_state(commit)
        except HeadRevisionConflict:
            sent = [draft.to_data() for draft in commit.enqueued_queue_batches]
            (self.place.directory / "log").write_text(json.dumps(sent))
            raise


@mutant("STO.26", character="Recovers too much: after a kill it sends the outbox of what it had refused.", crashes=True)
class RecoversTheRefused(WrappedTarget):
    on_sqlite = True
    store = LogsFirst

    async def open(self, place):
        backend, log = await super().open(place), place.directory / "log"
        for data in json.loads(log.read_text()) if log.exists() else ():
            rules = backend.inner.sessions.rules.bound("s1")
            await backend.inner.sessions.worker.run(rules.enqueue_queued_work, QueuedWorkBatchDraft.from_data(data))
        log.unlink(missing_ok=True)
        close = backend.close

        async def settled():
            await close()
            log.unlink(missing_ok=True)

        backend.close = settled
        return backend


@mutant("STO.17", character="Two steps: lands the turn, and lets go of the lane in a second transaction.", on_sqlite=True, crashes=True)
class ReleasesAfterwards(Store):
    async def commit_runtime_state(self, commit):
        result = await super().commit_runtime_state(commit.but(release_session_execution_lease=None))
        async with self.transactions.begin(write=True) as rows:
            await self.release_lane(rows, commit)
        return result
