"""Linearizability, on histories known to be good and known to be bad."""

from typing import Any

from lash_conformance.bench import request
from lash_conformance.history import Call, explained, smallest, told
from lash_conformance.model import Model
from lash_conformance.model_state import State
from lash_conformance.rules_lane import OWNERS
from lash_conformance.vocabulary import batch

A, B = OWNERS[:2]


def place() -> Model:
    made = Model(State(frozenset(("gc", "active_path")), 0))
    made.apply("factory", "create_store", [request().to_data()])
    return made


def call(client: str, method: str, arguments: tuple[Any, ...], found: Any, at: tuple[int, int]) -> Call:
    answer = None if found is None else {"ok": found if found != "nothing" else None}
    return Call(client, "store[s1]", method, arguments, answer, *at)


def granted(owner: Any, number: int, token: str) -> dict[str, Any]:
    return {
        "session_id": "s1", "owner": owner, "lease_token": token, "fencing_token": number,
        "claimed_at_epoch_ms": 0, "expires_at_epoch_ms": 9,
    }  # fmt: skip


def claim(client: str, owner: Any, found: Any, at: tuple[int, int]) -> Call:
    return call(client, "try_claim_session_execution_lease", ("s1", owner, 9), found, at)


def test_one_winner_and_one_loser_is_explained_whoever_came_first():
    """The loser was invoked first and answered last."""
    won = granted(B, 1, "x")
    calls = [
        claim("a", A, {"Busy": {"holder": won}}, (1, 4)),
        claim("b", B, {"Acquired": won}, (2, 3)),
    ]

    found = explained(place(), calls)

    assert found.complete
    assert [one.client for one in found.order] == ["b", "a"]


def test_two_winners_are_explained_by_nothing():
    """And the counterexample says what the second should have seen."""
    calls = [
        claim("a", A, {"Acquired": granted(A, 1, "x")}, (1, 3)),
        claim("b", B, {"Acquired": granted(B, 1, "y")}, (2, 4)),
    ]

    assert not explained(place(), calls).complete
    text = told(*smallest(place(), calls))
    assert "no order explains this" in text
    assert "a: store[s1].try_claim_session_execution_lease" in text


def test_real_time_is_kept():
    """A loser that ended before the winner began had nobody to lose to."""
    won = granted(B, 1, "x")
    calls = [
        claim("a", A, {"Busy": {"holder": won}}, (1, 2)),
        claim("b", B, {"Acquired": won}, (3, 4)),
    ]

    assert not explained(place(), calls).complete


def listed(client: str, found: Any, at: tuple[int, int]) -> Call:
    return call(client, "list_queued_work", ("s1",), found, at)


def stored(batch_id: str, sequence: int) -> dict[str, Any]:
    draft = batch().to_data()
    (payload,) = draft.pop("payloads")
    items = [{"item_id": f"{batch_id}.i", "payload": payload}]
    return draft | {"batch_id": batch_id, "enqueue_seq": sequence, "enqueued_at_ms": 0, "items": items}


def enqueued(client: str, found: Any, at: tuple[int, int]) -> Call:
    return call(client, "enqueue_queued_work", (batch().to_data(),), found, at)


def test_a_lost_update_is_explained_by_nothing():
    """Two batches were answered, one is listed afterwards."""
    calls = [
        enqueued("a", stored("b1", 1), (1, 3)),
        enqueued("b", stored("b2", 2), (2, 4)),
        listed("c", [stored("b2", 2)], (5, 6)),
    ]

    assert not explained(place(), calls).complete
    assert explained(place(), calls[:2]).complete


def test_a_call_without_an_answer_may_have_taken_effect_or_not():
    """A listing that shows the batch is explained, and so is one that does not."""
    pending = enqueued("a", None, (1, 99))

    assert explained(place(), [pending, listed("b", [stored("b1", 1)], (2, 3))]).complete
    assert explained(place(), [pending, listed("b", [], (2, 3))]).complete


def test_an_effect_seen_and_then_not_is_explained_by_nothing():
    """A read may not go back behind another."""
    calls = [
        enqueued("a", stored("b1", 1), (1, 9)),
        listed("b", [stored("b1", 1)], (2, 3)),
        listed("b", [], (4, 5)),
    ]

    assert not explained(place(), calls).complete


def test_an_id_given_twice_is_explained_by_nothing():
    """Names of one kind stand for different values."""
    calls = [
        enqueued("a", stored("b1", 1), (1, 2)),
        enqueued("b", stored("b1", 2), (3, 4)),
    ]

    assert not explained(place(), calls).complete


def test_a_sequence_that_falls_is_explained_by_nothing():
    """The first in real time has the lower number."""
    calls = [
        enqueued("a", stored("b1", 2), (1, 2)),
        enqueued("b", stored("b2", 1), (3, 4)),
    ]

    assert not explained(place(), calls).complete


def test_the_smallest_counterexample_ends_with_the_first_impossible_answer():
    """What came later is left out."""
    calls = [
        enqueued("a", stored("b1", 1), (1, 2)),
        listed("b", [], (3, 4)),
        listed("c", [stored("b1", 1)], (5, 6)),
    ]

    seen, found = smallest(place(), calls)

    assert [one.client for one in seen] == ["a", "b"]
    assert not found.complete
