"""Checks and their registry: a check is an async function that names the clauses it judges."""

import importlib
import inspect
import pkgutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

from lash_conformance.host import HostCapability
from lash_conformance.target import Capability, Damage

Kind = Literal["example", "machine", "race", "crash"]
Profile = Literal["store", "host"]
CheckFunction = Callable[..., Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One judged behaviour."""

    clauses: tuple[str, ...]
    name: str
    claim: str
    """The first line of the docstring: what the check asserts."""
    run: CheckFunction
    needs: frozenset[Capability | HostCapability]
    """Capabilities without which the check does not apply."""
    without: frozenset[Capability | HostCapability]
    """Capabilities with which it does not apply: it judges how their absence is met."""
    damage: frozenset[Damage]
    kind: Kind
    profile: Profile
    """What it judges: a store, or a host that runs sessions."""
    confirmed: str
    """Hash of the rule texts the check was last read against, or empty."""
    module: str
    line: int

    @property
    def id(self) -> str:
        """Permanent: the first clause and the function's name."""
        return f"{self.clauses[0]}:{self.name}"

    @property
    def wants(self) -> tuple[str, ...]:
        """Names of the parts the function asks for."""
        return tuple(inspect.signature(self.run).parameters)


REGISTRY: dict[str, Check] = {}


def check(
    *clauses: str,
    needs: tuple[Capability, ...] = (),
    without: tuple[Capability, ...] = (),
    damage: tuple[Damage, ...] = (),
    kind: Kind = "example",
) -> Callable[[CheckFunction], CheckFunction]:
    """Register an async function as a check of ``clauses``.

    Its parameters are filled by name: ``store`` (of session "s1"), ``lane`` (a live lease on it),
    ``bench`` (everything else).
    """
    return _register(clauses, "store", frozenset(needs), frozenset(without), frozenset(damage), kind)


def host_check(
    *clauses: str,
    needs: tuple[HostCapability, ...] = (),
    without: tuple[HostCapability, ...] = (),
    kind: Kind = "example",
) -> Callable[[CheckFunction], CheckFunction]:
    """Register an async function as a check of ``clauses`` on a host.

    Its parameters are filled by name: ``session`` ("s1", open), ``core`` (with every kit tool), ``bench``.
    """
    return _register(clauses, "host", frozenset(needs), frozenset(without), frozenset(), kind)


def _register(
    clauses: tuple[str, ...],
    profile: Profile,
    needs: frozenset[Capability | HostCapability],
    without: frozenset[Capability | HostCapability],
    damage: frozenset[Damage],
    kind: Kind,
) -> Callable[[CheckFunction], CheckFunction]:
    def register(function: CheckFunction) -> CheckFunction:
        claim = (inspect.getdoc(function) or "").partition("\n")[0]
        if not clauses or not claim:
            raise ValueError(f"{function.__name__} needs a clause and a one-line claim")
        made = Check(
            clauses=clauses,
            name=function.__name__,
            claim=claim,
            run=function,
            needs=needs,
            without=without,
            damage=damage,
            kind=kind,
            profile=profile,
            confirmed="",
            module=function.__module__,
            line=function.__code__.co_firstlineno,
        )
        if made.id in REGISTRY and REGISTRY[made.id].module != made.module:
            raise ValueError(f"two checks are called {made.id}")
        REGISTRY[made.id] = made
        return function

    return register


FOLDERS: dict[Profile, tuple[str, ...]] = {"store": ("store", "wire"), "host": ("host",)}
"""Where the checks of a profile are."""


@cache
def _import_checks(folder: str) -> None:
    from lash_conformance.assertion_rewriting import PACKAGE, rewritten

    with rewritten():
        package = importlib.import_module(f"{PACKAGE}.{folder}")
        for module in sorted(entry.name for entry in pkgutil.iter_modules(package.__path__)):
            importlib.import_module(f"{package.__name__}.{module}")


def all_checks(profile: Profile | None = None) -> tuple[Check, ...]:
    """Every check of the suite, or of one profile, in the order of the spec."""
    from lash_conformance.catalogue import AREAS

    for folders in FOLDERS.values() if profile is None else (FOLDERS[profile],):
        for folder in folders:
            _import_checks(folder)

    def order(made: Check) -> tuple[int, int, str, int]:
        area, _, number = made.clauses[0].partition(".")
        return list(AREAS).index(area), int(number), made.module, made.line

    chosen = [made for made in REGISTRY.values() if profile in (None, made.profile)]
    return tuple(sorted(chosen, key=order))
