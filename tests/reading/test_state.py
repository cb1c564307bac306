"""Session state: the helpers of the seeds, one by one."""

import pytest

from lash_ref.errors import InvalidRecord
from lash_ref.frames import ensure_frame, open_agent_frame
from lash_ref.graph import SessionGraph
from lash_ref.messages import text_message
from lash_ref.nodes import GraphSnapshot, ReplaceFull
from lash_ref.persisted import (
    AppendEvent,
    AppendMessage,
    AppendPlugin,
    append_session_nodes_to_state,
    apply_residency_on_load,
    apply_session_checkpoint,
    apply_session_head,
    normalize_session_graph,
    persisted_state_commit,
)
from lash_ref.plugin_events import PluginMessage
from lash_ref.policy import (
    LegacySessionConfig,
    Residency,
    SessionPolicy,
    SessionSpec,
    apply_persisted_session_config,
)
from lash_ref.records import (
    HydratedSessionCheckpoint,
    ModelSpec,
    PersistedSessionConfig,
    PersistedSessionRead,
    PersistedTurnState,
    RuntimeCommitResult,
    SessionCheckpoint,
)
from lash_ref.runtime_errors import StaleBranch
from lash_ref.scalars import Json
from lash_ref.snapshots import PluginSessionSnapshot
from lash_ref.state import PersistedSessionState, SessionEnvelope, SessionSnapshot, SessionStateEnvelope
from lash_ref.tool_results import Done, ToolCallRecord
from lash_ref.tool_state import ToolState
from lash_ref.usage import (
    SessionUsageReport,
    TokenLedgerEntry,
    TokenUsage,
    UsageDecreased,
    usage_entries_diff,
)

T = "2026-11-28T00:00:00.000Z"
MODEL = ModelSpec.from_token_limits("m", None, 1000)
POLICY = SessionPolicy(provider_id="p", model=MODEL)


def state(*texts):
    made = PersistedSessionState(policy=POLICY)
    for n, text in enumerate(texts):
        made.session_graph.append_message(text_message(f"m{n}", "User", text), timestamp=T)
    return made


def call(name):
    return ToolCallRecord(call_id=name, tool=name, args=Json({}), output=Done.ok(1).output, duration_ms=1)


def test_defaults_are_root_and_json_round_trips():
    assert (SessionStateEnvelope().session_id, PersistedSessionState().session_id) == ("root", "root")
    full = state("hi")
    full.head_revision, full.graph_replace_required, full.tool_state_ref = 3, True, "ref"
    full.token_ledger = (TokenLedgerEntry(source="turn", model="m", usage=TokenUsage(input_tokens=1)),)
    snapshot = full.to_snapshot()
    assert "head_revision" not in snapshot.to_data()
    assert "graph_replace_required" not in snapshot.to_data()
    assert "token_ledger" not in state().to_snapshot().to_data()
    back = PersistedSessionState.from_snapshot(SessionSnapshot.from_json(snapshot.to_json()))
    assert back.to_snapshot() == snapshot
    envelope = full.export_state()
    assert SessionStateEnvelope.from_envelope(SessionEnvelope.from_json(envelope.envelope().to_json())).read_view() == envelope.read_view()


def test_from_state_clears_what_an_envelope_lacks_and_apply_keeps_it():
    full = state("hi")
    full.tool_state_ref, full.head_revision = "ref", 4
    made = PersistedSessionState.from_state(full.export_state())
    assert (made.tool_state_ref, made.head_revision, made.token_ledger) == (None, None, ())
    other = full.export_state()
    other.turn_index = 9
    full.apply_exported_state(other)
    assert (full.turn_index, full.tool_state_ref, full.head_revision) == (9, "ref", 4)


def test_read_state_is_replaced_by_a_fork_and_appended_by_delta():
    made = state("a", "b")
    made.graph_replace_required = True
    made.replace_active_read_state(
        [text_message("m0", "User", "a"), text_message("x", "User", "c")], [call("one")], timestamp=T
    )
    assert [m.text for m in made.read_model().messages] == ["a", "c"]
    assert (made.session_graph.find_node("m1") is not None, made.graph_replace_required) == (True, False)
    assert [c.tool for c in made.read_view().tool_calls] == ["one"]
    hidden = text_message("h", "User", "hidden", Json({"kind": "plugin", "plugin_id": "p", "transient": True}))
    made.append_active_read_delta([text_message("x", "User", "c"), hidden], [call("one"), call("two")], timestamp=T)
    assert [m.text for m in made.read_model().messages] == ["a", "c"]
    assert [c.tool for c in made.read_view().tool_calls] == ["one", "two"]
    made.replace_active_tool_calls([call("two")], timestamp=T)
    assert [c.tool for c in made.read_view().tool_calls] == ["two"]


def test_a_commit_result_clears_bodies_and_the_flag():
    made = state("hi")
    made.set_execution_state_snapshot(b"x")
    made.graph_replace_required = True
    made.tool_state_generation = 4
    manifest = SessionCheckpoint(turn_state=PersistedTurnState(), execution_state_ref="e", plugin_snapshot_revision=7)
    made.apply_persisted_commit_result(RuntimeCommitResult(head_revision=2, checkpoint_ref="c", manifest=manifest))
    assert (made.head_revision, made.checkpoint_ref, made.execution_state_ref) == (2, "c", "e")
    assert (made.tool_state_generation, made.plugin_snapshot_revision) == (None, 7)
    assert (made.execution_state_snapshot, made.graph_replace_required) == (None, False)
    made.set_execution_state_snapshot(None)
    assert made.execution_state_ref is None


def test_head_and_checkpoint_are_taken_over_and_a_missing_one_clears_parts_only():
    made = state("old")
    read = PersistedSessionRead(
        session_id="s",
        head_revision=5,
        config=PersistedSessionConfig(provider_id="q", model=MODEL),
        graph=GraphSnapshot(nodes=state("new").session_graph.nodes, leaf_node_id="m0"),
        checkpoint_ref="c",
    )
    apply_session_head(made, read)
    turn = PersistedTurnState(turn_index=3)
    apply_session_checkpoint(made, HydratedSessionCheckpoint(turn_state=turn, plugin_snapshot_ref="p"))
    assert (made.session_id, made.head_revision, made.policy.provider_id) == ("s", 5, "q")
    assert (made.turn_state(), made.plugin_snapshot_ref) == (turn, "p")
    apply_session_checkpoint(made, None)
    assert (made.turn_index, made.plugin_snapshot_ref, made.head_revision) == (3, None, 5)


def test_appended_nodes_are_chained_named_and_fenced():
    made = state("hi")
    nodes = [
        AppendMessage(message=PluginMessage(role="System", content="note")),
        AppendMessage(message=PluginMessage(id="own", role="User", content="mine")),
        AppendEvent(event=Json({"e": 1})),
        AppendPlugin(plugin_type="x", body=Json({"b": 1})),
    ]
    ids = append_session_nodes_to_state(made, nodes, timestamp=T)
    assert [i.partition(":")[0] for i in ids] == ["message", "own", "protocol", "plugin"]
    assert [n.node_id for n in made.session_graph.active_path_nodes()] == ["m0", *ids]
    with pytest.raises(StaleBranch):
        append_session_nodes_to_state(made, nodes, timestamp=T, requires_ancestor="gone")


def test_a_dangling_leaf_heals_before_any_trim():
    made = state("a", "b")
    made.session_graph.leaf_node_id = "lost"
    normalize_session_graph(made)
    assert (made.session_graph.leaf_node_id, made.graph_replace_required) == ("m1", True)
    apply_residency_on_load(made, Residency.ACTIVE_PATH_ONLY)
    assert isinstance(persisted_state_commit(made).graph, ReplaceFull)
    branched = state("a", "b")
    branched.session_graph.committed()
    branched.session_graph.leaf_node_id = "m0"
    apply_residency_on_load(branched, Residency.KEEP_ALL)
    assert len(branched.session_graph.nodes) == 2
    apply_residency_on_load(branched, Residency.ACTIVE_PATH_ONLY)
    assert len(branched.session_graph.nodes) == 1


def test_configurations_new_and_old():
    new = apply_persisted_session_config(POLICY, PersistedSessionConfig(provider_id="z", model=MODEL))
    assert new.provider_id == "z"
    kept = apply_persisted_session_config(POLICY, LegacySessionConfig())
    assert (kept.model_id, kept.max_context_tokens) == ("m", 1000)
    old = apply_persisted_session_config(POLICY, LegacySessionConfig(configured_model="n", context_window=5, model_variant="high"))
    assert (old.model_id, old.max_context_tokens) == ("n", 5)
    assert SessionPolicy().is_unconfigured
    with pytest.raises(InvalidRecord):
        SessionPolicy.from_data({"provider": {"kind": "x"}})
    assert SessionSpec.inherit().resolve_against(POLICY) == POLICY
    spec = SessionSpec(max_turns=None, provider_id="other")
    assert spec.resolve_against(POLICY.but(max_turns=3)) == POLICY.but(provider_id="other")


def test_a_stamped_state_carries_its_bodies_to_the_next_commit():
    made = state("hi")
    made.policy = POLICY
    made.stamp_runtime_state(ToolState(generation=3), PluginSessionSnapshot())
    checkpoint = persisted_state_commit(made).checkpoint
    assert (made.tool_state_generation, checkpoint.tool_state) == (3, Json({"generation": 3, "tools": {}}))
    assert checkpoint.plugin_snapshot == Json({"plugins": {}})


def test_frames_rotate_and_read_their_own_messages():
    made = state("before")
    ensure_frame(made, timestamp=T)
    assert made.current_agent_frame_id == "root:frame:initial"
    assert open_agent_frame(made, "f2", "continue_as", timestamp=T)
    assert not open_agent_frame(made, "f2", "again", timestamp=T)
    assert not open_agent_frame(made, " ", "blank", timestamp=T)
    made.session_graph.append_message(text_message("n", "User", "after"), timestamp=T)
    assert [m.text for m in made.read_view().messages] == ["after"]
    assert [(f.frame_id, f.status, f.previous_frame_id) for f in made.agent_frames] == [
        ("root:frame:initial", "superseded", None),
        ("f2", "active", "root:frame:initial"),
    ]


def test_rollback_takes_back_everything():
    made = state("a")
    made.session_graph.committed()
    point = made.savepoint()
    made.turn_index = 8
    made.session_graph.append_message(text_message("z", "User", "z"), timestamp=T)
    made.rollback(point)
    assert (made.turn_index, [m.text for m in made.read_model().messages]) == (0, ["a"])
    made.session_graph.append_message(text_message("z", "User", "again"), timestamp=T)
    assert [m.text for m in made.read_model().messages] == ["a", "again"]


def test_usage_is_summed_and_differences_do_not_shrink():
    def entry(source, model, tokens):
        return TokenLedgerEntry(source=source, model=model, usage=TokenUsage(input_tokens=tokens))

    entries = [entry("b", "m", 1), entry("a", "m", 2), entry("a", "n", 3), entry("a", "m", 4), entry("z", "m", 0)]
    report = SessionUsageReport.from_entries(entries)
    assert (report.entry_count, report.total_tokens) == (3, 10)
    assert [(s.source, s.total_tokens) for s in report.by_source] == [("a", 9), ("b", 1)]
    assert [(s.model, s.total_tokens) for s in report.by_model] == [("m", 7), ("n", 3)]
    assert usage_entries_diff([entry("a", "m", 2)], [entry("a", "m", 5)]) == (entry("a", "m", 3),)
    with pytest.raises(UsageDecreased):
        usage_entries_diff([entry("a", "m", 2)], [])


def test_an_empty_graph_can_be_read():
    assert SessionGraph().read_model().messages == ()
