"""Broken stores by name, so that a process of their own can serve them.

``python:lash_conformance.mutants.served:NAME`` is the target.
"""

from collections.abc import Callable

from lash_conformance.host import HostTarget
from lash_conformance.mutants import all_mutants
from lash_conformance.target import StoreTarget


def __getattr__(name: str) -> Callable[[], StoreTarget | HostTarget]:
    for made in all_mutants():
        if made.name == name:
            return made.make
    raise AttributeError(name)


def named(name: str) -> str:
    """How the command line names a broken store."""
    return f"python:{__name__}:{name}"
