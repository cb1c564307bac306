"""Checks of what a session takes up when others wrote it meanwhile ([SES.2], [SES.63])."""

from lash_conformance.check import host_check
from lash_conformance.host import HostCore, HostSession
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import calls, exchange, opened, say, script, transcript
from lash_conformance.life import READ


async def _count(core: HostCore, session: HostSession) -> None:
    """One turn that counts."""
    await script(core, calls(("count", {})), "counted")
    await say(session, "count")


@host_check("SES.2", needs=("durable",))
async def a_core_opens_what_another_stored(bench: HostBench) -> None:
    """A core that had the session open before remembers nothing of it: transcript, usage, tools, plugins and index are the store's."""
    first, second = [await bench.core("counter", tools=("echo", "fail")) for _ in range(2)]
    one = await opened(first)
    await _count(first, one)
    await one.close()
    other = await opened(second)
    await other.call("tools.set_membership", {"tool_id": "kit:fail", "member": False})
    await _count(second, other)
    await other.close()

    again = await opened(first)

    assert await transcript(again) == await transcript(await opened(second))
    assert await again.read("active_tools") == ["count", "echo"]
    assert (await again.call("operation", READ), await again.read("turn_index")) == (2, 2)
    assert (await again.read("usage_report"))["usage"]["input_tokens"] == 40


@host_check("SES.2", needs=("durable",))
async def a_long_history_is_restored_in_order(bench: HostBench) -> None:
    """Twelve turns, opened by another core."""
    core = await bench.core()
    session = await opened(core)
    for number in range(12):
        await exchange(core, session, f"q{number}", f"a{number}")
    await session.close()
    second = await bench.core()

    again = await opened(second)

    expected = [line for number in range(12) for line in (f"user: q{number}", f"assistant: a{number}")]
    assert await transcript(again) == expected
    await exchange(second, again, "more", "fine")
    assert [one["text"] for one in (await second.requests())[0]["messages"]] == [
        *(line.partition(": ")[2] for line in expected), "more",
    ]  # fmt: skip


@host_check("SES.63")
async def the_moved_head_is_billed_once(bench: HostBench) -> None:
    """A handle that takes up another's turn counts and bills both, in its view and in the store."""
    core = await bench.core()
    early, other = await opened(core), await opened(core)
    await exchange(core, other, "first", "1")

    await exchange(core, early, "second", "2")

    read = await bench.loaded()
    assert ((await early.read("usage_report"))["usage"]["input_tokens"], await early.read("turn_index")) == (20, 2)
    assert ([entry.usage.input_tokens for entry in read.token_ledger], read.checkpoint.turn_state.turn_index) == ([20], 2)
