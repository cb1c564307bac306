"""A disk played back from a trace: what it holds, and what it would still hold after the power was cut.

What a file holds is safe once the file was synced after the write. A name (a new file, a rename, a removal)
is safe once its directory was synced, or the file under that name was. This is what POSIX promises, and a
little more: every file system in use keeps the name of a file that was synced itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lash_conformance.strace import OPENS, SYNCS, WRITES, Call

Cut = Literal["unsynced lost", "names kept", "half written", "length kept", "nothing lost"]
"""What is left of what was not synced: nothing; the names and not the bytes, or half of them, the rest of the new length zeros or not there; or all, as when a process is killed."""
SECTOR = 512
"""A disk writes so many bytes, or none."""

Left = dict[str, bytes | None]
"""What files hold, by name from the root; a folder holds nothing."""


@dataclass
class File:
    """One file, whatever it is called."""

    content: bytearray = field(default_factory=bytearray)
    safe: bytes = b""
    """What it held when it was last synced."""

    def put(self, data: bytes, at: int) -> None:
        """Write ``data`` at an offset, zeros before it where there was nothing."""
        if at > len(self.content):
            self.content.extend(bytes(at - len(self.content)))
        self.content[at : at + len(data)] = data

    def resize(self, length: int) -> None:
        """Cut off, or extend with zeros."""
        del self.content[length:]
        self.content.extend(bytes(length - len(self.content)))


@dataclass
class Descriptor:
    """An open file's offset and manner of writing."""

    at: int = 0
    appends: bool = False
    syncs: bool = False


class Disk:
    """The directory ``root``, empty at first, then changed by calls."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.names: dict[str, File] = {}
        self.blind: set[str] = set()
        """Files that were changed in a way that a trace does not show."""
        self.open_: dict[tuple[int, str], Descriptor] = {}
        self.safe_names: dict[str, File] = {}
        self.folders: set[str] = set()
        self.safe_folders: set[str] = set()

    def begin(self, directory: Path) -> None:
        """Hold what a directory holds, as if all of it were safe."""
        for path in sorted(directory.rglob("*")):
            name = f"{self.root}/{path.relative_to(directory)}"
            if path.is_dir():
                self.folders.add(name)
            else:
                content = path.read_bytes()
                self.names[name] = File(bytearray(content), content)
        self.safe_names, self.safe_folders = dict(self.names), set(self.folders)

    def holds(self, path: str) -> bool:
        """Whether the path is of this disk."""
        return path == self.root or path.startswith(f"{self.root}/")

    def play(self, calls: Sequence[Call]) -> None:
        """Change the disk as ``calls`` did."""
        for call in calls:
            if call.ok:
                self._play(call)

    def _play(self, call: Call) -> None:
        if call.name in OPENS:
            self._opened(call)
        elif call.name in WRITES:
            self._written(call)
        elif call.name in SYNCS:
            self._synced(call)
        elif call.name in ("ftruncate", "truncate", "fallocate", "lseek", "mmap", "copy_file_range", "sendfile"):
            self._changed(call)
        elif call.name.startswith(("rename", "unlink", "link", "mkdir", "rmdir")):
            self._renamed(call)

    def _opened(self, call: Call) -> None:
        path = call.opened
        if not self.holds(path) or path in self._directories() or "O_DIRECTORY" in call.arguments:
            return
        flags = call.arguments
        fresh = File()
        file = self.names.setdefault(path, fresh) if "O_CREAT" in flags or call.name == "creat" else self.names.get(path)
        if file is None:
            return
        if "O_TRUNC" in flags:
            file.resize(0)
        self.open_[call.value, path] = Descriptor(0, "O_APPEND" in flags, "O_SYNC" in flags or "O_DSYNC" in flags)

    def _directories(self) -> set[str]:
        return {self.root, *self.folders, *(name.rpartition("/")[0] for name in self.names)}

    def _written(self, call: Call) -> None:
        path = call.path()
        file = self.names.get(path)
        if file is None:
            return
        how = self.open_.setdefault((_descriptor(call), path), Descriptor())
        data = b"".join(call.strings)[: call.value]
        if len(data) < call.value:
            self.blind.add(path)
        positioned = call.name.startswith("p")
        at = call.numbers[1] if positioned else len(file.content) if how.appends else how.at
        file.put(data, at)
        if not positioned:
            how.at = at + len(data)
        if how.syncs or "SYNC" in call.arguments.rpartition('"')[2]:
            self._sync_file(path)

    def _changed(self, call: Call) -> None:
        path = call.absolute(0) if call.name == "truncate" else call.path()
        if call.name == "copy_file_range":
            path = call.path(1)
        file = self.names.get(path)
        if file is None:
            return
        numbers = call.numbers
        match call.name:
            case "ftruncate" | "truncate":
                file.resize(numbers[0])
            case "fallocate" if "0, " in call.arguments and len(numbers) == 3:
                file.resize(max(len(file.content), numbers[1] + numbers[2]))
            case "lseek":
                self.open_.setdefault((_descriptor(call), path), Descriptor()).at = call.value
            case "mmap":
                if "PROT_WRITE" in call.arguments and "MAP_SHARED" in call.arguments:
                    self.blind.add(path)
            case _:
                self.blind.add(path)

    def _renamed(self, call: Call) -> None:
        paths = [call.absolute(number) for number in range(len(call.strings))]
        if call.name.startswith("mkdir"):
            self.folders |= {path for path in paths if self.holds(path)}
        elif call.name.startswith(("unlink", "rmdir")):
            self.names.pop(paths[0], None)
            self.folders.discard(paths[0])
        elif call.name.startswith("link"):
            if paths[0] in self.names:
                self.names[paths[1]] = self.names[paths[0]]
        else:
            moved = [n for n in self.names.keys() | self.folders if n == paths[0] or n.startswith(f"{paths[0]}/")]
            for name, new in [(n, paths[1] + n[len(paths[0]) :]) for n in moved]:
                if name in self.names:
                    self.names[new] = self.names.pop(name)
                else:
                    self.folders = self.folders - {name} | {new}

    def _synced(self, call: Call) -> None:
        if call.name in ("sync", "syncfs", "msync"):
            for name in list(self.names):
                self._sync_file(name)
            self.safe_names, self.safe_folders = dict(self.names), set(self.folders)
        elif call.path() in self.names:
            self._sync_file(call.path())
        elif self.holds(call.path()):
            self._sync_directory(call.path())

    def _sync_file(self, path: str) -> None:
        file = self.names[path]
        file.safe = bytes(file.content)
        for name in [n for n, known in self.safe_names.items() if known is file and self.names.get(n) is not file]:
            del self.safe_names[name]
        self.safe_names[path] = file

    def _sync_directory(self, directory: str) -> None:
        def inside(name: str) -> bool:
            return name.rpartition("/")[0] == directory

        self.safe_names = {name: file for name, file in self.safe_names.items() if not inside(name)}
        self.safe_names |= {name: file for name, file in self.names.items() if inside(name)}
        self.safe_folders = {n for n in self.safe_folders if not inside(n)} | {n for n in self.folders if inside(n)}

    # -- what is left

    def unsafe(self) -> list[str]:
        """Names and files whose latest state a cut would undo."""
        changed = {n for n, file in self.names.items() if bytes(file.content) != file.safe}
        renamed = {n for n in self.names.keys() | self.safe_names.keys() if self.names.get(n) is not self.safe_names.get(n)}
        return sorted(name[len(self.root) + 1 :] for name in changed | renamed)

    def left(self, cut: Cut) -> Left:
        """What the cut leaves."""
        lost = cut == "unsynced lost"
        folders: Left = {name[len(self.root) + 1 :]: None for name in (self.safe_folders if lost else self.folders)}
        if cut == "nothing lost":
            return folders | {name[len(self.root) + 1 :]: bytes(file.content) for name, file in self.names.items()}
        names = self.safe_names if lost else self.names
        return folders | {name[len(self.root) + 1 :]: _after(cut, file.safe, bytes(file.content)) for name, file in names.items()}

    def unlike(self, directory: Path) -> list[str]:
        """Files of which this playback does not hold what the real directory holds.

        One that was mapped into memory and never synced is scratch, and left out.
        """
        real = {str(p.relative_to(directory)): p for p in directory.rglob("*") if p.is_file()}
        mine = {name[len(self.root) + 1 :]: file for name, file in self.names.items()}
        scratch = {n[len(self.root) + 1 :] for n in self.blind if n in self.names and not self.names[n].safe}
        return sorted(
            name
            for name in (real.keys() | mine.keys()) - scratch
            if name not in mine or name not in real or bytes(mine[name].content) != real[name].read_bytes()
        )


def restore(left: Left, into: Path) -> None:
    """Make folders and write files in a directory."""
    for name, data in left.items():
        path = into / name
        (path if data is None else path.parent).mkdir(parents=True, exist_ok=True)
        if data is not None:
            path.write_bytes(data)


def _after(cut: Cut, old: bytes, new: bytes) -> bytes:
    if cut == "half written":
        return _half(old, new)
    return _half(old, new).ljust(len(new), b"\0") if cut == "length kept" else old


def _half(old: bytes, new: bytes) -> bytes:
    """``old`` after the first half of what makes it ``new`` was written, in whole sectors."""
    begin = _alike(old, new)
    end = max(len(old), len(new)) - _alike(old[begin:][::-1], new[begin:][::-1])
    middle = (begin + end) // 2 // SECTOR * SECTOR
    return new[:middle] + old[middle:] if middle > begin else old


def _alike(one: bytes, other: bytes) -> int:
    """How many bytes both begin with."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle - 1)
    return low


def _descriptor(call: Call) -> int:
    return int(call.arguments.partition("<")[0])
