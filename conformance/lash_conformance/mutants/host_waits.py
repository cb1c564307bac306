"""Broken hosts of the wait chapter ([WAI.1] to [WAI.12])."""

# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false

import itertools
from typing import Any

from lash_conformance.mutants.host import BrokenHost, Patch, host_mutant
from lash_conformance.mutants.host_cancel import method
from lash_ref.cancel import CancelRequested
from lash_ref.wait_store import Resolved, TimedOut, WaitCancelled
from lash_ref.waits import Accepted, UnknownOrRevoked


@host_mutant("WAI.1", character="Deaf until asked: an early answer is unknown.")
class DropsEarlyAnswers(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(resolve: Any) -> Any:
            def broken(waits: Any, key: Any, resolution: Any) -> Any:
                if key.kind == "external" and key.name not in waits.store._open:
                    return Accepted() if waits._is_ours(key) else UnknownOrRevoked()
                return resolve(waits, key, resolution)

            return broken

        patch("lash_ref.waits:Waits.resolve", make)


@host_mutant("WAI.2", character="Fickle: the last word stands.")
class LastWordStands(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def broken(store: Any, key: Any, resolution: Any) -> Any:
            if key.session_id in store._revoked:
                return None
            store._open.pop(key.name, None)
            store._settled[key.name] = resolution
            return resolution

        patch("lash_ref.wait_store:MemoryWaits.settle", method(broken))


@host_mutant("WAI.3", character="Vague: a deadline ends a wait as cancelled.")
class TimesOutAsCancelled(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.waits:TimedOut", method(WaitCancelled))


@host_mutant("WAI.4", "WAI.5", character="Vague: whoever is cancelled is told of a deadline.")
class CancelsAsTimeout(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.waits:WaitCancelled", method(TimedOut))


@host_mutant("WAI.5", character="Idle: sweeping does nothing.")
class SweepsNoWaits(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.waits:Waits.sweep", method(lambda waits, session_id: None))


@host_mutant("WAI.6", character="Final: a sweep is for good.")
class SweepsForGood(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(sweep: Any) -> Any:
            def broken(waits: Any, session_id: str) -> Any:
                swept = sweep(waits, session_id)
                waits.store._revoked.add(session_id)
                return swept

            return broken

        patch("lash_ref.waits:Waits.sweep", make)


@host_mutant("WAI.7", character="Revisionist: a late answer takes the place of a cancel.")
class LateAnswersWin(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(settle: Any) -> Any:
            def broken(store: Any, key: Any, resolution: Any) -> Any:
                if isinstance(store._settled.get(key.name), WaitCancelled):
                    del store._settled[key.name]
                return settle(store, key, resolution)

            return broken

        patch("lash_ref.wait_store:MemoryWaits.settle", make)


@host_mutant("WAI.8", character="Haunted: deletion leaves the promises alone.")
class KeepsDeletedPromises(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.wait_store:MemoryWaits.revoke", method(lambda store, session_id: None))


@host_mutant("WAI.9", character="Trusting: does not look at the seal.")
class TrustsAnyKey(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.waits:Waits._is_ours", method(lambda waits, key: True))


@host_mutant("WAI.10", character="Inventive: a new key every time.")
class NewKeyEveryTime(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        numbers = itertools.count()

        def make(key: Any) -> Any:
            def broken(waits: Any, session_id: str, kind: Any, wait_id: str) -> Any:
                named = f"{wait_id}#{next(numbers)}" if kind == "external" else wait_id
                return key(waits, session_id, kind, named)

            return broken

        patch("lash_ref.waits:Waits.key", make)


@host_mutant("WAI.3", character="Impatient: a deadline has passed as soon as it is given.")
class TimesOutAtOnce(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(wait: Any) -> Any:
            async def broken(waits: Any, key: Any, *, cancelled: Any = None, deadline_s: Any = None) -> Any:
                return await wait(waits, key, cancelled=cancelled, deadline_s=None if deadline_s is None else 0)

            return broken

        patch("lash_ref.waits:Waits.wait", make)


@host_mutant("WAI.5", character="Thorough: sweeps the waits of every session.")
class SweepsEverySession(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(sweep: Any) -> Any:
            def broken(waits: Any, session_id: str) -> int:
                return sum(sweep(waits, each) for each in {name[0] for name in waits.store._open})

            return broken

        patch("lash_ref.waits:Waits.sweep", make)


@host_mutant("WAI.8", character="Sweeping: a deletion forgets what other sessions were told.")
class ForgetsOtherAnswers(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(revoke: Any) -> Any:
            def broken(store: Any, session_id: str) -> None:
                revoke(store, session_id)
                store._settled.clear()

            return broken

        patch("lash_ref.wait_store:MemoryWaits.revoke", make)


@host_mutant("WAI.11", character="One at a time: the first who waited takes the answer with him.")
class OneWaiterTakesTheAnswer(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        taken: set[Any] = set()

        def make(wait: Any) -> Any:
            async def broken(waits: Any, key: Any, **named: Any) -> Any:
                told = await wait(waits, key, **named)
                if key in taken:
                    return WaitCancelled()
                taken.add(key)
                return told

            return broken

        patch("lash_ref.waits:Waits.wait", make)


@host_mutant("WAI.12", character="Soothing: tells those whose session is deleted that all is well.")
class AnswersForTheDeleted(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(wait: Any) -> Any:
            async def broken(waits: Any, key: Any, **named: Any) -> Any:
                told = await wait(waits, key, **named)
                return Resolved() if isinstance(told, UnknownOrRevoked) else told

            return broken

        patch("lash_ref.waits:Waits.wait", make)


@host_mutant("WAI.8", character="Optimist: takes a request to stop a turn of a session that is gone.")
class TakesRequestsForTheDeleted(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(request: Any) -> Any:
            def broken(gate: Any, evidence: Any) -> Any:
                told = request(gate, evidence)
                return CancelRequested(evidence=evidence) if told.outcome == "unknown_or_revoked" else told

            return broken

        patch("lash_ref.cancel:TurnCancelGate.request", make)


@host_mutant("WAI.9", character="Joining: seals what is written one after the other.")
class SealsWhatIsJoined(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(seal: Any) -> Any:
            return lambda waits, session_id, kind, wait_id: seal(waits, f"{session_id}:{kind}:{wait_id}", "", "")

        patch("lash_ref.waits:Waits._seal", make)
