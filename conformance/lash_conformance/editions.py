"""Editions: the law as it stood when it was frozen, and what changed from one to another, clause by clause.

An edition is a JSON file that names every clause with its level and words. It is written once, by a command, and
never again: a later check or a mended sentence belongs to the next edition.
"""

import json
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from lash_conformance.catalogue import EDITION, Clause, clauses


class EditionFault(Exception):
    """An edition is unknown, unreadable, or frozen already."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A clause as an edition has it."""

    level: str
    rule: str
    hash: str


@dataclass(frozen=True, kw_only=True)
class Edition:
    """The law at one time."""

    name: str
    frozen: str
    """The day, or empty for the law as it stands."""
    clauses: dict[str, Rule]


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What became of each clause between two editions, by id."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    reworded: tuple[str, ...]
    """Other words at the same level."""
    relevelled: tuple[str, ...]
    """Another level, and so other words too."""

    @property
    def any(self) -> bool:
        """Whether the two differ at all."""
        return bool(self.added or self.removed or self.reworded or self.relevelled)


def folder() -> Path:
    """Where the editions lie: in the checkout's docs, or packed into the wheel."""
    packed = Path(__file__).parent / "_data" / "editions"
    return packed if packed.is_dir() else Path(__file__).parents[2] / "docs" / "editions"


def current(law: dict[str, Clause] | None = None) -> Edition:
    """The law as it stands."""
    found = clauses() if law is None else law
    rules = {made.id: Rule(level=made.level, rule=made.rule, hash=made.text_hash) for made in found.values()}
    return Edition(name="the law as it stands", frozen="", clauses=rules)


def frozen(where: Path | None = None) -> tuple[Edition, ...]:
    """Every frozen edition, oldest first.

    Raises:
        EditionFault: a file is no edition.
    """
    return tuple(read(path) for path in sorted((where or folder()).glob("*.json")))


def read(path: Path) -> Edition:
    """One edition from its file.

    Raises:
        EditionFault: it is no edition.
    """
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
        rules = {name: Rule(**rule) for name, rule in data["clauses"].items()}
        return Edition(name=data["edition"], frozen=data["frozen"], clauses=rules)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise EditionFault(f"{path.name}: no readable edition: {err}") from err


def named(name: str, where: Path | None = None) -> Edition:
    """An edition by name, the law as it stands for ``law``, or the file that the name is the path of.

    Raises:
        EditionFault: there is none.
    """
    if name == "law":
        return current()
    if name.endswith(".json"):
        return read(Path(name))
    found = {made.name: made for made in frozen(where)}
    if name not in found:
        raise EditionFault(f"no edition {name!r}: found {', '.join(found) or 'none'}, and `law` for the law as it stands")
    return found[name]


def freeze(day: date, where: Path | None = None, *, again: bool = False) -> Path:
    """Write the law as it stands as the edition that `EDITION` names.

    Raises:
        EditionFault: that edition is frozen, and ``again`` does not say that nobody was given it yet.
    """
    path = (where or folder()) / f"{EDITION}.json"
    if path.exists() and not again:
        raise EditionFault(f"{EDITION} is frozen since {read(path).frozen}: raise EDITION in lash_conformance.catalogue")
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (f"  {json.dumps(name)}: {json.dumps(asdict(rule), ensure_ascii=False)}" for name, rule in current().clauses.items())
    text = f'{{\n "edition": "{EDITION}",\n "frozen": "{day.isoformat()}",\n "clauses": {{\n' + ",\n".join(lines) + "\n }\n}\n"
    path.write_text(text, encoding="utf-8")
    return path


def compare(before: Edition, after: Edition) -> Changes:
    """What changed from ``before`` to ``after``."""
    old, new = before.clauses, after.clauses
    both = [name for name in new if name in old]
    levels = {name for name in both if old[name].level != new[name].level}
    return Changes(
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
        reworded=tuple(name for name in both if name not in levels and old[name].hash != new[name].hash),
        relevelled=tuple(name for name in both if name in levels),
    )


def history(clause: str, editions: tuple[Edition, ...]) -> list[tuple[str, str]]:
    """What each edition did to a clause, oldest first: the edition, and a word for it."""
    told: list[tuple[str, str]] = []
    before: Rule | None = None
    for edition in editions:
        rule = edition.clauses.get(clause)
        if rule is not None and before is None:
            told.append((edition.name, "introduced"))
        elif rule is None and before is not None:
            told.append((edition.name, "retired"))
        elif rule is not None and before is not None and rule.level != before.level:
            told.append((edition.name, f"{before.level} became {rule.level}"))
        elif rule is not None and before is not None and rule.hash != before.hash:
            told.append((edition.name, "reworded"))
        before = rule
    return told


def show(console: Console, before: Edition, after: Edition) -> None:
    """Print what changed."""
    found = compare(before, after)

    def line(mark: str, style: str, name: str, rule: Rule) -> None:
        console.print(Text(f"{mark} {name:8} {rule.level:6} ", style) + Text(rule.rule), soft_wrap=True)

    for name in found.removed:
        line("-", "red", name, before.clauses[name])
    for name in (*found.relevelled, *found.reworded):
        line("-", "red", name, before.clauses[name])
        line("+", "green", name, after.clauses[name])
    for name in found.added:
        line("+", "green", name, after.clauses[name])
    counts = f"{len(found.added)} added, {len(found.removed)} removed, {len(found.reworded)} reworded, {len(found.relevelled)} of another level"
    console.print(f"from {before.name} to {after.name}: {counts}", highlight=False)
