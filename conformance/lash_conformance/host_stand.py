"""Where a host is measured and soaked: a place on a store target, and cores on it."""

import contextlib
import sqlite3
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lash_conformance.bench import Bench, scratch
from lash_conformance.host import CoreSpec, HostCore, HostPlace, HostTarget
from lash_conformance.target import Backend, StoreTarget, TargetFault

DURABLE = ("session_store", "attachment_store", "process_env_store")


@dataclass
class Stand:
    """A host target over a store target."""

    target: HostTarget
    bench: Bench
    backend: Backend
    memory: dict[str, object] = field(default_factory=dict[str, object])

    @property
    def folder(self) -> Path:
        """Where the store keeps its files, if it keeps any."""
        return self.bench.place.directory

    async def core(self, **parts: Any) -> HostCore:
        """A core on the place, of any description.

        Raises:
            TargetFault: the host is a process of its own, whose memory and bytes are not measured here.
        """
        if "process" in self.target.capabilities:
            raise TargetFault(f"bench --host measures hosts in process; {self.target.name} is a command")
        place = HostPlace(
            stores=self.backend.sessions, others=self.backend.sessions, attachments=self.backend.attachments,
            clock=self.bench.clock, mint=self.bench.place.mint, memory=self.memory,
        )  # fmt: skip
        return await self.target.core(place, CoreSpec(durable=DURABLE, **parts))


def bytes_kept(folder: Path) -> int:
    """The size of a folder's files once SQLite's logs are folded into their databases."""
    for log in folder.rglob("*-wal"):
        with contextlib.closing(sqlite3.connect(str(log).removesuffix("-wal"))) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@contextlib.asynccontextmanager
async def stand(target: HostTarget, store: StoreTarget) -> AsyncGenerator[Stand]:
    """A stand that is removed with everything on it."""
    bench = Bench(store, scratch())
    try:
        await bench.provide(("bench", "store"))
        yield Stand(target, bench, bench._open[0])
    finally:
        await bench.remove()
