"""Stores that are wrong about commits."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

import asyncio

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import StoreWrapper
from lash_ref.errors import (
    HeadRevisionConflict,
    InvalidRecord,
    LashError,
    RuntimeTurnCommitConflict,
    SessionBindingMismatch,
    SessionExecutionLeaseExpired,
)
from lash_ref.nodes import Append, FullGraph
from lash_ref.records import PersistedSessionRead, RuntimeCommitResult
from lash_ref.store import Store


@mutant("STO.1", character="Eager: answers an empty session where none was committed.")
class AnswersAnEmptySession(StoreWrapper):
    async def load_session(self, scope):
        found = await self.inner.load_session(scope)
        return found or PersistedSessionRead.model_construct(session_id="s1", head_revision=0)


@mutant("STO.2", "STO.3", character="Counts from zero: the first commit is revision 0.")
class CountsFromZero(StoreWrapper):
    async def commit_runtime_state(self, commit):
        result = await self.inner.commit_runtime_state(commit)
        return result.but(head_revision=result.head_revision - 1)


@mutant("STO.3", character="Leaps: every second commit raises the revision by two.")
class LeapsRevisions(Store):
    async def write(self, rows, commit, head, *rest):
        if head is not None and head.head_revision % 2:
            head = head.but(head_revision=head.head_revision + 1)
        return await super().write(rows, commit, head, *rest)


@mutant("STO.4", character="Literal: an absent head is not revision 0 to it.")
class RefusesZeroOnAnAbsentHead(Store):
    async def require_head(self, rows, commit):
        head = await super().require_head(rows, commit)
        if head is None and commit.expected_head_revision is not None:
            raise HeadRevisionConflict(commit.expected_head_revision, 0)
        return head


@mutant("STO.5", character="Suspicious: takes an absent expectation for 'must be new'.")
class ReadsAbsentAsNew(StoreWrapper):
    async def commit_runtime_state(self, commit):
        if commit.expected_head_revision is None:
            commit = commit.but(expected_head_revision=0)
        return await self.inner.commit_runtime_state(commit)


@mutant("STO.12", character="Trusting: never looks at the expected revision.")
class IgnoresTheRevision(StoreWrapper):
    async def commit_runtime_state(self, commit):
        return await self.inner.commit_runtime_state(commit.but(expected_head_revision=None))


@mutant("STO.12", character="Lenient: takes any revision up to the stored one.")
class AcceptsStaleRevisions(Store):
    async def require_head(self, rows, commit):
        head = await rows.head(self.session_id)
        actual = head.head_revision if head else 0
        if (commit.expected_head_revision or 0) > actual:
            raise HeadRevisionConflict(commit.expected_head_revision, actual)
        return head


@mutant("STO.12", character="Mumbling: names the wrong revisions in its refusal.")
class NamesTheWrongRevisions(StoreWrapper):
    async def commit_runtime_state(self, commit):
        try:
            return await self.inner.commit_runtime_state(commit)
        except HeadRevisionConflict as err:
            raise HeadRevisionConflict(err.fields["actual"], err.fields["expected"]) from err


class ChecksThenWrites(StoreWrapper):
    async def commit_runtime_state(self, commit):
        read = await self.inner.load_session(FullGraph())
        actual = read.head_revision if read else 0
        if commit.expected_head_revision not in (None, actual):
            raise HeadRevisionConflict(commit.expected_head_revision, actual)
        await asyncio.sleep(0)
        return await self.inner.commit_runtime_state(commit.but(expected_head_revision=None))


@mutant("STO.6", "STO.7", character="Read-then-write: compares the revision, pauses, and writes anyway.")
class LosesTheRace(ChecksThenWrites):
    pass


@mutant("STO.7", character="Leaky: a losing commit still pays its usage.")
class LeaksTheLosersUsage(Store):
    async def apply(self, commit):
        try:
            return await super().apply(commit)
        except HeadRevisionConflict:
            async with self.transactions.begin(write=True) as rows:
                for delta in commit.usage_deltas:
                    await self.add_usage(rows, delta)
            raise


@mutant("STO.8", character="Promiscuous: commits another session's turn as its own.")
class CommitsAnyonesTurn(StoreWrapper):
    async def commit_runtime_state(self, commit):
        return await self.inner.commit_runtime_state(commit.but(session_id="s1"))


@mutant("STO.9", character="Late: finds the foreign draft after everything is written.")
class ChecksTheOutboxLast(StoreWrapper):
    async def commit_runtime_state(self, commit):
        own = tuple(d for d in commit.enqueued_queue_batches if d.session_id == commit.session_id)
        result = await self.inner.commit_runtime_state(commit.but(enqueued_queue_batches=own))
        if len(own) != len(commit.enqueued_queue_batches):
            raise SessionBindingMismatch("s1", "s2")
        return result


@mutant("STO.10", character="Courteous: a commit without a fence is let in.")
class NeedsNoFence(Store):
    async def require_live(self, rows, session_id, fence, now):
        return fence if fence is None else await super().require_live(rows, session_id, fence, now)


@mutant("STO.11", "LEA.8", character="Timeless: a lease never expires as far as it is concerned.")
class ForgetsExpiry(Store):
    def lease_is_live(self, row, now):
        return row is not None


@mutant("STO.11", character="Easily pleased: the lane is held live, by whomever, so anybody may commit.")
class AnyLiveHolderWillDo(Store):
    async def require_live(self, rows, session_id, fence, now):
        if fence is not None and self.lease_is_live(await rows.lease(session_id), now):
            return fence
        return await super().require_live(rows, session_id, fence, now)


@mutant("STO.13", character="Forgetful of tokens: matches a fence by session, owner and number.")
class IgnoresTheToken(Store):
    def matches(self, row, fence):
        return super().matches(row, fence.but(lease_token=row.lease_token))


@mutant("STO.13", character="Forgetful of numbers: matches a fence by session, owner and token.")
class IgnoresTheNumber(Store):
    def matches(self, row, fence):
        return super().matches(row, fence.but(fencing_token=row.fencing_token))


@mutant("STO.13", character="Forgetful of incarnations: matches a fence by token and number.")
class IgnoresTheIncarnation(Store):
    def matches(self, row, fence):
        return super().matches(row, fence.but(owner=row.owner))


@mutant("STO.15", character="Hasty: compares the revision before it looks at the fence.")
class ChecksTheRevisionFirst(Store):
    async def apply(self, commit):
        async with self.transactions.begin(write=False) as rows:
            await self.require_head(rows, commit)
        return await super().apply(commit)


@mutant("STO.16", character="Generous: each commit prolongs the lease.")
class ProlongsTheLease(Store):
    async def record(self, rows, commit, result, now):
        row = await rows.lease(self.session_id)
        await rows.put_lease(row.but(expires_at_epoch_ms=row.expires_at_epoch_ms + 30_000))
        await super().record(rows, commit, result, now)


@mutant("STO.16", character="Tidy: gives the lane back after every commit.")
class ReleasesAlways(StoreWrapper):
    async def commit_runtime_state(self, commit):
        result = await self.inner.commit_runtime_state(commit)
        if commit.session_execution_lease is not None:
            await self.inner.release_session_execution_lease(commit.session_execution_lease)
        return result


@mutant("STO.17", "STO.30", character="Holding on: forgets to release when a commit asks it to.")
class NeverReleases(Store):
    async def release_lane(self, rows, commit):
        return None


@mutant("STO.18", character="Strict: fails the commit whose release does not match.")
class FailsOnAForeignRelease(Store):
    async def release_lane(self, rows, commit):
        asked = commit.release_session_execution_lease
        row = await rows.lease(self.session_id)
        if asked is not None and row is not None and not self.matches(row, asked):
            raise SessionExecutionLeaseExpired(self.session_id)
        await super().release_lane(rows, commit)


@mutant("STO.18", character="Blunt: any release frees the lane, whoever it names.")
class ReleasesOnAnyWord(Store):
    async def release_lane(self, rows, commit):
        row = await rows.lease(self.session_id)
        if commit.release_session_execution_lease is not None and row is not None:
            await rows.put_lease(row.but(expires_at_epoch_ms=0))


@mutant("STO.20", "STO.21", character="Impatient: settles the queue before it has judged the rest.")
class SettlesBeforeJudging(Store):
    async def commit_runtime_state(self, commit):
        try:
            return await super().commit_runtime_state(commit)
        except LashError:
            async with self.transactions.begin(write=True) as rows:
                for done in commit.completed_queue_claims:
                    for batch_id in done.batch_ids:
                        await rows.drop_batch(self.session_id, batch_id)
            raise


@mutant("STO.22", character="Additive: keeps the old frames beside the new ones.")
class KeepsOldFrames(Store):
    async def write(self, rows, commit, head, *rest):
        if head is not None:
            commit = commit.but(agent_frames=(*head.agent_frames, *commit.agent_frames))
        return await super().write(rows, commit, head, *rest)


@mutant("STO.22", character="Slim: drops the inline bytes of a frame.")
class DropsFrameBytes(StoreWrapper):
    async def commit_runtime_state(self, commit):
        slim = tuple(f.but(execution_state_snapshot=None) for f in commit.agent_frames)
        return await self.inner.commit_runtime_state(commit.but(agent_frames=slim))


@mutant("STO.23", character="Sorting: answers the outbox by key instead of by draft.")
class SortsTheOutbox(StoreWrapper):
    async def commit_runtime_state(self, commit):
        result = await self.inner.commit_runtime_state(commit)
        made = sorted(result.enqueued_queue_batches, key=lambda one: one.source_key or "")
        return result.but(enqueued_queue_batches=tuple(made))


@mutant("STO.24", character="A lost outbox: answers the batches and never enqueues them.")
class LosesTheOutbox(Store):
    async def record(self, rows, commit, result, now):
        for made in result.enqueued_queue_batches:
            await rows.drop_batch(self.session_id, made.batch_id)
        await super().record(rows, commit, result, now)


@mutant("STO.24", character="Keyless: an outbox draft is enqueued whatever its key says.")
class IgnoresKeysInTheOutbox(StoreWrapper):
    async def commit_runtime_state(self, commit):
        drafts = tuple(d.but(source_key=None) for d in commit.enqueued_queue_batches)
        return await self.inner.commit_runtime_state(commit.but(enqueued_queue_batches=drafts))


# -- repeats


@mutant("STO.14", character="Forgetful: answers a repeat with today's head instead of the record.")
class AnswersRepeatsWithTheHead(Store):
    async def recorded(self, rows, commit):
        found = await super().recorded(rows, commit)
        head = await rows.head(self.session_id)
        return found if found is None else found.but(head_revision=head.head_revision)


@mutant("STO.14", character="Strict: checks the lease before it looks for the stamp.")
class ChecksTheLeaseFirst(Store):
    async def recorded(self, rows, commit):
        await self.require_live(rows, self.session_id, commit.session_execution_lease, self.clock.now_ms())
        return await super().recorded(rows, commit)


@mutant("STO.14", "STO.31", "STO.37", "STO.64", character="Amnesiac: keeps no stamps, so a repeat applies again.")
class KeepsNoStamps(StoreWrapper):
    async def commit_runtime_state(self, commit):
        return await self.inner.commit_runtime_state(commit.but(turn_commit=None))


@mutant("STO.31", character="Twice-sending: a repeat enqueues its outbox again.")
class EnqueuesOnRepeat(Store):
    async def recorded(self, rows, commit):
        found = await super().recorded(rows, commit)
        if found is not None:
            for draft in commit.enqueued_queue_batches:
                await self.enqueue(rows, draft, 0)
        return found


@mutant("STO.32", character="Agreeable: another hash for a committed turn is a repeat too.")
class AcceptsAnyHash(Store):
    async def recorded(self, rows, commit):
        stamp = commit.turn_commit
        row = None if stamp is None else await rows.stamp(self.session_id, stamp.turn_id)
        return None if row is None else row.result


@mutant("STO.33", character="Cosmopolitan: takes a stamp of another session for its own.")
class AcceptsForeignStamps(Store):
    async def recorded(self, rows, commit):
        if commit.turn_commit is not None:
            commit = commit.but(turn_commit=commit.turn_commit.but(session_id=self.session_id))
        return await super().recorded(rows, commit)


@mutant("STO.34", character="Case-blind: folds hashes before it compares them.")
class FoldsHashes(StoreWrapper):
    async def commit_runtime_state(self, commit):
        if commit.turn_commit is not None:
            folded = commit.turn_commit.turn_commit_hash.strip().lower()
            commit = commit.but(turn_commit=commit.turn_commit.but(turn_commit_hash=folded))
        return await self.inner.commit_runtime_state(commit)


@mutant("STO.35", character="Clever: takes equal content for a repeat.")
class DeduplicatesByContent(StoreWrapper):
    async def commit_runtime_state(self, commit):
        if commit.turn_commit is None:
            content = commit.but(expected_head_revision=None)
            if content in self.place.memory:
                return self.place.memory[content]
            self.place.memory[content] = await self.inner.commit_runtime_state(commit)
            return self.place.memory[content]
        return await self.inner.commit_runtime_state(commit)


@mutant("STO.36", character="Premature: stamps a turn before it is accepted.")
class StampsRefusedTurns(StoreWrapper):
    async def commit_runtime_state(self, commit):
        seen = self.place.memory.setdefault("refused", set())
        if commit.turn_commit is not None and commit.turn_commit.turn_id in seen:
            return RuntimeCommitResult.model_construct(head_revision=1)
        try:
            return await self.inner.commit_runtime_state(commit)
        except HeadRevisionConflict:
            seen.add(commit.turn_commit.turn_id)
            raise


@mutant("STO.37", character="Short of memory: remembers the last ten turns only.")
class ForgetsOldTurns(Store):
    async def recorded(self, rows, commit):
        found = await super().recorded(rows, commit)
        head = await rows.head(self.session_id)
        old = found is not None and head.head_revision - found.head_revision > 10
        return None if old else found


@mutant("STO.13", character="Open: a live lane anywhere is authority here.")
class AcceptsForeignFences(Store):
    async def require_live(self, rows, session_id, fence, now):
        return await super().require_live(rows, fence.session_id if fence else session_id, fence, now)


@mutant("STO.20", character="Two steps: settles input before it judges the rest.")
class SettlesInputFirst(Store):
    async def apply(self, commit):
        async with self.transactions.begin(write=True) as rows:
            for done in commit.completed_turn_input_claims:
                for row in await self.completed_inputs(rows, done):
                    await self.complete_input(rows, row)
        return await super().apply(commit.but(completed_turn_input_claims=()))


@mutant("STO.20", character="Salvaging: stores what is valid of an invalid commit.")
class StoresTheValidPart(StoreWrapper):
    async def commit_runtime_state(self, commit):
        try:
            return await self.inner.commit_runtime_state(commit)
        except InvalidRecord:
            nodes = [node for node in getattr(commit.graph, "nodes", ()) if "\0" not in node.node_id]
            graph = Append(nodes=tuple(nodes), leaf_node_id=commit.graph.leaf_node_id)
            await self.inner.commit_runtime_state(commit.model_copy(update={"graph": graph}))
            raise


@mutant("STO.34", character="Distrustful: looks behind the hash.")
class ComparesTheContent(StoreWrapper):
    async def commit_runtime_state(self, commit):
        if commit.turn_commit is not None:
            first = self.place.memory.setdefault(commit.turn_commit, commit.graph)
            if first != commit.graph:
                raise RuntimeTurnCommitConflict(commit.session_id, commit.turn_commit.turn_id)
        return await self.inner.commit_runtime_state(commit)
