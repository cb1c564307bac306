"""Providers: bytes as servers really send them: line ends, gzip members, characters cut in half, noise behind the end."""

import gzip
import itertools
import json
from base64 import b64encode
from collections.abc import Iterable
from typing import Any

from lash_conformance.check import host_check
from lash_conformance.checks.host.provider_replies import PAGE, asking, failure, streamed, text
from lash_conformance.fixture import Frame, Response
from lash_conformance.host_bench import HostBench
from lash_conformance.provider_words import CHAT, STREAM, WORDS, asked, filled, reply, sse

Data = dict[str, Any]
PACKED = ("content-encoding", "gzip")


def cut(body: bytes, places: Iterable[int], *headers: tuple[str, str]) -> Response:
    """A stream whose bytes come in pieces cut at these places."""
    edges = [0, *places, len(body)]
    pieces = [body[a:b] for a, b in itertools.pairwise(edges)]
    frames = [Frame(b64=b64encode(piece).decode()) for piece in pieces if piece]
    return Response(status=200, headers=[STREAM, *headers], frames=frames)


def shown(found: Data) -> str:
    """The deltas of the last attempt, joined."""
    return "".join(event["text"] for event in found["events"] if event["type"] == "delta")


@host_check("PRV.2", needs=("providers",))
async def a_line_ends_at_a_cr_too(bench: HostBench) -> None:
    """CR alone, CR LF, each in turn, by byte so that every CR LF is split; data over several lines, a mark before it."""
    async with asking(bench) as ask:
        for dialect, words in WORDS.items():
            events = (json.dumps(event, indent=1).splitlines() for event in words.said("H\u2028", "i."))
            lines = b"\xef\xbb\xbf" + b"".join(b"".join(b"data: " + line.encode() + b"\n" for line in one) + b"\n" for one in events)
            turns = b"".join(line + (b"\r", b"\r\n", b"\n")[n % 3] for n, line in enumerate(lines.split(b"\n")[:-1]))
            for body in (lines.replace(b"\n", b"\r"), lines.replace(b"\n", b"\r\n"), turns):
                for places in ((), range(1, len(body))):
                    assert text(await ask(asked(dialect, cut(body, places)))) == "H\u2028i."


@host_check("PRV.67", needs=("providers",))
async def a_gzip_reply_may_have_several_members(bench: HostBench) -> None:
    """Three members cut inside events, in one piece and by byte; padding behind them; an error's body; a member that is cut."""
    async with asking(bench) as ask:
        for dialect, words in WORDS.items():
            body = sse(words.said("H", "i."))
            members = [gzip.compress(piece) for piece in (body[:40], b"", body[40:-50], body[-50:])]
            packed = b"".join(members)
            for sent in (packed, packed + bytes(64)):
                for places in ((), range(1, len(sent))):
                    assert text(await ask(asked(dialect, cut(sent, places, PACKED)))) == "Hi."
            half = gzip.compress(sse([*words.opening, filled(words.text, "Half")])) + members[-1][:-20]
            assert failure(await ask(asked(dialect, cut(half, (), PACKED))))[0] == "stream"
        said = json.dumps({"error": {"message": "prompt is too long", "type": "x"}}).encode()
        refused = reply(gzip.compress(said[:9]) + gzip.compress(said[9:]), 400, PACKED)
        found = await ask(asked("openai-chat", refused))
        assert (failure(found)[0], found["error"]["terminal_reason"]) == ("validation", "context_overflow")


def halved(words: Any, first: str, second: str) -> bytes:
    """A stream that says two texts, written in JSON escapes as they stand here."""
    return sse(words.said("@1", "@2")).replace(b"@1", first.encode()).replace(b"@2", second.encode())


@host_check("PRV.68", needs=("providers",))
async def halves_of_a_character_are_joined_over_deltas(bench: HostBench) -> None:
    """A pair split over two deltas of a text is one character; a half that stays alone, at the end too, is U+FFFD."""
    split = {
        (r"Hi \ud83d", r"\ude00."): "Hi \U0001f600.", (r"\ud83d", r"x"): "\ufffdx", (r"a", r"b\ud83d"): "ab\ufffd",
        (r"\ude00", r"b"): "\ufffdb", (r"\ud83d", r"\ud83d\ude00"): "\ufffd\U0001f600",
    }  # fmt: skip
    async with asking(bench) as ask:
        for dialect, words in WORDS.items():
            for (first, second), whole in split.items():
                found = await ask(asked(dialect, reply(halved(words, first, second), 200, STREAM)))
                assert (text(found), shown(found)) == (whole, whole)
            lone = sse([{"error": {"message": "@"}}]).replace(b"@", rb"\ud83d")
            assert failure(await ask(asked(dialect, reply(lone, 200, STREAM))))[0] == "stream"
            lone = json.dumps({"error": {"message": "\ud83d"}}).encode()
            assert failure(await ask(asked(dialect, reply(lone, 400))))[2] == 400


@host_check("PRV.68", "PRV.7", needs=("providers",))
async def halves_of_a_character_are_joined_in_arguments(bench: HostBench) -> None:
    """A call's arguments whose pieces were cut in the middle of a character, and reasoning likewise."""
    async with asking(bench) as ask:
        for dialect, words in WORDS.items():
            kept = [event for event in words.calling if event.get("type") != "response.output_item.done" or event["output_index"] == 0]
            body = sse(kept).replace("café".encode(), rb"ca\ud83d\ude00")
            body = body.replace(rb'\"ca"', rb'\"ca\ud83d"').replace('fé\\"}"'.encode(), rb'\ude00\"}"')
            found = await ask(asked(dialect, reply(body, 200, STREAM)))
            text(found)
            (call,) = [part for part in found["response"]["parts"] if part["type"] == "tool_call"]
            assert json.loads(call["input_json"]) == {"text": "ca\U0001f600"}
            assert "\\u" not in call["input_json"]


@host_check("PRV.56", needs=("providers",))
async def noise_behind_the_end_changes_nothing(bench: HostBench) -> None:
    """A page, a word, an event that is cut off or no JSON stand behind the terminal event; before it they fail."""
    noise = (PAGE, b"data: upstream error\n\n", b'data: {"id":"c1","choi', b"bye", b"data: \xff\n\n", b"data: [DONE]\n\ndata: [DONE]\n\n")
    async with asking(bench) as ask:
        for dialect, words in WORDS.items():
            for end in noise:
                found = await ask(asked(dialect, reply(sse(words.said("H", "i.")) + end, 200, STREAM)))
                assert (text(found), found["response"]["terminal_reason"]) == ("Hi.", "stop")
            half = [*words.opening, filled(words.text, "Half")]
            body = sse(half) + b"data: upstream error\n\n" + sse(words.ending)
            assert failure(await ask(asked(dialect, reply(body, 200, STREAM))))[0] == "stream"
        told: list[Data] = [*CHAT.said("H", "i."), {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 8}}]
        usage = (await ask(asked("openai-chat", streamed(told))))["response"]["usage"]
        assert (usage["input_tokens"], usage["output_tokens"]) == (7, 8)
