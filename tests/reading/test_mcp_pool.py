"""The pool of MCP servers against real servers over stdio: naming, calls, faults, coming and going."""

import asyncio
import sys
from pathlib import Path

import pytest

from lash_ref import mcp_connection
from lash_ref.errors import InvalidMcpServer, McpServerUnreachable
from lash_ref.mcp_connection import StdioServer, StreamableHttpServer
from lash_ref.mcp_names import RemoteTool, imported, normalized
from lash_ref.mcp_pool import McpConnectionPool, McpPluginFactory, McpToolProvider
from lash_ref.scalars import Json
from lash_ref.tool_registry import ToolRegistry
from lash_ref.tool_results import Failure, ModelToolReturn

SERVER = Path(__file__).with_name("mcp_server.py")


def stdio(how="well", **limits):
    """The test server; generous limits, as a busy machine starts Python slowly."""
    limits = {"startup_timeout_ms": 120_000, "call_timeout_ms": 120_000} | limits
    return StdioServer(command=sys.executable, args=(str(SERVER), how), **limits)


def fault(done):
    assert isinstance(done.output.outcome, Failure)
    return done.output.outcome.payload.code


def value(done):
    return done.output.outcome.payload.value


async def until(holds):
    """Wait for a condition of the background, for as long as a slow machine may need."""
    for _ in range(6000):
        if holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("never came to hold")


def names(pool):
    return sorted(manifest.name for manifest in pool.manifests())


def test_names_are_plain_and_clashes_are_numbered():
    assert [normalized(raw) for raw in ("Spotify-Search Songs", "__x__", "日本", "a--b")] == [
        "spotify_search_songs", "x", "tool", "a_b",
    ]  # fmt: skip
    tools = imported("My Srv", [RemoteTool("a-b", "", {}, None), RemoteTool("a b", " says ", {"x": 1}, None)])
    assert {name: tool.remote_name for name, tool in tools.items()} == {
        "mcp__my_srv__a_b": "a-b", "mcp__my_srv__a_b_2": "a b",
    }  # fmt: skip
    second = tools["mcp__my_srv__a_b_2"].definition
    assert (second.manifest.id, second.manifest.description, second.contract.input_schema) == (
        "mcp:My Srv/mcp__my_srv__a_b_2", "[MCP My Srv] says", Json({"x": 1}),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "config", "what"),
    [
        (" ", stdio(), "name is blank"),
        ("a__b", stdio(), "'__'"),
        ("a", StdioServer(command=" "), "command is blank"),
        ("a", StreamableHttpServer(url=""), "URL is blank"),
    ],
)
def test_a_server_that_cannot_be_meant_is_refused_by_construction_and_by_attach(name, config, what):
    for attempt in (McpConnectionPool().attach_server(name, config), McpConnectionPool.connect({name: config})):
        with pytest.raises(InvalidMcpServer, match=what):
            asyncio.run(attempt)


async def a_served_session():
    pool = await McpConnectionPool.connect({"Test": stdio()})
    try:
        assert "mcp__test__add_two" in names(pool)
        assert "mcp__test__add_two_2" in names(pool)
        assert value(await pool.call_tool("mcp__test__echo", {"text": "hi"})) == {"result": "hi"}
        assert value(await pool.call_tool("mcp__test__add_two", {"a": 1, "b": 2})) == {"sum": 3}
        boom = await pool.call_tool("mcp__test__boom", None)
        assert (fault(boom), "boom" in boom.output.model_text()) == ("mcp_tool_error", True)
        assert fault(await pool.call_tool("mcp__test__nothing", {})) == "tool_error"
        assert fault(await pool.call_tool("mcp__test__echo", [1])) == "tool_error"
        picture = await pool.call_tool("mcp__test__picture", {})
        shown = ModelToolReturn.from_output("c", "t", picture.output).parts
        assert [part.type for part in shown] == ["attachment"]
        assert shown[0].source == Json({"source": "inline", "media_type": "image/png", "bytes": "iVBORw=="})
        both = await asyncio.gather(*(pool.call_tool("mcp__test__meet", {}) for _ in "ab"))
        assert [value(done) for done in both] == [{"result": "met"}] * 2
        await a_surface_that_follows(pool)
    finally:
        await pool.shutdown_all()


async def a_surface_that_follows(pool):
    registry = ToolRegistry.from_providers([McpToolProvider(pool)])
    assert value(await pool.call_tool("mcp__test__grow", {})) == {"result": "grown"}
    await until(lambda: "mcp__test__extra" in names(pool))
    assert registry.refresh_sources() == 2
    await pool.detach_server("Test")
    await pool.detach_server("Test")
    assert registry.refresh_sources() == 3
    assert registry.export_state().tools["mcp:Test/mcp__test__echo"].orphaned
    await pool.attach_server("Test", stdio())
    registry.refresh_sources()
    assert not registry.export_state().tools["mcp:Test/mcp__test__echo"].orphaned


def test_tools_are_called_and_the_surface_follows_the_server():
    """One server for all that needs a healthy one: starting Python is most of the time."""
    asyncio.run(a_served_session())


def test_a_crash_is_a_failed_result_the_tools_stay_and_the_server_comes_back(monkeypatch):
    monkeypatch.setattr(mcp_connection, "FIRST_BACKOFF_S", 0.05)

    async def scenario():
        pool = await McpConnectionPool.connect({"t": stdio()})
        try:
            first, before = value(await pool.call_tool("mcp__t__pid", {})), names(pool)
            assert fault(await pool.call_tool("mcp__t__crash", {})) == "mcp_connection_lost"
            away = pool.server_statuses()[0]
            assert (away.connected, "lost" in away.last_error, names(pool)) == (False, True, before)
            refused = await pool.call_tool("mcp__t__pid", {})
            assert (fault(refused), "connection was lost" in refused.output.model_text()) == ("mcp_not_connected", True)
            await until(lambda: pool.server_statuses()[0].connected)
            assert pool.server_statuses()[0].last_error is None
            assert value(await pool.call_tool("mcp__t__pid", {})) != first
        finally:
            await pool.shutdown_all()

    asyncio.run(scenario())


def test_a_call_that_hangs_is_a_timeout_and_the_connection_goes_on():
    async def scenario():
        pool = await McpConnectionPool.connect({"t": stdio(call_timeout_ms=300)})
        try:
            assert fault(await pool.call_tool("mcp__t__hang", {})) == "mcp_call_timeout"
            assert pool.server_statuses()[0].connected
        finally:
            await pool.shutdown_all()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (stdio("mute", startup_timeout_ms=200), "the handshake took longer than 0.2 s"),
        (StdioServer(command="/no/such/server"), "No such file"),
        (StdioServer(command=sys.executable, args=("-c", "pass")), "losed"),
    ],
    ids=["mute", "missing", "quits"],
)
def test_an_unreachable_server_fails_an_attach_and_only_warns_a_construction(config, reason):
    async def scenario():
        pool = await McpConnectionPool.connect({"t": config})
        status = pool.server_statuses()[0]
        assert (status.connected, status.tool_count, reason in status.last_error) == (False, 0, True)
        with pytest.raises(McpServerUnreachable, match=reason):
            await pool.attach_server("t", config)
        assert pool.server_statuses()[0].server_name == "t"
        await pool.shutdown_all()
        assert [task for task in asyncio.all_tasks() if task.get_name().startswith("mcp ")] == []

    asyncio.run(scenario())


def test_an_attach_that_fails_leaves_the_former_server_and_one_that_succeeds_replaces_it():
    async def scenario():
        factory = McpPluginFactory()
        await factory.attach_server("t", stdio())
        pid = value(await factory.pool.call_tool("mcp__t__pid", {}))["result"]
        with pytest.raises(McpServerUnreachable):
            await factory.attach_server("t", StdioServer(command="/no/such/server"))
        assert value(await factory.pool.call_tool("mcp__t__pid", {}))["result"] == pid
        await factory.attach_server("t", stdio())
        assert value(await factory.pool.call_tool("mcp__t__pid", {}))["result"] != pid
        await factory.pool.shutdown_all()
        await until(lambda: not Path(f"/proc/{pid}").exists())

    asyncio.run(scenario())


def test_a_server_that_hangs_on_discovery_is_bounded():
    async def scenario():
        with pytest.raises(McpServerUnreachable, match="the discovery of tools took longer"):
            await McpConnectionPool().attach_server("t", stdio("slow", startup_timeout_ms=10_000))

    asyncio.run(scenario())
