"""The gate every stored head and manifest passes: one version, or a typed refusal."""

import json
from contextlib import suppress
from typing import TypeVar, cast

from pydantic import ValidationError

from lash_ref.errors import (
    InvalidRecordSchemaVersion,
    MissingRecordSchemaVersion,
    UnreadableRecord,
    UnsupportedRecordSchemaVersion,
)
from lash_ref.records import SessionCheckpoint, SessionHeadMeta

V = TypeVar("V", SessionHeadMeta, SessionCheckpoint)


def versioned(kind: type[V], data: bytes | str, expected: int, stored_as: str, record_id: str) -> V:
    """A stored record of the one version this build reads.

    Raises:
        MissingRecordSchemaVersion: it says no version.
        InvalidRecordSchemaVersion: the version is no unsigned 32-bit integer.
        UnsupportedRecordSchemaVersion: it is of another version.
        UnreadableRecord: it is no such record otherwise.
    """
    with suppress(ValidationError):
        record = kind.model_validate_json(data)
        if "schema_version" in record.model_fields_set and record.schema_version == expected:
            return record
    try:
        value: object = json.loads(data)
    except ValueError as err:
        raise UnreadableRecord(stored_as, record_id, str(err)) from err
    name = kind.__name__
    if not isinstance(value, dict):
        raise UnreadableRecord(stored_as, record_id, f"not a {name}")
    fields = cast("dict[str, object]", value)
    if "schema_version" not in fields:
        raise MissingRecordSchemaVersion(name, expected)
    version = fields["schema_version"]
    if not isinstance(version, int) or isinstance(version, bool) or not 0 <= version < 2**32:
        raise InvalidRecordSchemaVersion(name, repr(version), expected)
    if version != expected:
        raise UnsupportedRecordSchemaVersion(name, version, expected)
    try:
        return kind.model_validate(fields)
    except ValidationError as err:
        raise UnreadableRecord(stored_as, record_id, str(err)[:200]) from err
