"""What a run shows while it goes and when it ends: colours and a bar on a terminal, plain lines elsewhere."""

from collections import Counter
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from lash_conformance import crash_map
from lash_conformance.execute import VERDICTS, Verdict
from lash_conformance.report import CheckReport, Report, alike, found_most

STYLES: dict[Verdict, str] = {
    "pass": "green", "not-applicable": "dim", "known-failure": "yellow", "fail": "bold red",
    "unknown": "magenta", "error": "bold red", "not-run": "magenta",
}  # fmt: skip


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
    """The first failures in full, each of its own kind, what was found most, the table by area, and the advice."""
    kinds = alike(report)[:shown]
    for one in kinds:
        failure(console, one.checks[0], report)
    red = sum(report.check_counts.get(v, 0) for v in ("fail", "error"))
    if red > len(kinds):
        console.print(f"\n… and {red - len(kinds)} more in the report", style="dim")
    if most := found_most(report):
        console.print("\nwhat more than one check found", style="bold")
        for one in most:
            console.print(Text(f"  {len(one.checks):4} checks  ", "dim") + Text(one.found), soft_wrap=True)
        console.print()
    table = Table(title=f"{report.target.name} {report.target.version}: clauses by verdict", title_justify="left")
    table.add_column("area")
    columns: list[Verdict] = [v for v in VERDICTS if report.clause_counts.get(v)]
    for verdict in columns:
        table.add_column(verdict, justify="right", style=STYLES[verdict])
    for area in report.areas:
        table.add_row(area.area, *(str(area.counts.get(v, "")) for v in columns))
    table.add_section()
    table.add_row("all", *(str(report.clause_counts.get(v, "")) for v in columns))
    console.print(table)
    counted = ", ".join(f"{report.check_counts[v]} {v}" for v in VERDICTS if v in report.check_counts)
    console.print(f"{len(report.checks)} checks: {counted or 'none'}")
    console.print(
        f"{report.seconds:.1f} s: {report.target_seconds:.1f} s inside the target, {report.harness_seconds:.1f} s in the "
        f"harness{', beside one another' if report.beside else ''}; seed {report.seed}"
    )
    for line in crash_map.lines(report):
        console.print(line, highlight=False, soft_wrap=True)
    for problem in report.problems:
        console.print(f"problem: {problem}", style="red")
    console.print(report.advice, style="green" if report.exit_code == 0 else "bold red")


def failure(console: Console, check: CheckReport, report: Report) -> None:
    """One failure as an implementer reads it."""
    rules = {clause.id: clause.rule for clause in report.clauses}
    head = f"{check.verdict.upper()} {check.clauses[0]}  {check.id.partition(':')[2]}"
    console.print(Text(f"\n{head}", STYLES[check.verdict]))
    rows = [("rule", rules.get(check.clauses[0], "")), ("expected", check.expected)]
    rows += [("found", check.found or check.reason), ("note", check.note), ("at", check.where)]
    start = max(0, len(check.lines) - 10)
    for number, line in enumerate(check.lines[start:], start=start + 1):
        rows.append(("trace" if number == start + 1 else "", f"{number} {line}"))
    profile = "" if report.profile == "store" else f"--profile {report.profile} "
    target = f"{profile}--target '{report.target.given}' "
    rows.append(("rerun", f"lash-conformance run {target}--select '{check.id}' --seed {report.seed}"))
    for name, text in rows:
        if text:
            console.print(Text(f"  {name:9}", "dim") + Text(text), soft_wrap=True)
