"""The driver of one physical turn: prepares it and runs the machine's effects, up to an outcome.

Everything a turn does to the session is undone when it ends in an error rather than an outcome: the store
was not written, the state rolls back, claims are given back. Whatever ends in an outcome is committed by
`turn_commit`, cancelled and aborted turns too ([TRN.3][], [TRN.4][]).
"""

from collections.abc import Sequence

from lash_ref import activity
from lash_ref.directives import PluginDirective
from lash_ref.errors import PluginError
from lash_ref.inputs import TurnInput
from lash_ref.machine import Begin, Cancel, MachineState
from lash_ref.outcome import AssistantMessage, Finished, TurnIssue, TurnOutcome
from lash_ref.plugin_events import PluginOwned
from lash_ref.protocol import ProtocolDriver
from lash_ref.runtime_errors import RuntimeErrorCode
from lash_ref.scalars import U64, Json, Record, RecordJson
from lash_ref.turn_steps import TurnSteps
from lash_ref.usage import PromptUsage


class TurnAsked(Record):
    """What the first effect of a turn is asked with."""

    input: TurnInput


class TurnStart(Record):
    """When a turn began: what its first effect answers."""

    now_ms: U64


class Turn(TurnSteps):
    """One physical turn."""

    async def run(self) -> TurnOutcome:
        """Prepare and drive the turn; its outcome, with everything it produced in the state.

        Raises:
            RuntimeFailure: the turn has no outcome.
        """
        began = await self.controller.run(
            "turn_start", "0", RecordJson(TurnAsked(input=self.request.input)), self._started
        )
        self.now_ms = began.read(TurnStart).now_ms
        self.runtime.state.turn_index += 1
        self._own_attachments()
        await self.runtime.reach("prepare", self.turn_id)
        refused = await self._take_in()
        if refused is not None:
            return self._stop("invalid_input", refused)
        aborted = await self._before_turn()
        if aborted is not None:
            return aborted
        self.provider = self._resolved_provider()
        evidence = await self._start_gate()
        if evidence is not None:
            self.token.cancel()
        with self.waits.watched(self.gate.key, self._watch):
            return await self._drive()

    async def _started(self) -> Json:
        return RecordJson(TurnStart(now_ms=self.runtime.host.core.clock.now_ms()))

    async def _drive(self) -> TurnOutcome:
        policy = self.runtime.state.policy
        driver: ProtocolDriver = self.runtime.plugins.protocol_driver
        try:
            await self._compose(driver)
        except PluginError as err:
            issue = TurnIssue(kind=RuntimeErrorCode.PLUGIN_PROMPT, message=str(err))
            await self.show("error", activity.ErrorShown(message=str(err)))
            return self._stop("runtime_error", issue)
        machine = MachineState(
            turn_id=self.turn_id,
            max_turns=policy.max_turns,
            context_window=policy.required_model().limits.context_window_tokens,
        )
        machine, effect = driver.step(machine, Cancel() if self.token.is_cancelled() else Begin())
        while effect is not None:
            answer = await self.perform_effect(effect)
            before = len(machine.appended)
            machine, effect = driver.step(machine, answer)
            held = machine.appended[before:]
            if machine.outcome is None:
                self._append(*held)
                if self.token.is_cancelled():
                    machine, effect = driver.step(machine, Cancel())
            else:
                self.held.extend(held)
        self.issues.extend(machine.issues)
        return self._unfinished() if machine.outcome is None else machine.outcome

    def _unfinished(self) -> TurnOutcome:
        """The end of a turn whose protocol asks for nothing and does not finish, as the termination policy has it."""
        if not self.runtime.host.core.termination.treat_missing_done_as_failure:
            last = self.runtime.state.read_model().said[-1:]
            said = last[0].text if last and last[0].role == "Assistant" else ""
            return Finished(finish=AssistantMessage(text=said))
        problem = "the protocol asked for nothing and did not finish"
        return self._stop("runtime_error", TurnIssue(kind="runtime", code="missing_done", message=problem))

    async def take_late(self, emitted: Sequence[PluginOwned[PluginDirective]]) -> None:
        """Carry out what the hooks after the turn ask for."""
        asked = await self._directed("after_turn", emitted)
        self._append(*self._written(asked.messages, "z"))

    def prompt_usage(self) -> PromptUsage | None:
        """The size of the last prompt."""
        last, window = self.last_prompt, self.runtime.state.policy.max_context_tokens
        if last is None:
            return None
        cached = last.cache_read_input_tokens + last.cache_write_input_tokens
        return PromptUsage(
            prompt_context_tokens=last.input_tokens + cached,
            input_tokens=last.input_tokens,
            cache_read_input_tokens=last.cache_read_input_tokens,
            cache_write_input_tokens=last.cache_write_input_tokens,
            context_budget_tokens=window or 0,
        )
