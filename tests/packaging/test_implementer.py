"""An implementer's own suite: one fixture and one import."""

import subprocess
import sys
from pathlib import Path

CONFTEST = """
import pytest
from lash_conformance.pytest_plugin import target_of
from lash_conformance.targets.memory import CAPABILITIES, MemoryTarget


async def acme(place):
    return await MemoryTarget().open(place)


@pytest.fixture
def store_target():
    return target_of(acme, *CAPABILITIES)
"""


def test_one_fixture_and_one_import_run_the_suite(tmp_path: Path):
    """From a folder of its own, with pytest as the implementer runs it."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_acme.py").write_text("from lash_conformance.suite import test_store_conforms\n")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "LEA or QUE"],
        capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout[-3000:]
    assert "passed" in done.stdout
