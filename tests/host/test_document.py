"""The host wire's document: complete, valid, and of one piece with what the judge sends."""

import json
import re

import jsonschema
import pytest
from pydantic import TypeAdapter

from lash_conformance import host_openrpc
from lash_conformance.catalogue import spec_directory
from lash_conformance.host import CoreSpec, HostCore, HostSession, HostSubscription, OpenSpec, TurnSpec
from lash_conformance.host_wire import HOST_OWN, calls, params_of

DOCUMENT = host_openrpc.document()
METHODS = {method["name"]: method for method in DOCUMENT["methods"]}


def test_every_member_of_the_protocols_is_a_method_but_the_kill():
    """And each of the wire's own."""
    members = {
        f"{family}.{name}"
        for family, protocol in (("core", HostCore), ("session", HostSession), ("subscription", HostSubscription))
        for name in vars(protocol)
        if not name.startswith("_")
    }

    assert set(METHODS) == {*HOST_OWN, *members} - {"core.kill"}
    assert set(calls()) == members - {"core.kill"}


def test_every_reference_leads_somewhere_and_every_schema_is_valid():
    """JSON Schema 2020-12."""
    for kind, name in re.findall(r'"#/components/(\w+)/(\w+)"', json.dumps(DOCUMENT)):
        assert name in DOCUMENT["components"][kind]
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema | {"components": DOCUMENT["components"]})


@pytest.mark.parametrize(
    ("method", "param", "value"),
    [
        ("core.build", "spec", TypeAdapter(CoreSpec).dump_python(CoreSpec(plugins=("a",), edits=({"push": "b"},)), mode="json")),
        ("core.open", "spec", params_of("core.open", ("s1", OpenSpec(how="fresh")), {})["spec"]),
        ("session.turn", "spec", params_of("session.turn", (TurnSpec(items=({"type": "text", "text": "hi"},)),), {})["spec"]),
        ("core.halt", "halt", {"side": "before", "number": 1}),
    ],
)
def test_what_the_judge_sends_follows_the_schema(method: str, param: str, value: object):
    """A description, an opening, a turn, a halt; and a number is none of them."""
    schema = next(one["schema"] for one in METHODS[method]["params"] if one["name"] == param)
    validator = jsonschema.Draft202012Validator(schema | {"components": DOCUMENT["components"]})

    assert list(validator.iter_errors(value)) == []
    assert not validator.is_valid(7)


def test_the_chapter_names_every_own_method():
    """Which a table explains."""
    chapter = (spec_directory() / "host-wire.md").read_text()

    assert [name for name in HOST_OWN if f"`{name}`" not in chapter] == []
