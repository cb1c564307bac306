"""The GitHub Action without a runner: its steps run here, in order, as the composite runner would run them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ACTION = ROOT / "action.yml"
yaml = pytest.importorskip("yaml", reason="SKIPPED THE ACTION: PyYAML (of mkdocs) is not installed")

pytestmark = pytest.mark.skipif(not ACTION.is_file(), reason="the action belongs to the checkout")


def steps(folder: Path, **given: str) -> dict[str, int]:
    """Run the steps after `Install`, which needs an index; each step's exit code by name."""
    action = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
    inputs = {name: about.get("default", "") for name, about in action["inputs"].items()} | given
    codes: dict[str, int] = {}
    for step in action["runs"]["steps"][1:]:
        if any(codes.values()) and step.get("if") != "always()":
            continue
        env = {name: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda match: inputs[match[1]], value) for name, value in step["env"].items()}
        runner = {"GITHUB_STEP_SUMMARY": str(folder / "summary.md"), "GITHUB_OUTPUT": str(folder / "output")}
        path = {"PATH": str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"]}
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        done = subprocess.run(command, cwd=folder, env=os.environ | env | runner | path, capture_output=True, timeout=400, check=False)
        codes[step["name"]] = done.returncode
    return codes


def test_a_store_that_conforms_passes_the_job(tmp_path: Path):
    """The summary says so, and the output carries it on."""
    codes = steps(tmp_path, target="memory", select="LEA.1")

    assert codes == {"Judge": 0, "Tell": 0}
    assert (tmp_path / "output").read_text() == "outcome=conforms\n"
    assert "| pass | " in (tmp_path / "summary.md").read_text()


def test_a_store_that_does_not_exist_fails_the_job_and_is_told(tmp_path: Path):
    """The gate closes, and the summary is written all the same."""
    codes = steps(tmp_path, target="python:nowhere:Store")

    assert codes == {"Judge": 2, "Tell": 0}
    assert (tmp_path / "output").read_text() == "outcome=no report\n"


def test_every_step_says_what_a_composite_action_needs():
    """A shell for each, and no input pasted into a script, where it could run."""
    action = yaml.safe_load(ACTION.read_text(encoding="utf-8"))

    for step in action["runs"]["steps"]:
        assert (step["shell"], "${{" in step["run"]) == ("bash", False)
