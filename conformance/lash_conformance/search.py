"""The effort of the randomised searches: set once, before a run."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How many examples a machine runs, and how many steps each may take."""

    examples: int
    steps: int
    strikes: int = 3
    """How many steps of a telling call the crash drill kills at; of another it is one; 0 for every step."""
    refusals: int = 1
    """At how many steps of a call each kind of refused write is tried; 0 for every step."""
    kills: int = 200
    """How many random kills under load."""

    def option(self, seed: int) -> str:
        """The scale as text, for a process that judges."""
        return ",".join(map(str, (seed, *astuple(self))))


DEFAULT = Scale(examples=24, steps=30)
"""Some seconds a target."""
DURABLE_SHARE = 0.2
"""A target that syncs takes longer for an example, so it gets fewer by default and as many by more time."""
PROVING = Scale(examples=80, steps=30, kills=4)
"""For broken stores: a search that is over as soon as it has found something."""
THOROUGH = Scale(examples=500, steps=50, strikes=0, refusals=0, kills=2000)
"""Some minutes a target, and as many of crashes."""


@dataclass
class Search:
    """The search in force."""

    seed: int = 0
    scale: Scale = DEFAULT
    durable_share: float = DURABLE_SHARE
    shrinking_s: float = 20.0
    """How long a search goes on making a found failure shorter."""
    first_is_enough: bool = False
    """Whether a drill ends with the first thing it finds."""


SEARCH = Search()


def configure(option: str) -> None:
    """Set the search in force from what `Scale.option` wrote."""
    seed, *scale = map(int, option.split(","))
    SEARCH.seed, SEARCH.scale = seed, Scale(**dict(zip(Scale.__dataclass_fields__, scale, strict=True)))


@contextmanager
def proving() -> Generator[None]:
    """Search broken stores: more examples, and no time spent on making a failure shorter."""
    before = replace(SEARCH)
    SEARCH.scale, SEARCH.durable_share, SEARCH.shrinking_s, SEARCH.first_is_enough = PROVING, 1.0, 0.0, True
    try:
        yield
    finally:
        vars(SEARCH).update(vars(before))


@contextmanager
def brief() -> Generator[None]:
    """Drill the unbroken store beside the broken ones: a blow a call."""
    before = SEARCH.scale
    SEARCH.scale = replace(before, strikes=1, refusals=1, kills=2)
    try:
        yield
    finally:
        SEARCH.scale = before
