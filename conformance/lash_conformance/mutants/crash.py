"""Stores that are sound until their process is killed, their power cut, or their disk full.

Each runs in a process of its own, named by `served`; what it keeps in memory dies with that process.
"""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

import json
import os
import sqlite3
from contextlib import asynccontextmanager

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import FactoryWrapper, StoreWrapper, WrappedTarget
from lash_ref.errors import Backend, UnreadableRecord
from lash_ref.lease import Busy
from lash_ref.records import VacuumReport
from lash_ref.segment import granted
from lash_ref.sqlite_rows import SqliteRows
from lash_ref.store import Store


class OnTransactions(WrappedTarget):
    """The SQLite store with its transactions broken."""

    on_sqlite = True

    async def inner(self, place):
        backend = await super().inner(place)
        self.broken(backend.sessions.worker.transactions)
        return backend

    def broken(self, transactions):
        """Break them."""


# -- killed


@mutant("STO.80", character="Lazy: commits when the next call comes.", crashes=True)
class CommitsWithTheNextCall(OnTransactions):
    def broken(self, transactions):
        close = transactions.close

        @asynccontextmanager
        async def begin(write):
            connection = transactions.connection()
            if connection.in_transaction:
                connection.execute("COMMIT")
            connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield SqliteRows(connection)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            if not write:
                connection.execute("COMMIT")

        def settled_close():
            if transactions._connection is not None and transactions._connection.in_transaction:
                transactions._connection.execute("COMMIT")
            close()

        transactions.begin, transactions.close = begin, settled_close


@mutant("STO.81", "STO.85", character="Bookkeeper: adds the usage in a second transaction.", on_sqlite=True, crashes=True)
class BooksUsageAfterwards(Store):
    async def commit_runtime_state(self, commit):
        async with self.transactions.begin(write=False) as rows:
            repeated = await self.recorded(rows, commit)
        made = await super().commit_runtime_state(commit.but(usage_deltas=()))
        if repeated is None:
            async with self.transactions.begin(write=True) as rows:
                for delta in commit.usage_deltas:
                    await self.add_usage(rows, delta)
        return made


@mutant("STO.82", character="Keeps its stamps in its head.", on_sqlite=True, crashes=True)
class KeepsNoStamp(Store):
    kept = {}

    async def recorded(self, rows, commit):
        stamp = commit.turn_commit
        key = (str(self.transactions.path), self.session_id, stamp.turn_id) if stamp else None
        return self.kept.get(key)

    async def record(self, rows, commit, result, now):
        if (stamp := commit.turn_commit) is not None:
            self.kept[str(self.transactions.path), self.session_id, stamp.turn_id] = result


@mutant("STO.83", character="Leaves its lock behind: opens no place that was not closed.", crashes=True)
class LeavesItsLock(WrappedTarget):
    on_sqlite = True

    async def open(self, place):
        lock = place.directory / "open"
        try:
            lock.touch(exist_ok=False)
        except FileExistsError as err:
            raise Backend("the place is open elsewhere") from err
        backend = await super().open(place)
        close = backend.close

        async def unlocked():
            await close()
            lock.unlink(missing_ok=True)

        backend.close = unlocked
        return backend


@mutant("STO.89", character="Tidy: writes its whole file anew, over itself, now and then.", crashes=True)
class RewritesItsFile(OnTransactions):
    def broken(self, transactions):
        begin, writes = transactions.begin, iter(range(10**9))

        @asynccontextmanager
        async def tidied(write):
            async with begin(write) as rows:
                yield rows
            if write and next(writes) % 64 == 63:
                transactions.connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")
                transactions.path.write_bytes(transactions.path.read_bytes())

        transactions.begin = tidied


@mutant("LEA.30", character="Loyal: a lane that another process claimed is that process's for ever.", on_sqlite=True, crashes=True)
class WaitsForTheDead(Store):
    mine = set()

    async def _acquire(self, rows, session_id, owner, before, now, ttl):
        if before is not None and before.lease_token and before.lease_token not in self.mine:
            return Busy(holder=granted(before))
        made = await super()._acquire(rows, session_id, owner, before, now, ttl)
        self.mine.add(made.lease_token)
        return made


@mutant("LEA.31", character="New day, new number: counts its leases in memory.", on_sqlite=True, crashes=True)
class CountsLeasesInMemory(Store):
    known = set()

    async def _acquire(self, rows, session_id, owner, before, now, ttl):
        here = (str(self.transactions.path), session_id)
        if before is not None and here not in self.known:
            before = before.but(fencing_token=0)
        self.known.add(here)
        return await super()._acquire(rows, session_id, owner, before, now, ttl)


@mutant("QUE.60", character="Procrastinator: removes a cancelled batch when the place is closed.", on_sqlite=True, crashes=True)
class CancelsAtClosing(StoreWrapper):
    async def cancel_queued_work_batch(self, session_id, batch_id):
        found = [one for one in await self.list_queued_work(session_id) if one.batch_id == batch_id]
        self.place.memory.setdefault("cancelled", set()).add(batch_id)
        return found[0] if found else None

    async def list_queued_work(self, session_id):
        gone = self.place.memory.get("cancelled", ())
        return tuple(one for one in await self.inner.list_queued_work(session_id) if one.batch_id not in gone)


@mutant("QUE.61", character="Postman: sends the outbox after the commit.", on_sqlite=True, crashes=True)
class SendsTheOutboxAfterwards(Store):
    async def commit_runtime_state(self, commit):
        made = await super().commit_runtime_state(commit.but(enqueued_queue_batches=()))
        async with self.transactions.begin(write=True) as rows:
            sent = [await self.enqueue(rows, draft, self.clock.now_ms()) for draft in commit.enqueued_queue_batches]
        return made.but(enqueued_queue_batches=tuple(sent))

    async def recorded(self, rows, commit):
        found = await super().recorded(rows, commit)
        return found.but(enqueued_queue_batches=()) if found else None


@mutant("INP.50", character="One by one: cancels each input in a transaction of its own.", on_sqlite=True, crashes=True)
class CancelsOneByOne(StoreWrapper):
    async def cancel_pending_turn_inputs(self, session_id, targets):
        return tuple([(await self.inner.cancel_pending_turn_inputs(session_id, (one,)))[0] for one in targets])


@mutant("FAC.20", character="Room by room: deletes a session in two transactions.", on_sqlite=True, crashes=True)
class DeletesInTwo(FactoryWrapper):
    async def delete_session(self, session_id):
        async def empty_the_queue():
            rules = self.inner.rules
            async with rules.transactions.begin(write=True) as rows:
                for row in await rows.batches(session_id):
                    await rows.drop_batch(session_id, row.batch.batch_id)

        await self.inner.worker.run(empty_the_queue)
        await self.inner.delete_session(session_id)


@mutant("MNT.20", character="Spring clean: takes everything out, then puts back what lives.", on_sqlite=True, crashes=True)
class VacuumsByRebuilding(Store):
    async def vacuum(self):
        async with self.transactions.begin(write=True) as rows:
            live = await rows.nodes(self.session_id)
            report = await self._swept(rows)
            await rows.clear_nodes(self.session_id)
        async with self.transactions.begin(write=True) as rows:
            await rows.add_nodes(self.session_id, live)
        return report

    async def _swept(self, rows):
        return VacuumReport(
            removed_node_count=await rows.drop_tombstoned(self.session_id),
            removed_pending_turn_input_tombstone_count=await rows.drop_terminal_inputs(self.session_id),
        )


# -- power cut


@mutant("STO.84", character="Optimist: acknowledges before it syncs.", crashes=True)
class AcksBeforeSync(OnTransactions):
    def broken(self, transactions):
        connected = transactions.connection

        def unsynced():
            connection = connected()
            if not connection.in_transaction:
                connection.execute("PRAGMA synchronous = OFF")
            return connection

        transactions.connection = unsynced


@mutant("STO.84", character="Sociable: syncs for a commit that is alone, and not for several.", on_sqlite=True, crashes=True)
class SyncsOnlyAlone(StoreWrapper):
    busy = 0

    async def commit_runtime_state(self, commit):
        SyncsOnlyAlone.busy += 1
        transactions = self.inner.transactions
        connected = transactions.connection

        def hurried():
            connection = connected()
            if not connection.in_transaction:
                connection.execute(f"PRAGMA synchronous = {'OFF' if SyncsOnlyAlone.busy > 1 else 'FULL'}")
            return connection

        transactions.connection = hurried
        try:
            return await self.inner.commit_runtime_state(commit)
        finally:
            SyncsOnlyAlone.busy -= 1
            transactions.connection = connected


@mutant("STO.85", character="Renames what it did not sync: the leaf is kept in a file beside the database.", on_sqlite=True, crashes=True)
class RenamesUnsynced(StoreWrapper):
    async def commit_runtime_state(self, commit):
        made = await self.inner.commit_runtime_state(commit)
        beside = self.place.directory / "leaf.new"
        beside.write_text(json.dumps(commit.graph.leaf_node_id))
        beside.rename(self.place.directory / f"leaf-{commit.session_id}")
        return made

    async def load_session(self, scope):
        path = self.place.directory / "leaf-s1"
        try:
            if path.exists():
                json.loads(path.read_text())
        except ValueError as err:
            raise UnreadableRecord("leaf", "s1", str(err)) from err
        return await self.inner.load_session(scope)


# -- refused writes


@mutant("STO.86", character="Panics: ends the process when the disk is full.", crashes=True)
class DiesOfAFullDisk(OnTransactions):
    def broken(self, transactions):
        transactions.typed = lambda err: os._exit(70)


@mutant("STO.87", character="Keeps a straight face: says that a refused write was done.", crashes=True)
class SwallowsARefusal(OnTransactions):
    def broken(self, transactions):
        @asynccontextmanager
        async def begin(write):
            connection = transactions.connection()
            connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield SqliteRows(connection)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            try:
                connection.execute("COMMIT")
            except sqlite3.Error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

        transactions.begin = begin


@mutant("STO.88", character="Bears a grudge: after one refused write it refuses everything.", crashes=True)
class NeverRecovers(OnTransactions):
    def broken(self, transactions):
        begun, hurt = transactions.begin, []

        @asynccontextmanager
        async def begin(write):
            if hurt:
                raise Backend("an earlier write was refused")
            try:
                async with begun(write) as rows:
                    yield rows
            except Backend:
                hurt.append(True)
                raise

        transactions.begin = begin
