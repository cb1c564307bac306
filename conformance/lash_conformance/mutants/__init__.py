"""The broken stores: for every MUST at least one, with one line of character, that a check must kill.

A mutant is the unbroken store with one thing wrong. Decorate a subclass of `Store` (the rules), of one of
the wrappers (what a caller sees), or of `WrappedTarget` (anything else).
"""

import importlib
import pkgutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from lash_conformance.host import HostTarget
from lash_conformance.target import Capability, StoreTarget
from lash_conformance.targets.wrapped import (
    AttachmentsWrapper,
    FactoryWrapper,
    StoreWrapper,
    WrappedTarget,
)
from lash_ref.store import Store

T = TypeVar("T", bound=type[Any])


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One deliberately broken store."""

    clauses: tuple[str, ...]
    name: str
    character: str
    make: Callable[[], StoreTarget | HostTarget]
    module: str
    line: int
    searched: bool
    """Only a machine or a race can find it."""
    crashes: bool = False
    """Only the crash drill can find it."""
    served: bool = False
    """It is a process of its own, and to make it is to start it."""


MUTANTS: dict[str, Mutant] = {}


def caller_line() -> int:
    """The line from which the caller was called; finding it in the source of each class would take seconds."""
    return sys._getframe(2).f_lineno  # noqa: SLF001 - the one way that costs nothing


def mutant(
    *clauses: str,
    character: str,
    on_sqlite: bool = False,
    lacks: tuple[Capability, ...] = (),
    searched: bool = False,
    crashes: bool = False,
) -> Callable[[T], T]:
    """Register a broken store that checks of each of ``clauses`` must kill.

    ``on_sqlite`` breaks the SQLite store, whose records can be spoilt and whose handles really race;
    ``lacks`` takes capabilities out of what it declares.
    """
    line = caller_line()

    def register(broken: T) -> T:
        enrol(Mutant(
            clauses=clauses, name=broken.__name__, character=character, module=broken.__module__, line=line,
            make=lambda: target_of(broken, on_sqlite=on_sqlite, lacks=frozenset(lacks)), searched=searched, crashes=crashes,
        ))  # fmt: skip
        return broken

    return register


def enrol(made: Mutant) -> None:
    """Add a broken implementation to the registry.

    Raises:
        ValueError: another module has one of that name.
    """
    if made.name in MUTANTS and MUTANTS[made.name].module != made.module:
        raise ValueError(f"two mutants are called {made.name}")
    MUTANTS[made.name] = made


def target_of(
    broken: type[Any], *, on_sqlite: bool = False, lacks: frozenset[Capability] = frozenset()
) -> WrappedTarget:
    """The target that a broken part makes of the unbroken one."""
    made = broken() if issubclass(broken, WrappedTarget) else WrappedTarget()
    made.on_sqlite = made.on_sqlite or on_sqlite
    made.capabilities = made.capabilities - lacks
    if issubclass(broken, Store):
        made.engine = broken
    elif issubclass(broken, StoreWrapper):
        made.store = broken
    elif issubclass(broken, FactoryWrapper):
        made.factory = broken
    elif issubclass(broken, AttachmentsWrapper):
        made.attachments = broken
    made.name = broken.__name__
    return made


def all_mutants() -> tuple[Mutant, ...]:
    """Every mutant, by clause."""
    for entry in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{entry.name}")
    return tuple(sorted(MUTANTS.values(), key=lambda made: (made.clauses, made.name)))
