"""Names for what only a store can know, bound to its values on first sight.

A name is text such as ``$s1:claim.3``; ``$any`` stands for any value and ``$maybe`` for any or none. Once
bound, a name must meet the same value again, and two names of a kind that a store may not repeat must have
different ones.
"""

import re
from typing import Any, cast

UNIQUE = frozenset(("batch", "queueclaim", "inputclaim", "input", "leasetoken"))
"""Kinds of ids that are never given twice in a session's life."""
_ABSENT = object()
_SCALARS = frozenset((str, int, bool, float, type(None)))
_FIRST = ("$", "<")
_NAME = re.compile(r"^(\$.+|<\w+ #\d+>)$", re.DOTALL)


class Unbound(Exception):
    """An argument needs a value that no earlier step answered."""


def is_name(value: object) -> bool:
    """Whether ``value`` is a name rather than a value."""
    return isinstance(value, str) and value[:1] in _FIRST and _NAME.match(value) is not None


class Names:
    """What each name stands for in one run."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self._taken: dict[str, dict[Any, str]] = {}

    def copy(self) -> "Names":
        """The same names, to be bound apart."""
        made = Names()
        made.values = dict(self.values)
        made._taken = {group: dict(taken) for group, taken in self._taken.items()}
        return made

    def resolved(self, value: Any) -> Any:
        """``value`` with every name replaced.

        Raises:
            Unbound: a name was never bound.
        """
        if isinstance(value, dict):
            members = cast("dict[str, Any]", value)
            return {key: self.resolved(member) for key, member in members.items()}
        if isinstance(value, list):
            return [self.resolved(member) for member in cast("list[Any]", value)]
        if is_name(value):
            if value not in self.values:
                raise Unbound(value)
            return self.values[value]
        return value

    def shown(self, value: Any) -> Any:
        """``value`` with the names that are bound replaced, for people."""
        if isinstance(value, dict):
            members = cast("dict[str, Any]", value)
            return {key: self.shown(member) for key, member in members.items()}
        if isinstance(value, list):
            return [self.shown(member) for member in cast("list[Any]", value)]
        return self.values.get(value, value) if isinstance(value, str) else value

    def difference(self, expected: Any, found: Any) -> str:
        """Where ``found`` is not what was expected, or nothing; binds the names it meets.

        Of ``{"any_of": outcomes}`` one is enough.
        """
        if isinstance(expected, dict) and "any_of" in expected:
            outcomes = cast("list[object]", expected["any_of"])
            faults = [self.difference(outcome, found) for outcome in outcomes]
            return "" if "" in faults else f"outcome: {brief(found)}, not one of {brief(outcomes)}"
        if isinstance(expected, dict) and isinstance(found, dict) and "ok" in expected and "ok" not in found:
            return f"outcome: {brief(cast('object', found))}, not {brief(cast('object', expected))}"
        fault = self._difference(expected, found)
        return f"outcome{fault}" if fault[:1] == ":" else fault

    def _difference(self, expected: Any, found: Any) -> str:
        """The fault behind the way to it, which is written only when there is a fault."""
        if isinstance(expected, str) and is_name(expected):
            fault = self._named(expected, found)
            return f": {fault}" if fault else ""
        if isinstance(expected, dict) and isinstance(found, dict):
            return self._members(cast("dict[str, Any]", expected), cast("dict[str, Any]", found))
        if isinstance(expected, list) and isinstance(found, list):
            mine, theirs = cast("list[Any]", expected), cast("list[Any]", found)
            for number, (one, other) in enumerate(zip(mine, theirs, strict=False)):
                if fault := self._difference(one, other):
                    return f"[{number}]{fault}"
            return "" if len(mine) == len(theirs) else f": {len(theirs)} entries, not {len(mine)}"
        if type(cast("object", expected)) is type(cast("object", found)) and expected == found:
            return ""
        return f": {brief(found)}, not {brief(expected)}"

    def _members(self, expected: dict[str, Any], found: dict[str, Any]) -> str:
        for key, member in expected.items():
            other = found.get(key, _ABSENT)
            if other is _ABSENT:
                if member != "$maybe":
                    return f".{key}: absent, not {brief(member)}"
            # Most members are equal scalars; this loop is where a search spends its time.
            elif type(member) is type(other) and type(member) in _SCALARS and member == other and not is_name(member):
                continue
            elif fault := self._difference(member, other):
                return f".{key}{fault}"
        if expected.keys() >= found.keys():
            return ""
        extra = next(key for key in found if key not in expected)
        return f".{extra}: {brief(found[extra])}, not absent"

    def _named(self, name: str, found: Any) -> str:
        if name in ("$any", "$maybe"):
            return ""
        if name in self.values:
            known = self.values[name]
            return "" if known == found else f"{brief(found)}, not {brief(known)} as before"
        group = name.rpartition(".")[0]
        if group.rpartition(":")[2] in UNIQUE:
            taken = self._taken.setdefault(group, {})
            if found in taken:
                return f"{brief(found)}, which was given before as {taken[found]}"
            taken[found] = name
        self.values[name] = found
        return ""

    def not_rising(self, pairs: list[list[Any]]) -> str:
        """The first pair of numbers whose second is not the higher, or nothing."""
        for lower, higher in pairs:
            one, other = self.shown(lower), self.shown(higher)
            if isinstance(one, int) and isinstance(other, int) and one >= other:
                return f"{higher} is {other}, which does not exceed {lower}{'' if lower == one else f' = {one}'}"
        return ""


def brief(value: Any) -> str:
    """``value`` in at most a line."""
    text = repr(value)
    return text if len(text) <= 160 else f"{text[:157]}…"
