"""Output of commands: files are checked to be writable before any work is done, and errors of usage are one line."""

import io
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from lash_conformance.shown import visible

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def usage(message: object) -> typer.Exit:
    """The exit of a command that was used wrongly, or whose target could not be made; the message goes to standard error."""
    if isinstance(message, OSError) and message.filename is not None:
        message = f"{message.filename}: {message.strerror}"
    told = visible(f"lash-conformance: {message}")
    Console(stderr=True).print(told, style="bold red", highlight=False, markup=False, soft_wrap=True)
    return typer.Exit(2)


class _Abandonable(io.FileIO):
    """A pipe whose reader may leave; what is written afterwards is dropped."""

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return len(memoryview(data).cast("B"))


def outlive_reader() -> None:
    """Let a command go on when the reader of its output leaves, as ``head`` does: its files and its exit code still tell."""
    try:
        piped = stat.S_ISFIFO(os.fstat(sys.stdout.fileno()).st_mode)
    except (OSError, ValueError, AttributeError):  # closed, or no file at all
        return
    if piped:
        raw = io.BufferedWriter(_Abandonable(sys.stdout.fileno(), "wb", closefd=False))
        sys.stdout = io.TextIOWrapper(raw, encoding=sys.stdout.encoding, errors=sys.stdout.errors, write_through=True)


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
ReportFolder = Annotated[Path, typer.Option("--report", help="Folder for the results: event log, JSON, HTML page, plots, traces", callback=_folder)]
