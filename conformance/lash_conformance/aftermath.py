"""What may be found after a kill: every state of the model that what was seen so far leaves possible.

A call that was answered took effect; one whose answer never came did, or did not. Whatever is read later
rules states out. When none is left, what was read last tells what is wrong.
"""

from dataclasses import dataclass
from typing import Any

from lash_conformance.machine import READS
from lash_conformance.model import Model
from lash_conformance.model_state import Data
from lash_conformance.names import Names


@dataclass(frozen=True)
class World:
    """One possible state, and what the names in it stand for."""

    model: Model
    names: Names
    took: bool
    """Whether the call in doubt took effect."""

    def told(self, on: str, method: str, arguments: tuple[Any, ...], found: Data | None) -> tuple[str, "World"]:
        """Why this cannot be the state if the call was answered so, or nothing; and the state after the call."""
        # What only reads leaves the model as it is, and copying the model is most of what a look costs.
        after, known = self.model if method in READS else self.model.knowing({}), self.names.copy()
        expected = after.apply(on, method, arguments)
        if found is None:
            return "", World(after, known, self.took)
        before = set(known.values)
        rising: list[list[Any]] = [list(pair) for pair in after.rising]
        fault = known.difference(expected, found) or known.not_rising(rising)
        new = {name: value for name, value in known.values.items() if name not in before}
        return fault, World(after.knowing(new) if new and not fault else after, known, self.took)


class Worlds:
    """The states still possible."""

    def __init__(self, model: Model) -> None:
        self.possible = [World(model, Names(), took=True)]

    def saw(self, on: str, method: str, arguments: tuple[Any, ...], found: Data) -> str:
        """Rule out what does not explain the answer; if nothing is left, say what the answer should have been.

        The states are kept when none explains it, so that whoever asks can go on.
        """
        told = [world.told(on, method, arguments, found) for world in self.possible]
        left = [world for fault, world in told if not fault]
        if left:
            self.possible = left
            return ""
        return f"{method}: {' or '.join(dict.fromkeys(fault for fault, _ in told))}"

    def doubt(self, on: str, method: str, arguments: tuple[Any, ...]) -> None:
        """The call was made and its answer never came, or left open what became of it."""
        undone = [World(world.model, world.names, took=False) for world in self.possible]
        done = [world.told(on, method, arguments, None)[1] for world in self.possible]
        told_apart = {repr((world.model.state, world.names.values)): world for world in (*undone, *done)}
        self.possible = list(told_apart.values())

    def forgotten(self, before: "Worlds", on: str, method: str, arguments: tuple[Any, ...], found: Data) -> bool:
        """Whether ``before`` explains an answer that these states do not: what was done since is gone."""
        return any(not world.told(on, method, arguments, found)[0] for world in before.possible)

    def copy(self) -> "Worlds":
        """The same states, to be ruled out apart."""
        made = Worlds.__new__(Worlds)
        made.possible = list(self.possible)
        return made
