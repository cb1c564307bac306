"""Where two values differ, as an implementer wants to read it: the first place, not two long texts."""

from collections.abc import Mapping, Sequence, Set
from typing import Any, cast

from lash_ref.scalars import Record


def difference(expected: object, found: object) -> tuple[str, str]:
    """What was expected and what was found, each with its path, no more of both than differs.

    Sets are sorted, as their order changes from process to process.
    """
    path, wanted, got = _narrowed("", expected, found)
    if isinstance(wanted, Set) and isinstance(got, Set):
        return path + _sorted(cast("Set[Any]", wanted)), path + _set_difference(cast("Set[Any]", wanted), cast("Set[Any]", got))
    if isinstance(wanted, Record) and isinstance(got, Record) and type(wanted) is type(got):
        fields = [name for name in type(wanted).model_fields if getattr(wanted, name) != getattr(got, name)]
        return path + _fields(wanted, fields), path + _fields(got, fields)
    return f"{path}{_cut(repr(cast('object', wanted)))}", f"{path}{_cut(repr(cast('object', got)))}"


def _narrowed(path: str, expected: object, found: object) -> tuple[str, object, object]:
    """Into the first member that differs, while both sides are of one shape."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        ours, theirs = cast("Mapping[Any, Any]", expected), cast("Mapping[Any, Any]", found)
        differing = [key for key in ours if key in theirs and ours[key] != theirs[key]]
        if differing and ours.keys() == theirs.keys():
            return _narrowed(f"{path}[{differing[0]!r}]", ours[differing[0]], theirs[differing[0]])
    elif isinstance(expected, list | tuple) and isinstance(found, list | tuple):
        mine, other = list(cast("Sequence[Any]", expected)), list(cast("Sequence[Any]", found))
        places = [n for n, pair in enumerate(zip(mine, other, strict=False)) if pair[0] != pair[1]]
        if places and len(mine) == len(other) > 3:
            return _narrowed(f"{path}[{places[0]}]", mine[places[0]], other[places[0]])
        if len(mine) != len(other) and max(len(mine), len(other)) > 3:
            at = places[0] if places else min(len(mine), len(other))
            return f"{path} ", _Listed(mine, at), _Listed(other, at)
    shown = f"{path}: " if path else ""
    return shown, cast("object", expected), cast("object", found)


class _Listed:
    """A long list, from where it differs."""

    def __init__(self, members: Sequence[Any], at: int) -> None:
        self.members, self.at = members, at

    def __repr__(self) -> str:
        shown = ", ".join(repr(member) for member in self.members[self.at : self.at + 3]) or "nothing more"
        return f"{len(self.members)} members; at [{self.at}] {shown}"


def _set_difference(expected: Set[Any], found: Set[Any]) -> str:
    parts = [("lacks", expected - found), ("also has", found - expected)]
    return "; ".join(f"{word} {_sorted(part)}" for word, part in parts if part)


def _sorted(members: Set[Any]) -> str:
    return _cut("{" + ", ".join(sorted(map(repr, members))) + "}")


def _fields(record: Record, names: list[str]) -> str:
    return ", ".join(f"{name}={_cut(repr(getattr(record, name)), 200)}" for name in names)


def _cut(text: str, width: int = 400) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
