"""What a store does in the background, such as compaction: found in a long run of equal calls, as the one that does more file operations than the others."""

from collections import Counter

from lash_conformance.drill import Drill
from lash_conformance.model_state import Data
from lash_conformance.scenes import STORE, Caller, FinalCall, Scene, begun, turn

CALLS = 110
"""In how many calls a store is expected to compact, checkpoint or roll over at least once."""
WARM = 8
"""How many of them it may take to settle."""


async def background_scene(drill: Drill) -> Scene | None:
    """The scene that ends in the call with the most additional file operations; none when all calls do the same."""
    done = (await drill.watched(long_run(CALLS - 1)))[-CALLS:]
    usual = Counter(deed for deeds in done for deed in deeds)
    rare = [sum(usual[deed] * 2 < len(done) for deed in deeds) for deeds in done]
    most = max(range(len(done) - 1, WARM, -1), key=rare.__getitem__, default=0)
    return long_run(most) if most and rare[most] else None


def long_run(number: int) -> Scene:
    """A run of saves of the session's meta, every tenth a commit; the fault is injected into the last."""

    async def play(caller: Caller) -> FinalCall:
        fence = await begun(caller)
        for before in range(number):
            call = _call(before, fence)
            await caller.call(call.on, call.method, *call.arguments)
        return _call(number, fence)

    return Scene(f"call {number + 1} of a long row", play, frozenset(), holds_lane=True)


def _call(number: int, fence: Data) -> FinalCall:
    """A save of some pages; or a commit, which would be seen if it were applied twice."""
    if number % 10 == 5:
        revision = 2 + number // 10
        return FinalCall(STORE, "commit_runtime_state", (turn(fence, f"t{revision}", revision),))
    meta: Data = {
        "session_id": "s1", "session_name": f"{number:04}" * 10_000, "created_at": "then", "model": "m",
        "relation": {"kind": "root"},
    }  # fmt: skip
    return FinalCall(STORE, "save_session_meta", (meta,))
