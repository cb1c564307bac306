"""The store: the segments composed, and the factory every backend shares.

A backend supplies `Rows` and where transactions begin; all rules are the segments'.
"""

import secrets
import time
from datetime import UTC, datetime

from lash_ref.contracts import Clock, ProcessEvidence, RuntimePersistence
from lash_ref.maintenance import MaintenanceSegment
from lash_ref.manifest import ManifestSegment
from lash_ref.records import DurabilityTier, SessionMeta, SessionStoreCreateRequest
from lash_ref.rows import Rows
from lash_ref.scalars import admitted, identifier
from lash_ref.segment import Mint, Transactions

LAST_RFC3339_SECOND = 253_402_300_799
"""The end of the year 9999: RFC 3339 has four digits for a year, clocks may be set later."""


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return time.time_ns() // 1_000_000


class NoEvidence:
    """Knows of no process, so that none is ever taken for gone ([ATT.13][])."""

    async def process_is_gone(self, process_id: str) -> bool:  # noqa: ARG002 - whichever it is
        """Never."""
        return False


def random_mint(kind: str) -> str:
    """Text of 128 random bits under its kind."""
    return f"{kind}-{secrets.token_hex(16)}"


class Store(MaintenanceSegment, ManifestSegment):
    """A session's store over any backend's rows."""

    tier: DurabilityTier = "inline"

    async def durability_tier(self) -> DurabilityTier:
        """As the backend declares."""
        return self.tier


class StoreFactory:
    """`SessionStoreFactory` over any backend's rows."""

    tier: DurabilityTier = "inline"
    store: type[Store] = Store

    def __init__(
        self,
        transactions: Transactions,
        clock: Clock | None = None,
        mint: Mint = random_mint,
        evidence: ProcessEvidence | None = None,
    ) -> None:
        self.transactions = transactions
        self.clock = clock or SystemClock()
        self.mint = mint
        self.evidence = evidence or NoEvidence()

    async def durability_tier(self) -> DurabilityTier:
        """The tier of the factory and of every store it makes."""
        return self.tier

    def bound(self, session_id: str) -> Store:
        """A handle on the session's store."""
        made = self.store(session_id, self.transactions, self.clock, self.mint, self.evidence)
        made.tier = self.tier
        return made

    async def create_store(self, request: SessionStoreCreateRequest) -> RuntimePersistence:
        """Open the session's store, seeding its meta when it is new ([FAC.3][])."""
        request = admitted(request)
        async with self.transactions.begin(write=True) as rows:
            if await rows.meta(request.session_id) is None:
                await rows.put_meta(self.seeded(request))
        return self.bound(request.session_id)

    def seeded(self, request: SessionStoreCreateRequest) -> SessionMeta:
        """A new session's meta."""
        seconds = min(self.clock.now_ms() / 1000, LAST_RFC3339_SECOND)
        moment = datetime.fromtimestamp(seconds, UTC)
        return SessionMeta(
            session_id=request.session_id,
            session_name=request.session_id,
            created_at=moment.isoformat().replace("+00:00", "Z"),
            model=request.policy.model.id,
            relation=request.relation,
        )

    async def open_existing_store(self, request: SessionStoreCreateRequest) -> RuntimePersistence | None:
        """The session's store, or none when it was never created or was deleted."""
        request = admitted(request)
        async with self.transactions.begin(write=False) as rows:
            known = await rows.meta(request.session_id) is not None
        return self.bound(request.session_id) if known else None

    async def delete_session(self, session_id: str) -> None:
        """Delete everything of the session, in one unit; idempotent."""
        identifier("session_id", session_id)
        async with self.transactions.begin(write=True) as rows:
            await self.drop(rows, session_id)

    async def drop(self, rows: Rows, session_id: str) -> None:
        """Every row keyed by the session."""
        await rows.drop_session(session_id)

    async def live_attachment_refs(self, intent_grace_cutoff_epoch_ms: int) -> frozenset[str]:
        """Reconcile every session's dead intents, then answer every id still referred to."""
        return await self.bound("root").live_refs(intent_grace_cutoff_epoch_ms)

    async def has_live_attachment_ref(self, attachment_id: str, intent_grace_cutoff_epoch_ms: int) -> bool:
        """Whether any session's row would keep these bytes alive; deletes nothing."""
        return await self.bound("root").has_live_ref_for_id(attachment_id, intent_grace_cutoff_epoch_ms)
