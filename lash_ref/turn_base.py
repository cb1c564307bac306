"""What every stage of a physical turn shares: the request, what was produced so far, and how it is shown."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lash_ref import activity, hooks
from lash_ref.cancel import CancellationToken, TurnCancelGate
from lash_ref.claims import TurnClaims
from lash_ref.directives import PluginDirective, TurnDirectives, TurnPoint, apply_turn_directives
from lash_ref.dispatch import ToolDispatch
from lash_ref.effects import EffectController
from lash_ref.inputs import InputItem, TurnInput
from lash_ref.lane import Lane
from lash_ref.messages import Message
from lash_ref.observe import TurnActivityPayload
from lash_ref.outcome import Stopped, TurnIssue, TurnOutcome
from lash_ref.plugin_events import PluginMessage, PluginOwned, PluginRuntimeEvent
from lash_ref.prompt import PromptLayer
from lash_ref.provider import LlmTool, Provider
from lash_ref.records import ModelSpec
from lash_ref.resident import ActivitySink, Resident
from lash_ref.retries import LlmCallRecord
from lash_ref.scalars import Json
from lash_ref.services import TurnContext
from lash_ref.usage import TokenUsage
from lash_ref.waits import Waits
from lash_ref.work import ProcessWake, ProtocolTurnOptions


@dataclass
class TurnRequest:
    """What a host asks of a turn."""

    input: TurnInput
    parts: tuple[tuple[InputItem, ...], ...] = ()
    """The items of merged inputs kept apart; empty when there is one input."""
    turn_id: str = ""
    token: CancellationToken = field(default_factory=CancellationToken)
    protocol_turn_options: ProtocolTurnOptions | None = None
    provider: Provider | None = None
    model: ModelSpec | None = None
    prompt: PromptLayer | None = None
    plugin_inputs: dict[str, Any] = field(default_factory=dict[str, Any])
    sink: ActivitySink | None = None
    wakes: tuple[ProcessWake, ...] = ()


@dataclass
class TurnBase:
    """A turn's parts."""

    runtime: Resident
    request: TurnRequest
    controller: EffectController
    waits: Waits
    lane: Lane | None = None
    claims: TurnClaims = field(default_factory=TurnClaims)

    def __post_init__(self) -> None:
        self.turn_id = self.request.turn_id
        self.token = self.request.token
        self.gate = TurnCancelGate(self.waits, self.runtime.session_id, self.turn_id)
        self.context = TurnContext(self.request.plugin_inputs)
        self.options = self.runtime.state.protocol_turn_options
        self.overlay = hooks.PreparedContext()
        self.issues: list[TurnIssue] = []
        self.llm_calls: list[LlmCallRecord] = []
        self.dispatch: ToolDispatch | None = None
        self.usage: TokenUsage = TokenUsage()
        self.last_prompt: TokenUsage | None = None
        self.held: list[Message] = []
        """What the machine's last step appends, until the gate is closed."""
        self.provider: Provider | None = None
        self.system = ""
        self.tools: tuple[LlmTool, ...] = ()
        self.late_events: list[PluginOwned[PluginRuntimeEvent]] = []
        self.now_ms = 0
        self.shown = 0
        self.committed = False

    @cached_property
    def timestamp(self) -> str:
        """When the turn began, as its nodes carry it; not asked for before that."""
        return self.runtime.host.core.timestamp(self.now_ms)

    async def show(self, correlation_id: str, event: activity.TurnEvent) -> None:
        """Show an activity to the turn's sink and to the session's observers."""
        self.shown += 1
        shown = activity.TurnActivity(
            id=f"{self.turn_id}:a{self.shown}",
            correlation_id=f"{self.turn_id}:{correlation_id}",
            event=event,
        )
        self.runtime.record(TurnActivityPayload(activity=shown))
        if self.request.sink is not None:
            await self.request.sink(shown)

    async def emit(self, owned: PluginOwned[PluginRuntimeEvent]) -> None:
        """Show a plugin's runtime event."""
        event = activity.PluginRuntime(plugin_id=owned.plugin_id, event=Json(owned.value.to_data()))
        await self.show(f"plugin:{owned.plugin_id}", event)

    def _append(self, *messages: Message) -> None:
        if messages:
            self.runtime.state.append_active_conversation_messages(messages, timestamp=self.timestamp)

    def _written(self, messages: Sequence[PluginMessage], where: str) -> list[Message]:
        return [message.message(f"{self.turn_id}.{where}{n}") for n, message in enumerate(messages)]

    async def _directed(self, point: TurnPoint, emitted: Sequence[PluginOwned[PluginDirective]]) -> TurnDirectives:
        asked = await apply_turn_directives(point, emitted, self.runtime.plugin_services)
        if point == "after_turn":
            self.late_events.extend(asked.events)
        else:
            for owned in asked.events:
                await self.emit(owned)
        return asked

    def _stop(self, stop: str, issue: TurnIssue) -> TurnOutcome:
        self.issues.append(issue)
        return Stopped.from_data({"stop": stop})
