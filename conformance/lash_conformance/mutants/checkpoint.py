"""Stores that are wrong about the turn hash, checkpoints, usage and meta."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

import asyncio

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import StoreWrapper, WrappedTarget
from lash_ref.errors import Backend, InvalidRecord, SessionExecutionLeaseExpired, UnreadableRecord
from lash_ref.nodes import ReplaceFull
from lash_ref.store import Store
from lash_ref.turn_hash import turn_commit_hash


@mutant("STO.40", character="Thorough: hashes the attempt together with the turn.")
class HashesTheAttempt(WrappedTarget):
    @staticmethod
    def turn_hash(commit):
        return commit.to_json()


@mutant("STO.41", character="Literal: hashes minted names too.")
class HashesMintedNames(WrappedTarget):
    @staticmethod
    def turn_hash(commit):
        return commit.graph.to_json() + turn_commit_hash(commit)


@mutant("STO.42", character="Superficial: hashes who and when, not what.")
class HashesTheSessionOnly(WrappedTarget):
    @staticmethod
    def turn_hash(commit):
        return commit.session_id


class Slots(StoreWrapper):
    """Edits the checkpoint of a commit."""

    def edited(self, checkpoint):
        return checkpoint

    async def commit_runtime_state(self, commit):
        return await self.inner.commit_runtime_state(commit.but(checkpoint=self.edited(commit.checkpoint)))


@mutant("STO.50", character="Light: keeps refs and loses the tool state behind them.")
class DropsToolState(Slots):
    def edited(self, checkpoint):
        return checkpoint.but(tool_state=None)


@mutant("STO.50", character="Seven bits: keeps of the execution bytes what is ASCII.")
class KeepsAscii(Slots):
    def edited(self, checkpoint):
        state = checkpoint.execution_state
        return checkpoint.but(execution_state=state and state.decode("ascii", "ignore").encode())


@mutant("STO.50", character="Confused: answers the plugin snapshot where the tool state belongs.")
class ConfusesSlots(Slots):
    async def load_session(self, scope):
        read = await self.inner.load_session(scope)
        if read is None or read.checkpoint is None:
            return read
        return read.but(checkpoint=read.checkpoint.but(tool_state=read.checkpoint.plugin_snapshot))


@mutant("STO.58", character="Bare: answers the parts without their names.")
class AnswersPartsWithoutRefs(StoreWrapper):
    async def load_session(self, scope):
        read = await self.inner.load_session(scope)
        if read is None or read.checkpoint is None:
            return read
        return read.but(checkpoint=read.checkpoint.but(tool_state_ref=None, execution_state_ref=None))


@mutant("STO.51", character="Forgets which revision the plugin snapshot had.")
class DropsThePluginRevision(Slots):
    def edited(self, checkpoint):
        return checkpoint.but(plugin_snapshot_revision=None)


@mutant("STO.52", character="Brief: keeps the turn index and nothing else of the turn state.")
class KeepsTheTurnIndexOnly(Slots):
    def edited(self, checkpoint):
        return checkpoint.but(turn_state={"turn_index": checkpoint.turn_state.turn_index})


@mutant("STO.53", character="Loyal: a ref wins over what is inline.")
class RefsWin(Slots):
    def edited(self, checkpoint):
        return checkpoint.but(tool_state=None) if checkpoint.tool_state_ref else checkpoint


@mutant("STO.54", character="Secretive: never answers the refs of a checkpoint's parts.")
class HidesChildRefs(StoreWrapper):
    async def commit_runtime_state(self, commit):
        result = await self.inner.commit_runtime_state(commit)
        bare = result.manifest.but(tool_state_ref=None, plugin_snapshot_ref=None, execution_state_ref=None)
        return result.but(manifest=bare)


@mutant("STO.55", character="Sticky: a slot given nothing keeps what it had.")
class KeepsOldSlots(Store):
    async def stored_checkpoint(self, rows, checkpoint):
        head = await rows.head(self.session_id)
        if head is not None and checkpoint.execution_state is None:
            old = await self.manifest(rows, head.checkpoint_ref)
            checkpoint = checkpoint.but(execution_state_ref=old.execution_state_ref)
        return await super().stored_checkpoint(rows, checkpoint)


@mutant("STO.56", character="Truthy: takes empty bytes for none.")
class EmptyIsAbsent(Slots):
    def edited(self, checkpoint):
        return checkpoint.but(execution_state=checkpoint.execution_state or None)


@mutant("STO.57", character="Optimistic: takes any ref and hopes for the best.")
class TakesAnyRef(Slots):
    async def commit_runtime_state(self, commit):
        try:
            return await self.inner.commit_runtime_state(commit)
        except UnreadableRecord:
            bare = commit.checkpoint.but(execution_state_ref=None)
            return await self.inner.commit_runtime_state(commit.but(checkpoint=bare))


@mutant("STO.60", character="Free: forgets what a turn cost in cache writes.")
class DropsCacheWrites(Store):
    async def add_usage(self, rows, delta):
        await super().add_usage(rows, delta.but(usage=delta.usage.but(cache_write_input_tokens=0)))


@mutant("STO.61", character="Coarse: merges usage by source alone.")
class MergesBySource(Store):
    async def add_usage(self, rows, delta):
        await super().add_usage(rows, delta.but(model="any"))


@mutant("STO.61", character="Sorting: answers the ledger by name instead of by first sight.")
class SortsTheLedger(StoreWrapper):
    async def load_session(self, scope):
        read = await self.inner.load_session(scope)
        entries = sorted(read.token_ledger, key=lambda e: (e.source, e.model)) if read else ()
        return None if read is None else read.but(token_ledger=tuple(entries))


@mutant("STO.62", character="Bookkeeping: keeps lines that cost nothing.")
class KeepsFreeLines(StoreWrapper):
    async def commit_runtime_state(self, commit):
        kept = tuple(
            d if d.usage.total else d.but(usage=d.usage.but(input_tokens=1)) for d in commit.usage_deltas
        )
        return await self.inner.commit_runtime_state(commit.but(usage_deltas=kept))


@mutant("STO.63", character="Clean slate: a full replacement clears the ledger too.")
class ReplaceClearsTheLedger(StoreWrapper):
    async def commit_runtime_state(self, commit):
        if isinstance(commit.graph, ReplaceFull) and commit.turn_commit is None:
            self.place.memory["cleared"] = True
        return await self.inner.commit_runtime_state(commit)

    async def load_session(self, scope):
        read = await self.inner.load_session(scope)
        return read.but(token_ledger=()) if self.place.memory.get("cleared") else read


@mutant("STO.65", character="Saturated: a sum stops at the largest number.")
class StopsAtTheTop(Store):
    async def add_usage(self, rows, delta):
        try:
            await super().add_usage(rows, delta)
        except InvalidRecord:
            return


@mutant("STO.64", character="Double-charging: a repeat is paid for again.")
class ChargesRepeats(Store):
    async def recorded(self, rows, commit):
        found = await super().recorded(rows, commit)
        for delta in commit.usage_deltas if found is not None else ():
            await self.add_usage(rows, delta)
        return found


@mutant("STO.70", character="First word: keeps the first meta for ever.")
class KeepsTheFirstMeta(StoreWrapper):
    async def save_session_meta(self, meta):
        if not self.place.memory.get("saved"):
            self.place.memory["saved"] = True
            await self.inner.save_session_meta(meta)


@mutant("STO.70", character="Forgets where a session was started.")
class DropsTheDirectory(StoreWrapper):
    async def save_session_meta(self, meta):
        await self.inner.save_session_meta(meta.but(cwd=None))


@mutant("STO.71", character="Guarded: saves meta only while nobody holds the lane.")
class MetaNeedsAFreeLane(Store):
    async def save_session_meta(self, meta):
        async with self.transactions.begin(write=False) as rows:
            if await self.live_generation(rows, self.session_id, self.clock.now_ms()) is not None:
                raise Backend("the lane is held")
        await super().save_session_meta(meta)


@mutant("STO.72", character="Ephemeral: keeps meta in the process.")
class KeepsMetaInTheProcess(StoreWrapper):
    async def save_session_meta(self, meta):
        self.saved = meta

    async def load_session_meta(self):
        return getattr(self, "saved", None) or await self.inner.load_session_meta()


@mutant("STO.73", character="Clumsy: two handles that open a new place at once get in each other's way.")
class FirstOpensCollide(WrappedTarget):
    async def open(self, place):
        count = place.memory["opening"] = place.memory.get("opening", 0) + 1
        await asyncio.sleep(0)
        if place.memory["opening"] != count:
            raise Backend("table heads already exists")
        return await super().open(place)


@mutant("STO.71", character="Guarded: a session is named only under its lease.")
class GuardsTheMeta(Store):
    async def save_session_meta(self, meta):
        async with self.transactions.begin(write=False) as rows:
            if not self.lease_is_live(await rows.lease(self.session_id), self.clock.now_ms()):
                raise SessionExecutionLeaseExpired(self.session_id)
        await super().save_session_meta(meta)
