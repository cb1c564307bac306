"""The published document: complete, valid, and of one piece with the Protocols."""

import json
import re

import jsonschema
import pytest

from lash_conformance import openrpc, wire
from lash_conformance.catalogue import spec_directory
from lash_ref import errors

DOCUMENT = openrpc.document()
SCHEMAS = DOCUMENT["components"]["schemas"]


def test_every_operation_of_the_contract_is_a_method():
    """With its handle first, then its arguments by name."""
    named = {method["name"]: method for method in DOCUMENT["methods"]}

    assert list(named) == wire.all_methods()
    commit = named["store.commit_runtime_state"]
    assert [param["name"] for param in commit["params"]] == ["store", "commit"]
    assert commit["params"][1]["schema"] == {"$ref": "#/components/schemas/RuntimeCommit"}
    assert {"$ref": "#/components/errors/HeadRevisionConflict"} in commit["errors"]
    assert named["factory.open_existing_store"]["result"]["schema"]["anyOf"][1] == {"type": "null"}


def test_every_reference_leads_somewhere_and_every_schema_is_valid():
    """JSON Schema 2020-12."""
    text = json.dumps(DOCUMENT)
    for kind, name in re.findall(r'"#/components/(\w+)/(\w+)"', text):
        assert name in DOCUMENT["components"][kind]
    for name, schema in SCHEMAS.items():
        jsonschema.Draft202012Validator.check_schema(schema | {"components": DOCUMENT["components"]})
        assert re.fullmatch(r"\w+", name)


@pytest.mark.parametrize(
    ("name", "value", "valid"),
    [
        ("GraphCommitDelta", {"Append": {"nodes": []}}, True),
        ("GraphCommitDelta", {"nodes": []}, False),
        ("SessionReadScope", "FullGraph", True),
        ("SessionReadScope", {"ActivePath": {"leaf_node_id": "n"}}, True),
        ("SessionReadScope", "ActivePath", False),
        ("CausalRef", {"type": "turn", "session_id": "s", "turn_id": "t"}, True),
        ("CausalRef", {"session_id": "s", "turn_id": "t"}, False),
        ("ModelLimits", {"context_window_tokens": 1, "more": 2}, False),
        ("ModelLimits", {"context_window_tokens": 0}, False),
        ("RootSession", {"kind": "root", "more": 2}, True),
        ("StoredBlobRef", {"id": "a\0b"}, False),
        ("VacuumReport", {"removed_node_count": 2**63}, False),
        ("VacuumReport", {"removed_node_count": 1.5}, False),
    ],
)
def test_schemas_say_what_the_records_admit(name: str, value: object, valid: bool):
    """Tags are required, unknown keys are refused only where the record says so, numbers are bounded."""
    root = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}

    assert jsonschema.Draft202012Validator(root).is_valid(value) == valid


def test_the_list_of_errors_is_closed_and_written_down():
    """The page, the document and the error tree name the same errors with the same fields."""
    page = (spec_directory() / "wire.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (`\w+`.*) \|$", page, re.MULTILINE)
    told = {name: tuple(re.findall(r"`(\w+)`", fields)) for name, fields in rows if name in vars(errors)}

    assert told == {name: kind.names for name, kind in wire.refusals().items()}
    wanted = {*told, "Unsupported", "Unknown", "ParseError", "InvalidRequest", "MethodNotFound", "InvalidParams", "InternalError"}
    assert set(DOCUMENT["components"]["errors"]) == wanted
