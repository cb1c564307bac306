"""A life that parts from its model is shrunk to a few steps, saved, and lived again on any host."""

import asyncio
import json
from pathlib import Path

import pytest
from rich.console import Console

from lash_conformance import kill, life_search, search
from lash_conformance.bench import scratch
from lash_conformance.host import load as load_host
from lash_conformance.host_bench import HostBench
from lash_conformance.life_search import MalformedLife, Parted
from lash_conformance.mutants.host_life import KeepsACopyOfWhatItDelivers
from lash_conformance.replaying import replay_life
from lash_conformance.target import load

pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine.*never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_hosts_that_only_a_life_breaks_are_found():
    """A forgotten configuration, lost input, a second delivery: each by the machine alone."""
    table = kill.run_sync(
        lambda clause: clause in ("SES.41", "SES.74"), lambda one: None, examples=False, crashes=False
    )

    assert {one.mutant.name: one.killed for one in table.kills} == {
        "ForgetsConfigureBehindAQueue": True, "KeepsACopyOfWhatItDelivers": True, "LosesTheSecondInput": True,
    }  # fmt: skip
    assert table.baseline == []


def test_a_failure_is_shrunk_saved_and_lived_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Two steps are left; the trace differs on the broken host and agrees on the unbroken one."""
    monkeypatch.setattr(search.SEARCH, "scale", search.PROVING)
    bench = HostBench(KeepsACopyOfWhatItDelivers(), scratch(), load("memory"))
    with pytest.raises(Parted) as parted:
        asyncio.run(life_search.search_lives(bench))

    assert [one.step for one in parted.value.lived][-1] == "drain_cut_after"
    assert parted.value.expected.endswith("drain_cut_after")
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
