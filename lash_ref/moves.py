"""The moves of a turn, and the standard protocol: which move follows which.

`TRANSITIONS` is what the machine runs and what the state diagram is drawn from.
"""

from collections.abc import Callable
from itertools import count
from typing import Any, Final

from lash_ref.machine import (
    Abort,
    Begin,
    Cancel,
    CheckpointAnswered,
    Input,
    LlmAnswered,
    MachineState,
    Phase,
    Rule,
    Table,
    ToolAnswer,
    ToolsAnswered,
)
from lash_ref.messages import Message, Part, text_message
from lash_ref.outcome import (
    AgentFrameSwitch,
    AssistantMessage,
    Finished,
    Stopped,
    ToolValue,
    TurnIssue,
    TurnOutcome,
)
from lash_ref.provider import (
    LlmPart,
    LlmResponse,
    LlmTerminalReason,
    ProviderFailureKind,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from lash_ref.retries import LlmCompletion
from lash_ref.scalars import Json
from lash_ref.tool_results import (
    AttachmentPart,
    Fail,
    Finish,
    SwitchAgentFrame,
)
from lash_ref.work import CheckpointKind

OVERFLOW_SHARE: Final = 0.95
"""A prompt this large, as a share of the window, that got no output at all has overflowed."""


# -- moves, shared with other protocols


def minted_id(state: MachineState) -> tuple[MachineState, str]:
    """The turn's next message id: a function of the turn alone."""
    return state.but(minted=state.minted + 1), f"{state.turn_id}.m{state.minted}"


def ask_model(state: MachineState) -> MachineState:
    """Wait for the model."""
    return state.but(phase="waiting_llm", effect_id=state.effect_id + 1)


def reach(state: MachineState, kind: CheckpointKind, **more: Any) -> MachineState:
    """Wait at a checkpoint, with whatever else changes."""
    return state.but(phase="waiting_checkpoint", checkpoint=kind, effect_id=state.effect_id + 1, **more)


def finish(state: MachineState, outcome: TurnOutcome, *issues: TurnIssue, **more: Any) -> MachineState:
    """End, with whatever else changes."""
    return state.but(phase="finished", outcome=outcome, issues=(*state.issues, *issues), **more)


def append(state: MachineState, *messages: Message, **more: Any) -> MachineState:
    """Put messages into the conversation, with whatever else changes."""
    return state.but(appended=(*state.appended, *messages), **more)


def failed_call(state: MachineState, completion: LlmCompletion) -> MachineState:
    """A call whose retries are exhausted stops the turn; it is a committed turn."""
    failure = completion.failure
    return finish(
        state,
        Stopped(stop="provider_error"),
        provider_issue(
            failure.provider_code if failure is not None else None,
            completion.failure_message or "the model call failed",
            retryable=completion.failure_retryable,
            kind=failure.kind if failure is not None else "unknown",
        ),
    )


def provider_issue(
    code: str | None,
    message: str,
    *,
    retryable: bool = False,
    kind: ProviderFailureKind | None = None,
    reason: LlmTerminalReason | None = None,
) -> TurnIssue:
    """An issue of the model call."""
    return TurnIssue(
        kind="llm_provider",
        code=code,
        message=message,
        retryable=retryable,
        provider_failure_kind=kind,
        terminal_reason=reason,
    )


def terminal_stop(state: MachineState, response: LlmResponse) -> MachineState | None:
    """The end that the response's terminal reason demands, if it demands one."""
    reason = response.terminal_reason
    if reason == "output_limit" and _overflowed(state, response):
        reason = "context_overflow"
    if reason == "output_limit":
        return finish(state, Stopped(stop="incomplete"))
    if reason in {"context_overflow", "content_filter", "provider_error", "cancelled"}:
        said = response.terminal_diagnostic or f"the model call ended with {reason}"
        return finish(state, Stopped(stop="provider_error"), provider_issue(reason, said, reason=reason))
    return None


def _overflowed(state: MachineState, response: LlmResponse) -> bool:
    usage = response.usage
    if usage is None or usage.output_tokens:
        return False
    prompt = usage.input_tokens + usage.cache_read_input_tokens + usage.cache_write_input_tokens
    return prompt >= OVERFLOW_SHARE * state.context_window


def next_iteration(state: MachineState) -> MachineState:
    """Another round, unless the turn has used up its model calls."""
    onward = state.but(iteration=state.iteration + 1)
    if state.max_turns is None or onward.iteration < state.max_turns:
        return reach(onward, "after_work")
    onward, message_id = minted_id(onward)
    said = f"This turn reached its limit of {state.max_turns} model calls."
    limited = append(onward, text_message(message_id, "System", said))
    return finish(limited, Stopped(stop="max_turns"))


# -- the standard protocol


def _begin(state: MachineState, input: Input) -> MachineState:  # noqa: ARG001 - rules are called alike
    return ask_model(state)


def _llm(state: MachineState, input: Input) -> MachineState:
    if not isinstance(input, LlmAnswered):
        return state
    if (response := input.completion.response) is None:
        return failed_call(state, input.completion)
    if (stopped := terminal_stop(state, response)) is not None:
        return stopped
    response = with_distinct_calls(response)
    state, message_id = minted_id(state)
    spoken = assistant_message(message_id, response)
    if response.tool_calls:
        calls, effect_id = response.tool_calls, state.effect_id + 1
        return append(state, spoken, phase="waiting_tools", calls=calls, effect_id=effect_id)
    if not response.full_text.strip() and not spoken.parts:
        if not state.ended_on_tools:
            issue = provider_issue("empty_response", "the model returned neither text nor tool calls")
            return finish(state, Stopped(stop="provider_error"), issue)
        return reach(state, "before_completion", answer=None)
    return reach(state, "before_completion", answer=spoken)


def with_distinct_calls(response: LlmResponse) -> LlmResponse:
    """The response with an id for each of its calls: ``c``, ``c`` becomes ``c``, ``c-2`` ([TOO.13][])."""
    given = [call.call_id for call in response.tool_calls]
    if len(set(given)) == len(given):
        return response
    taken, seen = set(given), set[str]()
    parts: list[LlmPart] = []
    for part in response.parts:
        if isinstance(part, ToolCallPart) and part.call_id in seen:
            free = next(id for n in count(2) if (id := f"{part.call_id}-{n}") not in taken)
            taken.add(free)
            parts.append(part.but(call_id=free))
        else:
            if isinstance(part, ToolCallPart):
                seen.add(part.call_id)
            parts.append(part)
    return response.but(parts=tuple(parts))


def assistant_message(message_id: str, response: LlmResponse) -> Message:
    """The response as history keeps it, parts in the order given, blank ones left out."""
    parts: list[Part] = []
    for part in response.parts:
        here = f"{message_id}.p{len(parts)}"
        match part:
            case TextPart(text=text) if text:
                parts.append(Part(id=here, kind="Prose", content=text, response_meta=part.response_meta))
            case ReasoningPart(text=text) if text.strip() or part.replay is not None:
                parts.append(Part(id=here, kind="Reasoning", content=text, reasoning_meta=part.replay))
            case ToolCallPart():
                parts.append(
                    Part(
                        id=here,
                        kind="ToolCall",
                        content=part.input_json,
                        tool_call_id=part.call_id,
                        tool_name=part.tool_name,
                        tool_replay=part.replay,
                    )
                )
            case _:
                pass
    return Message(id=message_id, role="Assistant", parts=tuple(parts))


def _tools(state: MachineState, input: Input) -> MachineState:
    if not isinstance(input, ToolsAnswered):
        return state
    state, message_id = minted_id(state)
    results = tool_result_message(message_id, input.answers)
    answered = append(state, results, calls=(), ended_on_tools=True)
    for answer in input.answers:
        if answer.output.is_success and answer.output.control is not None:
            return finish(answered, control_outcome(answer.call.tool_name, answer.output.control))
    return next_iteration(answered)


def tool_result_message(message_id: str, answers: tuple[ToolAnswer, ...]) -> Message:
    """The results in call order, as the model is shown them."""
    parts: list[Part] = []
    for answer in answers:
        shown = answer.model_return
        for part in shown.parts:
            attached = isinstance(part, AttachmentPart)
            parts.append(
                Part(
                    id=f"{message_id}.p{len(parts)}",
                    kind="Attachment" if attached else "ToolResult",
                    content="" if isinstance(part, AttachmentPart) else part.text,
                    attachment=Json({"source": part.source.value}) if attached else None,
                    tool_call_id=shown.call_id,
                    tool_name=shown.tool_name,
                )
            )
    return Message(id=message_id, role="User", parts=tuple(parts))


def control_outcome(tool_name: str, control: Finish | Fail | SwitchAgentFrame) -> TurnOutcome:
    """How a tool's control ends the turn."""
    match control:
        case Finish(value=value):
            return Finished(finish=ToolValue(tool_name=tool_name, value=value))
        case Fail(value=value):
            return Stopped(stop="tool_error", tool_name=tool_name, value=value)
        case SwitchAgentFrame():
            if not control.frame_id.strip() or not (control.task or "").strip():
                problem = Json("a frame switch needs a frame id and a task")
                return Stopped(stop="tool_error", tool_name=tool_name, value=problem)
            return AgentFrameSwitch(
                frame_id=control.frame_id, task=control.task or "", initial_nodes=control.initial_nodes
            )


def _checkpoint(state: MachineState, input: Input) -> MachineState:
    if not isinstance(input, CheckpointAnswered):
        return state
    spoken = (state.answer,) if state.answer is not None else ()
    if state.checkpoint == "before_completion" and not input.messages:
        text = state.answer.text if state.answer is not None else ""
        appended = (*state.appended, *spoken)
        return finish(state, Finished(finish=AssistantMessage(text=text)), appended=appended, answer=None)
    onward = append(state, *spoken, *input.messages, answer=None)
    if state.checkpoint == "before_completion":
        onward = onward.but(iteration=state.iteration + 1, ended_on_tools=False)
        if state.max_turns is not None and onward.iteration >= state.max_turns:
            return next_iteration(onward.but(iteration=state.iteration))
    elif input.messages:
        onward = onward.but(ended_on_tools=False)
    return ask_model(onward)


def _cancel(state: MachineState, input: Input) -> MachineState:  # noqa: ARG001
    return finish(state, Stopped(stop="cancelled"), answer=None, calls=())


def _abort(state: MachineState, input: Input) -> MachineState:
    if not isinstance(input, Abort):
        return state
    return finish(state, input.outcome, input.issue, answer=None, calls=())


def _rule(run: Callable[[MachineState, Input], MachineState], *targets: Phase) -> Rule:
    return Rule(run, frozenset(targets))


_WAITING: Final[tuple[Phase, ...]] = (
    "preparing",
    "waiting_llm",
    "waiting_tools",
    "waiting_code",
    "waiting_checkpoint",
)

ENDINGS: Final[Table] = {
    **{(phase, Cancel): _rule(_cancel, "finished") for phase in _WAITING},
    **{(phase, Abort): _rule(_abort, "finished") for phase in _WAITING},
}
"""How any waiting phase ends from outside."""

TRANSITIONS: Final[Table] = {
    ("preparing", Begin): _rule(_begin, "waiting_llm"),
    ("waiting_llm", LlmAnswered): _rule(_llm, "waiting_tools", "waiting_checkpoint", "finished"),
    ("waiting_tools", ToolsAnswered): _rule(_tools, "waiting_checkpoint", "finished"),
    ("waiting_checkpoint", CheckpointAnswered): _rule(_checkpoint, "waiting_llm", "finished"),
    **ENDINGS,
}
"""(phase, input) to the rule it runs and the phases that rule may reach."""
