"""Providers: replies that nobody recorded, each of which must come to the right answer or to a typed failure.

A reply goes over loopback, and also in process where the target speaks httpx; both must come to the same.
"""

import asyncio
import gzip
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

from lash_conformance.check import host_check
from lash_conformance.checks.host.providers import told
from lash_conformance.fixture import DIALECTS, Fixture, Response
from lash_conformance.host_bench import HostBench
from lash_conformance.provider_calls import SpeaksProviders
from lash_conformance.provider_words import STREAM, WORDS, asked, filled, reply, sse
from lash_conformance.replay_server import ReplayServer
from lash_conformance.replay_transport import served
from lash_conformance.vocabulary import Unexpected

Data = dict[str, Any]
Ask = Callable[[Fixture], Awaitable[Data]]
HANG_S = 30.0
JSON = ("content-type", "application/json")
HTML = ("content-type", "text/html; charset=utf-8")
PAGE = b"<html>\n<head><title>502 Bad Gateway</title></head>\n<body>nginx: please retry in 20s</body>\n</html>\n"


@asynccontextmanager
async def calling(bench: HostBench) -> AsyncGenerator[Callable[[Fixture], Awaitable[list[Data]]]]:
    """A way to have the host make a fixture's calls; every exchange must have been asked for, in order."""
    host = cast("SpeaksProviders", bench.target)
    server = ReplayServer(hang_s=HANG_S).start()

    async def called(made: Fixture, url: str) -> list[Data]:
        try:
            return await host.provider_calls(made, url)
        except Exception as err:
            raise Unexpected("an answer, or a failure of the contract's kinds", f"{type(err).__name__}: {err}") from err

    async def call(made: Fixture) -> list[Data]:
        url, replay = server.begin(made)
        found = await called(made, url)
        faults = replay.faults
        if getattr(bench.target, "speaks_httpx", False):
            with served(made) as (url, replay):
                again = await called(made, url)
            faults += replay.faults
            assert told(again) == told(found)
        if faults:
            raise Unexpected("the requests that the replies answer", "; ".join(faults))
        return found

    try:
        yield call
    finally:
        await asyncio.to_thread(server.stop)


@asynccontextmanager
async def asking(bench: HostBench) -> AsyncGenerator[Ask]:
    """As `calling`, for fixtures of one call."""
    async with calling(bench) as call:

        async def ask(made: Fixture) -> Data:
            (found,) = await call(made)
            return found

        yield ask


def text(found: Data) -> str:
    """What a call that succeeded says; the check fails when it did not."""
    if found["response"] is None:
        raise Unexpected("an answer", f"the failure {found['error']}")
    return "".join(part["text"] for part in found["response"]["parts"] if part["type"] == "text")


def failure(found: Data) -> tuple[str, str | None, int | None, bool]:
    """Kind, code, status and whether to repeat of a call that failed; the check fails when it did not."""
    if found["response"] is not None or found["error"] is None:
        raise Unexpected("a failure", f"the answer {found['response']}")
    error = found["error"]
    return error["kind"], error.get("provider_code"), error.get("http_status"), error["retryable"]


def streamed(events: list[Data]) -> Response:
    """A stream of the events."""
    return reply(sse(events), 200, STREAM)


@host_check("PRV.46", needs=("providers",))
async def marks_and_blanks_before_and_in_a_stream_change_nothing(bench: HostBench) -> None:
    """A byte order mark, blank lines, comments, empty events, fields of other names and a stray [DONE] say nothing."""
    async with asking(bench) as ask:
        for dialect, words in WORDS.items():
            first, *rest = words.said("H", "i.")
            between = b": still here\n\ndata:\n\ndata: \n\nretry: 10\nid: 7\nx-novel: 1\nbare\n\n"
            body = sse([first]) + between + sse(rest) + b"data: [DONE]\n\n"
            for before in (b"\xef\xbb\xbf", b"\n\r\n\n", b"\xef\xbb\xbf\n"):
                assert text(await ask(asked(dialect, reply(before + body, 200, STREAM)))) == "Hi."
            whole = b"\xef\xbb\xbf" + json.dumps(words.whole).encode()
            assert text(await ask(asked(dialect, reply(whole, 200, JSON)))) == "Hi."


@host_check("PRV.5", needs=("providers",))
async def what_is_null_empty_or_new_says_nothing(bench: HostBench) -> None:
    """Null members, empty lists, other choices and unknown kinds between the text's events change nothing."""
    async with asking(bench) as ask:
        for dialect, words in WORDS.items():
            first, second, *rest = words.said("H", "i.") if len(words.opening) > 1 else [{}, *words.said("H", "i.")]
            found = await ask(asked(dialect, streamed([first, second, *words.idle, *rest])))
            assert (text(found), found["response"]["terminal_reason"]) == ("Hi.", "stop")
            usage = found["response"]["usage"]
            assert (usage["input_tokens"], usage["output_tokens"]) == (60, 35)


@host_check("PRV.6", needs=("providers",))
async def an_answer_ends_once_and_may_be_large(bench: HostBench) -> None:
    """A terminal event that comes twice ends the answer once; a delta of a megabyte is all there."""
    async with asking(bench) as ask:
        for dialect, words in WORDS.items():
            events = words.said("H", "i.")
            found = await ask(asked(dialect, streamed([*events, events[-1]])))
            assert (text(found), found["response"]["terminal_reason"]) == ("Hi.", "stop")
            assert text(await ask(asked(dialect, streamed(words.said("é" * 500_000, "."))))) == "é" * 500_000 + "."


@host_check("PRV.47", needs=("providers",))
async def a_document_is_read_as_one_whatever_it_is_called(bench: HostBench) -> None:
    """Asked for a stream or not, said to be a stream, JSON, text or nothing: the reply that begins with { is one."""
    async with asking(bench) as ask:
        for dialect, words in WORDS.items():
            body = b"\n " + json.dumps(words.whole, indent=1).encode()
            for headers in ((STREAM,), (JSON,), (("content-type", "text/plain"),), ()):
                for streaming in (True, False):
                    found = await ask(asked(dialect, reply(body, 200, *headers), streaming=streaming))
                    assert (text(found), found["response"]["terminal_reason"]) == ("Hi.", "stop")
            stream = reply(sse(words.said("H", "i.")), 200, JSON)
            assert text(await ask(asked(dialect, stream, streaming=False))) == "Hi."


@host_check("PRV.34", "PRV.35", needs=("providers",))
async def an_error_inside_a_stream_is_found_in_every_shape(bench: HostBench) -> None:
    """Nested, flat, bare text, named so, with a null or numeric code: a stream failure, repeated by its status."""
    async with asking(bench) as ask:
        for dialect, words in WORDS.items():
            for event, code, again in words.errors:
                stream = streamed([*words.opening, filled(words.text, "Half"), event])
                assert failure(await ask(asked(dialect, stream))) == ("stream", code, None, again)
            half = sse([*words.opening, filled(words.text, "Half")])
            named = half + b'event: error\ndata: {"message":"made up","code":503}\n\n' + sse(words.ending)
            assert failure(await ask(asked(dialect, reply(named, 200, STREAM)))) == ("stream", None, None, True)


@host_check("PRV.48", needs=("providers",))
async def an_error_under_a_good_status_is_a_failure(bench: HostBench) -> None:
    """The whole reply is the error, as a document or as the only event, asked for as a stream or not."""
    async with asking(bench) as ask:
        for dialect, words in WORDS.items():
            event, code, again = words.errors[0]
            bodies = [sse([event])] if dialect == "openai-responses" else [sse([event]), json.dumps(event).encode()]
            if dialect == "openai-responses":
                bodies.append(json.dumps({"error": {"message": "made up", "code": "server_error"}}).encode())
            for body in bodies:
                for streaming in (True, False):
                    found = await ask(asked(dialect, reply(body, 200, JSON), streaming=streaming))
                    assert failure(found) == ("stream", code, None, again)


@host_check("PRV.44", needs=("providers",))
async def an_error_that_is_no_event_breaks_the_stream_off(bench: HostBench) -> None:
    """Bare JSON, JSON in an array, a proxy's words or its page after half an answer: never the answer."""
    ends = [
        json.dumps({"error": {"code": 503, "message": "made up", "status": "UNAVAILABLE"}}, indent=1).encode(),
        json.dumps([{"error": {"code": 503, "message": "made up", "status": "UNAVAILABLE"}}], indent=1).encode(),
        b"upstream connect error or disconnect/reset before headers",
        PAGE,
    ]
    async with asking(bench) as ask:
        for dialect in DIALECTS:
            words = WORDS[dialect]
            for end in ends:
                body = sse([*words.opening, filled(words.text, "Half")]) + end
                found = await ask(asked(dialect, reply(body, 200, STREAM), termination="eof_tolerated"))
                assert failure(found)[0] == "stream"


@host_check("PRV.45", "PRV.49", needs=("providers",))
async def what_does_not_fit_together_is_no_answer(bench: HostBench) -> None:
    """Blocks opened twice, items done twice and otherwise, calls without a name, fragments after the end, members of wrong kinds."""
    async with asking(bench) as ask:
        for dialect, words in WORDS.items():
            for events in words.broken:
                found = await ask(asked(dialect, streamed([*words.opening, *events, *words.ending])))
                assert failure(found)[0] == "stream"


@host_check("PRV.20", needs=("providers",))
async def nothing_but_the_terminal_event_ends_an_answer(bench: HostBench) -> None:
    """Text, usage and, of Anthropic, the stop reason came, and then the stream ended."""
    async with asking(bench) as ask:
        for dialect, words in WORDS.items():
            if dialect != "gemini":
                events = [*words.opening, filled(words.text, "Half"), *words.ending[:-1]]
                assert failure(await ask(asked(dialect, streamed(events))))[0] == "stream"


@host_check("PRV.45", needs=("providers",))
async def what_is_cut_or_is_no_json_is_no_answer(bench: HostBench) -> None:
    """JSON cut at the end, invalid UTF-8, a list, a number, a page of HTML, nothing at all."""
    async with asking(bench) as ask:
        for dialect, words in WORDS.items():
            opening, whole = sse([*words.opening, filled(words.text, "Half")]), json.dumps(words.whole).encode()
            bodies = [
                opening + sse([words.ending[-1]])[:-9],
                opening + b'data: {"type":"\xff"}\n\n' + sse(words.ending),
                opening + b"data: [1]\n\n" + sse(words.ending),
                opening + b"data: 7\n\n" + sse(words.ending),
                opening + b"data: null\n\n" + sse(words.ending),
                whole[:-1], b"[]", PAGE, b"", b"\n\n", b"\xef\xbb\xbf",
            ]  # fmt: skip
            if dialect == "openai-responses":
                bodies.append(whole.replace(b'"completed"', b'"in_progress"'))
            for body in bodies:
                for streaming in (True, False):
                    assert failure(await ask(asked(dialect, reply(body, 200, STREAM), streaming=streaming)))[0] == "stream"


@host_check("PRV.49", needs=("providers",))
async def a_compressed_reply_is_read_and_a_spoilt_one_is_a_failure(bench: HostBench) -> None:
    """Gzip reads as the plain bytes; a body that is not what its encoding says fails typed, under any status."""
    packed = ("content-encoding", "gzip")
    async with asking(bench) as ask:
        for dialect, words in WORDS.items():
            body = sse(words.said("H", "i."))
            assert text(await ask(asked(dialect, reply(gzip.compress(body), 200, STREAM, packed)))) == "Hi."
            assert failure(await ask(asked(dialect, reply(body, 200, STREAM, packed))))[0] == "stream"
            found = failure(await ask(asked(dialect, reply(b"no gzip", 503, packed))))
            assert found == ("http", None, 503, True)


@host_check("PRV.30", "PRV.54", needs=("providers",))
async def a_proxys_page_is_judged_by_its_status(bench: HostBench) -> None:
    """408, 409, 425, 429 and each 5xx but 501 and 505 are asked again, whatever page comes with them; others are not."""
    again = (408, 409, 425, 429, 500, 502, 503, 504, 520, 524, 529, 599)
    never = (301, 400, 404, 405, 418, 451, 501, 505)
    async with asking(bench) as ask:
        for number, status in enumerate((*again, *never)):
            dialect = DIALECTS[number % len(DIALECTS)]
            page, good = reply(PAGE, status, HTML), streamed(WORDS[dialect].said("Hi."))
            if status in again:
                found = await ask(asked(dialect, page, good, attempts=2))
                assert (text(found), found["waits_ms"]) == ("Hi.", [2000])
            else:
                assert failure(await ask(asked(dialect, page, attempts=2)))[2:] == (status, False)


@host_check("PRV.40", needs=("providers",))
async def a_wait_is_read_from_every_form_of_date(bench: HostBench) -> None:
    """The three forms of an HTTP date mean the same, twice is once; what is no time leaves the wait to the retries."""
    at = 1_790_000_000_000  # Mon, 21 Sep 2026 14:13:20 GMT
    forms = {
        "Mon, 21 Sep 2026 14:13:27 GMT": 7000,
        "Monday, 21-Sep-26 14:13:27 GMT": 7000,
        "Mon Sep 21 14:13:27 2026": 7000,
        "Mon, 21 Sep 2026 14:13:00 GMT": 0,
        "soon": 2000,
        "-5": 2000,
        "": 2000,
        "Mon, 21 Sep 99999999999999999999 14:13:27 GMT": 2000,
        "Mon, 21 Sep 2026 14:13:27 +99999999": 2000,
        "7, 7": 7000,
    }
    async with asking(bench) as ask:
        for number, (said, wait_ms) in enumerate(forms.items()):
            dialect = DIALECTS[number % len(DIALECTS)]
            busy = reply(b"{}", 529, ("retry-after", said))
            made = asked(dialect, busy, streamed(WORDS[dialect].said("Hi.")), attempts=2)
            assert made.host.clock_ms == at
            found = await ask(made)
            assert (text(found), found["waits_ms"]) == ("Hi.", [wait_ms])


@host_check("PRV.7", needs=("providers",))
async def calls_without_an_index_are_told_apart_by_their_ids(bench: HostBench) -> None:
    """Chat look-alikes leave the index out: a new id begins a call, a fragment without one goes on with the last."""
    words = WORDS["openai-chat"]
    fragments = [
        {"id": "t1", "function": {"name": "f", "arguments": '{"a":'}},
        {"function": {"arguments": "1}"}},
        {"id": "t2", "function": {"name": "g", "arguments": "{}"}},
    ]
    events = [*words.opening, *(_fragment(one) for one in fragments), *words.ending]
    async with asking(bench) as ask:
        found = await ask(asked("openai-chat", streamed(events)))
        calls = [(part["call_id"], part["tool_name"], part["input_json"]) for part in found["response"]["parts"]]
        assert calls == [("t1", "f", '{"a":1}'), ("t2", "g", "{}")]


def _fragment(call: Data) -> Data:
    return {"id": "c1", "choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}


@host_check("PRV.21", "PRV.29", needs=("providers",))
async def a_tolerated_end_gives_text_and_no_call(bench: HostBench) -> None:
    """Gemini's default, and any route that tolerates: the text so far, an unknown reason, an interrupted attempt."""
    async with asking(bench) as ask:
        for dialect, words in WORDS.items():
            events = [*words.opening, filled(words.text, "Half")]
            if dialect == "gemini":
                events.append({"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": {}}}]}}]})
            options: Data = {} if dialect == "gemini" else {"termination": "eof_tolerated"}
            found = await ask(asked(dialect, streamed(events), **options))
            assert [part["type"] for part in found["response"]["parts"]] == ["text"]
            assert (text(found), found["response"]["terminal_reason"]) == ("Half", "unknown")
            assert [attempt["outcome"] for attempt in found["attempts"]] == ["interrupted"]
