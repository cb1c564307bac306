"""The tables of layers in the design say what the imports are: every module once, and no line imports its own or a higher one."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = re.compile(r"\| floor \| modules \|\n\| --- \| --- \|\n((?:\| \d+ \| .*\n)+)")


def imported(module: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "lash_ref":
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lash_ref."):
            found.add((node.module or "").split(".")[1])
    return found


def layers() -> list[list[list[str]]]:
    """Each table's lines from the bottom up, each a list of modules."""
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    return [[re.findall(r"`(\w+)`", line) for line in rows.splitlines()][::-1] for rows in TABLE.findall(text)]


def test_every_module_has_one_place():
    named = [module for table in layers() for line in table for module in line]

    assert sorted(named) == sorted(path.stem for path in (ROOT / "lash_ref").glob("*.py") if path.stem != "__init__")


def test_each_line_imports_only_lines_below_it():
    wrong: list[str] = []
    for table in layers():
        for floor, line in enumerate(table):
            too_high = {module for higher in table[floor:] for module in higher}
            wrong += [
                f"{module} imports {other}"
                for module in line
                for other in sorted(imported(ROOT / "lash_ref" / f"{module}.py") & too_high)
            ]

    assert wrong == []
