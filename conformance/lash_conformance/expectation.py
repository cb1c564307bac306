"""Whether what came of a provider call is what its fixture expects: literals by subset, lists by length."""

from typing import Any, cast

from lash_conformance.fixture import Fixture
from lash_conformance.vocabulary import Unexpected


def compare(fixture: Fixture, found: list[dict[str, Any]]) -> None:
    """Hold every call of the fixture against what the host answered.

    Raises:
        Unexpected: with the path, what was expected and what was found.
    """
    if len(found) != len(fixture.calls):
        raise Unexpected(f"{len(fixture.calls)} calls of {fixture.id}", f"{len(found)}")
    for number, (call, answer) in enumerate(zip(fixture.calls, found, strict=True)):
        for key, wanted in call.expect.items():
            _compare(f"{fixture.id} call {number} {key}", wanted, answer.get(key))


def _compare(path: str, wanted: Any, found: Any) -> None:
    if isinstance(wanted, dict) and isinstance(found, dict):
        members = cast("dict[str, Any]", found)
        for key, member in cast("dict[str, Any]", wanted).items():
            _compare(f"{path}.{key}", member, members.get(key))
    elif isinstance(wanted, list) and isinstance(found, list):
        ours, theirs = cast("list[Any]", wanted), cast("list[Any]", found)
        if len(ours) != len(theirs):
            raise Unexpected(f"{path}: {len(ours)} members {ours}", f"{len(theirs)} members {theirs}")
        for place, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            _compare(f"{path}.{place}", one, other)
    elif wanted != found:
        raise Unexpected(f"{path}: {wanted!r}", repr(found))
