# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a patch replaces is typed where it stands
"""Broken recorders: what they change in passing, what they keep wrongly, and secrets that they overlook."""

import re
from typing import Any

import httpx

from lash_conformance.mutants.host import BrokenHost, Patch, host_mutant
from lash_conformance.redaction import Redaction


def _records(patch: Patch, change: Any) -> None:
    """Patch what is kept of an exchange."""

    def make(original: Any) -> Any:
        def kept(capture: Any, redaction: Any) -> dict[str, Any]:
            made = original(capture, redaction)
            change(made, capture)
            return made

        return kept

    patch("lash_conformance.recorder:kept", make)


@host_mutant("RPL.23", character="Bright: keeps every reply as a success.")
class KeepsSuccesses(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _records(patch, lambda made, capture: made["response"].update(status=200))


@host_mutant("RPL.23", character="Uniform: keeps every request as a POST.")
class KeepsPosts(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _records(patch, lambda made, capture: made["request"].update(method="POST"))


@host_mutant("RPL.23", character="Tidy: keeps a lost reply with a clean end.")
class KeepsCleanEnds(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _records(patch, lambda made, capture: made["response"]["frames"].__setitem__(-1, {"end": "eof"}))


@host_mutant("RPL.23", character="Short: keeps the last exchange alone.")
class KeepsTheLastExchange(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def keep(self: Any, capture: Any) -> None:
                for path in self.out.glob("*.capture.json"):
                    path.unlink()
                original(self, capture)

            return keep

        patch("lash_conformance.recorder:RecordingProxy.keep", make)


def _onward(patch: Patch, change: Any) -> None:
    """Patch what is asked of the provider."""

    def make(original: Any) -> Any:
        def stream(self: Any, method: str, url: str, **parts: Any) -> Any:
            return original(self, *change(method, url, parts), **parts)

        return stream

    patch("httpx:Client.stream", make)


@host_mutant("RPL.22", character="Careful: asks without the query, for it may hold a key.")
class DropsTheQuery(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _onward(patch, lambda method, url, parts: (method, url.partition("?")[0]))


@host_mutant("RPL.22", character="Careful: asks without the key, for it may be recorded.")
class DropsTheKey(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def change(method: str, url: str, parts: Any) -> tuple[str, str]:
            parts["headers"] = {name: value for name, value in parts["headers"].items() if "key" not in name}
            return method, url

        _onward(patch, change)


@host_mutant("RPL.19", character="Thorough: takes secrets out of what the client gets, too.")
class RedactsForTheClient(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def stream(self: Any, reply: Any, capture: Any) -> None:
                pieces = reply.iter_raw
                reply.iter_raw = lambda: (Redaction().text(piece.decode("latin-1")).encode("latin-1") for piece in pieces())
                original(self, reply, capture)

            return stream

        patch("lash_conformance.recorder:_Proxy._stream", make)


@host_mutant("RPL.19", character="Bare: passes a reply on without its headers.")
class PassesNoHeaders(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def begin(self: Any, reply: Any) -> None:
                reply.headers = httpx.Headers({"content-type": reply.headers.get("content-type", "")})
                original(self, reply)

            return begin

        patch("lash_conformance.recorder:_Proxy._begin", make)


@host_mutant("RPL.11", character="Trusting: keeps a path and kept headers as they are.")
class KeepsPathsAndHeaders(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def change(made: dict[str, Any], capture: Any) -> None:
            made["request"]["path"] = capture.path

        _records(patch, change)


@host_mutant("RPL.11", character="Standard: learns the Authorization header alone.")
class LearnsAuthorizationAlone(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def learn(self: Any, headers: Any, query: Any) -> None:
                original(self, {name: value for name, value in headers.items() if name == "authorization"}, {})

            return learn

        patch("lash_conformance.redaction:Redaction.learn_request", make)


@host_mutant("RPL.11", character="Compact: joins deltas only where it spells the frames itself.")
class JoinsSpelledFrames(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def event(piece: str) -> Any:
                return original(piece) if not piece.endswith("\r\n") and '": ' not in piece else None

            return event

        patch("lash_conformance.recorder:_event", make)


@host_mutant("RPL.11", character="Linear: joins deltas in the order they came, whatever they belong to.")
class JoinsByArrival(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_conformance.redaction:_stream_of", lambda _: lambda owner: "")


@host_mutant("RPL.11", character="Simple: keeps documents as they are.")
class KeepsDocuments(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_conformance.recorder:_document", lambda _: lambda text, redaction: {"frames": [{"raw": text}, {"end": "eof"}]})


@host_mutant("RPL.11", character="Spooling: writes a reply as it comes and redacts it later.")
class SpoolsReplies(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def stream(self: Any, reply: Any, capture: Any) -> None:
                pieces, spool = reply.iter_raw, self.server.out / "spool"

                def spooled() -> Any:
                    for piece in pieces():
                        with spool.open("ab") as file:
                            file.write(piece)
                        yield piece
                    spool.unlink()

                reply.iter_raw = spooled
                original(self, reply, capture)

            return stream

        patch("lash_conformance.recorder:_Proxy._stream", make)


@host_mutant("RPL.11", character="Exact: knows a credential when all of it stands there.")
class KnowsWholeKeys(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_conformance.redaction:runs", lambda _: lambda secret: frozenset())


@host_mutant("RPL.11", character="Plain: looks for secrets in clear.")
class LooksInClear(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_conformance.redaction:_decoded", lambda _: lambda token: iter(()))


@host_mutant("RPL.11", character="Structured: knows a secret's name as a member of JSON alone.")
class KnowsNamesOfMembers(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_conformance.redaction:ASSIGNED", lambda _: re.compile("(?!)()"))


@host_mutant("RPL.11", character="Structured: joins what JSON objects spell out, not what events of text do.")
class JoinsObjectsAlone(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            return lambda self, documents: original(self, [one for one in documents if one.keys() != {"text"}])

        patch("lash_conformance.redaction:Redaction.across", make)


@host_mutant("RPL.11", character="Linear: looks at one line at a time.")
class LooksAtOneLine(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_conformance.redaction:Redaction.lines", lambda _: lambda self, text: self.text(text))


@host_mutant("RPL.15", character="Anxious: takes everything in a query for a secret.")
class FearsQueries(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def learn(self: Any, headers: Any, query: Any) -> None:
                original(self, headers, query)
                for _, value in query:
                    self.learn(value)

            return learn

        patch("lash_conformance.redaction:Redaction.learn_request", make)


@host_mutant("RPL.15", character="Anxious: takes a cookie's attributes for secrets.")
class FearsCookies(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(_: Any) -> Any:
            def learn(self: Any, cookie: str) -> None:
                for piece in cookie.split("; "):
                    self.learn(piece.partition("=")[2] or piece)

            return learn

        patch("lash_conformance.redaction:Redaction.learn_cookie", make)


@host_mutant("RPL.23", character="Tidy: keeps a document that was cut as a whole one.")
class KeepsCutDocuments(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def change(made: dict[str, Any], capture: Any) -> None:
            if not any("event-stream" in value for _, value in capture.reply_headers):
                made["response"]["frames"][-1] = {"end": "eof"}

        _records(patch, change)


@host_mutant("RPL.19", character="Joining: passes headers of one name on as one.")
class JoinsHeaders(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def begin(self: Any, reply: Any) -> None:
                reply.headers = httpx.Headers(dict(reply.headers.items()))
                original(self, reply)

            return begin

        patch("lash_conformance.recorder:_Proxy._begin", make)


def _by_length(handler: Any) -> bytes:
    return handler.rfile.read(int(handler.headers.get("content-length") or 0))


@host_mutant("RPL.22", character="Measured: passes on what a request's length covers.")
class PassesOnByLength(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_conformance.recorder:content", lambda _: _by_length)


@host_mutant("RPL.3", character="Measured: compares what a request's length covers.")
class ComparesByLength(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_conformance.replay_server:content", lambda _: _by_length)
