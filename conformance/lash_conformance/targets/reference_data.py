"""What the reference answers, as lash's JSON."""

from collections.abc import Sequence
from typing import Any, cast

from pydantic import BaseModel

from lash_conformance.host import Data
from lash_ref.messages import Message
from lash_ref.observe import (
    Gap,
    SessionObservationEvent,
    TurnActivityPayload,
)
from lash_ref.scalars import Json
from lash_ref.session import LashSession
from lash_ref.turn_builders import TurnOutput


def data(value: Any) -> Any:
    """``value`` as JSON."""
    if hasattr(value, "to_data"):
        return value.to_data()
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Json):
        return value.value
    if isinstance(value, (list, tuple)):
        return [data(one) for one in cast("Sequence[Any]", value)]
    return value


def activity_data(activity: Any) -> Data:
    """An activity as the host Protocol has it: the event's fields beside its ids."""
    told = data(activity)
    return {key: v for key, v in told.items() if key != "event"} | told.get("event", {})


def report(output: TurnOutput) -> Data:
    """A turn as the host Protocol has it."""
    told: Data = {"cancellation": None, "errors": [], "tool_calls": []} | data(output.result)
    told["activities"] = [activity_data(one) for one in output.activities]
    return told


def lines(messages: Sequence[Message]) -> list[Data]:
    """The transcript: what each side said; results of tools are the tool's."""
    found: list[Data] = []
    for message in messages:
        results = [part for part in message.parts if part.kind == "ToolResult"]
        found += [{"role": "tool", "text": part.content} for part in results]
        said = [part.content for part in message.parts if part.kind in ("Text", "Prose")]
        called = [f"call {p.tool_call_id} {p.tool_name}" for p in message.parts if p.kind == "ToolCall"]
        if said or called or not results:
            found.append({"role": message.role.lower(), "text": "\n".join([*said, *called])})
    return found


def event_data(seen: SessionObservationEvent) -> Data:
    """One observed event: its cursor and the payload's fields."""
    payload = seen.payload
    if isinstance(payload, TurnActivityPayload):
        return {"cursor": seen.cursor.text(), **activity_data(payload.activity)}
    told = data(payload)
    told.pop("read_view", None)
    return {"cursor": seen.cursor.text(), "ids": [], **told} if "change" in told else {"cursor": seen.cursor.text(), **told}


def gap_data(gap: Gap, session: LashSession) -> Data:
    """A gap with the observation it comes with."""
    now = session.observe().current_observation()
    told = data(gap) | {"requested_cursor": gap.requested_cursor.text(), "latest_cursor": gap.latest_cursor.text()}
    return told | {"observation": {"cursor": now.cursor.text()}}
