"""Targets that misbehave as programs: they hang, exit, raise or flood. Each must still get a verdict."""

import asyncio
import os
import signal
import sys
import time
from typing import Any

from lash_conformance.target import Place
from lash_conformance.targets.null import NullTarget

FLOOD_BYTES = 64 * 1024 * 1024
"""More than a pipe or a patient reader takes, less than a disk."""


def _hostile(name: str, act: Any) -> NullTarget:
    def answer(method: str, arguments: tuple[Any, ...]) -> Any:
        return act()

    return NullTarget(name, answer)


def sleeps() -> None:
    """For an hour."""
    time.sleep(3600)


def flood() -> None:
    """Both streams, then an error."""
    for _ in range(FLOOD_BYTES // 4096):
        sys.stdout.write("x" * 4095 + "\n")
        sys.stderr.write("y" * 4095 + "\n")
    raise RuntimeError("flooded both streams")


def errs() -> None:
    """As a bug does."""
    raise RuntimeError("a bug in the target")


def blocks() -> NullTarget:
    """Blocks the thread for an hour in every call."""
    return _hostile("blocks", sleeps)


def exits() -> NullTarget:
    """Ends the process with 0 in every call."""
    return _hostile("exits", lambda: os._exit(0))


def crashes() -> NullTarget:
    """Dies of a segmentation fault in every call."""
    return _hostile("crashes", lambda: os.kill(os.getpid(), signal.SIGSEGV))


def raises() -> NullTarget:
    """Raises an error that is not the contract's in every call."""
    return _hostile("raises", errs)


def floods() -> NullTarget:
    """Floods both streams, then raises."""
    return _hostile("floods", flood)


class AwaitsForever(NullTarget):
    """Never ends an await, and does not even open."""

    async def open(self, place: Place) -> Any:
        """Wait for an hour."""
        await asyncio.sleep(3600)


def awaits() -> AwaitsForever:
    """Hangs in ``open``, on the event loop."""
    return AwaitsForever("awaits", lambda method, arguments: None)


def quits() -> NullTarget:
    """Raises SystemExit in every call."""
    return _hostile("quits", lambda: sys.exit(0))


def strays() -> None:
    """As a library does that cancels what it runs and does not catch it."""
    raise asyncio.CancelledError


def cancels() -> NullTarget:
    """Lets a cancellation out of every call."""
    return _hostile("cancels", strays)


DRILL = ("blocks", "exits", "crashes", "raises", "floods", "awaits", "quits", "cancels")
