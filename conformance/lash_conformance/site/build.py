"""Write every page that the site builder reads: the written ones with their evidence, and the joined ones."""

import json
import re
import shutil
import subprocess
from functools import cache
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lash_conformance import openrpc
from lash_conformance import report as reporting
from lash_conformance.catalogue import AREAS, EDITION, PROFILES, Clause, seed_apis
from lash_conformance.editions import compare, current, history
from lash_conformance.execute import VERDICTS
from lash_conformance.explain import facts, implementations
from lash_conformance.fixture import DIALECTS
from lash_conformance.fixture_check import schema as fixture_schema
from lash_conformance.seeds import reached
from lash_conformance.shown import prose
from lash_conformance.site import clients, exchanges, plots, reference, source
from lash_conformance.site.changes import KINDS
from lash_conformance.site.diagram import draw
from lash_conformance.site.evidence import Evidence, SiteFault, gather
from lash_conformance.site.examples import example

_CLAUSE = re.compile(r"^#### (\S+) \{ #\S+ \.clause \}$")
_DIAGRAM = re.compile(r"^<!-- diagram: (\w+) -->$", re.MULTILINE)
_CHECK = re.compile(r"`([A-Z]{3}\.[0-9]+):\w+`")
_NOTE = re.compile(r"\*(Source|Untested|Divergence|Example)\.\*")
_NUMBERS = "<!-- numbers -->"


def write(root: Path, folder: Path, reports: list[Path]) -> int:
    """Write all pages below ``folder``, which is emptied first; the number of pages.

    Raises:
        SiteFault: the data does not fit together; nothing is written.
    """
    evidence = gather(reports, root)
    pages = written(root / "docs", evidence) | joined(evidence) | clients.pages(root, environment())
    pages["evidence/bench.md"] = plots.page(root, reports, environment())
    pages |= source.pages(_places(evidence), evidence.law, _address, environment())
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    shutil.copytree(root / "docs" / "assets", folder / "assets")
    for name, data in published(evidence).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return sum(name.endswith(".md") for name in pages)


def _places(evidence: Evidence) -> list[str]:
    """Whatever of the source a page links to."""
    made = [*(check for checks in evidence.checks_of.values() for check in checks), *evidence.mutants]
    return [*map(source.place, made), *(place for places in implementations().values() for place in places)]


def written(docs: Path, evidence: Evidence) -> dict[str, str]:
    """The pages that people wrote, each clause followed by its evidence."""
    pages: dict[str, str] = {}
    for path in sorted(docs.rglob("*.md")):
        name = path.relative_to(docs).as_posix()
        if not name.startswith("drafts/"):
            pages[name] = _filled(path.read_text(encoding="utf-8"), name, evidence, docs.parent)
    return pages


def _filled(text: str, name: str, evidence: Evidence, root: Path) -> str:
    if name.startswith("spec/"):
        text = _with_evidence(text, evidence)
    if name.startswith("results/"):
        text = _CHECK.sub(lambda found: f"[{found[0]}](../spec/{evidence.law[found[1]].page}#{found[1]})" if found[1] in evidence.law else found[0], text)
    for diagram in _DIAGRAM.findall(text):
        try:
            text = text.replace(f"<!-- diagram: {diagram} -->", draw(diagram))
        except KeyError:
            raise SiteFault(f"{name}: no table is called {diagram!r}") from None
    return text.replace(_NUMBERS, numbers(evidence, root)) if _NUMBERS in text else text


def _with_evidence(text: str, evidence: Evidence) -> str:
    made: list[str] = []
    open_clause: Clause | None = None
    for line in [*text.splitlines(), "# end"]:
        if open_clause is not None and re.match(r"#{1,4} ", line):
            made += [block(open_clause, evidence), ""]
            open_clause = None
        if heading := _CLAUSE.match(line):
            open_clause = evidence.law[heading[1]]
        if _NOTE.match(line) and made and made[-1].strip():
            made[-1] = made[-1].rstrip() + "  "
        made.append(line)
    return "\n".join(made[:-1]) + "\n"


def _lines(text: str) -> Markup:
    return Markup(escape(text, quote=False).replace("\n", "&#10;"))  # noqa: S704 - escaped in the same breath


def _address(clause: Clause) -> str:
    return f"spec/{Path(clause.page).stem}.html#{clause.id}"


@cache
def environment() -> Environment:
    """Templates that escape by themselves and fail on what they do not know."""
    made = Environment(
        loader=PackageLoader("lash_conformance", "templates/site"), autoescape=True,
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters["prose"] = prose
    made.filters["pre"] = _lines
    made.filters["page"] = _address
    made.filters["place"] = source.place
    made.filters["source"] = source.address
    return made


def block(clause: Clause, evidence: Evidence) -> str:
    """A clause's evidence, folded; one HTML block without an empty line."""
    text = environment().get_template("clause.html.j2").render(
        clause=clause, checks=evidence.checks_of.get(clause.id, []), mutants=evidence.mutants_of.get(clause.id, []),
        kills=evidence.kills, runs=evidence.runs_of(clause), implemented=implementations().get(clause.id, ()),
        example=example(clause, evidence), history=history(clause.id, evidence.editions),
        news=[one for one in evidence.news if clause.id in one.clauses],
    )  # fmt: skip
    return "\n".join(line for line in text.splitlines() if line.strip())


def commit(root: Path) -> str:
    """The commit of the checkout, or nothing outside of one."""
    done = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=root, capture_output=True, text=True, check=False)  # noqa: S607
    return done.stdout.strip()


def numbers(evidence: Evidence, root: Path) -> str:
    """The four numbers of the home page."""
    proven = sum(evidence.proven(clause) for clause in evidence.musts)
    blows = [blow for run in evidence.runs for row in run.crash_rows for blow in row.blows]
    text = environment().get_template("numbers.html.j2").render(
        clauses=len(evidence.law), musts=len(evidence.musts), proven=proven, evidence=evidence,
        killed=sum(kill.killed for kill in evidence.kills.values()), blows=len(blows),
        ill=sum(bool(blow.fate) for blow in blows), edition=EDITION, commit=commit(root),
    )  # fmt: skip
    return "\n".join(line for line in text.splitlines() if line.strip())


def joined(evidence: Evidence) -> dict[str, str]:
    """The pages that nobody writes."""
    templates = environment()
    found = reached()
    seeds = [(seed, *found[seed.id]) for seed in seed_apis()]
    good = {c for c in evidence.checks if (v := {r.verdicts[c] for r in evidence.runs if c in r.verdicts} - {"not-applicable"}) and "pass" in v}
    tables = [
        (profile, [run for run in evidence.runs if run.profile == profile])
        for profile in PROFILES
    ]
    matrices = [
        (profile, runs, [clause for clause in evidence.law.values() if any(clause.id in run.clauses for run in runs)])
        for profile, runs in tables
    ]
    shared = {
        "matrices": matrices,
        "evidence": evidence, "areas": AREAS, "verdicts": VERDICTS, "seeds": seeds, "good": good,
        "implementations": implementations(), "edition": EDITION,
    }  # fmt: skip
    names = ("clauses", "matrix", "kills", "seeds", "crashes", "data")
    pages = {f"evidence/{name}.md": templates.get_template(f"{name}.md.j2").render(shared) for name in names}
    pages["changes.md"] = changes(evidence)
    for dialect in DIALECTS:
        pages[f"fixtures/{dialect}.md"] = exchanges.page(dialect, evidence.law, templates)
    return pages | reference.pages()


def changes(evidence: Evidence) -> str:
    """Editions, what became of each clause between them, and the news."""
    steps = [(one, other, compare(one, other)) for one, other in pairwise((*evidence.editions, current(evidence.law)))]
    releases = [
        (release, [(title, [one for one in evidence.news if (one.release, one.kind) == (release, kind)]) for kind, title in KINDS.items()])
        for release in dict.fromkeys(one.release for one in evidence.news)
    ]
    kept = [(release, [(title, items) for title, items in kinds if items]) for release, kinds in releases]
    return environment().get_template("changes.md.j2").render(evidence=evidence, steps=steps, releases=kept)


def _published(clause: Clause, evidence: Evidence) -> dict[str, Any]:
    told = [{"edition": edition, "what": what} for edition, what in history(clause.id, evidence.editions)]
    return facts(clause) | {"history": told}


def published(evidence: Evidence) -> dict[str, object]:
    """Data at stable addresses."""
    runs = [
        {"name": run.name, "version": run.version, "profile": run.profile, "clauses": run.clauses, "checks": run.verdicts}
        for run in evidence.runs
    ]
    return {
        "assets/ids.json": {clause.id: [f"spec/{Path(clause.page).stem}.html", clause.rule] for clause in evidence.law.values()},
        "clauses.json": {"edition": EDITION, "clauses": [_published(clause, evidence) for clause in evidence.law.values()]},
        "report.json": {"edition": EDITION, "runs": runs},
        "schemas/report.json": reporting.schema(),
        "schemas/wire.json": openrpc.document(),
        "schemas/provider-fixture.json": fixture_schema(),
    }
