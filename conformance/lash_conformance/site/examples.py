# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pygments leaves parts of its own types open
"""The example of a clause: the source of one of its passing checks, cut out of the suite by the name of the check."""

import ast
import inspect
import textwrap
from dataclasses import dataclass
from pathlib import Path

from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexers import get_lexer_by_name

from lash_conformance.catalogue import Clause
from lash_conformance.check import Check
from lash_conformance.site.evidence import Evidence

KINDS = ("example", "race", "crash", "machine")
"""Those that a reader understands first come first."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """One check's source."""

    check: Check
    path: str
    line: int
    passes: tuple[str, ...]
    """The implementations that pass it."""
    html: str


def example(clause: Clause, evidence: Evidence) -> Example | None:
    """The plainest check of the clause that passes in a report of this build; none when none passes."""
    passing = [made for made in evidence.checks_of.get(clause.id, []) if evidence.passed_by(made.id)]
    if not passing:
        return None
    chosen = min(passing, key=lambda made: (KINDS.index(made.kind), len(made.clauses), made.line, made.id))
    source, line = _slice(chosen)
    path = Path(inspect.getsourcefile(chosen.run) or "").as_posix()
    html = highlight(source, get_lexer_by_name("python"), HtmlFormatter(nowrap=True)).strip("\n")
    return Example(
        check=chosen, path=path.partition("conformance/")[2], line=line,
        passes=evidence.passed_by(chosen.id), html=html.replace("\n", "&#10;"),
    )  # fmt: skip


def _slice(chosen: Check) -> tuple[str, int]:
    """The function without its decorators, and the line it begins on."""
    lines, first = inspect.getsourcelines(chosen.run)
    text = textwrap.dedent("".join(lines))
    made = ast.parse(text).body[0]
    assert isinstance(made, ast.AsyncFunctionDef), f"{chosen.id} is a function"
    return "\n".join(text.splitlines()[made.lineno - 1 :]), first + made.lineno - 1
