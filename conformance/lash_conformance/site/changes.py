"""What changed: news fragments and the change log, and the clauses that each names."""

import re
from dataclasses import dataclass
from pathlib import Path

KINDS = {"clause": "Clauses", "feature": "Features", "fix": "Fixes", "docs": "Documentation"}
_ID = re.compile(r"(?<![\w`\[.])([A-Z]{3}\.[1-9][0-9]*)\b(?!`)")
_RANGE = re.compile(r"\b([A-Z]{3})\.([1-9][0-9]*) to (?:\1\.)?([1-9][0-9]*)\b")


@dataclass(frozen=True, kw_only=True)
class News:
    """One visible change."""

    path: str
    release: str
    """Empty for what no release carries yet."""
    kind: str
    text: str

    @property
    def clauses(self) -> tuple[str, ...]:
        """Ids that it names, ranges spelled out."""
        named = _ID.findall(self.text)
        for area, low, high in _RANGE.findall(self.text):
            named += [f"{area}.{number}" for number in range(int(low), int(high) + 1)]
        return tuple(dict.fromkeys(named))

    @property
    def linked(self) -> str:
        """The text with every id as a link to its clause."""
        return _ID.sub(r"[\1][]", self.text)


def news(root: Path) -> tuple[News, ...]:
    """Everything that readers were told, what no release carries yet first."""
    found: list[News] = []
    for path in sorted((root / "changes").glob("*.md")):
        kind = path.name.rpartition(".md")[0].rpartition(".")[2]
        text = " ".join(path.read_text(encoding="utf-8").split())
        found.append(News(path=f"changes/{path.name}", release="", kind=kind, text=text))
    log = root / "CHANGELOG.md"
    return (*found, *_released(log.read_text(encoding="utf-8") if log.is_file() else ""))


def _released(log: str) -> list[News]:
    found: list[News] = []
    release = kind = ""
    for line in log.splitlines():
        if line.startswith("## "):
            release = line.removeprefix("## ")
        elif line.startswith("### "):
            kind = {title: name for name, title in KINDS.items()}.get(line.removeprefix("### "), "")
        elif release and line.startswith("- "):
            found.append(News(path="CHANGELOG.md", release=release, kind=kind, text=line.removeprefix("- ")))
        elif found and release and line.startswith("  "):
            last = found.pop()
            found.append(News(path=last.path, release=release, kind=kind, text=f"{last.text} {line.strip()}"))
    return found
