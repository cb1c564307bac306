"""The bench measures what it says, on a store that needs nothing."""

import json
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
