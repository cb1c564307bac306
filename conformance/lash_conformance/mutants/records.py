"""Stores that are wrong about what they admit, and about what they cannot read."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

import html
import unicodedata

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import FactoryWrapper, StoreWrapper, WrappedTarget
from lash_ref.errors import (
    InvalidRecord,
    InvalidRecordSchemaVersion,
    LashError,
    MissingRecordSchemaVersion,
    UnreadableRecord,
    UnsupportedDatabaseSchema,
    UnsupportedRecordSchemaVersion,
)
from lash_ref.scalars import Json
from lash_ref.store import Store


class Admitting(StoreWrapper):
    """Takes what should be refused, and does as little as it can with it."""

    def __getattr__(self, name):
        method = getattr(self.inner, name)

        async def call(*arguments):
            try:
                return await method(*arguments)
            except InvalidRecord:
                return None

        return call


@mutant("REC.1", "REC.2", "REC.3", character="Easy-going: swallows what it cannot store.")
class SwallowsBadInput(Admitting):
    pass


@mutant("REC.1", character="Overflowing: the largest ttl is in the past.")
class TtlOverflows(StoreWrapper):
    async def try_claim_session_execution_lease(self, session_id, owner, ttl):
        wrapped = 0 if ttl == 2**63 - 1 else ttl
        return await self.inner.try_claim_session_execution_lease(session_id, owner, wrapped)


@mutant("REC.2", character="Cutting: an identifier ends at its NUL.")
class CutsAtNul(FactoryWrapper):
    async def create_store(self, request):
        cut = request.session_id.partition("\0")[0]
        return await super().create_store(request.model_copy(update={"session_id": cut}))


class Texts(StoreWrapper):
    """Mangles the text of a node and an input on the way in."""

    def mangled(self, text):
        return text

    async def commit_runtime_state(self, commit):
        if getattr(commit.graph, "nodes", None):
            nodes = tuple(self._node(node) for node in commit.graph.nodes)
            commit = commit.but(graph=commit.graph.but(nodes=nodes))
        return await self.inner.commit_runtime_state(commit)

    def _node(self, node):
        if node.kind != "event":
            return node
        event = node.event.value
        part = event["Conversation"]["parts"][0]
        part["content"] = self.mangled(part["content"])
        return node.but(event=Json(event))


@mutant("REC.4", character="Cleaning: drops control characters.")
class DropsControls(Texts):
    def mangled(self, text):
        return "".join(c for c in text if unicodedata.category(c) != "Cc")


@mutant("REC.4", character="Normalising: composes what came decomposed.")
class NormalisesText(Texts):
    def mangled(self, text):
        return unicodedata.normalize("NFC", text)


@mutant("REC.6", character="Cut: keeps the first 65,536 characters.")
class CutsLargeText(Texts):
    def mangled(self, text):
        return text[:65_536]


class Keys(StoreWrapper):
    """Changes a source key on the way in."""

    def changed(self, key):
        return key

    async def enqueue_queued_work(self, batch):
        if batch.source_key is not None:
            batch = batch.but(source_key=self.changed(batch.source_key))
        return await self.inner.enqueue_queued_work(batch)


@mutant("REC.5", character="Trimming: spaces around a key do not count.")
class TrimsKeys(Keys):
    def changed(self, key):
        return key.strip()


@mutant("REC.5", character="Truthy: an empty key is no key.")
class EmptyKeyIsNone(Keys):
    def changed(self, key):
        return key or None


@mutant("REC.7", character="Rounding: integers beyond 2^53 lose their last digits.")
class RoundsIntegers(StoreWrapper):
    async def commit_runtime_state(self, commit):
        def rounded(value):
            if isinstance(value, dict):
                return {k: rounded(v) for k, v in value.items()}
            if isinstance(value, list):
                return [rounded(v) for v in value]
            big = isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**53
            return max(-(2**63), min(2**63 - 1, int(float(value)))) if big else value

        nodes = tuple(
            node.but(body=rounded(node.body.value)) if node.kind == "plugin" else node
            for node in getattr(commit.graph, "nodes", ())
        )
        return await self.inner.commit_runtime_state(commit.but(graph=commit.graph.but(nodes=nodes)))


@mutant("REC.7", character="Truthy: a null body is an empty one.")
class NullBodyIsEmpty(StoreWrapper):
    async def commit_runtime_state(self, commit):
        nodes = tuple(
            node.but(body=Json(node.body.value or {})) if node.kind == "plugin" else node
            for node in getattr(commit.graph, "nodes", ())
        )
        return await self.inner.commit_runtime_state(commit.but(graph=commit.graph.but(nodes=nodes)))


@mutant("REC.8", character="Aliasing: keeps the caller's own buffer.")
class KeepsTheCallersBuffer(StoreWrapper):
    async def commit_runtime_state(self, commit):
        self.place.memory["buffer"] = commit.checkpoint.execution_state
        return await self.inner.commit_runtime_state(commit)

    async def load_session(self, scope):
        read = await self.inner.load_session(scope)
        buffer = self.place.memory.get("buffer")
        if read is None or buffer is None:
            return read
        held = read.checkpoint.model_copy(update={"execution_state": bytes(buffer)})
        return read.model_copy(update={"checkpoint": held})


@mutant("REC.9", character="Aliasing: answers its own live list.")
class AnswersItsOwnList(StoreWrapper):
    async def list_queued_work(self, session_id):
        live = self.place.memory.setdefault("live", [])
        if not self.place.memory.get("listed"):
            live.extend(await self.inner.list_queued_work(session_id))
            self.place.memory["listed"] = True
        return live if self.place.memory.setdefault("first", True) is True and live else tuple(live)


# -- how records are written and read


class Codec:
    """Writes and reads as the contract says."""

    def write(self, record):
        return record.to_data()

    def read(self, kind, data):
        return kind.from_data(data)


@mutant("REC.10", character="Explicit: writes null for what is absent.")
class WritesNulls(WrappedTarget):
    class codec(Codec):  # noqa: N801 - the name the checks look for
        def write(self, record):
            return record.model_dump(mode="json")


@mutant("REC.11", "REC.14", "REC.15", "REC.16", "REC.17", "REC.18", character="Lenient: reads what it knows and asks no questions.")
class ReadsWithoutJudging(WrappedTarget):
    class codec(Codec):  # noqa: N801 - the name the checks look for
        def read(self, kind, data):
            return kind.model_construct(**{k: v for k, v in data.items() if k in kind.model_fields})


@mutant("REC.12", character="Strict: an unknown key is an error.")
class RefusesUnknownKeys(WrappedTarget):
    class codec(Codec):  # noqa: N801 - the name the checks look for
        def read(self, kind, data):
            unknown = sorted(set(data) - set(kind.model_fields))
            if unknown:
                raise InvalidRecord(kind.__name__, unknown[0], "a known key", data[unknown[0]])
            return kind.from_data(data)


@mutant("REC.13", character="Demanding: every key must be there.")
class DemandsEveryKey(WrappedTarget):
    class codec(Codec):  # noqa: N801 - the name the checks look for
        def read(self, kind, data):
            missing = sorted(set(kind.model_fields) - set(data))
            if missing:
                raise InvalidRecord(kind.__name__, missing[0], "present", "nothing")
            return kind.from_data(data)


# -- what cannot be read


class Swallowing(StoreWrapper):
    """Answers nothing where a record cannot be read."""

    swallowed = (UnreadableRecord,)

    async def load_session(self, scope):
        try:
            return await self.inner.load_session(scope)
        except self.swallowed:
            return None

    async def load_node(self, node_id):
        try:
            return await self.inner.load_node(node_id)
        except self.swallowed:
            return None


@mutant("REC.20", "REC.21", "REC.25", "REC.26", "REC.32", character="Hiding: what cannot be read is not there.", on_sqlite=True)
class HidesUnreadableRecords(Swallowing):
    pass


@mutant("REC.22", character="Assuming: a record without a version is of today's.", on_sqlite=True)
class AssumesAVersion(Swallowing):
    swallowed = (MissingRecordSchemaVersion,)


@mutant("REC.23", character="Assuming: a version of text is a version.", on_sqlite=True)
class ReadsTextVersions(Swallowing):
    swallowed = (InvalidRecordSchemaVersion,)


@mutant("REC.24", character="Bold: reads records of any version.", on_sqlite=True)
class ReadsAnyVersion(Swallowing):
    swallowed = (UnsupportedRecordSchemaVersion,)


@mutant("REC.24", character="Vague: says unreadable where it should say which version.", on_sqlite=True)
class HidesTheVersion(StoreWrapper):
    async def load_session(self, scope):
        try:
            return await self.inner.load_session(scope)
        except UnsupportedRecordSchemaVersion as err:
            raise UnreadableRecord("head", "s1", str(err)) from err


@mutant("REC.27", character="Hiding: unreadable work is not listed.", on_sqlite=True)
class HidesUnreadableWork(StoreWrapper):
    async def list_queued_work(self, session_id):
        try:
            return await self.inner.list_queued_work(session_id)
        except UnreadableRecord:
            return ()

    async def list_pending_turn_inputs(self, session_id):
        try:
            return await self.inner.list_pending_turn_inputs(session_id)
        except UnreadableRecord:
            return ()


@mutant("REC.28", character="Presuming: a holder it cannot read is dead.", on_sqlite=True)
class PresumesDeath(StoreWrapper):
    async def reclaim_session_execution_lease(self, session_id, owner, observed_holder, ttl):
        await self.inner.release_session_execution_lease(observed_holder)
        return await self.inner.reclaim_session_execution_lease(session_id, owner, observed_holder, ttl)


@mutant("REC.29", character="Hiding: unreadable attachment rows are not listed.", on_sqlite=True)
class HidesUnreadableIntents(StoreWrapper):
    async def list_uncommitted(self, cutoff):
        try:
            return await self.inner.list_uncommitted(cutoff)
        except UnreadableRecord:
            return ()


class Opening(FactoryWrapper):
    """Goes on when a place cannot be opened."""

    swallowed: tuple[type[LashError], ...] = ()

    async def create_store(self, request):
        try:
            return await super().create_store(request)
        except self.swallowed:
            return None


@mutant("REC.30", character="Bold: opens a database of any version.", on_sqlite=True)
class OpensAnyVersion(Opening):
    swallowed = (UnsupportedDatabaseSchema,)


@mutant("REC.31", character="Fresh: starts empty over a file it cannot read.", on_sqlite=True)
class StartsOver(Opening):
    swallowed = (UnreadableRecord,)


@mutant("REC.32", character="Repairing: deletes the session it cannot read.", on_sqlite=True)
class RepairsByDeletion(FactoryWrapper):
    async def open_existing_store(self, request):
        try:
            return await super().open_existing_store(request)
        except UnreadableRecord:
            await self.inner.delete_session(request.session_id)
            raise

    async def create_store(self, request):
        return await super().create_store(request)


@mutant("REC.34", character="Tidy: meta that it cannot read is no meta.", on_sqlite=True)
class ForgetsUnreadableMeta(FactoryWrapper):
    async def open_existing_store(self, request):
        try:
            return await super().open_existing_store(request)
        except UnreadableRecord:
            return None


@mutant("REC.33", character="Repeating: a stamp it cannot read is no stamp.", on_sqlite=True)
class UnreadableStampsApply(Store):
    async def recorded(self, rows, commit):
        try:
            return await super().recorded(rows, commit)
        except UnreadableRecord:
            return None

    async def record(self, rows, commit, result, now):
        return None


@mutant("REC.1", character="Floating: beyond 2^53 the last digits are a guess.")
class RoundsLargeIntegers(StoreWrapper):
    async def commit_runtime_state(self, commit):
        kept = commit.checkpoint.plugin_snapshot_revision
        rounded = kept if kept is None or kept < 2**53 else kept & ~0x3FF
        checkpoint = commit.checkpoint.but(plugin_snapshot_revision=rounded)
        return await self.inner.commit_runtime_state(commit.but(checkpoint=checkpoint))


@mutant("REC.4", character="Composing: what a user says is stored in normal form.")
class ComposesInput(StoreWrapper):
    async def enqueue_pending_turn_input(self, input):
        items = tuple(
            item.but(text=unicodedata.normalize("NFC", item.text)) if item.type == "text" else item
            for item in input.input.items
        )
        return await self.inner.enqueue_pending_turn_input(input.but(input=input.input.but(items=items)))


@mutant("REC.4", character="Escaping: what a user says is made fit for a page.")
class EscapesInput(StoreWrapper):
    async def enqueue_pending_turn_input(self, input):
        items = tuple(
            item.but(text=html.escape(item.text)) if item.type == "text" else item for item in input.input.items
        )
        return await self.inner.enqueue_pending_turn_input(input.but(input=input.input.but(items=items)))


@mutant("REC.5", character="Filling in: an absent key is the empty one.")
class FillsAbsentKeys(StoreWrapper):
    async def enqueue_pending_turn_input(self, input):
        return await self.inner.enqueue_pending_turn_input(input.but(source_key=input.source_key or ""))
