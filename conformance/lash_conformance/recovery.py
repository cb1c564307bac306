"""Recovery: a place reopened after a fault, what may be found there, and what was."""

from dataclasses import dataclass
from typing import Any, Literal

from lash_conformance.bench import Bench
from lash_conformance.model_lease import FENCE
from lash_conformance.model_state import Data
from lash_conformance.possible_states import PossibleStates
from lash_conformance.scenes import STORE, SUCCESSOR, FinalCall, Scene, claims, reads
from lash_conformance.transcript import Driver, short
from lash_conformance.victim import outcome, ttl_of

Fate = Literal["", "lost", "torn", "lane", "number", "again", "repeat", "unopenable", "untyped", "stuck", "unsynced"]
FATES: dict[Fate, str] = {
    "": "sound",
    "lost": "what was acknowledged is gone",
    "torn": "what was cut short is there in part",
    "lane": "the lane cannot be taken over",
    "number": "a number was given again",
    "again": "an id was given again",
    "repeat": "the repeated call did not settle once",
    "unopenable": "the place does not open again",
    "untyped": "the refused write was not answered with a typed error",
    "stuck": "the session does not go on after the disk had room again",
    "unsynced": "it was acknowledged before it was synced",
}
TOLD: dict[str, Fate] = {"does not exceed": "number", "which was given before": "again"}
"""Fates that a fault names in these words."""


LONG_MS = 600_000
"""How long the successor holds the lease on a real clock: to the end of its calls, however slow they are."""


@dataclass
class Recovery:
    """The reopened place, and the states in which it may be found."""

    scene: Scene
    bench: Bench
    driver: Driver
    states: PossibleStates
    before: PossibleStates
    answered: bool
    fate: Fate = ""
    told: str = ""

    async def saw(self, fate: Fate, on: str, method: str, *arguments: Any) -> Data:
        """Make a call; an answer that no possible state explains is the fate, unless there is one already."""
        found = await outcome(self.driver, on, method, arguments)
        if (fault := self.states.saw(on, method, arguments, found)) and not self.fate:
            gone = self.answered and self.states.forgotten(self.before, on, method, arguments, found)
            named: list[Fate] = [known for words, known in TOLD.items() if words in fault]
            if named:
                self.fate = named[0]
            else:
                self.fate = "lost" if fate == "torn" and gone else fate
            self.told = fault
        return found

    async def look(self, fate: Fate) -> bool:
        """Read everything; whether the session is there."""
        for on, method, arguments in reads(self.scene, self.bench.target.capabilities):
            found = await self.saw(fate, on, method, *arguments)
            if method == "open_existing_store" and found.get("ok") is None:
                return False
        return True

    async def take_over(self) -> Data | None:
        """Let another owner claim the lease, at once where time can stand still, and after it has expired."""
        claim = (STORE, "try_claim_session_execution_lease", "s1", SUCCESSOR, ttl_of(self.bench) if self.bench.virtual else LONG_MS)
        if self.bench.virtual:
            await self.saw("lane", *claim)
            await self._outlive()
        answer: Any = (await self.saw("lane", *claim)).get("ok")
        granted: Data | None = answer.get("Acquired") if answer else None
        return {name: granted[name] for name in FENCE} if granted else None

    async def _outlive(self) -> None:
        await self.saw("lane", "place", "advance", {"ms": ttl_of(self.bench) + 1})

    async def judge(self, final: FinalCall) -> None:
        """Check everything that must hold after the process was killed, last that what was written since is there too."""
        if not self.bench.virtual:
            # On a real clock the killed holder's lease may expire between two reads, and what it holds is listed then.
            await self._outlive()
        present = await self.look("torn")
        fence = await self.take_over() if present and not self.fate else None
        if final.repeats and not self.fate and (fence is not None or not present):
            again = final.under(fence) if fence is not None else final
            await self.saw("repeat", again.on, again.method, *again.arguments)
            await self.look("repeat")
        if fence is not None and self.scene.name == "claim work":
            for claim in claims(fence):
                await self.saw("repeat", *claim)
        if not self.fate:
            opened = await self.saw("unopenable", "place", "reopen")
            if self.fate:
                self.told = f"once more: {short(opened)}"
            else:
                await self.look("lost")
