"""The commands that keep results, write the site and compare editions of the law."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lash_conformance.catalogue import CatalogueFault
from lash_conformance.cli_outputs import usage


def keep(
    result: Annotated[Path, typer.Argument(help="report.json of a run, the JSON of mutants, or a file of bench")],
    kept: Annotated[Path, typer.Argument(help="Where to store it, such as docs/results/postgres.json")],
    version: Annotated[list[str] | None, typer.Option("--with", help="A version to record, as name=version; may be repeated")] = None,
) -> None:
    """Store a result for the site: what its pages need, with the date, versions and the hash of every rule."""
    from lash_conformance import stored_results

    given = [one.partition("=") for one in version or ()]
    if any(not name or not value for name, _, value in given):
        raise usage("--with takes name=version, such as node=v22.1.0")
    try:
        kind = stored_results.keep(result, kept, {name: value for name, _, value in given})
    except stored_results.NotKept as err:
        raise usage(err) from err
    typer.echo(f"{kept}: {kind}")


def site(
    folder: Annotated[Path, typer.Argument(help="Where the pages go; it is emptied first")] = Path("build/docs"),
    root: Annotated[Path, typer.Option(help="The checkout, whose docs folder holds the written pages")] = Path(),
    reports: Annotated[
        list[Path] | None, typer.Option(help="Folder of reports to join; may be repeated")
    ] = None,
) -> None:
    """Write the pages of the site: every clause with its evidence, joined from data."""
    from lash_conformance.editions import EditionFault
    from lash_conformance.site import build
    from lash_conformance.site.evidence import SiteFault

    if not (root / "docs" / "index.md").is_file():
        raise usage(f"no docs/index.md below {root.resolve()}: the site is built from a checkout")
    try:
        made = build.write(root.resolve(), folder, [one.resolve() for one in reports or ()])
    except (SiteFault, CatalogueFault, EditionFault) as err:
        raise usage(err) from err
    typer.echo(f"{folder}: {made} pages")


def editions(
    before: Annotated[str, typer.Argument(help="The earlier edition, or the path of its file; if not given, editions are listed")] = "",
    after: Annotated[str, typer.Argument(help="The later edition; `law` is the spec as it stands")] = "law",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON on standard output")] = False,
    freeze: Annotated[bool, typer.Option("--freeze", help="Freeze the spec as it stands as its edition")] = False,
    again: Annotated[bool, typer.Option("--again", help="With --freeze: overwrite an edition that was not published yet")] = False,
) -> None:
    """List the frozen editions of the spec, or say clause by clause what changed between two."""
    from lash_conformance import editions as frozen

    try:
        if freeze:
            typer.echo(f"{frozen.freeze(datetime.now(UTC).date(), again=again)}: frozen")
            return
        if not before:
            for one in frozen.frozen():
                typer.echo(f"{one.name}  frozen {one.frozen}  {len(one.clauses)} clauses")
            return
        old, new = frozen.named(before), frozen.named(after)
    except frozen.EditionFault as err:
        raise usage(err) from err
    if as_json:
        found = {"before": old.name, "after": new.name} | asdict(frozen.compare(old, new))
        typer.echo(json.dumps(found, indent=1))
    else:
        frozen.show(Console(), old, new)
