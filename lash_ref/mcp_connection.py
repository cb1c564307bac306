"""One MCP server: a task that holds the connection, discovers tools, and connects again when it is lost.

The official `mcp` SDK speaks the protocol; it is imported when a connection is made (extra ``mcp``). An SDK
client must be entered and left by one task, so each server has a task of its own, and calls are made through
the client it holds.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from pydantic import Field

from lash_ref.errors import InvalidMcpServer, McpServerUnreachable
from lash_ref.mcp_names import ImportedTool, RemoteTool, imported
from lash_ref.scalars import U64, Record, Text

if TYPE_CHECKING:
    from mcp import Client

FIRST_BACKOFF_S = 0.5
LAST_BACKOFF_S = 30.0
CONNECTION_CLOSED = -32000
REQUEST_TIMEOUT = -32001
"""JSON-RPC codes of the SDK for what happened to the connection, not to the call."""


class StdioServer(Record):
    """A server that is started as a child process."""

    transport: Literal["stdio"] = "stdio"
    command: Text
    args: tuple[Text, ...] = ()
    env: dict[str, Text] = {}
    cwd: Text | None = None
    startup_timeout_ms: U64 = 10_000
    """Bounds the handshake, and then the discovery of tools."""
    call_timeout_ms: U64 = 60_000


class StreamableHttpServer(Record):
    """A server behind a URL."""

    transport: Literal["streamable_http"] = "streamable_http"
    url: Text
    headers: dict[str, Text] = {}
    startup_timeout_ms: U64 = 10_000
    call_timeout_ms: U64 = 60_000


McpServerConfig = Annotated[StdioServer | StreamableHttpServer, Field(discriminator="transport")]


def validate(name: str, config: StdioServer | StreamableHttpServer) -> None:
    """Refuse a server that cannot be meant.

    Raises:
        InvalidMcpServer: a blank name, command or URL, or ``__`` in the name.
    """
    if not name.strip():
        raise InvalidMcpServer(name, "its name is blank")
    if "__" in name:
        raise InvalidMcpServer(name, "its name contains '__', which separates it from its tools")
    match config:
        case StdioServer(command=command) if not command.strip():
            raise InvalidMcpServer(name, "its command is blank")
        case StreamableHttpServer(url=url) if not url.strip():
            raise InvalidMcpServer(name, "its URL is blank")
        case _:
            return


@dataclass(frozen=True)
class McpServerStatus:
    """How one server stands."""

    server_name: str
    connected: bool
    last_error: str | None
    """Why the last attempt to connect failed, or how the connection was lost."""
    tool_count: int


class McpConnection:
    """One server of a pool; its tools stay while it is away."""

    def __init__(self, name: str, config: StdioServer | StreamableHttpServer) -> None:
        self.name = name
        self.config = config
        self.tools: dict[str, ImportedTool] = {}
        self.client: Client | None = None
        self.last_error: str | None = None
        self._stopped = False
        self._patience: asyncio.Timeout | None = None
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def status(self) -> McpServerStatus:
        """How it stands."""
        return McpServerStatus(self.name, self.client is not None, self.last_error, len(self.tools))

    async def start(self, *, insist: bool) -> None:
        """Connect once and wait for it; with ``insist``, go on trying in the background when that fails.

        Raises:
            McpServerUnreachable: the first attempt failed.
        """
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(first, insist=insist), name=f"mcp {self.name}")
        try:
            await asyncio.shield(first)
        except asyncio.CancelledError:
            first.cancel()
            await self.stop()
            raise

    async def stop(self) -> None:
        """Let go of the server, for good."""
        self._stopped = True
        self._ended.set()
        if self._task is not None:
            if self._patience is not None:
                # Not a cancellation: that could hit the SDK while it puts the child process down.
                with suppress(RuntimeError):
                    self._patience.reschedule(0)
            await asyncio.gather(self._task, return_exceptions=True)

    def lose(self, reason: str) -> None:
        """The connection is gone; its task connects again."""
        self.client = None
        self.last_error = reason
        self._ended.set()

    # -- the task

    async def _run(self, first: asyncio.Future[None], *, insist: bool) -> None:
        backoff = FIRST_BACKOFF_S
        while not self._stopped:
            self._ended.clear()
            try:
                async with self._connected() as client:
                    self.client, self.last_error, backoff = client, None, FIRST_BACKOFF_S
                    _settle(first, None)
                    await self._ended.wait()
            except Exception as err:
                self.last_error = _reason(err)
                if not first.done():
                    _settle(first, McpServerUnreachable(self.name, self.last_error))
                    if not insist:
                        return
            finally:
                self.client = None
            if not self._stopped:
                self._ended.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._ended.wait(), backoff)
                backoff = min(backoff * 2, LAST_BACKOFF_S)
        _settle(first, McpServerUnreachable(self.name, "it was let go of"))

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator["Client"]:
        """A client past handshake and discovery, watched for changes of the server's tools."""
        budget = self.config.startup_timeout_ms / 1000
        changed = asyncio.Event()
        async with AsyncExitStack() as stack:
            async with _within(budget, "the handshake") as self._patience:
                client = await stack.enter_async_context(self._client(stack, changed))
            async with _within(budget, "the discovery of tools") as self._patience:
                self.tools = await self._discovered(client)
            work = (self._rediscover(client, changed), _listen(client, changed))
            watching = [asyncio.create_task(each) for each in work]
            try:
                yield client
            finally:
                for task in watching:
                    task.cancel()
                await asyncio.gather(*watching, return_exceptions=True)

    def _client(self, stack: AsyncExitStack, changed: asyncio.Event) -> "Client":
        try:
            from mcp import Client, StdioServerParameters
            from mcp.client.streamable_http import streamable_http_client
            from mcp.types import ToolListChangedNotification
        except ImportError as err:
            raise ImportError(f"MCP servers need an extra: pip install 'lash-ref[mcp]' ({err})") from err

        async def heard(message: object) -> None:
            if isinstance(message, ToolListChangedNotification):
                changed.set()

        match self.config:
            case StdioServer() as stdio:
                server: Any = StdioServerParameters(
                    command=stdio.command, args=list(stdio.args), env=dict(stdio.env), cwd=stdio.cwd
                )
            case StreamableHttpServer() as http:
                import httpx2

                client = httpx2.AsyncClient(headers=dict(http.headers), timeout=self.config.call_timeout_ms / 1000)
                stack.push_async_callback(client.aclose)
                server = streamable_http_client(http.url, http_client=client)
        return Client(server, message_handler=heard, cache=None)

    async def _discovered(self, client: "Client") -> dict[str, ImportedTool]:
        found: list[RemoteTool] = []
        cursor: str | None = None
        while True:
            page = await client.list_tools(cursor=cursor)
            found += [
                RemoteTool(tool.name, tool.description or "", tool.input_schema, tool.output_schema)
                for tool in page.tools
            ]
            cursor = page.next_cursor
            if cursor is None:
                return imported(self.name, found)

    async def _rediscover(self, client: "Client", changed: asyncio.Event) -> None:
        """Ask for the tools again whenever the server says that they changed."""
        while True:
            await changed.wait()
            changed.clear()
            try:
                async with _within(self.config.startup_timeout_ms / 1000, "the discovery of tools"):
                    self.tools = await self._discovered(client)
            except Exception as err:
                self.last_error = _reason(err)


async def _listen(client: "Client", changed: asyncio.Event) -> None:
    """Hear of changed tools from servers that tell only those who listen; others notify by themselves."""
    from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
    from mcp.shared.exceptions import MCPError

    with suppress(ListenNotSupportedError, SubscriptionLost, MCPError):
        async with client.listen(tools_list_changed=True) as events:
            async for _ in events:
                changed.set()


@asynccontextmanager
async def _within(seconds: float, what: str) -> AsyncGenerator[asyncio.Timeout]:
    try:
        async with asyncio.timeout(seconds) as patience:
            yield patience
    except TimeoutError as err:
        raise TimeoutError(f"{what} took longer than {seconds:g} s") from err


def _settle(first: asyncio.Future[None], failure: Exception | None) -> None:
    if first.done():
        return
    if failure is None:
        first.set_result(None)
    else:
        first.set_exception(failure)


def _reason(err: BaseException) -> str:
    """The fault itself, out of the groups that task groups wrap it in."""
    if isinstance(err, BaseExceptionGroup):
        return _reason(cast("BaseExceptionGroup[BaseException]", err).exceptions[0])
    return str(err) or type(err).__name__
