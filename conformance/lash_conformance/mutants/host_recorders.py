# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a patch replaces is typed where it stands
"""Broken recorders: what they change in passing, what they keep wrongly, and secrets that they overlook."""

from typing import Any

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
                reply.headers = {"content-type": reply.headers.get("content-type", "")}
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
