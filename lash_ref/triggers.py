"""Triggers: events that plugins declare, subscriptions that sessions register, one process a delivery.

The process that a delivery starts is named after the subscription and the event's key, so that an event
told twice, or told again after a crash, starts nothing twice ([TRG.2][]).
"""

import hashlib
import sqlite3
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from lash_ref.processes import ProcessHandleSummary, ProcessRegistry, SessionScope
from lash_ref.records import DurabilityTier
from lash_ref.registrar import TriggerEvent
from lash_ref.runtime_errors import ProcessError
from lash_ref.scalars import Identifier, Json, Record, Text


class TriggerSubscription(Record):
    """A session's wish: start this kind of process at every such event."""

    subscription_id: Identifier
    session_id: Identifier
    source_type: Text
    """``alias.event`` of a declared trigger event."""
    process_kind: Text
    arguments: Json = Json({})


class TriggerOccurrence(Record):
    """One event that happened; its id makes a repeat recognisable."""

    occurrence_id: Identifier
    source_type: Text
    payload: Json = Json({})


class TriggerDelivery(Record):
    """An occurrence on its way to a subscription, kept until its process is started."""

    subscription: TriggerSubscription
    occurrence: TriggerOccurrence

    @property
    def process_id(self) -> str:
        """The one process of this delivery."""
        named = f"{self.subscription.subscription_id}\0{self.occurrence.occurrence_id}"
        return f"trigger-{hashlib.sha256(named.encode()).hexdigest()[:32]}"


class TriggerStore(Protocol):
    """Where subscriptions and undelivered occurrences are kept; every method is atomic."""

    @property
    def tier(self) -> DurabilityTier:
        """Whether they survive the process."""
        ...

    def subscribe(self, subscription: TriggerSubscription) -> None: ...

    def unsubscribe(self, subscription_id: str) -> bool: ...

    def subscriptions(self, session_id: str | None = None) -> list[TriggerSubscription]: ...

    def record(self, deliveries: list[TriggerDelivery]) -> None:
        """Keep deliveries until they are done."""
        ...

    def undelivered(self) -> list[TriggerDelivery]: ...

    def delivered(self, delivery: TriggerDelivery) -> None: ...


class SqliteTriggers:
    """Subscriptions and deliveries in SQLite: a file that survives the process, or memory that does not."""

    def __init__(self, path: Path | None = None) -> None:
        self.tier: DurabilityTier = "inline" if path is None else "durable"
        # The garbage collector closes it from whatever thread it happens to run in.
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None, timeout=30, check_same_thread=False)
        weakref.finalize(self, self._db.close)
        for table in ("subscriptions", "deliveries"):
            self._db.execute(f"CREATE TABLE IF NOT EXISTS {table} (id TEXT PRIMARY KEY, row TEXT NOT NULL)")

    def subscribe(self, subscription: TriggerSubscription) -> None:
        self._put("subscriptions", subscription.subscription_id, subscription)

    def unsubscribe(self, subscription_id: str) -> bool:
        gone = self._db.execute("DELETE FROM subscriptions WHERE id = ?", (subscription_id,))
        return gone.rowcount > 0

    def subscriptions(self, session_id: str | None = None) -> list[TriggerSubscription]:
        rows = self._db.execute("SELECT row FROM subscriptions ORDER BY rowid").fetchall()
        found = [TriggerSubscription.from_json(row[0]) for row in rows]
        return [each for each in found if session_id is None or each.session_id == session_id]

    def record(self, deliveries: list[TriggerDelivery]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        for delivery in deliveries:
            self._put("deliveries", delivery.process_id, delivery)
        self._db.execute("COMMIT")

    def undelivered(self) -> list[TriggerDelivery]:
        rows = self._db.execute("SELECT row FROM deliveries ORDER BY rowid").fetchall()
        return [TriggerDelivery.from_json(row[0]) for row in rows]

    def delivered(self, delivery: TriggerDelivery) -> None:
        self._db.execute("DELETE FROM deliveries WHERE id = ?", (delivery.process_id,))

    def _put(self, table: str, key: str, row: Record) -> None:
        self._db.execute(
            f"INSERT INTO {table} VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET row = excluded.row",  # noqa: S608
            (key, row.to_json()),
        )

    def close(self) -> None:
        """Close the file."""
        self._db.close()


class TriggerRouter:
    """Turns occurrences into processes."""

    def __init__(self, store: TriggerStore, processes: ProcessRegistry) -> None:
        self.store = store
        self.processes = processes

    def register(
        self, declared: tuple[TriggerEvent, ...], subscription: TriggerSubscription
    ) -> TriggerSubscription:
        """Subscribe a session to an event that one of its plugins declares.

        Raises:
            ProcessError: no plugin declares it.
        """
        if subscription.source_type not in {event.source_type for event in declared}:
            raise ProcessError(subscription.source_type, "no plugin of the session declares this event")
        self.store.subscribe(subscription)
        return subscription

    def emit(self, occurrence: TriggerOccurrence) -> list[ProcessHandleSummary]:
        """Tell an event; one process for each subscription, however often it is told.

        Raises:
            ProcessError: nothing runs the kind that a subscription names; the others' processes are started.
        """
        wanted = [s for s in self.store.subscriptions() if s.source_type == occurrence.source_type]
        deliveries = [TriggerDelivery(subscription=s, occurrence=occurrence) for s in wanted]
        self.store.record(deliveries)
        started, faults = self._delivered(deliveries)
        if faults:
            raise faults[0]
        return started

    def recover(self) -> list[ProcessHandleSummary]:
        """Start what was recorded and not started when the host died ([TRG.3][]).

        What nothing runs yet stays recorded. A core does this when it is built: register handlers before.
        """
        return self._delivered(self.store.undelivered())[0]

    def _delivered(
        self, deliveries: Sequence[TriggerDelivery]
    ) -> tuple[list[ProcessHandleSummary], list[ProcessError]]:
        started: list[ProcessHandleSummary] = []
        faults: list[ProcessError] = []
        for delivery in deliveries:
            try:
                started.append(self._deliver(delivery))
            except ProcessError as err:
                faults.append(err)
        return started, faults

    def _deliver(self, delivery: TriggerDelivery) -> ProcessHandleSummary:
        subscription = delivery.subscription
        arguments = Json({
            "arguments": subscription.arguments.value,
            "event": delivery.occurrence.payload.value,
            "occurrence_id": delivery.occurrence.occurrence_id,
        })
        started = self.processes.start(
            subscription.process_kind,
            SessionScope(session_id=subscription.session_id),
            arguments,
            process_id=delivery.process_id,
            label=subscription.source_type,
        )
        self.store.delivered(delivery)
        return started

    def forget_session(self, session_id: str) -> None:
        """Drop a deleted session's subscriptions."""
        for subscription in self.store.subscriptions(session_id):
            self.store.unsubscribe(subscription.subscription_id)
