"""Vectors of every record: JSON that must be read, with what it is written back as, and JSON that must be refused.

They are made from the published schema alone, not by running the records, so that both are judged by them.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from lash_conformance import host_openrpc, openrpc

Schema = dict[str, Any]
MOST = 2**63 - 1
IDENTIFIER, TEXT, BYTES = "id-é 😀", "text\u0000 e\u0301 \u2028 😀", "AAH/YmFzZTY0"
OPAQUE: Any = json.loads('{"a": [1, 0.5, null, true, "\\u0000", {}, []], "": {"b": -1}}')
CHOSEN: dict[str, Schema] = {"LeaseTimings": {"ttl_ms": 30_000, "renew_interval_ms": 10_000}}
"""Where parts of a record depend on each other, values that agree."""


class Sampler:
    """Sample values of the document's schemas."""

    def __init__(self, document: Schema) -> None:
        self.schemas: dict[str, Schema] = document["components"]["schemas"]

    def resolved(self, schema: Schema) -> Schema:
        """The schema behind a reference; the first alternative that is not null."""
        while "$ref" in schema or "anyOf" in schema:
            if "$ref" in schema:
                schema = self.schemas[schema["$ref"].rpartition("/")[2]] | {k: v for k, v in schema.items() if k == "default"}
            else:
                schema = next(one for one in schema["anyOf"] if one != {"type": "null"})
        return schema

    def sample(self, schema: Schema, name: str, *, full: bool, number: int = 7) -> Any:
        """A value: with every member when ``full``, with only what is required otherwise."""
        name = schema["$ref"].rpartition("/")[2] if "$ref" in schema else name
        told, schema = schema, self.resolved(schema)
        for one in (told, schema):
            if "examples" in one:
                return one["examples"][0]
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][-1 if full else 0]
        if "oneOf" in schema:
            return self.sample(schema["oneOf"][-1 if full else 0], "", full=full, number=number)
        match schema.get("type"):
            case "object":
                return self.record(schema, name, full=full, number=number)
            case "array":
                return [self.sample(schema["items"], "", full=full, number=number)] if full else []
            case "integer":
                return max(min(number, schema.get("maximum", number)), schema.get("minimum", number), schema.get("exclusiveMinimum", -MOST) + 1)
            case "boolean":
                return full
            case "string":
                return BYTES if "contentEncoding" in schema else IDENTIFIER if "pattern" in schema else TEXT
            case _:
                return OPAQUE

    def record(self, schema: Schema, name: str, *, full: bool, number: int = 7) -> Schema:
        """As `sample`, of an object."""
        wanted = schema["properties"] if full else schema.get("required", [])
        made = {key: self.sample(schema["properties"][key], "", full=full, number=number) for key in wanted}
        return made | (CHOSEN.get(name, {}) if full else {})

    def written(self, schema: Schema, value: Any) -> Any:
        """What a value is written back as: defaults filled in, absent optionals left out."""
        schema = self.resolved(schema)
        if "oneOf" in schema:
            return self.written(next(one for one in schema["oneOf"] if self._is(one, value)), value)
        if schema.get("type") == "array":
            return [self.written(schema["items"], member) for member in value]
        if schema.get("type") != "object":
            return value
        made: Schema = {}
        for key, part in schema["properties"].items():
            if value.get(key) is not None:
                made[key] = self.written(part, value[key])
            elif key not in value and part.get("default") is not None:
                made[key] = self.written(part, part["default"])
        return {key: member for key, member in made.items() if member is not None}

    def _is(self, schema: Schema, value: Any) -> bool:
        schema = self.resolved(schema)
        if "const" in schema or not isinstance(value, dict):
            return schema.get("const") == value
        held = cast("Schema", value)
        tags = {key: part["const"] for key, part in schema["properties"].items() if "const" in part}
        return all(key in held for key in schema.get("required", [])) and all(held[key] == tag for key, tag in tags.items())

    def valid(self, name: str) -> Iterator[Schema]:
        """Values that must be read."""
        schema = self.schemas[name]
        variants = schema.get("oneOf", [schema])
        for number, variant in enumerate(variants, start=1):
            of = f" (variant {number})" if len(variants) > 1 else ""
            within = variant["$ref"].rpartition("/")[2] if "$ref" in variant else name
            values = {
                f"only what is required{of}": self.sample(variant, within, full=False),
                f"every member{of}": self.sample(variant, within, full=True),
                f"the largest integers{of}": self.sample(variant, within, full=True, number=MOST),
            }
            body = self.resolved(variant)
            if body.get("additionalProperties", True) and body.get("type") == "object":
                values[f"an unknown key{of}"] = self.sample(variant, within, full=True) | {"from the future": [None]}
            seen: list[Any] = []
            for about, value in values.items():
                if value not in seen:
                    seen.append(value)
                    yield {"about": about, "value": value, "written": self.written(variant, value)}

    def invalid(self, name: str) -> Iterator[Schema]:
        """Values that must be refused, each with one fault and the member it is at."""
        schema = self.schemas[name]
        if "oneOf" in schema:
            yield {"about": "no variant", "field": "", "value": {"Nothing": {}, "kind": "nothing", "type": "nothing"}}
            yield {"about": "a number", "field": "", "value": 7}
            return
        good = self.record(schema, name, full=False)
        yield {"about": "a list", "field": "", "value": [good]}
        if schema.get("additionalProperties") is False:
            yield {"about": "an unknown key", "field": "from the future", "value": good | {"from the future": 1}}
        for key, part in schema["properties"].items():
            if key in schema.get("required", []) and not _tag(part):
                yield {"about": "absent", "field": key, "value": {k: v for k, v in good.items() if k != key}}
            for about, bad in self._wrong(part):
                yield {"about": about, "field": key, "value": good | {key: bad}}

    def _wrong(self, part: Schema) -> Iterator[tuple[str, Any]]:
        schema = self.resolved(part)
        if "const" in schema or "enum" in schema or "oneOf" in schema:
            yield "of no known kind", "nothing"
            return
        match schema.get("type"):
            case "integer":
                yield "text", "7"
                yield "a fraction", 1.5
                yield "a truth value", True
                yield "below the smallest", schema.get("minimum", schema.get("exclusiveMinimum", 1) + 1) - 1
                yield "above the largest", schema.get("maximum", MOST) + 1
            case "string":
                yield "a number", 7
                if "pattern" in schema:
                    yield "with NUL", "a\u0000b"
                if "contentEncoding" in schema:
                    yield "no base64", "AA*="
            case "array":
                yield "an object", {}
            case "object":
                yield "text", "nothing"
            case _:
                return


def _tag(part: Schema) -> bool:
    """Whether a member only tells variants apart; alone it has its one value by default."""
    return "const" in part


def made() -> dict[str, str]:
    """Every file of the vectors, by its name."""
    document = openrpc.document()
    sampler = Sampler(document)
    files = {
        name: json.dumps(made, indent=1, ensure_ascii=False) + "\n"
        for name, made in (("openrpc.json", document), ("host-openrpc.json", host_openrpc.document()))
    }
    for name in openrpc.named_types():
        valid, invalid = (_lines(part) for part in (sampler.valid(name), sampler.invalid(name)))
        files[f"records/{name}.json"] = f'{{"record": "{name}",\n "valid": {valid},\n "invalid": {invalid}}}\n'
    return files


def _lines(entries: Iterator[Schema]) -> str:
    """A list with one entry a line, so that a change shows as one."""
    return "[\n  " + ",\n  ".join(json.dumps(entry, ensure_ascii=False) for entry in entries) + "\n ]"


def write(folder: Path) -> int:
    """Write the files; answers how many."""
    files = made()
    (folder / "records").mkdir(parents=True, exist_ok=True)
    for old in (folder / "records").glob("*.json"):
        old.unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return len(files)
