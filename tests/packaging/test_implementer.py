"""An implementer's own suite: one fixture and one import, from a package of their own, installed beside ours."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ACME = Path(__file__).parent / "acme"

BROKEN = """
from lash_conformance.mutants import all_mutants

broken = next(mutant for mutant in all_mutants() if "LEA.1" in mutant.clauses).make()


async def open_acme(place):
    return await broken.open(place)
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Acme's wheel, built from its source and laid out as an installer would."""
    source = tmp_path / "source"
    shutil.copytree(ACME, source, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, source],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("acme_lash-*.whl")
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    return site


def judged(site: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Pytest as Acme runs it, from a folder that is nobody's checkout."""
    elsewhere = site.parent / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--pyargs", "acme_lash", *more],
        capture_output=True, text=True, cwd=elsewhere, timeout=300, check=False, env={"PYTHONPATH": str(site), "PATH": ""},
    )  # fmt: skip


@pytest.mark.long(25)
def test_one_fixture_and_one_import_run_the_suite(installed: Path):
    """Every check that pytest collects there is one of ours, and the packaged store passes them."""
    done = judged(installed, "-q", "-k", "LEA or QUE")

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
    assert "failed" not in done.stdout


def test_a_broken_package_is_told_why_in_its_own_suite(installed: Path):
    """The rule, what was expected and what was found stand in pytest's own output; the exit is red."""
    (installed / "acme_lash" / "__init__.py").write_text(BROKEN)

    done = judged(installed, "-q", "-k", "LEA.1:")

    assert done.returncode == 1, done.stdout[-3000:]
    assert "FAIL LEA.1" in done.stdout
    assert "rule " in done.stdout
    assert "found " in done.stdout
