"""Messages as the conversation graph holds them, in lash's JSON."""

from typing import Literal

from lash_ref.records import EventNode, SessionNodeRecord
from lash_ref.scalars import Identifier, Json, Record, Text

MessageRole = Literal["User", "Assistant", "System", "Event"]


class Part(Record):
    """One part of a message; ``kind`` and ``prune_state`` are lash's, opaque here."""

    id: Identifier
    kind: Text
    content: Text
    tool_call_id: Identifier | None = None
    tool_name: Text | None = None
    prune_state: Json = Json("Intact")


class Message(Record):
    """One message of the conversation."""

    id: Identifier
    role: MessageRole
    parts: tuple[Part, ...] = ()
    origin: Json | None = None


def node_of(message: Message, *, parent: str | None, timestamp: str) -> EventNode:
    """The node a message becomes; its id is the message's ([GRA.8][])."""
    return EventNode(
        node_id=message.id,
        parent_node_id=parent,
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
