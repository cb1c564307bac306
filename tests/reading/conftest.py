"""A real PostgreSQL server for the tests, started once and gone at the end, and a schema of it for each."""

import uuid
from collections.abc import Iterator

import pytest

from lash_conformance.targets.postgres_server import Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


@pytest.fixture
def schema() -> str:
    return f"t{uuid.uuid4().hex}"
