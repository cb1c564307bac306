"""Stores that are sound as long as one process has the place to itself."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import StoreWrapper


@mutant("FAC.16", character="Self-centred: reads a session again when it has changed it itself.", on_sqlite=True, crashes=True)
class RemembersWhatItRead(StoreWrapper):
    known = {}

    async def load_session(self, scope):
        here = (str(self.place.directory), repr(scope))
        if here not in self.known:
            self.known[here] = await self.inner.load_session(scope)
        return self.known[here]

    async def commit_runtime_state(self, commit):
        self.known.clear()
        try:
            return await self.inner.commit_runtime_state(commit)
        finally:
            self.known.clear()


@mutant("FAC.16", character="Self-centred: knows the meta until it changes it itself.", on_sqlite=True, crashes=True)
class RemembersTheMeta(StoreWrapper):
    known = {}

    async def load_session_meta(self):
        here = str(self.place.directory)
        if here not in self.known:
            self.known[here] = await self.inner.load_session_meta()
        return self.known[here]

    async def save_session_meta(self, meta):
        self.known.clear()
        try:
            await self.inner.save_session_meta(meta)
        finally:
            self.known.clear()
