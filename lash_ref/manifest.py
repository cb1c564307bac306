"""The attachment manifest: who refers to which bytes, and whose claim on them is dead."""

from collections.abc import Sequence

from lash_ref.errors import InvalidRecord
from lash_ref.records import AttachmentIntent, AttachmentManifestEntry
from lash_ref.rows import Rows
from lash_ref.scalars import admitted, identifier, u64
from lash_ref.segment import Segment


class ManifestSegment(Segment):
    """`AttachmentManifest` over rows."""

    async def record_intent(self, intent: AttachmentIntent) -> None:
        """Record or refresh an intent; a commit stamp stays."""
        intent = admitted(intent)
        if (intent.owner_kind is None) != (intent.owner_id is None):
            owner = {"owner_kind": intent.owner_kind, "owner_id": intent.owner_id}
            raise InvalidRecord("AttachmentIntent", "owner", "kind and id, or neither", owner)
        async with self.transactions.begin(write=True) as rows:
            before = await rows.intent(intent.session_id, intent.attachment_id)
            stamp = before.committed_at_epoch_ms if before is not None else None
            await rows.put_intent(
                AttachmentManifestEntry(
                    attachment_id=intent.attachment_id,
                    session_id=intent.session_id,
                    canonical_uri=intent.canonical_uri,
                    intent_at_epoch_ms=intent.intent_at_epoch_ms,
                    owner_kind=intent.owner_kind,
                    owner_id=intent.owner_id,
                    committed_at_epoch_ms=stamp,
                )
            )

    async def commit_refs(self, session_id: str, attachment_ids: Sequence[str]) -> None:
        """Stamp existing rows as committed; never inserts."""
        identifier("session_id", session_id)
        given = [identifier("attachment_ids", a) for a in attachment_ids]
        async with self.transactions.begin(write=True) as rows:
            now = self.clock.now_ms()
            for attachment_id in given:
                entry = await rows.intent(session_id, attachment_id)
                if entry is not None and entry.committed_at_epoch_ms is None:
                    await rows.put_intent(entry.but(committed_at_epoch_ms=now))

    async def list_uncommitted(self, older_than_epoch_ms: int) -> tuple[AttachmentManifestEntry, ...]:
        """Uncommitted rows recorded at or before the cutoff."""
        cutoff = u64("older_than_epoch_ms", older_than_epoch_ms)
        async with self.transactions.begin(write=False) as rows:
            return tuple(await rows.uncommitted(cutoff))

    async def forget_aged_uncommitted_intents(self, intent_grace_cutoff_epoch_ms: int) -> None:
        """Forget uncommitted rows at or before the cutoff whose owner is dead, in one unit."""
        cutoff = u64("intent_grace_cutoff_epoch_ms", intent_grace_cutoff_epoch_ms)
        gone = await self.gone_processes(cutoff)
        async with self.transactions.begin(write=True) as rows:
            await self.reconcile(rows, cutoff, gone)

    async def live_refs(self, intent_grace_cutoff_epoch_ms: int) -> frozenset[str]:
        """Reconcile the place's dead intents and answer every id left, in one unit."""
        cutoff = u64("intent_grace_cutoff_epoch_ms", intent_grace_cutoff_epoch_ms)
        gone = await self.gone_processes(cutoff)
        async with self.transactions.begin(write=True) as rows:
            await self.reconcile(rows, cutoff, gone)
            return frozenset(await rows.all_refs())

    async def gone_processes(self, cutoff: int) -> frozenset[str]:
        """Processes that own aged intents and are known to be gone.

        Asked before the unit, which must not wait for anyone; what is gone stays gone.
        """
        async with self.transactions.begin(write=False) as rows:
            aged = await rows.uncommitted(cutoff)
        owners = sorted({e.owner_id for e in aged if e.owner_kind == "process" and e.owner_id})
        return frozenset([o for o in owners if await self.evidence.process_is_gone(o)])

    async def reconcile(self, rows: Rows, cutoff: int, gone: frozenset[str]) -> None:
        """Drop what `is_dead` finds."""
        for entry in await rows.uncommitted(cutoff):
            if await self.is_dead(rows, entry, cutoff, gone):
                await rows.drop_intent(entry.session_id, entry.attachment_id)

    async def is_dead(
        self, rows: Rows, entry: AttachmentManifestEntry, cutoff: int, gone: frozenset[str]
    ) -> bool:
        """Whether an intent is past its grace and its owner can no longer commit it."""
        if entry.committed_at_epoch_ms is not None or entry.intent_at_epoch_ms > cutoff:
            return False
        if entry.owner_id is None:
            return True
        if entry.owner_kind == "turn":
            return await rows.other_turn_since(entry.session_id, entry.owner_id, entry.intent_at_epoch_ms)
        return entry.owner_id in gone

    async def has_live_ref_for_id(self, attachment_id: str, intent_grace_cutoff_epoch_ms: int) -> bool:
        """Whether any row would keep these bytes alive past that cutoff; deletes nothing."""
        identifier("attachment_id", attachment_id)
        cutoff = u64("intent_grace_cutoff_epoch_ms", intent_grace_cutoff_epoch_ms)
        gone = await self.gone_processes(cutoff)
        async with self.transactions.begin(write=False) as rows:
            for entry in await rows.intents_of(attachment_id):
                if not await self.is_dead(rows, entry, cutoff, gone):
                    return True
            return False

    async def forget(self, session_id: str, attachment_id: str) -> None:
        """Drop one session's row."""
        identifier("session_id", session_id)
        identifier("attachment_id", attachment_id)
        async with self.transactions.begin(write=True) as rows:
            await rows.drop_intent(session_id, attachment_id)

    async def holds_ref(self, session_id: str, attachment_id: str) -> bool:
        """Whether that session has an intent or a commit for these bytes."""
        identifier("session_id", session_id)
        identifier("attachment_id", attachment_id)
        async with self.transactions.begin(write=False) as rows:
            return await rows.intent(session_id, attachment_id) is not None

    async def list_all_refs(self) -> tuple[str, ...]:
        """Ids with an intent or a commit, each once, sorted."""
        async with self.transactions.begin(write=False) as rows:
            return tuple(await rows.all_refs())
