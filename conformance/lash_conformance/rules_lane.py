"""Rules over the lane, time, and who holds what; every other family of rules builds on them."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from lash_conformance.machine import SESSIONS, Machine
from lash_conformance.model_lease import DEAD_PID, FENCE, holder
from lash_conformance.model_state import MAX, Data

TTL = 600_000


def _owner(name: str, incarnation: str, host: str = "") -> Data:
    liveness: Data = {"kind": "opaque"}
    if host:
        liveness = {"kind": "local_process", "host_id": host, "boot_id": "b", "pid": DEAD_PID, "process_start": "1"}
    return {"owner_id": name, "incarnation_id": incarnation, "liveness": liveness}


OWNERS = (_owner("a", "1"), _owner("b", "1"), _owner("a", "2"), _owner("c", "1", "h"), _owner("d", "1", "h"))
"""Two incarnations of one owner, another owner, and two processes that are long gone."""

LANE = frozenset((
    "try_claim_session_execution_lease", "renew_session_execution_lease", "release_session_execution_lease",
    "reclaim_session_execution_lease", "advance",
))  # fmt: skip
"""Calls after which heads and graphs read as before; whoever reads work must look again."""

sessions = st.sampled_from(SESSIONS)
mostly_s1 = st.sampled_from(("s1", "s1", "s1", "s2"))
owners = st.sampled_from(OWNERS)
pick = st.integers(0, 7)
fences = st.sampled_from(("live",) * 18 + ("old", "old", "token", "incarnation", "number", "session", "none"))
"""How a fence relates to the live lease; a live one is fetched when there is none."""
ttls = st.sampled_from((TTL, TTL, TTL, 5, 0, MAX))


class Lanes(Machine):
    """Who holds which lane, and what happens around any work: time, other holders, other handles."""

    def __init__(self) -> None:
        super().__init__()
        self.leases: dict[str, list[Data]] = {}

    def fence(self, session_id: str, kind: str = "live", which: int = 0) -> Data | None:
        """A fence of that kind, or its nearest."""
        if kind == "none":
            return None
        if kind == "old" and (old := self.leases.get(session_id)):
            return old[which % len(old)]
        held = holder(self.model.state, session_id)
        if held is None:
            self._claim(session_id, OWNERS[which % 2], TTL)
            held = holder(self.model.state, session_id)
        if held is None:
            return None
        fence = {name: held[name] for name in FENCE}
        match kind:
            case "token":
                return fence | {"lease_token": "another"}
            case "incarnation":
                return fence | {"owner": fence["owner"] | {"incarnation_id": "9"}}
            case "number":
                return fence | {"fencing_token": 10**6}
            case "session":
                other = next(name for name in SESSIONS if name != session_id)
                return self.fence(other)
            case _:
                return fence

    def sure(self, session_id: str, kind: str, which: int = 0) -> Data:
        """As `fence`, for calls that cannot do without one."""
        found = self.fence(session_id, "token" if kind == "none" else kind, which)
        return found or {"session_id": session_id, "owner": OWNERS[0], "lease_token": "no", "fencing_token": 9}

    def lasting(self, ttl: int) -> int:
        """``ttl``, or one that does not run out by itself where time is not the judge's."""
        return ttl if self.virtual or ttl in (0, MAX) else TTL

    def _claim(self, session_id: str, owner: Data, ttl: int) -> None:
        ttl = self.lasting(ttl)
        self._keep(session_id, self.on(session_id, "try_claim_session_execution_lease", session_id, owner, ttl))

    def _keep(self, session_id: str, outcome: Data) -> None:
        answer: Any = outcome.get("ok")
        if answer and "Acquired" in answer:
            lease = {name: answer["Acquired"][name] for name in FENCE}
            kept = self.leases.setdefault(session_id, [])
            if lease not in kept:
                kept.append(lease)

    @rule(
        what=st.sampled_from(("hand over", "wait", "hand over", "switch", "reopen")),
        session_id=mostly_s1, owner=owners, ms=st.sampled_from((1, 1000, 5, TTL, TTL + 1)),
    )  # fmt: skip
    def meanwhile(self, what: str, session_id: str, owner: Data, ms: int) -> None:
        """Another holder comes, or time passes, or another handle is used, or the place is reopened."""
        if what == "hand over":
            self.on(session_id, "release_session_execution_lease", self.sure(session_id, "live"))
            self._claim(session_id, owner, TTL)
        elif what == "wait" and self.virtual:
            self.step("place", "advance", {"ms": ms})
        elif what == "switch" and self.has("shared"):
            self.suffix = "" if self.suffix else "@2"
        elif what == "reopen" and self.has("durable") and len(self.steps) > 3:
            self.suffix = ""
            self.step("place", "reopen")


class LaneRules(Lanes):
    """Claim, renew, release, reclaim."""

    observed = ()

    @rule(session_id=mostly_s1, owner=owners, ttl=ttls)
    def claim_lane(self, session_id: str, owner: Data, ttl: int) -> None:
        self._claim(session_id, owner, ttl)

    @rule(session_id=mostly_s1, kind=fences, which=pick, ttl=ttls)
    def renew_lane(self, session_id: str, kind: str, which: int, ttl: int) -> None:
        self.on(session_id, "renew_session_execution_lease", self.sure(session_id, kind, which), self.lasting(ttl))

    @rule(session_id=mostly_s1, kind=fences, which=pick)
    def release_lane(self, session_id: str, kind: str, which: int) -> None:
        self.on(session_id, "release_session_execution_lease", self.sure(session_id, kind, which))

    @rule(session_id=mostly_s1, owner=owners, kind=fences, which=pick, ttl=ttls)
    def reclaim_lane(self, session_id: str, owner: Data, kind: str, which: int, ttl: int) -> None:
        observed = self.sure(session_id, kind, which)
        outcome = self.on(session_id, "reclaim_session_execution_lease", session_id, owner, observed, self.lasting(ttl))
        self._keep(session_id, outcome)
