"""Targets that do nothing well: whatever passes on them proves nothing."""

from collections.abc import Callable
from typing import Any, cast

from lash_conformance.target import CAPABILITIES, Backend, Capability, Place, StoreTarget
from lash_ref import errors
from lash_ref.contracts import AttachmentStore, SessionStoreFactory
from lash_ref.inputs import CheckpointWork, NotFound
from lash_ref.lease import Acquired, LeaseOwnerIdentity
from lash_ref.records import (
    GcReport,
    PersistedTurnState,
    RuntimeCommitResult,
    SessionCheckpoint,
    VacuumReport,
)

Answer = Callable[[str, tuple[Any, ...]], Any]


class Answering:
    """Every method answers the same way."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __getattr__(self, method: str) -> Any:
        async def call(*arguments: Any, **named: Any) -> Any:
            return self._answer(method, (*arguments, *named.values()))

        return call


class Factory(Answering):
    """Hands out stores that answer the same way."""

    async def create_store(self, wanted: Any) -> Any:
        """A store that answers like the factory."""
        return Answering(self._answer)

    async def open_existing_store(self, wanted: Any) -> Any:
        """As `create_store`."""
        return Answering(self._answer)


class NullBackend:
    """An opened place with nothing in it."""

    def __init__(self, answer: Answer) -> None:
        self.sessions = cast("SessionStoreFactory", Factory(answer))
        self.attachments = cast("AttachmentStore", Answering(answer))

    async def close(self) -> None:
        """Nothing to let go of."""


class NullCodec:
    """Writes and reads by one rule."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def write(self, record: Any) -> Any:
        """Whatever the rule says."""
        return self._answer("write", (record,))

    def read(self, kind: Any, data: Any) -> Any:
        """Whatever the rule says."""
        return self._answer("read", (data,))


class NullTarget:
    """A target whose every method answers by one rule."""

    version = "0"
    capabilities: frozenset[Capability] = frozenset(CAPABILITIES)

    def __init__(self, name: str, answer: Answer) -> None:
        self.name = name
        self.answer = answer

    def turn_hash(self, commit: Any) -> Any:
        """In place of the caller's hash."""
        return self.answer("turn_hash", (commit,))

    def codec(self) -> Any:
        """In place of the records' JSON."""
        return NullCodec(self.answer)

    def facade(self, *parts: Any) -> Any:
        """In place of the session's attachment facade."""
        return Answering(self.answer)

    async def sweep(self, *parts: Any) -> Any:
        """In place of the sweep."""
        return self.answer("sweep", parts)

    async def open(self, place: Place) -> Backend:
        """Nothing is opened."""
        return NullBackend(self.answer)


def _nothing(method: str, arguments: tuple[Any, ...]) -> Any:
    return None


def _echo(method: str, arguments: tuple[Any, ...]) -> Any:
    return arguments[0] if arguments else None


def _pleasant(method: str, arguments: tuple[Any, ...]) -> Any:
    """The answer of a store for which everything went well, whatever was asked."""
    lease = Acquired(
        session_id="s1", owner=LeaseOwnerIdentity(owner_id="a", incarnation_id="1"), lease_token="t",
        fencing_token=1, claimed_at_epoch_ms=0, expires_at_epoch_ms=2**62,
    )  # fmt: skip
    manifest = SessionCheckpoint(turn_state=PersistedTurnState())
    match method:
        case "durability_tier" | "persistence":
            return "durable"
        case "try_claim_session_execution_lease" | "reclaim_session_execution_lease":
            return lease
        case "renew_session_execution_lease":
            return lease
        case "commit_runtime_state":
            return RuntimeCommitResult(head_revision=1, checkpoint_ref="r", manifest=manifest)
        case "claim_checkpoint_work":
            return CheckpointWork()
        case "cancel_pending_turn_input":
            return NotFound()
        case "vacuum":
            return VacuumReport()
        case "gc_unreachable":
            return GcReport()
        case "holds_ref" | "has_live_ref_for_id" | "has_live_attachment_ref":
            return True
        case "live_attachment_refs":
            return frozenset[str]()
        case "get":
            return b""
        case _ if method.startswith(("list", "cancel_pending")):
            return ()
        case _:
            return None


def _refusal(code: str) -> Answer:
    kind = getattr(errors, code)
    values = tuple("s1" if name == "session_id" else 0 for name in kind.names)

    def refuse(method: str, arguments: tuple[Any, ...]) -> Any:
        raise kind(*values)

    return refuse


def refusals() -> list[str]:
    """Every refusal a store may give."""
    return sorted(
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.LashError) and kind.names
    )


def targets() -> list[StoreTarget]:
    """The null targets, by name."""
    made: list[StoreTarget] = [
        NullTarget("null", _nothing),
        NullTarget("echo", _echo),
        NullTarget("always-ok", _pleasant),
    ]
    made += [NullTarget(f"always-refuse:{code}", _refusal(code)) for code in refusals()]
    return made


