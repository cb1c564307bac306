"""The soak: a few hundred disturbed turns hold, and a host that breaks its word is caught."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from lash_conformance import soak
from lash_conformance.host import load as load_host
from lash_conformance.target import load


def test_a_few_hundred_disturbed_turns_lose_nothing(tmp_path: Path):
    command = [
        sys.executable, "-m", "lash_conformance", "soak", "--turns", "250", "--seed", "3", "--report", str(tmp_path),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "soak.json").read_text())
    assert (found["ended"], found["turns"], found["problem"]) == ("done", 250, "")
    assert (found["host"], found["store"], found["sessions"]) == ("reference", "sqlite", 8)
    disturbed = {"cancel", "park", "crash", "lane_lost", "lane_stolen", "cut_before", "cut_after"}
    assert all(found["steps"][name] > 0 for name in disturbed)
    assert found["looks"] > 50
    assert "nothing lost, nothing doubled" in done.stdout


def test_the_same_seed_takes_the_same_steps():
    runs = [soak.run(load_host("reference"), load("memory"), turns=40, seed=5) for _ in range(2)]

    assert runs[0].steps == runs[1].steps
    assert [run.ended for run in runs] == ["done", "done"]
    assert soak.run(load_host("reference"), load("memory"), turns=40, seed=6).steps != runs[0].steps


def test_time_that_is_up_ends_a_soak_with_what_was_judged():
    done = soak.run(load_host("reference"), load("memory"), turns=10_000, seed=1, minutes=0)

    assert (done.ended, done.turns, done.problem) == ("time", 0, "")


class Forgetful:
    """The reference, but every usage report misses what the first turns spent."""

    def __init__(self) -> None:
        self.inner: Any = load_host("reference")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def core(self, place: Any, spec: Any) -> Any:
        core = await self.inner.core(place, spec)
        opened = core.open

        async def open_session(session_id: str, spec: Any) -> Any:
            session = await opened(session_id, spec)
            read = session.read

            async def forgetting(what: str) -> Any:
                told = await read(what)
                if what == "usage_report" and told["usage"].get("input_tokens", 0) > 100:
                    told["usage"]["input_tokens"] -= 10
                return told

            session.read = forgetting
            return session

        core.open = open_session
        return core


def test_a_host_that_loses_usage_fails_with_the_session_and_both_sides():
    done = soak.run(Forgetful(), load("memory"), turns=400, seed=1)

    assert done.ended == "failed"
    assert "to hold Model(" in done.problem
    assert done.turns < 400
