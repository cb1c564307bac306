"""What the machine must have, so that no target is blamed for what it lacks."""

import resource
import shutil
import tempfile

from lash_conformance.target import HarnessFault

BYTES = 32 << 20
"""Free where checks write; a whole run holds a third of it at once."""
LIMITS = {
    resource.RLIMIT_NOFILE: (256, "open files in one process"),
    resource.RLIMIT_NPROC: (128, "processes and threads of one user"),
}
"""What a whole run was seen to need, and some to spare."""


def on_disk() -> None:
    """Look at the folder that checks write in.

    Raises:
        HarnessFault: less than `BYTES` are free there.
    """
    folder = tempfile.gettempdir()
    if (free := shutil.disk_usage(folder).free) < BYTES:
        needed = f"judging needs {BYTES >> 20} MB free in {folder}, found {free >> 20}"
        raise HarnessFault(f"{needed}; set TMPDIR to a folder that has them")


def under_limits() -> None:
    """Let this process and its children have what `LIMITS` names.

    Raises:
        HarnessFault: whoever started the process allows less.
    """
    for limit, (needed, what) in LIMITS.items():
        soft, hard = resource.getrlimit(limit)
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise HarnessFault(f"judging needs {needed} {what}, the limit is {hard}; raise it with ulimit")
        if soft != resource.RLIM_INFINITY and soft < needed:
            resource.setrlimit(limit, (needed, hard))
