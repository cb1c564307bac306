"""Reference pages: the command line from its own help, Python from its docstrings, and JSON from its schemas."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any, cast

import typer

from lash_conformance import host, report, target
from lash_ref import (
    contracts,
    core,
    errors,
    queue_contracts,
    runtime_errors,
    session,
    session_admin,
    session_builder,
    turn_builders,
)

_SECTION = re.compile(r"\n\n(Raises|Returns|Args):\n")
_ITEM = re.compile(r"^ +(\w+): (.*)$", re.MULTILINE)


def pages() -> dict[str, str]:
    """All of them by name."""
    return {
        "reference/cli.md": command_line(),
        "reference/contract.md": python("The contract in Python", "The Protocols that a host supplies, from `lash_ref.contracts`; what waits for a session is in `lash_ref.queue_contracts`.", contracts, queue_contracts),
        "reference/runtime.md": python(
            "The runtime in Python", "A core, the sessions it opens, and their turns, as `lash_ref` has them.",
            core, session_builder, session, session_admin, turn_builders,
        ),
        "reference/errors.md": python(
            "Errors", "What the contract refuses, from `lash_ref.errors`, and what a runtime says, from `lash_ref.runtime_errors`.", errors, runtime_errors
        ),
        "reference/targets.md": python(
            "Targets in Python", "What the judge asks of a store, from `lash_conformance.target`, and of a host, from `lash_conformance.host`.", target, host
        ),
        "reference/schemas.md": schemas(),
    }  # fmt: skip


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


def python(title: str, about: str, *modules: ModuleType) -> str:
    """The public classes of modules with their docstrings, methods and signatures, in the order of the source."""
    lines = [f"# {title}", "", about, ""]
    for module in modules:
        for made in _classes(module):
            lines += [f"## {made.__name__}", "", f"<small>`{module.__name__}`{_parent(made)}</small>", "", _text(made), ""]
            for name, function in _functions(made):
                lines += [f"### {made.__name__}.{name} {{ #{made.__name__}.{name} }}", "", "```python", _signature(function), "```", "", _text(function), ""]
    return "\n".join(lines)


def _classes(module: ModuleType) -> list[type]:
    found = (made for name, made in inspect.getmembers(module, inspect.isclass) if not name.startswith("_"))
    return sorted((made for made in found if made.__module__ == module.__name__), key=lambda made: inspect.getsourcelines(made)[1])


def _parent(made: type) -> str:
    return f", a `{made.__bases__[0].__name__}`" if issubclass(made, BaseException) else ""


def _functions(made: type) -> Iterable[tuple[str, Any]]:
    for name, member in vars(made).items():
        function: Any = getattr(member, "__func__", member)
        if not name.startswith("_") and inspect.isfunction(function) and function.__module__ == made.__module__:
            yield name, function


def _signature(function: Any) -> str:
    """As its source has it, on lines that fit."""
    made = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(made, ast.AsyncFunctionDef | ast.FunctionDef)
    made.body, made.decorator_list = [ast.Pass()], []
    return "\n".join(textwrap.wrap(ast.unparse(made).partition(":\n")[0], 76, subsequent_indent="    ", break_long_words=False))


def _text(made: Any) -> str:
    text = (inspect.cleandoc(made.__doc__) if made.__doc__ else "").replace("<", "&lt;")
    text = _SECTION.sub(r"\n\n\1:\n\n", text)
    return _ITEM.sub(r"- `\1`: \2", text)


def schemas() -> str:
    """Where the JSON Schemas are, and the report member by member."""
    lines = [
        "# JSON Schemas", "",
        "- [The report](../schemas/report.json) that `lash-conformance run` writes; below, member by member.",
        "- [The wire](../schemas/wire.json) as an OpenRPC document, with the schema of every record and error.",
        "- [A recorded exchange](../schemas/provider-fixture.json) of a provider.",
        "- Data of this site: [clauses.json](../clauses.json), [report.json](../report.json).", "",
        "Schemas are JSON Schema, draft 2020-12; `lash-conformance schema` prints the first two.", "",
    ]  # fmt: skip
    whole = report.schema()
    for name, made in [("Report", whole), *cast("dict[str, Any]", whole["$defs"]).items()]:
        if "properties" not in made:
            continue
        lines += [f"## {name}", "", (made.get("description") or "").partition("\n")[0], "", "| member | type | meaning |", "| --- | --- | --- |"]
        for member, about in made["properties"].items():
            meaning = " ".join((about.get("description") or "").split()).replace("|", "\\|").replace("<", "&lt;")
            lines.append(f"| `{member}` | {_type(about)} | {meaning} |")
        lines.append("")
    return "\n".join(lines)


def _type(about: dict[str, Any]) -> str:
    if "$ref" in about:
        name = about["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in about:
        return ", ".join(f"`{one}`" for one in about["enum"])
    if "anyOf" in about:
        return " or ".join(_type(one) for one in about["anyOf"])
    if about.get("type") == "array":
        return f"list of {_type(about.get('items', {}))}"
    return str(about.get("type", "any"))
