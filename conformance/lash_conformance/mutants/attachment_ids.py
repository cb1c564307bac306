"""Stores that find bytes under ids that name none."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import AttachmentsWrapper
from lash_ref.errors import AttachmentNotFound


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
