"""What every broken host descends from: the reference host with one thing wrong.

Override ``breaks`` to replace a member of the reading while the host lives, or ``sends`` to change what the
host says to its store.
"""

import importlib
import inspect
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

from lash_conformance.fixture import Fixture
from lash_conformance.host import (
    IN_PROCESS,
    CoreSpec,
    Data,
    HostCapability,
    HostCore,
    HostPlace,
    load,
)
from lash_conformance.mutants import Mutant, caller_line, enrol
from lash_conformance.provider_calls import ReferenceProviders
from lash_conformance.replays import recorder, replayer
from lash_conformance.targets.wrapped import FactoryWrapper, StoreWrapper
from lash_ref.contracts import SessionStoreFactory

T = TypeVar("T", bound=type[Any])
Patch = Callable[[str, Callable[[Any], Any]], None]
"""``patch("module:Class.member", make)``: ``make`` gets the original and returns what replaces it."""


class SentStore(StoreWrapper):
    """A session's store as a broken host talks to it; override contract methods."""

    async def durability_tier(self) -> str:
        """As the store's own."""
        return cast("str", await self.inner.durability_tier())


class SentFactory(FactoryWrapper):
    """The factory as a broken host talks to it."""

    async def durability_tier(self) -> str:
        """As the factory's own."""
        return cast("str", await self.inner.durability_tier())


class BrokenCore:
    """A core that lets go of the patches with its life."""

    def __init__(self, inner: HostCore, undo: Callable[[], None]) -> None:
        self._inner = inner
        self._undo = undo
        self._over = False

    def _end(self) -> None:
        """Let go once, however often a core is killed or closed."""
        if not self._over:
            self._over = True
            self._undo()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def kill(self) -> None:
        """As the core's."""
        try:
            await self._inner.kill()
        finally:
            self._end()

    async def close(self) -> None:
        """As the core's."""
        try:
            await self._inner.close()
        finally:
            self._end()


class BrokenHost:
    """The reference host over the memory store, and one thing wrong with it."""

    version = "0"
    capabilities: frozenset[HostCapability] = IN_PROCESS
    store = "memory"
    sends: type[StoreWrapper] = SentStore

    def __init__(self) -> None:
        self.name = type(self).__name__
        self._patches: list[tuple[Any, str, Any]] = []
        self._alive = 0

    def breaks(self, patch: Patch) -> None:
        """Nothing, unless overridden."""

    def _patch(self, where: str, make: Callable[[Any], Any]) -> None:
        module, _, path = where.partition(":")
        *owners, member = path.split(".")
        owner: Any = importlib.import_module(module)
        for part in owners:
            owner = getattr(owner, part)
        original = inspect.getattr_static(owner, member)
        self._patches.append((owner, member, original))
        setattr(owner, member, make(original))

    def _undo(self) -> None:
        self._alive -= 1
        while self._alive <= 0 and self._patches:
            owner, member, original = self._patches.pop()
            setattr(owner, member, original)

    async def core(self, place: HostPlace, spec: CoreSpec) -> HostCore:
        """A core of the reference, broken."""
        if self._alive == 0:
            self.breaks(self._patch)
        self._alive += 1
        made = SentFactory(place.stores, cast("Any", place))
        made.store = self.sends
        try:
            core = await load(f"reference:{self.store}").core(replace(place, stores=cast("SessionStoreFactory", made)), spec)
        except BaseException:
            self._undo()
            raise
        return cast("HostCore", BrokenCore(core, self._undo))

    async def provider_calls(self, fixture: Fixture, base_url: str) -> list[Data]:
        """The reference's dialects, broken."""
        self._alive += 1
        self.breaks(self._patch)
        try:
            return await ReferenceProviders().provider_calls(fixture, base_url)
        finally:
            self._undo()

    @contextmanager
    def replayer(self, folder: Path) -> Generator[str]:
        """The suite's own replayer, broken."""
        self._alive += 1
        self.breaks(self._patch)
        try:
            with replayer(folder) as url:
                yield url
        finally:
            self._undo()

    @contextmanager
    def recorder(self, upstream: str, out: Path, markers: Sequence[str]) -> Generator[str]:
        """The suite's own recorder, broken."""
        self._alive += 1
        self.breaks(self._patch)
        try:
            with recorder(upstream, out, markers) as url:
                yield url
        finally:
            self._undo()

    async def pure(self, method: str, arguments: Data) -> Any:
        """A pure helper of the reference, broken."""
        self._alive += 1
        self.breaks(self._patch)
        try:
            return await load(f"reference:{self.store}").pure(method, arguments)
        finally:
            self._undo()


def host_mutant(*clauses: str, character: str, searched: bool = False) -> Callable[[T], T]:
    """Register a broken host that checks of each of ``clauses`` must kill."""
    line = caller_line()

    def register(broken: T) -> T:
        enrol(Mutant(
            clauses=clauses, name=broken.__name__, character=character, module=broken.__module__, line=line,
            make=broken, searched=searched,
        ))  # fmt: skip
        return broken

    return register
