# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a patch replaces is typed where it stands
"""Broken replayers that serve something else than the fixture, or to somebody else."""

import json
from pathlib import Path
from typing import Any

from lash_conformance.fixture import Exchange, Fixture, FixtureFault
from lash_conformance.mutants.host import BrokenHost, Patch, host_mutant


def _answers(patch: Patch, **response: Any) -> None:
    """Patch the server to answer with these members of a reply in place of the fixture's."""

    def make(original: Any) -> Any:
        def answer(self: Any, replay: Any, exchange: Exchange) -> None:
            changed = exchange.response.model_copy(update=response)
            original(self, replay, exchange.model_copy(update={"response": changed}))

        return answer

    patch("lash_conformance.replay_server:_Handler._answer", make)


@host_mutant("RPL.20", character="Agreeable: answers 200 whatever the fixture says.")
class AnswersOk(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _answers(patch, status=200)


@host_mutant("RPL.20", character="Bare: sends no header of the fixture's.")
class SendsNoHeaders(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _answers(patch, headers=[("content-type", "text/event-stream")])


@host_mutant("RPL.20", character="Mapping: keeps one header of a name.")
class KeepsOneHeaderOfAName(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def answer(self: Any, replay: Any, exchange: Exchange) -> None:
                changed = exchange.response.model_copy(update={"headers": list(dict(exchange.response.headers).items())})
                original(self, replay, exchange.model_copy(update={"response": changed}))

            return answer

        patch("lash_conformance.replay_server:_Handler._answer", make)


@host_mutant("RPL.20", character="Modern: sends chunks whatever the fixture says.")
class SendsChunks(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _answers(patch, framing="chunked")


@host_mutant("RPL.7", character="Unixoid: ends lines with LF alone.")
class EndsLinesWithLf(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _answers(patch, newline="lf")


@host_mutant("RPL.7", character="Readable: sends a document with spaces in it.")
class SendsPrettyDocuments(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def segments(exchange: Exchange, chunking: Any) -> Any:
                if exchange.response.json_body is None:
                    return original(exchange, chunking)
                return iter([json.dumps(exchange.response.json_body, ensure_ascii=False).encode()])

            return segments

        patch("lash_conformance.replay_server:segments", make)


@host_mutant("RPL.9", character="Forthcoming: answers where the fixture has no reply.")
class AnswersAlways(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _answers(patch, before="answer")


@host_mutant("RPL.21", character="Whole: sends a body at once whatever the run asks.")
class SendsBodiesAtOnce(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_conformance.replay:Chunking.cut", lambda _: lambda self, pieces: iter([b"".join(pieces)]))


@host_mutant("RPL.8", character="Momentary: opens a gate for who waits at it.")
class OpensGatesForAMoment(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def wait(self: Any, replay: Any, step: Any) -> None:
                if step.gate is not None:
                    replay.gate(step.gate).clear()
                original(self, replay, step)

            return wait

        patch("lash_conformance.replay_server:_Handler._wait", make)


@host_mutant("RPL.8", character="Common: has one gate of a name for all runs.")
class SharesGates(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        shared: dict[str, Any] = {}

        def make(original: Any) -> Any:
            return lambda self, name: shared.setdefault(name, original(self, name))

        patch("lash_conformance.replay:Replay.gate", make)


@host_mutant("RPL.3", character="Obliging: answers by whatever exchange matches.")
class AnswersInAnyOrder(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def answer(self: Any, *request: Any) -> Any:
                from lash_conformance.replay import differs

                rest = list(self.fixture.exchanges[self.used :])
                rest.sort(key=lambda one: bool(differs(one.request, *request)))
                exchanges = [*self.fixture.exchanges[: self.used], *rest]
                self.fixture = self.fixture.model_copy(update={"exchanges": exchanges})
                return original(self, *request)

            return answer

        patch("lash_conformance.replay:Replay.answer", make)


def _knows_no(patch: Patch, *matchers: str) -> None:
    def make(original: Any) -> Any:
        def unlike(matcher: Any, value: Any) -> str:
            kept = {name: getattr(matcher, name) for name in matcher.model_fields_set if name not in matchers}
            return original(type(matcher)(**kept), value)

        return unlike

    patch("lash_conformance.replay:_unlike", make)


@host_mutant("RPL.4", character="Lax: takes matchers of texts for remarks.")
class KnowsNoTextMatchers(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _knows_no(patch, "contains", "matches")


@host_mutant("RPL.4", character="Lax: takes matchers of lists and choices for remarks.")
class KnowsNoListMatchers(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _knows_no(patch, "min_len", "any_of")


@host_mutant("RPL.4", character="Positive: never minds what should not be there.")
class MindsNoPresence(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _knows_no(patch, "present")


@host_mutant("RPL.4", character="Literal: takes a path that is a pattern for a path.")
class TakesPatternsForPaths(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def differs(expected: Any, method: str, path: str, headers: Any, body: bytes) -> str:
                return "a path expected" if expected.path.startswith("^") else original(expected, method, path, headers, body)

            return differs

        patch("lash_conformance.replay:differs", make)


@host_mutant("RPL.4", character="Shallow: knows no escapes in a pointer.")
class KnowsNoEscapes(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_conformance.replay:pointed", lambda original: lambda document, pointer: original(document, pointer.replace("~1", "~01")))


@host_mutant("RPL.18", character="Structured: reads no body but JSON.")
class ReadsJsonAlone(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_conformance.replay:_document", lambda _: lambda content_type, body: json.loads(body))


@host_mutant("RPL.6", character="Brief: reports the last request alone.")
class ReportsTheLastRequest(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def report(self: Any) -> dict[str, Any]:
                made = original(self)
                return made | {"requests": made["requests"][-1:]}

            return report

        patch("lash_conformance.replay:Replay.report", make)


def _gathers(patch: Patch, take: Any) -> None:
    def make(original: Any) -> Any:
        def gathered(root: Path) -> dict[str, Fixture]:
            try:
                return original(root)
            except FixtureFault as err:
                found = {made.id: made for path in root.glob("*/*/*.json") if (made := take(path, str(err))) is not None}
                if not found:
                    raise
                return found

        return gathered

    patch("lash_conformance.replays:gathered", make)


def _valid(path: Path) -> Fixture | None:
    try:
        return Fixture.model_validate_json(path.read_bytes())
    except ValueError:
        return None


@host_mutant("RPL.1", character="Flat: goes by a file's name and not by its folders.")
class GoesByFileNames(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def take(path: Path, fault: str) -> Fixture | None:
            made = _valid(path)
            return made if made is not None and "holds" in fault and made.path.endswith(path.name) else None

        _gathers(patch, take)


@host_mutant("RPL.1", character="Incurious: never asks whether an id is of its fixture's dialect.")
class BelievesDialects(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _gathers(patch, lambda path, fault: _valid(path) if "is of" in fault else None)


@host_mutant("RPL.2", character="Quick: looks at the first reply's hash.")
class LooksAtTheFirstHash(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _gathers(patch, lambda path, fault: _valid(path) if "exchange 1 pins" in fault else None)


@host_mutant("RPL.2", character="Polite: asks for no hash where none is given.")
class AsksForNoHash(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _gathers(patch, lambda path, fault: _valid(path) if "pins ," in fault else None)


@host_mutant("RPL.17", character="Superficial: knows strange members at the top alone.")
class KnowsStrangersAtTheTop(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def take(path: Path, fault: str) -> Fixture | None:
            written = json.loads(path.read_text())
            if "Extra inputs" not in fault or written.keys() - {*Fixture.model_fields, "schema"}:
                return None
            return _valid(path) or Fixture.model_validate({
                name: value for name, value in written.items() if name in {"schema", "id", "dialect", "covers", "proves"}
            } | {"provenance": {"kind": "synthetic", "source": "?"}, "exchanges": [], "calls": []})  # fmt: skip

        _gathers(patch, take)


def _pauses(patch: Patch, length_s: Any) -> None:
    """Patch how long a pause of the fixture is."""

    def make(original: Any) -> Any:
        def wait(self: Any, replay: Any, step: Any) -> None:
            if step.delay_ms is None:
                original(self, replay, step)
            else:
                self.server.stopping.wait(length_s(step.delay_ms))

        return wait

    patch("lash_conformance.replay_server:_Handler._wait", make)


@host_mutant("RPL.24", character="Faithful: waits for recorded time.")
class WaitsForRecordedTime(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _pauses(patch, lambda delay_ms: delay_ms / 1000)


@host_mutant("RPL.24", character="Busy: makes no pause.")
class MakesNoPause(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _pauses(patch, lambda delay_ms: 0)
