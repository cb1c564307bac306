"""A random sequence of steps on one session, and a model of what must survive them.

The model knows nothing but the steps: what was said, what waits, what was counted and spent, what is configured.
"""

from collections.abc import Coroutine
from dataclasses import asdict, dataclass, field
from typing import Any

from lash_conformance.host import Data, HostCore, HostSession
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import calls, exchange, opened, say, script, transcript
from lash_conformance.store_faults import Side
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

    def data(self) -> Data:
        """As JSON."""
        return asdict(self)


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
            self._drained()
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

    async def lane_stolen(self) -> None:
        """Another worker takes the lane of a turn whose lease ran out; the turn is refused and leaves nothing."""
        word = self.word()
        gate = f"gate {word}"
        await script(self.core, {"text": "too late", "gate": gate})
        running = self.bench.start(say(self.session, word))
        await self.core.reached(gate)
        await self.bench.after_expiry()
        lease = await self.bench.take_lane(self.session_id)
        await self.core.release(gate)
        try:
            await running
        except Exception as err:
            if getattr(err, "code", "") != "Runtime":
                raise
        else:
            raise Unexpected("session_execution_lease_lost", "a turn was committed on a lane that another holds")
        await self.bench.free_lane(lease)

    async def cut_before(self) -> None:
        """The process dies as its turn is about to commit: nothing of it is left."""
        word = self.word()
        await script(self.core, f"re {word}")
        await self._cut("before", say(self.session, word))

    async def cut_after(self) -> None:
        """The process dies before it hears that its turn was committed: all of it is there."""
        word = self.word()
        await script(self.core, f"re {word}")
        await self._cut("after", say(self.session, word))
        self.model.said += [word, f"re {word}"]
        self.model.calls += 1

    async def drain_cut_before(self) -> None:
        """The process dies as a drain is about to commit: what waited still waits."""
        if self.model.waiting:
            await script(self.core, "drained")
            await self._cut("before", self.session.queued_turn())

    async def drain_cut_after(self) -> None:
        """The process dies before it hears that a drain was committed: what waited was delivered, and once."""
        if self.model.waiting:
            await script(self.core, "drained")
            await self._cut("after", self.session.queued_turn())
            self._drained()

    def _drained(self) -> None:
        self.model.said += ["\n".join(self.model.waiting), "drained"]
        self.model.waiting = []
        self.model.calls += 1

    async def _cut(self, side: Side, attempt: Coroutine[Any, Any, object]) -> None:
        line = self.bench.line(self.core)
        await line.halt(side, 1)
        self.bench.start(attempt)
        await line.halted()
        await self.crash()


STEPS: dict[str, int] = {
    "turn": 3, "count": 3, "enqueue": 3, "drain": 3, "configure": 3, "park": 3, "cancel": 1, "reopen": 1, "crash": 1,
    "lane_lost": 1, "cut_before": 1, "cut_after": 1, "drain_cut_before": 1, "drain_cut_after": 1,
}  # fmt: skip
"""What a life is made of, and how often each: deaths wipe out what two quiet steps would bring to light."""
