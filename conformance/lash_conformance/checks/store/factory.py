"""The store factory (FAC)."""

import re
from datetime import datetime

from lash_conformance.bench import Bench, Lane, owner, request
from lash_conformance.check import check
from lash_conformance.vocabulary import (
    batch,
    checkpoint,
    commit,
    ids,
    loaded,
    message,
    refused,
    said,
    spent,
    stamp,
    task,
    tool_state,
    turn,
)
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import SessionExecutionLeaseExpired, UnreadableRecord
from lash_ref.nodes import Append, FullGraph
from lash_ref.records import AttachmentIntent, ChildSession, ModelLimits, ModelSpec, SessionPolicy

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def _intent(session_id: str, attachment_id: str = "a1", at: int = 100) -> AttachmentIntent:
    return AttachmentIntent(
        attachment_id=attachment_id, session_id=session_id, canonical_uri="u", intent_at_epoch_ms=at
    )


@check("FAC.1", "FAC.14")
async def factory_and_stores_report_one_tier(bench: Bench, store: RuntimePersistence) -> None:
    """And it is the one that the capabilities say."""
    declared = "durable" if "durable" in bench.target.capabilities else "inline"

    assert await bench.factory.durability_tier() == declared
    assert await store.durability_tier() == declared
    assert await store.load_session_meta() is not None


@check("FAC.2")
async def an_unknown_session_opens_as_none(bench: Bench, store: RuntimePersistence) -> None:
    """Also beside one that exists, and asking does not create it."""
    assert await bench.factory.open_existing_store(request("s2")) is None
    assert await bench.factory.open_existing_store(request("s2")) is None


@check("FAC.3")
async def a_new_sessions_meta_is_seeded(bench: Bench) -> None:
    """Name, model, relation and a creation time."""
    relation = ChildSession(parent_session_id="p1")
    model = ModelSpec(id="m-9", limits=ModelLimits(context_window_tokens=9))

    made = await bench.session("s1", relation=relation, policy=SessionPolicy(model=model))

    meta = await made.load_session_meta()
    assert meta is not None
    assert (meta.session_id, meta.session_name, meta.model, meta.relation) == ("s1", "s1", "m-9", relation)
    assert meta.created_at != ""


@check("FAC.18")
async def a_new_session_is_dated_by_the_stores_clock(bench: Bench, store: RuntimePersistence) -> None:
    """To the second at least, with its offset."""
    meta = await store.load_session_meta()

    assert meta is not None
    assert RFC3339.fullmatch(meta.created_at), meta.created_at
    moment = datetime.fromisoformat(meta.created_at).timestamp()
    assert not bench.virtual or abs(moment - bench.clock.now_ms() / 1000) < 1


@check("FAC.4")
async def creating_an_existing_session_keeps_everything(
    bench: Bench, store: RuntimePersistence, lane: Lane
) -> None:
    """Meta and data are those of the first creation."""
    await store.commit_runtime_state(turn("t1", fence=lane))
    meta = await store.load_session_meta()

    again = await bench.session("s1", relation=ChildSession(parent_session_id="p1"))

    assert await again.load_session_meta() == meta
    assert ids((await loaded(again)).graph) == ["t1"]


@check("FAC.4")
async def an_existing_session_is_opened(bench: Bench, store: RuntimePersistence) -> None:
    """Created, never run, and found."""
    await store.enqueue_queued_work(batch())

    opened = await bench.factory.open_existing_store(request())

    assert opened is not None
    assert len(await opened.list_queued_work("s1")) == 1


@check("FAC.5", "FAC.6")
async def a_deleted_session_opens_as_none(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """Deleting again, or deleting what never was, is harmless."""
    await store.commit_runtime_state(turn("t1", fence=lane))

    await bench.factory.delete_session("s1")
    await bench.factory.delete_session("s1")
    await bench.factory.delete_session("never")

    assert await bench.factory.open_existing_store(request()) is None


@check("FAC.7")
async def a_session_created_again_starts_empty(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """No head, work, input, stamp, ledger, ref or lease of the old one."""
    await store.commit_runtime_state(turn("t1", fence=lane, usage_deltas=(spent(input_tokens=5),)))
    await store.enqueue_queued_work(batch(source_key="k"))
    await store.enqueue_pending_turn_input(said(input_id="i1", source_key="k"))
    await store.record_intent(_intent("s1"))

    await bench.factory.delete_session("s1")
    fresh = await bench.session()

    assert await fresh.load_session(FullGraph()) is None
    assert await fresh.load_node("t1") is None
    assert await fresh.list_queued_work("s1") == ()
    assert await fresh.list_pending_turn_inputs("s1") == ()
    again = await bench.lane(fresh, by=owner("b"))
    assert again.lease.fencing_token == 1
    await fresh.enqueue_pending_turn_input(said(input_id="i1", source_key="k"))
    result = await fresh.commit_runtime_state(turn("t1", fence=again, expects=0))
    assert result.head_revision == 1
    assert (await loaded(fresh)).token_ledger == ()


@check("LEA.28", "FAC.7")
async def a_lease_of_a_deleted_session_is_worth_nothing_in_its_next_life(
    bench: Bench, store: RuntimePersistence, lane: Lane
) -> None:
    """A millisecond on, the same owner claims the lane of the session made anew; by the old fence nothing is renewed, claimed or committed."""
    old = lane.fence
    await bench.factory.delete_session("s1")
    await bench.pass_time(1)
    fresh = await bench.session()
    again = await bench.lane(fresh)
    await fresh.enqueue_queued_work(batch())

    assert again.fence.lease_token != old.lease_token
    await refused(SessionExecutionLeaseExpired, fresh.renew_session_execution_lease(old, 1000))
    await refused(SessionExecutionLeaseExpired, fresh.claim_ready_queued_work("s1", old, lane.owner, "idle", 1))
    await refused(SessionExecutionLeaseExpired, fresh.commit_runtime_state(turn("t1", fence=old)))
    assert await fresh.load_session(FullGraph()) is None


@check("FAC.7")
async def a_session_created_again_has_meta_of_its_own(bench: Bench, store: RuntimePersistence) -> None:
    """The old name is forgotten."""
    meta = await store.load_session_meta()
    assert meta is not None
    await store.save_session_meta(meta.but(session_name="old name"))

    await bench.factory.delete_session("s1")

    renewed = await (await bench.session()).load_session_meta()
    assert renewed is not None
    assert renewed.session_name == "s1"


@check("FAC.8")
async def deleting_a_session_leaves_similar_ids_alone(bench: Bench) -> None:
    """A prefix, a longer id, and wildcards of other trades."""
    names = ("s", "s1", "s11", "s%", "s_", "s*")
    for name in names:
        made = await bench.session(name)
        await made.enqueue_queued_work(batch(session_id=name))

    await bench.factory.delete_session("s1")
    await bench.factory.delete_session("s%")

    found = [name for name in names if await bench.factory.open_existing_store(request(name)) is not None]
    assert found == ["s", "s11", "s_", "s*"]
    listed = [len(await (await bench.session(name)).list_queued_work(name)) for name in found]
    assert listed == [1, 1, 1, 1]


@check("FAC.9", needs=("manifest",))
async def deleting_a_session_frees_its_attachments(bench: Bench, store: RuntimePersistence) -> None:
    """Its ref is gone; the other session's stays."""
    other = await bench.session("s2")
    await store.record_intent(_intent("s1", "mine"))
    await store.commit_refs("s1", ["mine"])
    await other.record_intent(_intent("s2", "theirs"))
    await other.commit_refs("s2", ["theirs"])

    await bench.factory.delete_session("s1")

    assert await bench.factory.live_attachment_refs(2**62) == frozenset({"theirs"})
    assert not await bench.factory.has_live_attachment_ref("mine", 2**62)


@check("FAC.10", needs=("manifest",))
async def roots_cover_every_session_and_forget_the_dead(bench: Bench, store: RuntimePersistence) -> None:
    """Two sessions' refs; an aged intent without an owner is none."""
    other = await bench.session("s2")
    await store.record_intent(_intent("s1", "dead", 100))
    await store.record_intent(_intent("s1", "young", 300))
    await other.record_intent(_intent("s2", "kept", 100))
    await other.commit_refs("s2", ["kept"])
    assert await bench.factory.has_live_attachment_ref("kept", 200)
    assert not await bench.factory.has_live_attachment_ref("dead", 200)

    assert await bench.factory.live_attachment_refs(200) == frozenset({"young", "kept"})

    assert not await store.holds_ref("s1", "dead")


@check("FAC.11")
async def ids_that_differ_in_any_character_are_different_sessions(bench: Bench) -> None:
    """Case, path characters, spaces, dots, and forms that look alike."""
    names = ("A", "a", "a/b", "a\\b", "../a", ".", " a", "a ", "é", "e\u0301", "a:b", "a\nb", "")
    for name in names:
        made = await bench.session(name)
        await made.enqueue_queued_work(batch(session_id=name, source_key=f"of {name}"))

    found: list[list[str | None]] = []
    for name in names:
        made = await bench.session(name)
        found.append([one.source_key for one in await made.list_queued_work(name)])

    assert found == [[f"of {name}"] for name in names]


@check("FAC.11", "FAC.8", "GRA.5", "STO.37", "INP.3", "QUE.4")
async def equal_names_in_two_sessions_do_not_meet(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """Nodes, turns, keys, inputs and parts of one name are each session's own, and hiding or sweeping one leaves the other."""
    other = await bench.session("s2")
    lanes = {"s1": lane, "s2": await bench.lane(other, "s2")}
    for name, mine in (("s1", store), ("s2", other)):
        made = turn(
            "t",
            fence=lanes[name],
            says="n",
            session_id=name,
            checkpoint=checkpoint(1, tool_state=tool_state(1)),
            enqueued_queue_batches=(batch(task(name), session_id=name, source_key="k"),),
        ).but(turn_commit=stamp("t", f"hash of {name}", name))
        assert (await mine.commit_runtime_state(made)).head_revision == 1
        await mine.enqueue_pending_turn_input(said(f"to {name}", session_id=name, input_id="i", source_key="k"))

    await other.tombstone_nodes(["n"])
    await other.cancel_pending_turn_input("s2", "i")

    read = await loaded(store)
    assert ids(read.graph) == ["n"]
    assert read.checkpoint is not None
    assert read.checkpoint.tool_state == tool_state(1)
    assert [one.items[0].payload for one in await store.list_queued_work("s1")] == [task("s1")]
    assert [one.input for one in await store.list_pending_turn_inputs("s1")] == [said("to s1").input]
    assert ids((await loaded(other)).graph) == []
    await store.tombstone_nodes(["n"])
    assert (await other.vacuum()).removed_node_count == 1
    assert (await store.vacuum()).removed_node_count == 1


@check("FAC.11", "MNT.4")
async def an_append_leaves_the_hidden_node_of_another_session_to_its_vacuum(
    bench: Bench, store: RuntimePersistence, lane: Lane
) -> None:
    """Of one id in both sessions, hidden in one and appended in the other."""
    other = await bench.session("s2")
    delta = Append(nodes=(message("n"),), leaf_node_id="n")
    await other.commit_runtime_state(commit(await bench.lane(other, "s2"), delta, session_id="s2"))
    await other.tombstone_nodes(["n"])

    await store.commit_runtime_state(commit(lane, delta))

    assert (await other.vacuum()).removed_node_count == 1
    assert ids((await loaded(store)).graph) == ["n"]


@check("FAC.12", needs=("durable",))
async def a_created_session_is_found_after_reopening(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """With its head, nodes and ledger."""
    await store.commit_runtime_state(turn("t1", fence=lane, usage_deltas=(spent(input_tokens=2),)))
    before = await loaded(store)

    factory = await bench.reopen()

    opened = await factory.open_existing_store(request())
    assert opened is not None
    assert await loaded(opened) == before


@check("FAC.12", needs=("durable",))
async def a_deleted_session_stays_deleted_after_reopening(bench: Bench, store: RuntimePersistence) -> None:
    """Deletion is as durable as creation."""
    await bench.factory.delete_session("s1")

    factory = await bench.reopen()

    assert await factory.open_existing_store(request()) is None


@check("FAC.13", needs=("manifest",), damage=("attachment_intent",))
async def unreadable_manifest_rows_fail_the_roots(bench: Bench, store: RuntimePersistence) -> None:
    """Asked twice, refused twice: nothing was dropped to go on."""
    await store.record_intent(_intent("s1"))
    factory = await bench.damage("attachment_intent")

    await refused(UnreadableRecord, factory.live_attachment_refs(2**62), record_kind="attachment_intent")
    await refused(UnreadableRecord, factory.live_attachment_refs(2**62), record_kind="attachment_intent")
