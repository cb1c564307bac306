"""Names that look alike are different names, whatever they name (REC.5)."""

from lash_conformance.bench import Bench, Lane, owner, request
from lash_conformance.check import check
from lash_conformance.vocabulary import (
    batch,
    by_id,
    by_key,
    commit,
    during,
    ids,
    loaded,
    message,
    refused,
    said,
    spent,
    task,
    turn,
)
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import DuplicateNodeId
from lash_ref.inputs import Cancelled
from lash_ref.lease import Busy
from lash_ref.nodes import ActivePath, Append, ReplaceFull
from lash_ref.records import AttachmentIntent, AttachmentOwnerKind
from lash_ref.work import Group

LONG = "k" * 600
HUGE = "h" * 40_000
VAST = "v" * 70_000
ALIKE = (
    "k", "K", " k", "k ", "k\n", "é", "e\u0301", "", LONG, LONG + "x", "0", "00", "1", "1.0", "%", "_", "k/", "null", "ſ", "s",
    HUGE, HUGE + "x", VAST, VAST + "x",
)  # fmt: skip
"""Alike to whoever folds case or accents, trims, cuts (at 15 or 16 bits of length, too), reads numbers, or takes names for patterns."""

BETWEEN = ("", "/", ":", "|", ".", "-", "\x01", "\x1f")
JOINED = tuple(pair for mark in BETWEEN for pair in (("a", f"b{mark}c"), (f"a{mark}b", "c")))
"""Pairs of names of which two are one text when they are written one behind the other with such a mark between."""


@check("REC.5", "GRA.32")
async def nodes_with_names_alike_are_different_nodes(store: RuntimePersistence, lane: Lane) -> None:
    """In one append, in lookups, and when one of them is hidden."""
    nodes = tuple(message(name, f"text {number}") for number, name in enumerate(ALIKE))
    await store.commit_runtime_state(commit(lane, Append(nodes=nodes, leaf_node_id=LONG)))

    assert [await store.load_node(name) for name in ALIKE] == list(nodes)
    await store.tombstone_nodes(["K", "%", "_", ""])
    left = [name for name in ALIKE if name not in ("K", "%", "_", "")]
    assert ids((await loaded(store)).graph) == left


@check("GRA.5", "REC.5")
async def names_that_are_taken_are_found_however_long(store: RuntimePersistence, lane: Lane) -> None:
    """Each of the names alike is refused when it is appended again."""
    nodes = tuple(message(name) for name in ALIKE)
    await store.commit_runtime_state(commit(lane, Append(nodes=nodes, leaf_node_id=LONG)))

    for name in ALIKE:
        again = store.commit_runtime_state(commit(lane, Append(nodes=(message(name, "again"),), leaf_node_id=name)))
        await refused(DuplicateNodeId, again, node_id=name)


@check("REC.5", "GRA.22", needs=("active_path",))
async def a_path_goes_through_names_alike(store: RuntimePersistence, lane: Lane) -> None:
    """Each is the child of the one before, the nameless one of a long name; each ends a path of its own, the nameless one where none is named."""
    nodes = tuple(
        message(name, parent=before) for name, before in zip(ALIKE, [None, *ALIKE], strict=False)
    )
    await store.commit_runtime_state(commit(lane, ReplaceFull(nodes=nodes, leaf_node_id="")))

    assert (await loaded(store)).graph.leaf_node_id == ""
    assert ids((await loaded(store, ActivePath())).graph) == list(ALIKE[: ALIKE.index("") + 1])
    for number, name in enumerate(ALIKE):
        path = await loaded(store, ActivePath(leaf_node_id=name))
        assert ids(path.graph) == list(ALIKE[: number + 1])


@check("REC.5", "INP.2", "INP.29")
async def inputs_with_names_alike_are_different_inputs(store: RuntimePersistence) -> None:
    """By id and by source key, listed and cancelled one by one."""
    for number, name in enumerate(ALIKE):
        await store.enqueue_pending_turn_input(said(f"text {number}", input_id=name, source_key=name))
    assert [one.input_id for one in await store.list_pending_turn_inputs("s1")] == list(ALIKE)

    for name in ALIKE[:5]:
        outcome = await store.cancel_pending_turn_input("s1", name)
        assert isinstance(outcome, Cancelled)
        assert outcome.data.input_id == name
    targets = [by_key(name) if number % 2 else by_id(name) for number, name in enumerate(ALIKE[5:])]
    results = await store.cancel_pending_turn_inputs("s1", targets)

    assert [one.outcome.data.input_id for one in results if isinstance(one.outcome, Cancelled)] == list(ALIKE[5:])


@check("REC.5", "STO.37")
async def turns_with_names_alike_are_different_turns(store: RuntimePersistence, lane: Lane) -> None:
    """Each is applied once, and each repeat answers its own record."""
    made = [await store.commit_runtime_state(turn(name, fence=lane, says=f"n{n}")) for n, name in enumerate(ALIKE)]

    again = [await store.commit_runtime_state(turn(name, fence=None, says=f"n{n}")) for n, name in enumerate(ALIKE)]

    assert [one.head_revision for one in made] == list(range(1, len(ALIKE) + 1))
    assert again == made


@check("REC.5", "INP.12", "INP.33")
async def input_for_turns_with_names_alike_is_not_mixed_up(store: RuntimePersistence, lane: Lane) -> None:
    """Claimed by the running turn, or deferred with it: the input of that turn and of no other."""
    for name in ALIKE:
        await store.enqueue_pending_turn_input(said(input_id=name, ingress=during(name)))
    for name in ("K", LONG):
        claim = await store.claim_active_turn_inputs("s1", lane.fence, lane.owner, name, "after_work", 99)
        assert claim is not None
        assert [one.input_id for one in claim.inputs] == [name]

    for name in ("", "e\u0301"):
        await store.commit_runtime_state(commit(lane, interrupted_turn_input_turn_id=name))

    waiting = await store.list_pending_turn_inputs("s1")
    assert [one.input_id for one in waiting] == [name for name in ALIKE if name not in ("K", LONG)]
    deferred = [one.input_id for one in waiting if one.state == "deferred_next_turn"]
    assert deferred == ["e\u0301", ""]


@check("REC.5", "STO.61", "QUE.21")
async def sources_and_groups_with_names_alike_are_not_merged(store: RuntimePersistence, lane: Lane) -> None:
    """A ledger row for each source and each model, and for each pair that could be joined to one text; a claim for each group."""
    usage = tuple(spent(name, "m", input_tokens=1) for name in ALIKE) + tuple(
        spent("turn", name, input_tokens=1) for name in ALIKE
    ) + tuple(spent(source, model, input_tokens=1) for source, model in JOINED)
    joins = tuple(batch(task(), slot_policy="join", merge_key=Group(group=name)) for name in ALIKE)
    await store.commit_runtime_state(commit(lane, usage_deltas=usage, enqueued_queue_batches=joins))

    assert (await loaded(store)).token_ledger == usage
    claims = [await store.claim_ready_queued_work("s1", lane.fence, lane.owner, "idle", 99) for _ in ALIKE]

    found = [[batch.merge_key for batch in claim.batches] for claim in claims if claim is not None]
    assert found == [[Group(group=name)] for name in ALIKE]


@check("REC.5", "LEA.2", "LEA.3")
async def owners_with_names_alike_are_different_owners(bench: Bench, store: RuntimePersistence) -> None:
    """The holder is "k" of incarnation "k"; nobody else is."""
    await bench.lane(store, by=owner("k", "k"))
    others = [owner(name, "k") for name in ALIKE if name != "k"] + [owner("k", name) for name in ALIKE if name != "k"]

    outcomes = [await store.try_claim_session_execution_lease("s1", other, bench.ttl) for other in others]

    assert [outcome for outcome in outcomes if not isinstance(outcome, Busy)] == []


@check("REC.5", "ATT.1", needs=("manifest",))
async def attachments_with_names_alike_have_rows_of_their_own(store: RuntimePersistence) -> None:
    """Of one session, and of sessions with names alike."""
    for name in ALIKE:
        for session_id, attachment_id in (("s1", name), (name, "a")):
            intent = AttachmentIntent(
                attachment_id=attachment_id, session_id=session_id, canonical_uri=f"uri {name}", intent_at_epoch_ms=1
            )
            await store.record_intent(intent)
    await store.forget("s1", "K")
    await store.forget("K", "a")

    rows = await store.list_uncommitted(1)

    left = sorted(name for name in ALIKE if name != "K")
    assert sorted(row.attachment_id for row in rows if row.session_id == "s1") == left
    assert sorted(row.session_id for row in rows if row.attachment_id == "a") == left
    assert [row.canonical_uri for row in rows if row.attachment_id == LONG] == [f"uri {LONG}"]


async def _intents(store: RuntimePersistence, kind: AttachmentOwnerKind) -> None:
    for number, name in enumerate(ALIKE):
        intent = AttachmentIntent(
            attachment_id=f"a{number}", session_id="s1", canonical_uri="u", intent_at_epoch_ms=1, owner_kind=kind, owner_id=name
        )
        await store.record_intent(intent)


@check("REC.5", "ATT.5", "ATT.11", needs=("manifest",))
async def intents_of_turns_with_names_alike_are_not_mixed_up(bench: Bench, store: RuntimePersistence, lane: Lane) -> None:
    """The turns "K" and "1" adopt each its own intent, and end those of all other turns."""
    everyone = {f"a{number}" for number in range(len(ALIKE))}
    adopted = set[str]()
    for name in ("K", "1"):
        await _intents(store, "turn")

        await store.commit_runtime_state(turn(name, fence=lane, says=f"n{name}"))

        adopted.add(f"a{ALIKE.index(name)}")
        assert {row.attachment_id for row in await store.list_uncommitted(1)} == everyone - adopted
        assert await bench.factory.live_attachment_refs(1) == adopted


@check("REC.5", "ATT.12", needs=("manifest", "process_evidence"))
async def intents_of_processes_with_names_alike_are_not_mixed_up(bench: Bench, store: RuntimePersistence) -> None:
    """Two of them are gone, and their intents with them."""
    await _intents(store, "process")
    for name in ("K", LONG):
        bench.processes.gone.add(name)

    left = [number for number, name in enumerate(ALIKE) if name not in ("K", LONG)]
    assert await bench.factory.live_attachment_refs(1) == {f"a{number}" for number in left}


@check("REC.5", "FAC.11", "QUE.7")
async def sessions_with_long_names_alike_are_different_sessions(bench: Bench) -> None:
    """A name is not cut to fit a file name or a column, however long."""
    names = tuple(stem + last for stem in (LONG, HUGE, VAST) for last in "xyz")
    for name in names:
        made = await bench.session(name)
        await made.enqueue_queued_work(batch(session_id=name, source_key=name[-1]))
    for name in names[1::3]:
        await bench.factory.delete_session(name)

    found: list[list[str | None]] = []
    for name in names:
        made = await bench.session(name)
        found.append([one.source_key for one in await made.list_queued_work(name)])
    assert found == [["x"], [], ["z"]] * 3


@check("REC.5", "FAC.11", "LEA.12", "STO.70", "STO.2")
async def sessions_with_names_alike_have_lanes_heads_and_meta_of_their_own(bench: Bench) -> None:
    """Each lane begins at 1, each head at its own first commit, and deleting two leaves the others."""
    for number, name in enumerate(ALIKE):
        store = await bench.session(name)
        lane = await bench.lane(store, name, by=owner(f"holder {number}"))
        assert lane.fence.fencing_token == 1
        made = await store.commit_runtime_state(
            commit(lane, Append(nodes=(message("n", f"in {name}"),), leaf_node_id="n"), session_id=name)
        )
        assert made.head_revision == 1
        meta = await store.load_session_meta()
        assert meta is not None
        assert (meta.session_id, meta.session_name) == (name, name)
    for name in ("K", "1"):
        await bench.factory.delete_session(name)

    found = [await bench.factory.open_existing_store(request(name)) for name in ALIKE]

    assert [name for name, store in zip(ALIKE, found, strict=True) if store is None] == ["K", "1"]
    texts = [(await loaded(store)).graph.nodes[0] for store in found if store is not None]
    assert texts == [message("n", f"in {name}") for name in ALIKE if name not in ("K", "1")]


@check("REC.5", "FAC.11", "QUE.4", "INP.2")
async def a_session_and_a_name_in_it_are_not_joined_to_one(store: RuntimePersistence) -> None:
    """Source keys and inputs, whatever mark a store puts between the parts of its keys."""
    work = [await store.enqueue_queued_work(batch(session_id=session, source_key=name)) for session, name in JOINED]
    sent = [await store.enqueue_pending_turn_input(said(session_id=session, input_id=name)) for session, name in JOINED]

    assert [(one.session_id, one.source_key) for one in work] == list(JOINED)
    assert [(one.session_id, one.input_id) for one in sent] == list(JOINED)
    for session in dict(JOINED):
        names = [name for of, name in JOINED if of == session]
        assert [one.source_key for one in await store.list_queued_work(session)] == names
        assert [one.input_id for one in await store.list_pending_turn_inputs(session)] == names
