"""The official SDKs as clients of the replayer: what each makes of each fixture that a client can judge.

A client sends what our dialect writes and must come to the text and the calls that the fixture expects, or raise
its own typed error; its retries are off. Clients do not normalise, so reasons, usage and records are not compared.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

from rich.table import Table

from lash_conformance.fixture import DIALECTS, Fixture, compact, fixtures
from lash_conformance.provider_calls import AUTHORIZATION, REFERENCE, requested
from lash_conformance.replay_server import ReplayServer
from lash_conformance.sdk_clients import Said, Sdk, arguments, python_sdk
from lash_conformance.sdk_node import NodeSdks
from lash_ref.dialect import Endpoint
from lash_ref.provider import LlmRequest, LlmResponse

Data = dict[str, Any]
CellVerdict = Literal["agrees", "raises as it should", "differs", "not judged", "absent"]


@dataclass(frozen=True)
class Cell:
    """One client on one fixture; an absent client has one cell, on no fixture."""

    client: str
    fixture: str
    verdict: CellVerdict
    detail: str = ""


EXCEPTIONS: Final[dict[tuple[str, str], str]] = {
    ("node", "gemini.error.in-band-503"): "the client raises an untyped error at bare lines of JSON",
}
"""By language and fixture, why one client cannot judge what another can."""


def matrix() -> Iterator[Cell]:
    """Every client on every fixture of its dialect; of one that is not installed, why not."""
    server = ReplayServer(hang_s=1.0).start()
    try:
        with NodeSdks() as node:
            for dialect in DIALECTS:
                for sdk in (python_sdk(dialect), node.clients[dialect]):
                    if sdk.absent:
                        yield Cell(sdk.name, "", "absent", sdk.absent)
                        continue
                    for made in fixtures().values():
                        if made.dialect == dialect:
                            yield cell(sdk, made, server)
    finally:
        server.stop()


def table(cells: Sequence[Cell]) -> Table:
    """The matrix for a terminal."""
    rows = Table(title="official clients on the replayer", title_justify="left")
    for column in ("client", "fixture", "verdict", "detail"):
        rows.add_column(column, overflow="fold")
    for one in cells:
        rows.add_row(one.client, one.fixture, one.verdict, one.detail)
    return rows


def save(cells: Sequence[Cell], path: Path) -> None:
    """The matrix as JSON, a cell a line; each that was not judged says why."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = ",\n".join(f"  {compact(asdict(one))}" for one in cells)
    path.write_text(f'{{"schema": "lash.sdk-matrix/1", "cells": [\n{rows}\n]}}\n', encoding="utf-8")


def exception(sdk: Sdk, made: Fixture) -> str:
    """Why the client cannot judge the fixture; empty when it can."""
    if made.sdk == "not-judged":
        return made.sdk_note
    return EXCEPTIONS.get((sdk.name.partition(" ")[0], made.id), "")


def cell(sdk: Sdk, made: Fixture, server: ReplayServer) -> Cell:
    """One client on one fixture."""
    if reason := exception(sdk, made):
        return Cell(sdk.name, made.id, "not judged", reason)
    url, replay = server.begin(made)
    before: LlmRequest | None = None
    answer: LlmResponse | None = None
    raised = 0
    for number, call in enumerate(made.calls):
        request = requested(made, call.request, number, before, answer)
        expected = cast("Data | None", call.expect.get("response"))
        try:
            said, failed = _answered(sdk, made, request, url, expected)
        except Exception as err:
            return Cell(sdk.name, made.id, "differs", f"an error that is not its own: {type(err).__name__}: {err}")
        raised += failed
        if replay.mismatches:
            return Cell(sdk.name, made.id, "differs", f"its request: {replay.mismatches[0]}")
        if expected is not None:
            wanted = _wanted(expected)
            if said != wanted:
                return Cell(sdk.name, made.id, "differs", f"expected {wanted}, found {said}")
            answer = LlmResponse.from_data({"parts": expected["parts"]})
        before = request
    if made.sdk == "raises" and not raised:
        return Cell(sdk.name, made.id, "differs", "its own typed error expected, found none")
    if replay.unused:
        return Cell(sdk.name, made.id, "differs", f"{replay.unused} exchange(s) were never asked for")
    return Cell(sdk.name, made.id, "raises as it should" if made.sdk == "raises" else "agrees")


def _answered(
    sdk: Sdk, made: Fixture, request: LlmRequest, url: str, expected: Data | None
) -> tuple[Said | None, int]:
    """What the client makes of a call, asked again while it raises and exchanges are left; and how often it raised."""
    dialect = REFERENCE[made.dialect]
    endpoint = Endpoint.from_data({"base_url": url, "headers": AUTHORIZATION[made.dialect]} | made.host.options)
    body = dialect.write(request, endpoint).body
    tries = len(made.exchanges)
    raised = 0
    for _ in range(tries):
        try:
            return sdk.ask(url, body, endpoint.streaming), raised
        except Exception as err:
            if not sdk.owns(err):
                raise
            raised += 1
            if expected is None and raised == tries:
                break
    return None, raised


def _wanted(expected: Data) -> Said:
    parts = cast("list[Data]", expected["parts"])
    return Said(
        "".join(part["text"] for part in parts if part["type"] == "text"),
        tuple((part["tool_name"], arguments(part["input_json"])) for part in parts if part["type"] == "tool_call"),
    )
