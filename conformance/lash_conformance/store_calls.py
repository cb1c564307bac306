"""Arguments and answers of store methods as they cross the wire."""

import base64
from typing import Any, cast

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from lash_conformance.projection import signature
from lash_conformance.wire import Handed, Malformed, Uncarriable, first, own_answer
from lash_ref.scalars import Json


def data_of(family: str, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments by name as JSON data; what is not of its type goes as it is, for the target to refuse.

    Raises:
        Uncarriable: JSON has no form for a value.
    """
    takes = signature(family, method).takes
    return {name: _dumped(takes[name], value) for name, value in arguments.items()}


def _dumped(adapter: TypeAdapter[Any], value: Any) -> Any:
    try:
        return adapter.dump_python(value, mode="json", exclude_none=True, warnings=False)
    except (PydanticSerializationError, ValueError, AttributeError, TypeError):
        return _plain(value)


def _plain(value: Any) -> Any:
    match value:
        case BaseModel():
            fields = {name: getattr(value, name, None) for name in type(value).model_fields}
            return {name: _plain(field) for name, field in fields.items() if field is not None}
        case Json():
            try:
                return value.value
            except ValueError as err:
                raise Uncarriable(f"the opaque value {value.text[:40]}") from err
        case bytes() | bytearray():
            return base64.b64encode(value).decode("ascii")
        case dict():
            return {str(key): _plain(member) for key, member in cast("dict[object, Any]", value).items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(member) for member in cast("list[Any]", value)]
        case None | str() | int() | float():
            return value
        case _:
            raise Uncarriable(f"a {type(value).__name__}")


def bound(family: str, method: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
    """Arguments by name, as a caller gave them by position or name."""
    names = list(signature(family, method).takes)
    if len(arguments) + len(named) != len(names) or not set(named) <= set(names[len(arguments) :]):
        raise TypeError(f"{family}.{method} takes {', '.join(names) or 'nothing'}")
    return dict(zip(names, arguments, strict=False)) | named


def read_answer(family: str, method: str, data: Any) -> Any:
    """The record that a method answered.

    Raises:
        Malformed: the data is not of the method's type.
    """
    made = signature(family, method)
    if made.answers is None:
        if data is None and made.optional:
            return None
        return own_answer(Handed, data).store
    try:
        return made.answers.validate_python(data)
    except ValidationError as err:
        raise Malformed(f"result.{first(err)}") from err
