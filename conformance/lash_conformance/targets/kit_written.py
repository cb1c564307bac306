"""The kit's written plugins: what they do is written in their options (``docs/kit.md``)."""

import json
from collections.abc import Sequence
from typing import Any, Protocol, cast

from lash_conformance.host import Data
from lash_ref import hooks
from lash_ref.directives import (
    AbortTurn,
    EmitRuntimeEvents,
    EnqueueMessages,
    PluginDirective,
    ReplaceToolArgs,
    short_circuit,
)
from lash_ref.errors import InvokeError, SnapshotError
from lash_ref.messages import Message, Part
from lash_ref.operations import Outcome, PluginOperation, QueueTurn
from lash_ref.plugin_events import Custom, PluginMessage, PluginRuntimeEvent, Status
from lash_ref.plugins import (
    PluginExtensionContribution,
    PluginFactory,
    PluginSessionContext,
    SessionPlugin,
    SessionReadyContext,
)
from lash_ref.policy import SessionPolicy
from lash_ref.prompt import PromptContribution
from lash_ref.registrar import PluginRegistrar, TriggerEvent
from lash_ref.scalars import Json
from lash_ref.snapshots import PluginSnapshotMeta, SnapshotReader, SnapshotWriter
from lash_ref.tool_results import Cancelled, Done, Failure, ModelToolReturn, Pending, Success
from lash_ref.tools import ToolProvider

WRITTEN = ("a", "b", "c", "lash.triggers")
"""The ids under which a written plugin can be had."""


class Stage(Protocol):
    """What the kit's plugins of one core share."""

    def note(self, line: str) -> None:
        """Write a line into the journal."""
        ...

    async def wait(self, gate: str) -> None:
        """Stand at a gate until it is opened."""
        ...

    def provider(self, names: Sequence[str]) -> ToolProvider:
        """Kit tools as one provider."""
        ...


def compact(value: object) -> str:
    """JSON without spaces, members sorted."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


class WrittenFactory(PluginFactory):
    """One written plugin of a core, and what of it happens once a core: directives and failures."""

    def __init__(self, plugin_id: str, options: Data, stage: Stage) -> None:
        self.id = plugin_id
        self.options = options
        self.stage = stage
        self.directives: dict[str, list[Data]] = dict(options.get("directives", {}))
        self.failures_left: float = options.get("fail_times", float("inf"))

    def extension_contributions(self) -> Sequence[PluginExtensionContribution]:
        """The payload under ``kit``, if one is written."""
        if "extension" not in self.options:
            return ()
        return (PluginExtensionContribution(extension_id="kit", payload=Json(self.options["extension"])),)

    def build(self, context: PluginSessionContext) -> SessionPlugin:
        """A plugin for one session."""
        return WrittenPlugin(self, context)


class WrittenPlugin(SessionPlugin):
    """One session's part of a written plugin."""

    def __init__(self, factory: WrittenFactory, context: PluginSessionContext) -> None:
        self.id = factory.id
        self.n: int = 0
        self._factory = factory
        self._options = factory.options
        self._reach("build", "root" if context.is_root_session() else "child")
        payloads = [payload.value for payload in context.extensions.payloads("kit")]
        if payloads:
            self._note("extensions", compact(payloads))

    # -- points

    def _note(self, *words: str) -> None:
        self._factory.stage.note(" ".join((self.id, *words)))

    def _change(self, point: str, *words: str) -> None:
        if point in self._options.get("changes_at", ()):
            self.n += 1
        self._note(point, *words)

    def _fail(self, point: str) -> None:
        if point in self._options.get("fails_at", ()) and self._factory.failures_left > 0:
            self._factory.failures_left -= 1
            raise (SnapshotError if point in ("snapshot", "restore") else InvokeError)(f"broken at {point}")

    def _reach(self, point: str, *words: str) -> None:
        self._change(point, *words)
        self._fail(point)

    async def _stand(self, point: str, *words: str) -> None:
        self._change(point, *words)
        gate = self._options.get("waits", {}).get(point)
        if gate is not None:
            await self._factory.stage.wait(gate)
            self._note(point, *words, "done")
        self._fail(point)

    async def _directed(self, point: str, *words: str) -> list[PluginDirective]:
        await self._stand(point, *words)
        return [directive(written) for written in self._factory.directives.pop(point, [])]

    # -- life

    def version(self) -> str:
        """As written."""
        return str(self._options.get("version", "1"))

    def session_ready(self, context: SessionReadyContext) -> None:
        """The point ``ready``."""
        del context
        self._reach("ready")

    def snapshot_revision(self) -> int:
        """``n``, unless the plugin keeps still about it."""
        return 0 if self._options.get("still") or self._options.get("stateless") else self.n

    def snapshot(self, writer: SnapshotWriter) -> PluginSnapshotMeta:
        """The state and the written blobs."""
        if self._options.get("stateless"):
            return super().snapshot(writer)
        self._reach("snapshot")
        for name, text in self._options.get("blobs", ()):
            writer.write_blob(name, text.encode())
        return super().snapshot(writer).but(state=Json({"n": self.n}))

    def restore(self, meta: PluginSnapshotMeta, reader: SnapshotReader) -> None:
        """Take up ``n``, or start over; tell the blobs."""
        if self._options.get("stateless"):
            return
        if meta.state is None:
            self._reach("restore", "none")
            self.n = 0
            return
        state = cast("Data", meta.state.value)
        self._reach("restore", meta.plugin_version, compact(state))
        self.n = state["n"]
        for name in dict.fromkeys(name for name, _ in self._options.get("blobs", ())):
            data = reader.read_blob(name)
            if data is not None:
                self._note("blob", name, data.decode())

    # -- registration

    def register(self, reg: PluginRegistrar) -> None:
        """What the options name, and every hook."""
        self._reach("register")
        written = self._options
        if written.get("tools"):
            reg.tools().provider(self._factory.stage.provider(written["tools"]))
        for trigger in written.get("triggers", ()):
            reg.triggers().declare(TriggerEvent(**trigger))
        if "prompts" in written:
            reg.prompt().contribute(self._prompt)
        if "removes" in written:
            reg.tool_catalog().contribute(lambda _: tuple(written["removes"]))
        self._claim(reg)
        reg.turn().before(self._before_turn)
        reg.turn().checkpoint(self._checkpoint)
        reg.turn().after(self._after_turn)
        reg.tool_calls().before(self._before_tool)
        reg.tool_calls().after(self._after_tool)
        reg.session().on_event(self._event)
        if "response" in written:
            reg.output().response(self._response)
        if "stream" in written:
            reg.output().stream(self._stream)
        if "mutates" in written:
            reg.session().config_mutator(self._mutate)
        if "transform" in written:
            reg.context().prepare_turn(written["transform"]["priority"], self._transform)
        if "compacts" in written:
            reg.context().compact(written["compacts"]["priority"], self._compact)
        for operation in written.get("operations", ()):
            self._operation(reg, operation)

    def _claim(self, reg: PluginRegistrar) -> None:
        places = {
            "tool_result_projector": lambda: reg.tool_results().projector(self._project),
            "prose_projector": lambda: reg.output().assistant_prose_projector(_Behind(self._options.get("prose", ""))),
            "code_executor": lambda: reg.execution().code_executor(object()),
            "protocol_session": lambda: reg.protocol().session(object()),
            "protocol_driver": lambda: reg.protocol().protocol_driver(object()),
        }
        for place in self._options.get("claims", ()):
            places[place]()

    def _operation(self, reg: PluginRegistrar, written: Data) -> None:
        name, kind = written["name"], written["kind"]
        operation = PluginOperation[Any, Any](name, "", dict, dict, written.get("session", "required"))

        async def handle(context: Any, arguments: Any) -> Any:
            del arguments
            await self._stand(f"operation {name}")
            output = {"n": self.n, "session": context.session_id}
            if kind == "query":
                return output
            queued = tuple(QueueTurn(input=Json(turn_input(text))) for text in written.get("queue", ()))
            return Outcome(output, tuple(map(event, written.get("events", ()))), queued)

        registrations = reg.operations()
        {
            "query": registrations.typed_query,
            "command": registrations.typed_command,
            "task": registrations.typed_task,
        }[kind](operation, handle)

    # -- hooks

    async def _prompt(self, context: hooks.PromptHookContext) -> list[PromptContribution]:
        del context
        await self._stand("prompt")
        return [PromptContribution.from_data(one) for one in self._options["prompts"]]

    async def _before_turn(self, context: hooks.TurnHookContext) -> list[PluginDirective]:
        return await self._directed("before_turn", str(len(context.state.messages)))

    async def _checkpoint(self, context: hooks.CheckpointHookContext) -> list[PluginDirective]:
        return await self._directed(f"checkpoint {context.checkpoint}")

    async def _after_turn(self, context: hooks.TurnResultHookContext) -> list[PluginDirective]:
        del context
        return await self._directed("after_turn")

    async def _before_tool(self, context: hooks.ToolCallHookContext) -> list[PluginDirective]:
        return await self._directed("before_tool", context.tool_name, compact(context.args.value))

    async def _after_tool(self, context: hooks.ToolResultHookContext) -> list[PluginDirective]:
        return await self._directed("after_tool", context.tool_name, _told(context.result))

    async def _event(self, told: hooks.PluginLifecycleEvent) -> None:
        match told:
            case hooks.TurnFinalized():
                await self._stand("event turn_finalized")
            case hooks.TurnPersisted(state=state):
                await self._stand("event turn_persisted", str(len(state.messages)))
            case hooks.SessionRestored():
                await self._stand("event session_restored")
            case hooks.SessionConfigChanged(context=context):
                models = (context.previous.model_id, context.current.model_id)
                await self._stand("event session_config_changed", *models)

    async def _response(self, session_id: str, response: Any) -> hooks.AssistantResponseTransform:
        del session_id
        last = max((n for n, part in enumerate(response.parts) if part.type == "text"), default=None)
        parts = tuple(
            part.but(text=part.text + self._options["response"]) if n == last else part
            for n, part in enumerate(response.parts)
        )
        return hooks.AssistantResponseTransform(response.but(parts=parts))

    async def _stream(self, session_id: str, chunk: str) -> hooks.AssistantStreamTransform:
        del session_id
        return hooks.AssistantStreamTransform(chunk + self._options["stream"])

    async def _project(self, context: hooks.ToolResultProjectionContext) -> ModelToolReturn:
        shown = context.output.model_text() + self._options.get("shown", "")
        return ModelToolReturn.text(context.call_id, context.tool_name, shown)

    async def _mutate(
        self, context: hooks.SessionConfigChangedContext, policy: SessionPolicy
    ) -> SessionPolicy:
        del context
        await self._stand("mutator")
        model = policy.required_model()
        return policy.but(model=model.but(id=model.id + self._options["mutates"]))

    async def _transform(
        self, context: hooks.TurnTransformContext, prepared: hooks.PreparedContext
    ) -> hooks.PreparedContext:
        del context
        await self._stand("transform")
        added = message(f"{self.id}-transient", "User", self._options["transform"]["text"], transient=True)
        return hooks.PreparedContext(
            (*prepared.messages, added), prepared.prompt_contributions, prepared.tool_providers,
            include_base_tools=prepared.include_base_tools,
        )  # fmt: skip

    async def _compact(self, context: hooks.CompactionContext) -> tuple[Json, ...] | None:
        del context
        await self._stand("compact")
        text = self._options["compacts"]["text"]
        return None if text is None else (seed(text),)


class _Behind:
    """A prose projector that puts a text behind the prose."""

    def __init__(self, text: str) -> None:
        self._text = text

    def project_assistant_prose(self, text: str) -> str:
        """The prose and the text."""
        return text + self._text


# -- what is written, as the reading has it


def event(written: Data) -> PluginRuntimeEvent:
    """A plugin event in lash's JSON."""
    return Custom.from_data(written) if written["kind"] == "custom" else Status.from_data(written)


def directive(written: Data) -> PluginDirective:
    """A directive in the kit's JSON."""
    match written:
        case {"kind": "abort_turn", "code": code, "message": text}:
            return AbortTurn(code, text)
        case {"kind": "enqueue_messages", "messages": messages}:
            return EnqueueMessages(
                tuple(
                    PluginMessage(role=one["role"].capitalize(), content=one["content"]) for one in messages
                )
            )
        case {"kind": "replace_tool_args", "args": args}:
            return ReplaceToolArgs(Json(args))
        case {"kind": "short_circuit_tool", "pending": True}:
            return short_circuit(Pending())
        case {"kind": "short_circuit_tool", "value": value}:
            return short_circuit(Done.ok(value))
        case {"kind": "emit_runtime_events", "events": events}:
            return EmitRuntimeEvents(tuple(map(event, events)))
        case _:
            raise ValueError(f"no directive of the kit: {written!r}")


def message(message_id: str, role: Any, text: str, *, transient: bool = False) -> Message:
    """A message of one text."""
    part = Part(id=f"{message_id}.p0", kind="Text", content=text)
    return Message(
        id=message_id, role=role, parts=(part,), origin=Json({"transient": True}) if transient else None
    )


def turn_input(text: str) -> Data:
    """A turn's input of one text."""
    return {"items": [{"type": "text", "text": text}]}


def seed(text: str) -> Json:
    """A node that seeds a compacted frame with one user message."""
    return Json({"kind": "message", "message": {"role": "User", "content": text}})


def _told(result: Done) -> str:
    match result.output.outcome:
        case Success(payload=payload):
            return f"success {compact(payload.value)}"
        case Failure(payload=failure):
            return f"failure {failure.code}"
        case Cancelled():
            return "cancelled"
