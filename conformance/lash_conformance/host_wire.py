"""What a host speaks on the line wire: the host Protocol's methods as requests (area HST).

``core.*``, ``session.*`` and ``subscription.*`` are a mechanical projection of `HostCore`, `HostSession` and
`HostSubscription`; the rest is here. `HostCore.kill` is no request: the judge kills the process.
"""

import inspect
import typing
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, cast

from pydantic import BaseModel, Field, StrictInt, StrictStr, TypeAdapter, ValidationError

from lash_conformance.host import (
    CoreSpec,
    Data,
    HostCapability,
    HostCore,
    HostSession,
    HostSubscription,
    Refused,
)
from lash_conformance.store_faults import Side
from lash_conformance.wire import (
    OWN,
    REFUSED,
    UNKNOWN,
    Fault,
    Introduction,
    Malformed,
    Message,
    OutcomeUnknown,
    Own,
    Refusal,
    Speech,
    first,
)
from lash_ref.errors import LashError
from lash_ref.scalars import U64, Json

PROTOCOLS: dict[str, type] = {"core": HostCore, "session": HostSession, "subscription": HostSubscription}
Name = Annotated[StrictStr, Field(min_length=1)]


class Introduced(Introduction):
    """What a host says of itself."""

    capabilities: list[HostCapability]
    """What is promised."""
    store: Name
    """The store target by which the judge reads the places that the host's sessions live in."""
    own_tools: list[StrictStr] = []
    """Names of tools that the host's protocol offers in every session, whatever a core's description says."""


class Built(Message):
    """A core that was built."""

    core: Name


class OpenedSession(Message):
    """A handle on a session."""

    session: Name


class Followed(Message):
    """A subscription."""

    subscription: Name


class Halt(Message):
    """At which commit, counted from now on, the core is to stand still."""

    side: Side
    """Before the store has it, or after, before the core hears the answer."""
    number: Annotated[StrictInt, Field(ge=1)]


class SentCall(Message):
    """One call that a core made to a store, as the store wire has it."""

    on: StrictStr
    """``factory``, or ``store[s1]``."""
    method: StrictStr
    arguments: list[Any]
    """In the order of the contract's parameters."""


class Serving(Message):
    """A service on loopback that runs until it is stopped."""

    service: Name
    url: Name
    """Its root."""


CORE: dict[str, Any] = {"core": StrictStr}
HOST_OWN: dict[str, Own] = {
    "initialize": Own(
        takes=OWN["initialize"].takes, answers=Introduced,
        told="Agree on a protocol and say who one is; the first request of a process.",
    ),
    "smoke": OWN["smoke"],
    "shutdown": OWN["shutdown"],
    "pure": Own(
        takes={"method": StrictStr, "arguments": dict[str, Any]}, answers=Json,
        told="A pure helper of the state chapter, its arguments by name.",
    ),
    "provider.calls": Own(
        takes={"fixture": dict[str, Any], "base_url": StrictStr}, answers=list[dict[str, Any]],
        told="Make a provider fixture's calls at the base URL, and tell what came of each. Only with capability providers.",
    ),
    "replayer.start": Own(
        takes={"folder": StrictStr}, answers=Serving, told="Serve the fixtures below a folder. Only with capability replay.",
    ),
    "recorder.start": Own(
        takes={"upstream": StrictStr, "out": StrictStr, "markers": list[StrictStr]}, answers=Serving,
        told="Pass requests on to upstream, and leave a capture of each exchange in out. Only with capability replay.",
    ),
    "service.stop": Own(
        takes={"service": StrictStr}, answers=None, told="Stop a replayer or recorder, once exchanges in progress are over.",
    ),
    "core.build": Own(
        takes={"directory": StrictStr, "now_ms": U64, "spec": CoreSpec}, answers=Built,
        told="Build a core: its stores in the directory's main and other, what else must outlive it beside them.",
    ),
    "core.advance": Own(takes=CORE | {"now_ms": U64}, answers=None, told="Set the core's clock; only with capability clock."),
    "core.breathe": Own(takes=CORE, answers=None, told="Answer once whatever was started got as far as it can without time passing."),
    "core.fail": Own(
        takes=CORE | {"methods": list[StrictStr]}, answers=None,
        told="From now on these methods of the core's stores fail with a Backend error; none mends all. Only with capability line.",
    ),
    "core.halt": Own(
        takes=CORE | {"halt": Halt}, answers=None,
        told="Stop a commit on its way between the core and its store. Only with capability line.",
    ),
    "core.halted": Own(takes=CORE, answers=None, told="Answer once the core stands still at that commit. Only with capability line."),
    "core.go_on": Own(takes=CORE, answers=None, told="Let the commit that was stopped go on. Only with capability line."),
    "core.sent": Own(
        takes=CORE, answers=list[SentCall],
        told="What the core said to its stores since this was asked last, in order. Only with capability line.",
    ),
}  # fmt: skip
"""Methods that no Protocol has."""
_LEFT_OUT = {"core": {"kill"}}


@dataclass(frozen=True)
class Call:
    """A method of the host Protocol: what it takes by name, in order, and what it answers."""

    takes: dict[str, TypeAdapter[Any]]
    signature: inspect.Signature
    answers: type[Message] | None
    """The handle that it answers; none for a method that answers JSON."""
    nothing: bool
    """Whether it answers null."""
    told: str


@cache
def calls() -> dict[str, Call]:
    """Every method of the Protocols, by its name on the wire."""
    found: dict[str, Call] = {}
    for family, protocol in PROTOCOLS.items():
        for name, member in vars(protocol).items():
            if name.startswith("_") or not callable(member) or name in _LEFT_OUT.get(family, ()):
                continue
            hints = typing.get_type_hints(member, include_extras=True)
            answer = hints.pop("return")
            signature = inspect.signature(member)
            found[f"{family}.{name}"] = Call(
                takes={key: TypeAdapter(hint) for key, hint in hints.items()},
                signature=signature.replace(parameters=list(signature.parameters.values())[1:]),
                answers={HostSession: OpenedSession, HostSubscription: Followed}.get(answer),
                nothing=answer is type(None),
                told=inspect.getdoc(member) or "",
            )
    return found


def params_of(method: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
    """A call's arguments by name as JSON data, all of them."""
    made = calls()[method]
    bound = made.signature.bind(*arguments, **named)
    bound.apply_defaults()
    return {name: made.takes[name].dump_python(value, mode="json") for name, value in bound.arguments.items()}


def plain(value: Any) -> Any:
    """A refusal's field as JSON; what has no form there as text."""
    match value:
        case BaseModel():
            return value.model_dump(mode="json")
        case bool() | int() | float() | None:
            return value
        case str():
            return str(value)
        case dict():
            return {str(key): plain(member) for key, member in cast("Data", value).items()}
        case list() | tuple() | set() | frozenset():
            return [plain(member) for member in cast("list[Any]", value)]
        case _:
            return str(value)


def fault_of(err: LashError) -> dict[str, Any]:
    """The ``error`` member that a host's refusal is written as."""
    return {"code": REFUSED, "message": str(err), "data": {"error": err.code, "fields": plain(err.fields)}}


class Told(Refused):
    """A refusal that a host told over the wire, in its own words."""

    def __init__(self, error: str, fields: dict[str, Any], words: str) -> None:
        super().__init__(error, fields)
        self._words = words

    def __str__(self) -> str:
        return self._words


def raised(fault: Fault) -> Exception:
    """The exception that an ``error`` member stands for; a host may refuse under any name of its spec.

    Raises:
        Malformed: the data is no refusal.
    """
    if fault.code == UNKNOWN:
        return OutcomeUnknown(fault.message)
    try:
        refusal = Refusal.model_validate(fault.data)
    except ValidationError as err:
        raise Malformed(f"error.data: {first(err)}") from err
    return Told(refusal.error, refusal.fields, fault.message)


def _taken(method: str) -> frozenset[str] | None:
    if method in HOST_OWN:
        return frozenset(HOST_OWN[method].takes)
    family, _, _ = method.partition(".")
    return frozenset({family, *calls()[method].takes}) if method in calls() else None


HOSTS = Speech(introduction=Introduced, takes=_taken, raised=raised)
"""What a host speaks."""
