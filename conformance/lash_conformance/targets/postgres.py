"""The PostgreSQL store as a target: one schema a place, on a server of its own or on one that is named.

``postgres`` starts a server from a wheel for the length of the run; ``postgres:DSN`` judges on a given server,
in schemas of its own that are dropped as places close.
"""

import asyncio
import atexit
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lash_conformance.target import Backend, Capability, Damage, Place, TargetFault
from lash_conformance.targets.sqlite import DURABLE
from lash_ref import __version__
from lash_ref.contracts import AttachmentStore, SessionStoreFactory

if TYPE_CHECKING:
    from lash_conformance.targets.postgres_server import Server

try:
    import psycopg
    from psycopg import sql

    from lash_ref.postgres_attachments import PostgresAttachmentStore
    from lash_ref.postgres_schema import TABLES
    from lash_ref.postgres_store import PostgresStoreFactory, PostgresTransactions
except ImportError as err:
    raise TargetFault(f"the PostgreSQL target needs its extra: pip install 'lash-ref[postgres]' ({err})") from err

SHARED_SERVER = "LASH_CONFORMANCE_POSTGRES"
"""Set by a run that started a server, so that its child processes judge on that one."""


_STARTED: "list[Server]" = []
"""The servers that this process started."""


@dataclass
class PostgresBackend:
    """One factory on a place's schema."""

    transactions: PostgresTransactions
    sessions: SessionStoreFactory
    attachments: AttachmentStore

    async def close(self) -> None:
        """Close the factory's connections."""
        await self.transactions.close()


class PostgresTarget:
    """`PostgresStoreFactory` as the judge sees it."""

    name = "postgres"
    version = __version__
    capabilities: frozenset[Capability] = DURABLE

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn

    @property
    def damages(self) -> frozenset[Damage]:
        """What `damage` can spoil."""
        return frozenset(_STATEMENTS)

    async def open(self, place: Place) -> Backend:
        """Open the place's schema, creating it when it is new."""
        transactions = PostgresTransactions(self.dsn, schema_of(place), connections=4)
        return PostgresBackend(
            transactions,
            PostgresStoreFactory(transactions, clock=place.clock, mint=place.mint, evidence=place.processes),
            PostgresAttachmentStore(transactions, place.clock),
        )

    async def damage(self, place: Place, what: Damage) -> None:
        """Spoil every record of that kind behind the store's back."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(schema_of(place))))
            for statement in _STATEMENTS[what]:
                connection.execute(statement.encode())

    async def stored(self, place: Place) -> Mapping[str, str]:
        """What the place holds, table by table, as one digest each."""
        found: dict[str, str] = {}
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            for table in sorted(TABLES):
                named = sql.Identifier(schema_of(place), table)
                if connection.execute("SELECT to_regclass(%s)", (named.as_string(connection),)).fetchone() == (None,):
                    continue
                digest = sql.SQL("SELECT md5(coalesce(string_agg(t::text, '' ORDER BY t::text), '')) FROM {} t")
                row = connection.execute(digest.format(named)).fetchone()
                found[table] = str(row)
        return found

    async def remove(self, place: Place) -> None:
        """Drop the place's schema."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            named = sql.Identifier(schema_of(place))
            connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(named))


    @property
    def may_crash(self) -> bool:
        """Whether this process started the server."""
        return any(server.dsn == self.dsn for server in _STARTED)

    async def crash(self) -> None:
        """An immediate shutdown of the server, and its start."""
        for server in _STARTED:
            if server.dsn == self.dsn:
                await asyncio.to_thread(server.crash)


def schema_of(place: Place) -> str:
    """The schema of a place: named after its directory, and told by the whole path, as the places of a host are called alike."""
    path = str(place.directory.absolute()).encode()
    return f"{place.directory.name.lower()[-40:]}_{hashlib.sha256(path).hexdigest()[:16]}"


_ROOTS = "(SELECT record::jsonb ->> 'checkpoint_ref' FROM heads)"


def _heads(change: str) -> tuple[str, ...]:
    return (f"UPDATE heads SET record = ({change})::text",)  # noqa: S608 - fixed text


def _manifests(change: str) -> tuple[str, ...]:
    return (f"UPDATE blobs SET data = convert_to(({change})::text, 'UTF8') WHERE ref IN {_ROOTS}",)  # noqa: S608 - fixed text


_JSON = "convert_from(data, 'UTF8')::jsonb"

_STATEMENTS: dict[Damage, tuple[str, ...]] = {
    "node": ("UPDATE nodes SET record = '{'",),
    "ledger": ("UPDATE ledger SET record = '{'",),
    "head": _heads("'{'"),
    "head_version_missing": _heads("record::jsonb - 'schema_version'"),
    "head_version_text": _heads("""record::jsonb || '{"schema_version": "one"}'"""),
    "head_version_other": _heads("""record::jsonb || '{"schema_version": 2}'"""),
    "manifest": _manifests("'{'"),
    "manifest_version_missing": _manifests(f"{_JSON} - 'schema_version'"),
    "manifest_version_text": _manifests(_JSON + """ || '{"schema_version": "one"}'"""),
    "manifest_version_other": _manifests(_JSON + """ || '{"schema_version": 2}'"""),
    "manifest_gone": (f"DELETE FROM blobs WHERE ref IN {_ROOTS}",),  # noqa: S608 - fixed text
    "blob_gone": (f"DELETE FROM blobs WHERE ref NOT IN {_ROOTS}",),  # noqa: S608 - fixed text
    "queued_work": ("UPDATE batches SET record = '{'",),
    "turn_input": ("UPDATE inputs SET record = '{'",),
    "lease_liveness": ("""UPDATE leases SET liveness = (liveness::jsonb || '{"liveness": "mangled"}')::text""",),
    "attachment_intent": ("UPDATE intents SET record = '{'",),
    "turn_commit": ("UPDATE stamps SET record = '{'",),
    "meta": ("UPDATE metas SET record = '{'",),
    "database_version": ("UPDATE schema_version SET version = 99",),
    "database_truncated": ("DROP TABLE nodes",),
    "database_garbage": ("ALTER TABLE schema_version RENAME version TO flavour",),
}
"""What spoils each kind of record, in the schema that `lash_ref.postgres_schema` documents."""


def target(dsn: str = "") -> PostgresTarget:
    """The target named ``postgres`` or ``postgres:DSN``.

    Raises:
        TargetFault: no server can be started, or the named one cannot be reached.
    """
    given = dsn or os.environ.get(SHARED_SERVER, "")
    if not given:
        from lash_conformance.targets.postgres_server import Server

        server = Server()
        _STARTED.append(server)
        atexit.register(server.stop)
        given = os.environ[SHARED_SERVER] = server.dsn
    try:
        psycopg.connect(given, connect_timeout=10).close()
    except psycopg.Error as err:
        raise TargetFault(f"no PostgreSQL server at {given!r}: {str(err).strip()}") from err
    return PostgresTarget(given)
