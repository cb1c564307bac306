"""How the tools of MCP servers are named here: ``mcp__<server>__<tool>``, ids ``mcp:<server>/<name>``."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lash_ref.tools import ToolDefinition

_OTHER = re.compile(r"[^a-z0-9]+")


def normalized(name: str) -> str:
    """ASCII lower-case letters and digits, runs of anything else as one ``_``, none at the ends."""
    return _OTHER.sub("_", name.lower()).strip("_") or "tool"


@dataclass(frozen=True)
class RemoteTool:
    """A tool as its server describes it."""

    name: str
    description: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any] | None


@dataclass(frozen=True)
class ImportedTool:
    """A server's tool under the name it has here."""

    remote_name: str
    definition: ToolDefinition


def imported(server: str, tools: Iterable[RemoteTool]) -> dict[str, ImportedTool]:
    """The tools of one server by their names here; those that come out alike get ``_2``, ``_3``."""
    taken: dict[str, ImportedTool] = {}
    for tool in tools:
        base = f"mcp__{normalized(server)}__{normalized(tool.name)}"
        name, again = base, 1
        while name in taken:
            again += 1
            name = f"{base}_{again}"
        said = tool.description.strip()
        description = f"[MCP {server}] {said}" if said else f"MCP tool of server {server}"
        definition = ToolDefinition.raw(
            f"mcp:{server}/{name}", name, description, tool.input_schema, tool.output_schema or {}
        )
        taken[name] = ImportedTool(tool.name, definition)
    return taken
