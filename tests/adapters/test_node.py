"""The store and the host in Node: judged as any stranger's are, through their processes."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lash_conformance import report

ADAPTER = Path(__file__).parents[2] / "conformance" / "adapters" / "node"
HOST = ADAPTER.parent / "node-host"
PART = "HST.*,TRN.1,SES.33,!SES.33:a_refresh_*,SES.75,CAN.6,HOK.12,SNP.42,OBS.4,FRM.4,WAI.2,PRM.6,OPS.8,REG.10,TOO.11,!kind:machine"
OLDEST = 20


def unfit() -> str:
    """Why this machine cannot run it; empty when it can."""
    node = shutil.which("node")
    if node is None:
        return "NO NODE: this is a machine without Node, so the store in Node is not judged here"
    said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=60, check=True).stdout
    if int(re.findall(r"\d+", said)[0]) < OLDEST:
        return f"OLD NODE: {said.strip()} is here and {OLDEST} is needed, so the store in Node is not judged here"
    return "" if ADAPTER.is_dir() else "NO CHECKOUT: adapters are not part of an installed copy"


pytestmark = pytest.mark.skipif(bool(unfit()), reason=unfit())


def judged(select: str, into: Path, **environment: str) -> report.Report:
    """The store's report on what ``select`` names."""
    command = [
        sys.executable, "-m", "lash_conformance", "run", "--target", f"stdio:node '{ADAPTER / 'main.js'}'",
        "--select", select, "--report", str(into),
    ]  # fmt: skip
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return report.load(into / "report.json")


def test_its_records_follow_the_published_vectors():
    """Node's own test runner; nothing of ours is in between."""
    done = subprocess.run(["node", "--test", str(ADAPTER)], capture_output=True, text=True, timeout=300, check=False)

    assert done.returncode == 0, done.stdout
    assert int(re.findall(r"(?m)^(?:#|ℹ) pass (\d+)$", done.stdout)[0]) > 100


@pytest.mark.long(25)
def test_it_conforms_in_every_example(tmp_path: Path):
    """With every capability declared and every damage done."""
    made = judged("!kind:crash,!kind:machine,!kind:race", tmp_path)

    assert {check.verdict for check in made.checks} == {"pass", "not-applicable"}
    assert made.check_counts["pass"] > 400
    assert set(made.target.capabilities) >= {"durable", "clock", "manifest", "gc", "active_path", "shared", "process_evidence", "process_liveness"}


@pytest.mark.long(25)
def test_races_and_killed_calls_end_well_while_the_log_is_compacted(tmp_path: Path):
    """Every transaction makes a new snapshot, so processes race with the removal of what they read."""
    select = "STO.6,LEA.11,QUE.24,STO.7,REC.28,STO.81:*,STO.85:*,!kind:machine"
    made = judged(select, tmp_path, LASH_NODE_COMPACT_BYTES="0")

    assert {check.verdict for check in made.checks} <= {"pass", "not-applicable"}
    assert made.check_counts["pass"] > 4


def test_the_host_passes_a_part_of_every_chapter(tmp_path: Path):
    """Whatever it declares; what it does not declare is refused."""
    command = [
        sys.executable, "-m", "lash_conformance", "run", "--profile", "host", "--target", f"stdio:node '{HOST / 'main.js'}'",
        "--select", PART, "--report", str(tmp_path),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=580, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    made = report.load(tmp_path / "report.json")
    assert {check.verdict for check in made.checks} == {"pass"}
    assert (made.check_counts["pass"] > 30, "children" in made.target.capabilities) == (True, False)
