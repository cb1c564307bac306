"""How a turn ended, and everything a host learns of it."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, PlainSerializer

from lash_ref.cancel import TurnCancellationEvidence
from lash_ref.provider import LlmTerminalReason, ProviderFailureKind
from lash_ref.retries import LlmCallRecord
from lash_ref.scalars import U64, Identifier, Json, Record, Text
from lash_ref.tool_results import ToolCallRecord
from lash_ref.usage import TokenLedgerEntry, TokenUsage

# -- outcomes


class AssistantMessage(Record):
    """The model answered in prose."""

    text: Text


class FinalValue(Record):
    """Model-written code submitted a value."""

    value: Json


class ToolValue(Record):
    """A tool ended the turn with a value."""

    tool_name: Text
    value: Json


TurnFinish = AssistantMessage | FinalValue | ToolValue
_FINISH_NAMES: dict[type[TurnFinish], str] = {
    AssistantMessage: "assistant_message",
    FinalValue: "final_value",
    ToolValue: "tool_value",
}


class Finished(Record):
    """The turn reached its answer."""

    finish: TurnFinish


class AgentFrameSwitch(Record):
    """The turn goes on in another frame."""

    frame_id: Identifier
    task: Text
    initial_nodes: tuple[Json, ...] = ()


StopKind = Literal[
    "cancelled",
    "incomplete",
    "invalid_input",
    "max_turns",
    "tool_failure",
    "provider_error",
    "plugin_abort",
    "runtime_error",
    "submitted_error",
    "tool_error",
]


class Stopped(Record):
    """The turn ended without an answer; it is committed all the same."""

    stop: StopKind
    tool_name: Text | None = None
    value: Json | None = None


def outcome_data(outcome: "Finished | AgentFrameSwitch | Stopped") -> dict[str, Any]:
    """An outcome in lash's JSON: ``{"finished": {"assistant_message": {"text": …}}}`` and so on."""
    match outcome:
        case Finished(finish=finish):
            return {"finished": {_FINISH_NAMES[type(finish)]: finish.to_data()}}
        case AgentFrameSwitch():
            return {"agent_frame_switch": outcome.to_data()}
        case Stopped(stop="submitted_error" | "tool_error" as stop):
            body = {"tool_name": outcome.tool_name, "value": outcome.value}
            told = {k: v.value if isinstance(v, Json) else v for k, v in body.items() if v is not None}
            return {"stopped": {stop: told}}
        case Stopped(stop=stop):
            return {"stopped": stop}


def read_outcome(given: Any) -> "Finished | AgentFrameSwitch | Stopped":
    """An outcome from lash's JSON.

    Raises:
        ValueError: it is none.
    """
    match given:
        case Finished() | AgentFrameSwitch() | Stopped():
            return given
        case {"finished": {"assistant_message": body}}:
            return Finished(finish=AssistantMessage.from_data(body))
        case {"finished": {"final_value": body}}:
            return Finished(finish=FinalValue.from_data(body))
        case {"finished": {"tool_value": body}}:
            return Finished(finish=ToolValue.from_data(body))
        case {"agent_frame_switch": body}:
            return AgentFrameSwitch.from_data(body)
        case {"stopped": str(stop)}:
            return Stopped.from_data({"stop": stop})
        case {"stopped": {"submitted_error": {"value": value}}}:
            return Stopped(stop="submitted_error", value=Json(value))
        case {"stopped": {"tool_error": {"tool_name": name, "value": value}}}:
            return Stopped.from_data({"stop": "tool_error", "tool_name": name, "value": value})
        case _:
            raise ValueError("a turn outcome")


TurnOutcome = Annotated[
    Finished | AgentFrameSwitch | Stopped,
    BeforeValidator(read_outcome),
    PlainSerializer(outcome_data, when_used="json"),
]
CANCELLED = Stopped(stop="cancelled")


class TurnIssue(Record):
    """Something that went wrong in a turn."""

    kind: Text
    code: Text | None = None
    message: Text
    terminal_reason: LlmTerminalReason | None = None
    raw: Text | None = None
    retryable: bool | None = None
    provider_failure_kind: ProviderFailureKind | None = None


# -- results


class AssistantOutput(Record):
    """What a host may show as the answer."""

    safe_text: Text = ""
    raw_text: Text = ""
    state: Literal["usable", "empty_output", "traceback_only", "recovered_from_error"] = "usable"


class ExecutionSummary(Record):
    """What ran, and for how long, by the host's clock."""

    had_tool_calls: bool = False
    had_code_execution: bool = False
    started_at_ms: U64 = 0
    duration_ms: U64 = 0


class TurnResult(Record):
    """A committed turn."""

    session_id: Identifier
    turn_id: Identifier
    turn_index: U64
    outcome: TurnOutcome
    cancellation: TurnCancellationEvidence | None = None
    """Present exactly when the outcome is cancelled."""
    assistant_output: AssistantOutput = AssistantOutput()
    execution: ExecutionSummary = ExecutionSummary()
    usage: TokenUsage = TokenUsage()
    children_usage: tuple[TokenLedgerEntry, ...] = ()
    llm_calls: tuple[LlmCallRecord, ...] = ()
    tool_calls: tuple[ToolCallRecord, ...] = ()
    errors: tuple[TurnIssue, ...] = ()
    head_revision: U64 | None = None
    """The head that the turn's commit made; none without a store."""

    @property
    def total_usage(self) -> TokenUsage:
        """The turn's own tokens and its children's."""
        whole = self.usage
        for entry in self.children_usage:
            whole += entry.usage
        return whole

    @property
    def is_cancelled(self) -> bool:
        """Whether the turn was stopped by a request."""
        return isinstance(self.outcome, Stopped) and self.outcome.stop == "cancelled"


def assistant_output(outcome: TurnOutcome, fallback: Callable[[], str], issues: int) -> AssistantOutput:
    """The text to show for an outcome; ``fallback`` finds the last answer that history holds."""
    match outcome:
        case Finished(finish=AssistantMessage(text=text)):
            if text:
                return AssistantOutput(safe_text=text, raw_text=text)
            return AssistantOutput(state="empty_output")
        case Finished(finish=FinalValue(value=value) | ToolValue(value=value)):
            said = value.value
            text = said if isinstance(said, str) else value.text
            return AssistantOutput(safe_text=text, raw_text=text)
        case _:
            if last := fallback():
                return AssistantOutput(safe_text=last, raw_text=last, state="recovered_from_error")
            return AssistantOutput(state="traceback_only" if issues else "empty_output")
