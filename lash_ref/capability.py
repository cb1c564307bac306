"""What a model can do, as data its host supplies, and what a request may ask of it.

Nothing here is guessed from a URL or a model's name ([PRV.60][]).
"""

from typing import Annotated, Literal, cast

from pydantic import BeforeValidator, Field

from lash_ref.errors import LashError
from lash_ref.scalars import U64, Json, Record, Text

Termination = Literal["require_terminal_evidence", "eof_tolerated"]
"""Whether a stream that just ends counts as complete."""

CacheDialect = Literal["anthropic", "gemini"]
"""How a Chat Completions route takes cache hints."""


class EffortEncoding(Record):
    """Efforts are sent by name."""

    type: Literal["effort"] = "effort"


class BudgetEncoding(Record):
    """Efforts are sent as token budgets."""

    type: Literal["budget"] = "budget"
    budgets: dict[str, U64]


def _tagged(value: object) -> object:
    """The outer tag of ``{"budget": ...}`` or ``"native"`` as a field, as the unions below want it."""
    if isinstance(value, str):
        return {"type": value}
    tagged = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    if len(tagged) == 1:
        ((tag, body),) = tagged.items()
        if tag == "effort":
            return {"type": tag, "effort": body}
        if tag == "budget":
            return {"type": tag, "tokens" if isinstance(body, int) else "budgets": body}
    return cast("object", value)


class DisableNatively(Record):
    type: Literal["native"] = "native"


class DisableByOmission(Record):
    type: Literal["omit"] = "omit"


class DisableByEffort(Record):
    type: Literal["effort"] = "effort"
    effort: Text


class DisableByBudget(Record):
    type: Literal["budget"] = "budget"
    tokens: U64


class DisableByToggle(Record):
    type: Literal["toggle_false"] = "toggle_false"


ReasoningEncoding = Annotated[
    EffortEncoding | BudgetEncoding, BeforeValidator(_tagged), Field(discriminator="type")
]
DisableEncoding = Annotated[
    DisableNatively | DisableByOmission | DisableByEffort | DisableByBudget | DisableByToggle,
    Field(discriminator="type"),
]


class ReasoningCapability(Record):
    """The efforts a model takes, and how they are written."""

    efforts: tuple[Text, ...] = ()
    default_effort: Text | None = None
    aliases: dict[str, Text] = Field(default_factory=dict[str, Text])
    encoding: ReasoningEncoding = EffortEncoding()
    disable: Annotated[DisableEncoding | None, BeforeValidator(_tagged)] = None
    mandatory: bool = False


class ModelCapability(Record):
    """What a host says of one model on one route."""

    reasoning: ReasoningCapability | None = None
    cache_control: CacheDialect | None = None
    stream_termination: Termination | None = None
    context_window_tokens: U64 | None = None


EffortFault = Literal[
    "unsupported_effort", "effort_not_configurable", "effort_required", "malformed_capability"
]


class UnusableReasoning(LashError):
    """The reasoning asked for is not one this model takes; nothing was sent ([PRV.58][])."""

    names = ("fault", "model", "requested", "efforts")
    wording = "{fault}: model {model!r} takes efforts {efforts}; requested {requested}"

    @property
    def fault(self) -> EffortFault:
        """The stable code of the fault."""
        return self.values[0]  # pyright: ignore[reportReturnType] - the first name


class ProviderDefault(Record):
    """Leave reasoning to the provider."""

    type: Literal["provider_default"] = "provider_default"


class Disabled(Record):
    """Ask for no reasoning."""

    type: Literal["disabled"] = "disabled"


class Effort(Record):
    """Ask for a named effort."""

    type: Literal["effort"] = "effort"
    effort: Text


class Budget(Record):
    """Ask for reasoning of so many tokens."""

    type: Literal["budget"] = "budget"
    tokens: U64


Selection = ProviderDefault | Disabled | Effort
Chosen = (
    ProviderDefault | Effort | Budget
    | DisableNatively | DisableByOmission | DisableByEffort | DisableByBudget | DisableByToggle
)  # fmt: skip
"""A selection as the model's capability has it written."""


def selection(variant: Json) -> Selection | None:
    """A request's ``model_variant`` read: ``"provider_default"``, ``"disabled"`` or ``{"effort": name}``; else none."""
    match variant.value:
        case "disabled":
            return Disabled()
        case {"effort": str() as effort}:
            return Effort(effort=effort)
        case None | "provider_default":
            return ProviderDefault()
        case _:
            return None


def capability(data: Json | None) -> ModelCapability:
    """The host's data read; none is a model of which nothing is known.

    Raises:
        InvalidRecord: the data is no capability.
    """
    return ModelCapability() if data is None else ModelCapability.from_data(data.value)


def chosen(model: str, able: ModelCapability, asked: Selection | None) -> Chosen:
    """How ``asked`` is to be written; names are trimmed, lower-cased, and their aliases followed ([PRV.58][]).

    Raises:
        UnusableReasoning: the model does not take it, or its capability contradicts itself.
    """
    reasoning = able.reasoning
    efforts = ", ".join(reasoning.efforts) if reasoning else "none"

    def fault(code: EffortFault, requested: str) -> UnusableReasoning:
        return UnusableReasoning(code, model, requested, efforts)

    if reasoning is not None and isinstance(reasoning.encoding, BudgetEncoding):
        for effort in reasoning.efforts:
            if effort not in reasoning.encoding.budgets:
                raise fault("malformed_capability", f"a budget for {effort!r}")
    match asked:
        case None:
            raise fault("unsupported_effort", "what is no choice of reasoning")
        case ProviderDefault():
            if reasoning is not None and reasoning.mandatory:
                raise fault("effort_required", "the provider's default")
            return asked
        case Disabled():
            if reasoning is None:
                raise fault("effort_not_configurable", "no reasoning")
            if reasoning.disable is None:
                raise fault("unsupported_effort", "no reasoning")
            return reasoning.disable
        case Effort(effort=requested):
            if reasoning is None or not reasoning.efforts:
                raise fault("effort_not_configurable", repr(requested))
            key = requested.strip().lower()
            resolved = reasoning.aliases.get(key, key)
            if resolved not in reasoning.efforts:
                raise fault("unsupported_effort", repr(requested))
            if isinstance(reasoning.encoding, BudgetEncoding):
                return Budget(tokens=reasoning.encoding.budgets[resolved])
            return Effort(effort=resolved)
