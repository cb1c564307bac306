"""Plugins' private state: how it is written, read back, recognised as changed, and refreshed for a commit.

The runtime neither reads the state nor compares versions; it hands back what it was given.
"""

import hashlib
from collections.abc import Iterable
from typing import Protocol

from lash_ref.errors import PluginError
from lash_ref.scalars import U64, Blob, Identifier, Json, Record, Text
from lash_ref.tool_state import ToolState


class PluginSnapshotMeta(Record):
    """What a plugin says of its own snapshot; ``state`` is private to it, and absent when there is none."""

    plugin_id: Identifier
    plugin_version: Text
    revision: U64 = 0
    state: Json | None = None


class PluginSnapshotArtifact(Record):
    """One named run of bytes."""

    name: Text
    data: Blob


class PluginSnapshotEntry(Record):
    """One plugin's part of a snapshot."""

    meta: PluginSnapshotMeta
    artifacts: tuple[PluginSnapshotArtifact, ...] = ()


class PluginSessionSnapshot(Record):
    """All plugins' parts, by the id of the live plugin."""

    plugins: dict[Identifier, PluginSnapshotEntry] = {}


class SnapshotWriter:
    """Where a plugin puts bytes too large for its meta."""

    def __init__(self) -> None:
        self._artifacts: list[PluginSnapshotArtifact] = []

    def write_blob(self, name: str, data: bytes) -> None:
        """Append bytes under a name; equal names are all kept and the first is read ([SNP.22][])."""
        self._artifacts.append(PluginSnapshotArtifact(name=name, data=data))

    @property
    def artifacts(self) -> tuple[PluginSnapshotArtifact, ...]:
        """What was written, in order."""
        return tuple(self._artifacts)


class SnapshotReader:
    """Where a plugin finds its bytes again."""

    def __init__(self, artifacts: Iterable[PluginSnapshotArtifact] = ()) -> None:
        self._artifacts = tuple(artifacts)

    def read_blob(self, name: str) -> bytes | None:
        """The first bytes written under that name, byte for byte, or nothing ([SNP.21][], [SNP.22][])."""
        return next((each.data for each in self._artifacts if each.name == name), None)


class Versioned(Protocol):
    """What a fingerprint is made of."""

    @property
    def id(self) -> str: ...

    def version(self) -> str: ...

    def snapshot_revision(self) -> int: ...


def snapshot_revision_fingerprint(plugins: Iterable[Versioned]) -> int:
    """A number that changes with any plugin's id, version, revision or place in the stack ([SNP.27][]).

    The first eight bytes, little-endian, of SHA-256 over id, 0x00, version, 0x00, revision as eight
    little-endian bytes, 0xFF, plugin by plugin: all 64 bits, as lash has it.
    """
    digest = hashlib.sha256()
    for plugin in plugins:
        revision = plugin.snapshot_revision().to_bytes(8, "little")
        digest.update(plugin.id.encode() + b"\0" + plugin.version().encode() + b"\0" + revision + b"\xff")
    return int.from_bytes(digest.digest()[:8], "little")


# -- refresh


class _Registry(Protocol):
    @property
    def generation(self) -> int: ...

    def export_state(self) -> ToolState: ...


class SnapshotSource(Protocol):
    """The live side of a refresh: a plugin session."""

    @property
    def tool_registry(self) -> _Registry: ...

    def snapshot_revision_fingerprint(self) -> int: ...

    def snapshot(self) -> PluginSessionSnapshot: ...


class SnapshotSlots(Protocol):
    """The stored side of a refresh: a session's state."""

    tool_state_ref: str | None
    tool_state_generation: int | None
    tool_state_snapshot: ToolState | None
    plugin_snapshot_ref: str | None
    plugin_snapshot_revision: int | None
    plugin_snapshot: PluginSessionSnapshot | None


def refresh_plugin_snapshots(state: SnapshotSlots, plugins: SnapshotSource) -> PluginError | None:
    """Bring ``state`` up to the live plugins before a commit; the failure of the capture, if it failed.

    Tool state is exported unless a ref of this very generation is held ([SNP.30][]). Plugins are captured
    unless a ref of this very fingerprint is held ([SNP.28][], [SNP.29][]). A failed capture leaves the former
    snapshot and its revision, so that the next commit tries again ([SNP.23][] to [SNP.25][]).
    """
    generation = plugins.tool_registry.generation
    if state.tool_state_ref is None or state.tool_state_generation != generation:
        state.tool_state_snapshot = plugins.tool_registry.export_state()
        state.tool_state_generation = state.tool_state_snapshot.generation
    revision = plugins.snapshot_revision_fingerprint()
    if state.plugin_snapshot_ref is None or state.plugin_snapshot_revision != revision:
        try:
            captured = plugins.snapshot()
        except PluginError as err:
            return err
        state.plugin_snapshot = captured
        state.plugin_snapshot_revision = revision
    return None
