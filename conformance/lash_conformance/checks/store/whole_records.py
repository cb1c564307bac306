"""Records with every member filled, read back as they were given."""

from lash_conformance.bench import Bench, Lane
from lash_conformance.check import check
from lash_conformance.vocabulary import CONFIG, POLICY, batch, commit, loaded, message, said
from lash_ref.contracts import RuntimePersistence
from lash_ref.inputs import AttachmentItem, AttachmentRef, StoredSource, TurnInput
from lash_ref.nodes import Append
from lash_ref.records import (
    AgentFrameAssignment,
    AgentFrameRecord,
    HydratedSessionCheckpoint,
    ModelLimits,
    ModelSpec,
    PersistedTurnState,
)
from lash_ref.scalars import Json
from lash_ref.usage import PromptUsage, TokenUsage
from lash_ref.work import (
    ProcessEventCause,
    ProcessWake,
    ProcessWakeDelivery,
    ToolCallCause,
    TriggerOccurrenceCause,
)

TIME = "2026-11-21T01:02:03.123456789+05:30"
"""A moment that a column for times would change."""
CAUSE = TriggerOccurrenceCause(occurrence_id="o", subscription_id="s", subscription_incarnation="i", subscription_revision=0)


async def _again(bench: Bench, store: RuntimePersistence) -> RuntimePersistence:
    """The store, opened again where that means something: what is kept in memory may still be whole."""
    return await bench.session("s1", on=await bench.reopen()) if "durable" in bench.target.capabilities else store


@check("STO.22")
async def a_configuration_reads_back_with_all_its_fields(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """The effort, both limits and the capability."""
    limits = ModelLimits(context_window_tokens=2**53 + 1, output_token_capacity=7)
    model = ModelSpec(id="m", variant=Json({"effort": "High"}), limits=limits, capability=Json({"cache_control": "anthropic"}))
    config = CONFIG.but(provider_id="", model=model)

    await store.commit_runtime_state(commit(lane, config=config))

    assert (await loaded(await _again(bench, store))).config == config


@check("STO.22")
async def frames_read_back_with_all_their_fields(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """A superseded one and its successor, in the order given, times as they were written."""
    assignment = AgentFrameAssignment(
        policy=POLICY,
        plugin_options=Json({"plugins": {"kit": {"a": [None, 1.0]}}}),
        plugin_source="current_host_fresh",
        tool_access=Json({"hidden_tools": ["t"]}),
        usage_source="sub",
    )
    first = AgentFrameRecord(
        frame_id="f2", session_id="s1", status="superseded", created_at=TIME, assignment=assignment,
        caused_by=ToolCallCause(session_id="s1", call_id=""), execution_state_snapshot=b"",
    )  # fmt: skip
    second = first.but(frame_id="f1", previous_frame_id="f2", status="active", reason="compaction", caused_by=CAUSE)

    await store.commit_runtime_state(commit(lane, agent_frames=(first, second), current_agent_frame_id="f1"))

    assert (await loaded(await _again(bench, store))).agent_frames == (first, second)


@check("STO.52")
async def a_turn_state_reads_back_with_all_its_counters(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """Five counters, negative ones too, and five sizes of the last prompt."""
    usage = TokenUsage(
        input_tokens=-1, output_tokens=2, cache_read_input_tokens=3, cache_write_input_tokens=4, reasoning_output_tokens=5
    )
    prompt = PromptUsage(
        prompt_context_tokens=1, input_tokens=2, cache_read_input_tokens=0, cache_write_input_tokens=4, context_budget_tokens=5
    )
    state = PersistedTurnState(turn_index=2**53 + 1, token_usage=usage, last_prompt_usage=prompt)

    await store.commit_runtime_state(commit(lane, checkpoint=HydratedSessionCheckpoint(turn_state=state)))

    read = await loaded(await _again(bench, store))
    assert read.checkpoint is not None
    assert read.checkpoint.turn_state == state


@check("GRA.8")
async def nodes_read_back_with_their_times_and_causes(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """A time keeps its digits and its offset, a cause its zeros."""
    nodes = (
        message("a").but(timestamp=TIME, caused_by=CAUSE, agent_frame_id=""),
        message("b", parent="a").but(timestamp="2026-11-21T00:00:00+00:00", caused_by=ProcessEventCause(process_id="p", sequence=0)),
    )

    await store.commit_runtime_state(commit(lane, Append(nodes=nodes, leaf_node_id="b")))

    assert (await loaded(await _again(bench, store))).graph.nodes == nodes


@check("INP.10")
async def a_stored_attachment_reads_back_with_all_its_fields(bench: Bench, store: RuntimePersistence) -> None:
    """Its label, empty or not, and what is known of its type."""
    items = tuple(
        AttachmentItem(
            source=StoredSource(
                attachment_ref=AttachmentRef(
                    id="a" * 64, media_type="image/png", byte_len=2**53 + 1, label=label,
                    type_metadata=Json({"type": "image", "width": 3}),
                )
            )
        )
        for label in ("a picture", "")
    )  # fmt: skip

    await store.enqueue_pending_turn_input(said(input=TurnInput(items=items)))

    (found,) = await (await _again(bench, store)).list_pending_turn_inputs("s1")
    assert found.input.items == items


@check("QUE.1")
async def a_wake_reads_back_with_all_its_fields(bench: Bench, store: RuntimePersistence) -> None:
    """Who woke the session, why, and with what."""
    invocation = {
        "scope": {"session_id": "s"},
        "subject": {"type": "process_event", "process_id": "p", "sequence": 1, "event_type": "process.wake"},
    }
    wake = ProcessWakeDelivery(
        wake_id="w", target_session_id="s1", target_scope_id="", process_id="p", sequence=2**53 + 1, event_type="kit.rang",
        event_invocation=Json(invocation), process_caused_by=CAUSE, dedupe_key="k\u0000", input="line\r\nline", created_at_ms=0,
    )  # fmt: skip

    await store.enqueue_queued_work(batch(ProcessWake(wake=wake)))  # pyright: ignore[reportArgumentType] - a payload like the others

    (made,) = await (await _again(bench, store)).list_queued_work("s1")
    assert [item.payload for item in made.items] == [ProcessWake(wake=wake)]
