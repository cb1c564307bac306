"""What a host speaks on the wire, as an OpenRPC document made from the host Protocols."""

from typing import Any

from pydantic import TypeAdapter

from lash_conformance.catalogue import EDITION
from lash_conformance.host_wire import HOST_OWN, calls
from lash_conformance.openrpc import Schema, Schemas, own_method, protocol_errors
from lash_conformance.wire import PROTOCOL, REFUSED, Refusal


def document() -> Schema:
    """The whole document."""
    schemas = Schemas({})
    methods = [own_method(name, own, schemas) for name, own in HOST_OWN.items()]
    methods += [_method(name, schemas) for name in calls()]
    refused: Schema = {
        "code": REFUSED, "message": "The host refuses, under the name that the clauses say.", "data": schemas.of(Refusal),
    }  # fmt: skip
    return {
        "openrpc": "1.3.2",
        "info": {
            "title": "lash conformance host wire",
            "version": f"{PROTOCOL}.0.0",
            "description": f"Edition {EDITION}. As the wire of stores, for hosts. The law is docs/spec/host-wire.md.",
        },
        "methods": methods,
        "components": {"schemas": dict(sorted(schemas.components.items())), "errors": {"Refused": refused} | protocol_errors()},
    }


def _method(name: str, schemas: Schemas) -> Schema:
    made = calls()[name]
    family = name.partition(".")[0]
    anything: Any = {"type": "null"} if made.nothing else {}
    handle = {"name": family, "required": True, "schema": TypeAdapter(str).json_schema()}
    return {
        "name": name,
        "summary": made.told.partition("\n")[0],
        "description": made.told,
        "paramStructure": "by-name",
        "params": [handle, *({"name": key, "required": True, "schema": schemas.of(kind)} for key, kind in made.takes.items())],
        "result": {"name": "result", "schema": schemas.of(made.answers) if made.answers else anything},
        "errors": [{"$ref": "#/components/errors/Refused"}],
    }
