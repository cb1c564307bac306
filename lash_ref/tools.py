"""Tools: what they are called, what they take, how they are run, and how often.

A tool's id is its authority; its name is what the model calls it.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, Protocol, Self, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import AfterValidator, JsonValue, SerializerFunctionWrapHandler, TypeAdapter, model_serializer

from lash_ref.scalars import MAX_INT, U64, Identifier, Json, Record, Text
from lash_ref.tool_results import Done, ToolResult, runtime_failure

NULL = Json(None)
"""JSON's null."""


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("a tool id that is not blank")
    return text


ToolId = Annotated[Identifier, AfterValidator(_not_blank)]
"""The identity a grant and a stored opt-out hold on to."""


class Sparse(Record):
    """A record that leaves the members named in ``sparse`` out of its JSON while they are at their default."""

    sparse: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _without_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data = cast("dict[str, Any]", handler(self))
        fields = type(self).model_fields
        for name in self.sparse:
            if getattr(self, name) == fields[name].default:
                data.pop(name, None)
        return data


# -- retry


class ToolRetryPolicy(Record):
    """Whether and how often a call may run again; when a tool says nothing, it runs once ([TOO.20][], [TOO.21][])."""

    type: Literal["never", "safe", "idempotent"] = "never"
    max_attempts: U64 = 1
    base_delay_ms: U64 = 0
    max_delay_ms: U64 = 0
    """0 means no cap."""

    @classmethod
    def safe(cls, max_attempts: int, base_delay_ms: int = 0, max_delay_ms: int = 0) -> Self:
        """May run again after a failure that says so."""
        return cls(type="safe", max_attempts=max_attempts, base_delay_ms=base_delay_ms, max_delay_ms=max_delay_ms)

    @classmethod
    def idempotent(cls, max_attempts: int, base_delay_ms: int = 0, max_delay_ms: int = 0) -> Self:
        """As safe, and each attempt carries the same replay key."""
        return cls.safe(max_attempts, base_delay_ms, max_delay_ms).but(type="idempotent")

    @property
    def attempts(self) -> int:
        """How often a call may run in all."""
        return 1 if self.type == "never" else max(1, self.max_attempts)

    def delay_ms(self, retry_index: int, requested_after_ms: int | None = None) -> int:
        """How long to wait before retry ``retry_index`` (the first is 0), in milliseconds.

        The wait asked for, or the base doubled at each retry; capped when a cap is set.
        """
        if self.type == "never":
            return 0
        backoff = min(self.base_delay_ms << min(retry_index, 63), MAX_INT)
        delay = backoff if requested_after_ms is None else requested_after_ms
        return min(delay, self.max_delay_ms) if self.max_delay_ms else delay


# -- declaration


class ArgumentProjection(Record):
    """Whether arguments that refer to projected values are replaced by the values."""

    kind: Literal["materialize_projected_values", "preserve_projected_refs_in_field"] = (
        "materialize_projected_values"
    )
    field: Text | None = None


class ToolManifest(Sparse):
    """What is known of a tool without resolving its contract."""

    sparse: ClassVar[tuple[str, ...]] = (
        "description", "activation", "bindings", "argument_projection", "retry_policy",
    )  # fmt: skip

    id: ToolId
    name: Text
    description: Text = ""
    compact_contract: Json | None = None
    activation: Literal["always", "internal"] = "always"
    bindings: Json = Json({})
    argument_projection: ArgumentProjection = ArgumentProjection()
    retry_policy: ToolRetryPolicy = ToolRetryPolicy()


class ToolOutputContract(Record):
    """Whether the output's schema is fixed or is named by an argument."""

    kind: Literal["static", "from_input_schema"] = "static"
    input_field: Text | None = None
    default_schema: Json | None = None


class ToolContract(Sparse):
    """What a tool takes and gives, as JSON Schema; resolved when it is needed."""

    sparse: ClassVar[tuple[str, ...]] = ("output_contract", "examples")

    input_schema: Json = Json({"type": "object", "properties": {}, "additionalProperties": True})
    output_schema: Json = NULL
    output_contract: ToolOutputContract = ToolOutputContract()
    examples: tuple[Text, ...] = ()


@dataclass(frozen=True)
class ToolDefinition:
    """A manifest and its contract."""

    manifest: ToolManifest
    contract: ToolContract

    @classmethod
    def raw(
        cls, id: str, name: str, description: str, input_schema: JsonValue, output_schema: JsonValue = None
    ) -> Self:
        """A definition from JSON Schemas."""
        contract = ToolContract(input_schema=Json(input_schema), output_schema=Json(output_schema))
        return cls(ToolManifest(id=id, name=name, description=description), contract)

    @classmethod
    def typed(cls, id: str, name: str, description: str, args: Any, output: Any) -> Self:
        """A definition from Python types, whose schemas pydantic writes."""
        schemas = [TypeAdapter[Any](kind).json_schema() for kind in (args, output)]
        return cls.raw(id, name, description, schemas[0], schemas[1])

    def with_retry_policy(self, policy: ToolRetryPolicy) -> Self:
        """The same tool under that policy."""
        return replace(self, manifest=self.manifest.but(retry_policy=policy))


class SessionToolAccess(Record):
    """What a session may call beside and against its plugins' tools."""

    hidden_tools: tuple[Text, ...] = ()
    """Names that are never members and never run."""


@lru_cache(maxsize=512)
def _validator(schema: Json) -> Draft202012Validator:
    value = cast("dict[str, Any]", schema.value)
    Draft202012Validator.check_schema(value)
    return Draft202012Validator(value)


def invalid_tool_input(contract: ToolContract, args: Json) -> str | None:
    """What is wrong with ``args``, or nothing ([TOO.1][]); a schema that is none is wrong with every argument."""
    try:
        fault = next(_validator(contract.input_schema).iter_errors(args.value), None)
    except SchemaError as err:
        return f"the tool's input schema is no JSON Schema: {err.message}"
    if fault is None:
        return None
    where = "/".join(str(part) for part in fault.absolute_path)
    return f"{where or 'arguments'}: {fault.message}"


# -- calls


class PendingToolCall(Record):
    """A call as the model made it."""

    call_id: Identifier
    tool_name: Text
    args: Json
    replay: Json | None = None
    """What the provider wants back with the result; opaque."""


class PreparedToolCall(Record):
    """A call frozen before it is run: what a recorded effect replays."""

    call_id: Identifier
    tool_id: ToolId
    tool_name: Text
    args: Json
    replay: Json | None = None
    prepared_payload: Json = NULL


class ToolExecutionGrant(Record):
    """Authority to run one tool that the catalog does not hold."""

    manifest: ToolManifest
    contract: ToolContract
    source_id: Text | None = None
    execution_binding: Json = NULL


class Cancellation(Protocol):
    """Whether, and when, the work is to stop."""

    def is_cancelled(self) -> bool: ...

    async def cancelled(self) -> None:
        """Return once the work is to stop."""
        ...


async def _no_completion_key() -> str:
    raise RuntimeError("this call cannot be answered later: no completion key is offered here")


@dataclass(frozen=True)
class ToolContext:
    """What a running tool knows and may use."""

    session_id: str
    call_id: str | None = None
    agent_frame_id: str = ""
    attempt_number: int = 1
    max_attempts: int = 1
    replay_key: str | None = None
    """The same at every attempt of one call."""
    prepared_payload: Json = NULL
    execution_binding: Json = NULL
    services: Any = None
    """The host's services; see `lash_ref.services`."""
    cancellation: Cancellation | None = None
    completion_key: Callable[[], Awaitable[str]] = _no_completion_key
    """Obtain the key under which this call is answered later; `Pending` is refused without one."""


@dataclass(frozen=True)
class ToolPrepareCall:
    """A call about to be frozen, and what may be frozen with it."""

    tool_id: str
    pending: PendingToolCall
    session_id: str
    turn_context: Any = None
    """Live inputs of the turn, by plugin id."""
    execution_binding: Json = NULL
    services: Any = None


@dataclass(frozen=True)
class ToolCall:
    """One attempt."""

    name: str
    frozen_args: Json
    context: ToolContext
    progress: Callable[[str], None] | None = None

    @property
    def args(self) -> Any:
        """The arguments, a fresh copy."""
        return self.frozen_args.value


class ToolProvider(ABC):
    """A source of tools; all but three methods have the behaviour most sources want."""

    @abstractmethod
    def tool_manifests(self) -> Sequence[ToolManifest]:
        """Every tool offered now."""

    @abstractmethod
    def resolve_contract(self, name: str) -> ToolContract | None:
        """The contract of a tool by name."""

    @abstractmethod
    async def execute(self, call: ToolCall) -> ToolResult:
        """Run one attempt."""

    def resolve_manifest(self, name: str) -> ToolManifest | None:
        """A tool by name, also one that is not offered."""
        return next((each for each in self.tool_manifests() if each.name == name), None)

    def resolve_manifest_by_id(self, id: str) -> ToolManifest | None:
        """A tool by id, also one that is not offered."""
        return next((each for each in self.tool_manifests() if each.id == id), None)

    def resolve_contract_by_id(self, id: str) -> ToolContract | None:
        """The contract of a tool by id."""
        manifest = self.resolve_manifest_by_id(id)
        return self.resolve_contract(manifest.name) if manifest else None

    async def prepare_tool_call(self, call: ToolPrepareCall) -> PreparedToolCall | Done:
        """Freeze a call; a `Done` refuses it."""
        pending = call.pending
        return PreparedToolCall(
            call_id=pending.call_id, tool_id=call.tool_id, tool_name=pending.tool_name,
            args=pending.args, replay=pending.replay,
        )  # fmt: skip

    async def execute_by_id(self, id: str, call: ToolCall) -> ToolResult:
        """Run one attempt of the tool with that id."""
        manifest = self.resolve_manifest_by_id(id)
        if manifest is None:
            return Done.err(f"Unknown tool id: {id}")
        return await self.execute(replace(call, name=manifest.name))

    async def prepare_granted(self, grant: ToolExecutionGrant, call: ToolPrepareCall) -> PreparedToolCall | Done:
        """Freeze a call made under a grant; refused unless the source knows grants."""
        del call
        return _no_grants(grant)

    async def execute_granted(self, grant: ToolExecutionGrant, call: ToolCall) -> ToolResult:
        """Run one attempt under a grant; refused unless the source knows grants."""
        del call
        return _no_grants(grant)


def _no_grants(grant: ToolExecutionGrant) -> Done:
    return runtime_failure(
        "unavailable", "tool_grant_unsupported", f"tool {grant.manifest.id!r} cannot be run under a grant here"
    )


Handler = Callable[[ToolCall], Awaitable[ToolResult]]


@dataclass
class StaticToolProvider(ToolProvider):
    """Tools that are fixed, each with the function that runs it."""

    tools: dict[str, tuple[ToolDefinition, Handler]] = field(
        default_factory=dict[str, tuple[ToolDefinition, Handler]]
    )

    def add(self, definition: ToolDefinition, handler: Handler) -> Self:
        """Offer one more tool."""
        self.tools[definition.manifest.name] = (definition, handler)
        return self

    def tool_manifests(self) -> Sequence[ToolManifest]:
        return [definition.manifest for definition, _ in self.tools.values()]

    def resolve_manifest(self, name: str) -> ToolManifest | None:
        found = self.tools.get(name)
        return found[0].manifest if found else None

    def resolve_contract(self, name: str) -> ToolContract | None:
        found = self.tools.get(name)
        return found[0].contract if found else None

    async def execute(self, call: ToolCall) -> ToolResult:
        found = self.tools.get(call.name)
        return await found[1](call) if found else Done.err(f"Unknown tool: {call.name}")
