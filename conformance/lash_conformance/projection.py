"""The contract's calls as JSON: arguments and answers read and written by the Protocols' own annotations.

A call is ``{"on": ..., "method": ..., "arguments": [...]}`` and its outcome ``{"ok": answer}``,
``{"refused": code, ...fields}`` or ``{"broken": text}``. Bytes are base64, sets are sorted lists, a store
that a factory hands out is the text ``"store"``.
"""

import typing
from functools import cache
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError
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


@cache
def _types(family: str, method: str) -> tuple[tuple[TypeAdapter[Any], ...], TypeAdapter[Any] | None]:
    hints = typing.get_type_hints(getattr(PROTOCOLS[family], method), include_extras=True)
    answer = hints.pop("return")
    taken = tuple(_adapter(hint) for hint in hints.values())
    return taken, None if "RuntimePersistence" in str(answer) else _adapter(answer)


def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(Blob if hint is bytes else hint)


def known(family: str, method: str) -> bool:
    """Whether the contract has that method."""
    return family in PROTOCOLS and not method.startswith("_") and hasattr(PROTOCOLS[family], method)


def decoded(family: str, method: str, arguments: list[Any]) -> list[Any]:
    """The arguments as the records the method takes.

    Raises:
        ValueError: they are not that method's.
    """
    taken, _ = _types(family, method)
    if len(taken) != len(arguments):
        raise ValueError(f"{family}.{method} takes {len(taken)} arguments, found {len(arguments)}")
    return [adapter.validate_python(value) for adapter, value in zip(taken, arguments, strict=True)]


def answered(family: str, method: str, answer: object) -> Data:
    """The outcome of a call that answered; ``broken`` when the answer is not of the contract's type."""
    _, adapter = _types(family, method)
    if adapter is None:
        return {"ok": None if answer is None else "store"}
    try:
        data = adapter.dump_python(adapter.validate_python(answer), mode="json", exclude_none=True, warnings=False)
    except (ValidationError, ValueError) as err:
        return {"broken": f"{method} answered {answer!r:.120}: {type(err).__name__}"}
    if isinstance(answer, frozenset | set):
        data = sorted(cast("list[str]", data))
    return {"ok": data}


def written(family: str, method: str, arguments: list[Any]) -> list[Any]:
    """The arguments as JSON; one that is not what the method takes is left as it is."""
    taken, _ = _types(family, method)
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
