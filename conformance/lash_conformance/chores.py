"""What a store does of its own accord: found in a long row of like calls, by what one of them does besides."""

from collections import Counter

from lash_conformance.drill import Drill
from lash_conformance.model_state import Data
from lash_conformance.scenes import STORE, Caller, Doomed, Scene, begun

SAVES = 110
"""In how many saves of some pages a store is expected to compact, checkpoint or roll over at least once."""
WARM = 8
"""How many of them it may take to settle."""


async def chore(drill: Drill) -> Scene | None:
    """The row of saves whose last does most that the others do not; none when all do alike."""
    done = (await drill.watched(after_saves(SAVES - 1)))[-SAVES:]
    usual = Counter(deed for deeds in done for deed in deeds)
    rare = [sum(usual[deed] * 2 < len(done) for deed in deeds) for deeds in done]
    most = max(range(WARM, len(done)), key=rare.__getitem__, default=0)
    return after_saves(most) if most and rare[most] else None


def after_saves(number: int) -> Scene:
    """A row of saves of the session's meta, the last of which is struck."""

    async def play(caller: Caller) -> Doomed:
        await begun(caller)
        for before in range(number):
            await caller.call(STORE, "save_session_meta", _meta(before))
        return Doomed(STORE, "save_session_meta", (_meta(number),))

    return Scene(f"save {number + 1} of a long row", play, frozenset(), holds_lane=True)


def _meta(number: int) -> Data:
    """Meta of some pages, another each time."""
    return {
        "session_id": "s1", "session_name": f"{number:04}" * 10_000, "created_at": "then", "model": "m",
        "relation": {"kind": "root"},
    }  # fmt: skip
