"""What an observer of the kit's fixed scripts sees, event by event, without clocks and minted ids.

Each snapshot was read against the clauses that its test cites before it was accepted; one that changes is
read again, never merely updated.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from lash_conformance.catalogue import clauses
from lash_conformance.host import Data, HostCore, HostSession, load
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import answer, asked, calls, opened, say, script, stored_lines, transcript
from lash_conformance.target import load as load_store

ANEW = ("cursor", "id", "duration_ms", "type", "correlation_id")
"""Members of an event that say when, are its id alone, or are told before the rest."""


@dataclass
class Names:
    """Correlation ids by the order in which they are first seen: a start and its completion share a number."""

    seen: dict[str, str] = field(default_factory=dict[str, str])

    def line(self, event: Data) -> str:
        """An event as its type, its number, and what else it says."""
        rest = {key: self.plain(value) for key, value in event.items() if key not in ANEW}
        if "ids" in rest:
            rest["ids"] = len(rest["ids"])
        told = [event["type"]]
        if correlation := event.get("correlation_id"):
            told.append(self.seen.setdefault(correlation, f"#{len(self.seen) + 1}"))
        if rest:
            told.append(json.dumps(rest, sort_keys=True, ensure_ascii=False))
        return " ".join(told)

    def plain(self, value: Any) -> Any:
        """Without counters that are zero."""
        if isinstance(value, dict):
            return {key: self.plain(one) for key, one in value.items() if not (key.endswith("tokens") and one == 0)}
        return [self.plain(one) for one in value] if isinstance(value, list) else value


@dataclass
class Stage:
    """One bench, core and session, watched from the first moment."""

    bench: HostBench
    core: HostCore
    session: HostSession
    cursor: str = ""
    answers: list[str] = field(default_factory=list[str])

    async def shown(self) -> Data:
        """Events, answers, conversation, what the model was asked, the journal, and what is stored."""
        events = (await self.session.resume_from(self.cursor))["events"]
        names = Names()
        return {
            "events": [names.line(event) for event in events],
            "answers": self.answers,
            "transcript": await transcript(self.session),
            "asked": [asked(request) for request in await self.core.requests()],
            "journal": await self.core.journal(),
            "stored": stored_lines(await self.bench.stored()),
            "revision": await self.bench.revision(),
        }


Script = Callable[[Stage], Awaitable[None]]


@pytest.fixture
def played(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Data]:
    """What a script on a core of these plugins and tools shows; the test's citations are clauses in force."""
    cited = [word.strip("[],.") for word in (request.function.__doc__ or "").split() if word.startswith("[")]
    assert cited
    assert set(cited) <= set(clauses())

    def play(run: Script, *plugins: str, tools: tuple[str, ...] = ()) -> Data:
        return asyncio.run(_play(run, tmp_path, plugins, tools))

    return play


async def _play(run: Script, folder: Path, plugins: tuple[str, ...], tools: tuple[str, ...]) -> Data:
    bench = HostBench(load("reference"), folder, load_store("memory"))
    try:
        core = await bench.core(*plugins, tools=tools)
        stage = Stage(bench, core, await opened(core))
        stage.cursor = (await stage.session.observe())["cursor"]
        async with bench.promptly():
            await run(stage)
            return await stage.shown()
    finally:
        await bench.close()


def test_a_plain_turn(played: Callable[..., Data], snapshot: SnapshotAssertion):
    """One request, two deltas, its usage, its commit: [TRN.1], [TRN.3], [TRN.6], [TRN.35], [OBS.2]."""

    async def run(on: Stage) -> None:
        await script(on.core, {"chunks": ["hel", "lo"]})
        on.answers.append(answer(await say(on.session, "hi", turn_id="t1")))

    assert played(run, "recorder") == snapshot


def test_a_turn_with_a_tool(played: Callable[..., Data], snapshot: SnapshotAssertion):
    """The prose before the call is in the history once, the result is paired with it: [TRN.5], [TRN.30], [TRN.32], [TRN.40]."""

    async def run(on: Stage) -> None:
        await script(on.core, calls(("echo", {"text": "ping"}), says="wait"), "done")
        on.answers.append(answer(await say(on.session, "hi", turn_id="t1")))

    assert played(run, "recorder", tools=("echo",)) == snapshot


def test_parallel_tools(played: Callable[..., Data], snapshot: SnapshotAssertion):
    """Both are inside at once and return in the other order; the model sees call order: [TRN.20], [TRN.21], [TRN.30]."""

    async def run(on: Stage) -> None:
        both = calls(("meet", {"id": "a", "of": 2, "after": "b"}), ("meet", {"id": "b", "of": 2}))
        await script(on.core, both, "done")
        on.answers.append(answer(await say(on.session, "hi", turn_id="t1")))

    assert played(run, "recorder", tools=("meet",)) == snapshot


def test_a_failing_tool(played: Callable[..., Data], snapshot: SnapshotAssertion):
    """The model is shown the failure and the turn goes on: [TRN.22], [TRN.32]."""

    async def run(on: Stage) -> None:
        await script(on.core, calls(("fail", {"message": "no"})), "I see")
        on.answers.append(answer(await say(on.session, "hi", turn_id="t1")))

    assert played(run, "recorder", tools=("fail",)) == snapshot


def test_a_pending_tool(played: Callable[..., Data], snapshot: SnapshotAssertion):
    """The turn is held until somebody resolves the key, whose value is the tool's: [TRN.31], [WAI.1]."""

    async def run(on: Stage) -> None:
        await script(on.core, calls(("pending", {"name": "order"})), "done")
        turn = on.bench.start(say(on.session, "hi", turn_id="t1"))
        key = await on.bench.pending_key(on.core, "order")
        on.answers.append("waiting" if not turn.done() else "over")
        on.answers.append(await on.core.call("resolve", {"key": key, "resolution": {"ok": {"paid": True}}}))
        on.answers.append(answer(await turn))

    assert played(run, "recorder", tools=("pending",)) == snapshot


def test_a_turn_cancelled_while_it_streams(played: Callable[..., Data], snapshot: SnapshotAssertion):
    """The user's message is kept, the partial prose is not, and the session goes on: [CAN.4], [CAN.5], [TRN.3]."""

    async def run(on: Stage) -> None:
        await script(on.core, {"chunks": ["par", "tial"], "gate": "g"}, "better")
        turn = on.bench.start(say(on.session, "hi", turn_id="t1", cancel="stop"))
        await on.core.reached("g")
        await on.session.fire("stop")
        on.answers.append(answer(await turn))
        on.answers.append(answer(await say(on.session, "again", turn_id="t2")))

    assert played(run, "recorder") == snapshot


def test_a_queued_turn(played: Callable[..., Data], snapshot: SnapshotAssertion):
    """Two inputs wait, are merged in order, and are delivered once: [SES.73], [SES.74], [OBS.9]."""

    async def run(on: Stage) -> None:
        for text in ("one", "two"):
            await on.session.call("enqueue", {"text": text, "id": text})
        await script(on.core, "both")
        on.answers.append(answer(await on.session.queued_turn(drain_id="d1")))
        on.answers.append(answer(await on.session.queued_turn(drain_id="d2")))

    assert played(run, "recorder") == snapshot


def test_a_park_and_a_resume(played: Callable[..., Data], snapshot: SnapshotAssertion):
    """What was configured is flushed, the transcript is shown, the next turn runs under it: [SES.33], [SES.38], [SES.41]."""

    async def run(on: Stage) -> None:
        await script(on.core, "hello")
        on.answers.append(answer(await say(on.session, "hi", turn_id="t1")))
        await on.session.configure({"model": "m-2"})
        on.session = await on.core.resume(await on.session.park())
        on.cursor = (await on.session.observe())["cursor"]
        await script(on.core, "back")
        on.answers.append(answer(await say(on.session, "more", turn_id="t2")))
        on.answers.append((await on.core.requests())[-1]["model"])

    assert played(run, "recorder") == snapshot


def test_a_plugin_with_a_snapshot(played: Callable[..., Data], snapshot: SnapshotAssertion):
    """It is captured at the commit of the turn that changed it, not at another, and restored after register: [SNP.1], [STA.19], [PLG.27]."""

    async def run(on: Stage) -> None:
        await script(on.core, calls(("count", {})), "counted", "idle")
        on.answers.append(answer(await say(on.session, "count", turn_id="t1")))
        on.answers.append(answer(await say(on.session, "rest", turn_id="t2")))
        on.session = await on.core.resume(await on.session.park())
        on.cursor = (await on.session.observe())["cursor"]
        read = {"kind": "query", "name": "counter.read", "arguments": {}}
        on.answers.append(f"counter {await on.session.call('operation', read)}")

    assert played(run, "counter") == snapshot
