"""The official SDKs as clients of the replayer: the matrix is green, each exception says why, and none is forgotten."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lash_conformance.fixture import fixtures
from lash_conformance.fixture_check import faults
from lash_conformance.replay_server import ReplayServer
from lash_conformance.sdk_clients import python_sdk
from lash_conformance.sdk_matrix import cell
from lash_conformance.sdk_node import DRIVER, NodeSdks, unfit

MATRIX = Path(__file__).parents[2] / "docs" / "results" / "sdk-matrix.json"
SAMPLE = (
    "anthropic-messages.stream.tool-args-split",
    "anthropic-messages.error.credit-400",
    "openai-chat.stream.tool-parallel-interleaved",
    "openai-responses.stream.tool-parallel",
    "gemini.stream.tool-parallel-no-id",
)
"""What the default run asks of the JavaScript SDKs; ``make sdks`` asks all."""

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::pydantic.warnings.PydanticDeprecationWarning"
)


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    """One replayer for all."""
    made = ReplayServer(hang_s=1).start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def node() -> Iterator[NodeSdks]:
    """The JavaScript SDKs in their process."""
    with NodeSdks() as made:
        yield made


@pytest.mark.parametrize("name", [made.id for made in fixtures().values() if made.sdk != "not-judged"])
def test_an_official_client_makes_of_a_fixture_what_it_should(name: str, server: ReplayServer):
    """The same text and calls, or the client's own typed error."""
    made = fixtures()[name]

    found = cell(python_sdk(made.dialect), made, server)

    assert found.verdict == ("raises as it should" if made.sdk == "raises" else "agrees"), found.detail


@pytest.mark.skipif(bool(unfit()), reason=unfit())
@pytest.mark.parametrize("name", SAMPLE)
def test_a_javascript_client_makes_of_a_fixture_what_it_should(name: str, server: ReplayServer, node: NodeSdks):
    """The same text and calls, or the client's own typed error, in another language."""
    made = fixtures()[name]

    found = cell(node.clients[made.dialect], made, server)

    assert found.verdict == ("raises as it should" if made.sdk == "raises" else "agrees"), found.detail


@pytest.mark.skipif(bool(unfit()), reason=unfit())
def test_a_client_that_hears_something_else_differs(server: ReplayServer, node: NodeSdks):
    """The matrix can fail: another expected text is found."""
    made = fixtures()["openai-chat.stream.text-usage-tail"]
    lie = {"response": {"parts": [{"type": "text", "text": "Goodbye."}]}}
    call = made.calls[0].model_copy(update={"expect": lie})

    for sdk in (python_sdk(made.dialect), node.clients[made.dialect]):
        assert cell(sdk, made.model_copy(update={"calls": [call]}), server).verdict == "differs"


def test_without_node_or_packages_the_reason_is_loud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Every JavaScript client is there as an absent one that says what is missing."""
    bare = tmp_path / "conformance" / "adapters" / "node-sdks"
    bare.mkdir(parents=True)
    for folder, path, reason in (
        (tmp_path / "nowhere", "/bin/node", "NO CHECKOUT"),
        (bare, "/bin/node", "NO PACKAGES"),
        (bare, None, "NO NODE"),
    ):
        monkeypatch.setattr("shutil.which", lambda _, path=path: path)
        with NodeSdks(folder) as absent:
            assert {sdk.absent.partition(":")[0] for sdk in absent.clients.values()} == {reason}


@pytest.mark.skipif(not MATRIX.is_file(), reason="NO CHECKOUT: the matrix is published from a checkout")
def test_the_published_matrix_is_whole():
    """Every fixture of each client, of the versions that are pinned; none differs, and each exception says why."""
    cells = json.loads(MATRIX.read_text())["cells"]
    pinned = json.loads((DRIVER / "package.json").read_text())["dependencies"]
    clients = {cell["client"] for cell in cells}

    assert {name for name in clients if name.startswith("node")} == {f"node {n} {v}" for n, v in pinned.items()}
    assert sum(name.startswith("python") for name in clients) == 3
    for language in ("python", "node"):
        assert {c["fixture"] for c in cells if c["client"].startswith(language)} == set(fixtures())
    assert [c for c in cells if c["verdict"] in {"differs", "absent"}] == []
    assert [c for c in cells if c["verdict"] == "not judged" and not c["detail"]] == []


def test_fixtures_hold():
    """Format, bytes, index, clauses, secrets, orphans and types; nothing is left over."""
    assert faults() == []


def test_every_fixture_of_the_inventory_is_here():
    """44 numbered fixtures, by what they are called there."""
    wanted = {
        "anthropic-messages": ["text", "tool-args-split", "tool-parallel", "tool-no-args", "thinking-roundtrip",
            "max-tokens-in-tool", "refusal", "context-window", "cache-usage", "overloaded-in-stream", "529-then-ok",
            "credit-400", "unknown-event-and-block"],
        "openai-chat": ["text-usage-tail", "tool-args-split", "tool-parallel-interleaved", "tool-missing-id",
            "reasoning-aliases", "refusal-delta", "refusal", "length", "done-without-finish", "in-stream-null-code",
            "context-400", "429-no-header", "429-retry-after", "429-insufficient-quota", "503-retry-after",
            "gateway-comments-metadata"],
        "openai-responses": ["text-phases", "tool-args-split", "tool-parallel", "reasoning-encrypted", "refusal",
            "incomplete-max-output", "response-failed", "flat-event"],
        "gemini": ["text-repeated", "tool-parallel-no-id", "thoughts", "blocked-prompt", "safety-finish",
            "in-band-503", "429-retryinfo", "api-key-400"],
    }  # fmt: skip
    transport = ["cut", "reset", "hang", "refused", "start-timeout", "malformed-json", "wrong-dialect", "duplicate-delta"]
    have = {(made.dialect, made.id.rpartition(".")[2]) for made in fixtures().values()}

    missing = {(d, case) for d, cases in wanted.items() for case in [*cases, *transport]} - have

    assert missing == set()
