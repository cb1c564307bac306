"""Replayers: what they refuse to serve, what they send, and what they say of a run."""

import asyncio
from typing import Any

import httpx

from lash_conformance.check import host_check
from lash_conformance.host_bench import HostBench
from lash_conformance.replay_words import ASKED, BOUND_S, BYTES, ID, exchange, filed, replays, says, serving
from lash_conformance.vocabulary import Unexpected
from lash_ref.errors import LashError

LIVE = {"kind": "captured_live", "source": "/v1/chat/completions"}
WHEN = "2026-11-01T00:00:00+00:00"


async def refused(bench: HostBench, *exchanges: dict[str, Any], **parts: Any) -> None:
    """The target serves nothing when the file of these exchanges is among its fixtures."""
    folder = filed(bench, *exchanges, **parts)
    made = replays(bench).replayer(folder)
    try:
        await asyncio.to_thread(made.__enter__)
    except LashError as err:
        assert err.code == "FixtureFault"
        return
    await asyncio.to_thread(made.__exit__, None, None, None)
    raise Unexpected("FixtureFault", "the folder is served")


@host_check("RPL.1", needs=("replay",))
async def a_fixture_under_another_name_is_not_served(bench: HostBench) -> None:
    """A file whose path is not its id's is refused before anything is served."""
    await refused(bench, under="openai-chat/stream/other.json")


@host_check("RPL.2", needs=("replay",))
async def a_fixture_whose_bytes_changed_is_not_served(bench: HostBench) -> None:
    """One letter of a frame differs from what the hash pins."""
    await refused(bench, exchange([{"data": "hallo"}], b"data: hello\n\n"))


@host_check("RPL.17", needs=("replay",))
async def a_fixture_of_another_form_is_not_served(bench: HostBench) -> None:
    """An unknown member, an unknown matcher, an unknown end and a missing dialect are refused."""
    await refused(bench, exchange(), extra=1)
    await refused(bench, exchange(body={"/stream": {"equal": True}}))
    await refused(bench, exchange(end="soon"))
    await refused(bench, exchange(), dialect=None)


@host_check("RPL.16", needs=("replay",))
async def a_fixture_that_lies_about_its_source_is_not_served(bench: HostBench) -> None:
    """Captured live needs time and review; a time needs captured live; the honest one is served."""
    await refused(bench, provenance=LIVE | {"redaction": "reviewed"})
    await refused(bench, provenance=LIVE | {"captured_at": WHEN})
    await refused(bench, provenance={"kind": "synthetic", "source": "x", "captured_at": WHEN})
    folder = filed(bench, provenance=LIVE | {"captured_at": WHEN, "redaction": "reviewed"})
    async with serving(bench, folder) as asker:
        _, url = await asker.begin()

        assert (await asker.ask(url)).status_code == 200


@host_check("RPL.7", needs=("replay",))
async def the_bytes_are_the_fixture_s_whatever_the_chunks(bench: HostBench) -> None:
    """By frame, by byte, whole and at random cuts, the body is the one the frames spell."""
    async with serving(bench, filed(bench)) as asker:
        for chunking in ("frame", "byte", "whole", "seed:1", "seed:2"):
            _, url = await asker.begin(chunking)

            assert (await asker.ask(url)).content == BYTES


@host_check("RPL.8", needs=("replay",))
async def a_gate_holds_the_rest_back(bench: HostBench) -> None:
    """What stands before a gate comes, what stands behind it comes once the gate is open."""
    sent = b"data: before\n\ndata: behind\n\n"
    folder = filed(bench, exchange([{"data": "before"}, {"gate": "g"}, {"data": "behind"}], sent))
    async with serving(bench, folder) as asker:
        run, url = await asker.begin()
        seen = b""
        async with asker.client.stream("POST", f"{url}/chat/completions", json=ASKED) as reply:
            chunks = reply.aiter_raw()
            while b"before" not in seen:
                seen += await asyncio.wait_for(anext(chunks), BOUND_S)
            more = asyncio.ensure_future(anext(chunks))
            await asyncio.wait([more], timeout=0.3)
            assert not more.done(), "nothing from behind the gate"
            opened = await asker.client.post(f"{asker.root}/_replay/runs/{run}/gates/g")
            seen += await asyncio.wait_for(more, BOUND_S)
            async for chunk in chunks:
                seen += chunk

    assert opened.status_code == 200
    assert seen == sent


ENDS = {"eof": None, "cut": httpx.RemoteProtocolError, "reset": httpx.ReadError, "hang": httpx.ReadTimeout}


@host_check("RPL.9", needs=("replay",))
async def a_reply_ends_as_the_fixture_says(bench: HostBench) -> None:
    """A clean end, a cut, a reset and a silence are what a client sees of them."""
    for end, wanted in ENDS.items():
        async with serving(bench, filed(bench, exchange(end=end))) as asker:
            _, url = await asker.begin()
            patience = httpx.Timeout(BOUND_S, read=1.5 if end == "hang" else BOUND_S)
            found: type[Exception] | None = None
            try:
                async with asker.client.stream("POST", f"{url}/chat/completions", json=ASKED, timeout=patience) as reply:
                    async for _ in reply.aiter_raw():
                        pass
            except httpx.TransportError as err:
                found = type(err)

            assert found is wanted, f"{end}: {wanted} expected, found {found}"


@host_check("RPL.3", needs=("replay",))
async def exchanges_answer_in_order_and_once(bench: HostBench) -> None:
    """Two equal requests get the first and the second reply; a third gets none."""
    async with serving(bench, filed(bench, says("one"), says("two"))) as asker:
        _, url = await asker.begin()
        replies = [await asker.ask(url) for _ in range(3)]

    assert [reply.status_code for reply in replies] == [200, 200, 422]
    assert [reply.content for reply in replies[:2]] == [b"data: one\n\n", b"data: two\n\n"]


@host_check("RPL.4", needs=("replay",))
async def a_request_that_differs_is_refused_and_the_exchange_kept(bench: HostBench) -> None:
    """Another path, another method, another body, a missing header and no JSON at all: 422, then the right one is answered."""
    needed = {"any_of": [["authorization"], ["x-api-key"]]}
    async with serving(bench, filed(bench, exchange(headers=needed))) as asker:
        _, url = await asker.begin()
        key = {"authorization": "Bearer fixture"}
        wrong = [
            await asker.client.post(f"{url}/completions", json=ASKED, headers=key),
            await asker.client.get(f"{url}/chat/completions", headers=key),
            await asker.ask(url, {"stream": False}, headers=key),
            await asker.ask(url),
            await asker.client.post(f"{url}/chat/completions", content=b"{", headers=key),
        ]
        right = await asker.ask(url, headers=key)

    assert [reply.status_code for reply in wrong] == [422] * 5
    assert [reply.headers.get("x-lash-replay") for reply in wrong] == ["mismatch"] * 5
    assert right.content == BYTES


@host_check("RPL.18", needs=("replay",))
async def what_the_fixture_does_not_name_is_not_compared(bench: HostBench) -> None:
    """More members, more headers, a query and other cases of a header's name change nothing."""
    asked = exchange(
        headers={"x-kind": {"equals": "a"}},
        body={"/stream": {"equals": True}, "/messages": {"min_len": 1}, "/model|/name": {"any_of": ["m", "n"]}, "/top": {"present": False}},
    )
    async with serving(bench, filed(bench, asked)) as asker:
        run, url = await asker.begin()
        body = {"stream": True, "messages": ["hi"], "name": "m", "user": "u-1"}
        reply = await asker.client.post(
            f"{url}/chat/completions?v=1", json=body, headers={"X-KIND": "a", "x-session": "s"}
        )
        report = await asker.report(run)

    assert reply.status_code == 200
    assert report["clean"] is True


@host_check("RPL.6", needs=("replay",))
async def a_run_is_clean_only_when_all_was_asked_as_expected(bench: HostBench) -> None:
    """Not with an exchange unused, not after a request that differed, not after one too many."""
    async with serving(bench, filed(bench)) as asker:
        run, url = await asker.begin()
        unused = await asker.report(run)
        await asker.ask(url)
        clean = await asker.report(run)
        await asker.ask(url)
        extra = await asker.report(run)
        other, url = await asker.begin()
        await asker.ask(url, {"stream": False})
        await asker.ask(url)
        differed = await asker.report(other)

    assert (unused["clean"], unused["unused"], unused["mismatches"]) == (False, 1, [])
    assert (clean["clean"], clean["unused"], clean["mismatches"]) == (True, 0, [])
    assert (extra["clean"], extra["unused"], len(extra["mismatches"])) == (False, 0, 1)
    assert (differed["clean"], differed["unused"], len(differed["mismatches"])) == (False, 0, 1)


@host_check("RPL.5", needs=("replay",))
async def runs_are_chosen_and_told_over_http(bench: HostBench) -> None:
    """Fixtures are listed, a base URL alone begins a run, its report holds the request, and unknown names are 404."""
    async with serving(bench, filed(bench)) as asker:
        listed = (await asker.client.get(f"{asker.root}/_replay/fixtures")).json()
        reply = await asker.ask(f"{asker.root}/r/mine/{ID}/v1")
        report = await asker.report("mine")
        strangers = [
            await asker.client.post(f"{asker.root}/_replay/runs", json={"fixture": "openai-chat.stream.none"}),
            await asker.client.get(f"{asker.root}/_replay/runs/nobody"),
            await asker.ask(f"{asker.root}/r/yours/openai-chat.stream.none/v1"),
        ]
        odd = await asker.client.post(f"{asker.root}/_replay/runs", json={"fixture": ID, "chunking": "some"})

    assert listed["fixtures"] == {ID: "It is sent."}
    assert reply.content == BYTES
    assert (report["fixture"], report["clean"]) == (ID, True)
    assert report["requests"] == [{"method": "POST", "path": "/v1/chat/completions", "body": ASKED}]
    assert [reply.status_code for reply in strangers] == [404] * 3
    assert odd.status_code == 400
