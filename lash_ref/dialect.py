"""What the four wire dialects have in common: where they are spoken, what a request is, how a reply is read.

A dialect is pure: it writes a body from a request and reads a reply from parsed events; `http_provider` does the
talking. Everything about a route that is not the dialect itself is data of its `Endpoint`.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, TypeVar, cast

from lash_ref.capability import Chosen, Termination, capability, chosen, selection
from lash_ref.joined import Joined
from lash_ref.provider import (
    Delta,
    LlmBlock,
    LlmPart,
    LlmRequest,
    LlmResponse,
    LlmStreamEvent,
    LlmTerminalReason,
    ProtocolPosition,
    ProviderFailure,
    TextPart,
    ToolCallPart,
    UsageSnapshot,
)
from lash_ref.provider_errors import Meaning, Refusal
from lash_ref.scalars import U64, Json, Record, Text
from lash_ref.untrusted import MalformedReply, unrecordable
from lash_ref.usage import TokenUsage

T = TypeVar("T")

DEFAULT_OUTPUT_CAP = 32768
"""Output tokens asked for when neither the request nor the endpoint says."""

CacheRetention = Literal["none", "short", "long"]
OutputCapField = Literal["max_tokens", "max_completion_tokens", "omit"]
ReasoningEncoder = Literal["none", "openai", "openrouter"]


class Endpoint(Record, extra="forbid"):
    """One route to a provider, as its host configures it; times in seconds."""

    base_url: Text
    headers: tuple[tuple[Text, Text], ...] = ()
    """Sent with every request: authorization and version headers are data of the route."""
    streaming: bool = True
    termination: Termination | None = None
    """Overrides the dialect's default; a model's capability overrides both."""
    output_token_cap: U64 | None = None
    output_cap_field: OutputCapField = "max_tokens"
    cache_retention: CacheRetention = "none"
    reasoning_encoder: ReasoningEncoder = "openai"
    expose_thinking: bool = False
    prompt_cache_key: bool = False
    """Whether the route takes a prompt cache key; official OpenAI does, look-alikes may not."""
    metadata: tuple[Text, ...] = ()
    """What of replies to keep: ``header:<name>`` and ``body:<json pointer>``."""
    response_start_s: float = 300.0
    chunk_s: float = 120.0


@dataclass(frozen=True, slots=True)
class HttpCall:
    """A request as a dialect writes it."""

    path: str
    body: dict[str, Any]
    params: Mapping[str, str] = field(default_factory=dict[str, str])


class Dialect(Protocol):
    """One wire dialect."""

    kind: ClassVar[str]
    request_id_header: ClassVar[str]
    codes: ClassVar[Mapping[str, Meaning]]

    def write(self, request: LlmRequest, endpoint: Endpoint) -> HttpCall:
        """The request in this dialect.

        Raises:
            ProviderFailure: the dialect cannot say it; nothing was sent.
        """
        ...

    def reading(self, request: LlmRequest, endpoint: Endpoint) -> "Reading":
        """A reader for the reply to ``request``."""
        ...

    def refusal(self, body: dict[str, Any], status: int | None) -> Refusal:
        """An error body in this dialect."""
        ...


class Reading(ABC):
    """A reply as far as it has arrived; pure, so any framing of the same events reads the same."""

    default_termination: ClassVar[Termination] = "require_terminal_evidence"
    no_evidence: ClassVar[str]
    """The code of a stream that ends before its terminal event."""
    never_silent: ClassVar[bool] = False
    """Whether an answer that stops having said nothing is a failure ([PRV.24][])."""

    def __init__(self, request: LlmRequest, endpoint: Endpoint) -> None:
        self.request = request
        self.endpoint = endpoint
        self.termination = (
            capability(request.model_capability).stream_termination
            or endpoint.termination
            or self.default_termination
        )
        self.terminal = False
        self.went_on = False
        """Whether text came behind a terminal event, which was none then ([PRV.85][])."""
        self.output_started = False
        self.served_model: str | None = None
        self.response_id: str | None = None
        self.finish: str | None = None
        self.raw_usage: dict[str, Any] = {}
        """What was reported; replaced, never changed, so that it is counted only when it is new."""
        self.diagnostic: str | None = None
        self.metadata: dict[str, Any] = {}
        self._told = Joined()
        """The visible text that was told last."""
        self._usage: TokenUsage | None = None
        self._counted = self.raw_usage
        self._probes = [name for name in endpoint.metadata if name.startswith("body:")]

    # -- what a dialect supplies

    @abstractmethod
    def event(self, data: dict[str, Any]) -> Iterator[LlmStreamEvent]:
        """Take one event of a stream.

        Raises:
            ProviderFailure: it is an error.
            MalformedReply: it is not of the dialect.
        """

    @abstractmethod
    def whole(self, body: dict[str, Any]) -> None:
        """Take a reply that was not streamed; as `event`."""

    def documents(self, bodies: list[dict[str, Any]]) -> None:
        """Take a reply that came as one document, or as an array of them; as `event`."""
        if len(bodies) != 1:
            raise MalformedReply(f"one JSON object expected, found {len(bodies)} in an array")
        self.whole(bodies[0])

    @abstractmethod
    def parts(self) -> tuple[LlmPart, ...]:
        """What the model has said so far, tool calls included whether or not they are complete."""

    @abstractmethod
    def usage(self) -> TokenUsage | None:
        """The usage reported so far in the five buckets, or none when nothing was reported."""

    @abstractmethod
    def reason(self) -> LlmTerminalReason:
        """Why the model stopped, by what it said."""

    # -- what they share

    @property
    def settled(self) -> bool:
        """Whether the answer is whole, whatever comes or does not come behind it ([PRV.56][])."""
        return self.terminal and not self.went_on

    @property
    def position(self) -> ProtocolPosition:
        """How far the reply got."""
        if self.terminal:
            return "terminal_observed"
        return "output_started" if self.output_started else "response_observed"

    def take(self, data: dict[str, Any]) -> Iterator[LlmStreamEvent]:
        """One event of the stream, with what the host asked to keep of it and usage when it changes."""
        for probe in self._probes:
            found = pointed(data, probe.removeprefix("body:"))
            if found is not None:
                self.metadata[probe] = found
        try:
            yield from self.event(data)
            if self.raw_usage is not self._counted:
                self._counted = self.raw_usage
                usage = self.usage()
                if usage is not None and usage != self._usage:
                    self._usage = usage
                    yield UsageSnapshot(usage=usage)
        except ValueError as err:
            raise unrecordable(err) from err

    def tell(self, text: Joined, said: str) -> Iterator[LlmStreamEvent]:
        """More of a visible text, as far as it is whole ([PRV.68][])."""
        self._told = text
        if said:
            self.output_started = True
            self.went_on = self.terminal
        if new := text.add(said):
            yield Delta(text=new)

    def last_words(self) -> Iterator[LlmStreamEvent]:
        """What is left to tell of the visible text when the stream is over."""
        if alone := self._told.close():
            yield Delta(text=alone)

    def tell_whole(self) -> Iterator[LlmStreamEvent]:
        """The visible text of a reply that one event held whole ([PRV.77][])."""
        for part in self.parts():
            if isinstance(part, TextPart):
                yield Delta(text=part.text)

    def end(self) -> LlmResponse:
        """The finished reply.

        Raises:
            ProviderFailure: the stream ended without its terminal event, and the route does not tolerate
                that ([PRV.20][]).
        """
        if not self.terminal and self.termination == "require_terminal_evidence":
            raise ProviderFailure(
                f"the stream ended before its terminal event ({self.no_evidence})",
                "stream",
                retryable=True,
                provider_code=self.no_evidence,
            )
        response = self.response(finished=self.terminal)
        if self.never_silent and self.terminal and not response.parts and response.terminal_reason in {"stop", "tool_use"}:
            raise ProviderFailure("the reply is empty", "stream", retryable=True, provider_code="empty_response")
        for call in response.tool_calls:
            if not call.tool_name or "\0" in call.call_id:
                raise MalformedReply(f"a tool call with a name and an id expected, found {call.tool_name!r}, {call.call_id!r}")
        return response

    def partial(self) -> LlmResponse:
        """What had arrived when the attempt failed; for the record, never for execution ([PRV.21][])."""
        try:
            self.usage()
        except MalformedReply:
            self.raw_usage = {}
        return self.response(finished=False, keep_tools=True)

    def response(self, *, finished: bool, keep_tools: bool = False) -> LlmResponse:
        """The reply in the contract's terms; unfinished tool calls are dropped unless kept for the record."""
        parts = self.parts()
        reason = self.reason() if finished else "unknown"
        if not finished and not keep_tools:
            parts = tuple(part for part in parts if not isinstance(part, ToolCallPart))
        if finished and reason == "output_limit":
            parts = tuple(part for part in parts if not _is_cut_call(part))
        if reason == "stop" and any(isinstance(part, ToolCallPart) for part in parts):
            reason = "tool_use"
        usage = self.usage()
        return LlmResponse(
            parts=parts,
            usage=usage,
            terminal_reason=reason,
            terminal_diagnostic=self.diagnostic,
            provider_usage=Json(self.raw_usage) if self.raw_usage else None,
            execution_evidence=Json(self.evidence(usage)),
            response_metadata=Json(self.metadata) if self.metadata else None,
        )

    def evidence(self, usage: TokenUsage | None) -> dict[str, Any]:
        """What the provider itself reported of the run; a reported 0 differs from silence ([PRV.51][])."""
        found: dict[str, Any] = {
            "served_model": self.served_model,
            "provider_response_id": self.response_id,
            "provider_finish_reason": self.finish,
        }
        if usage is not None and self.reports_reasoning():
            found["reasoning_output_tokens"] = usage.reasoning_output_tokens
        return {name: value for name, value in found.items() if value is not None}

    def written(self, arguments: str) -> str:
        """A call's arguments; none at all are an empty object, unless the limit came before them ([PRV.23][])."""
        return arguments or ("" if self.reason() == "output_limit" else "{}")

    def reports_reasoning(self) -> bool:
        """Whether the provider reported a reasoning count at all."""
        return False


def _is_cut_call(part: LlmPart) -> bool:
    if not isinstance(part, ToolCallPart):
        return False
    try:
        Json.parse(part.input_json)
    except ValueError:
        return True
    return False


# -- writing, shared


def output_cap(request: LlmRequest, endpoint: Endpoint) -> int:
    """Output tokens to ask for: the request's word, else the route's, else the default ([PRV.13][])."""
    return request.output_token_cap or endpoint.output_token_cap or DEFAULT_OUTPUT_CAP


def reasoning_of(request: LlmRequest) -> Chosen:
    """How the reasoning that the request asks for is to be written ([PRV.58][]).

    Raises:
        UnusableReasoning: the model does not take it, or its capability contradicts itself.
    """
    return chosen(request.model, capability(request.model_capability), selection(request.model_variant))


def runs(request: LlmRequest) -> Iterator[tuple[str, list[LlmBlock]]]:
    """Messages with neighbours of one role joined and empty text dropped ([PRV.11][])."""
    role, blocks = "", list[LlmBlock]()
    for message in request.messages:
        kept = [block for block in message.blocks if block.type != "text" or block.text]
        if not kept:
            continue
        if message.role != role:
            if blocks:
                yield role, blocks
            role, blocks = message.role, []
        blocks += kept
    if blocks:
        yield role, blocks


def arguments(input_json: str) -> dict[str, Any] | None:
    """Stored tool arguments as an object, or none when they are not one."""
    try:
        value = Json.parse(input_json).value
    except ValueError:
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def unrepresentable(what: str, kind: str) -> ProviderFailure:
    """The request asks for something this dialect has no word for; nothing was sent ([PRV.59][])."""
    return ProviderFailure(f"{kind} cannot express {what}", "unsupported", provider_code=f"{what}_unrepresentable")


def pointed(document: object, pointer: str) -> Any:
    """What a JSON pointer names, or none."""
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict):
            document = cast("dict[str, Any]", document).get(key)
        elif isinstance(document, list) and re.fullmatch(r"\d+", key):
            members = cast("list[Any]", document)
            document = members[int(key)] if int(key) < len(members) else None
        else:
            return None
    return document


def thawed(frozen: Json | None) -> dict[str, Any]:
    """Opaque data of a host as a fresh object; none is empty, and a null member is absent."""
    value = frozen.value if frozen is not None else None
    members = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    return {key: member for key, member in members.items() if member is not None}


def listed(replay: dict[str, Any], key: str, kind: type[T]) -> list[T]:
    """The members of one kind that opaque data lists under ``key``."""
    value = replay.get(key)
    return [one for one in cast("list[Any]", value) if isinstance(one, kind)] if isinstance(value, list) else []


def joined_text(pieces: Joined) -> tuple[TextPart, ...]:
    """One text part, or none when nothing was said."""
    text = str(pieces)
    return (TextPart(text=text),) if text else ()
