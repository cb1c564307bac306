"""The Protocols: what a host supplies to the runtime, and what the judge holds a store to.

A store keeps one session's head, graph, meta and checkpoint, and any session's leases, queue and inputs
by session id. Every method may raise `Backend`; every method given a value that is not of the contract
raises `InvalidRecord` and changes nothing. "Atomic" means all or nothing, also when the process is killed.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from lash_ref.inputs import AttachmentRef
from lash_ref.lease import (
    LeaseOwnerIdentity,
    SessionExecutionLease,
    SessionExecutionLeaseClaimOutcome,
    SessionExecutionLeaseCompletion,
    SessionExecutionLeaseFence,
)
from lash_ref.nodes import SessionNodeRecord, SessionReadScope
from lash_ref.queue_contracts import QueuedWorkStore, TurnInputStore
from lash_ref.records import (
    AttachmentCreateMeta,
    AttachmentIntent,
    AttachmentManifestEntry,
    DurabilityTier,
    GcReport,
    PersistedSessionRead,
    RuntimeCommit,
    RuntimeCommitResult,
    SessionMeta,
    SessionStoreCreateRequest,
    StoredBlobRef,
    VacuumReport,
)


class Clock(Protocol):
    """The one authority on time of a store."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        ...


class ProcessEvidence(Protocol):
    """What a store may know of the processes that own attachment intents."""

    async def process_is_gone(self, process_id: str) -> bool:
        """Whether the process row is known to be gone; false when in doubt ([ATT.13][])."""
        ...


class SessionCommitStore(Protocol):
    """Head, graph, checkpoint and meta of one session."""

    async def durability_tier(self) -> DurabilityTier:
        """``inline`` lives and dies with the process; ``durable`` survives it."""
        ...

    async def load_session(self, scope: SessionReadScope) -> PersistedSessionRead | None:
        """One committed state, or none before the first commit.

        Raises:
            UnsupportedReadScope: the backend lacks the scope.
            UnknownLeaf: the named leaf is no live node.
            UnreadableRecord: a record of the session cannot be read.
            MissingRecordSchemaVersion: as are its siblings, for a head or manifest of another version.
        """
        ...

    async def load_node(self, node_id: str) -> SessionNodeRecord | None:
        """Any live node, on or off the active path.

        Raises:
            UnreadableRecord: the node is there but cannot be read.
        """
        ...

    async def commit_runtime_state(self, commit: RuntimeCommit) -> RuntimeCommitResult:
        """Apply one commit, atomically, or answer a repeated one from its record.

        The checks run in this order, all before any write.

        Raises:
            SessionBindingMismatch: the commit, or an outbox draft in it, names another session.
            RuntimeTurnCommitConflict: the stamp names another session, or a turn committed with
                another hash.
            SessionExecutionLeaseExpired: no fence, or not the live lease's.
            HeadRevisionConflict: the head is not the expected one.
            DuplicateNodeId: a node to add is stored already, or listed twice.
            QueuedWorkClaimSuperseded: a queue completion does not hold all it lists.
            TurnInputClaimSuperseded: an input completion does not hold all it lists.
        """
        ...

    async def save_session_meta(self, meta: SessionMeta) -> None:
        """Replace the session's meta; needs no lease."""
        ...

    async def load_session_meta(self) -> SessionMeta | None:
        """The session's meta, if any was saved."""
        ...


class SessionExecutionLeaseStore(Protocol):
    """The lane of each session: one holder at a time, fenced by a number that only grows."""

    async def try_claim_session_execution_lease(
        self, session_id: str, owner: LeaseOwnerIdentity, lease_ttl_ms: int
    ) -> SessionExecutionLeaseClaimOutcome:
        """Take a free or expired lane, or re-enter one's own; atomic."""
        ...

    async def reclaim_session_execution_lease(
        self,
        session_id: str,
        owner: LeaseOwnerIdentity,
        observed_holder: SessionExecutionLeaseFence,
        lease_ttl_ms: int,
    ) -> SessionExecutionLeaseClaimOutcome:
        """Also take a live lane whose observed holder is provably dead; atomic."""
        ...

    async def renew_session_execution_lease(
        self, fence: SessionExecutionLeaseFence, lease_ttl_ms: int
    ) -> SessionExecutionLease:
        """Set the expiry to now plus the ttl; atomic.

        Raises:
            SessionExecutionLeaseExpired: the fence is not the live lease.
        """
        ...

    async def release_session_execution_lease(
        self, completion: SessionExecutionLeaseCompletion
    ) -> None:
        """Free the lane if the completion is its lease; else nothing. Never fails on a mismatch."""
        ...


class StoreMaintenance(Protocol):
    """Chores; none takes a fence."""

    async def tombstone_nodes(self, ids: Sequence[str]) -> None:
        """Hide nodes from every read; unknown ids are ignored. The revision stays."""
        ...

    async def vacuum(self) -> VacuumReport:
        """Delete hidden nodes and terminal inputs."""
        ...

    async def gc_unreachable(self) -> GcReport:
        """Delete blobs that no live head reaches.

        Raises:
            UnreadableRecord: a live head or manifest cannot be read; nothing was deleted.
            Unsupported: the backend does not reclaim blobs.
        """
        ...


class AttachmentManifest(Protocol):
    """Which session refers to which bytes, written ahead of the bytes.

    A backend that does not declare the ``manifest`` capability accepts every write, lists nothing and
    holds every reference.
    """

    async def record_intent(self, intent: AttachmentIntent) -> None:
        """Record or refresh an intent; a commit stamp stays."""
        ...

    async def commit_refs(self, session_id: str, attachment_ids: Sequence[str]) -> None:
        """Stamp existing rows as committed; never inserts."""
        ...

    async def list_uncommitted(self, older_than_epoch_ms: int) -> tuple[AttachmentManifestEntry, ...]:
        """Uncommitted rows recorded at or before the cutoff, oldest first."""
        ...

    async def forget_aged_uncommitted_intents(self, intent_grace_cutoff_epoch_ms: int) -> None:
        """Forget uncommitted rows at or before the cutoff whose owner is dead; one conditional delete."""
        ...

    async def has_live_ref_for_id(
        self, attachment_id: str, intent_grace_cutoff_epoch_ms: int
    ) -> bool:
        """Whether any row would keep these bytes alive past that cutoff; deletes nothing."""
        ...

    async def forget(self, session_id: str, attachment_id: str) -> None:
        """Drop one session's row."""
        ...

    async def holds_ref(self, session_id: str, attachment_id: str) -> bool:
        """Whether that session has an intent or a commit for these bytes."""
        ...

    async def list_all_refs(self) -> tuple[str, ...]:
        """Ids with an intent or a commit, each once, in any order."""
        ...


class RuntimePersistence(
    SessionCommitStore,
    SessionExecutionLeaseStore,
    QueuedWorkStore,
    TurnInputStore,
    StoreMaintenance,
    AttachmentManifest,
    Protocol,
):
    """A session's store: the five segments and the manifest, one transactional domain."""


class SessionStoreFactory(Protocol):
    """Opens, creates and deletes the stores of sessions."""

    async def durability_tier(self) -> DurabilityTier:
        """The tier of the factory and of every store it makes."""
        ...

    async def create_store(self, request: SessionStoreCreateRequest) -> RuntimePersistence:
        """Open the session's store, seeding its meta when it is new."""
        ...

    async def open_existing_store(
        self, request: SessionStoreCreateRequest
    ) -> RuntimePersistence | None:
        """The session's store, or none when it was never created or was deleted."""
        ...

    async def delete_session(self, session_id: str) -> None:
        """Delete everything of the session; idempotent."""
        ...

    async def live_attachment_refs(self, intent_grace_cutoff_epoch_ms: int) -> frozenset[str]:
        """Reconcile every session's dead intents, then answer every id still referred to.

        Raises:
            UnreadableRecord: a session's manifest cannot be read; nobody may delete bytes then.
        """
        ...

    async def has_live_attachment_ref(
        self, attachment_id: str, intent_grace_cutoff_epoch_ms: int
    ) -> bool:
        """As `AttachmentManifest.has_live_ref_for_id`, over every session; deletes nothing."""
        ...


class AttachmentStore(Protocol):
    """Content-addressed bytes, shared by all sessions."""

    async def persistence(self) -> DurabilityTier:
        """``inline`` (ephemeral) or ``durable``."""
        ...

    async def put(self, data: bytes, meta: AttachmentCreateMeta) -> AttachmentRef:
        """Store bytes under their SHA-256; a repeat refreshes their modification time."""
        ...

    async def get(self, attachment_id: str) -> bytes:
        """The bytes.

        Raises:
            AttachmentNotFound: no such bytes.
        """
        ...

    async def delete(self, attachment_id: str) -> None:
        """Delete the bytes; idempotent."""
        ...

    async def list(self) -> tuple[StoredBlobRef, ...]:
        """One entry a blob, in any order."""
        ...

    async def head(self, attachment_id: str) -> StoredBlobRef | None:
        """One blob's entry, if it is there."""
        ...


@runtime_checkable
class Closable(Protocol):
    """A store that holds something open."""

    async def close(self) -> None:
        """Let go of connections and threads; what was acknowledged stays."""
        ...
