"""What a host may leave out is not judged, and what it answers is written down."""

import asyncio
import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from lash_conformance.check import all_checks
from lash_conformance.execute import execute
from lash_conformance.host import HOST_CAPABILITIES, IN_PROCESS, CoreSpec, HostSession, OpenSpec
from lash_conformance.host_parts import PARTS, needed
from lash_conformance.target import TargetFault
from lash_conformance.targets.reference import ReferenceHost
from lash_conformance.targets.reference_session import METHODS
from lash_conformance.targets.reference_state import PURE
from lash_conformance.targets.stdio_host import StdioHost
from lash_ref.activity import TurnEvent

PAGE = (Path(__file__).parents[2] / "docs/answers.md").read_text()
USES = {
    "plugins": ("core", [CoreSpec(plugins=("counter",))]),
    "recording": ("core", [CoreSpec(journal=True)]),
    "queue": ("queued_turn", []),
    "frames": ("script", [[{"text": "a"}, {"tools": [{"id": "c1", "name": "switch_frame", "args": {}}]}]]),
    "graph": ("call", ["open_agent_frame", {}]),
    "waits": ("call", ["wait_key", {}]),
    "observation": ("subscribe", ["c"]),
    "children": ("call", ["children.turn", {}]),
    "helpers": ("pure", ["state", {}]),
}


class Plain(ReferenceHost):
    """The reference as a host that declares no part."""

    capabilities = IN_PROCESS - frozenset(PARTS)


class Batching(ReferenceHost):
    """The reference as a host whose protocol offers a tool in every session, and says so."""

    own_tools = frozenset({"brittle"})

    async def core(self, place, spec):
        return await super().core(place, replace(spec, tools=(*spec.tools, "brittle")))


class Silent(Batching):
    """The same, but nobody is told."""

    own_tools = frozenset()


@pytest.mark.parametrize(("host", "verdict"), [(Batching, "pass"), (Silent, "fail")])
@pytest.mark.parametrize("check_id", ["REG.1:advertised_tools_are_members", "BLD.13:tools_have_one_surface"])
def test_tools_of_the_protocol_are_not_judged_where_they_are_named(host, verdict, check_id):
    check = next(made for made in all_checks("host") if made.id == check_id)

    assert asyncio.run(execute(check, host())).verdict == verdict


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_known_by_a_use_of_it(part):
    assert needed(*USES[part]) == part


def test_what_every_host_has_needs_nothing():
    for method, arguments in (
        ("core", [CoreSpec()]), ("open", ["s1", OpenSpec()]), ("turn", []), ("call", ["export_state", {}]),
        ("script", [[{"text": "a", "tools": [{"id": "c1", "name": "echo", "args": {}}]}]]), ("read", ["frames"]),
    ):  # fmt: skip
        assert needed(method, arguments) is None


@pytest.mark.parametrize(
    ("check_id", "verdict", "reason"),
    [
        ("TRN.1:a_turn_adds_one_question_and_one_answer", "pass", ""),
        ("TRN.39:an_aborting_plugin_stops_a_committed_turn", "not-applicable", "not declared: plugins"),
        ("TRN.36:a_replayed_turn_runs_no_tool_again", "not-applicable", "not declared: recording"),
        ("STA.9:a_report_sums_three_ways", "not-applicable", "not declared: helpers"),
        ("FRM.4:the_turn_goes_on_in_the_new_frame", "not-applicable", "not declared: frames"),
        ("SES.2:any_life_of_a_session_goes_as_the_model_says", "not-applicable", "not declared: plugins"),
    ],
)
def test_a_check_that_uses_what_is_not_declared_does_not_apply(check_id, verdict, reason):
    (check,) = [one for one in all_checks("host") if one.id == check_id]

    result = asyncio.run(execute(check, Plain()))

    assert (result.verdict, result.reason) == (verdict, reason)


def test_a_host_that_takes_one_request_at_a_time_is_turned_away():
    """A turn that waits would keep out what it waits for."""
    line = (
        "import json,sys;json.loads(sys.stdin.readline());"
        "print(json.dumps({'jsonrpc':'2.0','id':1,'result':{'protocol':1,'edition':'2026.11','store':'sqlite',"
        "'target':{'name':'narrow','version':'1'},'capabilities':[]}}),flush=True);"
        "[print(json.dumps({'jsonrpc':'2.0','id':r['id'],'result':r['params'].get('value')}),flush=True) "
        "for r in map(json.loads,sys.stdin)]"
    )
    with pytest.raises(TargetFault, match=r"in_flight of at least 8.*it says 1"):
        StdioHost(f'{shlex.quote(sys.executable)} -c "{line}"')


def test_every_name_of_an_answer_is_on_the_page():
    union, _ = get_args(TurnEvent)
    activities = {kind.model_fields["type"].default for kind in get_args(union)}
    reads = re.findall(r"\b[a-z_]+\b", (HostSession.read.__doc__ or "").partition("``")[2].partition("``")[0])
    helpers = {*PURE, "from_environment"}
    members = {name for name in METHODS if not name.startswith(("processes.", "triggers."))}
    members -= {name for name in members if name.startswith(("abandon_", "cancel_pending_turn_inputs", "cancel_pending_turn_input_"))}
    members -= {"await_queued_work_batch", "revoke_durable_waits", "refresh_background_graph", "branch_to_node"}

    assert len(reads) == 11
    assert {name for name in (*activities, *reads, *helpers, *members) if f"`{name}" not in PAGE} == set()


def test_every_capability_is_described():
    assert set(PARTS) < set(HOST_CAPABILITIES)
