"""The contract's calls as JSON: arguments and answers read and written by the Protocols' own annotations.

A call is ``{"on": ..., "method": ..., "arguments": [...]}`` and its outcome ``{"ok": answer}``,
``{"refused": code, ...fields}`` or ``{"broken": text}``. Bytes are base64, sets are sorted lists, a store
that a factory hands out is the text ``"store"``.
"""

import itertools
import typing
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from pydantic import StrictBool, StrictInt, StrictStr, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from lash_ref.contracts import AttachmentStore, RuntimePersistence, SessionStoreFactory
from lash_ref.errors import LashError
from lash_ref.scalars import Blob

Data = dict[str, Any]

PROTOCOLS: dict[str, type] = {
    "factory": SessionStoreFactory,
    "store": RuntimePersistence,
    "attachments": AttachmentStore,
}
FREE_TEXT: dict[str, tuple[str, ...]] = {
    "InvalidRecord": ("record_kind", "field", "expected", "found"),
    "UnreadableRecord": ("reason",),
    "UnsupportedReadScope": ("scope",),
    "Backend": ("message",),
}
"""Fields of refusals that are for people, and never compared."""


_EXACT: dict[Any, Any] = {bytes: Blob, int: StrictInt, str: StrictStr, bool: StrictBool}
"""Bare types of the Protocols, read without conversion."""


@dataclass(frozen=True)
class Signature:
    """What a method of the contract takes, by name and in order, and what it answers."""

    takes: dict[str, TypeAdapter[Any]]
    answers: TypeAdapter[Any] | None
    """None for a method that answers a store."""
    optional: bool
    """Whether it may answer none."""


@cache
def signature(family: str, method: str) -> Signature:
    """The method's signature, read from its Protocol."""
    hints = typing.get_type_hints(getattr(PROTOCOLS[family], method), include_extras=True)
    answer = hints.pop("return")
    stores = "RuntimePersistence" in str(answer)
    return Signature(
        {name: _adapter(hint) for name, hint in hints.items()},
        None if stores else _adapter(answer),
        answer is type(None) or type(None) in typing.get_args(answer),
    )


def methods(family: str) -> list[str]:
    """The methods of a family, in the order of the Protocol."""
    order: list[str] = []
    for base in reversed(PROTOCOLS[family].__mro__):
        order += [name for name, member in vars(base).items() if callable(member) and not name.startswith("_")]
    return list(dict.fromkeys(order))


def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(_EXACT.get(hint, hint))


def known(family: str, method: str) -> bool:
    """Whether the contract has that method."""
    return family in PROTOCOLS and not method.startswith("_") and hasattr(PROTOCOLS[family], method)


def decoded(family: str, method: str, arguments: list[Any]) -> list[Any]:
    """The arguments as the records the method takes.

    Raises:
        ValueError: they are not that method's.
    """
    taken = signature(family, method).takes.values()
    if len(taken) != len(arguments):
        raise ValueError(f"{family}.{method} takes {len(taken)} arguments, found {len(arguments)}")
    return [adapter.validate_python(value) for adapter, value in zip(taken, arguments, strict=True)]


def answered(family: str, method: str, answer: object) -> Data:
    """The outcome of a call that answered; ``broken`` when the answer is not of the contract's type."""
    adapter = signature(family, method).answers
    if adapter is None:
        return {"ok": None if answer is None else "store"}
    try:
        data = adapter.dump_python(adapter.validate_python(answer), mode="json", exclude_none=True, warnings=False)
    except (ValidationError, ValueError) as err:
        return {"broken": f"{method} answered {answer!r:.120}: {type(err).__name__}"}
    if isinstance(answer, frozenset | set):
        data = sorted(cast("list[str]", data))
    return {"ok": data}


def in_one_order(method: str, outcome: Data) -> Data:
    """The outcome with what the contract leaves in any order in the order of its ids.

    Those are the listings of refs and of bytes, and of intents those of one time.
    """
    rows: Any = outcome.get("ok")
    match method:
        case "list_all_refs":
            return {"ok": sorted(cast("list[str]", rows))} if rows else outcome
        case "list":
            return {"ok": sorted(rows, key=lambda row: row["id"])} if rows else outcome
        case "list_uncommitted" if rows:
            ages = itertools.groupby(rows, key=lambda row: row["intent_at_epoch_ms"])
            by_id = [sorted(age, key=lambda row: (row["session_id"], row["attachment_id"])) for _, age in ages]
            return {"ok": list(itertools.chain.from_iterable(by_id))}
        case _:
            return outcome


def written(family: str, method: str, arguments: list[Any]) -> list[Any]:
    """The arguments as JSON; one that is not what the method takes is left as it is."""
    taken = signature(family, method).takes.values()
    return [
        _dumped(adapter, value) for adapter, value in zip(taken, arguments, strict=False)
    ] + arguments[len(taken) :]


def _dumped(adapter: TypeAdapter[Any], value: Any) -> Any:
    try:
        return adapter.dump_python(adapter.validate_python(value), mode="json", exclude_none=True, warnings=False)
    except (ValueError, PydanticSerializationError, RecursionError):
        return value


def masked(outcome: Data) -> Data:
    """The outcome without what is for people."""
    free = FREE_TEXT.get(str(outcome.get("refused")), ())
    return outcome | {name: "$any" for name in free if name in outcome}


def refused(err: LashError) -> Data:
    """The outcome of a call that was refused."""
    fields = {name: _plain(value) for name, value in err.fields.items()}
    return masked({"refused": err.code, **fields})


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
