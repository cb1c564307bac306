"""Sweeps of attachments that delete too much, too little, or stop half way."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import WrappedTarget
from lash_ref.attachments import reclaim_unreferenced_attachments
from lash_ref.errors import LashError
from lash_ref.records import AttachmentReclamationReport


@mutant("ATT.29", character="Rootless: sweeps whatever is old.")
class SweepsWithoutRoots(WrappedTarget):
    @staticmethod
    async def sweep(roots, backend, grace, clock):
        blobs = await backend.list()
        for blob in blobs:
            await backend.delete(blob.id)
        return AttachmentReclamationReport(scanned_blob_count=len(blobs), reclaimed_count=len(blobs))


@mutant("ATT.29", character="Idle: sweeps nothing.")
class SweepsNothing(WrappedTarget):
    @staticmethod
    async def sweep(roots, backend, grace, clock):
        return AttachmentReclamationReport(scanned_blob_count=len(await backend.list()))


async def _sweep_once(roots, backend, grace, clock, *, tolerant=True):
    live = await roots.live_attachment_refs(max(0, clock.now_ms() - grace))
    blobs, done, failed = await backend.list(), 0, []
    for blob in blobs:
        fresh = clock.now_ms() - (blob.last_modified_epoch_ms or 0) < grace
        if blob.id in live or fresh:
            continue
        try:
            await backend.delete(blob.id)
            done += 1
        except LashError:
            if not tolerant:
                raise
            failed.append(blob.id)
    return AttachmentReclamationReport(
        scanned_blob_count=len(blobs), reclaimed_count=done, failed_ids=tuple(failed)
    )


@mutant("ATT.31", character="Decided: deletes by the first look, whatever came since.")
class SweepsByTheFirstLook(WrappedTarget):
    sweep = staticmethod(_sweep_once)


@mutant("ATT.32", character="Fragile: one failed delete ends the sweep.")
class SweepStopsAtAFailure(WrappedTarget):
    @staticmethod
    async def sweep(roots, backend, grace, clock):
        return await _sweep_once(roots, backend, grace, clock, tolerant=False)


@mutant("ATT.33", character="Careless: unreadable roots are no roots.")
class SweepsWithUnreadableRoots(WrappedTarget):
    @staticmethod
    async def sweep(roots, backend, grace, clock):
        class NoRoots:
            async def live_attachment_refs(self, cutoff):
                try:
                    return await roots.live_attachment_refs(cutoff)
                except LashError:
                    return frozenset()

            async def has_live_attachment_ref(self, attachment_id, cutoff):
                return False

        return await reclaim_unreferenced_attachments(NoRoots(), backend, grace, clock)
