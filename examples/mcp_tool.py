"""A tool of an MCP server: the core holds the connection, sessions come and go, servers are swapped live.

Needs the extra ``mcp``. The server is this file too, started as ``python examples/mcp_tool.py serve``.
"""

import asyncio
import sys

from lash_ref.attachments import InMemoryAttachmentStore
from lash_ref.core import LashCore
from lash_ref.effects import InlineEffectHost
from lash_ref.hosting import InMemoryProcessEnvStore
from lash_ref.mcp_connection import StdioServer
from lash_ref.mcp_pool import McpConnectionPool, McpPluginFactory
from lash_ref.records import ModelSpec
from lash_ref.scripted import Reply, ScriptedProvider
from lash_ref.store import SystemClock


def serve() -> None:
    """An MCP server with one tool, written with the official SDK."""
    from mcp.server.mcpserver import MCPServer

    server = MCPServer("weather")

    @server.tool()
    def forecast(city: str) -> str:
        """Tomorrow's weather."""
        return f"Rain in {city}"

    server.run("stdio")


async def main() -> None:
    """One session that outlives its server."""
    weather = StdioServer(command=sys.executable, args=(__file__, "serve"), startup_timeout_ms=60_000)
    pool = await McpConnectionPool.connect({"weather": weather})
    ask = Reply(calls=[("c1", "mcp__weather__forecast", {"city": "Oslo"})])
    core = await (
        LashCore.standard_builder()
        .provider(ScriptedProvider([ask, "Take an umbrella.", ask, "I cannot know.", ask, "An umbrella, still."]))
        .model(ModelSpec.from_token_limits("scripted", None, 8000))
        .effect_host(InlineEffectHost())
        .attachment_store(InMemoryAttachmentStore(SystemClock()))
        .process_env_store(InMemoryProcessEnvStore())
        .plugin(McpPluginFactory(pool))
        .build()
    )
    session = await core.session("s").open()
    try:
        for attached in (True, False, True):
            if attached and not pool.server_statuses():
                await pool.attach_server("weather", weather)
            if not attached:
                await pool.detach_server("weather")
            done = await session.turn("Tomorrow in Oslo?").run()
            print("attached:" if attached else "detached:", done.result.tool_calls[0].output.model_text())
    finally:
        await session.close()
        await pool.shutdown_all()


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    else:
        asyncio.run(main())
