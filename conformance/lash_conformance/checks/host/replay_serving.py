"""Replayers: that status, headers, pauses and pieces are the fixture's, and that nothing but the right request is answered."""

import asyncio
import hashlib
import json
import time
from typing import Any

import httpx

from lash_conformance.check import host_check
from lash_conformance.checks.host.replay import refused
from lash_conformance.host_bench import HostBench
from lash_conformance.replay_words import ASKED, BOUND_S, BYTES, ID, exchange, filed, says, serving

Data = dict[str, Any]


def answering(sent: bytes, **response: Any) -> Data:
    """An exchange whose reply is spelled so and is ``sent`` on the wire."""
    made = exchange()
    made["response"] = {"wire_sha256": hashlib.sha256(sent).hexdigest()} | response
    return made


@host_check("RPL.1", needs=("replay",))
async def a_fixture_in_another_folder_is_not_served(bench: HostBench) -> None:
    """Another dialect's or another mode's folder, and an id whose dialect is not the fixture's."""
    for under in ("gemini/stream/judged.json", "openai-chat/json/judged.json"):
        await refused(bench, under=under)
        (bench.directory / "fixtures" / under).unlink()
    await refused(bench, dialect="gemini")


@host_check("RPL.2", needs=("replay",))
async def every_reply_of_a_fixture_is_pinned(bench: HostBench) -> None:
    """A second reply whose bytes changed, and a reply that pins none."""
    changed = says("two")
    changed["response"]["frames"][0] = {"data": "too"}
    await refused(bench, says("one"), changed)
    unpinned = exchange()
    del unpinned["response"]["wire_sha256"]
    await refused(bench, unpinned)


@host_check("RPL.17", needs=("replay",))
async def a_strange_member_anywhere_is_refused(bench: HostBench) -> None:
    """In a frame, in a reply, in an exchange, in a request, in the provenance and in the host."""
    strange = exchange([{"data": "hi", "delay": 5}], b"data: hi\n\n")
    reply, request, whole = exchange(), exchange(), exchange()
    reply["response"]["trailers"] = []
    request["request"]["query"] = {}
    whole["times"] = 2
    for one in (strange, reply, request, whole):
        await refused(bench, one)
    await refused(bench, provenance={"kind": "synthetic", "source": "x", "model_version": "1"})
    await refused(bench, host={"modell": "m"})


@host_check("RPL.7", needs=("replay",))
async def line_ends_and_documents_are_the_fixture_s_too(bench: HostBench) -> None:
    """CRLF where the fixture says so, verbatim frames as they are, and a document compact in its own order."""
    crlf = b"event: a\r\ndata: hi\r\n\r\n: c\n\n"
    framed = answering(crlf, newline="crlf", frames=[{"event": "a", "data": "hi"}, {"raw": ": c\n\n"}])
    document = answering('{"b":1,"a":"é"}'.encode(), framing="length", json={"b": 1, "a": "é"})
    async with serving(bench, filed(bench, framed, document)) as asker:
        for chunking in ("frame", "byte", "whole", "seed:3"):
            _, url = await asker.begin(chunking)
            assert [(await asker.ask(url)).content for _ in range(2)] == [crlf, '{"b":1,"a":"é"}'.encode()]


@host_check("RPL.20", needs=("replay",))
async def status_and_headers_are_the_fixture_s(bench: HostBench) -> None:
    """A refusal's status, a header twice in its order, a length where the body has one, chunks where it has not."""
    headers = [["retry-after", "3"], ["x-many", "b"], ["x-many", "a"], ["content-type", "application/json"]]
    busy = answering(b"{}", status=429, headers=headers, framing="length", json={})
    made = answering(b"data: hi\n\n", status=201, headers=[["request-id", "r1"]], frames=[{"data": "hi"}])
    async with serving(bench, filed(bench, busy, made)) as asker:
        _, url = await asker.begin()
        first, second = await asker.ask(url), await asker.ask(url)

    assert (first.status_code, second.status_code) == (429, 201)
    assert (first.headers.get("retry-after"), first.headers.get_list("x-many")) == ("3", ["b", "a"])
    assert (first.headers.get("content-length"), first.headers.get("content-type")) == ("2", "application/json")
    assert (second.headers.get("request-id"), second.headers.get("transfer-encoding")) == ("r1", "chunked")


@host_check("RPL.21", needs=("replay",))
async def a_body_is_cut_as_the_run_asks(bench: HostBench) -> None:
    """By byte each chunk is one byte, by frame it is a frame, whole it is one."""
    frames = ['event: a\ndata: {"b":1,"a":"é"}\n\n'.encode(), b": c\n\n", "é".encode(), b"data: [DONE]\n\n"]
    wanted = {"byte": [bytes([byte]) for byte in BYTES], "frame": frames, "whole": [BYTES]}
    async with serving(bench, filed(bench)) as asker:
        for chunking, pieces in wanted.items():
            _, url = await asker.begin(chunking)
            async with asker.client.stream("POST", f"{url}/chat/completions", json=ASKED) as reply:
                assert [piece async for piece in reply.aiter_raw()] == pieces


@host_check("RPL.24", needs=("replay",))
async def a_pause_is_kept_and_never_long(bench: HostBench) -> None:
    """Twenty pauses of 40 ms take that long; pauses of an hour, which nobody waits for, end all the same."""
    for pause_ms, least_s in ((40, 0.79), (3_600_000, 0.0)):
        frames: list[Data] = [{"data": "a"}, *[{"delay_ms": pause_ms}] * 20, {"data": "b"}]
        async with serving(bench, filed(bench, exchange(frames, b"data: a\n\ndata: b\n\n"))) as asker:
            _, url = await asker.begin()
            began, found = time.monotonic(), b""
            try:
                found = (await asker.ask(url)).content
            except httpx.ReadTimeout:
                found = b"nothing within the bound"

            assert found == b"data: a\n\ndata: b\n\n"
            assert time.monotonic() - began >= least_s, "the pauses are kept"


@host_check("RPL.9", needs=("replay",))
async def a_connection_may_end_before_any_reply(bench: HostBench) -> None:
    """Refused, the connection ends without a header; silent, it stays open without one."""
    for before, wanted in (("refuse", (httpx.ReadError, httpx.RemoteProtocolError)), ("hang", (httpx.ReadTimeout,))):
        async with serving(bench, filed(bench, answering(b"", before=before))) as asker:
            _, url = await asker.begin()
            found: Exception | None = None
            try:
                await asker.ask(url, timeout=httpx.Timeout(BOUND_S, read=1.0 if before == "hang" else BOUND_S))
            except httpx.TransportError as err:
                found = err

            assert isinstance(found, wanted), f"{before}: {wanted} expected, found {found!r}"


@host_check("RPL.3", needs=("replay",))
async def the_second_exchange_waits_for_the_first(bench: HostBench) -> None:
    """What the second exchange expects is refused while the first was not asked for, and answered behind it."""
    second = exchange([{"data": "two"}], b"data: two\n\n", body={"/model": {"equals": "n"}})
    async with serving(bench, filed(bench, exchange(body={"/model": {"equals": "m"}}), second)) as asker:
        _, url = await asker.begin()
        replies = [await asker.ask(url, {"model": model}) for model in ("n", "m", "n")]

    assert [reply.status_code for reply in replies] == [422, 200, 200]
    assert replies[2].content == b"data: two\n\n"


@host_check("RPL.4", needs=("replay",))
async def every_matcher_refuses_what_it_does_not_match(bench: HostBench) -> None:
    """Each kind of matcher on the body and on a header, deep pointers, forms, and a path that is a pattern."""
    folder = filed(bench, exchange(
        path="^/v1/(chat|text)/completions$", headers={"x-kind": {"matches": "^a.c$"}},
        body={
            "/a": {"equals": 1}, "/b": {"contains": "ell"}, "/c": {"matches": "^w.r"}, "/d": {"min_len": 2}, "/e": {"any_of": [1, 2]},
            "/f": {"present": True}, "/g": {"present": False}, "/h/1/x~1y": {"equals": "deep"}, "/i|/j": {"equals": 5},
        },
    ))  # fmt: skip
    good: Data = {"a": 1, "b": "hello", "c": "word", "d": [1, 2], "e": 2, "f": 0, "h": [0, {"x/y": "deep"}], "j": 5}
    wrong: list[Data] = [
        {"a": "1"}, {"b": "hullo"}, {"c": "sword"}, {"d": [1]}, {"e": 3}, {"f": None}, {"g": 1}, {"h": [{"x/y": "deep"}]}, {"j": 6},
        {"i": 4},
    ]  # fmt: skip
    kind = {"x-kind": "abc"}
    async with serving(bench, folder) as asker:
        _, url = await asker.begin()
        found = [(await asker.ask(url, good | one, headers=kind)).status_code for one in wrong]
        found.append((await asker.ask(url, good, headers={"x-kind": "abd"})).status_code)
        found.append((await asker.client.post(f"{url}/chat/completions/x", json=good, headers=kind)).status_code)
        right = await asker.ask(url, good, headers=kind)

    assert found == [422] * (len(wrong) + 2)
    assert right.status_code == 200


@host_check("RPL.18", needs=("replay",))
async def a_form_s_fields_are_compared_like_members(bench: HostBench) -> None:
    """A token request is a form; the field that differs refuses it, fields that are not named do not."""
    folder = filed(bench, exchange(body={"/grant_type": {"equals": "refresh_token"}}))
    async with serving(bench, folder) as asker:
        _, url = await asker.begin()
        replies = [
            await asker.client.post(f"{url}/chat/completions", data={"grant_type": grant, "client_id": "c"})
            for grant in ("password", "refresh_token")
        ]

    assert [reply.status_code for reply in replies] == [422, 200]


@host_check("RPL.8", needs=("replay",))
async def a_gate_stays_open_and_holds_its_own_run_only(bench: HostBench) -> None:
    """Opened before anybody comes, it lets pass; the same gate of another run still holds, and holds nobody else up."""
    sent = b"data: before\n\ndata: behind\n\n"
    folder = filed(bench, exchange([{"data": "before"}, {"gate": "g"}, {"data": "behind"}], sent))
    async with serving(bench, folder) as asker:
        run, url = await asker.begin()
        await asker.client.post(f"{asker.root}/_replay/runs/{run}/gates/g")
        _, other = await asker.begin()
        async with asker.client.stream("POST", f"{other}/chat/completions", json=ASKED) as held:
            chunks = held.aiter_raw()
            assert b"before" in await asyncio.wait_for(anext(chunks), BOUND_S)
            early = await asyncio.wait_for(asker.ask(url), BOUND_S)
            more = asyncio.ensure_future(anext(chunks))
            await asyncio.wait([more], timeout=0.2)
            closed = not more.done()
            more.cancel()
            await asyncio.gather(more, return_exceptions=True)

    assert early.content == sent
    assert closed, "nothing from behind the other run's gate"


@host_check("RPL.6", needs=("replay",))
async def a_report_holds_every_request(bench: HostBench) -> None:
    """In their order, the wrong one too."""
    async with serving(bench, filed(bench, says("one"), says("two"))) as asker:
        run, url = await asker.begin()
        for body in (ASKED, {"stream": False}, ASKED | {"n": 2}):
            await asker.ask(url, body)
        report = await asker.report(run)

    assert [request["body"] for request in report["requests"]] == [ASKED, {"stream": False}, ASKED | {"n": 2}]
    assert (report["fixture"], report["clean"], report["unused"]) == (ID, False, 0)
    assert json.dumps(report["mismatches"]) != "[]"
