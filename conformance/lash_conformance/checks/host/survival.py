"""What survives: any life of a session against a model, and a crash at every commit of one."""

from typing import Any

from lash_conformance.check import host_check
from lash_conformance.host import HostCore
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import exchange, named, opened, say, script, stored_lines
from lash_conformance.life import COUNT, READ
from lash_conformance.life_search import search_lives
from lash_conformance.vocabulary import Unexpected


@host_check(
    "SES.2", "SES.38", "SES.41", "SES.74", "TRN.1", "TRN.40", "CAN.4", "CAN.5", needs=("durable",), kind="machine"
)
async def any_life_of_a_session_goes_as_the_model_says(bench: HostBench) -> None:
    """Turns, tools, cancels, queue, configuration, park, reopen, deaths in and between turns: what the model holds is there."""
    await search_lives(bench)


# -- a crash at every commit


async def _scenario(core: HostCore, session_id: str) -> None:
    """Four commits: a turn, a turn that counts, a drain, and the flush of a park."""
    session = await opened(core, session_id)
    await exchange(core, session, "one", "re one")
    await script(core, COUNT, "re two")
    await say(session, "two")
    await session.call("enqueue", {"text": "three"})
    await script(core, "re three")
    await session.queued_turn()
    await session.configure({"model": "m-2"})
    await session.park()


KEPT = (
    ((), 0, 0), (("user: one", "assistant: re one"), 0, 10), (("user: two", "assistant: re two"), 1, 30),
    (("user: three", "assistant: re three"), 1, 40), ((), 1, 40),
)  # fmt: skip
"""What each commit adds to the conversation, and counter and tokens after it."""


@host_check("TRN.3", "SES.2", "SES.33", "SES.74", needs=("durable",))
async def a_crash_at_any_commit_loses_nothing_and_doubles_nothing(bench: HostBench) -> None:
    """Cut before and after each of four commits, the reopened session holds exactly the commits that were made."""
    for number in range(1, 5):
        for side in ("before", "after"):
            session_id = f"{side}-{number}"
            core = await bench.core("counter")
            await bench.line(core).halt(side, number)
            bench.start(_scenario(core, session_id))
            async with bench.promptly():
                await bench.line(core).halted()
            await bench.crash(core)
            await bench.after_expiry()
            made = number if side == "after" else number - 1
            await _survived(bench, session_id, made)


async def _survived(bench: HostBench, session_id: str, made: int) -> None:
    core = await bench.core("counter")
    session = await opened(core, session_id)
    expected = [line for added, _, _ in KEPT[: made + 1] for line in added]
    spoken = [line for line in stored_lines(await bench.stored(session_id)) if line in _SPOKEN]
    waits = named(await session.call("pending_turn_inputs", {}), "input_id")
    found: dict[str, Any] = {
        "said": spoken, "counted": await session.call("operation", READ), "revision": await bench.revision(session_id),
        "tokens": (await session.read("usage_report"))["usage"]["input_tokens"], "waiting": len(waits),
    }  # fmt: skip
    _, counted, tokens = KEPT[made]
    wanted = {
        "said": expected, "counted": counted, "revision": made, "tokens": tokens, "waiting": int(session_id == "before-3"),
    }  # fmt: skip
    if found != wanted:
        raise Unexpected(f"{wanted} after the crash of {session_id}", str(found))
    await script(core, "re three" if waits else "on")
    drained = await session.queued_turn()
    spoken = [line for line in stored_lines(await bench.stored(session_id)) if line in _SPOKEN]
    once = len(spoken) == len(set(spoken)) == len(expected) + (2 if waits else 0)
    if (drained is not None) != bool(waits) or not once:
        raise Unexpected(f"what waits to be drained once after the crash of {session_id}", str(spoken))


_SPOKEN = frozenset(line for added, _, _ in KEPT for line in added)
