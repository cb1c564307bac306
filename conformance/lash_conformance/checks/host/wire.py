"""Checks of a host behind the wire ([HST.1] to [HST.7]), and of one that is killed at any moment."""

import asyncio
import random
from typing import Any

from lash_conformance.check import host_check
from lash_conformance.host import Data, HostCapability, HostCore, HostSession
from lash_conformance.host_bench import HostBench
from lash_conformance.host_parts import PARTS
from lash_conformance.host_words import answer, calls, exchange, opened, refusal, say, script, stored_lines
from lash_conformance.life import COUNT, READ
from lash_conformance.search import SEARCH
from lash_conformance.store_faults import COMMIT
from lash_conformance.vocabulary import Inapplicable, Unexpected
from lash_ref.errors import LashError

HELLO = ["user: hi", "assistant: hello"]


@host_check("HST.1", needs=("process",))
async def sessions_live_where_the_judge_can_look(bench: HostBench, core: HostCore) -> None:
    """One session is found in the place main, one with the other store in other, and neither in both."""
    await exchange(core, await opened(core, "here"), "hi", "hello")
    await exchange(core, await opened(core, "there", store="other"), "hi", "hello")

    found = [stored_lines(await bench.stored(name, other=side)) for name in ("here", "there") for side in (False, True)]
    assert found == [HELLO, [], [], HELLO]


@host_check("HST.2", needs=("process", "clock"))
async def time_is_what_the_judge_says(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """A turn starts at the time told when the core was built, and later at the time told since."""
    built = bench.clock.now_ms()
    first = await exchange(core, session, "hi", "hello")
    await bench.pass_time(12_345)
    second = await exchange(core, session, "more", "fine")

    assert [one["execution"]["started_at_ms"] - built for one in (first, second)] == [0, 12_345]


@host_check("HST.3", needs=("process",))
async def refusals_cross_by_name(core: HostCore, session: HostSession) -> None:
    """Parking a session that a clone holds, opening one under a mode that the core has not."""
    await session.clone()

    await refusal("SessionStillInUse", session.park())
    await refusal("ModeNotInstalled", opened(core, "s2", mode="moon"), mode="moon")


@host_check("HST.4", needs=("process", "line"))
async def a_commit_stands_still_on_its_side(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """Before: the store has nothing yet; after: it has what was committed, unanswered; then each goes on."""
    await script(core, "one", "two")
    seen: list[Any] = []
    for side in ("before", "after"):
        await bench.line(core).halt(side, 1)
        turn = bench.start(say(session, side))
        async with bench.promptly():
            await bench.line(core).halted()
        await bench.breathe()
        seen += [stored_lines(await bench.stored()), turn.done()]
        await bench.line(core).go_on()
        async with bench.promptly():
            seen.append(answer(await turn))

    first = ["user: before", "assistant: one", "user: after"]
    assert [seen[0], seen[3][:3]] == [[], first]
    assert [seen[1], seen[2], *seen[4:]] == [False, "says one", False, "says two"]


@host_check("HST.4", needs=("process", "line"))
async def only_the_commit_of_that_number_stands_still(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """The first of the second turn from now on, whatever came before and however often a turn commits."""
    await exchange(core, session, "a", "1")
    each = len(await bench.commits(core))
    await bench.line(core).halt("before", each + 1)
    await script(core, "2", "3")

    async def both() -> Data:
        await say(session, "b")
        return await say(session, "c")

    turns = bench.start(both())
    async with bench.promptly():
        await bench.line(core).halted()

    assert await bench.revision() == 2 * each
    await bench.line(core).go_on()
    assert answer(await turns) == "says 3"


@host_check("HST.5", needs=("process", "line"))
async def a_store_that_is_cut_off_gets_nothing(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """The turn fails and nothing is stored; once it is mended the next turn is."""
    await bench.line(core).fail(COMMIT)
    await script(core, "lost")
    await refusal("Runtime", say(session, "lost"))
    between = await bench.stored()
    await bench.line(core).fail()

    assert answer(await exchange(core, session, "hi", "hello")) == "says hello"
    assert (between, stored_lines(await bench.stored())) == (None, HELLO)


@host_check("HST.6", needs=("process", "line"))
async def what_was_sent_is_told_once(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """The commits of two turns, whole and in order; asked again, only that of the third."""
    for words in ("a", "b"):
        await script(core, words.upper())
        await say(session, words, turn_id=words)
    first = [one.turn_commit.turn_id for one in await bench.commits(core) if one.turn_commit]
    await script(core, "C")
    await say(session, "c", turn_id="c")
    later = await bench.commits(core)

    assert (first, [one.turn_commit.turn_id for one in later if one.turn_commit]) == (["a", "b"], ["c"])
    assert {one.session_id for one in later} == {"s1"}


# -- what is not offered


async def _attempt(part: HostCapability, bench: HostBench, core: HostCore, session: HostSession) -> object:
    """One use of a part of a host."""
    match part:
        case "plugins":
            return await bench.core("counter")
        case "recording":
            return await bench.core(journal=True)
        case "queue":
            return await session.call("enqueue", {"text": "later"})
        case "frames":
            return await session.call("compact_context", {})
        case "graph":
            return await session.call("append_nodes", {"nodes": []})
        case "waits":
            return await core.call("wait_key", {"session_id": "s1", "wait_id": "w1"})
        case "observation":
            return await session.observe()
        case "children":
            return await session.call("children.create", {"session_id": "kid"})
        case _:
            return await bench.pure("is_retryable", {"code": "SessionStillInUse", "fields": {"session_id": "s1"}})


@host_check("HST.7")
async def what_is_not_declared_is_refused(bench: HostBench, core: HostCore, session: HostSession) -> None:
    """One use of each part that the host does not declare; then a turn, which needs none of them."""
    lacking: list[HostCapability] = [part for part in PARTS if part not in bench.offered]
    if not lacking:
        raise Inapplicable("the host declares every part")
    bench.offered.update(lacking)

    for part in lacking:
        await refusal("Unsupported", _attempt(part, bench, core, session), capability=part)

    await script(core, calls(("echo", {"text": "x"})), "hello")
    assert answer(await say(session)) == "says hello"


# -- killed at any moment

LIFE = 6
"""Turns of one life; the process may be gone before the first and after the last."""


async def _live(core: HostCore, session_id: str, told: list[str]) -> None:
    """Turns that count, each told once it was answered."""
    session = await opened(core, session_id)
    for number in range(1, LIFE + 1):
        await script(core, COUNT, f"re {number}")
        await say(session, f"w{number}")
        told.append(f"re {number}")


@host_check("TRN.3", "SES.2", needs=("process", "durable"), kind="machine")
async def a_host_killed_at_any_moment_keeps_whole_turns(bench: HostBench) -> None:
    """Every turn that was answered is there, at most one more, and plugin, usage and words agree."""
    rnd = random.Random(SEARCH.seed)
    core = await bench.core("counter")
    started = asyncio.get_running_loop().time()
    await _live(core, "rehearsal", [])
    whole_s = asyncio.get_running_loop().time() - started
    await core.close()
    for number in range(max(3, SEARCH.scale.examples // 4)):
        session_id, told = f"s{number}", list[str]()
        core = await bench.core("counter")
        running = bench.start(_live(core, session_id, told))
        await asyncio.wait([running], timeout=whole_s * rnd.random())
        await bench.crash(core)
        await asyncio.wait([running])
        await bench.after_expiry()
        await _whole(bench, session_id, len(told))


async def _whole(bench: HostBench, session_id: str, answered: int) -> None:
    core = await bench.core("counter")
    session = await opened(core, session_id)
    said = [line for line in stored_lines(await bench.stored(session_id)) if line.startswith("assistant: re")]
    kept = len(said)
    found = {
        "said": said, "counted": await session.call("operation", READ),
        "tokens": (await session.read("usage_report"))["usage"]["input_tokens"],
        "revision": await bench.revision(session_id), "pending": await session.call("pending_turn_inputs", {}),
    }  # fmt: skip
    wanted = {
        "said": [f"assistant: re {number}" for number in range(1, kept + 1)], "counted": kept,
        "tokens": 20 * kept, "revision": kept, "pending": [],
    }  # fmt: skip
    if found != wanted or kept not in (answered, answered + 1):
        raise Unexpected(f"{answered} turns or one more, all their parts alike: {wanted}", str(found))
    try:
        await exchange(core, session, "on", "and on")
    except LashError as err:
        raise Unexpected("a session that goes on after the kill", f"{err.code}: {err}") from err
    await core.close()
