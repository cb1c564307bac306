"""The turn machine: a pure function of (state, input) to (state, effect).

The machine asks for one effect at a time and knows nothing of time, I/O or stores. Whoever drives it
performs the effect and answers it by its id; an answer to another id changes nothing.
A state is a record: written down and read again, `outstanding` asks for the same effect under the same id.
Which moves there are is a table's matter; the standard protocol's is `moves.TRANSITIONS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from lash_ref.messages import Message
from lash_ref.outcome import (
    Stopped,
    TurnIssue,
    TurnOutcome,
)
from lash_ref.provider import (
    ToolCallPart,
)
from lash_ref.retries import LlmCompletion
from lash_ref.scalars import U64, Identifier, Record
from lash_ref.tool_results import (
    ModelToolReturn,
    ToolCallOutput,
)
from lash_ref.work import CheckpointKind

Phase = Literal[
    "preparing", "waiting_llm", "waiting_tools", "waiting_code", "waiting_checkpoint", "finished"
]


# -- effects


class CallLlm(Record):
    """Ask the model."""

    effect: Literal["call_llm"] = "call_llm"
    effect_id: U64
    iteration: U64


class RunTools(Record):
    """Run these calls at once and answer in this order."""

    effect: Literal["run_tools"] = "run_tools"
    effect_id: U64
    calls: tuple[ToolCallPart, ...]


class RunCode(Record):
    """Run model-written code."""

    effect: Literal["run_code"] = "run_code"
    effect_id: U64
    language: str
    code: str


class ReachCheckpoint(Record):
    """Let hosts and plugins put messages in."""

    effect: Literal["checkpoint"] = "checkpoint"
    effect_id: U64
    kind: CheckpointKind


Effect = CallLlm | RunTools | RunCode | ReachCheckpoint


# -- inputs


class Begin(NamedTuple):
    """The turn is prepared."""


class LlmAnswered(NamedTuple):
    """The model call ended."""

    effect_id: int
    completion: LlmCompletion


class ToolAnswer(NamedTuple):
    """One finished call and what the model sees of it."""

    call: ToolCallPart
    output: ToolCallOutput
    model_return: ModelToolReturn


class ToolsAnswered(NamedTuple):
    """Every call ended, in the order asked."""

    effect_id: int
    answers: tuple[ToolAnswer, ...]


class CodeAnswered(NamedTuple):
    """The code ran."""

    effect_id: int
    output: str
    error: str | None = None
    outcome: TurnOutcome | None = None
    """How the code ended the turn, if it did."""


class CheckpointAnswered(NamedTuple):
    """Whatever was put in, in order."""

    effect_id: int
    messages: tuple[Message, ...] = ()


class Cancel(NamedTuple):
    """Stop."""


class Abort(NamedTuple):
    """Stop for a reason outside the machine."""

    outcome: Stopped
    issue: TurnIssue


Input = Begin | LlmAnswered | ToolsAnswered | CodeAnswered | CheckpointAnswered | Cancel | Abort


# -- state


class MachineState(Record):
    """A turn in progress: what it has appended, and what it waits for."""

    turn_id: Identifier
    max_turns: U64 | None = None
    context_window: U64
    ended_on_tools: bool = False
    """Whether the last message before an answer holds tool results."""
    phase: Phase = "preparing"
    effect_id: U64 = 0
    iteration: U64 = 0
    minted: U64 = 0
    appended: tuple[Message, ...] = ()
    calls: tuple[ToolCallPart, ...] = ()
    code: tuple[str, str] | None = None
    checkpoint: CheckpointKind | None = None
    answer: Message | None = None
    """The prose that ends the turn unless something is put in before completion."""
    outcome: TurnOutcome | None = None
    issues: tuple[TurnIssue, ...] = ()


class Step(NamedTuple):
    """A state and the effect it waits for, none when it is finished or nothing changed."""

    state: MachineState
    effect: Effect | None = None


def outstanding(state: MachineState) -> Effect | None:
    """The effect a state waits for."""
    match state.phase:
        case "waiting_llm":
            return CallLlm(effect_id=state.effect_id, iteration=state.iteration)
        case "waiting_tools":
            return RunTools(effect_id=state.effect_id, calls=state.calls)
        case "waiting_code" if state.code is not None:
            return RunCode(effect_id=state.effect_id, language=state.code[0], code=state.code[1])
        case "waiting_checkpoint" if state.checkpoint is not None:
            return ReachCheckpoint(effect_id=state.effect_id, kind=state.checkpoint)
        case _:
            return None


def awaits(state: MachineState, input: Input) -> bool:
    """Whether the input answers what the state waits for; inputs without an id always do."""
    effect_id = getattr(input, "effect_id", None)
    return effect_id is None or effect_id == state.effect_id


@dataclass(frozen=True)
class Rule:
    """What an input does in a phase, and the phases it may lead to."""

    run: Callable[[MachineState, Input], MachineState]
    targets: frozenset[Phase]


Table = dict[tuple[Phase, type[Input]], Rule]
def step(state: MachineState, input: Input, table: Table) -> Step:
    """One move; an input that the phase does not know, or that answers another effect, changes nothing."""
    rule = table.get((state.phase, type(input)))
    if rule is None or not awaits(state, input):
        return Step(state)
    moved = rule.run(state, input)
    if moved.phase not in rule.targets:
        raise AssertionError(f"{type(input).__name__} led from {state.phase} to {moved.phase}")
    return Step(moved, outstanding(moved))
