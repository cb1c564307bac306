"""Durable waits and turns by name, for hosts that hold no handle on the session."""

import asyncio
from dataclasses import dataclass

from lash_ref.cancel import TurnCancelGate, TurnCancellationEvidence, TurnCancelReceipt
from lash_ref.contracts import Clock
from lash_ref.effects import EffectHost
from lash_ref.outcome import TurnResult
from lash_ref.wait_store import AwaitEventKey, Resolution, Resolved
from lash_ref.waits import ResolveOutcome, UnknownOrRevoked


@dataclass
class Completions:
    """Durable waits of a core, by key."""

    effect_host: EffectHost

    def resolve(self, key: AwaitEventKey | str, resolution: Resolution) -> ResolveOutcome:
        """Answer a wait; the first word stands ([WAI.1][], [WAI.2][]).

        Raises:
            InvalidRecord: the text is no key at all.
        """
        read = AwaitEventKey.from_json(key) if isinstance(key, str) else key
        return self.effect_host.waits.resolve(read, resolution)

    async def wait(
        self, key: AwaitEventKey | str, deadline_s: float | None = None
    ) -> Resolution | UnknownOrRevoked:
        """Wait for a key as a turn does."""
        read = AwaitEventKey.from_json(key) if isinstance(key, str) else key
        return await self.effect_host.waits.wait(read, deadline_s=deadline_s)


@dataclass
class TurnWorkDriver:
    """Turn control by name, for hosts that hold no handle on the session."""

    effect_host: EffectHost
    clock: Clock

    def request_cancel(
        self,
        session_id: str,
        turn_id: str,
        request_id: str,
        origin: str | None = None,
        reason: str | None = None,
    ) -> TurnCancelReceipt:
        """Ask exactly one turn to stop, also before it starts ([CAN.14][], [CAN.18][])."""
        evidence = TurnCancellationEvidence(
            request_id=request_id,
            origin=origin,
            reason=reason,
            requested_at_ms=self.clock.now_ms(),
        )
        gate = TurnCancelGate(self.effect_host.waits, session_id, turn_id)
        return TurnCancelReceipt(
            durability_tier=self.effect_host.tier, outcome=gate.request(evidence)
        )

    async def await_terminal(
        self, session_id: str, turn_id: str, timeout_s: float | None = None
    ) -> TurnResult | None:
        """A turn's committed result; none when it has not ended in time. A timeout poisons nothing."""
        waits = self.effect_host.waits
        key = waits.key(session_id, "turn_terminal", turn_id)
        try:
            stands = await asyncio.wait_for(waits.wait(key), timeout_s)
        except TimeoutError:
            return None
        return TurnResult.from_data(stands.value.value) if isinstance(stands, Resolved) else None
