"""A watchdog: a target that blocks the thread of this process is interrupted, so that the judge never hangs."""

import asyncio
import signal
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

TICK_S = 1.0
GRACE = 10
"""How many ticks longer than its deadline the thread may be blocked: the event loop's deadline, and a child that is killed,
come first."""


class Blocked(BaseException):
    """The thread was blocked; nothing but the judge is to catch this."""


@asynccontextmanager
async def watched(deadline_s: float) -> AsyncGenerator[None]:
    """Raise `Blocked` wherever the thread is when the event loop had no turn for longer than ``deadline_s``.

    Ticks are counted and not time, because a machine may be suspended. Off the main thread nothing is watched.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return
    silent = 0

    def tick(signum: int, frame: object) -> None:  # noqa: ARG001 - the signature of a handler
        nonlocal silent
        silent += 1
        if silent * TICK_S > deadline_s + GRACE * TICK_S:
            silent = 0
            raise Blocked

    async def beat() -> None:
        nonlocal silent
        while True:
            silent = 0
            await asyncio.sleep(TICK_S / 2)

    before = signal.signal(signal.SIGALRM, tick)
    signal.setitimer(signal.ITIMER_REAL, TICK_S, TICK_S)
    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
