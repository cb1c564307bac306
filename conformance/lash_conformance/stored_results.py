"""Results that are committed: what a page needs of a run, with its date, its versions and the hash of every rule.

A run leaves more than anybody reads again. What is kept of it is one JSON file, a line an entry, so that a
change of the file can be read; the site is joined from these files and refuses one whose rules have changed since.
"""

import json
import platform
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from lash_conformance.catalogue import clauses
from lash_conformance.mutants import all_mutants
from lash_ref import __version__

CHECK = ("id", "clauses", "kind", "verdict", "reason", "note", "crash_map")
REPORT = ("suite", "edition", "profile", "seed", "select", "target", "check_counts", "clause_counts", "problems", "exit_code")
BENCHES = {"milliseconds": "store", "chats": "host", "speeds": "providers"}
"""What a file of `lash-conformance bench` holds, by a member that only it has."""


class NotKept(Exception):
    """The file is no result that can be kept."""


def keep(source: Path, kept: Path, extra: Mapping[str, str]) -> str:
    """Write what is kept of ``source`` to ``kept``; says what it was.

    A kill table is merged into the one that is there: a run over some of the rules replaces what it ran again.

    Raises:
        NotKept: ``source`` is neither a report, nor a kill table, nor a file of `bench`.
    """
    try:
        read: Any = json.loads(source.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise NotKept(f"{source}: no readable JSON: {err}") from err
    data = cast("dict[str, Any]", read if isinstance(read, dict) else {})
    made: dict[str, Any] = {"date": datetime.now(UTC).date().isoformat(), "lash_conformance": __version__, "versions": versions() | dict(extra)}
    kind = next((name for member, name in BENCHES.items() if member in data), "")
    if "schema_version" in data:
        _write(kept, made | {"found": report(data)})
        return "a report"
    if "kills" in data:
        _write(kept, made | {"found": kills(data, kept)})
        return "a kill table"
    if kind:
        _write(kept, made | {"bench": kind, "found": data})
        return f"a bench of {kind}"
    raise NotKept(f"{source}: expected a report, a kill table or a file of bench, found neither")


def versions() -> dict[str, str]:
    """What a number may depend on."""
    return {
        "python": platform.python_version(), "system": platform.system(), "machine": platform.machine(),
        "sqlite": sqlite3.sqlite_version,
    }  # fmt: skip


def report(told: Mapping[str, Any]) -> dict[str, Any]:
    """A report without its steps, lines and times."""
    hashes = {clause.id: clause.text_hash for clause in clauses().values()}
    judged = {clause["id"] for clause in told["clauses"]}
    found = {key: told[key] for key in REPORT}
    found["rules"] = {name: text_hash for name, text_hash in hashes.items() if name in judged}
    found["checks"] = [{key: check[key] for key in CHECK if check.get(key)} for check in told["checks"]]
    return found


def kills(told: Mapping[str, Any], kept: Path) -> dict[str, Any]:
    """A kill table by names, together with what was kept before of broken implementations that are still there."""
    law = clauses()
    there = {(clause, one.name) for one in all_mutants() for clause in one.clauses}
    entries = {(one["clause"], one["mutant"]): one for one in _before(kept)}
    for one in told["kills"]:
        entries[one["clause"], one["mutant"]] = {
            "clause": one["clause"], "rule": law[one["clause"]].text_hash, "mutant": one["mutant"],
            "killed": one["killed"], "killers": [killer["check"] for killer in one["killers"]],
        }  # fmt: skip
    order = list(law)
    chosen = sorted((key for key in entries if key in there), key=lambda key: (order.index(key[0]), key[1]))
    return {"kills": [entries[key] for key in chosen]}


def _before(kept: Path) -> Sequence[dict[str, Any]]:
    return json.loads(kept.read_text(encoding="utf-8"))["found"]["kills"] if kept.is_file() else []


def _write(path: Path, data: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_lines(data, 0) + "\n", encoding="utf-8")


def _lines(value: Any, depth: int) -> str:
    """JSON whose outer objects and lists have a line an entry, and whose inner ones have none."""
    if depth > 2 or not value or not isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    pad, end = "\n" + " " * (depth + 1), "\n" + " " * depth
    if isinstance(value, dict):
        named = cast("dict[str, Any]", value)
        inner = [f"{json.dumps(key)}: {_lines(member, depth + 1)}" for key, member in named.items()]
        return "{" + pad + f",{pad}".join(inner) + end + "}"
    return "[" + pad + f",{pad}".join(_lines(member, depth + 1) for member in cast("list[Any]", value)) + end + "]"
