"""What the machine must have, so that no target is blamed for what it lacks."""

import resource
import shutil
import tempfile

from lash_conformance.target import HarnessFault

BYTES = 32 << 20
"""Free where checks write; a whole run holds a third of it at once."""
FILES = 256
"""Open in one process."""


def on_disk() -> None:
    """Look at the folder that checks write in.

    Raises:
        HarnessFault: less than `BYTES` are free there.
    """
    folder = tempfile.gettempdir()
    if (free := shutil.disk_usage(folder).free) < BYTES:
        needed = f"judging needs {BYTES >> 20} MB free in {folder}, found {free >> 20}"
        raise HarnessFault(f"{needed}; set TMPDIR to a folder that has them")


def for_files() -> None:
    """Let this process and its children open `FILES` files.

    Raises:
        HarnessFault: whoever started the process allows fewer.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES:
        raise HarnessFault(f"judging needs {FILES} open files in one process, the limit is {hard}; raise `ulimit -n`")
    if soft != resource.RLIM_INFINITY and soft < FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, hard))
