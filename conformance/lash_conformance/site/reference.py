"""Reference pages: the command line from its own help, and the contract from its docstrings."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import typer

from lash_ref import contracts

_SECTION = re.compile(r"\n\n(Raises|Returns|Args):\n")
_ITEM = re.compile(r"^\s+(\w+): (.*)$", re.MULTILINE)


def pages() -> dict[str, str]:
    """All of them by name."""
    return {"reference/cli.md": command_line(), "reference/contract.md": contract()}


def command_line() -> str:
    """Every command with its options."""
    from lash_conformance.cli import app

    lines = ["# Command line", "", "From the help of `lash-conformance` itself.", ""]
    lines += ["Exit codes: 0 conforms, 1 does not, 2 usage or handshake, 3 harness fault, 4 incomplete.", ""]
    for name, command in _commands(typer.main.get_command(app), ""):
        lines += [f"## {name}", "", (command.help or "").strip().replace("<", "&lt;"), ""]
        lines += ["| argument | meaning | default |", "| --- | --- | --- |"]
        for parameter in command.params:
            shown = ", ".join(f"`{one}`" for one in parameter.opts) if parameter.param_type_name == "option" else f"`{(parameter.name or '').upper()}`"
            text = (getattr(parameter, "help", None) or "").replace("|", "\\|").replace("<", "&lt;")
            default = "" if parameter.default in (None, False) or parameter.required else f"`{parameter.default}`"
            lines.append(f"| {shown} | {text} | {default} |")
        lines.append("")
    return "\n".join(lines)


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    inside: dict[str, Any] | None = getattr(command, "commands", None)
    if inside is not None:
        for name, inner in sorted(inside.items()):
            yield from _commands(inner, f"{path} {name}".strip())
    else:
        yield path, command


def contract() -> str:
    """The Protocols of `lash_ref.contracts` with their docstrings."""
    lines = ["# The contract in Python", "", "The Protocols that a host supplies, from `lash_ref.contracts`.", ""]
    for name, made in inspect.getmembers(contracts, inspect.isclass):
        if made.__module__ != contracts.__name__:
            continue
        lines += [f"## {name}", "", _text(made), ""]
        for method, function in vars(made).items():
            if method.startswith("_") or not inspect.isfunction(function):
                continue
            lines += [f"### {name}.{method} {{ #{name}.{method} }}", "", "```python", _signature(function), "```", "", _text(function), ""]
    return "\n".join(lines)


def _signature(function: Any) -> str:
    """As its source has it, on one line."""
    made = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(made, ast.AsyncFunctionDef | ast.FunctionDef)
    made.body, made.decorator_list = [ast.Pass()], []
    return ast.unparse(made).partition(":\n")[0]


def _text(made: Any) -> str:
    text = (inspect.getdoc(made) or "").replace("<", "&lt;")
    text = _SECTION.sub(r"\n\n\1:\n\n", text)
    return _ITEM.sub(r"- `\1`: \2", text)
