"""Broken wire servers: our own server with one thing wrong, each in a process of its own."""

import asyncio
import base64
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

from lash_conformance.mutants.broken_server import IMPATIENT, store, wire_mutant
from lash_conformance.server import Misasked, Server, serve
from lash_conformance.wire import HANDLES, INVALID_PARAMS, PARSE_ERROR, REFUSED, Request, signature
from lash_ref.errors import InvalidRecord

# -- lines and messages


@wire_mutant("WIR.1", character="Chatty: greets on standard output before it answers anything.")
class Chatty(Server):
    async def on_initialize(self, protocols: list[int], **_: Any) -> Any:
        self.send(b"acme store ready\n")
        return await super().on_initialize(protocols)


@wire_mutant("WIR.1", character="Parting: says goodbye on standard output.")
class Parting(Server):
    def put(self, message: dict[str, Any]) -> None:
        super().put(message)
        if self.leaving:
            self.send(b"bye\n")


@wire_mutant("WIR.2", character="Emphatic: answers everything twice.")
class Emphatic(Server):
    def put(self, message: dict[str, Any]) -> None:
        super().put(message)
        super().put(message)


@wire_mutant("WIR.2", character="Counting: answers under numbers of its own.")
class Counting(Server):
    def answer(self, request: Request, result: Any) -> dict[str, Any]:
        self.handles += 1
        return super().answer(request, result) | {"id": self.handles}


@wire_mutant("WIR.2", character="Laconic: leaves the version of the protocol out.")
class Laconic(Server):
    def put(self, message: dict[str, Any]) -> None:
        super().put({name: value for name, value in message.items() if name != "jsonrpc"})


@wire_mutant("WIR.3", character="Narrow: takes lines of a megabyte and no longer ones.")
class Narrow(Server):
    async def line(self, line: bytes) -> dict[str, Any]:
        return await super().line(line if len(line) <= 1 << 20 else b"too long")


@wire_mutant("WIR.4", character="Fragile: dies of a line that is no JSON.")
class Fragile(Server):
    async def line(self, line: bytes) -> dict[str, Any]:
        answer = await super().line(line)
        if answer.get("error", {}).get("code") == PARSE_ERROR:
            os._exit(1)
        return answer


@wire_mutant("WIR.4", bounds=IMPATIENT, character="Discreet: says nothing to a line that is no JSON.")
class Discreet(Server):
    def put(self, message: dict[str, Any]) -> None:
        if message.get("error", {}).get("code") != PARSE_ERROR:
            super().put(message)


@wire_mutant("WIR.5", character="Coarse: calls everything that is no request unreadable, and forgets its id.")
class Coarse(Server):
    async def line(self, line: bytes) -> dict[str, Any]:
        answer = await super().line(line)
        if answer.get("error", {}).get("code") == -32600:
            return {"jsonrpc": "2.0", "id": None, "error": {"code": PARSE_ERROR, "message": "what?"}}
        return answer


@wire_mutant("WIR.6", character="Agreeable: answers null to what it does not know.")
class Agreeable(Server):
    async def line(self, line: bytes) -> dict[str, Any]:
        answer = await super().line(line)
        if answer.get("error", {}).get("code") == -32601:
            return {"jsonrpc": "2.0", "id": answer["id"], "result": None}
        return answer


@wire_mutant("WIR.7", character="Forgiving: takes what is missing for null.")
class Forgiving(Server):
    async def line(self, line: bytes) -> dict[str, Any]:
        answer = await super().line(line)
        if answer.get("error", {}).get("code") == INVALID_PARAMS:
            return {"jsonrpc": "2.0", "id": answer["id"], "result": None}
        return answer


@wire_mutant("WIR.8", character="Pedant: calls an ill-typed argument a fault of the envelope.")
class Pedant(Server):
    async def store_method(self, family: str, method: str, params: dict[str, Any]) -> Any:
        try:
            return await super().store_method(family, method, params)
        except InvalidRecord as err:
            raise Misasked(INVALID_PARAMS, str(err)) from err


@wire_mutant("WIR.8", character="Obliging: reads numbers out of text.")
class Obliging(Server):
    async def store_method(self, family: str, method: str, params: dict[str, Any]) -> Any:
        ttl = params.get("lease_ttl_ms")
        read = {"lease_ttl_ms": int(ttl)} if isinstance(ttl, str) else {}
        return await super().store_method(family, method, params | read)


@wire_mutant("WIR.9", character="Suspicious: refuses parameters it did not expect.")
class Suspicious(Server):
    async def store_method(self, family: str, method: str, params: dict[str, Any]) -> Any:
        if extra := set(params) - {*signature(family, method).takes, HANDLES[family]}:
            raise Misasked(INVALID_PARAMS, f"unexpected: {extra}")
        return await super().store_method(family, method, params)


@wire_mutant("WIR.9", character="Case-blind: knows a member by its letters, small or not.")
class CaseBlind(Server):
    async def store_method(self, family: str, method: str, params: dict[str, Any]) -> Any:
        folded = {
            name: {key.lower(): member for key, member in cast("dict[str, Any]", value).items()} if isinstance(value, dict) else value
            for name, value in params.items()
        }
        return await super().store_method(family, method, folded)


@wire_mutant("WIR.10", character="Double: carries every number as a double.")
class Double(Server):
    async def on_smoke(self, value: Any) -> Any:
        return _doubled(value.value)


def _doubled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _doubled(member) for key, member in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_doubled(member) for member in cast("list[Any]", value)]
    return int(float(value)) if type(value) is int else value


@wire_mutant("WIR.10", character="Terminated: ends text at the first NUL.")
class Terminated(Server):
    async def on_smoke(self, value: Any) -> Any:
        plain = value.value
        return plain.partition("\0")[0] if isinstance(plain, str) else plain


@wire_mutant("WIR.11", bounds=IMPATIENT, character="Overwhelmed: drops what arrives while it is busy.")
class Overwhelmed(Server):
    busy = False

    async def _answered(self, line: bytes) -> None:
        if not self.busy:
            self.busy = True
            await asyncio.sleep(0.01)
            await super()._answered(line)
            self.busy = False


# -- the life of a process


@wire_mutant("WIR.20", character="Eager: chooses the newest protocol on offer.")
class Eager(Server):
    async def on_initialize(self, protocols: list[int], **_: Any) -> Any:
        return await super().on_initialize(protocols) | {"protocol": max(protocols)}


@wire_mutant("WIR.20", character="Nameless: does not say who it is.")
class Nameless(Server):
    async def on_initialize(self, protocols: list[int], **_: Any) -> Any:
        return await super().on_initialize(protocols) | {"target": {"name": "", "version": ""}}


@wire_mutant("WIR.21", character="Yielding: speaks whatever protocol it is offered.")
class Yielding(Server):
    async def on_initialize(self, protocols: list[int], **_: Any) -> Any:
        return await super().on_initialize([1]) | {"protocol": protocols[0]}


@wire_mutant("WIR.22", bounds=IMPATIENT, character="Clinging: answers the shutdown and stays.")
class Clinging(Server):
    async def on_shutdown(self) -> None:
        return None


@wire_mutant("WIR.22", character="Sulking: ends with 1.")
class Sulking(Server):
    def put(self, message: dict[str, Any]) -> None:
        super().put(message)
        if self.leaving:
            os._exit(1)


@wire_mutant("WIR.23", bounds=IMPATIENT, character="Faithful: waits for a judge that is gone.")
class Faithful(Server):
    async def serve(self) -> None:
        await super().serve()
        await asyncio.sleep(3600)


@wire_mutant("WIR.24", character="Careless: leaves a worker behind.")
class Careless(Server):
    async def on_open(self, directory: str, now_ms: int, gone: list[str]) -> Any:
        worker = ["/bin/sleep", "3600"]
        null = asyncio.subprocess.DEVNULL
        await asyncio.create_subprocess_exec(*worker, stdin=null, stdout=null, stderr=null, start_new_session=True)
        return await super().on_open(directory, now_ms, gone)


# -- places


@wire_mutant("WIR.30", character="Ceremonious: opens only what somebody set up before.")
class Ceremonious(Server):
    async def on_open(self, directory: str, now_ms: int, gone: list[str]) -> Any:
        if not (Path(directory) / "lash.db").exists():
            raise Misasked(INVALID_PARAMS, "no database there; make one first")
        return await super().on_open(directory, now_ms, gone)


@wire_mutant("WIR.31", "WIR.34", character="Private: keeps every place in a directory of its own process.")
class Private(Server):
    async def on_open(self, directory: str, now_ms: int, gone: list[str]) -> Any:
        mine = Path(directory) / str(os.getpid())
        mine.mkdir(exist_ok=True)
        return await super().on_open(str(mine), now_ms, gone)


@wire_mutant("WIR.32", character="Common: has one place, whatever the directory.")
class Common(Server):
    first = ""

    async def on_open(self, directory: str, now_ms: int, gone: list[str]) -> Any:
        self.first = self.first or tempfile.mkdtemp(dir=Path(directory).parent)
        return await super().on_open(self.first, now_ms, gone)


@wire_mutant("WIR.32", character="Synchronous: moves the clocks of all places at once.")
class Synchronous(Server):
    async def on_clock_advance(self, place: str, now_ms: int) -> None:
        for handle in self.places:
            await super().on_clock_advance(handle, now_ms)


@wire_mutant("WIR.33", character="Retentive: serves the stores of a closed place.")
class Retentive(Server):
    async def on_close(self, place: str) -> None:
        if not self.leaving:
            return
        await super().on_close(place)


@wire_mutant("WIR.34", character="Remembering: answers what it listed before.")
class Remembering(Server):
    listed: Any = None

    async def store_method(self, family: str, method: str, params: dict[str, Any]) -> Any:
        if method == "enqueue_queued_work":
            self.listed = None
        if method == "list_queued_work":
            self.listed = self.listed or await super().store_method(family, method, params)
            return self.listed
        return await super().store_method(family, method, params)


@wire_mutant("WIR.35", character="Independent: takes the time at opening and no other.")
class Independent(Server):
    async def on_clock_advance(self, place: str, now_ms: int) -> None:
        return None


@wire_mutant("WIR.35", character="Relative: adds what it is told to what it had.")
class Relative(Server):
    async def on_clock_advance(self, place: str, now_ms: int) -> None:
        await super().on_clock_advance(place, self._place(place).ground.clock.now_ms() + now_ms)


@wire_mutant("WIR.36", character="Hopeful: believes in nobody's death.")
class Hopeful(Server):
    async def on_process_gone(self, place: str, process_id: str) -> None:
        return None


@wire_mutant("WIR.36", character="Forgetful: does not heed who was gone before it came.")
class ForgetsTheGone(Server):
    async def on_open(self, directory: str, now_ms: int, gone: list[str]) -> Any:
        return await super().on_open(directory, now_ms, [])


# -- outcomes


@wire_mutant("WIR.40", character="Vague: names the error and keeps its fields.")
class Vague(Server):
    def put(self, message: dict[str, Any]) -> None:
        fault = message.get("error", {})
        if fault.get("code") == REFUSED:
            fault["data"] = {"error": fault["data"]["error"], "fields": {}}
        super().put(message)


@wire_mutant("WIR.40", character="Wordy: says in its message what happened, and nothing else.")
class Wordy(Server):
    def put(self, message: dict[str, Any]) -> None:
        if message.get("error", {}).get("code") == REFUSED:
            message["error"] = {"code": -32000, "message": message["error"]["message"]}
        super().put(message)


@wire_mutant("WIR.41", character="Ashamed: reports a failure of what it does not offer.", lacking=True)
class Ashamed(Server):
    def put(self, message: dict[str, Any]) -> None:
        if message.get("error", {}).get("code") == 2:
            message["error"] = {"code": REFUSED, "message": "", "data": {"error": "Backend", "fields": {"message": "no"}}}
        super().put(message)


@wire_mutant("WIR.42", character="Wrapping: puts lists into an object.")
class Wrapping(Server):
    async def store_method(self, family: str, method: str, params: dict[str, Any]) -> Any:
        found = await super().store_method(family, method, params)
        return {"items": cast("Any", found)} if isinstance(found, list) else found


@wire_mutant("WIR.42", character="Textual: writes revisions as text.")
class Textual(Server):
    async def store_method(self, family: str, method: str, params: dict[str, Any]) -> Any:
        found = await super().store_method(family, method, params)
        return found | {"head_revision": str(found["head_revision"])} if method == "commit_runtime_state" else found


@wire_mutant("WIR.43", character="Numeric: writes bytes as a list of numbers.")
class Numeric(Server):
    async def store_method(self, family: str, method: str, params: dict[str, Any]) -> Any:
        found = await super().store_method(family, method, params)
        return list(base64.b64decode(found)) if family == "attachments" and method == "get" else found


@wire_mutant("WIR.43", character="Urban: writes base64 for addresses, without padding.")
class Urban(Server):
    async def store_method(self, family: str, method: str, params: dict[str, Any]) -> Any:
        found = await super().store_method(family, method, params)
        if family == "attachments" and method == "get":
            return base64.urlsafe_b64encode(base64.b64decode(found)).decode().rstrip("=")
        return found


if __name__ == "__main__":
    serve(store(lacking=sys.argv[2] == "lacking"), globals()[sys.argv[1]])
