"""A saved trace run again, step by step, against any target."""

import asyncio
from pathlib import Path

from rich.console import Console
from rich.text import Text

from lash_conformance import life_search, transcript
from lash_conformance.host import HostTarget
from lash_conformance.shown import visible
from lash_conformance.target import StoreTarget


def replay_file(console: Console, path: Path, target: StoreTarget) -> bool:
    """Replay the trace and print each step; whether the target answered every step as expected."""
    steps = transcript.read(path)
    replayed = asyncio.run(transcript.replay(steps, target))
    for number, one in enumerate(replayed, start=1):
        mark = Text("ok  ", "green") if one.ok else Text("DIFF", "bold red")
        console.print(mark + Text(f" {number} {transcript.told(one.step)}"), soft_wrap=True)
        if not one.ok:
            console.print(Text(f"       expected {transcript.short(one.expected)}"), soft_wrap=True)
            console.print(Text(f"       found    {transcript.short(one.found)}"), soft_wrap=True)
    differing = sum(not one.ok for one in replayed)
    console.print(f"{len(replayed)} steps on {visible(target.name)}, {differing} answered differently")
    return differing == 0 and bool(replayed)


def replay_life(console: Console, path: Path, target: HostTarget, stores: StoreTarget) -> bool:
    """Repeat a saved sequence of steps on a host until it differs from the model; whether it never does."""
    steps = life_search.read(path)
    lived = asyncio.run(life_search.live(target, stores, steps))
    for number, one in enumerate(lived, start=1):
        mark = Text("ok  ", "green") if one.ok else Text("DIFF", "bold red")
        console.print(mark + Text(f" {number} {life_search.ON}.{one.step}() -> {transcript.short(one.expected)}"), soft_wrap=True)
        if not one.ok:
            console.print(Text(f"       found    {transcript.short(one.found)}"), soft_wrap=True)
    agreed = len(lived) == len(steps) and all(one.ok for one in lived)
    console.print(f"{len(lived)} of {len(steps)} steps on {visible(target.name)}, {'as the model says' if agreed else 'then not as the model says'}")
    return agreed and bool(steps)
