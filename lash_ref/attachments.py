"""Attachment bytes: two content-addressed stores, the session's facade over one, and the sweep.

Bytes are shared by all sessions; who may read them is the manifest's business.
"""

import asyncio
import hashlib
import os
import re
import tempfile
from pathlib import Path
from typing import Protocol

from lash_ref.contracts import AttachmentManifest, AttachmentStore, Clock
from lash_ref.errors import AttachmentIo, AttachmentNotFound, LashError, ManifestRecordFailed
from lash_ref.inputs import AttachmentRef
from lash_ref.records import (
    AttachmentCreateMeta,
    AttachmentIntent,
    AttachmentOwnerKind,
    AttachmentReclamationReport,
    DurabilityTier,
    StoredBlobRef,
)
from lash_ref.scalars import admitted

_SHA256 = re.compile(r"[0-9a-f]{64}")


def reference(data: bytes, meta: AttachmentCreateMeta) -> AttachmentRef:
    """The reference to ``data``: its SHA-256 in hex, its length, and what the caller says of it."""
    meta = admitted(meta)
    return AttachmentRef(
        id=hashlib.sha256(data).hexdigest(),
        media_type=meta.media_type,
        byte_len=len(data),
        type_metadata=meta.type_metadata,
        label=meta.label,
    )


class InMemoryAttachmentStore:
    """Bytes that live in this object and die with it."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._blobs: dict[str, tuple[bytes, int]] = {}

    async def persistence(self) -> DurabilityTier:
        """Ephemeral."""
        return "inline"

    async def put(self, data: bytes, meta: AttachmentCreateMeta) -> AttachmentRef:
        """Store bytes; a repeat refreshes their modification time."""
        made = reference(bytes(data), meta)
        self._blobs[made.id] = (bytes(data), self.clock.now_ms())
        return made

    async def get(self, attachment_id: str) -> bytes:
        """The bytes, or `AttachmentNotFound`."""
        if attachment_id not in self._blobs:
            raise AttachmentNotFound(attachment_id)
        return self._blobs[attachment_id][0]

    async def delete(self, attachment_id: str) -> None:
        """Delete the bytes; idempotent."""
        self._blobs.pop(attachment_id, None)

    async def list(self) -> tuple[StoredBlobRef, ...]:
        """One entry a blob, sorted by id."""
        return tuple(
            StoredBlobRef(id=blob_id, last_modified_epoch_ms=modified)
            for blob_id, (_, modified) in sorted(self._blobs.items())
        )

    async def head(self, attachment_id: str) -> StoredBlobRef | None:
        """One blob's entry, if it is there."""
        found = self._blobs.get(attachment_id)
        if found is None:
            return None
        return StoredBlobRef(id=attachment_id, last_modified_epoch_ms=found[1])


class FileAttachmentStore:
    """Bytes as files named by their SHA-256; what `put` acknowledged survives a crash.

    An id that is no SHA-256 names no file, so no id can reach outside the directory.
    """

    def __init__(self, directory: Path, clock: Clock) -> None:
        self.directory = directory
        self.clock = clock

    async def persistence(self) -> DurabilityTier:
        """Durable."""
        return "durable"

    async def put(self, data: bytes, meta: AttachmentCreateMeta) -> AttachmentRef:
        """Store bytes: written beside, synced, renamed; a repeat refreshes the modification time.

        Raises:
            AttachmentIo: the file system refused; no half-written blob is left under the id.
        """
        made = reference(data, meta)
        try:
            await asyncio.to_thread(self._write, self.directory / made.id, data)
        except OSError as err:
            raise AttachmentIo(made.id, str(err)) from err
        return made

    def _write(self, path: Path, data: bytes) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        moment = self.clock.now_ms() * 1_000_000
        with tempfile.NamedTemporaryFile(dir=self.directory, prefix="put-", delete=False) as file:
            beside = Path(file.name)
            try:
                file.write(data)
                file.flush()
                os.utime(beside, ns=(moment, moment))
                os.fsync(file.fileno())
                beside.replace(path)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise
        _sync_directory(self.directory)

    async def get(self, attachment_id: str) -> bytes:
        """The bytes.

        Raises:
            AttachmentNotFound: no such bytes, or the id is no SHA-256.
            AttachmentIo: the file is there but cannot be read, or is not what its name says.
        """
        path = self._path(attachment_id)
        if path is None:
            raise AttachmentNotFound(attachment_id)
        try:
            data = await asyncio.to_thread(path.read_bytes)
        except FileNotFoundError as err:
            raise AttachmentNotFound(attachment_id) from err
        except OSError as err:
            raise AttachmentIo(attachment_id, str(err)) from err
        if hashlib.sha256(data).hexdigest() != attachment_id:
            raise AttachmentIo(attachment_id, "the bytes are not those the id names")
        return data

    async def delete(self, attachment_id: str) -> None:
        """Delete the bytes; idempotent."""
        path = self._path(attachment_id)
        if path is None:
            return
        try:
            await asyncio.to_thread(path.unlink, missing_ok=True)
        except OSError as err:
            raise AttachmentIo(attachment_id, str(err)) from err

    async def list(self) -> tuple[StoredBlobRef, ...]:
        """One entry a blob, sorted by id; stray files are not blobs."""
        return await asyncio.to_thread(self._listed)

    def _listed(self) -> tuple[StoredBlobRef, ...]:
        if not self.directory.is_dir():
            return ()
        names = sorted(path.name for path in self.directory.iterdir() if _SHA256.fullmatch(path.name))
        found = [self._entry(name) for name in names]
        return tuple(entry for entry in found if entry is not None)

    async def head(self, attachment_id: str) -> StoredBlobRef | None:
        """One blob's entry, if it is there."""
        if self._path(attachment_id) is None:
            return None
        return await asyncio.to_thread(self._entry, attachment_id)

    def _entry(self, name: str) -> StoredBlobRef | None:
        try:
            modified = (self.directory / name).stat().st_mtime_ns // 1_000_000
        except FileNotFoundError:
            return None
        return StoredBlobRef(id=name, last_modified_epoch_ms=max(0, modified))

    def _path(self, attachment_id: str) -> Path | None:
        return self.directory / attachment_id if _SHA256.fullmatch(attachment_id) else None


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class SessionAttachmentStore:
    """What a session sees of the bytes: those it refers to, and no others."""

    def __init__(
        self, session_id: str, manifest: AttachmentManifest, backend: AttachmentStore, clock: Clock
    ) -> None:
        self.session_id = session_id
        self.manifest = manifest
        self.backend = backend
        self.clock = clock
        self.owner: tuple[AttachmentOwnerKind, str] | None = None
        """Who puts: a turn or a process, by id; nobody in particular when none."""

    async def put(self, data: bytes, meta: AttachmentCreateMeta) -> AttachmentRef:
        """Record the intent, then store the bytes.

        Raises:
            ManifestRecordFailed: the intent could not be recorded; no bytes were written.
        """
        made = reference(data, meta)
        kind, owner_id = self.owner if self.owner is not None else (None, None)
        try:
            await self.manifest.record_intent(
                AttachmentIntent(
                    attachment_id=made.id,
                    session_id=self.session_id,
                    canonical_uri=f"attachment:{made.id}",
                    intent_at_epoch_ms=self.clock.now_ms(),
                    owner_kind=kind,
                    owner_id=owner_id,
                )
            )
        except LashError as err:
            raise ManifestRecordFailed(str(err)) from err
        return await self.backend.put(data, meta)

    async def get(self, attachment_id: str) -> bytes:
        """The bytes, if this session refers to them; else `AttachmentNotFound`."""
        if not await self.manifest.holds_ref(self.session_id, attachment_id):
            raise AttachmentNotFound(attachment_id)
        return await self.backend.get(attachment_id)

    async def delete(self, attachment_id: str) -> None:
        """Drop the session's reference; the bytes are the sweep's to delete."""
        await self.manifest.forget(self.session_id, attachment_id)


class AttachmentRootSet(Protocol):
    """Who knows which bytes are still referred to; a session store factory does."""

    async def live_attachment_refs(self, intent_grace_cutoff_epoch_ms: int) -> frozenset[str]:
        """Every id referred to."""
        ...

    async def has_live_attachment_ref(
        self, attachment_id: str, intent_grace_cutoff_epoch_ms: int
    ) -> bool:
        """Whether one id is."""
        ...


async def reclaim_unreferenced_attachments(
    roots: AttachmentRootSet, backend: AttachmentStore, grace_period_ms: int, clock: Clock
) -> AttachmentReclamationReport:
    """Delete bytes that nobody refers to and that are past their grace.

    Roots are read first, so that unreadable roots stop the sweep before it deletes anything; right before
    each delete the blob's age and its roots are asked for again, because a put may have come between.
    """
    now = clock.now_ms()
    cutoff = max(0, now - grace_period_ms)
    live = await roots.live_attachment_refs(cutoff)
    reclaimed = 0
    failed: list[str] = []
    late: list[str] = []
    blobs = await backend.list()
    for blob in blobs:
        if blob.id in live or _is_fresh(blob, now, grace_period_ms):
            continue
        try:
            again = await backend.head(blob.id)
            if again is None or _is_fresh(again, clock.now_ms(), grace_period_ms):
                continue
            if await roots.has_live_attachment_ref(blob.id, cutoff):
                continue
            await backend.delete(blob.id)
        except LashError:
            failed.append(blob.id)
            continue
        reclaimed += 1
        if await roots.has_live_attachment_ref(blob.id, cutoff):
            late.append(blob.id)
    return AttachmentReclamationReport(
        scanned_blob_count=len(blobs),
        reclaimed_count=reclaimed,
        failed_ids=tuple(failed),
        deleted_while_referenced=tuple(late),
    )


def _is_fresh(blob: StoredBlobRef, now: int, grace_ms: int) -> bool:
    return blob.last_modified_epoch_ms is not None and now - blob.last_modified_epoch_ms < grace_ms
