"""A real PostgreSQL server, started once and gone at the end, with a schema for each test; and places for sessions."""

import uuid
from collections.abc import Iterator

import pytest
from session_kit import wiring

from lash_conformance.targets.postgres_server import Server

__all__ = ["wiring"]


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


@pytest.fixture
def schema() -> str:
    return f"t{uuid.uuid4().hex}"
