"""A wrapper that passes every call of a store on, times it and records it.

The trace is a list of steps in the contract's JSON. Text that a store mints (tokens, claim ids, refs) is
written as a reference to the step that first answered it, so a trace replays on any other store and two
runs write the same trace.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Any, cast

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

from lash_conformance.projection import answered, known, written
from lash_ref.errors import LashError

MINTED = frozenset(
    ["lease_token", "claim_id", "batch_id", "item_id", "input_id", "checkpoint_ref", "tool_state_ref", "plugin_snapshot_ref", "execution_state_ref", "batch_ids", "input_ids"]
)
"""Keys whose text only the store can know."""
MACHINES = frozenset(("pid", "process_start", "boot_id"))
"""Keys whose values differ from machine to machine and run to run."""


@dataclass
class Step:
    """One call and its outcome."""

    on: str
    method: str
    arguments: list[Any]
    outcome: dict[str, Any] | None = None

    def line(self) -> str:
        """The step as one readable line."""
        given = ", ".join(_brief(argument) for argument in self.arguments)
        return f"{self.on}.{self.method}({given}) -> {_brief(self.outcome)}"


@dataclass
class Trace:
    """The steps of one check, and the time spent inside the target."""

    steps: list[Step] = field(default_factory=list[Step])
    target_seconds: float = 0.0
    minted: dict[str, str] = field(default_factory=dict[str, str])
    revisions: dict[str, int] = field(default_factory=dict[str, int])
    """The head of each session, as its commits answered."""
    settled: bool = False
    """Whether the steps are JSON data already."""

    def note(self, on: str, method: str, **facts: Any) -> None:
        """Write down something the judge did itself, such as moving the clock."""
        self.steps.append(Step(on, method, [facts] if facts else []))

    def committed(self, commit: Any, answer: object) -> None:
        """Remember the head; the answer to a repeat may be an older one."""
        session_id, revision = commit.session_id, getattr(answer, "head_revision", 0)
        if isinstance(revision, int):
            self.revisions[session_id] = max(revision, self.revisions.get(session_id, 0))

    def data(self) -> list[dict[str, Any]]:
        """The trace as JSON data."""
        return [
            {"on": s.on, "method": s.method, "arguments": s.arguments, "outcome": s.outcome}
            for s in self.steps
        ]


class Traced:
    """Wraps a factory, store or attachment store; wraps what it answers likewise."""

    def __init__(self, inner: object, name: str, trace: Trace) -> None:
        self._inner = inner
        self._name = name
        self._trace = trace

    def __repr__(self) -> str:
        return self._name

    def __getattr__(self, method: str) -> Any:
        bound = getattr(self._inner, method)
        if not callable(bound):
            return bound
        return self._call(method, cast("Callable[..., Awaitable[Any]]", bound))

    def _call(
        self, method: str, bound: Callable[..., Awaitable[Any]]
    ) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any, **named: Any) -> Any:
            trace = self._trace
            step = Step(self._name, method, [*arguments, *named.values()])
            trace.steps.append(step)
            started = time.perf_counter()
            try:
                answer = await bound(*arguments, **named)
            except LashError as err:
                step.outcome = {"refused": err.code, **err.fields}
                raise
            except BaseException as err:
                step.outcome = {"broken": f"{type(err).__name__}: {err}"}
                raise
            finally:
                trace.target_seconds += time.perf_counter() - started
            if method in ("create_store", "open_existing_store") and answer is not None:
                session = arguments[0].session_id
                step.outcome = {"ok": "store"}
                return Traced(answer, f"store[{session}]", trace)
            step.outcome = {"ok": answer}
            if method == "commit_runtime_state":
                trace.committed(arguments[0], answer)
            if method == "delete_session":
                trace.revisions.pop(arguments[0], None)
            return answer

        return call


def settle(trace: Trace) -> None:
    """Turn the records a trace holds into JSON data; done only for traces that somebody will read."""
    if trace.settled:
        return
    trace.settled = True
    for number, step in enumerate(trace.steps):
        family = step.on.partition("[")[0]
        if known(family, step.method):
            step.arguments = written(family, step.method, step.arguments)
            if step.outcome is not None and "ok" in step.outcome:
                step.outcome = answered(family, step.method, step.outcome["ok"])
        step.arguments = [_data(argument, trace, None, None) for argument in step.arguments]
        if step.outcome is not None:
            step.outcome = _data(step.outcome, trace, None, number)


def _data(value: Any, trace: Trace, key: str | None, step: int | None) -> Any:
    """``value`` as JSON; minted text is named by the ``step`` that answered it, and by none in arguments."""
    if isinstance(value, BaseModel):
        try:
            value = value.model_dump(mode="json", exclude_none=True, warnings=False)
        except (PydanticSerializationError, UnicodeError):
            return repr(value)
    if is_dataclass(value) and not isinstance(value, type):
        value = _said(value)
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {name: _data(member, trace, name, step) for name, member in members.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        members_: list[Any] = list(cast("list[Any]", value))
        return [_data(member, trace, key, step) for member in members_]
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": bytes(value).hex()}
    if key in MACHINES:
        return f"<{key}>"
    if isinstance(value, str) and value in trace.minted and (key is None or key in MINTED):
        return trace.minted[value]
    if key in MINTED and isinstance(value, str) and step is not None:
        return trace.minted.setdefault(value, f"<{key} #{step}>")
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if value is None or isinstance(value, (int, float, bool)):
        return value
    return repr(value)


def _said(description: Any) -> dict[str, Any]:
    """A description as it crosses a wire, without what goes without saying."""
    told: dict[str, Any] = {}
    for part in fields(description):
        usual = part.default if part.default_factory is MISSING else part.default_factory()
        if (given := getattr(description, part.name)) != usual:
            told[part.name] = given
    return told


def _brief(value: Any, depth: int = 0) -> str:
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        if depth > 2:
            return "{…}"
        return "{" + ", ".join(f"{k}: {_brief(v, depth + 1)}" for k, v in members.items()) + "}"
    if isinstance(value, list):
        items = cast("list[Any]", value)
        shown = ", ".join(_brief(item, depth + 1) for item in items[:4])
        return f"[{shown}{', …' if len(items) > 4 else ''}]"
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
