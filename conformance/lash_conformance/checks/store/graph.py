"""The graph: what a commit writes (GRA.1 to GRA.9)."""

from lash_conformance.bench import Lane
from lash_conformance.check import check
from lash_conformance.vocabulary import (
    chain,
    commit,
    everything,
    forked,
    ids,
    loaded,
    message,
    plugin_node,
    refused,
)
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import DuplicateNodeId
from lash_ref.nodes import ActivePath, Append, ReplaceFull, Unchanged


@check("GRA.1")
async def a_full_replacement_removes_what_it_does_not_list(store: RuntimePersistence, lane: Lane) -> None:
    """After the replacement only its nodes are there, in its order."""
    await forked(store, lane)

    await store.commit_runtime_state(
        commit(lane, ReplaceFull(nodes=(message("z"), message("a")), leaf_node_id="a"))
    )

    assert ids((await loaded(store)).graph) == ["z", "a"]
    assert await store.load_node("b") is None


@check("GRA.1", "GRA.8")
async def a_full_replacement_replaces_what_stays_in_name(store: RuntimePersistence, lane: Lane) -> None:
    """A node of a known id has the new content and the new parent, in reads and in lookups."""
    await forked(store, lane)
    assert await store.load_node("c") is not None
    new = (message("c", "anew"), message("a", "rewritten", parent="c"))

    await store.commit_runtime_state(commit(lane, ReplaceFull(nodes=new, leaf_node_id="a")))

    assert (await loaded(store)).graph.nodes == new
    assert [await store.load_node("c"), await store.load_node("a")] == list(new)


@check("GRA.1", "GRA.21", "GRA.22", needs=("active_path",))
async def a_path_is_read_afresh_after_a_replacement(store: RuntimePersistence, lane: Lane) -> None:
    """The names stay, and who is whose parent does not."""
    await forked(store, lane)
    assert ids((await loaded(store, ActivePath(leaf_node_id="d"))).graph) == ["a", "b", "d"]

    new = (message("a"), message("c", parent="a"), message("d", parent="c"), message("b"))
    await store.commit_runtime_state(commit(lane, ReplaceFull(nodes=new, leaf_node_id="d")))

    assert ids((await loaded(store, ActivePath(leaf_node_id="d"))).graph) == ["a", "c", "d"]
    assert ids((await loaded(store, ActivePath())).graph) == ["a", "c", "d"]


@check("GRA.2")
async def appended_nodes_follow_the_existing_ones(store: RuntimePersistence, lane: Lane) -> None:
    """Two appends, in order, after the first nodes."""
    await forked(store, lane)

    await store.commit_runtime_state(commit(lane, Append(nodes=chain("e", "f", under="c"), leaf_node_id="f")))
    await store.commit_runtime_state(commit(lane, Append(nodes=chain("g", under="f"), leaf_node_id="g")))

    assert ids((await loaded(store)).graph) == ["a", "b", "c", "d", "e", "f", "g"]


@check("GRA.2", "GRA.28")
async def three_hundred_nodes_in_one_append_keep_their_order(store: RuntimePersistence, lane: Lane) -> None:
    """A long append reads back whole and in order."""
    names = [f"n{number}" for number in range(300)]

    await store.commit_runtime_state(commit(lane, Append(nodes=chain(*names), leaf_node_id="n299")))

    assert ids((await loaded(store)).graph) == names


@check("GRA.2")
async def forty_appends_in_a_row_keep_every_node(store: RuntimePersistence, lane: Lane) -> None:
    """Nothing falls off the end of a long session."""
    names = [f"n{number}" for number in range(40)]
    for name, parent in zip(names, [None, *names], strict=False):
        await store.commit_runtime_state(
            commit(lane, Append(nodes=(message(name, parent=parent),), leaf_node_id=name))
        )

    assert ids((await loaded(store)).graph) == names


@check("GRA.3")
async def an_unchanged_graph_still_sets_the_leaf(store: RuntimePersistence, lane: Lane) -> None:
    """Switching branches adds no node."""
    await forked(store, lane)

    await store.commit_runtime_state(commit(lane, Unchanged(leaf_node_id="d")))

    read = await loaded(store)
    assert read.graph.leaf_node_id == "d"
    assert ids(read.graph) == ["a", "b", "c", "d"]


@check("GRA.3")
async def an_absent_leaf_clears_the_stored_one(store: RuntimePersistence, lane: Lane) -> None:
    """Every form sets the leaf, also to nothing."""
    await forked(store, lane)

    await store.commit_runtime_state(commit(lane, Unchanged()))

    assert (await loaded(store)).graph.leaf_node_id is None


@check("GRA.4", "GRA.3")
async def a_read_reports_the_leaf_of_the_latest_commit(store: RuntimePersistence, lane: Lane) -> None:
    """An append after a replacement moves the leaf."""
    await forked(store, lane)
    await store.commit_runtime_state(commit(lane, Append(nodes=chain("e", under="c"), leaf_node_id="e")))

    assert (await loaded(store)).graph.leaf_node_id == "e"


@check("GRA.5")
async def appending_a_stored_id_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """The new node before it is not stored either."""
    await forked(store, lane)
    before = await everything(store)

    delta = Append(nodes=(message("new"), message("b", "other")), leaf_node_id="new")
    await refused(DuplicateNodeId, store.commit_runtime_state(commit(lane, delta)), node_id="b")

    assert await everything(store) == before


@check("GRA.6")
async def an_id_twice_in_a_replacement_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """Two nodes of one write share an id."""
    delta = ReplaceFull(nodes=(message("x"), message("y"), message("x", "other")))

    await refused(DuplicateNodeId, store.commit_runtime_state(commit(lane, delta)), node_id="x")


@check("GRA.6")
async def an_id_twice_in_an_append_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """The same for an append."""
    delta = Append(nodes=(message("x"), message("x", "other")))

    await refused(DuplicateNodeId, store.commit_runtime_state(commit(lane, delta)), node_id="x")


@check("GRA.7")
async def appending_a_tombstoned_id_shows_it_again(store: RuntimePersistence, lane: Lane) -> None:
    """With the new content, at the end."""
    await forked(store, lane)
    await store.tombstone_nodes(["b"])

    reborn = message("b", "reborn", parent="a")
    await store.commit_runtime_state(commit(lane, Append(nodes=(reborn,), leaf_node_id="b")))

    assert await store.load_node("b") == reborn
    assert ids((await loaded(store)).graph) == ["a", "c", "d", "b"]


@check("GRA.7")
async def replacing_with_a_tombstoned_id_shows_it_again(store: RuntimePersistence, lane: Lane) -> None:
    """A full replacement frees the id too."""
    await forked(store, lane)
    await store.tombstone_nodes(["b"])

    await store.commit_runtime_state(commit(lane, ReplaceFull(nodes=chain("a", "b"), leaf_node_id="b")))

    assert ids((await loaded(store)).graph) == ["a", "b"]


@check("GRA.8")
async def a_plugin_node_reads_back_as_committed(store: RuntimePersistence, lane: Lane) -> None:
    """An unknown body, with nulls and empty containers, is the plugin's own."""
    empty: list[object] = []
    body: object = {"deep": [{"k": None}, empty, {"": empty}, ""], "n": 1.5, "big": 2**53 + 1, "ok": False}
    node = plugin_node("p1", body)

    await store.commit_runtime_state(commit(lane, Append(nodes=(node,), leaf_node_id="p1")))

    assert await store.load_node("p1") == node
    assert (await loaded(store)).graph.nodes == (node,)


@check("GRA.8")
async def a_message_node_reads_back_with_all_its_fields(store: RuntimePersistence, lane: Lane) -> None:
    """Parent, cause, frame and timestamp included."""
    node = message("m1", "hi", parent="elsewhere").but(
        agent_frame_id="f1", caused_by={"type": "turn", "session_id": "s1", "turn_id": "t1"}
    )

    await store.commit_runtime_state(commit(lane, Append(nodes=(node,), leaf_node_id="m1")))

    assert await store.load_node("m1") == node


@check("GRA.9")
async def unknown_parents_and_leaves_are_accepted(store: RuntimePersistence, lane: Lane) -> None:
    """Healing is not the store's business."""
    delta = Append(nodes=(message("a", parent="nowhere"),), leaf_node_id="nothing")

    result = await store.commit_runtime_state(commit(lane, delta))

    assert result.head_revision == 1
    assert ids((await loaded(store)).graph) == ["a"]
