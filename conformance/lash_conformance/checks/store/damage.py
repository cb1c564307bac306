"""What cannot be read is refused, named and kept (REC.20 to REC.34)."""

from lash_conformance.bench import Bench, Lane, owner, request
from lash_conformance.check import check
from lash_conformance.vocabulary import (
    batch,
    checkpoint,
    commit,
    loaded,
    message,
    refused,
    said,
    spent,
    tool_state,
    turn,
)
from lash_ref.contracts import RuntimePersistence, SessionStoreFactory
from lash_ref.errors import (
    InvalidRecordSchemaVersion,
    MissingRecordSchemaVersion,
    UnreadableRecord,
    UnsupportedDatabaseSchema,
    UnsupportedRecordSchemaVersion,
)
from lash_ref.lease import Busy, LocalProcess
from lash_ref.nodes import ActivePath, Append, FullGraph
from lash_ref.records import AttachmentIntent


async def _committed(store: RuntimePersistence, lane: Lane) -> None:
    part = checkpoint(1, tool_state=tool_state(1), execution_state=b"state")
    await store.commit_runtime_state(
        turn("t1", fence=lane, checkpoint=part, usage_deltas=(spent(input_tokens=1),))
    )


@check("REC.20", damage=("node",))
async def an_unreadable_node_fails_every_read_that_needs_it(
    bench: Bench, store: RuntimePersistence, lane: Lane
) -> None:
    """The full graph, the path and the lookup name it; a load of an unknown id does not need it."""
    await _committed(store, lane)
    again = await bench.session(on=await bench.damage("node"))

    await refused(UnreadableRecord, again.load_session(FullGraph()), record_kind="node", record_id="t1")
    await refused(UnreadableRecord, again.load_session(ActivePath()), record_kind="node")
    await refused(UnreadableRecord, again.load_node("t1"), record_kind="node")
    assert await again.load_node("unknown") is None


@check("REC.21", damage=("head",))
async def an_unreadable_head_fails_the_load(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """It is not an empty session, for a load or for a commit."""
    await _committed(store, lane)
    again = await bench.session(on=await bench.damage("head"))

    await refused(UnreadableRecord, again.load_session(FullGraph()), record_kind="head")
    await refused(UnreadableRecord, again.commit_runtime_state(turn("t2", fence=lane, expects=0)))


@check("REC.22", damage=("head_version_missing",))
async def a_head_without_a_version_is_refused(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """The error names the record and the version expected."""
    await _committed(store, lane)
    again = await bench.session(on=await bench.damage("head_version_missing"))

    attempt = again.load_session(FullGraph())
    await refused(MissingRecordSchemaVersion, attempt, record_kind="SessionHeadMeta", expected=1)


@check("REC.22", damage=("manifest_version_missing",))
async def a_manifest_without_a_version_is_refused(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """The same for the checkpoint."""
    await _committed(store, lane)
    again = await bench.session(on=await bench.damage("manifest_version_missing"))

    attempt = again.load_session(FullGraph())
    await refused(MissingRecordSchemaVersion, attempt, record_kind="SessionCheckpoint", expected=1)


@check("REC.23", damage=("head_version_text",))
async def a_head_with_a_version_of_text_is_refused(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """A version is an integer."""
    await _committed(store, lane)
    again = await bench.session(on=await bench.damage("head_version_text"))

    attempt = again.load_session(FullGraph())
    await refused(InvalidRecordSchemaVersion, attempt, record_kind="SessionHeadMeta", expected=1)


@check("REC.23", damage=("manifest_version_text",))
async def a_manifest_with_a_version_of_text_is_refused(
    bench: Bench, store: RuntimePersistence, lane: Lane
) -> None:
    """The same for the checkpoint."""
    await _committed(store, lane)
    again = await bench.session(on=await bench.damage("manifest_version_text"))

    attempt = again.load_session(FullGraph())
    await refused(InvalidRecordSchemaVersion, attempt, record_kind="SessionCheckpoint", expected=1)


@check("REC.24", damage=("head_version_other",))
async def a_head_of_another_version_is_refused(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """Both versions are named."""
    await _committed(store, lane)
    again = await bench.session(on=await bench.damage("head_version_other"))

    attempt = again.load_session(FullGraph())
    await refused(
        UnsupportedRecordSchemaVersion, attempt, record_kind="SessionHeadMeta", actual=2, expected=1
    )


@check("REC.24", damage=("manifest_version_other",))
async def a_manifest_of_another_version_is_refused(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """The same for the checkpoint."""
    await _committed(store, lane)
    again = await bench.session(on=await bench.damage("manifest_version_other"))

    attempt = again.load_session(FullGraph())
    await refused(
        UnsupportedRecordSchemaVersion, attempt, record_kind="SessionCheckpoint", actual=2, expected=1
    )


@check("REC.25", damage=("manifest_gone",))
async def a_missing_manifest_fails_the_load(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """A session does not resume without its state."""
    await _committed(store, lane)
    again = await bench.session(on=await bench.damage("manifest_gone"))

    await refused(UnreadableRecord, again.load_session(FullGraph()), record_kind="manifest")


@check("REC.25", damage=("blob_gone",))
async def a_missing_part_fails_the_load(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """The manifest is there, what it names is not."""
    await _committed(store, lane)
    again = await bench.session(on=await bench.damage("blob_gone"))

    await refused(UnreadableRecord, again.load_session(FullGraph()), record_kind="blob")


@check("REC.26", damage=("ledger",))
async def an_unreadable_ledger_row_fails_the_load(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """A bill with rows missing is wrong."""
    await _committed(store, lane)
    again = await bench.session(on=await bench.damage("ledger"))

    await refused(UnreadableRecord, again.load_session(FullGraph()), record_kind="ledger")


@check("REC.27", damage=("queued_work",))
async def an_unreadable_batch_fails_listing_and_claiming(
    bench: Bench, store: RuntimePersistence, lane: Lane
) -> None:
    """Work does not vanish."""
    await store.enqueue_queued_work(batch())
    again = await bench.session(on=await bench.damage("queued_work"))

    await refused(UnreadableRecord, again.list_queued_work("s1"), record_kind="queued_work")
    await refused(UnreadableRecord, again.list_pending_queued_work("s1"), record_kind="queued_work")
    attempt = again.claim_ready_queued_work("s1", lane.fence, lane.owner, "idle", 1)
    await refused(UnreadableRecord, attempt, record_kind="queued_work")


@check("REC.27", damage=("turn_input",))
async def an_unreadable_input_fails_listing_and_claiming(
    bench: Bench, store: RuntimePersistence, lane: Lane
) -> None:
    """What the user said does not vanish."""
    await store.enqueue_pending_turn_input(said())
    again = await bench.session(on=await bench.damage("turn_input"))

    await refused(UnreadableRecord, again.list_pending_turn_inputs("s1"), record_kind="turn_input")
    attempt = again.claim_next_turn_inputs("s1", lane.fence, lane.owner, 1)
    await refused(UnreadableRecord, attempt, record_kind="turn_input")


@check("REC.28", damage=("lease_liveness",))
async def an_unreadable_liveness_is_opaque(bench: Bench, store: RuntimePersistence) -> None:
    """The holder is on this boot with a pid that does not exist; its liveness cannot be read, so it lives."""
    gone = LocalProcess(host_id="h", boot_id="b", pid=2**22 + 1, process_start="1")
    lane = await bench.lane(store, by=owner("a", liveness=gone), ttl=10**9)
    again = await bench.session(on=await bench.damage("lease_liveness"))

    claimant = owner("b", liveness=gone.but(pid=1))
    outcome = await again.reclaim_session_execution_lease("s1", claimant, lane.fence, 1000)

    assert isinstance(outcome, Busy)
    assert outcome.holder.owner == owner("a")


@check("REC.29", needs=("manifest",), damage=("attachment_intent",))
async def an_unreadable_intent_fails_its_listing(bench: Bench, store: RuntimePersistence) -> None:
    """A root does not vanish."""
    await store.record_intent(
        AttachmentIntent(attachment_id="a1", session_id="s1", canonical_uri="u", intent_at_epoch_ms=1)
    )
    again = await bench.session(on=await bench.damage("attachment_intent"))

    await refused(UnreadableRecord, again.list_uncommitted(2**62), record_kind="attachment_intent")


@check("REC.33", damage=("turn_commit",))
async def an_unreadable_stamp_fails_the_repeat(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """Applying the turn again would do it twice."""
    await _committed(store, lane)
    again = await bench.session(on=await bench.damage("turn_commit"))

    repeat = again.commit_runtime_state(turn("t1", fence=lane))

    await refused(UnreadableRecord, repeat, record_kind="turn_commit")
    assert (await loaded(again)).head_revision == 1


async def _meta(factory: SessionStoreFactory) -> object:
    store = await factory.open_existing_store(request())
    return None if store is None else await store.load_session_meta()


@check("REC.34", damage=("meta",))
async def unreadable_meta_is_refused(bench: Bench, store: RuntimePersistence) -> None:
    """When the session is opened or when its meta is asked for: it is neither absent nor made anew."""
    factory = await bench.damage("meta")

    await refused(UnreadableRecord, _meta(factory), record_kind="meta")
    await refused(UnreadableRecord, _meta(factory), record_kind="meta")


@check("REC.32", damage=("meta",))
async def other_sessions_live_on_beside_an_unreadable_record(
    bench: Bench, store: RuntimePersistence, lane: Lane
) -> None:
    """The meta is spoilt; graph, queue and ledger of the session read as before."""
    await _committed(store, lane)
    await store.enqueue_queued_work(batch(source_key="k"))
    before = await loaded(store)
    factory = await bench.damage("meta")
    await refused(UnreadableRecord, _meta(factory))

    other = await bench.session("s2", on=factory)

    queued = await other.list_queued_work("s1")
    assert [one.source_key for one in queued] == ["k"]
    assert before.head_revision == 1


@check("REC.32", damage=("node",))
async def a_refused_read_leaves_the_rest_readable(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """Appending goes on, a second session works, and the bad node is refused again."""
    await _committed(store, lane)
    again = await bench.session(on=await bench.damage("node"))
    await refused(UnreadableRecord, again.load_session(FullGraph()))

    new = Append(nodes=(message("t2"),), leaf_node_id="t2")
    result = await again.commit_runtime_state(commit(lane, new, expected_head_revision=1))

    assert result.head_revision == 2
    assert await again.load_node("t2") == message("t2")
    await refused(UnreadableRecord, again.load_session(FullGraph()), record_kind="node", record_id="t1")


async def _opened(bench: Bench) -> object:
    """A store may refuse a place when it is opened, or at the first call."""
    factory = await bench.reopen()
    return await factory.create_store(request())


@check("REC.30", damage=("database_version",))
async def a_place_of_another_version_is_refused_untouched(
    bench: Bench, store: RuntimePersistence, lane: Lane
) -> None:
    """Both versions are named, asked twice, and the file is as it was."""
    await _committed(store, lane)
    await bench.spoil("database_version")
    before = await bench.stored()

    error = await refused(UnsupportedDatabaseSchema, _opened(bench), actual=99)
    await refused(UnsupportedDatabaseSchema, _opened(bench), actual=99)

    assert isinstance(error.fields["expected"], int)
    assert await bench.stored() == before


@check("REC.31", damage=("database_truncated",))
async def a_truncated_place_is_refused_untouched(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """It does not start empty over somebody's data."""
    await _committed(store, lane)
    for number in range(40):
        await store.enqueue_queued_work(batch(source_key=str(number)))
    await bench.spoil("database_truncated")
    before = await bench.stored()

    await refused(UnreadableRecord, _opened(bench), record_kind="database")

    assert await bench.stored() == before


@check("REC.31", damage=("database_garbage",))
async def a_place_that_is_no_database_is_refused_untouched(bench: Bench, store: RuntimePersistence) -> None:
    """Whatever it is, it is somebody's."""
    await bench.spoil("database_garbage")
    before = await bench.stored()

    await refused(UnreadableRecord, _opened(bench), record_kind="database")

    assert await bench.stored() == before
