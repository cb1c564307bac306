"""Where a host is measured: a place on a store target, cores on it, and what they use of the machine."""

import contextlib
import gc
import shutil
import sqlite3
import time
import tracemalloc
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lash_conformance.bench import Bench, scratch
from lash_conformance.footprint import resident_bytes, worked_seconds
from lash_conformance.host import CoreSpec, HostCore, HostPlace, HostTarget
from lash_conformance.target import Backend, StoreTarget
from lash_conformance.targets.stdio_host import StdioHost

DURABLE = ("session_store", "attachment_store", "process_env_store")


@dataclass
class Stand:
    """A host target over a store target; a command opens the place's stores itself, as the judge does beside it."""

    target: HostTarget
    bench: Bench
    backend: Backend
    folder: Path
    """Where the stores keep their files, if they keep any."""
    memory: dict[str, object] = field(default_factory=dict[str, object])

    async def core(self, **parts: Any) -> HostCore:
        """A core on the place, of any description."""
        place = HostPlace(
            stores=self.backend.sessions, others=self.backend.sessions, attachments=self.backend.attachments,
            clock=self.bench.clock, mint=self.bench.place.mint, memory=self.memory,
            directory=self.folder if isinstance(self.target, StdioHost) else None,
        )  # fmt: skip
        return await self.target.core(place, CoreSpec(durable=DURABLE, **parts))

    def worked(self) -> float:
        """Seconds of processor time so far; a command's own, without the judge that speaks to it."""
        if isinstance(self.target, StdioHost):
            return sum(map(worked_seconds, self.target.pids))
        return time.process_time()

    @contextlib.contextmanager
    def weighed(self) -> Generator[None]:
        """Inside, `held` may be asked."""
        if isinstance(self.target, StdioHost):
            yield
            return
        tracemalloc.start()
        try:
            yield
        finally:
            tracemalloc.stop()

    def held(self) -> float:
        """Bytes held: those of Python objects, or of a command the resident memory of its processes."""
        if isinstance(self.target, StdioHost):
            return sum(map(resident_bytes, self.target.pids))
        gc.collect()
        return tracemalloc.get_traced_memory()[0]


def bytes_kept(folder: Path) -> int:
    """The size of a folder's files once SQLite's logs are folded into their databases."""
    for log in folder.rglob("*-wal"):
        with contextlib.closing(sqlite3.connect(str(log).removesuffix("-wal"))) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@contextlib.asynccontextmanager
async def stand(target: HostTarget, store: StoreTarget) -> AsyncGenerator[Stand]:
    """A stand that is removed with everything on it."""
    folder = scratch()
    # a command finds its main place here, and the judge must look at the same
    place = folder / "main"
    place.mkdir()
    bench = Bench(store, place)
    try:
        await bench.provide(("bench", "store"))
        yield Stand(target, bench, bench._open[0], folder)
    finally:
        await bench.remove()
        shutil.rmtree(folder, ignore_errors=True)
