"""What is known of every clause, joined from data: checks, broken implementations, citations and verdicts."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from lash_conformance import crash_map
from lash_conformance.catalogue import PROFILES, Clause, clauses, hashed
from lash_conformance.check import Check, all_checks
from lash_conformance.editions import Edition, frozen
from lash_conformance.execute import VERDICTS, Verdict
from lash_conformance.explain import implementations
from lash_conformance.mutants import Mutant, all_mutants
from lash_conformance.report import Blow, Report, worst
from lash_conformance.site.changes import News, news


class SiteFault(Exception):
    """The pages cannot be joined; every fault found is listed."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """The verdicts of one judged implementation."""

    path: str
    date: str
    """When it was kept; empty for a report of this build."""
    name: str
    version: str
    profile: str
    verdicts: dict[str, Verdict]
    """By check."""
    clauses: dict[str, Verdict]
    """The worst of each clause's checks."""
    rules: dict[str, str]
    """The hash of every rule text that the run judged."""
    reasons: dict[str, str]
    crash_rows: tuple[crash_map.Row, ...]
    scenes: dict[str, frozenset[str]]
    """Scenes of the crash map by the check that judged them."""

    def struck(self, checks: Iterable[Check]) -> tuple[crash_map.Row, ...]:
        """The rows of the crash map that these checks judged."""
        scenes = frozenset[str]().union(*(self.scenes.get(made.id, ()) for made in checks))
        return tuple(row for row in self.crash_rows if row.scene in scenes)

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.name} {self.version}"

    @property
    def counts(self) -> dict[Verdict, int]:
        """Clauses by verdict."""
        found = list(self.clauses.values())
        return {verdict: found.count(verdict) for verdict in VERDICTS if verdict in found}


def read_run(path: Path, shown: str) -> Run | None:
    """A report, whole or as `docs/results` keeps it; None for JSON that judges no target by clause.

    Raises:
        SiteFault: the file is no JSON, or a report that breaks its schema.
    """
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
        document = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
        if "schema_version" in document:
            return _whole(Report.model_validate(document), shown)
        found: Any = document.get("found")
        if isinstance(found, dict) and "target" in found and "checks" in found:
            return _kept(cast("dict[str, Any]", found), shown, str(document["date"]))
    except (ValueError, KeyError, TypeError, ValidationError) as err:
        raise SiteFault(f"{shown}: no readable report: {err}") from err
    return None


def _whole(report: Report, shown: str) -> Run:
    return Run(
        path=shown,
        date="",
        name=report.target.name,
        version=report.target.version,
        profile=report.profile,
        verdicts={check.id: check.verdict for check in report.checks},
        clauses={clause.id: clause.verdict for clause in report.clauses},
        rules={clause.id: hashed(clause.rule) for clause in report.clauses},
        reasons={check.id: check.reason for check in report.checks if check.reason},
        crash_rows=crash_map.rows(report),
        scenes={check.id: frozenset(blow.scene for blow in check.crash_map) for check in report.checks if check.crash_map},
    )


def _kept(found: dict[str, Any], shown: str, date: str) -> Run:
    by_clause: dict[str, list[Verdict]] = {}
    struck: dict[str, list[Blow]] = {}
    for check in found["checks"]:
        for clause in check["clauses"]:
            by_clause.setdefault(clause, []).append(check["verdict"])
        if check.get("crash_map"):
            struck[check["id"]] = [Blow.model_validate(blow) for blow in check["crash_map"]]
    return Run(
        path=shown,
        date=date,
        name=found["target"]["name"],
        version=found["target"]["version"],
        profile=found.get("profile", "store"),
        verdicts={check["id"]: check["verdict"] for check in found["checks"]},
        clauses={clause: worst(verdicts) for clause, verdicts in by_clause.items()},
        rules=found["rules"],
        reasons={check["id"]: check["reason"] for check in found["checks"] if check.get("reason")},
        crash_rows=crash_map.mapped(blow for blows in struck.values() for blow in blows),
        scenes={check: frozenset(blow.scene for blow in blows) for check, blows in struck.items()},
    )


@dataclass(frozen=True, kw_only=True)
class Kill:
    """What a run of the broken implementations found for one of them and one clause."""

    clause: str
    mutant: str
    rule: str
    """The hash of the rule text that it was judged by."""
    killed: bool
    killers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything that the pages show."""

    law: dict[str, Clause]
    checks: dict[str, Check]
    mutants: tuple[Mutant, ...]
    runs: tuple[Run, ...]
    kills: dict[tuple[str, str], Kill]
    """By clause and name; empty when the broken implementations were not run."""
    kills_of: str
    """When they were run last."""
    editions: tuple[Edition, ...]
    news: tuple[News, ...]

    @property
    def unrun(self) -> int:
        """Broken implementations that the kept table does not know yet, once a clause."""
        return sum((clause, one.name) not in self.kills for one in self.mutants for clause in one.clauses)

    @cached_property
    def checks_of(self) -> dict[str, list[Check]]:
        """Checks by clause."""
        found: dict[str, list[Check]] = {}
        for check in self.checks.values():
            for clause in check.clauses:
                found.setdefault(clause, []).append(check)
        return found

    @cached_property
    def mutants_of(self) -> dict[str, list[Mutant]]:
        """Broken implementations by clause."""
        found: dict[str, list[Mutant]] = {}
        for mutant in self.mutants:
            for clause in mutant.clauses:
                found.setdefault(clause, []).append(mutant)
        return found

    @cached_property
    def musts(self) -> list[Clause]:
        """The clauses that nobody may break."""
        return [clause for clause in self.law.values() if clause.level == "MUST"]

    def runs_of(self, clause: Clause) -> tuple[Run, ...]:
        """The runs whose profile judges the clause's area."""
        return tuple(run for run in self.runs if clause.area in PROFILES[run.profile] or clause.id in run.clauses)

    def passed_by(self, check: str) -> tuple[str, ...]:
        """The implementations that pass a check."""
        return tuple(run.name for run in self.runs if run.verdicts.get(check) == "pass")

    def proven(self, clause: Clause) -> bool:
        """Whether a check exists that a broken implementation shows to be able to fail."""
        if self.kills:
            return any(self.kills[key].killed for key in self.kills if key[0] == clause.id)
        return bool(self.checks_of.get(clause.id) and self.mutants_of.get(clause.id))

    def faults(self, drafted: frozenset[str]) -> list[str]:
        """Whatever does not fit together; ``drafted`` clauses may be cited before they are law."""
        found = [f"check {check.id} cites the unknown clause {clause}" for check in self.checks.values() for clause in check.clauses if clause not in self.law]
        found += [f"broken implementation {one.name} cites the unknown clause {clause}" for one in self.mutants for clause in one.clauses if clause not in self.law]
        found += [f"{places[0]} cites the unknown clause {clause}" for clause, places in implementations().items() if clause not in self.law and clause not in drafted]
        found += [f"{clause.page}:{clause.line}: {clause.id} has neither a check nor a reason" for clause in self.musts if not self.checks_of.get(clause.id) and not clause.untested]
        for run in self.runs:
            found += [f"{run.path}: unknown clause {clause}" for clause in run.clauses if clause not in self.law]
            found += [f"{run.path}: the check {check} is gone; judge {run.name} again" for check in run.verdicts if check not in self.checks]
            found += [f"{run.path}: the rule of {clause} has changed; judge {run.name} again" for clause, rule in run.rules.items() if clause in self.law and self.law[clause].text_hash != rule]
        named = {(clause, one.name) for one in self.mutants for clause in one.clauses}
        for kill in self.kills.values():
            if (kill.clause, kill.mutant) not in named:
                found.append(f"kill table: no broken implementation {kill.mutant} of {kill.clause}; run `lash-conformance mutants` for it again and keep that")
            elif kill.clause in self.law and self.law[kill.clause].text_hash != kill.rule:
                found.append(f"kill table: the rule of {kill.clause} has changed; run `lash-conformance mutants --select {kill.clause}` again and keep that")
            found += [f"kill table: {kill.mutant} was killed by the check {check}, which is gone" for check in kill.killers if check not in self.checks]
        found += [f"{clause.page}:{clause.line}: {clause.id} was retired in an edition; an id is never used again" for clause in self.law.values() if _was_retired(clause.id, self.editions)]
        found += [f"{one.path}: unknown clause {clause}" for one in self.news for clause in one.clauses if clause not in self.law and not any(clause in edition.clauses for edition in self.editions)]
        return found


def _was_retired(clause: str, editions: tuple[Edition, ...]) -> bool:
    there = [clause in edition.clauses for edition in editions]
    return any(before and not after for before, after in pairwise(there))


def gather(reports: list[Path], root: Path) -> Evidence:
    """Join the law with the suite and with every report below the folders.

    Raises:
        SiteFault: something refers to what does not exist, or a report is stale.
    """
    runs: dict[tuple[str, str], Run] = {}
    kills: dict[tuple[str, str], Kill] = {}
    kills_of = ""
    faults: list[str] = []
    for path in sorted(path for folder in reports for path in folder.rglob("*.json")):
        shown = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
        if path.name == "kills.json":
            kills_of, found = _kills(path)
            kills |= {(kill.clause, kill.mutant): kill for kill in found}
            continue
        if (run := read_run(path, shown)) is None:
            continue
        if (run.name, run.profile) in runs:
            faults.append(f"{shown}: {run.name} was already judged in {runs[run.name, run.profile].path}")
        runs[run.name, run.profile] = run
    made = Evidence(
        law=clauses(),
        checks={check.id: check for check in all_checks()},
        mutants=all_mutants(),
        runs=tuple(runs[key] for key in sorted(runs)),
        kills=kills,
        kills_of=kills_of,
        editions=frozen(root / "docs" / "editions"),
        news=news(root),
    )
    drafts = "\n".join(page.read_text(encoding="utf-8") for page in (root / "docs" / "drafts").glob("*.md"))
    faults += made.faults(frozenset(re.findall(r"^#### ([A-Z]{3}\.\d+) ", drafts, re.MULTILINE)))
    if faults:
        raise SiteFault("\n".join(faults))
    return made


def _kills(path: Path) -> tuple[str, list[Kill]]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        made = [
            Kill(clause=one["clause"], mutant=one["mutant"], rule=one["rule"], killed=one["killed"], killers=tuple(one["killers"]))
            for one in data["found"]["kills"]
        ]
        return data["date"], made
    except (ValueError, KeyError, TypeError) as err:
        raise SiteFault(f"{path.name}: no kill table as `lash-conformance keep` writes it: {err}") from err
