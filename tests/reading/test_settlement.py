"""A commit that forgets a claim is refused before it is sent."""

import pytest

from lash_conformance.bench import owner
from lash_conformance.vocabulary import commit
from lash_ref.errors import UnsettledQueuedWorkClaim, UnsettledTurnInputClaim
from lash_ref.inputs import NextTurnMode, TurnInputClaim
from lash_ref.settlement import require_settled
from lash_ref.work import QueuedWorkClaim

HELD = {
    "session_id": "s1", "owner": owner(), "lease_token": "t", "fencing_token": 1, "session_lease_generation": 1,
}  # fmt: skip
WORK = QueuedWorkClaim(claim_id="work", batches=(), **HELD)
SAID = TurnInputClaim(claim_id="said", mode=NextTurnMode(), inputs=(), **HELD)


def test_a_commit_that_completes_its_claims_is_settled() -> None:
    settled = commit(
        None,
        completed_queue_claims=(WORK.completion(),),
        completed_turn_input_claims=(SAID.completion(),),
    )
    require_settled(settled, [WORK], [SAID])
    require_settled(commit(None))


def test_a_forgotten_queue_claim_is_named() -> None:
    forgetful = commit(None, completed_turn_input_claims=(SAID.completion(),))
    with pytest.raises(UnsettledQueuedWorkClaim) as refusal:
        require_settled(forgetful, [WORK], [SAID])
    assert refusal.value.fields == {"session_id": "s1", "claim_id": "work"}


def test_a_forgotten_input_claim_is_named() -> None:
    forgetful = commit(None, completed_queue_claims=(WORK.completion(),))
    with pytest.raises(UnsettledTurnInputClaim) as refusal:
        require_settled(forgetful, [WORK], [SAID])
    assert refusal.value.fields == {"session_id": "s1", "claim_id": "said"}


def test_a_completion_of_another_session_settles_nothing() -> None:
    elsewhere = WORK.completion().but(session_id="s2")
    with pytest.raises(UnsettledQueuedWorkClaim):
        require_settled(commit(None, completed_queue_claims=(elsewhere,)), [WORK])
