"""The fixture that names the store to judge."""

import pytest

from acme_lash import open_acme
from lash_conformance.pytest_plugin import target_of
from lash_conformance.targets.memory import CAPABILITIES


@pytest.fixture
def store_target():
    """The packaged store and what it promises."""
    return target_of(open_acme, *CAPABILITIES)
