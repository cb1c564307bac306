"""Two reports side by side: what got worse, what got better, what is new."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from lash_conformance.execute import VERDICTS
from lash_conformance.report import Report, load

_GOOD = ("pass", "not-applicable", "known-failure")


class NoReport(Exception):
    """A file that was given as a report is none."""


def read(path: Path) -> Report:
    """The report at a path: ``report.json``, or the folder that holds it.

    Raises:
        NoReport: the file is of another form.
    """
    file = path / "report.json" if path.is_dir() else path
    try:
        return load(file)
    except ValidationError as err:
        fault = err.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise NoReport(f"{file} is no report.json of a run: {where or 'text'}: {fault['msg']}") from err
    except UnicodeDecodeError as err:
        raise NoReport(f"{file} is no report.json of a run: {err}") from err


@dataclass(frozen=True)
class Difference:
    """Check ids by what became of them, each with its verdicts before and after."""

    regressions: tuple[tuple[str, str, str], ...]
    fixes: tuple[tuple[str, str, str], ...]
    other: tuple[tuple[str, str, str], ...]


def compare(before: Report, after: Report) -> Difference:
    """What changed; a check that is gone, or that passed and no longer applies, is a regression."""
    old = {check.id: check.verdict for check in before.checks}
    new = {check.id: check.verdict for check in after.checks}
    worse: list[tuple[str, str, str]] = []
    better: list[tuple[str, str, str]] = []
    other: list[tuple[str, str, str]] = []
    for check in dict.fromkeys((*old, *new)):
        was, now = old.get(check, "absent"), new.get(check, "absent")
        row = (check, was, now)
        if was == now:
            continue
        if was == "absent":
            (other if now in _GOOD else worse).append(row)
        elif now == "absent" or (now not in VERDICTS[:1] and VERDICTS.index(was) < VERDICTS.index(now)):
            worse.append(row)
        else:
            better.append(row)
    return Difference(tuple(worse), tuple(better), tuple(other))


def show(console: Console, found: Difference) -> None:
    """Print the difference, worst first."""
    for title, rows, style in (
        ("worse", found.regressions, "bold red"),
        ("better", found.fixes, "green"),
        ("new", found.other, "dim"),
    ):
        for check, was, now in rows:
            console.print(f"{title:7} {check}: {was} -> {now}", style=style, highlight=False, soft_wrap=True)
    console.print(
        f"{len(found.regressions)} worse, {len(found.fixes)} better, {len(found.other)} new", highlight=False
    )
