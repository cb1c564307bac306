"""Runs the broken implementations: which check detects (kills) which, and which rule is unproven."""

import asyncio
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from lash_conformance import search
from lash_conformance.catalogue import clauses
from lash_conformance.check import Check, all_checks
from lash_conformance.execute import Result, execute
from lash_conformance.host import HostTarget
from lash_conformance.host import load as load_host
from lash_conformance.mutants import Mutant, all_mutants, served
from lash_conformance.target import Capability, Interruptible, StoreTarget, load
from lash_conformance.targets.lacking import lacking
from lash_conformance.targets.wrapped import WrappedTarget

KILL_DEADLINE_S = 5.0
KILL_PATIENCE = 20.0
"""How many times longer than the unbroken target a broken one may take for a check before it is hung."""
WIRE_DEADLINE_S = 120.0
"""For targets out of process, whose start takes what the machine makes it take."""
SEARCH_DEADLINE_S = 120.0
"""For machines and races; one that takes longer has found nothing and kills nothing."""
CRASH_DEADLINE_S = 600.0
"""For the crash drill, which starts a process for every blow."""


@dataclass
class Kill:
    """What one clause's checks made of one broken store."""

    clause: str
    mutant: Mutant
    killers: list[Result] = field(default_factory=list[Result])
    others: list[Result] = field(default_factory=list[Result])

    @property
    def killed(self) -> bool:
        """Whether a check of the clause failed on it, as a verdict on the store and not by accident."""
        return bool(self.killers)


@dataclass
class KillTable:
    """The outcome of a run of the broken stores."""

    kills: list[Kill]
    baseline: list[Result]
    """The checks that fail on the unbroken store; must be empty."""
    unproven: list[str]
    """MUST clauses that no mutant names."""
    weak: list[str]
    """Checks that no mutant is killed by."""

    @property
    def holds(self) -> bool:
        """Whether every rule is proven and the unbroken store passes."""
        return not self.baseline and not self.unproven and all(kill.killed for kill in self.kills)


def judged_by(mutant: Mutant, clause: str, checks: Sequence[Check]) -> list[Check]:
    """The checks of ``clause``; slow kinds only when there is no example, the slowest last."""
    mine = [check for check in checks if clause in check.clauses and (check.kind == "crash") == mutant.crashes]
    if mutant.searched:
        return sorted((c for c in mine if c.kind != "example"), key=lambda c: c.kind == "machine")
    examples = [check for check in mine if check.kind == "example"]
    return examples or mine


async def run(
    selected: Callable[[str], bool] = lambda clause: True,
    progress: Callable[[Kill], None] = lambda kill: None,
    *,
    examples: bool = True,
    searches: bool = True,
    crashes: bool = True,
) -> KillTable:
    """Run every selected clause's mutants, and the unbroken store over the same checks.

    Without ``searches``, those that only a machine or a race can find are left out; without ``crashes``, those
    that only the crash drill can; without ``examples``, all others.
    """
    checks = all_checks()
    kills: list[Kill] = []
    sound: dict[tuple[str, str], Result] = {}
    for mutant in (
        one for one in all_mutants() if (crashes if one.crashes else searches if one.searched else examples)
    ):
        for clause in (c for c in mutant.clauses if selected(c)):
            kill = Kill(clause, mutant)
            target = mutant.make()
            for check in judged_by(mutant, clause, checks):
                if kill.killed and check.kind != "example":
                    continue
                key = check.id, base_of(target)
                if key not in sound:
                    sound[key] = await _sound(check, key[1])
                result = await _attempt(check, target, served.named(mutant.name), sound[key].total_s)
                hung = result.verdict == "error" and "no end within" in result.reason
                kills_it = result.verdict == "fail" or (hung and check.kind == "example" and not _spoken(target))
                (kill.killers if kills_it else kill.others).append(result)
            if isinstance(target, Interruptible):
                target.stop()
            kills.append(kill)
            progress(kill)
    baseline = [result for result in sound.values() if result.verdict not in ("pass", "not-applicable")]
    named = {clause for one in all_mutants() for clause in one.clauses}
    unproven = [
        c.id
        for c in clauses().values()
        if c.level == "MUST" and selected(c.id) and c.id not in named and not c.untested
    ]
    killers = {result.check.id for kill in kills for result in kill.killers}
    weak = [
        check.id
        for check in checks
        if any(selected(c) for c in check.clauses) and check.kind == "example" and examples and check.id not in killers
    ]
    return KillTable(kills, baseline, unproven, weak)


def base_of(target: StoreTarget | HostTarget) -> str:
    """What the broken target is built on."""
    if isinstance(target, HostTarget):
        return "host wire" if _spoken(target) else f"reference:{target.store}"
    if _spoken(target):
        return "wire"
    return "sqlite" if getattr(target, "on_sqlite", False) else "memory"


def _spoken(target: StoreTarget | HostTarget) -> bool:
    return bool({"wire", "process"} & target.capabilities)


async def _attempt(check: Check, target: StoreTarget | HostTarget, given: str, sound_s: float) -> Result:
    if check.kind == "example":
        floor_s = WIRE_DEADLINE_S if _spoken(target) else KILL_DEADLINE_S
        return await execute(check, target, max(floor_s, KILL_PATIENCE * sound_s))
    with search.proving():
        return await execute(check, target, CRASH_DEADLINE_S if check.kind == "crash" else SEARCH_DEADLINE_S, given)


async def _sound(check: Check, base: str) -> Result:
    """What the check makes of the unbroken target."""
    if check.kind == "crash":
        with search.brief():
            result = await execute(check, load("sqlite"), CRASH_DEADLINE_S, "sqlite")
    elif base == "host wire":
        from lash_conformance.mutants.host_wire import served as unbroken

        host = unbroken("HostServer")
        result = await execute(check, host, WIRE_DEADLINE_S)
        host.stop()
    elif check.profile == "host":
        result = await execute(check, load_host(base))
    elif base == "wire":
        from lash_conformance.mutants.broken_server import sound

        spoken = sound(lacking=bool(check.without))
        result = await execute(check, spoken, WIRE_DEADLINE_S)
        spoken.stop()
    else:
        sound = lacking(*cast("frozenset[Capability]", check.without)) if check.without else WrappedTarget()
        sound.on_sqlite = base == "sqlite"
        result = await execute(check, sound)
    return result


def run_sync(
    selected: Callable[[str], bool],
    progress: Callable[[Kill], None],
    *,
    examples: bool = True,
    searches: bool = True,
    crashes: bool = True,
) -> KillTable:
    """As `run`, for callers without a loop."""
    warnings.simplefilter("ignore", RuntimeWarning)
    return asyncio.run(run(selected, progress, examples=examples, searches=searches, crashes=crashes))
