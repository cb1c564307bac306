"""Hosts that are wrong about the tool registry."""
# pyright: basic, reportIncompatibleMethodOverride=false

from dataclasses import replace

from lash_conformance.mutants.host import BrokenHost, host_mutant
from lash_ref.errors import InvalidToolSurface
from lash_ref.tool_state import ToolState
from lash_ref.tools import SessionToolAccess

REGISTRY = "lash_ref.tool_registry:ToolRegistry"


def entries(registry, change):
    """Let ``change(id, entry)`` replace every entry; none drops it."""
    made = {id: change(id, entry) for id, entry in registry._entries.items()}
    registry._entries = {id: entry for id, entry in made.items() if entry is not None}


@host_mutant("REG.1", character="Shy: nobody is a member until somebody says so.")
class NobodyIsAMember(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def from_providers(cls, providers, hidden=()):
                registry = original.__func__(cls, providers, hidden)
                entries(registry, lambda _, entry: replace(entry, member=False))
                return registry

            return classmethod(from_providers)

        patch(f"{REGISTRY}.from_providers", make)


@host_mutant("REG.2", character="Talkative: tells in the tool state where a tool comes from.")
class TellsSources(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def to_data(self):
                data = original(self)
                for entry in data["tools"].values():
                    entry["source_id"] = "plugins"
                return data

            return to_data

        patch("lash_ref.tool_state:ToolState.to_data", make)


@host_mutant("REG.3", character="Blank: shows no tools until a turn has run.")
class ShowsNothing(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def export_state(self):
                state = original(self)
                return state.but(tools={}) if state.generation == 1 else state

            return export_state

        patch(f"{REGISTRY}.export_state", make)


@host_mutant("REG.4", character="Settled: asks its sources once.")
class NeverAsksAgain(BrokenHost):
    def breaks(self, patch):
        answered = {}

        def make(original):
            def advertised(self, sources):
                asked = tuple((name, *map(id, source)) for name, source in sorted(sources.items()))
                if asked not in answered:
                    answered[asked] = original(self, sources)
                return dict(answered[asked])

            return advertised

        patch(f"{REGISTRY}._advertised", make)


@host_mutant(
    "REG.5", character="Inviting: what a contribution names is offered, even when the host opted it out."
)
class ContributionsAdd(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def tool_catalog(self, registry=None):
                surface = registry or self.tool_registry
                entries(surface, lambda _, entry: replace(entry, member=True))
                return tuple(surface.tool_manifests())

            return tool_catalog

        patch("lash_ref.plugin_session:PluginSession.tool_catalog", make)


@host_mutant("REG.6", character="Naive: hides nothing.")
class HidesNoTools(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def request(*parts):
                return original(*parts[:5], SessionToolAccess(), *parts[6:])

            return request

        patch("lash_ref.children:ChildRequest", make)


@host_mutant("REG.7", character="Attached: the tools of a removed source stay as orphans.")
class RemovedSourcesLeaveOrphans(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def remove_source(self, handle):
                kept = {id: replace(e, source=None) for id, e in self._entries.items() if e.source == handle.id}
                generation = original(self, handle)
                self._entries |= kept
                return generation

            return remove_source

        patch(f"{REGISTRY}.remove_source", make)


@host_mutant("REG.8", character="Forgetful: a refresh makes everybody a member again.")
class RefreshForgetsOptOuts(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def refresh_sources(self):
                entries(self, lambda _, entry: replace(entry, member=True))
                return original(self)

            return refresh_sources

        patch(f"{REGISTRY}.refresh_sources", make)


@host_mutant("REG.10", character="Last word: a tool state of any generation is applied.")
class IgnoresTheGeneration(BrokenHost):
    def breaks(self, patch):
        patch(
            f"{REGISTRY}.apply_state",
            lambda original: lambda self, state: original(self, state.but(generation=self.generation)),
        )


@host_mutant("REG.10", character="Hasty: applies the state, then looks at its generation.")
class AppliesThenRefuses(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def apply_state(self, state):
                if state.generation != self.generation:
                    self._entries = {}
                return original(self, state)

            return apply_state

        patch(f"{REGISTRY}.apply_state", make)


@host_mutant("REG.11", character="Silent: an applied state has the generation of the one before.")
class AppliesWithoutCounting(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def apply_state(self, state):
                original(self, state)
                self.generation -= 1
                return self.generation

            return apply_state

        patch(f"{REGISTRY}.apply_state", make)


@host_mutant("REG.12", character="Hopeful: a tool that no source has is applied.")
class AppliesUnknownTools(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def apply_state(self, state):
                known = {
                    id: entry.but(orphaned=entry.orphaned or id not in self._entries)
                    for id, entry in state.tools.items()
                }
                return original(self, state.but(tools=known))

            return apply_state

        patch(f"{REGISTRY}.apply_state", make)


@host_mutant("REG.13", character="Strict: no orphan is ever applied.")
class RefusesAppliedOrphans(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def apply_state(self, state):
                for id, entry in state.tools.items():
                    if entry.orphaned:
                        raise InvalidToolSurface(f"{id} is an orphan")
                return original(self, state)

            return apply_state

        patch(f"{REGISTRY}.apply_state", make)


@host_mutant("REG.14", character="Literal: a flag that is not there is false.")
class OmittedMeansFalse(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def from_data(cls, data):
                told = {id: {"member": False} | dict(entry) for id, entry in data["tools"].items()}
                return original.__func__(cls, dict(data) | {"tools": told})

            return classmethod(from_data)

        patch("lash_ref.scalars:Record.from_data", lambda original: _only(original, make(original)))


def _only(original, changed):
    """``changed`` for tool states, ``original`` for every other record."""

    def from_data(cls, data):
        return (changed if cls is ToolState else original).__func__(cls, data)

    return classmethod(from_data)


@host_mutant("REG.15", character="For now: membership is forgotten when the session is put away.")
class MembershipIsForgotten(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def restore_state(self, stored):
                told = {id: entry.but(member=True) for id, entry in stored.tools.items()}
                return original(self, stored.but(tools=told))

            return restore_state

        patch(f"{REGISTRY}.restore_state", make)


def after_restore(change):
    """A registry whose ``restore_state`` is followed by ``change(registry, stored)``."""

    def make(original):
        def restore_state(self, stored):
            report = original(self, stored)
            change(self, stored)
            return report

        return restore_state

    return make


@host_mutant("REG.20", character="Restless: every restore counts as a change.")
class EveryRestoreCounts(BrokenHost):
    def breaks(self, patch):
        def change(registry, stored):
            registry.generation = stored.generation + 1

        patch(f"{REGISTRY}.restore_state", after_restore(change))


@host_mutant("REG.21", character="Unmoved: another surface keeps the stored generation.")
class ChangesDoNotCount(BrokenHost):
    def breaks(self, patch):
        def change(registry, stored):
            registry.generation = stored.generation

        patch(f"{REGISTRY}.restore_state", after_restore(change))


@host_mutant("REG.22", character="Tidy: what has no source is dropped.")
class DropsOrphans(BrokenHost):
    def breaks(self, patch):
        def change(registry, _):
            entries(registry, lambda _, entry: entry if entry.source else None)

        patch(f"{REGISTRY}.restore_state", after_restore(change))


@host_mutant("REG.22", character="Strict: a tool without a source fails the open.")
class OrphansFailTheOpen(BrokenHost):
    def breaks(self, patch):
        def change(registry, _):
            for id, entry in registry._entries.items():
                if entry.source is None:
                    raise InvalidToolSurface(f"no source has {id}")

        patch(f"{REGISTRY}.restore_state", after_restore(change))


@host_mutant("REG.24", character="Welcoming: whoever comes back is a member.")
class ReturningToolsAreMembers(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def rebuilt(self, stored, *rest, **named):
                made = original(self, stored, *rest, **named)
                for id, entry in stored.items():
                    if entry.orphaned and id in made and made[id].source:
                        made[id] = replace(made[id], member=True)
                return made

            return rebuilt

        patch(f"{REGISTRY}._rebuilt", make)


@host_mutant("REG.25", character="By name: the opt-out of an orphan falls on whoever has its name.")
class OptOutsFollowTheName(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def rebuilt(self, stored, *rest, **named):
                made = original(self, stored, *rest, **named)
                out = {entry.manifest.name for entry in stored.values() if not entry.member}
                return {
                    id: replace(entry, member=False) if entry.manifest.name in out else entry
                    for id, entry in made.items()
                }

            return rebuilt

        patch(f"{REGISTRY}._rebuilt", make)


@host_mutant("REG.26", character="Conservative: the stored manifest wins.")
class StoredManifestsWin(BrokenHost):
    def breaks(self, patch):
        def change(registry, stored):
            def old(id, entry):
                return replace(entry, manifest=stored.tools[id].manifest) if id in stored.tools else entry

            entries(registry, old)

        patch(f"{REGISTRY}.restore_state", after_restore(change))


@host_mutant("REG.26", character="By name: a renamed tool loses its opt-out.")
class RenamedToolsLoseOptOuts(BrokenHost):
    def breaks(self, patch):
        def change(registry, stored):
            names = {entry.manifest.name for entry in stored.tools.values()}
            entries(
                registry,
                lambda _, entry: entry if entry.manifest.name in names else replace(entry, member=True),
            )

        patch(f"{REGISTRY}.restore_state", after_restore(change))


@host_mutant("REG.9", character="One for all: an opt-out holds in every session of the core.")
class OptOutsAreShared(BrokenHost):
    def breaks(self, patch):
        registries = []

        def makes(init):
            def broken(registry, hidden=()):
                init(registry, hidden)
                registries.append(registry)

            return broken

        def applies(apply_state):
            def broken(registry, state):
                generation = apply_state(registry, state)
                for other in registries:
                    entries = {id: replace(e, member=registry._entries[id].member) for id, e in other._entries.items()}
                    other._install(entries)
                return generation

            return broken

        patch(f"{REGISTRY}.__init__", makes)
        patch(f"{REGISTRY}.apply_state", applies)


@host_mutant("REG.7", character="Cramped: has room for one live source, the latest.")
class HoldsOneLiveSource(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def broken(self, provider):
                self._live_sources = 0
                return original(self, provider)

            return broken

        patch(f"{REGISTRY}.add_tool_provider", make)
