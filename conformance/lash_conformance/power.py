"""The line between a core and its stores: the judge counts the calls, makes them fail, or cuts the line.

A cut line is how a process dies here: what the store did stays done, and nothing of the core reaches it
any more.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from lash_ref.contracts import SessionStoreFactory


class Watched:
    """A session store as a core sees it: counted, and broken on demand by the judge."""

    def __init__(self, inner: Any, power: "Power", session_id: str) -> None:
        self._inner = inner
        self._power = power
        self._session_id = session_id

    def __getattr__(self, method: str) -> Any:
        bound = getattr(self._inner, method)

        async def call(*arguments: Any, **named: Any) -> Any:
            power = self._power
            power.calls.append((method, self._session_id, arguments))
            await power.before(method)
            if method == "durability_tier" and power.tier:
                return power.tier
            answer = await bound(*arguments, **named)
            await power.after(method)
            return answer

        return call


class Power:
    """The line between a core and its stores: the judge may count, fail or cut it."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, tuple[Any, ...]]] = []
        self.dead = False
        self.buried = False
        """The judge is done with the dead process."""
        self.cut_at: tuple[str, int] | None = None
        """``before`` or ``after``, and the number of the commit at which the process dies."""
        self.died = asyncio.Event()
        self.failing: dict[str, Exception] = {}
        """Errors to raise instead of answering, by method."""
        self.commits = 0
        self.tier: str | None = None
        """What the factory says of its durability, when the judge says it in its stead."""
        self.watching: dict[str, Callable[[], Awaitable[Any]]] = {}
        """Questions to ask just before a method is passed on."""
        self.watched: dict[str, Any] = {}
        """Their answers at the last call."""

    async def _die(self) -> None:
        self.dead = True
        self.died.set()
        await self._stand_still()

    async def _stand_still(self) -> None:
        """Do nothing more; what still runs of a buried process, to clean up, is stopped."""
        if self.buried:
            raise asyncio.CancelledError
        await asyncio.Event().wait()

    async def before(self, method: str) -> None:
        """Stop here when the process is dead, dies now, or the call is to fail."""
        if self.dead:
            await self._stand_still()
        if method == "commit_runtime_state":
            self.commits += 1
            if self.cut_at == ("before", self.commits):
                await self._die()
        if method in self.watching:
            self.watched[method] = await self.watching[method]()
        if method in self.failing:
            raise self.failing[method]

    async def after(self, method: str) -> None:
        """Stop here when the process died while the store worked, or dies before it hears the answer."""
        if self.dead or (method == "commit_runtime_state" and self.cut_at == ("after", self.commits)):
            await self._die()


class WatchedFactory:
    """The factory a core is given."""

    def __init__(self, inner: SessionStoreFactory, power: Power) -> None:
        self._inner = inner
        self._power = power

    def __getattr__(self, method: str) -> Any:
        bound = getattr(self._inner, method)

        async def call(*arguments: Any, **named: Any) -> Any:
            self._power.calls.append((method, "", arguments))
            await self._power.before(method)
            if method == "durability_tier" and self._power.tier:
                return self._power.tier
            answer = await bound(*arguments, **named)
            await self._power.after(method)
            if method in ("create_store", "open_existing_store") and answer is not None:
                return Watched(answer, self._power, arguments[0].session_id)
            return answer

        return call
