"""The commands about recorded providers: serve them, record new ones, check them."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

fixtures_app = typer.Typer(no_args_is_help=True, help="Check the recorded provider exchanges.")


@fixtures_app.command("check")
def check_fixtures(
    sdks: Annotated[bool, typer.Option(help="Hold frames against the installed official SDKs' types")] = True,
) -> None:
    """Validate every fixture: format, bytes, index, clauses, secrets, and drift against the SDKs."""
    from lash_conformance.fixture import FixtureFault, fixtures
    from lash_conformance.fixture_check import faults

    console = Console()
    try:
        found = faults(sdks=sdks)
    except FixtureFault as err:
        found = [str(err)]
    for fault in found:
        console.print(fault, highlight=False, markup=False, soft_wrap=True)
    if found:
        raise typer.Exit(1)
    console.print(f"{len(fixtures())} fixtures hold", highlight=False)


@fixtures_app.command("index")
def index_fixtures() -> None:
    """Write INDEX.json and fixture.schema.json anew from the files."""
    from lash_conformance.fixture import directory
    from lash_conformance.fixture_check import seal

    seal(directory())
    typer.echo(f"wrote {directory() / 'INDEX.json'}")


@fixtures_app.command("list")
def list_fixtures() -> None:
    """Every fixture with what it proves."""
    from lash_conformance.fixture import fixtures

    for made in fixtures().values():
        typer.echo(f"{made.id:56} {' '.join(made.covers)}\n    {made.proves}")


def replay_server(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one")] = 0,
    fixture: Annotated[
        Path | None, typer.Option(help="Also serve this fixture file, for instance one just recorded")
    ] = None,
) -> None:
    """Serve the recorded providers on loopback to any language until interrupted.

    Use <url>/r/<any name>/<fixture id> as a client's base URL (with /v1 for OpenAI, /v1beta for Gemini);
    GET <url>/_replay/runs/<that name> tells whether the run was clean.
    """
    from lash_conformance.fixture import FixtureFault, fixtures, read
    from lash_conformance.replay_server import ReplayServer

    try:
        if fixture is not None:
            made = read(fixture)
            fixtures()[made.id] = made
        server = ReplayServer(port)
    except (FixtureFault, OSError) as err:
        Console(stderr=True).print(f"lash-conformance: {err}", style="bold red", highlight=False, markup=False)
        raise typer.Exit(2) from err
    typer.echo(f"{len(fixtures())} fixtures at {server.url}; GET /_replay/fixtures lists them")
    try:
        server.serve_forever(poll_interval=0.1)
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
