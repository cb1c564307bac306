"""How hard the searches look: set once, before a run."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How many examples a machine runs, and how many steps each may take."""

    examples: int
    steps: int


DEFAULT = Scale(examples=24, steps=30)
"""Some seconds a target."""
DURABLE_SHARE = 0.2
"""A target that syncs takes longer for an example, so it gets fewer by default and as many by more time."""
PROVING = Scale(examples=80, steps=30)
"""For broken stores: a search that is over as soon as it has found something."""
THOROUGH = Scale(examples=500, steps=50)
"""Some minutes a target."""


@dataclass
class Search:
    """The search in force."""

    seed: int = 0
    scale: Scale = DEFAULT
    durable_share: float = DURABLE_SHARE
    shrinking_s: float = 20.0
    """How long a search goes on making a found failure shorter."""


SEARCH = Search()


def configure(*, seed: int, examples: int, steps: int) -> None:
    """Set the search in force."""
    SEARCH.seed = seed
    SEARCH.scale = Scale(examples=examples, steps=steps)


@contextmanager
def proving() -> Generator[None]:
    """Search broken stores: more examples, and no time spent on making a failure shorter."""
    before = SEARCH.scale, SEARCH.durable_share, SEARCH.shrinking_s
    SEARCH.scale, SEARCH.durable_share, SEARCH.shrinking_s = PROVING, 1.0, 0.0
    try:
        yield
    finally:
        SEARCH.scale, SEARCH.durable_share, SEARCH.shrinking_s = before
