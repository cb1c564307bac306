"""The plugin `mcp`: one pool of MCP servers for a core, whose tools every session sees.

A template for wrapping an outside service with connections that outlive sessions. The pool belongs to one
event loop; whoever makes it shuts it down.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Self, cast

from lash_ref.errors import McpServerUnreachable
from lash_ref.mcp_connection import (
    CONNECTION_CLOSED,
    REQUEST_TIMEOUT,
    McpConnection,
    McpServerStatus,
    StdioServer,
    StreamableHttpServer,
    validate,
)
from lash_ref.plugins import PluginFactory, PluginSessionContext, SessionPlugin
from lash_ref.registrar import PluginRegistrar
from lash_ref.scalars import Json
from lash_ref.tool_results import Done, ToolFailure, ToolFailureClass, attachment_value
from lash_ref.tools import ToolCall, ToolContract, ToolManifest, ToolProvider

Config = StdioServer | StreamableHttpServer


class McpConnectionPool:
    """The servers of a core by name."""

    def __init__(self) -> None:
        self._connections: dict[str, McpConnection] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    @classmethod
    async def connect(cls, servers: Mapping[str, Config]) -> Self:
        """A pool of these servers; one that cannot be reached is tried again in the background.

        Raises:
            InvalidMcpServer: a configuration cannot be meant; nothing is connected.
        """
        for name, config in servers.items():
            validate(name, config)
        pool = cls()
        for name, config in servers.items():
            pool._connections[name] = McpConnection(name, config)
        starts = [connection.start(insist=True) for connection in pool._connections.values()]
        for outcome in await asyncio.gather(*starts, return_exceptions=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, McpServerUnreachable):
                await pool.shutdown_all()
                raise outcome
        return pool

    async def attach_server(self, name: str, config: Config) -> None:
        """Connect a server, then take it in, in the place of the one that had its name.

        Raises:
            InvalidMcpServer: the configuration cannot be meant.
            McpServerUnreachable: it cannot be reached now; the pool is as before.
        """
        validate(name, config)
        connection = McpConnection(name, config)
        await connection.start(insist=False)
        former = self._connections.get(name)
        self._connections[name] = connection
        if former is not None:
            leaving = asyncio.create_task(former.stop())
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)

    async def detach_server(self, name: str) -> None:
        """Let go of a server and its tools; one that is not there is no error."""
        former = self._connections.pop(name, None)
        if former is not None:
            await former.stop()

    async def shutdown_all(self) -> None:
        """Let go of every server; the pool can be filled again."""
        connections = list(self._connections.values())
        self._connections.clear()
        await asyncio.gather(*(connection.stop() for connection in connections), *self._leaving)

    def server_statuses(self) -> tuple[McpServerStatus, ...]:
        """How every server stands, by name."""
        return tuple(connection.status() for _, connection in sorted(self._connections.items()))

    # -- tools

    def manifests(self) -> list[ToolManifest]:
        """Every tool of every server, of those that are away too."""
        return [
            tool.definition.manifest
            for _, connection in sorted(self._connections.items())
            for tool in connection.tools.values()
        ]

    def contract(self, name: str) -> ToolContract | None:
        """A tool's contract, as its server states it."""
        found = self._find(name)
        return found[0].tools[name].definition.contract if found else None

    def _find(self, name: str) -> tuple[McpConnection, str] | None:
        for connection in self._connections.values():
            if name in connection.tools:
                return connection, connection.tools[name].remote_name
        return None

    async def call_tool(self, name: str, args: Any) -> Done:
        """Call a tool on its server; calls to one server do not wait for each other.

        Whatever goes wrong is a failed result. A lost connection is made again in the background; the call
        is not, as nobody knows whether it was carried out.
        """
        found = self._find(name)
        if found is None:
            return Done.err(f"Unknown MCP tool: {name}")
        connection, remote_name = found
        if args is not None and not isinstance(args, dict):
            return Done.err(f"MCP tool {name} takes an object, found {Json(args).text}")
        client = connection.client
        if client is None:
            reason = f"; last error: {connection.last_error}" if connection.last_error else ""
            return _failed(
                "unavailable", "mcp_not_connected", f"MCP server {connection.name} is not connected{reason}"
            )
        from mcp.shared.exceptions import MCPError

        limit = connection.config.call_timeout_ms / 1000
        try:
            result = await client.call_tool(remote_name, cast("dict[str, Any] | None", args), read_timeout_seconds=limit)
        except MCPError as err:
            if err.code == CONNECTION_CLOSED:
                if connection.client is client:
                    connection.lose(f"the connection was lost: {err.message}")
                lost = f"MCP server {connection.name}: the connection was lost during the call"
                return _failed("unavailable", "mcp_connection_lost", lost)
            if err.code == REQUEST_TIMEOUT:
                late = f"MCP server {connection.name} did not answer within {limit:g} s"
                return _failed("timeout", "mcp_call_timeout", late)
            return _failed("external", "mcp_protocol_error", f"MCP server {connection.name}: {err.message}")
        except Exception as err:
            return _failed("external", "mcp_protocol_error", f"MCP server {connection.name}: {err}")
        return _result(result)


def _failed(failure_class: ToolFailureClass, code: str, message: str) -> Done:
    return Done.failure(ToolFailure.tool(failure_class, code, message))


def _result(result: Any) -> Done:
    """A server's answer: its structured content, else its only content item, else all of them."""
    from mcp.types import ImageContent, TextContent

    texts: list[str] = []
    items: list[Any] = []
    for item in result.content:
        match item:
            case TextContent(text=text):
                texts.append(text)
                items.append(text)
            case ImageContent(data=data, mime_type=media_type):
                source = {"source": "inline", "media_type": media_type, "bytes": data}
                items.append(attachment_value(Json(source)).value)
            case other:
                items.append(other.model_dump(mode="json", by_alias=True, exclude_none=True))
    pictured = len(texts) != len(items)
    value: Any = items[0] if len(items) == 1 else items or None
    if result.structured_content is not None and not pictured:
        value = result.structured_content
    if not result.is_error:
        return Done.ok(value)
    said = "\n\n".join(texts) or "the MCP tool answered with an error"
    failure = ToolFailure.tool("execution", "mcp_tool_error", said)
    return Done.failure(failure.but(raw=Json(value)))


class McpToolProvider(ToolProvider):
    """The tools of a pool, as they are at the moment of asking."""

    def __init__(self, pool: McpConnectionPool) -> None:
        self._pool = pool

    def tool_manifests(self) -> Sequence[ToolManifest]:
        return self._pool.manifests()

    def resolve_contract(self, name: str) -> ToolContract | None:
        return self._pool.contract(name)

    async def execute(self, call: ToolCall) -> Done:
        return await self._pool.call_tool(call.name, call.args)


class _McpPlugin(SessionPlugin):
    id = "mcp"

    def __init__(self, pool: McpConnectionPool) -> None:
        self._pool = pool

    def register(self, reg: PluginRegistrar) -> None:
        reg.tools().provider(McpToolProvider(self._pool))


class McpPluginFactory(PluginFactory):
    """Shares one pool with every session, and with every core that is given this factory."""

    id = "mcp"

    def __init__(self, pool: McpConnectionPool | None = None) -> None:
        self.pool = pool or McpConnectionPool()

    async def attach_server(self, name: str, config: Config) -> None:
        """`McpConnectionPool.attach_server`; sessions see the tools at their next turn."""
        await self.pool.attach_server(name, config)

    async def detach_server(self, name: str) -> None:
        """`McpConnectionPool.detach_server`; sessions keep the tools' entries as orphans."""
        await self.pool.detach_server(name)

    def build(self, context: PluginSessionContext) -> SessionPlugin:
        del context
        return _McpPlugin(self.pool)
