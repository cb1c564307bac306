"""Searches: sound stores pass, a failure shrinks to a transcript, and the same seed finds the same."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from lash_conformance import search, transcript
from lash_conformance.check import all_checks
from lash_conformance.execute import execute
from lash_conformance.mutants import all_mutants
from lash_conformance.target import Backend, Place, load
from lash_conformance.targets.memory import MemoryTarget

BY_NAME = {check.name: check for check in all_checks()}
MUTANTS = {mutant.name: mutant for mutant in all_mutants()}
COMMITS = "any_run_of_commits_goes_as_the_model_says"


@pytest.fixture(autouse=True)
def thorough_enough(monkeypatch: pytest.MonkeyPatch):
    """As many examples whatever a target declares."""
    monkeypatch.setattr(search, "SEARCH", search.Search(scale=search.PROVING, durable_share=1.0))


def broken(mutant: str, check: str):
    return asyncio.run(execute(BY_NAME[check], MUTANTS[mutant].make(), 300.0))


def test_a_failure_shrinks_to_steps_that_replay(tmp_path: Path):
    """They differ on the broken store at the last step, and agree on a sound one."""
    result = broken("LumpsTheThirdModel", COMMITS)
    path = tmp_path / "trace.json"
    path.write_text(json.dumps({"check": result.check.id, "steps": result.steps}), encoding="utf-8")
    steps = transcript.read(path)

    again = asyncio.run(transcript.replay(steps, MUTANTS["LumpsTheThirdModel"].make()))
    sound = asyncio.run(transcript.replay(steps, load("memory")))

    assert result.verdict == "fail"
    assert [one.ok for one in again] == [True] * (len(steps) - 1) + [False]
    assert all(one.ok for one in sound)
    assert len(steps) <= 8


class Blocking(MemoryTarget):
    """Never comes back from opening a place, and holds its thread."""

    async def open(self, place: Place) -> Backend:
        time.sleep(3)  # noqa: ASYNC251 - the mistake that is met
        return await super().open(place)


def test_a_target_that_holds_the_thread_is_an_error(monkeypatch: pytest.MonkeyPatch):
    """The judge goes on without waiting for it."""
    monkeypatch.setattr("lash_conformance.machine.HUNG_S", 0.5)
    check = BY_NAME["any_run_of_the_lane_goes_as_the_model_says"]

    result = asyncio.run(execute(check, Blocking(), 60))

    assert (result.verdict, result.reason) == ("error", "no end of a step within 0.5 s")


@pytest.mark.long(25)
def test_the_same_seed_finds_the_same():
    """Step by step."""
    first = broken("StartsOverAfterThree", "any_run_of_the_lane_goes_as_the_model_says")
    again = broken("StartsOverAfterThree", "any_run_of_the_lane_goes_as_the_model_says")

    assert first.verdict == "fail"
    assert first.steps == again.steps
    assert first.found == again.found


def test_a_race_that_is_lost_says_who_saw_what():
    """Clients, moments, and what no order explains."""
    result = broken("SeesThenTakes", "concurrent_claims_of_a_lane_have_one_winner")

    assert result.verdict == "fail"
    assert "no order explains this" in result.found
    assert result.steps


def test_a_deadline_ends_a_search():
    """As an error of the harness's making, not as a verdict on the store."""
    search.SEARCH.scale = search.Scale(examples=100_000, steps=30)

    result = asyncio.run(execute(BY_NAME[COMMITS], load("memory"), 0.5))

    assert result.verdict == "error"


def test_what_is_no_transcript_is_refused_with_its_place(tmp_path: Path):
    """Unreadable, of another shape, or of another contract."""
    path = tmp_path / "trace.json"
    for text, word in (
        ("{", "no JSON"),
        ('{"steps": 3}', "step"),
        ('[{"on": "elsewhere", "method": "x"}]', "0.on"),
        ('[{"on": "store[s1]", "method": "drop_everything"}]', "drop_everything"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(transcript.MalformedTranscript, match=word):
            transcript.read(path)


def test_a_step_that_needs_what_nobody_answered_is_broken_not_a_crash():
    """The replay goes on."""
    steps = transcript.parse([
        {"on": "factory", "method": "delete_session", "arguments": ["$s1:batch.1"], "expected": {"ok": None}},
        {"on": "factory", "method": "delete_session", "arguments": ["s1"], "expected": {"ok": None}},
    ])

    first, second = asyncio.run(transcript.replay(steps, load("memory")))

    assert first.found == {"broken": "no earlier step answered $s1:batch.1"}
    assert second.ok


def test_a_transcript_is_written_as_it_is_read(tmp_path: Path):
    """Steps, expectations and rising numbers."""
    steps = transcript.parse([
        {"on": "store[s1]@2", "method": "load_node", "arguments": ["n"], "expected": {"ok": None}, "rising": [["$a", "$b"]]},
    ])

    transcript.write(tmp_path / "t.json", steps, check="X")

    assert transcript.read(tmp_path / "t.json") == steps
