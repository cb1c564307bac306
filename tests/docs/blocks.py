"""Code blocks of a Markdown page: what each is, and why it is not run where it is not.

A reader copies blocks, so every one runs. ``<!-- not run: reason -->`` on the line above a fence exempts one;
``<!-- exits: 1 -->`` says that a command is meant to fail, ``<!-- needs: node -->`` that it takes a program. A block with ``title="name"`` is saved under that name.
"""

import json
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(
    r"(?:^ *<!-- (?P<rule>not run|exits|needs): (?P<value>.+?) -->\n\n?)?"
    r"^(?P<indent> *)(?P<ticks>`{3,})(?P<info>[^\n]*)\n(?P<body>.*?)^(?P=indent)(?P=ticks)$",
    re.MULTILINE | re.DOTALL,
)
_TITLE = re.compile(r'title="([^"]+)"')
PROSE = ("text", "markdown", "mermaid", "")
"""Languages of blocks that are looked at, not run."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block."""

    page: str
    line: int
    language: str
    title: str
    body: str
    reason: str
    """Why it is not run, or empty."""
    exits: int
    needs: str
    """A program that must be there, or empty."""


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found: list[Block] = []
    for match in _FENCE.finditer(text):
        info = match["info"]
        title = _TITLE.search(info)
        language = info.partition(" ")[0]
        reason = match["value"] if match["rule"] == "not run" else ""
        found.append(
            Block(
                page=page.name,
                line=text.count("\n", 0, match.start("ticks")) + 1,
                language=language,
                title=title.group(1) if title else "",
                body=textwrap.dedent(match["body"]),
                reason=reason or ("prose" if language in PROSE and not title else ""),
                exits=int(match["value"]) if match["rule"] == "exits" else 0,
                needs=match["value"] if match["rule"] == "needs" else "",
            )
        )
    return found


class BlockFailed(Exception):
    """A block did not do what its page says; the message names the page, the line and what came of it."""


def run(block: Block, folder: Path) -> None:
    """Save, parse or execute one block in the page's scratch folder.

    Raises:
        BlockFailed: with the page, the line and what came of it.
    """
    if block.title:
        path = folder / block.title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.body, encoding="utf-8")
        return
    match block.language:
        case "json":
            json.loads(block.body)
        case "toml":
            tomllib.loads(block.body)
        case "python":
            _execute(block, folder, [sys.executable, "-c", block.body])
        case "console" | "sh" | "bash":
            for line in _commands(block.body):
                _execute(block, folder, ["bash", "-c", line])
        case other:
            raise BlockFailed(f"{block.page}:{block.line}: no way to run {other!r}; give it a title or a reason")


def _commands(body: str) -> list[str]:
    joined = body.replace("\\\n", " ")
    lines = [line.removeprefix("$ ") for line in joined.splitlines()]
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _execute(block: Block, folder: Path, command: list[str]) -> None:
    bin_directory = str(Path(sys.executable).parent)
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PATH": bin_directory + os.pathsep + os.environ.get("PATH", ""), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode != block.exits:
        raise BlockFailed(
            f"{block.page}:{block.line}: {command[-1]!r} exits with {done.returncode}, not {block.exits}\n"
            f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        )
