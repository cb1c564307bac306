"""The command line: ``lash-conformance``.

Exit codes: 0 conforms, 1 does not, 2 wrong usage or no target, 3 fault of the suite itself, 4 incomplete.
"""

import errno
import json
import shlex
import sys
import traceback
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lash_conformance.catalogue import EDITION, CatalogueFault, clauses
from lash_conformance.check import Profile
from lash_conformance.cli_bench import bench, soak
from lash_conformance.cli_fixtures import fixtures_app, promote, record, replay_server, sdks
from lash_conformance.cli_outputs import JsonFile, JunitFile, ReportFolder, outlive_reader, usage
from lash_conformance.cli_site import editions, keep, site
from lash_conformance.nearest import did_you_mean
from lash_conformance.select import selects_clause
from lash_ref import __version__

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich",
    help="Judge a lash store or host against the numbered clauses of the spec.",
    epilog="Exit codes: 0 conforms, 1 does not, 2 wrong usage or no target, 3 fault of the suite itself, 4 incomplete.",
)  # fmt: skip

JUDGE, READ, PROVE, ADAPT, PROVIDERS, SITE = (
    "Judge a store or a host", "Read the spec", "Prove the suite itself", "Connect your own implementation",
    "Provider recordings", "Publish results",
)  # fmt: skip
"""The groups in which ``--help`` lists the commands."""

UNUSABLE = frozenset((errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EACCES, errno.EPERM, errno.EROFS))
"""What is wrong with a file that was named, rather than with the machine."""

SelectOption = Annotated[
    str, typer.Option("--select", "-s", help="Clauses or checks, comma-separated patterns: 'LEA.*,STO.12'")
]


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"lash-conformance {__version__}, edition {EDITION}")
        raise typer.Exit


@app.callback()
def command(
    version: Annotated[bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Show the version and the edition of the spec, and exit")] = False,
) -> None:
    """Judge a lash store or host against the numbered clauses of the spec."""


@app.command(rich_help_panel=JUDGE)
def run(
    target: Annotated[
        str, typer.Option("--target", "-t", help="memory, sqlite, postgres[:DSN], stdio:COMMAND, reference[:STORE] or python:package.module:callable")
    ] = "",
    profile: Annotated[Profile, typer.Option(help="What is judged")] = "store",
    select: SelectOption = "*",
    known: Annotated[Path | None, typer.Option(help="Your TOML list of known failures, as `known --update` writes it")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything that is generated; the same seed gives the same run")] = 0,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Processes to judge with; by default one, and a second for the crash drill or a host's providers")
    ] = None,
    thorough: Annotated[bool, typer.Option("--thorough", help="Let the randomised searches run for minutes, not seconds")] = False,
    isolate: Annotated[
        bool, typer.Option("--isolate", help="Run the target in a child process, so that a crash or hang costs one check (stdio targets always are)")
    ] = False,
    deadline: Annotated[float, typer.Option(min=0.1, help="Seconds one check may take")] = 30.0,
    report: ReportFolder = Path("report"),
    json_file: JsonFile = None,
    junit: JunitFile = None,
) -> None:
    """Judge a store or a host and say, clause by clause, whether it conforms."""
    from lash_conformance import room
    from lash_conformance import run as running
    from lash_conformance.host import load as load_host
    from lash_conformance.known import KnownFault
    from lash_conformance.select import misspelt
    from lash_conformance.target import HarnessFault, StoreTarget, TargetFault, load
    from lash_conformance.terminal import Live, summary

    if faults := misspelt(select, profile):
        usage(f"--select: {'; '.join(faults)}")
        raise typer.Exit(4)
    target = target or ("reference" if profile == "host" else "sqlite")
    try:
        made_target = load_host(target) if profile == "host" else load(target)
        if not isinstance(made_target, StoreTarget):
            load(made_target.store)
        options = running.Options(
            target_name=target, target=made_target, select=select, known=known, seed=seed, jobs=jobs,
            thorough=thorough, isolate=isolate and not target.startswith("stdio:"), deadline_s=deadline, profile=profile,
        )  # fmt: skip
        planned = running.planned(options)
        room.on_disk()
        room.under_limits()
        console = Console()
        with (report / "events.jsonl").open("w", encoding="utf-8") as stream, Live(console, planned) as live:
            made = running.judge(options, stream, live)
    except (TargetFault, KnownFault, CatalogueFault, HarnessFault) as err:
        raise usage(err) from err
    running.write_all(made, report, json_file, junit)
    summary(console, made)
    console.print(f"report: {report / 'report.html'}", highlight=False, soft_wrap=True)
    raise typer.Exit(made.exit_code)


@app.command("clauses", rich_help_panel=READ)
def list_clauses(
    select: SelectOption = "*",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON on standard output")] = False,
    seeds: Annotated[
        bool, typer.Option("--seeds", help="List the seeds' APIs with their clauses and passing checks")
    ] = False,
    report: Annotated[
        Path, typer.Option(help="With --seeds: folder below which reports (report.json) say what passes")
    ] = Path("report"),
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Record that the checks of changed rules were reviewed")
    ] = False,
) -> None:
    """List the clauses of the spec."""
    if seeds:
        from lash_conformance import seeds as seeding

        raise typer.Exit(0 if seeding.show(Console(), report) else 1)
    from lash_conformance.catalogue import spec_directory
    from lash_conformance.explain import facts

    if confirm:
        hashes = {clause.id: clause.text_hash for clause in clauses().values()}
        (spec_directory() / "confirmed.json").write_text(json.dumps(hashes, indent=0) + "\n", encoding="utf-8")
        typer.echo(f"{len(hashes)} rules confirmed")
        return
    chosen = [clause for clause in clauses().values() if selects_clause(select, clause.id)]
    if as_json:
        typer.echo(json.dumps([facts(clause) for clause in chosen], indent=1, ensure_ascii=False))
    for clause in chosen if not as_json else []:
        typer.echo(f"{clause.id:8} {clause.level:6} {clause.rule}")
    if not chosen:
        raise usage(f"no clause matches {select!r}{did_you_mean(select, clauses())}")


@app.command(rich_help_panel=READ)
def explain(
    clause: Annotated[str, typer.Argument(help="A clause id, such as STO.12, or the name of a check")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON on standard output")] = False,
) -> None:
    """Show a clause with its reason, source, checks, the broken implementations that prove them, and code."""
    from lash_conformance import explain as explaining

    found = clauses().get(explaining.clause_named(clause))
    if found is None:
        raise usage(f"no clause {clause!r} (`lash-conformance clauses` lists them){did_you_mean(clause, explaining.names())}")
    if as_json:
        typer.echo(json.dumps(explaining.facts(found), indent=1, ensure_ascii=False))
        return
    explaining.show(Console(), found)


@app.command(rich_help_panel=PROVE)
def mutants(
    select: SelectOption = "*",
    json_file: JsonFile = None,
    searches: Annotated[
        bool, typer.Option(help="Also those that only a randomised search or a race finds: a minute or two")
    ] = True,
    crashes: Annotated[bool, typer.Option(help="Also those that only the crash drill finds: some minutes")] = True,
    examples: Annotated[bool, typer.Option(help="Also all others")] = True,
) -> None:
    """Run every deliberately broken implementation and say which check detects it."""
    from lash_conformance import kill
    from lash_conformance.kill_table import data, show

    console = Console()
    with console.status("running broken implementations …") as status:
        table = kill.run_sync(
            lambda clause: selects_clause(select, clause),
            lambda one: status.update(f"{one.clause} {one.mutant.name}"),
            examples=examples, searches=searches, crashes=crashes,
        )
    if json_file is not None:
        json_file.write_text(json.dumps(data(table), indent=1) + "\n", encoding="utf-8")
    show(console, table)
    if not table.kills:
        raise typer.Exit(4)
    raise typer.Exit(0 if table.holds else 1)


@app.command(rich_help_panel=PROVE)
def selftest(
    json_file: JsonFile = None,
    drill: Annotated[bool, typer.Option(help="Also run targets that hang, exit, raise and flood the output")] = True,
) -> None:
    """Prove that the suite can fail: stores that do nothing pass nothing, and hostile targets get a verdict."""
    from lash_conformance import selftest as testing

    made = testing.run(Console(), with_drill=drill)
    if json_file is not None:
        json_file.write_text(json.dumps(made.data(), indent=1) + "\n", encoding="utf-8")
    raise typer.Exit(0 if made.holds else 1)


@app.command(rich_help_panel=JUDGE)
def known(
    file: Annotated[Path, typer.Argument(help="TOML list of known failures")],
    update: Annotated[bool, typer.Option("--update", help="Rewrite the list from a run's event log")] = False,
    log: Annotated[Path, typer.Option(help="Event log of the run")] = Path("report/events.jsonl"),
    link: Annotated[str, typer.Option(help="Issue that new entries point to (needed for new entries)")] = "",
    days: Annotated[int, typer.Option(min=1, help="Days until new entries expire")] = 90,
) -> None:
    """Show a list of known failures, or rewrite it from a run."""
    from lash_conformance import known as knowing
    from lash_conformance.log import TruncatedLog, read

    try:
        entries = knowing.read(file) if file.exists() or not update else {}
        if update:
            renewed = knowing.update(entries, read(log), link, date.today() + timedelta(days=days))
            added = sorted(set(renewed) - set(entries))
            if any(not entry.link for entry in renewed.values()):
                raise usage("every entry needs an issue: give --link for the new or changed ones")
            knowing.write(file, renewed)
            typer.echo(f"{file}: {len(renewed)} entries, {len(added)} new, {len(set(entries) - set(renewed))} dropped")
            return
    except (knowing.KnownFault, TruncatedLog, OSError) as err:
        raise usage(err) from err
    for entry in entries.values():
        state = "expired" if entry.expires < date.today() else f"until {entry.expires}"
        typer.echo(f"{entry.check}  {state}  {entry.link}\n  {entry.reason}")


@app.command(rich_help_panel=JUDGE)
def diff(
    before: Annotated[Path, typer.Argument(help="Report of the earlier run: report.json, or its folder")],
    after: Annotated[Path, typer.Argument(help="Report of the later run")],
) -> None:
    """Name what got worse between two reports; exits with 1 if anything did."""
    from lash_conformance.compare import NoReport, compare, read, show

    try:
        found = compare(read(before), read(after))
    except (NoReport, OSError) as err:
        raise usage(err) from err
    show(Console(), found)
    raise typer.Exit(1 if found.regressions else 0)


@app.command(rich_help_panel=JUDGE)
def replay(
    trace: Annotated[Path, typer.Argument(help="A trace saved by a run")],
    target: Annotated[str, typer.Option("--target", "-t", help="As `run` takes it")] = "",
    profile: Annotated[Profile, typer.Option(help="Whose trace it is: a store's, or a host's life of a session")] = "store",
) -> None:
    """Repeat a trace saved by a run, step by step, against any target."""
    from lash_conformance.host import load as load_host
    from lash_conformance.life_search import MalformedLife
    from lash_conformance.target import Interruptible, TargetFault, load
    from lash_conformance.trace_replay import replay_file, replay_life
    from lash_conformance.transcript import MalformedTranscript

    try:
        if profile == "host":
            host = load_host(target or "reference")
            agreed = replay_life(Console(), trace, host, load(host.store))
            if isinstance(host, Interruptible):
                host.stop()
        else:
            agreed = replay_file(Console(), trace, load(target or "sqlite"))
    except (TargetFault, MalformedTranscript, MalformedLife, OSError) as err:
        raise usage(err) from err
    raise typer.Exit(0 if agreed else 1)


@app.command(rich_help_panel=ADAPT)
def schema(
    wire: Annotated[bool, typer.Option("--wire", help="The OpenRPC document of the wire protocol instead")] = False,
    profile: Annotated[Profile, typer.Option(help="With --wire: whose methods")] = "store",
) -> None:
    """Print the JSON Schema of the report, or of the wire protocol (as OpenRPC)."""
    from lash_conformance import host_openrpc, openrpc
    from lash_conformance import report as reporting

    document = host_openrpc.document if profile == "host" else openrpc.document
    typer.echo(json.dumps(document() if wire else reporting.schema(), indent=1))


@app.command(rich_help_panel=ADAPT)
def vectors(
    folder: Annotated[Path, typer.Argument(help="Where to write them")] = Path("fixtures/wire"),
) -> None:
    """Write test vectors of every record, valid and invalid, and the wire's OpenRPC document."""
    from lash_conformance import vectors as making

    typer.echo(f"{folder}: {making.write(folder)} files")


@app.command(rich_help_panel=ADAPT)
def init(
    language: Annotated[str, typer.Argument(help="python, node or rust")],
    folder: Annotated[Path, typer.Argument(help="An empty or new folder")],
) -> None:
    """Write a new adapter that runs at once, and fails until it is filled in."""
    from lash_conformance import scaffold

    try:
        made = scaffold.write(language, folder)
    except (scaffold.ScaffoldFault, OSError) as err:
        raise usage(err) from err
    target, needs = scaffold.LANGUAGES[language]
    for path in made:
        typer.echo(path)
    typer.echo(f"judge it there with: lash-conformance run --target {shlex.quote(target)} ({needs})")


@app.command(rich_help_panel=ADAPT)
def serve(
    target: Annotated[str, typer.Option("--target", "-t", help="memory, sqlite, postgres:DSN, reference, or python:package.module:callable")] = "",
    profile: Annotated[Profile, typer.Option(help="What is served")] = "store",
    store: Annotated[str, typer.Option(help="With --profile host: the store that its sessions live on")] = "sqlite",
) -> None:
    """Serve a Python store or host over the wire protocol, on standard input and output."""
    import os

    from lash_conformance import host_server, server
    from lash_conformance.host import load as load_host
    from lash_conformance.target import TargetFault, load

    if profile == "host":
        try:
            host_server.serve(load_host(target or "reference"), store)
        except TargetFault as err:
            raise usage(err) from err
        return
    target = target or "sqlite"
    if target == "postgres" and "LASH_CONFORMANCE_POSTGRES" not in os.environ:
        raise usage("name a server with postgres:DSN: each process of a target would start one of its own")
    try:
        made = load(target)
    except TargetFault as err:
        raise usage(err) from err
    server.serve(made)


for panel, command_of_panel in (
    (JUDGE, soak), (JUDGE, bench), (READ, editions), (PROVIDERS, replay_server), (PROVIDERS, record), (PROVIDERS, promote),
    (PROVIDERS, sdks), (SITE, keep), (SITE, site),
):  # fmt: skip
    app.command(rich_help_panel=panel)(command_of_panel)
app.add_typer(fixtures_app, name="fixtures", rich_help_panel=PROVIDERS)


def main() -> None:
    """The console script; a fault of the judge's own is no verdict, and has an exit code of its own."""
    outlive_reader()
    try:
        app()
    except Exception as err:
        if isinstance(err, OSError) and err.filename is not None and err.errno in UNUSABLE:
            typer.echo(f"lash-conformance: {err.filename} cannot be used: {err.strerror}", err=True)
            sys.exit(2)
        traceback.print_exc()
        typer.echo("lash-conformance: the harness itself failed; please report it with the lines above", err=True)
        sys.exit(3)
