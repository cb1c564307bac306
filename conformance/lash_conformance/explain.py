"""One clause with its reason, source, checks, broken implementations and code."""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from lash_conformance.catalogue import Clause, clauses
from lash_conformance.check import all_checks
from lash_conformance.code_places import broken_places
from lash_conformance.mutants import all_mutants
from lash_conformance.nearest import as_clause

_CITATION = re.compile(r"\[([A-Z]{3}\.[0-9]+)\]\[\](?: to \[([A-Z]{3}\.[0-9]+)\]\[\])?")


@cache
def implementations() -> dict[str, tuple[str, ...]]:
    """Where `lash_ref` cites each clause, and what of it the clause's broken implementations change: file and line."""
    spec = find_spec("lash_ref")
    if spec is None or spec.origin is None:
        return {}
    cited: dict[str, list[str]] = {}
    for path in sorted(Path(spec.origin).parent.glob("*.py")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            for first, last in _CITATION.findall(line):
                for clause in _between(first, last or first):
                    cited.setdefault(clause, []).append(f"lash_ref/{path.name}:{number}")
    for clause, places in broken_places().items():
        if places:
            cited.setdefault(clause, []).extend(places)
    return {clause: tuple(sorted(set(places), key=_file_and_line)) for clause, places in cited.items()}


def _file_and_line(place: str) -> tuple[str, int]:
    file, _, line = place.partition(":")
    return file, int(line)


def _between(first: str, last: str) -> list[str]:
    area, _, low = first.partition(".")
    return [f"{area}.{n}" for n in range(int(low), int(last.partition(".")[2]) + 1)]


def names() -> list[str]:
    """Everything that `clause_named` knows."""
    return [*clauses(), *(made.name for made in all_checks())]


def clause_named(text: str) -> str:
    """The clause that a reader means by an id in any spelling, a check's id or a check's name; the text itself if none."""
    named = next((made.clauses[0] for made in all_checks() if text in (made.id, made.name)), text)
    return as_clause(named)


def facts(clause: Clause) -> dict[str, Any]:
    """The clause and everything that refers to it, as JSON data."""
    return {
        "id": clause.id,
        "level": clause.level,
        "rule": clause.rule,
        "hash": clause.text_hash,
        "why": clause.why,
        "source": clause.source,
        "rows": list(clause.sources),
        "divergence": clause.divergence,
        "untested": clause.untested,
        "page": f"docs/spec/{clause.page}#{clause.id}",
        "checks": [
            {"id": made.id, "claim": made.claim, "kind": made.kind, "at": f"{made.module}:{made.line}"}
            for made in all_checks()
            if clause.id in made.clauses
        ],
        "mutants": [
            {"name": made.name, "character": made.character, "at": f"{made.module}:{made.line}"}
            for made in all_mutants()
            if clause.id in made.clauses
        ],
        "implemented": list(implementations().get(clause.id, ())),
    }


def show(console: Console, clause: Clause) -> None:
    """Print the clause for a reader."""
    found = facts(clause)
    console.print(Text(f"{clause.id}  {clause.level}", "bold"), soft_wrap=True)
    console.print(Padding(Text(clause.rule), (0, 0, 1, 2)))
    rows: list[tuple[str, str]] = [("why", clause.why), ("source", clause.source)]
    rows += [("divergence", clause.divergence), ("untested", clause.untested)]
    rows += [("check", f"{c['id']}  {c['claim']} ({c['at']})") for c in found["checks"]]
    rows += [("proven by", f"{m['name']}: {m['character']} ({m['at']})") for m in found["mutants"]]
    rows += [("code", ", ".join(found["implemented"])), ("spec", found["page"])]
    for name, text in rows:
        if text:
            console.print(Text(f"  {name:11}", "dim") + Text(text), soft_wrap=True)
