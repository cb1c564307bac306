"""A saved trace run again, step by step, against any target."""

import asyncio
from pathlib import Path

from rich.console import Console
from rich.text import Text

from lash_conformance import transcript
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
    console.print(f"{len(replayed)} steps on {target.name}, {differing} answered otherwise")
    return differing == 0 and bool(replayed)
