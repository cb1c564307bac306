"""Maintenance (MNT)."""

import contextlib

from lash_conformance.bench import Bench, Lane
from lash_conformance.check import check
from lash_conformance.vocabulary import (
    chain,
    checkpoint,
    commit,
    ids,
    loaded,
    message,
    plugin_snapshot,
    refused,
    tool_state,
)
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import LashError, UnreadableRecord, Unsupported
from lash_ref.nodes import ActivePath, Append, ReplaceFull


async def _three(store: RuntimePersistence, lane: Lane) -> None:
    """A - b, and c beside b; the leaf is b."""
    nodes = (*chain("a", "b"), message("c", parent="a"))
    await store.commit_runtime_state(commit(lane, ReplaceFull(nodes=nodes, leaf_node_id="b")))


@check("MNT.1")
async def a_tombstoned_node_is_hidden_from_lookup_and_full_read(
    store: RuntimePersistence, lane: Lane
) -> None:
    """The others stay."""
    await _three(store, lane)

    await store.tombstone_nodes(["c"])

    assert await store.load_node("c") is None
    assert ids((await loaded(store)).graph) == ["a", "b"]


@check("MNT.1", needs=("active_path",))
async def a_tombstoned_node_is_hidden_from_the_active_path(store: RuntimePersistence, lane: Lane) -> None:
    """The root is hidden, the leaf remains."""
    await _three(store, lane)

    await store.tombstone_nodes(["a"])

    assert ids((await loaded(store, ActivePath())).graph) == ["b"]


@check("MNT.2")
async def tombstoning_unknown_ids_is_harmless(store: RuntimePersistence, lane: Lane) -> None:
    """Unknown, repeated and already hidden ones, oftener than there are nodes; before the first commit too."""
    await store.tombstone_nodes(["zz"])
    await _three(store, lane)

    for _ in range(3):
        await store.tombstone_nodes(["zz", "c", "c"])
    await store.tombstone_nodes([])

    assert ids((await loaded(store)).graph) == ["a", "b"]
    assert (await store.vacuum()).removed_node_count == 1


@check("MNT.3")
async def tombstoning_is_no_commit(store: RuntimePersistence, lane: Lane) -> None:
    """Revision and leaf stay, even when the leaf is hidden."""
    await _three(store, lane)

    await store.tombstone_nodes(["b"])

    read = await loaded(store)
    assert (read.head_revision, read.graph.leaf_node_id) == (1, "b")


@check("MNT.4", "MNT.5", "MNT.9")
async def a_vacuum_removes_and_counts_the_tombstoned(store: RuntimePersistence, lane: Lane) -> None:
    """Two of three, then none; the live one stays."""
    await _three(store, lane)
    await store.tombstone_nodes(["b", "c"])

    reports = [await store.vacuum(), await store.vacuum()]

    assert [report.removed_node_count for report in reports] == [2, 0]
    assert ids((await loaded(store)).graph) == ["a"]


@check("MNT.4")
async def a_node_committed_again_is_not_vacuumed(store: RuntimePersistence, lane: Lane) -> None:
    """Its tombstone is gone."""
    await _three(store, lane)
    await store.tombstone_nodes(["c"])
    await store.commit_runtime_state(commit(lane, Append(nodes=(message("c"),), leaf_node_id="c")))

    report = await store.vacuum()

    assert report.removed_node_count == 0
    assert ids((await loaded(store)).graph) == ["a", "b", "c"]


@check("MNT.9")
async def a_vacuum_of_a_clean_session_removes_nothing(store: RuntimePersistence, lane: Lane) -> None:
    """Off-path nodes are live."""
    await _three(store, lane)

    assert (await store.vacuum()).removed_node_count == 0
    assert ids((await loaded(store)).graph) == ["a", "b", "c"]


@check("MNT.6", "MNT.7", "MNT.8", needs=("gc",))
async def garbage_is_what_no_live_head_reaches(store: RuntimePersistence, lane: Lane) -> None:
    """The first checkpoint's four blobs go, the second's stay readable; a second run finds nothing."""
    old = checkpoint(1, tool_state=tool_state(1), plugin_snapshot=plugin_snapshot(1), execution_state=b"old")
    new = checkpoint(2, tool_state=tool_state(2), plugin_snapshot=plugin_snapshot(2), execution_state=b"new")
    await store.commit_runtime_state(commit(lane, checkpoint=old))
    await store.commit_runtime_state(commit(lane, checkpoint=new))

    first, second = await store.gc_unreachable(), await store.gc_unreachable()

    assert first.deleted_blob_count > 0
    assert (second.deleted_blob_count, second.root_count) == (0, 1)
    read = (await loaded(store)).checkpoint
    assert read is not None
    assert (read.tool_state, read.plugin_snapshot, read.execution_state) == (
        tool_state(2),
        plugin_snapshot(2),
        b"new",
    )


@check("MNT.7", needs=("gc",))
async def garbage_collection_keeps_a_part_committed_by_ref(store: RuntimePersistence, lane: Lane) -> None:
    """The old part is the new checkpoint's too."""
    first = await store.commit_runtime_state(commit(lane, checkpoint=checkpoint(1, execution_state=b"kept")))
    kept = checkpoint(2, execution_state_ref=first.manifest.execution_state_ref)
    await store.commit_runtime_state(commit(lane, checkpoint=kept))

    await store.gc_unreachable()

    read = (await loaded(store)).checkpoint
    assert read is not None
    assert read.execution_state == b"kept"


@check("MNT.12", needs=("gc",))
async def a_collection_counts_the_heads_of_every_session(
    bench: Bench, store: RuntimePersistence, lane: Lane
) -> None:
    """Two sessions have a head, a third was only created; one that was deleted has none, and the rest may lie apart."""
    other = await bench.session("s2")
    await bench.session("s3")
    await store.commit_runtime_state(commit(lane))
    await other.commit_runtime_state(commit(await bench.lane(other, "s2"), session_id="s2"))

    both = await store.gc_unreachable()
    await bench.factory.delete_session("s2")
    one = await store.gc_unreachable()

    assert (both.root_count, one.root_count) in {(2, 1), (1, 1)}


@check("MNT.6", needs=("gc",))
async def a_collected_part_no_longer_resolves(store: RuntimePersistence, lane: Lane) -> None:
    """Deleted means gone: its ref is refused, or leads to nothing."""
    first = await store.commit_runtime_state(commit(lane, checkpoint=checkpoint(1, execution_state=b"old")))
    await store.commit_runtime_state(commit(lane, checkpoint=checkpoint(2)))
    await store.gc_unreachable()

    again = commit(lane, checkpoint=checkpoint(3, execution_state_ref=first.manifest.execution_state_ref))
    found: bytes | None = None
    with contextlib.suppress(UnreadableRecord):
        await store.commit_runtime_state(again)
        read = (await loaded(store)).checkpoint
        found = None if read is None else read.execution_state

    assert found is None


@check("MNT.7", needs=("gc",))
async def garbage_collection_roots_every_session(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """Collected through "s1", the checkpoint of "s2" stays."""
    other = await bench.session("s2")
    theirs = await bench.lane(other, "s2")
    part = checkpoint(1, execution_state=b"theirs")
    await other.commit_runtime_state(commit(theirs, session_id="s2", checkpoint=part))
    await store.commit_runtime_state(commit(lane, checkpoint=checkpoint(1)))

    await store.gc_unreachable()

    read = (await loaded(other)).checkpoint
    assert read is not None
    assert read.execution_state == b"theirs"


@check("MNT.10", needs=("gc",), damage=("head",))
async def an_unreadable_head_stops_garbage_collection(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """Asked twice, it refuses twice."""
    await store.commit_runtime_state(commit(lane, checkpoint=checkpoint(1, execution_state=b"x")))
    again = await bench.session("s2", on=await bench.damage("head"))

    await _refuses(again)
    await _refuses(again)


@check("MNT.10", needs=("gc",), damage=("manifest",))
async def an_unreadable_manifest_stops_garbage_collection(
    bench: Bench, store: RuntimePersistence, lane: Lane
) -> None:
    """What it refers to cannot be known."""
    await store.commit_runtime_state(commit(lane, checkpoint=checkpoint(1, execution_state=b"x")))
    again = await bench.session("s2", on=await bench.damage("manifest"))

    await _refuses(again)


async def _refuses(store: RuntimePersistence) -> None:
    refusal: LashError | None = None
    try:
        await store.gc_unreachable()
    except LashError as err:
        refusal = err
    assert refusal is not None, "garbage was collected though a root cannot be read"
    assert refusal.code in ("UnreadableRecord", "MissingRecordSchemaVersion")


@check("MNT.11", without=("gc",))
async def garbage_collection_is_refused_where_it_is_not_offered(store: RuntimePersistence) -> None:
    """Reporting zeros would pass for success."""
    await refused(Unsupported, store.gc_unreachable())
