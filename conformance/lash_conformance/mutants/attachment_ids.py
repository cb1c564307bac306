"""Stores that find bytes under ids that name none, or are not exact about time."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import AttachmentsWrapper, StoreWrapper
from lash_ref.errors import AttachmentNotFound
from lash_ref.store import Store


@mutant("ATT.24", character="Lenient: unknown bytes are empty bytes.")
class UnknownIsEmpty(AttachmentsWrapper):
    async def get(self, attachment_id):
        try:
            return await self.inner.get(attachment_id)
        except AttachmentNotFound:
            return b""


@mutant("ATT.24", character="Joining: takes an id for a path.")
class IdsArePaths(AttachmentsWrapper):
    async def get(self, attachment_id):
        path = self.place.directory / "attachments" / attachment_id
        (self.place.directory / "attachments").mkdir(exist_ok=True)
        return path.read_bytes() if path.is_file() else await self.inner.get(attachment_id)


@mutant("ATT.24", character="By the beginning: an id that begins like one is that one.")
class BeginsLikeAnId(AttachmentsWrapper):
    async def get(self, attachment_id):
        return await self.inner.get(attachment_id[:64])


@mutant("ATT.24", character="Case-blind: an id in capitals is the same id.")
class FoldsAttachmentIds(AttachmentsWrapper):
    async def get(self, attachment_id):
        return await self.inner.get(attachment_id.lower())


@mutant("ATT.24", character="By the beginning: deletes what begins like the id.")
class DeletesWhatBeginsSo(AttachmentsWrapper):
    async def delete(self, attachment_id):
        for one in await self.inner.list():
            if attachment_id and one.id.startswith(attachment_id):
                await self.inner.delete(one.id)


@mutant("ATT.27", character="To the second: keeps the time of bytes as some file systems do.")
class KeepsWholeSeconds(AttachmentsWrapper):
    def rounded(self, found):
        return found.but(last_modified_epoch_ms=found.last_modified_epoch_ms // 1000 * 1000)

    async def head(self, attachment_id):
        found = await self.inner.head(attachment_id)
        return None if found is None else self.rounded(found)

    async def list(self):
        return tuple(self.rounded(one) for one in await self.inner.list())


@mutant("ATT.6", character="Floating: beyond 2^53 it cannot tell a cutoff from its neighbour.")
class RoundsCutoffs(StoreWrapper):
    async def list_uncommitted(self, older_than_epoch_ms):
        rows = await self.inner.list_uncommitted(2**63 - 1)
        return tuple(row for row in rows if float(row.intent_at_epoch_ms) <= float(older_than_epoch_ms))


@mutant("ATT.11", character="Last word: looks at the last turn alone.")
class LooksAtTheLastTurn(Store):
    async def is_dead(self, rows, entry, cutoff, gone):
        stamps = await rows.stamps(entry.session_id)
        if entry.owner_kind == "turn" and stamps and stamps[-1].turn_id == entry.owner_id:
            return False
        return await super().is_dead(rows, entry, cutoff, gone)


@mutant("ATT.2", character="First come: a row recorded again keeps the turn that recorded it first.")
class KeepsTheFirstTurn(Store):
    async def adopt_attachments(self, rows, commit, now):
        first = vars(self.transactions).get("first", {})
        held = [key for key, turn_id in first.items() if commit.turn_commit and turn_id != commit.turn_commit.turn_id]
        kept = {key: await rows.intent(*key) for key in held}
        await super().adopt_attachments(rows, commit, now)
        for entry in kept.values():
            if entry is not None:
                await rows.put_intent(entry)

    async def record_intent(self, intent):
        await super().record_intent(intent)
        if intent.owner_kind == "turn":
            vars(self.transactions).setdefault("first", {}).setdefault((intent.session_id, intent.attachment_id), intent.owner_id)


@mutant("ATT.2", character="First come: a row recorded again is as old as it was.")
class KeepsTheFirstTime(StoreWrapper):
    async def record_intent(self, intent):
        key = (intent.session_id, intent.attachment_id)
        self.place.memory.setdefault("first", {}).setdefault(key, intent.intent_at_epoch_ms)
        await self.inner.record_intent(intent)

    async def list_uncommitted(self, older_than_epoch_ms):
        first = self.place.memory.get("first", {})
        rows = await self.inner.list_uncommitted(2**63 - 1)
        return tuple(row for row in rows if first.get((row.session_id, row.attachment_id), 0) <= older_than_epoch_ms)


@mutant("ATT.11", character="Sorts as text: 9 is later than any time that begins with a 1.")
class ComparesTimesAsText(Store):
    async def is_dead(self, rows, entry, cutoff, gone):
        dead = await super().is_dead(rows, entry, cutoff, gone)
        stamps = await rows.stamps(entry.session_id)
        if entry.owner_kind != "turn" or not dead:
            return dead
        return any(str(row.committed_at_ms) > str(entry.intent_at_epoch_ms) for row in stamps)
