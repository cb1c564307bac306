"""Messages as the conversation graph holds them, in lash's JSON."""

from typing import Literal

from lash_ref.nodes import EventNode, SessionNodeRecord
from lash_ref.phases import visible
from lash_ref.scalars import Identifier, Json, Record, Text

MessageRole = Literal["User", "Assistant", "System", "Event"]


class Part(Record):
    """One part of a message; what is `Json` here is lash's or the provider's, opaque.

    ``kind`` is one of Text, Attachment, Code, Output, Error, Prose, ToolCall, ToolResult, Reasoning.
    """

    id: Identifier
    kind: Text
    content: Text
    attachment: Json | None = None
    tool_call_id: Identifier | None = None
    tool_name: Text | None = None
    tool_replay: Json | None = None
    prune_state: Json = Json("Intact")
    reasoning_meta: Json | None = None
    response_meta: Json | None = None


class Message(Record):
    """One message of the conversation."""

    id: Identifier
    role: MessageRole
    parts: tuple[Part, ...] = ()
    origin: Json | None = None

    @property
    def is_transient(self) -> bool:
        """Whether a plugin showed it to the model only; it never enters history."""
        said = self.origin.value if self.origin is not None else None
        return isinstance(said, dict) and said.get("transient") is True

    @property
    def text(self) -> str:
        """The visible text of all parts."""
        return visible((part.content, part.response_meta) for part in self.parts if part.kind in {"Text", "Prose"})


def text_message(id: str, role: MessageRole, text: str, origin: Json | None = None) -> Message:
    """A message of one text part."""
    part = Part(id=f"{id}.p0", kind="Text", content=text)
    return Message(id=id, role=role, parts=(part,), origin=origin)


def node_of(
    message: Message, *, parent: str | None, timestamp: str, agent_frame_id: str | None = None
) -> EventNode:
    """The node a message becomes; its id is the message's ([GRA.8][])."""
    return EventNode(
        node_id=message.id,
        parent_node_id=parent,
        agent_frame_id=agent_frame_id,
        timestamp=timestamp,
        event=Json({"Conversation": message.to_data()}),
    )


def message_of(node: SessionNodeRecord) -> Message | None:
    """The message a node holds, if it holds one."""
    if not isinstance(node, EventNode):
        return None
    event = node.event.value
    if not isinstance(event, dict) or "Conversation" not in event:
        return None
    return Message.from_data(event["Conversation"])
