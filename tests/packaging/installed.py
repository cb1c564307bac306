"""An environment with the project's dependencies and nothing of the project, into which a wheel or a checkout is installed."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEFT_OUT = (".git", ".venv", "report", "build", "site", "dist", "target", "node_modules", "__pycache__", ".pytest_cache", ".ruff_cache", ".hypothesis")


def environment(folder: Path) -> Path:
    """A new environment that finds the dependencies where these tests do; answers its folder of programs.

    The tests' own copy of the project is an editable install or lies beside the dependencies; a project that is
    installed into the new environment comes first.
    """
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n", encoding="utf-8")
    return folder / "bin"


def plain(programs: Path) -> dict[str, str]:
    """The environment variables of somebody who has just activated it; nothing is fetched, the tools are those at hand."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    offline = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "NO_COLOR": "1"}
    return kept | offline | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}


def checkout(folder: Path) -> Path:
    """A copy of what is in the checkout, without what was built there."""
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT, "*.pyc"))
    return folder
