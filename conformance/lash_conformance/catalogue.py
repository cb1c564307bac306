"""The law as data: clauses parsed, once, from the Markdown under ``docs/spec``.

A clause is a level-4 heading ``#### STO.12 { #STO.12 .clause }``, one sentence in a blockquote with exactly
one RFC 2119 keyword, then *Why.* and *Source.* lines. ``*Untested.*`` gives the reason when no check can
exist; ``*Divergence.*`` says where upstream differs.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

Level = Literal["MUST", "SHOULD", "MAY"]

EDITION = "2026.11"
AREAS = {
    "REC": "records", "GRA": "conversation graph", "STA": "state", "STO": "commits", "LEA": "execution lease",
    "QUE": "queued work", "INP": "turn inputs", "MNT": "maintenance", "ATT": "attachments", "FAC": "store factory",
    "BLD": "core builder", "SES": "sessions", "TRN": "turns", "FRM": "agent frames", "CAN": "cancellation",
    "WAI": "durable waits", "OBS": "observation", "PLG": "plugins", "HOK": "hooks", "TOO": "tools",
    "REG": "tool registry", "PRM": "prompt", "OPS": "plugin operations", "SNP": "snapshots", "PRV": "providers",
    "RPL": "replay server", "PRC": "processes", "TRG": "triggers", "RLM": "model-written code", "WIR": "store wire",
    "HST": "host wire",
}  # fmt: skip
"""What each area of the law is about, in the order of the spec."""

PROFILES: dict[str, tuple[str, ...]] = {
    "store": ("REC", "GRA", "STO", "LEA", "QUE", "INP", "MNT", "ATT", "FAC", "WIR"),
    "host": (
        "STA", "BLD", "SES", "TRN", "FRM", "CAN", "WAI", "OBS", "PLG", "HOK", "TOO", "REG", "PRM", "OPS",
        "SNP", "PRC", "TRG", "PRV", "RPL", "RLM", "HST",
    ),
}  # fmt: skip
"""What a run of each profile judges, by area."""

_HEADING = re.compile(r"^#### (?P<id>\S+) \{ #(?P<anchor>\S+) \.clause \}$")
_KEYWORD = re.compile(r"\*\*(MUST NOT|MUST|SHALL NOT|SHALL|SHOULD NOT|SHOULD|MAY)\*\*")
_ID = re.compile(rf"^({'|'.join(AREAS)})\.[1-9][0-9]*$")
_NOTE = re.compile(r"\*(Why|Source|Untested|Divergence|Example)\.\*\s*")


class CatalogueFault(Exception):
    """The spec breaks its own form; every fault found is listed."""


def hashed(rule: str) -> str:
    """The hash of a rule's words; spaces do not count."""
    return hashlib.sha256(" ".join(rule.split()).encode()).hexdigest()[:12]


@dataclass(frozen=True, kw_only=True)
class Clause:
    """One rule of the law."""

    id: str
    level: Level
    rule: str
    why: str
    source: str
    untested: str
    divergence: str
    page: str
    line: int

    @property
    def area(self) -> str:
        """The three letters before the dot."""
        return self.id.partition(".")[0]

    @property
    def text_hash(self) -> str:
        """Changes when the rule's words do, so that its checks are read again."""
        return hashed(self.rule)

    @property
    def order(self) -> tuple[int, int]:
        """Area order of the spec, then number."""
        return list(AREAS).index(self.area), int(self.id.partition(".")[2])

    @property
    def sources(self) -> tuple[str, ...]:
        """Inventory rows named by the source, ranges spelled out: ``S4-S6`` is S4, S5, S6."""
        rows: list[str] = []
        pattern = re.compile(r"\b(S|V?[A-KPGF]{1,2})(\d+)(?:\s*[-–]\s*(?:\1)?(\d+))?\b")
        for match in pattern.finditer(self.source):
            prefix, first, last = match.group(1), int(match.group(2)), match.group(3)
            rows += [f"{prefix}{n}" for n in range(first, int(last or first) + 1)]
        return tuple(dict.fromkeys(rows))

    @property
    def seeds(self) -> tuple[str, ...]:
        """Seed APIs named by the source, such as ``s2.11``."""
        return tuple(dict.fromkeys(re.findall(r"\bs[0-4]\.\d+\b", self.source)))


@dataclass(frozen=True, kw_only=True)
class SeedApi:
    """One API that a seed names, and what it became."""

    id: str
    api: str
    now: str


def seed_apis() -> tuple[SeedApi, ...]:
    """The APIs of the seeds, in their order."""
    lines = (spec_directory() / "seeds.txt").read_text(encoding="utf-8").splitlines()[1:]
    rows = [[*line.split("\t"), "", ""] for line in lines]
    return tuple(SeedApi(id=row[0], api=row[1], now=row[2]) for row in rows)


def spec_directory() -> Path:
    """Where the law lies: beside the checkout's package, or packed into the wheel."""
    packed = Path(__file__).parent / "_data" / "spec"
    return packed if packed.is_dir() else Path(__file__).parents[2] / "docs" / "spec"


@cache
def clauses() -> dict[str, Clause]:
    """Every clause by id, in the spec's order.

    Raises:
        CatalogueFault: the Markdown breaks the form; all faults are listed.
    """
    return read(spec_directory())


def read(directory: Path) -> dict[str, Clause]:
    """As `clauses`, from any directory of Markdown pages."""
    found: dict[str, Clause] = {}
    faults: list[str] = []
    for page in sorted(directory.glob("*.md")):
        for clause in _on_page(page, faults):
            if clause.id in found:
                faults.append(f"{page.name}:{clause.line}: {clause.id} is defined twice")
            found[clause.id] = clause
    if faults:
        raise CatalogueFault("\n".join(faults))
    return dict(sorted(found.items(), key=lambda item: item[1].order))


def _on_page(page: Path, faults: list[str]) -> list[Clause]:
    lines = page.read_text(encoding="utf-8").splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("#### ")]
    found: list[Clause] = []
    for start in starts:
        heading = _HEADING.match(lines[start])
        where = f"{page.name}:{start + 1}"
        if heading is None or heading["id"] != heading["anchor"] or not _ID.match(heading["id"]):
            faults.append(f"{where}: not a clause heading: {lines[start]}")
            continue
        end = next((n for n in range(start + 1, len(lines)) if re.match(r"#{1,4} ", lines[n])), None)
        clause = _clause(heading["id"], lines[start + 1 : end], page.name, start + 1, faults)
        if clause is not None:
            found.append(clause)
    return found


def _clause(
    clause_id: str, body: list[str], page: str, line: int, faults: list[str]
) -> Clause | None:
    where = f"{page}:{line}: {clause_id}"
    rule = " ".join(text[1:].strip() for text in body if text.startswith(">"))
    keywords = _KEYWORD.findall(rule)
    if len(keywords) != 1:
        faults.append(f"{where} has {len(keywords)} keywords in its rule, not one")
        return None
    parts = _NOTE.split("\n".join(text for text in body if not text.startswith(">")))
    notes = {name: " ".join(text.split()) for name, text in zip(parts[1::2], parts[2::2], strict=True)}
    if not notes.get("Source"):
        faults.append(f"{where} names no source")
    level: Level = "MUST" if keywords[0].startswith(("MUST", "SHALL")) else "SHOULD"
    if keywords[0] == "MAY":
        level = "MAY"
    return Clause(
        id=clause_id,
        level=level,
        rule=rule.replace("**", ""),
        why=notes.get("Why", ""),
        source=notes.get("Source", ""),
        untested=notes.get("Untested", ""),
        divergence=notes.get("Divergence", ""),
        page=page,
        line=line,
    )
