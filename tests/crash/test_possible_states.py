"""What may be found after a kill: states ruled out by what is read."""

from typing import Any

from lash_conformance.bench import request
from lash_conformance.model import Model
from lash_conformance.model_state import State
from lash_conformance.possible_states import PossibleStates

REQUEST = request().to_data()
META = ("store[s1]", "load_session_meta", ())


def states() -> PossibleStates:
    return PossibleStates(Model(State(frozenset(), 1000)))


def opened(found: Any) -> tuple[str, str, tuple[Any, ...], dict[str, Any]]:
    return "factory", "open_existing_store", (REQUEST,), {"ok": found}


def test_a_call_that_was_answered_took_effect():
    """Finding nothing of it is a fault, and what was before explains it: it is lost."""
    before = states()
    after = states()
    assert after.saw("factory", "create_store", (REQUEST,), {"ok": "store"}) == ""

    assert after.saw(*opened("store")) == ""
    assert after.saw(*opened(None)) == "open_existing_store: .ok: None, not 'store'"
    assert after.forgotten(before, *opened(None))


def test_a_call_in_doubt_took_effect_or_not():
    """Either is sound; once one was seen the other is not."""
    for first, other in (("store", None), (None, "store")):
        doubted = states()
        doubted.doubt("factory", "create_store", (REQUEST,))

        assert doubted.saw(*opened(first)) == ""
        assert {state.took for state in doubted.possible} == {first == "store"}
        assert doubted.saw(*opened(other)) != ""


def test_asking_twice_does_not_multiply_the_states():
    """A call that was refused several times leaves two states, not thirty-two."""
    doubted = states()
    for _ in range(5):
        doubted.doubt("store[s1]", "save_session_meta", ({"session_id": "s1", "session_name": "n"},))

    assert len(doubted.possible) == 2
