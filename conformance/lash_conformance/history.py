"""Linearizability: is there one order of concurrent calls, true to real time, that the model explains?

The search is Wing and Gong's, with the states already refuted remembered. A call whose answer never came
may have taken effect or not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lash_conformance.machine import READS
from lash_conformance.model import Model
from lash_conformance.names import Names
from lash_conformance.projection import Data
from lash_conformance.transcript import short


@dataclass(frozen=True)
class Call:
    """One call as its client saw it; ``invoked`` and ``returned`` are moments of one common order."""

    client: str
    on: str
    method: str
    arguments: tuple[Any, ...]
    found: Data | None
    """None when the answer has not come."""
    invoked: int
    returned: int

    def line(self) -> str:
        """The call as one readable line."""
        given = ", ".join(short(argument)[:90] for argument in self.arguments)
        until = self.returned if self.found is not None else "…"
        return f"{self.invoked}-{until} {self.client}: {self.on}.{self.method}({given}) -> {short(self.found)[:160]}"


class TooLarge(Exception):
    """The history has more orders than the search may try."""


@dataclass
class Explanation:
    """What the search found."""

    order: list[Call]
    """An order that explains every call, or the longest that explains a part."""
    complete: bool
    stuck: list[str] = field(default_factory=list[str])
    """Of an incomplete order: what the calls that could come next should have answered."""


MOST_STEPS = 50_000


class _Search:
    def __init__(self, calls: Sequence[Call]) -> None:
        self.calls = calls
        self.refuted: set[tuple[frozenset[int], str]] = set()
        self.best = Explanation([], complete=False)
        self.steps = 0

    def run(self, model: Model, names: Names, open_: frozenset[int], order: tuple[int, ...]) -> bool:
        if all(self.calls[n].found is None for n in open_):
            self.best = Explanation([self.calls[n] for n in order], complete=True)
            return True
        key = (open_, repr(model.state))
        if key in self.refuted:
            return False
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise TooLarge(f"more than {MOST_STEPS} steps")
        stuck: list[str] = []
        ends = min(self.calls[n].returned for n in open_ if self.calls[n].found is not None)
        for n in sorted(open_, key=lambda n: self.calls[n].returned):
            if self.calls[n].invoked < ends:
                fault, after, known = taken(model, names, self.calls[n])
                if fault:
                    stuck.append(f"{self.calls[n].client} {self.calls[n].method}: {fault}")
                elif self.run(after, known, open_ - {n}, (*order, n)):
                    return True
        if len(order) >= len(self.best.order):
            self.best = Explanation([self.calls[n] for n in order], complete=False, stuck=stuck)
        self.refuted.add(key)
        return False


def taken(model: Model, names: Names, call: Call) -> tuple[str, Model, Names]:
    """Why the model would not have answered so, or nothing; and the model and names after the call."""
    # What only reads leaves the model as it is, and copying the model is most of what a step costs.
    after, known = model if call.method in READS else model.knowing({}), names.copy()
    expected = after.apply(call.on, call.method, call.arguments)
    if call.found is None:
        return "", after, known
    before = set(known.values)
    rising: list[list[Any]] = [list(pair) for pair in after.rising]
    fault = known.difference(expected, call.found) or known.not_rising(rising)
    new = {name: value for name, value in known.values.items() if name not in before}
    return fault, after.knowing(new) if new and not fault else after, known


def explained(model: Model, calls: Sequence[Call]) -> Explanation:
    """The order of ``calls``, starting from ``model``, that explains every answer, or the nearest to one.

    Raises:
        TooLarge: the search was given up.
    """
    search = _Search(calls)
    search.run(model, Names(), frozenset(range(len(calls))), ())
    return search.best


def smallest(model: Model, calls: Sequence[Call]) -> tuple[list[Call], Explanation]:
    """The shortest prefix in time of an unexplained history that is itself unexplained."""
    for moment in sorted(call.returned for call in calls):
        seen = [
            call if call.returned <= moment else replace(call, found=None)
            for call in calls
            if call.invoked <= moment
        ]
        found = explained(model, seen)
        if not found.complete:
            return seen, found
    return list(calls), explained(model, calls)


def told(calls: Sequence[Call], found: Explanation) -> str:
    """A counterexample as a reader wants it: who saw what when, and why no order explains it."""
    lines = [call.line() for call in sorted(calls, key=lambda call: call.invoked)]
    order = " then ".join(f"{call.client} {call.method}" for call in found.order[-6:]) or "nothing"
    lines += [f"no order explains this; the nearest begins: {order}", *dict.fromkeys(found.stuck)]
    return "\n".join(lines)
