"""The commands about recorded providers: serve them, record new ones, check them."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lash_conformance.cli_outputs import usage

fixtures_app = typer.Typer(no_args_is_help=True, help="Check the recorded provider exchanges.")


@fixtures_app.command("check")
def check_fixtures(
    sdks: Annotated[bool, typer.Option(help="Validate frames against the types of the installed official SDKs")] = True,
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
    """Regenerate INDEX.json and fixture.schema.json from the files."""
    from lash_conformance.fixture import directory
    from lash_conformance.fixture_check import seal

    seal(directory())
    typer.echo(f"wrote {directory() / 'INDEX.json'}")


@fixtures_app.command("list")
def list_fixtures() -> None:
    """List every fixture with what it proves."""
    from lash_conformance.fixture import fixtures

    for made in fixtures().values():
        typer.echo(f"{made.id:56} {' '.join(made.covers)}\n    {made.proves}")


def replay_server(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one")] = 0,
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
        offered = dict(fixtures())
        if fixture is not None:
            made = read(fixture)
            offered[made.id] = made
        server = ReplayServer(port, offered=offered)
    except (FixtureFault, OSError) as err:
        raise usage(err) from err
    typer.echo(f"{len(offered)} fixtures at {server.url}; GET /_replay/fixtures lists them")
    try:
        server.serve_forever(poll_interval=0.1)
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()


def record(
    upstream: Annotated[str, typer.Option(help="The provider's base URL, for instance https://api.example.com")],
    out: Annotated[Path, typer.Option(help="Folder for captures, outside the repository")],
    marker: Annotated[
        list[str] | None, typer.Option(help="A secret of yours that must never be written; may be repeated")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one")] = 0,
) -> None:
    """Record a real provider: a proxy that keeps redacted exchanges. Needs your own key; never use it in CI.

    Point a client at the printed URL. Request bodies and all but a few headers are never kept; replies are
    redacted in memory before they are written.
    """
    import os

    from lash_conformance.recorder import RecordingProxy

    if not upstream.startswith(("https://", "http://")):
        raise typer.BadParameter(f"a base URL begins with https:// or http://, not {upstream!r}", param_hint="--upstream")
    if os.environ.get("CI"):
        raise usage("recording is for a person with a key, not for CI")
    try:
        proxy = RecordingProxy(upstream, out, markers=marker or (), port=port)
    except OSError as err:
        raise usage(err) from err
    typer.echo(f"recording {upstream} at {proxy.url}; stop with Ctrl-C")
    try:
        proxy.serve_forever(poll_interval=0.1)
    except KeyboardInterrupt:
        pass
    finally:
        proxy.settle()
        proxy.server_close()
    typer.echo(f"{len(proxy.written)} captures in {out}; promote them with lash-conformance promote")
    for fault in proxy.refused:
        typer.echo(f"not kept: {fault}")


def promote(
    captures: Annotated[list[Path], typer.Argument(help="Captures in the order of the exchanges")],
    name: Annotated[str, typer.Option("--id", help="dialect.mode.case, for instance openai-chat.stream.mine")],
    proves: Annotated[str, typer.Option(help="One sentence: what the fixture proves")],
    out: Annotated[Path, typer.Option(help="The fixtures' folder")] = Path("fixtures/providers"),
) -> None:
    """Turn reviewed captures into a fixture, to which you add calls and expectations."""
    from datetime import UTC, datetime

    from lash_conformance.recorder import promoted

    try:
        stamp = datetime.fromtimestamp(min(path.stat().st_mtime for path in captures), UTC).isoformat(timespec="seconds")
        made = promoted(captures, name=name, dialect=name.partition(".")[0], proves=proves, captured_at=stamp)
        path = out / made.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x") as file:
            file.write(made.model_dump_json(by_alias=True, exclude_defaults=True, indent=1) + "\n")
    except (ValueError, OSError) as err:
        raise usage(err) from err
    typer.echo(f"wrote {path}; read it, write its calls, then run lash-conformance fixtures index")


def sdks(
    out: Annotated[Path, typer.Option(help="File for the matrix as JSON")] = Path("report/sdk-matrix.json"),
) -> None:
    """Run the official SDKs, in Python and in Node, as clients of the replayer, on every fixture they can judge."""
    from lash_conformance.sdk_matrix import matrix, save, table

    console = Console()
    cells = list(matrix())
    console.print(table(cells))
    save(cells, out)
    judged = [cell for cell in cells if cell.verdict not in {"not judged", "absent"}]
    differing = [cell for cell in judged if cell.verdict == "differs"]
    for cell in cells:
        if cell.verdict == "absent":
            console.print(f"NOT RUN: {cell.client}: {cell.detail}", style="bold red", highlight=False, markup=False)
    console.print(f"{len(judged)} of {len(cells)} cells judged, {len(differing)} differ; {out}", highlight=False)
    if differing or not judged:
        raise typer.Exit(1)
