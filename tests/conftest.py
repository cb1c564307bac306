"""What tests of hostile processes share."""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

TAG = "LASH_HOSTILE_TAG"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first, so that no core waits for them at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture
def tag(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Marks every process of one test; none is left when it ends."""
    made = uuid.uuid4().hex
    monkeypatch.setenv(TAG, made)
    yield made
    wanted = f"{TAG}={made}".encode()
    until = time.monotonic() + 30
    while _left(wanted) and time.monotonic() < until:
        time.sleep(0.05)
    assert _left(wanted) == []


def _left(wanted: bytes) -> list[str]:
    return [place.name for place in Path("/proc").glob("[0-9]*") if _carries(place, wanted)]


def _carries(place: Path, wanted: bytes) -> bool:
    try:
        return wanted in (place / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
