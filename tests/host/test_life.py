"""A life that parts from its model is shrunk to a few steps, saved, and lived again on any host."""

import asyncio
import json
from pathlib import Path

import pytest
from rich.console import Console

from lash_conformance import life_search, search
from lash_conformance.bench import scratch
from lash_conformance.check import all_checks
from lash_conformance.execute import execute
from lash_conformance.host import load as load_host
from lash_conformance.host_bench import HostBench
from lash_conformance.life_search import MalformedLife, Parted
from lash_conformance.mutants.host import BrokenHost
from lash_conformance.mutants.host_life import (
    ForgetsConfigureBehindAQueue,
    KeepsACopyOfWhatItDelivers,
    LosesTheSecondInput,
)
from lash_conformance.target import load
from lash_conformance.trace_replay import replay_life

pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine.*never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.mark.parametrize("broken", [ForgetsConfigureBehindAQueue, KeepsACopyOfWhatItDelivers, LosesTheSecondInput])
def test_hosts_that_only_a_life_breaks_are_found(broken: type[BrokenHost]):
    """A forgotten configuration, a second delivery, lost input: each by the machine alone."""
    (machine,) = (check for check in all_checks("host") if check.run.__module__.endswith("survival") and check.kind == "machine")
    with search.proving():
        result = asyncio.run(execute(machine, broken(), 300))

    assert (result.verdict, "SES.41" in machine.clauses, "SES.74" in machine.clauses) == ("fail", True, True)


@pytest.mark.long(25)
def test_a_failure_is_shrunk_saved_and_lived_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Two steps are left; the trace differs on the broken host and agrees on the unbroken one."""
    monkeypatch.setattr(search.SEARCH, "scale", search.PROVING)
    monkeypatch.setattr(search.SEARCH, "shrinking_s", 60)
    bench = HostBench(KeepsACopyOfWhatItDelivers(), scratch(), load("memory"))
    with pytest.raises(Parted) as parted:
        asyncio.run(life_search.search_lives(bench))

    last = parted.value.lived[-1].step
    assert last.startswith("drain_cut")
    assert parted.value.expected.endswith(last)
    assert len(parted.value.lived) <= 4
    trace = tmp_path / "trace.json"
    trace.write_text(json.dumps({"check": "x", "steps": bench.trace.data()}))
    stores, quiet = load("memory"), Console(quiet=True)
    assert replay_life(quiet, trace, KeepsACopyOfWhatItDelivers(), stores) is False
    assert replay_life(quiet, trace, load_host("reference"), stores) is True


@pytest.mark.parametrize(
    ("text", "fault"),
    [("{", "no JSON"), ("{}", "a list of steps"), ('[{"on": "store[s1]", "method": "turn"}]', "step 0"), ('[{"on": "life[s1]", "method": "nap"}]', "nap")],
)
def test_what_is_no_life_is_told(tmp_path: Path, text: str, fault: str):
    """By what was expected, and where."""
    trace = tmp_path / "trace.json"
    trace.write_text(text)
    with pytest.raises(MalformedLife, match=fault):
        life_search.read(trace)
