# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# the SDKs leave parts of their own types open
"""How fast a stream is read: our dialects beside the official SDKs, the same bytes from memory in the same run.

Each side reads through its own client with a transport that answers from memory, so no socket and no server is
measured. A side's number is the best of its rounds, and rounds of the two alternate.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import httpx
from rich.table import Table

from lash_conformance.fixture import BASE, Fixture, Frame, compact, fixtures
from lash_conformance.provider_calls import AUTHORIZATION, REFERENCE, requested
from lash_conformance.sdk_clients import named
from lash_conformance.target import VirtualClock
from lash_ref.dialect import Endpoint
from lash_ref.http_provider import HttpProvider
from lash_ref.provider import LlmStreamEvent

STREAMS = {
    "anthropic-messages": "anthropic-messages.stream.text",
    "openai-chat": "openai-chat.stream.text-usage-tail",
    "openai-responses": "openai-responses.stream.text-phases",
    "gemini": "gemini.stream.text-repeated",
}
CHUNK = 16 * 1024
HEADERS = {"content-type": "text/event-stream"}


@dataclass(frozen=True)
class Speed:
    """One reader on one dialect."""

    dialect: str
    reader: str
    bytes: int
    events: int
    seconds: float

    @property
    def mb_per_s(self) -> float:
        """Megabytes (10^6 bytes) a second."""
        return self.bytes / self.seconds / 1e6

    @property
    def events_per_s(self) -> float:
        """Frames of the stream a second."""
        return self.events / self.seconds


def long_stream(made: Fixture, deltas: int) -> tuple[bytes, int]:
    """The fixture's first reply with its first text delta told ``deltas`` times, and how many frames that is."""
    response = made.exchanges[0].response
    frames = [frame for frame in response.frames if frame.end is None]
    place = next(n for n, frame in enumerate(frames) if _tells_text(frame))
    frames[place : place + 1] = [frames[place]] * deltas
    return b"".join(frame.bytes("\n") for frame in frames), len(frames)


def _tells_text(frame: Frame) -> bool:
    text = compact(frame.data)
    return any(mark in text for mark in ('"text_delta"', '"content":"H', '"response.output_text.delta"', '"text":"ha"'))


def _chunks(body: bytes) -> Iterator[bytes]:
    return (body[i : i + CHUNK] for i in range(0, len(body), CHUNK))


class _Body(httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self.body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in _chunks(self.body):
            yield chunk


def ours(made: Fixture, body: bytes) -> None:
    """Our reading, to the finished answer."""

    async def read() -> None:
        transport = httpx.MockTransport(lambda _: httpx.Response(200, headers=HEADERS, stream=_Body(body)))
        base = f"http://memory.invalid{BASE[made.dialect]}"
        endpoint = Endpoint.from_data({"base_url": base, "headers": AUTHORIZATION[made.dialect]})
        async with httpx.AsyncClient(transport=transport) as client:
            provider = HttpProvider(REFERENCE[made.dialect], endpoint, VirtualClock(), client)

            async def told(event: LlmStreamEvent) -> None:
                """A host that listens."""

            await provider.complete(requested(made, made.calls[0].request, 0, None, None), told)

    asyncio.run(read())


def official(made: Fixture, body: bytes) -> None:
    """The official SDK, every event of the stream."""
    import httpx2

    class Memory(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            return _chunks(body)

    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=HEADERS, stream=Memory()))
    client = httpx2.Client(transport=transport)
    url = f"http://memory.invalid{BASE[made.dialect]}"
    endpoint = Endpoint.from_data({"base_url": url, "headers": AUTHORIZATION[made.dialect]})
    request = requested(made, made.calls[0].request, 0, None, None)
    asked = REFERENCE[made.dialect].write(request, endpoint).body
    for _ in _stream(made.dialect, url, client, asked):
        pass


def _stream(dialect: str, url: str, client: Any, body: dict[str, Any]) -> Any:
    match dialect:
        case "anthropic-messages":
            from anthropic import Anthropic

            return cast("Any", Anthropic(base_url=url, api_key="fixture", http_client=client)).messages.create(**body)
        case "gemini":
            from google import genai

            options: Any = {"base_url": "http://memory.invalid", "api_version": "v1beta", "httpx_client": client}
            held = genai.Client(api_key="fixture", http_options=options)
            return _held(held, held.models.generate_content_stream(model="m", contents=body["contents"]))
        case _:
            from openai import OpenAI

            made: Any = OpenAI(base_url=url, api_key="fixture", http_client=client)
            return (made.chat.completions if dialect == "openai-chat" else made.responses).create(**body)


def _held(client: Any, stream: Any) -> Iterator[Any]:
    """The stream, its client kept alive as long."""
    yield from stream
    client.close()


def measure(deltas: int = 20_000, rounds: int = 3) -> list[Speed]:
    """Both readers on every dialect whose SDK is installed."""
    found: list[Speed] = []
    for dialect, name in STREAMS.items():
        made = fixtures()[name]
        body, events = long_stream(made, deltas)
        readers: dict[str, Callable[[Fixture, bytes], None]] = {"lash-ref": ours}
        if named(dialect):
            readers[named(dialect)] = official
        best = dict.fromkeys(readers, float("inf"))
        for _ in range(rounds):
            for reader, read in readers.items():
                started = time.process_time()
                read(made, body)
                best[reader] = min(best[reader], time.process_time() - started)
        found += [Speed(dialect, reader, len(body), events, max(seconds, 1e-9)) for reader, seconds in best.items()]
    return found


def table(speeds: list[Speed]) -> Table:
    """The numbers for a terminal."""
    rows = Table(title="reading a stream from memory (processor time)", title_justify="left")
    for column in ("dialect", "reader", "MB/s", "events/s"):
        rows.add_column(column, justify="left" if column in {"dialect", "reader"} else "right")
    for speed in speeds:
        rows.add_row(speed.dialect, speed.reader, f"{speed.mb_per_s:.1f}", f"{speed.events_per_s:,.0f}")
    return rows


def plot(speeds: list[Speed]) -> str:
    """A bar a reader, as a page of its own."""
    top = max(speed.events_per_s for speed in speeds)
    bars = "".join(
        f'<text x="0" y="{n * 26 + 17}">{speed.dialect} · {speed.reader}</text>'
        f'<rect x="330" y="{n * 26 + 4}" width="{speed.events_per_s / top * 400:.0f}" height="18" '
        f'fill="{"#2a6" if speed.reader == "lash-ref" else "#999"}"/>'
        f'<text x="{335 + speed.events_per_s / top * 400:.0f}" y="{n * 26 + 17}">{speed.events_per_s:,.0f}/s</text>'
        for n, speed in enumerate(speeds)
    )
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="860" height="{len(speeds) * 26 + 8}" font-family="sans-serif" font-size="13">{bars}</svg>\n'


def save(speeds: list[Speed], folder: Path) -> None:
    """Write ``providers.json`` and ``providers.svg``."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [asdict(speed) | {"mb_per_s": speed.mb_per_s, "events_per_s": speed.events_per_s} for speed in speeds]
    document = {"schema": "lash.provider-bench/1", "speeds": rows}
    (folder / "providers.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    (folder / "providers.svg").write_text(plot(speeds), encoding="utf-8")
