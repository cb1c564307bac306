"""A store as a stranger would write it on a Friday: a dict, no leases checked, read-then-write CAS."""

import asyncio
from types import SimpleNamespace

from lash_ref.errors import HeadRevisionConflict
from lash_ref.lease import Acquired
from lash_ref.nodes import GraphSnapshot, Unchanged
from lash_ref.records import PersistedSessionRead, RuntimeCommitResult, SessionCheckpoint


class NaiveStore:
    """Keeps one head in a dict."""

    def __init__(self):
        self.head = None
        self.nodes = []

    async def durability_tier(self):
        return "inline"

    async def try_claim_session_execution_lease(self, session_id, owner, lease_ttl_ms):
        return Acquired(
            session_id=session_id, owner=owner, lease_token="token", fencing_token=1,
            claimed_at_epoch_ms=0, expires_at_epoch_ms=lease_ttl_ms,
        )  # fmt: skip

    async def load_session(self, scope):
        if self.head is None:
            return None
        commit, revision = self.head
        return PersistedSessionRead(
            session_id="s1", head_revision=revision, config=commit.config,
            graph=GraphSnapshot(nodes=self.nodes, leaf_node_id=commit.graph.leaf_node_id),
        )  # fmt: skip

    async def load_node(self, node_id):
        return next((node for node in self.nodes if node.node_id == node_id), None)

    async def commit_runtime_state(self, commit):
        revision = self.head[1] if self.head else 0
        if commit.expected_head_revision not in (None, revision):
            raise HeadRevisionConflict(commit.expected_head_revision, revision)
        await asyncio.sleep(0)
        if not isinstance(commit.graph, Unchanged):
            self.nodes = [*self.nodes, *commit.graph.nodes]
        self.head = (commit, revision + 1)
        manifest = SessionCheckpoint(turn_state=commit.checkpoint.turn_state)
        return RuntimeCommitResult(head_revision=revision + 1, checkpoint_ref="c", manifest=manifest)


class NaiveSessions:
    """A dict of stores."""

    def __init__(self):
        self.stores = {}

    async def durability_tier(self):
        return "inline"

    async def create_store(self, request):
        return self.stores.setdefault(request.session_id, NaiveStore())

    async def open_existing_store(self, request):
        return self.stores.get(request.session_id)

    async def delete_session(self, session_id):
        self.stores.pop(session_id, None)


class NaiveTarget:
    """Declares as little as it may."""

    name = "naive"
    version = "0"
    capabilities = frozenset()

    async def open(self, place):
        async def close():
            return None

        return SimpleNamespace(sessions=NaiveSessions(), attachments=SimpleNamespace(), close=close)


def target():
    """What ``python:naive_store:target`` names."""
    return NaiveTarget()


def steering():
    """The same, under a name that is no name."""
    made = NaiveTarget()
    made.name = "clear\x1b[2J turn\u202e half\ud800"
    return made
