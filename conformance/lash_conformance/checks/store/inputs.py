"""Pending turn input: enqueue, repeat, list (INP.1 to INP.10)."""

from lash_conformance.bench import Lane
from lash_conformance.check import check
from lash_conformance.claims import claim_active, claim_next, complete_inputs, inputs_of, waiting
from lash_conformance.vocabulary import during, refused, said, turn
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import (
    DuplicateInputId,
    PendingTurnInputSourceKeyConflict,
)
from lash_ref.inputs import (
    AttachmentItem,
    ExternalUrlSource,
    InlineSource,
    NextTurn,
    ProviderFileScope,
    ProviderFileSource,
    TextItem,
    TurnInput,
)
from lash_ref.scalars import Json
from lash_ref.work import ProtocolTurnOptions


@check("INP.1")
async def the_ingress_decides_the_state(store: RuntimePersistence) -> None:
    """Input for this turn is pending, for the next deferred."""
    now = await store.enqueue_pending_turn_input(said(ingress=during("t1")))
    later = await store.enqueue_pending_turn_input(said(ingress=NextTurn()))

    assert (now.state, later.state) == ("pending_active", "deferred_next_turn")


@check("INP.2")
async def a_given_id_is_kept_and_a_missing_one_minted(store: RuntimePersistence) -> None:
    """Two minted ids differ."""
    given = await store.enqueue_pending_turn_input(said(input_id="mine"))
    minted = [await store.enqueue_pending_turn_input(said()) for _ in range(2)]

    assert given.input_id == "mine"
    assert len({"mine", "", *(one.input_id for one in minted)}) == 4


@check("INP.3")
async def a_taken_id_is_refused(store: RuntimePersistence) -> None:
    """The first input stays as it was."""
    first = await store.enqueue_pending_turn_input(said("one", input_id="i1"))

    attempt = store.enqueue_pending_turn_input(said("two", input_id="i1"))

    await refused(DuplicateInputId, attempt, session_id="s1", input_id="i1")
    assert await store.list_pending_turn_inputs("s1") == (first,)


@check("INP.3")
async def the_id_of_a_cancelled_input_is_still_taken(store: RuntimePersistence) -> None:
    """A tombstone keeps its id."""
    await store.enqueue_pending_turn_input(said(input_id="i1"))
    await store.cancel_pending_turn_input("s1", "i1")

    await refused(DuplicateInputId, store.enqueue_pending_turn_input(said(input_id="i1")))


@check("INP.3")
async def one_id_may_serve_two_sessions(store: RuntimePersistence) -> None:
    """Ids are the session's own."""
    first = await store.enqueue_pending_turn_input(said("one", input_id="i1"))
    other = await store.enqueue_pending_turn_input(said("two", input_id="i1", session_id="s2"))

    assert await store.list_pending_turn_inputs("s1") == (first,)
    assert await store.list_pending_turn_inputs("s2") == (other,)


@check("INP.4")
async def a_repeat_answers_the_stored_input(store: RuntimePersistence) -> None:
    """Same key, ingress and content."""
    first = await store.enqueue_pending_turn_input(said(source_key="k"))

    assert await store.enqueue_pending_turn_input(said(source_key="k")) == first
    assert await waiting(store) == [first.input_id]


@check("INP.4")
async def a_repeat_of_a_cancelled_input_answers_it(store: RuntimePersistence) -> None:
    """The repeat learns that it was cancelled, and does not revive it."""
    first = await store.enqueue_pending_turn_input(said(source_key="k"))
    await store.cancel_pending_turn_input("s1", first.input_id)

    again = await store.enqueue_pending_turn_input(said(source_key="k"))

    assert (again.input_id, again.state) == (first.input_id, "cancelled")
    assert await waiting(store) == []


@check("INP.4", "INP.19")
async def a_repeat_of_a_completed_input_answers_it(store: RuntimePersistence, lane: Lane) -> None:
    """It is in the conversation already."""
    first = await store.enqueue_pending_turn_input(said(source_key="k"))
    await complete_inputs(store, lane, await claim_next(store, lane))

    again = await store.enqueue_pending_turn_input(said(source_key="k"))

    assert (again.input_id, again.state) == (first.input_id, "completed")
    assert await claim_next(store, lane) is None


@check("INP.5")
async def a_key_with_other_content_is_refused(store: RuntimePersistence) -> None:
    """The error names session, key and the input that has it."""
    first = await store.enqueue_pending_turn_input(said("one", source_key="k"))

    attempt = store.enqueue_pending_turn_input(said("two", source_key="k"))

    await refused(
        PendingTurnInputSourceKeyConflict, attempt, session_id="s1", source_key="k",
        existing_input_id=first.input_id,
    )  # fmt: skip


@check("INP.5")
async def a_key_with_other_ingress_is_refused(store: RuntimePersistence) -> None:
    """The content is the same, the turn is not; nor is the boundary."""
    await store.enqueue_pending_turn_input(said(source_key="k", ingress=during("t1")))

    for_next = store.enqueue_pending_turn_input(said(source_key="k"))
    await refused(PendingTurnInputSourceKeyConflict, for_next)
    boundary = during("t1", "before_completion")
    later = store.enqueue_pending_turn_input(said(source_key="k", ingress=boundary))
    await refused(PendingTurnInputSourceKeyConflict, later)


@check("INP.6")
async def content_is_compared_as_json(store: RuntimePersistence) -> None:
    """Another key order is the same content; another number is not."""

    def content(payload: object) -> TurnInput:
        return TurnInput(protocol_turn_options=ProtocolTurnOptions(payload=Json(payload)))

    first = await store.enqueue_pending_turn_input(
        said(source_key="k", input=content({"a": [1, {"x": None, "y": 2}], "b": True}))
    )

    reordered = content({"b": True, "a": [1, {"y": 2, "x": None}]})
    assert await store.enqueue_pending_turn_input(said(source_key="k", input=reordered)) == first
    other = store.enqueue_pending_turn_input(said(source_key="k", input=content({"a": [], "b": True})))
    await refused(PendingTurnInputSourceKeyConflict, other)


@check("INP.7", "INP.33")
async def a_repeat_after_deferral_answers_the_stored_input(store: RuntimePersistence, lane: Lane) -> None:
    """The submitter sends the original draft again."""
    draft = said(source_key="k", ingress=during("t1"))
    first = await store.enqueue_pending_turn_input(draft)
    await store.commit_runtime_state(turn("t1", fence=lane, interrupted_turn_input_turn_id="t1"))

    again = await store.enqueue_pending_turn_input(draft)

    assert (again.input_id, again.state) == (first.input_id, "deferred_next_turn")


@check("INP.8")
async def listings_show_what_waits_in_order(store: RuntimePersistence, lane: Lane) -> None:
    """Both states, one session, claimed ones left out."""
    names = ["c", "a", "d", "b"]
    for name in names:
        ingress = during("t1") if name in "ad" else NextTurn()
        await store.enqueue_pending_turn_input(said(input_id=name, ingress=ingress))
    await store.enqueue_pending_turn_input(said(session_id="s2"))
    assert await waiting(store) == names

    await claim_next(store, lane, most=1)

    assert await waiting(store) == ["a", "d", "b"]


@check("INP.9", "INP.17")
async def accepted_input_outlives_its_lease(store: RuntimePersistence, lane: Lane) -> None:
    """After a takeover it is neither listed nor claimable."""
    await store.enqueue_pending_turn_input(said(input_id="i1", ingress=during("t1")))
    assert inputs_of(await claim_active(store, lane)) == ["i1"]
    assert await waiting(store) == []

    await lane.hand_over()

    assert await waiting(store) == []
    assert await claim_active(store, lane) is None
    assert await claim_next(store, lane) is None


@check("INP.10")
async def content_reads_back_as_sent(store: RuntimePersistence, lane: Lane) -> None:
    """Text, attachment bytes, options and trace id."""
    content = TurnInput(
        items=(
            TextItem(text="héllo\n\0 \U0001f600"),
            AttachmentItem(source=InlineSource(media_type="image/png", bytes=b"\x00\xff\x80")),
        ),
        protocol_turn_options=ProtocolTurnOptions(payload=Json({"n": None})),
        trace_turn_id="trace-1",
    )
    made = await store.enqueue_pending_turn_input(said(input=content))

    claim = await claim_next(store, lane)

    assert made.input == content
    assert claim is not None
    assert claim.inputs == (made,)


@check("INP.10")
async def borrowed_attachments_read_back_as_sent(store: RuntimePersistence) -> None:
    """A web address, and a file that a provider keeps."""
    at_provider = ProviderFileScope(provider="openai", credential_scope="org-1")
    content = TurnInput(
        items=(
            AttachmentItem(source=ExternalUrlSource(media_type="image/png", url="https://example.org/a.png")),
            AttachmentItem(source=ProviderFileSource(provider_scope=at_provider, id="file-1")),
        )
    )

    await store.enqueue_pending_turn_input(said(input=content))

    (listed,) = await store.list_pending_turn_inputs("s1")
    assert listed.input == content
