"""The commands that measure: costs, and what survives thousands of disturbed turns."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lash_conformance.cli_outputs import ReportFolder, usage


def bench(
    store: Annotated[str | None, typer.Option(help="memory, sqlite (the default), postgres, postgres:DSN, or python:package.module:callable; with --host also several, separated by commas")] = None,
    nodes: Annotated[str | None, typer.Option(help="History lengths to measure at; 10 to 100000 by default")] = None,
    host: Annotated[bool, typer.Option("--host", help="Measure turns of a host instead; langgraph too, where lash-ref[peers] is installed")] = False,
    target: Annotated[str, typer.Option(help="The host: reference, python:package.module:callable, or stdio:COMMAND, which is measured on its own store")] = "reference",
    turns: Annotated[int, typer.Option(min=8, help="With --host: turns of one conversation")] = 500,
    sessions: Annotated[int, typer.Option(min=1, help="With --host: sessions to hold in memory, live and then parked")] = 1000,
    wire: Annotated[bool, typer.Option("--wire", help="Compare the store in process with the same store over stdio")] = False,
    providers: Annotated[
        bool, typer.Option("--providers", help="Measure how fast provider streams are read, by us and by the official SDKs")
    ] = False,
    report: ReportFolder = Path("report"),
) -> None:
    """Measure how the store's costs grow with the history, and what durability, the wire, a host's turns or a provider's stream cost."""
    from lash_conformance import benchmark
    from lash_conformance.target import TargetFault, load

    if providers:
        from lash_conformance import provider_bench

        speeds = provider_bench.measure()
        Console().print(provider_bench.table(speeds))
        provider_bench.save(speeds, report)
        typer.echo(f"report: {report / 'providers.svg'}")
        return
    if host:
        from lash_conformance import host_cost
        from lash_conformance.host import load as load_host

        try:
            sizes = [int(size) for size in (nodes or "10,1000,100000").split(",")]
            measured_host = load_host(target)
            stores = [load(name) for name in host_cost.stores_of(measured_host, store)]
            costs = host_cost.run(Console(), measured_host, stores, sizes, turns=turns, sessions=sessions)
        except (TargetFault, ValueError) as err:
            raise usage(err) from err
        host_cost.save(costs, report)
        typer.echo(f"report: {report / 'bench-host.html'}")
        return
    store = store or "sqlite"
    if wire:
        from lash_conformance import wire_cost
        from lash_conformance.targets.stdio import StdioTarget

        try:
            outside = StdioTarget(f"lash-conformance serve --target '{store}'")
            costs = wire_cost.measure(load(store), outside)
        except TargetFault as err:
            raise usage(err) from err
        outside.stop()
        wire_cost.show(Console(), costs)
        return
    try:
        sizes = [int(size) for size in (nodes or "10,100,1000,10000,100000").split(",")]
        measured = benchmark.run(Console(), load(store), sizes)
    except (TargetFault, ValueError) as err:
        raise usage(err) from err
    benchmark.save(measured, report)
    typer.echo(f"report: {report / 'bench.html'}")


def soak(
    target: Annotated[str, typer.Option(help="The host: reference, or python:package.module:callable")] = "reference",
    store: Annotated[str, typer.Option(help="The store its sessions live on")] = "sqlite",
    turns: Annotated[int, typer.Option(min=1)] = 10_000,
    seed: Annotated[int, typer.Option()] = 0,
    minutes: Annotated[float | None, typer.Option(help="Stop after this many minutes; what ran until then is judged")] = None,
    report: ReportFolder = Path("report"),
) -> None:
    """Run thousands of turns disturbed by cancels, parks, kills and lost leases, and check what survives."""
    from rich.progress import Progress

    from lash_conformance import soak as soaking
    from lash_conformance.host import load as load_host
    from lash_conformance.target import TargetFault, load

    try:
        host, under = load_host(target), load(store)
    except TargetFault as err:
        raise usage(err) from err
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("turns", total=turns)
        done = soaking.run(
            host, under, turns=turns, seed=seed, minutes=minutes,
            told=lambda count: progress.update(task, completed=count),
        )  # fmt: skip
    soaking.save(done, report)
    typer.echo(done.line())
    raise typer.Exit({"failed": 1, "interrupted": 4}.get(done.ended, 0))
