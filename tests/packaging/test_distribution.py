"""What the source distribution and the wheel carry, and the wheel's commands in an environment of its own."""

import json
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from installed import ROOT, checkout, environment, plain

pytestmark = [
    pytest.mark.skipif(not (ROOT / "Makefile").is_file(), reason="distributions are built from a checkout"),
    pytest.mark.long(40),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both, built from a clean copy: the wheel from the source distribution, as an installer would."""
    folder = tmp_path_factory.mktemp("dist")
    source = checkout(folder / "source")
    done = subprocess.run([sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, source], capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    """The wheel."""
    (found,) = built.glob("*.whl")
    return found


def test_the_wheel_carries_both_packages_and_the_data_they_read(wheel: Path):
    """Every clause, edition and fixture of the checkout, and nothing else beside the packages."""
    names = zipfile.ZipFile(wheel).namelist()
    data = {name.removeprefix("lash_conformance/_data/") for name in names if name.startswith("lash_conformance/_data/")}
    expected = {
        f"{kept}/{path.relative_to(ROOT / folder).as_posix()}"
        for kept, folder in (("spec", "docs/spec"), ("editions", "docs/editions"), ("fixtures", "fixtures"))
        for path in (ROOT / folder).rglob("*") if path.is_file()
    }  # fmt: skip

    assert {name.split("/")[0].partition("-")[0] for name in names} == {"lash_ref", "lash_conformance"}
    assert data == expected
    assert {name for name in names if "test" in name.split("/")[0] or name.endswith((".pyc", ".lock"))} == set()


def test_the_source_distribution_carries_what_builds_tests_and_docs_need(built: Path):
    """All of the checkout but the files of version control and of this project's own builds."""
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    there = {one.relative_to(built / "source").as_posix() for one in (built / "source").rglob("*") if one.is_file()}
    own = {name for name in there if name.startswith((".ci/", ".gitignore", ".github/"))}

    assert there - names - own == set()
    assert names - there == {"PKG-INFO"}


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands of the installed wheel are."""
    made = environment(tmp_path_factory.mktemp("wheel") / "venv")
    command = [made / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--ignore-installed", wheel]
    done = subprocess.run(command, env=plain(made), capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return made


def told(programs: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What the installed command says, in a folder that is nobody's checkout."""
    return subprocess.run([programs / "lash-conformance", *words], cwd=folder, env=plain(programs), capture_output=True, text=True, timeout=400, check=False)


def test_the_installed_command_is_the_wheels(programs: Path, tmp_path: Path):
    """Else everything below would judge the checkout."""
    where = [programs / "python", "-c", "import lash_ref, lash_conformance; print(lash_ref.__file__, lash_conformance.__file__)"]
    said = subprocess.run(where, cwd=tmp_path, env=plain(programs), capture_output=True, text=True, timeout=120, check=True).stdout

    assert said.count(str(programs.parent)) == 2


def test_it_judges_and_explains(programs: Path, tmp_path: Path):
    """A run with its report, and a clause from the packed law."""
    run = told(programs, tmp_path, "run", "--target", "sqlite", "--select", "LEA.1:the_first_*")
    explained = told(programs, tmp_path, "explain", "STO.12", "--json")

    assert (run.returncode, explained.returncode) == (0, 0), run.stdout + run.stderr + explained.stderr
    assert json.loads((tmp_path / "report" / "report.json").read_text())["outcome"] == "conforms"
    assert "HeadRevisionConflict" in json.loads(explained.stdout)["rule"]


@pytest.fixture
def replaying(programs: Path, tmp_path: Path) -> Iterator[str]:
    """The address of the installed replay server."""
    command = [programs / "lash-conformance", "replay-server", "--port", "0"]
    server = subprocess.Popen(command, cwd=tmp_path, env=plain(programs) | {"PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        line = server.stdout.readline()
        yield next(word for word in line.split() if word.startswith("http")).rstrip(";/")
    finally:
        server.terminate()
        server.wait(60)
        server.stdout.close()


def test_it_replays_a_packed_fixture(replaying: str):
    """A client of any language gets the recorded stream, to its end."""
    url = f"{replaying}/r/mine/openai-chat.stream.text-usage-tail/v1/chat/completions"
    body = {"model": "m", "messages": [], "stream": True, "stream_options": {"include_usage": True}}
    answer = httpx.post(url, json=body, headers={"authorization": "Bearer fixture"}, timeout=60)

    assert (answer.status_code, answer.text.rstrip().endswith("data: [DONE]")) == (200, True)
