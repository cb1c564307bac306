"""The host judge proves itself: broken hosts are killed, nothing passes on nothing, the reference conforms."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from lash_conformance import host, kill, report, selftest
from lash_conformance.catalogue import PROFILES
from lash_conformance.check import all_checks
from lash_conformance.execute import execute
from lash_conformance.mutants.host import BrokenHost
from lash_conformance.target import TargetFault

pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine.*never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SESSIONS = frozenset(PROFILES["host"]) - {"PRV", "RLM", "RPL", "HST"}
"""Provider fixtures, model-written code and processes have proofs of their own."""
PLUGINS = frozenset({"PLG", "HOK", "TOO", "REG", "PRM", "OPS"})
"""No check cites one of these and another area, so that they can be proven beside the others."""


@pytest.mark.long(120)
@pytest.mark.parametrize("areas", [SESSIONS - PLUGINS, PLUGINS], ids=["sessions", "plugins"])
def test_every_host_must_has_a_broken_host_that_its_check_kills(areas: frozenset[str]):
    """And the reference passes the same checks."""
    table = kill.run_sync(lambda clause: clause[:3] in areas, lambda one: None, searches=False)

    assert [(one.clause, one.mutant.name) for one in table.kills if not one.killed] == []
    assert [(result.check.id, result.reason) for result in table.baseline] == []
    assert table.unproven == []
    assert table.weak == [], "each check kills a broken host of its own"


@pytest.mark.long(120)
def test_no_host_must_passes_on_nothing():
    """On a host that answers none, echoes, agrees or refuses."""
    made = selftest.SelfTest()
    asyncio.run(selftest.null_score(made, "host"))

    assert made.null_passes == {}
    assert made.null_runs > 500


@pytest.mark.long(120)
@pytest.mark.parametrize("target", ["reference", "reference:sqlite"])
def test_the_reference_conforms(target: str, tmp_path: Path):
    """Over memory and over SQLite, from the command line; every session clause that a check can judge passes."""
    command = [
        sys.executable, "-m", "lash_conformance", "run", "--profile", "host", "--target", target,
        "--select", ",".join(f"{area}.*" for area in sorted(SESSIONS)), "--report", str(tmp_path),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    open_ = [c.id for c in report.load(tmp_path / "report.json").clauses if c.verdict != "pass" and not c.untested]
    assert open_ == []


def test_a_patch_ends_with_its_host():
    """A broken host that was judged leaves the reading as it was."""
    from lash_ref import turn_loop

    class Broken(BrokenHost):
        def breaks(self, patch):
            patch("lash_ref.turn_loop:MAX_FRAME_SWITCHES", lambda original: 0)

    check = next(check for check in all_checks("host") if check.clauses == ("FRM.4",))

    result = asyncio.run(execute(check, Broken()))

    assert (result.verdict, turn_loop.MAX_FRAME_SWITCHES) == ("fail", 16)


@pytest.mark.parametrize("name", ["moon", "python:lash_conformance.host:Refused", "python:missing:f"])
def test_what_is_no_host_is_usage(name: str):
    """Said in a sentence that names the target."""
    with pytest.raises(TargetFault, match=name.split(":", maxsplit=1)[0]):
        host.load(name)
