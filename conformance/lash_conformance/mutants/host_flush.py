"""Hosts that are wrong about when plugin state reaches the store."""
# pyright: basic, reportIncompatibleMethodOverride=false

from typing import Any

from lash_conformance.mutants.host import BrokenHost, SentStore, host_mutant
from lash_ref import hooks

RESIDENT = "lash_ref.resident:Resident"


@host_mutant("PLG.35", character="Optimistic: a turn that could not be stored is called persisted.")
class FailedCommitsArePersisted(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def commit(self, commit, deltas):
                try:
                    return await original(self, commit, deltas)
                except Exception:
                    view = self.published.read_view
                    await self.notify(hooks.TurnPersisted(self.session_id, view, self.plugin_services))
                    raise

            return commit

        patch(f"{RESIDENT}.commit", make)


@host_mutant("SNP.41", character="Optimistic: what could not be stored is read back as if it were.")
class FailedCommitsAreReadBack(BrokenHost):
    class sends(SentStore):  # noqa: N801 - the base's name
        async def commit_runtime_state(self, commit):
            lost: Any = self.place.memory.setdefault("lost", {})
            try:
                return await self.inner.commit_runtime_state(commit)
            except Exception:
                lost[commit.session_id] = commit.checkpoint.plugin_snapshot
                raise

        async def load_session(self, scope):
            lost: Any = self.place.memory.setdefault("lost", {})
            read = await self.inner.load_session(scope)
            if read is None or lost.get(read.session_id) is None or read.checkpoint is None:
                return read
            return read.but(checkpoint=read.checkpoint.but(plugin_snapshot=lost[read.session_id]))


@host_mutant("SNP.43", "SNP.44", character="Done: what changes after the commit is not looked at again.")
class LateChangesAreLost(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def notify(self, event):
                await original(self, event)
                if isinstance(event, hooks.TurnPersisted):
                    self.mark_clean()
                    self.state.plugin_snapshot_revision = self.session.snapshot_revision_fingerprint()

            return notify

        patch(f"{RESIDENT}.notify", make)


@host_mutant("SNP.44", "REG.15", character="Careless: puts sessions away as they were stored last.")
class PutsAwayUnsaved(BrokenHost):
    def breaks(self, patch):
        patch(f"{RESIDENT}.is_dirty", lambda _: property(lambda self: False))


@host_mutant("SNP.44", character="Content: a capture that failed is not made up for when the session is put away.")
class FailedCapturesAreForgotten(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def capture(self):
                failed = original(self)
                self.uncaptured = False
                return failed

            return capture

        patch(f"{RESIDENT}.capture", make)


@host_mutant("SNP.45", character="Thorough: stores every session that is put away.")
class AlwaysStores(BrokenHost):
    def breaks(self, patch):
        patch(f"{RESIDENT}.is_dirty", lambda _: property(lambda self: True))
