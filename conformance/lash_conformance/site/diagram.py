"""State diagrams drawn from the tables that `lash_ref` executes: a column a state, a row a transition, as inline SVG."""

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import get_args

from lash_ref.inputs import INPUT_TRANSITIONS, TurnInputState
from lash_ref.lease import LANE_TRANSITIONS, LaneState
from lash_ref.machine import Phase
from lash_ref.moves import TRANSITIONS
from lash_ref.shared import SESSION_TRANSITIONS, SessionPhase
from lash_ref.wait_store import WAIT_TRANSITIONS, WaitState
from lash_ref.work import BATCH_TRANSITIONS, BatchState

LINE, HEAD, LEFT, GAP, BOX = 14, 46, 14, 160, 140
LETTER = 6.8
"""Width of a letter of a label, as drawn by the widest of the usual fonts."""


@dataclass(frozen=True, order=True)
class Move:
    """One transition."""

    before: str
    event: str
    after: str
    answer: str = ""
    """What is done or answered, where the table says it."""


Machine = tuple[list[str], list[Move]]


def turn() -> Machine:
    """The turn machine."""
    moves = [
        Move(phase, made.__name__, target)
        for (phase, made), rule in TRANSITIONS.items()
        for target in sorted(rule.targets)
    ]
    return list(get_args(Phase)), moves


def lane() -> Machine:
    """The lane of a session, with what the store answers."""
    moves = [Move(before, event, after, move) for (before, event), (move, after) in LANE_TRANSITIONS.items()]
    return list(get_args(LaneState)), moves


def _plain(states: object, table: dict[tuple[str, str], str]) -> Callable[[], Machine]:
    return lambda: (list(get_args(states)), [Move(before, event, after) for (before, event), after in table.items()])


DIAGRAMS: dict[str, Callable[[], Machine]] = {
    "turn": turn,
    "lane": lane,
    "batch": _plain(BatchState, {**BATCH_TRANSITIONS}),
    "input": _plain(TurnInputState, {**INPUT_TRANSITIONS}),
    "session": _plain(SessionPhase, {**SESSION_TRANSITIONS}),
    "wait": _plain(WaitState, {**WAIT_TRANSITIONS}),
}


def draw(name: str) -> str:
    """The diagram as SVG, and as a table for those who cannot see it.

    Raises:
        KeyError: no table has this name.
    """
    states, moves = DIAGRAMS[name]()
    return f'<div class="diagram" markdown="0">{svg(states, moves, name)}</div>{table(moves)}'


def svg(states: list[str], moves: list[Move], name: str) -> str:
    """The picture; events that lead from one state to the same other share an arrow, and what stays is left out."""
    drawn: dict[tuple[str, str], list[str]] = {}
    for move in moves:
        if move.before != move.after:
            drawn.setdefault((move.before, move.after), []).append(move.event)
    at = {state: LEFT + BOX // 2 + GAP * number for number, state in enumerate(states)}
    width = LEFT * 2 + GAP * (len(states) - 1) + BOX
    parts: list[str] = []
    y = HEAD
    for (before, after), events in drawn.items():
        start, end = at[before], at[after]
        label = textwrap.wrap(", ".join(events), max(1, int((abs(end - start) - 12) / LETTER)), break_long_words=False)
        y += LINE * len(label) + 12
        tip = end - 3 if end > start else end + 3
        parts.append(f'<circle cx="{start}" cy="{y}" r="3"/><line class="move" x1="{start}" y1="{y}" x2="{tip}" y2="{y}" marker-end="url(#tip-{name})"/>')
        for number, line in enumerate(reversed(label)):
            parts.append(f'<text class="event" x="{(start + end) / 2:g}" y="{y - 6 - LINE * number}">{escape(line)}</text>')
    height = y + 14
    heads: list[str] = []
    for state, x in at.items():
        heads.append(f'<line class="life" x1="{x}" y1="34" x2="{x}" y2="{height - 6}"/>')
        heads.append(f'<rect x="{x - BOX // 2}" y="6" width="{BOX}" height="28" rx="6"/><text x="{x}" y="25">{escape(state.replace("_", " "))}</text>')
    return "".join([
        f'<svg viewBox="0 0 {width} {height}" style="max-width:{width}px;min-width:{width * 2 // 3}px" role="img" aria-label="States of the {escape(name)}, a row a transition; the table below says the same" class="ladder">',
        f'<defs><marker id="tip-{name}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>',
        *heads, *parts, "</svg>",
    ])  # fmt: skip


def table(moves: list[Move]) -> str:
    """Every transition as a row."""
    answers = any(move.answer for move in moves)
    cells = [(move.before, move.event, *((move.answer,) if answers else ()), move.after) for move in moves]
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in cells)
    head = "".join(f"<th>{name}</th>" for name in ("state", "event", *(("answer",) if answers else ()), "next"))
    return (
        '<details class="table" markdown="0"><summary>The table that <code>lash_ref</code> executes</summary>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></details>"
    )
