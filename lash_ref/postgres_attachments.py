"""Attachment bytes in PostgreSQL, beside the sessions that refer to them, so that every machine can read them."""

import hashlib
from typing import Any

from lash_ref.attachments import reference
from lash_ref.contracts import Clock
from lash_ref.errors import AttachmentIo, AttachmentNotFound, Backend
from lash_ref.inputs import AttachmentRef
from lash_ref.postgres_rows import key
from lash_ref.postgres_store import PostgresTransactions, patiently
from lash_ref.records import AttachmentCreateMeta, DurabilityTier, StoredBlobRef


class PostgresAttachmentStore:
    """One row a blob, named by its SHA-256; what `put` acknowledged survives a crash of worker or server.

    PostgreSQL holds at most 1 GB in one value, and both sides hold it in memory: bytes beyond some tens of
    megabytes belong into an object store.
    """

    def __init__(self, transactions: PostgresTransactions, clock: Clock) -> None:
        self.transactions = transactions
        self.clock = clock

    async def persistence(self) -> DurabilityTier:
        """Durable."""
        return "durable"

    async def put(self, data: bytes, meta: AttachmentCreateMeta) -> AttachmentRef:
        """Store bytes; a repeat refreshes their modification time.

        Raises:
            AttachmentIo: the server refused; nothing was kept.
        """
        made = reference(bytes(data), meta)
        await self._run(
            made.id,
            "INSERT INTO attachments (attachment_id, modified_ms, data) VALUES (%s, %s, %s)"
            " ON CONFLICT (attachment_id) DO UPDATE SET modified_ms = excluded.modified_ms, data = excluded.data",
            made.id, self.clock.now_ms(), bytes(data),
        )  # fmt: skip
        return made

    async def get(self, attachment_id: str) -> bytes:
        """The bytes.

        Raises:
            AttachmentNotFound: no such bytes.
            AttachmentIo: they cannot be read, or are not what their name says.
        """
        sql = "SELECT data FROM attachments WHERE attachment_id = %s"
        found = await self._run(attachment_id, sql, key(attachment_id))
        if not found:
            raise AttachmentNotFound(attachment_id)
        data = bytes(found[0][0])
        if hashlib.sha256(data).hexdigest() != attachment_id:
            raise AttachmentIo(attachment_id, "the bytes are not those the id names")
        return data

    async def delete(self, attachment_id: str) -> None:
        """Delete the bytes; idempotent."""
        sql = "DELETE FROM attachments WHERE attachment_id = %s"
        await self._run(attachment_id, sql, key(attachment_id))

    async def list(self) -> tuple[StoredBlobRef, ...]:
        """One entry a blob, sorted by id."""
        sql = "SELECT attachment_id, modified_ms FROM attachments ORDER BY attachment_id"
        return tuple(_entry(*row) for row in await self._run("", sql))

    async def head(self, attachment_id: str) -> StoredBlobRef | None:
        """One blob's entry, if it is there."""
        sql = "SELECT attachment_id, modified_ms FROM attachments WHERE attachment_id = %s"
        found = await self._run(attachment_id, sql, key(attachment_id))
        return _entry(*found[0]) if found else None

    async def _run(self, attachment_id: str, sql: str, *values: Any) -> Any:
        try:
            return await patiently(lambda: self.transactions.run(sql, *values))
        except Backend as err:
            raise AttachmentIo(attachment_id, str(err)) from err


def _entry(attachment_id: str, modified_ms: int) -> StoredBlobRef:
    return StoredBlobRef(id=attachment_id, last_modified_epoch_ms=modified_ms)
