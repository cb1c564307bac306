"""Any in-process target behind the wire: what ``lash-conformance serve`` runs.

Requests are answered as they finish, several at once. Whatever the target prints goes to standard error.
"""

import asyncio
import os
import sys
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from lash_conformance.bench import RealClock
from lash_conformance.catalogue import EDITION
from lash_conformance.projection import answered, signature
from lash_conformance.target import (
    Backend,
    Damage,
    Damaging,
    Keeping,
    Place,
    Processes,
    StoreTarget,
    VirtualClock,
)
from lash_conformance.wire import (
    HANDLES,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    MOST_BYTES,
    OWN,
    PARSE_ERROR,
    PROTOCOL,
    UNKNOWN,
    Malformed,
    OutcomeUnknown,
    Request,
    Uncarriable,
    fault_of,
    first,
    own_answer,
    read_line,
    split,
    written_line,
)
from lash_ref.errors import LashError
from lash_ref.scalars import invalid

IN_FLIGHT = 64
PROCESSES = 16
_TOO_LONG = f"(a line of more than {MOST_BYTES} bytes)".encode()


class Misasked(Exception):
    """The request is not one of the protocol's; the first value is the error code."""


@dataclass
class Ground:
    """What all openings of one directory in this process have in common."""

    clock: VirtualClock | RealClock
    processes: Processes = field(default_factory=Processes)
    memory: dict[str, object] = field(default_factory=dict[str, object])


@dataclass
class Open:
    """One opened place and the stores handed out on it."""

    backend: Backend
    ground: Ground
    stores: list[str] = field(default_factory=list[str])


def mint(kind: str) -> str:
    """Text that no other process mints."""
    return f"{kind}-{uuid.uuid4().hex}"


class Server:
    """One target, its opened places, and an answer to every line."""

    def __init__(self, target: StoreTarget) -> None:
        self.target = target
        self.virtual = "clock" in target.capabilities
        self.grounds: dict[str, Ground] = {}
        self.places: dict[str, Open] = {}
        self.stores: dict[str, Any] = {}
        self.handles = 0
        self.leaving = False
        self.out = 1

    # -- messages

    async def line(self, line: bytes) -> dict[str, Any]:
        """The answer to one line, whatever it holds."""
        number: int | None = None
        try:
            data = read_line(line)
            if isinstance(data, dict) and type(cast("dict[str, Any]", data).get("id")) is int:
                number = cast("dict[str, Any]", data)["id"]
            request = Request.model_validate(data)
            return self.answer(request, result=await self.result(request))
        except Malformed as err:
            fault = {"code": PARSE_ERROR, "message": str(err)}
        except ValidationError as err:
            fault = {"code": INVALID_REQUEST, "message": first(err)}
        except Misasked as err:
            fault = {"code": err.args[0], "message": err.args[1]}
        except LashError as err:
            fault = fault_of(err)
        except OutcomeUnknown as err:
            fault = {"code": UNKNOWN, "message": str(err)}
        except Exception as err:
            fault = {"code": INTERNAL_ERROR, "message": f"{type(err).__name__}: {err}"}
        return {"jsonrpc": "2.0", "id": number, "error": fault}

    def answer(self, request: Request, result: Any) -> dict[str, Any]:
        """The message that carries a result."""
        return {"jsonrpc": "2.0", "id": request.id, "result": result}

    async def result(self, request: Request) -> Any:
        """What the request answers."""
        family, method = split(request.method)
        if family:
            return await self.store_method(family, method, request.params)
        own = OWN.get(request.method)
        if own is None:
            raise Misasked(METHOD_NOT_FOUND, f"no method {request.method!r}")
        try:
            given = {name: own_answer(kind, request.params[name]) for name, kind in own.takes.items()}
        except (Malformed, KeyError) as err:
            raise Misasked(INVALID_PARAMS, f"{request.method}: {err}") from err
        act: Callable[..., Awaitable[Any]] = getattr(self, "on_" + request.method.replace(".", "_"))
        return await act(**given)

    # -- the wire's own methods

    async def on_initialize(self, protocols: list[int], **_: Any) -> Any:
        """Say who the target is."""
        if PROTOCOL not in protocols:
            raise Misasked(INVALID_PARAMS, f"this target speaks protocol {PROTOCOL}, not {protocols}")
        durable = "durable" in self.target.capabilities
        return {
            "protocol": PROTOCOL,
            "edition": EDITION,
            "target": {"name": self.target.name, "version": self.target.version},
            "capabilities": sorted(self.target.capabilities - {"wire"}),
            "damages": sorted(self.target.damages) if isinstance(self.target, Damaging) else [],
            "keeps": isinstance(self.target, Keeping),
            "limits": {"in_flight": IN_FLIGHT, "processes": PROCESSES if durable else 1},
        }

    async def on_smoke(self, value: Any) -> Any:
        """Echo."""
        return value.value

    async def on_open(self, directory: str, now_ms: int, gone: list[str]) -> Any:
        """Open a place."""
        self.grounds = {name: ground for name, ground in self.grounds.items() if Path(name).is_dir()}
        if directory not in self.grounds:
            self.grounds[directory] = Ground(VirtualClock() if self.virtual else RealClock())
        ground = self.grounds[directory]
        if isinstance(ground.clock, VirtualClock):
            ground.clock.ms = now_ms
        ground.processes.gone |= set(gone)
        place = Place(
            directory=Path(directory), clock=ground.clock, processes=ground.processes, mint=mint, memory=ground.memory
        )
        handle = self._handle("place")
        self.places[handle] = Open(await self.target.open(place), ground)
        return {"place": handle}

    async def on_close(self, place: str) -> None:
        """Close a place; closing twice is harmless."""
        opened = self.places.pop(place, None)
        if opened is not None:
            for store in opened.stores:
                self.stores.pop(store, None)
            await opened.backend.close()

    async def on_clock_advance(self, place: str, now_ms: int) -> None:
        """Set the place's time."""
        clock = self._place(place).ground.clock
        if isinstance(clock, VirtualClock):
            clock.ms = now_ms

    async def on_process_gone(self, place: str, process_id: str) -> None:
        """Note a process as gone."""
        self._place(place).ground.processes.gone.add(process_id)

    async def on_damage(self, directory: str, what: Damage) -> None:
        """Spoil stored data."""
        target = self.target
        if not isinstance(target, Damaging) or what not in target.damages:
            raise Misasked(INVALID_PARAMS, f"this target cannot spoil {what}")
        await target.damage(self._closed(directory), what)

    async def on_stored(self, directory: str) -> Any:
        """What a closed place holds."""
        return dict(await self._keeping().stored(self._closed(directory)))

    async def on_remove(self, directory: str) -> None:
        """Remove a closed place."""
        await self._keeping().remove(self._closed(directory))

    def _keeping(self) -> Keeping:
        if not isinstance(self.target, Keeping):
            raise Misasked(METHOD_NOT_FOUND, "this target keeps its places in their directories")
        return self.target

    def _closed(self, directory: str) -> Place:
        clock = VirtualClock() if self.virtual else RealClock()
        return Place(directory=Path(directory), clock=clock, processes=Processes(), mint=mint)

    async def on_shutdown(self) -> None:
        """Answer, then end."""
        self.leaving = True

    # -- store methods

    async def store_method(self, family: str, method: str, params: dict[str, Any]) -> Any:
        """Read the arguments, call the store, write the answer."""
        address = params.get(HANDLES[family])
        if not isinstance(address, str):
            raise Misasked(INVALID_PARAMS, f"{family}.{method} needs {HANDLES[family]}")
        called = self._object(family, address)
        arguments: list[Any] = []
        for name, adapter in signature(family, method).takes.items():
            if name not in params:
                raise Misasked(INVALID_PARAMS, f"{family}.{method} needs {name}")
            try:
                arguments.append(adapter.validate_python(params[name]))
            except ValidationError as err:
                raise invalid(name, err) from err
        found = await getattr(called, method)(*arguments)
        if method in ("create_store", "open_existing_store"):
            return None if found is None else {"store": self._keep(address, found)}
        outcome = answered(family, method, found)
        if "ok" not in outcome:
            raise TypeError(outcome["broken"])
        return outcome["ok"]

    def _object(self, family: str, address: str) -> Any:
        if family == "store":
            if address not in self.stores:
                raise Misasked(INVALID_PARAMS, f"no store {address!r} is open")
            return self.stores[address]
        backend = self._place(address).backend
        return backend.sessions if family == "factory" else backend.attachments

    def _place(self, handle: str) -> Open:
        if handle not in self.places:
            raise Misasked(INVALID_PARAMS, f"no place {handle!r} is open")
        return self.places[handle]

    def _keep(self, place: str, store: Any) -> str:
        handle = self._handle("store")
        self.stores[handle] = store
        self.places[place].stores.append(handle)
        return handle

    def _handle(self, kind: str) -> str:
        self.handles += 1
        return f"{kind}-{self.handles}"

    # -- pipes

    async def serve(self) -> None:
        """Answer standard input until it ends or ``shutdown`` comes."""
        self.out = os.dup(1)
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        reader = asyncio.StreamReader(limit=MOST_BYTES)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
        tasks: set[asyncio.Task[None]] = set()
        while not self.leaving and (line := await _line(reader)):
            task = asyncio.create_task(self._answered(line))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            await asyncio.sleep(0)
            if b'"shutdown"' in line:
                await task
        await asyncio.gather(*tasks)
        for handle in list(self.places):
            await self.on_close(handle)

    async def _answered(self, line: bytes) -> None:
        self.put(await self.line(line))

    def put(self, message: dict[str, Any]) -> None:
        """Write one message; blocks while the judge does not read."""
        try:
            data = written_line(message)
        except Uncarriable as err:
            fault = {"code": INTERNAL_ERROR, "message": f"the answer holds {err}"}
            data = written_line({"jsonrpc": "2.0", "id": message["id"], "error": fault})
        self.send(data)

    def send(self, data: bytes) -> None:
        """Write bytes, all of them."""
        while data:
            data = data[os.write(self.out, data) :]


async def _line(reader: asyncio.StreamReader) -> bytes:
    """The next line; empty at the end of input, and no JSON when it is too long."""
    whole = True
    while True:
        try:
            line = await reader.readuntil(b"\n")
            return line if whole else _TOO_LONG
        except asyncio.IncompleteReadError as err:
            return err.partial
        except asyncio.LimitOverrunError as err:
            await reader.readexactly(err.consumed)
            whole = False


def serve(target: StoreTarget, kind: type[Server] = Server) -> None:
    """Serve the target on this process's pipes until the judge lets go."""
    asyncio.run(kind(target).serve())
