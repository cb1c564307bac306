"""Reading a provider's JSON without trusting its shape: a wrong type is a malformed reply, never a crash."""

import json
import re
from codecs import BOM_UTF8
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

from pydantic_core import from_json

COUNT_LIMIT = 2**53 - 1
"""More tokens than this nobody counted; a thousand such counts still add up within a record's integers."""


_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
"""An escaped half of a surrogate pair."""


class MalformedReply(Exception):
    """What a provider sent is not of its dialect; the message names the path, what was expected and found."""


@contextmanager
def distrusting() -> Generator[None]:
    """What a record refuses to hold is a malformed reply.

    Raises:
        MalformedReply: in place of the record's ValueError.
    """
    try:
        yield
    except ValueError as err:
        raise unrecordable(err) from err


def unrecordable(err: ValueError) -> MalformedReply:
    """The malformed reply behind a record's refusal."""
    return MalformedReply(f"what a record can hold expected: {err}")


def parsed(data: bytes) -> dict[str, Any]:
    """The JSON object in ``data``; an error in an array of its own, as Google sends it, is taken out.

    Raises:
        MalformedReply: it is no JSON, or no object.
    """
    try:
        value = from_json(data.removeprefix(BOM_UTF8), allow_inf_nan=False)
    except ValueError as err:
        value = _with_halves(data, err)
    match value:
        case [{"error": _}]:
            value = value[0]
        case _:
            pass
    if not isinstance(value, dict):
        raise MalformedReply(f"a JSON object expected, found {data[:80]!r}")
    return cast("dict[str, Any]", value)


def _with_halves(data: bytes, err: ValueError) -> Any:
    """The JSON in ``data`` when nothing is wrong with it but lone surrogates, which other deltas may complete."""
    try:
        if not _HALF.search(data):
            raise err
        return json.loads(data.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise MalformedReply(f"a JSON object expected, found {data[:80]!r}: {err}") from err


def _no_number(name: str) -> None:
    raise ValueError(f"a number expected, found {name}")


def documents(data: bytes) -> list[dict[str, Any]]:
    """The JSON object in ``data``, or the objects of the array in it.

    Raises:
        MalformedReply: it is neither.
    """
    if data[:1] != b"[":
        return [parsed(data)]
    members = parts(parsed(b'{"reply":%b}' % data), "reply")
    if not members:
        raise MalformedReply("a JSON object expected, found an empty array")
    return members


def _wrong(path: str, expected: str, found: object) -> MalformedReply:
    return MalformedReply(f"{path}: {expected} expected, found {found!r:.80}")


def whole(said: str) -> str:
    """The text with its surrogate pairs joined, and U+FFFD for each half that is alone ([PRV.68][])."""
    try:
        said.encode()
    except UnicodeEncodeError:
        return said.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return said


def mended(value: Any) -> Any:
    """A JSON value, every text in it `whole`."""
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, list):
        return [mended(member) for member in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {whole(key): mended(member) for key, member in cast("dict[str, Any]", value).items()}
    return value


def piece(owner: dict[str, Any], key: str) -> str:
    """The delta under ``key``, which may begin or end with half a character; null and absent are empty."""
    value = owner.get(key)
    if value is None or isinstance(value, str):
        return value or ""
    raise _wrong(key, "text", value)


def text(owner: dict[str, Any], key: str) -> str | None:
    """The text under ``key``; null and absent are the same."""
    return None if owner.get(key) is None else whole(piece(owner, key))


def name(owner: dict[str, Any], key: str) -> str | None:
    """As `text`; a whole number is a name too, in its digits ([PRV.83][])."""
    value = owner.get(key)
    return str(value) if type(value) is int else text(owner, key)


def is_error(told: object) -> bool:
    """Whether an ``error`` member tells of one: null, false and an empty text are none."""
    return told is not None and told is not False and told != ""


def words(owner: dict[str, Any], key: str) -> str:
    """As `text`, absent being empty."""
    return text(owner, key) or ""


def count(owner: dict[str, Any], key: str) -> int | None:
    """The whole number under ``key``, in digits too, floored at 0; null and absent are the same ([PRV.83][])."""
    value = owner.get(key)
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,16}", value):
        value = int(value)
    if value is None or (type(value) is int and 0 <= value <= COUNT_LIMIT):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > COUNT_LIMIT or value != int(value):
        raise _wrong(key, "a whole number", value)
    return max(0, int(value))


def part(owner: dict[str, Any], key: str) -> dict[str, Any]:
    """The object under ``key``; null and absent are empty."""
    value = owner.get(key)
    if value is None:
        return {}
    if isinstance(value, dict):
        return cast("dict[str, Any]", value)
    raise _wrong(key, "an object", value)


def parts(owner: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The objects in the array under ``key``; null and absent are empty."""
    value = owner.get(key)
    if value is None:
        return []
    if isinstance(value, list):
        members = cast("list[Any]", value)
        if all(isinstance(member, dict) for member in members):
            return cast("list[dict[str, Any]]", members)
    raise _wrong(key, "an array of objects", cast("object", value))
