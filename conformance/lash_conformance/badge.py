"""A report as a badge: the JSON that badge services read from an address, one label, one message, one colour."""

import json
from pathlib import Path
from typing import Any

from lash_conformance.report import Report

COLOURS = {"conforms": "brightgreen", "does not conform": "red"}
"""By outcome; anything else says nothing about the target, and is grey."""


def badge(report: Report) -> dict[str, Any]:
    """What to show: how many clauses pass, of those that apply."""
    counts = report.clause_counts
    applies = sum(counts.values()) - counts.get("not-applicable", 0)
    return {
        "schemaVersion": 1,
        "label": f"lash {report.profile} {report.edition}",
        "message": f"{report.outcome}: {counts.get('pass', 0)} of {applies}",
        "color": COLOURS.get(report.outcome, "lightgrey"),
    }


def save(report: Report, path: Path) -> None:
    """Write it."""
    path.write_text(json.dumps(badge(report), indent=1) + "\n", encoding="utf-8")
