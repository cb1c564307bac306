"""The session execution lease: who may write, proven by a fence that only grows.

Lease time is one authority's: the store's clock. A dead process is proven dead by its boot and start
time, never by its pid alone ([LEA.20][]).
"""

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from lash_ref.scalars import U64, Identifier, Record, Text, external

DEFAULT_TTL_MS = 30_000
DEFAULT_RENEW_MS = 10_000

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

LaneState = Literal["free", "held", "expired"]
LaneEvent = Literal["claim", "claim by its holder", "reclaim", "reclaim from the dead", "renew", "expiry", "release"]
LaneMove = Literal["grant", "extend", "busy", "lapse", "free"]
LANE_TRANSITIONS: Final[dict[tuple[LaneState, LaneEvent], tuple[LaneMove, LaneState]]] = {
    ("free", "claim"): ("grant", "held"),
    ("free", "claim by its holder"): ("grant", "held"),
    ("free", "reclaim"): ("grant", "held"),
    ("free", "reclaim from the dead"): ("grant", "held"),
    ("held", "claim"): ("busy", "held"),
    ("held", "claim by its holder"): ("extend", "held"),
    ("held", "reclaim"): ("busy", "held"),
    ("held", "reclaim from the dead"): ("grant", "held"),
    ("held", "renew"): ("extend", "held"),
    ("held", "expiry"): ("lapse", "expired"),
    ("held", "release"): ("free", "free"),
    ("expired", "claim"): ("grant", "held"),
    ("expired", "claim by its holder"): ("grant", "held"),
    ("expired", "reclaim"): ("grant", "held"),
    ("expired", "reclaim from the dead"): ("grant", "held"),
    ("expired", "release"): ("free", "free"),
}
"""The life of a session's lane: (state, event) to what the store does and the state after.

A pair that is not listed changes nothing, and is refused where the caller waits for an answer.
"""


class Opaque(Record):
    """A holder whose death nobody can prove."""

    kind: Literal["opaque"] = "opaque"


class LocalProcess(Record):
    """A Linux process, identified so that a recycled pid is not mistaken for it."""

    kind: Literal["local_process"] = "local_process"
    host_id: Text
    boot_id: Text
    pid: Annotated[int, Field(strict=True, ge=0, le=2**32 - 1)]
    process_start: Text
    """Field 22 of ``/proc/PID/stat``: clock ticks since boot."""


LeaseOwnerLiveness = Annotated[Opaque | LocalProcess, Field(discriminator="kind")]


class LeaseOwnerIdentity(Record):
    """One incarnation of one owner."""

    owner_id: Identifier
    incarnation_id: Identifier
    liveness: LeaseOwnerLiveness = Opaque()

    def same_incarnation(self, other: "LeaseOwnerIdentity") -> bool:
        """Whether both name one incarnation of one owner; liveness does not count."""
        return (self.owner_id, self.incarnation_id) == (other.owner_id, other.incarnation_id)

    def is_provably_dead_to(self, claimant: "LeaseOwnerIdentity") -> bool:
        """Whether ``claimant``, on the same host and boot, can see that this process is gone."""
        mine, theirs = self.liveness, claimant.liveness
        if not isinstance(mine, LocalProcess) or not isinstance(theirs, LocalProcess):
            return False
        if (mine.host_id, mine.boot_id) != (theirs.host_id, theirs.boot_id):
            return False
        return _started_as(mine.pid, mine.process_start) is False


def this_process(owner_id: str, incarnation_id: str, host_id: str, pid: int) -> LeaseOwnerIdentity:
    """The identity of process ``pid``; opaque wherever its start time cannot be read."""
    liveness: Opaque | LocalProcess = Opaque()
    try:
        boot = _BOOT_ID.read_text(encoding="ascii").strip()
        start = _process_start(pid)
    except OSError:
        boot, start = "", None
    if boot and start is not None:
        liveness = LocalProcess(host_id=host_id, boot_id=boot, pid=pid, process_start=start)
    return LeaseOwnerIdentity(owner_id=owner_id, incarnation_id=incarnation_id, liveness=liveness)


def _process_start(pid: int) -> str | None:
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    fields = stat.rpartition(") ")[2].split()
    return fields[19] if len(fields) > 19 else None


def _started_as(pid: int, start: str) -> bool | None:
    if not _BOOT_ID.exists():
        return None
    try:
        found = _process_start(pid)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    return None if found is None else found == start


class SessionExecutionLeaseFence(Record):
    """Proof of authority: what a holder presents with every write."""

    session_id: Identifier
    owner: LeaseOwnerIdentity
    lease_token: Identifier
    fencing_token: U64


class SessionExecutionLeaseCompletion(SessionExecutionLeaseFence):
    """The same facts, presented to give the lease back."""


class SessionExecutionLease(SessionExecutionLeaseFence):
    """A granted lease; live while its expiry lies in the future."""

    claimed_at_epoch_ms: U64
    expires_at_epoch_ms: U64

    def fence(self) -> SessionExecutionLeaseFence:
        """The lease as proof of authority."""
        return SessionExecutionLeaseFence(
            session_id=self.session_id,
            owner=self.owner,
            lease_token=self.lease_token,
            fencing_token=self.fencing_token,
        )

    def completion(self) -> SessionExecutionLeaseCompletion:
        """The lease as a request to give it back."""
        return SessionExecutionLeaseCompletion(
            session_id=self.session_id,
            owner=self.owner,
            lease_token=self.lease_token,
            fencing_token=self.fencing_token,
        )


class Busy(Record):
    """Somebody else holds the lane."""

    holder: SessionExecutionLease


class Acquired(SessionExecutionLease):
    """The lane is the caller's."""


SessionExecutionLeaseClaimOutcome = Annotated[Acquired | Busy, *external(Acquired, Busy)]


class LeaseTimings(Record):
    """How long a lease lasts and how often its holder renews it."""

    ttl_ms: Annotated[U64, Field(ge=1)] = DEFAULT_TTL_MS
    renew_interval_ms: Annotated[U64, Field(ge=1)] = DEFAULT_RENEW_MS

    @model_validator(mode="after")
    def _renews_in_time(self) -> "LeaseTimings":
        if self.ttl_ms < 3 * self.renew_interval_ms:
            raise ValueError("a ttl of at least three renew intervals")
        return self
