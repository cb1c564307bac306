"""Whole turns over every dialect: in process and over loopback, with equal results and equal in all four.

The core's description names a replayer as its route; nothing but the wire differs from a scripted turn.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from lash_conformance.check import host_check
from lash_conformance.checks.host.provider_replies import streamed
from lash_conformance.fixture import Exchange, Fixture, Matcher
from lash_conformance.host import HostCore
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import activities, answer, opened, say, stored_lines
from lash_conformance.provider_words import SEALED, WORDS, asked, filled
from lash_conformance.replay_server import ReplayServer
from lash_conformance.replay_transport import served
from lash_conformance.vocabulary import Unexpected

Data = dict[str, Any]
Play = Callable[[Data, str], Awaitable[Any]]
"""Given the core's route and a session's id: plays the scene, and answers what came of it."""
USAGE = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_write_input_tokens", "reasoning_output_tokens")


def holding(exchange: Exchange, pointer: str, *words: str) -> Exchange:
    """The exchange, whose request must hold the words at the pointer."""
    pattern = "".join(f"(?=.*{word})" for word in words)
    matched = exchange.request.model_copy(update={"body": {pointer: Matcher(matches=f"(?s){pattern}")}})
    return exchange.model_copy(update={"request": matched})


async def played(bench: HostBench, made: Fixture, play: Play) -> Any:
    """What came of the scene over loopback, and in process where the host speaks httpx; both must be the same."""
    server = ReplayServer(hang_s=30.0).start()
    try:
        url, replay = server.begin(made)
        found = await play(_route(made, url), f"{made.dialect}-loopback")
        faults = replay.faults
    finally:
        await asyncio.to_thread(server.stop)
    if getattr(bench.target, "speaks_httpx", False):
        with served(made) as (url, replay):
            again = await play(_route(made, url), f"{made.dialect}-in-process")
        faults += replay.faults
        assert again == found
    if faults:
        raise Unexpected("the requests that the replies answer", "; ".join(faults))
    return found


def _route(made: Fixture, url: str) -> Data:
    return {"dialect": made.dialect, "base_url": url, "options": made.host.options}


async def routed(bench: HostBench, route: Data) -> HostCore:
    """A core on the route, with the kit's ``echo``."""
    return await bench.core(tools=("echo",), route=route)


def what(report: Data) -> dict[str, Any]:
    """What a turn came to that no dialect may change."""
    return {
        "answer": answer(report),
        "called": [(call["tool"], call["args"]) for call in report["tool_calls"]],
        "usage": tuple(report["usage"].get(bucket, 0) for bucket in USAGE),
    }


@host_check("PRV.80", "PRV.50", needs=("providers",))
async def a_turn_with_a_tool_comes_to_the_same_in_every_dialect(bench: HostBench) -> None:
    """The tool gets the streamed arguments, its result goes back, the answer ends the turn, both calls are counted."""
    for dialect, words in WORDS.items():
        made = asked(dialect, streamed([*words.calling]), streamed(words.said("It said ", "café.")))
        first, second = made.exchanges
        made = made.model_copy(update={"exchanges": [first, holding(second, words.history, "echo", "caf.*caf")]})

        async def turn(route: Data, session_id: str) -> Any:
            session = await opened(await routed(bench, route), session_id)
            return what(await say(session, "Say it.")), stored_lines(await bench.stored(session_id))

        found, lines = await played(bench, made, turn)
        assert found == {
            "answer": "says It said café.",
            "called": [("echo", {"text": "café"})],
            "usage": (120, 70, 40, 0, 15),
        }
        assert (lines[0], lines[-1]) == ("user: Say it.", "assistant: It said café.")


@host_check("PRV.91", needs=("providers",))
async def commentary_is_no_part_of_a_final_answer(bench: HostBench) -> None:
    """Said before a final answer it goes back with it and is not in it; where there is no other text it is the answer."""
    created, end = WORDS["openai-responses"].opening[0], WORDS["openai-responses"].ending[-1]

    def item(index: int, phase: str, text: str) -> Data:
        said = {"type": "message", "id": f"m{index}", "phase": phase, "content": [{"type": "output_text", "text": text}]}
        return {"type": "response.output_item.done", "output_index": index, "item": said}

    both = [created, item(0, "commentary", "I look. "), item(1, "final_answer", "Three."), end]
    alone = [created, item(0, "commentary", "I look."), end]
    made = asked("openai-responses", streamed(both), streamed(alone))
    first, second = made.exchanges
    made = made.model_copy(update={"exchanges": [first, holding(second, "/input", "I look", "Three")]})

    async def turns(route: Data, session_id: str) -> Any:
        session = await opened(await routed(bench, route), session_id)
        return [answer(await say(session, word)) for word in ("How many?", "And?")]

    assert await played(bench, made, turns) == ["says Three.", "says I look."]


@host_check("PRV.14", "PRV.80", needs=("providers",))
async def what_a_provider_sealed_outlives_the_core(bench: HostBench) -> None:
    """Signatures and sealed reasoning go back in the next call, and from another core after the session was reopened."""
    for dialect, words in WORDS.items():
        replies = [streamed([*words.calling]), streamed(words.said("Once.")), streamed(words.said("Twice."))]
        made = asked(dialect, *replies)
        first, *later = made.exchanges
        sealed = [holding(one, words.history, SEALED) for one in later]
        made = made.model_copy(update={"exchanges": [first, *sealed]})

        async def turns(route: Data, session_id: str) -> Any:
            core = await routed(bench, route)
            session = await opened(core, session_id)
            once = answer(await say(session, "Say it."))
            await session.close()
            await core.close()
            session = await opened(await routed(bench, route), session_id)
            return once, answer(await say(session, "Again."))

        assert await played(bench, made, turns) == ("says Once.", "says Twice.")


@host_check("PRV.81", "PRV.21", needs=("providers",))
async def a_failed_attempt_of_a_turn_is_taken_back(bench: HostBench) -> None:
    """Half a text, and half or all of a call, then an error: shown, taken back, never run and never kept."""
    for dialect, words in WORDS.items():
        half = [filled(words.text, "Half")] if dialect != "anthropic-messages" else []
        cut = [*words.calling[:-1], *half, words.errors[0][0]]
        made = asked(dialect, streamed(cut), streamed(words.said("Whole.")))

        async def turn(route: Data, session_id: str) -> Any:
            session = await opened(await routed(bench, route), session_id)
            report = await say(session, "Say it.")
            told = [one for one in activities(report) if one.startswith(("prose", "started", "model_attempt"))]
            return what(report), told, stored_lines(await bench.stored(session_id))

        found, told, lines = await played(bench, made, turn)
        shown = ["prose Half"] if half else []
        assert (found["answer"], found["called"], told) == ("says Whole.", [], [*shown, "model_attempt_reset", "prose Whole."])
        assert lines == ["user: Say it.", "assistant: Whole."]


@host_check("PRV.82", needs=("providers",))
async def a_turn_ends_as_the_provider_ended_its_answer(bench: HostBench) -> None:
    """At its limit the turn is incomplete; filtered, and refused for good, it stops with a provider error."""
    for dialect, words in WORDS.items():
        scenes = ((words.limited, "stopped incomplete"), (words.refused, "stopped provider_error"), ((words.errors[-1][0],), "stopped provider_error"))
        for ending, wanted in scenes:
            said = [filled(words.text, "Half")] if dialect != "gemini" or ending is words.limited else []
            made = asked(dialect, streamed([*words.opening, *said, *ending]))

            async def turn(route: Data, session_id: str) -> Any:
                session = await opened(await routed(bench, route), session_id)
                return answer(await say(session, "Say it."))

            assert await played(bench, made, turn) == wanted
