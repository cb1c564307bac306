"""CPU time and memory of a process, from the kernel; 0 where it is unknown."""

import os
from collections.abc import Iterator
from pathlib import Path


def resident_bytes(pid: int | None = None) -> float:
    """Memory that a process, by default this one, holds at this moment."""
    status = Path(f"/proc/{pid or os.getpid()}/status")
    lines = status.read_text(encoding="ascii").splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024.0 for line in lines if line.startswith("VmRSS:")), 0.0)


def worked_seconds(pid: int) -> float:
    """Processor time of a process so far, all of its threads that still run."""
    return sum(_scheduled(pid)) / 1e9


def _scheduled(pid: int) -> Iterator[int]:
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        yield int(thread.read_text(encoding="ascii").split()[0])
