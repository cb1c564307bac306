"""The replayable transcript: steps with the outcomes that the contract demands of each.

A transcript is a JSON object ``{"check": id, "steps": [...]}`` or the bare list of steps. A step is::

    {"on": "store[s1]", "method": "load_node", "arguments": ["n1"],
     "expected": {"ok": null}, "rising": [["$s1:seq.1", "$s1:seq.4"]]}

``on`` is ``factory``, ``store[SESSION]``, ``attachments`` or ``place`` (whose methods are ``advance``
``{"ms": n}``, ``reopen``, ``damage`` ``{"what": kind}`` and ``process_gone`` ``{"process_id": id}``); ``@2`` after it addresses a second
backend opened on the place. Text of the form ``$...`` names a minted value (see `names`); ``rising`` pairs
numbers of which the second must be the higher. A step without ``expected`` is held to its ``outcome``, the
recorded answer of the store the transcript was taken from.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from lash_conformance.bench import Bench, request, scratch
from lash_conformance.model import backend_of, family_of
from lash_conformance.names import Names, Unbound
from lash_conformance.projection import Data, answered, decoded, in_one_order, known, masked, refused
from lash_conformance.shown import visible
from lash_conformance.target import HarnessFault, StoreTarget, TargetBroke
from lash_conformance.wire import OutcomeUnknown
from lash_ref.errors import LashError

CALL_DEADLINE_S = 10.0
"""A call takes milliseconds; one that needs this long is hung."""


class MalformedTranscript(Exception):
    """The file is no transcript; the text says where."""


class Step(BaseModel):
    """One call and what it must answer."""

    on: Annotated[str, Field(pattern=r"^(?s:factory|attachments|store\[.*\]|place|clock)(@\d)?$")]
    method: str
    arguments: list[Any] = []
    expected: dict[str, Any] | None = None
    outcome: dict[str, Any] | None = None
    rising: list[list[Any]] = []

    def data(self) -> Data:
        """The step as JSON data."""
        return self.model_dump(exclude_none=True, exclude_defaults=True) | {"arguments": self.arguments}


@dataclass
class Replayed:
    """What became of one step."""

    step: Step
    expected: Data
    found: Data
    fault: str = ""
    """Where the two differ; empty when they do not."""

    @property
    def ok(self) -> bool:
        """Whether the step did what it must."""
        return not self.fault


_STEPS: TypeAdapter[list[Step]] = TypeAdapter(list[Step])


def parse(data: object) -> list[Step]:
    """The steps of a transcript.

    Raises:
        MalformedTranscript: the data is no transcript.
    """
    steps: object = cast("Data", data).get("steps") if isinstance(data, dict) else data
    try:
        found = _STEPS.validate_python(steps)
    except ValidationError as err:
        fault = err.errors(include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise MalformedTranscript(f"step {where}: {fault['msg']}") from err
    for number, step in enumerate(found):
        family, _ = family_of(step.on)
        if family not in ("place", "clock") and not known(family, step.method):
            raise MalformedTranscript(f"step {number}: {step.on} has no method {step.method!r}")
    return found


def read(path: Path) -> list[Step]:
    """The steps of the transcript in a file.

    Raises:
        MalformedTranscript: the file is no transcript.
        OSError: the file cannot be read.
    """
    try:
        return parse(json.loads(path.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, UnicodeDecodeError) as err:
        raise MalformedTranscript(f"no JSON: {err}") from err


def write(path: Path, steps: Sequence[Step], check: str = "") -> None:
    """Save a transcript."""
    data = {"check": check, "steps": [step.data() for step in steps]}
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


# -- driving


@dataclass
class Driver:
    """Makes calls, given as JSON, on one bench."""

    bench: Bench
    names: Names = field(default_factory=Names)
    _handles: dict[str, Any] = field(default_factory=dict[str, Any])

    async def open(self) -> None:
        """Open the bench's place."""
        await self.bench.provide(())
        self._handles = {"factory": self.bench.factory, "attachments": self.bench.attachments}

    async def attach(self) -> None:
        """Open a second backend on a place that is open."""
        factory, attachments = await self.bench.beside()
        self._handles = {"factory": factory, "attachments": attachments}

    def beside(self) -> "Driver":
        """Another caller with the same handles."""
        return Driver(self.bench, _handles=dict(self._handles))

    async def hold(self, session_id: str) -> None:
        """Open the store of a session that was created."""
        await self._handle(f"store[{session_id}]")

    async def call(self, on: str, method: str, arguments: Sequence[Any]) -> Data:
        """The outcome of one call; never raises what the target raised."""
        family, _ = family_of(on)
        try:
            given: list[Any] = self.names.resolved(list(arguments))
            if family in ("place", "clock"):
                return await self._move(method, given)
            records = decoded(family, method, given)
            # A target out of process has deadlines of its own, at which it is killed.
            own = "wire" in self.bench.target.capabilities
            async with asyncio.timeout(None if own else CALL_DEADLINE_S):
                handle = await self._handle(on)
                answer = await getattr(handle, method)(*records)
        except LashError as err:
            return refused(err)
        except (TargetBroke, HarnessFault):
            raise
        except OutcomeUnknown as err:
            return {"unknown": str(err)}
        except Unbound as err:
            return {"broken": f"no earlier step answered {err}"}
        except TimeoutError:
            return {"broken": f"no answer within {CALL_DEADLINE_S:g} s"}
        except Exception as err:
            return {"broken": f"{type(err).__name__}: {err}"}
        self._note(on, method, records, answer)
        return in_one_order(method, answered(family, method, answer))

    def _note(self, on: str, method: str, records: list[Any], answer: Any) -> None:
        suffix = on.removeprefix("factory")
        if method in ("create_store", "open_existing_store") and answer is not None:
            self._handles[f"store[{records[0].session_id}]{suffix}"] = answer
        elif method == "delete_session":
            gone = f"store[{records[0]}]"
            kept = {name: handle for name, handle in self._handles.items() if not name.startswith(gone)}
            self._handles = kept

    async def _handle(self, on: str) -> Any:
        if on not in self._handles:
            family, bound = family_of(on)
            if family == "factory":
                self._handles[on] = await self.bench.another()
            else:
                factory = await self._handle(f"factory{backend_of(on)}")
                self._handles[on] = await factory.open_existing_store(request(bound))
            if self._handles[on] is None:
                raise LookupError(f"{on} is there, yet opening it answers none")
        return self._handles[on]

    async def _move(self, method: str, given: list[Any]) -> Data:
        facts: Data = given[0] if given else {}
        if method == "advance":
            await self.bench.pass_time(facts["ms"])
        elif method == "reopen":
            await self.bench.reopen()
            self._handles = {"factory": self.bench.factory, "attachments": self.bench.attachments}
        elif method == "damage":
            await self.bench.damage(facts["what"])
            self._handles = {"factory": self.bench.factory, "attachments": self.bench.attachments}
        elif method == "process_gone":
            self.bench.processes.gone.add(facts["process_id"])
        else:
            return {"broken": f"a place cannot {method}"}
        return {"ok": None}

    async def judged(self, step: Step) -> Replayed:
        """One step made and compared."""
        expected = masked(step.expected or step.outcome or {"ok": None})
        found = await self.call(step.on, step.method, step.arguments)
        fault = self.names.difference(expected, found) or self.names.not_rising(step.rising)
        return Replayed(step, expected, found, fault)


async def replay(steps: Sequence[Step], target: StoreTarget) -> list[Replayed]:
    """Every step made on a fresh place of ``target``, in order, whatever becomes of each."""
    bench = Bench(target, scratch())
    driver = Driver(bench)
    try:
        await driver.open()
        return [await driver.judged(step) for step in steps]
    finally:
        await bench.remove()


def runnable(steps: Sequence[Step]) -> str:
    """The transcript as numbered lines."""
    return "\n".join(f"{number} {told(step)}" for number, step in enumerate(steps, start=1))


def told(step: Step) -> str:
    """One step as a line."""
    given = ", ".join(short(argument) for argument in step.arguments)
    return f"{step.on}.{step.method}({given}) -> {short(step.expected or step.outcome)}"


def short(value: Any) -> str:
    """JSON on at most a line."""
    text = visible(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= 200 else f"{text[:197]}…"
