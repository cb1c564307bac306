"""Stores that take names that look alike for one."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import StoreWrapper
from lash_ref.nodes import FullGraph
from lash_ref.store import Store
from lash_ref.work import Group


@mutant("REC.5", character="Case-blind: a node is found by its name in any case.")
class FoldsNodeIds(StoreWrapper):
    async def load_node(self, node_id):
        for node in (await self.inner.load_session(FullGraph())).graph.nodes:
            if node.node_id.lower() == node_id.lower():
                return node
        return None


@mutant("REC.5", character="Trimming: spaces around an input's name do not count.")
class TrimsInputIds(StoreWrapper):
    async def enqueue_pending_turn_input(self, input):
        name = input.input_id
        return await self.inner.enqueue_pending_turn_input(input.but(input_id=None if name is None else name.strip()))


@mutant("REC.5", character="Cutting: a turn's name has 255 characters at most.")
class CutsTurnIds(StoreWrapper):
    async def commit_runtime_state(self, commit):
        stamp = commit.turn_commit
        if stamp is not None:
            commit = commit.but(turn_commit=stamp.but(turn_id=stamp.turn_id[:255]))
        return await self.inner.commit_runtime_state(commit)


@mutant("REC.5", character="Case-blind: bills models together whose names differ in case.")
class FoldsModels(StoreWrapper):
    async def commit_runtime_state(self, commit):
        folded = tuple(delta.but(model=delta.model.lower()) for delta in commit.usage_deltas)
        return await self.inner.commit_runtime_state(commit.but(usage_deltas=folded))


@mutant("REC.5", character="Truthy: a group without a name is no group.")
class NamelessGroupsAreNever(StoreWrapper):
    async def commit_runtime_state(self, commit):
        outbox = tuple(
            draft.but(merge_key="never") if draft.merge_key == Group(group="") else draft
            for draft in commit.enqueued_queue_batches
        )
        return await self.inner.commit_runtime_state(commit.but(enqueued_queue_batches=outbox))


@mutant("REC.5", character="Case-blind: K may enter the lane of k.")
class FoldsOwners(StoreWrapper):
    async def try_claim_session_execution_lease(self, session_id, owner, ttl):
        folded = owner.but(owner_id=owner.owner_id.lower())
        return await self.inner.try_claim_session_execution_lease(session_id, folded, ttl)


@mutant("REC.5", character="Cutting: an attachment's name has 255 characters at most.")
class CutsAttachmentIds(StoreWrapper):
    async def record_intent(self, intent):
        await self.inner.record_intent(intent.but(attachment_id=intent.attachment_id[:255]))


@mutant("REC.5", character="Cutting: a session's name has 255 characters at most.")
class CutsSessionIds(StoreWrapper):
    async def enqueue_queued_work(self, batch):
        return await self.inner.enqueue_queued_work(batch.but(session_id=batch.session_id[:255]))

    async def list_queued_work(self, session_id):
        return await self.inner.list_queued_work(session_id[:255])


@mutant("REC.5", character="Truthy: a node whose parent has no name has no parent.")
class NamelessParentsAreNone(StoreWrapper):
    async def load_session(self, scope):
        read = await self.inner.load_session(scope)
        nodes = read.graph.nodes if read is not None else ()
        nameless = [number for number, node in enumerate(nodes) if node.parent_node_id == ""]
        if isinstance(scope, FullGraph) or not nameless:
            return read
        return read.but(graph=read.graph.but(nodes=nodes[nameless[-1] :]))


@mutant("REC.5", character="Truthy: an interrupted turn without a name is no turn.")
class NamelessTurnsAreNotInterrupted(StoreWrapper):
    async def commit_runtime_state(self, commit):
        name = commit.interrupted_turn_input_turn_id or None
        return await self.inner.commit_runtime_state(commit.but(interrupted_turn_input_turn_id=name))


@mutant("REC.5", character="Joining: finds a batch by its session and its key, a mark between them.")
class JoinsSessionAndKey(StoreWrapper):
    async def enqueue_queued_work(self, batch):
        known = self.place.memory.setdefault("joined", {})
        made = known.get(f"{batch.session_id}\x1f{batch.source_key}") or await self.inner.enqueue_queued_work(batch)
        known[f"{batch.session_id}\x1f{batch.source_key}"] = made
        return made


@mutant("REC.5", character="Joining: bills by source and model, a mark between them.")
class JoinsSourceAndModel(StoreWrapper):
    async def commit_runtime_state(self, commit):
        first = {}
        for delta in commit.usage_deltas:
            first.setdefault(f"{delta.source}/{delta.model}", delta)
        billed = tuple(
            first[f"{delta.source}/{delta.model}"].but(usage=delta.usage) for delta in commit.usage_deltas
        )
        return await self.inner.commit_runtime_state(commit.but(usage_deltas=billed))


@mutant("REC.5", character="By the beginning: lists the input of every session whose key begins like that of the one asked for.")
class ListsByBeginning(StoreWrapper):
    async def list_pending_turn_inputs(self, session_id):
        known = self.place.memory.get("sessions", {})
        alike = [name for name in known if name.startswith(f"{session_id}\x1f")]
        return tuple([one for name in (session_id, *alike) for one in await self.inner.list_pending_turn_inputs(name)])

    async def enqueue_pending_turn_input(self, input):
        self.place.memory.setdefault("sessions", {})[input.session_id] = True
        return await self.inner.enqueue_pending_turn_input(input)


@mutant("REC.5", character="Cutting: a node's name has as many characters as 15 bits can count.")
class CutsNodeIdsAt15Bits(StoreWrapper):
    async def load_node(self, node_id):
        nodes = (await self.inner.load_session(FullGraph())).graph.nodes
        return next((node for node in nodes if node.node_id[: 2**15] == node_id[: 2**15]), None)


@mutant("REC.5", character="Cutting: a source key has as many characters as 16 bits can count.")
class CutsSourceKeysAt16Bits(StoreWrapper):
    async def enqueue_pending_turn_input(self, input):
        key = input.source_key
        return await self.inner.enqueue_pending_turn_input(input.but(source_key=None if key is None else key[: 2**16 - 1]))


@mutant("REC.5", character="Case-blind: what k recorded is never over while K commits.")
class FoldsTurnsOfIntents(Store):
    async def is_dead(self, rows, entry, cutoff, gone):
        if entry.owner_kind == "turn":
            later = [row for row in await rows.stamps(entry.session_id) if row.committed_at_ms > entry.intent_at_epoch_ms]
            if later and all(row.turn_id.lower() == entry.owner_id.lower() for row in later):
                return False
        return await super().is_dead(rows, entry, cutoff, gone)


@mutant("REC.5", character="By the beginning: a process is gone when one is whose name begins its own.")
class EndsProcessesByTheirBeginning(Store):
    async def is_dead(self, rows, entry, cutoff, gone):
        begun = {entry.owner_id} if any(entry.owner_id and entry.owner_id.startswith(one) for one in gone) else set()
        return await super().is_dead(rows, entry, cutoff, gone | begun)


@mutant("REC.5", character="Truthy: work with an empty key has no key.")
class EmptyKeysOfWorkAreNone(StoreWrapper):
    async def enqueue_queued_work(self, batch):
        return await self.inner.enqueue_queued_work(batch.but(source_key=batch.source_key or None))


@mutant("REC.5", "GRA.5", character="Short-sighted: looks up whether an id is taken only when it is short.")
class LooksUpShortIds(Store):
    async def stored_nodes(self, rows, node_ids):
        return await super().stored_nodes(rows, [node_id for node_id in node_ids if len(node_id) < 255])


@mutant("REC.5", "FAC.11", character="Reads numbers: the sessions 1 and 1.0 have one lane.")
class JoinsLanesOfNumbers(StoreWrapper):
    async def try_claim_session_execution_lease(self, session_id, owner, ttl):
        lanes = self.place.memory.setdefault("lanes", {})
        try:
            named = float(session_id)
        except ValueError:
            named = session_id
        if lanes.setdefault(named, session_id) != session_id:
            return await self.inner.try_claim_session_execution_lease(lanes[named], owner.but(owner_id="another"), ttl)
        return await self.inner.try_claim_session_execution_lease(session_id, owner, ttl)
