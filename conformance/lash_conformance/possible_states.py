"""What may be found after a crash: every state of the model that all answers so far leave possible.

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
class PossibleState:
    """One possible state, with the values of the ids that the store chose."""

    model: Model
    names: Names
    took: bool
    """Whether the call in doubt took effect."""

    def told(self, on: str, method: str, arguments: tuple[Any, ...], found: Data | None) -> tuple[str, "PossibleState"]:
        """Why this answer rules the state out, or nothing; and the state after the call."""
        # What only reads leaves the model as it is, and copying the model is most of what a look costs.
        after, known = self.model if method in READS else self.model.knowing({}), self.names.copy()
        expected = after.apply(on, method, arguments)
        if found is None:
            return "", PossibleState(after, known, self.took)
        before = set(known.values)
        rising: list[list[Any]] = [list(pair) for pair in after.rising]
        fault = known.difference(expected, found) or known.not_rising(rising)
        new = {name: value for name, value in known.values.items() if name not in before}
        return fault, PossibleState(after.knowing(new) if new and not fault else after, known, self.took)


class PossibleStates:
    """The states still possible."""

    def __init__(self, model: Model) -> None:
        self.possible = [PossibleState(model, Names(), took=True)]

    def saw(self, on: str, method: str, arguments: tuple[Any, ...], found: Data) -> str:
        """Rule out what does not explain the answer; if nothing is left, say what the answer should have been.

        The states are kept when none explains it, so that whoever asks can go on.
        """
        told = [state.told(on, method, arguments, found) for state in self.possible]
        left = [state for fault, state in told if not fault]
        if left:
            self.possible = left
            return ""
        return f"{method}: {' or '.join(dict.fromkeys(fault for fault, _ in told))}"

    def doubt(self, on: str, method: str, arguments: tuple[Any, ...]) -> None:
        """The call was sent and its outcome is unknown: from here it may or may not have taken effect."""
        undone = [PossibleState(state.model, state.names, took=False) for state in self.possible]
        done = [state.told(on, method, arguments, None)[1] for state in self.possible]
        told_apart = {repr((state.model.state, state.names.values)): state for state in (*undone, *done)}
        self.possible = list(told_apart.values())

    def forgotten(self, before: "PossibleStates", on: str, method: str, arguments: tuple[Any, ...], found: Data) -> bool:
        """Whether ``before`` explains an answer that these states do not: what was done since is gone."""
        return any(not state.told(on, method, arguments, found)[0] for state in before.possible)

    def copy(self) -> "PossibleStates":
        """An independent copy."""
        made = PossibleStates.__new__(PossibleStates)
        made.possible = list(self.possible)
        return made
