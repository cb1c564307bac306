"""Hosts that misbehave as programs or lie about what they did. Each must still get a verdict.

In process they are judged in a child; ``python -m lash_conformance.targets.hostile_host NAME`` puts one behind
the wire, where it can also spoil the line.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from lash_conformance.host import CoreSpec, HostPlace
from lash_conformance.host_server import HostServer, serve
from lash_conformance.targets import hostile, null_host
from lash_conformance.targets.null_host import NullHost
from lash_conformance.wire import Request

WRONG_LINE = b"turn begins ...\n"


def _acting(name: str, act: Callable[[], Any]) -> NullHost:
    def answer(method: str, arguments: tuple[Any, ...]) -> Any:
        return act()

    return NullHost(name, answer)


def blocks() -> NullHost:
    """Blocks the thread for an hour in every turn."""
    return _acting("blocks", hostile.sleeps)


def exits() -> NullHost:
    """Ends the process with 0 in every turn."""
    return _acting("exits", lambda: os._exit(0))


def crashes() -> NullHost:
    """Dies of a segmentation fault in every turn."""
    return _acting("crashes", lambda: os.kill(os.getpid(), signal.SIGSEGV))


def raises() -> NullHost:
    """Raises an error that is not the contract's in every turn."""
    return _acting("raises", hostile.errs)


def quits() -> NullHost:
    """Raises SystemExit in every turn."""
    return _acting("quits", lambda: sys.exit(0))


def cancels() -> NullHost:
    """Lets a cancellation out of every turn."""
    return _acting("cancels", hostile.strays)


def floods() -> NullHost:
    """Floods both streams, then raises."""
    return _acting("floods", hostile.flood)


class AwaitsForever(NullHost):
    """Never gets a core built."""

    async def core(self, place: HostPlace, spec: CoreSpec) -> Any:
        """Wait for an hour."""
        await asyncio.sleep(3600)


def awaits() -> AwaitsForever:
    """Hangs at the start of every core, on the event loop."""
    return AwaitsForever("awaits", lambda method, arguments: None)


def lies() -> NullHost:
    """Answers every turn as if it had gone well, and does nothing."""
    return next(made for made in null_host.targets() if made.name == "pleasant")  # pyright: ignore[reportReturnType]


class Garbles(HostServer):
    """Prints into the answers of its turns."""

    async def result(self, request: Request) -> Any:
        """Whatever it is, with a line before it."""
        if request.method.startswith("session."):
            self.send(WRONG_LINE)
        return await super().result(request)


INSIDE = ("blocks", "exits", "crashes", "raises", "quits", "cancels", "floods", "awaits", "lies")
"""Judged in process, in a child of the judge."""
OUTSIDE = ("exits", "raises", "cancels", "floods", "awaits", "lies", "garbles")
"""Judged over the wire."""

if __name__ == "__main__":
    named = sys.argv[1]
    serve(lies() if named == "garbles" else globals()[named](), "sqlite", Garbles if named == "garbles" else HostServer)
