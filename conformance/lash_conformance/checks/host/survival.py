"""What survives: any life of a session against a model, and a crash at every commit of one."""

import asyncio
import shutil
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from lash_conformance.bench import scratch
from lash_conformance.check import host_check
from lash_conformance.host import Data, HostCore, HostSession
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import calls, exchange, named, opened, say, script, stored_lines, transcript
from lash_conformance.search import SEARCH
from lash_conformance.vocabulary import Unexpected

READ: Data = {"kind": "query", "name": "counter.read", "arguments": {}}
COUNT = calls(("count", {}))


@dataclass
class Model:
    """What a session must hold, told by nothing but the steps it took."""

    said: list[str] = field(default_factory=list[str])
    """User messages and plain answers, in order."""
    waiting: list[str] = field(default_factory=list[str])
    counted: int = 0
    calls: int = 0
    """Model calls that were billed, 10 input tokens each."""
    model: str = "m-1"


async def seen(session: HostSession) -> Model:
    """What the session shows of itself."""
    lines = [line for line in await transcript(session) if line.startswith("user: ") or "call" not in line]
    pending = await session.call("pending_turn_inputs", {})
    usage = (await session.read("usage_report"))["usage"]["input_tokens"]
    return Model(
        said=[line.partition(": ")[2] for line in lines if not line.startswith("tool: ")],
        waiting=[row["input"]["items"][0]["text"] for row in pending],
        counted=await session.call("operation", READ),
        calls=usage // 10,
        model=(await session.read("policy"))["model"]["id"],
    )


class Life:
    """A session that lives through steps, beside its model."""

    def __init__(self, bench: HostBench, session_id: str = "s1") -> None:
        self.bench = bench
        self.session_id = session_id
        self.model = Model()
        self.number = 0
        self.core: HostCore
        self.session: HostSession

    async def begin(self) -> None:
        """Open it for the first time, or after a crash."""
        self.core = await self.bench.core("counter")
        self.session = await opened(self.core, self.session_id, model=self.model.model)

    def word(self) -> str:
        """A word not said before."""
        self.number += 1
        return f"w{self.number}"

    async def turn(self) -> None:
        """One plain turn."""
        word = self.word()
        await exchange(self.core, self.session, word, f"re {word}")
        self.model.said += [word, f"re {word}"]
        self.model.calls += 1

    async def count(self) -> None:
        """One turn that counts."""
        word = self.word()
        await script(self.core, COUNT, f"re {word}")
        await say(self.session, word)
        self.model.said += [word, f"re {word}"]
        self.model.counted += 1
        self.model.calls += 2

    async def cancel(self) -> None:
        """One turn that is stopped while its answer streams."""
        word, gate = self.word(), f"gate {self.number}"
        await script(self.core, {"chunks": ["par", "tial"], "gate": gate})
        running = self.bench.start(say(self.session, word, cancel=word))
        await self.core.reached(gate)
        await self.session.fire(word)
        await running
        self.model.said.append(word)

    async def enqueue(self) -> None:
        """Input for later."""
        word = self.word()
        await self.session.call("enqueue", {"text": word})
        self.model.waiting.append(word)

    async def drain(self) -> None:
        """Run what waits."""
        if self.model.waiting:
            await script(self.core, "drained")
            self.model.said += ["\n".join(self.model.waiting), "drained"]
            self.model.waiting = []
            self.model.calls += 1
        await self.session.queued_turn()

    async def configure(self) -> None:
        """Another model from now on."""
        self.model.model = f"m-{self.word()}"
        await self.session.configure({"model": self.model.model})

    async def park(self) -> None:
        """Park and resume."""
        self.session = await self.core.resume(await self.session.park())

    async def reopen(self) -> None:
        """Close and open, on the same core."""
        await self.session.close()
        self.session = await opened(self.core, self.session_id, model=self.model.model)

    async def crash(self) -> None:
        """Die between turns and come back as another process."""
        await self.bench.crash(self.core)
        await self.bench.after_expiry()
        await self.begin()

    async def lane_lost(self) -> None:
        """Another worker's lease blocks a turn, which is refused and changes nothing."""
        lease = await self.bench.take_lane(self.session_id)
        try:
            await say(self.session, self.word())
        except Exception as err:
            if getattr(err, "code", "") != "Runtime":
                raise
        else:
            raise Unexpected("session_execution_busy", "a turn ran on a held lane")
        await self.bench.free_lane(lease)


STEPS = ("turn", "count", "cancel", "enqueue", "drain", "configure", "park", "reopen", "crash", "lane_lost")


async def _lived(bench: HostBench, steps: list[str]) -> None:
    directory = scratch()
    inner = HostBench(bench.target, directory, bench.stores)
    try:
        life = Life(inner)
        await life.begin()
        for done, step in enumerate(steps, start=1):
            async with inner.promptly():
                await getattr(life, step)()
            found = await seen(life.session)
            if found != life.model:
                raise Unexpected(f"{life.model} after {', '.join(steps[:done])}", str(found))
    finally:
        await inner.close()
        shutil.rmtree(directory, ignore_errors=True)


@host_check(
    "SES.2", "SES.38", "SES.41", "SES.74", "TRN.1", "TRN.40", "CAN.4", "CAN.5", needs=("durable",), kind="machine"
)
async def any_life_of_a_session_goes_as_the_model_says(bench: HostBench) -> None:
    """Turns, tools, cancels, queue, configuration, park, reopen, crash and a held lane leave what the model holds."""

    @seed(SEARCH.seed)
    @settings(
        max_examples=SEARCH.scale.examples, deadline=None, database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much], phases=(Phase.explicit, Phase.generate),
    )  # fmt: skip
    @given(st.lists(st.sampled_from(STEPS), min_size=SEARCH.scale.steps // 2, max_size=SEARCH.scale.steps))
    def searched(steps: list[str]) -> None:
        asyncio.run(_lived(bench, steps))

    await asyncio.to_thread(searched)


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
