"""The kit's tools (``docs/kit.md``)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from lash_conformance.targets.kit_stage import Stage
from lash_ref.records import AttachmentCreateMeta
from lash_ref.scalars import Json
from lash_ref.tool_results import Done, Fail, Finish, Pending, SwitchAgentFrame, ToolFailure, ToolResult
from lash_ref.tools import (
    PreparedToolCall,
    StaticToolProvider,
    ToolCall,
    ToolDefinition,
    ToolPrepareCall,
    ToolProvider,
    ToolRetryPolicy,
)

Handler = Callable[[ToolCall], Awaitable[ToolResult]]
STRING, INTEGER = {"type": "string"}, {"type": "integer"}
ARGUMENTS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "echo": ({"text": STRING}, ()),
    "fail": ({"message": STRING}, ()),
    "slow": ({"gate": STRING}, ()),
    "pending": ({"name": STRING}, ()),
    "meet": ({"id": STRING, "of": INTEGER, "after": STRING}, ("after",)),
    "finish": ({"value": {}}, ()),
    "give_up": ({"value": {}}, ()),
    "switch_frame": ({"frame_id": STRING, "task": STRING}, ()),
    "put": ({"text": STRING}, ()),
    "flaky": ({"times": INTEGER}, ()),
    "brittle": ({}, ()),
    "wary": ({}, ()),
    "doomed": ({"gate": STRING}, ("gate",)),
    "keyless": ({}, ()),
    "impostor": ({}, ()),
}
"""Each tool's arguments with their schemas, and those that may be left out."""
POLICIES = {
    "flaky": ToolRetryPolicy.safe(10),
    "wary": ToolRetryPolicy.safe(3),
    "doomed": ToolRetryPolicy.safe(3),
}


class KitStage(Stage):
    """A core's stage with the tools' hands, which every provider of the core shares."""

    def __init__(self) -> None:
        super().__init__()
        self.hands = Hands(self)

    def provider(self, names: Sequence[str]) -> ToolProvider:
        """Kit tools as one provider."""
        return KitTools(self.hands, names)


class KitTools(StaticToolProvider):
    """Kit tools as one provider."""

    def __init__(self, hands: "Hands", names: Sequence[str]) -> None:
        super().__init__()
        for name in names:
            self.add(definition(name), cast("Handler", getattr(hands, name)))

    async def prepare_tool_call(self, call: ToolPrepareCall) -> PreparedToolCall | Done:
        """As it is, but for the impostor's."""
        prepared = await super().prepare_tool_call(call)
        if call.pending.tool_name == "impostor" and isinstance(prepared, PreparedToolCall):
            return prepared.but(tool_id="kit:echo")
        return prepared


def definition(name: str) -> ToolDefinition:
    """A kit tool's definition."""
    properties, optional = ARGUMENTS[name]
    schema = {
        "type": "object", "properties": properties, "additionalProperties": False,
        "required": [key for key in properties if key not in optional],
    }  # fmt: skip
    made = ToolDefinition.raw(f"kit:{name}", name, f"The kit's {name}.", cast("Any", schema))
    return made.with_retry_policy(POLICIES[name]) if name in POLICIES else made


class Hands:
    """What the tools do."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.inside: list[str] = []
        self.returned: dict[str, asyncio.Event] = {}
        self.arrived = asyncio.Condition()
        self.failures = 0

    async def echo(self, call: ToolCall) -> ToolResult:
        """The text."""
        return Done.ok(call.args["text"])

    async def fail(self, call: ToolCall) -> ToolResult:
        """The message."""
        return Done.failure(ToolFailure.tool("execution", "kit_failed", call.args["message"]))

    async def slow(self, call: ToolCall) -> ToolResult:
        """Until the gate opens or the turn is cancelled."""
        self.stage.note("slow started")
        if await self._stopped(call, self.stage.wait(call.args["gate"])):
            self.stage.note("slow cancelled")
            return Done.cancelled("cancelled")
        self.stage.note("slow done")
        return Done.ok("done")

    async def pending(self, call: ToolCall) -> ToolResult:
        """Launched, and answered by whoever has the key."""
        self.stage.pending[call.args["name"]] = await call.context.completion_key()
        self.stage.note(f"pending {call.args['name']}")
        return Pending()

    async def meet(self, call: ToolCall) -> ToolResult:
        """Once all are inside, and after whom it is told to follow."""
        name, after = call.args["id"], call.args.get("after")
        async with self.arrived:
            self.inside.append(name)
            self.arrived.notify_all()
            await self.arrived.wait_for(lambda: len(self.inside) >= call.args["of"])
        if after is not None:
            await self._left(after).wait()
        self._left(name).set()
        return Done.ok(name)

    async def finish(self, call: ToolCall) -> ToolResult:
        """The turn ends with the value."""
        value = call.args["value"]
        return Done.ok(value).with_control(Finish(value=Json(value)))

    async def give_up(self, call: ToolCall) -> ToolResult:
        """The turn stops with the value."""
        value = call.args["value"]
        return Done.ok(value).with_control(Fail(value=Json(value)))

    async def switch_frame(self, call: ToolCall) -> ToolResult:
        """The turn goes on in another frame."""
        control = SwitchAgentFrame(frame_id=call.args["frame_id"], task=call.args["task"])
        return Done.ok("switched").with_control(control)

    async def put(self, call: ToolCall) -> ToolResult:
        """The bytes are the session's."""
        attachments = call.context.services.resident.services.attachments
        ref = await attachments.put(call.args["text"].encode(), AttachmentCreateMeta(media_type="text/plain"))
        return Done.ok(ref.id)

    async def flaky(self, call: ToolCall) -> ToolResult:
        """Steady after a while."""
        self.stage.note("flaky attempt")
        if self.failures < call.args["times"]:
            self.failures += 1
            return Done.retryable("execution", "kit_failed", "not yet")
        return Done.ok("steady")

    async def brittle(self, call: ToolCall) -> ToolResult:
        """Fails, and says it could be tried again."""
        self.stage.note(f"{call.name} attempt")
        return Done.retryable("execution", "kit_failed", "broken")

    async def wary(self, call: ToolCall) -> ToolResult:
        """Fails, and says that it must not be tried again."""
        self.stage.note("wary attempt")
        return Done.failure(ToolFailure.tool("execution", "kit_failed", "broken"))

    async def doomed(self, call: ToolCall) -> ToolResult:
        """Fails every time."""
        self.stage.note(f"doomed attempt {call.context.replay_key}")
        if gate := call.args.get("gate"):
            await self._stopped(call, self.stage.wait(gate))
        return Done.retryable("execution", "kit_failed", "broken")

    async def keyless(self, call: ToolCall) -> ToolResult:
        """Pending under no key."""
        del call
        return Pending()

    async def impostor(self, call: ToolCall) -> ToolResult:
        """Never to be run."""
        del call
        self.stage.note("impostor ran")
        return Done.ok("ran")

    def _left(self, name: str) -> asyncio.Event:
        return self.returned.setdefault(name, asyncio.Event())

    async def _stopped(self, call: ToolCall, work: Awaitable[None]) -> bool:
        """Whether the turn was cancelled before the work ended."""
        doing = asyncio.ensure_future(work)
        if call.context.cancellation is None:
            await doing
            return False
        stopping = asyncio.ensure_future(call.context.cancellation.cancelled())
        try:
            await asyncio.wait((doing, stopping), return_when=asyncio.FIRST_COMPLETED)
            return not doing.done()
        finally:
            doing.cancel()
            stopping.cancel()
