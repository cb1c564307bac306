"""One program behind the line wire: reads requests, answers each, whatever it serves.

Requests are answered as they finish, several at once. Whatever the program prints goes to standard error.
"""

import asyncio
import os
import stat
import sys
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, cast

from pydantic import ValidationError

from lash_conformance.wire import (
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
    Own,
    Request,
    Uncarriable,
    fault_of,
    first,
    own_answer,
    read_line,
    written_line,
)
from lash_ref.errors import LashError

IN_FLIGHT = 64
_TOO_LONG = f"(a line of more than {MOST_BYTES} bytes)".encode()


class Misasked(Exception):
    """The request is not one of the protocol's; the first value is the error code."""


def mint(kind: str) -> str:
    """Text that no other process mints."""
    return f"{kind}-{uuid.uuid4().hex}"


class Service:
    """Handles, and an answer to every line; what a method does is ``on_`` and its name."""

    own: ClassVar[dict[str, Own]] = OWN

    def __init__(self) -> None:
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
            fault = self.refused(err)
        except OutcomeUnknown as err:
            fault = {"code": UNKNOWN, "message": str(err)}
        except (Exception, asyncio.CancelledError) as err:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            fault = {"code": INTERNAL_ERROR, "message": f"{type(err).__name__}: {err}"}
        return {"jsonrpc": "2.0", "id": number, "error": fault}

    def answer(self, request: Request, result: Any) -> dict[str, Any]:
        """The message that carries a result."""
        return {"jsonrpc": "2.0", "id": request.id, "result": result}

    def refused(self, err: LashError) -> dict[str, Any]:
        """The ``error`` member of a refusal."""
        return fault_of(err)

    async def result(self, request: Request) -> Any:
        """What one of the wire's own methods answers."""
        own = self.own.get(request.method)
        if own is None:
            raise Misasked(METHOD_NOT_FOUND, f"no method {request.method!r}")
        try:
            given = {name: own_answer(kind, request.params[name]) for name, kind in own.takes.items()}
        except (Malformed, KeyError) as err:
            raise Misasked(INVALID_PARAMS, f"{request.method}: {err}") from err
        act: Callable[..., Awaitable[Any]] = getattr(self, "on_" + request.method.replace(".", "_"))
        return await act(**given)

    def agree(self, protocols: list[int]) -> None:
        """Refuse a judge that speaks another protocol."""
        if PROTOCOL not in protocols:
            raise Misasked(INVALID_PARAMS, f"this target speaks protocol {PROTOCOL}, not {protocols}")

    async def on_smoke(self, value: Any) -> Any:
        """Echo."""
        return value.value

    async def on_shutdown(self) -> None:
        """Answer, then end."""
        self.leaving = True

    def handle(self, kind: str) -> str:
        """A name for something that was handed out."""
        self.handles += 1
        return f"{kind}-{self.handles}"

    async def end(self, unanswered: "set[asyncio.Task[None]]") -> None:
        """Let go of everything; nobody asks any more."""
        await asyncio.gather(*unanswered)

    # -- pipes

    async def serve(self) -> None:
        """Answer standard input until it ends or ``shutdown`` comes."""
        self.out = os.dup(1)
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        reader = asyncio.StreamReader(limit=MOST_BYTES)
        if os.isatty(0) or stat.S_ISFIFO(kind := os.fstat(0).st_mode) or stat.S_ISSOCK(kind):
            await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
        else:
            # A file is all there, and nothing tells when more comes.
            reader.feed_data(sys.stdin.buffer.read())
            reader.feed_eof()
        tasks: set[asyncio.Task[None]] = set()
        while not self.leaving and (line := await _line(reader)):
            task = asyncio.create_task(self._answered(line))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            await asyncio.sleep(0)
            if b'"shutdown"' in line:
                await task
        await self.end(tasks)

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
