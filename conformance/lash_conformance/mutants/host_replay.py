# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a patch replaces is typed where it stands
"""Broken replayers and recorders."""

import json
import re
from typing import Any

from lash_conformance.mutants.host import BrokenHost, Patch, host_mutant


@host_mutant("RPL.1", character="Trusting: serves a fixture under whatever name its file has.")
class TrustsFileNames(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        class Anywhere(str):
            __slots__ = ()
            __eq__ = lambda self, other: True  # noqa: E731
            __ne__ = lambda self, other: False  # noqa: E731
            __hash__ = str.__hash__

        patch("lash_conformance.fixture:Fixture.path", lambda original: property(lambda self: Anywhere(original.fget(self))))


@host_mutant("RPL.2", character="Careless: never looks at the hash.")
class IgnoresTheHash(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            return lambda path: _unpinned(path, original)

        patch("lash_conformance.fixture:read", make)


def _unpinned(path: Any, original: Any) -> Any:
    from lash_conformance.fixture import Fixture, FixtureFault

    try:
        return original(path)
    except FixtureFault as err:
        if "pins" in str(err):
            return Fixture.model_validate_json(path.read_bytes())
        raise


@host_mutant("RPL.3", character="Sticky: answers every request with the first exchange.")
class AnswersWithTheFirst(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def answer(self: Any, *request: Any) -> Any:
                found = original(self, *request)
                return self.fixture.exchanges[0] if self.used > 1 and not self.mismatches else found

            return answer

        patch("lash_conformance.replay:Replay.answer", make)


@host_mutant("RPL.3", character="Generous: answers one request too many.")
class AnswersOneMore(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def answer(self: Any, *request: Any) -> Any:
                if self.used == len(self.fixture.exchanges):
                    return self.fixture.exchanges[-1]
                return original(self, *request)

            return answer

        patch("lash_conformance.replay:Replay.answer", make)


@host_mutant("RPL.4", character="Alarmed: answers a mismatch with 500, so that clients repeat it.")
class AnswersMismatchesWith500(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_conformance.replay_server:MISMATCH_STATUS", lambda original: 500)


@host_mutant("RPL.4", character="Open: answers whatever is asked.")
class AnswersAnything(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_conformance.replay:differs", lambda original: lambda *request: "")


@host_mutant("RPL.4", character="Wasteful: a wrong request uses the exchange up.")
class WastesExchanges(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def wrong(self: Any, fault: str) -> Any:
                self.used = min(self.used + 1, len(self.fixture.exchanges))
                return original(self, fault)

            return wrong

        patch("lash_conformance.replay:Replay._wrong", make)


@host_mutant("RPL.5", character="Formal: knows only runs that were begun at the control interface.")
class WantsRunsBegun(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_conformance.replay_server:ReplayServer.named", lambda original: lambda self, run, fixture: self.runs.get(run))


@host_mutant("RPL.6", character="Forgiving: calls a run clean when exchanges are left.")
class ForgivesUnused(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_conformance.replay:Replay.faults", lambda original: property(lambda self: self.mismatches))


@host_mutant("RPL.6", character="Forgetful: refuses a wrong request and says nothing of it later.")
class ForgetsMismatches(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def wrong(self: Any, fault: str) -> Any:
                found = original(self, fault)
                self.mismatches.clear()
                return found

            return wrong

        patch("lash_conformance.replay:Replay._wrong", make)


@host_mutant("RPL.7", character="Textual: cuts between letters, and loses the pieces of a letter that it cut.")
class LosesHalfLetters(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def cut(self: Any, pieces: Any) -> Any:
                for piece in original(self, pieces):
                    whole = piece.decode("utf-8", "ignore").encode()
                    if whole:
                        yield whole

            return cut

        patch("lash_conformance.replay:Chunking.cut", make)


@host_mutant("RPL.8", character="Impatient: walks past gates.")
class WalksPastGates(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_conformance.replay_server:_Handler._wait", lambda original: lambda self, replay, step: None)


@host_mutant("RPL.9", character="Polite: always closes with a clean end.")
class AlwaysEndsCleanly(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_conformance.fixture:Response.end", lambda original: property(lambda self: "eof"))


@host_mutant("RPL.9", character="Blunt: resets where a cut was asked for.")
class ResetsForACut(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_conformance.replay_server:_Handler._close", lambda original: lambda self, *, reset: original(self, reset=True))


@host_mutant("RPL.10", character="Hoarding: keeps every header that does not look like a secret.")
class KeepsHeaders(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_conformance.redaction:KEPT_HEADERS", lambda original: re.compile(r"^(?!.*(cookie|auth|key|token))"))


@host_mutant("RPL.10", character="Wary: drops rate limits because their names say token.")
class DropsRateLimits(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_conformance.redaction:KEPT_HEADERS", lambda original: re.compile(rf"(?!.*token)(?:{original.pattern})"))


@host_mutant("RPL.11", character="Streaming: looks for secrets frame by frame only.")
class LooksFrameByFrame(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_conformance.redaction:Redaction.across", lambda original: lambda self, documents: None)


@host_mutant("RPL.11", character="Plain: knows a marker in one spelling.")
class KnowsOneSpelling(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_conformance.redaction:Redaction.learn", lambda original: lambda self, secret: self._markers.update({secret} - {""}))
        patch("lash_conformance.redaction:_decoded", lambda _: lambda token: iter(()))


@host_mutant("RPL.11", character="Unread: never learns what the request authenticated with.")
class IgnoresTheRequestsKey(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_conformance.redaction:Redaction.learn_request", lambda original: lambda self, headers, query: None)


@host_mutant("RPL.12", character="Tidy: throws an exchange away when its client went.")
class DropsAbandonedExchanges(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def keep(self: Any, capture: Any) -> None:
                if capture.end != "client_gone":
                    original(self, capture)

            return keep

        patch("lash_conformance.recorder:RecordingProxy.keep", make)


@host_mutant("RPL.13", character="Complete: keeps what was asked, to match it later.")
class KeepsRequestBodies(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def asked(body: bytes) -> dict[str, Any]:
                return {f"/{name}": {"equals": value} for name, value in json.loads(body).items()}

            return asked

        patch("lash_conformance.recorder:_asked", make)


@host_mutant("RPL.14", character="Lenient: keeps bytes that it cannot read, with marks in their place.")
class KeepsWhatItCannotRead(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def kept(capture: Any, redaction: Any) -> Any:
                capture.chunks = [b"".join(capture.chunks).decode("utf-8", "replace").encode()]
                return original(capture, redaction)

            return kept

        patch("lash_conformance.recorder:kept", make)


@host_mutant("RPL.15", character="Orderly: sorts the members of what it keeps.")
class SortsMembers(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def frame(piece: str, redaction: Any) -> dict[str, Any]:
                head, _, data = piece.partition("data: ")
                if not data.startswith("{"):
                    return original(piece, redaction)
                found = json.dumps(json.loads(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
                return {"raw": f"{head}data: {found}\n\n"}

            return frame

        patch("lash_conformance.recorder:_frame", make)


@host_mutant("RPL.16", character="Credulous: takes every claim of a capture.")
class BelievesProvenance(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_conformance.fixture:read", lambda original: lambda path: original(path) if _honest(path) else _hushed(path))


def _honest(path: Any) -> bool:
    source = json.loads(path.read_text())["provenance"]
    return source["kind"] == "captured_live" and "captured_at" in source and "redaction" in source


def _hushed(path: Any) -> Any:
    from lash_conformance.fixture import Fixture

    written = json.loads(path.read_text())
    return Fixture.model_validate(written | {"provenance": {"kind": "synthetic", "source": "?"}})


@host_mutant("RPL.17", character="Lenient: passes over members that it does not know.")
class PassesOverMembers(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def read(path: Any) -> Any:
                from lash_conformance.fixture import Fixture

                written = json.loads(path.read_text())
                return Fixture.model_validate({k: v for k, v in written.items() if k in {*Fixture.model_fields, "schema"}})

            return read

        patch("lash_conformance.fixture:read", make)


@host_mutant("RPL.18", character="Exact: wants the body to hold nothing but what the fixture names.")
class WantsExactBodies(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def differs(expected: Any, method: str, path: str, headers: Any, body: bytes) -> str:
                named = {name.strip("/") for pointers in expected.body for name in pointers.split("|")}
                more = json.loads(body).keys() - named if body else set()
                return original(expected, method, path, headers, body) or (f"nothing more expected, found {more}" if more else "")

            return differs

        patch("lash_conformance.replay:differs", make)


@host_mutant("RPL.19", character="Thorough: waits for the whole reply before it passes it on.")
class PassesOnTheWhole(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def stream(self: Any, reply: Any, capture: Any) -> None:
                whole = b"".join(reply.iter_raw())
                capture.chunks.append(whole)
                self.wfile.write(b"%x\r\n%b\r\n" % (len(whole), whole))
                self.wfile.flush()

            return stream

        patch("lash_conformance.recorder:_Proxy._stream", make)
