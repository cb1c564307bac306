"""The wire's messages: JSON-RPC 2.0, one a line, and how the five outcomes are written in them (area WIR).

Both sides read lines with `read_line` and write them with `written_line`; refusals cross by name and fields.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import from_json

from lash_conformance.projection import PROTOCOLS, known, methods, signature
from lash_conformance.target import CAPABILITIES, Capability, Damage
from lash_ref import errors
from lash_ref.errors import InvalidRecord, LashError, StoreError, Unsupported
from lash_ref.scalars import U64, Json

PROTOCOL = 1
"""The major version of the wire that this suite speaks."""
MOST_BYTES = 16 * 1024 * 1024
"""Longest line either side may send, its newline included."""

REFUSED, UNSUPPORTED, UNKNOWN = 1, 2, 3
"""Error codes of the outcomes that a target answers on purpose."""
PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL_ERROR = -32700, -32600, -32601, -32602, -32603
HARNESS_FAULTS = frozenset((PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS))
"""Codes by which a target says that the fault is ours."""

EVERYTHING: dict[str, Any] = {
    "largest": 2**63 - 1, "smallest": -(2**63), "fraction": 0.1, "nothing": None, "truth": [True, False],
    "empty": [{}, [], ""], "text": '\0\t\n"\\ e\u0301 é \u2028 \U0001f600\U0010ffff', "nested": [[[[{"a": [None, {"b": []}]}]]]],
}  # fmt: skip
"""What a target is asked to echo before it is trusted with records."""


class Uncarriable(Exception):
    """The value has no place in UTF-8 JSON: a lone surrogate, NaN or an infinity."""


class Malformed(Exception):
    """A message breaks the protocol; the text says how."""


class OutcomeUnknown(Exception):
    """The target itself does not know what became of a call."""


# -- messages


class Message(BaseModel):
    """Base of the protocol's own objects; unknown members are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class Request(Message):
    """What the judge sends; every request is answered once."""

    jsonrpc: Literal["2.0"]
    id: Annotated[StrictInt, Field(ge=1)]
    """Unique in the life of a process."""
    method: StrictStr
    params: dict[str, Any] = {}
    """Always by name."""


class Fault(Message):
    """Every outcome but ok."""

    code: StrictInt
    """1 refused, 2 unsupported, 3 unknown, -32700 to -32600 a fault of the judge, anything else broken."""
    message: StrictStr
    """For people; never compared."""
    data: dict[str, Any] | None = None
    """What the judge compares: a `Refusal` for 1, an `Unoffered` for 2."""


class Answer(Message):
    """What the target sends: ``result`` or ``error``, never both."""

    jsonrpc: Literal["2.0"]
    id: Annotated[StrictInt, Field(ge=1)] | None
    """The request's; null only when the request had none that could be read."""
    result: Any = None
    error: Fault | None = None


class Refusal(Message):
    """A typed error by name, with its fields."""

    error: StrictStr
    fields: dict[str, Any] = {}


class Unoffered(Message):
    """The capability behind an operation that the target does not offer."""

    capability: StrictStr


# -- initialize


class Judge(Message):
    """Who judges."""

    name: StrictStr
    version: StrictStr


class Initialize(Message):
    """The first request of a process."""

    protocols: list[U64]
    """Major versions that the judge speaks."""
    edition: StrictStr
    """The edition of the law that is judged."""
    judge: Judge


class Identity(Message):
    """Who is judged."""

    name: Annotated[StrictStr, Field(min_length=1)]
    version: StrictStr


class Limits(Message):
    """How much the target takes on at once."""

    in_flight: Annotated[StrictInt, Field(ge=1)] = 1
    """Requests that may be unanswered at one time in one process."""
    processes: Annotated[StrictInt, Field(ge=1)] = 1
    """Processes that may have one place open at one time; 1 when a place lives in its process."""


class Introduction(Message):
    """What every target says of itself."""

    protocol: U64
    """One of the judge's majors."""
    edition: StrictStr
    """The edition that the target was written for."""
    target: Identity
    limits: Limits = Limits()


class Initialized(Introduction):
    """What a store says of itself."""

    capabilities: list[Capability]
    """What is promised; ``clock`` among them makes time the judge's, otherwise time is real."""
    damages: list[Damage] = []
    """What ``damage`` can spoil; empty when there is no such hook."""
    keeps: StrictBool = False
    """Whether places are kept elsewhere than in their directories; then ``stored`` and ``remove`` are there."""


class Opened(Message):
    """An opened place."""

    place: Annotated[StrictStr, Field(min_length=1)]


class Handed(Message):
    """A session's store."""

    store: Annotated[StrictStr, Field(min_length=1)]


# -- own methods: what each takes and answers


@dataclass(frozen=True, kw_only=True)
class Own:
    """A method of the wire itself."""

    takes: dict[str, Any]
    answers: Any
    told: str


OWN: dict[str, Own] = {
    "initialize": Own(
        takes={"protocols": list[U64], "edition": StrictStr, "judge": Judge}, answers=Initialized,
        told="Agree on a protocol and say who one is; the first request of a process.",
    ),
    "smoke": Own(takes={"value": Json}, answers=Json, told="Answer the value as it came; also the judge's ping."),
    "open": Own(
        takes={"directory": StrictStr, "now_ms": U64, "gone": list[StrictStr]}, answers=Opened,
        told="Open the place kept in the directory, new or existing, at that time, knowing these processes gone.",
    ),
    "close": Own(takes={"place": StrictStr}, answers=None, told="Let go of a place and of every store handed out on it."),
    "clock.advance": Own(
        takes={"place": StrictStr, "now_ms": U64}, answers=None, told="Set the place's clock; only with capability clock.",
    ),
    "process.gone": Own(
        takes={"place": StrictStr, "process_id": StrictStr}, answers=None,
        told="Take note that a process is known to be gone; only with capability process_evidence.",
    ),
    "damage": Own(
        takes={"directory": StrictStr, "what": Damage}, answers=None,
        told="Spoil every stored record of that kind at a closed place; only for a declared kind.",
    ),
    "stored": Own(
        takes={"directory": StrictStr}, answers=dict[str, StrictStr],
        told="What a closed place holds, a digest by name, equal as long as nothing changed; only with keeps.",
    ),
    "remove": Own(takes={"directory": StrictStr}, answers=None, told="Remove a closed place and all it holds; only with keeps."),
    "shutdown": Own(takes={}, answers=None, told="Answer, then end with exit code 0."),
}  # fmt: skip
HANDLES = {"factory": "place", "store": "store", "attachments": "place"}
"""The parameter that addresses each family of store methods."""


def split(method: str) -> tuple[str, str]:
    """Family and method of a store method; the family is empty for the wire's own methods."""
    family, dot, name = method.partition(".")
    return (family, name) if dot and known(family, name) else ("", method)


def all_methods() -> list[str]:
    """Every method of the wire."""
    return [*OWN, *(f"{family}.{name}" for family in PROTOCOLS for name in methods(family))]


# -- refusals

_NUMBER = StrictInt
_ERROR_FIELDS: dict[tuple[str, str], Any] = {
    ("HeadRevisionConflict", "expected"): _NUMBER,
    ("HeadRevisionConflict", "actual"): _NUMBER,
    ("MissingRecordSchemaVersion", "expected"): _NUMBER,
    ("InvalidRecordSchemaVersion", "expected"): _NUMBER,
    ("UnsupportedRecordSchemaVersion", "actual"): _NUMBER,
    ("UnsupportedRecordSchemaVersion", "expected"): _NUMBER,
    ("UnsupportedDatabaseSchema", "actual"): _NUMBER,
    ("UnsupportedDatabaseSchema", "expected"): _NUMBER,
}
"""Fields that are numbers; every other field is text."""


def refusals() -> dict[str, type[LashError]]:
    """The closed list of the typed errors of stores, by name."""
    found = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, (StoreError, InvalidRecord)) and kind.names and kind is not Unsupported
    }
    return dict(sorted(found.items()))


def field_type(error: str, field: str) -> Any:
    """The type of an error's field."""
    return _ERROR_FIELDS.get((error, field), StrictStr)


def fault_of(err: LashError) -> dict[str, Any]:
    """The ``error`` member that a refusal is written as."""
    if isinstance(err, Unsupported):
        data: dict[str, Any] = {"capability": str(err.fields["capability"])}
        return {"code": UNSUPPORTED, "message": str(err), "data": data}
    fields = {
        name: value if field_type(err.code, name) is _NUMBER else str(value) for name, value in err.fields.items()
    }
    return {"code": REFUSED, "message": str(err), "data": {"error": err.code, "fields": fields}}


def raised(fault: Fault) -> Exception:
    """The exception that an ``error`` member stands for.

    Raises:
        Malformed: the error is not of the closed list, or lacks a field.
    """
    if fault.code == UNKNOWN:
        return OutcomeUnknown(fault.message)
    try:
        if fault.code == UNSUPPORTED:
            return Unsupported(Unoffered.model_validate(fault.data).capability)
        refusal = Refusal.model_validate(fault.data)
    except ValidationError as err:
        raise Malformed(f"error.data: {first(err)}") from err
    kind = refusals().get(refusal.error)
    if kind is None:
        raise Malformed(f"error.data.error is {refusal.error!r}, which the contract does not know")
    values: list[object] = []
    for name in kind.names:
        if name not in refusal.fields:
            raise Malformed(f"{refusal.error} comes without its field {name}")
        try:
            values.append(TypeAdapter[Any](field_type(refusal.error, name)).validate_python(refusal.fields[name]))
        except ValidationError as err:
            raise Malformed(f"{refusal.error}.{name}: {first(err)}") from err
    return kind(*values)


def first(err: ValidationError) -> str:
    """The first fault in a line."""
    fault = err.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in fault["loc"])
    return f"{where}: {fault['msg']}, found {fault['input']!r:.80}"


# -- lines


def written_line(message: dict[str, Any]) -> bytes:
    """One message as a line.

    Raises:
        Uncarriable: it holds what UTF-8 JSON cannot.
    """
    try:
        text = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        line = text.encode("utf-8") + b"\n"
        if len(line) > MOST_BYTES:
            raise Uncarriable(f"a line of {len(line)} bytes; the most is {MOST_BYTES}")
        return line
    except UnicodeEncodeError as err:
        raise Uncarriable("a lone surrogate") from err
    except (ValueError, TypeError, RecursionError) as err:
        raise Uncarriable(str(err)) from err


def read_line(line: bytes) -> Any:
    """The JSON of a line.

    Raises:
        Malformed: it is not one JSON text in UTF-8.
    """
    try:
        return from_json(line, allow_inf_nan=False, cache_strings="keys")
    except ValueError as err:
        raise Malformed(f"not JSON ({err}): {line[:80]!r}{'…' if len(line) > 80 else ''}") from err


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """Reads data of that kind."""
    return TypeAdapter(kind)


def own_answer(kind: Any, data: Any) -> Any:
    """The answer of one of the wire's own methods.

    Raises:
        Malformed: the data is not of that kind.
    """
    try:
        return adapter(kind).validate_python(data)
    except ValidationError as err:
        raise Malformed(f"result.{first(err)}") from err


# -- what is spoken


@dataclass(frozen=True, kw_only=True)
class Speech:
    """What is spoken on a line beyond its messages: the methods, the introduction, the refusals."""

    introduction: type[Introduction]
    takes: Callable[[str], frozenset[str] | None]
    """Names of a method's parameters; none for a method that is not spoken."""
    raised: Callable[[Fault], Exception]
    """The exception that an ``error`` of code 1, 2 or 3 stands for."""


def _taken(method: str) -> frozenset[str] | None:
    if method in OWN:
        return frozenset(OWN[method].takes)
    family, name = split(method)
    return frozenset({HANDLES[family], *signature(family, name).takes}) if family else None


STORES = Speech(introduction=Initialized, takes=_taken, raised=raised)
"""What a store speaks."""
assert set(CAPABILITIES) >= {"clock", "process_evidence", "wire"}, "the wire's methods follow capabilities"
