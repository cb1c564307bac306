"""The system prompt: slots that core, session, turn and plugins fill, and the template that orders them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field

from lash_ref.scalars import I64, Record, Text

PromptSlot = Literal[
    "intro", "execution", "guidance", "project_instructions", "runtime_context", "environment"
]
PromptBuiltin = Literal["main_agent_intro", "execution_instructions", "core_guidance"]


class PromptContributionGate(Record):
    """Keeps a contribution only while at least one of these tools is a member; none named keeps it always."""

    tools: tuple[Text, ...] = ()

    def opens(self, tool_names: Iterable[str]) -> bool:
        """Whether the contribution is kept."""
        return not self.tools or not set(self.tools).isdisjoint(tool_names)


class PromptContribution(Record):
    """One piece of text for one slot; low priorities come first."""

    slot: PromptSlot
    title: Text | None = None
    priority: I64 = 0
    gate: PromptContributionGate = PromptContributionGate()
    content: Text

    @classmethod
    def guidance(cls, title: str, content: str, priority: int = 0) -> Self:
        """Text under "Guidance"."""
        return cls(slot="guidance", title=title, content=content, priority=priority)

    @classmethod
    def project_instructions(cls, content: str) -> Self:
        """Text of the project at hand."""
        return cls(slot="project_instructions", title="Project Instructions", content=content)

    def requires_any_tool(self, *names: str) -> Self:
        """The same, kept only while one of these tools is a member."""
        return self.but(gate=PromptContributionGate(tools=names))

    def rendered(self) -> str:
        """Its text with its heading; empty when the content is blank."""
        content, title = self.content.strip(), (self.title or "").strip()
        return f"### {title}\n\n{content}" if title and content else content


def distinct(contributions: Iterable[PromptContribution]) -> tuple[PromptContribution, ...]:
    """The contributions, those of equal slot, priority and trimmed content once, the first one kept."""
    kept: dict[tuple[str, int, str], PromptContribution] = {}
    for each in contributions:
        kept.setdefault((each.slot, each.priority, each.content.strip()), each)
    return tuple(kept.values())


# -- template


class TextEntry(Record):
    """Fixed text."""

    kind: Literal["text"] = "text"
    content: Text


class BuiltinEntry(Record):
    """Text the runtime writes."""

    kind: Literal["builtin"] = "builtin"
    builtin: PromptBuiltin


class SlotEntry(Record):
    """Where the contributions of a slot go."""

    kind: Literal["slot"] = "slot"
    slot: PromptSlot


PromptTemplateEntry = Annotated[TextEntry | BuiltinEntry | SlotEntry, Field(discriminator="kind")]


class PromptTemplateSection(Record):
    """Entries under a heading; a section without content is left out, heading and all."""

    title: Text | None = None
    entries: tuple[PromptTemplateEntry, ...] = ()


class PromptTemplate(Record):
    """The sections of a prompt, in order."""

    sections: tuple[PromptTemplateSection, ...]

    def render(self, prompt: "PromptContext") -> str:
        """The whole prompt."""
        sections = (_section(section, prompt) for section in self.sections)
        return "\n\n".join(text for text in sections if text)


DEFAULT_TEMPLATE = PromptTemplate(
    sections=(
        PromptTemplateSection(entries=(BuiltinEntry(builtin="main_agent_intro"), SlotEntry(slot="intro"))),
        PromptTemplateSection(
            title="Execution",
            entries=(BuiltinEntry(builtin="execution_instructions"), SlotEntry(slot="execution")),
        ),
        PromptTemplateSection(
            title="Guidance",
            entries=(
                BuiltinEntry(builtin="core_guidance"),
                SlotEntry(slot="project_instructions"),
                SlotEntry(slot="guidance"),
            ),
        ),
        PromptTemplateSection(
            title="Environment", entries=(SlotEntry(slot="runtime_context"), SlotEntry(slot="environment"))
        ),
    )
)

MAIN_AGENT_INTRO = "You are an agent that works through the tools of a lash session."
CORE_GUIDANCE = (
    "- Say what matters in few words, and say it once.",
    "- Choose the simplest solution that is right.",
)
ASK_GUIDANCE = "- Go ahead when the intent is clear; ask only when you cannot go on without an answer."


@dataclass(frozen=True)
class PromptContext:
    """What a template is filled with."""

    execution_prompt: str = ""
    tool_names: Sequence[str] = ()
    contributions: Sequence[PromptContribution] = ()

    def core_guidance(self) -> str:
        """The built-in guidance; its line on asking is there only while a tool ``ask`` is ([PRM.7][])."""
        return "\n".join((*CORE_GUIDANCE, *((ASK_GUIDANCE,) if "ask" in self.tool_names else ())))


def _section(section: PromptTemplateSection, prompt: PromptContext) -> str:
    parts = [text for entry in section.entries for text in _entry(entry, prompt) if text]
    title = (section.title or "").strip()
    return "\n\n".join([f"## {title}", *parts] if title and parts else parts)


def _entry(entry: TextEntry | BuiltinEntry | SlotEntry, prompt: PromptContext) -> list[str]:
    match entry:
        case TextEntry(content=content):
            return [content.strip()]
        case BuiltinEntry(builtin="main_agent_intro"):
            return [MAIN_AGENT_INTRO]
        case BuiltinEntry(builtin="execution_instructions"):
            return [prompt.execution_prompt.strip()]
        case BuiltinEntry():
            return [prompt.core_guidance()]
        case SlotEntry(slot=slot):
            held = [each for each in prompt.contributions if each.slot == slot]
            return [each.rendered() for each in sorted(held, key=lambda each: each.priority)]


# -- layers


class PromptSlotLayer(Record):
    """What one layer does to one slot; ``reset`` drops what earlier layers put there."""

    reset: bool = False
    contributions: tuple[PromptContribution, ...] = ()


class PromptLayer(Record):
    """What one of core, session and turn does to the prompt; changes return a new layer."""

    template: PromptTemplate | None = None
    slots: Mapping[PromptSlot, PromptSlotLayer] = {}

    @classmethod
    def of(cls, contributions: Iterable[PromptContribution]) -> Self:
        """A layer that only adds."""
        layer = cls()
        for each in contributions:
            layer = layer.with_contribution(each)
        return layer

    def with_template(self, template: PromptTemplate | None) -> Self:
        """The same under another template, or under the inherited one."""
        return self.but(template=template)

    def with_contribution(self, contribution: PromptContribution) -> Self:
        """The same with one more contribution."""
        held = self.slots.get(contribution.slot, PromptSlotLayer())
        more = held.but(contributions=(*held.contributions, contribution))
        return self.but(slots={**self.slots, contribution.slot: more})

    def with_replaced_slot(self, slot: PromptSlot, *contributions: PromptContribution) -> Self:
        """The same, dropping what earlier layers put in ``slot``; none given clears it."""
        moved = tuple(each.but(slot=slot) for each in contributions)
        return self.but(slots={**self.slots, slot: PromptSlotLayer(reset=True, contributions=moved)})


@dataclass(frozen=True)
class ResolvedPrompt:
    """What the layers come to."""

    template: PromptTemplate
    contributions: tuple[PromptContribution, ...]

    def render(self, execution_prompt: str, tool_names: Sequence[str]) -> str:
        """The prompt for a surface of these tools.

        Contributions gated on other tools are left out, then duplicates ([PRM.1][], [PRM.5][]).
        """
        kept = distinct(each for each in self.contributions if each.gate.opens(tool_names))
        return self.template.render(PromptContext(execution_prompt, tool_names, kept))


def resolve_prompt_layers(layers: Iterable[PromptLayer]) -> ResolvedPrompt:
    """Fold the layers, earliest first: they add up, the last template wins, a reset drops what came before.

    [PRM.2][] to [PRM.4][].
    """
    template = DEFAULT_TEMPLATE
    contributions: list[PromptContribution] = []
    for layer in layers:
        template = layer.template or template
        for slot, change in layer.slots.items():
            if change.reset:
                contributions = [each for each in contributions if each.slot != slot]
            contributions.extend(each.but(slot=slot) for each in change.contributions)
    return ResolvedPrompt(template, tuple(contributions))
