"""The suite judged by itself: nothing passes on nothing, and hostile targets get a verdict in time."""

import asyncio
import shlex
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from lash_conformance.catalogue import clauses
from lash_conformance.check import all_checks
from lash_conformance.execute import execute
from lash_conformance.log import read
from lash_conformance.targets import hostile, hostile_host, null, null_host

NULL_DEADLINE_S = 2.0
DRILL_DEADLINE_S = 0.5
DRILL_BOUND_S = 240.0
DRILL_SELECT = "LEA.1,STO.1"
"""A few checks are enough to see whether a hostile target is contained."""
HOST_SELECT = "TRN.1:*,SES.60:*"
HOST_BOUND_S = 400.0
"""A host behind the wire is started again for each check that it breaks."""


@dataclass
class SelfTest:
    """What came of it."""

    null_passes: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """MUST clauses of which every check passed, by null target."""
    weak: list[str] = field(default_factory=list[str])
    """Checks that passed on some null target; none of them carries a clause alone."""
    null_runs: int = 0
    drill: dict[str, str] = field(default_factory=dict[str, str])
    """By hostile target: ``ok`` and the time it took, or what went wrong."""

    @property
    def holds(self) -> bool:
        """Whether no MUST passes on nothing and every hostile target was contained."""
        return not self.null_passes and all(told.startswith("ok") for told in self.drill.values())

    def data(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "holds": self.holds, "null_runs": self.null_runs, "null_passes": self.null_passes,
            "weak": self.weak, "drill": self.drill,
        }  # fmt: skip


async def null_score(made: SelfTest, profile: Literal["store", "host"] = "store") -> None:
    """Run every example check of the profile on every null target; provider fixtures have a proof of their own."""
    known = clauses()
    musts = [
        check
        for check in all_checks(profile)
        if "providers" not in check.needs and check.kind == "example" and any(known[c].level == "MUST" for c in check.clauses if c in known)
    ]
    weak: set[str] = set()
    targets = null.targets() if profile == "store" else null_host.targets()
    for target in targets:
        standing = {c for check in musts for c in check.clauses if known[c].level == "MUST"}
        applied: set[str] = set()
        for check in musts:
            result = await execute(check, target, NULL_DEADLINE_S)
            made.null_runs += 1
            if result.verdict == "pass":
                weak.add(check.id)
            elif result.verdict != "not-applicable":
                standing -= set(check.clauses)
            if result.verdict != "not-applicable":
                applied |= set(check.clauses)
        if passed := sorted(standing & applied):
            made.null_passes[target.name] = passed
    made.weak = sorted({*made.weak, *weak})


def drill(name: str) -> str:
    """Judge one hostile store in a process of its own; says ``ok``, or what went wrong."""
    return _drilled("store", f"python:lash_conformance.targets.hostile:{name}", DRILL_SELECT, DRILL_BOUND_S)


def host_drill(name: str, *, outside: bool) -> str:
    """As `drill`, of a hostile host: in a child of the judge, or over the wire."""
    command = f"{shlex.quote(sys.executable)} -m lash_conformance.targets.hostile_host {name}"
    target = f"stdio:{command}" if outside else f"python:lash_conformance.targets.hostile_host:{name}"
    return _drilled("host", target, HOST_SELECT, HOST_BOUND_S)


def _drilled(profile: str, target: str, select: str, bound_s: float) -> str:
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "lash_conformance", "run", "--isolate", "--deadline", str(DRILL_DEADLINE_S),
            "--profile", profile, "--target", target, "--select", select, "--report", folder,
        ]  # fmt: skip
        started = time.perf_counter()
        try:
            done = subprocess.run(command, capture_output=True, timeout=bound_s, check=False)
        except subprocess.TimeoutExpired:
            return f"no end within {bound_s:g} s"
        seconds = time.perf_counter() - started
        verdicts = {
            event["verdict"] for event in read(Path(folder) / "events.jsonl") if event["event"] == "check"
        }
        if done.returncode != 1 or not verdicts or verdicts - {"error", "fail"}:
            return f"exit {done.returncode}, verdicts {sorted(verdicts)}: {done.stderr[-300:]!r}"
        return f"ok, exit 1 after {seconds:.1f} s"


def run(console: Console, *, with_drill: bool = True) -> SelfTest:
    """Run the null score, and the drill unless told not to."""
    made = SelfTest()
    warnings.simplefilter("ignore", RuntimeWarning)
    asyncio.run(null_score(made))
    asyncio.run(null_score(made, "host"))
    for target, passed in made.null_passes.items():
        console.print(f"{target} passes {', '.join(passed)}", style="red", highlight=False)
    console.print(
        f"targets that do nothing: {sum(map(len, made.null_passes.values()))} MUSTs pass in {made.null_runs} runs; "
        f"{len(made.weak)} checks pass on one of them, and no clause rests on such checks alone", soft_wrap=True,
    )
    for name in hostile.DRILL if with_drill else ():
        made.drill[name] = drill(name)
        console.print(f"hostile store {name}: {made.drill[name]}", highlight=False, soft_wrap=True)
    for outside, names in ((False, hostile_host.INSIDE), (True, hostile_host.OUTSIDE)) if with_drill else ():
        for name in names:
            told = f"host {name}{' over the wire' if outside else ''}"
            made.drill[told] = host_drill(name, outside=outside)
            console.print(f"hostile {told}: {made.drill[told]}", highlight=False, soft_wrap=True)
    console.print(
        "Sound: nothing passes on targets that do nothing, and every hostile target gets a verdict." if made.holds
        else "The suite is not sound: see what is named above.",
        style="green" if made.holds else "bold red",
    )  # fmt: skip
    return made
