"""What the model remembers of one place, and the names it gives to what only a store can know.

The model speaks plain JSON data. Where a store mints a value (a token, an id, a sequence, a ref) the model
puts a name such as ``$s1:claim.3``; whoever compares binds the name to the store's value on first sight.
Nothing here has seen an implementation: it is written from the contract alone.
"""

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, cast

from lash_ref.errors import LashError

MAX = 2**63 - 1
ANY = "$any"
"""Stands for a value that the contract leaves open."""
MAYBE = "$maybe"
"""As `ANY`, and the field may be absent."""

Data = dict[str, Any]
Number = int | str
T = TypeVar("T")


@dataclass
class Claim:
    """Who holds a row."""

    claim_id: str
    token: str
    owner: Data
    generation: Number


@dataclass
class Row:
    """A queued batch or a pending input."""

    data: Data
    submitted: Data = field(default_factory=dict[str, Any])
    number: Number = 0
    claim: Claim | None = None


@dataclass
class Lane:
    """A session's lease row: it outlives its holders."""

    number: Number = 0
    holder: Data | None = None
    expires: int = 0


@dataclass
class Stamp:
    """A turn that was committed."""

    turn_hash: str
    result: Data
    at: int


@dataclass
class Session:
    """Everything keyed by one session id."""

    created: bool = False
    meta: Data | None = None
    head: Data | None = None
    nodes: list[Data] = field(default_factory=list[Data])
    hidden: set[str] = field(default_factory=set[str])
    ledger: list[Data] = field(default_factory=list[Data])
    stamps: dict[str, Stamp] = field(default_factory=dict[str, Stamp])
    lane: Lane = field(default_factory=Lane)
    queue: list[Row] = field(default_factory=list[Row])
    inputs: list[Row] = field(default_factory=list[Row])
    last_batch: Number = 0
    last_input: Number = 0

    def live(self) -> dict[str, Data]:
        """Nodes that no tombstone hides, in stored order."""
        return {node["node_id"]: node for node in self.nodes if node["node_id"] not in self.hidden}


@dataclass
class Intent:
    """A manifest row."""

    data: Data
    committed: bool = False


@dataclass
class State:
    """One place."""

    capabilities: frozenset[str]
    now: int
    virtual: bool = True
    sessions: dict[str, Session] = field(default_factory=dict[str, Session])
    lives: dict[str, int] = field(default_factory=dict[str, int])
    intents: dict[tuple[str, str], Intent] = field(default_factory=dict[tuple[str, str], Intent])
    gone: set[str] = field(default_factory=set[str])
    parts: dict[str, Any] = field(default_factory=dict[str, Any])
    """What each ref that a commit answered names."""
    collected: set[str] = field(default_factory=set[str])
    bytes: dict[str, str] = field(default_factory=dict[str, str])
    dirty: bool = False
    """Whether anything may have become unreachable since the last collection."""
    minted: int = 0
    rising: list[list[Number]] = field(default_factory=list[list[Number]])
    """Pairs of numbers of which the present step's outcome must make the second the higher."""

    def session(self, session_id: str) -> Session:
        """The session's rows, empty ones when it has none."""
        return self.sessions.setdefault(session_id, Session())

    def mint(self, session_id: str, kind: str) -> str:
        """A name for a value the store makes up; unlike any other of that kind in the session's life."""
        self.minted += 1
        life = self.lives.get(session_id, 0)
        return f"${session_id}{f'/{life + 1}' if life else ''}:{kind}.{self.minted}"

    def above(self, session_id: str, kind: str, *lower: Number) -> Number:
        """A name for a number that must exceed each of ``lower``."""
        name = self.mint(session_id, kind)
        self.rising += [[number, name] for number in dict.fromkeys(lower)]
        return name

    def moment(self, ms: int) -> Number:
        """A time as a reader sees it: exact on the judge's clock, else whatever the store says."""
        return ms if self.virtual else self.mint("", "time")


class Faulty(Exception):
    """A call's faults, when no clause says which comes first: a store may refuse it for any."""

    def __init__(self, faults: Sequence[LashError]) -> None:
        self.faults = faults
        super().__init__(*faults)


def require_all(*checks: Callable[[], object]) -> None:
    """Make every check, in no order.

    Raises:
        Faulty: some of them failed.
    """
    faults: list[LashError] = []
    for check in checks:
        try:
            check()
        except LashError as err:
            faults.append(err)
    if faults:
        raise Faulty(faults)


def lean(**members: Any) -> Data:
    """A JSON object without its absent members."""
    return {name: value for name, value in members.items() if value is not None}


def rebuilt(value: T, names: dict[str, Any]) -> T:
    """A deep copy of a state in which every name in ``names`` gives way to its value."""
    if not names:
        return cast("T", pickle.loads(pickle.dumps(value)))  # noqa: S301 - written here a moment ago; copying by hand is most of a drill
    return cast("T", _rebuilt(value, names))


def _rebuilt(value: Any, names: dict[str, Any]) -> Any:
    """Most of a drill is spent here, so kinds are told apart by identity and scalars are not called for."""
    kind = cast("type[Any]", type(value))
    if kind is str:
        return names.get(value, value) if value[:1] == "$" else value
    if kind is dict:
        members = cast("dict[Any, Any]", value)
        return {_rebuilt(key, names): member if type(member) in _SCALARS else _rebuilt(member, names) for key, member in members.items()}
    if kind is list or kind is tuple or kind is set:
        rebuilt = [_rebuilt(member, names) for member in cast("list[Any]", value)]
        return cast("Any", rebuilt if kind is list else kind(rebuilt))
    if parts := _parts(kind):
        return kind(**{part: _rebuilt(getattr(value, part), names) for part in parts})
    return value


_SCALARS = frozenset((int, bool, float, type(None)))


@cache
def _parts(kind: type) -> tuple[str, ...]:
    """The fields of a dataclass."""
    return tuple(part.name for part in fields(kind)) if is_dataclass(kind) else ()
