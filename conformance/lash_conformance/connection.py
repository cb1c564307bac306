"""One process of a target and the requests in flight to it: ids, deadlines, and who is at fault.

Usable from any thread and any event loop: answers are `concurrent.futures.Future`.
"""

import asyncio
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from lash_conformance.catalogue import EDITION
from lash_conformance.child import Child, Running
from lash_conformance.target import Bounds, HarnessFault, TargetBroke
from lash_conformance.wire import (
    EVERYTHING,
    HARNESS_FAULTS,
    PROTOCOL,
    REFUSED,
    STORES,
    UNKNOWN,
    UNSUPPORTED,
    Answer,
    Fault,
    Introduction,
    Malformed,
    Request,
    Speech,
    first,
    own_answer,
    read_line,
    written_line,
)
from lash_ref import __version__

PINGS = 5


class TargetRaised(Exception):
    """The target answered that it is broken: the call failed in a way the contract does not know."""


@dataclass
class Pending:
    """One request and who waits for it."""

    id: int
    method: str
    line: bytes
    answer: "Future[Any]"
    bound_s: float
    deadline: float = 0.0

    @property
    def told(self) -> str:
        """The request in a line."""
        params = self.line.partition(b'"params":')[2][:-2].decode("utf-8", "replace")
        return f"#{self.id} {self.method} {params if len(params) <= 200 else params[:197] + '…'}"


class Connection:
    """One process, from its start to its end."""

    def __init__(
        self, command: str | Callable[[], Running], bounds: Bounds, speech: Speech = STORES
    ) -> None:
        """Start the command, or let a callable start it; the process speaks ``speech``.

        Raises:
            OSError: it cannot be started.
            ValueError: it cannot be split into words.
        """
        self.bounds = bounds
        self.speech = speech
        self.call_s = bounds.call_s
        self.slowest_ping_s = 0.0
        self.fault: TargetBroke | None = None
        self.blamed = False
        """Whether somebody was told of the fault."""
        self.said: Any = None
        """The target's introduction, once it was made."""
        self._limit = 1
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._sent: dict[int, Pending] = {}
        self._waiting: deque[Pending] = deque()
        self._answered: deque[Pending] = deque(maxlen=16)
        self._leaving = False
        self._culprit: Pending | None = None
        self.child = Child(command, self._on_line, self._on_end, self._on_tick)

    # -- for callers

    def request(self, method: str, params: dict[str, Any], bound_s: float | None = None) -> "Future[Any]":
        """Send a request; its future holds the ``result``, or raises what the ``error`` stands for.

        Raises:
            TargetBroke: the process is gone already.
            Uncarriable: the parameters have no form in JSON.
        """
        number = next(self._ids)
        line = written_line({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        pending = Pending(number, method, line, Future(), bound_s or self.call_s)
        pending.answer.set_running_or_notify_cancel()
        with self._lock:
            if self.fault is not None:
                self.blamed = True
                raise self.fault
            self._waiting.append(pending)
        self._pump()
        return pending.answer

    async def call(self, method: str, params: dict[str, Any], bound_s: float | None = None) -> Any:
        """As `request`, awaited."""
        return await asyncio.wrap_future(self.request(method, params, bound_s))

    def handshake(self) -> None:
        """Initialize, smoke, and learn how fast the target answers.

        Raises:
            TargetBroke: the target fails at it.
        """
        params = {"protocols": [PROTOCOL], "edition": EDITION, "judge": {"name": "lash-conformance", "version": __version__}}
        self.said = self._introduced(params)
        if self.said.protocol != PROTOCOL:
            raise self._accused(f"it chose protocol {self.said.protocol}, which was not offered", "initialize")
        self._limit = self.said.limits.in_flight
        if self._plain("smoke", {"value": EVERYTHING}) != EVERYTHING:
            raise self._accused("it did not echo the smoke value", "smoke")
        for number in range(PINGS):
            started = time.monotonic()
            self._plain("smoke", {"value": number})
            self.slowest_ping_s = max(self.slowest_ping_s, time.monotonic() - started)
        self.call_s = max(self.bounds.call_s, self.bounds.pings * self.slowest_ping_s)

    def _introduced(self, params: dict[str, Any]) -> Introduction:
        method = "initialize"
        data = self._plain(method, params, self.bounds.start_s)
        try:
            return own_answer(self.speech.introduction, data)
        except Malformed as err:
            raise self._accused(str(err), method) from err

    def _plain(self, method: str, params: dict[str, Any], bound_s: float | None = None) -> Any:
        try:
            return self.request(method, params, bound_s).result()
        except TargetBroke:
            raise
        except Exception as err:
            raise self._accused(f"it answered {type(err).__name__}: {err}", method) from err

    def accuse(self, reason: str, request: str) -> TargetBroke:
        """End the process for what it did; answers the fault to raise."""
        fault = self._accused(reason, request)
        self.kill(reason)
        return fault

    def _accused(self, reason: str, request: str) -> TargetBroke:
        return TargetBroke(reason, request, self.child.log)

    def stop(self) -> str:
        """Shut the process down and wait for its end; says what was wrong with the way it went, if anything."""
        if self.fault is not None:
            return self.fault.reason
        self._leaving = True
        wrong = ""
        try:
            self.request("shutdown", {}, self.bounds.stop_s).result()
        except Exception as err:
            wrong = str(err)
        self.child.close_input()
        if not self.child.ended.wait(self.bounds.stop_s):
            wrong = wrong or f"it did not end within {self.bounds.stop_s:g} s of shutdown"
            self.kill(wrong)
        elif self.child.fate and self.child.fate != "it ended with exit code 0":
            wrong = wrong or self.child.fate
        return wrong

    @property
    def busy(self) -> bool:
        """Whether an answer is owed."""
        with self._lock:
            return bool(self._sent)

    def kill(self, reason: str) -> None:
        """End the process, its group and its stragglers."""
        self.child.end(reason)
        self.child.ended.wait(15)

    # -- on the child's thread

    def _pump(self) -> None:
        with self._lock:
            while self._waiting and len(self._sent) < self._limit:
                pending = self._waiting.popleft()
                pending.deadline = time.monotonic() + pending.bound_s
                self._sent[pending.id] = pending
                self.child.send(pending.line)

    def _on_tick(self) -> float | None:
        with self._lock:
            first_due = min(self._sent.values(), key=lambda pending: pending.deadline, default=None)
        if first_due is None:
            return None
        if time.monotonic() >= first_due.deadline:
            self._culprit = first_due
            self.child.end(f"no answer within {first_due.bound_s:.3g} s")
        return first_due.deadline

    def _on_line(self, line: bytes) -> None:
        try:
            answer = parsed(line)
        except Malformed as err:
            self.child.end(f"it wrote what is no answer: {err}")
            return
        with self._lock:
            pending = None if answer.id is None else self._sent.pop(answer.id, None)
        if pending is None:
            before = next((f" again: {old.method}" for old in self._answered if old.id == answer.id), "")
            said = f": {answer.error.message:.200}" if answer.error else ""
            self.child.end(f"it answered request {answer.id}, which is not open{before}{said}")
            return
        self._answered.append(pending)
        if answer.error is None:
            pending.answer.set_result(answer.result)
        else:
            pending.answer.set_exception(self._meant(answer.error, pending))
        self._pump()

    def _meant(self, fault: Fault, pending: Pending) -> Exception:
        if fault.code in (REFUSED, UNSUPPORTED, UNKNOWN):
            try:
                return self.speech.raised(fault)
            except Malformed as err:
                self._culprit = pending
                self.child.end(str(err))
                return self._accused(str(err), pending.told)
        said = f"{fault.message:.300} (code {fault.code})"
        if fault.code in HARNESS_FAULTS:
            if wrong := wrong_with(read_line(pending.line), self.speech):
                return HarnessFault(f"the judge sent {pending.told}, which is wrong: {wrong}")
            return TargetRaised(f"it refuses a request that follows the schema: {said}")
        return TargetRaised(said)

    def _on_end(self, reason: str) -> None:
        with self._lock:
            open_ = [*self._sent.values(), *self._waiting]
            missed = self._culprit is not None and self._culprit.id in self._sent
            culprit = self._culprit or next(iter(self._sent.values()), None)
            last = self._answered[-1].told if self._answered else "nothing"
            told = culprit.told if culprit is not None else f"after {last}"
            self.fault = TargetBroke(reason, told, self.child.log, missed=missed)
            self.blamed = bool(open_)
            self._sent.clear()
            self._waiting.clear()
        for pending in open_:
            pending.answer.set_exception(self.fault)


def parsed(line: bytes) -> Answer:
    """The answer that a line holds.

    Raises:
        Malformed: it holds none.
    """
    data = read_line(line)
    if not isinstance(data, dict):
        raise Malformed(f"not an object: {data!r:.80}")
    if ("result" in data) == ("error" in data):
        raise Malformed("an answer has either a result or an error")
    try:
        return Answer.model_validate(data)
    except ValidationError as err:
        raise Malformed(first(err)) from err


def wrong_with(message: Any, speech: Speech = STORES) -> str:
    """What is wrong with a request's envelope, method or parameter names; empty when nothing is."""
    try:
        request = Request.model_validate(message)
    except ValidationError as err:
        return first(err)
    wanted = speech.takes(request.method)
    if wanted is None:
        return f"no method {request.method!r}"
    if missing := sorted(wanted - set(request.params)):
        return f"{request.method} lacks {', '.join(missing)}"
    return ""
