"""The graph: what a read answers (GRA.20 to GRA.34)."""

import asyncio

from lash_conformance.bench import Bench, Lane
from lash_conformance.check import check
from lash_conformance.vocabulary import (
    chain,
    checkpoint,
    commit,
    forked,
    ids,
    loaded,
    message,
    refused,
    spent,
)
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import UnknownLeaf, UnsupportedReadScope
from lash_ref.nodes import ActivePath, Append, ReplaceFull


@check("GRA.20")
async def a_full_read_answers_every_branch(store: RuntimePersistence, lane: Lane) -> None:
    """The branch beside the active path is there, in stored order."""
    await forked(store, lane)

    assert ids((await loaded(store)).graph) == ["a", "b", "c", "d"]


@check("GRA.21", needs=("active_path",))
async def the_active_path_runs_from_the_root_to_the_stored_leaf(
    store: RuntimePersistence, lane: Lane
) -> None:
    """The other branch is left out."""
    await forked(store, lane)

    read = await loaded(store, ActivePath())

    assert ids(read.graph) == ["a", "b", "c"]
    assert read.graph.leaf_node_id == "c"


@check("GRA.21", needs=("active_path",))
async def the_active_path_follows_appends(store: RuntimePersistence, lane: Lane) -> None:
    """After an append under the other branch the path runs there."""
    await forked(store, lane)
    await store.commit_runtime_state(commit(lane, Append(nodes=chain("e", under="d"), leaf_node_id="e")))

    assert ids((await loaded(store, ActivePath())).graph) == ["a", "b", "d", "e"]


@check("GRA.22", "GRA.23", needs=("active_path",))
async def a_named_leaf_is_read_and_reported_without_switching(store: RuntimePersistence, lane: Lane) -> None:
    """Reading branch d leaves the session on c."""
    await forked(store, lane)

    read = await loaded(store, ActivePath(leaf_node_id="d"))

    assert ids(read.graph) == ["a", "b", "d"]
    assert read.graph.leaf_node_id == "d"
    assert (await loaded(store)).graph.leaf_node_id == "c"
    assert (await loaded(store, ActivePath())).graph.leaf_node_id == "c"


@check("GRA.24", needs=("active_path",))
async def without_a_leaf_the_path_is_empty(store: RuntimePersistence, lane: Lane) -> None:
    """Nodes are stored, but no leaf."""
    await store.commit_runtime_state(commit(lane, Append(nodes=chain("a", "b"))))

    read = await loaded(store, ActivePath())

    assert ids(read.graph) == []
    assert read.graph.leaf_node_id is None


@check("GRA.25", needs=("active_path",))
async def an_unknown_leaf_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """Nothing by that name was ever stored."""
    await forked(store, lane)

    await refused(UnknownLeaf, store.load_session(ActivePath(leaf_node_id="zz")), leaf_node_id="zz")


@check("GRA.25", needs=("active_path",))
async def a_tombstoned_leaf_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """A hidden node is no live node."""
    await forked(store, lane)
    await store.tombstone_nodes(["d"])

    await refused(UnknownLeaf, store.load_session(ActivePath(leaf_node_id="d")), leaf_node_id="d")


@check("GRA.26", needs=("active_path",))
async def a_dangling_stored_leaf_is_reported(store: RuntimePersistence, lane: Lane) -> None:
    """Both scopes echo it; the path has no nodes."""
    await store.commit_runtime_state(commit(lane, Append(nodes=chain("a"), leaf_node_id="gone")))

    path = await loaded(store, ActivePath())

    assert (ids(path.graph), path.graph.leaf_node_id) == ([], "gone")
    assert (await loaded(store)).graph.leaf_node_id == "gone"


@check("GRA.26", needs=("active_path",))
async def a_tombstoned_stored_leaf_is_reported(store: RuntimePersistence, lane: Lane) -> None:
    """Hiding the leaf does not move it."""
    await forked(store, lane)
    await store.tombstone_nodes(["c"])

    path = await loaded(store, ActivePath())

    assert (ids(path.graph), path.graph.leaf_node_id) == ([], "c")
    assert (await loaded(store)).graph.leaf_node_id == "c"


@check("GRA.27", needs=("active_path",))
async def a_hidden_ancestor_cuts_the_path(store: RuntimePersistence, lane: Lane) -> None:
    """B is hidden, so nothing connects c to a."""
    await forked(store, lane)
    await store.tombstone_nodes(["b"])

    assert ids((await loaded(store, ActivePath())).graph) == ["c"]


@check("GRA.27", needs=("active_path",))
async def a_missing_parent_ends_the_path(store: RuntimePersistence, lane: Lane) -> None:
    """The parent was never stored."""
    nodes = (message("x", parent="nowhere"), message("y", parent="x"))
    await store.commit_runtime_state(commit(lane, Append(nodes=nodes, leaf_node_id="y")))

    assert ids((await loaded(store, ActivePath())).graph) == ["x", "y"]


@check("GRA.28", needs=("active_path",))
async def the_path_is_ordered_by_parentage(store: RuntimePersistence, lane: Lane) -> None:
    """Children were stored before their parents."""
    nodes = (message("c", parent="b"), message("b", parent="a"), message("a"))
    await store.commit_runtime_state(commit(lane, Append(nodes=nodes, leaf_node_id="c")))

    assert ids((await loaded(store, ActivePath())).graph) == ["a", "b", "c"]


@check("GRA.29", needs=("active_path",))
async def a_cycle_of_parents_does_not_hang_a_read(store: RuntimePersistence, lane: Lane) -> None:
    """A is under c; the path from c shows each once."""
    nodes = (message("a", parent="c"), message("b", parent="a"), message("c", parent="b"))
    await store.commit_runtime_state(commit(lane, Append(nodes=nodes, leaf_node_id="c")))

    async with asyncio.timeout(5):
        read = await loaded(store, ActivePath())

    assert ids(read.graph) == ["a", "b", "c"]


@check("GRA.29", needs=("active_path",))
async def a_node_that_is_its_own_parent_does_not_hang_a_read(store: RuntimePersistence, lane: Lane) -> None:
    """The shortest cycle."""
    await store.commit_runtime_state(
        commit(lane, Append(nodes=(message("a", parent="a"),), leaf_node_id="a"))
    )

    async with asyncio.timeout(5):
        assert ids((await loaded(store, ActivePath())).graph) == ["a"]


@check("GRA.30", needs=("active_path",))
async def both_scopes_agree_on_all_but_nodes(store: RuntimePersistence, lane: Lane) -> None:
    """Head, checkpoint and ledger are equal."""
    nodes = (*chain("a", "b"), message("c", parent="a"))
    await store.commit_runtime_state(
        commit(
            lane, ReplaceFull(nodes=nodes, leaf_node_id="b"),
            checkpoint=checkpoint(2, execution_state=b"x"), usage_deltas=(spent(input_tokens=4),),
        )
    )  # fmt: skip

    full, path = await loaded(store), await loaded(store, ActivePath())

    assert path.but(graph=full.graph) == full
    assert full.token_ledger == (spent(input_tokens=4),)


@check("GRA.31")
async def a_read_during_commits_shows_one_committed_state(
    bench: Bench, store: RuntimePersistence, lane: Lane
) -> None:
    """However reads and commits interleave, revision, leaf, nodes and turn index belong together."""
    reader = await bench.session()

    async def write() -> None:
        for number in range(1, 16):
            name = f"n{number}"
            await store.commit_runtime_state(
                commit(
                    lane, Append(nodes=(message(name),), leaf_node_id=name), checkpoint=checkpoint(number)
                )
            )
            await asyncio.sleep(0)

    async def read() -> list[tuple[int, str | None, int, int]]:
        seen: list[tuple[int, str | None, int, int]] = []
        await asyncio.sleep(0)
        for _ in range(15):
            found = await loaded(reader)
            assert found.checkpoint is not None
            nodes = len(found.graph.nodes)
            turn_index = found.checkpoint.turn_state.turn_index
            seen.append((found.head_revision, found.graph.leaf_node_id, nodes, turn_index))
            await asyncio.sleep(0)
        return seen

    await store.commit_runtime_state(
        commit(lane, Append(nodes=(message("n0"),), leaf_node_id="n0"), checkpoint=checkpoint(0))
    )
    _, seen = await asyncio.gather(write(), read())

    assert seen == [(revision, f"n{revision - 1}", revision, revision - 1) for revision, *_ in seen]


@check("GRA.22", "FAC.11", needs=("active_path",))
async def paths_of_two_sessions_with_equal_ids_do_not_meet(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """The same three ids, in the other session the other way round and with other texts."""
    other = await bench.session("s2")
    theirs = tuple(message(name, f"theirs {name}", parent=parent) for name, parent in (("c", None), ("b", "c"), ("a", "b")))
    mine = chain("a", "b", "c")
    delta = Append(nodes=theirs, leaf_node_id="a")
    await other.commit_runtime_state(commit(await bench.lane(other, "s2"), delta, session_id="s2"))
    await store.commit_runtime_state(commit(lane, Append(nodes=mine, leaf_node_id="c")))

    assert (await loaded(store, ActivePath())).graph.nodes == mine
    assert (await loaded(other, ActivePath())).graph.nodes == theirs
    assert [await store.load_node("b"), await other.load_node("b")] == [mine[1], theirs[1]]
    await other.tombstone_nodes(["b"])
    assert (await loaded(store, ActivePath())).graph.nodes == mine


@check("GRA.32")
async def a_node_off_the_active_path_is_found(store: RuntimePersistence, lane: Lane) -> None:
    """D is beside the path."""
    await forked(store, lane)

    assert await store.load_node("d") == message("d", parent="b")
    assert await store.load_node("a") == message("a")


@check("GRA.33")
async def an_unknown_node_is_none(store: RuntimePersistence, lane: Lane) -> None:
    """Before any commit and after one; a prefix or another case is another id."""
    assert await store.load_node("a") is None

    await store.commit_runtime_state(commit(lane, Append(nodes=(message("abc"),))))

    assert await store.load_node("ab") is None
    assert await store.load_node("ABC") is None
    assert await store.load_node("abc") == message("abc")


@check("GRA.34", without=("active_path",))
async def a_missing_scope_is_refused(store: RuntimePersistence, lane: Lane) -> None:
    """A store without the active-path scope says so and does not answer everything."""
    await forked(store, lane)

    await refused(UnsupportedReadScope, store.load_session(ActivePath()))
