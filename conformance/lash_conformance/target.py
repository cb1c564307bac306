"""What an implementer gives the judge: a way to open their store at a place, and what it promises.

A target is any object with these members; a ten-line class does. ``python:package.module:callable`` names
a callable that returns one.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, cast, get_args, runtime_checkable

from lash_conformance.nearest import did_you_mean
from lash_ref.contracts import AttachmentStore, Clock, ProcessEvidence, SessionStoreFactory


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """How long the judge waits for a target out of process, in seconds."""

    start_s: float = 60.0
    """From the start of the process to the answer to ``initialize``."""
    call_s: float = 10.0
    """For one request, unless pings show that the target or machine is slow."""
    pings: float = 1000.0
    """A call may take this many times the slowest of some pings, when that is more."""
    stop_s: float = 10.0
    """From ``shutdown`` to the end of the process."""


Capability = Literal[
    "durable",
    "clock",
    "manifest",
    "gc",
    "active_path",
    "shared",
    "process_evidence",
    "process_liveness",
    "wire",
]
CAPABILITIES: dict[Capability, str] = {
    "durable": "what was acknowledged survives closing and reopening the place",
    "clock": "time is the judge's: the store reads the place's clock and no other",
    "manifest": "attachment references are really kept",
    "gc": "unreachable blobs are reclaimed",
    "active_path": "the ancestry of one leaf can be read alone",
    "shared": "several backends may be open on one place at once",
    "process_evidence": "the place's process evidence is asked about process-owned intents",
    "process_liveness": "the lease of a provably dead process can be reclaimed",
    "wire": "the store runs in a process of its own and speaks the wire protocol",
}
assert set(CAPABILITIES) == set(get_args(Capability)), "every capability is described"

Damage = Literal[
    "node", "ledger", "head", "head_version_missing", "head_version_text", "head_version_other",
    "manifest", "manifest_version_missing", "manifest_version_text", "manifest_version_other",
    "manifest_gone", "blob_gone", "queued_work", "turn_input", "lease_liveness", "attachment_intent",
    "turn_commit", "meta", "database_version", "database_truncated", "database_garbage",
]  # fmt: skip
"""What a bypass hook may spoil in a place's stored data, behind the store's back."""


class VirtualClock:
    """Time that moves only when a check says so."""

    def __init__(self, start_ms: int = 1_790_000_000_000) -> None:
        self.ms = start_ms

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return self.ms

    def advance(self, ms: int) -> None:
        """Move on, or back when negative."""
        self.ms += ms


class Processes:
    """The judge's process table: what it says is gone, is gone; anything else is in doubt."""

    def __init__(self) -> None:
        self.gone: set[str] = set()

    async def process_is_gone(self, process_id: str) -> bool:
        """Whether the process row is known to be gone."""
        return process_id in self.gone


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where one check's data lives; opening the same place again finds the same data."""

    directory: Path
    """Empty at first, the target's to fill; gone after the check."""
    clock: Clock
    """To be read for every time, by targets that declare ``clock``."""
    processes: ProcessEvidence
    mint: Callable[[str], str]
    """A source of unique text that repeats from run to run; using it makes logs reproducible."""
    memory: dict[str, object] = field(default_factory=dict[str, object])
    """For targets that keep a place in this process rather than in its directory."""


@runtime_checkable
class Backend(Protocol):
    """One opened place."""

    sessions: SessionStoreFactory
    attachments: AttachmentStore

    async def close(self) -> None:
        """Let go of the place; closing twice is harmless."""
        ...


@runtime_checkable
class StoreTarget(Protocol):
    """A store implementation as the judge sees it."""

    name: str
    version: str
    capabilities: frozenset[Capability]

    async def open(self, place: Place) -> Backend:
        """Open the place, creating what is missing."""
        ...


@runtime_checkable
class Damaging(Protocol):
    """A target that can also spoil its stored data, so that the judge sees how it is met."""

    damages: frozenset[Damage]

    async def damage(self, place: Place, what: Damage) -> None:
        """Spoil every record of that kind at a closed place."""
        ...


@runtime_checkable
class Keeping(Protocol):
    """A target that keeps its places elsewhere than in their directories."""

    async def stored(self, place: Place) -> Mapping[str, str]:
        """What a closed place holds: a digest by name, the same as long as nothing was changed."""
        ...

    async def remove(self, place: Place) -> None:
        """Remove a closed place and all it holds."""
        ...


@runtime_checkable
class Served(Protocol):
    """A target whose data is kept by a server that the judge started."""

    @property
    def may_crash(self) -> bool:
        """Whether the server is the judge's to stop."""
        ...

    async def crash(self) -> None:
        """Let the server fall over, and start it again."""
        ...


@runtime_checkable
class Interruptible(Protocol):
    """A target with processes of its own, which can be ended."""

    def interrupt(self, reason: str) -> None:
        """Kill what never answers."""
        ...

    def stop(self) -> None:
        """Let all of it end in order."""
        ...


class TargetFault(Exception):
    """The target could not be found, or is not a target; the run exits with 2."""


class HarnessFault(Exception):
    """The judge did what it must not; no verdict on the target."""


class TargetBroke(Exception):
    """The target ended, hung or lied, so that nothing is known of the store behind it."""

    def __init__(self, reason: str, request: str = "", log: str = "", *, missed: bool = False) -> None:
        self.reason = reason
        self.request = request
        """The request at fault, in a line."""
        self.log = log
        """The last of the target's standard error."""
        self.missed = missed
        """Whether a deadline ran out, which a slow machine can explain."""
        super().__init__(f"{reason} ({request})" if request else reason)


def load(name: str) -> StoreTarget:
    """The target named ``memory``, ``sqlite``, ``postgres``, ``postgres:DSN``, ``stdio:COMMAND`` or by a Python callable.

    Raises:
        TargetFault: no such target, or what the callable returned lacks a member.
    """
    import importlib

    if name in ("memory", "sqlite"):
        builtin = importlib.import_module(f"lash_conformance.targets.{name}")
        return cast("StoreTarget", builtin.target())
    scheme, _, rest = name.partition(":")
    if scheme == "postgres":
        postgres = importlib.import_module("lash_conformance.targets.postgres")
        return cast("StoreTarget", postgres.target(rest))
    if scheme == "stdio" and rest.strip():
        from lash_conformance.targets import stdio

        return stdio.target(rest)
    return checked(name, imported(name, "memory, sqlite, postgres, postgres:DSN, stdio:COMMAND"))


def imported(name: str, others: str) -> object:
    """What the callable behind ``python:package.module:callable`` makes; ``others`` could have been named.

    Raises:
        TargetFault: the name is of another form, or the callable could not be imported or called.
    """
    import importlib
    import sys

    scheme, _, rest = name.partition(":")
    module_name, _, attribute = rest.partition(":")
    if scheme != "python" or not module_name or not attribute:
        raise TargetFault(f"no target {name!r}: use {others} or python:package.module:callable{_meant(name, others)}")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        return getattr(importlib.import_module(module_name), attribute)()
    except Exception as err:
        raise TargetFault(f"target {name!r} could not be made: {type(err).__name__}: {err}") from err


def _meant(name: str, others: str) -> str:
    """What a name that is no target was probably meant to be."""
    scheme = name.partition(":")[0]
    if scheme == "reference":
        return f"; {name!r} is a host: add --profile host"
    if scheme in ("memory", "sqlite", "postgres"):
        return f"; {name!r} is a store: leave --profile host out, or judge our host on it as 'reference:{name}'"
    if re.fullmatch(r"[\w.]+:\w+", name) and scheme not in ("stdio", "python"):
        return f"; did you mean 'python:{name}'?"
    return did_you_mean(name, others.split(", "))


def checked(name: str, made: object) -> StoreTarget:
    """``made``, if it is a target that declares only known capabilities."""
    if not isinstance(made, StoreTarget):
        missing = [part for part in ("name", "version", "capabilities", "open") if not hasattr(made, part)]
        raise TargetFault(f"target {name!r} lacks {', '.join(missing)}")
    require_declared(name, made, ("name", "version"), CAPABILITIES)
    return made


def require_declared(name: str, made: object, texts: Collection[str], capabilities: Collection[str]) -> None:
    """Refuse a target whose members ``texts`` are no text, or that declares an unknown capability.

    Raises:
        TargetFault: it names the member, or the capabilities that are known.
    """
    for part in texts:
        if not isinstance(said := getattr(made, part), str):
            raise TargetFault(f"target {name!r} has a {part} that is no text: {said!r:.80}")
    if unknown := sorted(set(getattr(made, "capabilities", ())) - set(capabilities)):
        raise TargetFault(f"target {name!r} declares {', '.join(unknown)}; known are {', '.join(capabilities)}")
