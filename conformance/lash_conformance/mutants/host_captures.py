"""Hosts that are wrong about capturing plugins, and about the commit."""
# pyright: basic, reportIncompatibleMethodOverride=false

from typing import Any

from lash_conformance.mutants.host import BrokenHost, SentStore, host_mutant
from lash_conformance.mutants.host_snapshots import PLUGINS
from lash_ref.snapshots import PluginSessionSnapshot, PluginSnapshotEntry, SnapshotWriter

REFRESH = "lash_ref.state:refreshed"


def captures(change):
    """``snapshot`` whose capture goes through ``change(self, captured)``."""

    def make(original):
        def snapshot(self):
            return change(self, original(self))

        return snapshot

    return make


@host_mutant("SNP.20", character="Sparing: plugins without state get no entry.")
class OnlyStatefulPlugins(BrokenHost):
    def breaks(self, patch):
        def change(self, captured):
            return captured.but(
                plugins={id: e for id, e in captured.plugins.items() if e.meta.state is not None}
            )

        patch(f"{PLUGINS}.snapshot", captures(change))


@host_mutant("SNP.20", character="Levelling: every entry is of version 1.")
class EveryVersionIsOne(BrokenHost):
    def breaks(self, patch):
        def change(self, captured):
            told = {id: e.but(meta=e.meta.but(plugin_version="1")) for id, e in captured.plugins.items()}
            return captured.but(plugins=told)

        patch(f"{PLUGINS}.snapshot", captures(change))


@host_mutant("SNP.21", character="Textual: a blob ends at its first NUL.")
class BlobsEndAtNul(BrokenHost):
    def breaks(self, patch):
        patch(
            "lash_ref.snapshots:SnapshotWriter.write_blob",
            lambda original: lambda self, name, data: original(self, name, data.split(b"\0")[0]),
        )


@host_mutant("SNP.22", character="Last word: of equal names the last is read.")
class TheLastBlobWins(BrokenHost):
    def breaks(self, patch):
        def read_blob(self, name):
            return next((each.data for each in reversed(self._artifacts) if each.name == name), None)

        patch("lash_ref.snapshots:SnapshotReader.read_blob", lambda _: read_blob)


@host_mutant("SNP.23", character="Piecemeal: captures those that can be captured.")
class CapturesWhatItCan(BrokenHost):
    def breaks(self, patch):
        def make(_):
            def snapshot(self):
                captured = dict(self._absent)
                for plugin in self.plugins:
                    writer = SnapshotWriter()
                    try:
                        meta = plugin.snapshot(writer)
                    except Exception:  # noqa: BLE001, S112 - that is its character
                        continue
                    captured[plugin.id] = PluginSnapshotEntry(meta=meta, artifacts=writer.artifacts)
                return PluginSessionSnapshot(plugins=captured)

            return snapshot

        patch(f"{PLUGINS}.snapshot", make)


def refreshes(change):
    """``refresh_plugin_snapshots`` as ``change(original, state, plugins)`` does it."""
    return lambda original: lambda state, plugins: change(original, state, plugins)


@host_mutant("SNP.24", character="Strict: a capture that fails fails the turn.")
class FailedCapturesFailTurns(BrokenHost):
    def breaks(self, patch):
        def change(original, state, plugins):
            if (err := original(state, plugins)) is not None:
                raise err

        patch(REFRESH, refreshes(change))


@host_mutant("SNP.25", character="Optimistic: a capture that failed bumps the revision all the same.")
class FailedCapturesBumpTheRevision(BrokenHost):
    def breaks(self, patch):
        def change(original, state, plugins):
            err = original(state, plugins)
            if err is not None:
                state.plugin_snapshot_revision = plugins.snapshot_revision_fingerprint()
            return err

        patch(REFRESH, refreshes(change))


@host_mutant("SNP.26", character="First come: the first capture is the one that is kept.")
class KeepsTheFirstCapture(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def snapshot(self):
                if not hasattr(self, "_kept"):
                    self._kept = original(self)
                return self._kept

            return snapshot

        patch(f"{PLUGINS}.snapshot", make)


@host_mutant("SNP.26", character="Still: the revision is that of the first commit for ever.")
class TheRevisionIsNotBumped(BrokenHost):
    def breaks(self, patch):
        patch(f"{PLUGINS}.snapshot_revision_fingerprint", lambda _: lambda self: 1)


@host_mutant("SNP.27", character="Own way: counts revisions instead of hashing them.")
class AnotherFingerprint(BrokenHost):
    def breaks(self, patch):
        def fingerprint(self):
            return sum(plugin.snapshot_revision() for plugin in self.plugins) + len(self.plugins)

        patch(f"{PLUGINS}.snapshot_revision_fingerprint", lambda _: fingerprint)


@host_mutant("SNP.27", character="Backwards: hashes the stack from its end.")
class FingerprintsBackwards(BrokenHost):
    def breaks(self, patch):
        patch(
            "lash_ref.plugin_session:snapshot_revision_fingerprint",
            lambda original: lambda plugins: original(tuple(plugins)[::-1]),
        )


@host_mutant("SNP.28", character="Diligent: captures at every commit.")
class CapturesEveryTime(BrokenHost):
    def breaks(self, patch):
        def change(original, state, plugins):
            state.plugin_snapshot_revision = None
            return original(state, plugins)

        patch(REFRESH, refreshes(change))


@host_mutant("SNP.29", character="Patient: revision 0 is nothing to capture.")
class SkipsRevisionZero(BrokenHost):
    def breaks(self, patch):
        def change(self, captured):
            told = {id: entry for id, entry in captured.plugins.items() if entry.meta.revision}
            return captured.but(plugins=told)

        patch(f"{PLUGINS}.snapshot", captures(change))


@host_mutant("SNP.30", character="Settled: stores the tools once.")
class StoresToolsOnce(BrokenHost):
    def breaks(self, patch):
        def change(original, state, plugins):
            if state.tool_state_ref is not None:
                state.tool_state_generation = plugins.tool_registry.generation
            return original(state, plugins)

        patch(REFRESH, refreshes(change))


@host_mutant("SNP.31", character="Dated: every capture has a stamp of its own.")
class StampsEveryCapture(BrokenHost):
    def breaks(self, patch):
        made = []

        def make(original):
            def snapshot(self):
                captured = original(self)
                made.append(self)
                stamp = SnapshotWriter()
                stamp.write_blob("stamp", str(len(made)).encode())
                return captured.but(
                    plugins={
                        id: e.but(artifacts=(*e.artifacts, *stamp.artifacts))
                        for id, e in captured.plugins.items()
                    }
                )

            return snapshot

        patch(f"{PLUGINS}.snapshot", make)


# -- commit


@host_mutant("SNP.40", "OPS.8", character="Apart: the plugin snapshot follows its turn with the next commit.")
class SnapshotsComeLate(BrokenHost):
    class sends(SentStore):  # noqa: N801 - the base's name
        async def commit_runtime_state(self, commit):
            late: Any = self.place.memory.setdefault("late", {})
            now = commit.checkpoint
            before = late.get(commit.session_id)
            late[commit.session_id] = now
            if now.plugin_snapshot is None:
                return await self.inner.commit_runtime_state(commit)
            told = now.but(
                plugin_snapshot=before.plugin_snapshot if before else None,
                plugin_snapshot_revision=before.plugin_snapshot_revision if before else None,
            )
            return await self.inner.commit_runtime_state(commit.but(checkpoint=told))


@host_mutant("SNP.42", character="Early: plugins are captured before the turn ends.")
class CapturesEarly(BrokenHost):
    def breaks(self, patch):
        early = {}

        def before(original):
            async def before_turn(self, context):
                emitted = await original(self, context)
                early[self.session_id] = None
                early[self.session_id] = (type(self).snapshot(self), self.snapshot_revision_fingerprint())
                return emitted

            return before_turn

        def make(original):
            def snapshot(self):
                held = early.get(self.session_id)
                return held[0] if held else original(self)

            return snapshot

        patch(f"{PLUGINS}.snapshot", make)
        patch(f"{PLUGINS}.before_turn", before)


@host_mutant("SNP.32", character="Quiet: a capture that failed is nobody's business.")
class KeepsFailedCapturesQuiet(BrokenHost):
    def breaks(self, patch):
        def make(capture):
            def broken(runtime):
                capture(runtime)

            return broken

        patch("lash_ref.resident:Resident.capture", make)
