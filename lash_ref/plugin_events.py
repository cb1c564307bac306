"""What plugins say: runtime events for hosts and observers, messages for the conversation, each with its owner."""

from dataclasses import dataclass
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import Field

from lash_ref.messages import Message, MessageRole, Part
from lash_ref.scalars import Identifier, Json, Record, Text

T = TypeVar("T")


@dataclass(frozen=True)
class PluginOwned(Generic[T]):
    """A value and the plugin that registered or emitted it."""

    plugin_id: str
    value: T


class Status(Record):
    """A state a host may show, under a key that a later status replaces."""

    kind: Literal["status"] = "status"
    key: Text
    label: Text
    detail: Text | None = None


class Custom(Record):
    """A fact of the plugin's own, by name."""

    kind: Literal["custom"] = "custom"
    name: Text
    payload: Json


PluginRuntimeEvent = Annotated[Status | Custom, Field(discriminator="kind")]


class PluginMessage(Record):
    """A message a plugin wants in the conversation; ids it leaves open are minted."""

    id: Identifier | None = None
    role: MessageRole
    content: Text
    origin: Json | None = None
    parts: tuple[Part, ...] = ()
    attachments: tuple[Json, ...] = ()

    def message(self, id: str) -> Message:
        """The conversation's message, under its own id or else ``id``."""
        own = self.id or id
        parts = list(self.parts)
        if self.content or not (parts or self.attachments):
            parts.insert(0, Part(id=f"{own}.p0", kind="Text", content=self.content))
        parts += [
            Part(id=f"{own}.a{n}", kind="Attachment", content="", attachment=Json({"source": source.value}))
            for n, source in enumerate(self.attachments)
        ]
        return Message(id=own, role=self.role, parts=tuple(parts), origin=self.origin)
