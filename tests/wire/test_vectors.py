"""The vectors under fixtures/wire: current, valid by the published schema, and what our records do."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter, ValidationError

from lash_conformance import openrpc, vectors

FOLDER = Path(__file__).parents[2] / "fixtures" / "wire"
DOCUMENT = json.loads((FOLDER / "openrpc.json").read_text(encoding="utf-8"))
KINDS = openrpc.named_types()


def vector(name: str) -> dict[str, Any]:
    """The file of one record."""
    return json.loads((FOLDER / "records" / f"{name}.json").read_text(encoding="utf-8"))


def test_the_files_are_what_the_command_writes():
    """Otherwise `lash-conformance vectors` was forgotten."""
    made = vectors.made()
    found = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.json")}

    assert found == set(made)
    assert [name for name, text in made.items() if (FOLDER / name).read_text(encoding="utf-8") != text] == []


@pytest.mark.parametrize("name", KINDS)
def test_valid_vectors_are_read_and_written_back(name: str):
    """By the schema, and by the record: defaults are filled in, absent optionals left out."""
    schema = Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]})
    record: TypeAdapter[Any] = TypeAdapter(KINDS[name])
    entries = vector(name)["valid"]

    assert entries
    for entry in entries:
        written = record.dump_python(record.validate_python(entry["value"]), mode="json", exclude_none=True)
        assert (entry["about"], written) == (entry["about"], entry["written"])
        assert list(schema.iter_errors(entry["value"])) == []
        assert record.validate_json(json.dumps(entry["value"])) == record.validate_python(written)


@pytest.mark.parametrize("name", KINDS)
def test_invalid_vectors_are_refused_at_their_member(name: str):
    """By the schema and by the record, whose error names the member."""
    schema = Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]})
    record: TypeAdapter[Any] = TypeAdapter(KINDS[name])
    entries = vector(name)["invalid"]

    assert entries
    for entry in entries:
        with pytest.raises(ValidationError) as refused:
            record.validate_python(entry["value"])
        where = [str(part) for part in refused.value.errors()[0]["loc"]]
        assert not entry["field"] or entry["field"] in where, entry
        assert not schema.is_valid(entry["value"]), entry
