"""Fault injection between a core and its stores: calls are counted, made to fail, or blocked.

A core that stands still at a commit is what can be killed at just that moment: what the store did stays done,
and nothing of the core reaches it any more. A core in the judge's process dies by its line being cut; one in
a process of its own really dies.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from lash_ref.contracts import SessionStoreFactory
from lash_ref.errors import Backend

COMMIT = "commit_runtime_state"
CUT_OFF = "the judge cut the store off"
Side = Literal["before", "after"]
"""Whether a commit is stopped before the store has it, or after, before the core hears the answer."""


@dataclass(frozen=True)
class Sent:
    """One call that a core made to a store."""

    on: str
    """``factory``, or ``store[s1]``."""
    method: str
    arguments: tuple[Any, ...]


class Line(Protocol):
    """Fault injection, in this process or over the wire."""

    dead: bool
    """Whether the core was killed."""

    async def fail(self, *methods: str) -> None:
        """From now on these store methods fail with a Backend error; no names ends all faults."""
        ...

    async def halt(self, side: Side, number: int) -> None:
        """Block the ``number``-th commit from now on."""
        ...

    async def halted(self) -> None:
        """Return once the core is blocked at that commit."""
        ...

    async def go_on(self) -> None:
        """Unblock the commit."""
        ...

    async def sent(self) -> list[Sent]:
        """The calls that the core made to its stores since the last time, in order."""
        ...

    async def bury(self) -> None:
        """Stop whatever of a killed core still runs."""
        ...


class Power:
    """Fault injection in the process that holds the stores."""

    def __init__(self, tier: str | None = None) -> None:
        self.tier = tier
        """The durability that the factory reports, when the judge overrides it."""
        self.dead = False
        self._buried = False
        self._calls: list[Sent] = []
        self._failing: frozenset[str] = frozenset()
        self._halt: tuple[Side, int] | None = None
        self._standing = asyncio.Event()
        self._free = asyncio.Event()

    async def fail(self, *methods: str) -> None:
        """As `Line.fail`."""
        self._failing = frozenset(methods)

    async def halt(self, side: Side, number: int) -> None:
        """As `Line.halt`."""
        self._halt = (side, number)
        self._standing.clear()
        self._free.clear()

    async def halted(self) -> None:
        """As `Line.halted`."""
        await self._standing.wait()

    async def go_on(self) -> None:
        """As `Line.go_on`."""
        self._free.set()

    async def sent(self) -> list[Sent]:
        """As `Line.sent`."""
        made, self._calls = self._calls, []
        return made

    async def bury(self) -> None:
        """As `Line.bury`."""
        self._buried = True

    async def passing(self, call: Sent, made: Callable[[], Awaitable[Any]]) -> Any:
        """Pass one call on, unless it is to fail or to block."""
        self._calls.append(call)
        await self._lives()
        struck: Side | None = None
        if call.method == COMMIT and self._halt is not None:
            side, left = self._halt
            struck = side if left == 1 else None
            self._halt = None if struck else (side, left - 1)
        if struck == "before":
            await self._stand()
        if call.method in self._failing:
            raise Backend(CUT_OFF)
        if call.method == "durability_tier" and self.tier:
            return self.tier
        answer = await made()
        if struck == "after":
            await self._stand()
        await self._lives()
        return answer

    async def _stand(self) -> None:
        self._standing.set()
        await self._free.wait()
        await self._lives()

    async def _lives(self) -> None:
        """Do nothing more once the core is dead."""
        if self._buried:
            raise asyncio.CancelledError
        if self.dead:
            await asyncio.Event().wait()


class Watched:
    """A session store as a core sees it: its calls are counted, and fail on demand."""

    def __init__(self, inner: Any, power: Power, name: str) -> None:
        self._inner = inner
        self._power = power
        self._name = name

    def __getattr__(self, method: str) -> Any:
        bound = getattr(self._inner, method)

        async def call(*arguments: Any, **named: Any) -> Any:
            made = Sent(self._name, method, (*arguments, *named.values()))
            return await self._power.passing(made, lambda: bound(*arguments, **named))

        return call


class WatchedFactory(Watched):
    """The factory a core is given."""

    def __init__(self, inner: SessionStoreFactory, power: Power) -> None:
        super().__init__(inner, power, "factory")

    def __getattr__(self, method: str) -> Any:
        call = super().__getattr__(method)
        if method not in ("create_store", "open_existing_store"):
            return call

        async def opening(*arguments: Any, **named: Any) -> Any:
            answer = await call(*arguments, **named)
            return answer and Watched(answer, self._power, f"store[{(*arguments, *named.values())[0].session_id}]")

        return opening
