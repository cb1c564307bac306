"""Cancelling turns: tokens, the registry of a handle's running turns, and the gate a turn ends through.

A turn's end is decided once, at its gate: either a request to cancel it or its own completion comes
first, and the other side learns so. The evidence of the winning request is kept with the turn.
"""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from lash_ref.records import DurabilityTier
from lash_ref.runtime_errors import RuntimeErrorCode, RuntimeFailure
from lash_ref.scalars import U64, Identifier, Json, Record, Text
from lash_ref.wait_store import AwaitEventKey, Resolution, Resolved
from lash_ref.waits import Accepted, AlreadyResolved, Waits


class CancellationToken:
    """Fired once; whoever holds it sees it."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.origin: str | None = None
        self._hinted = False
        self._stopping: set[Callable[[], None]] = set()

    def hint(self, origin: str | None) -> None:
        """Say on whose behalf; the first word stands, also when it is none."""
        if not self._hinted:
            self.origin = origin
            self._hinted = True

    def cancel(self) -> None:
        """Ask the turn to stop."""
        if not self.is_cancelled():
            self.event.set()
            for stop in self._stopping:
                stop()

    @contextmanager
    def stops(self, stop: Callable[[], None]) -> Generator[None]:
        """Call ``stop`` when the token is fired inside the block, or was before."""
        self._stopping.add(stop)
        if self.is_cancelled():
            stop()
        try:
            yield
        finally:
            self._stopping.discard(stop)

    def is_cancelled(self) -> bool:
        """Whether it was fired."""
        return self.event.is_set()

    async def cancelled(self) -> None:
        """Until it is fired."""
        await self.event.wait()


class TurnCancelRegistry:
    """The turns of one opened session and its clones, those waiting for the lane included."""

    def __init__(self) -> None:
        self._tokens: list[CancellationToken] = []

    def register(self, token: CancellationToken) -> None:
        """A turn begins, or begins to wait."""
        self._tokens.append(token)

    def forget(self, token: CancellationToken) -> None:
        """A turn ended."""
        if token in self._tokens:
            self._tokens.remove(token)

    def cancel_all(self, origin: str | None = None) -> int:
        """Fire every token; how many turns were signalled."""
        for token in self._tokens:
            token.hint(origin)
            token.cancel()
        return len(self._tokens)

    @property
    def is_idle(self) -> bool:
        """Whether no turn runs or waits."""
        return not self._tokens


class TurnCancellationEvidence(Record):
    """Who asked for a turn to stop."""

    request_id: Identifier
    origin: Text | None = None
    reason: Text | None = None
    requested_at_ms: U64


class CancelRequested(Record):
    """The request stands; the turn stops, or does not start."""

    outcome: Literal["requested"] = "requested"
    evidence: TurnCancellationEvidence


class AlreadyRequested(Record):
    """An earlier request stands."""

    outcome: Literal["already_requested"] = "already_requested"
    evidence: TurnCancellationEvidence


class CompletionWonRace(Record):
    """The turn had ended."""

    outcome: Literal["completion_won_race"] = "completion_won_race"


class CancelUnknownOrRevoked(Record):
    """The session was deleted."""

    outcome: Literal["unknown_or_revoked"] = "unknown_or_revoked"


TurnCancelOutcome = Annotated[
    CancelRequested | AlreadyRequested | CompletionWonRace | CancelUnknownOrRevoked,
    Field(discriminator="outcome"),
]


class TurnCancelReceipt(Record):
    """What became of a request, and whether it survives the process."""

    durability_tier: DurabilityTier
    outcome: TurnCancelOutcome


_SEALED = Resolved(value=Json({"sealed": True}))


@dataclass
class TurnCancelGate:
    """The one place where a turn's end is decided."""

    waits: Waits
    session_id: str
    turn_id: str
    key: AwaitEventKey = field(init=False)

    def __post_init__(self) -> None:
        self.key = self.waits.key(self.session_id, "turn_cancel_gate", self.turn_id)

    def request(self, evidence: TurnCancellationEvidence) -> TurnCancelOutcome:
        """Ask for the turn to stop, before or while it runs.

        Raises:
            RuntimeFailure: the request id is blank.
        """
        if not evidence.request_id.strip():
            raise RuntimeFailure("blank_cancel_request_id", "a cancel request needs an id")
        answer = self.waits.resolve(self.key, Resolved(value=Json({"cancel": evidence.to_data()})))
        match answer:
            case Accepted():
                return CancelRequested(evidence=evidence)
            case AlreadyResolved(resolution=stands):
                first = evidence_in(stands)
                return CompletionWonRace() if first is None else AlreadyRequested(evidence=first)
            case _:
                return CancelUnknownOrRevoked()

    def peek(self) -> TurnCancellationEvidence | None:
        """The standing request, if there is one.

        Raises:
            RuntimeFailure: the session was revoked.
        """
        if self.waits.store.is_revoked(self.session_id):
            raise self._revoked()
        stands = self.waits.store.look(self.key)
        return None if stands is None else evidence_in(stands)

    def settle(self, evidence: TurnCancellationEvidence | None) -> TurnCancellationEvidence | None:
        """End the turn: as cancelled on ``evidence``, else as completed; the evidence that stands.

        Raises:
            RuntimeFailure: the session was revoked.
        """
        word = _SEALED if evidence is None else Resolved(value=Json({"cancel": evidence.to_data()}))
        match self.waits.resolve(self.key, word):
            case Accepted():
                return evidence
            case AlreadyResolved(resolution=stands):
                return evidence_in(stands)
            case _:
                raise self._revoked()

    def _revoked(self) -> RuntimeFailure:
        code = RuntimeErrorCode.TURN_CONTROL_UNKNOWN_OR_REVOKED
        return RuntimeFailure(code, f"session {self.session_id!r} was deleted")


def evidence_in(resolution: Resolution) -> TurnCancellationEvidence | None:
    """The request a gate was closed by, or none when the turn completed first."""
    if isinstance(resolution, Resolved):
        said = resolution.value.value
        if isinstance(said, dict) and "cancel" in said:
            return TurnCancellationEvidence.from_data(said["cancel"])
    return None
