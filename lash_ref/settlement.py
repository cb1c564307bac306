"""What a commit owes the claims it was built from."""

from collections.abc import Iterable

from lash_ref.errors import UnsettledQueuedWorkClaim, UnsettledTurnInputClaim
from lash_ref.inputs import TurnInputClaim
from lash_ref.records import RuntimeCommit
from lash_ref.work import QueuedWorkClaim


def require_settled(
    commit: RuntimeCommit,
    queue_claims: Iterable[QueuedWorkClaim] = (),
    input_claims: Iterable[TurnInputClaim] = (),
) -> None:
    """Refuse a commit that does not complete every claim whose content went into it.

    For whoever drafts commits, before the store sees one: a claim that is forgotten comes back to a later
    turn, and its content is said or done twice. A claim is settled by a completion of its session and id; a
    completion of a part of it settles that part ([QUE.44][]).

    Raises:
        UnsettledQueuedWorkClaim: a queue claim has no completion; queue claims are judged first.
        UnsettledTurnInputClaim: an input claim has none.
    """
    settled = {(done.session_id, done.claim_id) for done in commit.completed_queue_claims}
    for claim in queue_claims:
        if (claim.session_id, claim.claim_id) not in settled:
            raise UnsettledQueuedWorkClaim(claim.session_id, claim.claim_id)
    settled = {(done.session_id, done.claim_id) for done in commit.completed_turn_input_claims}
    for claim in input_claims:
        if (claim.session_id, claim.claim_id) not in settled:
            raise UnsettledTurnInputClaim(claim.session_id, claim.claim_id)
