"""The tool surface as a session stores it: which tools there are, and which of them are members."""

from collections.abc import Mapping
from typing import ClassVar, Self

from lash_ref.errors import InvalidToolSurface
from lash_ref.scalars import U64, Record
from lash_ref.tools import Sparse, ToolId, ToolManifest


class ToolStateEntry(Sparse):
    """One tool: its last known manifest, whether a source offers it, whether it may be called ([REG.14][])."""

    sparse: ClassVar[tuple[str, ...]] = ("orphaned", "member")

    manifest: ToolManifest
    orphaned: bool = False
    """No source resolves it now; it is kept for when one does."""
    member: bool = True

    @property
    def is_member(self) -> bool:
        """Whether the model may call it: an orphan is no member."""
        return self.member and not self.orphaned


class ToolState(Record):
    """The surface at a generation; it names no sources."""

    generation: U64 = 0
    tools: Mapping[ToolId, ToolStateEntry] = {}

    def tool_manifests(self) -> tuple[ToolManifest, ...]:
        """The members, by id."""
        return tuple(entry.manifest for _, entry in sorted(self.tools.items()) if entry.is_member)

    def with_membership(self, id: str, *, present: bool) -> Self:
        """The same surface with one tool let in or taken out.

        Raises:
            InvalidToolSurface: there is no such tool.
        """
        if id not in self.tools:
            raise InvalidToolSurface(f"no tool has the id {id!r}")
        return self.but(tools={**self.tools, id: self.tools[id].but(member=present)})

    def with_membership_by_name(self, names: tuple[str, ...], *, present: bool) -> Self:
        """The same for tools named as the model knows them."""
        ids = {entry.manifest.name: id for id, entry in self.tools.items()}
        changed = self
        for name in names:
            if name not in ids:
                raise InvalidToolSurface(f"no tool has the name {name!r}")
            changed = changed.with_membership(ids[name], present=present)
        return changed

    def without(self, id: str) -> Self:
        """The same surface with one tool deleted; a live source offers it again at the next refresh."""
        return self.but(tools={each: entry for each, entry in self.tools.items() if each != id})
