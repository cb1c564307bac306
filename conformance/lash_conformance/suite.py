"""The whole store suite as one parametrised pytest function, for the judge and for your own suite.

In your own tests: ``from lash_conformance.suite import test_store_conforms`` and one fixture,
``store_target``, that returns a `StoreTarget` or an async callable that opens a place.
"""

import asyncio
import json
from dataclasses import asdict
from typing import Any, cast

import pytest

from lash_conformance.check import Check, Kind, all_checks
from lash_conformance.execute import DEADLINE_S, Result, execute
from lash_conformance.host import HostTarget
from lash_conformance.target import StoreTarget

PROPERTY = "lash-conformance"
"""Key of the pytest user property that carries a check's result."""

PATIENCE: dict[Kind, int] = {"example": 1, "race": 2, "machine": 30, "crash": 30}
"""How many times as long as an example a check of that kind may take."""


def flat(result: Result) -> dict[str, Any]:
    """The result as JSON data, the check by its id."""
    return {"id": result.check.id} | {k: v for k, v in asdict(result).items() if k != "check"}


@pytest.mark.parametrize("check", [pytest.param(made, id=made.id) for made in all_checks("store")])
def test_store_conforms(
    check: Check, store_target: StoreTarget, request: pytest.FixtureRequest
) -> None:
    """The target passes the check, or the check does not apply to it."""
    conforms(check, store_target, request)


def conforms(check: Check, target: StoreTarget | HostTarget, request: pytest.FixtureRequest) -> None:
    """Run one check inside pytest: skip when it does not apply, fail with what an implementer needs."""
    deadline = PATIENCE[check.kind] * float(cast("str", request.config.getoption("lash_deadline", DEADLINE_S)))
    given = cast("str | None", request.config.getoption("lash_target", None)) or ""
    result = asyncio.run(execute(check, target, deadline, given))
    request.node.user_properties.append((PROPERTY, json.dumps(flat(result))))
    if result.verdict == "not-applicable":
        pytest.skip(result.reason)
    if result.verdict != "pass":
        pytest.fail("\n".join(told(result)), pytrace=False)


def told(result: Result) -> list[str]:
    """A failure as an implementer reads it."""
    from lash_conformance.catalogue import clauses

    check = result.check
    known = clauses()
    lines = [f"{result.verdict.upper()} {check.clauses[0]}  {check.name}"]
    lines += [f"  rule     {known[c].rule}" for c in check.clauses[:1] if c in known]
    if result.expected:
        lines.append(f"  expected {result.expected}")
    lines.append(f"  found    {result.found or result.reason}")
    if result.where:
        lines.append(f"  at       {result.where}")
    for number, step in enumerate(result.lines[-12:], start=max(1, len(result.lines) - 11)):
        lines.append(f"  {'trace   ' if number == max(1, len(result.lines) - 11) else ' ' * 8} {number} {step}")
    lines.append(f"  rerun    lash-conformance run --profile {check.profile} --select '{check.id}' --target …")
    return lines
