# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pygments leaves parts of its own types open
"""Source as pages: a clause links to its checks, broken implementations and code, and each of them links back."""

import re
from collections.abc import Callable, Iterable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup
from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexers.python import PythonLexer

from lash_conformance.catalogue import Clause
from lash_conformance.check import Check
from lash_conformance.mutants import Mutant

_ID = re.compile(r"\b[A-Z]{3}\.[1-9][0-9]*\b")


def place(made: Check | Mutant) -> str:
    """``lash_conformance/checks/store/replay.py:29``, where a check or a broken implementation is written."""
    return f"{made.module.replace('.', '/')}.py:{made.line}"


def address(where: str) -> str:
    """The page and line of a place, from the root of the site."""
    file, _, line = where.partition(":")
    return f"source/{file.removesuffix('.py')}.html#L{line}"


def pages(places: Iterable[str], law: dict[str, Clause], page_of: Callable[[Clause], str], templates: Environment) -> dict[str, str]:
    """One page for each file of the places, every line an anchor and every clause id a link."""
    template = templates.get_template("source.html.j2")
    made: dict[str, str] = {}
    for file in sorted({where.partition(":")[0] for where in places}):
        name = address(file).partition("#")[0]
        up = "../" * name.count("/")
        to_clause = partial(_link, law=law, page_of=page_of, up=up)
        lines = highlight(_text(file), PythonLexer(stripnl=False), HtmlFormatter(nowrap=True)).rstrip("\n").split("\n")
        linked = [_ID.sub(to_clause, line) for line in lines]
        made[name] = template.render(file=file, up=up, lines=[Markup(line) for line in linked])  # noqa: S704 - pygments escapes
    return made


def _link(found: re.Match[str], law: dict[str, Clause], page_of: Callable[[Clause], str], up: str) -> str:
    clause = found[0]
    return f'<a href="{up}{page_of(law[clause])}">{clause}</a>' if clause in law else clause


def _text(file: str) -> str:
    package = find_spec(file.partition("/")[0])
    assert package is not None
    assert package.origin is not None
    return (Path(package.origin).parents[1] / file).read_text(encoding="utf-8")
