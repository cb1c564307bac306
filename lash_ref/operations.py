"""Plugin operations: queries, commands and tasks a host calls by name, with typed arguments and output."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from lash_ref.errors import MissingSession, OperationFailed, UnexpectedSession
from lash_ref.plugin_events import PluginOwned, PluginRuntimeEvent
from lash_ref.scalars import Identifier, Json, Record, Text
from lash_ref.services import SessionReads, SessionServices
from lash_ref.tools import Cancellation

A = TypeVar("A")
O = TypeVar("O")  # noqa: E741 - output
C = TypeVar("C")

SessionParam = Literal["required", "optional", "forbidden"]
OperationKind = Literal["query", "command", "task"]


class PluginOperationDef(Record):
    """What a host can learn of an operation."""

    name: Identifier
    description: Text
    kind: OperationKind
    session_param: SessionParam
    input_schema: Json
    output_schema: Json


@dataclass(frozen=True)
class PluginOperation(Generic[A, O]):
    """An operation's name and types; pydantic reads its arguments and writes its schemas."""

    name: str
    description: str
    args: type[A]
    output: type[O]
    session_param: SessionParam = "optional"

    def definition(self, kind: OperationKind) -> PluginOperationDef:
        """The definition, schemas and all ([OPS.4][])."""
        return PluginOperationDef(
            name=self.name,
            description=self.description,
            kind=kind,
            session_param=self.session_param,
            input_schema=Json(TypeAdapter[A](self.args).json_schema()),
            output_schema=Json(TypeAdapter[O](self.output).json_schema()),
        )


# -- contexts and outcomes


@dataclass(frozen=True)
class PluginQueryContext:
    """For queries: reads only, and no waiting for a turn."""

    session_id: str | None
    services: SessionReads


@dataclass(frozen=True)
class PluginCommandContext:
    """For commands."""

    session_id: str | None
    services: SessionServices


@dataclass(frozen=True)
class PluginTaskContext:
    """For tasks, which may take long and are told when to stop."""

    session_id: str | None
    services: SessionServices
    cancellation: Cancellation | None = None


class QueueTurn(Record):
    """Queue an input for the session's next turn, once for a given source key."""

    kind: Literal["queue_turn"] = "queue_turn"
    input: Json
    source_key: Identifier | None = None


@dataclass(frozen=True)
class Outcome(Generic[O]):
    """What a command or task came to: events become durable nodes, directives follow the commit."""

    output: O
    events: tuple[PluginRuntimeEvent, ...] = ()
    directives: tuple[QueueTurn, ...] = ()


@dataclass(frozen=True)
class OperationOutcome:
    """An outcome with its output as JSON and its events owned."""

    output: Json
    events: tuple[PluginOwned[PluginRuntimeEvent], ...] = ()
    directives: tuple[QueueTurn, ...] = ()


# -- registration


@dataclass(frozen=True)
class RegisteredOperation:
    """One operation of one plugin."""

    plugin_id: str
    operation: PluginOperation[Any, Any]
    kind: OperationKind
    handler: Callable[[Any, Any], Awaitable[Any]]

    @cached_property
    def definition(self) -> PluginOperationDef:
        """The operation's definition."""
        return self.operation.definition(self.kind)

    def session(self, session_id: str | None, current: str | None = None) -> str | None:
        """The session to run for: the one given, else ``current`` unless the operation forbids one ([OPS.3][]).

        Raises:
            MissingSession: [OPS.1][] it needs one and there is none.
            UnexpectedSession: [OPS.2][] it takes none and one was given.
        """
        if self.operation.session_param == "forbidden":
            if session_id is not None:
                raise UnexpectedSession(self.operation.name)
            return None
        chosen = session_id if session_id is not None else current
        if chosen is None and self.operation.session_param == "required":
            raise MissingSession(self.operation.name)
        return chosen

    async def invoke(self, context: object, args: object) -> OperationOutcome:
        """Read the arguments, run the handler, write the output.

        Raises:
            OperationFailed: the arguments or the output are not the operation's, or the handler failed.
        """
        name = self.operation.name
        try:
            given = args.value if isinstance(args, Json) else args
            read = TypeAdapter[Any](self.operation.args).validate_python(given)
        except ValidationError as err:
            raise OperationFailed(name, f"invalid arguments: {_first(err)}") from err
        try:
            answer = await self.handler(context, read)
        except Exception as err:
            raise OperationFailed(name, str(err)) from err
        outcome = cast("Outcome[Any]", answer) if isinstance(answer, Outcome) else Outcome[Any](answer)
        try:
            kind = TypeAdapter[Any](self.operation.output)
            output = Json(kind.dump_python(kind.validate_python(outcome.output), mode="json"))
        except ValidationError as err:
            raise OperationFailed(name, f"invalid output: {_first(err)}") from err
        except ValueError as err:
            raise OperationFailed(name, f"invalid output: {err}") from err
        events = tuple(PluginOwned(self.plugin_id, event) for event in outcome.events)
        return OperationOutcome(output, events, outcome.directives)


def _first(err: ValidationError) -> str:
    fault = err.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in fault["loc"])
    return f"{where}: {fault['msg']}" if where else str(fault["msg"])
