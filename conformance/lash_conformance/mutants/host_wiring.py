"""Hosts that are wrong about how plugins are wired: stacks, bindings, operations, forks, putting away."""
# pyright: basic, reportIncompatibleMethodOverride=false

from dataclasses import replace
from typing import Any, cast

from lash_conformance.mutants.host import BrokenHost, SentStore, host_mutant
from lash_ref.errors import SnapshotError
from lash_ref.nodes import FullGraph
from lash_ref.protocol import StandardProtocolPluginFactory
from lash_ref.runtime import ParkedSession
from lash_ref.state import PersistedSessionState

BUILDER = "lash_ref.core:LashCoreBuilder"
OPENER = "lash_ref.session_builder:SessionBuilder"


@host_mutant("PLG.5", character="Piling: replaces nothing, adds to what is there.")
class PluginsAreAdded(BrokenHost):
    def breaks(self, patch):
        def plugins(self, stack):
            self._stack.extend(stack.factories)
            return self

        patch(f"{BUILDER}.plugins", lambda _: plugins)


@host_mutant("PLG.21", character="Helpful: a core without a protocol gets the standard one.")
class FillsInTheProtocol(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def build(self):
                if not self._protocols:
                    self.protocol_plugin(StandardProtocolPluginFactory())
                return await original(self)

            return build

        patch(f"{BUILDER}.build", make)


@host_mutant("PLG.37", character="Talkative: tells of every configuration, changed or not.")
class TellsOfEqualConfigs(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def configured(self, policy):
                from lash_ref import hooks

                if policy == self.state.policy:
                    told = hooks.SessionConfigChangedContext(
                        self.session_id, policy, policy, self.plugin_services
                    )
                    await self.notify(hooks.SessionConfigChanged(told))
                return await original(self, policy)

            return configured

        patch("lash_ref.runtime:LashRuntime._configured", make)


def bindings(required):
    """Bindings that all require an input, or none."""
    return lambda original: lambda plugin_id, _=False: original(plugin_id, required)


@host_mutant("PLG.40", character="Easy: no binding really requires its input.")
class NoInputIsRequired(BrokenHost):
    def breaks(self, patch):
        patch("lash_ref.session_builder:ActivePluginBinding", bindings(required=False))


@host_mutant("PLG.43", character="Strict: every binding requires its input.")
class EveryInputIsRequired(BrokenHost):
    def breaks(self, patch):
        patch("lash_ref.session_builder:ActivePluginBinding", bindings(required=True))


@host_mutant("PLG.44", character="Leaky: what one session binds, later ones have too.")
class BindingsLeak(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def plugin(self, binding, config=None):
                original(self, binding, config)
                object.__setattr__(self.parts, "factories", (*self.parts.factories, self._factories.pop()))
                return self

            return plugin

        patch(f"{OPENER}.plugin", make)


@host_mutant("PRM.8", character="Retentive: a turn's prompt stays for the next.")
class TurnPromptsStay(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def run(self):
                kept = getattr(self.runtime, "kept_prompt", None)
                self.request.prompt = self.request.prompt or kept
                self.runtime.kept_prompt = self.request.prompt
                return await original(self)

            return run

        patch("lash_ref.turn:Turn.run", make)


# -- operations


@host_mutant("OPS.9", character="Patient: a query waits for the turn.")
class QueriesWait(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def query(self, name, args=None, session_id=None):
                async with self.runtime.writer:
                    return await original(self, name, args, session_id)

            return query

        patch("lash_ref.plugin_operations:PluginOperations.query", make)


@host_mutant("OPS.7", character="Hasty: queues what a command asks for before anything is stored.")
class QueuesBeforeTheCommit(BrokenHost):
    def breaks(self, patch):
        facets = []

        def remember(original):
            async def carried_out(self, *call):
                facets.append(self)
                return await original(self, *call)

            return carried_out

        def queue(original):
            async def invoke(self, context, args):
                made = await original(self, context, args)
                for directive in made.directives:
                    await facets[-1]._queue(directive)
                return replace(made, directives=())

            return invoke

        patch("lash_ref.plugin_operations:PluginOperations._carried_out", remember)
        patch("lash_ref.operations:RegisteredOperation.invoke", queue)


@host_mutant("OPS.10", character="Thorough: stores what a query found changed.")
class QueriesCommit(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def query(self, name, args=None, session_id=None):
                answer = await original(self, name, args, session_id)
                await self.runtime.persist()
                return answer

            return query

        patch("lash_ref.plugin_operations:PluginOperations.query", make)


# -- opening


@host_mutant("SNP.13", character="Attached: a fresh session starts with the old plugin state.")
class FreshSessionsRestore(BrokenHost):
    def breaks(self, patch):
        async def open_fresh(self):
            policy = self._session_policy()
            store = await self._create_store(policy)
            loaded = await self._loaded(store)
            state = PersistedSessionState(session_id=self.id, policy=policy, graph_replace_required=True)
            state.plugin_snapshot = loaded.plugin_snapshot if loaded else None
            return await self._open_resolved(policy, state, store)

        patch(f"{OPENER}.open_fresh", lambda _: open_fresh)


@host_mutant("SNP.14", character="Conservative: a fresh session leaves the stored snapshot where it is.")
class FreshSessionsKeepTheSnapshot(BrokenHost):
    class sends(SentStore):  # noqa: N801 - the base's name
        async def commit_runtime_state(self, commit):
            read = await self.inner.load_session(FullGraph())
            if (
                read is None
                or read.checkpoint is None
                or "replace" not in type(commit.graph).__name__.lower()
            ):
                return await self.inner.commit_runtime_state(commit)
            kept = commit.checkpoint.but(
                plugin_snapshot=None,
                plugin_snapshot_ref=read.checkpoint.plugin_snapshot_ref,
                plugin_snapshot_revision=read.checkpoint.plugin_snapshot_revision,
            )
            return await self.inner.commit_runtime_state(commit.but(checkpoint=kept))


@host_mutant("SNP.15", character="Strict: a plugin without state cannot be opened again.")
class StatelessPluginsCannotReturn(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def restore(self, snapshot):
                for plugin in self.plugins:
                    entry = snapshot.plugins.get(plugin.id)
                    if plugin.id == "a" and entry is not None and entry.meta.state is None:
                        raise SnapshotError(f"plugin {plugin.id!r} has no state")
                original(self, snapshot)

            return restore

        patch("lash_ref.plugin_session:PluginSession.restore", make)


@host_mutant("SNP.16", character="Attached: a resumed session has its bindings again.")
class ResumeRebinds(BrokenHost):
    def breaks(self, patch):
        bound = {}

        def remember(original):
            async def open_resolved(self, policy, state, store):
                bound[self.id] = list(self._factories)
                return await original(self, policy, state, store)

            return open_resolved

        def rebind(original):
            async def resume(parts, parked):
                factories = (*parts.factories, *bound.get(parked.session_id, ()))
                return await original(replace(parts, factories=factories), parked)

            return resume

        patch(f"{OPENER}._open_resolved", remember)
        patch("lash_ref.core:resume", rebind)


# -- putting away, showing, forking


@host_mutant("SNP.46", character="Obliging: parks a session that nothing can be resumed from.")
class ParksForNobody(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def park(self):
                if self.services.store is None:
                    return ParkedSession(self.session_id, cast("Any", None), self.state.policy)
                return await original(self)

            return park

        patch("lash_ref.runtime:LashRuntime.park", make)


@host_mutant("SNP.47", character="Hasty: stores first, then looks whether anybody is left.")
class FlushesBeforeAsking(BrokenHost):
    def breaks(self, patch):
        def make(original):
            async def put_away(self):
                await self._shared.require_live().persist()
                return await original(self)

            return put_away

        for verb in ("park", "close"):
            patch(f"lash_ref.session:LashSession.{verb}", make)


@host_mutant("SNP.47", character="Alone: puts a session away whoever holds it.")
class PutsAwaySharedSessions(BrokenHost):
    def breaks(self, patch):
        patch("lash_ref.shared:Shared.require_sole", lambda _: lambda self, event: self.require_live())


@host_mutant("SNP.48", character="Discreet: does not name the snapshot.")
class ExportsNoReference(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def to_snapshot(self):
                return original(self).but(plugin_snapshot_ref=None)

            return to_snapshot

        patch("lash_ref.state:PersistedSessionState.to_snapshot", make)


def children(*, fork):
    """Child requests that all fork, or none."""
    return lambda original: (
        lambda session_id, policy, own, _fork, *rest: original(session_id, policy, own, fork, *rest)
    )


@host_mutant("SNP.49", character="Fresh: a fork starts from nothing.")
class ForksStartFresh(BrokenHost):
    def breaks(self, patch):
        patch("lash_ref.children:ChildRequest", children(fork=False))


@host_mutant("SNP.50", character="Attached: every child is a fork.")
class EveryChildForks(BrokenHost):
    def breaks(self, patch):
        patch("lash_ref.children:ChildRequest", children(fork=True))
