"""A target of the judge's own process that blocks its thread gets a verdict, and the next check is judged."""

import asyncio
import time
from typing import Any

import pytest

from lash_conformance.check import all_checks
from lash_conformance.execute import execute
from lash_conformance.targets.wrapped import StoreWrapper, WrappedTarget


class Sleeps(StoreWrapper):
    """Waits for ever, in the thread that everybody shares."""

    async def load_session(self, scope: Any) -> None:
        del scope
        time.sleep(3600)  # noqa: ASYNC251 - the fault that is judged


class Asleep(WrappedTarget):
    store = Sleeps


def test_a_target_that_blocks_the_thread_is_interrupted(monkeypatch: pytest.MonkeyPatch):
    """A check that loads is an error, and the next one, which does not load, passes."""
    monkeypatch.setattr("lash_conformance.watch.TICK_S", 0.1)
    by_id = {check.id: check for check in all_checks("store")}
    loading = by_id["STO.1:a_session_without_a_commit_loads_as_none"]
    claiming = by_id["LEA.1:the_first_grant_has_number_one"]

    blocked = asyncio.run(execute(loading, Asleep(), deadline_s=0.5))
    sound = asyncio.run(execute(claiming, Asleep(), deadline_s=30))

    assert (blocked.verdict, blocked.found) == ("error", "the target hung")
    assert blocked.reason == "it blocked the thread for more than 0.5 s"
    assert sound.verdict == "pass"
