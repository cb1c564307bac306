"""The RLM protocol: the model answers with Python cells that a sandbox runs, until it submits or answers in prose.

One model reply is one move. A reply with a fenced ``python`` block is run and its output shown to the model; a reply
without one is the answer. ``submit(value)`` ends the turn with a value, ``submit_error(value)`` with a failure.
"""

import re
from dataclasses import dataclass
from typing import Any, Final, Literal

from lash_ref.errors import RegistrationError
from lash_ref.machine import (
    CodeAnswered,
    Input,
    LlmAnswered,
    MachineState,
    Phase,
    Rule,
    Step,
    Table,
    step,
)
from lash_ref.messages import text_message
from lash_ref.moves import (
    ENDINGS,
    TRANSITIONS,
    append,
    assistant_message,
    failed_call,
    finish,
    minted_id,
    next_iteration,
    provider_issue,
    reach,
    terminal_stop,
)
from lash_ref.outcome import AssistantMessage, FinalValue, Finished, Stopped, TurnIssue
from lash_ref.plugins import PluginFactory, PluginSessionContext, SessionPlugin
from lash_ref.registrar import PluginRegistrar
from lash_ref.rlm_cells import LANGUAGE, CellLimits, MontyExecutor
from lash_ref.scalars import Json
from lash_ref.work import ProtocolTurnOptions

RLM_PROTOCOL_ID: Final = "rlm_protocol"
NO_PROGRESS_BOUND: Final = 4
"""Cells in a row that may fail before the turn stops ([RLM.8][])."""

RlmFinalAnswerFormat = Literal["markdown", "raw_submit_value"]
"""How a submitted value ends the turn: as the assistant's message, or as the value itself."""

_CELL: Final = re.compile(r"^```(?:python|py)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_FAILED: Final = "The cell failed"


def cell_of(text: str) -> str | None:
    """The code of a reply: all its fenced Python blocks as one cell, or none when it has none."""
    blocks = _CELL.findall(text)
    return "\n".join(blocks) if blocks else None


def final_answer_format(options: Json | None, *, is_root: bool) -> RlmFinalAnswerFormat:
    """The format asked for, else Markdown for a root and the raw value for a child ([RLM.7][])."""
    given = options.value if options is not None else None
    match given.get("final_answer_format") if isinstance(given, dict) else None:
        case None:
            return "markdown" if is_root else "raw_submit_value"
        case "markdown":
            return "markdown"
        case "raw_submit_value":
            return "raw_submit_value"
        case other:
            raise RegistrationError(f"final_answer_format is markdown or raw_submit_value, found {other!r}")


def _llm(state: MachineState, input: Input) -> MachineState:
    if not isinstance(input, LlmAnswered):
        return state
    if (response := input.completion.response) is None:
        return failed_call(state, input.completion)
    if (stopped := terminal_stop(state, response)) is not None:
        return stopped
    state, message_id = minted_id(state)
    spoken = assistant_message(message_id, response)
    code = cell_of(response.full_text)
    if code is not None:
        effect_id = state.effect_id + 1
        return append(state, spoken, phase="waiting_code", code=(LANGUAGE, code), effect_id=effect_id)
    if not response.full_text.strip():
        issue = provider_issue("empty_response", "the model returned neither text nor code")
        return finish(state, Stopped(stop="provider_error"), issue)
    return reach(state, "before_completion", answer=spoken)


@dataclass(frozen=True)
class _Ran:
    """What a cell's end does to the turn, in a session's answer format."""

    format: RlmFinalAnswerFormat

    def __call__(self, state: MachineState, input: Input) -> MachineState:
        if not isinstance(input, CodeAnswered):
            return state
        state, message_id = minted_id(state.but(code=None))
        if input.outcome is not None:
            return self._ended(state, message_id, input)
        said = input.output.rstrip() or "(no output)"
        if input.error is not None:
            said = f"{_FAILED} and changed nothing.\n{input.error.rstrip()}\nIts output before that:\n{said}"
        shown = append(state, text_message(message_id, "System", said))
        if _failures(shown) >= NO_PROGRESS_BOUND:
            problem = f"{NO_PROGRESS_BOUND} cells in a row failed"
            issue = TurnIssue(kind="code", code="no_progress", message=problem)
            return finish(shown, Stopped(stop="runtime_error"), issue)
        return next_iteration(shown)

    def _ended(self, state: MachineState, message_id: str, input: CodeAnswered) -> MachineState:
        outcome = input.outcome
        assert outcome is not None
        if self.format == "markdown" and isinstance(outcome, Finished) and isinstance(outcome.finish, FinalValue):
            value = outcome.finish.value.value
            text = value if isinstance(value, str) else outcome.finish.value.text
            spoken = append(state, text_message(message_id, "Assistant", text))
            return finish(spoken, Finished(finish=AssistantMessage(text=text)))
        return finish(state, outcome)


def _failures(state: MachineState) -> int:
    """How many cells have failed in a row; the model's own replies stand between them."""
    count = 0
    for message in reversed(state.appended):
        if message.role == "Assistant":
            continue
        if not message.text.startswith(_FAILED):
            break
        count += 1
    return count


def _rule(run: Any, *targets: Phase) -> Rule:
    return Rule(run, frozenset(targets))


def table(format: RlmFinalAnswerFormat) -> Table:
    """The protocol's transitions: the standard ones, with cells in place of tool calls."""
    return {
        **{key: rule for key, rule in TRANSITIONS.items() if key[0] in {"preparing", "waiting_checkpoint"}},
        ("waiting_llm", LlmAnswered): _rule(_llm, "waiting_code", "waiting_checkpoint", "finished"),
        ("waiting_code", CodeAnswered): _rule(_Ran(format), "waiting_checkpoint", "finished"),
        **ENDINGS,
    }


class RlmDriver:
    """The turn side."""

    def __init__(self, format: RlmFinalAnswerFormat) -> None:
        self.table = table(format)

    def step(self, state: MachineState, input: Input) -> Step:
        """One move."""
        return step(state, input, self.table)

    def execution_prompt(self, options: ProtocolTurnOptions) -> str:
        """How the model is to work."""
        del options
        return (
            "Answer by writing Python in one fenced ```python block; it is run in a sandbox and you see what it prints "
            "and its last value. Variables stay from cell to cell. Tools are async functions: await them. There are no "
            "files, no network and no installed packages. Call submit(value) to end with a value, submit_error(value) to "
            "end with a failure, or reply without code to end with that reply."
        )

    def offers_tools(self) -> bool:
        """The model calls tools in code, not by schema."""
        return False


class RlmSession:
    """The session side: what the cells computed is the commit's execution state."""

    def __init__(self, executor: MontyExecutor) -> None:
        self._executor = executor

    async def initialize_session(self, session_id: str) -> None:
        """Nothing is computed yet."""
        del session_id
        self._executor.restore(None)

    async def restore_session(self, session_id: str, state: Any) -> None:
        """Go on with the committed variables ([RLM.4][])."""
        del session_id
        self._executor.restore(state.execution_state_snapshot)


class _RlmPlugin(SessionPlugin):
    id = RLM_PROTOCOL_ID

    def __init__(self, executor: MontyExecutor, format: RlmFinalAnswerFormat) -> None:
        self._executor = executor
        self._format: RlmFinalAnswerFormat = format

    def register(self, reg: PluginRegistrar) -> None:
        reg.protocol().session(RlmSession(self._executor))
        reg.protocol().protocol_driver(RlmDriver(self._format))
        reg.execution().code_executor(self._executor)


class RlmProtocolPluginFactory(PluginFactory):
    """Installs the RLM protocol; limits are the core's, the answer format may be a session's plugin option."""

    id = RLM_PROTOCOL_ID

    def __init__(self, limits: CellLimits | None = None) -> None:
        self.limits = limits or CellLimits()

    def build(self, context: PluginSessionContext) -> SessionPlugin:
        """A session's plugin with an executor of its own."""
        format = final_answer_format(context.plugin_options.get(self.id), is_root=context.is_root_session())
        return _RlmPlugin(MontyExecutor(self.limits), format)

    def open_options(
        self, options: ProtocolTurnOptions, plugin_options: Json | None, *, is_root: bool
    ) -> ProtocolTurnOptions:
        """The session's protocol options with the answer format it runs with ([RLM.7][])."""
        held: Any = options.payload.value
        chosen = final_answer_format(plugin_options, is_root=is_root)
        return options.but(payload=Json(held | {"final_answer_format": chosen}))
