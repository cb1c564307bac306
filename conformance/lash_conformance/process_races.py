"""Races between processes: a store whose locks and caches belong to its process passes every race inside one process."""

import asyncio
from collections.abc import Sequence

from lash_conformance import fork_server
from lash_conformance.bench import Bench, scratch
from lash_conformance.race import Round, raced
from lash_conformance.targets.stdio import StdioTarget
from lash_conformance.victim import BOUNDS, Launch, served
from lash_conformance.vocabulary import Inapplicable, Unexpected


async def raced_across_processes(bench: Bench, once: Round, rounds: Sequence[Round], clients: int) -> None:
    """Run rounds whose clients have processes of their own, the first ``once``; judge each history.

    Raises:
        Inapplicable: no second process may have a place open.
        Unexpected: a history is not linearizable.
    """
    how = served(bench.target, bench.given)
    if how is None:
        raise Inapplicable("the target has no name by which a process of its own could run it: give it with --target")
    target = await asyncio.to_thread(_apart, how)
    own = Bench(target, scratch())
    try:
        if target.share < 2:
            raise Inapplicable("the target lets one process at a time open a place")
        await raced(own, once, clients, times=1)
        for round_ in rounds:
            await raced(own, round_, clients)
    except Unexpected:
        bench.trace.steps = own.trace.steps
        raise
    finally:
        bench.trace.target_seconds += own.trace.target_seconds
        await own.remove()
        await asyncio.to_thread(target.stop)


def _apart(how: Launch) -> StdioTarget:
    loaded = fork_server.of(how.given) if how.given else None
    if loaded is None:
        return StdioTarget(how.command, BOUNDS)

    def launch() -> fork_server.Forked:
        forked = loaded.fork()
        forked.begin()
        return forked

    return StdioTarget(how.command, BOUNDS, launch)
