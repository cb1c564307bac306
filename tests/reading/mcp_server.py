"""A real MCP server over stdio, well and badly behaved; run with the official SDK by the tests of the pool.

Its first argument says how it behaves: ``well``, ``mute`` (never shakes hands) or ``slow`` (lists no tools).
"""

import os
import sys
import time

import anyio
from mcp.server.mcpserver import Context, Image, MCPServer

server = MCPServer("test")


@server.tool()
def echo(text: str) -> str:
    """Says it again."""
    return text


@server.tool(name="Add-Two")
def add(a: int, b: int) -> dict[str, int]:
    """Adds."""
    return {"sum": a + b}


@server.tool(name="add.two")
def also_add(a: int) -> int:
    return a + 2


@server.tool()
def boom() -> str:
    """Fails."""
    raise ValueError("boom")


@server.tool()
def crash() -> str:
    """Takes the process with it."""
    os._exit(7)


@server.tool()
async def hang() -> str:
    """Never answers."""
    await anyio.sleep_forever()
    return "never"


@server.tool()
def picture() -> Image:
    """A picture."""
    return Image(data=b"\x89PNG", format="png")


waiting: list[anyio.Event] = []


@server.tool()
async def meet() -> str:
    """Answers once another call is here at the same time."""
    here = anyio.Event()
    waiting.append(here)
    if len(waiting) > 1:
        for event in waiting:
            event.set()
    await here.wait()
    return "met"


@server.tool()
async def grow(context: Context) -> str:
    """Offers one tool more, and says so."""

    def extra() -> str:
        """Newcomer."""
        return "extra"

    server.add_tool(extra)
    await context.notify_tools_changed()
    return "grown"


@server.tool()
def pid() -> int:
    """The process."""
    return os.getpid()


async def no_tools(*args: object) -> None:
    await anyio.sleep_forever()


if __name__ == "__main__":
    how = sys.argv[1] if len(sys.argv) > 1 else "well"
    if how == "mute":
        time.sleep(3600)
    if how == "slow":
        server.list_tools = no_tools
    server.run("stdio")
