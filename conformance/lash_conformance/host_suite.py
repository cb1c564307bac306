"""The whole host suite as one parametrised pytest function, for the judge and for your own suite.

In your own tests: ``from lash_conformance.host_suite import test_host_conforms`` and one fixture,
``host_target``, that returns a `HostTarget`.
"""

import pytest

from lash_conformance.check import Check, all_checks
from lash_conformance.host import HostTarget
from lash_conformance.suite import conforms


@pytest.mark.parametrize("check", [pytest.param(made, id=made.id) for made in all_checks("host")])
def test_host_conforms(check: Check, host_target: HostTarget, request: pytest.FixtureRequest) -> None:
    """The target passes the check, or the check does not apply to it."""
    conforms(check, host_target, request)
