"""Stores that are wrong about attachments, and facades over them that are."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

import hashlib

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import AttachmentsWrapper, StoreWrapper, WrappedTarget
from lash_ref.attachments import SessionAttachmentStore
from lash_ref.errors import AttachmentNotFound
from lash_ref.records import AttachmentManifestEntry
from lash_ref.store import Store


@mutant("ATT.1", "ATT.7", "ATT.8", character="Flat: keeps one row an attachment, whoever refers to it.")
class OneRowPerAttachment(StoreWrapper):
    async def record_intent(self, intent):
        await self.inner.record_intent(intent.but(session_id="s1"))

    async def commit_refs(self, session_id, attachment_ids):
        await self.inner.commit_refs("s1", attachment_ids)

    async def holds_ref(self, session_id, attachment_id):
        return await self.inner.holds_ref("s1", attachment_id)


@mutant("ATT.2", character="First word: an intent recorded again changes nothing.")
class KeepsTheFirstIntent(StoreWrapper):
    async def record_intent(self, intent):
        if not await self.inner.holds_ref(intent.session_id, intent.attachment_id):
            await self.inner.record_intent(intent)


@mutant("ATT.2", "ATT.15", character="Resetting: an intent recorded again is uncommitted again.")
class RecordingUncommits(Store):
    async def record_intent(self, intent):
        await self.forget(intent.session_id, intent.attachment_id)
        await super().record_intent(intent)

    async def is_dead(self, rows, entry, cutoff, gone):
        return entry.intent_at_epoch_ms <= cutoff and entry.owner_id is None

    async def reconcile(self, rows, cutoff, gone):
        for attachment_id in await rows.all_refs():
            for entry in await rows.intents_of(attachment_id):
                if await self.is_dead(rows, entry, cutoff, gone):
                    await rows.drop_intent(entry.session_id, entry.attachment_id)


@mutant("ATT.3", character="Inserting: committing a ref without an intent makes one.")
class CommittingInserts(Store):
    async def commit_refs(self, session_id, attachment_ids):
        await super().commit_refs(session_id, attachment_ids)
        async with self.transactions.begin(write=True) as rows:
            for attachment_id in attachment_ids:
                if await rows.intent(session_id, attachment_id) is None:
                    await rows.put_intent(
                        AttachmentManifestEntry(
                            attachment_id=attachment_id, session_id=session_id, canonical_uri="",
                            intent_at_epoch_ms=0, committed_at_epoch_ms=0,
                        )
                    )  # fmt: skip


@mutant("ATT.4", character="Forgetful: a commit adopts nothing it lists.")
class AdoptsNothing(StoreWrapper):
    async def commit_runtime_state(self, commit):
        return await self.inner.commit_runtime_state(commit.but(committed_attachment_ids=()))


@mutant("ATT.5", character="Literal: a commit adopts what it lists and nothing else.")
class AdoptsListedOnly(Store):
    async def adopt_attachments(self, rows, commit, now):
        await super().adopt_attachments(rows, commit.but(turn_commit=None), now)


@mutant("ATT.5", character="Sweeping: a turn adopts every open intent of its session.")
class AdoptsEverything(Store):
    async def adopt_attachments(self, rows, commit, now):
        for entry in await rows.uncommitted(2**63 - 1):
            if entry.session_id == self.session_id:
                await rows.put_intent(entry.but(committed_at_epoch_ms=now))


@mutant("ATT.6", character="Off by one: the cutoff's own millisecond is left out.")
class CutoffIsExclusive(StoreWrapper):
    async def list_uncommitted(self, cutoff):
        return await self.inner.list_uncommitted(max(0, cutoff - 1))


@mutant("ATT.6", character="By name: lists open intents by id.")
class ListsIntentsById(StoreWrapper):
    async def list_uncommitted(self, cutoff):
        found = await self.inner.list_uncommitted(cutoff)
        return tuple(sorted(found, key=lambda entry: entry.attachment_id))


@mutant("ATT.7", character="Worldwide: forgetting forgets for every session.")
class ForgetsForAll(StoreWrapper):
    async def forget(self, session_id, attachment_id):
        for name in ("s1", "s2"):
            await self.inner.forget(name, attachment_id)


@mutant("ATT.8", character="Strict: a session holds only what it committed.")
class HoldsCommittedOnly(StoreWrapper):
    async def holds_ref(self, session_id, attachment_id):
        held = await self.inner.holds_ref(session_id, attachment_id)
        open_ = await self.inner.list_uncommitted(2**63 - 1)
        return held and (session_id, attachment_id) not in {(e.session_id, e.attachment_id) for e in open_}


@mutant("ATT.9", character="Narrow: lists committed refs only.")
class ListsCommittedOnly(StoreWrapper):
    async def list_all_refs(self):
        open_ = {entry.attachment_id for entry in await self.inner.list_uncommitted(2**63 - 1)}
        return tuple(ref for ref in await self.inner.list_all_refs() if ref not in open_)


@mutant("ATT.30", character="Lenient: half an owner is an owner.")
class TakesHalfAnOwner(StoreWrapper):
    async def record_intent(self, intent):
        if (intent.owner_kind is None) != (intent.owner_id is None):
            intent = intent.model_copy(update={"owner_kind": None, "owner_id": None})
        await self.inner.record_intent(intent)


class Reconciling(Store):
    """Judges death by a rule of its own."""

    def dead(self, entry, cutoff):
        return False

    async def is_dead(self, rows, entry, cutoff, gone):
        if entry.committed_at_epoch_ms is not None:
            return False
        return self.dead(entry, cutoff) or await super().is_dead(rows, entry, cutoff, gone)


@mutant("ATT.10", character="Sentimental: never forgets an intent.")
class NeverForgets(Store):
    async def is_dead(self, rows, entry, cutoff, gone):
        return False


@mutant("ATT.11", "ATT.12", "ATT.13", character="Impatient: age alone is death.")
class AgeIsDeath(Reconciling):
    def dead(self, entry, cutoff):
        return entry.intent_at_epoch_ms <= cutoff


@mutant("ATT.11", character="Hasty: a commit in the same millisecond already kills a turn's intent.")
class SameMillisecondKills(Store):
    async def is_dead(self, rows, entry, cutoff, gone):
        if entry.owner_kind == "turn" and entry.committed_at_epoch_ms is None:
            return await rows.other_turn_since(entry.session_id, entry.owner_id, entry.intent_at_epoch_ms - 1)
        return await super().is_dead(rows, entry, cutoff, gone)


@mutant("ATT.11", character="Any turn will do: its own commit kills a turn's intent, too.")
class OwnTurnKills(Store):
    async def is_dead(self, rows, entry, cutoff, gone):
        if entry.owner_kind == "turn" and entry.committed_at_epoch_ms is None and entry.intent_at_epoch_ms <= cutoff:
            return await rows.other_turn_since(entry.session_id, "", entry.intent_at_epoch_ms)
        return await super().is_dead(rows, entry, cutoff, gone)


@mutant("ATT.12", character="Doubtful: never believes that a process is gone.")
class NeverBelievesTheEvidence(Store):
    async def is_dead(self, rows, entry, cutoff, gone):
        return await super().is_dead(rows, entry, cutoff, frozenset())


@mutant("ATT.12", character="By the beginning: with a process all are gone whose names begin with its name.")
class BelievesByBeginning(Store):
    async def is_dead(self, rows, entry, cutoff, gone):
        alike = entry.owner_kind == "process" and any(entry.owner_id.startswith(name) for name in gone)
        return await super().is_dead(rows, entry, cutoff, frozenset((*gone, entry.owner_id)) if alike else gone)


@mutant("ATT.14", character="Ageless: a dead owner's intent is forgotten however young.")
class DeathIsEnough(Store):
    async def forget_aged_uncommitted_intents(self, intent_grace_cutoff_epoch_ms):
        await super().forget_aged_uncommitted_intents(2**63 - 1)


@mutant("ATT.16", character="Tidy: asking for a ref reconciles first.")
class AskingReconciles(StoreWrapper):
    async def has_live_ref_for_id(self, attachment_id, cutoff):
        await self.inner.forget_aged_uncommitted_intents(cutoff)
        return await self.inner.has_live_ref_for_id(attachment_id, cutoff)


@mutant("ATT.16", character="Simple: any row is a live ref.")
class AnyRowIsLive(StoreWrapper):
    async def has_live_ref_for_id(self, attachment_id, cutoff):
        return attachment_id in await self.inner.list_all_refs()


@mutant("ATT.17", character="Ephemeral: the manifest lives with the process.")
class ManifestDiesWithTheProcess(StoreWrapper):
    def __init__(self, inner, place):
        super().__init__(inner, place)
        place.memory["handles"] = place.memory.get("handles", 0) + 1

    async def list_all_refs(self):
        return () if self.place.memory["handles"] > 1 else await self.inner.list_all_refs()


@mutant("ATT.18", character="Half-declared: has no manifest, and holds only what it knows.", lacks=("manifest",))
class KeepsRowsUndeclared(StoreWrapper):
    pass


# -- facade


class FacadeTarget(WrappedTarget):
    """A target whose facade is broken."""


@mutant("ATT.19", character="Bytes first: records the intent after the bytes are stored.")
class BytesFirst(FacadeTarget):
    class facade(SessionAttachmentStore):  # noqa: N801 - the name the checks look for
        async def put(self, data, meta):
            made = await self.backend.put(data, meta)
            await super().put(data, meta)
            return made


@mutant("ATT.20", character="Open: reads any bytes whose address is known.")
class ReadsAnyBytes(FacadeTarget):
    class facade(SessionAttachmentStore):  # noqa: N801 - the name the checks look for
        async def get(self, attachment_id):
            return await self.backend.get(attachment_id)


@mutant("ATT.21", character="Thorough: deleting a reference deletes the bytes.")
class DeletesTheBytes(FacadeTarget):
    class facade(SessionAttachmentStore):  # noqa: N801 - the name the checks look for
        async def delete(self, attachment_id):
            await super().delete(attachment_id)
            await self.backend.delete(attachment_id)


# -- bytes


@mutant("ATT.22", character="Unique: gives every put an id of its own.")
class MintsAttachmentIds(AttachmentsWrapper):
    async def put(self, data, meta):
        made = await self.inner.put(data, meta)
        return made.but(id=hashlib.md5(repr((data, meta.label)).encode()).hexdigest())  # noqa: S324 - broken


@mutant("ATT.22", character="Shared: the label of the first put is everyone's.")
class SharesLabels(AttachmentsWrapper):
    async def put(self, data, meta):
        made = await self.inner.put(data, meta)
        return self.place.memory.setdefault(made.id, made)


@mutant("ATT.23", character="Cut: keeps the first 512 bytes.")
class CutsBytes(AttachmentsWrapper):
    async def get(self, attachment_id):
        return (await self.inner.get(attachment_id))[:512]


@mutant("ATT.23", character="Truthy: empty bytes are not found.")
class EmptyBytesAreNone(AttachmentsWrapper):
    async def get(self, attachment_id):
        data = await self.inner.get(attachment_id)
        if not data:
            raise AttachmentNotFound(attachment_id)
        return data


@mutant("ATT.25", character="Strict: deleting twice is an error.")
class DeletingTwiceFails(AttachmentsWrapper):
    async def delete(self, attachment_id):
        await self.inner.get(attachment_id)
        await self.inner.delete(attachment_id)


@mutant("ATT.26", character="Repeating: lists a blob once a put.")
class ListsPuts(AttachmentsWrapper):
    async def put(self, data, meta):
        made = await self.inner.put(data, meta)
        self.place.memory.setdefault("puts", []).append(made.id)
        return made

    async def list(self):
        found = {blob.id: blob for blob in await self.inner.list()}
        return tuple(found[i] for i in self.place.memory.get("puts", ()) if i in found)


@mutant("ATT.26", character="Paging: lists the first four blobs.")
class ListsFour(AttachmentsWrapper):
    async def list(self):
        return (await self.inner.list())[:4]


@mutant("ATT.27", character="Deduplicating: a repeated put leaves the time alone.")
class RepeatsKeepTheTime(AttachmentsWrapper):
    async def put(self, data, meta):
        found = await self.inner.head(hashlib.sha256(data).hexdigest())
        if found is not None:
            self.place.memory[found.id] = self.place.memory.get(found.id, found)
        return await self.inner.put(data, meta)

    async def head(self, attachment_id):
        return self.place.memory.get(attachment_id) or await self.inner.head(attachment_id)


@mutant("ATT.28", character="Boasting: says durable and forgets on reopening.")
class BytesDieWithTheProcess(AttachmentsWrapper):
    def __init__(self, inner, place):
        super().__init__(inner, place)
        self.number = place.memory["backends"] = place.memory.get("backends", 0) + 1

    async def persistence(self):
        return "durable"

    async def get(self, attachment_id):
        if self.number > 1:
            raise AttachmentNotFound(attachment_id)
        return await self.inner.get(attachment_id)


@mutant("ATT.7", character="Faithful: what was adopted cannot be forgotten.")
class NeverForgetsAdopted(Store):
    async def forget(self, session_id, attachment_id):
        async with self.transactions.begin(write=False) as rows:
            entry = await rows.intent(session_id, attachment_id)
        if entry is None or entry.committed_at_epoch_ms is None:
            await super().forget(session_id, attachment_id)
