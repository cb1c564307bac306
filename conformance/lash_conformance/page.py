"""The report as one self-contained HTML page."""

from pathlib import Path

import pygal
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from pygal.style import Style

from lash_conformance import crash_map
from lash_conformance.catalogue import AREAS
from lash_conformance.execute import VERDICTS
from lash_conformance.report import Report, found_most, rerun, searches
from lash_conformance.shown import prose

COLOURS = {
    "pass": "#2e7d32", "not-applicable": "#9e9e9e", "known-failure": "#f9a825", "fail": "#c62828",
    "unknown": "#6a1b9a", "error": "#d84315", "not-run": "#8e24aa",
}  # fmt: skip


def chart(report: Report) -> str:
    """Where the time went: the slowest checks, inside the target and in the harness, as inline SVG."""
    slow = sorted(report.checks, key=lambda check: -check.total_s)[:12][::-1]
    style = Style(background="transparent", plot_background="transparent", colors=("#1565c0", "#90a4ae"))
    bars = pygal.HorizontalStackedBar(
        style=style, js=[], height=30 * len(slow) + 90, width=900, legend_at_bottom=True,
        disable_xml_declaration=True, no_prefix=True,
    )  # fmt: skip
    bars.x_labels = [check.id.partition(":")[2][:48] for check in slow]
    bars.add("inside the target, ms", [round(check.target_s * 1000, 2) for check in slow])
    bars.add("harness, ms", [round((check.total_s - check.target_s) * 1000, 2) for check in slow])
    return str(bars.render(is_unicode=True))


def render(report: Report) -> str:
    """The page's HTML; loads nothing from anywhere."""
    environment = Environment(
        loader=PackageLoader("lash_conformance", "templates"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = prose
    checks = {check.id: check for check in report.checks}
    return environment.get_template("report.html").render(
        report=report, checks=checks, verdicts=VERDICTS, colours=COLOURS,
        chart=chart(report) if report.checks else "",
        crash_lines=crash_map.lines(report), crash_rows=crash_map.rows(report),
        most=found_most(report), rerun=rerun, areas=AREAS, searches=searches(report),
        red=[check for check in report.checks if check.verdict in ("fail", "error", "unknown")],
    )  # fmt: skip


def save(report: Report, path: Path) -> None:
    """Write the page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(report), encoding="utf-8")
