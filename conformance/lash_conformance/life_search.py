"""The search for a sequence of steps after which a session differs from its model, and its trace, which can be replayed.

A trace is what `transcript` writes: steps ``{"on": "life[s1]", "method": "park", "arguments": [], "expected": …}``,
the expected being what the model holds after the step.
"""

import asyncio
import json
import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from lash_conformance.bench import scratch
from lash_conformance.host import Data, HostTarget
from lash_conformance.host_bench import HostBench
from lash_conformance.life import STEPS, Life, seen
from lash_conformance.search import SEARCH
from lash_conformance.target import StoreTarget, TargetBroke
from lash_conformance.traced import Step, Trace
from lash_conformance.vocabulary import Unexpected
from lash_ref.errors import LashError

ON = "life[s1]"
PROCESS_SHARE = 0.2
"""A host that really dies must really be started again, so it gets fewer examples."""


@dataclass(frozen=True)
class Lived:
    """One step, what the session had to hold after it, and what it held."""

    step: str
    expected: Data
    found: Data

    @property
    def ok(self) -> bool:
        """Whether the session went as the model says."""
        return self.found == self.expected


class Parted(Unexpected):
    """The session and its model part ways at the last step."""

    def __init__(self, lived: Sequence[Lived]) -> None:
        self.lived = list(lived)
        last = self.lived[-1]
        told = ", ".join(one.step for one in self.lived)
        super().__init__(f"{last.expected} after {told}", str(last.found))


async def live(target: HostTarget, stores: StoreTarget, steps: Sequence[str]) -> list[Lived]:
    """Live through the steps on a fresh place, looking after each; ends where the ways part.

    Raises:
        TargetBroke: the host broke, so that nothing is known of it.
    """
    directory = scratch()
    bench = HostBench(target, directory, stores)
    lived: list[Lived] = []
    try:
        life = Life(bench)
        await life.begin()
        for step in steps:
            found = await _taken(bench, life, step)
            lived.append(Lived(step, life.model.data(), found))
            if not lived[-1].ok:
                break
    finally:
        await bench.close()
        shutil.rmtree(directory, ignore_errors=True)
    return lived


async def _taken(bench: HostBench, life: Life, step: str) -> Data:
    """What the session holds after one more step, or what went wrong in it."""
    try:
        async with bench.promptly():
            await getattr(life, step)()
            return (await seen(life.session)).data()
    except LashError as err:
        return {"refused": err.code, "text": str(err)}
    except Unexpected as err:
        return {"unexpected": err.found, "instead_of": err.expected}


def lives(most: int) -> st.SearchStrategy[list[str]]:
    """Lives of up to about ``most`` steps, long on the average; a list of lists shrinks to nothing all the same."""
    step = st.sampled_from([name for name, weight in STEPS.items() for _ in range(weight)])
    phases = st.lists(st.lists(step, min_size=1, max_size=6), min_size=1, max_size=max(1, most // 3))
    return phases.map(lambda parts: [name for part in parts for name in part])


class _Search:
    """One search: the shortest life that parted, and when to stop."""

    def __init__(self, bench: HostBench) -> None:
        self.target, self.stores = bench.target, bench.stores
        self.shortest: Parted | None = None
        self.broke: TargetBroke | None = None
        self.stop = threading.Event()
        self._found_at = 0.0

    @property
    def over(self) -> bool:
        """Whether no more is wanted."""
        late = self.shortest is not None and time.monotonic() - self._found_at > SEARCH.shrinking_s
        return late or self.broke is not None or self.stop.is_set()

    def example(self, steps: list[str]) -> None:
        """Live through the steps.

        Raises:
            Parted: the ways part.
        """
        if self.over:
            return
        try:
            lived = asyncio.run(live(self.target, self.stores, steps))
        except TargetBroke as err:
            self.broke = err
            return
        if lived[-1].ok:
            return
        parted = Parted(lived)
        if self.shortest is None or len(lived) < len(self.shortest.lived):
            self._found_at = self._found_at or time.monotonic()
            self.shortest = parted
        raise parted

    def run(self) -> None:
        """Search, then shrink what was found."""
        share = PROCESS_SHARE if "process" in self.target.capabilities else 1.0

        @seed(SEARCH.seed)
        @settings(
            max_examples=max(2, int(SEARCH.scale.examples * share)), deadline=None, database=None, report_multiple_bugs=False,
            phases=(Phase.generate, Phase.shrink), suppress_health_check=cast("list[HealthCheck]", list(HealthCheck)), print_blob=False,
        )  # fmt: skip
        @given(lives(SEARCH.scale.steps))
        def searched(steps: list[str]) -> None:
            self.example(steps)

        try:
            searched()
        except Exception:
            # Once the search is over nothing fails any more, which Hypothesis calls flaky.
            if self.shortest is None and self.broke is None:
                raise


async def search_lives(bench: HostBench) -> None:
    """Search the host of ``bench``; the bench's trace becomes the shortest life that parted.

    Raises:
        Parted: there is one.
        TargetBroke: the host broke on the way.
    """
    search = _Search(bench)
    try:
        await asyncio.to_thread(search.run)
    finally:
        search.stop.set()
    if search.shortest is not None:
        bench.trace = Saved(search.shortest.lived)
        raise search.shortest
    if search.broke is not None:
        raise search.broke


class Saved(Trace):
    """A life that parted, as a trace that can be replayed."""

    def __init__(self, lived: Sequence[Lived]) -> None:
        super().__init__(settled=True)
        self.lived = lived
        self.steps = [Step(ON, one.step, [], one.found) for one in lived]

    def data(self) -> list[Data]:
        """The steps, each with what the model holds after it."""
        return [{"on": ON, "method": one.step, "arguments": [], "expected": one.expected} for one in self.lived]


class MalformedLife(Exception):
    """The file is no trace of a life; the text says where."""


def read(path: Path) -> list[str]:
    """The steps of the saved life in a file.

    Raises:
        MalformedLife: the file is no trace of a life.
        OSError: the file cannot be read.
    """
    try:
        found: object = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as err:
        raise MalformedLife(f"no JSON: {err}") from err
    steps: object = cast("Data", found).get("steps") if isinstance(found, dict) else found
    if not isinstance(steps, list):
        raise MalformedLife("expected an object with a list of steps, found none")
    names: list[str] = []
    for number, step in enumerate(cast("list[object]", steps)):
        told = cast("Data", step) if isinstance(step, dict) else {}
        if told.get("on") != ON or told.get("method") not in STEPS:
            raise MalformedLife(f"step {number}: expected {ON} and one of {', '.join(STEPS)}; found {step!r:.120}")
        names.append(str(told["method"]))
    return names
