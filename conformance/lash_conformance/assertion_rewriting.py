"""Checks are imported with pytest's rewritten assertions, so that a failure shows both sides wherever it is run.

A check module may be imported before pytest runs, to plan a run or to list checks; pytest rewrites only what is
imported while its own hook stands, so the same hook is put up here for as long as the import takes.
"""

import sys
from collections.abc import Generator
from contextlib import contextmanager

import pytest
from _pytest.assertion import install_importhook
from _pytest.assertion.rewrite import AssertionRewritingHook
from _pytest.config import get_config

PACKAGE = "lash_conformance.checks"


@contextmanager
def rewritten() -> Generator[None]:
    """Import check modules inside; what pytest has put up already is used as it is."""
    if any(isinstance(hook, AssertionRewritingHook) for hook in sys.meta_path):
        pytest.register_assert_rewrite(PACKAGE)
        yield
        return
    hook = install_importhook(get_config())
    try:
        pytest.register_assert_rewrite(PACKAGE)
        yield
    finally:
        sys.meta_path.remove(hook)
