"""The plugin `update_plan`: one stateful tool, a runtime event when it succeeds, a snapshot, root sessions only.

A template for a tool with state whose presentation is the host's choice.
"""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from lash_ref.directives import EmitRuntimeEvents, PluginDirective
from lash_ref.errors import SnapshotError
from lash_ref.hooks import PromptHookContext, ToolResultHookContext
from lash_ref.plugin_events import Custom
from lash_ref.plugins import PluginFactory, PluginSessionContext, SessionPlugin
from lash_ref.prompt import PromptContribution
from lash_ref.registrar import PluginRegistrar
from lash_ref.scalars import MAX_INT, Json
from lash_ref.snapshots import PluginSnapshotMeta, SnapshotReader, SnapshotWriter
from lash_ref.tool_results import Done
from lash_ref.tools import StaticToolProvider, ToolCall, ToolDefinition

FORMAT = 1
"""The version of the private state, written inside it."""

PLANNING = (
    "For work of several steps keep a plan with `update_plan`: short steps, at most one of them in progress, "
    "each marked completed as soon as it is. Send the whole plan every time."
)
_TEXT = StringConstraints(strip_whitespace=True, min_length=1)


class Step(BaseModel):
    """One step of a plan."""

    model_config = ConfigDict(extra="forbid", strict=True)

    step: Annotated[str, _TEXT]
    status: Literal["pending", "in_progress", "completed"]


class Plan(BaseModel):
    """What the tool takes."""

    model_config = ConfigDict(extra="forbid", strict=True)

    explanation: str | None = None
    plan: list[Step] = Field(min_length=1)

    @field_validator("explanation")
    @classmethod
    def _blank_is_none(cls, text: str | None) -> str | None:
        return (text or "").strip() or None

    @field_validator("plan")
    @classmethod
    def _one_in_progress(cls, steps: list[Step]) -> list[Step]:
        if sum(step.status == "in_progress" for step in steps) > 1:
            raise ValueError("at most one step may be in_progress")
        return steps


DEFINITION = ToolDefinition.raw(
    "tool:update_plan",
    "update_plan",
    "Replaces the plan for the work at hand with the steps given.",
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["plan"],
        "properties": {
            "explanation": {"type": "string"},
            "plan": {
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["step", "status"],
                    "properties": {
                        "step": {"type": "string"},
                        "status": {"type": "string", "enum": ["pending", "in_progress", "completed"]},
                    },
                },
            },
        },
    },
    {"type": "string"},
)


@dataclass(frozen=True)
class PlanState:
    """The plan of a session; ``generation`` counts its changes and is 0 before the first."""

    explanation: str | None = None
    plan: tuple[tuple[str, str], ...] = ()
    generation: int = 0

    def payload(self) -> dict[str, Any]:
        """The plan as events and snapshots show it, what is empty left out."""
        shown = asdict(self) | {"plan": [{"step": step, "status": status} for step, status in self.plan]}
        return {name: value for name, value in shown.items() if value not in (None, [])}


class UpdatePlanPlugin(SessionPlugin):
    """The plan of one session."""

    id = "update_plan"

    def __init__(self, *, active: bool) -> None:
        self.active = active
        self.state = PlanState()

    def register(self, reg: PluginRegistrar) -> None:
        if not self.active:
            return
        reg.tools().provider(StaticToolProvider().add(DEFINITION, self._update))
        reg.prompt().contribute(self._guidance)
        reg.tool_calls().after(self._announce)

    async def _update(self, call: ToolCall) -> Done:
        try:
            asked = Plan.model_validate(call.args)
        except ValidationError as err:
            fault = err.errors(include_url=False, include_context=False)[0]
            where = ".".join(str(part) for part in fault["loc"])
            return Done.err(f"{where or 'plan'}: {fault['msg']}")
        self.state = PlanState(
            explanation=asked.explanation,
            plan=tuple((step.step, step.status) for step in asked.plan),
            generation=max(1, (self.state.generation + 1) & MAX_INT),
        )
        return Done.ok("Plan updated")

    async def _guidance(self, context: PromptHookContext) -> list[PromptContribution]:
        del context
        return [PromptContribution.guidance("Planning", PLANNING)]

    async def _announce(self, context: ToolResultHookContext) -> list[PluginDirective]:
        if context.tool_name != "update_plan" or not context.result.output.is_success:
            return []
        event = Custom(name="update_plan.snapshot", payload=Json(self.state.payload()))
        return [EmitRuntimeEvents((event,))]

    # -- snapshot

    def snapshot_revision(self) -> int:
        return self.state.generation

    def snapshot(self, writer: SnapshotWriter) -> PluginSnapshotMeta:
        held = Json(self.state.payload() | {"format": FORMAT})
        return super().snapshot(writer).but(state=held)

    def restore(self, meta: PluginSnapshotMeta, reader: SnapshotReader) -> None:
        """Take up a stored plan; without one, start anew.

        Raises:
            SnapshotError: the state is of a format this version does not know.
        """
        del reader
        self.state = PlanState()
        if meta.state is None:
            return
        held = meta.state.value
        if not isinstance(held, dict) or held.get("format") != FORMAT:
            found = held.get("format") if isinstance(held, dict) else held
            raise SnapshotError(f"update_plan keeps its state in format {FORMAT}; found {found!r}")
        try:
            self.state = _read(held)
        except (KeyError, TypeError, ValueError) as err:
            raise SnapshotError(f"update_plan cannot read its state: {err}") from err


def _read(held: dict[str, Any]) -> PlanState:
    generation = held["generation"]
    if not isinstance(generation, int) or not 0 <= generation <= MAX_INT:
        raise ValueError(f"a generation is 0..2^63-1, found {generation!r}")
    steps = [Step.model_validate(step) for step in held.get("plan", [])]
    plan = tuple((step.step, step.status) for step in steps)
    return PlanState(held.get("explanation"), plan, generation)


class UpdatePlanPluginFactory(PluginFactory):
    """Gives root sessions the tool and children an inert plugin."""

    id = "update_plan"

    def build(self, context: PluginSessionContext) -> SessionPlugin:
        return UpdatePlanPlugin(active=context.is_root_session())
