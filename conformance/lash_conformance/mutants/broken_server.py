"""How a broken wire server is registered, and run as a process of its own."""

import sys
from collections.abc import Callable
from typing import cast

from lash_conformance.exchange import Exchange
from lash_conformance.mutants import Mutant, caller_line, enrol
from lash_conformance.server import Server
from lash_conformance.target import Backend, Bounds, Capability, Place, StoreTarget, TargetBroke
from lash_conformance.targets.lacking import LackingTarget
from lash_conformance.targets.sqlite import SqliteTarget

PATIENT = Bounds(start_s=120, call_s=60, stop_s=60)
IMPATIENT = Bounds(start_s=120, call_s=4, stop_s=4)
"""For those that are recognised by their silence."""


class Served:
    """A command that is judged without a handshake before, as a broken one may not survive it."""

    version = "0"

    def __init__(self, name: str, *, lacking: bool, bounds: Bounds = PATIENT) -> None:
        self.name = name
        self.command = f"{sys.executable} -m lash_conformance.mutants.wire {name} {'lacking' if lacking else 'sqlite'}"
        self.bounds = bounds
        self.spare: Exchange | None = None
        declared = store(lacking=lacking).capabilities
        self.capabilities: frozenset[Capability] = declared | frozenset[Capability](("wire",))

    async def open(self, place: Place) -> Backend:
        """Only checks of the wire are made on it."""
        raise TargetBroke("a broken server opens no place for the checks of stores")

    def interrupt(self, reason: str) -> None:
        """As `stop`."""
        self.stop()

    def stop(self) -> None:
        """End the process that was kept."""
        if self.spare is not None:
            self.spare.stop()
            self.spare = None


class GclessTarget(LackingTarget):
    lacks = frozenset[Capability](("gc",))


def store(*, lacking: bool) -> StoreTarget:
    """What is served: our SQLite store, or one that does not reclaim blobs."""
    return cast("StoreTarget", GclessTarget() if lacking else SqliteTarget())


def sound(*, lacking: bool) -> Served:
    """The unbroken server."""
    return Served("Server", lacking=lacking)


def wire_mutant(
    *clauses: str, character: str, lacking: bool = False, bounds: Bounds = PATIENT
) -> Callable[[type[Server]], type[Server]]:
    """Register a broken server that checks of each of ``clauses`` must kill."""
    line = caller_line()

    def register(broken: type[Server]) -> type[Server]:
        name = broken.__name__
        enrol(Mutant(
            clauses=clauses, name=name, character=character, module=broken.__module__, line=line,
            make=lambda: Served(name, lacking=lacking, bounds=bounds), searched=False,
        ))  # fmt: skip
        return broken

    return register
