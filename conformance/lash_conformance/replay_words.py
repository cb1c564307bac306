"""The words replay checks are written in: fixture files as plain JSON, requests, and a provider of one reply.

Fixtures are written here as any language would write them, and what they must come to on the wire is spelled out.
"""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx

from lash_conformance.host import Data
from lash_conformance.host_bench import HostBench
from lash_conformance.replays import Replays

BOUND_S = 20.0
PATIENCE_S = 3.0
ID = "openai-chat.stream.judged"
ASKED: Data = {"model": "m", "stream": True}
FRAMES: list[Data] = [
    {"event": "a", "data": {"b": 1, "a": "é"}},
    {"raw": ": c\n\n"},
    {"b64": "w6k="},
    {"data": "[DONE]"},
]
BYTES = 'event: a\ndata: {"b":1,"a":"é"}\n\n: c\n\nédata: [DONE]\n\n'.encode()
"""What `FRAMES` are on the wire, by hand."""


def replays(bench: HostBench) -> Replays:
    """The target as one that replays and records."""
    return cast("Replays", bench.target)


def exchange(
    frames: Sequence[Data] = FRAMES, sent: bytes = BYTES, *, end: str = "eof", body: Data | None = None, **request: Any
) -> Data:
    """An exchange whose reply's frames are ``sent`` on the wire."""
    return {
        "request": {"path": "/v1/chat/completions", "body": body or {"/stream": {"equals": True}}} | request,
        "response": {
            "headers": [["content-type", "text/event-stream"]],
            "frames": [*frames, {"end": end}],
            "wire_sha256": hashlib.sha256(sent).hexdigest(),
        },
    }


def says(word: str) -> Data:
    """An exchange that answers one word."""
    return exchange([{"data": word}], f"data: {word}\n\n".encode())


def filed(bench: HostBench, *exchanges: Data, under: str = "openai-chat/stream/judged.json", **parts: Any) -> Path:
    """The folder of one fixture file."""
    folder = bench.directory / "fixtures"
    path = folder / under
    path.parent.mkdir(parents=True, exist_ok=True)
    provenance = {"kind": "synthetic", "source": "written by the judge"}
    written: Data = {
        "schema": "lash.provider-fixture/1", "id": ID, "dialect": "openai-chat", "covers": [], "proves": "It is sent.",
        "provenance": provenance, "exchanges": list(exchanges) or [exchange()], "calls": [],
    }  # fmt: skip
    path.write_text(json.dumps(written | parts), encoding="utf-8")
    return folder


class Asker:
    """A client of a replayer."""

    def __init__(self, root: str, client: httpx.AsyncClient) -> None:
        self.root = root
        self.client = client

    async def begin(self, chunking: str = "frame") -> tuple[str, str]:
        """A run's name and base URL."""
        reply = await self.client.post(f"{self.root}/_replay/runs", json={"fixture": ID, "chunking": chunking})
        assert reply.status_code == 200
        begun = reply.json()
        return begun["run"], begun["base_url"]

    async def ask(self, base_url: str, body: Data = ASKED, **parts: Any) -> httpx.Response:
        """One request as the fixture expects it, unless told otherwise."""
        return await self.client.post(f"{base_url}/chat/completions", json=body, **parts)

    async def report(self, run: str) -> Data:
        """How the run stands."""
        return cast("Data", (await self.client.get(f"{self.root}/_replay/runs/{run}")).json())


@asynccontextmanager
async def serving(bench: HostBench, folder: Path) -> AsyncGenerator[Asker]:
    """The target's replayer over ``folder``, and a client of it."""
    made = replays(bench).replayer(folder)
    root = await asyncio.to_thread(made.__enter__)
    try:
        async with httpx.AsyncClient(timeout=BOUND_S) as client:
            yield Asker(root, client)
    finally:
        await asyncio.to_thread(made.__exit__, None, None, None)


Say = Callable[[bytes], Awaitable[None]]


@asynccontextmanager
async def provider(
    answer: Callable[[Say], Awaitable[None]], headers: Sequence[str] = (), *, status: str = "200 OK",
    kind: str = "text/event-stream", cut: bool = False, heard: list[bytes] | None = None,
) -> AsyncGenerator[str]:  # fmt: skip
    """A provider that answers every request so; gives its URL. Nothing of the target or the judge's replayer is in it.

    It closes inside the body where it is to ``cut``, and puts what it was asked into ``heard``.
    """
    answering: set[asyncio.Task[Any]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        answering.add(task)
        asked = await reader.readuntil(b"\r\n\r\n")
        head = asked.decode("latin-1").lower()
        length = next((int(line.partition(":")[2]) for line in head.splitlines() if line.startswith("content-length")), 0)
        asked += await reader.readexactly(length)
        if heard is not None:
            heard.append(asked)
        lines = [f"HTTP/1.1 {status}", f"content-type: {kind}", *headers, "connection: close", "transfer-encoding: chunked"]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

        async def say(piece: bytes) -> None:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()

        try:
            await answer(say)
            writer.write(b"" if cut else b"0\r\n\r\n")
            await writer.drain()
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in answering:
            task.cancel()
        await asyncio.gather(*answering, return_exceptions=True)


async def patiently(event: asyncio.Event) -> None:
    """Wait for ``event``, but not for a target that will never let it come."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), PATIENCE_S)


@asynccontextmanager
async def recording(
    bench: HostBench, upstream: str, out: Path, markers: Sequence[str] = ()
) -> AsyncGenerator[tuple[str, httpx.AsyncClient]]:
    """The target's recorder before ``upstream``, and a client of it; what is left in ``out`` is read after leaving."""
    out.mkdir(exist_ok=True)
    made = replays(bench).recorder(upstream, out, markers)
    root = await asyncio.to_thread(made.__enter__)
    try:
        async with httpx.AsyncClient(timeout=BOUND_S) as client:
            yield root, client
    finally:
        await asyncio.to_thread(made.__exit__, None, None, None)


def captured(out: Path) -> Data:
    """The one exchange that was kept."""
    kept = sorted(out.glob("*.capture.json"))
    assert len(kept) == 1, f"one capture expected, found {[path.name for path in kept]}"
    document = json.loads(kept[0].read_text(encoding="utf-8"))
    assert document["schema"] == "lash.provider-capture/1"
    return cast("Data", document["exchange"])


async def replayed(bench: HostBench, kept: Data, body: bytes) -> bytes:
    """What a replayer answers of a fixture made of the capture ``kept``, whose reply was ``body``."""
    kept["request"] = {"path": "/v1/chat/completions"}
    kept["response"]["wire_sha256"] = hashlib.sha256(body).hexdigest()
    async with serving(bench, filed(bench, kept)) as asker:
        return (await asker.ask(f"{asker.root}/r/again/{ID}/v1")).content


async def recorded(
    bench: HostBench,
    answer: Callable[[Say], Awaitable[None]],
    markers: Sequence[str] = (),
    *,
    said: Sequence[str] = (),
    json: Data = ASKED,
    headers: dict[str, str] | None = None,
) -> Path:
    """Record one exchange in full, the provider saying these headers too; the folder of what was kept."""
    out = bench.directory / "captures"
    async with (
        provider(answer, said) as upstream,
        recording(bench, upstream, out, markers) as (root, client),
    ):
        reply = await client.post(f"{root}/v1/chat/completions", json=json, headers=headers)
        assert reply.status_code == 200
    return out


def saying(*pieces: bytes) -> Callable[[Say], Awaitable[None]]:
    """An answer of these pieces, each a network chunk."""

    async def answer(say: Say) -> None:
        for piece in pieces:
            await say(piece)

    return answer


def left(out: Path) -> str:
    """All that stands in files under ``out``, names included."""
    return "\n".join(f"{path.name}\n{path.read_bytes()!r}\n{path.read_text('utf-8', 'replace')}" for path in out.rglob("*") if path.is_file())
