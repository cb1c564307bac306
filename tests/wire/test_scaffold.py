"""What `init` writes runs at once and fails honestly."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lash_conformance import report, scaffold, wire

SELECT = "LEA.1,STO.1,WIR.2,WIR.4,WIR.6,WIR.10,WIR.20,WIR.21,WIR.22,WIR.23"


def cli(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    command = [sys.executable, "-m", "lash_conformance", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=500, check=False)


@pytest.mark.parametrize("language", ["python", "node"])
def test_a_new_adapter_runs_and_fails_honestly(language: str, tmp_path: Path):
    """Its handshake holds, the wire's rules hold, and every store check says which method is missing."""
    if language == "node" and shutil.which("node") is None:
        pytest.skip("no node here")
    folder = tmp_path / "new"
    made = cli("init", language, str(folder), cwd=tmp_path)
    assert made.returncode == 0, made.stderr

    done = cli("run", "--target", scaffold.LANGUAGES[language][0], "--select", SELECT, "--report", "report", cwd=folder)

    assert done.returncode == 1, done.stdout + done.stderr
    checks = report.load(folder / "report" / "report.json").checks
    store = [check for check in checks if not check.id.startswith("WIR.") and check.verdict != "not-applicable"]
    assert store
    assert {check.verdict for check in store} <= {"error", "fail"}
    assert all("is not written yet" in check.found for check in store if check.kind == "example")
    wired = {check.id: check.verdict for check in checks if check.id.startswith("WIR.")}
    assert set(wired.values()) == ({"pass"} if language == "node" else {"not-applicable"}), wired


def test_a_python_adapter_is_served_too(tmp_path: Path):
    """The same file, out of process."""
    scaffold.write("python", tmp_path)
    serve = f"stdio:{shlex.quote(sys.executable)} -m lash_conformance serve --target python:adapter:target"

    done = cli("run", "--target", serve, "--select", "LEA.1,WIR.10", "--report", "report", cwd=tmp_path)

    checks = report.load(tmp_path / "report" / "report.json").checks
    verdicts = {check.id.partition(":")[0]: check.verdict for check in checks if check.kind == "example"}
    assert (done.returncode, verdicts["WIR.10"], verdicts["LEA.1"]) == (1, "pass", "error")
    again = next(line for line in done.stdout.splitlines() if line.startswith("  rerun "))
    assert shlex.split(again)[1:5] == ["lash-conformance", "run", "--target", serve]


def test_the_rust_adapter_knows_every_method_of_the_wire(tmp_path: Path):
    """Judged as text: compiling needs the network and minutes."""
    made = scaffold.write("rust", tmp_path)
    text = (tmp_path / "src" / "main.rs").read_text(encoding="utf-8")

    assert {path.relative_to(tmp_path).as_posix() for path in made} == {"Cargo.toml", "src/main.rs"}
    named = set(re.findall(r'"([a-z_.]+)" =>', text)) | set(re.findall(r'^    "([a-z]+\.[a-z_]+)", // ', text, re.MULTILINE))
    assert set(wire.all_methods()) - named == {"damage", "stored", "remove"}
    assert text.count("{") == text.count("}")


@pytest.mark.parametrize(("language", "word"), [("cobol", "no scaffold for 'cobol'"), ("python", "not an empty folder")])
def test_a_wrong_wish_is_usage(language: str, word: str, tmp_path: Path):
    """And nothing is written."""
    (tmp_path / "mine").write_text("kept")

    done = cli("init", language, str(tmp_path), cwd=tmp_path)

    assert (done.returncode, word in " ".join(done.stderr.split())) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
