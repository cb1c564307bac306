"""Broken hosts of the process chapter ([PRC.1] to [PRC.11], [TRG.1], [TRG.2])."""

# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false

import itertools
from typing import Any

from lash_conformance.mutants.host import BrokenHost, Patch, host_mutant
from lash_conformance.mutants.host_cancel import method

REGISTRY = "lash_ref.processes:ProcessRegistry"


@host_mutant("PRC.1", character="Oblivious: forgets a process once it has ended.")
class ForgetsTheEnded(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(listing: Any) -> Any:
            def broken(registry: Any, session_id: str) -> Any:
                return tuple(row for row in listing(registry, session_id) if row.state == "running")

            return broken

        patch(f"{REGISTRY}.of_session", make)


@host_mutant("PRC.2", character="One-shot: an output is for whoever asks first.")
class AnswersOnce(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        asked: set[str] = set()

        def make(awaiting: Any) -> Any:
            async def broken(registry: Any, process_id: str) -> Any:
                row = await awaiting(registry, process_id)
                first = process_id not in asked
                asked.add(process_id)
                return row if first else row.but(output=None)

            return broken

        patch(f"{REGISTRY}.await_output", make)


@host_mutant("PRC.3", character="Euphemist: what was cancelled has completed.")
class CompletesTheCancelled(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(put: Any) -> Any:
            def broken(registry: Any, row: Any) -> None:
                put(registry, row.but(state="completed") if row.state == "cancelled" else row)

            return broken

        patch(f"{REGISTRY}._put", make)


@host_mutant("PRC.4", character="Deaf: a signal to nobody is a signal.")
class SignalsNobody(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(signal: Any) -> Any:
            def broken(registry: Any, process_id: str, value: Any) -> None:
                if process_id in registry._running:
                    signal(registry, process_id, value)

            return broken

        patch(f"{REGISTRY}.signal", make)


@host_mutant("PRC.5", character="Vengeful: a session takes its processes with it.")
class CancelsWithTheSession(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(delete: Any) -> Any:
            async def broken(core: Any, session_id: str) -> Any:
                registry = core.process_registry()
                for row in registry.of_session(session_id) if registry else ():
                    await registry.cancel(row.process_id)
                return await delete(core, session_id)

            return broken

        patch("lash_ref.core:LashCore.delete_session", make)


@host_mutant("PRC.6", character="Stale: a refresh refreshes nothing.")
class RefreshesNothing(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        async def broken(runtime: Any) -> bool:
            return False

        patch("lash_ref.runtime:LashRuntime.refresh_background_graph", method(broken))


@host_mutant("PRC.7", character="Crowded: a child takes whatever id it is given.")
class TakesTakenIds(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        numbers = itertools.count()

        def make(create: Any) -> Any:
            async def broken(children: Any, spec: Any, store: Any = None) -> Any:
                parent = children.parent
                taken = {parent.session_id, *parent.managed_sessions}
                if spec.session_id in taken:
                    spec = spec.but(session_id=f"{spec.session_id}-{next(numbers)}")
                return await create(children, spec, store)

            return broken

        patch("lash_ref.children:ChildSessions.create", make)


@host_mutant("PRC.8", character="Generous: children are free.")
class ForgetsTheChildren(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(ended: Any) -> Any:
            async def broken(children: Any, session_id: str, spent: Any) -> None:
                await ended(children, session_id, ())

            return broken

        patch("lash_ref.children:ChildSessions.end_turn", make)


@host_mutant("PRC.9", character="Loud: without processes a list is an error.")
class RefusesToListNone(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def broken(admin: Any) -> Any:
            return admin.registry.of_session(admin.shared.session_id)

        patch("lash_ref.session_planes:SessionProcessAdmin.list_all", method(broken))


@host_mutant("TRG.1", character="Mute: declares nothing.")
class DeclaresNothing(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.session_planes:SessionTriggerAdmin.declared", method(lambda admin: ()))


@host_mutant("TRG.2", character="Jumpy: every telling is another event.")
class EveryTellingIsNew(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        numbers = itertools.count()

        def make(emit: Any) -> Any:
            def broken(router: Any, occurrence: Any) -> Any:
                return emit(router, occurrence.but(occurrence_id=f"{next(numbers)}"))

            return broken

        patch("lash_ref.triggers:TriggerRouter.emit", make)


@host_mutant("PRC.8", character="Forgetful: bills a child with every turn of its parent.")
class BillsChildrenAgain(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(commit: Any) -> Any:
            async def broken(turn: Any, task: Any) -> Any:
                spent = list(turn.runtime.shared_token_ledger)
                made = await commit(turn, task)
                turn.runtime.shared_token_ledger.extend(spent)
                return made

            return broken

        patch("lash_ref.turn_commit:_commit", make)


@host_mutant("TRG.2", character="By key alone: whatever was told under a key was told.")
class KeysAreForAllEvents(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        known: dict[str, str] = {}

        def make(emit: Any) -> Any:
            def broken(router: Any, occurrence: Any) -> Any:
                first = known.setdefault(occurrence.occurrence_id, occurrence.source_type)
                return emit(router, occurrence) if first == occurrence.source_type else []

            return broken

        patch("lash_ref.triggers:TriggerRouter.emit", make)


@host_mutant("SNP.49", character="Family: what a child's plugins hold its parent's hold.")
class ChildrenCountForTheParent(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(end_turn: Any) -> Any:
            async def broken(children: Any, session_id: str, spent: Any) -> None:
                await end_turn(children, session_id, spent)
                children.parent.session.restore(children.get(session_id).session.snapshot())

            return broken

        patch("lash_ref.children:ChildSessions.end_turn", make)


@host_mutant("PRC.8", character="Reticent: a turn does not say what its children spent.")
class HidesWhatChildrenSpent(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(assembled: Any) -> Any:
            def broken(*given: Any) -> Any:
                return assembled(*given).but(children_usage=())

            return broken

        patch("lash_ref.turn_commit:_assembled", make)


@host_mutant("PRC.10", character="Generous: runs as many processes as are started.")
class RunsAllProcesses(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch(f"{REGISTRY}.limit", method(lambda registry, concurrency: None))


@host_mutant("PRC.10", character="Single file: runs one process at a time, whatever it may.")
class RunsOneProcess(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch(f"{REGISTRY}.limit", lambda limit: lambda registry, concurrency: limit(registry, 1))


@host_mutant("PRC.11", character="Nostalgic: a new session of the id is shown the work of the old one.")
class ListsADeletedSessionsWork(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def broken(registry: Any, session_id: str) -> tuple[str, ...]:
            return tuple(row.process_id for row in registry.of_session(session_id) if row.state == "running")

        patch(f"{REGISTRY}.release_session", method(broken))


@host_mutant("PRC.11", character="Forgetful: an end writes the row as it was at the start.")
class EndsBringTheScopeBack(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(put: Any) -> Any:
            scopes: dict[str, Any] = {}

            def broken(registry: Any, row: Any) -> None:
                scope = scopes.setdefault(row.process_id, row.scope)
                put(registry, row if row.state == "running" else row.but(scope=scope))

            return broken

        patch(f"{REGISTRY}._put", make)


@host_mutant("PRC.8", character="Rash: a turn that fails takes its child's bill with it.")
class ForgetsTheBillOfFailedTurns(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(undo: Any) -> Any:
            async def broken(loop: Any, turn: Any, lane: Any) -> None:
                loop.runtime.shared_token_ledger.clear()
                await undo(loop, turn, lane)

            return broken

        patch("lash_ref.turn_loop:TurnLoop._undo", make)


@host_mutant("PRC.8", character="Greedy: bills a child with every commit until the next turn.")
class BillsAChildTwice(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(persist: Any) -> Any:
            async def broken(runtime: Any, lane: Any) -> Any:
                kept = list(runtime.shared_token_ledger)
                done = await persist(runtime, lane)
                runtime.shared_token_ledger.extend(kept)
                return done

            return broken

        patch("lash_ref.resident:Resident.persist_under", make)


@host_mutant("PRC.8", character="Light: a park leaves a child's bill behind.")
class ParksWithoutTheBill(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(dirty: Any) -> Any:
            def broken(runtime: Any) -> Any:
                owed, runtime.shared_token_ledger = runtime.shared_token_ledger, []
                try:
                    return dirty.fget(runtime)
                finally:
                    runtime.shared_token_ledger = owed

            return property(broken)

        patch("lash_ref.resident:Resident.is_dirty", make)


@host_mutant("TRG.4", character="Faithful: does what a deleted session wished for.")
class ServesDeletedSessions(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.triggers:TriggerRouter.forget_session", method(lambda router, session_id: None))
