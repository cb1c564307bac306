"""A place that was struck, opened again: what may be found there, and what was."""

from dataclasses import dataclass
from typing import Any, Literal

from lash_conformance.aftermath import Worlds
from lash_conformance.bench import Bench
from lash_conformance.model_lease import FENCE
from lash_conformance.model_state import Data
from lash_conformance.scenes import STORE, SUCCESSOR, Doomed, Scene, claims, reads
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


@dataclass
class Ward:
    """The place opened again, and what may be found there."""

    scene: Scene
    bench: Bench
    driver: Driver
    worlds: Worlds
    before: Worlds
    answered: bool
    fate: Fate = ""
    told: str = ""

    async def saw(self, fate: Fate, on: str, method: str, *arguments: Any) -> Data:
        """Make a call; if nothing explains the answer, that is the fate unless there is one already."""
        found = await outcome(self.driver, on, method, arguments)
        if (fault := self.worlds.saw(on, method, arguments, found)) and not self.fate:
            gone = self.answered and self.worlds.forgotten(self.before, on, method, arguments, found)
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
        """Let another owner claim the lane, at once and when its time has run out."""
        ttl = ttl_of(self.bench)
        claim = (STORE, "try_claim_session_execution_lease", "s1", SUCCESSOR, ttl)
        if self.bench.virtual:
            await self.saw("lane", *claim)
        await self.saw("lane", "place", "advance", {"ms": ttl + 1})
        answer: Any = (await self.saw("lane", *claim)).get("ok")
        granted: Data | None = answer.get("Acquired") if answer else None
        return {name: granted[name] for name in FENCE} if granted else None

    async def judge(self, doomed: Doomed) -> None:
        """Everything that must hold after the process was killed; at last, that what was written since is there, too."""
        present = await self.look("torn")
        fence = await self.take_over() if present and not self.fate else None
        if doomed.repeats and not self.fate and (fence is not None or not present):
            again = doomed.under(fence) if fence is not None else doomed
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
