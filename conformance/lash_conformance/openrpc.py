"""The wire as an OpenRPC document, with a JSON Schema for every record, made from the Protocols.

Schemas hold for what is sent and for what is answered; a member that may be absent may also be null.
"""

import inspect
import re
from functools import cache
from typing import Annotated, Any, cast, get_origin

from jsonschema import Draft202012Validator
from pydantic import TypeAdapter

from lash_conformance.catalogue import EDITION
from lash_conformance.projection import PROTOCOLS, methods, signature
from lash_conformance.wire import (
    HANDLES,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    OWN,
    PARSE_ERROR,
    PROTOCOL,
    REFUSED,
    UNKNOWN,
    UNSUPPORTED,
    Answer,
    Handed,
    Own,
    Request,
    field_type,
    refusals,
)
from lash_ref import inputs, lease, nodes, records, work
from lash_ref.scalars import U64, Identifier, Record

Schema = dict[str, Any]
_PLACES = "#/components/schemas/"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def named_types() -> dict[str, Any]:
    """Every record and named union of the contract, by name."""
    found: dict[str, Any] = {}
    for module in (lease, work, inputs, nodes, records):
        for name in vars(module):
            kind: Any = getattr(module, name)
            if name.startswith("_") or name in found or name.isupper() or name in ("Record", "NodeBase"):
                continue
            union = get_origin(kind) is Annotated and " | " in str(kind)
            if union or Record in getattr(kind, "__mro__", ()):
                found[name] = kind
    return dict(sorted(found.items()))


class Schemas:
    """Component schemas, gathered while methods are described."""

    def __init__(self, named: dict[str, Any]) -> None:
        """``named`` are types that are components whether or not a method has them."""
        self.components: dict[str, Schema] = {}
        self._unions: list[tuple[Schema, str]] = []
        for name, kind in named.items():
            body = self.of(kind)
            if "$ref" not in body:
                self._unions.append((body, name))
                self.components[name] = body
        self.components = {
            name: {key: self._with_names(value) for key, value in body.items()}
            if any(name == union for _, union in self._unions) else self._with_names(body)
            for name, body in self.components.items()
        }  # fmt: skip

    def of(self, kind: Any) -> Schema:
        """The schema of a type; what it refers to becomes a component."""
        adapter = cast("TypeAdapter[Any]", kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind))
        made = adapter.json_schema(ref_template=_PLACES + "{model}")
        for name, body in made.pop("$defs", {}).items():
            self.components.setdefault(name, _tag_required(_untitled(body)))
        title = made.get("title")
        if title and "properties" in made:
            self.components.setdefault(title, _tag_required(_untitled(made)))
            return {"$ref": _PLACES + title}
        return self._with_names(_untitled(made))

    def _with_names(self, value: Any) -> Any:
        """``value`` with every spelt-out union replaced by its name."""
        if isinstance(value, dict):
            for body, name in self._unions:
                if value == body:
                    return {"$ref": _PLACES + name}
            return {key: self._with_names(member) for key, member in cast("Schema", value).items()}
        if isinstance(value, list):
            return [self._with_names(member) for member in cast("list[Any]", value)]
        return value


def _untitled(value: Any) -> Any:
    """Without pydantic's titles, which repeat the names."""
    if isinstance(value, dict):
        members = cast("Schema", value)
        return {key: _untitled(member) for key, member in members.items() if key != "title" or not isinstance(member, str)}
    return [_untitled(member) for member in cast("list[Any]", value)] if isinstance(value, list) else value


def _tag_required(body: Schema) -> Schema:
    """A record that is told from its siblings by a constant has that constant always."""
    tags = [name for name, member in body.get("properties", {}).items() if "const" in member and "default" in member]
    wanted = sorted({*body.get("required", []), *tags})
    return body | ({"required": wanted} if wanted else {})


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]


def _errors(text: str | None) -> list[str]:
    told = re.findall(r"^\s+([A-Z]\w+):", (text or "").partition("Raises:")[2], re.MULTILINE)
    known = refusals()
    return [*(name for name in told if name in known), "InvalidRecord", "Backend"]


def error_schema(name: str) -> Schema:
    """The ``data`` of a refusal."""
    kind = refusals()[name]
    fields = {field: TypeAdapter[Any](field_type(name, field)).json_schema() for field in kind.names}
    return {
        "type": "object",
        "description": _first_line(kind.__doc__),
        "properties": {
            "error": {"const": name},
            "fields": {"type": "object", "properties": fields, "required": list(kind.names)},
        },
        "required": ["error", "fields"],
    }


def document() -> Schema:
    """The whole document."""
    schemas = Schemas(named_types())
    described = [own_method(name, own, schemas) for name, own in OWN.items()]
    described += [_method(family, name, schemas) for family in PROTOCOLS for name in methods(family)]
    schemas.of(Request)
    schemas.of(Answer)
    errors = {
        name: {"code": REFUSED, "message": _first_line(kind.__doc__), "data": error_schema(name)}
        for name, kind in refusals().items()
    }
    capability = {"type": "object", "properties": {"capability": {"type": "string"}}, "required": ["capability"]}
    errors["Unsupported"] = {"code": UNSUPPORTED, "message": "The target does not offer the capability.", "data": capability}
    errors |= protocol_errors()
    return {
        "openrpc": "1.3.2",
        "info": {
            "title": "lash conformance wire",
            "version": f"{PROTOCOL}.0.0",
            "description": f"Edition {EDITION}. JSON-RPC 2.0, one message a line on standard input and output. The law is docs/spec/wire.md.",
        },
        "methods": described,
        "components": {"schemas": dict(sorted(schemas.components.items())), "errors": errors},
    }


def protocol_errors() -> dict[str, Schema]:
    """The errors that every target may answer."""
    errors: dict[str, Schema] = {}
    errors["Unknown"] = {"code": UNKNOWN, "message": "The target cannot tell whether the call took effect."}
    for name, code, said in (
        ("ParseError", PARSE_ERROR, "The line is not JSON."),
        ("InvalidRequest", INVALID_REQUEST, "The line is no request."),
        ("MethodNotFound", METHOD_NOT_FOUND, "There is no such method."),
        ("InvalidParams", INVALID_PARAMS, "A parameter of the envelope is missing or names nothing that is open."),
        ("InternalError", INTERNAL_ERROR, "The target is broken; nothing is known of the call."),
    ):
        errors[name] = {"code": code, "message": said}
    return errors


@cache
def result_schemas() -> dict[str, Draft202012Validator]:
    """What each method's result is validated with."""
    made = document()
    components = {"components": made["components"], "$schema": _DIALECT}
    return {
        method["name"]: Draft202012Validator(components | {"allOf": [method["result"]["schema"]]})
        for method in made["methods"]
    }


def own_method(name: str, own: Own, schemas: Schemas) -> Schema:
    """One of the wire's own methods."""
    return {
        "name": name,
        "summary": own.told,
        "paramStructure": "by-name",
        "params": [{"name": key, "required": True, "schema": schemas.of(kind)} for key, kind in own.takes.items()],
        "result": {"name": "result", "schema": schemas.of(own.answers) if own.answers else {"type": "null"}},
    }


_NUMBER: Schema = TypeAdapter(U64).json_schema()
_NAME: Schema = TypeAdapter(Identifier).json_schema()


def _argument(schema: Schema) -> Schema:
    """What a store admits where a Protocol says ``int`` or ``str``: no number below 0, no name with NUL ([REC.1][], [REC.2][])."""
    if schema == {"type": "integer"}:
        return _NUMBER
    if schema == {"type": "string"}:
        return _NAME
    if schema == {"type": "array", "items": {"type": "string"}}:
        return schema | {"items": _NAME}
    return schema


def _method(family: str, name: str, schemas: Schemas) -> Schema:
    made = signature(family, name)
    told = inspect.getdoc(getattr(PROTOCOLS[family], name))
    handed = schemas.of(Handed)
    store = {"anyOf": [handed, {"type": "null"}]} if made.optional else handed
    handle = {"name": HANDLES[family], "required": True, "schema": {"type": "string"}}
    return {
        "name": f"{family}.{name}",
        "summary": _first_line(told),
        "description": told,
        "paramStructure": "by-name",
        "params": [
            handle, *({"name": key, "required": True, "schema": _argument(schemas.of(kind))} for key, kind in made.takes.items())
        ],
        "result": {"name": "result", "schema": store if made.answers is None else schemas.of(made.answers)},
        "errors": [{"$ref": f"#/components/errors/{error}"} for error in dict.fromkeys(_errors(told))],
    }  # fmt: skip
