"""A process of the target spoken to line by line: what checks of the wire itself are made with.

What a process does not say is a finding here: silence and death fail the check, whose clause they break.
"""

import asyncio
import itertools
import queue
import time
from pathlib import Path
from typing import Any, Protocol, cast

from lash_conformance.catalogue import EDITION
from lash_conformance.child import Child
from lash_conformance.target import Bounds, Capability
from lash_conformance.wire import PROTOCOL, Malformed, read_line, written_line

NOW_MS = 1_790_000_000_000
REQUEST = {
    "session_id": "s1", "relation": {"kind": "root"},
    "policy": {"provider_id": "prov", "model": {"id": "m-1", "variant": "provider_default", "limits": {"context_window_tokens": 8000}}},
}  # fmt: skip
OWNER = {"owner_id": "a", "incarnation_id": "1", "liveness": {"kind": "opaque"}}


class Exchange:
    """One process; what it writes is judged by the check, not by the connection."""

    def __init__(self, command: str, bounds: Bounds) -> None:
        self.bounds = bounds
        self.heard: queue.Queue[bytes | None] = queue.Queue()
        self.reason = ""
        self.said: dict[str, Any] = {}
        """What it answered to ``initialize``."""
        self._owed = 0
        self._ids = itertools.count(1)
        self.child = Child(command, self.heard.put, self._on_end, lambda: None)

    def _on_end(self, reason: str) -> None:
        self.reason = reason
        self.heard.put(None)

    @property
    def in_order(self) -> bool:
        """Whether it was greeted, lives, and owes nothing."""
        return bool(self.said) and self._owed == 0 and self.heard.empty() and not self.child.ended.is_set()

    def say(self, line: bytes) -> None:
        """Send a line, or several, as they are."""
        self._owed += line.count(b"\n")
        self.child.send(line)

    def post(self, method: str, **params: Any) -> int:
        """Send a request without waiting; answers its id."""
        number = next(self._ids)
        self.say(written_line({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))
        return number

    async def hear(self, bound_s: float | None = None) -> Any:
        """The next line's JSON.

        Raises:
            AssertionError: the line is no JSON, or none came in time.
        """
        limit = bound_s or self.bounds.call_s
        try:
            line = await asyncio.to_thread(self.heard.get, True, limit)
        except queue.Empty:
            raise AssertionError(f"expected a line\nfound none within {limit:g} s{self._log()}") from None
        if line is None:
            raise AssertionError(f"expected a line\nfound that {self.reason}{self._log()}")
        self._owed -= 1
        try:
            return read_line(line)
        except Malformed as err:
            raise AssertionError(f"expected a JSON text on each line\nfound {err}") from err

    def _log(self) -> str:
        return f"; its standard error ends with: {self.child.log[-300:].strip()}" if self.child.log.strip() else ""

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """The whole answer to a request, which must be the next line."""
        number = self.post(method, **params)
        answer: Any = await self.hear()
        assert isinstance(answer, dict), f"expected an object that answers request {number}\nfound {answer!r:.200}"
        message = cast("dict[str, Any]", answer)
        assert message.get("id") == number, f"expected an answer to request {number}\nfound {message!r:.200}"
        return message

    async def result(self, method: str, **params: Any) -> Any:
        """The result of a request; the check fails when it has none."""
        answer = await self.ask(method, **params)
        assert "result" in answer, f"expected a result of {method}\nfound {answer.get('error')!r:.300}"
        return answer["result"]

    async def code(self, method: str, **params: Any) -> int:
        """The error code of a request; the check fails when it has a result."""
        answer = await self.ask(method, **params)
        assert isinstance(answer.get("error"), dict), f"expected an error of {method}\nfound {answer!r:.300}"
        return answer["error"]["code"]

    async def hello(self) -> dict[str, Any]:
        """Initialize."""
        number = self.post(
            "initialize", protocols=[PROTOCOL], edition=EDITION, judge={"name": "lash-conformance", "version": "0"}
        )
        answer = cast("dict[str, Any]", await self.hear(self.bounds.start_s))
        assert answer.get("id") == number, f"expected an answer to initialize\nfound {answer!r:.200}"
        assert "result" in answer, f"expected a result of initialize\nfound {answer!r:.300}"
        self.said = answer["result"]
        return self.said

    async def place(self, directory: Path, now_ms: int = NOW_MS, gone: tuple[str, ...] = ()) -> str:
        """Open a place; its handle."""
        made = await self.result("open", directory=str(directory), now_ms=now_ms, gone=list(gone))
        return made["place"]

    async def store(self, place: str, session_id: str = "s1") -> str:
        """Create a session's store; its handle."""
        made = await self.result("factory.create_store", place=place, request=REQUEST | {"session_id": session_id})
        return made["store"]

    async def ended(self) -> str:
        """How the process ended by itself, or that it did not within the bound."""
        started = time.monotonic()
        await asyncio.to_thread(self.child.ended.wait, self.bounds.stop_s)
        return self.child.fate if self.child.ended.is_set() else f"running after {time.monotonic() - started:.0f} s"

    def stop(self) -> None:
        """Kill it and everything it started."""
        self.child.end("the check is over")
        self.child.ended.wait(15)


class Spoken(Protocol):
    """A target that is a command (capability ``wire``)."""

    command: str
    bounds: Bounds
    capabilities: frozenset[Capability]
    spare: Exchange | None
    """A greeted process that a check left in order, for the next one."""


class Line:
    """What a check of the wire works with: processes of the target, and a directory for their places."""

    def __init__(self, target: Spoken, directory: Path) -> None:
        self.target = target
        self.directory = directory
        self._used: list[Exchange] = []

    def fresh(self) -> Exchange:
        """A process that was just started."""
        self._used.append(Exchange(self.target.command, self.target.bounds))
        return self._used[-1]

    async def greeted(self) -> Exchange:
        """A process that answered ``initialize``: the one that the check before left in order, or a fresh one."""
        spare, self.target.spare = self.target.spare, None
        if spare is not None and spare.in_order:
            self._used.append(spare)
            return spare
        made = self.fresh()
        await made.hello()
        return made

    def close(self) -> None:
        """Keep one process that is in order, and kill the others."""
        while self._used:
            used = self._used.pop()
            if used.in_order and self.target.spare is None:
                self.target.spare = used
            else:
                used.stop()
