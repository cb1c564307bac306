"""Where `lash_ref` implements each clause: the code that the clause's broken implementations change."""

import importlib
import inspect
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from lash_conformance.mutants import all_mutants
from lash_conformance.mutants.host import BrokenHost, SentStore
from lash_conformance.targets.wrapped import AttachmentsWrapper, FactoryWrapper, StoreWrapper, WrappedTarget
from lash_ref.attachments import InMemoryAttachmentStore
from lash_ref.store import Store, StoreFactory


@cache
def broken_places() -> dict[str, tuple[str, ...]]:
    """For each clause, file and line of what its broken implementations patch, override or stand before.

    A server is left out: what it breaks is the judge's own, and asking it would start it.
    """
    found: dict[str, list[str]] = {}
    for mutant in all_mutants():
        if mutant.served:
            continue
        places = [place for part in _parts(mutant.make()) if (place := _place(part))]
        for clause in mutant.clauses:
            found.setdefault(clause, []).extend(places)
    return {clause: tuple(dict.fromkeys(places)) for clause, places in found.items()}


def _parts(made: object) -> Iterator[Any]:
    """The parts of the reading that a broken implementation changes."""
    if isinstance(made, BrokenHost):
        patched: list[str] = []
        made.breaks(lambda where, _: patched.append(where))
        yield from map(_named, patched)
        yield from _overridden(made.sends, SentStore, Store)
    elif isinstance(made, WrappedTarget):
        yield from _overridden(made.engine, Store, Store)
        yield from _overridden(made.store, StoreWrapper, Store)
        yield from _overridden(made.factory, FactoryWrapper, StoreFactory)
        yield from _overridden(made.attachments, AttachmentsWrapper, InMemoryAttachmentStore)


def _named(where: str) -> Any:
    module, _, path = where.partition(":")
    part: Any = importlib.import_module(module)
    for name in path.split("."):
        part = inspect.getattr_static(part, name)
    return part


def _overridden(broken: type, base: type, reading: type) -> Iterator[Any]:
    for kind in broken.__mro__[: broken.__mro__.index(base)] if base in broken.__mro__ else ():
        for name in vars(kind):
            if not name.startswith("__") and (part := inspect.getattr_static(reading, name, None)) is not None:
                yield part


def _place(part: Any) -> str:
    part = inspect.unwrap(getattr(part, "fget", None) or getattr(part, "func", None) or getattr(part, "__func__", None) or part)
    if not (inspect.isfunction(part) or inspect.isclass(part)) or not part.__module__.startswith("lash_ref"):
        return ""
    line = part.__code__.co_firstlineno if inspect.isfunction(part) else inspect.getsourcelines(part)[1]
    return f"lash_ref/{Path(inspect.getfile(part)).name}:{line}"
