"""Stateful search: Hypothesis drives a target and the model side by side, and shrinks what disagrees.

A machine is a class of rules over `Machine`. Every call goes through `Machine.step`, which asks the model
first, makes the call, compares, and then reads back what the call may have touched.
"""

import asyncio
import concurrent.futures
import gc
import math
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar, cast

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from lash_conformance import search
from lash_conformance.bench import Bench, request, scratch
from lash_conformance.model import Model, family_of
from lash_conformance.model_state import Data, Session, State
from lash_conformance.names import brief
from lash_conformance.target import Interruptible, StoreTarget, TargetBroke, VirtualClock
from lash_conformance.traced import Step as TraceStep
from lash_conformance.traced import Trace
from lash_conformance.transcript import CALL_DEADLINE_S, Driver, Replayed, Step, short
from lash_conformance.vocabulary import Unexpected

T = TypeVar("T")

REAL_NOW_MS = 10**12
"""What the model takes for now where time is not the judge's: later than any early date it is given."""
HUNG_S = 15.0
"""A step of a target in this process that takes longer blocks its thread, or waits for ever: its calls have deadlines."""
SESSIONS = ("s1", "s2")
READS = frozenset((
    "load_session", "load_node", "load_session_meta", "list_queued_work", "list_pending_queued_work",
    "list_pending_turn_inputs", "list_turn_input_applications", "list_uncommitted", "list_all_refs", "holds_ref", "get", "head", "list",
    "has_live_ref_for_id", "has_live_attachment_ref", "open_existing_store",
))  # fmt: skip


@dataclass
class Pulse:
    """Seen from outside the search's thread: since when its step is under way, on the monotonic clock; 0 between steps."""

    since: float = 0.0

    @property
    def held_s(self) -> float:
        """How long the step under way has taken."""
        return time.monotonic() - self.since if self.since else 0.0


@dataclass
class Context:
    """One search: what it drives, and the shortest failure so far."""

    target: StoreTarget
    loop: asyncio.AbstractEventLoop
    stop: threading.Event = field(default_factory=threading.Event)
    pulse: Pulse = field(default_factory=Pulse)
    failure: "Disagreement | None" = None
    broke: TargetBroke | None = None
    """What ended the search without a verdict on the store."""
    length: int = 0
    failed_at: float = 0.0
    target_seconds: float = 0.0

    @property
    def over(self) -> bool:
        """Whether no more is wanted of the search."""
        if self.broke is not None:
            return True
        late = self.failure is not None and time.monotonic() - self.failed_at > search.SEARCH.shrinking_s
        return late or self.stop.is_set()

    def fail(self, failure: "Disagreement", length: int) -> None:
        """Keep the shortest."""
        if self.failure is None or length < self.length:
            self.failed_at = self.failed_at or time.monotonic()
            self.failure, self.length = failure, length


class Machine(RuleBasedStateMachine):
    """A fresh place of the target beside a fresh model."""

    context: ClassVar[Context]
    observed: ClassVar[tuple[str, ...]] = ("load_session", "list_queued_work", "list_pending_turn_inputs")
    """Reads that are compared after every step that may write."""
    unseen: ClassVar[frozenset[str]] = frozenset()
    """Calls that none of those reads can notice."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(self.context.target, scratch())
        self.driver = Driver(self.bench)
        self.steps: list[Step] = []
        self.suffix = ""
        self.counter = 0
        virtual = isinstance(self.bench.clock, VirtualClock)
        now = self.bench.clock.now_ms() if virtual else REAL_NOW_MS
        self.capabilities = frozenset[str](self.context.target.capabilities)
        self.model = Model(State(self.capabilities, now, virtual))
        if not self.context.over:
            self._run(self._opened())

    async def _opened(self) -> None:
        own = isinstance(self.context.target, Interruptible)
        try:
            async with asyncio.timeout(None if own else CALL_DEADLINE_S):
                await self.driver.open()
        except TimeoutError as err:
            raise TargetBroke(f"the place did not open within {CALL_DEADLINE_S:g} s") from err

    def teardown(self) -> None:
        """Close the place."""
        self.context.target_seconds += self.bench.trace.target_seconds
        self._run(self.bench.remove())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        self.context.pulse.since = time.monotonic()
        try:
            return self.context.loop.run_until_complete(work)
        except TargetBroke as err:
            self.context.broke = self.context.broke or err
            raise
        finally:
            self.context.pulse.since = 0.0

    # -- what rules are written in

    @property
    def now(self) -> int:
        """The model's time."""
        return self.model.state.now

    @property
    def virtual(self) -> bool:
        """Whether time is the judge's to move."""
        return self.model.state.virtual

    def has(self, capability: str) -> bool:
        """Whether the target declares it."""
        return capability in self.capabilities

    def rows(self, session_id: str) -> Session:
        """What the model holds of the session."""
        return self.model.state.session(session_id)

    def fresh(self, prefix: str) -> str:
        """A name not used before in this run."""
        self.counter += 1
        return f"{prefix}{self.counter}"

    def store(self, session_id: str) -> str:
        """Address of the session's store, created when it is missing."""
        if not self.rows(session_id).created:
            self.step("factory" + self.suffix, "create_store", request(session_id).to_data())
        return f"store[{session_id}]{self.suffix}"

    def on(self, session_id: str, method: str, *arguments: Any) -> Data:
        """One call on the session's store."""
        return self.step(self.store(session_id), method, *arguments)

    def step(self, on: str, method: str, *arguments: Any) -> Data:
        """One call: predicted, made, compared, read back. Answers the prediction."""
        if self.context.over:
            return {"skipped": True}
        return self._run(self._stepped(on, method, list(arguments)))

    async def _stepped(self, on: str, method: str, arguments: list[Any]) -> Data:
        expected = await self._judge(on, method, arguments, keep=True)
        if method not in READS and method not in self.unseen:
            family, bound = family_of(on)
            await self.observe([bound] if family == "store" else list(SESSIONS))
        return expected

    async def observe(self, sessions: list[str]) -> None:
        """Compare what readers see."""
        for session_id in sessions:
            if not self.rows(session_id).created:
                continue
            for method in self.observed:
                on = f"store[{session_id}]{self.suffix}"
                for arguments in self.asked(session_id, method):
                    await self._judge(on, method, arguments, keep=False)

    def asked(self, session_id: str, method: str) -> list[list[Any]]:
        """The arguments an observing read is made with, one list a read."""
        match method:
            case "load_session":
                path: list[list[Any]] = [[{"ActivePath": {}}]] if self.has("active_path") else []
                return [["FullGraph"], *path]
            case "load_session_meta" | "list_all_refs":
                return [[]]
            case "list_uncommitted":
                return [[2**62]]
            case _:
                return [[session_id]]

    async def _judge(self, on: str, method: str, arguments: list[Any], *, keep: bool) -> Data:
        expected = self.model.apply(on, method, arguments)
        rising = cast("list[list[Any]]", list(self.model.rising))
        step = Step.model_construct(
            on=on, method=method, arguments=arguments, expected=expected, outcome=None, rising=rising
        )
        done = await self.driver.judged(step)
        if keep or not done.ok:
            self.steps.append(step)
        if not done.ok:
            self._fail(done)
        return expected

    def _fail(self, done: Replayed) -> None:
        step = f"{done.step.on}.{done.step.method}"
        found, told, expected = done.fault.rpartition(", not ")
        if not told:
            found, expected = done.fault, brief(self.driver.names.shown(done.expected))
        if "ok" not in done.found:
            found = f"{short(done.found)} ({found})"
        failure = Disagreement(expected, f"at {step}: {found}", [*self.steps], done.found)
        self.context.fail(failure, len(self.steps))
        raise failure


class Disagreement(Unexpected):
    """The target and the model part ways at the last step."""

    def __init__(self, expected: str, found: str, steps: list[Step], outcome: Data) -> None:
        super().__init__(expected, found)
        self.transcript = [step.data() for step in steps]
        self.outcome = outcome


class Saved(Trace):
    """A failure's transcript in place of a check's own trace."""

    def __init__(self, failure: Disagreement) -> None:
        super().__init__(settled=True)
        self.transcript = failure.transcript
        self.steps = [
            TraceStep(step["on"], step["method"], step["arguments"], step["expected"])
            for step in self.transcript
        ]
        self.steps[-1].outcome = failure.outcome

    def data(self) -> list[Data]:
        """The replayable steps."""
        return self.transcript


async def searched(bench: Bench, machine: type[Machine], share: float = 1.0) -> None:
    """Search the target of ``bench`` with ``machine``; ``share`` scales the number of examples.

    Raises:
        Disagreement: the target and the model parted ways; its ``transcript`` holds the shortest run found.
        TargetBroke: it ended, or never came back from a call.
    """
    scale = search.SEARCH.scale
    if "durable" in bench.target.capabilities:
        share *= search.SEARCH.durable_share
    stop, pulse = threading.Event(), Pulse()
    job = asyncio.wrap_future(
        _in_thread(lambda: _run(bench.target, machine, max(1, int(scale.examples * share)), scale.steps, stop, pulse))
    )
    hung_s = math.inf if isinstance(bench.target, Interruptible) else HUNG_S
    try:
        while not (await asyncio.wait([job], timeout=1))[0]:
            if pulse.held_s > hung_s:
                raise TargetBroke(f"no end of a step within {hung_s:g} s")
        context = job.result()
    finally:
        stop.set()
    bench.trace.target_seconds += context.target_seconds
    if context.broke is not None:
        raise context.broke
    if context.failure is not None:
        bench.trace = Saved(context.failure)
        raise context.failure


def _in_thread(work: Callable[[], Context]) -> "concurrent.futures.Future[Context]":
    future: concurrent.futures.Future[Context] = concurrent.futures.Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as err:
            if not future.cancelled():
                future.set_exception(err)

    threading.Thread(target=run, daemon=True, name="search").start()
    return future


def _run(
    target: StoreTarget, machine: type[Machine], examples: int, steps: int, stop: threading.Event, pulse: Pulse
) -> Context:
    loop = asyncio.new_event_loop()
    context = Context(target, loop, stop, pulse)
    here = cast("type[Machine]", type(machine.__name__, (machine,), {"context": context}))
    # Hypothesis collects garbage before it begins; what was loaded by now is not looked through again.
    gc.freeze()
    try:
        run_state_machine_as_test(
            seed(search.SEARCH.seed)(here),
            settings=settings(
                max_examples=examples, stateful_step_count=steps, database=None, deadline=None,
                phases=(Phase.generate, Phase.shrink), suppress_health_check=cast("list[HealthCheck]", list(HealthCheck)),
                verbosity=Verbosity.quiet, report_multiple_bugs=False, print_blob=False,
            ),
        )  # fmt: skip
    except Exception:
        if context.failure is None and context.broke is None:
            raise
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
    return context
