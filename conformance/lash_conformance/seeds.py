"""The seeds' APIs: which clauses reach each, and which of their checks pass."""

from pathlib import Path

from rich.console import Console

from lash_conformance.catalogue import clauses, seed_apis
from lash_conformance.check import all_checks
from lash_conformance.report import load


def passing(folder: Path) -> set[str]:
    """Ids of the checks that pass in every report below the folder that judged them."""
    verdicts: dict[str, set[str]] = {}
    for path in sorted(folder.rglob("report.json")):
        for check in load(path).checks:
            if check.verdict != "not-applicable":
                verdicts.setdefault(check.id, set()).add(check.verdict)
    return {check for check, found in verdicts.items() if found == {"pass"}}


def reached() -> dict[str, tuple[list[str], list[str]]]:
    """Clauses and checks by seed API."""
    made: dict[str, tuple[list[str], list[str]]] = {}
    for seed in seed_apis():
        mine = [clause.id for clause in clauses().values() if seed.id in clause.seeds]
        checks = [check.id for check in all_checks() if set(check.clauses) & set(mine)]
        made[seed.id] = mine, checks
    return made


def show(console: Console, folder: Path) -> bool:
    """Print every seed API with its clauses and passing checks; whether each has at least one."""
    passed = passing(folder)
    open_: list[str] = []
    found = reached()
    for seed in seed_apis():
        mine, checks = found[seed.id]
        good = [check for check in checks if check in passed]
        console.print(f"{seed.id:6} {seed.api}", markup=False, highlight=False)
        console.print(f"       clauses {', '.join(mine) or 'none'}", markup=False, highlight=False)
        console.print(f"       passing {', '.join(good) or 'none'}", markup=False, highlight=False)
        if not good:
            open_.append(seed.id)
    done = len(found) - len(open_)
    console.print(f"{done} of {len(found)} APIs of the seeds have a passing check in {folder}", markup=False)
    if open_:
        console.print(f"without: {', '.join(open_)}", style="red")
    return not open_
