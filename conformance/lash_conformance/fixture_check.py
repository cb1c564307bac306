"""What keeps fixtures honest: the format, the index, the clauses they name, no secret in them, and the SDKs' types."""

import hashlib
import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lash_conformance.catalogue import clauses
from lash_conformance.fixture import Fixture, compact, directory, fixtures

SECRETS = {
    "an OpenAI or Anthropic key": r"sk-(?!fixture)[A-Za-z0-9_-]{6,}",
    "a Google key": r"AIza[0-9A-Za-z_-]{10,}",
    "a Google token": r"ya29\.[0-9A-Za-z._-]{6,}",
    "a bearer token": r"[Bb]earer (?!fixture)[A-Za-z0-9._~+/=-]{6,}",
    "a GitHub token": r"gh[pousr]_[A-Za-z0-9]{10,}|github_pat_[A-Za-z0-9_]{10,}",
    "an AWS key": r"\bAKIA[0-9A-Z]{12,}",
    "a Slack token": r"xox[abprs]-[A-Za-z0-9-]{8,}",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "a JSON web token": r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.",
    "a mail address": r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+\.[A-Za-z]{2,}",
    "an organisation id": r"\b(org|proj|acct)-[A-Za-z0-9]{10,}",
}
"""What must not stand in a fixture, by what it is; words that start with ``fixture`` are plainly made up."""


def index() -> dict[str, Any]:
    """Every fixture with its hash and the clauses it proves, as ``INDEX.json`` holds them."""
    return {
        "schema": "lash.provider-fixture-index/1",
        "fixtures": {
            made.id: {
                "path": made.path,
                "sha256": hashlib.sha256((directory() / made.path).read_bytes()).hexdigest(),
                "covers": made.covers,
            }
            for made in fixtures().values()
        },
    }


def written(document: dict[str, Any]) -> str:
    """The index as text, a fixture a line."""
    rows = ",\n".join(f" {compact(name)}: {compact(row)}" for name, row in document["fixtures"].items())
    return f'{{\n"schema": {compact(document["schema"])},\n"fixtures": {{\n{rows}\n}}\n}}\n'


def secrets(text: str) -> list[str]:
    """What of `SECRETS` stands in ``text``."""
    return [what for what, pattern in SECRETS.items() if re.search(pattern, text)]


def faults(*, sdks: bool = True) -> list[str]:
    """Everything that is wrong with the fixtures here; empty when they hold.

    Raises:
        FixtureFault: a file breaks the format.
    """
    root = directory()
    found: list[str] = []
    known = clauses()
    pinned = root / "INDEX.json"
    if not pinned.is_file() or json.loads(pinned.read_text()) != index():
        found.append("INDEX.json is not what the files are: run lash-conformance fixtures index")
    for made in fixtures().values():
        found += [f"{made.id}: covers {clause}, which is no clause" for clause in made.covers if clause not in known]
        found += [f"{made.id}: holds {what}" for what in secrets((root / made.path).read_text())]
        if made.sdk == "not-judged" and not made.sdk_note:
            found.append(f"{made.id}: does not say why no official client judges it")
        if made.derived_from is not None and made.derived_from not in fixtures():
            found.append(f"{made.id}: derived from {made.derived_from}, which is no fixture")
    strangers = sorted({path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()})
    expected = {made.path for made in fixtures().values()} | {"INDEX.json", "fixture.schema.json"}
    found += [f"{name} is no fixture" for name in strangers if name not in expected]
    if sdks:
        found += [f"{made.id}: {fault}" for made in fixtures().values() for fault in _unrealistic(made)]
    return found


def _unrealistic(made: Fixture) -> list[str]:
    from lash_conformance.sdk_types import PACKAGES, unrealistic

    module = {"google-genai": "google.genai"}.get(PACKAGES[made.dialect], PACKAGES[made.dialect])
    try:
        absent = find_spec(module) is None
    except ModuleNotFoundError:
        absent = True
    if absent:
        return [f"cannot be held against {PACKAGES[made.dialect]}: install lash-ref[sdks], or leave the SDKs out"]
    return unrealistic(made)


def schema() -> dict[str, Any]:
    """The JSON Schema of a fixture."""
    made = Fixture.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "lash provider fixture"} | made


def seal(root: Path) -> None:
    """Write the index and the schema beside the fixtures."""
    (root / "INDEX.json").write_text(written(index()))
    (root / "fixture.schema.json").write_text(json.dumps(schema(), indent=1) + "\n")
