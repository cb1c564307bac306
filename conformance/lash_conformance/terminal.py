"""What a run shows while it goes and when it ends: colours and a bar on a terminal, plain lines elsewhere."""

from collections import Counter
from textwrap import indent
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from lash_conformance import crash_map
from lash_conformance.catalogue import AREAS
from lash_conformance.execute import VERDICTS, Verdict
from lash_conformance.report import CheckReport, Report, alike, found_most, rerun, searches
from lash_conformance.shown import shortened

STYLES: dict[Verdict, str] = {
    "pass": "green", "not-applicable": "dim", "known-failure": "yellow", "fail": "bold red",
    "unknown": "magenta", "error": "bold red", "not-run": "magenta",
}  # fmt: skip

PROBLEMS = 10
TRACE_LINES = 6
"""How much of a trace a terminal shows; what came last is what failed."""


class Live:
    """Progress of a run of ``total`` checks."""

    def __init__(self, console: Console, total: int) -> None:
        self.console = console
        self.total = total
        self.counts: Counter[str] = Counter()
        self.areas: set[str] = set()
        self.bar = Progress(
            TextColumn("[bold]{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("{task.fields[tally]}"), console=console, transient=True,
        )  # fmt: skip
        self.task = self.bar.add_task("judging", total=total, tally="")

    def __enter__(self) -> "Live":
        if self.console.is_terminal:
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def __call__(self, event: dict[str, Any]) -> None:
        """One check has its verdict."""
        self.counts[event["verdict"]] += 1
        area = str(event["id"]).partition(".")[0]
        if self.console.is_terminal:
            red = self.counts["fail"] + self.counts["error"]
            self.bar.update(self.task, advance=1, description=area, tally=f"{red} red" if red else "")
        elif area not in self.areas:
            self.areas.add(area)
            self.console.print(f"judging {area} ({sum(self.counts.values())} of {self.total})")
        if event["verdict"] in ("fail", "error"):
            self.console.print(Text(f"{event['verdict']:5} {event['id']}", STYLES[event["verdict"]]))


def summary(console: Console, report: Report, *, shown: int = 10) -> None:
    """The first failures in full, each with another finding, findings that repeat, the table by area, and the advice."""
    kinds = alike(report)[:shown]
    for one in kinds:
        failure(console, one.checks[0], report)
    red = sum(report.check_counts.get(v, 0) for v in ("fail", "error"))
    if red > len(kinds):
        console.print(f"\n… and {red - len(kinds)} more in the report", style="dim")
    if most := found_most(report):
        console.print("\nsame finding in several checks, perhaps one cause", style="bold")
        for one in most:
            console.print(Text(f"  {len(one.checks):4} checks  ", "dim") + Text(shortened(one.found)), soft_wrap=True)
    if report.checks:
        console.print()
        _table(console, report)
    if note := searches(report):
        console.print(note, style="dim", soft_wrap=True)
    counted = ", ".join(f"{report.check_counts[v]} {v}" for v in VERDICTS if v in report.check_counts)
    console.print(f"{len(report.checks)} checks: {counted or 'none'}")
    parallel = ", in parallel" if report.parallel else ""
    console.print(
        f"{report.seconds:.1f} s: {report.target_seconds:.1f} s inside the target, {report.harness_seconds:.1f} s in the "
        f"harness{parallel}; seed {report.seed}", soft_wrap=True,
    )  # fmt: skip
    for line in crash_map.lines(report):
        console.print(line, highlight=False, soft_wrap=True)
    for problem in report.problems[:PROBLEMS]:
        console.print(f"problem: {problem}", style="red", markup=False, soft_wrap=True)
    if more := len(report.problems[PROBLEMS:]):
        console.print(f"… and {more} more problems in the report", style="red", markup=False)
    console.print(report.advice, style="green" if report.exit_code == 0 else "bold red", markup=False, soft_wrap=True)


def _table(console: Console, report: Report) -> None:
    table = Table(title=f"{report.target.name} {report.target.version}: clauses by verdict", title_justify="left")
    table.add_column("area")
    columns: list[Verdict] = [v for v in VERDICTS if report.clause_counts.get(v)]
    for verdict in columns:
        table.add_column(verdict, justify="right", style=STYLES[verdict])
    for area in report.areas:
        table.add_row(f"{area.area}  {AREAS[area.area]}", *(str(area.counts.get(v, "")) for v in columns))
    table.add_section()
    table.add_row("all", *(str(report.clause_counts.get(v, "")) for v in columns))
    console.print(table)


def failure(console: Console, check: CheckReport, report: Report) -> None:
    """One failure as an implementer reads it."""
    rules = {clause.id: clause.rule for clause in report.clauses}
    head = f"{check.verdict.upper()} {check.clauses[0]}  {check.id.partition(':')[2]}"
    console.print(Text(f"\n{head}", STYLES[check.verdict]))
    rows = [("rule", rules.get(check.clauses[0], "")), ("expected", check.expected)]
    rows += [("found", check.found or check.reason), ("note", check.note), ("at", check.where)]
    start = max(0, len(check.lines) - TRACE_LINES)
    if start:
        rows.append(("trace", f"the last {TRACE_LINES} of {len(check.lines)} steps; report.html has all, whole"))
    for number, line in enumerate(check.lines[start:], start=start + 1):
        rows.append(("trace" if number == 1 else "", f"{number} {shortened(line)}"))
    rows.append(("rerun", rerun(check, report)))
    for name, text in rows:
        if text:
            console.print(Text(f"  {name:9}", "dim") + Text(indent(text, " " * 11).lstrip()), soft_wrap=True)
