"""The turn machine: moves, foreign answers, and a state that is written down and read again."""

from functools import partial

from lash_ref import machine
from lash_ref.machine import (
    Begin,
    CallLlm,
    Cancel,
    CheckpointAnswered,
    LlmAnswered,
    MachineState,
    ReachCheckpoint,
    RunTools,
    ToolAnswer,
    ToolsAnswered,
    outstanding,
)
from lash_ref.messages import text_message
from lash_ref.moves import TRANSITIONS
from lash_ref.outcome import AssistantMessage, Finished, outcome_data, read_outcome
from lash_ref.provider import LlmResponse, TextPart, ToolCallPart
from lash_ref.retries import LlmCallRecord, LlmCompletion
from lash_ref.scalars import Json
from lash_ref.tool_results import Done, Finish, ModelToolReturn
from lash_ref.usage import TokenUsage

step = partial(machine.step, table=TRANSITIONS)


def start(**more):
    return MachineState(turn_id="t", context_window=100, **more)


def answered(effect_id, *parts, reason="stop", usage=None):
    response = LlmResponse(parts=parts, terminal_reason=reason, usage=usage)
    return LlmAnswered(effect_id, LlmCompletion(record=LlmCallRecord(call_id="c"), response=response))


def says(text):
    return TextPart(text=text)


CALL = ToolCallPart(call_id="c1", tool_name="echo", input_json="{}")


def ran(effect_id, result=None):
    output = (result or Done.ok("out")).output
    return ToolsAnswered(
        effect_id, (ToolAnswer(CALL, output, ModelToolReturn.from_output("c1", "echo", output)),)
    )


def run(state, *inputs):
    effect = None
    for given in inputs:
        state, effect = step(state, given)
    return state, effect


def test_prose_finishes_after_a_checkpoint():
    state, effect = run(start(), Begin(), answered(1, says("hello")))
    assert effect == ReachCheckpoint(effect_id=2, kind="before_completion")
    state, effect = step(state, CheckpointAnswered(2))
    assert (state.phase, effect) == ("finished", None)
    assert state.outcome == Finished(finish=AssistantMessage(text="hello"))
    assert [m.role for m in state.appended] == ["Assistant"]


def test_a_tool_round_then_prose():
    state, effect = run(start(), Begin(), answered(1, says("let me"), CALL, reason="tool_use"))
    assert effect == RunTools(effect_id=2, calls=(CALL,))
    state, effect = step(state, ran(2))
    assert effect == ReachCheckpoint(effect_id=3, kind="after_work")
    state, effect = step(state, CheckpointAnswered(3))
    assert effect == CallLlm(effect_id=4, iteration=1)
    state, _ = run(state, answered(4, says("done")), CheckpointAnswered(5))
    assert [m.role for m in state.appended] == ["Assistant", "User", "Assistant"]
    assert state.appended[1].parts[0].kind == "ToolResult"


def test_a_message_before_completion_keeps_the_prose_and_goes_on():
    state, effect = run(
        start(), Begin(), answered(1, says("a")), CheckpointAnswered(2, (text_message("x", "User", "b"),))
    )
    assert effect == CallLlm(effect_id=3, iteration=1)
    assert [m.text for m in state.appended] == ["a", "b"]


def test_an_answer_to_another_effect_changes_nothing():
    state, _ = run(start(), Begin())
    assert step(state, answered(9, says("late"))).state == state
    assert step(state, ran(1)).state == state


def test_a_state_read_again_asks_for_the_same_effect():
    state, effect = run(start(), Begin(), answered(1, CALL, reason="tool_use"))
    assert outstanding(MachineState.from_json(state.to_json())) == effect


def test_controls_limits_and_empty_replies_end_the_turn():
    state, _ = run(start(), Begin(), answered(1, CALL, reason="tool_use"), ran(2, Done.ok(1).with_control(Finish(value=Json(7)))))
    assert outcome_data(state.outcome) == {"finished": {"tool_value": {"tool_name": "echo", "value": 7}}}
    state, _ = run(start(max_turns=1), Begin(), answered(1, CALL, reason="tool_use"), ran(2))
    assert outcome_data(state.outcome) == {"stopped": "max_turns"}
    assert state.appended[-1].role == "System"
    state, _ = run(start(), Begin(), answered(1))
    assert (outcome_data(state.outcome), state.issues[0].code) == ({"stopped": "provider_error"}, "empty_response")
    state, _ = run(start(), Begin(), answered(1, CALL, reason="tool_use"), ran(2), CheckpointAnswered(3), answered(4), CheckpointAnswered(5))
    assert outcome_data(state.outcome) == {"finished": {"assistant_message": {"text": ""}}}
    state, _ = run(start(), Begin(), answered(1, says("cut"), reason="output_limit"))
    assert outcome_data(state.outcome) == {"stopped": "incomplete"}
    full = TokenUsage(input_tokens=96)
    state, _ = run(start(), Begin(), answered(1, says("cut"), reason="output_limit", usage=full))
    assert outcome_data(state.outcome) == {"stopped": "provider_error"}


def test_cancel_drops_the_pending_prose():
    state, _ = run(start(), Begin(), answered(1, says("never kept")), Cancel())
    assert (state.appended, outcome_data(state.outcome)) == ((), {"stopped": "cancelled"})


def test_every_phase_but_the_last_has_a_way_out_and_outcomes_round_trip():
    phases = {phase for phase, _ in TRANSITIONS}
    assert phases == {"preparing", "waiting_llm", "waiting_tools", "waiting_code", "waiting_checkpoint"}
    for data in ({"stopped": "cancelled"}, {"stopped": {"tool_error": {"tool_name": "t", "value": 1}}},
                 {"agent_frame_switch": {"frame_id": "f", "task": "go", "initial_nodes": []}}):  # fmt: skip
        assert outcome_data(read_outcome(data)) == data
