"""Broken hosts of the observation chapter ([OBS.1] to [OBS.14])."""

# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false

from typing import Any

from lash_conformance.mutants.host import BrokenHost, Patch, host_mutant
from lash_conformance.mutants.host_cancel import method
from lash_ref.observe import Gap, SessionResume


@host_mutant("OBS.1", character="Jealous: nobody looks while a turn runs.")
class ReadsWait(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(read: Any) -> Any:
            async def broken(session: Any, what: str) -> Any:
                async with session.inner._shared.runtime.writer:
                    return await read(session, what)

            return broken

        patch("lash_conformance.targets.reference_session:ReferenceSession.read", make)


@host_mutant("OBS.2", character="Terse: tells of commits and not of what led there.")
class TellsCommitsOnly(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(record: Any) -> Any:
            def broken(runtime: Any, payload: Any) -> None:
                if payload.type != "turn_activity":
                    record(runtime, payload)

            return broken

        patch("lash_ref.resident:Resident.record", make)


@host_mutant("OBS.3", character="Coarse: one cursor a commit.")
class OneCursorForAll(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(resume: Any) -> Any:
            def broken(observer: Any, given: Any) -> Any:
                found = resume(observer, given)
                if not found.events:
                    return found
                last = found.events[-1].cursor
                return SessionResume(events=tuple(e.but(cursor=last) for e in found.events))

            return broken

        patch("lash_ref.observe:Observer.resume", make)


@host_mutant("OBS.4", character="Present-minded: a subscription starts now.")
class SubscribesToTheFuture(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(subscribe: Any) -> Any:
            def broken(observer: Any, given: Any) -> Any:
                made = subscribe(observer, given)
                made.cursor = made.cursor.but(position=observer.store.tail(observer.session_id))
                return made

            return broken

        patch("lash_ref.observe:Observer.subscribe", make)


@host_mutant("OBS.5", character="Hospitable: any session's cursor is welcome.")
class TakesForeignCursors(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        from lash_ref.observe import SessionCursor

        def broken(observer: Any, given: Any) -> Any:
            return SessionCursor.parse(given) if isinstance(given, str) else given

        patch("lash_ref.observe:Observer.cursor", method(broken))


@host_mutant("OBS.6", character="Silent: a cursor from the future has simply missed nothing.")
class SilentAheadOfTheTail(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _quiet(patch, "unavailable")


@host_mutant("OBS.7", character="Silent: tells what is left and not that something is gone.")
class HidesTheGap(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _quiet(patch, "trimmed")


def _quiet(patch: Patch, reason: str) -> None:
    def make(replay: Any) -> Any:
        def broken(store: Any, cursor: Any) -> Any:
            found = replay(store, cursor)
            if found != reason:
                return found
            stream = store._streams.get(cursor.session_id)
            kept = [] if stream is None else [each.event(cursor.session_id) for each in stream.events]
            return [event for event in kept if event.cursor.position > cursor.position]

        return broken

    patch("lash_ref.observe:LiveReplayStore.replay", make)


@host_mutant("OBS.8", character="Offended: a subscription ends with its first gap.")
class EndsAtTheGap(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        async def broken(observer: Any, given: Any) -> Any:
            async for seen in observer.subscribe(given):
                yield seen
                if isinstance(seen, Gap):
                    return

        patch("lash_ref.observe:Observer.subscribe_and_recover", method(broken))


@host_mutant("OBS.9", character="Discreet: keeps changes to itself until the next turn.")
class PublishesTurnsOnly(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(record: Any) -> Any:
            def broken(runtime: Any, payload: Any) -> None:
                if payload.type != "queue_changed":
                    record(runtime, payload)

            return broken

        patch("lash_ref.resident:Resident.record", make)


@host_mutant("OBS.10", character="Optimist: announces the commit before it is made.")
class AnnouncesEarly(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(commit: Any) -> Any:
            async def broken(turn: Any, task: Any) -> Any:
                turn.runtime.publish(committed=True)
                return await commit(turn, task)

            return broken

        patch("lash_ref.turn_commit:_commit", make)


@host_mutant("OBS.11", character="Own-minded: counts revisions by itself.")
class CountsItsOwnRevisions(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(observe: Any) -> Any:
            async def broken(session: Any) -> Any:
                told = await observe(session)
                return told | {"revision": told["revision"] + 1}

            return broken

        patch("lash_conformance.targets.reference_session:ReferenceSession.observe", make)


@host_mutant("OBS.13", character="Late: tells of a new frame after its commit.")
class TellsFramesLate(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(record: Any) -> Any:
            held: list[Any] = []

            def broken(runtime: Any, payload: Any) -> None:
                if payload.type == "agent_frame_switched":
                    held.append(payload)
                    return
                record(runtime, payload)
                while held and payload.type == "committed":
                    record(runtime, held.pop())

            return broken

        patch("lash_ref.resident:Resident.record", make)


@host_mutant("OBS.14", character="Gossip: tells every session what any of them does.")
class MixesSessions(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(append: Any) -> Any:
            def broken(store: Any, session_id: str, revision: int, payload: Any) -> Any:
                made = append(store, session_id, revision, payload)
                for other in list(store._streams):
                    if other != session_id:
                        append(store, other, revision, payload)
                return made

            return broken

        patch("lash_ref.observe:LiveReplayStore.append", make)
        patch("lash_ref.observe:LiveReplayStore.tail", _opens_a_stream)


def _opens_a_stream(tail: Any) -> Any:
    def broken(store: Any, session_id: str) -> int:
        store.changed(session_id)
        return int(tail(store, session_id))

    return broken


@host_mutant("OBS.4", character="First come: what one reader was given is news that the others have missed.")
class OneReaderTakesAll(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        taken: set[str] = set()

        def make(events: Any) -> Any:
            async def broken(following: Any) -> Any:
                async for seen in events(following):
                    missed = seen.cursor.text() in taken
                    taken.add(seen.cursor.text())
                    yield following.gap_of(seen.cursor, "trimmed") if missed else seen

            return broken

        patch("lash_ref.observe:SessionObservationSubscription._events", make)


@host_mutant("OBS.4", character="Forgetful: counts events anew when a session is opened again.")
class CountsEventsAnew(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(unregister: Any) -> Any:
            def broken(runtime: Any) -> None:
                unregister(runtime)
                runtime.live_replay._streams.pop(runtime.session_id, None)

            return broken

        patch("lash_ref.runtime:LashRuntime.unregister", make)


@host_mutant("OBS.9", character="Discreet: does not say which process was cancelled.")
class CancelsUnnamed(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(payload: Any) -> Any:
            def broken(change: str, ids: Any) -> Any:
                return payload(change=change, ids=() if change == "cancelled" else ids)

            return broken

        patch("lash_ref.session_planes:ProcessChangedPayload", make)


@host_mutant("OBS.2", character="Short memory: keeps a hundred events, however many it was to keep.")
class KeepsAHundredEvents(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(trim: Any) -> Any:
            def broken(store: Any, stream: Any, now_ms: int) -> None:
                store.capacity = min(store.capacity, 100)
                trim(store, stream, now_ms)

            return broken

        patch("lash_ref.observe:LiveReplayStore._trim", make)


@host_mutant("OBS.9", character="Discreet: does not say what was cancelled together.")
class CancelsManyInSilence(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(tell: Any) -> Any:
            def broken(session: Any, outcomes: Any) -> None:
                if isinstance(outcomes, tuple):
                    tell(session, outcomes)

            return broken

        patch("lash_ref.session:LashSession._tell_cancelled", make)


@host_mutant("OBS.9", character="Secretive: what a core enqueues is news to those who watch.")
class EnqueuesInSilence(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(enqueue: Any) -> Any:
            async def broken(core: Any, *given: Any) -> Any:
                replay = core.parts.env.live_replay
                replay.append = lambda *event: None
                try:
                    return await enqueue(core, *given)
                finally:
                    del replay.append

            return broken

        patch("lash_ref.core:LashCore.enqueue_turn_input", make)


@host_mutant("OBS.3", character="Splitting: a cursor is four words with colons between them.")
class SplitsCursors(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(parse: Any) -> Any:
            def broken(cls: Any, text: str) -> Any:
                return parse.__func__(cls, ":".join(text.split(":")[:4]))

            return classmethod(broken)

        patch("lash_ref.observe:SessionCursor.parse", make)


@host_mutant("OBS.7", character="Anxious: sees a gap where the oldest event begins.")
class SeesGapsTooEarly(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(replay: Any) -> Any:
            def broken(store: Any, cursor: Any) -> Any:
                found = replay(store, cursor)
                whole = isinstance(found, list) and found and cursor.position > 0
                events: Any = store._streams[cursor.session_id].events if whole else ()
                return "trimmed" if whole and events[0].position == cursor.position + 1 else found

            return broken

        patch("lash_ref.observe:LiveReplayStore.replay", make)


@host_mutant("OBS.2", character="Taciturn: a drain tells those who watch, and not its caller.")
class DrainsReportNothing(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(run: Any) -> Any:
            async def broken(builder: Any) -> Any:
                output = await run(builder)
                return output and output.but(activities=())

            return broken

        patch("lash_ref.turn_builders:QueuedTurnBuilder.run", make)


def renaming(rename: Any) -> Any:
    """Activities shown under other ids."""
    return lambda activity: lambda **parts: activity(**parts | rename(parts))


@host_mutant("OBS.15", character="Repetitive: an activity is known by what it belongs to.")
class NamesActivitiesByCorrelation(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.activity:TurnActivity", renaming(lambda parts: {"id": parts["correlation_id"]}))


@host_mutant("OBS.15", character="Starting over: activities are numbered in each turn anew.")
class NumbersActivitiesByTurn(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.activity:TurnActivity", renaming(lambda parts: {"id": parts["id"].rpartition(":")[2]}))


@host_mutant("OBS.16", character="Context-free: a call is correlated by the model's id alone.")
class CorrelatesByCallId(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def rename(parts: Any) -> Any:
            return {"correlation_id": parts["correlation_id"].partition(":")[2]}

        patch("lash_ref.activity:TurnActivity", renaming(rename))


@host_mutant("OBS.9", character="Discreet: says nothing of frames.")
class OpensFramesInSilence(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(change: Any) -> Any:
            async def broken(runtime: Any, made: Any) -> None:
                publish, runtime.publish = runtime.publish, lambda **_: publish()
                try:
                    await change(runtime, made)
                finally:
                    del runtime.publish

            return broken

        patch("lash_ref.session_changes:SessionChanges.change", make)


@host_mutant("OBS.9", character="Discreet: commands come and go in silence.")
class QueuesCommandsInSilence(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(tell: Any) -> Any:
            def broken(shared: Any, change: str, *ids: str) -> None:
                if not any(id.startswith("batch") for id in ids):
                    tell(shared, change, *ids)

            return broken

        patch("lash_ref.shared:Shared.tell_queue", make)
