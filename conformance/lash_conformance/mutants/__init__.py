"""The broken stores: for every MUST at least one, with one line of character, that a check must kill.

A mutant is a class whose instances wrap or replace the built-in memory store. Make one with `mutant`.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

from lash_conformance.target import Damage, Place, StoreTarget
from lash_conformance.targets.wrapped import WrappedTarget

MutantClass = type[WrappedTarget]


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One deliberately broken store."""

    clauses: tuple[str, ...]
    name: str
    character: str
    make: Callable[[], StoreTarget]
    module: str
    line: int


MUTANTS: dict[str, Mutant] = {}


def mutant(*clauses: str, character: str) -> Callable[[MutantClass], MutantClass]:
    """Register a `WrappedTarget` subclass as a broken store that checks of each clause must kill."""

    def register(made: MutantClass) -> MutantClass:
        if made.__name__ in MUTANTS and MUTANTS[made.__name__].module != made.__module__:
            raise ValueError(f"two mutants are called {made.__name__}")
        MUTANTS[made.__name__] = Mutant(
            clauses=clauses,
            name=made.__name__,
            character=character,
            make=made,
            module=made.__module__,
            line=0,
        )
        return made

    return register


def all_mutants() -> tuple[Mutant, ...]:
    """Every mutant, by clause."""
    for entry in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{entry.name}")
    return tuple(sorted(MUTANTS.values(), key=lambda made: (made.clauses, made.name)))


__all__ = ["MUTANTS", "Damage", "Mutant", "Place", "WrappedTarget", "all_mutants", "mutant"]
