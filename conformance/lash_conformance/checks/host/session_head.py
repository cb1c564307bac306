"""Checks of what a session takes up when others wrote it meanwhile ([SES.2], [SES.34], [SES.41], [SES.52], [SES.43], [SES.54], [SES.55], [SES.63])."""

from lash_conformance.check import host_check
from lash_conformance.host import HostCore, HostSession
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import (
    asked,
    calls,
    exchange,
    opened,
    refusal,
    say,
    script,
    stored_lines,
    transcript,
)
from lash_conformance.life import READ
from lash_ref.messages import message_of


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


@host_check("SES.52")
async def a_branch_is_shown_wherever_it_leads(bench: HostBench) -> None:
    """Back to the first answer and forth to the second, which is no longer resident: view, model and store have it."""
    core = await bench.core(residency="active_path_only", durable=("session_store", "attachment_store", "process_env_store"))
    session = await opened(core)
    await exchange(core, session, "one", "1")
    await exchange(core, session, "two", "2")
    said = {node.node_id: message_of(node) for node in (await bench.loaded()).graph.nodes}
    first, second = [node_id for node_id, message in said.items() if message is not None and message.role == "Assistant"]

    await session.call("branch_to_node", {"node_id": first})
    back = await transcript(session)
    await session.call("branch_to_node", {"node_id": second})

    everything = ["user: one", "assistant: 1", "user: two", "assistant: 2"]
    assert (back, await transcript(session)) == (everything[:2], everything)
    await exchange(core, session, "three", "3")
    assert asked((await core.requests())[-1]) == [*everything, "user: three"]
    assert stored_lines(await bench.stored()) == [*everything, "user: three", "assistant: 3"]


@host_check("SES.63")
async def a_turn_offers_the_tools_that_another_left(bench: HostBench) -> None:
    """A tool that another handle took out is not offered by the handle that was opened before."""
    core = await bench.core(tools=("echo", "fail"))
    early = await opened(core)
    await exchange(core, early, "zero", "0")
    other = await opened(core)
    await other.call("tools.set_membership", {"tool_id": "kit:fail", "member": False})
    await exchange(core, other, "first", "1")

    await exchange(core, early, "second", "2")

    assert (await core.requests())[-1]["tools"] == ["echo"]


@host_check("SES.54")
async def a_changed_surface_outlives_another_s_turn(bench: HostBench) -> None:
    """A tool is taken out, then another handle's turn is stored: the next turn here does not offer it, nor does a later open."""
    core = await bench.core(tools=("echo", "fail"))
    session, other = await opened(core), await opened(core)
    await session.call("tools.set_membership", {"tool_id": "kit:fail", "member": False})
    await exchange(core, other, "first", "1")

    await exchange(core, session, "second", "2")

    assert [one["tools"] for one in await core.requests()] == [["echo", "fail"], ["echo"]]
    assert await (await opened(core)).read("active_tools") == ["echo"]


@host_check("SES.34")
async def what_another_wrote_is_nothing_to_persist(bench: HostBench) -> None:
    """Another handle counted, this one was refreshed: its park commits nothing."""
    core = await bench.core("counter")
    session, other = await opened(core), await opened(core)
    await exchange(core, session, "hi", "hello")
    await _count(core, other)
    await session.call("refresh_background_graph", {})
    before = await bench.revision()

    await session.park()

    assert await bench.revision() == before


@host_check("SES.41")
async def what_was_configured_outlives_another_s_turn(bench: HostBench) -> None:
    """Provider and model: another handle's turn came between, and the next turn here uses them all the same."""
    core = await bench.core(providers=("prov", "spare"))
    session, other = await opened(core), await opened(core)
    await exchange(core, session, "hi", "hello")
    await session.configure({"provider": "spare", "model": "m-2"})
    await exchange(core, other, "more", "fine")

    await exchange(core, session, "again", "well")

    assert [(one["provider"], one["model"]) for one in await core.requests()] == [
        ("prov", "m-1"), ("prov", "m-1"), ("spare", "m-2"),
    ]  # fmt: skip


@host_check("SES.33")
async def what_a_failed_turn_left_is_flushed(bench: HostBench) -> None:
    """Provider chosen and tool taken out, another handle's turn, then a turn here that fails: the park stores both changes."""
    options = {"a": {"fails_at": ["after_turn"]}}
    core = await bench.core(tools=("echo", "fail"), providers=("prov", "spare"))
    failing = await bench.core("a", tools=("echo", "fail"), providers=("prov", "spare"), options=options)
    session, other = await opened(failing), await opened(core)
    await session.configure({"provider": "spare"})
    await session.call("tools.set_membership", {"tool_id": "kit:fail", "member": False})
    await other.call("tools.set_membership", {"tool_id": "kit:echo", "member": False})
    await exchange(core, other, "first", "1")
    await script(failing, "lost")
    await refusal("Runtime", say(session), runtime_code="plugin_finalize_turn")

    await session.park()

    read = await bench.loaded()
    stored = read.checkpoint.tool_state.value["tools"]["kit:fail"]
    assert (read.config.provider_id, stored.get("member"), stored_lines(read)) == ("spare", False, ["user: first", "assistant: 1"])


@host_check("SES.43")
async def a_deleted_conversation_is_shown_to_nobody(bench: HostBench) -> None:
    """A cursor from before the delete shows the next session of that id nothing of the old one."""
    core = await bench.core()
    session = await opened(core)
    cursor = (await session.observe())["cursor"]
    await exchange(core, session, "hi", "a secret")
    await session.close()
    await core.delete("s1")

    again = await opened(core)

    assert await transcript(again) == []
    assert "a secret" not in str(await again.resume_from(cursor))


@host_check("SES.55")
async def a_state_brings_its_parts_along(bench: HostBench) -> None:
    """A count and a tool taken out, then opened with the state that the host kept: both are as they were."""
    core = await bench.core("counter", tools=("echo", "fail"))
    session = await opened(core)
    await session.call("tools.set_membership", {"tool_id": "kit:fail", "member": False})
    await _count(core, session)
    state = await session.call("export_state", {})
    await session.close()

    again = await opened(core, "s1", how="state", state=state)

    assert await again.call("operation", READ) == 1
    assert await again.read("active_tools") == ["count", "echo"]
    await _count(core, again)
    assert await again.call("operation", READ) == 2
