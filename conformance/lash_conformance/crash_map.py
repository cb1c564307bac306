"""The crash map of a report: every injected fault by what the process was doing, and a summary."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from lash_conformance.report import Blow, Report

UNTRACED = "killed at a moment"
RANDOM = "random kills"


@dataclass(frozen=True)
class Row:
    """One scenario and the faults injected into it, in the order of its steps."""

    scene: str
    blows: tuple[Blow, ...]

    @property
    def ill(self) -> tuple[Blow, ...]:
        """The faults that were not survived: something was lost, torn or stuck."""
        return tuple(blow for blow in self.blows if blow.fate)


def rows(report: Report) -> tuple[Row, ...]:
    """The map of a report."""
    return mapped(blow for check in report.checks for blow in check.crash_map)


def mapped(blows: Iterable[Blow]) -> tuple[Row, ...]:
    """The map of any faults; one that several processes of the judge injected appears once."""
    found: dict[str, dict[tuple[object, ...], Blow]] = {}
    for blow in blows:
        told = found.setdefault(blow.scene, {})
        told.setdefault((blow.step, blow.call, blow.blow, blow.fate), blow)
    return tuple(
        Row(scene, tuple(sorted(blows.values(), key=lambda blow: (blow.step, blow.blow))))
        for scene, blows in found.items()
    )


def lines(report: Report) -> list[str]:
    """The summary of the crash drill, a sentence a line; nothing when there was no drill."""
    drilled = [row for row in rows(report) if row.scene != RANDOM]
    told: list[str] = []
    if drilled:
        counted = Counter(blow.blow.partition(",")[0] for row in drilled for blow in row.blows)
        blows = ", ".join(f"{number} {name}" for name, number in sorted(counted.items()))
        ill = sum(len(row.ill) for row in drilled)
        told.append(f"crash drill: {sum(counted.values())} faults injected in {len(drilled)} scenarios ({blows}), {f'{ill} not survived' if ill else 'all survived'}")
        if UNTRACED in counted:
            told.append("crash drill: no working strace here, so no process was killed at a system call and no call was cut short or failed; install strace")
    told += [f"crash drill: {blow.call}" for row in rows(report) if row.scene == RANDOM for blow in row.blows]
    return told
