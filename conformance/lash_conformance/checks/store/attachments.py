"""The attachment manifest (ATT.1 to ATT.18, ATT.30)."""

from typing import Any

from lash_conformance.bench import Bench, Lane
from lash_conformance.check import check
from lash_conformance.vocabulary import refused, turn, unchecked
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import InvalidRecord
from lash_ref.records import AttachmentIntent, AttachmentManifestEntry


def _intent(attachment_id: str = "a1", at: int = 100, **parts: Any) -> AttachmentIntent:
    defaults: dict[str, Any] = {
        "attachment_id": attachment_id,
        "session_id": "s1",
        "canonical_uri": f"attachment:{attachment_id}",
        "intent_at_epoch_ms": at,
    }
    return AttachmentIntent(**(defaults | parts))


async def _listed(store: RuntimePersistence, cutoff: int) -> list[tuple[str, str]]:
    return [(entry.session_id, entry.attachment_id) for entry in await store.list_uncommitted(cutoff)]


async def _refs(store: RuntimePersistence) -> list[str]:
    return sorted(await store.list_all_refs())


async def _open(store: RuntimePersistence) -> list[tuple[str, str]]:
    return sorted(await _listed(store, 2**62))


@check("ATT.1", needs=("manifest",))
async def rows_are_kept_per_session_and_attachment(store: RuntimePersistence) -> None:
    """Two sessions, one id: two rows, and one may go without the other."""
    await store.record_intent(_intent())
    await store.record_intent(_intent(session_id="s2"))
    assert await _open(store) == [("s1", "a1"), ("s2", "a1")]

    await store.commit_refs("s1", ["a1"])

    assert await _open(store) == [("s2", "a1")]


@check("ATT.2", needs=("manifest",))
async def recording_again_refreshes_the_row(store: RuntimePersistence) -> None:
    """Uri, time and owner are the latest, for the cutoff too; there is still one row."""
    await store.record_intent(_intent(at=100, owner_kind="turn", owner_id="t1"))
    newer = _intent(at=200, canonical_uri="elsewhere", owner_kind="process", owner_id="p1")

    await store.record_intent(newer)

    assert await store.list_uncommitted(2**62) == (AttachmentManifestEntry(**dict(newer)),)
    assert await _listed(store, 199) == []


@check("ATT.2", "ATT.5", needs=("manifest",))
async def recording_again_moves_an_intent_to_the_other_turn(store: RuntimePersistence, lane: Lane) -> None:
    """The turn that recorded it first adopts nothing; the one that recorded it last does."""
    await store.record_intent(_intent(owner_kind="turn", owner_id="t1"))
    await store.record_intent(_intent(owner_kind="turn", owner_id="t2"))

    await store.commit_runtime_state(turn("t1", fence=lane))
    assert await _open(store) == [("s1", "a1")]
    await store.commit_runtime_state(turn("t2", fence=lane))

    assert await _open(store) == []


@check("ATT.2", needs=("manifest",))
async def recording_again_keeps_the_commit_stamp(store: RuntimePersistence) -> None:
    """An adopted attachment stays adopted."""
    await store.record_intent(_intent(at=100))
    await store.commit_refs("s1", ["a1"])

    await store.record_intent(_intent(at=200))

    assert await _open(store) == []
    await store.forget_aged_uncommitted_intents(2**62)
    assert await store.holds_ref("s1", "a1")


@check("ATT.3", needs=("manifest",))
async def committing_refs_stamps_and_never_inserts(store: RuntimePersistence) -> None:
    """One id has an intent, one has none."""
    await store.record_intent(_intent("a1"))

    await store.commit_refs("s1", ["a1", "a2"])

    assert await _open(store) == []
    assert await _refs(store) == ["a1"]
    assert not await store.holds_ref("s1", "a2")


@check("ATT.4", needs=("manifest",))
async def a_commit_stamps_the_ids_it_lists(store: RuntimePersistence, lane: Lane) -> None:
    """Of its own session only; unlisted rows stay open."""
    for session_id, attachment_id in (("s1", "a1"), ("s1", "a2"), ("s2", "a1")):
        await store.record_intent(_intent(attachment_id, session_id=session_id))

    await store.commit_runtime_state(turn("t1", fence=lane, committed_attachment_ids=("a1", "unknown")))

    assert await _open(store) == [("s1", "a2"), ("s2", "a1")]
    assert await _refs(store) == ["a1", "a2"]


@check("ATT.5", needs=("manifest",))
async def a_stamped_commit_adopts_what_its_turn_recorded(store: RuntimePersistence, lane: Lane) -> None:
    """Its own, unlisted; not another turn's, another session's or a process's of the same name."""
    await store.record_intent(_intent("mine", owner_kind="turn", owner_id="t1"))
    await store.record_intent(_intent("other", owner_kind="turn", owner_id="t2"))
    await store.record_intent(_intent("process", owner_kind="process", owner_id="t1"))
    await store.record_intent(_intent("far", session_id="s2", owner_kind="turn", owner_id="t1"))

    await store.commit_runtime_state(turn("t1", fence=lane))

    assert await _open(store) == [("s1", "other"), ("s1", "process"), ("s2", "far")]


@check("ATT.6", needs=("manifest",))
async def the_uncommitted_listing_includes_its_cutoff(store: RuntimePersistence) -> None:
    """Oldest first, whatever order they were recorded in."""
    await store.record_intent(_intent("c", 300))
    await store.record_intent(_intent("a", 200))
    await store.record_intent(_intent("b", 100))

    assert await _listed(store, 99) == []
    assert await _listed(store, 200) == [("s1", "b"), ("s1", "a")]
    assert await _listed(store, 2**63 - 1) == [("s1", "b"), ("s1", "a"), ("s1", "c")]
    await store.record_intent(_intent("d", 2**53 + 1))
    assert ("s1", "d") not in await _listed(store, 2**53)
    assert await _listed(store, 2**53 + 1) == [("s1", "b"), ("s1", "a"), ("s1", "c"), ("s1", "d")]


@check("ATT.7", needs=("manifest",))
async def forgetting_drops_one_sessions_row(store: RuntimePersistence) -> None:
    """The other session's and the other id's stay; forgetting twice is harmless."""
    for session_id, attachment_id in (("s1", "a1"), ("s1", "a2"), ("s2", "a1")):
        await store.record_intent(_intent(attachment_id, session_id=session_id))

    await store.forget("s1", "a1")
    await store.forget("s1", "a1")

    assert await _open(store) == [("s1", "a2"), ("s2", "a1")]


@check("ATT.7", needs=("manifest",))
async def forgetting_drops_a_committed_row(store: RuntimePersistence) -> None:
    """A deleted attachment is deleted, adopted or not."""
    await store.record_intent(_intent())
    await store.commit_refs("s1", ["a1"])

    await store.forget("s1", "a1")

    assert not await store.holds_ref("s1", "a1")
    assert await _refs(store) == []


@check("ATT.8", needs=("manifest",))
async def a_session_holds_what_it_recorded_or_committed(store: RuntimePersistence) -> None:
    """And nothing of another session."""
    await store.record_intent(_intent("a1"))
    await store.record_intent(_intent("a2"))
    await store.commit_refs("s1", ["a2"])

    held = [await store.holds_ref(session_id, a) for session_id in ("s1", "s2") for a in ("a1", "a2", "a3")]

    assert held == [True, True, False, False, False, False]


@check("ATT.9", needs=("manifest",))
async def all_refs_show_each_id_once(store: RuntimePersistence) -> None:
    """Intents and commits, of any session."""
    await store.record_intent(_intent("b"))
    await store.record_intent(_intent("a"))
    await store.record_intent(_intent("b", session_id="s2"))
    await store.commit_refs("s1", ["a"])

    assert await _refs(store) == ["a", "b"]


@check("ATT.30", needs=("manifest",))
async def half_an_owner_is_refused(store: RuntimePersistence) -> None:
    """A kind without an id, and an id without a kind."""
    await refused(InvalidRecord, store.record_intent(unchecked(_intent(), owner_kind="turn")))
    await refused(InvalidRecord, store.record_intent(unchecked(_intent(), owner_id="t1")))

    assert await _refs(store) == []


# -- dead intents


@check("ATT.10", needs=("manifest",))
async def an_aged_intent_without_an_owner_is_forgotten(store: RuntimePersistence) -> None:
    """The one at the cutoff too; the younger one stays."""
    await store.record_intent(_intent("old", 100))
    await store.record_intent(_intent("young", 101))

    await store.forget_aged_uncommitted_intents(100)

    assert await _open(store) == [("s1", "young")]


@check("ATT.11", needs=("manifest", "clock"))
async def a_turns_intent_waits_for_another_turn_to_commit_later(
    bench: Bench, store: RuntimePersistence, lane: Lane
) -> None:
    """Neither age nor a commit in the same millisecond is enough; a later one is."""
    now = bench.clock.now_ms()
    await store.record_intent(_intent(at=now, owner_kind="turn", owner_id="t1"))
    await store.forget_aged_uncommitted_intents(now + 1000)
    assert await _open(store) == [("s1", "a1")]
    await store.commit_runtime_state(turn("t2", fence=lane))
    await store.forget_aged_uncommitted_intents(now + 1000)
    assert await _open(store) == [("s1", "a1")]

    await bench.pass_time(1)
    await store.commit_runtime_state(turn("t3", fence=lane))
    await store.forget_aged_uncommitted_intents(now + 1000)

    assert await _open(store) == []


@check("ATT.11", needs=("manifest", "clock"))
async def a_turns_intent_does_not_die_by_another_sessions_turn(
    bench: Bench, store: RuntimePersistence, lane: Lane
) -> None:
    """The later turn was committed in "s1"; the intent is of "s2"."""
    now = bench.clock.now_ms()
    await store.record_intent(_intent(at=now, session_id="s2", owner_kind="turn", owner_id="t1"))
    await bench.pass_time(1)
    await store.commit_runtime_state(turn("t2", fence=lane))

    await store.forget_aged_uncommitted_intents(now + 1000)

    assert await _open(store) == [("s2", "a1")]


@check("ATT.11", needs=("manifest",))
async def a_turns_own_commit_is_not_anothers(store: RuntimePersistence, lane: Lane) -> None:
    """The intent came after it, and says a time before it."""
    await store.commit_runtime_state(turn("t1", fence=lane))
    await store.record_intent(_intent(at=0, owner_kind="turn", owner_id="t1"))

    await store.forget_aged_uncommitted_intents(2**62)

    assert await _open(store) == [("s1", "a1")]


@check("ATT.11", needs=("manifest",))
async def a_turn_that_commits_last_does_not_hide_another_before_it(store: RuntimePersistence, lane: Lane) -> None:
    """Another turn committed, then the owner; intents came after both, and say times before them, as numbers and not as text."""
    await store.commit_runtime_state(turn("t1", fence=lane))
    await store.commit_runtime_state(turn("t2", fence=lane))
    for at in (0, 9, 2000):
        await store.record_intent(_intent(f"a{at}", at, owner_kind="turn", owner_id="t2"))

    await store.forget_aged_uncommitted_intents(2**62)

    assert await _open(store) == []


@check("ATT.12", needs=("manifest", "process_evidence"))
async def a_processs_intent_dies_with_its_process(bench: Bench, store: RuntimePersistence) -> None:
    """One process is known to be gone, others whose names are like its name are not."""
    await store.record_intent(_intent("gone", owner_kind="process", owner_id="p1"))
    await store.record_intent(_intent("here", owner_kind="process", owner_id="p10"))
    await store.record_intent(_intent("here too", owner_kind="process", owner_id="P1"))
    bench.processes.gone.add("p1")

    await store.forget_aged_uncommitted_intents(2**62)

    assert sorted(await _open(store)) == [("s1", "here"), ("s1", "here too")]


@check("ATT.13", needs=("manifest",))
async def doubt_about_a_process_keeps_its_intent(store: RuntimePersistence, lane: Lane) -> None:
    """Nothing is known of it, however old the intent and whoever committed since."""
    await store.record_intent(_intent(at=0, owner_kind="process", owner_id="p1"))
    await store.commit_runtime_state(turn("t1", fence=lane))

    await store.forget_aged_uncommitted_intents(2**62)

    assert await _open(store) == [("s1", "a1")]


@check("ATT.14", needs=("manifest", "process_evidence"))
async def a_young_intent_stays_however_dead_its_owner(bench: Bench, store: RuntimePersistence) -> None:
    """Recorded one millisecond after the cutoff."""
    bench.processes.gone.add("p1")
    await store.record_intent(_intent(at=101, owner_kind="process", owner_id="p1"))

    await store.forget_aged_uncommitted_intents(100)

    assert await _open(store) == [("s1", "a1")]


@check("ATT.15", needs=("manifest",))
async def a_committed_row_is_never_forgotten(store: RuntimePersistence) -> None:
    """Old, without an owner, but adopted; its unadopted twin goes."""
    await store.record_intent(_intent(at=0))
    await store.record_intent(_intent("a2", at=0))
    await store.commit_refs("s1", ["a1"])

    await store.forget_aged_uncommitted_intents(2**62)

    assert await _refs(store) == ["a1"]


@check("ATT.16", needs=("manifest",))
async def asking_for_a_live_ref_deletes_nothing(store: RuntimePersistence) -> None:
    """A dead intent is no live ref, yet stays until reconciled; a young or adopted one is live."""
    await store.record_intent(_intent("dead", 100))
    await store.record_intent(_intent("young", 300))
    await store.record_intent(_intent("kept", 100))
    await store.commit_refs("s1", ["kept"])

    live = [await store.has_live_ref_for_id(name, 200) for name in ("dead", "young", "kept", "unknown")]

    assert live == [False, True, True, False]
    assert await _refs(store) == ["dead", "kept", "young"]


@check("ATT.17", needs=("manifest", "durable"))
async def rows_survive_reopening(bench: Bench, store: RuntimePersistence) -> None:
    """An intent and a commit."""
    await store.record_intent(_intent("a1"))
    await store.record_intent(_intent("a2"))
    await store.commit_refs("s1", ["a2"])

    again = await bench.session(on=await bench.reopen())

    assert await _refs(again) == ["a1", "a2"]
    assert await _open(again) == [("s1", "a1")]


@check("ATT.18", without=("manifest",))
async def a_store_without_a_manifest_accepts_all_and_lists_nothing(store: RuntimePersistence) -> None:
    """Writes succeed, every ref is held."""
    await store.record_intent(_intent())

    assert await store.list_uncommitted(2**62) == ()
    assert await _refs(store) == []
    assert await store.holds_ref("s1", "never-recorded")
