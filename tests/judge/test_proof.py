"""The suite proves itself: every rule has a broken store that its own check kills, and nothing passes on nothing."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from lash_conformance import kill, selftest
from lash_conformance.catalogue import PROFILES
from lash_conformance.check import all_checks
from lash_conformance.execute import execute, inapplicable
from lash_conformance.targets import hostile
from lash_conformance.targets.lacking import lacking

STORE = tuple(area for area in PROFILES["store"] if area != "WIR")
LATE = ("PRV", "RLM", "RPL")
OUTSIDE = ("HST",)
GROUPS = {
    "stores": STORE,
    "the wire": ("WIR",),
    "hosts": tuple(area for area in PROFILES["host"] if area not in LATE + OUTSIDE),
    "hosts behind the wire": OUTSIDE,
    "providers and cells": LATE,
}
"""Areas whose checks cite nothing outside the group, so that the groups can be proven side by side."""


def test_no_check_cites_two_groups():
    """Else a check could look weak in one and not in the other."""
    of = {area: group for group, areas in GROUPS.items() for area in areas}

    mixed = [check.id for check in all_checks() if len({of[clause[:3]] for clause in check.clauses}) > 1]

    assert mixed == []
    assert set(of) >= {clause[:3] for check in all_checks() for clause in check.clauses}


@pytest.mark.long(200)
@pytest.mark.parametrize("group", [group for group in GROUPS if group != "hosts"])
def test_every_must_has_a_broken_implementation_that_its_check_kills(group: str):
    """And the unbroken one passes the same checks; hosts are proven beside the rest of their judge."""
    areas = GROUPS[group]
    table = kill.run_sync(lambda clause: clause[:3] in areas, lambda one: None, searches=False, crashes=False)

    assert [(one.clause, one.mutant.name) for one in table.kills if not one.killed] == []
    assert [(result.check.id, result.reason) for result in table.baseline] == []
    assert table.unproven == []
    assert table.weak == [], "each check kills a broken store of its own"
    assert table.holds


@pytest.mark.long(200)
@pytest.mark.filterwarnings("ignore:coroutine.*never awaited:RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_no_must_passes_on_nothing():
    """On a store that answers none, echoes, agrees or refuses."""
    made = selftest.SelfTest()
    asyncio.run(selftest.null_score(made))

    assert made.null_passes == {}
    assert made.null_runs > 1000


@pytest.mark.long(200)
def test_hostile_targets_get_their_verdict():
    """Each within the bound, as an error, with exit 1; side by side, for they wait more than they work."""
    with ThreadPoolExecutor(max_workers=4) as pool:
        told = dict(zip(hostile.DRILL, pool.map(selftest.drill, hostile.DRILL), strict=True))

    assert {name: line for name, line in told.items() if not line.startswith("ok")} == {}


def test_a_store_that_honestly_lacks_capabilities_passes():
    """Each undeclared side is judged on a store that lacks it."""
    target = lacking("durable", "manifest", "gc", "active_path", "process_liveness")
    judged = [check for check in all_checks() if check.without and not inapplicable(check, target)]

    results = [asyncio.run(execute(check, target)) for check in judged]

    assert {check.clauses[0] for check in judged} == {"GRA.34", "LEA.24", "MNT.11", "ATT.18"}
    assert [(r.check.id, r.reason) for r in results if r.verdict != "pass"] == []
