"""Broken host servers: our own with one thing wrong, each in a process of its own ([HST.1] to [HST.7])."""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from lash_conformance.host import CoreSpec, HostTarget, load
from lash_conformance.host_server import HostServer, serve
from lash_conformance.host_wire import Halt
from lash_conformance.mutants import MUTANTS, Mutant
from lash_conformance.store_faults import CUT_OFF, Power, Sent
from lash_conformance.target import Bounds
from lash_conformance.targets.stdio_host import StdioHost
from lash_conformance.wire import Request
from lash_ref.errors import Backend, LashError, Unsupported

PATIENT = Bounds(start_s=120, call_s=60, stop_s=60)


def served(name: str) -> StdioHost:
    """The server of that name, as a target; ``HostServer`` is the unbroken one."""
    return StdioHost(f"{sys.executable} -m lash_conformance.mutants.host_wire {name}", PATIENT)


def host_wire_mutant(*clauses: str, character: str) -> Callable[[type[HostServer]], type[HostServer]]:
    """Register a broken server that checks of each of ``clauses`` must kill."""

    def register(broken: type[HostServer]) -> type[HostServer]:
        name = broken.__name__
        MUTANTS[name] = Mutant(
            clauses=clauses, name=name, character=character, module=broken.__module__, searched=False,
            line=sys._getframe(1).f_lineno, make=lambda: served(name), served=True,
        )  # fmt: skip
        return broken

    return register


@host_wire_mutant("HST.1", character="Private: keeps its sessions where nobody looks.")
class LivesElsewhere(HostServer):
    async def on_core_build(self, directory: str, now_ms: int, spec: CoreSpec) -> Any:
        elsewhere = Path(directory) / "elsewhere"
        elsewhere.mkdir(exist_ok=True)
        return await super().on_core_build(str(elsewhere), now_ms, spec)


@host_wire_mutant("HST.2", character="Unwound: its clock stands where it was built.")
class StopsTheClock(HostServer):
    async def on_core_advance(self, core: str, now_ms: int) -> None:
        self._live(core)


@host_wire_mutant("HST.3", character="Curt: refuses, and does not say what.")
class RefusesAlike(HostServer):
    def refused(self, err: LashError) -> dict[str, Any]:
        told = super().refused(err)
        return told | {"data": told["data"] | {"error": "Refused"}}


@host_wire_mutant("HST.4", character="Late: stops every commit once it is made.")
class HaltsAfterwards(HostServer):
    async def on_core_halt(self, core: str, halt: Halt) -> None:
        await super().on_core_halt(core, Halt(side="after", number=halt.number))


@host_wire_mutant("HST.4", character="Hasty: stops the first commit that comes.")
class HaltsTheFirst(HostServer):
    async def on_core_halt(self, core: str, halt: Halt) -> None:
        await super().on_core_halt(core, Halt(side=halt.side, number=1))


class FailsAfterwards(Power):
    """Fails a call once the store has done it."""

    async def passing(self, call: Sent, made: Callable[[], Awaitable[Any]]) -> Any:
        failing, self._failing = self._failing, frozenset[str]()
        try:
            answer = await super().passing(call, made)
        finally:
            self._failing = failing
        if call.method in failing:
            raise Backend(CUT_OFF)
        return answer


@host_wire_mutant("HST.5", character="Generous: a store that is cut off has everything already.")
class FailsTooLate(HostServer):
    power = FailsAfterwards


@host_wire_mutant("HST.6", character="Garrulous: tells everything again.")
class TellsAllAgain(HostServer):
    def __init__(self, target: HostTarget, store: str) -> None:
        super().__init__(target, store)
        self.told: list[Any] = []

    async def on_core_sent(self, core: str) -> Any:
        self.told += await super().on_core_sent(core)
        return self.told


class Childless(HostServer):
    """Does not declare children."""

    async def on_initialize(self, protocols: list[int], **rest: Any) -> Any:
        said = await super().on_initialize(protocols, **rest)
        return said | {"capabilities": [one for one in said["capabilities"] if one != "children"]}

    def children(self) -> Any:
        """What it makes of a call about children."""

    async def result(self, request: Request) -> Any:
        if str(request.params.get("method")).startswith("children."):
            return self.children()
        return await super().result(request)


@host_wire_mutant("HST.7", character="Polite: answers null to what it does not offer.")
class AnswersNull(Childless):
    pass


@host_wire_mutant("HST.7", character="Mute: refuses what it does not offer, and does not say what that is.")
class NamesNoPart(Childless):
    def children(self) -> Any:
        raise Unsupported("something")


if __name__ == "__main__":
    serve(load("reference"), "sqlite", globals()[sys.argv[1]])
