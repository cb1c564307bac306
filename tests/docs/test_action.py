"""The GitHub Action without a runner: its steps run here, in order, as the composite runner would run them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "packaging"))

from installed import checkout, environment, plain

ROOT = Path(__file__).parents[2]
ACTION = ROOT / "action.yml"
yaml = pytest.importorskip("yaml", reason="SKIPPED THE ACTION: PyYAML (of mkdocs) is not installed")

pytestmark = [
    pytest.mark.skipif(not ACTION.is_file(), reason="the action belongs to the checkout"),
    pytest.mark.long(30),
]


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A Python without the project, and a clean checkout of the action; the step `Install` has run there."""
    folder = tmp_path_factory.mktemp("runner")
    programs, action = environment(folder / "venv"), checkout(folder / "action")
    assert steps(folder, programs, action, only=("Install",)) == {"Install": 0}
    return programs, action


def steps(folder: Path, programs: Path, action: Path, *, only: tuple[str, ...] = ("Judge", "Tell"), **given: str) -> dict[str, int]:
    """Run the steps as the composite runner would; each one's exit code by name."""
    made = yaml.safe_load((action / "action.yml").read_text(encoding="utf-8"))
    inputs = {name: about.get("default", "") for name, about in made["inputs"].items()} | given
    codes: dict[str, int] = {}
    for step in made["runs"]["steps"]:
        if step["name"] not in only or (any(codes.values()) and step.get("if") != "always()"):
            continue
        env = {name: _filled(value, inputs, action) for name, value in step["env"].items()}
        told = {"GITHUB_STEP_SUMMARY": str(folder / "summary.md"), "GITHUB_OUTPUT": str(folder / "output")}
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        done = subprocess.run(command, cwd=folder, env=plain(programs) | env | told, capture_output=True, timeout=400, check=False)
        codes[step["name"]] = done.returncode
    return codes


def _filled(value: str, inputs: dict[str, str], action: Path) -> str:
    """The expressions that the action uses, as GitHub evaluates them."""
    value = value.replace("${{ inputs.package || github.action_path }}", inputs["package"] or str(action))
    return re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda match: inputs[match[1]], value)


def test_a_store_that_conforms_passes_the_job(runner: tuple[Path, Path], tmp_path: Path):
    """The summary says so, and the output carries it on."""
    codes = steps(tmp_path, *runner, target="memory", select="LEA.1:the_first_*")

    assert codes == {"Judge": 0, "Tell": 0}
    assert (tmp_path / "output").read_text() == "outcome=conforms\n"
    assert "| pass | " in (tmp_path / "summary.md").read_text()


def test_a_store_that_does_not_exist_fails_the_job_and_is_told(runner: tuple[Path, Path], tmp_path: Path):
    """The gate closes, and the summary is written all the same."""
    codes = steps(tmp_path, *runner, target="python:nowhere:Store")

    assert codes == {"Judge": 2, "Tell": 0}
    assert (tmp_path / "output").read_text() == "outcome=no report\n"


def test_every_step_says_what_a_composite_action_needs():
    """A shell for each, and no input pasted into a script, where it could run."""
    action = yaml.safe_load(ACTION.read_text(encoding="utf-8"))

    for step in action["runs"]["steps"]:
        assert (step["shell"], "${{" in step["run"]) == ("bash", False)
