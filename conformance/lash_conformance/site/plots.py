"""The benchmarks page: growth curves and bars, drawn from the numbers that `lash-conformance bench` left."""

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pygal
from jinja2 import Environment
from pygal.style import Style

from lash_conformance.benchmark import Measured
from lash_conformance.host_cost import Chat, Held, HistoryCost
from lash_conformance.provider_bench import Speed
from lash_conformance.site.evidence import SiteFault

STYLE = Style(
    background="transparent", plot_background="transparent", font_family="var(--md-text-font-family, sans-serif)",
    foreground="var(--md-default-fg-color)", foreground_strong="var(--md-default-fg-color)",
    foreground_subtle="var(--md-default-fg-color--light)", guide_stroke_color="var(--md-default-fg-color--lightest)",
    major_guide_stroke_color="var(--md-default-fg-color--lightest)", major_guide_stroke_dasharray="4,4",
    colors=("#4c7ff0", "#e0803a", "#2f9e60", "#c2569a", "#8f6fe0", "#b59a2a", "#3aa6b9", "#d05a5a"),
    label_font_size=14, major_label_font_size=14, title_font_size=14, value_font_size=14,
)  # fmt: skip

Series = tuple[str, Sequence[tuple[float, float]]]


@dataclass(frozen=True)
class Plot:
    """One picture, with the same numbers as a table."""

    title: str
    svg: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    curves: tuple[str, ...] = ()
    """Names, in the order of the colours."""

    @property
    def legend(self) -> list[tuple[str, str]]:
        """Each curve's colour and name."""
        return [(STYLE.colors[number % len(STYLE.colors)], name) for number, name in enumerate(self.curves)]


@dataclass(frozen=True)
class Bench:
    """One kept run."""

    path: str
    kind: str
    title: str
    date: str
    versions: dict[str, str]
    notes: tuple[str, ...]
    plots: tuple[Plot, ...]


def page(root: Path, folders: Sequence[Path], templates: Environment) -> str:
    """The page, from every bench below the folders.

    Raises:
        SiteFault: a file says it is a bench, and does not read like one.
    """
    found: list[Bench] = []
    for path in sorted(path for folder in folders for path in folder.rglob("*.json")):
        read: Any = json.loads(path.read_text(encoding="utf-8"))
        data = cast("dict[str, Any]", read if isinstance(read, dict) else {})
        if "bench" in data:
            shown = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
            try:
                found.append(_bench(shown, data))
            except (KeyError, TypeError, ValueError) as err:
                raise SiteFault(f"{shown}: no bench as `lash-conformance keep` writes it: {err!r}") from err
    order = ("store", "host", "providers")
    found.sort(key=lambda one: (order.index(one.kind), one.title))
    return templates.get_template("bench.md.j2").render(benches=found)


def _bench(shown: str, data: Any) -> Bench:
    kind, found = str(data["bench"]), data["found"]
    title, notes, plots = {"store": _store, "host": _host, "providers": _providers}[kind](found)
    return Bench(shown, kind, title, data["date"], data["versions"], tuple(notes), tuple(plots))


def _store(found: Any) -> tuple[str, list[str], list[Plot]]:
    made = Measured(**{name: found[name] for name in Measured.__dataclass_fields__})
    title = f"Milliseconds of an operation by the length of the history ({made.target})"
    note = (
        f"{made.commits_per_second:,.0f} commits a second; a bare SQLite transaction of the same bytes with the same "
        f"durability, in the same run: {made.bare_per_second:,.0f} a second; ratio {made.ratio:.2f}."
    )
    series: list[Series] = [(name, list(zip(made.nodes, times, strict=True))) for name, times in made.milliseconds.items()]
    rows = tuple((name, *(f"{ms:.2f}" for ms in times)) for name, times in made.milliseconds.items())
    head = ("operation", *(f"{size:,}" for size in made.nodes))
    plot = Plot(title, growth(title, series, "nodes of history", logarithmic=True), head, rows, tuple(name for name, _ in series))
    return f"Store: {made.target}", [note], [plot]


def _host(found: Any) -> tuple[str, list[str], list[Plot]]:
    chats, history = [Chat(**one) for one in found["chats"]], [HistoryCost(**one) for one in found["history"]]
    notes = [
        f"{one.sessions:,} sessions of one turn on {one.store}: {one.live / 1024:.1f} KiB each while live and idle, {one.parked / 1024:.1f} KiB once parked."
        for one in (Held(**one) for one in found["memory"])
    ]
    return f"Host: {found['host']}", [*notes, *found["notes"]], [_chats(chats), _beside(history)]


def _chats(chats: Sequence[Chat]) -> Plot:
    title = "Milliseconds of a turn as the conversation grows"
    series: list[Series] = [(one.runtime, list(zip(one.turns, one.milliseconds, strict=True))) for one in chats]
    rows = tuple(
        (
            one.runtime, f"{one.turns_per_second:,.0f}",
            ", ".join(f"{at}: {ms:.1f}" for at, ms in zip(one.turns, one.milliseconds, strict=True)),
            ", ".join(f"{ms:.1f}" for ms in one.processor), ", ".join(f"{size:,.0f}" for size in one.bytes_per_turn),
        )
        for one in chats
    )  # fmt: skip
    head = ("runtime", "turns/s", "ms of a turn, after so many turns", "ms of processor time", "bytes a turn on disk, by halves")
    return Plot(title, growth(title, series, "turns before", logarithmic=False), head, rows, tuple(name for name, _ in series))


def _beside(history: Sequence[HistoryCost]) -> Plot:
    title = "Milliseconds of a turn, and of opening, beside a history off the active path"
    series: list[Series] = []
    for store, residency in dict.fromkeys((one.store, one.residency) for one in history):
        mine = [one for one in history if (one.store, one.residency) == (store, residency)]
        series.append((f"turn, {residency}, {store}", [(one.nodes, one.turn) for one in mine]))
        series.append((f"open, {residency}, {store}", [(one.nodes, one.open) for one in mine]))
    rows = tuple(
        (one.store, one.residency, f"{one.nodes:,}", *(f"{ms:.1f}" for ms in (one.turn, one.open, one.park, one.resume)))
        for one in history
    )
    head = ("store", "residency", "nodes", "turn", "open", "park", "resume")
    return Plot(title, growth(title, series, "nodes of history", logarithmic=True), head, rows, tuple(name for name, _ in series))


def _providers(found: Any) -> tuple[str, list[str], list[Plot]]:
    speeds = [Speed(**{name: one[name] for name in Speed.__dataclass_fields__}) for one in found["speeds"]]
    title = "Frames of a stream read in a second"
    bars: Any = pygal.HorizontalBar(
        style=STYLE, js=[], width=860, height=34 * len(speeds) + 60, show_legend=False, disable_xml_declaration=True,
        no_prefix=True, print_values=True, value_formatter=_counted, x_title="events a second",
    )  # fmt: skip
    bars.x_labels = [f"{one.dialect} · {one.reader}" for one in reversed(speeds)]
    bars.add("events a second", [round(one.events_per_s) for one in reversed(speeds)])
    rows = tuple((one.dialect, one.reader, f"{one.mb_per_s:.1f}", f"{one.events_per_s:,.0f}") for one in speeds)
    note = "Processor time of reading a stream from memory, the best of alternating rounds; no socket is measured."
    return "Providers", [note], [Plot(title, drawn(bars, title), ("dialect", "reader", "MB/s", "events/s"), rows)]


def _counted(value: float) -> str:
    return f"{value:,.0f}"


def _short(value: float) -> str:
    return f"{value:g}"


def growth(title: str, series: Sequence[Series], x_title: str, *, logarithmic: bool) -> str:
    """Curves over a length; both axes logarithmic, or neither."""
    chart: Any = pygal.XY(
        style=STYLE, js=[], width=860, height=420, show_legend=False, dots_size=3, stroke_style={"width": 2},
        disable_xml_declaration=True, x_title=x_title, y_title="milliseconds", logarithmic=logarithmic,
        no_prefix=True, value_formatter=_short, x_value_formatter=_counted,
    )  # fmt: skip
    chart.x_labels = sorted({x for _, points in series for x, _ in points})
    if logarithmic:
        highest = max(y for _, points in series for _, y in points)
        lowest = min(y for _, points in series for _, y in points)
        chart.y_labels = [10.0**power for power in range(math.floor(math.log10(lowest)), math.ceil(math.log10(highest)) + 1)]
    for name, points in series:
        chart.add(name, [(max(x, 1) if logarithmic else x, max(y, 0.001) if logarithmic else y) for x, y in points])
    return drawn(chart, title)


def drawn(chart: Any, name: str) -> str:
    """The chart as inline SVG: the same bytes for the same numbers, and nothing loaded."""
    chart.uuid = hashlib.sha256(name.encode()).hexdigest()[:12]
    text: str = chart.render(is_unicode=True)
    bare = re.sub(r"<desc\b.*?</desc>|<!--.*?-->|<title>.*?</title>|<script.*?</script>", "", text, flags=re.DOTALL)
    return " ".join(bare.split())
