"""Records: what is admitted, and how it comes back (REC.1 to REC.14)."""

from typing import Any, cast

from lash_conformance.bench import Bench, Lane, owner, request
from lash_conformance.check import check
from lash_conformance.vocabulary import (
    CONFIG,
    batch,
    checkpoint,
    commit,
    everything,
    loaded,
    message,
    plugin_node,
    refused,
    said,
    spent,
    text_of,
    tool_state,
    turn,
    unchecked,
)
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import InvalidRecord
from lash_ref.inputs import PendingTurnInputDraft, TextItem, TurnInput
from lash_ref.lease import LeaseTimings
from lash_ref.nodes import Append, EventNode, FullGraph
from lash_ref.records import AttachmentIntent, ModelLimits, ModelSpec, RuntimeCommit, SessionMeta
from lash_ref.scalars import Json, Record
from lash_ref.work import QueuedWorkBatchDraft

TOO_BIG = 2**63


async def _append(store: RuntimePersistence, lane: Lane, node: Any) -> Any:
    await store.commit_runtime_state(commit(lane, Append(nodes=(node,), leaf_node_id=node.node_id)))
    found = (await loaded(store)).graph.nodes
    assert len(found) == 1
    return found[0]


@check("REC.1")
async def an_integer_beyond_63_bits_is_refused_by_a_commit(store: RuntimePersistence, lane: Lane) -> None:
    """In the revision, and in a checkpoint."""
    before = await everything(store)

    revision = unchecked(commit(lane), expected_head_revision=TOO_BIG)
    await refused(InvalidRecord, store.commit_runtime_state(revision))
    part = unchecked(checkpoint(), plugin_snapshot_revision=TOO_BIG)
    await refused(InvalidRecord, store.commit_runtime_state(unchecked(commit(lane), checkpoint=part)))

    assert await everything(store) == before


@check("REC.1")
async def an_integer_out_of_range_is_refused_by_the_queue(store: RuntimePersistence) -> None:
    """Beyond 63 bits, negative, and no integer at all."""
    draft = batch()

    await refused(InvalidRecord, store.enqueue_queued_work(unchecked(draft, available_at_ms=TOO_BIG)))
    await refused(InvalidRecord, store.enqueue_queued_work(unchecked(draft, available_at_ms=-1)))
    await refused(InvalidRecord, store.enqueue_queued_work(unchecked(draft, available_at_ms=1.5)))

    assert await store.list_queued_work("s1") == ()


@check("REC.1")
async def a_ttl_out_of_range_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """For a claim and a renewal; the lane is as it was."""
    await refused(InvalidRecord, store.try_claim_session_execution_lease("s2", owner(), TOO_BIG))
    await refused(InvalidRecord, store.try_claim_session_execution_lease("s2", owner(), -1))
    await refused(InvalidRecord, store.renew_session_execution_lease(lane.fence, TOO_BIG))

    assert (await store.renew_session_execution_lease(lane.fence, 60_000)).fencing_token == 1


@check("REC.1", needs=("clock",))
async def the_largest_ttl_does_not_overflow(bench: Bench, store: RuntimePersistence) -> None:
    """Now plus the largest integer is still live, and still an integer."""
    lane = await bench.lane(store, ttl=2**63 - 1)

    result = await store.commit_runtime_state(turn("t1", fence=lane))

    assert result.head_revision == 1
    assert lane.lease.expires_at_epoch_ms > bench.clock.now_ms()


@check("REC.1")
async def a_limit_out_of_range_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """A negative maximum asks for nothing sensible."""
    await store.enqueue_queued_work(batch())

    attempt = store.claim_ready_queued_work("s1", lane.fence, lane.owner, "idle", -1)

    await refused(InvalidRecord, attempt)


@check("REC.1", needs=("manifest",))
async def a_time_out_of_range_is_refused_by_the_manifest(store: RuntimePersistence) -> None:
    """In an intent and as a cutoff; the largest legal cutoff works."""
    intent = AttachmentIntent(attachment_id="a", session_id="s1", canonical_uri="u", intent_at_epoch_ms=2**62)
    await store.record_intent(intent)

    await refused(InvalidRecord, store.record_intent(unchecked(intent, intent_at_epoch_ms=TOO_BIG)))
    await refused(InvalidRecord, store.list_uncommitted(TOO_BIG))

    assert [entry.attachment_id for entry in await store.list_uncommitted(2**63 - 1)] == ["a"]


@check("REC.1")
async def the_largest_integers_read_back(store: RuntimePersistence, lane: Lane) -> None:
    """2^63-1 in a sequence-like field and in a counter."""
    most = 2**63 - 1
    part = checkpoint(most, plugin_snapshot_revision=most)

    await store.commit_runtime_state(commit(lane, checkpoint=part, usage_deltas=(spent(input_tokens=most),)))

    read = await loaded(store)
    assert read.checkpoint == part
    assert read.token_ledger[0].usage.input_tokens == most


@check("REC.2")
async def an_identifier_with_nul_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """As node id, input id, source key and session id; nothing is written."""
    before = await everything(store)

    delta = unchecked(Append(nodes=()), nodes=(unchecked(message("n"), node_id="a\0b"),))
    await refused(InvalidRecord, store.commit_runtime_state(unchecked(commit(lane), graph=delta)))
    await refused(InvalidRecord, store.enqueue_pending_turn_input(unchecked(said(), input_id="a\0b")))
    await refused(InvalidRecord, store.enqueue_queued_work(unchecked(batch(), source_key="a\0b")))
    await refused(InvalidRecord, store.try_claim_session_execution_lease("a\0b", owner(), 1000))
    await refused(InvalidRecord, store.reclaim_session_execution_lease("a\0b", owner(), lane.fence, 1000))

    assert await everything(store) == before


@check("REC.2")
async def an_identifier_with_nul_is_refused_by_every_call(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """Claims, cancels, lists, reads and removals; nobody is granted, shown or told anything."""
    bad = "s1\0"
    made = await store.enqueue_queued_work(batch())

    for attempt in (
        store.claim_leading_ready_session_command(bad, lane.fence, lane.owner),
        store.claim_ready_queued_work(bad, lane.fence, lane.owner, "idle", 1),
        store.claim_ready_queued_work_by_batch_ids(bad, lane.fence, lane.owner, "idle", (made.batch_id,)),
        store.claim_next_turn_inputs(bad, lane.fence, lane.owner, 1),
        store.claim_checkpoint_work(bad, lane.fence, lane.owner, "t1", "after_work", 1, 1),
        store.cancel_queued_work_batch(bad, made.batch_id),
        store.cancel_queued_work_batch("s1", f"{made.batch_id}\0"),
        store.list_queued_work(bad),
        store.list_pending_queued_work(bad),
        store.list_pending_turn_inputs(bad),
        store.load_node(bad),
        store.tombstone_nodes((bad,)),
        bench.factory.delete_session(bad),
        bench.factory.open_existing_store(unchecked(request(), session_id=bad)),
    ):
        await refused(InvalidRecord, attempt)

    assert await store.list_pending_queued_work("s1") == (made,)


@check("REC.2", needs=("manifest",))
async def an_identifier_with_nul_is_refused_by_the_manifest(store: RuntimePersistence) -> None:
    """Of a session or of bytes; what was recorded stays."""
    await store.record_intent(AttachmentIntent(attachment_id="a", session_id="s1", canonical_uri="u", intent_at_epoch_ms=1))

    for attempt in (
        store.commit_refs("s1\0", ("a",)),
        store.commit_refs("s1", ("a\0",)),
        store.holds_ref("s1\0", "a"),
        store.holds_ref("s1", "a\0"),
        store.has_live_ref_for_id("a\0", 2),
        store.forget("s1\0", "a"),
        store.forget("s1", "a\0"),
    ):
        await refused(InvalidRecord, attempt)

    assert await store.holds_ref("s1", "a")


@check("REC.2")
async def an_identifier_with_a_lone_surrogate_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """Half a character cannot be stored."""
    bad = "a\ud800"

    await refused(InvalidRecord, store.enqueue_pending_turn_input(unchecked(said(), source_key=bad)))
    await refused(InvalidRecord, store.list_queued_work(bad))
    await refused(InvalidRecord, store.load_node(bad))

    assert await store.list_pending_turn_inputs("s1") == ()


@check("REC.2")
async def a_session_id_with_nul_cannot_be_created(bench: Bench, store: RuntimePersistence) -> None:
    """The prefix before the NUL is another session, and stays without."""
    bad = unchecked(request("s1"), session_id="s2\0x")

    await refused(InvalidRecord, bench.factory.create_store(bad))

    assert await bench.factory.open_existing_store(request("s2")) is None


@check("REC.3")
async def nan_and_infinities_are_refused(store: RuntimePersistence, lane: Lane) -> None:
    """In a plugin's body, built around the guard that records have."""
    for_json = object.__new__(Json)
    object.__setattr__(for_json, "text", "NaN")
    bad = unchecked(plugin_node("p", 1), body=for_json)

    attempt = unchecked(commit(lane), graph=unchecked(Append(nodes=()), nodes=(bad,)))

    await refused(InvalidRecord, store.commit_runtime_state(attempt))
    assert await store.load_session(FullGraph()) is None


@check("REC.4")
async def text_reads_back_exactly(store: RuntimePersistence, lane: Lane) -> None:
    """NUL, controls, combining marks, right-to-left, astral and line separators."""
    text = "\0\x01\t\r\n e\u0301 é \u202e\u2028\u2029 \U0001f600\U0010ffff 'quotes\" \\ %s {}"
    node = message("n", text)

    found = await _append(store, lane, node)

    assert isinstance(found, EventNode)
    assert text_of(found) == text


@check("REC.4")
async def input_text_reads_back_exactly(store: RuntimePersistence) -> None:
    """The same for what a user sends and what a session is called."""
    text = "\0 e\u0301 \U0001f600 \u2028"
    made = await store.enqueue_pending_turn_input(said(text))
    meta = SessionMeta.model_validate(
        {"session_id": "s1", "session_name": text, "created_at": "t", "model": "", "relation": {"kind": "root"}}
    )
    await store.save_session_meta(meta)

    assert await store.list_pending_turn_inputs("s1") == (made,)
    assert made.input == TurnInput(items=(TextItem(text=text),))
    assert await store.load_session_meta() == meta


@check("REC.5")
async def identifiers_are_compared_exactly(store: RuntimePersistence) -> None:
    """Case, space, normalisation and length make different keys; the empty one is a key too."""
    keys = ["k", "K", " k", "k ", "é", "e\u0301", "", "k" * 5000, "k" * 5000 + "x", "0", "00"]

    made = [await store.enqueue_queued_work(batch(source_key=key)) for key in keys]

    assert len({one.batch_id for one in made}) == len(keys)
    assert [one.source_key for one in await store.list_queued_work("s1")] == keys


@check("REC.5")
async def an_empty_key_is_a_key_and_an_absent_one_is_none(store: RuntimePersistence) -> None:
    """Two drafts with the empty key are one; two without a key are two."""
    first = await store.enqueue_pending_turn_input(said(source_key=""))

    assert await store.enqueue_pending_turn_input(said(source_key="")) == first
    await store.enqueue_pending_turn_input(said())
    await store.enqueue_pending_turn_input(said())
    assert len(await store.list_pending_turn_inputs("s1")) == 3


@check("REC.6")
async def a_megabyte_reads_back_whole(store: RuntimePersistence, lane: Lane) -> None:
    """In a node, in the execution state and in an input."""
    large, state = "x" * 1_000_000 + "end", bytes(range(256)) * 4096

    node = message("n", large)
    await store.commit_runtime_state(
        commit(lane, Append(nodes=(node,)), checkpoint=checkpoint(1, execution_state=state))
    )
    await store.enqueue_pending_turn_input(said(large))

    read = await loaded(store)
    assert read.graph.nodes == (node,)
    assert read.checkpoint is not None
    assert read.checkpoint.execution_state == state
    (waiting,) = await store.list_pending_turn_inputs("s1")
    assert waiting.input == TurnInput(items=(TextItem(text=large),))


@check("REC.7")
async def opaque_values_read_back_equal(store: RuntimePersistence, lane: Lane) -> None:
    """Numbers at the edges, nulls, empty containers, odd keys and depth."""
    body: dict[str, Any] = {
        "ints": [0, -1, 2**53 + 1, 2**63 - 1, -(2**63)],
        "floats": [0.1, -0.0, 1e300, 5e-324, 1.0],
        "nothing": [None, {}, [], "", False],
        "keys": {"": 1, "$ref": 2, "__class__": 3, "é": 4},
        "deep": [[[[[[[[[[{"k": [1]}]]]]]]]]]],
    }

    found = await _append(store, lane, plugin_node("p", body))

    assert found.body == Json(body)
    assert [type(number) for number in found.body.value["floats"]] == [float] * 5


@check("REC.7")
async def a_bare_null_is_a_body(store: RuntimePersistence, lane: Lane) -> None:
    """Null, a string and a number are JSON values as good as any."""
    nodes = tuple(plugin_node(f"p{n}", body) for n, body in enumerate([None, "text", 0, False, []]))

    await store.commit_runtime_state(commit(lane, Append(nodes=nodes)))

    assert (await loaded(store)).graph.nodes == nodes


@check("REC.8")
async def a_caller_cannot_change_what_it_handed_over(store: RuntimePersistence, lane: Lane) -> None:
    """A list of ids and a buffer of bytes are changed after the call."""
    buffer = bytearray(b"state")
    part = unchecked(checkpoint(1), execution_state=buffer)
    nodes = [message("a")]
    delta = unchecked(Append(nodes=()), nodes=nodes)
    await store.commit_runtime_state(unchecked(commit(lane), checkpoint=part, graph=delta))

    buffer[:] = b"wrong"
    nodes.append(message("b"))

    read = await loaded(store)
    assert read.checkpoint is not None
    assert read.checkpoint.execution_state == b"state"
    assert read.graph.nodes == (message("a"),)


def _tampered(answer: Any) -> None:
    """Empty every container inside an answer that can be changed; a sound answer has none."""
    match answer:
        case list() | dict() | set() | bytearray():
            cast("list[Any]", answer).clear()
        case tuple():
            for member in cast("tuple[Any, ...]", answer):
                _tampered(member)
        case Record():
            for name in type(answer).model_fields:
                _tampered(getattr(answer, name))
        case Json():
            _tampered(answer.value)
        case _:
            return


@check("REC.9")
async def a_caller_cannot_change_what_it_was_answered(store: RuntimePersistence, lane: Lane) -> None:
    """Whatever can be emptied in the answers is emptied; the next answers are whole."""
    part = checkpoint(1, execution_state=b"state", tool_state=tool_state(1))
    await store.commit_runtime_state(turn("t1", fence=lane, says="as said", checkpoint=part))
    made = await store.enqueue_queued_work(batch(source_key="k"))
    waiting = await store.enqueue_pending_turn_input(said())

    _tampered(await loaded(store))
    _tampered((made, waiting, await store.load_node("as said")))
    _tampered(await store.list_queued_work("s1"))
    _tampered(await store.list_pending_turn_inputs("s1"))

    again = await loaded(store)
    assert again.graph.nodes == (message("as said"),)
    assert again.checkpoint is not None
    assert (again.checkpoint.execution_state, again.checkpoint.tool_state) == (b"state", tool_state(1))
    assert await store.list_queued_work("s1") == (made,)
    assert await store.list_pending_turn_inputs("s1") == (waiting,)


class Codec:
    """How records are written and read; a target that has its own puts it in ``codec``."""

    def write(self, record: Record) -> dict[str, Any]:
        """A record as JSON data."""
        return record.to_data()

    def read(self, kind: type[Record], data: object) -> Record:
        """JSON data as a record."""
        return kind.from_data(data)


def codec_of(bench: Bench) -> Codec:
    return cast("Codec", getattr(bench.target, "codec", Codec)())


@check("REC.10")
async def records_are_written_with_the_contracts_names(bench: Bench) -> None:
    """A commit and a draft, as JSON, against the text of the contract."""
    made = codec_of(bench).write(commit(None, Append(nodes=(message("n", "hi"),), leaf_node_id="n")))
    draft = codec_of(bench).write(batch(source_key="k"))

    assert made["graph"]["Append"]["leaf_node_id"] == "n"
    assert made["graph"]["Append"]["nodes"][0]["kind"] == "event"
    assert "expected_head_revision" not in made
    assert made["config"] == {
        "provider_id": "prov",
        "model": {
            "id": "m-1",
            "variant": "provider_default",
            "limits": {"context_window_tokens": 8000},
        },
    }
    assert draft == {
        "session_id": "s1", "source_key": "k", "delivery_policy": "earliest_safe_boundary",
        "slot_policy": "exclusive", "merge_key": "never", "available_at_ms": 0,
        "payloads": [{"type": "agent_frame_task", "frame_id": "f1", "task": "work"}],
    }  # fmt: skip


@check("REC.11")
async def a_model_spec_with_an_unknown_key_is_refused(bench: Bench) -> None:
    """A misspelt limit is no limit."""
    spec = {"id": "m", "limits": {"context_window_tokens": 1}, "contxt": 2}
    limits = {"context_window_tokens": 1, "output_tokens": 2}
    found: list[str] = []
    for kind, data in ((ModelSpec, spec), (ModelLimits, limits)):
        try:
            codec_of(bench).read(kind, data)
        except InvalidRecord as err:
            found.append(str(err.fields["field"]))

    assert found == ["contxt", "output_tokens"]


@check("REC.12")
async def unknown_keys_of_other_records_are_ignored(bench: Bench) -> None:
    """A newer peer says more; the store takes what it knows."""
    data = batch(source_key="k").to_data() | {"priority": 9}

    assert codec_of(bench).read(QueuedWorkBatchDraft, data) == batch(source_key="k")


@check("REC.13")
async def a_missing_optional_reads_as_its_default(
    bench: Bench, store: RuntimePersistence, lane: Lane
) -> None:
    """An older peer says less."""
    data: dict[str, Any] = {
        "session_id": "s1", "session_execution_lease": lane.fence.to_data(), "config": CONFIG.to_data(),
        "graph": {"Unchanged": {}},
    }  # fmt: skip
    draft: dict[str, Any] = {"session_id": "s1", "ingress": {"scope": "active_turn", "turn_id": "t1"}, "input": {"items": []}}

    commit_read = cast("RuntimeCommit", codec_of(bench).read(RuntimeCommit, data))
    draft_read = cast("PendingTurnInputDraft", codec_of(bench).read(PendingTurnInputDraft, draft))
    result = await store.commit_runtime_state(commit_read)
    made = await store.enqueue_pending_turn_input(draft_read)

    assert (result.head_revision, result.enqueued_queue_batches) == (1, ())
    assert made.ingress.to_data() == {"scope": "active_turn", "turn_id": "t1", "min_boundary": "after_work"}


@check("REC.14")
async def lease_timings_leave_room_for_three_renewals(bench: Bench) -> None:
    """The defaults do; a ttl of less than three intervals, and zeros, are refused."""
    found: list[str] = []
    for ttl, renew in ((30_000, 10_000), (29_999, 10_000), (0, 0), (3, 1), (1, 0)):
        try:
            codec_of(bench).read(LeaseTimings, {"ttl_ms": ttl, "renew_interval_ms": renew})
            found.append("admitted")
        except InvalidRecord:
            found.append("refused")

    assert found == ["admitted", "refused", "refused", "admitted", "refused"]
    assert LeaseTimings() == LeaseTimings(ttl_ms=30_000, renew_interval_ms=10_000)
