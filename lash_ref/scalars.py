"""The scalar types every record is made of, and the one door through which untrusted data becomes a record.

Integers are 0..2^63-1, identifiers carry neither NUL nor lone surrogates, opaque JSON is immutable and
compares by value ([REC.1][] to [REC.9][]).
"""

import base64
import binascii
import json
import math
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Self, TypeVar, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    JsonValue,
    PlainSerializer,
    SerializationInfo,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import PydanticSerializationError, core_schema, from_json

from lash_ref.errors import InvalidRecord

MAX_INT = 2**63 - 1
MAX_OPAQUE = 2**64 - 1
"""The largest integer in an opaque value: as in lash's, 64 bits with a sign or without."""
"""The largest integer a record may hold; the smallest is 0, but for token counters, which are signed."""

R = TypeVar("R", bound="Record")

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


MAX_DEPTH = 128
"""How deeply an opaque value may be nested: what serde_json reads, and less than pydantic's own limit."""


def _encodable(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as err:
        raise ValueError("text that UTF-8 can carry, found a lone surrogate") from err
    return text


def _decoded(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as err:
        raise ValueError("bytes as a base64 string") from err


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


U64 = Annotated[int, Field(strict=True, ge=0, le=MAX_INT)]
"""A count, sequence, revision or time in epoch milliseconds: 0..2^63-1 ([REC.1][])."""

Bits64 = Annotated[int, Field(strict=True, ge=0, le=MAX_OPAQUE)]
"""A fingerprint: 64 bits that are compared and never counted with, so all of 0..2^64-1 ([REC.1][])."""

I64 = Annotated[int, Field(strict=True, ge=-MAX_INT - 1, le=MAX_INT)]
"""A signed counter, used by token usage only."""

# A bound on the length, any bound, makes pydantic refuse lone surrogates too, without a call into Python.
Text = Annotated[str, Field(strict=True, min_length=0), WithJsonSchema({"type": "string"})]
"""Free text, round-tripped exactly, NUL included ([REC.4][])."""

Identifier = Annotated[str, Field(strict=True, pattern=r"^[^\u0000]*$")]
"""A name that keys a row: any length, any text but NUL and lone surrogates ([REC.2][])."""

def _lowered(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"

MediaType = Annotated[
    str,
    BeforeValidator(_lowered),
    Field(strict=True, pattern=f"^{_TOKEN}/{_TOKEN}$", examples=["text/plain"]),
]
"""``type/subtype`` in small letters, without parameters ([REC.15][], [REC.16][])."""

U32 = Annotated[int, Field(strict=True, ge=0, le=2**32 - 1)]
"""A schema version as a record carries it."""

_BASE64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"

Blob = Annotated[
    bytes,
    BeforeValidator(_decoded),
    PlainSerializer(_encoded, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "contentEncoding": "base64", "pattern": _BASE64}),
]
"""Opaque bytes; a standard base64 string in JSON."""


class Json:
    """An opaque JSON value: immutable, hashable, equal when the values are equal whatever the key order.

    Holds the canonical text (sorted keys, no spaces), so passing it on costs nothing and nobody can
    change what a store holds by editing what they gave it ([REC.7][]).
    """

    __slots__ = ("_checked", "text")
    text: str
    _checked: bool
    """Set by the constructor alone; what was made around it is looked through again by `admitted`."""

    def __init__(self, value: object) -> None:
        """Freeze ``value``.

        Raises:
            ValueError: it holds NaN, an infinity, a lone surrogate, an integer below -2^63 or
                above 2^64-1, a key
                that is not text, more nesting than `MAX_DEPTH`, or a type JSON lacks.
        """
        _refuse_unfaithful(value)
        object.__setattr__(self, "text", _encodable(_CANONICAL.encode(value)))
        object.__setattr__(self, "_checked", True)

    @property
    def value(self) -> JsonValue:
        """A fresh Python copy of the value."""
        return cast("JsonValue", from_json(self.text, allow_inf_nan=False))

    def read(self, kind: "type[R]") -> "R":
        """The record that the value is the JSON of.

        Raises:
            InvalidRecord: it is not that record.
        """
        return kind.from_data(self.value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("Json is immutable")

    def __eq__(self, other: object) -> bool:
        return self.text == other.text if isinstance(other, Json) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Json({self.text})"

    def __deepcopy__(self, memo: object) -> "Json":
        return self

    @classmethod
    def parse(cls, text: str | bytes) -> "Json":
        """Read JSON text.

        Raises:
            ValueError: it is no JSON, or holds what a record may not.
        """
        return cls(json.loads(text, parse_constant=_refuse_constant))

    @classmethod
    def of(cls, value: object) -> "Json":
        """``value`` itself when it is already frozen, else a frozen copy."""
        return value if isinstance(value, Json) else cls(value)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.of,
            json_schema_input_schema=core_schema.any_schema(),
            serialization=core_schema.plain_serializer_function_ser_schema(
                _thawed, info_arg=True, return_schema=core_schema.any_schema()
            ),
        )


class LaterJson(Json):
    """A JSON value that is made when somebody looks at it."""

    __slots__ = ("_make",)
    _make: Callable[[], object]

    def __init__(self, make: Callable[[], object]) -> None:
        object.__setattr__(self, "_make", make)

    @property
    def text(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride] - read-only in both
        """The canonical text."""
        return Json(self._make()).text


class RecordJson(LaterJson):
    """A record as JSON: written when somebody looks at it, and handed over as it is to who reads it here."""

    __slots__ = ("_record",)
    _record: "Record"

    def __init__(self, record: "Record") -> None:
        super().__init__(record.to_data)
        object.__setattr__(self, "_record", record)

    def read(self, kind: "type[R]") -> "R":
        """The record itself."""
        return self._record if isinstance(self._record, kind) else super().read(kind)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"a finite number, found {name}")


def _thawed(frozen: Json, info: SerializationInfo) -> JsonValue | Json:
    return frozen if info.mode != "json" and getattr(frozen, "_checked", False) else frozen.value


def _refuse_unfaithful(value: object, depth: int = 0) -> None:
    if value is None or isinstance(value, (str, bool)):
        return
    if depth > MAX_DEPTH:
        raise ValueError(f"a value nested at most {MAX_DEPTH} deep, found a deeper one")
    if isinstance(value, dict):
        for key, member in cast("dict[object, object]", value).items():
            if not isinstance(key, str):
                raise ValueError(f"text as an object key, found {key!r}")
            _refuse_unfaithful(member, depth + 1)
    elif isinstance(value, (list, tuple)):
        for member in cast("list[object]", value):
            _refuse_unfaithful(member, depth + 1)
    elif isinstance(value, int):
        if not -MAX_INT - 1 <= value <= MAX_OPAQUE:
            raise ValueError(f"an integer from -2^63 to 2^64-1, found {value}")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"a finite number, found {value}")
    else:
        raise ValueError(f"a JSON value, found {type(value).__name__}")


class Record(BaseModel):
    """A frozen record of the contract; lists are tuples, so nothing inside it can change.

    In JSON, absent optionals are left out and unknown keys are ignored unless the record says otherwise.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    def to_json(self) -> str:
        """The record's JSON text, absent optionals left out."""
        return self.model_dump_json(exclude_none=True)

    def to_data(self) -> dict[str, Any]:
        """The record's JSON as plain Python data, absent optionals left out."""
        return self.model_dump(mode="json", exclude_none=True, warnings=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a record from JSON.

        Raises:
            InvalidRecord: [REC.1][] and its siblings: the text is not that record.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as err:
            raise invalid(cls.__name__, err) from err

    @classmethod
    def from_data(cls, data: object) -> Self:
        """Read a record from plain JSON data; as `from_json`."""
        try:
            return cls.model_validate(data)
        except ValidationError as err:
            raise invalid(cls.__name__, err) from err

    def but(self, **changes: Any) -> Self:
        """A validated copy with ``changes`` made."""
        return type(self)(**(self.__dict__ | changes))


def invalid(kind: str, err: ValidationError) -> InvalidRecord:
    """The contract's error for pydantic's, naming the first of the innermost faults.

    In a union the variant that was meant is faulty further inside than those that were not.
    """
    fault = max(err.errors(include_url=False, include_context=False), key=lambda each: len(each["loc"]))
    where = ".".join(str(part) for part in fault["loc"]) or "record"
    return InvalidRecord(kind, where, fault["msg"], repr(fault["input"])[:200])


def admitted(record: R) -> R:
    """``record``, read again from its own fields: what a store calls before it writes anything.

    Guards against records built around validation ([REC.1][], [REC.2][], [REC.3][]).

    Raises:
        InvalidRecord: a field holds what the contract does not admit.
    """
    kind = type(record)
    try:
        fields = record.model_dump(exclude_none=True, warnings=False)
    except (PydanticSerializationError, ValueError, AttributeError) as err:
        raise InvalidRecord(kind.__name__, "record", "a record JSON can carry", str(err)) from err
    return kind.from_data(fields)


_IDENTIFIER = TypeAdapter[str](Identifier).validator
_U64 = TypeAdapter[int](U64).validator


def identifier(name: str, value: object) -> str:
    """``value`` as an identifier, or `InvalidRecord` naming the argument ``name`` ([REC.2][])."""
    try:
        return _IDENTIFIER.validate_python(value)
    except ValidationError as err:
        raise invalid(name, err) from err


def u64(name: str, value: object) -> int:
    """``value`` as a 0..2^63-1 integer, or `InvalidRecord` naming the argument ``name`` ([REC.1][])."""
    try:
        return _U64.validate_python(value)
    except ValidationError as err:
        raise invalid(name, err) from err


def external(*variants: type[Record], unit: tuple[type[Record], ...] = ()) -> Any:
    """Annotation for an externally tagged union: ``{"Variant": {...}}``, or ``"Variant"`` for ``unit`` ones."""
    by_name = {variant.__name__: variant for variant in variants}
    empty = {variant.__name__ for variant in unit}

    def read(value: object) -> object:
        if isinstance(value, str) and value in empty:
            return by_name[value]()
        if isinstance(value, dict):
            tagged = cast("dict[str, object]", value)
            if len(tagged) == 1:
                ((tag, body),) = tagged.items()
                if tag in by_name:
                    return by_name[tag].model_validate(body)
        if isinstance(value, tuple(by_name.values())):
            return value
        raise ValueError(f"an object of one member, {' or '.join(by_name)}")

    def write(value: Record, info: SerializationInfo) -> object:
        name = type(value).__name__
        return name if name in empty else {
            name: value.model_dump(mode=info.mode, exclude_none=True, warnings=False)
        }

    return (BeforeValidator(read), PlainSerializer(write), _Tagged(tuple(by_name), empty))


class _Tagged:
    """Describes an externally tagged union in JSON Schema."""

    def __init__(self, names: tuple[str, ...], empty: set[str]) -> None:
        self.names = names
        self.empty = empty

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        bodies: list[Any] = handler(schema)["anyOf"]
        return {
            "oneOf": [
                {"const": name} if name in self.empty
                else {"type": "object", "properties": {name: body}, "required": [name], "additionalProperties": False}
                for name, body in zip(self.names, bodies, strict=True)
            ]
        }  # fmt: skip
