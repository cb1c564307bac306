"""The suite judged by itself: nothing passes on nothing, and hostile targets get a verdict in time."""

import asyncio
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from lash_conformance.catalogue import clauses
from lash_conformance.check import all_checks
from lash_conformance.execute import execute
from lash_conformance.log import read
from lash_conformance.targets import hostile, null

NULL_DEADLINE_S = 2.0
DRILL_DEADLINE_S = 2.0
DRILL_BOUND_S = 60.0
DRILL_SELECT = "LEA.1,STO.1"
"""A few checks are enough to see whether a hostile target is contained."""


@dataclass
class SelfTest:
    """What came of it."""

    null_passes: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """Checks of a MUST that passed, by null target."""
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
            "drill": self.drill,
        }  # fmt: skip


async def null_score(made: SelfTest) -> None:
    """Run every example check on every null target."""
    known = clauses()
    musts = [
        check
        for check in all_checks()
        if check.kind == "example" and any(known[c].level == "MUST" for c in check.clauses if c in known)
    ]
    for target in null.targets():
        for check in musts:
            result = await execute(check, target, NULL_DEADLINE_S)
            made.null_runs += 1
            if result.verdict == "pass":
                made.null_passes.setdefault(target.name, []).append(check.id)


def drill(name: str) -> str:
    """Judge one hostile target in a process of its own; says ``ok``, or what went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "lash_conformance", "run", "--isolate", "--deadline", str(DRILL_DEADLINE_S),
            "--target", f"python:lash_conformance.targets.hostile:{name}", "--select", DRILL_SELECT,
            "--report", folder,
        ]  # fmt: skip
        started = time.perf_counter()
        try:
            done = subprocess.run(command, capture_output=True, timeout=DRILL_BOUND_S, check=False)
        except subprocess.TimeoutExpired:
            return f"no end within {DRILL_BOUND_S:g} s"
        seconds = time.perf_counter() - started
        verdicts = {
            event["verdict"] for event in read(Path(folder) / "events.jsonl") if event["event"] == "check"
        }
        if done.returncode != 1 or verdicts != {"error"}:
            return f"exit {done.returncode}, verdicts {sorted(verdicts)}: {done.stderr[-300:]!r}"
        return f"ok, exit 1 after {seconds:.1f} s"


def run(console: Console, *, with_drill: bool = True) -> SelfTest:
    """Run the null score, and the drill unless told not to."""
    made = SelfTest()
    asyncio.run(null_score(made))
    for target, passed in made.null_passes.items():
        console.print(f"{target} passes {', '.join(passed)}", style="red", highlight=False)
    console.print(
        f"null score: {sum(map(len, made.null_passes.values()))} passes of a MUST in {made.null_runs} runs"
    )
    for name in hostile.DRILL if with_drill else ():
        made.drill[name] = drill(name)
        console.print(f"drill {name}: {made.drill[name]}", highlight=False)
    console.print(
        "Nothing passes on nothing, and every hostile target gets its verdict." if made.holds
        else "The suite is not sound: mend what is named above.",
        style="green" if made.holds else "bold red",
    )  # fmt: skip
    return made
