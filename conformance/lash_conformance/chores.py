"""What a store does of its own accord: found in a long row of like calls, by what one of them does besides."""

from collections import Counter

from lash_conformance.drill import Drill
from lash_conformance.model_state import Data
from lash_conformance.scenes import STORE, Caller, Doomed, Scene, begun, turn

CALLS = 110
"""In how many calls a store is expected to compact, checkpoint or roll over at least once."""
WARM = 8
"""How many of them it may take to settle."""


async def chore(drill: Drill) -> Scene | None:
    """The long row whose last does most that the others do not, and of several the last of all; none when all do alike."""
    done = (await drill.watched(long_row(CALLS - 1)))[-CALLS:]
    usual = Counter(deed for deeds in done for deed in deeds)
    rare = [sum(usual[deed] * 2 < len(done) for deed in deeds) for deeds in done]
    most = max(range(len(done) - 1, WARM, -1), key=rare.__getitem__, default=0)
    return long_row(most) if most and rare[most] else None


def long_row(number: int) -> Scene:
    """A row of saves of the session's meta, every tenth a commit, of which the last is struck."""

    async def play(caller: Caller) -> Doomed:
        fence = await begun(caller)
        for before in range(number):
            call = _call(before, fence)
            await caller.call(call.on, call.method, *call.arguments)
        return _call(number, fence)

    return Scene(f"call {number + 1} of a long row", play, frozenset(), holds_lane=True)


def _call(number: int, fence: Data) -> Doomed:
    """A save of some pages; or a commit, which would be seen if it were applied twice."""
    if number % 10 == 5:
        revision = 2 + number // 10
        return Doomed(STORE, "commit_runtime_state", (turn(fence, f"t{revision}", revision),))
    meta: Data = {
        "session_id": "s1", "session_name": f"{number:04}" * 10_000, "created_at": "then", "model": "m",
        "relation": {"kind": "root"},
    }  # fmt: skip
    return Doomed(STORE, "save_session_meta", (meta,))
