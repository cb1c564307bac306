"""What a command writes and where: what cannot be written to is refused before any work is done for it."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lash_conformance.shown import visible


def usage(message: object) -> typer.Exit:
    """The exit of a command that was used wrongly, or whose target could not be made; the message goes to standard error."""
    told = visible(f"lash-conformance: {message}")
    Console(stderr=True).print(told, style="bold red", highlight=False, markup=False)
    return typer.Exit(2)


def _beneath(path: Path | None) -> Path | None:
    if path is not None:
        _folder(path.parent)
    return path


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise typer.BadParameter(f"nothing can be written there: {err}") from err
    return path


JsonFile = Annotated[Path | None, typer.Option("--json", help="Also write the result as JSON to this file", callback=_beneath)]
JunitFile = Annotated[Path | None, typer.Option("--junit", help="Also write JUnit XML to this file", callback=_beneath)]
ReportFolder = Annotated[Path, typer.Option("--report", help="Folder for what was found: log, JSON, page, plots, traces", callback=_folder)]
