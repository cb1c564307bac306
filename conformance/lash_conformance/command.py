"""A command that is a target: started as often as it is needed, greeted, and given up when it always breaks."""

import threading
from collections.abc import Callable

from lash_conformance.child import Running
from lash_conformance.connection import Connection
from lash_conformance.target import Bounds, TargetBroke, TargetFault
from lash_conformance.wire import Introduction, Speech

PATIENCE = 8
"""After this many processes in a row that broke, the command is not started again."""


class Command:
    """How a target's processes are made; usable from any thread."""

    def __init__(
        self, words: str, bounds: Bounds, speech: Speech, launch: Callable[[], Running] | None = None
    ) -> None:
        """``launch`` starts the process in another way than by the command."""
        self.words = words
        self._launch = launch or words
        self.bounds = bounds
        self.speech = speech
        self.said: Introduction | None = None
        self._lock = threading.Lock()
        self._broke_in_a_row = 0

    def greeted(self) -> Connection:
        """The first process, by which the target is known.

        Raises:
            TargetFault: the command cannot be started, or fails at the handshake.
        """
        try:
            made = self.started()
        except TargetBroke as err:
            log = f"\nits standard error ends with:\n{err.log}" if err.log.strip() else ""
            raise TargetFault(f"target {self.words!r} failed at the handshake: {err}{log}") from err
        self.said = made.said
        return made

    def started(self) -> Connection:
        """A new process that introduced itself as the first did.

        Raises:
            TargetBroke: it fails at the handshake, or the command broke too often.
            TargetFault: the command cannot be started.
        """
        if self._broke_in_a_row >= PATIENCE:
            raise TargetBroke(f"not asked again: it broke {PATIENCE} times in a row")
        try:
            made = Connection(self._launch, self.bounds, self.speech)
        except (OSError, ValueError) as err:
            raise TargetFault(f"target {self.words!r} could not be started: {err}") from err
        try:
            made.handshake()
            if self.said is not None and made.said != self.said:
                raise made.accuse("it introduces itself otherwise than before", "initialize")
        except TargetBroke:
            self.broke()
            made.kill("it failed at the handshake")
            raise
        return made

    def broke(self) -> None:
        """A process broke by itself."""
        with self._lock:
            self._broke_in_a_row += 1

    def went_well(self) -> None:
        """A process did what it was started for."""
        with self._lock:
            self._broke_in_a_row = 0
