"""Words of the checks of plugins: written plugins that count and direct, and what the store holds of them."""

from typing import Any, cast

from lash_conformance.host import Data, HostCore, HostSession
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import answer, asked, calls, exchange, opened, say, script

# -- plugins that count

READ: Data = {"kind": "query", "name": "a.read", "arguments": {}}
READS: Data = {"operations": [{"kind": "query", "name": "a.read"}]}
COUNTS: Data = {"changes_at": ["after_turn"]}
"""Options of a written plugin that counts the turns."""


async def turns(core: HostCore, session: HostSession, count: int = 1) -> None:
    """Run that many turns, each of which must end well."""
    for number in range(count):
        assert answer(await exchange(core, session, f"q{number}", f"a{number}")) == f"says a{number}"


async def first_run(bench: HostBench, *plugins: str, count: int = 1, **options: Data) -> None:
    """A core of those plugins ran that many turns on "s1", and was closed."""
    core = await bench.core(*plugins, options=options)
    await turns(core, await opened(core), count)
    await core.close()


async def run_again(bench: HostBench, *plugins: str, **options: Data) -> tuple[HostCore, HostSession]:
    """The session opened on another core, which may have other plugins."""
    core = await bench.core(*plugins, options=options)
    return core, await opened(core)


async def entries(bench: HostBench, session_id: str = "s1") -> dict[str, Any]:
    """The stored entries by plugin id."""
    stored = await bench.stored(session_id)
    assert (
        stored is not None and stored.checkpoint is not None and stored.checkpoint.plugin_snapshot is not None
    )
    return cast("Data", stored.checkpoint.plugin_snapshot.value)["plugins"]


async def counted(bench: HostBench, plugin: str = "a", session_id: str = "s1") -> Any:
    """The number a written plugin has in the store; none without state."""
    found = await entries(bench, session_id)
    assert plugin in found, f"the stored snapshot has no entry of plugin {plugin!r}"
    state: Data = found[plugin]["meta"].get("state", {})
    return state.get("n")


async def references(bench: HostBench) -> tuple[Any, Any, Any]:
    """What the stored checkpoint names: plugin snapshot, its revision, tool state."""
    stored = await bench.stored()
    assert stored is not None and stored.checkpoint is not None
    checkpoint = stored.checkpoint
    return checkpoint.plugin_snapshot_ref, checkpoint.plugin_snapshot_revision, checkpoint.tool_state_ref


# -- plugins that direct

ECHO = calls(("echo", {"text": "x"}))


def adds(words: str, role: str = "system") -> Data:
    """A directive that enqueues one message."""
    return {"kind": "enqueue_messages", "messages": [{"role": role, "content": words}]}


def aborts(code: str) -> Data:
    """A directive that aborts."""
    return {"kind": "abort_turn", "code": code, "message": f"because of {code}"}


def emits(name: str) -> Data:
    """A directive that emits one custom event."""
    return {"kind": "emit_runtime_events", "events": [{"kind": "custom", "name": name, "payload": 1}]}


async def directed(bench: HostBench, *plugins: str, **directives: Any) -> tuple[HostCore, HostSession]:
    """A session of kit tools whose written plugins give directives: ``a={"before_turn": […]}``."""
    options = {name: {"directives": given} for name, given in directives.items()}
    core = await bench.core(
        *(plugins or tuple(directives)), tools=("echo", "fail", "pending", "flaky"), options=options
    )
    return core, await opened(core)


async def result_shown(core: HostCore, session: HostSession, reply: Data = ECHO) -> tuple[str, str]:
    """How a turn of one tool call ends, and what the model is shown of the call's result."""
    await script(core, reply, "done")
    ended = answer(await say(session))
    shown = [line for line in asked((await core.requests())[-1]) if line.startswith("tool: ")]
    return ended, shown[-1]
