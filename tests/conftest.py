"""In what order and where tests run, and what tests of hostile processes share."""

import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

TAG = "LASH_HOSTILE_TAG"

TOGETHER = re.compile(r"tests/(docs/test_site|docs/test_action|packaging/test_distribution|reading/test_postgres)")
"""Modules that build a site, an environment or a server for all their tests."""


class Together(LoadScopeScheduling):
    """Each test goes to the next free process; those of one costly module stay in one."""

    def _split_scope(self, nodeid: str) -> str:
        costly = TOGETHER.match(nodeid)
        return costly[0] if costly else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Together:
    """Whatever ``--dist`` says: groups by mark are not seen by the pytest we run on."""
    return Together(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that no core waits for them at the end."""
    items.sort(key=_seconds, reverse=True)


def _seconds(item: pytest.Item) -> int:
    mark = item.get_closest_marker("long")
    return mark.args[0] if mark else 0


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
