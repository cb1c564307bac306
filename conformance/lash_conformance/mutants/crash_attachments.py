"""Attachment stores that are sound until their process is killed, their power lost, or their disk full."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

import asyncio
import os
from contextlib import suppress

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import AttachmentsWrapper, StoreWrapper
from lash_ref.attachments import reference
from lash_ref.records import StoredBlobRef


@mutant("ATT.40", character="In good time: writes the bytes a moment after it answered.", on_sqlite=True, crashes=True)
class WritesBytesLater(AttachmentsWrapper):
    async def put(self, data, meta):
        made, waiting = reference(data, meta), self.place.memory.setdefault("waiting", {})
        waiting[made.id] = data
        asyncio.get_running_loop().call_later(0.5, lambda: asyncio.ensure_future(self.inner.put(data, meta)))
        return made

    async def get(self, attachment_id):
        waiting = self.place.memory.get("waiting", {})
        return waiting[attachment_id] if attachment_id in waiting else await self.inner.get(attachment_id)

    async def list(self):
        stored = await self.inner.list()
        new = sorted(set(self.place.memory.get("waiting", {})) - {one.id for one in stored})
        return (*stored, *(StoredBlobRef(id=one) for one in new))


@mutant("ATT.41", character="In place: writes half of the bytes, then the other half, under their id.", on_sqlite=True, crashes=True)
class WritesBytesInPlace(AttachmentsWrapper):
    async def put(self, data, meta):
        made, folder = reference(data, meta), self.place.directory / "attachments"
        folder.mkdir(exist_ok=True)
        with (folder / made.id).open("wb", buffering=0) as file:
            file.write(data[: len(data) // 2])
            file.write(data[len(data) // 2 :])
            os.fsync(file.fileno())
        return made


@mutant("ATT.42", character="Batches: records intents with the next commit.", on_sqlite=True, crashes=True)
class RecordsIntentsLater(StoreWrapper):
    async def record_intent(self, intent):
        self.place.memory.setdefault("intents", []).append(intent)

    async def flush(self):
        for intent in self.place.memory.pop("intents", []):
            await self.inner.record_intent(intent)

    async def commit_runtime_state(self, commit):
        await self.flush()
        return await self.inner.commit_runtime_state(commit)

    async def list_uncommitted(self, older_than_epoch_ms):
        await self.flush()
        return await self.inner.list_uncommitted(older_than_epoch_ms)

    async def list_all_refs(self):
        await self.flush()
        return await self.inner.list_all_refs()


@mutant("ATT.43", character="Trusts the cache: puts bytes and syncs nothing.", on_sqlite=True, crashes=True)
class PutsWithoutSync(AttachmentsWrapper):
    async def put(self, data, meta):
        made, folder = reference(data, meta), self.place.directory / "attachments"
        folder.mkdir(exist_ok=True)
        beside = folder / "put"
        beside.write_bytes(data)
        beside.rename(folder / made.id)
        return made


@mutant("STO.87", character="Shrugs: takes a failed sync of the bytes it was given for done.", on_sqlite=True, crashes=True)
class SyncsInVain(AttachmentsWrapper):
    async def put(self, data, meta):
        made, folder = reference(data, meta), self.place.directory / "attachments"
        folder.mkdir(exist_ok=True)
        beside = folder / "put"
        with beside.open("wb", buffering=0) as file, suppress(OSError):
            file.write(data)
            os.fsync(file.fileno())
        beside.rename(folder / made.id)
        names = os.open(folder, os.O_RDONLY)
        with suppress(OSError):
            os.fsync(names)
        os.close(names)
        return made
