"""The tool registry: live sources and stored state reconciled into one surface, at a generation.

Sources say what there is; the stored state says which of it are members, by tool id. What no source
resolves is kept as an orphan, and rebound by id when its source returns ([REG.1][], [REG.8][], [REG.22][] to
[REG.26][]). Hidden names are never members and never run ([REG.6][]).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from lash_ref.errors import GenerationMismatch, InvalidToolSurface, UnknownToolSource
from lash_ref.tool_results import Done, ToolResult
from lash_ref.tool_state import ToolState, ToolStateEntry
from lash_ref.tools import (
    PreparedToolCall,
    ToolCall,
    ToolContract,
    ToolExecutionGrant,
    ToolManifest,
    ToolPrepareCall,
    ToolProvider,
)

PLUGINS = "plugins"
"""The source that holds every provider registered by a plugin."""

CONTEXT = "context"
"""The source laid over the others for one turn; it wins every clash."""


@dataclass(frozen=True)
class ToolSourceHandle:
    """Names a provider added to a live registry."""

    id: str


@dataclass(frozen=True)
class ToolRestoreReport:
    """What a restore found."""

    generation: int
    orphaned: tuple[str, ...]
    """Ids that no source resolves."""


@dataclass(frozen=True)
class _Entry:
    """One tool of a live surface; without a provider it is an orphan."""

    manifest: ToolManifest
    member: bool
    source: str | None = None
    provider: ToolProvider | None = None

    @property
    def orphaned(self) -> bool:
        return self.provider is None

    def export(self) -> ToolStateEntry:
        return ToolStateEntry(manifest=self.manifest, orphaned=self.orphaned, member=self.member)


Source = tuple[ToolProvider, ...]
Entries = Mapping[str, _Entry] | Mapping[str, ToolStateEntry]


def _resolving(source: Source, id: str) -> tuple[ToolManifest, ToolProvider] | None:
    for provider in source:
        manifest = provider.resolve_manifest_by_id(id)
        if manifest is not None:
            if manifest.id != id:
                raise InvalidToolSurface(f"asked for tool id {id!r}, a source answered {manifest.id!r}")
            return manifest, provider
    return None


class ToolRegistry(ToolProvider):
    """One session's tools."""

    def __init__(self, hidden: Iterable[str] = ()) -> None:
        self.generation = 0
        self.hidden = frozenset(hidden)
        self._sources: dict[str, Source] = {}
        self._entries: dict[str, _Entry] = {}
        self._ids: dict[str, str] = {}
        self._exported: tuple[Mapping[str, _Entry], ToolState] | None = None
        """What was exported last, and the entries it shows."""
        self._live_sources = 0

    @classmethod
    def from_providers(cls, providers: Sequence[ToolProvider], hidden: Iterable[str] = ()) -> Self:
        """The registry of a new session: generation 1, or 0 when there are no tools."""
        registry = cls(hidden)
        registry._reconcile({PLUGINS: tuple(providers)})
        return registry

    def _install(self, entries: dict[str, _Entry]) -> None:
        self._entries = entries
        self._ids = {entry.manifest.name: id for id, entry in entries.items()}

    # -- state

    def export_state(self) -> ToolState:
        """The surface as it is stored; it names no sources ([REG.2][])."""
        if self._exported is not None:
            shown, state = self._exported
            if shown is self._entries and state.generation == self.generation:
                return state
        tools = {id: entry.export() for id, entry in sorted(self._entries.items())}
        state = ToolState(generation=self.generation, tools=tools)
        self._exported = (self._entries, state)
        return state

    def apply_state(self, next_state: ToolState) -> int:
        """Make the surface exactly ``next_state``, built on this generation; the new generation ([REG.11][]).

        Raises:
            GenerationMismatch: [REG.10][] the surface moved on since.
            InvalidToolSurface: [REG.12][] a tool resolves nowhere, or in two sources.
        """
        if next_state.generation != self.generation:
            raise GenerationMismatch(next_state.generation, self.generation)
        self._install(self._rebuilt(next_state.tools, self._sources, live=False))
        self.generation += 1
        return self.generation

    def restore_state(self, stored: ToolState) -> ToolRestoreReport:
        """Lay stored membership over the live surface.

        The generation is the stored one, or one more if the surface differs from what was stored
        ([REG.20][], [REG.21][]).

        Raises:
            InvalidToolSurface: two sources resolve one id, or two tools share a name.
        """
        self._install(self._rebuilt(stored.tools, self._sources, live=True))
        self.generation = stored.generation + _differ(self._entries, stored.tools)
        orphaned = tuple(id for id, entry in self._entries.items() if entry.orphaned)
        return ToolRestoreReport(self.generation, orphaned)

    def fork_with_state(self, stored: ToolState) -> Self:
        """A registry over the same sources with that state."""
        fork = type(self)(self.hidden)
        fork._sources = dict(self._sources)
        fork.restore_state(stored.but(generation=max(stored.generation, 1)))
        return fork

    # -- sources

    def refresh_sources(self) -> int:
        """Ask every source again what it offers; the generation, one more if anything changed."""
        return self._reconcile(self._sources)

    def add_tool_provider(self, provider: ToolProvider) -> ToolSourceHandle:
        """Add a live source of its own."""
        source_id = f"live:{self._live_sources + 1}"
        self._reconcile({**self._sources, source_id: (provider,)})
        self._live_sources += 1
        return ToolSourceHandle(source_id)

    def remove_source(self, handle: ToolSourceHandle) -> int:
        """Take a source away with its tools, leaving no orphans; the new generation ([REG.7][])."""
        if handle.id not in self._sources:
            raise UnknownToolSource(handle.id)
        del self._sources[handle.id]
        self._install({id: entry for id, entry in self._entries.items() if entry.source != handle.id})
        self.generation += 1
        return self.generation

    def compose_session_catalog(
        self, providers: Sequence[ToolProvider] = (), *, include_base_tools: bool = True
    ) -> "ToolRegistry":
        """The registry of one turn: the live sources read anew ([REG.4][]), ``providers`` winning every clash."""
        composed = ToolRegistry(self.hidden)
        if include_base_tools:
            composed.generation = max(self.refresh_sources(), 1)
            composed._sources = dict(self._sources)
            composed._install(dict(self._entries))
        if providers:
            composed._reconcile({**composed._sources, CONTEXT: tuple(providers)})
        return composed

    # -- reconciliation

    def _reconcile(self, sources: Mapping[str, Source]) -> int:
        rebuilt = self._rebuilt(self._entries, sources, live=True)
        differs = _differ(rebuilt, self._entries)
        if self._exported is not None and self._exported[0] is self._entries and not differs:
            self._exported = (rebuilt, self._exported[1])
        self.generation += differs
        self._install(rebuilt)
        self._sources = dict(sources)
        return self.generation

    def _rebuilt(self, stored: Entries, sources: Mapping[str, Source], *, live: bool) -> dict[str, _Entry]:
        """The surface that ``sources`` and ``stored`` make; ``live`` lets the sources define it."""
        _require_distinct((entry.manifest for entry in stored.values()), "the stored state")
        entries = self._advertised(sources) if live else {}
        names = {entry.manifest.name: entry for entry in entries.values()}
        for id, entry in stored.items():
            if id != entry.manifest.id:
                raise InvalidToolSurface(f"the key {id!r} holds the tool {entry.manifest.id!r}")
            if id in entries:
                found = entries[id]
                entries[id] = self._entry(found.manifest, found.source, found.provider, member=entry.member)
                continue
            resolved = _resolve(id, sources)
            if resolved is None and not live and not entry.orphaned:
                raise InvalidToolSurface(f"no source resolves tool id {id!r}")
            manifest, source, provider = resolved or (entry.manifest, None, None)
            clash = names.get(manifest.name)
            if clash is not None and live and (provider is None or clash.source == CONTEXT):
                continue
            if clash is not None:
                raise InvalidToolSurface(
                    f"tools {clash.manifest.id!r} and {id!r} share the name {manifest.name!r}"
                )
            entries[id] = names[manifest.name] = self._entry(manifest, source, provider, member=entry.member)
        return entries

    def _entry(
        self, manifest: ToolManifest, source: str | None, provider: ToolProvider | None, *, member: bool = True
    ) -> _Entry:
        return _Entry(manifest, member and manifest.name not in self.hidden, source, provider)

    def _advertised(self, sources: Mapping[str, Source]) -> dict[str, _Entry]:
        entries: dict[str, _Entry] = {}
        names: dict[str, _Entry] = {}
        for source_id, source in sorted(sources.items(), key=lambda item: (item[0] == CONTEXT, item[0])):
            offered = [(manifest, provider) for provider in source for manifest in provider.tool_manifests()]
            _require_distinct((manifest for manifest, _ in offered), f"source {source_id!r}")
            for manifest, provider in offered:
                for clash in (entries.get(manifest.id), names.get(manifest.name)):
                    if clash is None:
                        continue
                    if source_id != CONTEXT:
                        raise InvalidToolSurface(
                            f"tool {manifest.id!r} named {manifest.name!r} of source {source_id!r} clashes with "
                            f"tool {clash.manifest.id!r} of source {clash.source!r}"
                        )
                    entries.pop(clash.manifest.id, None)
                    names.pop(clash.manifest.name, None)
                entry = self._entry(manifest, source_id, provider)
                entries[manifest.id] = names[manifest.name] = entry
        return entries

    # -- a provider of its members

    def tool_manifests(self) -> Sequence[ToolManifest]:
        members = sorted(self._entries.items())
        return tuple(entry.manifest for _, entry in members if entry.member and not entry.orphaned)

    def resolve_manifest(self, name: str) -> ToolManifest | None:
        if name in self._ids:
            return self.resolve_manifest_by_id(self._ids[name])
        return self._adopt(manifest for source in self._ordered() if (manifest := _by_name(source, name)))

    def resolve_manifest_by_id(self, id: str) -> ToolManifest | None:
        if id not in self._entries:
            return self._adopt(found[0] for source in self._ordered() if (found := _resolving(source, id)))
        if self._entries[id].orphaned:
            with suppress(InvalidToolSurface):
                self.refresh_sources()
        entry = self._entries.get(id)
        return entry.manifest if entry else None

    def _ordered(self) -> Iterator[Source]:
        return (source for _, source in sorted(self._sources.items()))

    def _adopt(self, found: Iterator[ToolManifest]) -> ToolManifest | None:
        """Take in a tool that a source resolves but does not offer, unless its name or id is taken."""
        manifest = next(found, None)
        if manifest is None or manifest.name in self._ids or manifest.id in self._entries:
            return None
        resolved = _resolve(manifest.id, self._sources)
        if resolved is None:
            return None
        self._install({**self._entries, manifest.id: self._entry(*resolved)})
        self.generation += 1
        return resolved[0]

    def resolve_contract(self, name: str) -> ToolContract | None:
        manifest = self.resolve_manifest(name)
        return self.resolve_contract_by_id(manifest.id) if manifest else None

    def resolve_contract_by_id(self, id: str) -> ToolContract | None:
        self.resolve_manifest_by_id(id)
        entry = self._entries.get(id)
        return entry.provider.resolve_contract(entry.manifest.name) if entry and entry.provider else None

    # -- running

    def _running(self, id: str) -> ToolProvider | Done:
        if self.resolve_manifest_by_id(id) is None:
            return Done.err(f"Unknown tool id: {id}")
        entry = self._entries[id]
        if entry.provider is None:
            return Done.err(f"Tool id {id} is unavailable: the session knows it, but no registered source offers it")
        if not entry.member:
            return Done.err(f"Tool id {id} is unavailable")
        if entry.provider.resolve_manifest_by_id(id) is None:
            return Done.err(f"Tool id {id} is unavailable: its source no longer resolves it")
        return entry.provider

    def _granted(self, grant: ToolExecutionGrant) -> ToolProvider | Done:
        id = grant.manifest.id
        if grant.source_id is None:
            return Done.err(f"The grant for tool id {id} names no tool source")
        if grant.source_id not in self._sources:
            return Done.err(f"The grant for tool id {id} names source {grant.source_id}, which is not registered")
        found = _resolving(self._sources[grant.source_id], id)
        return found[1] if found else Done.err(f"Source {grant.source_id} does not resolve granted tool id {id}")

    async def prepare_tool_call(self, call: ToolPrepareCall) -> PreparedToolCall | Done:
        running = self._running(call.tool_id)
        return running if isinstance(running, Done) else await running.prepare_tool_call(call)

    async def execute(self, call: ToolCall) -> ToolResult:
        manifest = self.resolve_manifest(call.name)
        return await self.execute_by_id(manifest.id, call) if manifest else Done.err(f"Unknown tool: {call.name}")

    async def execute_by_id(self, id: str, call: ToolCall) -> ToolResult:
        running = self._running(id)
        return running if isinstance(running, Done) else await running.execute_by_id(id, call)

    async def prepare_granted(self, grant: ToolExecutionGrant, call: ToolPrepareCall) -> PreparedToolCall | Done:
        if call.tool_id != grant.manifest.id:
            return Done.err(f"The grant is for tool id {grant.manifest.id}, the call for {call.tool_id}")
        granted = self._granted(grant)
        return granted if isinstance(granted, Done) else await granted.prepare_tool_call(call)

    async def execute_granted(self, grant: ToolExecutionGrant, call: ToolCall) -> ToolResult:
        granted = self._granted(grant)
        return granted if isinstance(granted, Done) else await granted.execute_by_id(grant.manifest.id, call)


def _by_name(source: Source, name: str) -> ToolManifest | None:
    return next((found for provider in source if (found := provider.resolve_manifest(name))), None)


def _resolve(id: str, sources: Mapping[str, Source]) -> tuple[ToolManifest, str, ToolProvider] | None:
    found = {
        source_id: (hit[0], source_id, hit[1])
        for source_id, source in sources.items()
        if (hit := _resolving(source, id))
    }
    if CONTEXT in found:
        return found[CONTEXT]
    if len(found) > 1:
        raise InvalidToolSurface(f"tool id {id!r} is resolved by sources {', '.join(sorted(found))}")
    return next(iter(found.values()), None)


def _differ(one: Entries, other: Entries) -> bool:
    def surface(entries: Entries) -> dict[str, tuple[ToolManifest, bool, bool]]:
        return {id: (entry.manifest, entry.orphaned, entry.member) for id, entry in entries.items()}

    return surface(one) != surface(other)


def _require_distinct(manifests: Iterable[ToolManifest], where: str) -> None:
    ids: set[str] = set()
    names: set[str] = set()
    for manifest in manifests:
        if manifest.id in ids:
            raise InvalidToolSurface(f"duplicate tool id {manifest.id!r} in {where}")
        if not manifest.name.strip():
            raise InvalidToolSurface(f"tool {manifest.id!r} in {where} has a blank name")
        if manifest.name in names:
            raise InvalidToolSurface(f"duplicate tool name {manifest.name!r} in {where}")
        ids.add(manifest.id)
        names.add(manifest.name)
