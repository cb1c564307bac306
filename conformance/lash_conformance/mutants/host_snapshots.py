"""Hosts that are wrong about plugin snapshots."""
# pyright: basic, reportIncompatibleMethodOverride=false

from lash_conformance.mutants.host import BrokenHost, host_mutant
from lash_ref.errors import PluginError, SnapshotError
from lash_ref.snapshots import (
    PluginSessionSnapshot,
    PluginSnapshotMeta,
    SnapshotReader,
)

PLUGINS = "lash_ref.plugin_session:PluginSession"


def restores(change):
    """``restore`` that is handed ``change(self, snapshot)`` instead; none restores nothing."""

    def make(original):
        def restore(self, snapshot):
            changed = change(self, snapshot)
            return None if changed is None else original(self, changed)

        return restore

    return make


# -- restore


@host_mutant("SNP.1", character="Forgetful: never restores.")
class NeverRestores(BrokenHost):
    def breaks(self, patch):
        patch(f"{PLUGINS}.restore", restores(lambda self, snapshot: None))


@host_mutant("SNP.2", character="Hasty: restores a plugin before it has registered.")
class RestoresBeforeRegister(BrokenHost):
    def breaks(self, patch):
        known = {}

        def remember(original):
            def restore(self, snapshot):
                known[self.session_id] = snapshot
                for plugin in self.plugins:
                    if plugin.id not in snapshot.plugins:
                        plugin.restore(
                            PluginSnapshotMeta(plugin_id=plugin.id, plugin_version=plugin.version()),
                            SnapshotReader(),
                        )

            return restore

        def ahead(original):
            def build_session(self, context, snapshot=None):
                if snapshot is not None:
                    known[context.session_id] = snapshot
                factories = self.factories
                self.factories = tuple(_Restored(each, known.get(context.session_id)) for each in factories)
                try:
                    return original(self, context, snapshot)
                finally:
                    self.factories = factories

            return build_session

        patch(f"{PLUGINS}.restore", remember)
        patch("lash_ref.plugin_host:PluginHost.build_session", ahead)


class _Restored:
    def __init__(self, factory, snapshot):
        self._factory, self._snapshot = factory, snapshot
        self.id = factory.id

    def build(self, context):
        plugin = self._factory.build(context)
        entry = self._snapshot.plugins.get(plugin.id) if self._snapshot else None
        if entry is not None:
            plugin.restore(entry.meta, SnapshotReader(entry.artifacts))
        return plugin


@host_mutant("SNP.3", character="Twice: restores every plugin two times.")
class RestoresTwice(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def restore(self, snapshot):
                original(self, snapshot)
                original(self, snapshot)

            return restore

        patch(f"{PLUGINS}.restore", make)


@host_mutant("SNP.4", character="Thorough: restores nothing even where there is nothing.")
class RestoresNothing(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def build_session(self, context, snapshot=None):
                return original(self, context, snapshot or PluginSessionSnapshot())

            return build_session

        patch("lash_ref.plugin_host:PluginHost.build_session", make)


@host_mutant("SNP.5", "SNP.6", character="Sparing: plugins without an entry hear nothing.")
class SkipsNewPlugins(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def restore(self, snapshot):
                everybody = self.plugins
                self.plugins = tuple(each for each in everybody if each.id in snapshot.plugins)
                try:
                    original(self, snapshot)
                finally:
                    self.plugins = everybody

            return restore

        patch(f"{PLUGINS}.restore", make)


@host_mutant("SNP.6", character="Attached: a plugin restored with nothing keeps what it had.")
class RestoreDoesNotReset(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def restore(self, meta, reader):
                n = self.n
                original(self, meta, reader)
                if meta.state is None:
                    self.n = n

            return restore

        patch("lash_conformance.targets.kit_written:WrittenPlugin.restore", make)


@host_mutant("SNP.7", character="Strict: an entry without a plugin fails the open.")
class UnknownEntriesFailTheOpen(BrokenHost):
    def breaks(self, patch):
        def change(self, snapshot):
            for id in snapshot.plugins:
                if id not in {plugin.id for plugin in self.plugins}:
                    raise SnapshotError(f"no plugin {id!r}")
            return snapshot

        patch(f"{PLUGINS}.restore", restores(change))


@host_mutant("SNP.8", character="Tidy: an entry without a plugin is dropped.")
class DropsAbsentPlugins(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def snapshot(self):
                self._absent = {}
                return original(self)

            return snapshot

        patch(f"{PLUGINS}.snapshot", make)


@host_mutant("SNP.9", character="By place: the first entry goes to the first plugin.")
class RestoresByPlace(BrokenHost):
    def breaks(self, patch):
        def change(self, snapshot):
            ours = [id for id in (plugin.id for plugin in self.plugins) if id in snapshot.plugins]
            entries = [snapshot.plugins[id] for id in sorted(ours)]
            return snapshot.but(plugins=snapshot.plugins | dict(zip(ours, entries, strict=True)))

        patch(f"{PLUGINS}.restore", restores(change))


@host_mutant("SNP.10", character="Forgiving: a plugin that cannot take up its state starts over.")
class ForgivesRestores(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def restore(self, snapshot):
                try:
                    original(self, snapshot)
                except PluginError:
                    return

            return restore

        patch(f"{PLUGINS}.restore", make)


@host_mutant("SNP.11", character="Up to date: tells every plugin that its own version wrote the state.")
class TellsTheLiveVersion(BrokenHost):
    def breaks(self, patch):
        def change(self, snapshot):
            live = {plugin.id: plugin.version() for plugin in self.plugins}
            told = {
                id: entry.but(meta=entry.meta.but(plugin_version=live.get(id, entry.meta.plugin_version)))
                for id, entry in snapshot.plugins.items()
            }
            return snapshot.but(plugins=told)

        patch(f"{PLUGINS}.restore", restores(change))


@host_mutant("SNP.11", character="Careful: state of another version is no state.")
class OtherVersionsAreNoState(BrokenHost):
    def breaks(self, patch):
        def change(self, snapshot):
            live = {plugin.id: plugin.version() for plugin in self.plugins}
            same = {id: e for id, e in snapshot.plugins.items() if live.get(id) == e.meta.plugin_version}
            return snapshot.but(plugins=same)

        patch(f"{PLUGINS}.restore", restores(change))


@host_mutant("SNP.17", character="Attached: a reset leaves the plugins as they are.")
class ResetsSparePlugins(BrokenHost):
    def breaks(self, patch):
        patch(f"{PLUGINS}.restore", restores(lambda self, snapshot: snapshot if snapshot.plugins else None))


@host_mutant("SNP.51", character="Generous: a fork is offered whatever there is.")
class ForksWithEveryTool(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def broken(cls, env, policy, state, store=None, **more):
                context = more.get("context")
                if context is not None and context.parent_session_id is not None:
                    state.tool_state_snapshot = None
                return await original.__func__(cls, env, policy, state, store, **more)

            return classmethod(broken)

        patch("lash_ref.runtime:LashRuntime.from_environment", make)
