"""The kill table, for people and as data."""

from typing import Any

from rich.console import Console
from rich.table import Table

from lash_conformance.kill import KillTable


def data(table: KillTable) -> dict[str, Any]:
    """The table as JSON data."""
    return {
        "holds": table.holds,
        "kills": [
            {
                "clause": kill.clause,
                "mutant": kill.mutant.name,
                "character": kill.mutant.character,
                "killed": kill.killed,
                "killers": [
                    {"check": r.check.id, "expected": r.expected, "found": r.found or r.reason}
                    for r in kill.killers
                ],
                "survived": [{"check": r.check.id, "verdict": r.verdict} for r in kill.others],
            }
            for kill in table.kills
        ],
        "baseline_failures": [{"check": r.check.id, "reason": r.reason} for r in table.baseline],
        "unproven": table.unproven,
        "weak": table.weak,
    }


def show(console: Console, table: KillTable) -> None:
    """Print which check detected what, what survived, and which clauses are unproven."""
    rows = Table(title="broken implementations", title_justify="left")
    for column in ("clause", "what is wrong", "detected by"):
        rows.add_column(column, overflow="fold")
    for kill in table.kills:
        killer = kill.killers[0].check.name if kill.killers else "[bold red]survived"
        rows.add_row(kill.clause, f"{kill.mutant.name}\n[dim]{kill.mutant.character}", killer)
    console.print(rows)
    killed = sum(kill.killed for kill in table.kills)
    clauses = {kill.clause for kill in table.kills}
    console.print(f"{killed} of {len(table.kills)} broken implementations detected, over {len(clauses)} clauses")
    for result in table.baseline:
        console.print(f"the correct implementation fails {result.check.id}: {result.reason}", style="red", markup=False)
    if table.unproven:
        console.print(f"no broken implementation of: {', '.join(table.unproven)}", style="red")
    if table.weak:
        console.print(f"checks that detect nothing (weak): {', '.join(table.weak)}", style="yellow")
    verdict = "Every MUST is proven." if table.holds else "Not proven: see the checks and clauses named above."
    if not table.kills:
        verdict = "No broken implementation was run, so nothing is proven; check the selection."
    console.print(verdict, style="green" if table.holds else "bold red")
