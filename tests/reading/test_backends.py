"""What the conformance suite cannot see from outside: rows, faults in the middle, threads, files."""

import asyncio
import pickle
import sqlite3
import threading
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lash_ref.attachments import FileAttachmentStore, reference
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import (
    AttachmentIo,
    Backend,
    HeadRevisionConflict,
    InvalidRecord,
    SessionExecutionLeaseExpired,
    UnreadableRecord,
    UnsupportedDatabaseSchema,
)
from lash_ref.lease import Acquired, LeaseOwnerIdentity
from lash_ref.memory_store import MemoryStoreFactory
from lash_ref.nodes import ActivePath, Append, EventNode, FullGraph, ReplaceFull
from lash_ref.postgres_store import PostgresStoreFactory, PostgresTransactions
from lash_ref.records import (
    AttachmentCreateMeta,
    AttachmentIntent,
    HydratedSessionCheckpoint,
    ModelLimits,
    ModelSpec,
    PersistedSessionConfig,
    RuntimeCommit,
    RuntimeCommitResult,
    SessionPolicy,
    SessionStoreCreateRequest,
)
from lash_ref.rows import Rows
from lash_ref.scalars import MAX_INT, Json
from lash_ref.sqlite_store import DATABASE_NAME, SqliteStoreFactory
from lash_ref.store import Store, SystemClock
from lash_ref.usage import TokenLedgerEntry, TokenUsage
from lash_ref.work import AgentFrameTask, QueuedWorkBatchDraft

MODEL = ModelSpec(id="m", limits=ModelLimits(context_window_tokens=8000))
CONFIG = PersistedSessionConfig(provider_id="p", model=MODEL)
REQUEST = SessionStoreCreateRequest(session_id="s", policy=SessionPolicy(model=MODEL))
OWNER = LeaseOwnerIdentity(owner_id="o", incarnation_id="i")

Factory = MemoryStoreFactory | SqliteStoreFactory | PostgresStoreFactory


def node(node_id: str, parent: str | None = None) -> EventNode:
    return EventNode(
        node_id=node_id, parent_node_id=parent, timestamp="2026-11-21T00:00:00Z", event=Json({"id": node_id})
    )


async def holding(store: RuntimePersistence) -> Acquired:
    taken = await store.try_claim_session_execution_lease("s", OWNER, 10**9)
    assert isinstance(taken, Acquired)
    return taken


def commit(lease: Acquired, graph: Append | ReplaceFull, expects: int | None = None) -> RuntimeCommit:
    spent = TokenLedgerEntry(source="s", model="m", usage=TokenUsage(input_tokens=1))
    return RuntimeCommit(
        session_id="s",
        expected_head_revision=expects,
        session_execution_lease=lease.fence(),
        config=CONFIG,
        graph=graph,
        checkpoint=HydratedSessionCheckpoint(tool_state=Json({"t": 1}), execution_state=b""),
        usage_deltas=(spent,),
    )


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., None]:
    def runner(body: Callable[[Factory], Awaitable[None]], store: type[Store] = Store) -> None:
        async def main() -> None:
            if request.param == "memory":
                memory = MemoryStoreFactory()
                memory.store = store
                await body(memory)
                return
            if request.param == "sqlite":
                durable = SqliteStoreFactory(tmp_path, store=store)
            else:
                dsn = request.getfixturevalue("server").dsn
                transactions = PostgresTransactions(dsn, f"t{uuid.uuid4().hex}")
                durable = PostgresStoreFactory(transactions, store=store)
            try:
                await body(durable)
            finally:
                await durable.close()

        asyncio.run(main())

    return runner


def test_a_turn_comes_back_as_committed(run: Callable[..., None]) -> None:
    async def body(factory: Factory) -> None:
        store = await factory.create_store(REQUEST)
        lease = await holding(store)
        nodes = (node("a"), node("b", "a"), node("c", "a"))
        await store.commit_runtime_state(commit(lease, ReplaceFull(nodes=nodes, leaf_node_id="b")))
        full, path = await store.load_session(FullGraph()), await store.load_session(ActivePath())
        assert full is not None
        assert path is not None
        assert [n.node_id for n in full.graph.nodes] == ["a", "b", "c"]
        assert [n.node_id for n in path.graph.nodes] == ["a", "b"]
        assert full.checkpoint is not None
        assert full.checkpoint.tool_state == Json({"t": 1})
        assert full.checkpoint.execution_state == b""

    run(body)


def test_a_fault_in_the_middle_leaves_nothing(run: Callable[..., None]) -> None:
    class Faulty(Store):
        async def record(
            self, rows: Rows, commit: RuntimeCommit, result: RuntimeCommitResult, now: int
        ) -> None:
            raise RuntimeError("power cut")

    async def body(factory: Factory) -> None:
        store = await factory.create_store(REQUEST)
        lease = await holding(store)
        draft = QueuedWorkBatchDraft(
            session_id="s",
            delivery_policy="earliest_safe_boundary",
            slot_policy="join",
            payloads=(AgentFrameTask(frame_id="f", task="t"),),
        )
        await store.enqueue_queued_work(draft)
        held = await store.claim_ready_queued_work("s", lease.fence(), OWNER, "idle", 5)
        assert held is not None
        doomed = commit(lease, Append(nodes=(node("a"),), leaf_node_id="a")).but(
            completed_queue_claims=(held.completion(),), enqueued_queue_batches=(draft, draft)
        )
        with pytest.raises(RuntimeError):
            await store.commit_runtime_state(doomed)
        assert await store.load_session(FullGraph()) is None
        assert await store.load_node("a") is None
        assert len(await store.list_queued_work("s")) == 1
        assert (await store.gc_unreachable()).deleted_blob_count == 0

    run(body, Faulty)


def test_deletions_undone_keep_their_order(run: Callable[..., None]) -> None:
    class Faulty(Store):
        async def record(
            self, rows: Rows, commit: RuntimeCommit, result: RuntimeCommitResult, now: int
        ) -> None:
            await rows.tombstone("s", ["a"])
            if (await rows.head("s") or pytest.fail()).head_revision == 2:
                raise RuntimeError("power cut")
            await rows.add_nodes("s", [node("a")])

    async def body(factory: Factory) -> None:
        store = await factory.create_store(REQUEST)
        lease = await holding(store)
        nodes = (node("a"), node("b", "a"), node("c", "b"))
        await store.commit_runtime_state(commit(lease, ReplaceFull(nodes=nodes, leaf_node_id="c")))
        with pytest.raises(RuntimeError):
            await store.commit_runtime_state(commit(lease, Append(nodes=(), leaf_node_id="a")))
        read = await store.load_session(FullGraph())
        assert read is not None
        assert [n.node_id for n in read.graph.nodes] == ["b", "c", "a"]

    run(body, Faulty)


def test_a_sum_beyond_64_bits_is_refused_before_it_lands(run: Callable[..., None]) -> None:
    async def body(factory: Factory) -> None:
        store = await factory.create_store(REQUEST)
        lease = await holding(store)
        huge = TokenLedgerEntry(source="s", model="m", usage=TokenUsage(input_tokens=MAX_INT))
        over = commit(lease, Append(nodes=())).but(usage_deltas=(huge, huge))
        with pytest.raises(InvalidRecord):
            await store.commit_runtime_state(over)
        assert await store.load_session(FullGraph()) is None

    run(body)


def test_evidence_may_wait_for_the_host(tmp_path: Path) -> None:
    class Slow:
        async def process_is_gone(self, process_id: str) -> bool:
            await asyncio.sleep(0.01)
            return process_id == "gone"

    async def main() -> None:
        for factory in (MemoryStoreFactory(evidence=Slow()), SqliteStoreFactory(tmp_path, evidence=Slow())):
            store = await factory.create_store(REQUEST)
            for owner in ("gone", "here"):
                await store.record_intent(
                    AttachmentIntent(
                        attachment_id=owner,
                        session_id="s",
                        canonical_uri="u",
                        intent_at_epoch_ms=1,
                        owner_kind="process",
                        owner_id=owner,
                    )
                )
            assert not await factory.has_live_attachment_ref("gone", 1)
            assert await factory.live_attachment_refs(1) == {"here"}
            if isinstance(factory, SqliteStoreFactory):
                await factory.close()

    asyncio.run(main())


def test_first_opens_at_once_all_succeed(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)

    async def opened() -> None:
        factory = SqliteStoreFactory(tmp_path)
        barrier.wait()
        await factory.create_store(REQUEST)
        await factory.close()

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(asyncio.run, opened()) for _ in range(8)]:
            done.result()


def test_a_commit_that_waited_in_vain_says_what_it_lost(tmp_path: Path) -> None:
    async def main() -> None:
        factory = SqliteStoreFactory(tmp_path, busy_timeout_s=0.05)
        store = await factory.create_store(REQUEST)
        lease = await holding(store)
        await store.commit_runtime_state(commit(lease, Append(nodes=(node("a"),), leaf_node_id="a"), 0))
        other = sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(HeadRevisionConflict):
            await store.commit_runtime_state(commit(lease, Append(nodes=()), 0))
        with pytest.raises(Backend):
            await store.commit_runtime_state(commit(lease, Append(nodes=()), 1))
        other.execute("ROLLBACK")
        await store.release_session_execution_lease(lease.fence())
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(SessionExecutionLeaseExpired):
            await store.commit_runtime_state(commit(lease, Append(nodes=()), 0))
        other.execute("ROLLBACK")
        other.close()
        await factory.close()

    asyncio.run(main())


def test_closing_ends_the_thread_and_keeps_the_data(tmp_path: Path) -> None:
    async def main() -> None:
        before = threading.active_count()
        factory = SqliteStoreFactory(tmp_path)
        store = await factory.create_store(REQUEST)
        await holding(store)
        await factory.close()
        assert threading.active_count() == before
        again = SqliteStoreFactory(tmp_path)
        reopened = await again.open_existing_store(REQUEST)
        assert reopened is not None
        held = await reopened.try_claim_session_execution_lease("s", OWNER, 5)
        assert isinstance(held, Acquired)
        assert held.fencing_token == 1
        await again.close()
        await again.close()

    asyncio.run(main())


def spoil(directory: Path, statement: str) -> None:
    connection = sqlite3.connect(directory / DATABASE_NAME)
    with connection:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("UPDATE nodes SET record = CAST(x'ff' AS TEXT)", "node"),
        ("UPDATE nodes SET record = 7", "node"),
        ("UPDATE ledger SET record = '{'", "ledger"),
        ("UPDATE heads SET record = '[]'", "head"),
        ("UPDATE blobs SET data = x'00'", "manifest"),
        ("DELETE FROM blobs", "manifest"),
        ("DROP TABLE nodes", "database"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, statement: str, kind: str) -> None:
    async def main() -> None:
        factory = SqliteStoreFactory(tmp_path)
        store = await factory.create_store(REQUEST)
        lease = await holding(store)
        await store.commit_runtime_state(commit(lease, Append(nodes=(node("a"),), leaf_node_id="a")))
        await factory.close()
        spoil(tmp_path, statement)
        with pytest.raises(UnreadableRecord) as refusal:
            await store.load_session(FullGraph())
        assert refusal.value.fields["record_kind"] == kind
        await factory.close()

    asyncio.run(main())


def test_a_foreign_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / DATABASE_NAME

    async def refused(error: type[Exception]) -> None:
        before = path.read_bytes()
        factory = SqliteStoreFactory(tmp_path)
        with pytest.raises(error):
            await factory.create_store(REQUEST)
        await factory.close()
        assert path.read_bytes() == before

    path.write_bytes(b"this is no database" * 100)
    asyncio.run(refused(UnreadableRecord))
    path.unlink()
    spoil(tmp_path, "CREATE TABLE theirs (x)")
    asyncio.run(refused(UnsupportedDatabaseSchema))
    spoil(tmp_path, "PRAGMA user_version = 99")
    asyncio.run(refused(UnsupportedDatabaseSchema))


def test_bytes_that_the_file_system_refuses_are_said_and_leave_no_half(tmp_path: Path) -> None:
    async def main() -> None:
        meta = AttachmentCreateMeta(media_type="text/plain")
        (tmp_path / "file").touch()
        with pytest.raises(AttachmentIo):
            await FileAttachmentStore(tmp_path / "file", SystemClock()).put(b"x", meta)
        store = FileAttachmentStore(tmp_path / "a", SystemClock())
        name = reference(b"x", meta).id
        (tmp_path / "a" / name / "in the way").mkdir(parents=True)
        for attempt in (store.put(b"x", meta), store.get(name), store.delete(name)):
            with pytest.raises(AttachmentIo):
                await attempt
        assert [path.name for path in (tmp_path / "a").iterdir()] == [name]
        kept = await store.put(b"y", meta)
        (tmp_path / "a" / kept.id).write_bytes(b"z")
        with pytest.raises(AttachmentIo, match="not those the id names"):
            await store.get(kept.id)

    asyncio.run(main())


def test_an_error_is_the_same_on_the_other_side_of_a_process_boundary() -> None:
    error = pickle.loads(pickle.dumps(AttachmentIo("a", "full")))
    assert (type(error), error.fields, str(error)) == (AttachmentIo, {"path": "a", "reason": "full"}, "attachment file a: full")
