"""The page of the official clients: what each SDK makes of each fixture, and why some cells are empty."""

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment

from lash_conformance.fixture import fixtures
from lash_conformance.site.evidence import SiteFault

MATRIX = "docs/results/sdk-matrix.json"


def pages(root: Path, templates: Environment) -> dict[str, str]:
    """The page, from the matrix that ``lash-conformance sdks`` left; a checkout without one says so.

    Raises:
        SiteFault: the matrix names a fixture that is no more; run ``make sdks``.
    """
    path = root / MATRIX
    cells: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"] if path.is_file() else []
    strangers = sorted({cell["fixture"] for cell in cells if cell["fixture"]} - set(fixtures()))
    if strangers:
        raise SiteFault(f"{MATRIX} names {strangers[0]}, which is no fixture: run make sdks")
    clients = list(dict.fromkeys(cell["client"] for cell in cells))
    counts = [(client, [cell for cell in cells if cell["client"] == client]) for client in clients]
    return {"fixtures/clients.md": templates.get_template("clients.md.j2").render(clients=counts)}
