"""Commits under a lease, as the tests of the PostgreSQL store make them."""

from lash_conformance.bench import owner
from lash_conformance.vocabulary import chain, commit, spent
from lash_ref.contracts import RuntimePersistence
from lash_ref.lease import Acquired
from lash_ref.nodes import Append
from lash_ref.records import RuntimeCommit


async def holding(store: RuntimePersistence, session_id: str = "s1") -> Acquired:
    taken = await store.try_claim_session_execution_lease(session_id, owner(), 10**9)
    assert isinstance(taken, Acquired)
    return taken


def turn(lease: Acquired, *nodes: str, expects: int | None = None) -> RuntimeCommit:
    made = Append(nodes=chain(*nodes) if nodes else (), leaf_node_id=nodes[-1] if nodes else None)
    return commit(
        lease.fence(), made, session_id=lease.session_id,
        expected_head_revision=expects, usage_deltas=(spent(input_tokens=1),),
    )  # fmt: skip
