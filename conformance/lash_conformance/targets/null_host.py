"""Hosts that do nothing well: whatever passes on them proves nothing."""

from collections.abc import Callable
from typing import Any

from lash_conformance.host import IN_PROCESS, CoreSpec, HostCapability, HostPlace, Refused

Answer = Callable[[str, tuple[Any, ...]], Any]


class Answering:
    """A core, a session and a subscription in one: every method answers by one rule."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __getattr__(self, method: str) -> Any:
        async def call(*arguments: Any, **named: Any) -> Any:
            if method in ("close", "kill", "script", "release", "reached", "drop"):
                return None
            if method in ("open", "resume", "clone", "subscribe") and self._answer is not _refused:
                return Answering(self._answer)
            return self._answer(method, (*arguments, *named.values()))

        return call


class NullHost:
    """A host whose every method answers by one rule."""

    version = "0"
    store = "memory"
    capabilities: frozenset[HostCapability] = IN_PROCESS

    def __init__(self, name: str, answer: Answer) -> None:
        self.name = name
        self.answer = answer

    async def core(self, place: HostPlace, spec: CoreSpec) -> Any:
        """Nothing is built."""
        if self.answer is _refused:
            raise Refused("Null", {})
        return Answering(self.answer)

    async def pure(self, method: str, arguments: Any) -> Any:
        """Whatever the rule says."""
        return self.answer(method, (arguments,))

    async def provider_calls(self, fixture: Any, base_url: str) -> Any:
        """Whatever the rule says."""
        return self.answer("provider_calls", (fixture, base_url))


def _nothing(method: str, arguments: tuple[Any, ...]) -> Any:
    return None


def _echo(method: str, arguments: tuple[Any, ...]) -> Any:
    return arguments[0] if arguments else None


def _refused(method: str, arguments: tuple[Any, ...]) -> Any:
    raise Refused("Null", {})


def _pleasant(method: str, arguments: tuple[Any, ...]) -> Any:
    """The answer of a host for which everything went well, whatever was asked."""
    match method:
        case "turn" | "queued_turn":
            outcome = {"finished": {"assistant_message": {"text": "hello"}}}
            spent = {"input_tokens": 10, "output_tokens": 5}
            told: dict[str, Any] = {key: [] for key in ("activities", "errors", "tool_calls")}
            return told | {"outcome": outcome, "usage": spent, "cancellation": None, "execution": {}}
        case "read":
            known: dict[str, Any] = {"transcript": [], "turn_index": 0, "session_id": "s1"}
            return known.get(arguments[0])
        case "observe":
            return {"cursor": "lashsc1:0:0:s1", "revision": 0}
        case "resume_from":
            return {"events": []}
        case "requests" | "journal":
            return []
        case "cancel_running_turns":
            return 0
        case _:
            return None


def targets() -> list[NullHost]:
    """The null hosts, by name."""
    rules = {"null": _nothing, "echo": _echo, "pleasant": _pleasant, "refuse": _refused}
    return [NullHost(name, rule) for name, rule in rules.items()]
