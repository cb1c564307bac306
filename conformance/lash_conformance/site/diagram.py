"""State diagrams drawn from tables: a column a state, a row a transition, as inline SVG."""

from dataclasses import dataclass
from html import escape
from typing import get_args

from lash_ref.machine import TRANSITIONS, Phase
from lash_ref.waits import WAIT_TRANSITIONS, WaitState

ROW, HEAD, LEFT, GAP = 30, 44, 20, 150


@dataclass(frozen=True, order=True)
class Move:
    """One transition."""

    before: str
    event: str
    after: str


def turn() -> tuple[list[str], list[Move]]:
    """The turn machine, from the table that the runtime steps through."""
    moves = [
        Move(phase, made.__name__, target)
        for (phase, made), rule in TRANSITIONS.items()
        for target in sorted(rule.targets)
    ]
    return list(get_args(Phase)), moves


def wait() -> tuple[list[str], list[Move]]:
    """A durable wait; what leaves the state as it is stands in the table only."""
    moves = [Move(before, event, after) for (before, event), after in WAIT_TRANSITIONS.items()]
    return list(get_args(WaitState)), moves


DIAGRAMS = {"turn": turn, "wait": wait}


def draw(name: str) -> str:
    """The diagram as SVG, and as a table for those who cannot see it.

    Raises:
        KeyError: no table has this name.
    """
    states, moves = DIAGRAMS[name]()
    return f'<div class="diagram" markdown="0">{svg(states, moves, name)}{table(moves)}</div>'


def svg(states: list[str], moves: list[Move], name: str) -> str:
    """The picture; a transition that stays is left out of it."""
    drawn = [move for move in moves if move.before != move.after]
    width = LEFT * 2 + GAP * (len(states) - 1) + 130
    height = HEAD + ROW * (len(drawn) + 1)
    at = {state: LEFT + 65 + GAP * number for number, state in enumerate(states)}
    parts = [
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="States of the {escape(name)}, a row a transition" class="ladder">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>',
    ]
    for state, x in at.items():
        parts.append(f'<line class="life" x1="{x}" y1="34" x2="{x}" y2="{height - 6}"/>')
        parts.append(f'<rect x="{x - 62}" y="6" width="124" height="28" rx="6"/><text x="{x}" y="25">{escape(state)}</text>')
    for row, move in enumerate(drawn):
        y = HEAD + ROW * (row + 1) - 4
        start, end = at[move.before], at[move.after]
        tip = end - 3 if end > start else end + 3
        parts.append(f'<circle cx="{start}" cy="{y}" r="3"/><line class="move" x1="{start}" y1="{y}" x2="{tip}" y2="{y}" marker-end="url(#tip)"/>')
        label = start + (GAP / 2 if end > start else -GAP / 2)
        parts.append(f'<text class="event" x="{label:g}" y="{y - 5}">{escape(move.event)}</text>')
    return "".join([*parts, "</svg>"])


def table(moves: list[Move]) -> str:
    """Every transition as a row."""
    rows = "".join(
        f"<tr><td>{escape(move.before)}</td><td>{escape(move.event)}</td><td>{escape(move.after)}</td></tr>" for move in moves
    )
    return f"<details><summary>The table</summary><table><thead><tr><th>state</th><th>input</th><th>next</th></tr></thead><tbody>{rows}</tbody></table></details>"
