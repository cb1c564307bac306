"""The bench measures what it says, on a store that needs nothing."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

OPERATIONS = {"commit of one node", "active path of ten nodes", "pending work", "pending input", "full load"}


def test_costs_are_measured_at_each_length_and_saved(tmp_path: Path):
    command = [
        sys.executable, "-m", "lash_conformance", "bench", "--store", "memory", "--nodes", "10,20",
        "--report", str(tmp_path),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "bench.json").read_text())
    assert found["nodes"] == [10, 20]
    assert set(found["milliseconds"]) == OPERATIONS
    assert all(len(times) == 2 and min(times) > 0 for times in found["milliseconds"].values())
    assert found["commits_per_second"] > 0
    assert "<svg" in (tmp_path / "bench.html").read_text()


def test_a_host_is_measured_beside_its_peers_and_saved(tmp_path: Path):
    command = [
        sys.executable, "-m", "lash_conformance", "bench", "--host", "--store", "memory,sqlite", "--nodes", "10,20",
        "--turns", "8", "--sessions", "3", "--report", str(tmp_path),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "bench-host.json").read_text())
    ours = [chat for chat in found["chats"] if chat["runtime"].startswith("reference")]
    assert [chat["runtime"] for chat in ours] == ["reference on memory", "reference on sqlite"]
    assert all(min(chat["milliseconds"]) > 0 and chat["turns_per_second"] > 0 for chat in ours)
    assert ours[0]["bytes_per_turn"] == [0, 0]
    assert sum(ours[1]["bytes_per_turn"]) > 0
    measured = [(one["store"], one["residency"], one["nodes"]) for one in found["history"]]
    assert measured == [
        (store, residency, nodes)
        for store in ("memory", "sqlite")
        for nodes in (10, 20)
        for residency in ("keep_all", "active_path_only")
    ]
    assert all(held["live"] > 0 and held["parked"] > 0 for held in found["memory"])
    peer = [chat for chat in found["chats"] if chat["runtime"].startswith("langgraph")]
    assert bool(peer) != bool(found["notes"]), "langgraph is measured, or said to be absent"
    assert (tmp_path / "bench-host.html").read_text().count("<svg") == 2


def test_a_host_that_is_a_command_is_measured_on_its_own_store(tmp_path: Path):
    serving = f"stdio:{shlex.quote(sys.executable)} -m lash_conformance serve --profile host --target reference"
    command = [
        sys.executable, "-m", "lash_conformance", "bench", "--host", "--target", serving, "--nodes", "10",
        "--turns", "8", "--sessions", "3", "--report", str(tmp_path),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "bench-host.json").read_text())
    chat = found["chats"][0]
    assert (chat["runtime"], min(chat["milliseconds"]) > min(chat["processor"]) > 0) == ("reference on sqlite", True)
    assert sum(chat["bytes_per_turn"]) > 0
    assert {(one["store"], one["nodes"]) for one in found["history"]} == {("sqlite", 10)}

    elsewhere = subprocess.run([*command, "--store", "memory"], capture_output=True, text=True, check=False)
    assert elsewhere.returncode == 2
    assert "keeps its sessions on sqlite; found --store memory" in " ".join(elsewhere.stderr.split())
