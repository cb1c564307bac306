"""The conversation as a model is sent it."""

from collections.abc import Iterable, Sequence

from pydantic import TypeAdapter

from lash_ref.inputs import AttachmentItem, AttachmentSource, InputItem, TextItem
from lash_ref.messages import Message, Part
from lash_ref.provider import (
    AttachmentBlock,
    LlmBlock,
    LlmMessage,
    LlmTool,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
)
from lash_ref.scalars import Json
from lash_ref.tools import ToolContract, ToolManifest

_SOURCE: TypeAdapter[AttachmentSource] = TypeAdapter(AttachmentSource)


class Projection:
    """A session's conversation as it was last sent, so that a call projects only what was said since."""

    def __init__(self) -> None:
        self._system: tuple[str, tuple[LlmMessage, ...]] = ("", ())
        self._messages: tuple[Message, ...] = ()
        self._sent: tuple[LlmMessage, ...] = ()

    def sent(
        self, system: str, history: tuple[Message, ...], shown: Iterable[Message] = ()
    ) -> tuple[LlmMessage, ...]:
        """The system prompt, if any, the history, and what is shown for this turn only.

        The last block is the cache breakpoint.
        """
        known = len(self._messages)
        if history[:known] != self._messages:
            known, self._sent = 0, ()
        self._sent += _all_projected(history[known:])
        self._messages = history
        if self._system[0] != system:
            self._system = (system, _system(system))
        return (*self._system[1], *self._sent, *_all_projected(shown))


def _system(system: str) -> tuple[LlmMessage, ...]:
    return (LlmMessage(role="system", blocks=(TextBlock(text=system),)),) if system else ()


def _all_projected(messages: Iterable[Message]) -> tuple[LlmMessage, ...]:
    return tuple(sent for message in messages if (sent := _projected(message)) is not None)


def _projected(message: Message) -> LlmMessage | None:
    blocks = tuple(block for part in message.parts if (block := _block(part)) is not None)
    if not blocks:
        return None
    match message.role:
        case "User":
            return LlmMessage(role="user", blocks=blocks)
        case "Assistant":
            return LlmMessage(role="assistant", blocks=blocks)
        case "System" | "Event":
            return LlmMessage(role="system", blocks=blocks)


def _block(part: Part) -> LlmBlock | None:
    match part.kind:
        case "ToolCall":
            return ToolCallBlock(
                call_id=part.tool_call_id or "",
                tool_name=part.tool_name or "",
                input_json=part.content,
                replay=part.tool_replay,
            )
        case "ToolResult":
            return ToolResultBlock(
                call_id=part.tool_call_id or "", tool_name=part.tool_name or "", content=part.content
            )
        case "Reasoning":
            return ReasoningBlock(text=part.content, replay=part.reasoning_meta)
        case "Attachment" if part.attachment is not None:
            held = part.attachment.value
            source = held.get("source") if isinstance(held, dict) else None
            return AttachmentBlock(source=_SOURCE.validate_python(source))
        case _:
            return TextBlock(text=part.content, response_meta=part.response_meta) if part.content else None


def user_message(id: str, items: Sequence[InputItem]) -> Message:
    """What a user handed in as one message; neighbouring texts become one part."""
    parts: list[Part] = []
    text: list[str] = []

    def flush() -> None:
        if text:
            parts.append(Part(id=f"{id}.p{len(parts)}", kind="Text", content="".join(text)))
            text.clear()

    for item in items:
        match item:
            case TextItem(text=said):
                text.append(said)
            case AttachmentItem(source=source):
                flush()
                attached = Json({"source": source.to_data()})
                parts.append(
                    Part(id=f"{id}.p{len(parts)}", kind="Attachment", content="", attachment=attached)
                )
    flush()
    return Message(id=id, role="User", parts=tuple(parts))


def llm_tools(
    manifests: Iterable[ToolManifest], contract: "dict[str, ToolContract | None]"
) -> tuple[LlmTool, ...]:
    """The callable tools with the input schemas that resolve."""
    return tuple(
        LlmTool(name=each.name, description=each.description, input_schema=found.input_schema)
        for each in manifests
        if each.activation == "always" and (found := contract.get(each.name)) is not None
    )
