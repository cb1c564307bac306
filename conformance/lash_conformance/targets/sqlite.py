"""The SQLite store as a target: one real database file a place, and ways to spoil it."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lash_conformance.target import Backend, Capability, Damage, Place
from lash_conformance.targets.memory import CAPABILITIES
from lash_ref import __version__
from lash_ref.attachments import FileAttachmentStore
from lash_ref.contracts import AttachmentStore, Closable, SessionStoreFactory
from lash_ref.sqlite_store import DATABASE_NAME, SqliteStoreFactory

DURABLE: frozenset[Capability] = CAPABILITIES.union(("durable",))


@dataclass
class SqliteBackend:
    """One factory on a place's database file."""

    sessions: SessionStoreFactory
    attachments: AttachmentStore

    async def close(self) -> None:
        """Close the factory's connections."""
        if isinstance(self.sessions, Closable):
            await self.sessions.close()


class SqliteTarget:
    """`SqliteStoreFactory` as the judge sees it."""

    name = "sqlite"
    version = __version__
    capabilities = DURABLE

    @property
    def damages(self) -> frozenset[Damage]:
        """What `damage` can spoil."""
        return frozenset(_STATEMENTS) | frozenset(_FILES)

    async def open(self, place: Place) -> Backend:
        """Open the place's database, creating it when it is new."""
        return SqliteBackend(
            SqliteStoreFactory(
                place.directory, clock=place.clock, mint=place.mint, evidence=place.processes
            ),
            FileAttachmentStore(place.directory / "attachments", place.clock),
        )

    async def damage(self, place: Place, what: Damage) -> None:
        """Spoil every record of that kind behind the store's back."""
        path = place.directory / DATABASE_NAME
        if what in _FILES:
            _FILES[what](path)
            return
        connection = sqlite3.connect(path)
        try:
            with connection:
                for statement in _STATEMENTS[what]:
                    connection.execute(statement)
        finally:
            connection.close()


def _truncate(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is no database " * 200)


_FILES: dict[Damage, Callable[[Path], None]] = {
    "database_truncated": _truncate,
    "database_garbage": _garbage,
}

_ROOTS = "(SELECT record ->> '$.checkpoint_ref' FROM heads)"


def _manifests(change: str) -> tuple[str, ...]:
    return (f"UPDATE blobs SET data = CAST({change} AS BLOB) WHERE ref IN {_ROOTS}",)  # noqa: S608 - fixed text


_STATEMENTS: dict[Damage, tuple[str, ...]] = {
    "node": ("UPDATE nodes SET record = '{'",),
    "ledger": ("UPDATE ledger SET record = '{'",),
    "head": ("UPDATE heads SET record = '{'",),
    "head_version_missing": ("UPDATE heads SET record = json_remove(record, '$.schema_version')",),
    "head_version_text": ("UPDATE heads SET record = json_set(record, '$.schema_version', 'one')",),
    "head_version_other": ("UPDATE heads SET record = json_set(record, '$.schema_version', 2)",),
    "manifest": _manifests("'{'"),
    "manifest_version_missing": _manifests("json_remove(CAST(data AS TEXT), '$.schema_version')"),
    "manifest_version_text": _manifests("json_set(CAST(data AS TEXT), '$.schema_version', 'one')"),
    "manifest_version_other": _manifests("json_set(CAST(data AS TEXT), '$.schema_version', 2)"),
    "manifest_gone": (f"DELETE FROM blobs WHERE ref IN {_ROOTS}",),  # noqa: S608 - fixed text
    "blob_gone": (f"DELETE FROM blobs WHERE ref NOT IN {_ROOTS}",),  # noqa: S608 - fixed text
    "queued_work": ("UPDATE batches SET record = '{'",),
    "turn_input": ("UPDATE inputs SET record = '{'",),
    "lease_liveness": ("UPDATE leases SET liveness = json_set(liveness, '$.liveness', 'mangled')",),
    "attachment_intent": ("UPDATE intents SET record = '{'",),
    "turn_commit": ("UPDATE stamps SET record = '{'",),
    "meta": ("UPDATE metas SET record = '{'",),
    "database_version": ("PRAGMA user_version = 99",),
}
"""What spoils each kind of record, in the schema that `lash_ref.sqlite_schema` documents."""


def target() -> SqliteTarget:
    """The target named ``sqlite``."""
    return SqliteTarget()
